#include "target/stacks.h"

#include "base/cleanup.h"
#include "target/proc.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { THREADS_MAX = 65536, BELOW = 4096 };

/* proc(5): "number, six arguments, stack pointer, program counter", "-1 sp pc" outside of a call, or "running". */
static lt_addr stack_pointer(pid_t pid, pid_t tid)
{
	char path[64], text[512];
	snprintf(path, sizeof(path), "/proc/%d/task/%d/syscall", (int)pid, (int)tid);
	if (!lt_proc_read(path, text, sizeof(text)) || strncmp(text, "running", 7) == 0)
		return 0;
	char *end = text + strcspn(text, "\n");
	*end = '\0';
	char *last = strrchr(text, ' ');
	if (last == NULL)
		return 0;
	*last = '\0';
	char *before = strrchr(text, ' ');
	return before != NULL ? strtoull(before + 1, NULL, 16) : 0;
}

enum lt_status lt_stacks_read(struct lt_session *session, const struct lt_process *process,
			      struct lt_stacks *ret_stacks)
{
	LT_CLEANUP(lt_stacks_deinit) struct lt_stacks stacks = {0};
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/task", (int)process->pid);
	DIR *directory = opendir(path);
	const struct dirent *entry;
	bool memory = directory != NULL || errno != ENOMEM;
	while (directory != NULL && memory && stacks.count < THREADS_MAX &&
	       (entry = readdir(directory)) != NULL) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		pid_t tid = (pid_t)strtol(entry->d_name, NULL, 10);
		lt_addr pointer = stack_pointer(process->pid, tid);
		const struct lt_mapping *mapping = lt_process_mapping(process, pointer);
		if (pointer == 0 || mapping == NULL || !mapping->writable)
			continue;
		lt_addr start = (pointer & ~(lt_addr)7) - BELOW;
		struct lt_stack stack = {.tid = tid,
					 .pointer = start > mapping->start ? start : mapping->start,
					 .end = mapping->end};
		memory = lt_stacks_push(&stacks, stack);
	}
	if (directory != NULL)
		closedir(directory);
	if (!memory)
		return lt_fail_memory(session);
	*ret_stacks = stacks;
	stacks = (struct lt_stacks){0};
	return LT_OK;
}
