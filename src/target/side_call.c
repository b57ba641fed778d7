#include "target/side_call.h"

#include "base/cleanup.h"
#include "target/freeze_guard.h"
#include "target/freeze_trace.h"
#include "target/helpers.h"
#include "target/live.h"
#include "target/permission.h"
#include "target/proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#define GUARD_NAME "lt-guard"

enum {
	ATTEMPTS = 60,
	PAUSE_LAST_MS = 100,
	SPAWN_ATTEMPTS = 20,
	UNMAP_ATTEMPTS = 200,
	POLL_US = 50,
	POLL_LAST_US = 1000,
};

static const uint64_t CLEANUP_NS = 600 * 1000000000ull; /* the helpers' */
static const uint64_t SETTLE_NS = 2 * 1000000000ull;

/* The mapping: stack, frame, cookie and word, what lies below the thread pointer, what lies above it. */
enum {
	STACK_END = 256 << 10,
	FRAME_AT = STACK_END,
	FRAME_MAX = 72 << 10,
	COOKIE_AT = FRAME_AT + FRAME_MAX,
	COOKIE_SIZE = 32,
	WORD_AT = COOKIE_AT + COOKIE_SIZE,
	TEXT_AT = WORD_AT + 32,
	DATA_FIRST = TEXT_AT + LT_SIDE_TEXT_MAX,
	TLS_AT = 1 << 20,
	ROOM = TLS_AT + (64 << 10),
};

void (*lt_side_hook)(enum lt_side_step step);
uint64_t lt_side_patience_ns = 30 * 1000000000ull;

static void step(enum lt_side_step which)
{
	if (lt_side_hook != NULL)
		lt_side_hook(which);
}

/* What the guard tells the janitor. */
struct note {
	lt_addr room; /* 0: there is none */
	pid_t maker;  /* a thread that may stand on the room's frame; 0: none */
	uint8_t cookie[COOKIE_SIZE];
};

struct reply {
	enum lt_status status;
	struct lt_side_outcome outcome;
	char message[512];
	char remedy[512];
	char warning[256];
};

struct side {
	struct lt_session *session;
	struct lt_process *process;
	const struct lt_side_call *call;
	const struct lt_side_probe *probe;
	lt_addr insn; /* of any system call */
	int socket, notes;
	struct lt_tracer tracer;
	struct lt_side_outcome outcome;
	struct note note;
	bool released; /* alone, but the thread waited for a lock that a standing one had */
};

/* ---- The target's memory ---- */

static int open_memory(pid_t pid, int flags)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	return open(path, flags | O_CLOEXEC);
}

static bool write_target(pid_t pid, lt_addr at, const void *bytes, size_t size)
{
	LT_CLOSE int fd = open_memory(pid, O_RDWR);
	return fd >= 0 && pwrite(fd, bytes, size, (off_t)at) == (ssize_t)size;
}

static bool read_target(pid_t pid, lt_addr at, void *bytes, size_t size)
{
	LT_CLOSE int fd = open_memory(pid, O_RDONLY);
	return fd >= 0 && pread(fd, bytes, size, (off_t)at) == (ssize_t)size;
}

static bool room_is_ours(pid_t pid, const struct note *note)
{
	uint8_t cookie[COOKIE_SIZE];
	return read_target(pid, note->room + COOKIE_AT, cookie, sizeof(cookie)) &&
	       memcmp(cookie, note->cookie, sizeof(cookie)) == 0;
}

/* The thread that was made is there; the kernel clears its word when it ends. */
static bool in_use(pid_t pid, const struct note *note)
{
	uint32_t word = 0;
	return read_target(pid, note->room + WORD_AT, &word, sizeof(word)) && word != 0;
}

/* A thread that stands has the room for its stack: its clone has not begun or is not over. */
static bool on_room(pid_t tid, const struct note *note)
{
	struct lt_arch_regs regs;
	struct lt_arch_place place;
	if (!lt_arch_get(tid, &regs))
		return true;
	lt_arch_place(&regs, &place);
	return place.sp >= note->room && place.sp < note->room + ROOM;
}

