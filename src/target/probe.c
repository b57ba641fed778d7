#include "target/probe.h"

#include "base/cleanup.h"
#include "target/permission.h"
#include "target/probe_exec.h"
#include "target/probe_ids.h"
#include "target/probe_link.h"
#include "target/proc.h"
#include "target/root.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <linux/capability.h>
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* Halved as long as the kernel refuses (a small memory limit). */
enum { RING_MAX = 64 << 20, RING_USUAL = 8 << 20, RING_MIN = 256 << 10 };

/* The inode of the first PID namespace: include/linux/proc_ns.h, PROC_PID_INIT_INO. */
enum { FIRST_PID_NAMESPACE = (int)0xEFFFFFFC };

enum { TASK_ROUNDS = 8, LOG_MAX = 64 << 10, PATH_BYTES = 64 };

/* The licence that the kernel asks of programs that read memory of processes. */
static const char licence[] = "Dual MIT/GPL";

LT_VEC(fds, int);
LT_VEC(threads, pid_t);
LT_VEC(words, uint64_t);

/* A site in code, as the kernel takes it. */
struct place {
	const struct lt_probe_site *site;
	const struct lt_mapping *code;
	uint64_t offset, semaphore; /* in its file */
	int program;                /* of its link, -1: not yet in one */
};
LT_VEC(places, struct place);

struct lt_probe {
	struct lt_session *session;
	const struct lt_process *process;
	uint64_t namespace_device, namespace_inode;
	uint32_t namespace_pid;
	enum lt_probe_own own;
	struct lt_probe_ids ids;
	int ring;
	struct ring_buffer *reader;
	struct fds fds; /* of programs, links and events: closed, they are gone */
	bool linked;
	struct lt_probe_exec exec;
	unsigned uprobe_type;
	unsigned return_bit, semaphore_shift;
	lt_probe_sink sink;
	void *sink_ctx;
	uint64_t drained_ns; /* when lt_probe_drain() began */
};

static bool has_capabilities(void)
{
	char status[4096], value[64];
	if (!lt_proc_read("/proc/self/status", status, sizeof(status)) ||
	    !lt_proc_field(status, "CapEff", value, sizeof(value)))
		return false;
	uint64_t own = strtoull(value, NULL, 16);
	return (own >> CAP_SYS_ADMIN & 1) != 0 ||
	       ((own >> CAP_BPF & 1) != 0 && (own >> CAP_PERFMON & 1) != 0);
}

static enum lt_status refused(struct lt_session *session, int error, const char *what)
{
	struct lt_permission facts;
	char text[256] = "";
	lt_permission_collect(0, &facts);
	if (lt_proc_read("/sys/kernel/security/lockdown", text, sizeof(text)) &&
	    strstr(text, "[confidentiality]") != NULL) {
		lt_fail(session, LT_E_PERMISSION,
			"probes are not permitted: the kernel is locked down (confidentiality)");
		lt_remedy(session, "boot with lockdown=integrity or without lockdown");
		return LT_E_PERMISSION;
	}
	if ((error == EPERM || error == EACCES) && !has_capabilities()) {
		lt_fail(session, LT_E_PERMISSION,
			"probes take CAP_BPF and CAP_PERFMON, which lowtide does not have%s",
			facts.in_container ? " in this container" : "");
		if (facts.in_container)
			lt_remedy(session, "docker run --cap-add=BPF --cap-add=PERFMON "
					   "--cap-add=SYS_PTRACE, or run lowtide as root on the "
					   "host");
		else
			lt_remedy(session, "run it with sudo");
		return LT_E_PERMISSION;
	}
	if (error == EPERM || error == EACCES) {
		lt_fail_errno(session, LT_E_PERMISSION, error,
			      "a security policy of this system forbids probes (%s)", what);
		lt_remedy(session, "look for a seccomp profile or a denial of AppArmor or SELinux");
		return LT_E_PERMISSION;
	}
	lt_fail_errno(session, LT_E_PERMISSION, error, "the kernel does not offer probes (%s)",
		      what);
	lt_remedy(session, "it takes Linux 5.13 with CONFIG_BPF_SYSCALL, CONFIG_BPF_EVENTS and "
			   "CONFIG_UPROBE_EVENTS");
	return LT_E_PERMISSION;
}

static int silent(enum libbpf_print_level level, const char *format, va_list arguments)
{
	(void)level, (void)format, (void)arguments;
	return 0;
}

