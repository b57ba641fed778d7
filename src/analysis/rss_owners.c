/*
 * rss_owners.c: whose each block of pymalloc and each chunk of the C allocator is.
 *
 * All blocks and chunks are walked in the order of their addresses, beside the objects in theirs: a block has an object in it,
 * is pointed to by one (rss_pointers.c), is free, or is none of these. What a C type's memory points to belongs to that type
 * too, and is looked for in rounds.
 */
#include "analysis/rss_parts.h"

#include "base/cleanup.h"
#include "base/thread.h"
#include "base/zeroed.h"
#include "heap/objmap.h"
#include "heap/window.h"
#include "target/ahead.h"

#include <string.h>

enum {
	ROUNDS = 16,
	PLACED = 1,         /* the memory of a node is accounted for */
	PLACED_FIRST = 2,   /* the same: it is the first one in its memory */
	CHUNK_HEADER = 16,
	PAGE = 4096,
};

/* Of the resident bytes of a range those that other processes have too, as far as that is known by page. */
static uint64_t shared_of(struct lt_rss_reading *reading, lt_addr start, lt_addr end,
			  uint64_t bytes)
{
	if (reading->shared == NULL)
		return 0;
	uint64_t shared = lt_resident_bytes(reading->shared, start, end);
	return shared < bytes ? shared : bytes;
}

static void tally(struct lt_rss_reading *reading, struct lt_rss_tally *to, lt_addr start,
		  uint64_t size, uint64_t count)
{
	uint64_t bytes = lt_resident_claim(&reading->resident, start, start + size);
	to->bytes += bytes;
	to->shared += shared_of(reading, start, start + size, bytes);
	to->held += size;
	to->count += count;
}

static struct lt_rss_tally *tally_of_type(struct lt_rss_reading *reading, uint64_t type)
{
	return &reading->types[type < reading->type_count ? type : reading->type_count];
}

/* ---- Blocks and chunks beside the objects ---- */

/* Memory of a C type, which is looked into later. */
struct content {
	lt_addr start;
	uint64_t size;
	uint32_t type;
};
LT_VEC(contents, struct content);

struct walk {
	struct lt_rss_reading *reading;
	struct contents *contents; /* NULL: it is looked into at once */
	const struct lt_view *view;
	bool knows_life;                /* which nodes are alive, and may ask for it */
	uint32_t node;                  /* the first that is not behind */
	lt_addr address;                /* of it */
	struct lt_objmap_cursor cursor; /* behind it */
	lt_addr end;                    /* of the memory before */
	uint32_t owner;  /* type that has the memory before; the number of types: none */
	uint32_t object; /* in it, LT_NO_NODE for none */
	uint64_t gap;    /* resident bytes of the free chunks before */
	uint64_t
		cached; /* of these, what is before the chunks in caches of threads that lie in between */
	struct lt_rss_kept
		*last; /* whom the gap before the chunk before was put down to, NULL: nobody */
	uint64_t last_gap;
	uint32_t last_object; /* in that chunk, LT_NO_NODE for none */
	lt_addr last_memory;
	uint32_t arena; /* that these are of */
	uint32_t count;
};

static void go_to(struct walk *walk, uint32_t node)
{
	const struct lt_objmap *objects = walk->reading->nodes.objects;
	walk->node = node;
	lt_objmap_seek(objects, node, &walk->cursor);
	walk->address = lt_objmap_step(objects, &walk->cursor);
}

static void begin(struct walk *walk, struct lt_rss_reading *reading, const struct lt_view *view)
{
	*walk = (struct walk){
		.reading = reading, .view = view, .count = lt_objmap_count(reading->nodes.objects)};
	go_to(walk, 0);
}

static void next(struct walk *walk)
{
	walk->node++;
	walk->address = lt_objmap_step(walk->reading->nodes.objects, &walk->cursor);
}

/* Far ahead it is faster to search than to step. */
static void skip_to(struct walk *walk, lt_addr start)
{
	enum { STEPS = 32 };
	const struct lt_heap_graph *graph = &walk->reading->nodes;
	for (unsigned i = 0; i < STEPS && walk->node < walk->count && walk->address < start; i++)
		next(walk);
	if (walk->node >= walk->count || walk->address >= start)
		return;
	uint32_t low = walk->node, high = walk->count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (lt_heap_graph_address(graph, middle) < start)
			low = middle + 1;
		else
			high = middle;
	}
	go_to(walk, low);
}

