#include "cli/run.h"

#include "analysis/allocators.h"
#include "base/cleanup.h"
#include "cli/interrupt.h"

enum { SECONDS_DEFAULT = 600 };

enum lt_status lt_cmd_try_allocators(struct lt_run *run)
{
	const struct lt_request *request = run->request;
	LT_CLEANUP(lt_allocators_deinit) struct lt_allocators allocators = {0};
	struct lt_interrupt interrupt;
	struct lt_allocators_options options = {
		.command = request->command_line,
		.runs = request->runs > 0 ? request->runs : 1,
		.seconds = request->timeout > 0 ? request->timeout : SECONDS_DEFAULT,
		.only = request->only,
		.silent = request->verbosity < 0,
		.stop = lt_interrupt_begin(&interrupt),
	};
	lt_interrupt_at_term(&interrupt);
	enum lt_status status = lt_allocators_try(run->session, &options, &allocators);
	lt_interrupt_end(&interrupt);
	LT_TRY(status);
	/* Half a comparison is none: lowtide ends as the signal would have ended it. */
	if (allocators.stopped)
		raise(lt_interrupt_number());
	lt_cost_take(run->started_ns, &run->report.cost);
	lt_report_allocators(&run->report, &allocators, &run->out);
	return LT_OK;
}
