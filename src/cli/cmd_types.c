#include "cli/run.h"

static enum lt_status examine(struct lt_run *run, struct lt_look *look)
{
	struct lt_composition composition = {0};
	LT_TRY(lt_look_status(look, lt_composition_take(look, run->request->all, &composition)));
	enum lt_status status = lt_run_look_end(run, look);
	if (status == LT_OK)
		lt_report_types(&run->report, &composition, run->request->top, &run->out);
	lt_composition_deinit(&composition);
	return status;
}

enum lt_status lt_cmd_types(struct lt_run *run)
{
	struct lt_look *look = NULL;
	LT_TRY(lt_run_look(run, &look));
	enum lt_status status = examine(run, look);
	lt_look_close(look);
	return status;
}