static struct lt_rss_tally *tally_of_node(struct lt_rss_reading *reading, uint32_t node,
					  bool knows_life)
{
	if (knows_life && reading->picture->alive[node] == 0)
		return &reading->fixed[LT_RSS_GARBAGE];
	return tally_of_type(reading, lt_heap_graph_type(&reading->nodes, node));
}

static void take_content(struct walk *walk, lt_addr start, uint64_t size, uint32_t type)
{
	struct lt_rss_reading *reading = walk->reading;
	if (type >= reading->type_count || reading->plain[type] != 0)
		return;
	if (walk->contents == NULL)
		lt_rss_take_content(reading, walk->view->memory, start, size, type);
	else if (!contents_push(walk->contents, (struct content){start, size, type}))
		reading->no_memory = true;
}

/* Memory in use: [start, start + size), of which a program sees what is at `address`. */
static void take_used(struct walk *walk, lt_addr start, uint64_t size, lt_addr address,
		      enum lt_rss_fixed otherwise)
{
	struct lt_rss_reading *reading = walk->reading;
	uint32_t type;
	/* Arenas of malloc come one after the other, wherever they lie. */
	if (start < walk->end && walk->node > 0)
		go_to(walk, 0);
	walk->end = start + size;
	walk->owner = reading->type_count;
	walk->object = LT_NO_NODE;
	skip_to(walk, address);
	if (walk->node < walk->count && walk->address < start + size) {
		tally(reading, tally_of_node(reading, walk->node, walk->knows_life), start, size,
		      1);
		walk->object = walk->node;
		walk->owner = lt_heap_graph_type(&reading->nodes, walk->node);
		uint8_t placed = PLACED_FIRST;
		while (walk->node < walk->count && walk->address < start + size) {
			reading->placed[walk->node] = placed;
			placed = PLACED;
			next(walk);
		}
	} else if (lt_rss_find_owner(reading, address, start + size - address, &type)) {
		tally(reading, tally_of_type(reading, type), start, size, 0);
		take_content(walk, address, start + size - address, type);
		walk->owner = type;
	} else if (!lt_rss_pendings_push(
			   &reading->pending,
			   (struct lt_rss_pending){start, address, size, otherwise})) {
		reading->no_memory = true;
	}
}

/* `count` blocks of Python's allocator that are all in use: what take_used() does with each. */
static void take_full(struct walk *walk, lt_addr block, uint32_t size, uint32_t count)
{
	struct lt_rss_reading *reading = walk->reading;
	const struct lt_resident *resident = &reading->resident;
	lt_addr end = block + (uint64_t)count * size;
	bool whole =
		block >= resident->whole_start && end <= resident->whole_end && block >= walk->end;
	skip_to(walk, block);
	for (; block < end; block += size) {
		lt_addr address = block + reading->pymalloc->shift;
		while (walk->node < walk->count && walk->address < address)
			next(walk);
		if (!whole || walk->node >= walk->count || walk->address >= block + size) {
			take_used(walk, block, size, address, LT_RSS_NO_OBJECT);
			continue;
		}
		struct lt_rss_tally *to =
			tally_of_type(reading, lt_heap_graph_type(&reading->nodes, walk->node));
		to->bytes += size;
		to->shared += shared_of(reading, block, block + size, size);
		to->held += size;
		to->count++;
		reading->resident.mappings[resident->whole].claimed += size;
		reading->placed[walk->node] = PLACED_FIRST;
		next(walk);
		for (; walk->node < walk->count && walk->address < block + size; next(walk))
			reading->placed[walk->node] = PLACED;
	}
	walk->end = end;
}

static void count_used(struct lt_rss_reading *reading, const struct lt_pool_seen *seen)
{
	const struct lt_pymalloc_arenas *arenas = &reading->pymalloc->arenas;
	while (reading->arena < arenas->count && arenas->data[reading->arena].end <= seen->address)
		reading->arena++;
	if (reading->arena < arenas->count)
		reading->arena_used[reading->arena] += (uint64_t)seen->used * seen->block_size;
}

