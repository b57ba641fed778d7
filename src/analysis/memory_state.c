#include "analysis/memory_state.h"

#include "analysis/rss_parts.h"
#include "base/cleanup.h"
#include "target/maps.h"
#include "target/proc.h"

#include <string.h>

enum {
	PAGE = 4096,
	CHUNK_HEADER = 16,
	HUGE_SAMPLES = 1024,   /* pages that are looked at */
	SAMPLES_MAX = 4096,    /* of many small mappings, each of which has one */
	HUGE_LEAST = 16 << 20, /* with less in huge pages none is */
};

/* As in the verdict of fragmentation. */
static const double PINNED_SHARE = 0.25;

void lt_memory_state_deinit(struct lt_memory_state *state)
{
	lt_rss_deinit(&state->rss);
	*state = (struct lt_memory_state){0};
}

struct walk {
	struct lt_rss_reading *reading;
	struct lt_memory_state *state;
	uint64_t gap;   /* resident bytes of the free chunks before */
	uint32_t arena; /* that these are of */
};

/* ---- Python's allocator ---- */

/* Which pools have how much in use was seen when the heap was read. */
static void take_pools(struct walk *walk)
{
	struct lt_rss_reading *reading = walk->reading;
	const struct lt_pymalloc *pymalloc = reading->pymalloc;
	const struct lt_pymalloc_arenas *arenas = &pymalloc->arenas;
	const struct lt_pool_note *next = pymalloc->notes;
	if (next == NULL)
		return;
	for (size_t i = 0; i < pymalloc->pools.count; i++) {
		const struct lt_range *range = &pymalloc->pools.data[i];
		for (lt_addr at = range->start; at < range->end; at += pymalloc->pool_size) {
			uint64_t used = lt_pool_note_bytes(next++);
			uint64_t resident =
				lt_resident_bytes(&reading->resident, at, at + pymalloc->pool_size);
			walk->state->pymalloc_used_bytes += used;
			walk->state->pymalloc_free_bytes += resident > used ? resident - used : 0;
			while (reading->arena < arenas->count &&
			       arenas->data[reading->arena].end <= at)
				reading->arena++;
			if (reading->arena < arenas->count)
				reading->arena_used[reading->arena] += used;
		}
	}
}

static void look_at_pymalloc(struct walk *walk)
{
	struct lt_rss_reading *reading = walk->reading;
	struct lt_memory_state *state = walk->state;
	take_pools(walk);
	state->arenas = reading->pymalloc->arenas.count;
	for (size_t i = 0; i < state->arenas; i++) {
		const struct lt_pymalloc_arena *arena = &reading->pymalloc->arenas.data[i];
		uint64_t used = reading->arena_used[i];
		uint64_t resident = lt_resident_bytes(&reading->resident, arena->start, arena->end);
		if (used == 0 || (double)used >= PINNED_SHARE * (double)resident)
			continue;
		state->pinned_arenas++;
		state->pinned_used_bytes += used;
		state->pinned_free_bytes += resident - used;
	}
}

/* ---- The C allocator ---- */

/* The object in [start, end), LT_NO_NODE for none. */
static uint32_t node_in(const struct lt_heap_graph *graph, lt_addr start, lt_addr end)
{
	uint32_t node = lt_heap_graph_from(graph, start);
	return node < graph->graph.node_count && lt_heap_graph_address(graph, node) < end
		       ? node
		       : LT_NO_NODE;
}

/* The free chunks before `chunk` are put down to the object in it, when there is one and it is much smaller. */
static void end_gap(struct walk *walk, const struct lt_chunk *chunk, lt_addr start)
{
	struct lt_rss_reading *reading = walk->reading;
	uint64_t gap = walk->gap;
	walk->gap = 0;
	if (gap <= PAGE || gap / 2 < chunk->size)
		return;
	const struct lt_heap_graph *graph = &reading->picture->graph;
	uint32_t node = node_in(graph, start, start + chunk->size);
	uint32_t type = node != LT_NO_NODE ? lt_heap_graph_type(graph, node) : reading->type_count;
	if (type >= reading->type_count)
		return;
	struct lt_rss_kept *kept = &reading->kept[type];
	kept->holds += gap;
	kept->count++;
	if (gap > kept->most) {
		kept->most = gap;
		kept->sample = node;
	}
}

static bool take_chunk(void *ctx, const struct lt_chunk *chunk)
{
	struct walk *walk = ctx;
	struct lt_rss_reading *reading = walk->reading;
	struct lt_memory_state *state = walk->state;
	lt_addr start = chunk->address - CHUNK_HEADER;
	if (chunk->address < CHUNK_HEADER || start + chunk->size < start)
		return true;
	lt_trim_gain_chunk(&reading->trim, chunk);
	if (chunk->arena != walk->arena || chunk->state == LT_CHUNK_TOP)
		walk->gap = 0;
	walk->arena = chunk->arena;
	if (chunk->state == LT_CHUNK_USED || chunk->state == LT_CHUNK_MMAPPED) {
		state->malloc_used_bytes += chunk->size;
		end_gap(walk, chunk, start);
		return true;
	}
	uint64_t resident = lt_resident_bytes(&reading->resident, start, start + chunk->size);
	state->malloc_free_bytes += resident;
	if (chunk->state == LT_CHUNK_FREE)
		walk->gap += resident;
	if (chunk->arena < reading->malloc.arenas.count &&
	    !reading->malloc.arenas.data[chunk->arena].main)
		state->thread_arenas_free_bytes += resident;
	return true;
}

