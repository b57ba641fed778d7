/*
 * lt_what_if: the model of the collector on a live process whose own log of collections stands in for a source of events, and
 * the path of the count of generation 0; for the live tests of src/watch/path.c and for tests/bench/bench_what_if.py.
 *
 *     lt_what_if [--stretch MS] [--every MS] [--cheap 1] [--log FILE [--cpu 1] [--keep FILE] [--what-if A,B,C|freeze|bound=BYTES]...] PID
 *     lt_what_if --log FILE [--cpu 1] [--what-if ...]... --from FILE
 *
 * Reads until its standard input ends. Without a log: {"points": [[NS, COUNT, KIND, FREE TUPLES or -1], ...]}. With one, whose first line
 * is {"start", "end"} and each other line {"start", "end", "cpu", "generation", "collected", "count"}:
 * {"basis", "model", "itself", "what_if"}. --cpu: pauses are processor time, for machines with more to do. --keep: what was
 * read, for --from of the same build: one recording, many models.
 */
#include "analysis/gc_model.h"
#include "base/cleanup.h"
#include "target/process.h"

#include <inttypes.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	SETTINGS_MOST = 32,
	SAMPLE_MS = 20,
	YOUNG_EACH = 5, /* samples */
};

struct options {
	struct lt_watch_path_options path;
	const char *log, *keep, *from;
	bool cpu;
	const char *settings[SETTINGS_MOST];
	size_t setting_count;
	pid_t pid;
};

static uint64_t number(const json_t *object, const char *name)
{
	return (uint64_t)json_integer_value(json_object_get(object, name));
}

static void put_points(const struct lt_watch_points *points)
{
	printf("{\"points\": [");
	for (size_t i = 0; i < points->count; i++) {
		const struct lt_watch_point *point = &points->data[i];
		printf("%s[%" PRIu64 ", %" PRId32 ", %u, %d]", i > 0 ? ", " : "", point->at_ns,
		       point->count, point->kind, point->lists_known ? point->free_tuples : -1);
	}
	printf("]}\n");
}

static enum lt_status read_log(struct lt_session *session, const struct options *options,
			       struct lt_gc_recording *recording)
{
	LT_FCLOSE FILE *file = fopen(options->log, "r");
	if (file == NULL)
		return lt_fail(session, LT_E_FILE, "cannot read %s", options->log);
	char line[1024];
	while (fgets(line, sizeof(line), file) != NULL) {
		json_t *object = json_loads(line, 0, NULL);
		if (recording->end_ns == 0) {
			recording->start_ns = number(object, "start");
			recording->end_ns = number(object, "end");
			json_decref(object);
			continue;
		}
		struct lt_gc_event event = {.where = "", .evidence = ""};
		event.seen.start_ns = number(object, "start");
		event.seen.end_ns = options->cpu ? event.seen.start_ns + number(object, "cpu")
						 : number(object, "end");
		event.seen.generation = (int)number(object, "generation");
		event.seen.collected = (int64_t)number(object, "collected");
		event.seen.candidates = -1;
		event.seen.before.generations[0].count = (int64_t)number(object, "count");
		json_decref(object);
		if (!lt_gc_events_push(&recording->events, event))
			return lt_fail_memory(session);
	}
	return LT_OK;
}

/* Samples of before the start go, but for the last, and those after the end: the service's own last collection is in these. */
static void trim(struct lt_gc_recording *recording)
{
	struct lt_gc_samples *samples = &recording->samples;
	size_t kept = 0;
	for (size_t i = 0; i < samples->count; i++) {
		bool before =
			i + 1 < samples->count && samples->data[i + 1].at_ns < recording->start_ns;
		bool after = samples->data[i].at_ns > recording->end_ns;
		if (!before && !after)
			samples->data[kept++] = samples->data[i];
	}
	samples->count = kept;
	size_t points = 0;
	for (size_t i = 0; i < recording->path.count; i++) {
		struct lt_watch_point point = recording->path.data[i];
		if (point.at_ns < recording->start_ns || point.at_ns > recording->end_ns)
			continue;
		if (points == 0)
			point.kind = LT_POINT_START;
		recording->path.data[points++] = point;
	}
	recording->path.count = points;
}