static bool take_pool(void *ctx, const struct lt_pool_seen *seen)
{
	struct walk *walk = ctx;
	struct lt_rss_reading *reading = walk->reading;
	const struct lt_pymalloc *pymalloc = reading->pymalloc;
	struct lt_rss_tally *fixed = reading->fixed;
	uint64_t size = pymalloc->pool_size;
	struct lt_pool pool;
	bool in_use = seen->in_use;
	lt_pymalloc_stats_add(&reading->stats, pymalloc, seen);
	if (in_use && seen->full)
		pool = (struct lt_pool){.block_size = seen->block_size,
					.first = seen->first,
					.count = seen->used,
					.used = seen->used};
	else if (in_use)
		in_use = lt_pool_parse(walk->view, pymalloc, seen->address, seen->bytes, &pool);
	if (!in_use) {
		tally(reading, &fixed[LT_RSS_FREE_POOLS], seen->address, size, 1);
		return true;
	}
	count_used(reading, seen);
	lt_addr blocks = seen->address + pool.first;
	lt_addr unused = blocks + (uint64_t)pool.count * pool.block_size;
	lt_addr tail = blocks + (uint64_t)seen->capacity * pool.block_size;
	tally(reading, &fixed[LT_RSS_ROUNDING], seen->address, pool.first, 1);
	tally(reading, &fixed[LT_RSS_ROUNDING], tail, seen->address + size - tail, 0);
	tally(reading, &fixed[LT_RSS_FREE_BLOCKS], unused, tail - unused,
	      seen->capacity - pool.count);
	if (seen->full) {
		take_full(walk, blocks, pool.block_size, pool.count);
		return !reading->no_memory;
	}
	for (uint32_t k = 0; k < pool.count; k++) {
		lt_addr block = blocks + (uint64_t)k * pool.block_size;
		if ((pool.free[k / 64] >> (k % 64) & 1) != 0)
			tally(reading, &fixed[LT_RSS_FREE_BLOCKS], block, pool.block_size, 1);
		else
			take_used(walk, block, pool.block_size, block + pymalloc->shift,
				  LT_RSS_NO_OBJECT);
	}
	return !reading->no_memory;
}

/* Arenas that begin in [from, to), which is the begin of one, or 0, and the same or UINT64_MAX. */
static enum lt_status take_pymalloc(struct lt_rss_reading *reading, const struct lt_view *view,
				    lt_addr from, lt_addr to, struct contents *contents)
{
	const struct lt_pymalloc *pymalloc = reading->pymalloc;
	struct walk walk;
	begin(&walk, reading, view);
	walk.contents = contents;
	LT_TRY(lt_pymalloc_walk_noted(view, pymalloc, from, to, take_pool, &walk));
	for (size_t i = 0; i < pymalloc->arenas.count; i++) {
		const struct lt_pymalloc_arena *arena = &pymalloc->arenas.data[i];
		lt_addr end = arena->pools + arena->total_pools * pymalloc->pool_size;
		if (arena->start < from || arena->start >= to)
			continue;
		tally(reading, &reading->fixed[LT_RSS_ROUNDING], arena->start,
		      arena->pools - arena->start, 0);
		tally(reading, &reading->fixed[LT_RSS_FREE_POOLS], arena->untouched,
		      end - arena->untouched, (end - arena->untouched) / pymalloc->pool_size);
		tally(reading, &reading->fixed[LT_RSS_ROUNDING], end, arena->end - end, 0);
	}
	return reading->no_memory ? lt_fail_memory(view->session) : LT_OK;
}

/*
 * The blocks were told apart by their types alone, before it was known what is alive: those of garbage move to their
 * own part.
 */
static void part_garbage(struct lt_rss_reading *reading)
{
	const struct lt_picture *picture = reading->picture;
	uint32_t count = picture->graph.graph.node_count;
	struct lt_pymalloc_place place = {0};
	struct lt_range block;
	for (uint32_t node = lt_picture_dead_from(picture, 0); node < count;
	     node = lt_picture_dead_from(picture, node + 1)) {
		if (reading->placed[node] != PLACED_FIRST ||
		    !lt_pymalloc_block(reading->view, reading->pymalloc,
				       lt_heap_graph_address(&picture->graph, node), &place,
				       &block))
			continue;
		struct lt_rss_tally *from =
			tally_of_type(reading, lt_heap_graph_type(&picture->graph, node));
		struct lt_rss_tally *to = &reading->fixed[LT_RSS_GARBAGE];
		uint64_t bytes = lt_resident_bytes(&reading->resident, block.start, block.end);
		uint64_t shared = shared_of(reading, block.start, block.end, bytes);
		uint64_t held = block.end - block.start;
		/* A target that runs may have changed between the note and the walk. */
		if (from->bytes < bytes || from->held < held || from->count == 0 ||
		    from->shared < shared)
			continue;
		from->bytes -= bytes;
		from->shared -= shared;
		from->held -= held;
		from->count--;
		to->bytes += bytes;
		to->shared += shared;
		to->held += held;
		to->count++;
	}
}