static bool take_foreign(void *ctx, const struct lt_foreign_block *block)
{
	struct walk *walk = ctx;
	if (block->state == LT_FOREIGN_USED)
		walk->state->malloc_used_bytes += block->size;
	else if (block->state != LT_FOREIGN_OWN)
		walk->state->malloc_free_bytes += lt_resident_bytes(
			&walk->reading->resident, block->start, block->start + block->size);
	return true;
}

static enum lt_status look_at_malloc(struct walk *walk)
{
	struct lt_rss_reading *reading = walk->reading;
	struct lt_memory_state *state = walk->state;
	LT_TRY(lt_rss_allocator(reading, &state->rss));
	state->foreign = lt_foreign_replaces(&reading->foreign);
	if (reading->foreign.found)
		lt_foreign_walk(reading->view, &reading->foreign, take_foreign, walk);
	if (!reading->malloc.found || state->foreign)
		return LT_OK;
	state->arena_max = reading->malloc.arena_max;
	state->thread_arenas =
		reading->malloc.arenas.count > 0 ? reading->malloc.arenas.count - 1 : 0;
	reading->trim =
		(struct lt_trim_gain){.resident = &reading->resident, .malloc = &reading->malloc};
	lt_malloc_walk(&reading->malloc, take_chunk, walk);
	lt_trim_gain_end(&reading->trim);
	state->rss.trim_gain_bytes = reading->trim.bytes;
	return LT_OK;
}

/* ---- The kernel's figures ---- */

static bool is_of_file(const struct lt_mapping *mapping)
{
	return mapping->inode != 0 || mapping->path[0] == '/' || mapping->shared;
}

static enum lt_status look_at_mappings(struct lt_rss_reading *reading,
				       struct lt_memory_state *state)
{
	LT_CLEANUP(lt_mappings_deinit) struct lt_mappings mappings = {0};
	const struct lt_smaps *smaps = &reading->resident.smaps;
	state->rss.rss_bytes = smaps->rss;
	state->rss.swap_bytes = smaps->swap;
	state->rss.page_table_bytes = smaps->page_tables;
	for (size_t i = 0; i < smaps->list.count; i++) {
		if (!lt_mappings_push(&mappings, smaps->list.data[i].mapping))
			return lt_fail_memory(reading->session);
	}
	for (size_t i = 0; i < smaps->list.count; i++) {
		const struct lt_smap *smap = &smaps->list.data[i];
		uint64_t anonymous = smap->anonymous < smap->rss ? smap->anonymous : smap->rss;
		if (!is_of_file(&smap->mapping))
			anonymous = smap->rss;
		state->anonymous_bytes += anonymous;
		state->file_bytes += smap->rss - anonymous;
		state->rss.huge_bytes +=
			smap->huge > smap->hugetlb ? smap->huge - smap->hugetlb : 0;
		if (strncmp(smap->mapping.path, "[stack", 6) == 0 ||
		    (!is_of_file(&smap->mapping) && smap->mapping.writable &&
		     (lt_maps_region(&mappings, i) == LT_REGION_STACKS ||
		      lt_rss_stacks(reading, &smap->mapping) > 0)))
			state->stack_bytes += anonymous;
	}
	return LT_OK;
}

static bool is_empty(const uint64_t *page, size_t size)
{
	for (size_t i = 0; i < size / sizeof(*page); i++) {
		if (page[i] != 0)
			return false;
	}
	return true;
}

/* Pages evenly spread over the mappings that have huge ones; of these at most a part is in a huge page. */
static void sample_huge(struct lt_rss_reading *reading, struct lt_memory_state *state)
{
	const struct lt_smap_list *maps = &reading->resident.smaps.list;
	uint64_t bytes = 0, page[PAGE / sizeof(uint64_t)];
	if (state->rss.huge_bytes < HUGE_LEAST)
		return;
	for (size_t i = 0; i < maps->count; i++) {
		const struct lt_mapping *mapping = &maps->data[i].mapping;
		if (maps->data[i].huge > maps->data[i].hugetlb && !is_of_file(mapping))
			bytes += mapping->end - mapping->start;
	}
	/* Odd in pages: a step that divides a huge page would see the same part of each. */
	uint64_t step = (bytes / HUGE_SAMPLES / PAGE | 1) * PAGE;
	for (size_t i = 0; i < maps->count; i++) {
		const struct lt_mapping *mapping = &maps->data[i].mapping;
		if (maps->data[i].huge <= maps->data[i].hugetlb || is_of_file(mapping))
			continue;
		for (lt_addr at = mapping->start;
		     at < mapping->end && state->huge_sampled < SAMPLES_MAX; at += step) {
			if (lt_resident_bytes(&reading->resident, at, at + PAGE) == 0 ||
			    lt_memory_probe(reading->view->memory, at, page, PAGE) != PAGE)
				continue;
			state->huge_sampled++;
			state->huge_empty += is_empty(page, PAGE);
		}
	}
}

