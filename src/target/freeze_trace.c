#include "target/freeze_trace.h"

#include "target/arch.h"
#include "target/freeze_guard.h"
#include "target/permission.h"
#include "target/proc.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

/* glibc's <sys/ptrace.h> and <linux/ptrace.h> do not go together. */
enum { EVENT_STOP = 128, OPTION_SUSPEND_SECCOMP = 1 << 21 };

enum {
	ROUNDS_MAX = 1000, /* signals delivered before one system call gets through */
	PASSES_MAX = 1000, /* looks at the list of threads until no new one is there */
	THREADS_MAX = 1 << 20,
	SEIZE_PATIENCE_US = 10000,
	RESTART_LAST = -512, /* -ERESTARTSYS .. -ERESTART_RESTARTBLOCK: never seen by user mode */
	RESTART_FIRST = -516,
};

static const uint64_t MS = 1000000;
static const uint64_t STOP_PATIENCE_NS = 2000 * 1000000ull; /* a loaded machine schedules late */
static const uint64_t SLICE_NS = 20 * 1000000ull; /* between looks whether a thread still lives */
static const uint64_t SLEEP_PATIENCE_NS =
	5 * 1000000ull; /* before a thread in state D is taken as it is */

enum stop {
	STOP_TRAP,    /* interrupted, or in a group-stop */
	STOP_SYSCALL, /* at the entry or the exit of a system call */
	STOP_CLONE,   /* has made a process */
	STOP_SIGNAL,  /* a signal is about to be delivered */
	STOP_GONE,
	STOP_LATE, /* not stopped until the deadline */
};

void lt_tracer_deinit(struct lt_tracer *tracer)
{
	lt_traced_threads_deinit(&tracer->threads);
}

static struct lt_traced *find(struct lt_tracer *tracer, pid_t tid)
{
	for (size_t i = 0; i < tracer->threads.count; i++)
		if (tracer->threads.data[i].tid == tid &&
		    tracer->threads.data[i].state != LT_TRACED_GONE)
			return &tracer->threads.data[i];
	return NULL;
}

/* Waits for a change of `tid`. 1: *ret_status holds, 0: none until the deadline, -1: not ours any more. */
static int await_status(pid_t tid, uint64_t deadline_ns, int *ret_status)
{
	sigset_t child;
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	for (;;) {
		pid_t got = waitpid(tid, ret_status, WNOHANG | __WALL);
		if (got == tid)
			return 1;
		if (got < 0 && errno != EINTR)
			return -1;
		uint64_t now = lt_now_ns();
		if (now >= deadline_ns)
			return 0;
		/* The signal of a change that came before this call is pending, so none is missed. */
		uint64_t left = deadline_ns - now < 10 * MS ? deadline_ns - now : 10 * MS;
		struct timespec wait = {0, (long)left};
		sigtimedwait(&child, NULL, &wait);
	}
}

static bool thread_state(pid_t pid, pid_t tid, char *ret_state)
{
	char path[80], text[1024];
	uint64_t state;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", (int)pid, (int)tid);
	if (!lt_proc_read(path, text, sizeof(text)) || !lt_proc_stat_field(text, 3, &state))
		return false;
	*ret_state = (char)state;
	return true;
}

/*
 * How `thread` stops next; *ret_signal: the signal of a STOP_SIGNAL. Keeps thread->state. The first thread of
 * a process in exec dies but is not reported before the other dead ones are waited for: it counts as gone
 * here and stays pending, so that the wait for it does not hold up theirs.
 */
