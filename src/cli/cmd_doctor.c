#include "cli/run.h"

static enum lt_status examine(struct lt_run *run, struct lt_look *look)
{
	const struct lt_doctor_options options = {.kinds = run->request->top,
						  .containers = run->request->top};
	struct lt_doctor doctor = {0};
	LT_TRY(lt_look_status(look, lt_doctor_examine(look, &options, &doctor)));
	enum lt_status status = lt_run_look_end(run, look);
	if (status == LT_OK)
		lt_report_doctor(&run->report, &doctor, &run->out);
	run->found = run->request->has_fail_on && lt_doctor_has(&doctor, run->request->fail_on);
	lt_doctor_deinit(&doctor);
	return status;
}

enum lt_status lt_cmd_doctor(struct lt_run *run)
{
	struct lt_look *look = NULL;
	LT_TRY(lt_run_look(run, &look));
	enum lt_status status = examine(run, look);
	lt_look_close(look);
	return status;
}
