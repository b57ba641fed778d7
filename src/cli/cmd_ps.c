#include "cli/run.h"

enum lt_status lt_cmd_ps(struct lt_run *run)
{
	struct lt_ps ps = {0};
	LT_TRY(lt_ps_run(run->session, &ps));
	lt_cost_take(run->started_ns, &run->report.cost);
	lt_report_ps(&run->report, &ps, &run->out);
	lt_ps_deinit(&ps);
	return LT_OK;
}
