#include "cli/run.h"

#include "analysis/gc_findings.h"
#include "analysis/memory_state.h"
#include "analysis/subject.h"
#include "cli/interrupt.h"

/* What the watch has seen. */
struct seen {
	struct lt_gc_result collector;
	struct lt_memory_before memory;
	double stall_ms; /* of the look before it */
};

static enum lt_status examine(struct lt_run *run, struct lt_subject *subject,
			      const struct seen *seen)
{
	const struct lt_doctor_options options = {.kinds = run->request->top,
						  .containers = run->request->top,
						  .tree = run->report.format == LT_FORMAT_HTML,
						  .watched = seen != NULL ? &seen->collector : NULL,
						  .before = seen != NULL ? &seen->memory : NULL};
	struct lt_doctor doctor = {0};
	LT_TRY(lt_doctor_examine(subject, &options, &doctor));
	enum lt_status status = lt_run_subject_end(run, subject);
	if (seen != NULL)
		run->report.cost.stall_ms += seen->stall_ms;
	if (status == LT_OK)
		lt_report_doctor(&run->report, &doctor, &run->out);
	run->found = run->request->has_fail_on && lt_doctor_has(&doctor, run->request->fail_on);
	lt_doctor_deinit(&doctor);
	return status;
}

/* A short look before the watch. */
static enum lt_status look_before(struct lt_run *run, struct seen *seen)
{
	struct lt_subject *subject = NULL;
	LT_TRY(lt_run_subject(run, &subject));
	enum lt_status status = lt_memory_before_read(subject, &seen->memory);
	lt_subject_end(subject);
	seen->stall_ms = subject->cost.stall_ms;
	lt_subject_close(subject);
	return status;
}

/* Before the look: the process runs on meanwhile. */
static enum lt_status watch(struct lt_run *run, struct seen *seen)
{
	struct lt_gc_result *watched = &seen->collector;
	const struct lt_request *request = run->request;
	struct lt_gc_summary_feed feed = {.session = run->session, .summary = &watched->summary};
	const struct lt_gc_sink sink = lt_gc_summary_sink(&feed);
	struct lt_interrupt interrupt;
	if (request->pid == 0) {
		lt_remedy(run->session, "Give the PID of a live process, or leave out --duration.");
		return lt_fail(run->session, LT_E_USAGE, "a snapshot file cannot be watched");
	}
	LT_TRY(look_before(run, seen));
	const struct lt_gc_record_options options = {
		.seconds = request->seconds,
		.stop = lt_interrupt_begin(&interrupt),
		.sinks = &sink,
		.sink_count = 1,
	};
	enum lt_status status =
		lt_gc_record(run->session, request->pid, &options, &watched->recording);
	lt_interrupt_end(&interrupt);
	/* A picture of another program says nothing of the collections of this one. */
	if (status == LT_OK && *watched->recording.replaced_by != '\0') {
		lt_remedy(run->session, "Give the PID again: it stands for that program now.");
		status = lt_fail(run->session, LT_E_GONE,
				 "process %d became another program while it was watched: %.200s",
				 (int)request->pid, watched->recording.replaced_by);
	}
	return status;
}

static enum lt_status look(struct lt_run *run, const struct seen *seen)
{
	struct lt_subject *subject = NULL;
	LT_TRY(lt_run_subject(run, &subject));
	enum lt_status status = examine(run, subject, seen);
	lt_subject_close(subject);
	return status;
}

enum lt_status lt_cmd_doctor(struct lt_run *run)
{
	struct seen seen = {0};
	bool wanted = run->request->seconds > 0;
	enum lt_status status = wanted ? watch(run, &seen) : LT_OK;
	if (status == LT_OK)
		status = look(run, wanted ? &seen : NULL);
	lt_gc_result_deinit(&seen.collector);
	return status;
}
