#include "target/freeze_guard.h"

#include "base/cleanup.h"
#include "target/arch.h"
#include "target/freeze_trace.h"
#include "target/helpers.h"
#include "target/proc.h"

#include <errno.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

enum {
	ATTEMPTS_DEFAULT = 40,
	PAUSE_FIRST_MS = 1,
	PAUSE_LAST_MS = 250,
	HOLDER_ATTEMPTS =
		8, /* times that the holder of the GIL may slip away before all threads are stopped */
	REAP_ATTEMPTS = 200,
	LATE_ATTEMPTS = 20, /* looks of the janitor for a copy that the guard had announced */
	SWEEP_MS = 1,       /* a thread that was pending and stands by now waits so long */
	WATCH_MS = 200, /* how often a kernel without pidfds is asked whether the target lives */
};

void (*lt_freeze_hook)(enum lt_freeze_step step);

void lt_freeze_step(enum lt_freeze_step step)
{
	if (lt_freeze_hook != NULL)
		lt_freeze_hook(step);
}

/* A pause in which threads that were told to stop, and do so late, are let go at once. */
static void pause_sweeping(struct lt_tracer *tracer, unsigned ms)
{
	uint64_t end = lt_now_ns() + (uint64_t)ms * 1000000u;
	while (lt_trace_sweep(tracer) && lt_now_ns() < end)
		lt_helper_pause(SWEEP_MS);
	uint64_t now = lt_now_ns();
	if (now < end)
		lt_helper_pause((unsigned)((end - now) / 1000000u));
}

static uint64_t ticks_now(void)
{
	struct timespec now;
	long ticks = sysconf(_SC_CLK_TCK);
	if (clock_gettime(CLOCK_BOOTTIME, &now) != 0 || ticks <= 0)
		return 0;
	return (uint64_t)now.tv_sec * (uint64_t)ticks +
	       (uint64_t)now.tv_nsec * (uint64_t)ticks / 1000000000u;
}

static void note(const struct lt_guard *guard, bool done)
{
	struct lt_guard_note text = {.done = done, .start_time = ticks_now()};
	if (write(guard->notes, &text, sizeof(text)) < 0) {
		/* The janitor died: then the guard is alone, as it would be without one. */
	}
}

static bool send_reply(const struct lt_guard *guard, const struct lt_guard_reply *reply, int fd)
{
	return lt_helper_send(guard->socket, reply, sizeof(*reply), fd);
}

static struct lt_guard_reply make_reply(const struct lt_session *session, enum lt_status status)
{
	struct lt_guard_reply reply = {.status = status, .saved_errno = session->saved_errno};
	snprintf(reply.message, sizeof(reply.message), "%s", session->message);
	snprintf(reply.remedy, sizeof(reply.remedy), "%s", session->remedy);
	return reply;
}

/* --- the way to a stop ------------------------------------------------------------------------- */

static bool collecting(const struct lt_guard *guard)
{
	return guard->probe != NULL && guard->probe->collecting != NULL &&
	       guard->probe->collecting(guard->probe->ctx, guard->live);
}

static pid_t gil_holder(const struct lt_guard *guard)
{
	if (guard->probe == NULL || guard->probe->gil_holder == NULL)
		return 0;
	pid_t inside = guard->probe->gil_holder(guard->probe->ctx, guard->live);
	return inside > 0 ? lt_proc_thread(guard->process->pid, inside) : 0;
}

/* Only the thread that holds the GIL: LT_E_BUSY when it did not hold it any more when it stood. */
static enum lt_status stop_holder(struct lt_guard *guard, struct lt_tracer *tracer, pid_t holder)
{
	enum lt_status status = lt_trace_stop(guard->session, tracer, holder);
	if (status == LT_E_GONE)
		return LT_E_BUSY;
	if (status == LT_OK && gil_holder(guard) != holder)
		return LT_E_BUSY;
	return status;
}

/*
 * Stops what has to stand still, at a moment when no collection runs. Then *ret_thread can do a system
 * call. On failure everything runs.
 */
