#include "cli/run.h"

#include "analysis/resident.h"
#include "analysis/rss.h"
#include "base/cleanup.h"

static enum lt_status before(void *ctx, struct lt_session *session,
			     const struct lt_process *process)
{
	return lt_resident_take_shared(session, process, ctx);
}

static enum lt_status examine(struct lt_run *run, struct lt_subject *subject,
			      struct lt_resident *shared)
{
	LT_CLEANUP(lt_rss_deinit) struct lt_rss rss = {0};
	LT_TRY(lt_rss_read(subject, shared, &rss));
	LT_TRY(lt_run_subject_end(run, subject));
	lt_report_rss(&run->report, &rss, run->request->top, &run->out);
	return LT_OK;
}

enum lt_status lt_cmd_rss(struct lt_run *run)
{
	LT_CLEANUP(lt_resident_deinit) struct lt_resident shared = {0};
	const struct lt_look_options options = {
		.mode = run->request->mode,
		.ignore_headroom = run->request->ignore_headroom,
		.before = before,
		.ctx = &shared,
	};
	struct lt_subject *subject = NULL;
	LT_TRY(lt_subject_open(run->session, run->request->operand, &options, &subject));
	enum lt_status status = examine(run, subject, &shared);
	lt_subject_close(subject);
	return status;
}