static enum stop await_stop(const struct lt_tracer *tracer, struct lt_traced *thread,
			    uint64_t deadline_ns, int *ret_signal)
{
	int status = 0, got;
	for (;;) {
		uint64_t slice = lt_now_ns() + SLICE_NS;
		got = await_status(thread->tid, deadline_ns < slice ? deadline_ns : slice, &status);
		char state = 'X';
		if (got != 0)
			break;
		if (!thread_state(tracer->pid, thread->tid, &state) || state == 'Z' || state == 'X')
			return STOP_GONE;
		/* It stands, and nothing is to be reported of it: that was taken note of already. */
		if (state == 't') {
			got = await_status(thread->tid, 0, &status);
			if (got != 0)
				break;
			thread->state = LT_TRACED_STOPPED;
			return STOP_TRAP;
		}
		if (lt_now_ns() >= deadline_ns)
			return STOP_LATE;
	}
	if (got < 0 || WIFEXITED(status) || WIFSIGNALED(status)) {
		thread->state = LT_TRACED_GONE;
		return STOP_GONE;
	}
	thread->state = LT_TRACED_STOPPED;
	int event = status >> 16;
	int signal_number = WSTOPSIG(status);
	if (event == EVENT_STOP)
		return STOP_TRAP;
	if (event == PTRACE_EVENT_CLONE || event == PTRACE_EVENT_VFORK)
		return STOP_CLONE;
	if (event == 0 && signal_number == (SIGTRAP | 0x80))
		return STOP_SYSCALL;
	*ret_signal = event == 0 ? signal_number : 0;
	return STOP_SIGNAL;
}

/* Lets a stopped thread go on by `request`, with a signal or 0. */
static void resume(struct lt_traced *thread, enum __ptrace_request request, int signal_number)
{
	thread->state = LT_TRACED_PENDING;
	/* A failure means that it was killed: the next wait says so. */
	ptrace(request, thread->tid, NULL, (void *)(intptr_t)signal_number);
}

/* Waits for the trap of an interrupt; signals before it are delivered. */
static enum stop await_trap(struct lt_tracer *tracer, struct lt_traced *thread,
			    uint64_t deadline_ns)
{
	for (;;) {
		int signal_number = 0;
		enum stop stop = await_stop(tracer, thread, deadline_ns, &signal_number);
		if (stop == STOP_TRAP || stop == STOP_GONE || stop == STOP_LATE)
			return stop;
		tracer->signals += signal_number != 0;
		resume(thread, PTRACE_CONT, signal_number);
	}
}

static pid_t tracer_of(pid_t pid)
{
	char path[64], text[4096], value[32];
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	if (!lt_proc_read(path, text, sizeof(text)) ||
	    !lt_proc_field(text, "TracerPid", value, sizeof(value)))
		return 0;
	return (pid_t)strtol(value, NULL, 10);
}

/* All of them: a thread may have been born under trace that nobody told of before its maker died. */
static void reap_while_seizing(int number)
{
	(void)number;
	int saved = errno;
	siginfo_t info;
	do
		info.si_pid = 0;
	while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | __WALL) == 0 && info.si_pid != 0);
	errno = saved;
}

/*
 * PTRACE_SEIZE waits for an exec of the target to end, and an exec waits until the other threads are dead
 * and their tracer has taken note: with threads traced already each would wait for the other for ever. A
 * timer interrupts the seizing, its handler takes note, and the kernel seizes on.
 */
static bool seize(pid_t tid)
{
	const struct sigaction action = {.sa_handler = reap_while_seizing};
	const struct itimerval often = {{0, SEIZE_PATIENCE_US}, {0, SEIZE_PATIENCE_US}},
			       never = {0};
	sigset_t alarms;
	sigemptyset(&alarms);
	sigaddset(&alarms, SIGALRM);
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	sigprocmask(SIG_UNBLOCK, &alarms, NULL);
	bool done = ptrace(PTRACE_SEIZE, tid, NULL, NULL) == 0;
	int error = errno;
	sigprocmask(SIG_BLOCK, &alarms, NULL);
	setitimer(ITIMER_REAL, &never, NULL);
	errno = error;
	return done;
}