static enum lt_status stop(struct lt_guard *guard, struct lt_tracer *tracer, pid_t *ret_thread,
			   unsigned *ret_retries)
{
	unsigned attempts = guard->attempts != 0 ? guard->attempts : ATTEMPTS_DEFAULT;
	unsigned pause = PAUSE_FIRST_MS, slipped = 0, retries = 0, unready = 0;
	pid_t stuck = 0;
	bool at_once = true;
	for (unsigned i = 0; i < attempts; i++) {
		if (!at_once) {
			pause_sweeping(tracer, pause);
			pause = pause * 2 < PAUSE_LAST_MS ? pause * 2 : PAUSE_LAST_MS;
		}
		at_once = false;
		lt_trace_sweep(tracer);
		if (lt_helper_left_alone(guard->socket))
			return LT_E_GONE;
		if (!lt_process_alive(guard->process))
			return lt_fail(guard->session, LT_E_GONE, "process %d ended",
				       (int)guard->process->pid);
		if (collecting(guard)) {
			retries++;
			continue;
		}
		enum lt_status status;
		pid_t holder = guard->mode == LT_MODE_FORK && slipped < HOLDER_ATTEMPTS
				       ? gil_holder(guard)
				       : 0;
		if (holder > 0) {
			status = stop_holder(guard, tracer, holder);
			stuck = holder;
			slipped++;
			/* Busy threads hand the GIL over all the time. */
			at_once = status == LT_E_BUSY && tracer->threads.count > 0 &&
				  tracer->threads.data[0].state == LT_TRACED_STOPPED;
		} else {
			status = lt_trace_stop_all(guard->session, tracer);
		}
		if (status == LT_OK && collecting(guard)) {
			retries++;
			status = LT_E_BUSY;
		}
		pid_t thread = status == LT_OK ? lt_trace_choose(tracer, 0) : 0;
		if (thread != 0 || (status == LT_OK && guard->mode == LT_MODE_STOP)) {
			*ret_thread = thread;
			*ret_retries = retries;
			return LT_OK;
		}
		lt_trace_release(tracer);
		if (status != LT_OK && status != LT_E_BUSY)
			return status;
		if (status == LT_OK)
			unready++;
		lt_session_clear(guard->session);
	}
	*ret_retries = retries;
	if (retries > 0) {
		lt_fail(guard->session, LT_E_BUSY,
			"process %d is in a garbage collection at each of %u attempts",
			(int)guard->process->pid, attempts);
		lt_remedy(guard->session, "try again, or use --mode live");
	} else if (unready > 0 || stuck == 0) {
		lt_fail(guard->session, LT_E_BUSY,
			"no thread of process %d can be stopped at a safe place",
			(int)guard->process->pid);
		lt_remedy(guard->session, "try again, or use --mode live");
	} else {
		lt_fail(guard->session, LT_E_BUSY,
			"thread %d of process %d holds the GIL in an uninterruptible wait",
			(int)stuck, (int)guard->process->pid);
		lt_remedy(guard->session, "try again, or use --mode live");
	}
	return LT_E_BUSY;
}

/* --- the frozen child -------------------------------------------------------------------------- */

/*
 * Two processes, both children of the target. The maker shares the target's memory and lives only while it
 * makes the copy. So the target's own thread does nothing but the making of the maker, which takes
 * microseconds; during the long call, the fork of all that memory, the thread stands with its own
 * registers, and a death of the guard harms nothing.
 */
struct frozen {
	pid_t maker, copy; /* as the guard sees them, 0: none */
	pid_t inside[2];   /* the same as the target sees them */
	pid_t thread;      /* of the target, that made the maker */
};

static void explain_clone(struct lt_guard *guard, int error)
{
	struct lt_session *session = guard->session;
	int pid = (int)guard->process->pid;
	switch (error) {
	case EAGAIN:
		lt_fail(session, LT_E_BUSY,
			"process %d may not have another child process: a limit on processes is "
			"reached (pids.max "
			"of its cgroup, or ulimit -u of its user)",
			pid);
		lt_remedy(session, "raise that limit by two, or use --mode stop");
		break;
	case ENOMEM:
		lt_fail(session, LT_E_BUSY,
			"the system has no memory for a copy of process %d (vm.overcommit_memory)",
			pid);
		lt_remedy(session, "use --mode stop");
		break;
	default:
		lt_fail_errno(session, LT_E_BUSY, error, "process %d could not be copied", pid);
		lt_remedy(session, "use --mode stop");
	}
}

