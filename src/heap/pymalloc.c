#include "heap/pymalloc.h"

#include "base/cleanup.h"
#include "target/stream.h"

#include <stdlib.h>
#include <string.h>

enum {
	ARENAS_MAX = 1 << 22,
	ARENA_BYTES_MAX = 64 << 20,
	HEADER_MAX = 64,
	BATCH = 512, /* arena objects read at once */
	SHIFT_DEBUG = 16,
	SAMPLES = 64, /* pools that are asked whether debug hooks wrote their blocks */
	WITNESSES = 16,
	STATIC_WORDS = 4096,
	STATIC_MAX = 16 << 20,
	WALK_BYTES = 1 << 20,
};

void lt_pymalloc_deinit(struct lt_pymalloc *pymalloc)
{
	lt_pymalloc_arenas_deinit(&pymalloc->arenas);
	lt_ranges_deinit(&pymalloc->pools);
	lt_pageset_deinit(&pymalloc->pages);
	free(pymalloc->notes);
	*pymalloc = (struct lt_pymalloc){0};
}

static uint32_t u32_of(const unsigned char *bytes, uint64_t offset)
{
	uint32_t value;
	memcpy(&value, bytes + offset, sizeof(value));
	return value;
}

static uint64_t u64_of(const unsigned char *bytes, uint64_t offset)
{
	uint64_t value;
	memcpy(&value, bytes + offset, sizeof(value));
	return value;
}

/* Objects/obmalloc.c: POOL_OVERHEAD, the header rounded up to the alignment of blocks. */
static uint32_t overhead(const struct lt_layout *layout)
{
	uint32_t alignment = (uint32_t)lt_fact(layout, LT_FACT_block_alignment);
	return ((uint32_t)lt_off(layout, LT_sizeof_pool_header) + alignment - 1) & ~(alignment - 1);
}

/* Everything of a pool but its chain of free blocks; `bytes` holds the header. */
static bool parse_header(const struct lt_layout *layout, uint64_t pool_size, lt_addr address,
			 const unsigned char *bytes, struct lt_pool *pool, lt_addr *ret_freeblock)
{
	uint32_t alignment = (uint32_t)lt_fact(layout, LT_FACT_block_alignment);
	uint32_t classes = (uint32_t)lt_fact(layout, LT_FACT_small_request_max) / alignment;
	uint32_t used = u32_of(bytes, lt_off(layout, LT_pool_header_ref_count));
	uint32_t szidx = u32_of(bytes, lt_off(layout, LT_pool_header_szidx));
	uint32_t next = u32_of(bytes, lt_off(layout, LT_pool_header_nextoffset));
	uint32_t last = u32_of(bytes, lt_off(layout, LT_pool_header_maxnextoffset));
	lt_addr freeblock = u64_of(bytes, lt_off(layout, LT_pool_header_freeblock));
	if (used == 0 || szidx >= classes)
		return false;
	uint32_t size = (szidx + 1) * alignment;
	uint32_t first = overhead(layout);
	if (last != pool_size - size || next < first || next > last + size ||
	    (next - first) % size != 0)
		return false;
	uint32_t count = (next - first) / size;
	if (used > count || count > LT_POOL_BLOCKS_MAX)
		return false;
	if (freeblock != 0 && (freeblock < address + first || freeblock >= address + next ||
			       (freeblock - address - first) % size != 0))
		return false;
	pool->block_size = size;
	pool->first = first;
	pool->count = count;
	pool->used = used;
	*ret_freeblock = freeblock;
	return true;
}

