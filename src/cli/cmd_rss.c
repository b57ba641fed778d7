#include "cli/run.h"

#include "analysis/rss.h"
#include "base/cleanup.h"

static enum lt_status examine(struct lt_run *run, struct lt_subject *subject)
{
	LT_CLEANUP(lt_rss_deinit) struct lt_rss rss = {0};
	LT_TRY(lt_rss_read(subject, &rss));
	LT_TRY(lt_run_subject_end(run, subject));
	lt_report_rss(&run->report, &rss, run->request->top, &run->out);
	return LT_OK;
}

enum lt_status lt_cmd_rss(struct lt_run *run)
{
	struct lt_subject *subject = NULL;
	LT_TRY(lt_run_subject(run, &subject));
	enum lt_status status = examine(run, subject);
	lt_subject_close(subject);
	return status;
}