static void keep(struct lt_rss_kept *kept, uint64_t gap, uint32_t object, lt_addr memory)
{
	kept->holds += gap;
	kept->count++;
	if (gap > kept->most) {
		kept->most = gap;
		kept->sample = object;
		kept->memory = memory;
	}
}

/* What keeps the free chunks right before it from going back with what is behind it. */
static void take_gap(struct walk *walk, uint64_t size, lt_addr address)
{
	struct lt_rss_reading *reading = walk->reading;
	uint32_t owner = walk->owner < reading->type_count ? walk->owner : reading->type_count;
	walk->last = NULL;
	if (walk->gap > PAGE && walk->gap / 2 >= size) {
		walk->last = &reading->kept[owner];
		walk->last_gap = walk->gap;
		walk->last_object = walk->object;
		walk->last_memory = address;
		keep(walk->last, walk->gap, walk->object, address);
	}
	walk->gap = walk->cached = 0;
}

/*
 * A free end of a heap begins here: the chunk before keeps what is before that from being part of it. It may be one in
 * the cache of a thread, which is free as well, but not for the arena.
 */
static void take_top(struct walk *walk)
{
	struct lt_rss_reading *reading = walk->reading;
	struct lt_rss_kept *last = walk->last;
	if (walk->cached > PAGE) {
		keep(&reading->kept_top[reading->type_count + 1], walk->cached, LT_NO_NODE, 0);
	} else if (last != NULL) {
		struct lt_rss_kept *top = &reading->kept_top[last - reading->kept];
		keep(top, walk->last_gap, walk->last_object, walk->last_memory);
		if (walk->last_gap == last->most)
			last->most = 0;
		last->holds -= walk->last_gap;
		last->count--;
	}
	walk->gap = walk->cached = 0;
	walk->last = NULL;
}

/* More of the gap; chunks in caches within it keep its parts from being one. */
static void take_free(struct walk *walk, uint64_t bytes)
{
	struct lt_rss_reading *reading = walk->reading;
	if (walk->cached > PAGE) {
		keep(&reading->kept[reading->type_count + 1], walk->cached, LT_NO_NODE, 0);
		walk->gap -= walk->cached;
	}
	walk->cached = 0;
	walk->last = NULL;
	walk->gap += bytes;
}

static bool take_chunk(void *ctx, const struct lt_chunk *chunk)
{
	static const enum lt_rss_fixed free_parts[LT_CHUNK_STATES] = {
		[LT_CHUNK_TCACHE] = LT_RSS_C_CACHED,
		[LT_CHUNK_FAST] = LT_RSS_C_CACHED,
		[LT_CHUNK_FREE] = LT_RSS_C_FREE,
		[LT_CHUNK_TOP] = LT_RSS_C_TOP,
	};
	struct walk *walk = ctx;
	struct lt_rss_reading *reading = walk->reading;
	lt_addr start = chunk->address - CHUNK_HEADER;
	lt_trim_gain_chunk(&reading->trim, chunk);
	if (chunk->arena != walk->arena) {
		walk->gap = walk->cached = 0;
		walk->last = NULL;
	}
	walk->arena = chunk->arena;
	if (chunk->state == LT_CHUNK_USED || chunk->state == LT_CHUNK_MMAPPED) {
		take_used(walk, start, chunk->size, chunk->address + reading->pymalloc->shift,
			  chunk->state == LT_CHUNK_USED ? LT_RSS_C_USED : LT_RSS_C_BIG);
		take_gap(walk, chunk->size, chunk->address);
		return !reading->no_memory;
	}
	struct lt_rss_tally *part = &reading->fixed[free_parts[chunk->state]];
	uint64_t before = part->bytes;
	tally(reading, part, start, chunk->size, 1);
	if (chunk->state == LT_CHUNK_TOP)
		take_top(walk);
	else if (chunk->state == LT_CHUNK_TCACHE)
		walk->cached = walk->gap;
	else if (chunk->state == LT_CHUNK_FREE)
		take_free(walk, part->bytes - before);
	return !reading->no_memory;
}

