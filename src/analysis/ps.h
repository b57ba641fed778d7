/*
 * ps.h: which processes of this machine are CPython, and the state of their collectors. Nothing is
 * stopped: a few words of each process are read while it runs.
 */
#ifndef LT_ANALYSIS_PS_H
#define LT_ANALYSIS_PS_H

#include "analysis/collector.h"
#include "base/arena.h"

#include <sys/types.h>

struct lt_ps_row {
	pid_t pid;
	const char *python; /* "3.13.15"; "" when the build could not be identified */
	const char *command_line;
	uint64_t rss_bytes;
	uint64_t uptime_ms;
	unsigned thread_count;
	unsigned interpreters;    /* 0: the collector could not be read, `problem` says why */
	struct lt_collector main; /* of the main interpreter; object counts are 0 */
	const char *problem;      /* "" or why this CPython cannot be looked at further */
};

/* Processes that could not be looked at, by reason. */
struct lt_ps_skipped {
	enum lt_status status;
	const char *reason; /* of the first of them */
	uint64_t count;
};

/* All zero is the empty result. The strings live in `strings`. */
struct lt_ps {
	struct lt_ps_row *rows; /* ascending PID */
	size_t row_count;
	struct lt_ps_skipped *skipped;
	size_t skipped_count;
	uint64_t others; /* processes that are not CPython; kernel threads not counted */
	struct lt_arena strings;
};

LT_MUST_CHECK enum lt_status lt_ps_run(struct lt_session *session, struct lt_ps *ret_ps);
void lt_ps_deinit(struct lt_ps *ps);

#endif
