/*
 * lt_what_if: the path of the count of generation 0 of a live process, for the live tests of src/watch/path.c.
 *
 *     lt_what_if [--stretch MS] [--every MS] PID
 *
 * Reads until its standard input ends. {"points": [[NS, COUNT, KIND], ...]}
 */
#include "target/process.h"
#include "watch/path.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static enum lt_status watch(const struct lt_view *view, const struct lt_watch_path_options *options)
{
	struct lt_watch_path *path = NULL;
	LT_TRY(lt_watch_path_open(view, options, &path));
	puts("ready");
	fflush(stdout);
	char byte;
	while (read(0, &byte, 1) > 0)
		;
	struct lt_watch_points points = {0};
	lt_watch_path_close(path, &points);
	printf("{\"points\": [");
	for (size_t i = 0; i < points.count; i++)
		printf("%s[%" PRIu64 ", %" PRId32 ", %u]", i > 0 ? ", " : "", points.data[i].at_ns,
		       points.data[i].count, points.data[i].kind);
	printf("]}\n");
	lt_watch_points_deinit(&points);
	return LT_OK;
}

int main(int argc, char **argv)
{
	struct lt_watch_path_options options = {0};
	int at = 1;
	for (; at + 2 < argc; at += 2) {
		if (strcmp(argv[at], "--stretch") == 0)
			options.stretch_ms = (unsigned)atoi(argv[at + 1]);
		else if (strcmp(argv[at], "--every") == 0)
			options.every_ms = (unsigned)atoi(argv[at + 1]);
		else
			return 2;
	}
	if (at + 1 != argc)
		return 2;
	struct lt_session session;
	lt_session_init(&session);
	struct lt_process *process = NULL;
	struct lt_memory *memory = NULL;
	struct lt_python *python = NULL;
	enum lt_status status = lt_process_open(&session, (pid_t)atoi(argv[at]), &process);
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