/* Reads or writes, as `move` does: fread(3) or fwrite(3). */
static bool transfer(FILE *file, size_t (*move)(void *, size_t, size_t, FILE *), bool reads,
		     struct lt_gc_recording *recording)
{
	uint64_t head[5] = {recording->quarter_rule, recording->incremental,
			    recording->at_eval_breaker, recording->samples.count,
			    recording->path.count};
	if (move(head, sizeof(head), 1, file) != 1 ||
	    move(&recording->young, sizeof(recording->young), 1, file) != 1 ||
	    move(&recording->cache, sizeof(recording->cache), 1, file) != 1)
		return false;
	if (reads) {
		recording->quarter_rule = head[0] != 0;
		recording->incremental = head[1] != 0;
		recording->at_eval_breaker = head[2] != 0;
		for (uint64_t i = 0; i < head[3]; i++) {
			if (!lt_gc_samples_push(&recording->samples, (struct lt_gc_sample){0}))
				return false;
		}
		for (uint64_t i = 0; i < head[4]; i++) {
			if (!lt_watch_points_push(&recording->path, (struct lt_watch_point){0}))
				return false;
		}
	}
	return move(recording->samples.data, sizeof(*recording->samples.data), head[3], file) ==
		       head[3] &&
	       move(recording->path.data, sizeof(*recording->path.data), head[4], file) == head[4];
}

static size_t put(void *data, size_t size, size_t count, FILE *file)
{
	return fwrite(data, size, count, file);
}

static enum lt_status keep(struct lt_session *session, const char *name,
			   struct lt_gc_recording *recording)
{
	LT_FCLOSE FILE *file = fopen(name, "w");
	if (file == NULL || !transfer(file, put, false, recording))
		return lt_fail(session, LT_E_FILE, "cannot write %s", name);
	return LT_OK;
}

static enum lt_status load(struct lt_session *session, const char *name,
			   struct lt_gc_recording *recording)
{
	LT_FCLOSE FILE *file = fopen(name, "r");
	if (file == NULL || !transfer(file, fread, true, recording))
		return lt_fail(session, LT_E_FILE, "cannot read %s", name);
	return LT_OK;
}

static bool parse_setting(const char *text, const struct lt_gc_model *model,
			  struct lt_gc_setting *ret_setting)
{
	struct lt_gc_setting setting = model->recorded;
	if (strcmp(text, "freeze") == 0)
		setting.freeze = true;
	else if (strncmp(text, "bound=", 6) == 0)
		setting.bound_bytes = strtoull(text + 6, NULL, 10);
	else if (strcmp(text, "usual") != 0 &&
		 sscanf(text, "%" SCNd64 ",%" SCNd64 ",%" SCNd64, &setting.thresholds[0],
			&setting.thresholds[1], &setting.thresholds[2]) != 3)
		return false;
	*ret_setting = setting;
	return true;
}

static json_t *prediction_json(const char *name, const struct lt_gc_prediction *prediction)
{
	return json_pack(
		"{sss[III]sfs[fff]sfsfsfsIsI}", "setting", name, "collections",
		(json_int_t)prediction->collections[0], (json_int_t)prediction->collections[1],
		(json_int_t)prediction->collections[2], "gc_time_ms", prediction->gc_time_ms,
		"gc_ms", prediction->gc_ms[0], prediction->gc_ms[1], prediction->gc_ms[2], "share",
		prediction->share, "pause_max_ms", prediction->pause_max_ms, "garbage_peak",
		prediction->garbage_peak, "garbage_peak_bytes",
		(json_int_t)prediction->garbage_peak_bytes, "extra_bytes",
		(json_int_t)prediction->extra_bytes);
}

