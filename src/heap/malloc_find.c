#include "heap/malloc_parts.h"

#include "heap/pymalloc.h"
#include "target/smaps.h"

#include <string.h>
#include <unistd.h>

enum {
	ARENAS_MAX = 1 << 16,
	HEAPS_MAX = 1 << 20, /* of a process: each has 64 MiB of its addresses */
	PAGE = 4096,
	TRIES_MAX = 1 << 22, /* places where a piece, or a mapped chunk, is looked for */
};
static const lt_addr ADDRESSES = (lt_addr)1 << 47; /* where those of programs end */

static uint64_t word(const unsigned char *bytes)
{
	uint64_t value;
	memcpy(&value, bytes, sizeof(value));
	return value;
}

const struct lt_chunk_region *lt_malloc_region(const struct lt_malloc_parts *parts, lt_addr addr)
{
	/* Regions ascend within an arena only; there are few. */
	for (size_t i = 0; i < parts->regions.count; i++)
		if (addr >= parts->regions.data[i].start && addr < parts->regions.data[i].end)
			return &parts->regions.data[i];
	return NULL;
}

/* ---- the pieces of the main arena ---- */

struct pieces {
	struct lt_chunk_reader *reader;
	struct lt_chunk_regions *regions;
	lt_addr top;
	uint64_t wanted; /* bytes of the arena */
	uint64_t have;   /* of these, in regions and gaps between them */
	uint64_t tries;
	bool reached_top;
};

/* Where the chunks from `start` on end: LT_STEP_TOP, LT_STEP_FENCE, or LT_STEP_TORN when there is no piece. */
static enum lt_chunk_step follow(struct pieces *pieces, lt_addr start, lt_addr limit,
				 lt_addr *ret_end)
{
	struct lt_chunk_at chunk;
	lt_addr at = start;
	for (;;) {
		enum lt_chunk_step step =
			lt_chunk_next(pieces->reader, &at, limit, pieces->top, &chunk);
		if (step == LT_STEP_CHUNK)
			continue;
		*ret_end = at;
		return step == LT_STEP_END ? LT_STEP_TORN : step;
	}
}

/* A piece that begins here; one without a chunk before its fence posts is none. */
static bool try_piece(struct pieces *pieces, lt_addr start, lt_addr limit, lt_addr *ret_end)
{
	const unsigned char *bytes = lt_chunk_read(pieces->reader, start, 2 * sizeof(uint64_t));
	pieces->tries++;
	if (bytes == NULL)
		return false;
	uint64_t size = word(bytes + 8);
	if ((size & LT_CHUNK_BITS) != LT_CHUNK_PREV_INUSE || size < LT_CHUNK_MIN ||
	    size > limit - start)
		return false;
	enum lt_chunk_step step = follow(pieces, start, limit, ret_end);
	if (step == LT_STEP_TOP)
		pieces->reached_top = true;
	return step == LT_STEP_TOP || (step == LT_STEP_FENCE && *ret_end % PAGE == 0);
}

static bool add_piece(struct pieces *pieces, lt_addr start, lt_addr end)
{
	return lt_chunk_regions_push(pieces->regions,
				     (struct lt_chunk_region){.start = start, .end = end});
}

/* Pieces of [at, limit), which begin at multiples of `step`. `gaps`: the arena counts what is between them. */
static bool look_for_pieces(struct pieces *pieces, lt_addr at, lt_addr limit, unsigned step,
			    bool gaps)
{
	lt_addr last = at;
	while (at < limit && pieces->have < pieces->wanted && pieces->tries < TRIES_MAX) {
		lt_addr end;
		if (!try_piece(pieces, at, limit, &end)) {
			at += step;
			continue;
		}
		if (!add_piece(pieces, at, end))
			return false;
		pieces->have += end - (gaps ? last : at);
		at = last = end;
		if (pieces->reached_top && gaps)
			break; /* what brk(2) gives is not left once it ends with the top */
	}
	return true;
}

static bool is_taken(const struct lt_chunk_regions *regions, const struct lt_mapping *mapping)
{
	for (size_t i = 0; i < regions->count; i++)
		if (regions->data[i].start < mapping->end && mapping->start < regions->data[i].end)
			return true;
	return false;
}