static void tell_janitor(const struct side *side)
{
	struct note note = side->note;
	if (write(side->notes, &note, sizeof(note)) < 0) {
		/* The janitor died: then the guard is alone, as it would be without one. */
	}
}

/* ---- The way to a stop ---- */

/* What the probe says of the threads that stand. */
static enum lt_side_verdict ask(struct side *side, bool all, const char **ret_why)
{
	size_t count = 0;
	struct lt_memory *memory = NULL;
	LT_FREE struct lt_side_thread *threads =
		calloc(side->tracer.threads.count + 1, sizeof(*threads));
	*ret_why = "its memory cannot be read";
	if (threads == NULL || lt_live_open(side->session, side->process->pid, &memory) != LT_OK) {
		lt_session_clear(side->session);
		return LT_SIDE_LATER;
	}
	for (size_t i = 0; i < side->tracer.threads.count; i++) {
		const struct lt_traced *traced = &side->tracer.threads.data[i];
		struct lt_side_thread *thread = &threads[count++];
		struct lt_arch_regs regs;
		thread->tid = traced->tid;
		thread->stands = traced->state == LT_TRACED_STOPPED &&
				 lt_arch_get(traced->tid, &regs) && lt_arch_supported(&regs);
		if (thread->stands)
			lt_arch_place(&regs, &thread->place);
	}
	enum lt_side_verdict verdict =
		side->probe->ready(side->probe->ctx, side->session, side->process, memory, threads,
				   count, all, ret_why);
	lt_memory_close(memory);
	return verdict;
}

static void pause_sweeping(struct lt_tracer *tracer, unsigned ms)
{
	uint64_t end = lt_now_ns() + (uint64_t)ms * 1000000u;
	do {
		lt_trace_sweep(tracer);
		lt_helper_pause(1);
	} while (lt_now_ns() < end);
}

/* Stops one thread, or all, at a moment when the call is safe. On failure everything runs. */
static enum lt_status stop(struct side *side, pid_t *ret_thread)
{
	struct lt_session *session = side->session;
	struct lt_tracer *tracer = &side->tracer;
	const char *why = "its threads do not stop";
	unsigned pause = 1;
	bool all = false, at_once = true;
	uint64_t began = lt_now_ns();
	while (side->outcome.attempts < ATTEMPTS) {
		if (!at_once) {
			pause_sweeping(tracer, pause);
			pause = pause * 2 < PAUSE_LAST_MS ? pause * 2 : PAUSE_LAST_MS;
		}
		if (lt_helper_left_alone(side->socket))
			return LT_E_GONE;
		if (!lt_process_alive(side->process))
			return lt_fail(session, LT_E_GONE, "process %d ended",
				       (int)side->process->pid);
		side->outcome.attempts++;
		pid_t tid = all ? 0 : lt_trace_quietest(side->process->pid, side->process->pid);
		enum lt_status status = all        ? lt_trace_stop_all(session, tracer)
					: tid != 0 ? lt_trace_stop(session, tracer, tid)
						   : LT_E_BUSY;
		enum lt_side_verdict verdict = LT_SIDE_LATER;
		if (status == LT_OK)
			verdict = ask(side, all, &why);
		if (verdict == LT_SIDE_BESIDE || (verdict == LT_SIDE_ALONE && all)) {
			*ret_thread = lt_trace_choose(tracer, side->process->pid);
			side->outcome.beside = verdict == LT_SIDE_BESIDE;
			if (*ret_thread != 0)
				return LT_OK;
		}
		/* The one that stands goes on standing: a call that is interrupted twice is harder to go on with. */
		at_once = verdict == LT_SIDE_ALL && !all;
		all = all || verdict == LT_SIDE_ALL;
		if (at_once)
			continue;
		lt_trace_release(tracer);
		if (status != LT_OK && status != LT_E_BUSY && status != LT_E_GONE)
			return status;
		lt_session_clear(session);
	}
	lt_fail(session, LT_E_BUSY,
		"it was not safe at any of %u attempts in %.1f s to trim process %d: %s",
		side->outcome.attempts, (double)(lt_now_ns() - began) / 1e9,
		(int)side->process->pid, why);
	lt_remedy(session, "try again, best while the process has less to do");
	return LT_E_BUSY;
}

