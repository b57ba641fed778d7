/*
 * probe_exec.h: when a process became another program by execve(2), to the nanosecond and before the new program has
 * run an instruction: a small program of the kernel's at its tracepoint sched_process_exec writes the time into a word
 * that lowtide reads without a system call. The PID stays, and so do probes in a file that both programs map: what they
 * tell from then on is not of the process that was looked at.
 */
#ifndef LT_TARGET_PROBE_EXEC_H
#define LT_TARGET_PROBE_EXEC_H

#include "target/probe_program.h"

#include <stdbool.h>

struct lt_probe_exec {
	const uint64_t *word; /* in memory of the kernel's; NULL: not watched */
	int map, program, link;
};

/*
 * From here on the first execve(2) of the plan's process is noted. False: the kernel does not offer it, and nothing is
 * held. Ends with the file descriptors, also when lowtide is killed.
 */
bool lt_probe_exec_init(const struct lt_probe_plan *plan, struct lt_probe_exec *ret_exec);
void lt_probe_exec_deinit(struct lt_probe_exec *exec); /* all zero is allowed */

/* When it was, CLOCK_MONOTONIC in ns; UINT64_MAX: not until now. */
uint64_t lt_probe_exec_at(const struct lt_probe_exec *exec);

#endif
