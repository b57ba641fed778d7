/*
 * freeze_trace.h: threads of the target under ptrace: stop them, let them do one system call, let them go.
 *
 * Only the guard uses this (freeze_guard.h). Nothing is written into the target's memory. Signals that
 * come while a thread stands are delivered in their time; a target that job control has stopped stays
 * stopped. The caller has SIGCHLD blocked and at its default.
 */
#ifndef LT_TARGET_FREEZE_TRACE_H
#define LT_TARGET_FREEZE_TRACE_H

#include "base/session.h"
#include "base/vec.h"
#include "target/memory.h"

#include <sys/types.h>

enum lt_traced_state {
	LT_TRACED_PENDING, /* told to stop, not seen to stand: it will trap before it runs on in user mode */
	LT_TRACED_STOPPED,
	LT_TRACED_GONE,
};

struct lt_traced {
	pid_t tid;
	enum lt_traced_state state;
};
LT_VEC(lt_traced_threads, struct lt_traced);

struct lt_tracer {
	pid_t pid;
	lt_addr insn; /* a system call instruction in the target */
	struct lt_traced_threads threads;
	uint64_t began_ns;   /* first interrupt of the stop that lasts, 0: none lasts */
	uint64_t stalled_ns; /* sum of all stops that have ended */
	uint64_t signals;    /* delivered while a thread stood */
};

void lt_tracer_deinit(struct lt_tracer *tracer);

/*
 * Stops one thread. LT_E_GONE: it has ended (not a failure in the session). LT_E_BUSY: it did not stop in
 * time (an uninterruptible wait). LT_E_PERMISSION.
 */
LT_MUST_CHECK enum lt_status lt_trace_stop(struct lt_session *session, struct lt_tracer *tracer,
					   pid_t tid);

/*
 * Stops every thread, also those that start meanwhile. A thread in an uninterruptible wait counts as
 * stopped: it cannot get back to user mode.
 */
LT_MUST_CHECK enum lt_status lt_trace_stop_all(struct lt_session *session,
					       struct lt_tracer *tracer);

/* A thread that stands and can do a system call, `preferred` if that can; 0: none. */
pid_t lt_trace_choose(struct lt_tracer *tracer, pid_t preferred);

/*
 * Lets a stopped thread do one system call and puts its registers back. *ret_result: what the kernel
 * returned. When ret_child is not NULL a process that the call makes is traced from its birth;
 * *ret_child is its id as the guard sees it, 0 for none. LT_E_GONE: the thread died.
 */
LT_MUST_CHECK enum lt_status lt_trace_call(struct lt_session *session, struct lt_tracer *tracer,
					   pid_t tid, long number, const uint64_t arguments[6],
					   int64_t *ret_result, pid_t *ret_child);

/*
 * Lets a stopped thread start a thread of the target's own at `insn` (lt_arch_thread_insn()), with all signals blocked
 * in both; registers and mask are put back when the clone has returned. With CLONE_VFORK among the flags that is
 * when the new thread has ended. `frame` (lt_arch_frame()) is what brings the thread back should the
 * caller die meanwhile. The new thread is traced and runs; *ret_thread is its id, 0 when the kernel refused
 * with *ret_result. `late`, never NULL, is called now and then while the clone lasts.
 */
LT_MUST_CHECK enum lt_status lt_trace_spawn(struct lt_session *session, struct lt_tracer *tracer,
					    pid_t tid, lt_addr insn, const uint64_t arguments[6],
					    lt_addr frame, void (*late)(void *ctx, pid_t thread),
					    void *ctx, int64_t *ret_result, pid_t *ret_thread);

/* Whether such a thread has ended; one that a stop of the whole process holds up is let go on. */
bool lt_trace_spawn_ended(pid_t thread, int *ret_code);

/* Signals that a stopped thread blocks. False: it is gone. */
bool lt_trace_mask(pid_t tid, uint64_t *ret_mask);

/* Lets one stopped thread go; the stop of the others lasts. */
void lt_trace_release_others(struct lt_tracer *tracer, pid_t but);

/* Lets every stopped thread go. Those still pending are looked after by lt_trace_sweep(). */
void lt_trace_release(struct lt_tracer *tracer);

/* Lets pending threads go that have stopped by now. True while some are left. */
bool lt_trace_sweep(struct lt_tracer *tracer);

/*
 * Waits until a process born under trace stands in its first stop. False: it died. It is reaped then.
 */
bool lt_trace_await_child(pid_t child);

/*
 * Lets a process born under trace, which stands and is not needed afterwards, do one clone. Both are bound to
 * the life of the caller. Returns as soon as the copy is made, the process still in its call. *ret_child: the
 * copy, 0 when the kernel refused with *ret_error (an errno). False: the process died.
 */
bool lt_trace_fork(pid_t maker, lt_addr insn, const uint64_t arguments[6], int *ret_error,
		   pid_t *ret_child);

/* A thread of the target whose interruption costs the target least; 0: the target is gone. */
pid_t lt_trace_quietest(pid_t pid, pid_t preferred);

#endif
