/*
 * pymalloc.h: CPython's allocator of small objects: which memory is its arenas, what is in use and free in them
 * by size class, and the blocks in use of one of its pools.
 *
 * The arenas come from the allocator's own table. A stripped binary of 3.11 or older keeps it in unnamed statics:
 * there anonymous mappings are searched for pool headers whose members agree with each other, and then the static
 * data of the interpreter for the one word that is a table in which each of these pools has its arena.
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

/* One arena of the allocator's table. */
struct lt_pymalloc_arena {
	lt_addr start, end; /* what was mapped for it */
	lt_addr pools;      /* the first pool: `start` rounded up to the size of pools */
	lt_addr untouched;  /* pools from here on were never in use */
	uint64_t total_pools;
};
LT_VEC(lt_pymalloc_arenas, struct lt_pymalloc_arena);

/* What a pool was like when the heap was read; all zero: not in use, or not readable. */
struct lt_pool_note {
	uint16_t used; /* blocks in use */
	uint16_t
		block_size; /* LT_POOL_NOTE_FULL beside it: no block that was handed out is free again */
};
enum { LT_POOL_NOTE_FULL = 1 };

struct lt_pymalloc {
	struct lt_pymalloc_arenas arenas; /* ascending; none with `by_search` */
	struct lt_ranges
		pools; /* ascending, disjoint, aligned to pools: pools that were ever in use */
	struct lt_pageset pages; /* the same as a set */
	uint64_t pool_size;
	uint64_t bytes; /* sum of the ranges */
	struct lt_pool_note *
		notes; /* of each pool, in their order, once a scan (track.h) has seen them; may be NULL */
	unsigned
		shift; /* bytes of a block before the requested memory: 16 under PYTHONMALLOC=debug */
	bool by_search; /* found by their headers: the table was not found */
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

enum { LT_SIZE_CLASSES_MAX = 64 };

struct lt_size_class {
	uint32_t size; /* of a block */
	uint64_t pools;
	uint64_t used, free; /* blocks */
};

/* What sys._debugmallocstats() prints, of the allocators of all interpreters together. */
struct lt_pymalloc_stats {
	struct lt_size_class classes[LT_SIZE_CLASSES_MAX];
	size_t class_count;
	uint64_t arenas, arena_bytes;
	uint64_t pools_used, pools_free; /* free ones: of no size class now, most never touched */
	uint64_t used_bytes, free_bytes; /* of blocks in pools that are in use */
	uint64_t header_bytes, tail_bytes, alignment_bytes;
};

/* Bytes in use of the pool. */
static inline uint32_t lt_pool_note_bytes(const struct lt_pool_note *note)
{
	return (uint32_t)note->used * (note->block_size & ~(uint32_t)LT_POOL_NOTE_FULL);
}

/* A pool of an arena, as a walk finds it. */
struct lt_pool_seen {
	lt_addr address;
	const unsigned char *bytes; /* pool_size of them; NULL: it could not be read, or `full` */
	bool full;                  /* no block that was handed out is free again */
	bool in_use;
	uint32_t block_size, first, capacity; /* of one in use: blocks that fit into it */
	uint32_t used;
	uint32_t handed_out; /* blocks ever handed out: those behind were never written */
};

/* Every pool from the first to the last that was ever in use, by ascending address; false ends the walk. */
typedef bool (*lt_pool_visit)(void *ctx, const struct lt_pool_seen *pool);
LT_MUST_CHECK enum lt_status lt_pymalloc_walk(const struct lt_view *view,
					      const struct lt_pymalloc *pymalloc,
					      lt_pool_visit visit, void *ctx);
/* The same of pools in [from, to), by the notes of a scan of the same picture: only those with free blocks are read again. */
LT_MUST_CHECK enum lt_status lt_pymalloc_walk_noted(const struct lt_view *view,
						    const struct lt_pymalloc *pymalloc,
						    lt_addr from, lt_addr to, lt_pool_visit visit,
						    void *ctx);

/*
 * The block that an address lies in, by the notes. Addresses have to ascend from call to call with the same `place`,
 * all zero at first. False: no pool that was in use.
 */
struct lt_pymalloc_place {
	size_t range;
	uint64_t pools; /* in the ranges before */
};
bool lt_pymalloc_block(const struct lt_view *view, const struct lt_pymalloc *pymalloc,
		       lt_addr address, struct lt_pymalloc_place *place,
		       struct lt_range *ret_block);

/* For one walk: all zero but for lt_pymalloc_stats_begin(), then each pool. */
void lt_pymalloc_stats_begin(const struct lt_view *view, const struct lt_pymalloc *pymalloc,
			     struct lt_pymalloc_stats *ret_stats);
void lt_pymalloc_stats_add(struct lt_pymalloc_stats *stats, const struct lt_pymalloc *pymalloc,
			   const struct lt_pool_seen *pool);
/* What a part of such a walk counts, nothing at first, is then added to what began as the whole. */
void lt_pymalloc_stats_begin_part(const struct lt_pymalloc_stats *whole,
				  struct lt_pymalloc_stats *ret_part);
void lt_pymalloc_stats_join(struct lt_pymalloc_stats *whole, const struct lt_pymalloc_stats *part);

#endif