/* Attaches to a thread and tells it to stop. LT_E_GONE without a failure when there is none. */
static enum lt_status interrupt(struct lt_session *session, struct lt_tracer *tracer, pid_t tid)
{
	if (tracer->began_ns == 0)
		tracer->began_ns = lt_now_ns();
	struct lt_traced *thread = find(tracer, tid);
	if (thread != NULL) /* left pending by an earlier attempt: it is told already */
		return LT_OK;
	bool seized = seize(tid);
	/* A thread that was ending may have left its id to the one that did exec: ask once more. */
	if (!seized && errno == EPERM)
		seized = seize(tid);
	if (!seized) {
		int error = errno;
		char state = 'X';
		if (error == ESRCH || !thread_state(tracer->pid, tid, &state) || state == 'Z' ||
		    state == 'X')
			return LT_E_GONE;
		pid_t other = tracer_of(tid);
		if (other != 0 && other != getpid())
			return lt_freeze_refuse_traced(session, tracer->pid, other);
		return lt_permission_fail(session, tracer->pid, error, "stop");
	}
	if (!lt_traced_threads_push(&tracer->threads, (struct lt_traced){tid, LT_TRACED_PENDING})) {
		ptrace(PTRACE_INTERRUPT, tid, NULL, NULL);
		return lt_fail_memory(session);
	}
	ptrace(PTRACE_INTERRUPT, tid, NULL, NULL);
	return LT_OK;
}

/*
 * Of a thread that did exec under another id than the process's: it goes on under that of the process, and
 * is still ours.
 */
static void adopt_leader(struct lt_tracer *tracer)
{
	char state = 'X';
	struct lt_traced *leader = find(tracer, tracer->pid);
	if (tracer_of(tracer->pid) != getpid() || !thread_state(tracer->pid, tracer->pid, &state) ||
	    (leader != NULL && state == 't'))
		return;
	/* The exec may have come between the attaching and the interrupt. */
	ptrace(PTRACE_INTERRUPT, tracer->pid, NULL, NULL);
	if (leader != NULL)
		leader->state = LT_TRACED_PENDING;
	else if (!lt_traced_threads_push(&tracer->threads,
					 (struct lt_traced){tracer->pid, LT_TRACED_PENDING}))
		return; /* without memory it stays traced until the guard ends, which is soon */
}

enum lt_status lt_trace_stop(struct lt_session *session, struct lt_tracer *tracer, pid_t tid)
{
	LT_TRY(interrupt(session, tracer, tid));
	struct lt_traced *thread = find(tracer, tid);
	if (thread->state == LT_TRACED_STOPPED)
		return LT_OK;
	uint64_t start = lt_now_ns();
	for (;;) {
		switch (await_trap(tracer, thread, lt_now_ns() + SLEEP_PATIENCE_NS)) {
		case STOP_TRAP:
			return LT_OK;
		case STOP_GONE:
			adopt_leader(tracer);
			return LT_E_GONE;
		default:
			break;
		}
		char state = 'X';
		if (!thread_state(tracer->pid, tid, &state) || state == 'D' ||
		    lt_now_ns() - start > STOP_PATIENCE_NS)
			return LT_E_BUSY;
	}
}

/* One look at the list of threads. *ret_new: how many were not known. */
static enum lt_status interrupt_new(struct lt_session *session, struct lt_tracer *tracer,
				    size_t *ret_new)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/task", (int)tracer->pid);
	DIR *directory = opendir(path);
	if (directory == NULL && errno == ENOMEM)
		return lt_fail_memory(session);
	if (directory == NULL)
		return lt_fail(session, LT_E_GONE, "process %d ended", (int)tracer->pid);
	enum lt_status status = LT_OK;
	size_t found = 0;
	for (struct dirent *entry; status == LT_OK && (entry = readdir(directory)) != NULL;) {
		pid_t tid = (pid_t)strtol(entry->d_name, NULL, 10);
		if (tid <= 0 || find(tracer, tid) != NULL)
			continue;
		if (tracer->threads.count >= THREADS_MAX) {
			status = lt_fail(session, LT_E_BUSY, "process %d has too many threads",
					 (int)tracer->pid);
			break;
		}
		status = interrupt(session, tracer, tid);
		if (status == LT_E_GONE)
			status = LT_OK;
		else
			found++;
	}
	closedir(directory);
	*ret_new = found;
	return status;
}