bool lt_pool_parse(const struct lt_view *view, const struct lt_pymalloc *pymalloc, lt_addr address,
		   const unsigned char *bytes, struct lt_pool *ret_pool)
{
	struct lt_pool *pool = ret_pool;
	lt_addr block;
	if (!parse_header(view->layout, pymalloc->pool_size, address, bytes, pool, &block))
		return false;
	memset(pool->free, 0, sizeof(pool->free));
	uint32_t found = 0;
	while (block != 0) {
		uint64_t offset = block - address - pool->first;
		uint64_t index = offset / pool->block_size;
		if (block < address + pool->first || index >= pool->count ||
		    offset % pool->block_size != 0 ||
		    (pool->free[index / 64] >> (index % 64) & 1) != 0)
			break;
		pool->free[index / 64] |= (uint64_t)1 << (index % 64);
		found++;
		block = u64_of(bytes, pool->first + offset);
	}
	pool->torn = block != 0 || found + pool->used != pool->count;
	return true;
}

/* ---- The table of arenas ---- */

static bool add_range(struct lt_pymalloc *pymalloc, lt_addr start, lt_addr end)
{
	if (start >= end)
		return true;
	if (pymalloc->pools.count > 0) {
		struct lt_range *last = &pymalloc->pools.data[pymalloc->pools.count - 1];
		if (last->end == start) {
			last->end = end;
			return true;
		}
	}
	return lt_ranges_push(&pymalloc->pools, (struct lt_range){start, end});
}

static enum lt_status read_table(const struct lt_view *view, struct lt_pymalloc *pymalloc,
				 lt_addr table, uint32_t count)
{
	const struct lt_layout *layout = view->layout;
	size_t stride = lt_off(layout, LT_sizeof_arena_object);
	if (count > ARENAS_MAX || stride > HEADER_MAX) {
		view->session->unreadable++;
		return LT_OK;
	}
	unsigned char batch[BATCH * HEADER_MAX];
	for (uint32_t i = 0; i < count; i += BATCH) {
		size_t wanted = count - i < BATCH ? count - i : BATCH;
		size_t got =
			lt_memory_read(view->memory, table + i * stride, batch, wanted * stride) /
			stride;
		for (size_t k = 0; k < got; k++) {
			const unsigned char *arena = batch + k * stride;
			lt_addr address = u64_of(arena, lt_off(layout, LT_arena_object_address));
			lt_addr end = u64_of(arena, lt_off(layout, LT_arena_object_pool_address));
			uint64_t total = u32_of(arena, lt_off(layout, LT_arena_object_ntotalpools));
			if (address == 0)
				continue;
			lt_addr start =
				(address + pymalloc->pool_size - 1) & ~(pymalloc->pool_size - 1);
			if (end < start || (end & (pymalloc->pool_size - 1)) != 0 ||
			    total > ARENA_BYTES_MAX / pymalloc->pool_size ||
			    end - start > total * pymalloc->pool_size) {
				view->session->unreadable++;
				continue;
			}
			/* Objects/obmalloc.c, new_arena(): one pool less fits where the start is not aligned. */
			uint64_t mapped = (total + (start != address)) * pymalloc->pool_size;
			const struct lt_pymalloc_arena found = {
				.start = address,
				.end = address + mapped,
				.pools = start,
				.untouched = end,
				.total_pools = total,
			};
			if (!add_range(pymalloc, start, end) ||
			    !lt_pymalloc_arenas_push(&pymalloc->arenas, found))
				return lt_fail_memory(view->session);
		}
	}
	return LT_OK;
}