/* Kills a child of the target and waits until it is a zombie that only its parent still knows. */
static void kill_one(pid_t *pid, pid_t *ret_inside)
{
	int status;
	if (*pid == 0)
		return;
	if (*ret_inside == 0)
		*ret_inside = lt_proc_inside(*pid);
	kill(*pid, SIGKILL);
	while (waitpid(*pid, &status, __WALL) == *pid ? WIFSTOPPED(status) : errno == EINTR)
		;
	*pid = 0;
}

/* If memory runs out while the copy lives, the copy goes and not the service. */
static void offer_to_oom(pid_t child)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", (int)child);
	LT_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0 && write(fd, "1000", 4) < 0) {
		/* Then the kernel chooses by size, as without a copy. */
	}
}

/* The fork, by the maker; the target stands. *ret_error: errno when the kernel refused. */
static enum lt_status make_copy(struct lt_guard *guard, struct frozen *frozen, int *ret_error)
{
	/* CLONE_PARENT: the copy is a child of the target too, and with the maker's exit signal, 0. */
	const uint64_t arguments[6] = {CLONE_FILES | CLONE_PARENT, LT_ARCH_NOWHERE, 0, 0, 0, 0};
	if (frozen->maker == 0)
		return lt_fail(guard->session, LT_E_INTERNAL,
			       "the kernel did not tell the new process' id");
	if (!lt_trace_await_child(frozen->maker) ||
	    !lt_trace_fork(frozen->maker, guard->insn, arguments, ret_error, &frozen->copy))
		return lt_fail(guard->session, LT_E_BUSY, "the copy of process %d was killed",
			       (int)guard->process->pid);
	lt_freeze_step(LT_STEP_COPIED);
	return LT_OK;
}

static enum lt_status make_child(struct lt_guard *guard, struct lt_tracer *tracer, pid_t thread,
				 struct frozen *frozen)
{
	/*
	 * CLONE_FILES: the table of descriptors is shared, so nothing that the target closes stays open.
	 * Exit signal 0: no SIGCHLD, and no wait of the target that does not ask for __WALL sees it. The
	 * stack is nowhere: should the guard be killed before it holds the child, the child could not
	 * run on as a second service, but dies by its first step.
	 */
	const uint64_t arguments[6] = {CLONE_VM | CLONE_FILES, LT_ARCH_NOWHERE, 0, 0, 0, 0};
	int64_t result = 0;
	int error = 0;
	note(guard, false);
	lt_freeze_step(LT_STEP_ANNOUNCED);
	frozen->thread = thread;
	enum lt_status status = lt_trace_call(guard->session, tracer, thread, SYS_clone, arguments,
					      &result, &frozen->maker);
	if (status == LT_OK && result < 0)
		error = (int)-result;
	else if (status == LT_OK)
		status = make_copy(guard, frozen, &error);
	lt_trace_release(tracer);
	lt_freeze_step(LT_STEP_RELEASED);
	kill_one(&frozen->maker, &frozen->inside[0]);
	if (status != LT_OK)
		return status;
	if (error != 0) {
		explain_clone(guard, error);
		return LT_E_BUSY;
	}
	if (!lt_trace_await_child(frozen->copy))
		return lt_fail(guard->session, LT_E_BUSY, "the copy of process %d was killed",
			       (int)tracer->pid);
	ptrace(PTRACE_SETOPTIONS, frozen->copy, NULL, (void *)(intptr_t)PTRACE_O_EXITKILL);
	offer_to_oom(frozen->copy);
	lt_freeze_step(LT_STEP_HELD);
	return LT_OK;
}

