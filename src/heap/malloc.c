#include "heap/malloc_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is left of a split that is too small for a chunk stays with it. False: no memory. */
static bool take_candidate(struct lt_chunk_reader *reader, const struct lt_glibc_layout *layout,
			   const struct lt_chunk_at *chunk, struct lt_addr_list *candidates)
{
	uint64_t size = lt_tcache_chunk_size(layout);
	if (chunk->size != size && chunk->size != size + LT_CHUNK_ALIGN)
		return true;
	lt_addr address = chunk->start + LT_CHUNK_HEAD;
	const unsigned char *cache = lt_chunk_read(reader, address, lt_tcache_bytes(layout));
	return cache == NULL || !lt_tcache_plausible(layout, cache) ||
	       lt_addr_list_push(candidates, address);
}

enum { SIZE_UNIT = 16, STATE_BITS = 2, LARGE = 3 };

/*
 * A chunk as 4 bytes: its size in units and its state; one too large for that as 12: its state behind LARGE, then
 * the two halves of its size. False: no memory.
 */
static bool push_size(struct lt_chunk_sizes *sizes, uint64_t size, enum lt_chunk_state state)
{
	uint32_t code = state == LT_CHUNK_USED ? 0 : state == LT_CHUNK_FREE ? 1 : 2;
	uint64_t units = size / SIZE_UNIT;
	if (units < (uint64_t)1 << (32 - STATE_BITS))
		return lt_chunk_sizes_push(sizes, (uint32_t)(units << STATE_BITS) | code);
	return lt_chunk_sizes_push(sizes, code << STATE_BITS | LARGE) &&
	       lt_chunk_sizes_push(sizes, (uint32_t)size) &&
	       lt_chunk_sizes_push(sizes, (uint32_t)(size >> 32));
}

static uint64_t next_size(const struct lt_chunk_sizes *sizes, size_t *at,
			  enum lt_chunk_state *ret_state)
{
	static const enum lt_chunk_state states[] = {LT_CHUNK_USED, LT_CHUNK_FREE, LT_CHUNK_TOP};
	uint32_t word = sizes->data[(*at)++];
	uint64_t size = (uint64_t)(word >> STATE_BITS) * SIZE_UNIT;
	uint32_t code = word & ((1 << STATE_BITS) - 1);
	if (code == LARGE) {
		code = word >> STATE_BITS;
		size = sizes->data[*at] | (uint64_t)sizes->data[*at + 1] << 32;
		*at += 2;
	}
	*ret_state = states[code];
	return size;
}

/* Adds up the chunks of a region, and collects those that may be the cache of a thread. False: no memory. */
static bool sum_region(const struct lt_view *view, struct lt_chunk_reader *reader,
		       struct lt_malloc *malloc, struct lt_chunk_region *region,
		       struct lt_addr_list *candidates)
{
	struct lt_malloc_arena *arena = &malloc->arenas.data[region->arena];
	struct lt_chunk_sizes *sizes = &malloc->parts->sizes;
	lt_addr at = region->start;
	region->first = region->past = sizes->count;
	for (;;) {
		struct lt_chunk_at chunk;
		enum lt_chunk_step step =
			lt_chunk_next(reader, &at, region->end, arena->top, &chunk);
		if (step == LT_STEP_TORN) {
			view->session->unreadable++;
			arena->whole = false;
		}
		if (step != LT_STEP_CHUNK && step != LT_STEP_TOP)
			return true;
		enum lt_chunk_state state = step == LT_STEP_TOP ? LT_CHUNK_TOP
					    : chunk.free        ? LT_CHUNK_FREE
								: LT_CHUNK_USED;
		if (!push_size(sizes, chunk.size, state))
			return false;
		region->past = sizes->count;
		arena->bytes[state] += chunk.size;
		arena->chunks[state]++;
		arena->overhead -= chunk.size < arena->overhead ? chunk.size : arena->overhead;
		if (state != LT_CHUNK_USED && chunk.size > arena->largest_free)
			arena->largest_free = chunk.size;
		if (state == LT_CHUNK_USED &&
		    !take_candidate(reader, malloc->parts->glibc.layout, &chunk, candidates))
			return false;
		if (step == LT_STEP_TOP)
			return true;
	}
}

