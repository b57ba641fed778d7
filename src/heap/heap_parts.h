/*
 * heap_parts.h: what heap.c, heap_graph.c and heap_describe.c share. Private to them.
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

/* Addresses [start, end) whose chunks are looked at together. */
struct lt_stretch {
	lt_addr start, end;
};

/*
 * Chooses what to look at next, with the given chunk, and loads the window with it. With `marked_only` chunks below the
 * given one are in it, too, and those without a mark do not count. False: no memory.
 */
LT_MUST_CHECK bool lt_heap_load_stretch(struct lt_heap *heap, const struct lt_objmap *objects,
					size_t chunk, bool marked_only,
					struct lt_stretch *ret_stretch);

/* The type of the object at an address; NULL: it cannot be read. */
const struct lt_type *lt_heap_type_at(struct lt_heap *heap, lt_addr object);
/* True of values that hold no reference: the greater part of most heaps. */
bool lt_heap_is_leaf(const struct lt_type *type);

/* Fills what there is of each node, and the edges, of a graph whose objects are numbered and whose arrays are zero. */
LT_MUST_CHECK enum lt_status lt_heap_describe(struct lt_heap *heap, struct lt_heap_graph *graph,
					      const struct lt_heap_visit *visit);

#endif