static enum lt_status find_by_table(const struct lt_view *view,
				    const struct lt_interpreters *interpreters,
				    struct lt_pymalloc *pymalloc, bool *ret_found)
{
	const struct lt_layout *layout = view->layout;
	struct lt_memory *memory = view->memory;
	uint64_t table;
	uint32_t count;
	if (lt_fact(layout, LT_FACT_obmalloc_statics) != 0) {
		lt_addr arenas = lt_python_symbol(view->python, "arenas");
		lt_addr maxarenas = lt_python_symbol(view->python, "maxarenas");
		if (arenas == 0 || maxarenas == 0 || !lt_memory_u64(memory, arenas, &table) ||
		    !lt_memory_u32(memory, maxarenas, &count))
			return LT_OK;
		*ret_found = true;
		return table != 0 ? read_table(view, pymalloc, table, count) : LT_OK;
	}
	if (!lt_has(layout, LT_PyInterpreterState_obmalloc) ||
	    !lt_has(layout, LT__obmalloc_state_mgmt_arenas))
		return LT_OK;
	struct lt_map seen = {0};
	enum lt_status status = LT_OK;
	for (size_t i = 0; i < interpreters->count && status == LT_OK; i++) {
		lt_addr state = interpreters->data[i].address +
				lt_off(layout, LT_PyInterpreterState_obmalloc);
		if (lt_fact(layout, LT_FACT_obmalloc_pointer) != 0 &&
		    (!lt_memory_u64(memory, state, &state) || state == 0))
			continue;
		if (!lt_memory_u64(memory, state + lt_off(layout, LT__obmalloc_state_mgmt_arenas),
				   &table) ||
		    !lt_memory_u32(memory,
				   state + lt_off(layout, LT__obmalloc_state_mgmt_maxarenas),
				   &count))
			continue;
		*ret_found = true;
		/* Interpreters may share the allocator of the main one. */
		if (table == 0 || lt_map_get(&seen, table, NULL))
			continue;
		status = lt_map_put(&seen, table, 1) ? read_table(view, pymalloc, table, count)
						     : lt_fail_memory(view->session);
	}
	lt_map_deinit(&seen);
	return status;
}

/* ---- The search for pool headers ---- */

bool lt_mapping_may_hold_heap(const struct lt_mapping *mapping)
{
	return mapping->readable && mapping->writable && !mapping->shared && mapping->inode == 0 &&
	       (mapping->path[0] != '[' || strcmp(mapping->path, "[heap]") == 0 ||
		strncmp(mapping->path, "[anon", 5) == 0);
}

/* A pool that was found, and the number of its arena in the table that it must be in. */
struct witness {
	lt_addr pool;
	uint32_t arena;
};

struct witnesses {
	struct witness list[WITNESSES];
	size_t count;
	uint64_t seen;
	uint32_t
		arenas; /* one more than the highest number; an arena without a used pool is given back */
};

static void witness_pool(struct witnesses *witnesses, lt_addr pool, uint32_t arena)
{
	/* The first ones, then ever more rarely one of the others in place of an earlier one. */
	uint64_t seen = witnesses->seen++;
	const struct witness witness = {pool, arena};
	if (witnesses->count < WITNESSES)
		witnesses->list[witnesses->count++] = witness;
	else if ((seen & (seen - 1)) == 0)
		witnesses->list[(unsigned)__builtin_ctzll(seen) % WITNESSES] = witness;
	if (arena < ARENAS_MAX && arena >= witnesses->arenas)
		witnesses->arenas = arena + 1;
}

static bool is_table(const struct lt_view *view, const struct lt_pymalloc *pymalloc, lt_addr table,
		     const struct witnesses *witnesses)
{
	const struct lt_layout *layout = view->layout;
	uint64_t size = lt_off(layout, LT_sizeof_arena_object);
	uint64_t arena_size = (uint64_t)lt_fact(layout, LT_FACT_arena_size);
	unsigned char arena[HEADER_MAX];
	for (size_t i = 0; i < witnesses->count; i++) {
		const struct witness *witness = &witnesses->list[i];
		if (lt_memory_probe(view->memory, table + witness->arena * size, arena, size) !=
		    size)
			return false;
		lt_addr address = u64_of(arena, lt_off(layout, LT_arena_object_address));
		uint64_t total = u32_of(arena, lt_off(layout, LT_arena_object_ntotalpools));
		uint64_t most = arena_size / pymalloc->pool_size;
		if (address == 0 || witness->pool < address ||
		    witness->pool - address >= arena_size || total > most || total + 1 < most)
			return false;
	}
	return witnesses->count > 0;
}

