/*
 * running.h: what is to be seen of a collection while it runs: the thread, its Python stack, and whether
 * gc.collect() is being called there.
 */
#ifndef LT_WATCH_RUNNING_H
#define LT_WATCH_RUNNING_H

#include "watch/watch.h"

struct lt_running {
	bool taken;     /* the rest is known */
	lt_addr tstate; /* of the thread */
	pid_t inside;   /* its kernel thread id as the target sees it */
	lt_addr collect; /* the builtin gc.collect that its innermost frame is calling, 0: it calls none */
	bool whole; /* the evaluation stack was known for sure: what is not there is not being called */
	int argument; /* the generation that is passed to it, -1 for none */
	bool exact;   /* the stack is that of the start for certain: the release keeps the frame */
	bool finalizing;
	uint32_t frame_count;
	struct lt_watch_frame frames[LT_WATCH_FRAMES];
	lt_addr addresses[LT_WATCH_FRAMES]; /* of the frames */
};

/*
 * Looks at the thread that holds the GIL of the interpreter, or at running->tstate when that is set. `state` is the
 * collector's as it was just read. A function of gc.callbacks and what it calls are not of the stack: the collector calls them
 * while it collects. False, with nothing changed: nobody holds it.
 */
bool lt_running_take(const struct lt_view *view, lt_addr interpreter, int64_t id,
		     const struct lt_gc_state *state, struct lt_running *running);

/*
 * A second look. The stack in which a collection began stays while it runs, with finalizers and callbacks on top of it at
 * times: the later look counts, unless it has the earlier one below such. When it has nothing of it, another
 * collection began in between.
 */
void lt_running_refine(struct lt_running *running, const struct lt_running *later);

#endif