static enum lt_status predict(struct lt_session *session, const struct options *options,
			      const struct lt_gc_recording *recording)
{
	struct lt_gc_model model;
	LT_TRY(lt_gc_model_fit(session, recording, &model));
	json_t *list = json_array();
	for (size_t i = 0; i < options->setting_count && model.basis != LT_BASIS_NONE; i++) {
		struct lt_gc_setting setting;
		struct lt_gc_prediction prediction;
		if (!parse_setting(options->settings[i], &model, &setting))
			continue;
		lt_gc_model_predict(&model, &setting, &prediction);
		json_array_append_new(list, prediction_json(options->settings[i], &prediction));
	}
	const struct lt_gc_costs *costs = &model.costs;
	const struct lt_gc_refill *refill = &model.refill;
	json_t *cache = json_array();
	for (int i = 0; i < LT_GC_CACHE_SIZES; i++)
		json_array_append_new(cache, json_real(costs->cache.ns[i]));
	json_t *shown = json_pack(
		"{sssssosos{s[ffff]sfsfs[fff]sIsisfsfsfs{sfsfsfsfsfso}sfsbs[III]s[fff]sIsI}}",
		"basis", lt_gc_basis_name(model.basis), "why", model.why, "itself",
		prediction_json("usual", &model.itself), "what_if", list, "model", "refill",
		refill->each, refill->share, refill->most, refill->taken, "garbage_from",
		model.garbage_from, "aging", model.aging, "found", model.found[0], model.found[1],
		model.found[2], "run_ns", (json_int_t)model.run_ns, "steps", (int)model.steps.count,
		"flow", model.flow * (double)model.run_ns, "garbage_share", model.garbage_share,
		"total", model.long_lived_total, "costs", "look_ns", costs->look_ns, "free_ns",
		costs->free_ns, "look_far", costs->look_far, "free_far", costs->free_far, "spread",
		costs->spread, "cache", cache, "bytes", model.bytes_per_object, "delayed",
		model.delay_count > 0, "seen", (json_int_t)model.seen_collections[0],
		(json_int_t)model.seen_collections[1], (json_int_t)model.seen_collections[2],
		"seen_ms", model.seen_ms[0], model.seen_ms[1], model.seen_ms[2], "points",
		(json_int_t)recording->path.count, "samples", (json_int_t)recording->samples.count);
	json_dumpf(shown, stdout, JSON_ENSURE_ASCII);
	puts("");
	json_decref(shown);
	lt_gc_model_deinit(&model);
	return LT_OK;
}

static enum lt_status sample(const struct lt_view *view, struct lt_young *young,
			     struct lt_gc_recording *recording)
{
	struct lt_interpreters interpreters = {0};
	LT_TRY(lt_interpreters_read(view, &interpreters));
	const struct lt_gc_sample one = {
		.at_ns = lt_now_ns(), .tracked = -1, .state = interpreters.data[0].gc};
	lt_interpreters_deinit(&interpreters);
	const struct lt_gc_generation *youngest = &one.state.generations[0];
	/* What the service has at its start and at its end is not of the recording. */
	size_t count = recording->samples.count;
	bool at_work =
		count > 0 && recording->samples.data[count - 1].state.generations[0].collections !=
				     youngest->collections;
	if (at_work && count % YOUNG_EACH == 0)
		lt_young_look(young, youngest->head, youngest->count, &recording->young);
	return lt_gc_samples_push(&recording->samples, one) ? LT_OK : lt_fail_memory(view->session);
}