/* The file's own writable data, and what lies right behind it: its .bss. */
static bool is_static_data(const struct lt_mappings *mappings, size_t i, const char *file)
{
	const struct lt_mapping *mapping = &mappings->data[i];
	if (!mapping->readable || !mapping->writable || mapping->shared)
		return false;
	if (mapping->inode == 0)
		return mapping->path[0] == '\0' && i > 0 &&
		       mappings->data[i - 1].end == mapping->start &&
		       strcmp(mappings->data[i - 1].path, file) == 0;
	return strcmp(mapping->path, file) == 0;
}

/* The file that has the interpreter's static data: that of the runtime, which may lie in its .bss. */
static const char *interpreter_file(const struct lt_view *view)
{
	const struct lt_mappings *mappings = &view->process->mappings;
	for (size_t i = 0; i < mappings->count; i++) {
		const struct lt_mapping *mapping = &mappings->data[i];
		if (view->python->runtime < mapping->start || view->python->runtime >= mapping->end)
			continue;
		if (mapping->inode == 0 && i > 0)
			mapping--;
		return mapping->path;
	}
	return "";
}

/* 0: there is none. */
static lt_addr search_table(const struct lt_view *view, const struct lt_pymalloc *pymalloc,
			    const struct witnesses *witnesses)
{
	const struct lt_mappings *mappings = &view->process->mappings;
	const char *file = interpreter_file(view);
	uint64_t words[STATIC_WORDS];
	if (file[0] != '/')
		return 0;
	for (size_t i = 0; i < mappings->count; i++) {
		if (!is_static_data(mappings, i, file))
			continue;
		lt_addr end = mappings->data[i].end;
		if (end - mappings->data[i].start > STATIC_MAX)
			end = mappings->data[i].start + STATIC_MAX;
		for (lt_addr at = mappings->data[i].start; at < end; at += sizeof(words)) {
			size_t wanted = end - at < sizeof(words) ? end - at : sizeof(words);
			size_t got = lt_memory_probe(view->memory, at, words, wanted) / 8;
			for (size_t w = 0; w < got; w++) {
				const struct lt_mapping *to =
					(words[w] & 15) == 0 && words[w] != 0
						? lt_process_mapping(view->process, words[w])
						: NULL;
				if (to != NULL && lt_mapping_may_hold_heap(to) &&
				    is_table(view, pymalloc, words[w], witnesses))
					return words[w];
			}
		}
	}
	return 0;
}

static enum lt_status find_by_search(const struct lt_view *view, struct lt_pymalloc *pymalloc)
{
	if (view->process == NULL)
		return LT_OK;
	const struct lt_mappings *mappings = &view->process->mappings;
	unsigned char header[HEADER_MAX];
	size_t size = lt_off(view->layout, LT_sizeof_pool_header);
	struct witnesses witnesses = {0};
	if (size > sizeof(header))
		return LT_OK;
	for (size_t i = 0; i < mappings->count; i++) {
		const struct lt_mapping *mapping = &mappings->data[i];
		if (!lt_mapping_may_hold_heap(mapping))
			continue;
		lt_addr pool =
			(mapping->start + pymalloc->pool_size - 1) & ~(pymalloc->pool_size - 1);
		for (; pool < mapping->end && mapping->end - pool >= pymalloc->pool_size;
		     pool += pymalloc->pool_size) {
			struct lt_pool parsed;
			lt_addr freeblock;
			if (lt_memory_probe(view->memory, pool, header, size) != size ||
			    !parse_header(view->layout, pymalloc->pool_size, pool, header, &parsed,
					  &freeblock))
				continue;
			if (!add_range(pymalloc, pool, pool + pymalloc->pool_size))
				return lt_fail_memory(view->session);
			witness_pool(
				&witnesses, pool,
				u32_of(header, lt_off(view->layout, LT_pool_header_arenaindex)));
		}
		lt_progress(view->session, "finding arenas", i + 1, mappings->count);
	}
	lt_addr table = search_table(view, pymalloc, &witnesses);
	pymalloc->by_search = table == 0;
	if (table == 0)
		return LT_OK;
	pymalloc->pools.count = 0;
	return read_table(view, pymalloc, table, witnesses.arenas);
}