static void read_parameters(const struct lt_view *view, struct lt_malloc *malloc)
{
	const struct lt_glibc *glibc = &malloc->parts->glibc;
	const struct lt_glibc_layout *layout = glibc->layout;
	uint32_t mapped = 0;
	if (glibc->parameters == 0 ||
	    !lt_memory_u32(view->memory, glibc->parameters + layout->par_n_mmaps, &mapped) ||
	    !lt_memory_u64(view->memory, glibc->parameters + layout->par_mmapped,
			   &malloc->mmapped_bytes)) {
		/* As many as there are. */
		malloc->mmapped_chunks = malloc->mmapped_bytes = UINT64_MAX;
		return;
	}
	malloc->mmapped_chunks = mapped;
	(void)!lt_memory_u64(view->memory, glibc->parameters + layout->par_mmap_threshold,
			     &malloc->mmap_threshold);
	(void)!lt_memory_u64(view->memory, glibc->parameters + layout->par_trim_threshold,
			     &malloc->trim_threshold);
	(void)!lt_memory_u64(view->memory, glibc->parameters + layout->par_arena_max,
			     &malloc->arena_max);
}

/* The chunks of all arenas. */
static enum lt_status sum_arenas(const struct lt_view *view, struct lt_chunk_reader *reader,
				 struct lt_malloc *malloc, struct lt_addr_list *candidates)
{
	struct lt_malloc_parts *parts = malloc->parts;
	malloc->arenas.count = parts->regions.count = candidates->count = parts->sizes.count = 0;
	LT_TRY(lt_malloc_regions(view, reader, malloc));
	uint64_t *extents = calloc(malloc->arenas.count + 1, sizeof(*extents));
	if (extents == NULL)
		return lt_fail_memory(view->session);
	for (size_t i = 0; i < malloc->arenas.count; i++) {
		extents[i] = malloc->arenas.data[i].overhead;
		malloc->arenas.data[i].whole = true;
	}
	bool ok = true;
	for (size_t i = 0; ok && i < parts->regions.count; i++)
		ok = sum_region(view, reader, malloc, &parts->regions.data[i], candidates);
	for (size_t i = 0; i < malloc->arenas.count; i++) {
		struct lt_malloc_arena *arena = &malloc->arenas.data[i];
		arena->whole = arena->whole && arena->chunks[LT_CHUNK_TOP] == 1 &&
			       extents[i] == arena->system_bytes;
		if (arena->chunks[LT_CHUNK_TOP] == 0)
			arena->top = 0;
	}
	free(extents);
	return ok ? LT_OK : lt_fail_memory(view->session);
}

static enum lt_status sum_up(const struct lt_view *view, struct lt_chunk_reader *reader,
			     const struct lt_pageset *others, struct lt_malloc *malloc,
			     struct lt_addr_list *candidates)
{
	uint64_t unreadable = view->session->unreadable;
	read_parameters(view, malloc);
	malloc->parts->one_piece = true;
	LT_TRY(sum_arenas(view, reader, malloc, candidates));
	if (malloc->parts->one_piece && malloc->arenas.count > 0 && !malloc->arenas.data[0].whole) {
		malloc->parts->one_piece = false;
		view->session->unreadable = unreadable;
		LT_TRY(sum_arenas(view, reader, malloc, candidates));
	}
	LT_TRY(lt_malloc_mark(view, malloc, candidates));
	LT_TRY(lt_malloc_mapped(view, reader, others, malloc));
	/* Where chunks have a tail the allocator itself counts some bytes more or less. */
	malloc->whole = malloc->arenas.count > 0 &&
			(malloc->mapped_found_bytes == malloc->mmapped_bytes ||
			 malloc->parts->glibc.layout->mmapped_tail != 0) &&
			malloc->mapped_found_chunks == malloc->mmapped_chunks;
	for (size_t i = 0; i < malloc->arenas.count; i++)
		malloc->whole = malloc->whole && malloc->arenas.data[i].whole;
	if (malloc->mmapped_chunks == UINT64_MAX) {
		malloc->mmapped_chunks = malloc->mapped_found_chunks;
		malloc->mmapped_bytes = malloc->mapped_found_bytes;
	}
	return LT_OK;
}