enum lt_status lt_trace_stop_all(struct lt_session *session, struct lt_tracer *tracer)
{
	for (unsigned pass = 0; pass < PASSES_MAX; pass++) {
		size_t found = 0;
		LT_TRY(interrupt_new(session, tracer, &found));
		uint64_t start = lt_now_ns();
		bool late = true;
		while (late) {
			late = false;
			for (size_t i = 0; i < tracer->threads.count; i++) {
				struct lt_traced *thread = &tracer->threads.data[i];
				if (thread->state != LT_TRACED_PENDING)
					continue;
				uint64_t deadline = start + SLEEP_PATIENCE_NS;
				if (deadline < lt_now_ns() + MS)
					deadline = lt_now_ns() + MS;
				enum stop stop = await_trap(tracer, thread, deadline);
				if (stop == STOP_GONE)
					adopt_leader(tracer);
				char state = 'X';
				if (stop == STOP_LATE &&
				    thread_state(tracer->pid, thread->tid, &state) &&
				    state != 'D' && state != 'Z' && state != 'X')
					late = true;
			}
			if (late && lt_now_ns() - start > STOP_PATIENCE_NS)
				return lt_fail(session, LT_E_BUSY,
					       "a thread of process %d does not stop",
					       (int)tracer->pid);
		}
		/* Nobody who could start a thread ran since the last look: the list was complete. */
		if (found == 0 && pass > 0)
			return LT_OK;
	}
	return lt_fail(session, LT_E_BUSY,
		       "process %d starts threads faster than they can be stopped",
		       (int)tracer->pid);
}

/* Any signal that would be delivered now. */
static bool signal_waits(pid_t pid, pid_t tid)
{
	static const char *const names[] = {"SigPnd", "ShdPnd", "SigBlk"};
	char path[80], text[8192], value[64];
	uint64_t sets[3] = {0};
	snprintf(path, sizeof(path), "/proc/%d/task/%d/status", (int)pid, (int)tid);
	if (!lt_proc_read(path, text, sizeof(text)))
		return true;
	for (unsigned i = 0; i < 3; i++)
		if (lt_proc_field(text, names[i], value, sizeof(value)))
			sets[i] = strtoull(value, NULL, 16);
	return ((sets[0] | sets[1]) & ~sets[2]) != 0;
}

pid_t lt_trace_choose(struct lt_tracer *tracer, pid_t preferred)
{
	pid_t chosen = 0;
	for (size_t i = 0; i < tracer->threads.count; i++) {
		const struct lt_traced *thread = &tracer->threads.data[i];
		struct lt_arch_regs regs;
		if (thread->state != LT_TRACED_STOPPED || !lt_arch_get(thread->tid, &regs) ||
		    !lt_arch_supported(&regs))
			continue;
		if (chosen == 0 || thread->tid == preferred)
			chosen = thread->tid;
	}
	return chosen;
}

static bool restarts(int64_t result)
{
	return result >= RESTART_FIRST && result <= RESTART_LAST;
}

enum call { CALL_DONE, CALL_AGAIN, CALL_SIGNAL, CALL_GONE };

/* A stop of the whole process holds the new thread up: it is let go on. Its end is left for the wait for it. */
static void let_go_on(pid_t thread)
{
	siginfo_t info = {0};
	if (waitid(P_PID, (id_t)thread, &info, WSTOPPED | WNOHANG | __WALL) != 0 ||
	    info.si_pid != thread)
		return;
	int signal_number = info.si_status >> 8 == 0 ? info.si_status : 0;
	ptrace(PTRACE_CONT, thread, NULL, (void *)(intptr_t)signal_number);
}

/* One system call of a stopped thread. */
struct calling {
	const struct lt_tracer *tracer;
	struct lt_traced *thread;
	pid_t child; /* the process or thread that the call made, 0: none */
	/* Of a call that makes a thread, which is let go on, and may last: called now and then. NULL for others. */
	void (*late)(void *ctx, pid_t thread);
	void *ctx;
};

