#include "analysis/gc_summary.h"

#include "analysis/gc_causes.h"

#include <string.h>

enum {
	SUB_BITS = 7, /* 128 buckets from each power of two to the next */
	SUBS = 1 << SUB_BITS,
	TOP_BIT = 47, /* longer pauses, from 39 h on, count as that */
	BUCKETS = (TOP_BIT - SUB_BITS + 2) * SUBS,
	FIRST_SLOT_NS = 250000000,
	OLDEST = LT_GC_GENERATIONS - 1,
};

static size_t bucket_of(uint64_t ns)
{
	if (ns < SUBS)
		return (size_t)ns;
	int top = 63 - __builtin_clzll(ns);
	if (top > TOP_BIT)
		return BUCKETS - 1;
	return (size_t)(top - SUB_BITS + 1) * SUBS + (ns >> (top - SUB_BITS) & (SUBS - 1));
}

/* The middle of a bucket. */
static double bucket_ns(size_t bucket)
{
	if (bucket < SUBS)
		return (double)bucket;
	size_t top = bucket / SUBS + SUB_BITS - 1;
	double step = (double)(1ull << (top - SUB_BITS));
	return (double)(1ull << top) + ((double)(bucket % SUBS) + 0.5) * step;
}

static bool add_pause(struct lt_gc_pauses *pauses, uint64_t ns)
{
	if (pauses->buckets == NULL)
		pauses->buckets = calloc(BUCKETS, sizeof(*pauses->buckets));
	if (pauses->buckets == NULL)
		return false;
	pauses->buckets[bucket_of(ns)]++;
	pauses->count++;
	pauses->total_ns += ns;
	if (ns > pauses->max_ns)
		pauses->max_ns = ns;
	return true;
}

double lt_gc_pauses_ms(const struct lt_gc_pauses *pauses, double share)
{
	if (pauses->count == 0)
		return 0;
	uint64_t wanted =
		(uint64_t)(share * (double)(pauses->count + pauses->short_ones) + 0.999999);
	uint64_t seen = pauses->short_ones;
	if (wanted <= seen)
		return 0;
	for (size_t i = 0; i < BUCKETS; i++) {
		seen += pauses->buckets[i];
		if (seen >= wanted && seen > 0) {
			double ns = bucket_ns(i);
			return (ns < (double)pauses->max_ns ? ns : (double)pauses->max_ns) / 1e6;
		}
	}
	return (double)pauses->max_ns / 1e6;
}

uint64_t lt_gc_pauses_over(const struct lt_gc_pauses *pauses, double ms)
{
	uint64_t count = 0;
	for (size_t i = BUCKETS; pauses->count > 0 && i-- > 0 && bucket_ns(i) / 1e6 > ms;)
		count += pauses->buckets[i];
	return count;
}

static bool add_to_group(struct lt_gc_group *group, const struct lt_watch_event *seen)
{
	group->count += seen->kind == LT_WATCH_MISSED ? seen->missed : 1;
	group->collected += seen->collected > 0 ? (uint64_t)seen->collected : 0;
	group->uncollectable += seen->uncollectable > 0 ? (uint64_t)seen->uncollectable : 0;
	/* Those that a probe or a ring lost may have been of any length. */
	if (seen->kind == LT_WATCH_MISSED) {
		group->pauses.short_ones += seen->source == LT_WATCH_POLL ? seen->missed : 0;
		return true;
	}
	if (lt_gc_untimed(seen)) {
		group->pauses.short_ones++;
		return true;
	}
	return add_pause(&group->pauses, seen->end_ns - seen->start_ns);
}

static void add_to_place(struct lt_gc_place *place, const struct lt_watch_event *seen)
{
	uint64_t ns = seen->end_ns - seen->start_ns;
	place->count++;
	place->interpreter = seen->interpreter;
	place->threshold0 = seen->before.generations[0].threshold;
	place->collected += seen->collected > 0 ? (uint64_t)seen->collected : 0;
	place->total_ns += ns;
	if (ns > place->max_ns)
		place->max_ns = ns;
}