/*
 * Debug hooks (Objects/obmalloc.c: _PyMem_DebugRawAlloc) write before the memory they hand out its
 * size, a letter for the API and seven bytes 0xfd.
 */
static bool is_debug_block(const unsigned char *block)
{
	static const unsigned char fence[7] = {0xfd, 0xfd, 0xfd, 0xfd, 0xfd, 0xfd, 0xfd};
	return (block[8] == 'o' || block[8] == 'm') && memcmp(block + 9, fence, sizeof(fence)) == 0;
}

static void find_shift(const struct lt_view *view, struct lt_pymalloc *pymalloc)
{
	unsigned char *bytes = malloc(pymalloc->pool_size);
	unsigned plain = 0, debug = 0;
	for (size_t i = 0; bytes != NULL && i < pymalloc->pools.count && plain + debug < SAMPLES;
	     i++) {
		const struct lt_range *range = &pymalloc->pools.data[i];
		for (lt_addr at = range->start; at < range->end && plain + debug < SAMPLES;
		     at += pymalloc->pool_size) {
			struct lt_pool pool;
			if (lt_memory_probe(view->memory, at, bytes, pymalloc->pool_size) !=
				    pymalloc->pool_size ||
			    !lt_pool_parse(view, pymalloc, at, bytes, &pool))
				continue;
			uint32_t k = 0;
			while (k < pool.count && (pool.free[k / 64] >> (k % 64) & 1) != 0)
				k++;
			if (k == pool.count)
				continue;
			if (is_debug_block(bytes + pool.first + (size_t)k * pool.block_size))
				debug++;
			else
				plain++;
		}
	}
	free(bytes);
	pymalloc->shift = debug > plain ? SHIFT_DEBUG : 0;
}

static int by_start(const void *left, const void *right)
{
	lt_addr a = ((const struct lt_range *)left)->start,
		b = ((const struct lt_range *)right)->start;
	return (a > b) - (a < b);
}

static int by_arena(const void *left, const void *right)
{
	lt_addr a = ((const struct lt_pymalloc_arena *)left)->start,
		b = ((const struct lt_pymalloc_arena *)right)->start;
	return (a > b) - (a < b);
}

/* Ascending and disjoint: ranges that overlap are made one, since a table may be damaged. */
static void normalize(struct lt_ranges *ranges)
{
	if (ranges->count == 0)
		return;
	qsort(ranges->data, ranges->count, sizeof(*ranges->data), by_start);
	size_t kept = 0;
	for (size_t i = 1; i < ranges->count; i++) {
		if (ranges->data[i].start <= ranges->data[kept].end) {
			if (ranges->data[i].end > ranges->data[kept].end)
				ranges->data[kept].end = ranges->data[i].end;
		} else {
			ranges->data[++kept] = ranges->data[i];
		}
	}
	ranges->count = kept + 1;
}

/* Ascending; of arenas that overlap, in a damaged table, the first stays. */
static void order(struct lt_pymalloc_arenas *arenas)
{
	if (arenas->count == 0)
		return;
	qsort(arenas->data, arenas->count, sizeof(*arenas->data), by_arena);
	size_t kept = 0;
	for (size_t i = 1; i < arenas->count; i++) {
		if (arenas->data[i].start >= arenas->data[kept].end)
			arenas->data[++kept] = arenas->data[i];
	}
	arenas->count = kept + 1;
}

