/*
 * aside.h: a thread that reads a process as fast as it can runs on another processor than the one which that process uses:
 * where both want the same, the process stands while it is looked at, and nothing is seen.
 */
#ifndef LT_WATCH_ASIDE_H
#define LT_WATCH_ASIDE_H

#include <sched.h>
#include <stdbool.h>
#include <sys/types.h>

struct lt_aside {
	cpu_set_t usual; /* processors of the calling thread */
	bool known;
};

/* Of the calling thread, as each function here. */
void lt_aside_begin(struct lt_aside *aside);

/*
 * To another processor than the thread of `pid` that runs now. It may move on at any time: to be called every few ms.
 * False: there is no other, and that thread stands while the calling one runs.
 */
bool lt_aside_step(const struct lt_aside *aside, pid_t pid);

#endif
