#include "watch/aside.h"

#include "target/proc.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	STAT_BYTES = 1024,
	STAT_STATE = 3, /* fields of proc_pid_stat(5) */
	STAT_PROCESSOR = 39,
	THREADS_MOST = 64, /* that are asked whether they run */
};

void lt_aside_begin(struct lt_aside *aside)
{
	*aside = (struct lt_aside){0};
	aside->known = sched_getaffinity(0, sizeof(aside->usual), &aside->usual) == 0;
}

/* The processor that it has now, or had last; *ret_runs: it has or waits for it. -1: not known. */
static int processor_of(pid_t pid, pid_t thread, bool *ret_runs)
{
	char path[64], stat[STAT_BYTES];
	uint64_t state, processor;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", (int)pid, (int)thread);
	if (!lt_proc_read(path, stat, sizeof(stat)) ||
	    !lt_proc_stat_field(stat, STAT_STATE, &state) ||
	    !lt_proc_stat_field(stat, STAT_PROCESSOR, &processor) || processor >= CPU_SETSIZE)
		return -1;
	*ret_runs = state == 'R';
	return (int)processor;
}

/* The thread that ran when that was asked last, or the first one. */
static pid_t last_of(const struct lt_aside *aside, pid_t pid)
{
	return aside->thread != 0 ? aside->thread : pid;
}

/* Of the first thread that runs; -1: none does, or with *ret_known false that is not known. */
static int processor_in_use(struct lt_aside *aside, pid_t pid, bool *ret_known)
{
	char path[64];
	bool runs = false;
	*ret_known = true;
	/* Most often it is the one that ran before. */
	int found = processor_of(pid, last_of(aside, pid), &runs);
	if (runs)
		return found;
	found = -1;
	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	DIR *threads = opendir(path);
	*ret_known = threads != NULL;
	if (threads == NULL)
		return -1;
	const struct dirent *entry;
	for (int i = 0; found < 0 && (entry = readdir(threads)) != NULL; i++) {
		*ret_known = i < THREADS_MOST;
		if (!*ret_known)
			break;
		pid_t thread = (pid_t)strtol(entry->d_name, NULL, 10);
		runs = false;
		int processor = thread > 0 ? processor_of(pid, thread, &runs) : -1;
		found = runs ? processor : -1;
		if (runs)
			aside->thread = thread;
	}
	closedir(threads);
	return found;
}

bool lt_aside_runs(struct lt_aside *aside, pid_t pid)
{
	bool known;
	return processor_in_use(aside, pid, &known) >= 0 || !known;
}

bool lt_aside_runs_again(const struct lt_aside *aside, pid_t pid)
{
	bool runs = false;
	return processor_of(pid, last_of(aside, pid), &runs) < 0 || runs;
}

bool lt_aside_step(struct lt_aside *aside, pid_t pid, bool *ret_runs)
{
	bool known;
	int processor = processor_in_use(aside, pid, &known);
	if (ret_runs != NULL)
		*ret_runs = processor >= 0 || !known;
	if (!aside->known || processor < 0 || !CPU_ISSET((unsigned)processor, &aside->usual))
		return true;
	if (CPU_COUNT(&aside->usual) == 1)
		return false;
	cpu_set_t others = aside->usual;
	CPU_CLR((unsigned)processor, &others);
	sched_setaffinity(0, sizeof(others), &others);
	return true;
}
