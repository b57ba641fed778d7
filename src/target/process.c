#include "target/process.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "target/live.h"
#include "target/maps.h"
#include "target/permission.h"
#include "target/proc.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <time.h>

enum {
	PF_EXITING = 0x00000004, /* include/linux/sched.h */
	MAPS_MAX = 256 << 20,    /* bytes of /proc/PID/maps: a million mappings are fewer */
	COMMAND_MAX = 64 << 10,  /* bytes of the command line that are shown */
	EXEC_TURNS = 100,        /* looks for the end of an execve(2), a millisecond each */
};

static void proc_path(pid_t pid, const char *name, char *buffer, size_t capacity)
{
	snprintf(buffer, capacity, "/proc/%d/%s", (int)pid, name);
}

void lt_process_show(struct lt_text *text, const char *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		unsigned char byte = (unsigned char)bytes[i];
		if (byte == '\n')
			lt_text_add(text, "\\n");
		else if (byte == '\t')
			lt_text_add(text, "\\t");
		else if (byte < 0x20 || byte == 0x7f)
			lt_text_addf(text, "\\x%02x", byte);
		else
			lt_text_add_bytes(text, bytes + i, 1);
	}
}

/* Arguments joined by blanks; the command's name in brackets when there are none (a kernel thread). */
static char *read_command_line(pid_t pid)
{
	char path[64], name[64];
	struct lt_text text = {0};
	size_t size = 0;
	proc_path(pid, "cmdline", path, sizeof(path));
	LT_FREE char *raw = lt_proc_slurp(path, COMMAND_MAX, &size);
	while (size > 0 && raw[size - 1] == '\0')
		size--;
	for (size_t at = 0; at < size;) {
		size_t length = strnlen(raw + at, size - at);
		if (at > 0)
			lt_text_add(&text, " ");
		lt_process_show(&text, raw + at, length);
		at += length + 1;
	}
	if (size == 0) {
		proc_path(pid, "comm", path, sizeof(path));
		if (lt_proc_read(path, name, sizeof(name))) {
			lt_text_add(&text, "[");
			lt_process_show(&text, name, strcspn(name, "\n"));
			lt_text_add(&text, "]");
		}
	}
	lt_text_add(&text, "");
	char *line = lt_text_take(&text);
	return line != NULL ? line : strdup("");
}

static uint64_t uptime_ms(uint64_t start_time)
{
	struct timespec now;
	long ticks = sysconf(_SC_CLK_TCK);
	if (ticks <= 0 || clock_gettime(CLOCK_BOOTTIME, &now) != 0)
		return 0;
	uint64_t since_boot = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
	uint64_t start = start_time / (uint64_t)ticks * 1000 +
			 start_time % (uint64_t)ticks * 1000 / (uint64_t)ticks;
	return since_boot > start ? since_boot - start : 0;
}

/* Identity and size out of stat and status. False: the process is gone. */
static bool read_identity(struct lt_process *process)
{
	char path[64], text[8192];
	uint64_t number;
	proc_path(process->pid, "stat", path, sizeof(path));
	/* Field numbers of proc(5): 3 state, 9 flags, 20 num_threads, 22 starttime, 26 startcode, 28 startstack. */
	process->thread_count = 0;
	if (!lt_proc_read(path, text, sizeof(text)))
		return false;
	if (lt_proc_stat_field(text, 20, &number))
		process->thread_count = number < UINT_MAX ? (unsigned)number : UINT_MAX;
	if (!lt_proc_stat_field(text, 3, &number) || number == 'Z' || number == 'X')
		return false;
	/* On its way out it has no memory any more, while its state still says that it runs. */
	if (lt_proc_stat_field(text, 9, &number) && (number & PF_EXITING) != 0)
		return false;
	if (lt_proc_stat_field(text, 22, &number))
		process->start_time = number;
	if (!lt_proc_stat_field(text, 26, &process->code_start))
		process->code_start = 0;
	if (!lt_proc_stat_field(text, 28, &process->stack_start))
		process->stack_start = 0;
	process->uptime_ms = uptime_ms(process->start_time);
	proc_path(process->pid, "status", path, sizeof(path));
	if (!lt_proc_read(path, text, sizeof(text)))
		return true;
	process->rss_bytes = lt_proc_bytes(text, "VmRSS");
	process->anonymous_bytes = lt_proc_bytes(text, "RssAnon") + lt_proc_bytes(text, "VmSwap");
	return true;
}

size_t lt_process_root(pid_t pid, char *buffer, size_t capacity)
{
	char path[64];
	proc_path(pid, "root", path, sizeof(path));
	ssize_t length = readlink(path, buffer, capacity - 1);
	if (length < 0 || (length == 1 && buffer[0] == '/'))
		length = 0;
	buffer[length] = '\0';
	return (size_t)length;
}

const char *lt_process_below(const char *path, const char *root, size_t length)
{
	return length > 0 && strncmp(path, root, length) == 0 && path[length] == '/' ? path + length
										     : path;
}

