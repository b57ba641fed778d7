/*
 * trial.h: one run of a command, watched from outside: what it and its child processes have resident, how long
 * it takes, how it ends.
 *
 * The command runs in a process group of its own below a keeper, a fork of lowtide that adopts whatever is
 * orphaned. The keeper ends all of it when the command has ended, when the time is over, when the caller
 * wants to stop, and when lowtide itself is killed.
 */
#ifndef LT_ANALYSIS_TRIAL_H
#define LT_ANALYSIS_TRIAL_H

#include "base/session.h"

struct lt_variable {
	const char *name;
	const char *value;
};

struct lt_trial_options {
	char *const *command;                /* NULL-terminated; found through PATH */
	const struct lt_variable *variables; /* set on top of the environment of lowtide */
	size_t variable_count;
	const char *library;      /* path of what must be mapped then; NULL: nothing */
	unsigned seconds;         /* after which it is ended */
	bool silent;              /* its output goes nowhere, else to standard error */
	const volatile int *stop; /* not 0: end it now; NULL: never */
};

/* Plain data: it comes through a pipe. */
struct lt_trial {
	uint64_t
		peak_bytes; /* most resident at once: the sum over all processes, or the largest one's own peak */
	uint64_t
		final_bytes; /* resident in the last fifth of the run, the median; of a short run the most of its end */
	uint64_t elapsed_ns;
	uint32_t samples;
	uint32_t processes; /* most at once */
	int exit_code;      /* -1: it ended otherwise */
	int signal;         /* that ended it, 0: none */
	int exec_errno;     /* not 0: it could not be started */
	bool timed_out;
	bool stopped; /* by the caller */
	bool loaded;  /* the library was seen in one of its processes */
};

/* LT_E_INTERNAL: no process or pipe can be had. A command that fails or cannot be started is a result. */
LT_MUST_CHECK enum lt_status lt_trial_run(struct lt_session *session,
					  const struct lt_trial_options *options,
					  struct lt_trial *ret_trial);

#endif
