/*
 * freeze_guard.h: the two helper processes of a freeze, and what they say to each other.
 *
 * The guard traces: it has the frozen copy made, holds it, and at the end kills and reaps it. It is a child
 * of lowtide in a session of its own with all signals blocked, and it reads its end when lowtide's end of
 * the socket closes, however lowtide ends. The janitor does nothing unless the guard dies before its
 * work is done: then it reaps the child, which the kernel has killed with the guard (PTRACE_O_EXITKILL).
 */
#ifndef LT_TARGET_FREEZE_GUARD_H
#define LT_TARGET_FREEZE_GUARD_H

#include "target/freeze.h"

/*
 * The steps of a freeze, in order. Tests let lowtide or the guard die at each. The guard may not die
 * between `injected` and `restored`: for the time of one system call a thread of the target has
 * other registers than its own (docs/freeze.md).
 */
#define LT_FREEZE_STEPS(X)                                                                         \
	X(STARTED, started)                                                                        \
	X(STOPPED, stopped)                                                                        \
	X(ANNOUNCED, announced)                                                                    \
	X(INJECTED, injected)                                                                      \
	X(ENTERED, entered)                                                                        \
	X(CLONED, cloned)                                                                          \
	X(RESTORED, restored)                                                                      \
	X(MAKER_HELD, maker_held)                                                                  \
	X(COPIED, copied)                                                                          \
	X(RELEASED, released)                                                                      \
	X(HELD, held)                                                                              \
	X(OPENED, opened)                                                                          \
	X(GIVEN, given)                                                                            \
	X(ASKED, asked)                                                                            \
	X(KILLED, killed)                                                                          \
	X(REAP_STOPPED, reap_stopped)                                                              \
	X(REAPED, reaped)                                                                          \
	X(FINISHED, finished)

enum lt_freeze_step {
#define X(upper, lower) LT_STEP_##upper,
	LT_FREEZE_STEPS(X)
#undef X
};

/* Called in the guard at each step; NULL outside tests. */
extern void (*lt_freeze_hook)(enum lt_freeze_step step);

void lt_freeze_step(enum lt_freeze_step step);

/* What the guard sends, with the descriptor of the memory when the status is LT_OK. */
struct lt_guard_reply {
	enum lt_status status;
	int saved_errno;
	unsigned retries;
	uint64_t stall_ns;
	pid_t child; /* of LT_MODE_FORK, as lowtide sees it */
	char message[512];
	char remedy[512];
	char warning[512]; /* "" for none */
};

/* What the guard tells the janitor. */
struct lt_guard_note {
	bool done;           /* nothing is left to clean up */
	uint64_t start_time; /* a child is not older, in clock ticks since boot */
};

struct lt_guard {
	struct lt_session *session;          /* the guard's own copy */
	struct lt_process *process;          /* a copy too: it may be read anew */
	const struct lt_freeze_probe *probe; /* NULL: nothing is known of the inside */
	struct lt_memory *live;              /* for the probe, NULL without one */
	enum lt_mode mode;
	unsigned attempts;
	lt_addr insn;
	int socket; /* to lowtide */
	int notes;  /* to the janitor */
};

/* These two run to the end of their process and call _exit(2). */
_Noreturn void lt_guard_run(struct lt_guard *guard);
_Noreturn void lt_janitor_run(struct lt_session *session, struct lt_process *process, lt_addr insn,
			      int notes);

/* LT_E_PERMISSION: `tracer` traces the process already. */
enum lt_status lt_freeze_refuse_traced(struct lt_session *session, pid_t pid, pid_t tracer);

/* A system call instruction in the target: in its vdso, or else in any code. */
LT_MUST_CHECK enum lt_status lt_freeze_find_insn(struct lt_session *session,
						 const struct lt_process *process,
						 lt_addr *ret_insn);

/*
 * Lets the target reap the processes of the given ids (in the target's own PID namespace, at most two, 0: none),
 * through `preferred` if that thread can. False: it could not be done.
 */
bool lt_freeze_reap(struct lt_session *session, struct lt_process *process, lt_addr insn,
		    const pid_t inside[2], pid_t preferred, uint64_t *ret_stall_ns);

#endif
