/*
 * probe_link.h: many probes in the code of one file as one link of the kernel ("uprobe_multi", Linux 6.6 and later):
 * put in and taken out together, which takes milliseconds. Each one alone, as an event of perf, is taken out with a
 * wait of its own.
 */
#ifndef LT_TARGET_PROBE_LINK_H
#define LT_TARGET_PROBE_LINK_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* The expected attach type of programs of links: BPF_TRACE_UPROBE_MULTI, which older headers lack. */
enum { LT_PROBE_LINK_TYPE = 48 };

struct lt_probe_link {
	int program;      /* loaded with that type */
	const char *path; /* of the file, as lowtide sees it */
	/* By probe: the offset in the file, that of its semaphore (0: none), and the program's cookie. */
	const uint64_t *offsets, *semaphores, *cookies;
	uint32_t count;
	bool returns;  /* when the functions at the offsets return */
	pid_t process; /* only there */
};

/*
 * Whether this kernel keeps such links to the process: some of 6.6 to 6.9 keep them to its first thread. Puts
 * nothing in place. errno says why not.
 */
bool lt_probe_link_possible(const struct lt_probe_link *link);

/* A file descriptor, or -1 with errno: EINVAL and E2BIG where the kernel has no such links, or not so many. */
int lt_probe_link_create(const struct lt_probe_link *link);

#endif
