#include "cli/run.h"

#include "analysis/diff.h"

enum lt_status lt_cmd_diff(struct lt_run *run)
{
	const struct lt_request *request = run->request;
	const struct lt_look_options options = {.mode = request->mode,
						.ignore_headroom = request->ignore_headroom};
	struct lt_diff diff = {0};
	LT_TRY(lt_diff_take(run->session, request->operands, &options, (size_t)request->top,
			    &diff));
	run->identity = diff.identity;
	diff.identity = (struct lt_identity){0};
	run->report.identity = &run->identity;
	run->report.cost = diff.cost;
	lt_report_diff(&run->report, &diff, request->top, &run->out);
	lt_diff_deinit(&diff);
	return LT_OK;
}
