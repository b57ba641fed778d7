#include "analysis/fragmentation.h"

#include "analysis/resident.h"
#include "base/cleanup.h"
#include "heap/interpreters.h"

enum {
	PAGE = 4096,
	ARENA_POOLS = 64, /* Objects/obmalloc.c: 256 KiB of 4 KiB, 1 MiB of 16 KiB since 3.10 */
	RUN = 16 << 10,
	CELLS_MAX = 1 << 22,
	CELLS_BLOCK_MAX = 1 << 30, /* of another allocator: what is larger is no part of the map */
	FREE_LEAST = 8 << 20,      /* less than this is no trouble */
	ARENAS_LEAST = 4,
};

static const double FREE_SHARE = 0.2, PINNED_SHARE = 0.25, CAUSE_SHARE = 0.5;

static const char *const verdict_names[LT_FRAGMENTATION_VERDICTS] = {
	[LT_FRAGMENTATION_NONE] = "none",
	[LT_FRAGMENTATION_INTERNAL] = "internal",
	[LT_FRAGMENTATION_PINNED] = "pinned",
	[LT_FRAGMENTATION_ARENAS] = "arenas",
};

const char *lt_fragmentation_verdict_name(enum lt_fragmentation_verdict verdict)
{
	return verdict_names[verdict];
}

static const char *const verdict_titles[LT_FRAGMENTATION_VERDICTS] = {
	[LT_FRAGMENTATION_NONE] = "none",
	[LT_FRAGMENTATION_INTERNAL] = "internal",
	[LT_FRAGMENTATION_PINNED] = "pinned by survivors",
	[LT_FRAGMENTATION_ARENAS] = "too many malloc arenas",
};

const char *lt_fragmentation_title(enum lt_fragmentation_verdict verdict)
{
	return verdict_titles[verdict];
}

void lt_fragmentation_deinit(struct lt_fragmentation *fragmentation)
{
	lt_fragment_cells_deinit(&fragmentation->cells);
	lt_fragment_arenas_deinit(&fragmentation->arenas);
	lt_malloc_deinit(&fragmentation->malloc);
	*fragmentation = (struct lt_fragmentation){0};
}

struct reading {
	struct lt_fragmentation *to;
	struct lt_resident resident;
	struct lt_pymalloc pymalloc;
	bool no_memory;

	/* The arena of pymalloc that the walk is in. */
	lt_addr arena_start, arena_end;
	size_t arena;
	uint64_t arena_used, arena_free, arena_blocks;
	lt_addr run_start, run_end;   /* the free pools before */
	lt_addr idle_start, idle_end; /* what is free in the other allocator before */
};

static void reading_deinit(struct reading *reading)
{
	lt_resident_deinit(&reading->resident);
	lt_pymalloc_deinit(&reading->pymalloc);
}

/* False: the map is full, or there is no memory for it. */
static bool add_cell(struct reading *reading, struct lt_fragment_cell cell)
{
	struct lt_fragment_cells *cells = &reading->to->cells;
	if (cells->count >= CELLS_MAX) {
		reading->to->cut = true;
		return false;
	}
	if (!lt_fragment_cells_push(cells, cell)) {
		reading->no_memory = true;
		return false;
	}
	return true;
}

/* ---- pymalloc ---- */

static void end_arena(struct reading *reading)
{
	struct lt_fragmentation *to = reading->to;
	uint64_t all = reading->arena_used + reading->arena_free;
	if (reading->arena_used > 0 && (double)reading->arena_used < PINNED_SHARE * (double)all) {
		to->pinned_arenas++;
		to->pinned_free_bytes += reading->arena_free;
		to->pinned_used_bytes += reading->arena_used;
		to->pinned_blocks += reading->arena_blocks;
	}
	reading->arena_used = reading->arena_free = reading->arena_blocks = 0;
}

