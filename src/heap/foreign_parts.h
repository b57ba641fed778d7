/*
 * foreign_parts.h: what the walks of other allocators share.
 */
#ifndef LT_HEAP_FOREIGN_PARTS_H
#define LT_HEAP_FOREIGN_PARTS_H

#include "heap/foreign.h"

struct lt_foreign_walk {
	const struct lt_view *view;
	lt_foreign_visit visit;
	void *ctx;
	struct lt_foreign *foreign; /* its sums are filled in */
	bool ended;                 /* by the visitor */
};

void lt_foreign_give(struct lt_foreign_walk *walk, lt_addr start, uint64_t size, lt_addr address,
		     enum lt_foreign_state state);

/* In static data of the file with this path: its tree; 0: none. */
lt_addr lt_jemalloc_find(const struct lt_view *view, const char *path);
void lt_jemalloc_walk(struct lt_foreign_walk *walk);

/* What is in the cookies of its segments; 0: there are none. */
lt_addr lt_mimalloc_find(const struct lt_view *view);
void lt_mimalloc_walk(struct lt_foreign_walk *walk);

#endif
