/*
 * malloc.h: glibc's allocator, walked from outside: its arenas, and each chunk in them.
 *
 * Nothing is called in the target. Offsets and facts of the glibc releases are data in src/layout/glibc.*; the
 * main arena and the parameters are found by their symbols where there are some, else by their structure (the bins
 * of an arena that point to themselves, the ring of arenas). What does not agree with itself is counted and not used.
 */
#ifndef LT_HEAP_MALLOC_H
#define LT_HEAP_MALLOC_H

#include "base/vec.h"
#include "heap/pageset.h"
#include "heap/view.h"

enum lt_chunk_state {
	LT_CHUNK_USED,
	LT_CHUNK_TCACHE,  /* free, in the cache of a thread: malloc itself counts it as used */
	LT_CHUNK_FAST,    /* free, in a fast bin: not merged with its neighbours */
	LT_CHUNK_FREE,    /* free, in a bin */
	LT_CHUNK_TOP,     /* the free end of an arena's newest heap */
	LT_CHUNK_MMAPPED, /* in use, a mapping of its own */
	LT_CHUNK_STATES
};

struct lt_chunk {
	lt_addr address; /* of the memory that the program sees: 16 bytes behind the header */
	uint64_t size;   /* of the whole chunk, header included */
	enum lt_chunk_state state;
	uint32_t arena; /* index; of mmapped ones none: UINT32_MAX */
};

struct lt_malloc_arena {
	lt_addr address; /* of its malloc_state */
	bool main;
	bool locked;           /* a thread was inside it: its chunks may be torn */
	uint64_t system_bytes; /* malloc_info(): system */
	uint64_t attached;     /* threads that use it */
	uint64_t bytes[LT_CHUNK_STATES], chunks[LT_CHUNK_STATES];
	uint64_t largest_free; /* bytes of its largest free chunk, top included */
	lt_addr top;           /* its chunk LT_CHUNK_TOP; 0: not reached */
	uint64_t overhead;     /* of system_bytes, in no chunk: heads of heaps, fence posts, gaps */
	bool whole;            /* walked to the end, and chunks and overhead are system_bytes */
};
LT_VEC(lt_malloc_arenas, struct lt_malloc_arena);

/* All zero: no glibc allocator was found. */
struct lt_malloc {
	bool found;
	char release[16];                                   /* of glibc: "2.36" */
	struct lt_malloc_arenas arenas;                     /* the main one first */
	uint64_t mmapped_bytes, mmapped_chunks;             /* malloc_info(): mmap */
	uint64_t mapped_found_bytes, mapped_found_chunks;   /* of these, found and walked */
	uint64_t mmap_threshold, trim_threshold, arena_max; /* arena_max 0: no limit is set */
	uint64_t
		caches; /* of threads, that have chunks; those in lists that make no sense count as used */
	bool whole; /* every chunk of every arena was walked and agrees with the totals */
	struct lt_malloc_parts *parts; /* what a walk needs; owned */
};

/*
 * Finds and sums up. Another allocator (musl, jemalloc in front) is no failure: found is false. In pages of `others`,
 * which may be NULL, chunks that are mappings of their own are not looked for: they are another allocator's.
 */
LT_MUST_CHECK enum lt_status lt_malloc_find(const struct lt_view *view,
					    const struct lt_pageset *others,
					    struct lt_malloc *ret_malloc);

/* Every chunk, by arena and ascending address, then the mmapped ones; false from `visit` ends it. Reads nothing. */
typedef bool (*lt_chunk_visit)(void *ctx, const struct lt_chunk *chunk);
void lt_malloc_walk(const struct lt_malloc *found, lt_chunk_visit visit, void *ctx);
void lt_malloc_deinit(struct lt_malloc *found);

#endif
