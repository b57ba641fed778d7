/*
 * permission.h: why a process may not be looked at, and the exact thing to do about it.
 */
#ifndef LT_TARGET_PERMISSION_H
#define LT_TARGET_PERMISSION_H

#include "base/session.h"

#include <sys/types.h>

/* What the answer rests on. */
struct lt_permission {
	pid_t pid;
	bool target_known; /* target_uid holds */
	uid_t target_uid;
	uid_t own_uid;             /* effective */
	bool has_ptrace_cap;       /* CAP_SYS_PTRACE is in lowtide's effective set */
	int ptrace_scope;          /* of the Yama security module, -1: the kernel has none */
	bool in_container;         /* lowtide itself runs in one */
	bool other_user_namespace; /* the target lives in a user namespace that is not lowtide's */
};

/* Reads the facts from /proc. */
void lt_permission_collect(pid_t pid, struct lt_permission *ret_facts);

/*
 * Fails with LT_E_PERMISSION, a sentence and the remedy. `action`: "read the memory of", "stop". Always
 * returns LT_E_PERMISSION.
 */
enum lt_status lt_permission_explain(struct lt_session *session, const struct lt_permission *facts,
				     const char *action);

/*
 * The failure for `error`, the errno of an access to the process: LT_E_GONE when it does not exist or
 * is a zombie, LT_E_PERMISSION for EPERM and EACCES, else LT_E_READ with the errno's text.
 */
enum lt_status lt_permission_fail(struct lt_session *session, pid_t pid, int error,
				  const char *action);

#endif