bool lt_freeze_reap(struct lt_session *session, struct lt_process *process, lt_addr insn,
		    const pid_t inside[2], pid_t preferred, uint64_t *ret_stall_ns)
{
	pid_t pid = process->pid;
	struct lt_tracer tracer = {.pid = pid, .insn = insn};
	bool reaped[2] = {inside[0] == 0, inside[1] == 0};
	for (unsigned i = 0; i < REAP_ATTEMPTS && !(reaped[0] && reaped[1]); i++) {
		if (i > 0)
			pause_sweeping(&tracer, i < 20 ? 1 : 10);
		lt_session_clear(session);
		pid_t tid = lt_trace_quietest(pid, preferred);
		if (tid == 0 || !lt_process_alive(process)) {
			/* The target is gone: the children are its reaper's now. */
			reaped[0] = reaped[1] = true;
			break;
		}
		enum lt_status status = lt_trace_stop(session, &tracer, tid);
		if (status == LT_OK)
			lt_freeze_step(LT_STEP_REAP_STOPPED);
		for (unsigned k = 0; k < 2 && status == LT_OK; k++) {
			const uint64_t arguments[6] = {
				(uint64_t)inside[k], 0, WNOHANG | __WALL, 0, 0, 0};
			int64_t result = 0;
			if (reaped[k])
				continue;
			status = lt_trace_call(session, &tracer, tid, SYS_wait4, arguments, &result,
					       NULL);
			/* ECHILD: a wait of the target's own, for all its children, came first. */
			reaped[k] = status == LT_OK && (result == inside[k] || result == -ECHILD);
		}
		lt_trace_release(&tracer);
		/* It may run another program by now, with its code elsewhere. */
		if (status == LT_E_GONE && lt_process_alive(process) &&
		    (lt_process_refresh(session, process) != LT_OK ||
		     lt_freeze_find_insn(session, process, &tracer.insn) != LT_OK))
			lt_session_clear(session);
	}
	while (lt_trace_sweep(&tracer) && lt_process_alive(process))
		lt_helper_pause(1);
	*ret_stall_ns = tracer.stalled_ns;
	lt_tracer_deinit(&tracer);
	return reaped[0] && reaped[1];
}

/* Nothing of the freeze is left afterwards. False: a zombie is. */
static bool clean_up(struct lt_guard *guard, struct frozen *frozen, uint64_t *ret_stall_ns)
{
	bool reaped = true;
	*ret_stall_ns = 0;
	kill_one(&frozen->maker, &frozen->inside[0]);
	kill_one(&frozen->copy, &frozen->inside[1]);
	if (frozen->inside[0] != 0 || frozen->inside[1] != 0) {
		lt_freeze_step(LT_STEP_KILLED);
		reaped = lt_freeze_reap(guard->session, guard->process, guard->insn, frozen->inside,
					frozen->thread, ret_stall_ns);
		lt_freeze_step(LT_STEP_REAPED);
	}
	if (reaped)
		note(guard, true);
	return reaped;
}

static enum lt_status open_memory(struct lt_guard *guard, pid_t pid, int *ret_fd)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return lt_fail_errno(guard->session, LT_E_PERMISSION, errno, "cannot open %s",
				     path);
	*ret_fd = fd;
	return LT_OK;
}

/* Until lowtide says that it is done, or is gone. True: it waits for an answer. */
static bool hold(struct lt_guard *guard, struct lt_tracer *tracer, struct frozen *frozen,
		 bool *ret_lost)
{
	LT_CLOSE int pidfd = (int)syscall(SYS_pidfd_open, guard->process->pid, 0);
	bool watching = true;
	for (;;) {
		struct pollfd waits[2] = {{.fd = guard->socket, .events = POLLIN},
					  {.fd = watching ? pidfd : -1, .events = POLLIN}};
		int timeout = -1;
		/* In LT_MODE_STOP the threads in the tracer stand because they shall. */
		if (guard->mode == LT_MODE_FORK && lt_trace_sweep(tracer))
			timeout = SWEEP_MS;
		else if (watching && pidfd < 0)
			timeout = WATCH_MS;
		if (poll(waits, 2, timeout) < 0 && errno != EINTR)
			return false;
		/*
		 * The target has ended: the copy must not outlive it. It shares the table of descriptors, so
		 * ports would stay bound, and a supervisor would wait for it.
		 */
		if (watching && ((waits[1].revents & POLLIN) != 0 ||
				 (pidfd < 0 && !lt_process_alive(guard->process)))) {
			watching = false;
			*ret_lost = frozen->copy != 0;
			kill_one(&frozen->copy, &frozen->inside[1]);
		}
		if (waits[0].revents != 0) {
			char byte;
			return recv(guard->socket, &byte, 1, 0) > 0;
		}
	}
}

