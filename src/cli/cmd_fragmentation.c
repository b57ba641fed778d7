#include "cli/output.h"
#include "cli/run.h"

#include "analysis/fragmentation.h"
#include "base/cleanup.h"
#include "report/export_svg.h"

static enum lt_status write_picture(struct lt_run *run,
				    const struct lt_fragmentation *fragmentation)
{
	LT_CLEANUP(lt_text_deinit) struct lt_text picture = {0};
	lt_export_svg(&run->report, fragmentation, &picture);
	if (picture.failed)
		return lt_fail_memory(run->session);
	return lt_output_write(run->session, run->request->svg, lt_text_get(&picture),
			       picture.length);
}

static enum lt_status examine(struct lt_run *run, struct lt_subject *subject)
{
	LT_CLEANUP(lt_fragmentation_deinit) struct lt_fragmentation fragmentation = {0};
	LT_TRY(lt_fragmentation_read(subject, &fragmentation));
	LT_TRY(lt_run_subject_end(run, subject));
	if (run->request->svg != NULL)
		LT_TRY(write_picture(run, &fragmentation));
	lt_report_fragmentation(&run->report, &fragmentation, &run->out);
	return LT_OK;
}

enum lt_status lt_cmd_fragmentation(struct lt_run *run)
{
	struct lt_subject *subject = NULL;
	LT_TRY(lt_output_check(run->session, run->request->svg));
	LT_TRY(lt_run_subject(run, &subject));
	enum lt_status status = examine(run, subject);
	lt_subject_close(subject);
	return status;
}