/* Moves on to the arena that the pool is in; without the table arenas are where the boundaries of them would be. */
static void enter_arena(struct reading *reading, lt_addr pool)
{
	const struct lt_pymalloc_arenas *arenas = &reading->pymalloc.arenas;
	if (pool >= reading->arena_start && pool < reading->arena_end)
		return;
	end_arena(reading);
	while (reading->arena < arenas->count && arenas->data[reading->arena].end <= pool)
		reading->arena++;
	if (reading->arena < arenas->count && arenas->data[reading->arena].start <= pool) {
		reading->arena_start = arenas->data[reading->arena].start;
		reading->arena_end = arenas->data[reading->arena].end;
	} else {
		uint64_t size = ARENA_POOLS * reading->pymalloc.pool_size;
		reading->arena_start = pool - pool % size;
		reading->arena_end = reading->arena_start + size;
	}
}

static void take_free_pool(struct reading *reading, lt_addr start, uint64_t size)
{
	if (start != reading->run_end)
		reading->run_start = start;
	reading->run_end = start + size;
	uint64_t length = reading->run_end - reading->run_start;
	if (length > reading->to->pymalloc_largest_free_bytes)
		reading->to->pymalloc_largest_free_bytes = length;
}

static bool take_pool(void *ctx, const struct lt_pool_seen *pool)
{
	struct reading *reading = ctx;
	struct lt_fragmentation *to = reading->to;
	uint64_t size = reading->pymalloc.pool_size;
	if (pool->bytes == NULL)
		return true;
	lt_pymalloc_stats_add(&to->pymalloc, &reading->pymalloc, pool);
	enter_arena(reading, pool->address);
	uint64_t resident =
		lt_resident_bytes(&reading->resident, pool->address, pool->address + size);
	uint64_t used = pool->in_use ? (uint64_t)pool->used * pool->block_size : 0;
	uint64_t idle =
		pool->in_use ? (uint64_t)(pool->capacity - pool->used) * pool->block_size : size;
	uint64_t held = resident > used ? resident : used;
	if (idle > held - used)
		idle = held - used;
	if (!pool->in_use)
		take_free_pool(reading, pool->address, size);
	else if (pool->used < pool->capacity && pool->block_size > to->pymalloc_largest_free_bytes)
		to->pymalloc_largest_free_bytes = pool->block_size;
	to->pymalloc_held_bytes += held;
	to->pymalloc_free_bytes += idle;
	reading->arena_used += used;
	reading->arena_free += idle;
	reading->arena_blocks += pool->in_use ? pool->used : 0;
	(void)add_cell(reading, (struct lt_fragment_cell){.address = pool->address,
							  .bytes = (uint32_t)size,
							  .used = (uint32_t)used,
							  .arena = UINT32_MAX,
							  .resident = resident > 0});
	return !reading->no_memory;
}

static enum lt_status walk_pymalloc(const struct lt_view *view, struct reading *reading)
{
	LT_CLEANUP(lt_interpreters_deinit) struct lt_interpreters interpreters = {0};
	LT_TRY(lt_interpreters_read(view, &interpreters));
	LT_TRY(lt_pymalloc_find(view, &interpreters, &reading->pymalloc));
	reading->to->pool_size = reading->pymalloc.pool_size;
	if (reading->pymalloc.pools.count == 0)
		return LT_OK;
	lt_pymalloc_stats_begin(view, &reading->pymalloc, &reading->to->pymalloc);
	LT_TRY(lt_pymalloc_walk(view, &reading->pymalloc, take_pool, reading));
	end_arena(reading);
	return LT_OK;
}

/* ---- malloc ---- */

/* The part of a chunk in each run of pages that it reaches into. */
static void add_runs(struct reading *reading, uint32_t arena, lt_addr start, uint64_t size,
		     bool used, bool resident)
{
	struct lt_fragment_cells *cells = &reading->to->cells;
	for (lt_addr at = start, end = start + size; at < end;) {
		lt_addr run = at - at % RUN;
		lt_addr to = end < run + RUN ? end : run + RUN;
		struct lt_fragment_cell *last =
			cells->count > 0 ? &cells->data[cells->count - 1] : NULL;
		if (last == NULL || last->address != run || last->arena != arena) {
			if (!add_cell(reading,
				      (struct lt_fragment_cell){.address = run, .arena = arena}))
				return;
			last = &cells->data[cells->count - 1];
		}
		last->bytes += (uint32_t)(to - at);
		last->used += used ? (uint32_t)(to - at) : 0;
		last->resident = last->resident || used ||
				 (resident && lt_resident_bytes(&reading->resident, at, to) > 0);
		at = to;
	}
}

