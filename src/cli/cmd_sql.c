#include "cli/run.h"

#include "analysis/query.h"
#include "analysis/subject.h"
#include "base/cleanup.h"

static enum lt_status examine(struct lt_run *run, struct lt_query *query,
			      struct lt_subject *subject)
{
	LT_CLEANUP(lt_query_result_deinit) struct lt_query_result result = {0};
	LT_TRY(lt_query_run(query, subject, run->request->top, &result));
	LT_TRY(lt_run_subject_end(run, subject));
	lt_report_query(&run->report, &result, &run->out);
	return LT_OK;
}

enum lt_status lt_cmd_sql(struct lt_run *run)
{
	struct lt_query *query = NULL;
	struct lt_subject *subject = NULL;
	/* A query that is wrong must not stop a process first. */
	LT_TRY(lt_query_prepare(run->session, run->request->operands[1], &query));
	enum lt_status status = lt_run_subject(run, &subject);
	if (status == LT_OK)
		status = examine(run, query, subject);
	lt_subject_close(subject);
	lt_query_destroy(query);
	return status;
}