/* ---- The thread ---- */

static enum lt_status no_room(struct side *side, int64_t result, const char *what)
{
	lt_fail_errno(side->session, LT_E_BUSY, (int)-result, "process %d may not have another %s",
		      (int)side->process->pid, what);
	lt_remedy(side->session, "look at its limits: ulimit -u and -v of its user, pids.max of "
				 "its control group, vm.max_map_count");
	return LT_E_BUSY;
}

static enum lt_status make_room(struct side *side, pid_t tid)
{
	const uint64_t arguments[6] = {0,
				       ROOM,
				       PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK,
				       UINT64_MAX,
				       0};
	int64_t result = 0;
	if (getrandom(side->note.cookie, sizeof(side->note.cookie), 0) !=
	    (ssize_t)sizeof(side->note.cookie))
		return lt_fail(side->session, LT_E_INTERNAL, "the kernel gives no random bytes");
	/* What it may be refused for: a filter of system calls. */
	lt_remedy(side->session, "run lowtide as root of the host (CAP_SYS_ADMIN)");
	LT_TRY(lt_trace_call(side->session, &side->tracer, tid, SYS_mmap, arguments, &result,
			     NULL));
	lt_session_clear(side->session);
	if (result < 0 && result > -4096)
		return no_room(side, result, "mapping");
	side->note.room = (lt_addr)result;
	/* Without its cookie a mapping is nobody's: it would stay. */
	if (!write_target(side->process->pid, side->note.room + COOKIE_AT, side->note.cookie,
			  COOKIE_SIZE)) {
		const uint64_t back[6] = {side->note.room, ROOM, 0, 0, 0, 0};
		side->note.room = 0;
		/* The thread has not run since. */
		(void)!lt_trace_call(side->session, &side->tracer, tid, SYS_munmap, back, &result,
				     NULL);
		lt_session_clear(side->session);
		return lt_fail(side->session, LT_E_BUSY,
			       "the memory of process %d cannot be written",
			       (int)side->process->pid);
	}
	tell_janitor(side);
	step(LT_SIDE_MAPPED);
	/* A child that the program forks meanwhile has no part in it. */
	const uint64_t own[6] = {side->note.room, ROOM, MADV_DONTFORK, 0, 0, 0};
	return lt_trace_call(side->session, &side->tracer, tid, SYS_madvise, own, &result, NULL);
}

/* Where the new thread's stack begins: function and argument, or the frame that leads into the function. */
static lt_addr stack_of(const struct side *side)
{
	lt_addr end = side->note.room + STACK_END;
	return side->call->text[0] == '\0' ? end - 16 * sizeof(uint64_t)
					   : end - LT_ARCH_CALL_BYTES + LT_ARCH_CALL_STACK;
}

static bool fill_stack(const struct side *side)
{
	const struct lt_side_call *call = side->call;
	pid_t pid = side->process->pid;
	lt_addr room = side->note.room, stack = stack_of(side);
	if (call->text[0] == '\0') {
		uint64_t words[LT_ARCH_THREAD_WORDS];
		lt_arch_thread_stack(call->function, call->argument, words);
		return write_target(pid, stack, words, sizeof(words));
	}
	const uint64_t arguments[LT_ARCH_ARGUMENTS] = {room + TEXT_AT};
	uint8_t bytes[LT_ARCH_CALL_BYTES];
	stack -= LT_ARCH_CALL_STACK;
	lt_arch_thread_call(call->function, arguments, call->restorer, call->back, stack, bytes);
	return write_target(pid, stack, bytes, sizeof(bytes)) &&
	       write_target(pid, room + TEXT_AT, call->text, sizeof(call->text));
}