static bool main_regions(const struct lt_view *view, struct lt_chunk_reader *reader,
			 struct lt_malloc *malloc, lt_addr sbrk_base, bool in_pieces)
{
	struct lt_malloc_parts *parts = malloc->parts;
	struct lt_malloc_arena *arena = &malloc->arenas.data[0];
	struct pieces pieces = {.reader = reader,
				.regions = &parts->regions,
				.top = arena->top,
				.wanted = arena->system_bytes};
	lt_addr start = (sbrk_base + LT_CHUNK_ALIGN - 1) & ~(lt_addr)(LT_CHUNK_ALIGN - 1), end;
	bool ok = true;
	if (malloc->parts->one_piece) {
		/* All of it, if nobody else took memory from brk(2): the sum over its chunks tells whether that is so. */
		end = sbrk_base + arena->system_bytes;
		arena->overhead = arena->system_bytes;
		return end <= start || end < sbrk_base || add_piece(&pieces, start, end);
	}
	if (sbrk_base != 0) {
		/*
		 * The first piece even when it is torn: it is known to begin here. The mappings may be older than
		 * the memory: what cannot be read ends it.
		 */
		enum lt_chunk_step step = follow(&pieces, start, ADDRESSES, &end);
		pieces.reached_top = step == LT_STEP_TOP;
		ok = end == start || add_piece(&pieces, start, end);
		pieces.have = end - sbrk_base;
		const struct lt_mapping *mapping = lt_process_mapping(view->process, sbrk_base);
		if (ok && step == LT_STEP_FENCE && mapping != NULL)
			ok = look_for_pieces(&pieces, end, mapping->end, LT_CHUNK_ALIGN, true);
	}
	for (size_t i = 0; ok && in_pieces && i < view->process->mappings.count; i++) {
		const struct lt_mapping *mapping = &view->process->mappings.data[i];
		if (lt_mapping_may_hold_heap(mapping) && !is_taken(&parts->regions, mapping))
			ok = look_for_pieces(&pieces, mapping->start, mapping->end, PAGE, false);
	}
	arena->overhead = pieces.have; /* chunks are taken off later */
	if (!pieces.reached_top)
		arena->top = 0;
	return ok;
}

/* ---- the arenas of threads ---- */

/* Newest heap first; false: no memory. What makes no sense ends the chain, and the arena is not whole. */
static bool thread_regions(const struct lt_view *view, struct lt_malloc *malloc, uint32_t index,
			   uint64_t heap_max)
{
	struct lt_malloc_parts *parts = malloc->parts;
	struct lt_malloc_arena *arena = &malloc->arenas.data[index];
	const struct lt_glibc_layout *layout = parts->glibc.layout;
	lt_addr own = arena->address & ~(heap_max - 1), heap = arena->top & ~(heap_max - 1);
	size_t first = parts->regions.count;
	for (unsigned i = 0; i < HEAPS_MAX; i++) {
		/* heap_info: arena, the heap before, bytes in use. */
		struct {
			lt_addr arena, before;
			uint64_t size;
		} info;
		if (heap == 0 || !lt_memory_get(view->memory, heap, &info, sizeof(info)) ||
		    info.arena != arena->address || info.size % PAGE != 0 || info.size > heap_max ||
		    info.size < PAGE)
			break;
		lt_addr start = heap + layout->heap_bytes;
		if (heap == own)
			start = (arena->address + layout->arena_bytes + LT_CHUNK_ALIGN - 1) &
				~(lt_addr)(LT_CHUNK_ALIGN - 1);
		if (start - heap >= info.size)
			break;
		if (!lt_chunk_regions_push(&parts->regions,
					   (struct lt_chunk_region){.start = start,
								    .end = heap + info.size,
								    .arena = index}))
			return false;
		arena->overhead += info.size;
		if (info.before == 0)
			break;
		/* No heap is there twice. */
		for (size_t k = first; k < parts->regions.count; k++)
			if (info.before == (parts->regions.data[k].start & ~(heap_max - 1)))
				return true;
		heap = info.before;
		if (heap % heap_max != 0)
			break;
	}
	return true;
}

static int compare_regions(const void *a, const void *b)
{
	const struct lt_chunk_region *left = a, *right = b;
	if (left->arena != right->arena)
		return left->arena < right->arena ? -1 : 1;
	return left->start < right->start ? -1 : left->start > right->start;
}

/* The ring of arenas, the main one first. */
static bool read_arenas(const struct lt_view *view, struct lt_malloc *malloc, bool *ret_in_pieces)
{
	const struct lt_glibc *glibc = &malloc->parts->glibc;
	const struct lt_glibc_layout *layout = glibc->layout;
	struct lt_map seen = {0};
	lt_addr at = glibc->main_arena;
	bool ok = true;
	for (unsigned i = 0; i < ARENAS_MAX; i++) {
		unsigned char bytes[4096];
		uint32_t mutex, flags;
		if (!lt_memory_get(view->memory, at, bytes, layout->arena_bytes)) {
			view->session->unreadable++;
			break;
		}
		memcpy(&mutex, bytes, sizeof(mutex));
		memcpy(&flags, bytes + layout->arena_flags, sizeof(flags));
		if (i == 0)
			*ret_in_pieces = (flags & LT_ARENA_PIECES) != 0;
		struct lt_malloc_arena arena = {
			.address = at,
			.main = i == 0,
			.locked = mutex != 0,
			.system_bytes = word(bytes + layout->arena_system),
			.attached = word(bytes + layout->arena_attached),
			.top = word(bytes + layout->arena_top),
		};
		if (!lt_malloc_arenas_push(&malloc->arenas, arena) || !lt_map_put(&seen, at, 1)) {
			ok = false;
			break;
		}
		at = word(bytes + layout->arena_next);
		if (at == glibc->main_arena)
			break;
		if (at % 8 != 0 || at == 0 || lt_map_get(&seen, at, NULL)) {
			view->session->unreadable++;
			break;
		}
	}
	lt_map_deinit(&seen);
	return ok;
}