/* "config:32-63" gives 32. */
static unsigned format_bit(const char *name, unsigned otherwise)
{
	char path[96], text[64];
	unsigned bit;
	snprintf(path, sizeof(path), "/sys/bus/event_source/devices/uprobe/format/%s", name);
	if (!lt_proc_read(path, text, sizeof(text)) || sscanf(text, "config:%u", &bit) != 1 ||
	    bit > 63)
		return otherwise;
	return bit;
}

/* The ids of the process, from lowtide's PID namespace on to its own: the last one, and how many come before it. */
static uint32_t innermost_pid(pid_t pid, uint32_t *ret_above)
{
	char path[64], text[8192], value[256];
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	*ret_above = 0;
	if (!lt_proc_read(path, text, sizeof(text)) ||
	    !lt_proc_field(text, "NSpid", value, sizeof(value)))
		return (uint32_t)pid;
	char *last = value, *end;
	unsigned long id = (unsigned long)pid;
	uint32_t count = 0;
	for (unsigned long next = strtoul(last, &end, 10); end != last;
	     next = strtoul(last, &end, 10)) {
		id = next;
		last = end;
		count++;
	}
	*ret_above = count > 0 ? count - 1 : 0;
	return (uint32_t)id;
}

static enum lt_status find_namespace(struct lt_probe *probe)
{
	struct stat own, info;
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/ns/pid", (int)probe->process->pid);
	if (stat(path, &info) != 0)
		return lt_permission_fail(probe->session, probe->process->pid, errno, "probe");
	probe->namespace_device = info.st_dev;
	probe->namespace_inode = info.st_ino;
	uint32_t above;
	probe->namespace_pid = innermost_pid(probe->process->pid, &above);
	if (stat("/proc/self/ns/pid", &own) != 0)
		return LT_OK;
	if (own.st_ino == info.st_ino && own.st_dev == info.st_dev)
		probe->own = LT_PROBE_OWN_SAME;
	else if (own.st_ino == (ino_t)(uint32_t)FIRST_PID_NAMESPACE)
		probe->own = LT_PROBE_OWN_FIRST;
	else if (above > 0 && lt_probe_ids_find(&probe->ids))
		probe->own = LT_PROBE_OWN_BETWEEN;
	probe->ids.above = above;
	return LT_OK;
}

static int take(void *ctx, void *data, size_t size)
{
	struct lt_probe *probe = ctx;
	const struct lt_probe_record *record = data;
	if (size < sizeof(*record) || probe->sink == NULL)
		return 0;
	/* Asked after the record was found: what another program wrote comes after the time of its begin was written. */
	if (record->start_ns < lt_probe_exec_at(&probe->exec))
		probe->sink(probe->sink_ctx, record, size);
	/* A program that writes faster than this reads would never be done with. */
	return record->start_ns > probe->drained_ns ? -ECANCELED : 0;
}

static enum lt_status open_ring(struct lt_probe *probe, uint64_t bytes)
{
	int error = 0;
	uint32_t most = RING_USUAL;
	while (most < bytes && most < RING_MAX)
		most *= 2;
	libbpf_set_print(silent);
	for (uint32_t size = most; size >= RING_MIN && probe->ring < 0; size /= 2) {
		probe->ring = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "lowtide", 0, 0, size, NULL);
		error = errno;
		if (probe->ring < 0 && error != ENOMEM && error != EPERM)
			break;
	}
	if (probe->ring < 0)
		return refused(probe->session, error, "bpf: a ring");
	probe->reader = ring_buffer__new(probe->ring, take, probe, NULL);
	if (probe->reader == NULL)
		return lt_fail_errno(probe->session, LT_E_NO_MEMORY, errno,
				     "the ring of the probes cannot be mapped");
	return LT_OK;
}

static void of_process(const struct lt_probe *probe, struct lt_probe_plan *plan)
{
	plan->namespace_device = probe->namespace_device;
	plan->namespace_inode = probe->namespace_inode;
	plan->namespace_pid = probe->namespace_pid;
	plan->own = probe->own;
	plan->ids = probe->ids;
}

enum lt_status lt_probe_open(struct lt_session *session, const struct lt_process *process,
			     uint64_t bytes, struct lt_probe **ret_probe)
{
	struct lt_probe *probe = calloc(1, sizeof(*probe));
	if (probe == NULL)
		return lt_fail_memory(session);
	*probe = (struct lt_probe){.session = session, .process = process, .ring = -1};
	char text[64];
	uint64_t type;
	enum lt_status status = find_namespace(probe);
	if (status == LT_OK) {
		if (!lt_proc_read("/sys/bus/event_source/devices/uprobe/type", text,
				  sizeof(text)) ||
		    !lt_proc_number(text, &type) || type > UINT32_MAX)
			status = refused(session, ENOENT, "perf: uprobe");
		else
			probe->uprobe_type = (unsigned)type;
	}
	if (status == LT_OK)
		status = open_ring(probe, bytes);
	if (status != LT_OK) {
		lt_probe_close(probe);
		return status;
	}
	struct lt_probe_plan plan = {0};
	of_process(probe, &plan);
	/* Without it the end of the program is noticed a moment later, by whoever reads its memory. */
	(void)lt_probe_exec_init(&plan, &probe->exec);
	probe->return_bit = format_bit("retprobe", 0);
	probe->semaphore_shift = format_bit("ref_ctr_offset", 32);
	*ret_probe = probe;
	return LT_OK;
}