/* Everything but the frame of the thread that makes the call. */
static bool fill_room(const struct side *side)
{
	const struct lt_side_call *call = side->call;
	pid_t pid = side->process->pid;
	lt_addr pointer = side->note.room + TLS_AT;
	uint64_t tls[LT_ARCH_TLS_WORDS];
	lt_arch_thread_tls(pointer, tls);
	return fill_stack(side) && write_target(pid, pointer, tls, sizeof(tls)) &&
	       (call->data_size == 0 ||
		write_target(pid, pointer + (uint64_t)call->data_at, call->data, call->data_size));
}

static bool fill_frame(const struct side *side, pid_t tid)
{
	struct lt_arch_regs regs;
	uint64_t mask;
	size_t size;
	LT_FREE uint8_t *frame = malloc(FRAME_MAX);
	return frame != NULL && lt_arch_get(tid, &regs) && lt_trace_mask(tid, &mask) &&
	       lt_arch_frame(tid, &regs, mask, side->call->restorer, side->note.room + FRAME_AT,
			     frame, FRAME_MAX, &size) &&
	       write_target(side->process->pid, side->note.room + FRAME_AT, frame, size);
}

/* True when the thread waits for a lock. */
static bool waits_for_lock(pid_t pid, pid_t thread)
{
	char path[80], text[256];
	snprintf(path, sizeof(path), "/proc/%d/task/%d/syscall", (int)pid, (int)thread);
	return lt_proc_read(path, text, sizeof(text)) && strtol(text, NULL, 10) == SYS_futex &&
	       text[0] >= '0' && text[0] <= '9';
}

/*
 * Alone, it waits for nobody: all locks were free. Should one not be after all, somebody who stands has it, and
 * uses locks: so all go on, and the call is one of several threads.
 */
static void look_for_lock(void *ctx, pid_t thread)
{
	struct side *side = ctx;
	if (side->released || !waits_for_lock(side->process->pid, thread))
		return;
	side->released = true;
	lt_trace_release_others(&side->tracer, 0);
}

static enum lt_status start_thread(struct side *side, pid_t tid, pid_t *ret_spawned)
{
	uint64_t flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
			 CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;
	lt_addr room = side->note.room;
	uint64_t arguments[6];
	if (!side->outcome.beside)
		flags |= CLONE_VFORK;
	lt_arch_thread_arguments(flags, stack_of(side), room + WORD_AT, room + TLS_AT, arguments);
	if (!fill_room(side))
		return lt_fail(side->session, LT_E_BUSY,
			       "the memory of process %d cannot be written",
			       (int)side->process->pid);
	side->note.maker = tid;
	tell_janitor(side);
	for (unsigned i = 0; i < SPAWN_ATTEMPTS; i++) {
		int64_t result = 0;
		if (!fill_frame(side, tid))
			return lt_fail(side->session, LT_E_BUSY,
				       "the registers of thread %d cannot be kept", (int)tid);
		step(LT_SIDE_WRITTEN);
		enum lt_status status = lt_trace_spawn(side->session, &side->tracer, tid,
						       side->call->insn, arguments, room + FRAME_AT,
						       look_for_lock, side, &result, ret_spawned);
		if (status == LT_E_BUSY)
			continue;
		LT_TRY(status);
		side->note.maker = 0;
		tell_janitor(side);
		if (result < 0)
			return no_room(side, result, "thread");
		step(LT_SIDE_SPAWNED);
		return LT_OK;
	}
	return lt_fail(side->session, LT_E_BUSY, "process %d gets signals all the time",
		       (int)side->process->pid);
}

