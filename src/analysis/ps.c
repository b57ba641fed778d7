#include "analysis/ps.h"

#include "base/cleanup.h"
#include "base/vec.h"
#include "heap/view.h"
#include "layout/python.h"
#include "target/process.h"
#include "target/processes.h"

#include <string.h>

LT_VEC(rows, struct lt_ps_row);
LT_VEC(skips, struct lt_ps_skipped);

static void close_process(struct lt_process **process)
{
	lt_process_close(*process);
}

static void close_memory(struct lt_memory **memory)
{
	lt_memory_close(*memory);
}

static void close_python(struct lt_python **python)
{
	lt_python_close(*python);
}

static const char *keep(struct lt_arena *strings, const char *text)
{
	return lt_arena_copy(strings, text, strlen(text));
}

static bool skip(struct skips *skipped, struct lt_arena *strings, const struct lt_session *attempt)
{
	for (size_t i = 0; i < skipped->count; i++) {
		if (skipped->data[i].status == attempt->status) {
			skipped->data[i].count++;
			return true;
		}
	}
	const char *reason = keep(strings, attempt->message);
	return reason != NULL &&
	       skips_push(skipped, (struct lt_ps_skipped){.status = attempt->status,
							  .reason = reason,
							  .count = 1});
}

/* By its name or its files: for builds that no layout fits, which otherwise look like any program. */
static bool looks_like_python(const struct lt_process *process)
{
	const char *slash = strrchr(process->executable, '/');
	if (strncmp(slash != NULL ? slash + 1 : process->executable, "python", 6) == 0)
		return true;
	for (size_t i = 0; i < process->mappings.count; i++) {
		const char *name = strrchr(process->mappings.data[i].path, '/');
		if (name != NULL && strncmp(name, "/libpython", 10) == 0)
			return true;
	}
	return false;
}

static bool fill_row(const struct lt_process *process, const struct lt_python *python,
		     struct lt_arena *strings, struct lt_ps_row *row)
{
	*row = (struct lt_ps_row){
		.pid = process->pid,
		.python = python != NULL ? keep(strings, python->version) : "",
		.command_line =
			keep(strings, process->command_line != NULL ? process->command_line : ""),
		.rss_bytes = process->rss_bytes,
		.uptime_ms = process->uptime_ms,
		.thread_count = process->thread_count,
		.problem = "",
	};
	return row->python != NULL && row->command_line != NULL;
}

/*
 * One process. Everything that goes wrong with it is recorded in `attempt`; only a lack of memory of
 * lowtide's own is returned.
 */
static enum lt_status look_at(struct lt_session *attempt, pid_t pid, struct lt_ps *ps,
			      struct rows *rows, struct skips *skipped)
{
	LT_CLEANUP(close_process) struct lt_process *process = NULL;
	LT_CLEANUP(close_memory) struct lt_memory *live = NULL;
	LT_CLEANUP(close_python) struct lt_python *python = NULL;
	enum lt_status status = lt_process_open(attempt, pid, &process);
	if (status == LT_OK)
		status = lt_process_memory(attempt, process, &live);
	if (status == LT_OK)
		status = lt_python_find(attempt, process, live, &python);
	if (status == LT_E_GONE || status == LT_E_NO_MEMORY)
		return status == LT_E_GONE ? LT_OK : status;
	struct lt_ps_row row;
	if (status == LT_E_NOT_PYTHON) {
		if (!looks_like_python(process)) {
			ps->others++;
			return LT_OK;
		}
		if (!fill_row(process, NULL, &ps->strings, &row))
			return LT_E_NO_MEMORY;
		row.problem = keep(&ps->strings, attempt->message);
		return row.problem != NULL && rows_push(rows, row) ? LT_OK : LT_E_NO_MEMORY;
	}
	if (status != LT_OK)
		return skip(skipped, &ps->strings, attempt) ? LT_OK : LT_E_NO_MEMORY;

	if (!fill_row(process, python, &ps->strings, &row))
		return LT_E_NO_MEMORY;
	const struct lt_view view = {
		.session = attempt,
		.memory = live,
		.python = python,
		.layout = python->layout,
		.process = process,
	};
	LT_FREE struct lt_collector *collectors = NULL;
	size_t count = 0;
	status = lt_collectors_read(&view, &collectors, &count);
	if (status == LT_E_GONE || status == LT_E_NO_MEMORY)
		return status == LT_E_GONE ? LT_OK : status;
	if (status == LT_OK && count > 0) {
		row.main = collectors[0];
		row.interpreters = (unsigned)count;
	} else {
		row.problem = keep(&ps->strings, attempt->message);
	}
	return row.problem != NULL && rows_push(rows, row) ? LT_OK : LT_E_NO_MEMORY;
}

enum lt_status lt_ps_run(struct lt_session *session, struct lt_ps *ret_ps)
{
	LT_CLEANUP(lt_ps_deinit) struct lt_ps ps = {0};
	LT_CLEANUP(rows_deinit) struct rows rows = {0};
	LT_CLEANUP(skips_deinit) struct skips skipped = {0};
	LT_CLEANUP(lt_pids_deinit) struct lt_pids pids = {0};
	LT_TRY(lt_processes_list(session, &pids));
	for (size_t i = 0; i < pids.count; i++) {
		lt_progress(session, "processes", i, pids.count);
		/* A process that cannot be looked at is a row or a count, not a failure of the whole. */
		LT_CLEANUP(lt_session_deinit) struct lt_session attempt;
		lt_session_init(&attempt);
		enum lt_status status = look_at(&attempt, pids.data[i], &ps, &rows, &skipped);
		session->unreadable += attempt.unreadable;
		if (status != LT_OK)
			return lt_fail_memory(session);
	}
	ps.rows = LT_TAKE(rows.data);
	ps.row_count = rows.count;
	ps.skipped = LT_TAKE(skipped.data);
	ps.skipped_count = skipped.count;
	*ret_ps = ps;
	ps = (struct lt_ps){0};
	return LT_OK;
}

void lt_ps_deinit(struct lt_ps *ps)
{
	free(ps->rows);
	free(ps->skipped);
	lt_arena_deinit(&ps->strings);
	*ps = (struct lt_ps){0};
}