/* What the kernel's verifier says of a program that it refuses stands before its figures. */
static const char *last_lines(char *log)
{
	char *figures = strstr(log, "processed ");
	if (figures != NULL)
		*figures = 0;
	size_t length = strlen(log);
	while (length > 0 && log[length - 1] == '\n')
		log[--length] = 0;
	return length > 200 ? log + length - 200 : log;
}

static enum bpf_prog_type program_type(enum lt_probe_kind kind)
{
	return kind == LT_PROBE_WRITE ? BPF_PROG_TYPE_PERF_EVENT : BPF_PROG_TYPE_KPROBE;
}

/* `id`: of the site, or LT_PROBE_SITE_OF_LINK. */
static enum lt_status load_program(struct lt_probe *probe, const struct lt_probe_site *site,
				   uint32_t id, int *ret_program)
{
	LT_FREE struct bpf_insn *code = calloc(LT_PROBE_PROGRAM_MAX, sizeof(*code));
	LT_FREE struct lt_probe_plan *plan = malloc(sizeof(*plan));
	if (code == NULL || plan == NULL)
		return lt_fail_memory(probe->session);
	*plan = *site->plan;
	of_process(probe, plan);
	size_t count = lt_probe_program(plan, id, probe->ring, code);
	if (count == 0)
		return lt_fail(probe->session, LT_E_INTERNAL, "the plan of a probe makes no sense");
	LT_FREE char *log = calloc(1, LOG_MAX);
	if (log == NULL)
		return lt_fail_memory(probe->session);
	LIBBPF_OPTS(bpf_prog_load_opts, options, .log_buf = log, .log_size = LOG_MAX);
	if (id == LT_PROBE_SITE_OF_LINK)
		options.expected_attach_type = (enum bpf_attach_type)LT_PROBE_LINK_TYPE;
	int program =
		bpf_prog_load(program_type(site->kind), "lowtide", licence, code, count, &options);
	if (program < 0 && log[0] != 0)
		return lt_fail_errno(probe->session, LT_E_INTERNAL, errno,
				     "the kernel does not take the program of a probe (%s)",
				     last_lines(log));
	if (program < 0)
		return refused(probe->session, errno, "bpf: a program");
	if (!fds_push(&probe->fds, program)) {
		close(program);
		return lt_fail_memory(probe->session);
	}
	*ret_program = program;
	return LT_OK;
}

static enum lt_status open_event(struct lt_probe *probe, struct perf_event_attr *attr, pid_t thread,
				 int program)
{
	attr->size = sizeof(*attr);
	attr->sample_period = 1;
	attr->disabled = 1;
	int event = (int)syscall(SYS_perf_event_open, attr, thread, -1, -1, PERF_FLAG_FD_CLOEXEC);
	if (event < 0) {
		if (errno == ENOSPC)
			return lt_fail(probe->session, LT_E_BUSY,
				       "no debug register is free: a debugger watches the process");
		if (errno == ESRCH)
			return lt_fail(probe->session, LT_E_GONE, "thread %d has ended",
				       (int)thread);
		return refused(probe->session, errno, "perf: a probe");
	}
	if (!fds_push(&probe->fds, event)) {
		close(event);
		return lt_fail_memory(probe->session);
	}
	if (ioctl(event, PERF_EVENT_IOC_SET_BPF, program) != 0 ||
	    ioctl(event, PERF_EVENT_IOC_ENABLE, 0) != 0)
		return refused(probe->session, errno, "perf: a program at a probe");
	return LT_OK;
}

/* Where an address of the process lies in its file. False: in none. */
static bool file_offset(const struct lt_probe *probe, lt_addr address,
			const struct lt_mapping **ret_mapping, uint64_t *ret_offset)
{
	const struct lt_mapping *mapping = lt_process_mapping(probe->process, address);
	if (mapping == NULL || mapping->inode == 0)
		return false;
	*ret_mapping = mapping;
	*ret_offset = address - mapping->start + mapping->file_offset;
	return true;
}

