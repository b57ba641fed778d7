#include "watch/aside.h"

#include "target/proc.h"

#include <dirent.h>
#include <stdio.h>

enum {
	STAT_BYTES = 1024,
	STAT_STATE = 3, /* fields of proc_pid_stat(5) */
	STAT_PROCESSOR = 39,
	THREADS_MOST = 64, /* that are asked whether they run */
};

void lt_aside_begin(struct lt_aside *aside)
{
	CPU_ZERO(&aside->usual);
	aside->known = sched_getaffinity(0, sizeof(aside->usual), &aside->usual) == 0;
}

/* The processor that it has now, or had last; *ret_runs: it has or waits for it. -1: not known. */
static int processor_of(const char *path, bool *ret_runs)
{
	char stat[STAT_BYTES];
	uint64_t state, processor;
	if (!lt_proc_read(path, stat, sizeof(stat)) ||
	    !lt_proc_stat_field(stat, STAT_STATE, &state) ||
	    !lt_proc_stat_field(stat, STAT_PROCESSOR, &processor) || processor >= CPU_SETSIZE)
		return -1;
	*ret_runs = state == 'R';
	return (int)processor;
}

/* Of the first thread that runs; -1: none does. */
static int processor_in_use(pid_t pid)
{
	char path[300];
	int found = -1;
	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	DIR *threads = opendir(path);
	if (threads == NULL)
		return -1;
	const struct dirent *entry;
	for (int i = 0; i < THREADS_MOST && found < 0 && (entry = readdir(threads)) != NULL; i++) {
		bool runs = false;
		snprintf(path, sizeof(path), "/proc/%d/task/%s/stat", (int)pid, entry->d_name);
		int processor = entry->d_name[0] == '.' ? -1 : processor_of(path, &runs);
		found = runs ? processor : -1;
	}
	closedir(threads);
	return found;
}

bool lt_aside_step(const struct lt_aside *aside, pid_t pid)
{
	if (!aside->known)
		return true;
	int processor = processor_in_use(pid);
	if (processor < 0 || !CPU_ISSET((unsigned)processor, &aside->usual))
		return true;
	if (CPU_COUNT(&aside->usual) == 1)
		return false;
	cpu_set_t others = aside->usual;
	CPU_CLR((unsigned)processor, &others);
	sched_setaffinity(0, sizeof(others), &others);
	return true;
}