static enum lt_status take_malloc(struct lt_rss_reading *reading)
{
	struct walk walk;
	if (!reading->malloc.found)
		return LT_OK;
	begin(&walk, reading, reading->view);
	walk.knows_life = true;
	reading->trim =
		(struct lt_trim_gain){.resident = &reading->resident, .malloc = &reading->malloc};
	lt_malloc_walk(&reading->malloc, take_chunk, &walk);
	lt_trim_gain_end(&reading->trim);
	return reading->no_memory ? lt_fail_memory(reading->session) : LT_OK;
}

static void note_mapping(struct lt_rss_reading *reading, lt_addr at, const struct lt_smap **known)
{
	if (*known == NULL || at < (*known)->mapping.start || at >= (*known)->mapping.end)
		*known = lt_smaps_find(&reading->resident.smaps, at);
	if (*known != NULL)
		reading->foreign_maps[*known - reading->resident.smaps.list.data] = 1;
}

struct foreign_walk {
	struct walk walk;
	const struct lt_smap *mapping; /* that the block before was in */
};

static bool take_block(void *ctx, const struct lt_foreign_block *block)
{
	static const enum lt_rss_fixed free_parts[LT_FOREIGN_STATES] = {
		[LT_FOREIGN_FREE] = LT_RSS_C_FREE,
		[LT_FOREIGN_PAGES] = LT_RSS_C_PAGES,
		[LT_FOREIGN_OWN] = LT_RSS_C_OWN,
	};
	struct foreign_walk *foreign = ctx;
	struct lt_rss_reading *reading = foreign->walk.reading;
	note_mapping(reading, block->start, &foreign->mapping);
	if (block->state == LT_FOREIGN_USED)
		take_used(&foreign->walk, block->start, block->size,
			  block->address + reading->pymalloc->shift, LT_RSS_C_USED);
	else
		tally(reading, &reading->fixed[free_parts[block->state]], block->start, block->size,
		      1);
	return !reading->no_memory;
}

static enum lt_status take_foreign(struct lt_rss_reading *reading)
{
	struct foreign_walk foreign = {0};
	reading->foreign_maps = calloc(reading->resident.smaps.list.count + 1, 1);
	if (reading->foreign_maps == NULL)
		return lt_fail_memory(reading->session);
	begin(&foreign.walk, reading, reading->view);
	foreign.walk.knows_life = true;
	lt_foreign_walk(reading->view, &reading->foreign, take_block, &foreign);
	return reading->no_memory ? lt_fail_memory(reading->session) : LT_OK;
}

/* ---- What is left ---- */

/* Bytes of an object where it lies, what it owns elsewhere left out. */
static uint64_t own_bytes(const struct lt_picture *picture, uint32_t node)
{
	const struct lt_type *type = lt_picture_type(picture, node);
	uint64_t size = lt_heap_graph_size(&picture->graph, node);
	if (type == NULL)
		return size;
	switch (type->kind) {
	case LT_KIND_INT:
	case LT_KIND_BYTES:
	case LT_KIND_STR:
	case LT_KIND_TUPLE:
		return size;
	default:
		return type->basicsize > 0 && (uint64_t)type->basicsize < size &&
				       type->itemsize == 0
			       ? (uint64_t)type->basicsize
			       : size;
	}
}

/* Objects in memory of no allocator that is known: of another one than glibc's, of a library's own. */
static void take_outside(struct lt_rss_reading *reading)
{
	const struct lt_picture *picture = reading->picture;
	const uint8_t *placed = reading->placed, *last = placed + picture->graph.graph.node_count;
	lt_addr end = 0;
	for (const uint8_t *left = placed; left < last; left++) {
		left = memchr(left, 0, (size_t)(last - left));
		if (left == NULL)
			break;
		uint32_t node = (uint32_t)(left - placed);
		lt_addr at = lt_heap_graph_address(&picture->graph, node);
		if (!lt_pageset_has(&reading->allocated, at) ||
		    lt_pageset_has(&reading->pymalloc->pages, at) || at < end)
			continue;
		uint64_t size = own_bytes(picture, node);
		/* The rest of the last object may lie in a mapping that ends; a claim knows. */
		tally(reading, tally_of_node(reading, node, true), at, size, 1);
		end = at + size;
	}
}

