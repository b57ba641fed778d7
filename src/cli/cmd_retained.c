#include "cli/run.h"

#include "analysis/retained.h"
#include "analysis/subject.h"
#include "base/cleanup.h"

static enum lt_status examine(struct lt_run *run, struct lt_subject *subject)
{
	const struct lt_request *request = run->request;
	struct lt_retained_options options = {0};
	if (request->format == LT_FORMAT_HTML)
		options = LT_RETAINED_FINE;
	if (request->depth > 0)
		options.depth = (size_t)request->depth;
	if (request->top > 0)
		options.top = (size_t)request->top;
	options.from = request->from;
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
