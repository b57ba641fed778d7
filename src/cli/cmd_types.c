#include "cli/run.h"

#include "analysis/subject.h"

static enum lt_status examine(struct lt_run *run, struct lt_subject *subject)
{
	struct lt_composition composition = {0};
	enum lt_composition_scope scope = run->request->retained ? LT_COMPOSITION_RETAINED
					  : run->request->all    ? LT_COMPOSITION_ALL
								 : LT_COMPOSITION_TRACKED;
	LT_TRY(lt_composition_take(subject, scope, &composition));
	enum lt_status status = lt_run_subject_end(run, subject);
	if (status == LT_OK)
		lt_report_types(&run->report, &composition, run->request->top, &run->out);
	lt_composition_deinit(&composition);
	return status;
}

enum lt_status lt_cmd_types(struct lt_run *run)
{
	struct lt_subject *subject = NULL;
	LT_TRY(lt_run_subject(run, &subject));
	enum lt_status status = examine(run, subject);
	lt_subject_close(subject);
	return status;
}