static enum lt_status take_buffers(struct lt_rss_reading *reading)
{
	const struct lt_picture *picture = reading->picture;
	LT_CLEANUP(lt_rss_buffers_deinit) struct lt_rss_buffers buffers = {0};
	LT_TRY(lt_rss_find_buffers(reading, &buffers));
	for (size_t i = 0; i < buffers.count; i++) {
		const struct lt_rss_buffer *buffer = &buffers.data[i];
		tally(reading,
		      tally_of_type(reading, lt_heap_graph_type(&picture->graph, buffer->node)),
		      buffer->start, buffer->end - buffer->start, 0);
	}
	return LT_OK;
}

/* Mappings of their own that an object points to the start of: big blocks, and what mmap(2) gave. */
static void take_mappings(struct lt_rss_reading *reading)
{
	const struct lt_smap_list *maps = &reading->resident.smaps.list;
	for (size_t i = 0; i < maps->count; i++) {
		const struct lt_mapping *mapping = &maps->data[i].mapping;
		uint32_t type;
		uint64_t size = mapping->end - mapping->start;
		if (maps->data[i].rss > 0 && reading->resident.mappings[i].claimed == 0 &&
		    lt_mapping_may_hold_heap(mapping) && strcmp(mapping->path, "[heap]") != 0 &&
		    lt_rss_stacks(reading, mapping) == 0 &&
		    lt_rss_find_owner(reading, mapping->start, size, &type))
			tally(reading, tally_of_type(reading, type), mapping->start, size, 0);
	}
}

static void take_pending(struct lt_rss_reading *reading)
{
	struct lt_rss_pendings *pending = &reading->pending;
	for (unsigned round = 0; round < ROUNDS && pending->count > 0; round++) {
		size_t kept = 0, before = pending->count;
		for (size_t i = 0; i < before; i++) {
			const struct lt_rss_pending one = pending->data[i];
			uint32_t type;
			uint64_t size = one.start + one.size - one.address;
			if (!lt_rss_find_owner(reading, one.address, size, &type)) {
				pending->data[kept++] = one;
				continue;
			}
			tally(reading, tally_of_type(reading, type), one.start, one.size, 0);
			lt_rss_take_content(reading, reading->view->memory, one.address, size, type);
		}
		pending->count = kept;
		if (kept == before)
			break;
	}
	for (size_t i = 0; i < pending->count; i++) {
		const struct lt_rss_pending *one = &pending->data[i];
		tally(reading, &reading->fixed[one->otherwise], one->start, one->size, 1);
	}
	pending->count = 0;
}

enum lt_status lt_rss_begin(struct lt_rss_reading *reading)
{
	reading->type_count = lt_types_count(reading->picture->types);
	reading->types = calloc((size_t)reading->type_count + 1, sizeof(*reading->types));
	reading->arena_used =
		calloc(reading->pymalloc->arenas.count + 1, sizeof(*reading->arena_used));
	reading->kept = calloc((size_t)reading->type_count + 2, sizeof(*reading->kept));
	reading->kept_top = calloc((size_t)reading->type_count + 2, sizeof(*reading->kept_top));
	reading->plain = calloc((size_t)reading->type_count + 1, 1);
	for (uint32_t i = 0; reading->plain != NULL && i < reading->type_count; i++)
		reading->plain[i] =
			lt_rss_has_plain_content(lt_types_at(reading->picture->types, i)->kind);
	return reading->types != NULL && reading->plain != NULL && reading->kept != NULL &&
			       reading->kept_top != NULL && reading->arena_used != NULL
		       ? LT_OK
		       : lt_fail_memory(reading->session);
}

/* ---- The blocks beside the rest of the picture ---- */

enum {
	PORTIONS = 2,
	MANY = 16 << 20, /* bytes of arenas from which on a second thread is worth its start */
};

/* Some of the arenas. What they come to is counted apart, and added up when all are counted. */
struct portion {
	struct lt_rss_reading reading; /* a copy: all that changes in it is its own */
	struct lt_resident shared;
	struct contents contents;
	lt_addr from, to; /* as take_pymalloc() takes them */
	struct lt_session session;
	struct lt_view view;
	struct lt_memory *twin;
	struct lt_window *window;
	pthread_t thread;
	bool started;
	enum lt_status status;
};

struct lt_rss_beside {
	unsigned count;
	struct portion portions[PORTIONS];
};

