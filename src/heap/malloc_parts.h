/*
 * malloc_parts.h: what the files of the malloc walk share.
 */
#ifndef LT_HEAP_MALLOC_PARTS_H
#define LT_HEAP_MALLOC_PARTS_H

#include "base/map.h"
#include "heap/malloc.h"
#include "layout/glibc.h"
#include "target/stream.h"

/* Chunks that follow each other: a heap of a thread's arena, or a piece of the main one. */
struct lt_chunk_region {
	lt_addr start, end; /* the first chunk, and behind the last one */
	uint32_t arena;
	size_t first, past; /* of its chunks in `sizes`, once they are summed up */
};
LT_VEC(lt_chunk_regions, struct lt_chunk_region);

struct lt_mapped_chunk {
	lt_addr start, end; /* of the mapping */
	lt_addr chunk;
	uint64_t size; /* of the chunk */
};
LT_VEC(lt_mapped_chunks, struct lt_mapped_chunk);

LT_VEC(lt_addr_list, lt_addr);
LT_VEC(lt_chunk_sizes, uint32_t);

struct lt_malloc_parts {
	struct lt_glibc glibc;
	struct lt_chunk_regions regions; /* by arena, then ascending */
	struct lt_chunk_sizes sizes; /* of all chunks, see push_size(): none has to be read again */
	struct lt_map marks;         /* chunk -> enum lt_chunk_state: in a fast bin or a cache */
	struct lt_mapped_chunks mapped; /* ascending */
	bool one_piece; /* the main arena is taken for one without a gap: its chunks are followed once */
};

/* ---- malloc_walk.c: from chunk to chunk ---- */

struct lt_chunk_reader {
	struct lt_stream stream;
	lt_addr start; /* of what was read */
	size_t size;
	const unsigned char *bytes;
};
bool lt_chunk_reader_init(struct lt_chunk_reader *reader, struct lt_memory *memory);
void lt_chunk_reader_deinit(struct lt_chunk_reader *reader);
/* `size` (at most a page) bytes at the address; NULL: they cannot be read. Valid until the next read. */
const unsigned char *lt_chunk_read(struct lt_chunk_reader *reader, lt_addr addr, size_t size);

enum lt_chunk_step {
	LT_STEP_CHUNK,
	LT_STEP_TOP,   /* a chunk too; none follows */
	LT_STEP_FENCE, /* the end of a piece: two chunks of 16 bytes, or one and a size of 0 */
	LT_STEP_END,   /* the end given */
	LT_STEP_TORN,  /* what is here is no chunk */
};

struct lt_chunk_at {
	lt_addr start; /* of the header */
	uint64_t size;
	bool free; /* LT_STEP_CHUNK: in a bin */
};

/* The chunk at *at, which is moved behind it; behind fence posts too. A `top` that the walk does not meet does no harm. */
enum lt_chunk_step lt_chunk_next(struct lt_chunk_reader *reader, lt_addr *at, lt_addr end,
				 lt_addr top, struct lt_chunk_at *ret_chunk);

/* ---- malloc_find.c: where the chunks are ---- */

/* Appends the regions of each arena, and those arenas that make sense; clears one_piece where there are several. */
LT_MUST_CHECK enum lt_status lt_malloc_regions(const struct lt_view *view,
					       struct lt_chunk_reader *reader,
					       struct lt_malloc *malloc);
/* Appends the chunks that are mappings of their own; none of them lies in pages of `others`, which may be NULL. */
LT_MUST_CHECK enum lt_status lt_malloc_mapped(const struct lt_view *view,
					      struct lt_chunk_reader *reader,
					      const struct lt_pageset *others,
					      struct lt_malloc *malloc);

/* ---- malloc_free.c: what is free without saying so ---- */

/* The size of a chunk that holds the cache of a thread. */
uint64_t lt_tcache_chunk_size(const struct lt_glibc_layout *layout);
uint64_t lt_tcache_bytes(const struct lt_glibc_layout *layout);
/* False: no cache, or an empty one, is in these lt_tcache_bytes(). */
bool lt_tcache_plausible(const struct lt_glibc_layout *layout, const unsigned char *cache);
/* Marks the chunks of the fast bins of all arenas, and of the caches in those of `candidates` that are one. */
LT_MUST_CHECK enum lt_status lt_malloc_mark(const struct lt_view *view, struct lt_malloc *malloc,
					    const struct lt_addr_list *candidates);

/* ---- malloc.c ---- */

/* lt_malloc_find() with an allocator that is found already. */
LT_MUST_CHECK enum lt_status lt_malloc_find_in(const struct lt_view *view,
					       const struct lt_glibc *glibc,
					       const struct lt_pageset *others,
					       struct lt_malloc *ret_malloc);
/* The region that holds the address, NULL for none. */
const struct lt_chunk_region *lt_malloc_region(const struct lt_malloc_parts *parts, lt_addr addr);

#endif
