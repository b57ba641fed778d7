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
	pid_t thread; /* that ran when that was asked last; 0: none yet */
};

/* Of the calling thread, as each function here. */
void lt_aside_begin(struct lt_aside *aside);

/* Whether a thread of `pid` runs or waits for a processor; true as well where that is not known. */
bool lt_aside_runs(struct lt_aside *aside, pid_t pid);

/* Whether the one thread does that was found last, at a fraction of the cost; true as well where it is gone. */
bool lt_aside_runs_again(const struct lt_aside *aside, pid_t pid);

/*
 * To another processor than the thread of `pid` that runs now. It may move on at any time: to be called every few ms.
 * False: there is no other, and that thread stands while the calling one runs. *ret_runs: as lt_aside_runs(); NULL is allowed.
 */
bool lt_aside_step(struct lt_aside *aside, pid_t pid, bool *ret_runs);

#endif
