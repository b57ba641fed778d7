/*
 * track.h: every object that the collector tracks, found by a scan of the heap in address order.
 *
 * Following the collector's lists costs a scattered read for each object. The scan reads the arenas in
 * large pieces instead, takes each block in use that begins with a linked PyGC_Head before an object of
 * a plausible type, and adds those outside the arenas that are linked from there. Whether the set is
 * complete is proved by sums: in a closed set of doubly linked rings the addresses that the nodes are
 * linked to are the addresses of the nodes. docs/heap.md has the argument.
 */
#ifndef LT_HEAP_TRACK_H
#define LT_HEAP_TRACK_H

#include "heap/pymalloc.h"
#include "heap/types.h"
#include "heap/window.h"

struct lt_track_beside;

struct lt_track {
	struct lt_view view; /* its memory is that of the window */
	struct lt_window *window;
	struct lt_types *types;
	const struct lt_interpreters *interpreters;
	const struct lt_pymalloc *pymalloc;
	/* May be NULL. A scan calls it behind each window, while that and the one before are held. False: no memory. */
	bool (*passed)(void *ctx, lt_addr start, lt_addr end);
	void *passed_ctx;
	const struct lt_track_beside *beside; /* of a scan; NULL: it has one thread only */
};

/* A second thread of a scan, which has the arenas from an address on. */
struct lt_track_beside {
	const struct lt_track *track; /* of its own: view, window, types, and `passed` */
	void *ctx;                    /* what its objects are given to the function with */
	lt_addr border;               /* where a pool may begin */
	/*
	 * With what the first thread's function gets, in that thread: both are through with the arenas, the second one has
	 * ended, and all else is the first one's. False: no memory.
	 */
	bool (*joined)(void *ctx);
};

/*
 * LT_E_GONE when the target ended and its memory with it; LT_OK else (a frozen picture outlives the
 * target). For after reads that came short, and before a result is given out.
 */
LT_MUST_CHECK enum lt_status lt_track_check_gone(const struct lt_track *track);

/* Takes one tracked object; false: no memory, stop. */
typedef bool (*lt_tracked_fn)(void *ctx, lt_addr object, const struct lt_type *type);

struct lt_tracked {
	uint64_t count;   /* objects given to the function */
	uint64_t outside; /* of them outside pymalloc's arenas */
	bool proved;      /* the set was proved complete and without a stranger */
};

/* By scan. Objects in arenas come in address order, in each thread. LT_E_GONE: the target ended. */
LT_MUST_CHECK enum lt_status lt_track_scan(const struct lt_track *track, lt_tracked_fn take,
					   void *ctx, struct lt_tracked *ret_tracked);

/*
 * By following all lists; `proved` when each closed as it should. At most `limit` objects. `take` may
 * be NULL.
 */
LT_MUST_CHECK enum lt_status lt_track_walk(const struct lt_track *track, uint64_t limit,
					   lt_tracked_fn take, void *ctx,
					   struct lt_tracked *ret_tracked);

/* Objects of one list (the permanent generation), at most `limit`; `take` may be NULL and gets type NULL. */
LT_MUST_CHECK enum lt_status lt_track_list(const struct lt_track *track, lt_addr head,
					   uint64_t limit, lt_tracked_fn take, void *ctx,
					   struct lt_tracked *ret_tracked);

#endif
