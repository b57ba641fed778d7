#include "heap/malloc_parts.h"

#include <string.h>

enum {
	TCACHE_MAX = 1024,  /* bytes of the largest cache, rounded up */
	LIST_MAX = 1 << 16, /* chunks of a cache's list: MAX_TCACHE_COUNT */
	FAST_MAX = 1 << 26, /* the same of a fast bin */
	SMALL_STEP = 16,    /* chunk sizes of neighbouring lists */
};

static uint64_t word(const unsigned char *bytes)
{
	uint64_t value;
	memcpy(&value, bytes, sizeof(value));
	return value;
}

uint64_t lt_tcache_bytes(const struct lt_glibc_layout *layout)
{
	return layout->tcache_bins * (sizeof(uint16_t) + sizeof(lt_addr));
}

uint64_t lt_tcache_chunk_size(const struct lt_glibc_layout *layout)
{
	/* malloc/malloc.c, request2size(): the size word is a chunk's own, the word before it its neighbour's. */
	return (lt_tcache_bytes(layout) + 8 + LT_CHUNK_ALIGN - 1) & ~(uint64_t)(LT_CHUNK_ALIGN - 1);
}

/* Of a list's chunks: malloc/malloc.c, csize2tidx(), large_csize2tidx(). */
static bool size_fits(uint32_t list, uint64_t size)
{
	if (list < LT_TCACHE_SMALL)
		return size == LT_CHUNK_MIN + (uint64_t)list * SMALL_STEP;
	uint64_t largest_small = LT_CHUNK_MIN + (LT_TCACHE_SMALL - 1) * SMALL_STEP;
	return size > largest_small && size < (uint64_t)1 << 31 &&
	       list == (uint32_t)(LT_TCACHE_SMALL + __builtin_clz((unsigned)largest_small) -
				  __builtin_clz((unsigned)size));
}

static lt_addr follow_link(const struct lt_glibc_layout *layout, lt_addr at, uint64_t link)
{
	return layout->safe_linking != 0 ? at >> 12 ^ link : link;
}

/* A chunk that is in a list: its size, link, and the word behind that. */
struct listed {
	uint64_t size, link, key;
};

static bool read_listed(const struct lt_view *view, const struct lt_malloc *malloc, lt_addr chunk,
			struct listed *ret_listed)
{
	struct {
		uint64_t size, link, key;
	} bytes;
	if (chunk % LT_CHUNK_ALIGN != 0 || lt_malloc_region(malloc->parts, chunk) == NULL ||
	    lt_memory_probe(view->memory, chunk + 8, &bytes, sizeof(bytes)) != sizeof(bytes))
		return false;
	*ret_listed = (struct listed){bytes.size & ~(uint64_t)LT_CHUNK_BITS, bytes.link, bytes.key};
	return true;
}

/* From used to marked, in the arena that the chunk belongs to. Marked already: nothing. False: no memory. */
static bool mark(struct lt_malloc *malloc, lt_addr chunk, uint64_t size, enum lt_chunk_state state)
{
	const struct lt_chunk_region *region = lt_malloc_region(malloc->parts, chunk);
	if (region == NULL || lt_map_get(&malloc->parts->marks, chunk, NULL))
		return true;
	struct lt_malloc_arena *arena = &malloc->arenas.data[region->arena];
	if (size > arena->bytes[LT_CHUNK_USED] || arena->chunks[LT_CHUNK_USED] == 0)
		return true;
	if (!lt_map_put(&malloc->parts->marks, chunk, (uint64_t)state))
		return false;
	arena->bytes[LT_CHUNK_USED] -= size;
	arena->chunks[LT_CHUNK_USED]--;
	arena->bytes[state] += size;
	arena->chunks[state]++;
	if (state == LT_CHUNK_FAST && size > arena->largest_free)
		arena->largest_free = size;
	return true;
}

/* ---- caches of threads ---- */

static lt_addr list_of(const struct lt_glibc_layout *layout, const unsigned char *cache,
		       uint32_t list)
{
	return word(cache + layout->tcache_bins * sizeof(uint16_t) + list * sizeof(lt_addr));
}

bool lt_tcache_plausible(const struct lt_glibc_layout *layout, const unsigned char *cache)
{
	bool any = false;
	for (uint32_t i = 0; i < layout->tcache_bins; i++) {
		uint16_t number;
		lt_addr entry = list_of(layout, cache, i);
		memcpy(&number, cache + i * sizeof(number), sizeof(number));
		/* A thread may be between the two writes, but not with several chunks. */
		if (entry % LT_CHUNK_ALIGN != 0 || entry >> 47 != 0 ||
		    (layout->tcache_slots == 0 && (entry == 0) != (number == 0) && number > 1))
			return false;
		any |= entry != 0;
	}
	return any;
}

/*
 * What every chunk of the cache bears: malloc made it to be met nowhere else. False: what is in the memory is no
 * cache, or one with nothing in it.
 */
