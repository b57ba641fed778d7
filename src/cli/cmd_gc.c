#include "cli/run.h"

#include "analysis/gc_findings.h"
#include "cli/interrupt.h"

enum { SECONDS_DEFAULT = 10 };

static void take_identity(struct lt_run *run, struct lt_gc_result *result)
{
	run->identity = result->recording.identity;
	result->recording.identity = (struct lt_identity){0};
	run->report.identity = &run->identity;
	lt_cost_take(run->started_ns, &run->report.cost);
}

static enum lt_status watch(struct lt_run *run, struct lt_gc_result *result)
{
	const struct lt_request *request = run->request;
	struct lt_gc_summary_feed feed = {.session = run->session, .summary = &result->summary};
	const struct lt_gc_sink sinks[] = {lt_gc_summary_sink(&feed)};
	struct lt_gc_record_options options = {
		.watch = {.poll_hz = request->hz},
		.seconds = request->seconds > 0 ? request->seconds : SECONDS_DEFAULT,
		.sinks = sinks,
		.sink_count = sizeof(sinks) / sizeof(sinks[0]),
	};
	if (request->has_source)
		options.watch.only[request->source] = true;
	struct lt_interrupt interrupt;
	options.stop = lt_interrupt_begin(&interrupt);
	enum lt_status status =
		lt_gc_record(run->session, request->pid, &options, &result->recording);
	lt_interrupt_end(&interrupt);
	return status;
}

static enum lt_status show(struct lt_run *run, struct lt_gc_result *result)
{
	LT_TRY(watch(run, result));
	LT_TRY(lt_gc_result_judge(run->session, result));
	take_identity(run, result);
	lt_report_gc(&run->report, result, &run->out);
	run->found = run->request->has_fail_on && lt_gc_result_has(result, run->request->fail_on);
	return LT_OK;
}

enum lt_status lt_cmd_gc(struct lt_run *run)
{
	struct lt_gc_result result = {0};
	enum lt_status status = show(run, &result);
	lt_gc_result_deinit(&result);
	return status;
}
