#include "analysis/gc_findings.h"
#include "report/json.h"

enum { OLDEST = LT_GC_GENERATIONS - 1 };

static json_t *milliseconds(uint64_t ns)
{
	uint64_t microseconds = (ns + 500) / 1000;
	return json_real((double)microseconds / 1000);
}

/* Seconds from the start of the recording. */
static json_t *moment(const struct lt_gc_recording *recording, uint64_t ns)
{
	double at = ns >= recording->start_ns ? (double)(ns - recording->start_ns)
					      : -(double)(recording->start_ns - ns);
	return json_real(at / 1e9);
}

/* What the source did not see is null. */
static json_t *seen_count(int64_t count)
{
	return count < 0 ? json_null() : json_integer(count);
}

static json_t *thresholds(const struct lt_gc_state *state)
{
	return json_pack("[I, I, I]", (json_int_t)state->generations[0].threshold,
			 (json_int_t)state->generations[1].threshold,
			 (json_int_t)state->generations[2].threshold);
}

static json_t *counts(const struct lt_gc_state *state)
{
	return json_pack("[I, I, I]", (json_int_t)state->generations[0].count,
			 (json_int_t)state->generations[1].count,
			 (json_int_t)state->generations[2].count);
}

static json_t *stack(const struct lt_gc_recording *recording, const struct lt_gc_event *event)
{
	json_t *frames = json_array();
	for (uint32_t i = 0; i < event->stack_count; i++) {
		const struct lt_gc_frame *frame = &recording->frames.data[event->stack_first + i];
		json_array_append_new(
			frames,
			json_pack("{s:o, s:o, s:o}", "file", lt_json_string(frame->file), "line",
				  frame->line > 0 ? json_integer(frame->line) : json_null(),
				  "function", lt_json_string(frame->function)));
	}
	return frames;
}

static json_t *collection(const struct lt_gc_recording *recording, const struct lt_gc_event *event)
{
	const struct lt_watch_event *seen = &event->seen;
	json_t *json = json_pack(
		"{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:o, s:o, s:o}", "start",
		moment(recording, seen->start_ns), "duration_ms",
		milliseconds(seen->end_ns - seen->start_ns), "error_ms",
		milliseconds(seen->error_ns), "generation", seen_count(seen->generation),
		"collected", seen_count(seen->collected), "uncollectable",
		seen_count(seen->uncollectable), "candidates", seen_count(seen->candidates),
		"cause", lt_gc_cause_name(event->cause), "where", lt_json_known(event->where),
		"stack", stack(recording, event), "evidence", lt_json_string(event->evidence));
	json_object_set_new(json, "counts", counts(&seen->before));
	json_object_set_new(json, "thresholds", thresholds(&seen->before));
	json_object_set_new(json, "thread",
			    seen->thread > 0 ? json_integer(seen->thread) : json_null());
	json_object_set_new(json, "interpreter", lt_json_count(seen->interpreter));
	json_object_set_new(json, "monotonic_ns", lt_json_count(seen->start_ns));
	return json;
}

static json_t *change(const struct lt_gc_recording *recording, const struct lt_gc_event *event)
{
	const struct lt_watch_event *seen = &event->seen;
	return json_pack("{s:o, s:o, s:o, s:o, s:b, s:o, s:i}", "start",
			 moment(recording, seen->start_ns), "call",
			 lt_json_known(lt_watch_call_name(seen->call)), "where",
			 lt_json_known(event->where), "evidence", lt_json_string(event->evidence),
			 "enabled", seen->after.enabled, "thresholds", thresholds(&seen->after),
			 "debug", (int)seen->after.debug);
}

static json_t *percentile(const struct lt_gc_pauses *pauses, double share)
{
	double ms = lt_gc_pauses_ms(pauses, share);
	bool none = pauses->count + pauses->short_ones == 0;
	return ms > 0 || none ? json_real(ms) : json_null();
}

static void add_pauses(json_t *json, const struct lt_gc_pauses *pauses)
{
	json_object_set_new(json, "pause_p50_ms", percentile(pauses, 0.5));
	json_object_set_new(json, "pause_p99_ms", percentile(pauses, 0.99));
	json_object_set_new(json, "pause_max_ms", milliseconds(pauses->max_ns));
	json_object_set_new(json, "gc_time_ms", milliseconds(pauses->total_ns));
}

static json_t *group(const struct lt_gc_summary *summary, const struct lt_gc_group *one)
{
	json_t *json = json_pack("{s:o, s:o, s:o}", "count", lt_json_count(one->count), "collected",
				 lt_json_count(one->collected), "uncollectable",
				 lt_json_count(one->uncollectable));
	add_pauses(json, &one->pauses);
	json_object_set_new(json, "gc_time_share",
			    json_real(lt_gc_summary_share(summary, one->pauses.total_ns)));
	return json;
}

static json_t *place(const struct lt_gc_place *one)
{
	return json_pack("{s:o, s:s, s:o, s:o, s:o, s:o, s:o}", "where", lt_json_known(one->where),
			 "cause", lt_gc_cause_name(one->cause), "generation",
			 seen_count(one->generation), "count", lt_json_count(one->count),
			 "collected", lt_json_count(one->collected), "gc_time_ms",
			 milliseconds(one->total_ns), "pause_max_ms", milliseconds(one->max_ns));
}

