/*
 * jemalloc.h: where jemalloc 5.3 keeps what it knows of its memory, with pages of 4 KiB and addresses of 48 bits.
 *
 * Sources, jemalloc 5.3.0: include/jemalloc/internal/rtree.h (a tree of two levels over the numbers of pages: a word
 * for each), edata.h (what each run of pages is, 128 bytes), sc.h (size classes), slab_data.h and bitmap.h (blocks of
 * a slab: a bit that is set is a free one).
 */
#ifndef LT_LAYOUT_JEMALLOC_H
#define LT_LAYOUT_JEMALLOC_H

#include <stdint.h>

/* jemalloc(3): a thread of its own gives free pages back after a second, whether the program does something or not. */
#define LT_JE_VARIABLE "MALLOC_CONF"
#define LT_JE_SETTING "background_thread:true,dirty_decay_ms:1000,muzzy_decay_ms:0"

enum {
	LT_JE_PAGE = 4096,
	LT_JE_TREE_BITS = 18, /* of each level */
	LT_JE_TREE_WORDS = 1 << LT_JE_TREE_BITS,
	LT_JE_LEAF_SHIFT = 30, /* an address is in this leaf */

	LT_JE_EXTENT = 128, /* bytes of an edata_t, which lies at a multiple of that */
	LT_JE_ADDRESS = 8,
	LT_JE_SIZE = 16, /* the low bits are a serial number */
	LT_JE_BITMAP = 64,
	LT_JE_BITMAP_WORDS = 8,
	/* Of its first word. */
	LT_JE_SLAB_SHIFT = 12,  /* one bit */
	LT_JE_STATE_SHIFT = 17, /* three bits */
	LT_JE_CLASS_SHIFT = 20, /* eight bits: the size class */
	LT_JE_FREE_SHIFT = 28,  /* ten bits: free blocks of a slab */
	LT_JE_STATE_ACTIVE = 0,
	LT_JE_STATE_RETAINED = 3, /* dirty and muzzy are below */
	LT_JE_CLASSES = 232,
	LT_JE_SMALL_CLASSES = 36, /* those of slabs */

	/*
	 * Of a thread's own data (tsd.h: struct tsd_s), one byte is its state. Before its first use the word there is
	 * the only one of that value. In state purgatory the thread's data have been cleaned up: what is done then is in no list
	 * of threads and needs no cleaning up (tsd.c: tsd_fetch_slow(), tsd_data_init_nocleanup()).
	 */
	LT_JE_THREAD_NOMINAL_LAST = 2,
	LT_JE_THREAD_PURGATORY = 4,
	LT_JE_THREAD_UNINITIALIZED = 6,
};

/* The release that thread data are known of. */
#define LT_JE_RELEASE "5.3.0"

/* Address of an edata_t in a word of a leaf; the size class is above, what is below is of no interest. */
#define LT_JE_EXTENT_MASK (((uint64_t)1 << 48) - LT_JE_EXTENT)

/* Bytes of a block of the size class: 8, 16 to 64 in steps of 16, then four steps for each doubling. */
static inline uint64_t lt_je_class_bytes(unsigned index)
{
	if (index == 0)
		return 8;
	if (index < 5)
		return 16 * (uint64_t)index;
	unsigned doubling = (index - 5) / 4, step = (index - 5) % 4;
	return ((uint64_t)64 << doubling) + (step + 1) * ((uint64_t)16 << doubling);
}

#endif
