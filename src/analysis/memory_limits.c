/*
 * memory_limits.c: what may end a request for memory beside fragmentation: limits of the process, of its control
 * groups and of the machine.
 */
#include "analysis/fragmentation.h"

#include "base/cleanup.h"
#include "target/cgroup.h"
#include "target/proc.h"

#include <stdio.h>
#include <string.h>

enum { TEXT_MAX = 64 << 10 };

static const double TIGHT = 0.1;

static void add(struct lt_fragmentation *to, struct lt_memory_limit limit)
{
	if (to->limit_count == LT_MEMORY_LIMITS_MAX || limit.limit == 0)
		return;
	limit.tight = (double)limit.headroom < TIGHT * (double)limit.limit;
	to->exhausted = to->exhausted || limit.tight;
	to->limits[to->limit_count++] = limit;
}

static void add_used(struct lt_fragmentation *to, const char *name, const char *cause,
		     bool mappings, uint64_t limit, uint64_t used)
{
	add(to, (struct lt_memory_limit){.name = name,
					 .cause = cause,
					 .mappings = mappings,
					 .limit = limit,
					 .used = used,
					 .headroom = limit > used ? limit - used : 0});
}

/* The soft limit on the line of /proc/PID/limits that begins with `name`. False: there is none. */
static bool soft_limit(const char *text, const char *name, uint64_t *ret_limit)
{
	const char *line = strstr(text, name);
	if (line == NULL)
		return false;
	line += strlen(name);
	unsigned long long limit;
	if (sscanf(line, "%llu", &limit) != 1)
		return false;
	*ret_limit = limit;
	return true;
}

static void of_process(const struct lt_memory_sources *sources, struct lt_fragmentation *to)
{
	uint64_t limit;
	if (sources->limits == NULL || sources->status == NULL)
		return;
	if (soft_limit(sources->limits, "Max address space", &limit))
		add_used(to, "address space", "RLIMIT_AS", false, limit,
			 lt_proc_bytes(sources->status, "VmSize"));
	if (soft_limit(sources->limits, "Max data size", &limit))
		add_used(to, "data", "RLIMIT_DATA", false, limit,
			 lt_proc_bytes(sources->status, "VmData"));
}

static void of_group(struct lt_fragmentation *to)
{
	const struct lt_cgroup_memory *group = &to->group;
	uint64_t reclaimable =
		group->reclaimable < group->usage ? group->reclaimable : group->usage;
	if (group->limited)
		add(to, (struct lt_memory_limit){.name = "control group",
						 .cause = group->file,
						 .limit = group->limit,
						 .used = group->usage - reclaimable,
						 .headroom = group->headroom});
}

void lt_memory_limits_judge(const struct lt_memory_sources *sources, struct lt_fragmentation *to)
{
	enum { NEVER = 2 }; /* Documentation/mm/overcommit-accounting.rst */
	of_process(sources, to);
	of_group(to);
	if (sources->overcommit == NEVER && sources->machine != NULL)
		add_used(to, "promised memory of the machine", "vm.overcommit_memory = 2", false,
			 lt_proc_bytes(sources->machine, "CommitLimit"),
			 lt_proc_bytes(sources->machine, "Committed_AS"));
	add_used(to, "mappings", "vm.max_map_count", true, sources->mappings_most,
		 sources->mappings);
}

static uint64_t number_in(const char *path)
{
	char text[64];
	uint64_t number;
	return lt_proc_read(path, text, sizeof(text)) && lt_proc_number(text, &number) ? number : 0;
}

enum lt_status lt_memory_limits_read(struct lt_session *session, pid_t pid, uint64_t mappings,
				     struct lt_fragmentation *fragmentation)
{
	char path[64];
	LT_TRY(lt_cgroup_memory(session, pid, &fragmentation->group));
	snprintf(path, sizeof(path), "/proc/%d/limits", (int)pid);
	LT_FREE char *limits = lt_proc_slurp(path, TEXT_MAX, NULL);
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	LT_FREE char *status = lt_proc_slurp(path, TEXT_MAX, NULL);
	LT_FREE char *machine = lt_proc_slurp("/proc/meminfo", TEXT_MAX, NULL);
	const struct lt_memory_sources sources = {
		.limits = limits,
		.status = status,
		.machine = machine,
		.overcommit = number_in("/proc/sys/vm/overcommit_memory"),
		.mappings = mappings,
		.mappings_most = number_in("/proc/sys/vm/max_map_count"),
	};
	lt_memory_limits_judge(&sources, fragmentation);
	return LT_OK;
}
