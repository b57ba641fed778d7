/* The source ring: records with exact times, where the release keeps them; the rest by polling. */
#include "watch/polled.h"
#include "watch/watch_parts.h"

#include <string.h>

enum lt_status lt_watch_open_ring(const struct lt_view *view,
				  const struct lt_watch_options *options,
				  struct lt_watch_feed **ret_feed)
{
	struct lt_gc_ring_place place;
	if (!lt_gc_ring_find(view->layout, 0, &place))
		return lt_fail(view->session, LT_E_PERMISSION,
			       "CPython %s keeps no timed records of its collections",
			       view->python->version);
	return lt_watch_open_polling(view, options, LT_WATCH_RING, ret_feed);
}

void lt_polled_init_ring(struct lt_polled *polled, const struct lt_gc_rings *rings)
{
	for (int g = 0; g < LT_GC_GENERATIONS; g++) {
		if (rings->count[g] == 0)
			continue;
		const struct lt_gc_record *newest = &rings->records[g][rings->count[g] - 1];
		polled->accounted[g].collections = newest->collections;
		polled->accounted[g].collected = newest->collected;
		polled->accounted[g].uncollectable = newest->uncollectable;
		polled->candidates[g] = newest->candidates;
	}
}

/* The newest of the new records that had begun when the stack was read; else the first one after it. */
static const struct lt_gc_record *record_of_run(const struct lt_polled *polled,
						const struct lt_gc_rings *rings)
{
	const struct lt_run *run = &polled->run;
	const struct lt_gc_record *last = NULL, *next = NULL;
	if (!run->active || !run->seen.taken)
		return NULL;
	for (int g = 0; g < LT_GC_GENERATIONS; g++) {
		for (unsigned i = 0; i < rings->count[g]; i++) {
			const struct lt_gc_record *record = &rings->records[g][i];
			if (record->collections <= polled->accounted[g].collections)
				continue;
			if (record->start_ns <= run->looked_ns) {
				if (last == NULL || record->start_ns > last->start_ns)
					last = record;
			} else if (next == NULL || record->start_ns < next->start_ns) {
				next = record;
			}
		}
	}
	if (last != NULL)
		return last;
	return run->doubtful ? NULL : next;
}

static enum lt_status take_record(struct lt_polled *polled, int generation,
				  const struct lt_gc_record *record, const struct lt_running *seen,
				  bool fresh, const struct lt_sample *sample,
				  struct lt_watch_events *events)
{
	struct lt_gc_generation *accounted = &polled->accounted[generation];
	const struct lt_sample *before = &polled->last;
	if (polled->run.active && (before->state.collecting || before->to_ns > record->start_ns))
		before = &polled->run.before;
	struct lt_watch_event event = lt_polled_event(polled, generation, before, sample,
						      record->start_ns, record->end_ns);
	uint64_t missed = record->collections - accounted->collections - 1;
	int64_t collected = (int64_t)(record->collected - accounted->collected);
	int64_t uncollectable = (int64_t)(record->uncollectable - accounted->uncollectable);
	if (missed > 0) {
		/* Their records were overwritten, and with them the counters before this one. */
		struct lt_watch_event gone = event;
		gone.collected = collected;
		gone.uncollectable = uncollectable;
		lt_polled_miss(polled, &gone, polled->last.from_ns, record->start_ns, missed);
	} else {
		event.collected = collected;
		event.uncollectable = uncollectable;
		event.candidates = (int64_t)(record->candidates - polled->candidates[generation]);
	}
	fresh = fresh && missed == 0 &&
		lt_polled_total(before->state.generations) == lt_polled_total(polled->accounted);
	accounted->collections = record->collections;
	accounted->collected = record->collected;
	accounted->uncollectable = record->uncollectable;
	polled->candidates[generation] = record->candidates;
	lt_polled_explain(polled, seen, fresh, &event);
	return lt_watch_events_push(events, event) ? LT_OK : lt_fail_memory(polled->view->session);
}

static enum lt_status take_records(struct lt_polled *polled, const struct lt_gc_rings *rings,
				   const struct lt_sample *sample, struct lt_watch_events *events,
				   unsigned *ret_count, unsigned *ret_crowd)
{
	unsigned counts[LT_GC_GENERATIONS] = {0}, all = 0;
	*ret_crowd = 0;
	for (int g = 0; g < LT_GC_GENERATIONS; g++) {
		for (unsigned i = 0; i < rings->count[g]; i++)
			counts[g] +=
				rings->records[g][i].collections > polled->accounted[g].collections;
		all += counts[g];
		struct lt_gc_ring_place place;
		if (lt_gc_ring_find(polled->view->layout, g, &place) &&
		    100 * counts[g] / place.length > *ret_crowd)
			*ret_crowd = 100 * counts[g] / place.length;
	}
	*ret_count = all;
	if (all == 0)
		return LT_OK;
	const struct lt_gc_record *seen = record_of_run(polled, rings);
	for (int g = 0; g < LT_GC_GENERATIONS; g++) {
		for (unsigned i = 0; i < rings->count[g]; i++) {
			const struct lt_gc_record *record = &rings->records[g][i];
			if (record->collections > polled->accounted[g].collections)
				LT_TRY(take_record(polled, g, record,
						   record == seen ? &polled->run.seen : NULL,
						   all == 1, sample, events));
		}
	}
	return LT_OK;
}

enum lt_status lt_polled_take_ring(struct lt_polled *polled, const struct lt_sample *sample,
				   struct lt_watch_events *events, bool *ret_look,
				   unsigned *ret_crowd)
{
	LT_TRY(lt_polled_compare(polled, sample, events));
	*ret_look = false;
	*ret_crowd = 0;
	bool moved = false;
	for (int i = 0; i < LT_GC_GENERATIONS; i++)
		moved |= sample->state.generations[i].collections !=
			 polled->accounted[i].collections;
	unsigned count = 0;
	struct lt_gc_rings rings;
	if (moved && lt_gc_rings_read(polled->view, polled->address, &rings))
		LT_TRY(take_records(polled, &rings, sample, events, &count, ret_crowd));
	bool is = sample->state.collecting, was = polled->run.active;
	if (was && is && count == 0) {
		lt_polled_go_on(&polled->run, sample);
	} else if (is) {
		const struct lt_counted none = {0};
		lt_polled_begin_run(polled, sample, &none);
		polled->run.doubtful = was;
	} else {
		polled->run.active = false;
	}
	polled->last = *sample;
	if (polled->run.active)
		*ret_look = lt_polled_worth_a_look(&polled->run);
	return LT_OK;
}