/* What the call made stands in its first stop. */
static void take_child(struct calling *calling)
{
	unsigned long message = 0;
	if (ptrace(PTRACE_GETEVENTMSG, calling->thread->tid, NULL, &message) == 0)
		calling->child = (pid_t)message;
	bool let_run = calling->late != NULL;
	if (let_run && (calling->child == 0 || !lt_trace_await_child(calling->child)))
		return;
	lt_freeze_step(LT_STEP_CLONED);
	if (let_run)
		ptrace(PTRACE_CONT, calling->child, NULL, NULL);
}

/* From the prepared registers to the exit of the call. */
static enum call run_call(struct calling *calling, int64_t *ret_result, int *ret_signal)
{
	struct lt_traced *thread = calling->thread;
	bool entered = false;
	resume(thread, PTRACE_SYSCALL, 0);
	for (;;) {
		struct lt_arch_regs regs;
		uint64_t deadline = calling->late != NULL ? lt_now_ns() + SLICE_NS : UINT64_MAX;
		switch (await_stop(calling->tracer, thread, deadline, ret_signal)) {
		case STOP_CLONE:
			take_child(calling);
			break;
		case STOP_SYSCALL:
			if (!entered) {
				entered = true;
				lt_freeze_step(LT_STEP_ENTERED);
				break;
			}
			if (!lt_arch_get(thread->tid, &regs))
				return CALL_GONE;
			*ret_result = lt_arch_result(&regs);
			return restarts(*ret_result) ? CALL_AGAIN : CALL_DONE;
		case STOP_SIGNAL:
			if (*ret_signal != 0)
				return CALL_SIGNAL;
			break;
		case STOP_GONE:
			return CALL_GONE;
		case STOP_LATE: /* it is still in the call */
			if (calling->child != 0 && calling->late != NULL) {
				let_go_on(calling->child);
				calling->late(calling->ctx, calling->child);
			}
			continue;
		case STOP_TRAP: /* an interrupt left over, or a group-stop: the thread may go on */
			break;
		}
		resume(thread, PTRACE_SYSCALL, 0);
	}
}

static bool at_insn(const struct lt_tracer *tracer, pid_t tid)
{
	errno = 0;
	long word = ptrace(PTRACE_PEEKTEXT, tid, (void *)(uintptr_t)tracer->insn, NULL);
	return errno == 0 && memcmp(&word, lt_arch_syscall_insn, lt_arch_syscall_insn_size) == 0;
}

/* A filter that does not know our call may kill the target for it. */
static bool has_seccomp_filter(pid_t pid, pid_t tid)
{
	char path[80], text[8192], value[32];
	snprintf(path, sizeof(path), "/proc/%d/task/%d/status", (int)pid, (int)tid);
	return lt_proc_read(path, text, sizeof(text)) &&
	       lt_proc_field(text, "Seccomp", value, sizeof(value)) &&
	       strtoul(value, NULL, 10) != 0;
}

static enum lt_status refuse_filtered(struct lt_session *session, pid_t pid)
{
	lt_fail(session, LT_E_PERMISSION,
		"process %d runs under a seccomp filter, which this user may not suspend",
		(int)pid);
	lt_remedy(session, "run lowtide as root of the host (CAP_SYS_ADMIN), or use --mode stop "
			   "(it stands while "
			   "it is read) or --mode live");
	return LT_E_PERMISSION;
}

