#include "cli/run.h"

#include "analysis/subject.h"

#include <string.h>

enum lt_status lt_run_subject(struct lt_run *run, struct lt_subject **ret_subject)
{
	const struct lt_look_options options = {
		.mode = run->request->mode,
		.ignore_headroom = run->request->ignore_headroom,
	};
	return lt_subject_open(run->session, run->request->operand, &options, ret_subject);
}

static char *copy(const char *string)
{
	return strdup(string == NULL ? "" : string);
}

enum lt_status lt_run_subject_end(struct lt_run *run, struct lt_subject *subject)
{
	lt_subject_end(subject);
	run->identity = subject->identity;
	run->identity.command_line = copy(subject->identity.command_line);
	run->identity.executable = copy(subject->identity.executable);
	run->report.identity = &run->identity;
	run->report.cost = subject->cost;
	if (run->identity.command_line == NULL || run->identity.executable == NULL)
		return lt_fail_memory(run->session);
	return LT_OK;
}

void lt_run_deinit(struct lt_run *run)
{
	lt_text_deinit(&run->out);
	lt_identity_deinit(&run->identity);
}