/* Until the thread has ended, or until `until`. */
static bool await_end(struct side *side, pid_t spawned, uint64_t until)
{
	useconds_t pause = POLL_US;
	while (!lt_trace_spawn_ended(spawned, &side->outcome.code)) {
		if (lt_now_ns() >= until)
			return false;
		usleep(pause);
		pause = pause * 2 < POLL_LAST_US ? pause * 2 : POLL_LAST_US;
	}
	return true;
}

/* ---- Afterwards ---- */

static bool unmap(struct lt_session *session, struct lt_process *process, struct lt_tracer *tracer,
		  pid_t tid, const struct note *note)
{
	const uint64_t arguments[6] = {note->room, ROOM, 0, 0, 0, 0};
	int64_t result = 0;
	return room_is_ours(process->pid, note) &&
	       lt_trace_call(session, tracer, tid, SYS_munmap, arguments, &result, NULL) == LT_OK &&
	       result == 0;
}

/* Through the thread that may stand on it, else any, preferably one that notices nothing. False: the mapping stays. */
static bool clear_room(struct lt_session *session, struct lt_process *process,
		       struct lt_tracer *tracer, const struct note *note)
{
	pid_t maker = note->maker;
	for (unsigned i = 0; i < UNMAP_ATTEMPTS; i++) {
		if (i > 0)
			pause_sweeping(tracer, i < 20 ? 1 : 10);
		lt_session_clear(session);
		pid_t tid = maker != 0 ? maker : lt_trace_quietest(process->pid, process->pid);
		/* Ended, or runs another program: the mapping went with the old one. */
		if (tid == 0 || !lt_process_alive(process) || !room_is_ours(process->pid, note))
			return true;
		enum lt_status status = lt_trace_stop(session, tracer, tid);
		if (status == LT_E_GONE)
			maker = 0;
		bool done = status == LT_OK && !on_room(tid, note) && !in_use(process->pid, note) &&
			    unmap(session, process, tracer, tid, note);
		lt_trace_release(tracer);
		if (done)
			return true;
	}
	return false;
}

/* A thread in a call that does not end for long goes on when the guard ends: the kernel lets it go. */
static void settle(struct side *side)
{
	uint64_t until = lt_now_ns() + SETTLE_NS;
	while (lt_trace_sweep(&side->tracer) && lt_process_alive(side->process) &&
	       lt_now_ns() < until)
		lt_helper_pause(1);
	side->outcome.stall_ns = side->tracer.stalled_ns;
}

static void send_reply(const struct side *side, enum lt_status status, const char *warning)
{
	struct reply reply = {.status = status, .outcome = side->outcome};
	snprintf(reply.message, sizeof(reply.message), "%s", side->session->message);
	snprintf(reply.remedy, sizeof(reply.remedy), "%s", side->session->remedy);
	snprintf(reply.warning, sizeof(reply.warning), "%s", warning);
	(void)!lt_helper_send(side->socket, &reply, sizeof(reply), -1);
}

static enum lt_status call(struct side *side, pid_t tid)
{
	pid_t spawned = 0;
	LT_TRY(make_room(side, tid));
	uint64_t began = lt_now_ns();
	enum lt_status status = start_thread(side, tid, &spawned);
	if (status == LT_OK && !side->outcome.beside && !side->released &&
	    await_end(side, spawned, UINT64_MAX)) {
		side->outcome.finished = true;
		side->outcome.call_ns = lt_now_ns() - began;
		/* The thread still stands: no second stop is needed. */
		if (unmap(side->session, side->process, &side->tracer, tid, &side->note))
			side->note.room = 0;
	}
	lt_trace_release(&side->tracer);
	step(LT_SIDE_RELEASED);
	if (spawned == 0 || side->outcome.finished)
		return status;
	side->outcome.finished = await_end(side, spawned, began + lt_side_patience_ns);
	side->outcome.call_ns = lt_now_ns() - began;
	if (!side->outcome.finished) {
		settle(side);
		send_reply(side, status, "");
		side->socket = -1;
		/* Nothing was said of a thread that is still at work: its stack goes when it has ended. */
		if (!await_end(side, spawned, began + CLEANUP_NS))
			side->note.room = 0;
	}
	step(LT_SIDE_ENDED);
	return status;
}

