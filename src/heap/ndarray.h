/*
 * ndarray.h: NumPy's arrays: the memory that they own and what they refer to. Nothing tracks them, so that
 * the array behind a view is found through the view only.
 */
#ifndef LT_HEAP_NDARRAY_H
#define LT_HEAP_NDARRAY_H

#include "base/status.h"
#include "target/memory.h"

struct lt_ndarray {
	lt_addr data;
	lt_addr base;  /* what a view keeps alive, 0 for an array with memory of its own */
	lt_addr dtype; /* its type of items */
	unsigned dimensions;
	bool owns_data;
	bool of_objects; /* the items are references */
	uint64_t bytes;  /* of the items, when it owns them */
};

/* False when it cannot be read or makes no sense. */
LT_MUST_CHECK bool lt_ndarray_read(struct lt_memory *memory, lt_addr at,
				   struct lt_ndarray *ret_array);

#endif
