/*
 * The trace event format of Chrome (the document "Trace Event Format"), which Perfetto reads too. Times are in us from
 * the start of the recording.
 */
#include "report/export_gc_parts.h"
#include "report/json.h"

#include <inttypes.h>
#include <stdio.h>

static double since_start(const struct lt_gc_recording *recording, uint64_t ns)
{
	return ((double)ns - (double)recording->start_ns) / 1e3;
}

/* Takes over `json`. */
static void add(struct lt_gc_export *export, json_t *json)
{
	lt_text_add(&export->out, export->some ? ",\n" : "\n");
	lt_json_dump(json, JSON_COMPACT | JSON_REAL_PRECISION(15), &export->out);
	json_decref(json);
	export->some = true;
}

static int pid_of(const struct lt_gc_recording *recording)
{
	return (int)recording->identity.pid;
}

static void name_it(struct lt_gc_export *export, const struct lt_gc_recording *recording,
		    const char *what, int thread, json_t *name)
{
	add(export, json_pack("{s:s, s:s, s:i, s:i, s:{s:o}}", "ph", "M", "name", what, "pid",
			      pid_of(recording), "tid", thread, "args", "name", name));
}

static void begin(struct lt_gc_export *export, const struct lt_gc_recording *recording)
{
	const char *command = recording->identity.command_line;
	struct lt_text name = {0};
	lt_text_add(&export->out, "{\"displayTimeUnit\":\"ms\",\"otherData\":");
	json_t *other = json_pack("{s:s, s:o, s:I, s:s, s:o}", "lowtide", LT_VERSION, "python",
				  lt_json_known(recording->identity.python), "start_unix_ms",
				  (json_int_t)recording->start_unix_ms, "source",
				  lt_watch_source_name(recording->source), "why_no_better_source",
				  lt_json_known(recording->why_not));
	char *text = other == NULL ? NULL : json_dumps(other, JSON_COMPACT | JSON_ENSURE_ASCII);
	json_decref(other);
	export->out.failed |= text == NULL;
	lt_text_add(&export->out, text != NULL ? text : "");
	free(text);
	lt_text_add(&export->out, ",\"traceEvents\":[");
	lt_text_addf(&name, "CPython %s: %s", recording->identity.python,
		     command != NULL ? command : "");
	name_it(export, recording, "process_name", pid_of(recording),
		lt_json_string(lt_text_get(&name)));
	export->out.failed |= name.failed;
	lt_text_deinit(&name);
}

/* A thread gets its name when it is first met. */
static void meet_thread(struct lt_gc_export *export, const struct lt_gc_recording *recording,
			int thread)
{
	char name[48] = "thread not known";
	if (lt_map_get(&export->threads, (uint64_t)thread, NULL))
		return;
	export->out.failed |= !lt_map_put(&export->threads, (uint64_t)thread, 1);
	if (thread == pid_of(recording))
		snprintf(name, sizeof(name), "main thread");
	else if (thread != 0)
		snprintf(name, sizeof(name), "thread %d", thread);
	name_it(export, recording, "thread_name", thread, lt_json_string(name));
}

static json_t *known(int64_t number)
{
	return number >= 0 ? json_integer(number) : json_null();
}

static json_t *stack(const struct lt_gc_recording *recording, const struct lt_gc_event *event)
{
	json_t *list = json_array();
	for (uint32_t i = 0; i < event->stack_count; i++) {
		const struct lt_gc_frame *frame = &recording->frames.data[event->stack_first + i];
		struct lt_text line = {0};
		lt_text_addf(&line, "%s:%d:%s", frame->file, frame->line, frame->function);
		json_array_append_new(list, lt_json_string(lt_text_get(&line)));
		lt_text_deinit(&line);
	}
	return list;
}

