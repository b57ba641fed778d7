#include "cli/run.h"

#include "analysis/retained.h"
#include "analysis/subject.h"
#include "base/cleanup.h"

static enum lt_status examine(struct lt_run *run, struct lt_subject *subject)
{
	const struct lt_request *request = run->request;
	const struct lt_retained_options options = {.depth = (size_t)request->depth,
						    .top = (size_t)request->top,
						    .from = request->from};
	LT_CLEANUP(lt_retained_deinit) struct lt_retained retained = {0};
	LT_TRY(lt_retained_take(subject, &options, &retained));
	LT_TRY(lt_run_subject_end(run, subject));
	lt_report_retained(&run->report, &retained, &run->out);
	return LT_OK;
}

enum lt_status lt_cmd_retained(struct lt_run *run)
{
	struct lt_subject *subject = NULL;
	LT_TRY(lt_run_subject(run, &subject));
	enum lt_status status = examine(run, subject);
	lt_subject_close(subject);
	return status;
}
