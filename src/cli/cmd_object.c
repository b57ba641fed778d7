#include "cli/run.h"

#include "analysis/inspect.h"
#include "analysis/subject.h"
#include "base/cleanup.h"

static enum lt_status examine(struct lt_run *run, struct lt_subject *subject)
{
	const struct lt_request *request = run->request;
	LT_CLEANUP(lt_inspection_deinit) struct lt_inspection inspection = {0};
	LT_TRY(lt_inspect(subject, request->operands[1], (size_t)request->top, &inspection));
	LT_TRY(lt_run_subject_end(run, subject));
	lt_report_inspection(&run->report, &inspection, &run->out);
	return LT_OK;
}

enum lt_status lt_cmd_object(struct lt_run *run)
{
	struct lt_subject *subject = NULL;
	LT_TRY(lt_run_subject(run, &subject));
	enum lt_status status = examine(run, subject);
	lt_subject_close(subject);
	return status;
}
