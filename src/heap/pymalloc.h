/*
 * pymalloc.h: CPython's allocator of small objects: which memory is its arenas, and the blocks in use
 * of one of its pools.
 *
 * The arenas come from the allocator's own table. Where the table cannot be found (a stripped binary of
 * 3.11 or older keeps it in unnamed statics), anonymous mappings are searched for pool headers whose
 * members agree with each other.
 */
#ifndef LT_HEAP_PYMALLOC_H
#define LT_HEAP_PYMALLOC_H

#include "base/map.h"
#include "base/vec.h"
#include "heap/interpreters.h"
#include "heap/pageset.h"

struct lt_range {
	lt_addr start, end;
};
LT_VEC(lt_ranges, struct lt_range);

struct lt_pymalloc {
	struct lt_ranges
		pools; /* ascending, disjoint, aligned to pools: pools that were ever in use */
	struct lt_pageset pages; /* the same as a set */
	uint64_t pool_size;
	uint64_t bytes; /* sum of the ranges */
	unsigned
		shift; /* bytes of a block before the requested memory: 16 under PYTHONMALLOC=debug */
	bool by_search; /* found by their headers, not through the table */
};

/* Finds the arenas of all interpreters. None at all (PYTHONMALLOC=malloc) is no failure. */
LT_MUST_CHECK enum lt_status lt_pymalloc_find(const struct lt_view *view,
					      const struct lt_interpreters *interpreters,
					      struct lt_pymalloc *ret_pymalloc);
void lt_pymalloc_deinit(struct lt_pymalloc *pymalloc);

/* Private, anonymous and writable: malloc's memory and arenas, no stack. */
bool lt_mapping_may_hold_heap(const struct lt_mapping *mapping);

enum { LT_POOL_BLOCKS_MAX = 1024 };

/* A pool in use. */
struct lt_pool {
	uint32_t block_size;
	uint32_t first; /* offset of block 0 */
	uint32_t count; /* blocks ever handed out; those above were never in use */
	uint32_t used;  /* blocks in use, as the header says */
	bool torn;      /* the chain of free blocks does not agree with the header */
	uint64_t free[LT_POOL_BLOCKS_MAX / 64]; /* bit per block below `count` that is free */
};

/* Parses the pool in `bytes` (pool_size of them) at `address`. False: no pool in use is here. */
bool lt_pool_parse(const struct lt_view *view, const struct lt_pymalloc *pymalloc, lt_addr address,
		   const unsigned char *bytes, struct lt_pool *ret_pool);

#endif
