#include "cli/run.h"

#include "analysis/gc_findings.h"
#include "analysis/gc_tide.h"
#include "analysis/subject.h"
#include "cli/interrupt.h"
#include "cli/live.h"
#include "cli/output.h"
#include "report/export_gc.h"

enum { SECONDS_DEFAULT = 10, SINKS_MOST = 3 };

/* One run: what is told of the recording while it is made or read. */
struct gc_run {
	struct lt_run *run;
	struct lt_gc_result result;
	struct lt_gc_summary_feed feed;
	struct lt_live live;
	struct lt_gc_tide_writer *tide;
	struct lt_gc_export *export;
	struct lt_output *output; /* of the export; NULL: the report */
	struct lt_gc_sink sinks[SINKS_MOST];
	size_t sink_count;
};

static void deinit(struct gc_run *gc)
{
	lt_gc_result_deinit(&gc->result);
	lt_gc_tide_leave(gc->tide);
	lt_gc_export_destroy(gc->export);
	lt_output_end(gc->output);
}

static enum lt_status add_bytes(void *ctx, const char *bytes, size_t length)
{
	struct gc_run *gc = ctx;
	if (gc->output != NULL)
		return lt_output_add(gc->output, bytes, length);
	lt_text_add_bytes(&gc->run->out, bytes, length);
	return LT_OK;
}

/* The file that is written beside the report, or an export in its place. */
static enum lt_status add_file(struct gc_run *gc)
{
	const struct lt_request *request = gc->run->request;
	struct lt_session *session = gc->run->session;
	if (request->format == LT_FORMAT_TIDE) {
		if (request->output == NULL) {
			lt_remedy(session, "Name the file: -o FILE.tide.");
			return lt_fail(session, LT_E_USAGE,
				       "a recording is written to a file only");
		}
		if (request->pid == 0) {
			lt_remedy(session, "Give a PID, or another ending to -o.");
			return lt_fail(session, LT_E_USAGE, "'%.200s' is a file already",
				       request->operand);
		}
		LT_TRY(lt_gc_tide_create(session, request->output, &gc->tide));
		gc->sinks[gc->sink_count++] = lt_gc_tide_sink(gc->tide);
		return LT_OK;
	}
	if ((LT_GC_EXPORTS & LT_FORMAT_BIT(request->format)) == 0)
		return LT_OK;
	const struct lt_sink to = {.add = add_bytes, .ctx = gc};
	if (request->output != NULL)
		LT_TRY(lt_output_begin(session, request->output, &gc->output));
	LT_TRY(lt_gc_export_create(session, request->format, &to, &gc->export));
	gc->sinks[gc->sink_count++] = lt_gc_export_sink(gc->export);
	return LT_OK;
}

static enum lt_status finish_file(struct gc_run *gc)
{
	if (gc->tide != NULL) {
		struct lt_gc_tide_writer *writer = gc->tide;
		gc->tide = NULL;
		gc->result.file = gc->run->request->output;
		return lt_gc_tide_finish(writer, &gc->result.written);
	}
	return gc->output != NULL ? lt_output_commit(gc->output) : LT_OK;
}

static bool asks(const struct lt_request *request)
{
	const struct lt_gc_question *question = &request->question;
	return question->asked_count > 0 || question->advise || question->goal.share > 0 ||
	       question->goal.pause_ms > 0;
}

static enum lt_status watch(struct gc_run *gc)
{
	struct lt_run *run = gc->run;
	const struct lt_request *request = run->request;
	struct lt_gc_record_options options = {
		.watch = {.poll_hz = request->hz},
		.seconds = request->seconds > 0 ? request->seconds : SECONDS_DEFAULT,
		.redact = request->redact,
		.path = asks(request)      ? LT_GC_PATH_CLOSE
			: gc->tide != NULL ? LT_GC_PATH_CHEAP
					   : LT_GC_PATH_NONE,
	};
	if (request->has_source)
		options.watch.only[request->source] = true;
	lt_live_begin(&gc->live, &run->report, &gc->result.summary);
	gc->sinks[gc->sink_count++] = lt_live_sink(&gc->live);
	options.sinks = gc->sinks;
	options.sink_count = gc->sink_count;
	struct lt_interrupt interrupt;
	options.stop = lt_interrupt_begin(&interrupt);
	if (gc->tide != NULL)
		lt_interrupt_at_term(&interrupt);
	enum lt_status status =
		lt_gc_record(run->session, request->pid, &options, &gc->result.recording);
	lt_interrupt_end(&interrupt);
	lt_live_end(&gc->live);
	return status;
}

static void take_identity(struct lt_run *run, struct lt_gc_result *result)
{
	run->identity = result->recording.identity;
	result->recording.identity = (struct lt_identity){0};
	run->report.identity = &run->identity;
	lt_cost_take(run->started_ns, &run->report.cost);
}

static enum lt_status show(struct gc_run *gc)
{
	struct lt_run *run = gc->run;
	const struct lt_request *request = run->request;
	gc->feed = (struct lt_gc_summary_feed){.session = run->session,
					       .summary = &gc->result.summary};
	gc->sinks[gc->sink_count++] = lt_gc_summary_sink(&gc->feed);
	LT_TRY(add_file(gc));
	if (request->pid != 0)
		LT_TRY(watch(gc));
	else
		LT_TRY(lt_gc_tide_read(run->session, request->operand, gc->sinks, gc->sink_count,
				       &gc->result.recording));
	LT_TRY(finish_file(gc));
	gc->result.budget_ms = request->question.goal.pause_ms;
	LT_TRY(lt_gc_result_judge(run->session, &gc->result));
	if (asks(request)) {
		gc->result.asked = true;
		LT_TRY(lt_gc_ask(run->session, &gc->result.recording, &request->question,
				 &gc->result.what_if));
	}
	take_identity(run, &gc->result);
	if (gc->export == NULL || gc->output != NULL)
		lt_report_gc(&run->report, &gc->result, &run->out);
	run->found = request->has_fail_on && lt_gc_result_has(&gc->result, request->fail_on);
	return LT_OK;
}

enum lt_status lt_cmd_gc(struct lt_run *run)
{
	if (run->request->operand_count == 2 && !run->request->redact)
		return lt_cmd_gc_compare(run);
	if (run->request->requests[0] != 0) {
		lt_remedy(run->session, "Write 'lowtide gc --requests N[,M] BEFORE AFTER'.");
		return lt_fail(run->session, LT_E_USAGE,
			       "--requests is for the comparison of two recordings");
	}
	if (run->request->redact && run->request->pid == 0) {
		lt_remedy(run->session, "Write 'lowtide gc --redact PID -o FILE.tide'.");
		return lt_fail(run->session, LT_E_USAGE,
			       "--redact is for watching a process: '%.200s' is a file already",
			       run->request->operand);
	}
	struct gc_run gc = {.run = run};
	enum lt_status status = show(&gc);
	deinit(&gc);
	return status;
}
