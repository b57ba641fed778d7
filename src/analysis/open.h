/*
 * open.h: from a PID to a frozen picture of an identified CPython process, and what that cost.
 *
 * A look holds everything that an analysis needs: the process, its interpreter, the frozen memory and
 * the view that src/heap/ works on. A target that ends midway gives LT_E_GONE, whichever layer met it.
 */
#ifndef LT_ANALYSIS_OPEN_H
#define LT_ANALYSIS_OPEN_H

#include "base/session.h"
#include "target/freeze.h"
#include "target/process.h"

#include <sys/types.h>

/* What a look costs: the target's standstill, lowtide's own time and memory. */
struct lt_cost {
	double stall_ms;     /* how long the target stood still, 0 in the live mode */
	double elapsed_ms;   /* from the start of the look to lt_look_end() */
	uint64_t peak_bytes; /* the most memory that lowtide held resident (VmHWM) */
};

/* What lowtide itself has cost since `started_ns` (lt_now_ns()): sets elapsed_ms and peak_bytes. */
void lt_cost_take(uint64_t started_ns, struct lt_cost *cost);

/* Who was looked at; a copy, good after the target is gone. */
struct lt_identity {
	pid_t pid;
	char python[32];    /* "3.13.15" */
	char *command_line; /* owned */
	char *executable;   /* as the target sees it, "" when unknown; owned */
	uint64_t uptime_ms;
	uint64_t rss_bytes;                     /* before the freeze */
	uint64_t anonymous_bytes;               /* of lt_process, before the freeze */
	uint64_t region_bytes[LT_REGION_COUNT]; /* mapped, before the freeze; all 0: unknown */
	unsigned thread_count;
	enum lt_mode mode;
	bool stored; /* out of a snapshot file: nothing was stopped now */
};
void lt_identity_deinit(struct lt_identity *identity);

struct lt_look_options {
	enum lt_mode mode;
	bool ignore_headroom; /* as in struct lt_freeze_options */
	/* Called with the process before it is frozen; NULL: nothing is to be done then. */
	enum lt_status (*before)(void *ctx, struct lt_session *session,
				 const struct lt_process *process);
	void *ctx;
};

struct lt_view;
struct lt_python;

struct lt_look {
	struct lt_session *session;
	struct lt_process *process;
	struct lt_memory *live; /* the running process */
	struct lt_python *python;
	struct lt_freeze *freeze; /* NULL after lt_look_end() */
	struct lt_view *view;     /* on the frozen memory */
	struct lt_identity identity;
	uint64_t started_ns;
	struct lt_cost cost; /* complete after lt_look_end() */
};

/* Opens, identifies and freezes. Statuses as lt_process_open(), lt_python_find(), lt_freeze_begin(). */
LT_MUST_CHECK enum lt_status lt_look_open(struct lt_session *session, pid_t pid,
					  const struct lt_look_options *options,
					  struct lt_look **ret_look);

/*
 * What a failure of an analysis on this look means: LT_E_GONE when the target ended in the meantime
 * and the picture needed it alive, else `status` as it is.
 */
LT_MUST_CHECK enum lt_status lt_look_status(struct lt_look *look, enum lt_status status);

/* Lets the target go and completes `cost`; the view must not be read after it. Twice does no harm. */
void lt_look_end(struct lt_look *look);

/* lt_look_end() and release of everything; NULL is allowed. */
void lt_look_close(struct lt_look *look);

#endif