enum lt_status lt_malloc_regions(const struct lt_view *view, struct lt_chunk_reader *reader,
				 struct lt_malloc *malloc)
{
	const struct lt_glibc *glibc = &malloc->parts->glibc;
	const struct lt_glibc_layout *layout = glibc->layout;
	lt_addr sbrk_base = 0;
	uint64_t heap_max = LT_HEAP_MAX, huge = 0;
	if (glibc->parameters != 0) {
		(void)!lt_memory_u64(view->memory, glibc->parameters + layout->par_sbrk_base,
				     &sbrk_base);
		/* malloc/arena.c, heap_max_size(): four huge pages, where arenas are made of these. */
		if (layout->par_hp_pagesize != 0 &&
		    lt_memory_u64(view->memory, glibc->parameters + layout->par_hp_pagesize,
				  &huge) &&
		    huge >= PAGE && huge <= (uint64_t)16 << 30 && (huge & (huge - 1)) == 0)
			heap_max = huge * 4;
	}
	for (size_t i = 0; sbrk_base == 0 && i < view->process->mappings.count; i++)
		if (strcmp(view->process->mappings.data[i].path, "[heap]") == 0)
			sbrk_base = view->process->mappings.data[i].start;
	bool in_pieces = false;
	if (!read_arenas(view, malloc, &in_pieces))
		return lt_fail_memory(view->session);
	if (malloc->arenas.count == 0)
		return LT_OK;
	malloc->parts->one_piece = malloc->parts->one_piece && sbrk_base != 0 && !in_pieces;
	/* Those of threads first: no piece of the main arena is looked for in them. */
	for (uint32_t i = 1; i < malloc->arenas.count; i++)
		if (!thread_regions(view, malloc, i, heap_max))
			return lt_fail_memory(view->session);
	if (!main_regions(view, reader, malloc, sbrk_base, in_pieces))
		return lt_fail_memory(view->session);
	struct lt_chunk_regions *regions = &malloc->parts->regions;
	if (regions->count > 0)
		qsort(regions->data, regions->count, sizeof(*regions->data), compare_regions);
	return LT_OK;
}

/* ---- chunks that are mappings of their own ---- */

enum { WINDOW_PAGES = 16384 };

enum thoroughness {
	QUICK,    /* one behind the other, from the start of each mapping on */
	RESIDENT, /* at each page that is resident: a header was written there */
	ALL,      /* at each page: some may be swapped out, or have gone since the freeze */
	THOROUGHNESSES
};

struct mapped_search {
	const struct lt_view *view;
	struct lt_chunk_reader *reader;
	struct lt_malloc *malloc;
	const struct lt_pageset *others;
	enum thoroughness how;
	uint64_t tries;
	lt_addr behind;   /* the last chunk that was found */
	lt_addr from, to; /* of what `bits` tell */
	uint64_t bits[WINDOW_PAGES / 64];
};

/* False: nothing was ever written to the page, or it is swapped out. */
static bool is_resident(struct mapped_search *search, lt_addr page, lt_addr limit)
{
	if (page < search->from || page >= search->to) {
		lt_addr to = page + (lt_addr)WINDOW_PAGES * PAGE;
		search->from = page;
		search->to = to < limit ? to : limit;
		if (sysconf(_SC_PAGESIZE) != PAGE ||
		    !lt_smaps_resident(search->view->process, search->from, search->to,
				       search->bits))
			memset(search->bits, 0xff, sizeof(search->bits));
	}
	uint64_t i = (page - search->from) / PAGE;
	return (search->bits[i / 64] >> (i % 64) & 1) != 0;
}

static bool all_found(const struct lt_malloc *malloc)
{
	return malloc->mapped_found_chunks >= malloc->mmapped_chunks ||
	       malloc->mapped_found_bytes >= malloc->mmapped_bytes;
}

/*
 * The mapped chunk whose mapping begins at `at`: its header begins there too, or as much later as it says itself
 * (memalign). In 2.43 the lowest bit there says that it is of huge pages.
 */
