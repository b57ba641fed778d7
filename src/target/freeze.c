#include "target/freeze.h"

#include "base/cleanup.h"
#include "target/ahead.h"
#include "target/arch.h"
#include "target/cgroup.h"
#include "target/freeze_guard.h"
#include "target/helpers.h"
#include "target/live.h"
#include "target/permission.h"
#include "target/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

struct freeze {
	struct lt_freeze shown; /* first: what callers see */
	struct lt_helpers helpers;
};

enum {
	CODE_MAX = 64 << 20,        /* bytes of one mapping that are searched for an instruction */
	COPY_COST_LEAST = 16 << 20, /* bytes that a copy may take in any case */
};

static double mib(uint64_t bytes)
{
	return (double)bytes / (1 << 20);
}

enum lt_status lt_freeze_refuse_traced(struct lt_session *session, pid_t pid, pid_t tracer)
{
	char path[64], name[64] = "";
	snprintf(path, sizeof(path), "/proc/%d/comm", (int)tracer);
	if (lt_proc_read(path, name, sizeof(name)))
		name[strcspn(name, "\n")] = '\0';
	lt_fail(session, LT_E_PERMISSION, "process %d is being traced by process %d%s%s%s",
		(int)pid, (int)tracer, name[0] != '\0' ? " (" : "", name,
		name[0] != '\0' ? ")" : "");
	lt_remedy(session, "end that debugger or tracer first, or use --mode live");
	return LT_E_PERMISSION;
}

/* A number of /proc/PID/status; 0 when there is none. */
static unsigned long status_number(const char *text, const char *name)
{
	char value[64];
	return lt_proc_field(text, name, value, sizeof(value)) ? strtoul(value, NULL, 10) : 0;
}

static bool same_link(pid_t pid, const char *one, const char *other)
{
	char path[64];
	struct stat first, second;
	snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, one);
	if (stat(path, &first) != 0)
		return true;
	snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, other);
	if (stat(path, &second) != 0)
		return true;
	return first.st_ino == second.st_ino && first.st_dev == second.st_dev;
}

/* What forbids a stop, or a fork, of this process. */
static enum lt_status check_target(struct lt_session *session, const struct lt_process *process,
				   enum lt_mode mode)
{
	char path[64], text[8192];
	snprintf(path, sizeof(path), "/proc/%d/status", (int)process->pid);
	if (!lt_proc_read(path, text, sizeof(text)))
		return lt_permission_fail(session, process->pid, errno, "stop");
	pid_t tracer = (pid_t)status_number(text, "TracerPid");
	if (tracer != 0)
		return lt_freeze_refuse_traced(session, process->pid, tracer);
	if (mode != LT_MODE_FORK)
		return LT_OK;
	if (!same_link(process->pid, "pid", "pid_for_children")) {
		lt_fail(session, LT_E_PERMISSION,
			"children of process %d are born into another PID namespace: a copy would "
			"be its init",
			(int)process->pid);
		lt_remedy(session, "use --mode stop or --mode live");
		return LT_E_PERMISSION;
	}
	return LT_OK;
}

/*
 * Memory that the copy may cost: its page tables, and the pages that the target writes to while it lives.
 * How many those are nobody knows before; an eighth of what is resident is asked for. If
 * it is more, the kernel kills the copy first, not the service (offer_to_oom() of the guard).
 */
static uint64_t copy_cost(const struct lt_process *process)
{
	return COPY_COST_LEAST + process->rss_bytes / 256 + process->rss_bytes / 8;
}

static enum lt_status check_headroom(struct lt_session *session, const struct lt_process *process)
{
	struct lt_cgroup_memory memory;
	LT_TRY(lt_cgroup_memory(session, process->pid, &memory));
	if (!memory.limited || memory.headroom >= copy_cost(process))
		return LT_OK;
	lt_fail(session, LT_E_BUSY,
		"the control group %s of process %d has %.1f MiB of memory left (%.1f of %.1f MiB "
		"are used, %.1f of "
		"them given back at need), and a copy may take %.1f MiB while it lives",
		memory.group, (int)process->pid, mib(memory.headroom), mib(memory.usage),
		mib(memory.limit), mib(memory.reclaimable), mib(copy_cost(process)));
	lt_remedy(session,
		  "use --mode stop: it takes no memory of the target, which stands while it is "
		  "read; or raise "
		  "the group's %s; or take the risk with --ignore-headroom",
		  memory.throttles ? "memory.high" : "limit");
	return LT_E_BUSY;
}

/* A system call instruction within one mapping, 0: none. */
static lt_addr search(struct lt_memory *live, const struct lt_mapping *mapping)
{
	uint64_t size = mapping->end - mapping->start;
	if (size > CODE_MAX)
		size = CODE_MAX;
	LT_FREE uint8_t *code = malloc(size);
	if (code == NULL)
		return 0;
	size_t got = lt_memory_probe(live, mapping->start, code, size);
	const uint8_t *at = memmem(code, got, lt_arch_syscall_insn, lt_arch_syscall_insn_size);
	return at != NULL ? mapping->start + (lt_addr)(at - code) : 0;
}

