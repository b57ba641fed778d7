/*
 * free_lists.h: how many tuples an interpreter keeps for reuse. One that is made of these does not pass the collector's count
 * of allocations, and one that goes there does not lower it. Lists and dicts have such lists too, of 80 each.
 *
 * Objects/tupleobject.c: maybe_freelist_push(). From 3.10 on the lists are in the interpreter; before, in static data, where
 * lowtide does not look.
 */
#ifndef LT_HEAP_FREE_LISTS_H
#define LT_HEAP_FREE_LISTS_H

#include "heap/view.h"

enum {
	LT_FREE_TUPLE_LISTS = 20,   /* one for each length */
	LT_FREE_TUPLES_MOST = 2000, /* of one length */
};

/* Where the lists of an interpreter say how long they are. */
struct lt_free_lists {
	lt_addr from; /* 0: not known */
	size_t step;  /* bytes from one length of tuples to the next */
};

struct lt_free_tuples {
	uint32_t tuples; /* in all lists */
	uint32_t lists;  /* that have many of them */
};

/* False, and `from` 0: the layout does not say where. */
bool lt_free_lists_find(const struct lt_layout *layout, lt_addr interpreter,
			struct lt_free_lists *ret_lists);

/* False: cannot be read, or makes no sense. */
bool lt_free_lists_read(const struct lt_free_lists *lists, struct lt_memory *memory,
			struct lt_free_tuples *ret_tuples);

#endif
