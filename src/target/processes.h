/*
 * processes.h: the processes that this system shows.
 */
#ifndef LT_TARGET_PROCESSES_H
#define LT_TARGET_PROCESSES_H

#include "base/session.h"
#include "base/vec.h"

#include <sys/types.h>

LT_VEC(lt_pids, pid_t);

/* The PIDs in /proc, ascending, kernel threads and zombies left out where that can be told cheaply. */
LT_MUST_CHECK enum lt_status lt_processes_list(struct lt_session *session,
					       struct lt_pids *ret_pids);

#endif
