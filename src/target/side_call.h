/*
 * side_call.h: one function of the target's C library, called in the target on a thread of its own.
 *
 * No thread of the target runs foreign code: one of them does two short system calls, a mapping for a stack and a
 * clone(2) at the very instruction where the C library's clone() has its own. What begins there is an ordinary thread
 * of the process, which takes function and argument from its stack, calls it and ends, whoever lives by then. It
 * blocks all signals and has a thread pointer of its own, so errno is nobody else's. Afterwards the mapping goes.
 *
 * Two ways: beside the target, which runs on, where the function takes the locks that others take too; or alone, while
 * every thread stands: those that others trace as usual, the one that makes the call by CLONE_VFORK, so that it
 * stands even when the guard is killed (docs/trim.md).
 */
#ifndef LT_TARGET_SIDE_CALL_H
#define LT_TARGET_SIDE_CALL_H

#include "base/session.h"
#include "target/arch.h"
#include "target/memory.h"
#include "target/process.h"

/* The steps, in order; tests let lowtide or the guard die at each. */
#define LT_SIDE_STEPS(X)                                                                           \
	X(STARTED, started)                                                                        \
	X(STOPPED, stopped)                                                                        \
	X(MAPPED, mapped)                                                                          \
	X(WRITTEN, written)                                                                        \
	X(SPAWNED, spawned)                                                                        \
	X(RELEASED, released)                                                                      \
	X(ENDED, ended)                                                                            \
	X(UNMAPPED, unmapped)                                                                      \
	X(FINISHED, finished)

enum lt_side_step {
#define X(upper, lower) LT_SIDE_##upper,
	LT_SIDE_STEPS(X)
#undef X
};

/* Called in the guard at each step; NULL outside tests. */
extern void (*lt_side_hook)(enum lt_side_step step);

/* How long lowtide waits for the end of a call beside the target; only tests change it. */
extern uint64_t lt_side_patience_ns;

struct lt_side_thread {
	pid_t tid;
	bool stands; /* false: in an uninterruptible wait, nothing else is known */
	struct lt_arch_place place;
};

enum lt_side_verdict {
	LT_SIDE_BESIDE, /* the function may run beside the target's threads */
	LT_SIDE_ALONE,  /* it may run now, while all of them stand */
	LT_SIDE_ALL,    /* only one stands: stop all and ask again */
	LT_SIDE_LATER,  /* not now */
};

/*
 * Asked in the guard while threads stand: one of them, or with `all` every one. `memory` is the live one. *ret_why:
 * for LT_SIDE_LATER a phrase ("a thread is inside malloc").
 */
struct lt_side_probe {
	void *ctx;
	enum lt_side_verdict (*ready)(void *ctx, struct lt_session *session,
				      struct lt_process *process, struct lt_memory *memory,
				      const struct lt_side_thread *threads, size_t count, bool all,
				      const char **ret_why);
};

enum { LT_SIDE_DATA_MAX = 4096, LT_SIDE_TEXT_MAX = 64 };

struct lt_side_call {
	lt_addr function;
	uint64_t argument; /* the only one, unless there is a text */
	lt_addr insn;      /* lt_arch_thread_insn(), in the target */
	lt_addr back;      /* what follows there when the function has returned */
	lt_addr restorer;  /* lt_arch_restorer, in the target */
	/* A string that is the first of five arguments, the others 0; "": a call with one. */
	char text[LT_SIDE_TEXT_MAX];
	/* Thread-local data that the new thread has, so far from its thread pointer (below it). */
	int64_t data_at;
	size_t data_size;
	uint8_t data[LT_SIDE_DATA_MAX];
};

struct lt_side_outcome {
	uint64_t stall_ns; /* how long threads of the target stood */
	uint64_t call_ns;  /* how long the function ran */
	unsigned attempts; /* stops until it was safe */
	bool beside;       /* the target ran on meanwhile */
	bool finished; /* false: it had not ended when lowtide's patience did; it goes on by itself */
	int code;      /* the lowest byte of what it returned */
};

/*
 * LT_E_BUSY: it was not safe at any attempt (the sentence says why), or the target has no room for a mapping or a thread. The
 * target is then as it was. LT_E_PERMISSION, LT_E_GONE as usual.
 */
LT_MUST_CHECK enum lt_status lt_side_call(struct lt_session *session, struct lt_process *process,
					  const struct lt_side_call *call,
					  const struct lt_side_probe *probe,
					  struct lt_side_outcome *ret_outcome);

#endif
