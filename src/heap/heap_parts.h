/*
 * heap_parts.h: what heap.c and heap_graph.c share. Private to them.
 */
#ifndef LT_HEAP_HEAP_PARTS_H
#define LT_HEAP_HEAP_PARTS_H

#include "heap/heap.h"
#include "heap/track.h"

struct lt_heap {
	struct lt_window *window;
	struct lt_interpreters interpreters;
	struct lt_types *types;
	struct lt_decoder *decoder;
	struct lt_pymalloc pymalloc;
	struct lt_track track; /* its view reads through the window */
};

/*
 * Gives every tracked object to `take`: by the scan, and when that cannot be proved and the lists can,
 * by the lists, after `restart` (what was taken before is void).
 */
LT_MUST_CHECK enum lt_status lt_heap_each_tracked(struct lt_heap *heap, lt_tracked_fn take,
						  void (*restart)(void *ctx), void *ctx,
						  struct lt_tracked *ret_tracked);

/* The objects of each interpreter's permanent generation; counts[] has an entry for each. `take` may be NULL. */
LT_MUST_CHECK enum lt_status lt_heap_each_permanent(struct lt_heap *heap, uint64_t limit,
						    lt_tracked_fn take, void *ctx,
						    uint64_t *counts);

#endif