static void run_guard(void *ctx, int socket, int notes)
{
	struct side *side = ctx;
	pid_t tid = 0;
	side->socket = socket;
	side->notes = notes;
	lt_helper_stand_apart(GUARD_NAME);
	step(LT_SIDE_STARTED);
	enum lt_status status = stop(side, &tid);
	if (status == LT_OK) {
		step(LT_SIDE_STOPPED);
		status = call(side, tid);
	}
	lt_trace_release(&side->tracer);
	/* The sentence of a failure is kept: cleaning up has its own. */
	struct lt_session spare;
	lt_session_init(&spare);
	bool clean = side->note.room == 0 ||
		     clear_room(&spare, side->process, &side->tracer, &side->note);
	lt_session_deinit(&spare);
	side->note.room = 0;
	tell_janitor(side);
	step(LT_SIDE_UNMAPPED);
	settle(side);
	if (side->socket >= 0)
		send_reply(side, status, clean ? "" : "a mapping of 1 MiB stays in the process");
	step(LT_SIDE_FINISHED);
}

static void run_janitor(void *ctx, int notes)
{
	struct side *side = ctx;
	struct note note = {0}, next;
	lt_helper_stand_apart("lt-janitor");
	for (;;) {
		ssize_t got = read(notes, &next, sizeof(next));
		if (got < 0 && errno == EINTR)
			continue;
		if (got != (ssize_t)sizeof(next))
			break;
		note = next;
	}
	lt_side_hook = NULL;
	if (note.room == 0)
		return;
	/* The guard is dead. The thread, if there is one, ends by itself, and its maker leaves the room. */
	uint64_t until = lt_now_ns() + CLEANUP_NS;
	struct lt_tracer tracer = {.pid = side->process->pid, .insn = side->insn};
	for (bool done = false; !done && lt_now_ns() < until && lt_process_alive(side->process);) {
		lt_helper_pause(1);
		done = !in_use(side->process->pid, &note) &&
		       clear_room(side->session, side->process, &tracer, &note);
	}
	while (lt_trace_sweep(&tracer) && lt_process_alive(side->process))
		lt_helper_pause(1);
}

/* ---- Lowtide's side ---- */

/* Whoever traces a thread of the process: the one that an earlier trim left behind is none of its own. */
static bool any_tracer(pid_t pid, pid_t *ret_tracer)
{
	char path[80], text[8192], tracer[32];
	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	DIR *directory = opendir(path);
	bool found = false;
	for (struct dirent *entry;
	     directory != NULL && !found && (entry = readdir(directory)) != NULL;) {
		pid_t tid = (pid_t)strtol(entry->d_name, NULL, 10);
		snprintf(path, sizeof(path), "/proc/%d/task/%d/status", (int)pid, (int)tid);
		if (tid <= 0 || !lt_proc_read(path, text, sizeof(text)) ||
		    !lt_proc_field(text, "TracerPid", tracer, sizeof(tracer)))
			continue;
		*ret_tracer = (pid_t)strtol(tracer, NULL, 10);
		found = *ret_tracer != 0;
	}
	if (directory != NULL)
		closedir(directory);
	return found;
}

static bool is_guard(pid_t pid)
{
	char path[64], name[32];
	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	return lt_proc_read(path, name, sizeof(name)) && strcmp(name, GUARD_NAME "\n") == 0;
}