_Noreturn void lt_guard_run(struct lt_guard *guard)
{
	struct lt_tracer tracer = {.pid = guard->process->pid, .insn = guard->insn};
	struct frozen frozen = {0};
	LT_CLOSE int fd = -1;
	unsigned retries = 0;
	pid_t thread = 0;
	lt_helper_stand_apart("lt-guard");
	lt_freeze_step(LT_STEP_STARTED);
	enum lt_status status = stop(guard, &tracer, &thread, &retries);
	if (status == LT_OK)
		lt_freeze_step(LT_STEP_STOPPED);
	if (status == LT_OK && guard->mode == LT_MODE_FORK)
		status = make_child(guard, &tracer, thread, &frozen);
	if (status == LT_OK)
		status = open_memory(guard, guard->mode == LT_MODE_FORK ? frozen.copy : tracer.pid,
				     &fd);
	if (status == LT_OK)
		lt_freeze_step(LT_STEP_OPENED);

	bool asked = false, lost = false;
	uint64_t reap_ns = 0;
	if (status == LT_OK) {
		struct lt_guard_reply reply = {
			.retries = retries, .stall_ns = tracer.stalled_ns, .child = frozen.copy};
		if (send_reply(guard, &reply, fd)) {
			lt_freeze_step(LT_STEP_GIVEN);
			asked = hold(guard, &tracer, &frozen, &lost);
			lt_freeze_step(LT_STEP_ASKED);
		}
	}
	/* The sentence of a failure is kept: cleaning up has its own. */
	struct lt_guard_reply reply = make_reply(guard->session, status);
	lt_trace_release(&tracer);
	bool clean = clean_up(guard, &frozen, &reap_ns);
	reply.retries = retries;
	reply.stall_ns = tracer.stalled_ns + reap_ns;
	if (lost)
		snprintf(reply.warning, sizeof(reply.warning),
			 "process %d ended while it was looked at: what came after that is missing",
			 (int)tracer.pid);
	else if (!clean)
		snprintf(reply.warning, sizeof(reply.warning),
			 "process %d keeps a dead copy of itself as a zombie: it could not be made "
			 "to reap it",
			 (int)tracer.pid);
	if (asked || status != LT_OK)
		send_reply(guard, &reply, -1);
	lt_freeze_step(LT_STEP_FINISHED);
	_exit(0);
}

/* --- the janitor -------------------------------------------------------------------------------- */

/* Children of `parent` with exit signal 0 that are not older than the freeze: the frozen copy. */
static pid_t find_copy(pid_t parent, uint64_t start_time)
{
	DIR *directory = opendir("/proc");
	if (directory == NULL)
		return 0;
	pid_t found = 0;
	for (struct dirent *entry; found == 0 && (entry = readdir(directory)) != NULL;) {
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
		char path[64], text[1024];
		uint64_t value;
		if (pid <= 0)
			continue;
		snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
		/* Field numbers of proc(5): 4 ppid, 22 starttime, 38 exit_signal. */
		if (lt_proc_read(path, text, sizeof(text)) && lt_proc_stat_field(text, 4, &value) &&
		    value == (uint64_t)parent && lt_proc_stat_field(text, 38, &value) &&
		    value == 0 && lt_proc_stat_field(text, 22, &value) && value >= start_time)
			found = pid;
	}
	closedir(directory);
	return found;
}

_Noreturn void lt_janitor_run(struct lt_session *session, struct lt_process *process, lt_addr insn,
			      int notes)
{
	struct lt_guard_note last = {.done = true};
	lt_helper_stand_apart("lt-janitor");
	for (;;) {
		struct lt_guard_note next;
		ssize_t got = read(notes, &next, sizeof(next));
		if (got < 0 && errno == EINTR)
			continue;
		if (got != (ssize_t)sizeof(next))
			break;
		if (!next.done && !last.done)
			next.start_time = last.start_time; /* the first of several attempts */
		last = next;
	}
	/* The hook is the guard's: what the janitor does is not a step of it. */
	lt_freeze_hook = NULL;
	for (unsigned i = 0; !last.done && i < REAP_ATTEMPTS; i++) {
		uint64_t stall_ns;
		pid_t copy = find_copy(process->pid, last.start_time);
		if (copy ==
		    0) { /* announced before it is made: it may never come, or be gone already */
			if (i >= LATE_ATTEMPTS)
				break;
			lt_helper_pause(2);
			continue;
		}
		char state = 'X';
		pid_t inside = lt_proc_inside(copy);
		if (lt_proc_state(copy, &state) && state != 'Z')
			kill(copy,
			     SIGKILL); /* the guard died before it could bind the copy to its own life */
		lt_freeze_reap(session, process, insn, (pid_t[2]){inside, 0}, 0, &stall_ns);
	}
	_exit(0);
}