static bool mapped_chunk(struct mapped_search *search, lt_addr at, lt_addr limit, uint64_t offset,
			 struct lt_mapped_chunk *ret_chunk)
{
	const unsigned char *bytes = lt_chunk_read(search->reader, at + offset, 16);
	uint64_t tail = search->malloc->parts->glibc.layout->mmapped_tail;
	if (bytes == NULL)
		return false;
	uint64_t before = word(bytes), size = word(bytes + 8);
	if (tail != 0)
		before &= ~(uint64_t)1;
	if (before != offset || (size & LT_CHUNK_BITS) != LT_CHUNK_IS_MMAPPED)
		return false;
	size &= ~(uint64_t)LT_CHUNK_BITS;
	if (size < LT_CHUNK_MIN || size > limit - at)
		return false;
	uint64_t whole = offset + size + tail;
	if (whole % PAGE != 0 || whole > limit - at)
		return false;
	*ret_chunk = (struct lt_mapped_chunk){at, at + whole, at + offset, size};
	return true;
}

static bool any_mapped_chunk(struct mapped_search *search, lt_addr at, lt_addr limit, bool first,
			     struct lt_mapped_chunk *ret_chunk)
{
	search->tries++;
	if (mapped_chunk(search, at, limit, 0, ret_chunk))
		return true;
	/* memalign() of 2^k bytes puts the memory, 16 bytes behind the header, at a multiple of these. */
	for (unsigned bits = 5; bits <= (first ? 30 : 12); bits++) {
		uint64_t unit = (uint64_t)1 << bits;
		uint64_t offset =
			((at + LT_CHUNK_HEAD + unit - 1) & ~(unit - 1)) - LT_CHUNK_HEAD - at;
		if (offset > 0 && offset + LT_CHUNK_MIN < limit - at &&
		    mapped_chunk(search, at, limit, offset, ret_chunk))
			return true;
	}
	return false;
}

/* Where the memory that begins in this mapping may end: advice for a part of a chunk, as NumPy gives, cuts its mapping. */
static lt_addr end_of_run(const struct lt_mappings *mappings, size_t i)
{
	while (i + 1 < mappings->count && mappings->data[i + 1].start == mappings->data[i].end &&
	       lt_mapping_may_hold_heap(&mappings->data[i + 1]))
		i++;
	return mappings->data[i].end;
}

/* False: no memory. */
static bool search_mapping(struct mapped_search *search, const struct lt_mapping *mapping,
			   lt_addr run_end)
{
	struct lt_malloc *malloc = search->malloc;
	lt_addr at = mapping->start > search->behind ? mapping->start : search->behind;
	while (at < mapping->end && !all_found(malloc) && search->tries < TRIES_MAX) {
		if (search->others != NULL && lt_pageset_has(search->others, at)) {
			at = (at | (PAGE - 1)) + 1;
			continue;
		}
		const struct lt_chunk_region *region = lt_malloc_region(malloc->parts, at);
		if (region != NULL) {
			at = (region->end + PAGE - 1) & ~(lt_addr)(PAGE - 1);
			continue;
		}
		if (search->how == RESIDENT && !is_resident(search, at, mapping->end)) {
			at += PAGE;
			continue;
		}
		struct lt_mapped_chunk chunk;
		if (any_mapped_chunk(search, at, run_end, at == mapping->start, &chunk)) {
			if (!lt_mapped_chunks_push(&malloc->parts->mapped, chunk))
				return false;
			malloc->mapped_found_chunks++;
			malloc->mapped_found_bytes += chunk.end - chunk.start;
			at = search->behind = chunk.end;
		} else if (search->how != QUICK) {
			at += PAGE;
		} else {
			break;
		}
	}
	return true;
}

enum lt_status lt_malloc_mapped(const struct lt_view *view, struct lt_chunk_reader *reader,
				const struct lt_pageset *others, struct lt_malloc *malloc)
{
	const struct lt_mappings *mappings = &view->process->mappings;
	struct mapped_search search = {
		.view = view, .reader = reader, .malloc = malloc, .others = others};
	/* Quick first: the kernel joins mappings, with those of others too, and not all begin with a chunk. */
	for (search.how = QUICK; search.how < THOROUGHNESSES; search.how++) {
		search.tries = search.to = search.behind = 0;
		malloc->parts->mapped.count = 0;
		malloc->mapped_found_chunks = malloc->mapped_found_bytes = 0;
		lt_addr run_end = 0;
		for (size_t i = 0; i < mappings->count; i++) {
			if (!lt_mapping_may_hold_heap(&mappings->data[i]))
				continue;
			if (mappings->data[i].start >= run_end)
				run_end = end_of_run(mappings, i);
			if (!search_mapping(&search, &mappings->data[i], run_end))
				return lt_fail_memory(view->session);
		}
		if (all_found(malloc))
			break;
	}
	return LT_OK;
}
