/*
 * mimalloc.h: where mimalloc 2.0 keeps what it knows of its memory, on 64-bit systems, built without protection of its lists.
 *
 * Sources, mimalloc 2.0.9: include/mimalloc-types.h (mi_segment_t at the start of each segment; mi_page_t of each
 * slice of it: a page of blocks is described by its first slice), src/segment.c (where the blocks of a page begin).
 */
#ifndef LT_LAYOUT_MIMALLOC_H
#define LT_LAYOUT_MIMALLOC_H

enum {
	LT_MI_SEGMENT =
		32
		<< 20, /* alignment of segments, and the size of all but those of one huge block */
	LT_MI_SLICE = 64 << 10,
	LT_MI_SLICES =
		512, /* of a segment; one with a huge block has more, but describes no more */

	/* Of a segment. */
	LT_MI_COOKIE =
		216, /* with the segment's address mixed in: what is left is the same for all */
	LT_MI_SEGMENT_SLICES = 224,
	LT_MI_INFO_SLICES = 232, /* the first ones: what describes it */
	LT_MI_KIND = 240,        /* 1: one huge block */
	LT_MI_ENTRIES = 248,
	LT_MI_PAGES = 264, /* what describes the slices */

	/* Of a slice. */
	LT_MI_PAGE = 80,
	LT_MI_SLICE_COUNT = 0,
	LT_MI_SLICE_OFFSET = 4, /* 0 in the first one of a page */
	LT_MI_CAPACITY =
		10, /* blocks that were ever handed out or are in the list; those behind are untouched */
	LT_MI_FREE = 16,
	LT_MI_USED = 24,
	LT_MI_BLOCK_SIZE = 28, /* 0: free slices */
	LT_MI_LOCAL_FREE = 32,
	LT_MI_THREAD_FREE =
		40, /* freed by other threads, still counted as used; the low two bits are flags */
	LT_MI_THREAD_FREE_FLAGS = 3,

	LT_MI_SHIFTED_MAX = 1024, /* pages of blocks up to that size begin later */
	LT_MI_SHIFT = 384,
};

#define LT_MI_HUGE ((uint32_t)2 << 30) /* a block size from here on: the page is one block */

#endif
