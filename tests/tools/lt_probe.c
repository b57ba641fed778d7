/*
 * lt_probe: the heap layer on a process, as JSON: for the live tests of src/heap/.
 *
 *     lt_probe [--mode fork|stop|live] [--graph] PID
 */
#include "heap/heap.h"
#include "target/freeze.h"

#include <jansson.h>
#include <string.h>

struct options {
	enum lt_mode mode;
	bool graph;
	pid_t pid;
};

static json_t *interpreters_json(const struct lt_interpreters *interpreters)
{
	json_t *list = json_array();
	for (size_t i = 0; i < interpreters->count; i++) {
		const struct lt_interpreter *one = &interpreters->data[i];
		const struct lt_gc_state *gc = &one->gc;
		json_t *generations = json_array(), *threads = json_array();
		for (int g = 0; g < LT_GC_GENERATIONS; g++)
			json_array_append_new(
				generations,
				json_pack("{sIsIsIsIsI}", "threshold",
					  (json_int_t)gc->generations[g].threshold, "count",
					  (json_int_t)gc->generations[g].count, "collections",
					  (json_int_t)gc->generations[g].collections, "collected",
					  (json_int_t)gc->generations[g].collected, "uncollectable",
					  (json_int_t)gc->generations[g].uncollectable));
		for (size_t k = 0; k < one->thread_count; k++)
			json_array_append_new(threads,
					      json_pack("{sIsIsb}", "thread_id",
							(json_int_t)one->threads[k].thread_id,
							"native_id",
							(json_int_t)one->threads[k].native_id,
							"holds_gil", one->threads[k].holds_gil));
		json_array_append_new(
			list, json_pack("{sIsbsbsIsIsosIsIso}", "id", (json_int_t)one->id,
					"enabled", gc->enabled, "collecting", gc->collecting,
					"garbage", (json_int_t)gc->garbage, "callbacks",
					(json_int_t)gc->callbacks, "generations", generations,
					"long_lived_total", (json_int_t)gc->long_lived_total,
					"debug", (json_int_t)gc->debug, "threads", threads));
	}
	return list;
}

static enum lt_status probe_census(struct lt_heap *heap, json_t *result)
{
	struct lt_census census;
	uint64_t start = lt_now_ns();
	LT_TRY(lt_heap_census_tracked(heap, &census));
	json_object_set_new(result, "census_ms", json_real((double)(lt_now_ns() - start) / 1e6));
	json_t *types = json_array(), *permanent_of = json_array();
	for (size_t i = 0; i < census.totals.count; i++) {
		const struct lt_type_total *total = &census.totals.data[i];
		json_array_append_new(types,
				      json_pack("[ssIIII]", total->type->module, total->type->name,
						(json_int_t)total->count, (json_int_t)total->bytes,
						(json_int_t)total->permanent_count,
						(json_int_t)total->permanent_bytes));
	}
	for (size_t i = 0; i < census.interpreter_count; i++)
		json_array_append_new(permanent_of,
				      json_integer((json_int_t)census.permanent_of[i]));
	json_object_set_new(result, "types", types);
	json_object_set_new(result, "permanent_of", permanent_of);
	json_object_set_new(result, "tracked", json_integer((json_int_t)census.tracked));
	json_object_set_new(result, "permanent", json_integer((json_int_t)census.permanent));
	json_object_set_new(result, "bytes", json_integer((json_int_t)census.bytes));
	json_object_set_new(result, "proved", json_boolean(census.proved));
	lt_census_deinit(&census);
	return LT_OK;
}

static enum lt_status probe_graph(struct lt_heap *heap, json_t *result)
{
	struct lt_heap_graph graph;
	uint64_t start = lt_now_ns();
	LT_TRY(lt_heap_build_graph(heap, NULL, 0, NULL, &graph));
	json_object_set_new(result, "graph_ms", json_real((double)(lt_now_ns() - start) / 1e6));
	uint64_t misplaced = 0, is_static = 0, immortal = 0;
	for (uint32_t node = 0; node < graph.graph.node_count; node++) {
		misplaced +=
			lt_heap_graph_find(&graph, lt_heap_graph_address(&graph, node)) != node;
		is_static += (graph.flags[node] & LT_NODE_STATIC) != 0;
		immortal += (graph.flags[node] & LT_NODE_IMMORTAL) != 0;
	}
	json_object_set_new(
		result, "graph",
		json_pack("{sIsIsIsIsIsIsIsIsIsb}", "nodes", (json_int_t)graph.graph.node_count,
			  "edges", (json_int_t)graph.graph.edge_count, "tracked",
			  (json_int_t)graph.tracked, "permanent", (json_int_t)graph.permanent,
			  "conservative", (json_int_t)graph.conservative_refs, "bytes",
			  (json_int_t)graph.total_bytes, "misplaced", (json_int_t)misplaced,
			  "static", (json_int_t)is_static, "immortal", (json_int_t)immortal,
			  "proved", graph.proved));
	lt_heap_graph_deinit(&graph);
	return LT_OK;
}