static enum lt_status look_at_limits(struct lt_rss_reading *reading, pid_t pid,
				     struct lt_memory_state *state)
{
	struct lt_fragmentation figures = {0};
	LT_TRY(lt_memory_limits_read(reading->session, pid, reading->resident.smaps.list.count,
				     &figures));
	memcpy(state->limits, figures.limits, sizeof(state->limits));
	state->limit_count = figures.limit_count;
	state->group = figures.group;
	return LT_OK;
}

/* sys.getsizeof() of an mmap object does not have what it mapped. */
static enum lt_status count_buffers(struct lt_rss_reading *reading, struct lt_memory_state *state)
{
	LT_CLEANUP(lt_rss_buffers_deinit) struct lt_rss_buffers buffers = {0};
	LT_TRY(lt_rss_find_buffers(reading, &buffers));
	for (size_t i = 0; i < buffers.count; i++)
		state->object_bytes += lt_resident_bytes(&reading->resident, buffers.data[i].start,
							 buffers.data[i].end);
	return LT_OK;
}

/* ---- Together ---- */

/* The figures of kernel and allocators. */
static enum lt_status measure(struct lt_subject *subject, struct lt_rss_reading *reading,
			      struct lt_memory_state *state)
{
	const struct lt_look *live = subject->look;
	struct walk walk = {.reading = reading, .state = state};
	LT_TRY(lt_subject_picture(subject, LT_PICTURE_TAKEN));
	LT_TRY(lt_resident_take(subject->session, live->process, &reading->resident));
	const struct lt_picture *picture = &subject->picture;
	reading->picture = picture;
	reading->pid_inside = lt_proc_inside(live->process->pid);
	reading->view = lt_heap_view(picture->heap);
	reading->pymalloc = lt_heap_pymalloc(picture->heap);
	LT_TRY(lt_rss_begin(reading));
	LT_TRY(lt_malloc_find(reading->view, &reading->pymalloc->pages, &reading->malloc));
	look_at_pymalloc(&walk);
	LT_TRY(look_at_malloc(&walk));
	LT_TRY(look_at_mappings(reading, state));
	state->pid = live->identity.pid;
	state->threads = live->identity.thread_count;
	state->object_bytes = picture->graph.total_bytes;
	return count_buffers(reading, state);
}

static enum lt_status look(struct lt_subject *subject, struct lt_rss_reading *reading,
			   struct lt_memory_state *state)
{
	LT_TRY(lt_subject_picture(subject, LT_PICTURE_LIFE));
	LT_TRY(measure(subject, reading, state));
	sample_huge(reading, state);
	LT_TRY(lt_rss_find_pins(reading, subject, &state->rss));
	LT_TRY(look_at_limits(reading, state->pid, state));
	state->garbage_bytes = subject->picture.garbage_bytes;
	state->object_bytes -= state->garbage_bytes;
	return lt_memory_settings_read(reading, state);
}

enum lt_status lt_memory_state_read(struct lt_subject *subject, struct lt_memory_state *ret_state)
{
	LT_CLEANUP(lt_memory_state_deinit) struct lt_memory_state state = {0};
	LT_CLEANUP(lt_rss_reading_deinit)
	struct lt_rss_reading reading = {.session = subject->session};
	if (subject->look == NULL)
		return lt_fail(subject->session, LT_E_USAGE,
			       "resident memory is that of a process, not of a snapshot file");
	LT_TRY(lt_subject_status(subject, look(subject, &reading, &state)));
	state.known = true;
	*ret_state = state;
	state = (struct lt_memory_state){0};
	return LT_OK;
}

uint64_t lt_memory_used(const struct lt_memory_state *state)
{
	uint64_t all = state->anonymous_bytes + state->rss.swap_bytes;
	uint64_t idle = state->pymalloc_free_bytes + state->malloc_free_bytes + state->stack_bytes;
	return all > idle ? all - idle : 0;
}

enum lt_status lt_memory_before_read(struct lt_subject *subject,
				     struct lt_memory_before *ret_before)
{
	LT_CLEANUP(lt_memory_state_deinit) struct lt_memory_state state = {0};
	LT_CLEANUP(lt_rss_reading_deinit)
	struct lt_rss_reading reading = {.session = subject->session};
	LT_TRY(lt_subject_status(subject, measure(subject, &reading, &state)));
	*ret_before = (struct lt_memory_before){.taken_ns = lt_now_ns(),
						.used_bytes = lt_memory_used(&state),
						.object_bytes = state.object_bytes,
						.rss_bytes = state.rss.rss_bytes};
	return LT_OK;
}