enum lt_status lt_freeze_find_insn(struct lt_session *session, const struct lt_process *process,
				   lt_addr *ret_insn)
{
	struct lt_memory *live = NULL;
	LT_TRY(lt_process_memory(session, process, &live));
	lt_addr insn = 0;
	for (unsigned pass = 0; pass < 2 && insn == 0; pass++) {
		for (size_t i = 0; i < process->mappings.count && insn == 0; i++) {
			const struct lt_mapping *mapping = &process->mappings.data[i];
			bool vdso = strcmp(mapping->path, "[vdso]") == 0;
			/* [vsyscall] is not really there. */
			if (!mapping->executable || !mapping->readable || vdso != (pass == 0) ||
			    mapping->start > INT64_MAX)
				continue;
			insn = search(live, mapping);
		}
	}
	lt_memory_close(live);
	if (insn != 0) {
		*ret_insn = insn;
		return LT_OK;
	}
	lt_fail(session, LT_E_BUSY, "no system call instruction was found in process %d",
		(int)process->pid);
	lt_remedy(session, "use --mode live");
	return LT_E_BUSY;
}

static void run_guard(void *ctx, int socket, int notes)
{
	struct lt_guard *guard = ctx;
	guard->socket = socket;
	guard->notes = notes;
	lt_guard_run(guard);
}

static void run_janitor(void *ctx, int notes)
{
	const struct lt_guard *guard = ctx;
	lt_janitor_run(guard->session, guard->process, guard->insn, notes);
}

static enum lt_status take(struct lt_session *session, struct lt_process *process,
			   const struct lt_freeze_probe *probe,
			   const struct lt_freeze_options *options, struct freeze *freeze)
{
	LT_TRY(check_target(session, process, freeze->shown.mode));
	lt_addr insn = 0;
	if (freeze->shown.mode == LT_MODE_FORK) {
		if (options == NULL || !options->ignore_headroom)
			LT_TRY(check_headroom(session, process));
		enum lt_status found = lt_freeze_find_insn(session, process, &insn);
		if (found ==
		    LT_E_BUSY) { /* its mappings may be those of the program before an exec */
			lt_session_clear(session);
			LT_TRY(lt_process_refresh(session, process));
			found = lt_freeze_find_insn(session, process, &insn);
		}
		LT_TRY(found);
	}
	struct lt_memory *live = NULL;
	LT_TRY(lt_process_memory(session, process, &live));
	struct lt_guard guard = {
		.session = session,
		.process = process,
		.probe = probe,
		.live = live,
		.mode = freeze->shown.mode,
		.attempts = options != NULL ? options->attempts : 0,
		.insn = insn,
	};
	const struct lt_helpers_work work = {&guard, run_guard, run_janitor};
	enum lt_status status = lt_helpers_start(session, &work, &freeze->helpers);
	lt_memory_close(live);
	LT_TRY(status);

	struct lt_guard_reply reply;
	int fd = -1;
	if (!lt_helpers_receive(&freeze->helpers, &reply, sizeof(reply), &fd)) {
		lt_fail(session, LT_E_INTERNAL,
			"the guard process ended before the picture was taken");
		lt_remedy(session, "try again");
		return LT_E_INTERNAL;
	}
	freeze->shown.retries = reply.retries;
	freeze->shown.stall_ns = reply.stall_ns;
	if (reply.warning[0] != '\0')
		lt_warn(session, "%s", reply.warning);
	if (reply.status != LT_OK) {
		lt_fail(session, reply.status, "%s", reply.message);
		session->saved_errno = reply.saved_errno;
		if (reply.remedy[0] != '\0')
			lt_remedy(session, "%s", reply.remedy);
		return reply.status;
	}
	if (fd < 0)
		return lt_fail(session, LT_E_INTERNAL, "the guard process gave no memory");
	LT_TRY(lt_live_from_fd(session, fd, &freeze->shown.memory));
	lt_ahead_create(freeze->shown.memory);
	return LT_OK;
}

enum lt_status lt_freeze_begin(struct lt_session *session, struct lt_process *process,
			       const struct lt_freeze_probe *probe,
			       const struct lt_freeze_options *options,
			       struct lt_freeze **ret_freeze)
{
	struct freeze *freeze = calloc(1, sizeof(*freeze));
	if (freeze == NULL)
		return lt_fail_memory(session);
	freeze->helpers.socket = -1;
	freeze->shown.mode = options != NULL ? options->mode : LT_MODE_FORK;
	enum lt_status status;
	if (freeze->shown.mode == LT_MODE_LIVE)
		status = lt_process_memory(session, process, &freeze->shown.memory);
	else
		status = take(session, process, probe, options, freeze);
	if (status != LT_OK) {
		lt_helpers_finish(&freeze->helpers);
		free(freeze);
		return status;
	}
	*ret_freeze = &freeze->shown;
	return LT_OK;
}

void lt_freeze_release(struct lt_session *session, struct lt_freeze *shown)
{
	struct freeze *freeze = (struct freeze *)shown;
	lt_memory_close(freeze->shown.memory);
	freeze->shown.memory = NULL;
	if (freeze->helpers.socket < 0)
		return;
	struct lt_guard_reply reply;
	int fd = -1;
	if (send(freeze->helpers.socket, "", 1, MSG_NOSIGNAL) == 1 &&
	    lt_helpers_receive(&freeze->helpers, &reply, sizeof(reply), &fd)) {
		freeze->shown.stall_ns = reply.stall_ns;
		if (reply.warning[0] != '\0')
			lt_warn(session, "%s", reply.warning);
	} else {
		lt_warn(session,
			"the guard process was killed: what was read after that is missing");
	}
	lt_helpers_finish(&freeze->helpers);
}

void lt_freeze_end(struct lt_session *session, struct lt_freeze *freeze)
{
	if (freeze == NULL)
		return;
	lt_freeze_release(session, freeze);
	free((struct freeze *)freeze);
}