static enum lt_status find_place(struct lt_probe *probe, const struct lt_probe_site *site,
				 struct place *ret_place)
{
	const struct lt_mapping *code, *data;
	uint64_t offset, semaphore = 0;
	if (!file_offset(probe, site->address, &code, &offset) || !code->executable)
		return lt_fail(probe->session, LT_E_READ, "the code at 0x%llx is in no file",
			       (unsigned long long)site->address);
	if (site->semaphore != 0 &&
	    (!file_offset(probe, site->semaphore, &data, &semaphore) ||
	     data->inode != code->inode || semaphore >> (64 - probe->semaphore_shift) != 0))
		return lt_fail(probe->session, LT_E_READ,
			       "the semaphore of the probe at 0x%llx is not in its file",
			       (unsigned long long)site->address);
	*ret_place = (struct place){site, code, offset, semaphore, -1};
	return LT_OK;
}

/* The kernel takes the file behind the link in /proc/self/fd, which is the very one that is mapped. */
static enum lt_status open_file(struct lt_probe *probe, const struct place *place, int *ret_file,
				char path[PATH_BYTES])
{
	int file = lt_root_open_mapping(probe->process->pid, place->code);
	if (file < 0)
		return lt_fail_errno(probe->session, LT_E_FILE, errno,
				     "the file %s cannot be opened for a probe", place->code->path);
	snprintf(path, PATH_BYTES, "/proc/self/fd/%d", file);
	*ret_file = file;
	return LT_OK;
}

static bool go_together(const struct place *one, const struct place *other)
{
	return one->site->plan == other->site->plan && one->site->kind == other->site->kind &&
	       one->code->inode == other->code->inode &&
	       one->code->device_major == other->code->device_major &&
	       one->code->device_minor == other->code->device_minor;
}

/* The program of a plan: that of an earlier link when there is one. */
static enum lt_status program_of(struct lt_probe *probe, const struct places *places,
				 const struct lt_probe_site *site, int *ret_program)
{
	for (size_t i = 0; i < places->count; i++) {
		if (places->data[i].program >= 0 && places->data[i].site->plan == site->plan) {
			*ret_program = places->data[i].program;
			return LT_OK;
		}
	}
	return load_program(probe, site, LT_PROBE_SITE_OF_LINK, ret_program);
}

static enum lt_status open_link(struct lt_probe *probe, const struct lt_probe_link *link)
{
	int fd = probe->linked || lt_probe_link_possible(link) ? lt_probe_link_create(link) : -1;
	if (fd < 0)
		return refused(probe->session, errno, "bpf: a link");
	if (!fds_push(&probe->fds, fd)) {
		close(fd);
		return lt_fail_memory(probe->session);
	}
	probe->linked = true;
	return LT_OK;
}

/* One link for the place and all that go with it. */
static enum lt_status attach_link(struct lt_probe *probe, struct places *places, size_t first)
{
	LT_CLEANUP(words_deinit) struct words offsets = {0}, semaphores = {0}, ids = {0};
	const struct place *place = &places->data[first];
	LT_CLOSE int file = -1;
	char path[PATH_BYTES];
	int program = -1;
	LT_TRY(program_of(probe, places, place->site, &program));
	LT_TRY(open_file(probe, place, &file, path));
	for (size_t i = first; i < places->count; i++) {
		struct place *other = &places->data[i];
		if (other->program >= 0 || !go_together(place, other))
			continue;
		if (!words_push(&offsets, other->offset) ||
		    !words_push(&semaphores, other->semaphore) ||
		    !words_push(&ids, other->site->id))
			return lt_fail_memory(probe->session);
		if (i != first)
			other->program = program;
	}
	places->data[first].program = program;
	const struct lt_probe_link link = {
		.program = program,
		.path = path,
		.offsets = offsets.data,
		.semaphores = semaphores.data,
		.cookies = ids.data,
		.count = (uint32_t)offsets.count,
		.returns = place->site->kind == LT_PROBE_RETURN,
		.process = probe->process->pid,
	};
	return open_link(probe, &link);
}

static enum lt_status attach_event(struct lt_probe *probe, const struct place *place)
{
	struct perf_event_attr attr = {.type = probe->uprobe_type};
	LT_CLOSE int file = -1;
	char path[PATH_BYTES];
	int program = -1;
	LT_TRY(load_program(probe, place->site, place->site->id, &program));
	LT_TRY(open_file(probe, place, &file, path));
	attr.uprobe_path = (uint64_t)(uintptr_t)path;
	attr.probe_offset = place->offset;
	attr.config = place->semaphore << probe->semaphore_shift;
	if (place->site->kind == LT_PROBE_RETURN)
		attr.config |= 1ull << probe->return_bit;
	return open_event(probe, &attr, probe->process->pid, program);
}