static bool add_place(struct lt_gc_summary *summary, const struct lt_gc_event *event)
{
	for (size_t i = 0; i < summary->place_count; i++) {
		struct lt_gc_place *place = &summary->places[i];
		if (place->cause == event->cause && place->generation == event->seen.generation &&
		    strcmp(place->where, event->where) == 0) {
			add_to_place(place, &event->seen);
			return true;
		}
	}
	if (summary->place_count >= LT_GC_PLACES_MOST) {
		add_to_place(&summary->other_places, &event->seen);
		return true;
	}
	if (summary->places == NULL)
		summary->places = calloc(LT_GC_PLACES_MOST, sizeof(*summary->places));
	char *where = strdup(event->where);
	if (summary->places == NULL || where == NULL) {
		free(where);
		return false;
	}
	struct lt_gc_place *place = &summary->places[summary->place_count++];
	*place = (struct lt_gc_place){
		.where = where, .cause = event->cause, .generation = event->seen.generation};
	add_to_place(place, &event->seen);
	return true;
}

static void add_slot(struct lt_gc_summary *summary, const struct lt_watch_event *seen)
{
	uint64_t at = seen->start_ns > summary->start_ns ? seen->start_ns - summary->start_ns : 0;
	if (summary->slot_ns == 0)
		summary->slot_ns = FIRST_SLOT_NS;
	while (at / summary->slot_ns >= LT_GC_SLOTS) {
		for (size_t i = 0; i < LT_GC_SLOTS / 2; i++) {
			const struct lt_gc_slot *a = &summary->slots[2 * i], *b = a + 1;
			summary->slots[i] = (struct lt_gc_slot){
				.count = a->count + b->count,
				.total_ns = a->total_ns + b->total_ns,
				.max_ns = a->max_ns > b->max_ns ? a->max_ns : b->max_ns,
				.made = a->made + b->made,
			};
		}
		memset(&summary->slots[LT_GC_SLOTS / 2], 0, sizeof(summary->slots) / 2);
		summary->slot_ns *= 2;
	}
	struct lt_gc_slot *slot = &summary->slots[at / summary->slot_ns];
	uint64_t ns = seen->end_ns - seen->start_ns;
	slot->count += seen->kind == LT_WATCH_MISSED ? seen->missed : 1;
	slot->total_ns += ns;
	if (ns > slot->max_ns)
		slot->max_ns = ns;
}

static void add_survival(struct lt_gc_summary *summary, const struct lt_gc_recording *recording,
			 const struct lt_watch_event *seen)
{
	int g = seen->generation;
	if (g < 0 || g > OLDEST || seen->kind != LT_WATCH_COLLECTION || seen->collected < 0)
		return;
	uint64_t gone = (uint64_t)seen->collected, examined = 0;
	if (seen->candidates >= 0) {
		examined = (uint64_t)seen->candidates;
	} else if (g == 0) {
		int64_t count = seen->before.generations[0].count;
		examined = count > 0 ? (uint64_t)count : 0;
	} else if (g == 1 && recording->quarter_rule &&
		   seen->after.long_lived_pending >= seen->before.long_lived_pending) {
		examined = seen->after.long_lived_pending - seen->before.long_lived_pending + gone;
	} else if (g == OLDEST && recording->quarter_rule) {
		examined = seen->after.long_lived_total + gone;
	}
	if (examined < gone || examined > INT64_MAX)
		return;
	summary->survival[g].examined += examined;
	summary->survival[g].survived += examined - gone;
}

/* Over the time since the collection before. */
static void spread_made(struct lt_gc_summary *summary, uint64_t until_ns, double count)
{
	uint64_t start = summary->start_ns, from = summary->made_until_ns;
	summary->made += count;
	/* What waited when the recording began was made before it. */
	if (from == 0 && summary->sampled) {
		double there = (double)summary->first.state.generations[0].count;
		count = there < 0 ? count : count > there ? count - there : 0;
	}
	if (from < start)
		from = start;
	if (until_ns < from || summary->slot_ns == 0)
		until_ns = from;
	summary->made_until_ns = until_ns;
	for (uint64_t at = from; count > 0 && summary->slot_ns > 0;) {
		uint64_t i = (at - start) / summary->slot_ns;
		uint64_t end = start + (i + 1) * summary->slot_ns;
		end = end < until_ns ? end : until_ns;
		if (i >= LT_GC_SLOTS)
			break;
		double share = until_ns > from ? (double)(end - at) / (double)(until_ns - from) : 1;
		summary->slots[i].made += count * share;
		if (end >= until_ns)
			break;
		at = end;
	}
}