enum lt_status lt_trace_call(struct lt_session *session, struct lt_tracer *tracer, pid_t tid,
			     long number, const uint64_t arguments[6], int64_t *ret_result,
			     pid_t *ret_child)
{
	struct calling calling = {.tracer = tracer, .thread = find(tracer, tid)};
	intptr_t options = PTRACE_O_TRACESYSGOOD | (ret_child != NULL ? PTRACE_O_TRACECLONE : 0);
	bool filtered = has_seccomp_filter(tracer->pid, tid);
	if (filtered)
		options |= OPTION_SUSPEND_SECCOMP;
	int64_t result = 0;
	if (calling.thread == NULL || calling.thread->state != LT_TRACED_STOPPED)
		return lt_fail(session, LT_E_INTERNAL,
			       "a system call was asked of a thread that runs");
	for (unsigned round = 0; round < ROUNDS_MAX; round++) {
		struct lt_arch_regs saved, changed;
		if (!lt_arch_get(tid, &saved))
			break;
		if (!lt_arch_supported(&saved))
			return lt_fail(session, LT_E_NOT_PYTHON, "process %d runs 32-bit code",
				       (int)tracer->pid);
		if (!at_insn(tracer, tid))
			return lt_fail(session, LT_E_GONE, "process %d runs another program now",
				       (int)tracer->pid);
		changed = saved;
		lt_arch_prepare(&changed, tracer->insn, number, arguments);
		/* The options stand only while the thread does our call: its own children are never ours. */
		if (ptrace(PTRACE_SETOPTIONS, tid, NULL, (void *)options) != 0) {
			if (filtered && (errno == EPERM || errno == EINVAL))
				return refuse_filtered(session, tracer->pid);
			break;
		}
		if (!lt_arch_set(tid, &changed))
			break;
		lt_freeze_step(LT_STEP_INJECTED);

		int signal_number = 0;
		enum call call = run_call(&calling, &result, &signal_number);
		if (call == CALL_GONE)
			break;
		lt_arch_set(tid, &saved);
		ptrace(PTRACE_SETOPTIONS, tid, NULL, NULL);
		if (call == CALL_DONE) {
			lt_freeze_step(LT_STEP_RESTORED);
			if (ret_child != NULL)
				*ret_child = calling.child;
			*ret_result = result;
			return LT_OK;
		}
		if (call == CALL_SIGNAL) {
			/* It finds the registers as they were; the interrupt traps before its handler runs. */
			tracer->signals++;
			ptrace(PTRACE_INTERRUPT, tid, NULL, NULL);
			resume(calling.thread, PTRACE_CONT, signal_number);
			if (await_trap(tracer, calling.thread, UINT64_MAX) == STOP_GONE)
				break;
		}
	}
	if (ret_child != NULL && calling.child != 0)
		*ret_child = calling.child;
	return lt_fail(session, LT_E_GONE, "process %d ended", (int)tracer->pid);
}

static void let_go(struct lt_tracer *tracer, struct lt_traced *thread)
{
	struct lt_arch_regs regs;
	if (lt_arch_get(thread->tid, &regs) && lt_arch_redo(&regs) &&
	    !signal_waits(tracer->pid, thread->tid))
		lt_arch_set(thread->tid, &regs);
	/* The kernel looks for pending signals on the way back, and so restarts what was interrupted. */
	if (ptrace(PTRACE_DETACH, thread->tid, NULL, NULL) == 0)
		thread->state = LT_TRACED_GONE;
	else
		thread->state = LT_TRACED_PENDING;
}

/* ---- A thread of our own in the target ---- */

bool lt_trace_mask(pid_t tid, uint64_t *ret_mask)
{
	return ptrace(PTRACE_GETSIGMASK, tid, (void *)sizeof(*ret_mask), ret_mask) == 0;
}

static bool set_mask(pid_t tid, uint64_t mask)
{
	return ptrace(PTRACE_SETSIGMASK, tid, (void *)sizeof(mask), &mask) == 0;
}

bool lt_trace_spawn_ended(pid_t thread, int *ret_code)
{
	int status;
	for (;;) {
		pid_t got = waitpid(thread, &status, WNOHANG | __WALL);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 || (got == thread && !WIFSTOPPED(status))) {
			*ret_code = got == thread && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
			return true;
		}
		if (got == 0)
			return false;
		/* SIGSTOP cannot be blocked and is the whole process's; other stops are of ptrace. */
		int signal_number = status >> 16 == 0 ? WSTOPSIG(status) : 0;
		ptrace(PTRACE_CONT, thread, NULL, (void *)(intptr_t)signal_number);
	}
}

