/*
 * helpers.h: the two processes that help lowtide while it touches a target: a guard, which traces, and a
 * janitor, which does nothing unless the guard dies before its work is done.
 *
 * Both are children of lowtide in sessions of their own with all signals blocked from their first instruction. The
 * guard ends when lowtide's end of the socket closes, the janitor when the guard's end of the pipe of notes does.
 */
#ifndef LT_TARGET_HELPERS_H
#define LT_TARGET_HELPERS_H

#include "base/session.h"

#include <sys/types.h>

struct lt_helpers {
	pid_t guard, janitor; /* 0: none */
	int socket;           /* to the guard, -1: none */
};

/* What they do, to the end of their process; `ctx` is their own copy. */
struct lt_helpers_work {
	void *ctx;
	void (*guard)(void *ctx, int socket, int notes);
	void (*janitor)(void *ctx, int notes);
};

LT_MUST_CHECK enum lt_status lt_helpers_start(struct lt_session *session,
					      const struct lt_helpers_work *work,
					      struct lt_helpers *ret_helpers);

/* Waits until both have ended. A second call does nothing. */
void lt_helpers_finish(struct lt_helpers *helpers);

/* A reply of exactly `size` bytes from the guard, *ret_fd: the descriptor that came with it. False: it has ended. */
bool lt_helpers_receive(const struct lt_helpers *helpers, void *reply, size_t size, int *ret_fd);

/* ---- In the helpers ---- */

/* No terminal, no job control, no standard streams, signals blocked, last to be killed for want of memory. */
void lt_helper_stand_apart(const char *name);

/* `fd` goes with it unless it is negative. */
bool lt_helper_send(int socket, const void *reply, size_t size, int fd);

/* True when lowtide has closed its end. */
bool lt_helper_left_alone(int socket);

void lt_helper_pause(unsigned ms);

#endif