static json_t *summary_json(const struct lt_gc_summary *summary)
{
	json_t *json = group(summary, &summary->all);
	json_object_set_new(json, "seconds", json_real(lt_gc_summary_seconds(summary)));
	json_object_set_new(json, "missed", lt_json_count(summary->missed));
	json_object_set_new(json, "other_interpreters", lt_json_count(summary->others));
	json_object_set_new(
		json, "gc_cpu_share",
		json_real(lt_gc_summary_cpu_share(summary, summary->all.pauses.total_ns)));
	json_object_set_new(json, "tracked_per_second", json_real(lt_gc_summary_rate(summary)));
	json_t *causes = json_object();
	for (int cause = 0; cause < LT_CAUSE_COUNT; cause++) {
		if (summary->by_cause[cause].count > 0)
			json_object_set_new(causes, lt_gc_cause_name((enum lt_gc_cause)cause),
					    group(summary, &summary->by_cause[cause]));
	}
	json_object_set_new(json, "by_cause", causes);
	json_t *generations = json_array();
	for (int g = 0; g <= OLDEST; g++) {
		json_t *one = group(summary, &summary->by_generation[g]);
		const struct lt_gc_survival *survival = &summary->survival[g];
		json_object_set_new(one, "survival",
				    survival->examined > 0 ? json_real((double)survival->survived /
								       (double)survival->examined)
							   : json_null());
		json_array_append_new(generations, one);
	}
	json_object_set_new(json, "by_generation", generations);
	json_t *places = json_array();
	for (size_t i = 0; i < summary->place_count; i++)
		json_array_append_new(places, place(&summary->places[i]));
	json_object_set_new(json, "by_place", places);
	return json;
}

static json_t *timeline(const struct lt_gc_recording *recording)
{
	json_t *samples = json_array();
	for (size_t i = 0; i < recording->samples.count; i++) {
		const struct lt_gc_sample *sample = &recording->samples.data[i];
		const struct lt_gc_generation *g = sample->state.generations;
		json_array_append_new(
			samples,
			json_pack("{s:o, s:o, s:o, s:o, s:i, s:b, s:o, s:o, s:[o, o, o]}", "at",
				  moment(recording, sample->at_ns), "rss_bytes",
				  lt_json_count(sample->rss_bytes), "cpu_s",
				  json_real((double)sample->cpu_ns / 1e9), "tracked",
				  seen_count(sample->tracked), "threads", (int)sample->threads,
				  "enabled", sample->state.enabled, "counts",
				  counts(&sample->state), "thresholds", thresholds(&sample->state),
				  "collections", lt_json_count(g[0].collections),
				  lt_json_count(g[1].collections),
				  lt_json_count(g[2].collections)));
	}
	return samples;
}

json_t *lt_json_gc(const struct lt_gc_result *result)
{
	const struct lt_gc_recording *recording = &result->recording;
	json_t *collections = json_array();
	json_t *changes = json_array();
	for (size_t i = 0; i < recording->events.count; i++) {
		const struct lt_gc_event *event = &recording->events.data[i];
		if (event->seen.kind == LT_WATCH_COLLECTION)
			json_array_append_new(collections, collection(recording, event));
		else if (event->seen.kind != LT_WATCH_MISSED)
			json_array_append_new(changes, change(recording, event));
	}
	json_t *callbacks = json_array();
	for (size_t i = 0; i < recording->callback_count; i++)
		json_array_append_new(callbacks, lt_json_string(recording->callbacks[i]));
	json_t *findings = json_array();
	for (size_t i = 0; i < result->finding_count; i++)
		json_array_append_new(findings, lt_json_finding(&result->findings[i]));
	json_t *json = json_pack(
		"{s:s, s:b, s:o, s:o, s:b, s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
		"source", lt_watch_source_name(recording->source), "redacted", recording->redacted,
		"why_not", lt_json_known(recording->why_not), "started_unix_ms",
		json_integer(recording->start_unix_ms), "ended", recording->ended, "replaced_by",
		lt_json_known(recording->replaced_by), "cut", recording->cut, "headline",
		lt_json_string(result->headline), "summary", summary_json(&result->summary),
		"findings", findings, "changes", changes, "callbacks", callbacks, "timeline",
		timeline(recording), "left_out", lt_json_count(recording->left_out), "collections",
		collections);
	if (result->file != NULL)
		json_object_set_new(json, "file",
				    json_pack("{s:o, s:o, s:o, s:o, s:o}", "path",
					      lt_json_string(result->file), "bytes",
					      lt_json_count(result->written.bytes), "events",
					      lt_json_count(result->written.events), "samples",
					      lt_json_count(result->written.samples), "points",
					      lt_json_count(result->written.points)));
	if (result->asked) {
		json_object_set_new(json, "what_if", lt_json_gc_what_if(&result->what_if));
		json_object_set_new(json, "model", lt_json_gc_model(&result->what_if));
	}
	return json;
}
