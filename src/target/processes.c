#include "target/processes.h"

#include "target/proc.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

/* PF_KTHREAD of include/linux/sched.h, in field 9 (flags) of /proc/PID/stat. */
enum { KERNEL_THREAD = 0x00200000 };

static bool is_user_process(pid_t pid)
{
	char path[64], stat[1024];
	uint64_t state, flags;
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (!lt_proc_read(path, stat, sizeof(stat)) || !lt_proc_stat_field(stat, 3, &state) ||
	    state == 'Z' || state == 'X')
		return false;
	return !lt_proc_stat_field(stat, 9, &flags) || (flags & KERNEL_THREAD) == 0;
}

static int by_number(const void *a, const void *b)
{
	pid_t left = *(const pid_t *)a, right = *(const pid_t *)b;
	return (left > right) - (left < right);
}

enum lt_status lt_processes_list(struct lt_session *session, struct lt_pids *ret_pids)
{
	DIR *directory = opendir("/proc");
	if (directory == NULL)
		return lt_fail_errno(session, LT_E_INTERNAL, errno, "cannot read /proc");
	struct lt_pids pids = {0};
	bool failed = false;
	const struct dirent *entry;
	while (!failed && (entry = readdir(directory)) != NULL) {
		uint64_t pid;
		if (!isdigit((unsigned char)entry->d_name[0]) ||
		    !lt_proc_number(entry->d_name, &pid) || pid > INT_MAX ||
		    !is_user_process((pid_t)pid))
			continue;
		failed = !lt_pids_push(&pids, (pid_t)pid);
	}
	closedir(directory);
	if (failed) {
		lt_pids_deinit(&pids);
		return lt_fail_memory(session);
	}
	if (pids.count > 1)
		qsort(pids.data, pids.count, sizeof(*pids.data), by_number);
	*ret_pids = pids;
	return LT_OK;
}