enum lt_status lt_pymalloc_find(const struct lt_view *view,
				const struct lt_interpreters *interpreters,
				struct lt_pymalloc *ret_pymalloc)
{
	struct lt_pymalloc found = {.pool_size =
					    (uint64_t)lt_fact(view->layout, LT_FACT_pool_size)};
	if (found.pool_size < 4096 || (found.pool_size & (found.pool_size - 1)) != 0)
		return lt_fail(view->session, LT_E_INTERNAL, "the layout %s has no pool size",
			       view->layout->name);
	bool by_table = false;
	enum lt_status status = find_by_table(view, interpreters, &found, &by_table);
	if (status == LT_OK && !by_table)
		status = find_by_search(view, &found);
	normalize(&found.pools);
	order(&found.arenas);
	for (size_t i = 0; i < found.pools.count && status == LT_OK; i++) {
		const struct lt_range *range = &found.pools.data[i];
		found.bytes += range->end - range->start;
		if (range->end > (lt_addr)1 << LT_PAGESET_TOP_BITS ||
		    !lt_pageset_add(&found.pages, range->start, range->end))
			status = lt_fail_memory(view->session);
	}
	found.notes = calloc(found.bytes / found.pool_size + 1, sizeof(*found.notes));
	if (status == LT_OK && found.notes == NULL)
		status = lt_fail_memory(view->session);
	if (status != LT_OK) {
		lt_pymalloc_deinit(&found);
		return status;
	}
	find_shift(view, &found);
	*ret_pymalloc = found;
	return LT_OK;
}

/* ---- The walk ---- */

static void see(const struct lt_view *view, const struct lt_pymalloc *pymalloc,
		struct lt_pool_seen *pool)
{
	struct lt_pool parsed;
	lt_addr freeblock;
	if (pool->bytes == NULL || !parse_header(view->layout, pymalloc->pool_size, pool->address,
						 pool->bytes, &parsed, &freeblock))
		return;
	pool->in_use = true;
	pool->block_size = parsed.block_size;
	pool->first = parsed.first;
	pool->capacity = (uint32_t)(pymalloc->pool_size - parsed.first) / parsed.block_size;
	pool->used = parsed.used;
	pool->handed_out = parsed.count;
}

static enum lt_status walk(const struct lt_view *view, const struct lt_pymalloc *pymalloc,
			   lt_addr from, lt_addr to, lt_pool_visit visit, void *ctx)
{
	uint64_t step = pymalloc->pool_size > WALK_BYTES ? pymalloc->pool_size : WALK_BYTES;
	LT_CLEANUP(lt_stream_deinit)
	struct lt_stream stream = {.memory = view->memory, .capacity = step};
	for (size_t i = 0; i < pymalloc->pools.count; i++) {
		const struct lt_range *range = &pymalloc->pools.data[i];
		for (lt_addr at = range->start; at < range->end; at += step) {
			size_t wanted = range->end - at < step ? range->end - at : step;
			size_t got, next_size = step;
			lt_addr next = at + step;
			if (next >= range->end) {
				next = i + 1 < pymalloc->pools.count ? range[1].start : 0;
				next_size = next != 0 ? range[1].end - next : 0;
			} else if (range->end - next < step) {
				next_size = range->end - next;
			}
			const unsigned char *bytes =
				lt_stream_load(&stream, at, wanted, wanted, &got);
			if (bytes == NULL)
				return lt_fail_memory(view->session);
			lt_stream_ask(&stream, next, next_size);
			if (got < wanted)
				view->memory->short_reads++;
			for (size_t offset = 0; offset + pymalloc->pool_size <= wanted;
			     offset += pymalloc->pool_size) {
				struct lt_pool_seen pool = {.address = at + offset};
				if (pool.address < from || pool.address >= to)
					continue;
				if (offset + pymalloc->pool_size <= got)
					pool.bytes = bytes + offset;
				see(view, pymalloc, &pool);
				if (!visit(ctx, &pool))
					return LT_OK;
			}
		}
	}
	return LT_OK;
}

enum lt_status lt_pymalloc_walk(const struct lt_view *view, const struct lt_pymalloc *pymalloc,
				lt_pool_visit visit, void *ctx)
{
	return walk(view, pymalloc, 0, UINT64_MAX, visit, ctx);
}