static bool take_chunk(void *ctx, const struct lt_chunk *chunk)
{
	struct reading *reading = ctx;
	struct lt_fragmentation *to = reading->to;
	if (chunk->state == LT_CHUNK_MMAPPED || chunk->arena >= to->arenas.count ||
	    chunk->address < 16 || chunk->size == 0 ||
	    chunk->address + chunk->size < chunk->address)
		return true;
	lt_addr start = chunk->address - 16;
	bool used = chunk->state == LT_CHUNK_USED;
	uint64_t resident = chunk->size;
	if (!used && chunk->size >= PAGE)
		resident = lt_resident_bytes(&reading->resident, start, start + chunk->size);
	struct lt_fragment_arena *arena = &to->arenas.data[chunk->arena];
	to->malloc_held_bytes += resident;
	if (used) {
		arena->used_bytes += chunk->size;
	} else {
		arena->free_bytes += chunk->size;
		arena->resident_free_bytes += resident;
		to->malloc_free_bytes += resident;
		if (!arena->main)
			to->thread_arenas_free_bytes += resident;
	}
	add_runs(reading, chunk->arena, start, chunk->size, used, resident > 0);
	return !reading->no_memory;
}

static enum lt_status walk_malloc(const struct lt_view *view, struct reading *reading)
{
	struct lt_fragmentation *to = reading->to;
	LT_TRY(lt_malloc_find(view, &reading->pymalloc.pages, &to->malloc));
	if (!to->malloc.found)
		return LT_OK;
	for (size_t i = 0; i < to->malloc.arenas.count; i++) {
		const struct lt_malloc_arena *arena = &to->malloc.arenas.data[i];
		if (!lt_fragment_arenas_push(
			    &to->arenas,
			    (struct lt_fragment_arena){.address = arena->address,
						       .main = arena->main,
						       .whole = arena->whole,
						       .attached = arena->attached,
						       .system_bytes = arena->system_bytes,
						       .largest_free_bytes = arena->largest_free}))
			return lt_fail_memory(view->session);
		to->thread_arenas += !arena->main;
		if (arena->largest_free > to->largest_free_bytes)
			to->largest_free_bytes = arena->largest_free;
	}
	lt_malloc_walk(&to->malloc, take_chunk, reading);
	return LT_OK;
}

/* ---- jemalloc, mimalloc ---- */

static void note_idle(struct reading *reading, lt_addr start, uint64_t size)
{
	if (start != reading->idle_end)
		reading->idle_start = start;
	reading->idle_end = start + size;
	uint64_t length = reading->idle_end - reading->idle_start;
	if (length > reading->to->other_largest_free_bytes)
		reading->to->other_largest_free_bytes = length;
}

static bool take_other(void *ctx, const struct lt_foreign_block *block)
{
	struct reading *reading = ctx;
	struct lt_fragmentation *to = reading->to;
	struct lt_fragment_arena *arena = &to->arenas.data[to->arenas.count - 1];
	if (block->size == 0 || block->start + block->size < block->start)
		return true;
	bool used = block->state == LT_FOREIGN_USED || block->state == LT_FOREIGN_OWN;
	uint64_t resident = block->size;
	if (block->size >= PAGE)
		resident = lt_resident_bytes(&reading->resident, block->start,
					     block->start + block->size);
	arena->system_bytes += block->size;
	to->other_held_bytes += resident;
	if (used) {
		arena->used_bytes += block->size;
	} else {
		arena->free_bytes += block->size;
		arena->resident_free_bytes += resident;
		to->other_free_bytes += resident;
		to->other_page_bytes += block->state == LT_FOREIGN_PAGES ? resident : 0;
		note_idle(reading, block->start, block->size);
	}
	/* A large block whose pages were never touched is no cell of its own. */
	if (block->size < CELLS_BLOCK_MAX)
		add_runs(reading, (uint32_t)(to->arenas.count - 1), block->start, block->size, used,
			 resident > 0);
	return !reading->no_memory;
}