static bool read_cache(const struct lt_view *view, const struct lt_malloc *malloc, lt_addr address,
		       unsigned char *cache, uint64_t *ret_key)
{
	const struct lt_glibc_layout *layout = malloc->parts->glibc.layout;
	struct listed listed;
	lt_addr first = 0;
	if (lt_memory_probe(view->memory, address, cache, lt_tcache_bytes(layout)) !=
		    lt_tcache_bytes(layout) ||
	    !lt_tcache_plausible(layout, cache))
		return false;
	for (uint32_t i = 0; i < layout->tcache_bins; i++) {
		lt_addr entry = list_of(layout, cache, i);
		if (entry != 0 && lt_malloc_region(malloc->parts, entry) == NULL)
			return false;
		if (first == 0)
			first = entry;
	}
	if (first == 0 || !read_listed(view, malloc, first - LT_CHUNK_HEAD, &listed))
		return false;
	*ret_key = listed.key;
	return layout->tcache_random_key != 0 || listed.key == address;
}

/* The chunks of one list. False: no memory; *sense is cleared where it makes none. */
static bool mark_list(const struct lt_view *view, struct lt_malloc *malloc, uint32_t list,
		      lt_addr entry, uint64_t key, bool *sense)
{
	const struct lt_glibc_layout *layout = malloc->parts->glibc.layout;
	for (uint32_t i = 0; entry != 0; i++) {
		struct listed listed;
		lt_addr chunk = entry - LT_CHUNK_HEAD;
		if (i == LIST_MAX || !read_listed(view, malloc, chunk, &listed) ||
		    listed.key != key || !size_fits(list, listed.size) ||
		    lt_map_get(&malloc->parts->marks, chunk, NULL)) {
			*sense = false;
			return true;
		}
		if (!mark(malloc, chunk, listed.size, LT_CHUNK_TCACHE))
			return false;
		entry = follow_link(layout, entry, listed.link);
	}
	return true;
}

/* The key that most candidates have: those without it are no caches. */
static bool common_key(const struct lt_view *view, const struct lt_malloc *malloc,
		       const struct lt_addr_list *candidates, uint64_t *ret_key)
{
	unsigned char cache[TCACHE_MAX];
	struct lt_map votes = {0};
	uint64_t best = 0, key = 0;
	bool ok = true;
	for (size_t i = 0; ok && i < candidates->count; i++) {
		if (!read_cache(view, malloc, candidates->data[i], cache, &key))
			continue;
		uint64_t *count = lt_map_at(&votes, key, 0);
		ok = count != NULL;
		if (ok && ++*count > best) {
			best = *count;
			*ret_key = key;
		}
	}
	lt_map_deinit(&votes);
	return ok;
}

static bool mark_caches(const struct lt_view *view, struct lt_malloc *malloc,
			const struct lt_addr_list *candidates)
{
	const struct lt_glibc_layout *layout = malloc->parts->glibc.layout;
	unsigned char cache[TCACHE_MAX];
	uint64_t common = 0, key;
	if (lt_tcache_bytes(layout) > sizeof(cache))
		return true;
	if (layout->tcache_random_key != 0 && !common_key(view, malloc, candidates, &common))
		return false;
	for (size_t i = 0; i < candidates->count; i++) {
		if (!read_cache(view, malloc, candidates->data[i], cache, &key) ||
		    (layout->tcache_random_key != 0 && key != common))
			continue;
		bool sense = true;
		malloc->caches++;
		for (uint32_t list = 0; list < layout->tcache_bins; list++)
			if (!mark_list(view, malloc, list, list_of(layout, cache, list), key,
				       &sense))
				return false;
		if (!sense)
			view->session->unreadable++;
	}
	return true;
}

/* ---- fast bins ---- */

static bool mark_fast(const struct lt_view *view, struct lt_malloc *malloc, uint32_t index)
{
	const struct lt_glibc_layout *layout = malloc->parts->glibc.layout;
	for (uint32_t bin = 0; bin < layout->fast_bins; bin++) {
		lt_addr chunk = 0;
		if (!lt_memory_u64(view->memory,
				   malloc->arenas.data[index].address + layout->arena_fast +
					   bin * 8,
				   &chunk))
			return true;
		for (uint32_t i = 0; chunk != 0; i++) {
			struct listed listed;
			const struct lt_chunk_region *region =
				lt_malloc_region(malloc->parts, chunk);
			if (i == FAST_MAX || region == NULL || region->arena != index ||
			    !read_listed(view, malloc, chunk, &listed) ||
			    listed.size != LT_CHUNK_MIN + (uint64_t)bin * SMALL_STEP ||
			    lt_map_get(&malloc->parts->marks, chunk, NULL)) {
				view->session->unreadable++;
				malloc->arenas.data[index].whole = false;
				break;
			}
			if (!mark(malloc, chunk, listed.size, LT_CHUNK_FAST))
				return false;
			/* The link of a chunk in a fast bin lies where the program's memory began. */
			chunk = follow_link(layout, chunk + LT_CHUNK_HEAD, listed.link);
		}
	}
	return true;
}

enum lt_status lt_malloc_mark(const struct lt_view *view, struct lt_malloc *malloc,
			      const struct lt_addr_list *candidates)
{
	for (uint32_t i = 0; i < malloc->arenas.count; i++)
		if (!mark_fast(view, malloc, i))
			return lt_fail_memory(view->session);
	return mark_caches(view, malloc, candidates) ? LT_OK : lt_fail_memory(view->session);
}