static enum lt_status check_target(struct lt_session *session, const struct lt_process *process,
				   const struct lt_side_call *call)
{
	char path[64], text[8192], features[128];
	char state = 'X';
	pid_t tracer = 0;
	snprintf(path, sizeof(path), "/proc/%d/status", (int)process->pid);
	if (!lt_proc_read(path, text, sizeof(text)))
		return lt_permission_fail(session, process->pid, errno, "stop");
	if (any_tracer(process->pid, &tracer) && is_guard(tracer)) {
		lt_fail(session, LT_E_BUSY, "another lowtide is at work on process %d (process %d)",
			(int)process->pid, (int)tracer);
		lt_remedy(session, "try again when it has ended; a trim that waits for a lock of "
				   "malloc ends when that is let go");
		return LT_E_BUSY;
	}
	if (tracer != 0) {
		lt_remedy(session, "end that debugger or tracer first");
		return lt_freeze_refuse_traced(session, process->pid, tracer);
	}
	if (call->text[0] != '\0' &&
	    lt_proc_field(text, lt_arch_features, features, sizeof(features)) &&
	    strstr(features, lt_arch_shadow_stack) != NULL)
		return lt_fail(session, LT_E_NOT_PYTHON,
			       "process %d runs with shadow stacks, under which the call cannot be "
			       "made",
			       (int)process->pid);
	if (lt_proc_state(process->pid, &state) && state == 'T') {
		lt_fail(session, LT_E_BUSY,
			"process %d is stopped (SIGSTOP or job control): it may stand inside its "
			"allocator",
			(int)process->pid);
		lt_remedy(session, "let it go on first: kill -CONT %d", (int)process->pid);
		return LT_E_BUSY;
	}
	return LT_OK;
}

static enum lt_status find_insn(struct lt_session *session, struct lt_process *process,
				lt_addr *ret_insn)
{
	enum lt_status status = lt_freeze_find_insn(session, process, ret_insn);
	if (status != LT_E_BUSY)
		return status;
	lt_session_clear(session);
	if (!lt_process_alive(process))
		return lt_fail(session, LT_E_GONE, "process %d ended", (int)process->pid);
	/* Its mappings may be those of the program before an exec. */
	LT_TRY(lt_process_refresh(session, process));
	return lt_freeze_find_insn(session, process, ret_insn);
}

enum lt_status lt_side_call(struct lt_session *session, struct lt_process *process,
			    const struct lt_side_call *call_made, const struct lt_side_probe *probe,
			    struct lt_side_outcome *ret_outcome)
{
	struct side side = {
		.session = session, .process = process, .call = call_made, .probe = probe};
	struct lt_helpers helpers = {.socket = -1};
	struct reply reply;
	int fd = -1;
	if (call_made->data_size > sizeof(call_made->data) || call_made->data_at > 0 ||
	    call_made->data_at < DATA_FIRST - TLS_AT ||
	    call_made->data_size > (uint64_t)-call_made->data_at)
		return lt_fail(session, LT_E_INTERNAL, "thread-local data have no room");
	LT_TRY(check_target(session, process, call_made));
	LT_TRY(find_insn(session, process, &side.insn));
	side.tracer = (struct lt_tracer){.pid = process->pid, .insn = side.insn};
	const struct lt_helpers_work work = {&side, run_guard, run_janitor};
	LT_TRY(lt_helpers_start(session, &work, &helpers));
	bool answered = lt_helpers_receive(&helpers, &reply, sizeof(reply), &fd);
	if (answered && reply.status == LT_OK && !reply.outcome.finished) {
		/* The helpers stay until the thread has ended; nobody waits for them. */
		close(helpers.socket);
		*ret_outcome = reply.outcome;
		return LT_OK;
	}
	lt_helpers_finish(&helpers);
	if (!answered) {
		lt_fail(session, LT_E_INTERNAL,
			"the guard process ended before the call was done; the process is well");
		lt_remedy(session, "try again");
		return LT_E_INTERNAL;
	}
	if (reply.warning[0] != '\0')
		lt_warn(session, "%s", reply.warning);
	if (reply.status != LT_OK) {
		lt_fail(session, reply.status, "%s", reply.message);
		if (reply.remedy[0] != '\0')
			lt_remedy(session, "%s", reply.remedy);
		return reply.status;
	}
	*ret_outcome = reply.outcome;
	return LT_OK;
}