static enum lt_status watch(const struct lt_view *view, const struct options *options)
{
	struct lt_watch_path *path = NULL;
	struct lt_young *young = NULL;
	struct lt_gc_recording recording = {0};
	recording.quarter_rule = lt_fact(view->layout, LT_FACT_gc_quarter_rule) != 0;
	recording.incremental = lt_fact(view->layout, LT_FACT_gc_incremental) != 0;
	recording.at_eval_breaker = lt_fact(view->layout, LT_FACT_gc_at_eval_breaker) != 0;
	LT_TRY(lt_young_open(view, &young));
	enum lt_status status = lt_watch_path_open(view, &options->path, &path);
	if (status != LT_OK) {
		lt_young_close(young);
		return status;
	}
	puts("ready");
	fflush(stdout);
	for (bool ended = false; !ended && status == LT_OK;) {
		struct pollfd input = {.fd = 0, .events = POLLIN};
		char byte;
		if (options->log != NULL)
			status = sample(view, young, &recording);
		ended = poll(&input, 1, SAMPLE_MS) > 0 && read(0, &byte, 1) <= 0;
	}
	lt_watch_path_close(path, &recording.path);
	lt_young_close(young);
	if (status == LT_OK && options->log == NULL)
		put_points(&recording.path);
	if (status == LT_OK && options->log != NULL)
		status = read_log(view->session, options, &recording);
	if (status == LT_OK && options->log != NULL) {
		trim(&recording);
		if (!lt_gc_cache_measure(&recording.cache))
			status = lt_fail_memory(view->session);
	}
	if (status == LT_OK && options->keep != NULL)
		status = keep(view->session, options->keep, &recording);
	if (status == LT_OK && options->log != NULL)
		status = predict(view->session, options, &recording);
	lt_gc_recording_deinit(&recording);
	return status;
}

static enum lt_status again(struct lt_session *session, const struct options *options)
{
	struct lt_gc_recording recording = {0};
	enum lt_status status = load(session, options->from, &recording);
	if (status == LT_OK)
		status = read_log(session, options, &recording);
	if (status == LT_OK)
		trim(&recording);
	if (status == LT_OK)
		status = predict(session, options, &recording);
	lt_gc_recording_deinit(&recording);
	return status;
}

static bool parse(int argc, char **argv, struct options *options)
{
	int at = 1;
	for (; at + 1 < argc; at += 2) {
		const char *value = argv[at + 1];
		if (strcmp(argv[at], "--stretch") == 0)
			options->path.stretch_ms = (unsigned)atoi(value);
		else if (strcmp(argv[at], "--every") == 0)
			options->path.every_ms = (unsigned)atoi(value);
		else if (strcmp(argv[at], "--cheap") == 0)
			options->path.cheap = atoi(value) != 0;
		else if (strcmp(argv[at], "--log") == 0)
			options->log = value;
		else if (strcmp(argv[at], "--keep") == 0)
			options->keep = value;
		else if (strcmp(argv[at], "--from") == 0)
			options->from = value;
		else if (strcmp(argv[at], "--cpu") == 0)
			options->cpu = atoi(value) != 0;
		else if (strcmp(argv[at], "--what-if") == 0 &&
			 options->setting_count < SETTINGS_MOST)
			options->settings[options->setting_count++] = value;
		else
			return false;
	}
	if (options->from != NULL)
		return at == argc && options->log != NULL;
	if (at + 1 != argc)
		return false;
	options->pid = (pid_t)atoi(argv[at]);
	return true;
}

int main(int argc, char **argv)
{
	struct options options = {0};
	if (!parse(argc, argv, &options))
		return 2;
	struct lt_session session;
	lt_session_init(&session);
	if (options.from != NULL) {
		enum lt_status status = again(&session, &options);
		if (status != LT_OK)
			fprintf(stderr, "%s\n", session.message);
		lt_session_deinit(&session);
		return lt_status_exit_code(status);
	}
	struct lt_process *process = NULL;
	struct lt_memory *memory = NULL;
	struct lt_python *python = NULL;
	enum lt_status status = lt_process_open(&session, options.pid, &process);
	if (status == LT_OK)
		status = lt_process_memory(&session, process, &memory);
	if (status == LT_OK)
		status = lt_python_find(&session, process, memory, &python);
	if (status == LT_OK) {
		const struct lt_view view = {.session = &session,
					     .memory = memory,
					     .python = python,
					     .layout = python->layout,
					     .process = process};
		status = watch(&view, &options);
	}
	if (status != LT_OK)
		fprintf(stderr, "%s\n", session.message);
	int code = lt_status_exit_code(status);
	lt_python_close(python);
	lt_memory_close(memory);
	lt_process_close(process);
	lt_session_deinit(&session);
	return code;
}