static bool is_full(const struct lt_pool_note *note)
{
	return (note->block_size & LT_POOL_NOTE_FULL) != 0;
}

/* Pools [at, end) of a range, `note` that of the first one: the next of them that are read together. */
static struct lt_range next_run(const struct lt_pymalloc *pymalloc, const struct lt_pool_note *note,
				lt_addr at, lt_addr end)
{
	const uint64_t near = 2 * pymalloc->pool_size;
	struct lt_range run = {end, end};
	for (; at < end; at += pymalloc->pool_size, note++) {
		if (note->block_size == 0 || is_full(note))
			continue;
		if (run.start == end)
			run.start = run.end = at;
		if (at - run.end > near || at + pymalloc->pool_size - run.start > WALK_BYTES)
			break;
		run.end = at + pymalloc->pool_size;
	}
	return run;
}

static void see_noted(const struct lt_view *view, const struct lt_pymalloc *pymalloc,
		      const struct lt_pool_note *note, struct lt_pool_seen *pool)
{
	pool->in_use = pool->full = true;
	pool->block_size = note->block_size & ~(uint32_t)LT_POOL_NOTE_FULL;
	pool->first = overhead(view->layout);
	pool->capacity = (uint32_t)(pymalloc->pool_size - pool->first) / pool->block_size;
	pool->used = pool->handed_out = note->used;
}

enum lt_status lt_pymalloc_walk_noted(const struct lt_view *view,
				      const struct lt_pymalloc *pymalloc, lt_addr from, lt_addr to,
				      lt_pool_visit visit, void *ctx)
{
	LT_CLEANUP(lt_stream_deinit)
	struct lt_stream stream = {.memory = view->memory, .capacity = WALK_BYTES};
	const struct lt_pool_note *first = pymalloc->notes;
	if (first == NULL || pymalloc->pool_size > WALK_BYTES)
		return walk(view, pymalloc, from, to, visit, ctx);
	for (size_t i = 0; i < pymalloc->pools.count; i++) {
		const struct lt_range *range = &pymalloc->pools.data[i];
		lt_addr start = range->start > from ? range->start : from;
		lt_addr end = range->end < to ? range->end : to;
		const struct lt_pool_note *note = first;
		first += (range->end - range->start) / pymalloc->pool_size;
		if (start >= end)
			continue;
		note += (start - range->start) / pymalloc->pool_size;
		struct lt_range run = {0};
		const unsigned char *bytes = NULL;
		size_t got = 0;
		for (lt_addr at = start; at < end; at += pymalloc->pool_size, note++) {
			struct lt_pool_seen pool = {.address = at};
			if (is_full(note)) {
				see_noted(view, pymalloc, note, &pool);
			} else if (note->block_size != 0) {
				if (at >= run.end) {
					run = next_run(pymalloc, note, at, end);
					size_t size = run.end - run.start;
					bytes = lt_stream_load(&stream, at, size, size, &got);
					if (bytes == NULL)
						return lt_fail_memory(view->session);
					size_t behind = (run.end - at) / pymalloc->pool_size;
					struct lt_range next =
						next_run(pymalloc, note + behind, run.end, end);
					lt_stream_ask(&stream, next.start, next.end - next.start);
					if (got < size)
						view->memory->short_reads++;
				}
				if (at + pymalloc->pool_size - run.start <= got)
					pool.bytes = bytes + (at - run.start);
				see(view, pymalloc, &pool);
			}
			if (!visit(ctx, &pool))
				return LT_OK;
		}
	}
	return LT_OK;
}