enum lt_status lt_malloc_find_in(const struct lt_view *view, const struct lt_glibc *glibc,
				 const struct lt_pageset *others, struct lt_malloc *ret_malloc)
{
	struct lt_malloc malloc = {.found = true};
	struct lt_chunk_reader reader;
	struct lt_addr_list candidates = {0};
	malloc.parts = calloc(1, sizeof(*malloc.parts));
	if (malloc.parts == NULL)
		return lt_fail_memory(view->session);
	malloc.parts->glibc = *glibc;
	memcpy(malloc.release, glibc->release, sizeof(malloc.release));
	enum lt_status status = LT_OK;
	if (lt_chunk_reader_init(&reader, view->memory)) {
		status = sum_up(view, &reader, others, &malloc, &candidates);
		lt_chunk_reader_deinit(&reader);
	} else {
		status = lt_fail_memory(view->session);
	}
	lt_addr_list_deinit(&candidates);
	if (status != LT_OK) {
		lt_malloc_deinit(&malloc);
		return status;
	}
	*ret_malloc = malloc;
	return LT_OK;
}

enum lt_status lt_malloc_find(const struct lt_view *view, const struct lt_pageset *others,
			      struct lt_malloc *ret_malloc)
{
	struct lt_glibc glibc = {0};
	if (view->process != NULL)
		LT_TRY(lt_glibc_find(view->session, view->process, view->memory, true, &glibc));
	if (!glibc.found) {
		*ret_malloc = (struct lt_malloc){0};
		return LT_OK;
	}
	return lt_malloc_find_in(view, &glibc, others, ret_malloc);
}

/* False: the visitor has enough. */
static bool walk_region(const struct lt_malloc *malloc, const struct lt_chunk_region *region,
			lt_chunk_visit visit, void *ctx)
{
	const struct lt_malloc_parts *parts = malloc->parts;
	lt_addr start = region->start;
	for (size_t at = region->first; at < region->past;) {
		uint64_t marked;
		struct lt_chunk chunk = {.address = start + LT_CHUNK_HEAD, .arena = region->arena};
		chunk.size = next_size(&parts->sizes, &at, &chunk.state);
		if (chunk.state == LT_CHUNK_USED && lt_map_get(&parts->marks, start, &marked))
			chunk.state = (enum lt_chunk_state)marked;
		if (!visit(ctx, &chunk))
			return false;
		start += chunk.size;
	}
	return true;
}

void lt_malloc_walk(const struct lt_malloc *found, lt_chunk_visit visit, void *ctx)
{
	if (!found->found)
		return;
	const struct lt_malloc_parts *parts = found->parts;
	bool more = true;
	for (size_t i = 0; more && i < parts->regions.count; i++)
		more = walk_region(found, &parts->regions.data[i], visit, ctx);
	for (size_t i = 0; more && i < parts->mapped.count; i++) {
		struct lt_chunk chunk = {.address = parts->mapped.data[i].chunk + LT_CHUNK_HEAD,
					 .size = parts->mapped.data[i].size,
					 .state = LT_CHUNK_MMAPPED,
					 .arena = UINT32_MAX};
		more = visit(ctx, &chunk);
	}
}

void lt_malloc_deinit(struct lt_malloc *found)
{
	lt_malloc_arenas_deinit(&found->arenas);
	if (found->parts != NULL) {
		lt_chunk_regions_deinit(&found->parts->regions);
		lt_chunk_sizes_deinit(&found->parts->sizes);
		lt_map_deinit(&found->parts->marks);
		lt_mapped_chunks_deinit(&found->parts->mapped);
	}
	free(found->parts);
	found->parts = NULL;
}
