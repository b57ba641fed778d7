#include "analysis/trim.h"
#include "cli/interrupt.h"
#include "cli/run.h"

#include <stdio.h>

/* A line for each round of a watch, at once. */
static void tell(void *ctx, const struct lt_trim_round *round)
{
	const struct lt_run *run = ctx;
	struct lt_text line = {0};
	lt_report_trim_round(&run->report, round, &line);
	fprintf(stderr, "%s\n", lt_text_get(&line));
	lt_text_deinit(&line);
}

static enum lt_status check(const struct lt_run *run)
{
	const struct lt_request *request = run->request;
	const char *name = request->interval > 0 ? "interval" : "duration";
	if (request->watch || (request->interval == 0 && request->seconds == 0))
		return LT_OK;
	lt_remedy(run->session, "Write 'lowtide trim --watch --%s ... %s'.", name,
		  request->operand);
	return lt_fail(run->session, LT_E_USAGE, "--%s is for a watch, which was not asked for",
		       name);
}

enum lt_status lt_cmd_trim(struct lt_run *run)
{
	const struct lt_request *request = run->request;
	LT_TRY(check(run));
	struct lt_trim trim = {0};
	struct lt_interrupt interrupt;
	struct lt_trim_options options = {
		.watch = request->watch,
		.seconds = request->seconds,
		.interval = request->interval > 0 ? request->interval : LT_TRIM_INTERVAL,
		.at_least = request->has_at_least ? request->at_least
			    : request->watch      ? LT_TRIM_AT_LEAST
						  : 0,
		.done = request->watch && request->verbosity >= 0 && !run->report.json ? tell
										       : NULL,
		.ctx = run,
	};
	if (request->watch) {
		options.stop = lt_interrupt_begin(&interrupt);
		lt_interrupt_at_term(&interrupt);
	}
	enum lt_status status = lt_trim(run->session, request->pid, &options, &trim);
	if (request->watch)
		lt_interrupt_end(&interrupt);
	LT_TRY(status);
	run->identity = trim.identity;
	trim.identity = (struct lt_identity){0};
	run->report.identity = &run->identity;
	run->report.cost = trim.cost;
	lt_report_trim(&run->report, &trim, &run->out);
	lt_trim_deinit(&trim);
	return LT_OK;
}
