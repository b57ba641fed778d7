#include "cli/run.h"

#include <string.h>

enum lt_status lt_run_look(struct lt_run *run, struct lt_look **ret_look)
{
	const struct lt_look_options options = {
		.mode = run->request->mode,
		.ignore_headroom = run->request->ignore_headroom,
	};
	return lt_look_open(run->session, run->request->pid, &options, ret_look);
}

static char *copy(const char *string)
{
	return strdup(string == NULL ? "" : string);
}

enum lt_status lt_run_look_end(struct lt_run *run, struct lt_look *look)
{
	lt_look_end(look);
	run->identity = look->identity;
	run->identity.command_line = copy(look->identity.command_line);
	run->identity.executable = copy(look->identity.executable);
	run->report.identity = &run->identity;
	run->report.cost = look->cost;
	if (run->identity.command_line == NULL || run->identity.executable == NULL)
		return lt_fail_memory(run->session);
	return LT_OK;
}

void lt_run_deinit(struct lt_run *run)
{
	lt_text_deinit(&run->out);
	lt_identity_deinit(&run->identity);
}
