/*
 * apart.h: what a second thread reads a heap with, beside the first one: the same picture through a session, a memory and
 * a window of its own, and a decoder over types of its own. Private to heap_graph.c and heap_describe.c.
 */
#ifndef LT_HEAP_APART_H
#define LT_HEAP_APART_H

#include "heap/heap_parts.h"

struct lt_apart {
	struct lt_session session;
	struct lt_memory *twin; /* what the window stands on; NULL: not begun */
};

/*
 * `mine`, a copy of `heap`, gets a session, a memory and a window of its own. A failure is noted in that session; whatever
 * came of it, lt_apart_end() follows.
 */
LT_MUST_CHECK enum lt_status lt_apart_begin(struct lt_apart *apart, const struct lt_heap *heap,
					    struct lt_heap *mine);

/* It takes over the types, and gets a decoder over them that decodes as the heap's does. */
LT_MUST_CHECK enum lt_status lt_apart_decode(const struct lt_heap *heap, struct lt_types *types,
					     struct lt_heap *mine);

/* Releases what of `mine` is not the heap's, adds what was counted to the heap's, and makes it a mere copy again. */
void lt_apart_end(struct lt_apart *apart, struct lt_heap *heap, struct lt_heap *mine);

#endif