static enum lt_status walk_other(const struct lt_view *view, struct reading *reading)
{
	struct lt_fragmentation *to = reading->to;
	lt_foreign_find(view, &to->other);
	if (!to->other.found)
		return LT_OK;
	const struct lt_fragment_arena arena = {.other = true, .whole = to->other.torn == 0};
	if (!lt_fragment_arenas_push(&to->arenas, arena))
		return lt_fail_memory(view->session);
	lt_foreign_walk(view, &to->other, take_other, reading);
	to->arenas.data[to->arenas.count - 1].largest_free_bytes = to->other_largest_free_bytes;
	if (to->other_largest_free_bytes > to->largest_free_bytes)
		to->largest_free_bytes = to->other_largest_free_bytes;
	return LT_OK;
}

/* ---- What it means ---- */

void lt_fragmentation_judge(struct lt_fragmentation *fragmentation)
{
	struct lt_fragmentation *to = fragmentation;
	to->held_bytes = to->pymalloc_held_bytes + to->malloc_held_bytes + to->other_held_bytes;
	to->free_bytes = to->pymalloc_free_bytes + to->malloc_free_bytes + to->other_free_bytes;
	to->ratio = to->held_bytes > 0 ? (double)to->free_bytes / (double)to->held_bytes : 0;
	double cause = CAUSE_SHARE * (double)to->free_bytes;
	if (to->free_bytes < FREE_LEAST || to->ratio < FREE_SHARE)
		to->verdict = LT_FRAGMENTATION_NONE;
	else if ((double)to->pinned_free_bytes >= cause)
		to->verdict = LT_FRAGMENTATION_PINNED;
	else if (to->thread_arenas >= ARENAS_LEAST && (double)to->thread_arenas_free_bytes >= cause)
		to->verdict = LT_FRAGMENTATION_ARENAS;
	else
		to->verdict = LT_FRAGMENTATION_INTERNAL;
}

static void find_gap(const struct lt_smaps *smaps, struct lt_fragmentation *to)
{
	for (size_t i = 1; i < smaps->list.count; i++) {
		lt_addr end = smaps->list.data[i - 1].mapping.end;
		lt_addr start = smaps->list.data[i].mapping.start;
		if (start >> 47 == 0 && start > end && start - end > to->largest_gap_bytes)
			to->largest_gap_bytes = start - end;
	}
}

static enum lt_status look(struct lt_subject *subject, struct reading *reading)
{
	struct lt_session *session = subject->session;
	const struct lt_look *live = subject->look;
	struct lt_fragmentation *to = reading->to;
	LT_TRY(lt_resident_take(session, live->process, &reading->resident));
	to->threads = subject->identity.thread_count;
	find_gap(&reading->resident.smaps, to);
	lt_progress(session, "Python's allocator", 0, 0);
	LT_TRY(walk_pymalloc(live->view, reading));
	lt_progress(session, "the C allocator", 0, 0);
	LT_TRY(walk_malloc(live->view, reading));
	LT_TRY(walk_other(live->view, reading));
	if (reading->no_memory)
		return lt_fail_memory(session);
	if (to->pymalloc_largest_free_bytes > to->largest_free_bytes)
		to->largest_free_bytes = to->pymalloc_largest_free_bytes;
	return lt_memory_limits_read(session, live->identity.pid,
				     reading->resident.smaps.list.count, to);
}

enum lt_status lt_fragmentation_read(struct lt_subject *subject,
				     struct lt_fragmentation *ret_fragmentation)
{
	LT_CLEANUP(lt_fragmentation_deinit) struct lt_fragmentation to = {0};
	LT_CLEANUP(reading_deinit) struct reading reading = {.to = &to};
	if (subject->look == NULL)
		return lt_fail(subject->session, LT_E_USAGE,
			       "fragmentation is that of a process, not of a snapshot file");
	LT_TRY(lt_subject_status(subject, look(subject, &reading)));
	lt_fragmentation_judge(&to);
	*ret_fragmentation = to;
	to = (struct lt_fragmentation){0};
	return LT_OK;
}
