#include "analysis/gc_keep.h"

#include "base/cleanup.h"

#include <string.h>

enum { SECOND_NS = 1000000000 };

static uint64_t duration_of(const struct lt_gc_event *event)
{
	return event->seen.end_ns - event->seen.start_ns;
}

/* What there are many of: collections that are not full. */
static bool common(const struct lt_gc_event *event)
{
	return event->seen.kind == LT_WATCH_MISSED ||
	       (event->seen.kind == LT_WATCH_COLLECTION &&
		event->seen.generation < LT_GC_GENERATIONS - 1);
}

static bool collection(const struct lt_gc_event *event)
{
	return event->seen.kind == LT_WATCH_MISSED || event->seen.kind == LT_WATCH_COLLECTION;
}

static bool any(const struct lt_gc_event *event)
{
	(void)event;
	return true;
}

static int by_duration(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
	return (a > b) - (a < b);
}

/* NULL: no memory. */
static const char *copy(struct lt_arena *texts, const char *text)
{
	return text == NULL || *text == '\0' ? "" : lt_arena_copy(texts, text, strlen(text));
}

/* The texts of events that went go too. */
static bool compact(struct lt_gc_recording *recording)
{
	struct lt_arena texts = {0};
	struct lt_gc_events *events = &recording->events;
	LT_FREE const char **fresh = malloc((2 * events->count + 1) * sizeof(*fresh));
	bool room = fresh != NULL;
	for (size_t i = 0; i < events->count && room; i++) {
		fresh[2 * i] = copy(&texts, events->data[i].where);
		fresh[2 * i + 1] = copy(&texts, events->data[i].evidence);
		room = fresh[2 * i] != NULL && fresh[2 * i + 1] != NULL;
	}
	if (!room) {
		lt_arena_deinit(&texts);
		return false;
	}
	for (size_t i = 0; i < events->count; i++) {
		events->data[i].where = fresh[2 * i];
		events->data[i].evidence = fresh[2 * i + 1];
	}
	lt_arena_deinit(&recording->texts);
	recording->texts = texts;
	return true;
}

/* Half of those that `concerned` says go, the shortest ones. `durations` has room for all. */
static void drop_half(struct lt_gc_events *events, bool (*concerned)(const struct lt_gc_event *),
		      uint64_t *durations)
{
	size_t count = 0, kept = 0;
	for (size_t i = 0; i < events->count; i++) {
		if (concerned(&events->data[i]))
			durations[count++] = duration_of(&events->data[i]);
	}
	qsort(durations, count, sizeof(*durations), by_duration);
	size_t excess = count / 2;
	uint64_t most = count > 0 ? durations[excess] : 0;
	for (size_t i = 0; i < events->count; i++) {
		const struct lt_gc_event *event = &events->data[i];
		bool drop = excess > 0 && concerned(event) && duration_of(event) <= most;
		excess -= drop;
		if (!drop)
			events->data[kept++] = *event;
	}
	events->count = kept;
}

static enum lt_status make_room(struct lt_session *session, struct lt_gc_recording *recording)
{
	struct lt_gc_events *events = &recording->events;
	LT_FREE uint64_t *durations = malloc(events->count * sizeof(*durations));
	if (durations == NULL)
		return lt_fail_memory(session);
	size_t before = events->count;
	drop_half(events, common, durations);
	if (events->count > before - before / 4)
		drop_half(events, collection, durations);
	if (events->count > before - before / 4)
		drop_half(events, any, durations);
	recording->left_out += before - events->count;
	return compact(recording) ? LT_OK : lt_fail_memory(session);
}

enum lt_status lt_gc_keep_event(struct lt_session *session, struct lt_gc_recording *recording,
				const struct lt_gc_event *event)
{
	if (recording->events.count >= LT_GC_EVENTS_MOST)
		LT_TRY(make_room(session, recording));
	struct lt_gc_event mine = *event;
	mine.where = copy(&recording->texts, event->where);
	mine.evidence = copy(&recording->texts, event->evidence);
	if (mine.where == NULL || mine.evidence == NULL)
		return lt_fail_memory(session);
	return lt_gc_events_push(&recording->events, mine) ? LT_OK : lt_fail_memory(session);
}

static void thin_samples(struct lt_gc_keep *keep, struct lt_gc_samples *samples)
{
	size_t kept = 1;
	for (size_t i = 2; i < samples->count; i += 2)
		samples->data[kept++] = samples->data[i];
	samples->count = kept;
	keep->step_ns *= 2;
}

enum lt_status lt_gc_keep_sample(struct lt_session *session, struct lt_gc_keep *keep,
				 struct lt_gc_recording *recording,
				 const struct lt_gc_sample *sample, bool edge)
{
	if (keep->step_ns == 0)
		keep->step_ns = SECOND_NS;
	if (!edge && sample->at_ns < keep->kept_sample_ns + keep->step_ns - keep->step_ns / 4)
		return LT_OK;
	if (recording->samples.count >= LT_GC_SAMPLES_MOST)
		thin_samples(keep, &recording->samples);
	keep->kept_sample_ns = sample->at_ns;
	return lt_gc_samples_push(&recording->samples, *sample) ? LT_OK : lt_fail_memory(session);
}
