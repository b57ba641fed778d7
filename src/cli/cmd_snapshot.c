#include "cli/run.h"

#include "analysis/subject.h"
#include "analysis/tide.h"

enum lt_status lt_cmd_snapshot(struct lt_run *run)
{
	const struct lt_request *request = run->request;
	const struct lt_tide_options options = {.redact = request->redact};
	struct lt_tide_written written = {0};
	struct lt_subject *subject = NULL;
	if (request->output == NULL) {
		lt_remedy(run->session, "Write 'lowtide snapshot %s -o FILE.tide'.",
			  request->operand);
		return lt_fail(run->session, LT_E_USAGE,
			       "the command snapshot needs a file to write");
	}
	LT_TRY(lt_run_subject(run, &subject));
	enum lt_status status = lt_tide_write(subject, request->output, &options, &written);
	if (status == LT_OK)
		status = lt_run_subject_end(run, subject);
	if (status == LT_OK)
		lt_report_snapshot(&run->report, &written, &run->out);
	lt_subject_close(subject);
	return status;
}
