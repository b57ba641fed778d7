#include "cli/run.h"

#include "analysis/leaks.h"
#include "analysis/subject.h"
#include "cli/interrupt.h"

#include <string.h>

enum { SECONDS_DEFAULT = 30 };

static void take_identity(struct lt_run *run, struct lt_leaks *leaks)
{
	run->identity = leaks->identity;
	leaks->identity = (struct lt_identity){0};
	run->report.identity = &run->identity;
	run->report.cost = leaks->cost;
}

static enum lt_status examine(struct lt_run *run, const struct lt_leaks_options *options,
			      struct lt_leaks *leaks)
{
	const struct lt_request *request = run->request;
	if (request->operand_count > 1)
		return lt_leaks_compare(run->session, request->operands, request->operand_count,
					options, leaks);
	if (!lt_subject_is_pid(request->operand)) {
		lt_remedy(run->session,
			  "Write 'lowtide leaks OLDER.tide NEWER.tide', or give the PID of a live "
			  "process.");
		return lt_fail(run->session, LT_E_USAGE,
			       "one snapshot does not tell what grows: leaks takes two or more");
	}
	return lt_leaks_watch(run->session, request->pid, options, leaks);
}

enum lt_status lt_cmd_leaks(struct lt_run *run)
{
	const struct lt_request *request = run->request;
	struct lt_interrupt interrupt;
	const struct lt_leaks_options options = {
		.look = {.mode = request->mode, .ignore_headroom = request->ignore_headroom},
		.seconds = request->seconds > 0 ? request->seconds : SECONDS_DEFAULT,
		.snapshots = request->snapshots,
		.tree = run->report.format == LT_FORMAT_HTML,
		.stop = lt_interrupt_begin(&interrupt),
	};
	struct lt_leaks leaks = {0};
	enum lt_status status = examine(run, &options, &leaks);
	lt_interrupt_end(&interrupt);
	if (status != LT_OK)
		return status;
	take_identity(run, &leaks);
	lt_report_leaks(&run->report, &leaks, &run->out);
	run->found = request->has_fail_on && lt_leaks_has(&leaks, request->fail_on);
	lt_leaks_deinit(&leaks);
	return LT_OK;
}
