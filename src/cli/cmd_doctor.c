#include "cli/run.h"

#include "analysis/gc_findings.h"
#include "analysis/subject.h"
#include "cli/interrupt.h"

static enum lt_status examine(struct lt_run *run, struct lt_subject *subject,
			      const struct lt_gc_result *watched)
{
	const struct lt_doctor_options options = {.kinds = run->request->top,
						  .containers = run->request->top,
						  .tree = run->report.format == LT_FORMAT_HTML,
						  .watched = watched};
	struct lt_doctor doctor = {0};
	LT_TRY(lt_doctor_examine(subject, &options, &doctor));
	enum lt_status status = lt_run_subject_end(run, subject);
	if (status == LT_OK)
		lt_report_doctor(&run->report, &doctor, &run->out);
	run->found = run->request->has_fail_on && lt_doctor_has(&doctor, run->request->fail_on);
	lt_doctor_deinit(&doctor);
	return status;
}

/* Before the look: the process runs on meanwhile. */
static enum lt_status watch(struct lt_run *run, struct lt_gc_result *watched)
{
	const struct lt_request *request = run->request;
	struct lt_gc_summary_feed feed = {.session = run->session, .summary = &watched->summary};
	const struct lt_gc_sink sink = lt_gc_summary_sink(&feed);
	struct lt_interrupt interrupt;
	if (request->pid == 0) {
		lt_remedy(run->session, "Give the PID of a live process, or leave out --duration.");
		return lt_fail(run->session, LT_E_USAGE, "a snapshot file cannot be watched");
	}
	const struct lt_gc_record_options options = {
		.seconds = request->seconds,
		.stop = lt_interrupt_begin(&interrupt),
		.sinks = &sink,
		.sink_count = 1,
	};
	enum lt_status status =
		lt_gc_record(run->session, request->pid, &options, &watched->recording);
	lt_interrupt_end(&interrupt);
	return status;
}

static enum lt_status look(struct lt_run *run, const struct lt_gc_result *watched)
{
	struct lt_subject *subject = NULL;
	LT_TRY(lt_run_subject(run, &subject));
	enum lt_status status = examine(run, subject, watched);
	lt_subject_close(subject);
	return status;
}

enum lt_status lt_cmd_doctor(struct lt_run *run)
{
	struct lt_gc_result watched = {0};
	bool wanted = run->request->seconds > 0;
	enum lt_status status = wanted ? watch(run, &watched) : LT_OK;
	if (status == LT_OK)
		status = look(run, wanted ? &watched : NULL);
	lt_gc_result_deinit(&watched);
	return status;
}
