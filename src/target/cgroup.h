/*
 * cgroup.h: how much memory a process may still take before its control group stops it.
 *
 * Groups are nested, and each of them may have a limit: the smallest headroom of the process' own group
 * and all that hold it counts. Version 1 and 2 hierarchies, both at once too; in containers the groups
 * are found through the mounts of lowtide or those of the target, whichever shows them.
 */
#ifndef LT_TARGET_CGROUP_H
#define LT_TARGET_CGROUP_H

#include "base/session.h"

#include <sys/types.h>

/* All sizes in bytes. */
struct lt_cgroup_memory {
	bool limited;   /* some group limits the memory; the rest holds only then */
	uint64_t limit; /* of the group with the least headroom */
	uint64_t usage; /* of that group, page cache included */
	uint64_t
		reclaimable; /* part of the usage that the kernel drops at need (inactive file pages) */
	uint64_t headroom; /* limit - (usage - reclaimable), 0 when that is negative */
	const char *file;  /* that has the limit, "memory.max" or "memory.limit_in_bytes": static */
	bool throttles;    /* the limit is memory.high: behind it the group is slowed, not killed */
	char group[512];   /* name of that group, cut to fit */
	bool swaps;        /* it has figures on swap: the next two */
	uint64_t swap;     /* what of the group's memory is swapped out, besides usage */
	uint64_t swap_limit; /* of that; UINT64_MAX: none of its own */
	bool counts_kills;   /* the next one is known */
	uint64_t
		kills; /* processes that the kernel killed for want of memory, since the group was made */
};

/*
 * What can be read counts; a process whose groups cannot be found is not limited as far as is known.
 * Fails only when the process is gone or lowtide has no memory.
 */
LT_MUST_CHECK enum lt_status lt_cgroup_memory(struct lt_session *session, pid_t pid,
					      struct lt_cgroup_memory *ret_memory);

/* The same with /proc and the mount points of groups below `root` instead of "/": for tests. */
LT_MUST_CHECK enum lt_status lt_cgroup_memory_below(struct lt_session *session, const char *root,
						    pid_t pid, struct lt_cgroup_memory *ret_memory);

#endif