static uint64_t peak_kib(void)
{
	char line[256];
	unsigned long long peak = 0;
	FILE *file = fopen("/proc/self/status", "re");
	while (file != NULL && fgets(line, sizeof(line), file) != NULL)
		if (sscanf(line, "VmHWM: %llu kB", &peak) == 1)
			break;
	if (file != NULL)
		fclose(file);
	return peak;
}

static enum lt_status probe_heap(const struct options *options, const struct lt_view *view,
				 json_t *result)
{
	struct lt_heap *heap;
	uint64_t start = lt_now_ns();
	LT_TRY(lt_heap_open(view, &heap));
	json_object_set_new(result, "open_ms", json_real((double)(lt_now_ns() - start) / 1e6));
	json_object_set_new(result, "interpreters", interpreters_json(lt_heap_interpreters(heap)));
	enum lt_status status = probe_census(heap, result);
	json_object_set_new(result, "peak_kib", json_integer((json_int_t)peak_kib()));
	if (status == LT_OK && options->graph) {
		status = probe_graph(heap, result);
		json_object_set_new(result, "graph_peak_kib", json_integer((json_int_t)peak_kib()));
	}
	lt_heap_close(heap);
	return status;
}

static enum lt_status probe(struct lt_session *session, const struct options *options,
			    json_t *result)
{
	struct lt_process *process = NULL;
	struct lt_memory *live = NULL;
	struct lt_python *python = NULL;
	struct lt_freeze *freeze = NULL;
	enum lt_status status = lt_process_open(session, options->pid, &process);
	if (status == LT_OK)
		status = lt_process_memory(session, process, &live);
	if (status == LT_OK)
		status = lt_python_find(session, process, live, &python);
	struct lt_view view = {
		.session = session, .memory = live, .python = python, .process = process};
	if (status == LT_OK) {
		view.layout = python->layout;
		struct lt_freeze_probe asks = {&view, lt_interpreters_collecting,
					       lt_interpreters_gil_holder};
		struct lt_freeze_options how = {.mode = options->mode};
		status = lt_freeze_begin(session, process, &asks, &how, &freeze);
	}
	if (status == LT_OK)
		status = lt_process_refresh(session, process);
	if (status == LT_OK) {
		view.memory = freeze->memory;
		json_object_set_new(result, "version", json_string(python->version));
		status = probe_heap(options, &view, result);
	}
	if (status != LT_OK && process != NULL && !lt_process_alive(process)) {
		lt_session_clear(session);
		status = lt_fail(session, LT_E_GONE, "process %d ended", (int)options->pid);
	}
	if (freeze != NULL)
		lt_freeze_end(session, freeze);
	lt_python_close(python);
	lt_memory_close(live);
	lt_process_close(process);
	return status;
}

int main(int argc, char **argv)
{
	struct options options = {.mode = LT_MODE_FORK};
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--graph") == 0)
			options.graph = true;
		else if (strcmp(argv[i], "--mode") == 0 && i + 1 < argc) {
			i++;
			options.mode = strcmp(argv[i], "live") == 0   ? LT_MODE_LIVE
				       : strcmp(argv[i], "stop") == 0 ? LT_MODE_STOP
								      : LT_MODE_FORK;
		} else {
			options.pid = (pid_t)atoi(argv[i]);
		}
	}
	if (options.pid <= 0)
		return lt_status_exit_code(LT_E_USAGE);
	struct lt_session session;
	lt_session_init(&session);
	json_t *result = json_object();
	enum lt_status status = probe(&session, &options, result);
	json_object_set_new(result, "status", json_string(lt_status_name(status)));
	json_object_set_new(result, "message", json_string(session.message));
	json_object_set_new(result, "unreadable", json_integer((json_int_t)session.unreadable));
	json_dumpf(result, stdout, JSON_COMPACT | JSON_SORT_KEYS);
	putchar('\n');
	json_decref(result);
	lt_session_deinit(&session);
	return lt_status_exit_code(status);
}