static enum lt_status begin_blocks(struct lt_rss_reading *reading)
{
	reading->pymalloc = lt_heap_pymalloc(reading->picture->heap);
	LT_TRY(lt_rss_begin(reading));
	size_t nodes = (size_t)lt_objmap_count(reading->nodes.objects) + 1;
	reading->placed = lt_zeroed(nodes, 1);
	if (reading->placed == NULL)
		return lt_fail_memory(reading->session);
	lt_pymalloc_stats_begin(lt_heap_view(reading->picture->heap), reading->pymalloc,
				&reading->stats);
	return LT_OK;
}

static void *work_beside(void *ctx)
{
	struct portion *portion = ctx;
	portion->status = take_pymalloc(&portion->reading, &portion->view, portion->from,
					portion->to, &portion->contents);
	return NULL;
}

static bool begin_portion(struct portion *portion, const struct lt_rss_reading *reading)
{
	const struct lt_view *view = lt_heap_view(reading->picture->heap);
	struct lt_rss_reading *mine = &portion->reading;
	size_t mappings = reading->resident.smaps.list.count;
	lt_session_init(&portion->session);
	*mine = *reading;
	memset(mine->fixed, 0, sizeof(mine->fixed));
	mine->pending = (struct lt_rss_pendings){0};
	lt_pymalloc_stats_begin_part(&reading->stats, &mine->stats);
	mine->types = calloc((size_t)mine->type_count + 1, sizeof(*mine->types));
	mine->resident.mappings = calloc(mappings + 1, sizeof(*mine->resident.mappings));
	if (mine->types == NULL || mine->resident.mappings == NULL)
		return false;
	for (size_t i = 0; i < mappings; i++) {
		mine->resident.mappings[i] = reading->resident.mappings[i];
		mine->resident.mappings[i].claimed = 0;
	}
	/* It notes what was asked last. */
	if (reading->shared != NULL) {
		portion->shared = *reading->shared;
		mine->shared = &portion->shared;
	}
	portion->view = *view;
	portion->view.session = &portion->session;
	portion->twin = lt_ahead_twin(view->memory);
	if (portion->twin == NULL ||
	    lt_window_create(&portion->session, portion->twin, &portion->window) != LT_OK)
		return false;
	portion->view.memory = lt_window_memory(portion->window);
	return true;
}

static void end_portion(struct portion *portion, const struct lt_rss_reading *reading)
{
	lt_window_destroy(portion->window);
	if (portion->twin != NULL) {
		if (reading->view != NULL)
			reading->view->memory->short_reads += portion->twin->short_reads;
		lt_memory_close(portion->twin);
	}
	free(portion->reading.types);
	free(portion->reading.resident.mappings);
	lt_rss_pendings_deinit(&portion->reading.pending);
	contents_deinit(&portion->contents);
	lt_session_deinit(&portion->session);
}

static void end_beside(struct lt_rss_reading *reading)
{
	struct lt_rss_beside *beside = LT_TAKE(reading->beside_blocks);
	for (unsigned i = 0; beside != NULL && i < beside->count; i++) {
		if (beside->portions[i].started)
			pthread_join(beside->portions[i].thread, NULL);
		end_portion(&beside->portions[i], reading);
	}
	free(beside);
}

static void start_beside(void *ctx, const struct lt_heap_graph *graph)
{
	struct lt_rss_reading *reading = ctx;
	reading->nodes = *graph;
	struct lt_rss_beside *beside = calloc(1, sizeof(*beside));
	reading->beside_blocks = beside;
	if (beside == NULL)
		return;
	if (begin_blocks(reading) != LT_OK) {
		reading->no_memory = true;
		return;
	}
	const struct lt_pymalloc *pymalloc = reading->pymalloc;
	size_t arenas = pymalloc->arenas.count;
	unsigned count = arenas >= PORTIONS && pymalloc->bytes >= MANY ? PORTIONS : 1;
	bool whole = true;
	for (unsigned i = 0; i < count && whole; i++) {
		struct portion *portion = &beside->portions[beside->count++];
		portion->from = i == 0 ? 0 : pymalloc->arenas.data[arenas * i / count].start;
		portion->to = i + 1 == count ? UINT64_MAX
					     : pymalloc->arenas.data[arenas * (i + 1) / count].start;
		whole = begin_portion(portion, reading);
	}
	if (!whole)
		end_beside(reading);
	for (unsigned i = 0; i < count && whole; i++) {
		struct portion *portion = &beside->portions[i];
		portion->started = lt_thread_start(&portion->thread, work_beside, portion);
	}
}

