/*
 * run.h: one run of a command: what was asked for, the report so far, and where it goes.
 */
#ifndef LT_CLI_RUN_H
#define LT_CLI_RUN_H

#include "cli/request.h"
#include "report/report.h"

struct lt_subject;

struct lt_run {
	const struct lt_request *request;
	struct lt_session *session;
	struct lt_report report;
	struct lt_identity identity; /* of the target, once known; owned */
	uint64_t started_ns;
	struct lt_text out; /* the report */
	bool found;         /* something at or above the level asked for: exit code 1 */
};

/* Opens the process or file asked for. The caller closes the subject, on failure too (then NULL). */
LT_MUST_CHECK enum lt_status lt_run_subject(struct lt_run *run, struct lt_subject **ret_subject);

/* Lets the target go, and takes who it was and what the look cost into the report. */
LT_MUST_CHECK enum lt_status lt_run_subject_end(struct lt_run *run, struct lt_subject *subject);

void lt_run_deinit(struct lt_run *run);

/* The commands. Each fills run->out; a failure is in the session. */
LT_MUST_CHECK enum lt_status lt_cmd_doctor(struct lt_run *run);
LT_MUST_CHECK enum lt_status lt_cmd_fragmentation(struct lt_run *run);
LT_MUST_CHECK enum lt_status lt_cmd_gc(struct lt_run *run);
/* The same with two operands. */
LT_MUST_CHECK enum lt_status lt_cmd_gc_compare(struct lt_run *run);
LT_MUST_CHECK enum lt_status lt_cmd_leaks(struct lt_run *run);
LT_MUST_CHECK enum lt_status lt_cmd_ps(struct lt_run *run);
LT_MUST_CHECK enum lt_status lt_cmd_rss(struct lt_run *run);
LT_MUST_CHECK enum lt_status lt_cmd_snapshot(struct lt_run *run);
LT_MUST_CHECK enum lt_status lt_cmd_sql(struct lt_run *run);
LT_MUST_CHECK enum lt_status lt_cmd_trim(struct lt_run *run);
LT_MUST_CHECK enum lt_status lt_cmd_try_allocators(struct lt_run *run);
LT_MUST_CHECK enum lt_status lt_cmd_types(struct lt_run *run);
LT_MUST_CHECK enum lt_status lt_cmd_diff(struct lt_run *run);
LT_MUST_CHECK enum lt_status lt_cmd_object(struct lt_run *run);
LT_MUST_CHECK enum lt_status lt_cmd_path(struct lt_run *run);
LT_MUST_CHECK enum lt_status lt_cmd_retained(struct lt_run *run);

#endif
