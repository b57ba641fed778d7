/*
 * lt_heapsnapshot: a heap snapshot of V8 and what lowtide says of the same picture, for tests/live/test_export.py.
 *
 *     lt_heapsnapshot PID|FILE OUTPUT [ADDRESS...]
 *
 * JSON on standard output: objects, bytes, edges, garbage, and for each address its node, its own bytes
 * and those that it retains.
 */
#include "analysis/subject.h"
#include "report/export_heapsnapshot.h"

#include <jansson.h>
#include <stdlib.h>

static enum lt_status add(void *ctx, const char *bytes, size_t length)
{
	return fwrite(bytes, 1, length, ctx) == length ? LT_OK : LT_E_FILE;
}

static enum lt_status write_file(struct lt_subject *subject, const char *path)
{
	FILE *file = fopen(path, "we");
	if (file == NULL)
		return lt_fail(subject->session, LT_E_FILE, "cannot write %s", path);
	struct lt_expressions *expressions = NULL;
	const struct lt_sink sink = {.add = add, .ctx = file};
	enum lt_status status = lt_expressions_create(&subject->picture, &expressions);
	if (status == LT_OK)
		status = lt_heapsnapshot_write(&subject->picture, expressions, NULL, &sink);
	lt_expressions_destroy(expressions);
	return fclose(file) == 0 ? status : LT_E_FILE;
}

static enum lt_status run(struct lt_subject *subject, char **argv, int count)
{
	const struct lt_picture *picture = &subject->picture;
	LT_TRY(lt_subject_picture(subject, LT_PICTURE_WAYS));
	LT_TRY(write_file(subject, argv[2]));
	json_int_t edges = (json_int_t)picture->graph.graph.edge_count;
	LT_TRY(lt_subject_picture(subject, LT_PICTURE_WEIGHED));
	json_t *objects = json_array();
	for (int i = 3; i < count; i++) {
		uint32_t node = lt_heap_graph_find(&picture->graph, strtoull(argv[i], NULL, 0));
		if (node == LT_NO_NODE)
			return lt_fail(subject->session, LT_E_INTERNAL, "no object at %s", argv[i]);
		json_array_append_new(
			objects, json_pack("{sI, sI, sI}", "node", (json_int_t)node, "own",
					   (json_int_t)lt_heap_graph_size(&picture->graph, node),
					   "retained", (json_int_t)picture->retained[node]));
	}
	json_t *result = json_pack("{sI, sI, sI, sI, sI, so}", "objects",
				   (json_int_t)picture->graph.graph.node_count, "bytes",
				   (json_int_t)picture->graph.total_bytes, "edges", edges,
				   "garbage", (json_int_t)picture->garbage_count, "unreadable",
				   (json_int_t)subject->session->unreadable, "found", objects);
	json_dumpf(result, stdout, JSON_INDENT(1));
	puts("");
	json_decref(result);
	return LT_OK;
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	struct lt_session session;
	lt_session_init(&session);
	struct lt_subject *subject = NULL;
	const struct lt_look_options options = {.mode = LT_MODE_FORK};
	enum lt_status status = lt_subject_open(&session, argv[1], &options, &subject);
	if (status == LT_OK)
		status = run(subject, argv, argc);
	lt_subject_close(subject);
	if (status != LT_OK)
		fprintf(stderr, "lt_heapsnapshot: %s\n", session.message);
	lt_session_deinit(&session);
	return lt_status_exit_code(status);
}