enum lt_status lt_process_refresh(struct lt_session *session, struct lt_process *process)
{
	char path[64];
	size_t size = 0;
	proc_path(process->pid, "maps", path, sizeof(path));
	LT_FREE char *text = lt_proc_slurp(path, MAPS_MAX, &size);
	if (text == NULL)
		return lt_permission_fail(session, process->pid, errno, "look at");
	struct lt_mappings mappings = {0};
	struct lt_arena *strings = calloc(1, sizeof(*strings));
	if (strings == NULL || !lt_maps_parse(text, size, &mappings, strings)) {
		if (strings != NULL)
			lt_arena_deinit(strings);
		free(strings);
		lt_mappings_deinit(&mappings);
		return lt_fail_memory(session);
	}
	char root[PATH_MAX];
	size_t length = lt_process_root(process->pid, root, sizeof(root));
	for (size_t i = 0; i < mappings.count; i++)
		mappings.data[i].path = lt_process_below(mappings.data[i].path, root, length);
	lt_mappings_deinit(&process->mappings);
	if (process->strings != NULL)
		lt_arena_deinit(process->strings);
	free(process->strings);
	process->mappings = mappings;
	process->strings = strings;
	return LT_OK;
}

static bool read_executable(struct lt_process *process)
{
	char path[64], root[PATH_MAX], executable[sizeof(process->executable)];
	proc_path(process->pid, "exe", path, sizeof(path));
	ssize_t length = readlink(path, executable, sizeof(executable) - 1);
	if (length <= 0)
		return false;
	executable[length] = '\0';
	size_t root_length = lt_process_root(process->pid, root, sizeof(root));
	const char *seen = lt_process_below(executable, root, root_length);
	memcpy(process->executable, seen, strlen(seen) + 1);
	return true;
}

enum lt_status lt_process_open(struct lt_session *session, pid_t pid,
			       struct lt_process **ret_process)
{
	if (pid <= 0)
		return lt_fail(session, LT_E_GONE, "there is no process %d", (int)pid);
	struct lt_process *process = calloc(1, sizeof(*process));
	if (process == NULL)
		return lt_fail_memory(session);
	process->pid = pid;
	enum lt_status status = LT_OK;
	if (!read_identity(process))
		status = lt_permission_fail(session, pid, ESRCH, "look at");
	if (status == LT_OK)
		status = lt_process_refresh(session, process);
	if (status != LT_OK) {
		lt_process_close(process);
		return status;
	}
	if (!read_executable(process) && process->mappings.count == 0 &&
	    lt_process_alive(process)) {
		lt_process_close(process);
		return lt_fail(session, LT_E_NOT_PYTHON,
			       "process %d is a part of the kernel, not a program", (int)pid);
	}
	process->command_line = read_command_line(pid);
	if (process->command_line == NULL) {
		lt_process_close(process);
		return lt_fail_memory(session);
	}
	*ret_process = process;
	return LT_OK;
}

void lt_process_close(struct lt_process *process)
{
	if (process == NULL)
		return;
	if (process->strings != NULL)
		lt_arena_deinit(process->strings);
	free(process->strings);
	lt_mappings_deinit(&process->mappings);
	free(process->command_line);
	free(process);
}

const struct lt_mapping *lt_process_mapping(const struct lt_process *process, lt_addr addr)
{
	return lt_maps_find(&process->mappings, addr);
}

bool lt_process_alive(const struct lt_process *process)
{
	struct lt_process now = {.pid = process->pid};
	return read_identity(&now) && now.start_time == process->start_time;
}

bool lt_process_same_program(const struct lt_process *a, const struct lt_process *b)
{
	return a->pid == b->pid && a->start_time == b->start_time &&
	       a->code_start == b->code_start && a->stack_start == b->stack_start;
}

bool lt_process_runs_on(const struct lt_process *process)
{
	struct lt_process now = {.pid = process->pid};
	return read_identity(&now) && lt_process_same_program(process, &now);
}

/*
 * Another thread than the first may have called execve(): then the first one dies, and the PID is without a program until
 * the other takes it over. And for a moment the new program has no code yet.
 */
static bool await_program(struct lt_process *now, uint64_t start_time)
{
	const struct timespec turn = {.tv_nsec = 1000000};
	for (int i = 0; i < EXEC_TURNS; i++) {
		bool alive = read_identity(now);
		if (alive && now->start_time != start_time)
			return false;
		if (alive && now->code_start != 0)
			return true;
		if (!alive && now->thread_count <= 1)
			return false;
		nanosleep(&turn, NULL);
	}
	return false;
}

struct lt_process *lt_process_successor(const struct lt_process *process)
{
	struct lt_process *now = calloc(1, sizeof(*now));
	if (now == NULL)
		return NULL;
	now->pid = process->pid;
	if (await_program(now, process->start_time)) {
		if (!read_executable(now))
			now->executable[0] = '\0';
		now->command_line = read_command_line(now->pid);
	}
	if (now->command_line == NULL) {
		lt_process_close(now);
		return NULL;
	}
	return now;
}

enum lt_status lt_process_memory(struct lt_session *session, const struct lt_process *process,
				 struct lt_memory **ret_memory)
{
	struct lt_memory *memory = NULL;
	LT_TRY(lt_live_open(session, process->pid, &memory));
	/* The PID may have been given to another process meanwhile; the descriptor is of one for good. */
	if (!lt_process_alive(process)) {
		lt_memory_close(memory);
		return lt_fail(session, LT_E_GONE, "process %d ended", (int)process->pid);
	}
	*ret_memory = memory;
	return LT_OK;
}
