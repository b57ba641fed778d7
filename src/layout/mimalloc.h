/*
 * mimalloc.h: where mimalloc 2.0 and 2.1 keep what they know of their memory, on 64-bit systems, built without protection of lists.
 *
 * Sources, mimalloc 2.0.9: include/mimalloc-types.h (mi_segment_t at the start of each segment; mi_page_t of each
 * slice of it: a page of blocks is described by its first slice), src/segment.c (where the blocks of a page begin). CPython
 * 3.13 to 3.15: Include/internal/mimalloc/mimalloc/types.h, Objects/mimalloc/segment.c.
 */
#ifndef LT_LAYOUT_MIMALLOC_H
#define LT_LAYOUT_MIMALLOC_H

#include <stdint.h>

enum {
	/* Alignment of segments, and the size of all but those of one huge block. */
	LT_MI_SEGMENT = 32 << 20,
	LT_MI_SLICE = 64 << 10,
	/* Of a segment; one with a huge block has more, but describes no more. */
	LT_MI_SLICES = 512,

	/* Members of a segment. With its address mixed into the cookie what is left is the same for all. */
	LT_MI_COOKIE = 216,
	LT_MI_SEGMENT_SLICES = 224,
	LT_MI_INFO_SLICES = 232, /* the first ones: what describes it */
	LT_MI_KIND = 240,        /* 1: one huge block */
	LT_MI_ENTRIES = 248,
	LT_MI_PAGES = 264, /* what describes the slices */

	/* Members of that. */
	LT_MI_PAGE = 80,
	LT_MI_SLICE_COUNT = 0,
	LT_MI_SLICE_OFFSET = 4, /* 0 in the first one of a page */
	LT_MI_CAPACITY = 10,    /* blocks; those behind were never touched */
	LT_MI_RESERVED = 12,    /* blocks that the page has room for */
	LT_MI_FREE = 16,
	LT_MI_USED = 24,
	LT_MI_BLOCK_SIZE = 28, /* 0: free slices */
	LT_MI_LOCAL_FREE = 32,
	LT_MI_THREAD_FREE = 40, /* freed by other threads, and counted as used */
	LT_MI_THREAD_FREE_FLAGS = 3,
};

/* How far into their page blocks of a size begin: in 2.0, and in CPython's, which is of 2.1. */
static inline uint64_t lt_mi_shift(uint32_t size)
{
	return size <= 1024 ? 384 : 0;
}
static inline uint64_t lt_mi_python_shift(uint32_t size)
{
	return size <= 64 ? 3 * (uint64_t)size : size <= 512 ? size : 0;
}

/*
 * src/options.c of 2.0.9 has mi_option_decommit_delay, which is mi_option_purge_delay from 2.1 on; each is set by a
 * variable of its name. At 0 free pages go back at once.
 */
#define LT_MI_PURGE_OPTION "purge_delay"
#define LT_MI_PURGE_VARIABLE "MIMALLOC_PURGE_DELAY"
#define LT_MI_DECOMMIT_VARIABLE "MIMALLOC_DECOMMIT_DELAY"

#define LT_MI_HUGE ((uint32_t)2 << 30) /* a block size from here on: the page is one block */

#endif
