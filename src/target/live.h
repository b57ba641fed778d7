/*
 * live.h: the memory of a process that exists, running or stopped, read through the kernel.
 *
 * /proc/PID/mem comes first. process_vm_readv(2) is only the fallback: since Linux 5.19 it pins the
 * pages that it reads, and pinning un-shares each page that a fork shares, which would double the
 * memory of a forking service.
 */
#ifndef LT_TARGET_LIVE_H
#define LT_TARGET_LIVE_H

#include "base/session.h"
#include "target/memory.h"

#include <sys/types.h>

/* LT_E_GONE, or LT_E_PERMISSION with the remedy (permission.h). */
LT_MUST_CHECK enum lt_status lt_live_open(struct lt_session *session, pid_t pid,
					  struct lt_memory **ret_memory);

/*
 * A source over an open /proc/PID/mem, which it closes at the end (on failure too). For a caller that
 * got the descriptor in its own way.
 */
LT_MUST_CHECK enum lt_status lt_live_from_fd(struct lt_session *session, int fd,
					     struct lt_memory **ret_memory);

/* Through process_vm_readv(2) only: for systems without a usable /proc/PID/mem, and for tests. */
LT_MUST_CHECK enum lt_status lt_live_from_vm(struct lt_session *session, pid_t pid,
					     struct lt_memory **ret_memory);

#endif
