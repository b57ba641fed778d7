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

/* A record that no event tells of yet. */
struct fresh {
	const struct lt_gc_record *record;
	int generation;
};

/* The state of the collector before the next record, as far as it can be followed from sample to record. */
struct followed {
	struct lt_sample before;
	bool known; /* no collection lies between it and the record but those that moved it */
	bool older; /* one of generation 1 or 2 did: the figures of the 25 % rule are not followed */
};

static struct followed follow(const struct lt_polled *polled, uint64_t start_ns)
{
	struct followed followed = {.before = polled->last};
	if (polled->run.active && (polled->last.state.collecting || polled->last.to_ns > start_ns))
		followed.before = polled->run.before;
	followed.known = followed.before.steady && !followed.before.state.collecting &&
			 lt_polled_total(followed.before.state.generations) ==
				 lt_polled_total(polled->accounted);
	followed.known &= start_ns >= followed.before.from_ns;
	return followed;
}

/* Past a collection (Python/gc.c: gc_collect_main): its generation and younger ones are empty, the next one counts it. */
static void advance(struct followed *followed, const struct fresh *fresh)
{
	struct lt_gc_generation *generations = followed->before.state.generations;
	for (int i = 0; i <= fresh->generation; i++)
		generations[i].count = 0;
	if (fresh->generation + 1 < LT_GC_GENERATIONS)
		generations[fresh->generation + 1].count++;
	generations[fresh->generation].collections = fresh->record->collections;
	generations[fresh->generation].collected = fresh->record->collected;
	generations[fresh->generation].uncollectable = fresh->record->uncollectable;
	followed->before.from_ns = followed->before.to_ns = fresh->record->end_ns;
	followed->older |= fresh->generation > 0;
}

static enum lt_status take_record(struct lt_polled *polled, const struct fresh *fresh,
				  const struct lt_running *seen, struct followed *followed,
				  const struct lt_sample *sample, struct lt_watch_events *events)
{
	int generation = fresh->generation;
	const struct lt_gc_record *record = fresh->record;
	struct lt_gc_generation *accounted = &polled->accounted[generation];
	uint64_t missed = record->collections - accounted->collections - 1;
	if (missed > 0)
		*followed = (struct followed){.before = polled->last};
	struct lt_watch_event event = lt_polled_event(polled, generation, &followed->before, sample,
						      record->start_ns, record->end_ns);
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
	accounted->collections = record->collections;
	accounted->collected = record->collected;
	accounted->uncollectable = record->uncollectable;
	polled->candidates[generation] = record->candidates;
	bool oldest = generation == LT_GC_GENERATIONS - 1;
	lt_polled_explain(polled, seen, followed->known && !(oldest && followed->older), &event);
	if (followed->known)
		advance(followed, fresh);
	return lt_watch_events_push(events, event) ? LT_OK : lt_fail_memory(polled->view->session);
}

/* In the order of their start. */
static unsigned find_fresh(const struct lt_polled *polled, const struct lt_gc_rings *rings,
			   struct fresh *fresh, unsigned *ret_crowd)
{
	unsigned all = 0;
	*ret_crowd = 0;
	for (int g = 0; g < LT_GC_GENERATIONS; g++) {
		unsigned before = all;
		for (unsigned i = 0; i < rings->count[g]; i++) {
			const struct lt_gc_record *record = &rings->records[g][i];
			if (record->collections <= polled->accounted[g].collections)
				continue;
			unsigned at = all++;
			for (; at > 0 && fresh[at - 1].record->start_ns > record->start_ns; at--)
				fresh[at] = fresh[at - 1];
			fresh[at] = (struct fresh){record, g};
		}
		struct lt_gc_ring_place place;
		if (lt_gc_ring_find(polled->view->layout, g, &place) &&
		    100 * (all - before) / place.length > *ret_crowd)
			*ret_crowd = 100 * (all - before) / place.length;
	}
	return all;
}

static enum lt_status take_records(struct lt_polled *polled, const struct lt_gc_rings *rings,
				   const struct lt_sample *sample, struct lt_watch_events *events,
				   unsigned *ret_count, unsigned *ret_crowd)
{
	struct fresh fresh[LT_GC_GENERATIONS * LT_GC_RING_MAX];
	*ret_count = find_fresh(polled, rings, fresh, ret_crowd);
	if (*ret_count == 0)
		return LT_OK;
	const struct lt_gc_record *seen = record_of_run(polled, rings);
	struct followed followed = follow(polled, fresh[0].record->start_ns);
	/* Those that are missed came before the first one of their generation: before which others is not known. */
	bool met[LT_GC_GENERATIONS] = {0};
	for (unsigned i = 0; i < *ret_count; i++) {
		int g = fresh[i].generation;
		if (!met[g] && fresh[i].record->collections != polled->accounted[g].collections + 1)
			followed.known = false;
		met[g] = true;
	}
	for (unsigned i = 0; i < *ret_count; i++)
		LT_TRY(take_record(polled, &fresh[i],
				   fresh[i].record == seen ? &polled->run.seen : NULL, &followed,
				   sample, events));
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
