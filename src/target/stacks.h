/*
 * stacks.h: where the C stacks of a process' threads lie.
 */
#ifndef LT_TARGET_STACKS_H
#define LT_TARGET_STACKS_H

#include "base/vec.h"
#include "target/process.h"

struct lt_stack {
	pid_t tid; /* as lowtide's own PID namespace knows it */
	lt_addr pointer,
		end; /* the part in use: from the stack pointer to the end of the mapping */
};
LT_VEC(lt_stacks, struct lt_stack);

/*
 * The stacks of all threads whose stack pointer the kernel tells (/proc/PID/task/TID/syscall): of those
 * that wait in a system call or stand still, and not of those that run at this moment. Where it points
 * now is not quite where it pointed at the freeze: a page below it is added.
 */
LT_MUST_CHECK enum lt_status lt_stacks_read(struct lt_session *session,
					    const struct lt_process *process,
					    struct lt_stacks *ret_stacks);

#endif
