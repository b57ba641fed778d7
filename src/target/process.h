/*
 * process.h: a process as the kernel shows it in /proc: its mappings, files, identity and limits.
 *
 * Paths of the target are read through /proc/PID/root, so other mount and PID namespaces work.
 */
#ifndef LT_TARGET_PROCESS_H
#define LT_TARGET_PROCESS_H

#include "base/session.h"
#include "base/vec.h"
#include "target/memory.h"

#include <sys/types.h>

struct lt_arena;
struct lt_text;

struct lt_mapping {
	lt_addr start; /* page aligned */
	lt_addr end;
	uint64_t file_offset;
	uint64_t inode; /* 0: no file */
	uint32_t device_major, device_minor;
	bool readable, writable, executable, shared;
	const char *
		path; /* as the target sees it, "" for anonymous, "[heap]" and so on; owned by the process */
};
LT_VEC(lt_mappings, struct lt_mapping);

/* What private writable memory of no file is for. */
enum lt_region {
	LT_REGION_HEAP,   /* [heap]: of malloc, what brk(2) gave */
	LT_REGION_ARENAS, /* glibc's malloc: the arenas that it makes for threads */
	LT_REGION_STACKS,
	LT_REGION_ANONYMOUS, /* all other: Python's arenas, big blocks of malloc, mmap(2) */
	LT_REGION_COUNT
};
/* "heap", "arenas", ...: as in JSON. */
const char *lt_region_name(enum lt_region region);

struct lt_process {
	pid_t pid;
	uint64_t start_time; /* in clock ticks since boot: tells a reused PID */
	/* Where the code and the first stack of its program begin: those of another one, by execve(2), differ. 0: unknown. */
	uint64_t code_start, stack_start;
	uint64_t uptime_ms;
	uint64_t rss_bytes;
	uint64_t anonymous_bytes; /* private memory of no file, resident or swapped; 0: unknown */
	unsigned thread_count;
	char executable[4096]; /* as the target sees it, "" when it cannot be read */
	char *command_line;    /* arguments joined by spaces, control bytes made visible; owned */
	struct lt_mappings mappings; /* ascending */
	struct lt_arena *strings;    /* owns the paths */
};

/*
 * LT_E_GONE: no such process, or it is a zombie. LT_E_PERMISSION with the remedy (sudo, ptrace_scope,
 * CAP_SYS_PTRACE, container) when it may not be looked at.
 */
LT_MUST_CHECK enum lt_status lt_process_open(struct lt_session *session, pid_t pid,
					     struct lt_process **ret_process);
/* Reads the mappings again: they change in a live target. */
LT_MUST_CHECK enum lt_status lt_process_refresh(struct lt_session *session,
						struct lt_process *process);
void lt_process_close(struct lt_process *process);

/* The mapping that holds `addr`, NULL for none. */
const struct lt_mapping *lt_process_mapping(const struct lt_process *process, lt_addr addr);

/* True while the same process (PID and start time) lives and is no zombie. */
bool lt_process_alive(const struct lt_process *process);

/* True when both are of one process and no execve(2) came in between. */
bool lt_process_same_program(const struct lt_process *a, const struct lt_process *b);
/* True while the process lives and runs the program that it ran. */
bool lt_process_runs_on(const struct lt_process *process);

/*
 * Of a process whose memory is gone: the program that runs in its place since an execve(2), with its identity and
 * command line and without mappings; lt_process_close(). NULL: the process ended. Takes a tenth of a second at most, for
 * an execve() that is under way.
 */
struct lt_process *lt_process_successor(const struct lt_process *process);

/*
 * The kernel shows the paths of a target in a chroot as lowtide's root has them. lt_process_root() is what they
 * begin with, its length without the zero byte, 0 for none; lt_process_below() what the target itself sees of one.
 */
size_t lt_process_root(pid_t pid, char *buffer, size_t capacity);
const char *lt_process_below(const char *path, const char *root, size_t length);

/* Appends bytes that the target chose, control bytes made visible ("\n", "\x1b"), for a terminal. */
void lt_process_show(struct lt_text *text, const char *bytes, size_t length);

/* The memory of the live process: /proc/PID/mem first (it does not copy pages that a fork shares), process_vm_readv next. */
LT_MUST_CHECK enum lt_status lt_process_memory(struct lt_session *session,
					       const struct lt_process *process,
					       struct lt_memory **ret_memory);

#endif