/* The counter of generation 0 starts again at each collection: what it had come to was made since the last one. */
static void add_made(struct lt_gc_summary *summary, const struct lt_gc_event *event)
{
	const struct lt_gc_generation *young = &event->seen.before.generations[0];
	double count = (double)young->count;
	bool automatic =
		event->cause >= LT_CAUSE_THRESHOLD_0 && event->cause <= LT_CAUSE_THRESHOLD_2;
	if (event->seen.interpreter != 0) {
		/* What waited in it at both ends of the recording is not known: about the same. */
		double each = event->seen.kind == LT_WATCH_MISSED
				      ? (double)event->seen.missed * ((double)young->threshold + 1)
				      : count;
		size_t slot =
			summary->slot_ns > 0 && event->seen.start_ns > summary->start_ns
				? (event->seen.start_ns - summary->start_ns) / summary->slot_ns
				: 0;
		summary->made += each > 0 ? each : 0;
		if (slot < LT_GC_SLOTS)
			summary->slots[slot].made += each > 0 ? each : 0;
		return;
	}
	/* The end of the process leaves no sample of what came after its last collection. */
	if (event->seen.kind == LT_WATCH_COLLECTION && event->seen.end_ns >= summary->last.at_ns)
		summary->waiting = 0;
	if (event->seen.kind == LT_WATCH_MISSED) {
		spread_made(summary, event->seen.end_ns,
			    (double)event->seen.missed * ((double)young->threshold + 1));
		return;
	}
	if (automatic && count <= (double)young->threshold)
		count = (double)young->threshold + 1;
	spread_made(summary, event->seen.start_ns, count);
	bool let_go = summary->let_go || !event->seen.before.enabled || young->threshold <= 0;
	if (automatic && !let_go && young->count > 0 &&
	    (uint64_t)young->count > summary->longest_wait) {
		summary->longest_wait = (uint64_t)young->count;
		summary->longest_wait_ns = event->seen.end_ns - event->seen.start_ns;
	}
}

enum lt_status lt_gc_summary_add(struct lt_session *session, struct lt_gc_summary *summary,
				 const struct lt_gc_recording *recording,
				 const struct lt_gc_event *event)
{
	const struct lt_watch_event *seen = &event->seen;
	summary->start_ns = recording->start_ns;
	if (seen->end_ns < seen->start_ns)
		return LT_OK;
	if (seen->kind != LT_WATCH_COLLECTION && seen->kind != LT_WATCH_MISSED) {
		summary->changes++;
		summary->let_go |= seen->interpreter == 0 && lt_gc_lets_go(seen);
		return LT_OK;
	}
	int g = seen->generation;
	bool room = add_to_group(&summary->all, seen) &&
		    (g < 0 || g > OLDEST || add_to_group(&summary->by_generation[g], seen)) &&
		    ((unsigned)event->cause >= LT_CAUSE_COUNT ||
		     add_to_group(&summary->by_cause[event->cause], seen)) &&
		    (seen->kind == LT_WATCH_MISSED || add_place(summary, event));
	if (!room)
		return lt_fail_memory(session);
	summary->missed += seen->kind == LT_WATCH_MISSED ? seen->missed : 0;
	if (seen->interpreter != 0)
		summary->others += seen->kind == LT_WATCH_MISSED ? seen->missed : 1;
	summary->full_in_vain +=
		seen->kind == LT_WATCH_COLLECTION && g == OLDEST && seen->collected == 0;
	add_slot(summary, seen);
	add_survival(summary, recording, seen);
	add_made(summary, event);
	summary->let_go &= seen->interpreter != 0;
	return LT_OK;
}

void lt_gc_summary_sample(struct lt_gc_summary *summary, const struct lt_gc_recording *recording,
			  const struct lt_gc_sample *sample)
{
	summary->start_ns = recording->start_ns;
	if (!summary->sampled)
		summary->first = *sample;
	summary->last = *sample;
	summary->waiting = sample->state.generations[0].count;
	summary->sampled = true;
	summary->frozen |= sample->state.frozen;
}

static int by_time(const void *left, const void *right)
{
	const struct lt_gc_place *a = left, *b = right;
	if (a->total_ns != b->total_ns)
		return a->total_ns < b->total_ns ? 1 : -1;
	return (a->count < b->count) - (a->count > b->count);
}