enum lt_status lt_trace_spawn(struct lt_session *session, struct lt_tracer *tracer, pid_t tid,
			      lt_addr insn, const uint64_t arguments[6], lt_addr frame,
			      void (*late)(void *ctx, pid_t thread), void *ctx, int64_t *ret_result,
			      pid_t *ret_thread)
{
	struct calling spawning = {
		.tracer = tracer, .thread = find(tracer, tid), .late = late, .ctx = ctx};
	intptr_t options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEVFORK;
	bool filtered = has_seccomp_filter(tracer->pid, tid);
	uint64_t mask = 0;
	if (filtered)
		options |= OPTION_SUSPEND_SECCOMP;
	if (spawning.thread == NULL || spawning.thread->state != LT_TRACED_STOPPED)
		return lt_fail(session, LT_E_INTERNAL, "a thread was asked of one that runs");
	const struct lt_tracer at = {.pid = tracer->pid, .insn = insn};
	for (unsigned round = 0; round < ROUNDS_MAX; round++) {
		struct lt_arch_regs saved, changed;
		if (!lt_arch_get(tid, &saved) || !lt_trace_mask(tid, &mask))
			break;
		if (!at_insn(&at, tid))
			return lt_fail(session, LT_E_GONE, "process %d runs another program now",
				       (int)tracer->pid);
		changed = saved;
		lt_arch_prepare(&changed, insn, SYS_clone, arguments);
		lt_arch_set_sp(&changed, frame);
		if (ptrace(PTRACE_SETOPTIONS, tid, NULL, (void *)options) != 0) {
			if (filtered && (errno == EPERM || errno == EINVAL))
				return refuse_filtered(session, tracer->pid);
			break;
		}
		if (!lt_arch_set(tid, &changed) || !set_mask(tid, UINT64_MAX))
			break;
		lt_freeze_step(LT_STEP_INJECTED);

		int signal_number = 0;
		enum call call = run_call(&spawning, ret_result, &signal_number);
		if (call == CALL_GONE)
			break;
		lt_arch_set(tid, &saved);
		set_mask(tid, mask);
		ptrace(PTRACE_SETOPTIONS, tid, NULL, NULL);
		if (call == CALL_DONE) {
			lt_freeze_step(LT_STEP_RESTORED);
			*ret_thread = spawning.child;
			return LT_OK;
		}
		if (call == CALL_SIGNAL) {
			tracer->signals++;
			ptrace(PTRACE_INTERRUPT, tid, NULL, NULL);
			resume(spawning.thread, PTRACE_CONT, signal_number);
			if (await_trap(tracer, spawning.thread, UINT64_MAX) == STOP_GONE)
				break;
			/* Its registers are others now, the frame in the target is not. */
			return LT_E_BUSY;
		}
	}
	*ret_thread = spawning.child;
	return lt_fail(session, LT_E_GONE, "process %d ended", (int)tracer->pid);
}

void lt_trace_release_others(struct lt_tracer *tracer, pid_t but)
{
	for (size_t i = 0; i < tracer->threads.count; i++)
		if (tracer->threads.data[i].state == LT_TRACED_STOPPED &&
		    tracer->threads.data[i].tid != but)
			let_go(tracer, &tracer->threads.data[i]);
}

static void drop_gone(struct lt_tracer *tracer)
{
	size_t kept = 0;
	for (size_t i = 0; i < tracer->threads.count; i++)
		if (tracer->threads.data[i].state != LT_TRACED_GONE)
			tracer->threads.data[kept++] = tracer->threads.data[i];
	tracer->threads.count = kept;
}

void lt_trace_release(struct lt_tracer *tracer)
{
	for (size_t i = 0; i < tracer->threads.count; i++)
		if (tracer->threads.data[i].state == LT_TRACED_STOPPED)
			let_go(tracer, &tracer->threads.data[i]);
	if (tracer->began_ns != 0)
		tracer->stalled_ns += lt_now_ns() - tracer->began_ns;
	tracer->began_ns = 0;
	drop_gone(tracer);
	lt_trace_sweep(tracer);
}