static void add_tallies(struct lt_rss_tally *to, const struct lt_rss_tally *from, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		to[i].bytes += from[i].bytes;
		to[i].shared += from[i].shared;
		to[i].held += from[i].held;
		to[i].count += from[i].count;
	}
}

/* What a portion has counted. False: no memory. */
static bool add_portion(struct lt_rss_reading *reading, const struct portion *portion)
{
	const struct lt_rss_reading *mine = &portion->reading;
	struct lt_rss_pendings *pending = &reading->pending;
	add_tallies(reading->types, mine->types, (size_t)reading->type_count + 1);
	add_tallies(reading->fixed, mine->fixed, LT_RSS_FIXED_COUNT);
	lt_pymalloc_stats_join(&reading->stats, &mine->stats);
	for (size_t i = 0; i < reading->resident.smaps.list.count; i++)
		reading->resident.mappings[i].claimed += mine->resident.mappings[i].claimed;
	if (!lt_rss_pendings_reserve(pending, pending->count + mine->pending.count))
		return false;
	for (size_t i = 0; i < mine->pending.count; i++)
		pending->data[pending->count++] = mine->pending.data[i];
	for (size_t i = 0; i < portion->contents.count; i++) {
		const struct content *content = &portion->contents.data[i];
		lt_rss_take_content(reading, reading->view->memory, content->start, content->size,
				    content->type);
	}
	return true;
}

/* Waits for the threads. False: no memory. */
static bool join_beside(struct lt_rss_reading *reading)
{
	struct lt_rss_beside *beside = reading->beside_blocks;
	bool whole = true;
	for (unsigned i = 0; i < beside->count; i++) {
		struct portion *portion = &beside->portions[i];
		if (portion->started)
			pthread_join(portion->thread, NULL);
		else
			(void)work_beside(portion);
		portion->started = false;
		whole = whole && portion->status == LT_OK && add_portion(reading, portion);
	}
	return whole;
}

static enum lt_status begin_asking(void *ctx)
{
	struct lt_rss_reading *reading = ctx;
	LT_TRY(lt_rss_figures(reading));
	const struct lt_smap_list *maps = &reading->resident.smaps.list;
	for (size_t i = 0; i < maps->count; i++) {
		const struct lt_mapping *mapping = &maps->data[i].mapping;
		if (maps->data[i].rss > 0 && lt_mapping_may_hold_heap(mapping) &&
		    !lt_pageset_add(&reading->allocated, mapping->start, mapping->end))
			return lt_fail_memory(reading->session);
	}
	return LT_OK;
}

static void forget_owners(void *ctx)
{
	struct lt_rss_reading *reading = ctx;
	lt_rss_stop_beside(reading);
	for (unsigned i = 0; i < LT_HEAP_PARTS; i++)
		lt_wordmap_deinit(&reading->owners[i]);
}

void lt_rss_ask(struct lt_rss_reading *reading)
{
	reading->visit = (struct lt_heap_visit){.begin = begin_asking,
						.node = lt_rss_ask_object,
						.restart = forget_owners,
						.seen = start_beside,
						.ctx = reading};
}

void lt_rss_stop_beside(struct lt_rss_reading *reading)
{
	end_beside(reading);
}

enum lt_status lt_rss_blocks(struct lt_rss_reading *reading)
{
	bool whole = true;
	if (reading->beside_blocks != NULL && reading->beside_blocks->count > 0) {
		whole = join_beside(reading);
	} else {
		if (reading->types == NULL)
			LT_TRY(begin_blocks(reading));
		if (!reading->no_memory)
			LT_TRY(take_pymalloc(reading, reading->view, 0, UINT64_MAX, NULL));
	}
	end_beside(reading);
	if (!whole || reading->no_memory)
		return lt_fail_memory(reading->session);
	part_garbage(reading);
	return LT_OK;
}

enum lt_status lt_rss_owners(struct lt_rss_reading *reading)
{
	LT_TRY(take_malloc(reading));
	LT_TRY(take_foreign(reading));
	take_pending(reading);
	take_outside(reading);
	LT_TRY(take_buffers(reading));
	take_mappings(reading);
	return reading->no_memory ? lt_fail_memory(reading->session) : LT_OK;
}