static void close_after(struct lt_probe *probe, size_t kept)
{
	/* Links and events before their programs. */
	while (probe->fds.count > kept)
		close(probe->fds.data[--probe->fds.count]);
}

/* By links, where the kernel has them; else each by an event of its own. */
static enum lt_status attach_code(struct lt_probe *probe, struct places *places)
{
	size_t before = probe->fds.count;
	enum lt_status status = LT_OK;
	for (size_t i = 0; i < places->count && status == LT_OK; i++)
		if (places->data[i].program < 0)
			status = attach_link(probe, places, i);
	if (status == LT_OK || status == LT_E_NO_MEMORY)
		return status;
	lt_session_clear(probe->session);
	close_after(probe, before);
	probe->linked = false;
	for (size_t i = 0; i < places->count; i++)
		LT_TRY(attach_event(probe, &places->data[i]));
	return LT_OK;
}

static bool is_known(const struct threads *threads, pid_t thread)
{
	for (size_t i = 0; i < threads->count; i++)
		if (threads->data[i] == thread)
			return true;
	return false;
}

/* Debug registers belong to threads: to each one, and to those that it starts from then on. */
static enum lt_status attach_write(struct lt_probe *probe, const struct lt_probe_site *site)
{
	LT_CLEANUP(threads_deinit) struct threads done = {0};
	struct perf_event_attr attr = {
		.type = PERF_TYPE_BREAKPOINT,
		.bp_type = HW_BREAKPOINT_W,
		.bp_addr = site->address,
		.bp_len = HW_BREAKPOINT_LEN_4,
		.exclude_kernel = 1,
		.exclude_hv = 1,
		.inherit = 1,
		.inherit_thread = 1,
	};
	int program = -1;
	LT_TRY(load_program(probe, site, site->id, &program));
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/task", (int)probe->process->pid);
	bool more = true;
	/* A thread may be started by one that had no probe yet: until nothing new is seen. */
	for (int round = 0; round < TASK_ROUNDS && more; round++) {
		more = false;
		DIR *tasks = opendir(path);
		if (tasks == NULL)
			return lt_permission_fail(probe->session, probe->process->pid, errno,
						  "probe");
		enum lt_status status = LT_OK;
		for (struct dirent *entry; status == LT_OK && (entry = readdir(tasks)) != NULL;) {
			pid_t thread = (pid_t)atoi(entry->d_name);
			if (thread <= 0 || is_known(&done, thread))
				continue;
			more = true;
			status = open_event(probe, &attr, thread, program);
			if (status == LT_E_GONE) {
				lt_session_clear(probe->session);
				status = LT_OK;
			}
			if (status == LT_OK && !threads_push(&done, thread))
				status = lt_fail_memory(probe->session);
		}
		closedir(tasks);
		LT_TRY(status);
	}
	return LT_OK;
}

enum lt_status lt_probe_attach(struct lt_probe *probe, const struct lt_probe_site *sites,
			       size_t count)
{
	LT_CLEANUP(places_deinit) struct places places = {0};
	for (size_t i = 0; i < count; i++) {
		struct place place = {0};
		if (sites[i].kind == LT_PROBE_WRITE)
			continue;
		LT_TRY(find_place(probe, &sites[i], &place));
		if (!places_push(&places, place))
			return lt_fail_memory(probe->session);
	}
	LT_TRY(attach_code(probe, &places));
	for (size_t i = 0; i < count; i++)
		if (sites[i].kind == LT_PROBE_WRITE)
			LT_TRY(attach_write(probe, &sites[i]));
	return LT_OK;
}

bool lt_probe_linked(const struct lt_probe *probe)
{
	return probe->linked;
}

uint64_t lt_probe_drain(struct lt_probe *probe, lt_probe_sink sink, void *ctx)
{
	probe->sink = sink;
	probe->sink_ctx = ctx;
	probe->drained_ns = lt_now_ns();
	(void)ring_buffer__consume(probe->reader);
	probe->sink = NULL;
	return probe->drained_ns;
}

bool lt_probe_replaced(const struct lt_probe *probe)
{
	return lt_probe_exec_at(&probe->exec) != UINT64_MAX;
}

void lt_probe_close(struct lt_probe *probe)
{
	if (probe == NULL)
		return;
	close_after(probe, 0);
	lt_probe_exec_deinit(&probe->exec);
	fds_deinit(&probe->fds);
	ring_buffer__free(probe->reader);
	if (probe->ring >= 0)
		close(probe->ring);
	free(probe);
}