bool lt_pymalloc_block(const struct lt_view *view, const struct lt_pymalloc *pymalloc,
		       lt_addr address, struct lt_pymalloc_place *place, struct lt_range *ret_block)
{
	while (place->range < pymalloc->pools.count &&
	       pymalloc->pools.data[place->range].end <= address) {
		const struct lt_range *range = &pymalloc->pools.data[place->range++];
		place->pools += (range->end - range->start) / pymalloc->pool_size;
	}
	if (pymalloc->notes == NULL || place->range >= pymalloc->pools.count ||
	    address < pymalloc->pools.data[place->range].start)
		return false;
	lt_addr start = pymalloc->pools.data[place->range].start;
	uint64_t pool = (address - start) / pymalloc->pool_size;
	uint64_t size =
		pymalloc->notes[place->pools + pool].block_size & ~(uint64_t)LT_POOL_NOTE_FULL;
	lt_addr first = start + pool * pymalloc->pool_size + overhead(view->layout);
	if (size == 0 || address < first)
		return false;
	ret_block->start = first + (address - first) / size * size;
	ret_block->end = ret_block->start + size;
	return true;
}

void lt_pymalloc_stats_begin(const struct lt_view *view, const struct lt_pymalloc *pymalloc,
			     struct lt_pymalloc_stats *ret_stats)
{
	const struct lt_layout *layout = view->layout;
	uint32_t alignment = (uint32_t)lt_fact(layout, LT_FACT_block_alignment);
	size_t classes = (size_t)lt_fact(layout, LT_FACT_small_request_max) / alignment;
	struct lt_pymalloc_stats stats = {.arenas = pymalloc->arenas.count};
	stats.class_count = classes < LT_SIZE_CLASSES_MAX ? classes : LT_SIZE_CLASSES_MAX;
	for (size_t i = 0; i < stats.class_count; i++)
		stats.classes[i].size = (uint32_t)(i + 1) * alignment;
	for (size_t i = 0; i < pymalloc->arenas.count; i++) {
		const struct lt_pymalloc_arena *arena = &pymalloc->arenas.data[i];
		stats.arena_bytes += arena->end - arena->start;
		if (arena->pools != arena->start)
			stats.alignment_bytes += pymalloc->pool_size;
		stats.pools_free += arena->total_pools -
				    (arena->untouched - arena->pools) / pymalloc->pool_size;
	}
	*ret_stats = stats;
}

void lt_pymalloc_stats_add(struct lt_pymalloc_stats *stats, const struct lt_pymalloc *pymalloc,
			   const struct lt_pool_seen *pool)
{
	if (!pool->in_use) {
		stats->pools_free++;
		return;
	}
	struct lt_size_class *class =
		&stats->classes[pool->block_size / stats->classes[0].size - 1];
	class->pools++;
	class->used += pool->used;
	class->free += pool->capacity - pool->used;
	stats->pools_used++;
	stats->used_bytes += (uint64_t)pool->used * pool->block_size;
	stats->free_bytes += (uint64_t)(pool->capacity - pool->used) * pool->block_size;
	stats->header_bytes += pool->first;
	stats->tail_bytes +=
		pymalloc->pool_size - pool->first - (uint64_t)pool->capacity * pool->block_size;
}

void lt_pymalloc_stats_begin_part(const struct lt_pymalloc_stats *whole,
				  struct lt_pymalloc_stats *ret_part)
{
	*ret_part = (struct lt_pymalloc_stats){.class_count = whole->class_count};
	for (size_t i = 0; i < whole->class_count; i++)
		ret_part->classes[i].size = whole->classes[i].size;
}

void lt_pymalloc_stats_join(struct lt_pymalloc_stats *whole, const struct lt_pymalloc_stats *part)
{
	for (size_t i = 0; i < whole->class_count; i++) {
		whole->classes[i].pools += part->classes[i].pools;
		whole->classes[i].used += part->classes[i].used;
		whole->classes[i].free += part->classes[i].free;
	}
	whole->pools_used += part->pools_used;
	whole->pools_free += part->pools_free;
	whole->used_bytes += part->used_bytes;
	whole->free_bytes += part->free_bytes;
	whole->header_bytes += part->header_bytes;
	whole->tail_bytes += part->tail_bytes;
}