void lt_gc_summary_finish(struct lt_gc_summary *summary, const struct lt_gc_recording *recording)
{
	summary->start_ns = recording->start_ns;
	summary->end_ns = recording->end_ns;
	if (summary->place_count > 0)
		qsort(summary->places, summary->place_count, sizeof(*summary->places), by_time);
	if (summary->slot_ns == 0)
		summary->slot_ns = FIRST_SLOT_NS;
	uint64_t length = summary->end_ns - summary->start_ns;
	summary->slot_count = (size_t)(length / summary->slot_ns) + 1;
	if (summary->slot_count > LT_GC_SLOTS)
		summary->slot_count = LT_GC_SLOTS;
}

enum lt_status lt_gc_summary_of(struct lt_session *session, const struct lt_gc_recording *recording,
				struct lt_gc_summary *ret_summary)
{
	struct lt_gc_summary summary = {0};
	for (size_t i = 0; i < recording->events.count; i++) {
		enum lt_status status =
			lt_gc_summary_add(session, &summary, recording, &recording->events.data[i]);
		if (status != LT_OK) {
			lt_gc_summary_deinit(&summary);
			return status;
		}
	}
	for (size_t i = 0; i < recording->samples.count; i++)
		lt_gc_summary_sample(&summary, recording, &recording->samples.data[i]);
	lt_gc_summary_finish(&summary, recording);
	*ret_summary = summary;
	return LT_OK;
}

static enum lt_status feed_event(void *ctx, const struct lt_gc_recording *recording,
				 const struct lt_gc_event *event)
{
	const struct lt_gc_summary_feed *feed = ctx;
	return lt_gc_summary_add(feed->session, feed->summary, recording, event);
}

static enum lt_status feed_sample(void *ctx, const struct lt_gc_recording *recording,
				  const struct lt_gc_sample *sample)
{
	const struct lt_gc_summary_feed *feed = ctx;
	lt_gc_summary_sample(feed->summary, recording, sample);
	return LT_OK;
}

static enum lt_status feed_tick(void *ctx, const struct lt_gc_recording *recording, bool final)
{
	const struct lt_gc_summary_feed *feed = ctx;
	(void) final;
	lt_gc_summary_finish(feed->summary, recording);
	return LT_OK;
}

struct lt_gc_sink lt_gc_summary_sink(struct lt_gc_summary_feed *feed)
{
	return (struct lt_gc_sink){
		.event = feed_event, .sample = feed_sample, .tick = feed_tick, .ctx = feed};
}

double lt_gc_summary_seconds(const struct lt_gc_summary *summary)
{
	return summary->end_ns > summary->start_ns
		       ? (double)(summary->end_ns - summary->start_ns) / 1e9
		       : 0;
}

double lt_gc_summary_rate(const struct lt_gc_summary *summary)
{
	double seconds = lt_gc_summary_seconds(summary);
	if (seconds <= 0 || !summary->sampled)
		return 0;
	return (summary->made + (double)summary->waiting -
		(double)summary->first.state.generations[0].count) /
	       seconds;
}

double lt_gc_summary_share(const struct lt_gc_summary *summary, uint64_t pause_ns)
{
	double seconds = lt_gc_summary_seconds(summary);
	double share = seconds > 0 ? (double)pause_ns / 1e9 / seconds : 0;
	return share < 1 ? share : 1;
}

double lt_gc_summary_cpu_share(const struct lt_gc_summary *summary, uint64_t pause_ns)
{
	if (!summary->sampled || summary->last.cpu_ns <= summary->first.cpu_ns)
		return 0;
	/* Pauses are by the clock: on a busy machine they may be longer than the processor time in them. */
	uint64_t cpu_ns = summary->last.cpu_ns - summary->first.cpu_ns;
	if (cpu_ns < summary->all.pauses.total_ns)
		cpu_ns = summary->all.pauses.total_ns;
	return pause_ns < cpu_ns ? (double)pause_ns / (double)cpu_ns : 1;
}

static void free_group(struct lt_gc_group *group)
{
	free(group->pauses.buckets);
}

void lt_gc_summary_deinit(struct lt_gc_summary *summary)
{
	free_group(&summary->all);
	for (size_t i = 0; i < LT_GC_GENERATIONS; i++)
		free_group(&summary->by_generation[i]);
	for (size_t i = 0; i < LT_CAUSE_COUNT; i++)
		free_group(&summary->by_cause[i]);
	for (size_t i = 0; i < summary->place_count; i++)
		free(summary->places[i].where);
	free(summary->places);
	*summary = (struct lt_gc_summary){0};
}
