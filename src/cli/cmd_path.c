#include "cli/run.h"

#include "analysis/paths.h"
#include "analysis/subject.h"
#include "base/cleanup.h"
#include "report/export_dot.h"

static enum lt_status examine(struct lt_run *run, struct lt_subject *subject)
{
	const struct lt_request *request = run->request;
	LT_CLEANUP(lt_paths_deinit) struct lt_paths paths = {0};
	LT_TRY(lt_paths_take(subject, request->operands[1], (size_t)request->top, &paths));
	bool dot = request->format == LT_FORMAT_DOT;
	if (dot)
		LT_TRY(lt_subject_status(subject, lt_subject_picture(subject, LT_PICTURE_WEIGHED)));
	LT_TRY(lt_run_subject_end(run, subject));
	if (dot)
		lt_dot_paths(&paths, &subject->picture, &run->out);
	else
		lt_report_paths(&run->report, &paths, &run->out);
	return LT_OK;
}

enum lt_status lt_cmd_path(struct lt_run *run)
{
	struct lt_subject *subject = NULL;
	LT_TRY(lt_run_subject(run, &subject));
	enum lt_status status = examine(run, subject);
	lt_subject_close(subject);
	return status;
}
