#include "cli/run.h"

#include "analysis/subject.h"

static enum lt_status examine(struct lt_run *run, struct lt_subject *subject)
{
	const struct lt_doctor_options options = {.kinds = run->request->top,
						  .containers = run->request->top,
						  .tree = run->report.format == LT_FORMAT_HTML};
	struct lt_doctor doctor = {0};
	LT_TRY(lt_doctor_examine(subject, &options, &doctor));
	enum lt_status status = lt_run_subject_end(run, subject);
	if (status == LT_OK)
		lt_report_doctor(&run->report, &doctor, &run->out);
	run->found = run->request->has_fail_on && lt_doctor_has(&doctor, run->request->fail_on);
	lt_doctor_deinit(&doctor);
	return status;
}

enum lt_status lt_cmd_doctor(struct lt_run *run)
{
	struct lt_subject *subject = NULL;
	LT_TRY(lt_run_subject(run, &subject));
	enum lt_status status = examine(run, subject);
	lt_subject_close(subject);
	return status;
}