bool lt_trace_sweep(struct lt_tracer *tracer)
{
	for (size_t i = 0; i < tracer->threads.count; i++) {
		struct lt_traced *thread = &tracer->threads.data[i];
		if (thread->state == LT_TRACED_PENDING) {
			switch (await_trap(tracer, thread, 0)) {
			case STOP_TRAP:
				let_go(tracer, thread);
				break;
			case STOP_GONE:
				adopt_leader(tracer);
				break;
			default:
				break;
			}
		}
	}
	drop_gone(tracer);
	return tracer->threads.count > 0;
}

bool lt_trace_await_child(pid_t child)
{
	int status = 0;
	int got = await_status(child, UINT64_MAX, &status);
	return got > 0 && WIFSTOPPED(status);
}

bool lt_trace_fork(pid_t maker, lt_addr insn, const uint64_t arguments[6], int *ret_error,
		   pid_t *ret_child)
{
	const struct lt_tracer tracer = {.pid = maker, .insn = insn};
	struct lt_traced process = {maker, LT_TRACED_STOPPED};
	intptr_t options = PTRACE_O_EXITKILL | PTRACE_O_TRACECLONE | PTRACE_O_TRACESYSGOOD;
	if (has_seccomp_filter(maker, maker))
		options |= OPTION_SUSPEND_SECCOMP;
	if (ptrace(PTRACE_SETOPTIONS, maker, NULL, (void *)options) != 0)
		return false;
	lt_freeze_step(LT_STEP_MAKER_HELD);
	for (unsigned round = 0; round < ROUNDS_MAX; round++) {
		struct lt_arch_regs regs;
		if (!lt_arch_get(maker, &regs))
			return false;
		lt_arch_prepare(&regs, insn, SYS_clone, arguments);
		if (!lt_arch_set(maker, &regs))
			return false;
		bool entered = false, again = false;
		while (!again) {
			unsigned long message = 0;
			int signal_number = 0;
			/* Signals are the target's: it has its own of those sent to its group. */
			resume(&process, PTRACE_SYSCALL, 0);
			switch (await_stop(&tracer, &process, UINT64_MAX, &signal_number)) {
			case STOP_CLONE:
				if (ptrace(PTRACE_GETEVENTMSG, maker, NULL, &message) != 0)
					return false;
				*ret_child = (pid_t)message;
				return true;
			case STOP_SYSCALL:
				if (!entered) {
					entered = true;
					break;
				}
				if (!lt_arch_get(maker, &regs))
					return false;
				again = restarts(lt_arch_result(&regs));
				if (again)
					break;
				*ret_error = (int)-lt_arch_result(&regs);
				return true;
			case STOP_GONE:
				return false;
			default:
				break;
			}
		}
	}
	*ret_error = EAGAIN;
	return true;
}

/* Less is better: 0 waits and notices nothing, 1 runs or waits for a processor, 2 would see EINTR, 3 cannot stop now. */
static unsigned cost(pid_t pid, pid_t tid)
{
	char path[80], text[512], state = 'D';
	if (!thread_state(pid, tid, &state) || state == 'D' || state == 'Z' || state == 'X')
		return 3;
	if (state == 'R')
		return 1;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/syscall", (int)pid, (int)tid);
	if (!lt_proc_read(path, text, sizeof(text)))
		return 0;
	char *end;
	long number = strtol(text, &end, 10);
	if (end == text)
		return 1; /* "running" */
	uint64_t arguments[6] = {0};
	for (unsigned i = 0; i < 6; i++)
		arguments[i] = strtoull(end, &end, 16);
	return lt_arch_touchy(number, arguments) ? 2 : 0;
}

pid_t lt_trace_quietest(pid_t pid, pid_t preferred)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	DIR *directory = opendir(path);
	if (directory == NULL)
		return 0;
	pid_t best = 0;
	unsigned best_cost = 4;
	for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
		pid_t tid = (pid_t)strtol(entry->d_name, NULL, 10);
		if (tid <= 0)
			continue;
		unsigned own = cost(pid, tid);
		if (own < best_cost || (own == best_cost && tid == preferred)) {
			best = tid;
			best_cost = own;
		}
	}
	closedir(directory);
	return best;
}
