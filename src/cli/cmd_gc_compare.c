/* lowtide gc BEFORE AFTER: two recordings, or one and the process now. */
#include "analysis/gc_compare.h"
#include "analysis/gc_tide.h"
#include "analysis/subject.h"
#include "cli/interrupt.h"
#include "cli/run.h"

enum { SECONDS_DEFAULT = 10 };

static enum lt_status take_side(struct lt_run *run, const char *operand,
				struct lt_gc_side_feed *feed, struct lt_gc_recording *recording)
{
	const struct lt_request *request = run->request;
	const struct lt_gc_sink sink = lt_gc_side_sink(feed);
	if (!lt_subject_is_pid(operand))
		return lt_gc_tide_read(run->session, operand, &sink, 1, recording);
	struct lt_gc_record_options options = {
		.watch = {.poll_hz = request->hz},
		.seconds = request->seconds > 0 ? request->seconds : SECONDS_DEFAULT,
		.sinks = &sink,
		.sink_count = 1,
	};
	unsigned long pid = strtoul(operand, NULL, 10);
	if (pid == 0 || pid > INT32_MAX)
		return lt_fail(run->session, LT_E_USAGE, "'%.100s' is not a process ID", operand);
	if (request->has_source)
		options.watch.only[request->source] = true;
	struct lt_interrupt interrupt;
	options.stop = lt_interrupt_begin(&interrupt);
	enum lt_status status = lt_gc_record(run->session, (pid_t)pid, &options, recording);
	lt_interrupt_end(&interrupt);
	return status;
}

/* Requests in the time of the recording. */
static uint64_t served(const struct lt_gc_recording *recording, uint64_t number, bool a_second)
{
	double seconds = (double)(recording->end_ns - recording->start_ns) / 1e9;
	double count = (double)number * seconds + 0.5;
	if (!a_second)
		return number;
	return count < 1 ? 1 : count < 1e18 ? (uint64_t)count : (uint64_t)1e18;
}

static enum lt_status compare(struct lt_run *run, struct lt_gc_side_feed feeds[LT_SIDES],
			      struct lt_gc_recording recordings[LT_SIDES],
			      struct lt_gc_comparison *comparison)
{
	const struct lt_request *request = run->request;
	const struct lt_gc_recording *const both[] = {&recordings[0], &recordings[1]};
	const struct lt_gc_side_feed *const fed[] = {&feeds[0], &feeds[1]};
	for (int i = 0; i < LT_SIDES; i++)
		LT_TRY(take_side(run, request->operands[i], &feeds[i], &recordings[i]));
	uint64_t requests[LT_SIDES];
	for (int i = 0; i < LT_SIDES; i++)
		requests[i] =
			served(&recordings[i], request->requests[i], request->requests_a_second[i]);
	LT_TRY(lt_gc_compare(run->session, both, fed, requests, comparison));
	run->identity = recordings[LT_SIDE_AFTER].identity;
	recordings[LT_SIDE_AFTER].identity = (struct lt_identity){0};
	run->report.identity = &run->identity;
	lt_cost_take(run->started_ns, &run->report.cost);
	lt_report_gc_compare(&run->report, comparison, &run->out);
	enum lt_severity severity = comparison->verdict == LT_VERDICT_BAD    ? LT_HIGH
				    : comparison->verdict == LT_VERDICT_LOOK ? LT_MEDIUM
									     : LT_INFO;
	run->found = request->has_fail_on && comparison->verdict >= LT_VERDICT_LOOK &&
		     severity >= request->fail_on;
	return LT_OK;
}

enum lt_status lt_cmd_gc_compare(struct lt_run *run)
{
	struct lt_gc_recording recordings[LT_SIDES] = {0};
	struct lt_gc_side_feed feeds[LT_SIDES];
	struct lt_gc_comparison comparison = {0};
	if (run->request->format != LT_FORMAT_TEXT && run->request->format != LT_FORMAT_JSON) {
		lt_remedy(run->session, "Give one recording, or another ending to -o.");
		return lt_fail(run->session, LT_E_USAGE,
			       "a comparison of two recordings is written as text or json");
	}
	for (int i = 0; i < LT_SIDES; i++)
		lt_gc_side_feed_init(run->session, &feeds[i]);
	enum lt_status status = compare(run, feeds, recordings, &comparison);
	for (int i = 0; i < LT_SIDES; i++) {
		lt_gc_side_feed_deinit(&feeds[i]);
		lt_gc_recording_deinit(&recordings[i]);
	}
	lt_gc_comparison_deinit(&comparison);
	return status;
}