static json_t *arguments(const struct lt_gc_recording *recording, const struct lt_gc_event *event)
{
	const struct lt_gc_state *before = &event->seen.before;
	json_t *counts = json_array(), *thresholds = json_array();
	for (int g = 0; g < LT_GC_GENERATIONS; g++) {
		json_array_append_new(counts, json_integer(before->generations[g].count));
		json_array_append_new(thresholds, json_integer(before->generations[g].threshold));
	}
	return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:s, s:f, s:o}", "cause",
			 lt_gc_cause_name(event->cause), "where", lt_json_known(event->where),
			 "evidence", lt_json_known(event->evidence), "collected",
			 known(event->seen.collected), "uncollectable",
			 known(event->seen.uncollectable), "candidates",
			 known(event->seen.candidates), "counts", counts, "thresholds", thresholds,
			 "interpreter", (json_int_t)event->seen.interpreter, "source",
			 lt_watch_source_name(event->seen.source), "error_us",
			 (double)event->seen.error_ns / 1e3, "stack", stack(recording, event));
}

static void add_moment(struct lt_gc_export *export, const struct lt_gc_recording *recording,
		       const struct lt_gc_event *event, const char *name, json_t *args)
{
	int thread = event->seen.thread;
	add(export, json_pack("{s:s, s:s, s:s, s:s, s:f, s:i, s:i, s:o}", "ph", "i", "cat", "gc",
			      "name", name, "s", thread != 0 ? "t" : "p", "ts",
			      since_start(recording, event->seen.start_ns), "pid",
			      pid_of(recording), "tid", thread, "args", args));
}

static void event(struct lt_gc_export *export, const struct lt_gc_recording *recording,
		  const struct lt_gc_event *one)
{
	const struct lt_watch_event *seen = &one->seen;
	char name[96] = "collection";
	meet_thread(export, recording, seen->thread);
	switch (seen->kind) {
	case LT_WATCH_COLLECTION:
		if (seen->generation >= 0)
			snprintf(name, sizeof(name), "generation %d", seen->generation);
		add(export,
		    json_pack("{s:s, s:s, s:s, s:f, s:f, s:i, s:i, s:o}", "ph", "X", "cat", "gc",
			      "name", name, "ts", since_start(recording, seen->start_ns), "dur",
			      (double)(seen->end_ns - seen->start_ns) / 1e3, "pid",
			      pid_of(recording), "tid", (int)seen->thread, "args",
			      arguments(recording, one)));
		break;
	case LT_WATCH_MISSED:
		snprintf(name, sizeof(name), "%" PRIu64 " collections of generation %d, not seen",
			 seen->missed, seen->generation);
		add_moment(export, recording, one, name,
			   json_pack("{s:I, s:i}", "collections", (json_int_t)seen->missed,
				     "generation", seen->generation));
		break;
	case LT_WATCH_CALLED:
	case LT_WATCH_CHANGED:
		snprintf(name, sizeof(name), "%s",
			 seen->call != LT_CALL_NONE ? lt_watch_call_name(seen->call)
						    : "the collector's settings changed");
		add_moment(export, recording, one, name, arguments(recording, one));
		break;
	}
}

static void add_counter(struct lt_gc_export *export, const struct lt_gc_recording *recording,
			uint64_t at_ns, const char *name, const char *unit, double value)
{
	add(export, json_pack("{s:s, s:s, s:f, s:i, s:{s:f}}", "ph", "C", "name", name, "ts",
			      since_start(recording, at_ns), "pid", pid_of(recording), "args", unit,
			      value));
}

static void sample(struct lt_gc_export *export, const struct lt_gc_recording *recording,
		   const struct lt_gc_sample *one)
{
	int64_t count = one->state.generations[0].count;
	double made = export->made + (count > 0 ? (double)count : 0);
	add_counter(export, recording, one->at_ns, "RSS", "bytes", (double)one->rss_bytes);
	if (one->tracked >= 0)
		add_counter(export, recording, one->at_ns, "tracked objects", "objects",
			    (double)one->tracked);
	/* Objects that reference counting frees take the count down again: a fall is no allocation. */
	if (export->made_ns != 0 && one->at_ns > export->made_ns && made >= export->made_before)
		add_counter(export, recording, one->at_ns, "allocation rate", "objects per second",
			    (made - export->made_before) /
				    ((double)(one->at_ns - export->made_ns) / 1e9));
	export->made_before = made;
	export->made_ns = one->at_ns;
}

static void end(struct lt_gc_export *export, const struct lt_gc_recording *recording)
{
	(void)recording;
	lt_text_add(&export->out, "\n]}\n");
}

const struct lt_gc_export_form lt_gc_form_trace = {
	.begin = begin, .event = event, .sample = sample, .end = end};
