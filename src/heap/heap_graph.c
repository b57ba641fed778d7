#include "base/cleanup.h"
#include "base/thread.h"
#include "heap/apart.h"
#include "heap/objmap.h"
#include "heap/rooms.h"
#include "layout/object.h"

#include <stdatomic.h>
#include <string.h>

enum {
	BUSY = 4,        /* objects to look at from which on a stretch is worth a window */
	SPARSE = 4,      /* less than one chunk in so many: a stretch has too few for one window */
	NEAR = 1024,     /* objects that wait in `near` at most */
	NEAR_BYTES = 64, /* what is read of most objects */
	BORDER = 51,         /* of a hundred bytes the first thread's */
	BORDER_HELPED = 57,  /* when a third processor reads ahead for it */
	MANY = 4 << 20,  /* bytes of the arenas from which on a second thread is worth its start */
	BYTES_EACH = 48, /* of the arenas, for an object: hardly any heap has smaller ones */
	PROGRESS_EACH = 8, /* stretches */
};

struct second;

struct building {
	struct lt_heap *heap;
	struct lt_objmap *objects;
	struct lt_refs refs; /* of one object */
	lt_addr near[NEAR];  /* objects that turned up and that the window holds: looked at first */
	unsigned near_count;
	struct lt_heap_graph *graph;
	struct lt_rooms *rooms; /* what the nodes will be described in */
	struct second *second;  /* another thread for a while, NULL: none */
	_Atomic size_t found;   /* objects, as told last */
	bool no_memory;
};

/* What another thread finds in the upper part of the arenas: its objects, types and window are its own. */
struct second {
	struct lt_apart apart;
	struct lt_heap heap;
	struct building building;
	struct lt_track_beside beside;
};

const struct lt_type *lt_heap_type_at(struct lt_heap *heap, lt_addr object)
{
	const struct lt_view *view = &heap->track.view;
	lt_addr at = object + lt_off(view->layout, LT_PyObject_ob_type), address;
	const unsigned char *bytes = lt_memory_at(view->memory, at, sizeof(address));
	if (bytes != NULL)
		memcpy(&address, bytes, sizeof(address));
	else if (lt_memory_probe(view->memory, at, &address, sizeof(address)) != sizeof(address))
		return NULL;
	return lt_types_get(heap->types, address);
}

/* Instances of subclasses may hold some. */
bool lt_heap_is_leaf(const struct lt_type *type)
{
	if (!type->exact || type->heap_type)
		return false;
	switch (type->kind) {
	case LT_KIND_STR:
	case LT_KIND_BYTES:
	case LT_KIND_BYTEARRAY:
	case LT_KIND_INT:
	case LT_KIND_FLOAT:
	case LT_KIND_COMPLEX:
	case LT_KIND_NONE:
		return true;
	default:
		return false;
	}
}

static bool is_known(void *ctx, lt_addr address)
{
	struct building *building = ctx;
	return lt_objmap_has(building->objects, address);
}

/* ---- Which objects there are ---- */

static void restart(void *ctx)
{
	struct building *building = ctx;
	lt_objmap_clear(building->objects);
}

/* Objects of the chunk at the address that are to be looked at: the marked ones, or simply some. */
static uint32_t busy_at(const struct lt_objmap *objects, lt_addr address, bool marked_only)
{
	size_t chunk = lt_objmap_chunk_at(objects, address);
	if (chunk == SIZE_MAX)
		return 0;
	return marked_only ? lt_objmap_marked(objects, chunk) : 1;
}

/* The addresses around `here` that one window can hold: no more than its mapping. */
static struct lt_stretch around(const struct lt_heap *heap, lt_addr here)
{
	const struct lt_process *process = heap->track.view.process;
	const struct lt_mapping *mapping =
		process != NULL ? lt_process_mapping(process, here) : NULL;
	lt_addr base = here & ~(lt_addr)(LT_WINDOW_MAX - 1);
	struct lt_stretch stretch = {base, base + LT_WINDOW_MAX};
	if (mapping == NULL)
		return stretch;
	if (mapping->start > stretch.start)
		stretch.start = mapping->start & ~(lt_addr)(LT_OBJMAP_CHUNK - 1);
	if (mapping->end < stretch.end)
		stretch.end = mapping->end;
	return stretch;
}

/* Between chunks of objects lie the tables that these own: it is worth reading all of it, unless the chunks are few. */
bool lt_heap_load_stretch(struct lt_heap *heap, const struct lt_objmap *objects, size_t chunk,
			  bool marked_only, struct lt_stretch *ret_stretch)
{
	struct lt_window *window = heap->window;
	lt_addr here = lt_objmap_chunk_address(objects, chunk);
	struct lt_stretch stretch = around(heap, here);
	if (!marked_only)
		stretch.start = here;
	lt_addr low = 0, high = 0;
	size_t chunks = 0, found = 0;
	for (lt_addr at = stretch.start; at < stretch.end; at += LT_OBJMAP_CHUNK) {
		uint32_t busy = busy_at(objects, at, marked_only);
		if (busy == 0)
			continue;
		if (chunks++ == 0)
			low = at;
		high = at + LT_OBJMAP_CHUNK;
		found += busy;
	}
	if (marked_only && found < BUSY) {
		lt_window_clear(window, false);
		*ret_stretch = (struct lt_stretch){low, high};
		return true;
	}
	if (chunks * SPARSE < (high - low) / LT_OBJMAP_CHUNK) {
		stretch.start = low;
		stretch.end = low + LT_OBJMAP_CHUNK;
		while (stretch.end < high && busy_at(objects, stretch.end, marked_only) != 0)
			stretch.end += LT_OBJMAP_CHUNK;
	}
	size_t got;
	const unsigned char *bytes =
		lt_window_load(window, stretch.start, stretch.end - stretch.start, &got);
	if (bytes != NULL && stretch.start + got <= low && stretch.start < low) {
		/* A hole before the first one. */
		stretch.start = low;
		bytes = lt_window_load(window, low, stretch.end - low, &got);
	}
	if (bytes == NULL)
		return false;
	if (stretch.start + got < stretch.end)
		stretch.end = stretch.start + got;
	/* What cannot be read is to be looked at, too. */
	if (stretch.end < low + LT_OBJMAP_CHUNK)
		stretch.end = low + LT_OBJMAP_CHUNK;
	*ret_stretch = stretch;
	return true;
}

/*
 * Torn memory holds any number of addresses of nothing, and each may lie in a chunk of its own: only
 * those that are mapped may take memory here.
 */
static bool may_be_object(const struct building *building, lt_addr address)
{
	const struct lt_process *process = building->heap->track.view.process;
	if (process == NULL || lt_objmap_near(building->objects, address))
		return true;
	const struct lt_mapping *mapping = lt_process_mapping(process, address);
	return mapping != NULL && mapping->readable;
}

/* What the window holds is looked at soon; values that refer to nothing are done with. Others keep their mark. */
static void queue(struct building *building, lt_addr object)
{
	struct lt_heap *heap = building->heap;
	if (building->near_count < NEAR &&
	    (lt_memory_at(heap->track.view.memory, object, NEAR_BYTES) != NULL ||
	     lt_window_holds(heap->window, object, NEAR_BYTES))) {
		const struct lt_type *type = lt_heap_type_at(heap, object);
		if (type != NULL && lt_heap_is_leaf(type))
			return;
		building->near[building->near_count++] = object;
	}
	lt_objmap_mark(building->objects, object);
}

/* What an object refers to is an object: all of that is looked at, too. */
static void add_one(struct building *building, lt_addr to)
{
	switch (lt_objmap_meet(building->objects, to)) {
	case LT_OBJMAP_KNOWN:
		return;
	case LT_OBJMAP_FAR:
		if (!may_be_object(building, to)) {
			building->heap->track.view.session->unreadable++;
			return;
		}
		if (!lt_objmap_add(building->objects, to))
			building->no_memory = true;
		(void)lt_objmap_unmark(building->objects, to);
		break;
	case LT_OBJMAP_NEW:
		break;
	}
	queue(building, to);
}

static void add_found(void *ctx, struct lt_refs *refs)
{
	struct building *building = ctx;
	for (size_t i = 0; i < refs->count; i++)
		add_one(building, refs->data[i].to);
	refs->count = 0;
}

static void add_word(struct building *building, lt_addr to, bool *whole)
{
	if (lt_may_be_referred_to(to))
		add_one(building, to);
	else if (to != 0)
		*whole = false;
}

static void add_plain(struct building *building, const struct lt_plain_refs *refs)
{
	bool whole = true;
	for (uint64_t row = 0; row < refs->count; row++) {
		lt_addr words[2];
		unsigned count = lt_plain_row(refs, row, words);
		for (unsigned i = 0; i < count; i++)
			add_word(building, words[i], &whole);
	}
	if (!whole)
		building->heap->track.view.session->unreadable++;
}

static void explore(struct building *building, lt_addr object, const struct lt_type *type)
{
	struct lt_session *session = building->heap->track.view.session;
	struct lt_plain_refs plain;
	if (type == NULL) {
		session->unreadable++;
		lt_objmap_remove(building->objects, object);
		return;
	}
	if (lt_heap_is_leaf(type))
		return;
	if (lt_decode_plain(building->heap->decoder, object, type, &plain)) {
		add_plain(building, &plain);
		return;
	}
	/* A conservative scan accepts known objects only: it can find none that is new. */
	building->refs.count = 0;
	(void)lt_decode_refs(building->heap->decoder, object, type, &building->refs);
	add_found(building, &building->refs);
}

/* The same, and what turns up near it. */
static void explore_near(struct building *building, lt_addr object, const struct lt_type *type)
{
	explore(building, object, type);
	while (building->near_count > 0) {
		lt_addr found = building->near[--building->near_count];
		if (lt_objmap_unmark(building->objects, found))
			explore(building, found, lt_heap_type_at(building->heap, found));
	}
}

/* A tracked object is looked at as soon as it is found: the window is there. */
static bool add_tracked(void *ctx, lt_addr object, const struct lt_type *type)
{
	struct building *building = ctx;
	enum lt_objmap_place place = lt_objmap_meet(building->objects, object);
	if (place == LT_OBJMAP_FAR && !lt_objmap_add(building->objects, object))
		return false; /* marked */
	if (place == LT_OBJMAP_NEW || lt_objmap_unmark(building->objects, object))
		explore_near(building, object,
			     type != NULL ? type : lt_heap_type_at(building->heap, object));
	return !building->no_memory;
}

/* Looks at the marked objects of the stretch until no new one turns up in it. */
static void explore_stretch(struct building *building, struct lt_stretch stretch)
{
	struct lt_objmap *objects = building->objects;
	bool found = true;
	while (found) {
		found = false;
		for (lt_addr at = stretch.start; at < stretch.end; at += LT_OBJMAP_CHUNK) {
			size_t chunk = lt_objmap_chunk_at(objects, at);
			if (chunk == SIZE_MAX || lt_objmap_marked(objects, chunk) == 0)
				continue;
			found = true;
			lt_addr object = 0;
			while (!building->no_memory &&
			       (object = lt_objmap_take(objects, chunk, object)) != 0)
				explore_near(building, object,
					     lt_heap_type_at(building->heap, object));
			if (building->no_memory)
				return;
		}
	}
}

/* How much room there has to be. What both threads have found of the other's part counts twice: it is little. */
static void tell_found(struct building *building)
{
	size_t found = lt_objmap_found(building->objects);
	atomic_store_explicit(&building->found, found, memory_order_relaxed);
	if (building->second != NULL)
		found += atomic_load_explicit(&building->second->building.found,
					      memory_order_relaxed);
	lt_rooms_found(building->rooms, found);
}

/*
 * The same once [start, end) is loaded: objects in the window before that turned up since then, too. What a window
 * refers to lies mostly in it, the one before or the next one: so few objects are left for windows of their own.
 */
static bool explore_held(void *ctx, lt_addr start, lt_addr end)
{
	struct building *building = ctx;
	struct lt_stretch stretch = {start & ~(lt_addr)(LT_OBJMAP_CHUNK - 1), end}, before;
	tell_found(building);
	explore_stretch(building, stretch);
	if (!building->no_memory &&
	    lt_window_before(building->heap->window, &before.start, &before.end)) {
		before.start &= ~(lt_addr)(LT_OBJMAP_CHUNK - 1);
		explore_stretch(building, before);
		if (!building->no_memory)
			explore_stretch(building, stretch);
	}
	return !building->no_memory;
}

/* Looks at every marked object until no new one turns up. */
static enum lt_status explore_all(struct building *building)
{
	struct lt_objmap *objects = building->objects;
	struct lt_session *session = building->heap->track.view.session;
	size_t stretches = 0, chunk;
	bool found = true;
	while (found) {
		found = false;
		lt_addr at = 0;
		while ((chunk = lt_objmap_marked_from(objects, at)) != SIZE_MAX) {
			found = true;
			struct lt_stretch stretch;
			if (!lt_heap_load_stretch(building->heap, objects, chunk, true, &stretch))
				building->no_memory = true;
			else
				(void)explore_held(building, stretch.start, stretch.end);
			if (building->no_memory)
				return lt_fail_memory(session);
			/* Objects that turned up behind it wait for the next sweep. */
			if (stretch.end > at)
				at = stretch.end;
			if (++stretches % PROGRESS_EACH != 0)
				continue;
			LT_TRY(lt_track_check_gone(&building->heap->track));
			size_t done = stretches * (LT_WINDOW_MAX / LT_OBJMAP_CHUNK);
			size_t total = lt_objmap_chunks(objects);
			lt_progress(session, "following references", done < total ? done : total,
				    total);
		}
	}
	lt_window_clear(building->heap->window, false);
	return LT_OK;
}

/* ---- A second thread ---- */

/* Where its part of the arenas begins. */
static lt_addr find_border(const struct lt_pymalloc *pymalloc, unsigned percent)
{
	uint64_t left = pymalloc->bytes / 100 * percent;
	for (size_t i = 0; i < pymalloc->pools.count; i++) {
		const struct lt_range *range = &pymalloc->pools.data[i];
		if (left < range->end - range->start)
			return (range->start + left) & ~(lt_addr)(LT_WINDOW_MAX - 1);
		left -= range->end - range->start;
	}
	return UINT64_MAX;
}

static void end_second(struct building *building)
{
	struct second *second = building->second;
	building->second = NULL;
	building->heap->track.beside = NULL;
	lt_window_set_ahead(building->heap->window, true);
	if (second == NULL)
		return;
	lt_objmap_destroy(second->building.objects);
	lt_refs_deinit(&second->building.refs);
	lt_apart_end(&second->apart, building->heap, &second->heap);
	free(second);
}

/*
 * What both have found. An object that one of them only came across has been looked at if it is the other one's. Types
 * become known in the order in which they turned up, whichever thread was faster.
 */
static bool join_second(void *ctx)
{
	struct building *building = ctx;
	struct second *second = building->second;
	bool joined = lt_objmap_join(building->objects, second->building.objects) &&
		      !lt_types_lack_memory(second->heap.types) &&
		      !lt_decoder_lacks_memory(second->heap.decoder);
	for (uint32_t i = 0; i < lt_types_count(second->heap.types); i++)
		(void)lt_types_get(building->heap->types,
				   lt_types_at(second->heap.types, i)->address);
	lt_decoder_learn(building->heap->decoder, second->heap.decoder);
	end_second(building);
	return joined;
}

static bool set_apart(struct second *second, struct lt_heap *heap)
{
	struct lt_types *types;
	if (lt_apart_begin(&second->apart, heap, &second->heap) != LT_OK ||
	    lt_types_create(&second->heap.track.view, &types) != LT_OK ||
	    lt_apart_decode(heap, types, &second->heap) != LT_OK)
		return false;
	second->building.objects = lt_objmap_create();
	return second->building.objects != NULL;
}

/* Of a picture that stands still; without memory for it there is none. */
static void begin_second(struct building *building)
{
	struct lt_heap *heap = building->heap;
	if (heap->track.view.memory->ahead == NULL || heap->pymalloc.bytes < MANY)
		return;
	struct second *second = calloc(1, sizeof(*second));
	building->second = second;
	if (second == NULL)
		return;
	second->heap = *heap;
	second->building.heap = &second->heap;
	if (!set_apart(second, heap)) {
		end_second(building);
		return;
	}
	lt_decoder_set_is_object(second->heap.decoder, is_known, &second->building);
	lt_decoder_set_part(second->heap.decoder, add_found, &second->building);
	bool helped = lt_thread_processors() > 2;
	lt_window_set_ahead(heap->window, helped);
	second->heap.track.passed = explore_held;
	second->heap.track.passed_ctx = &second->building;
	second->beside = (struct lt_track_beside){
		.track = &second->heap.track,
		.ctx = &second->building,
		.border = find_border(&heap->pymalloc, helped ? BORDER_HELPED : BORDER),
		.joined = join_second,
	};
	heap->track.beside = &second->beside;
}

/* ---- Flags of the collector ---- */

static bool flag_permanent(void *ctx, lt_addr object, const struct lt_type *type)
{
	struct building *building = ctx;
	(void)type;
	uint32_t node = lt_objmap_find(building->objects, object);
	if (node != LT_NO_NODE && (building->graph->flags[node] & LT_NODE_PERMANENT) == 0) {
		building->graph->flags[node] |= LT_NODE_PERMANENT;
		building->graph->permanent++;
	}
	return true;
}

/* ---- The whole ---- */

static enum lt_status build(struct building *building, const lt_addr *roots, size_t root_count,
			    const struct lt_heap_visit *visit)
{
	struct lt_heap *heap = building->heap;
	struct lt_session *session = heap->track.view.session;
	struct lt_heap_graph *graph = building->graph;
	struct lt_tracked tracked = {0};
	building->objects = lt_objmap_create();
	if (building->objects == NULL)
		return lt_fail_memory(session);
	graph->objects = building->objects;
	if (heap->track.view.memory->ahead != NULL)
		building->rooms = lt_rooms_begin(heap->pymalloc.bytes / BYTES_EACH);
	lt_decoder_set_part(heap->decoder, add_found, building);
	heap->track.passed = explore_held;
	heap->track.passed_ctx = building;
	begin_second(building);
	enum lt_status status =
		lt_heap_each_tracked(heap, add_tracked, restart, building, &tracked);
	heap->track.passed = NULL;
	end_second(building);
	LT_TRY(status);
	graph->proved = tracked.proved;
	for (size_t i = 0; i < root_count; i++)
		if (roots[i] != 0 && !lt_objmap_add(building->objects, roots[i]))
			return lt_fail_memory(session);
	LT_TRY(explore_all(building));
	if (lt_types_lack_memory(heap->types) || lt_decoder_lacks_memory(heap->decoder) ||
	    !lt_objmap_number(building->objects))
		return lt_fail_memory(session);
	size_t nodes = lt_objmap_count(building->objects);
	if (!lt_rooms_end(LT_TAKE(building->rooms), nodes, graph))
		return lt_fail_memory(session);
	LT_TRY(lt_heap_describe(heap, graph, visit));
	uint64_t *counts = calloc(heap->interpreters.count + 1, sizeof(*counts));
	if (counts == NULL)
		return lt_fail_memory(session);
	status = lt_heap_each_permanent(heap, tracked.count, flag_permanent, building, counts);
	free(counts);
	return status == LT_OK ? lt_track_check_gone(&heap->track) : status;
}

enum lt_status lt_heap_build_graph(struct lt_heap *heap, const lt_addr *roots, size_t root_count,
				   const struct lt_heap_visit *visit,
				   struct lt_heap_graph *ret_graph)
{
	struct lt_heap_graph graph = {0};
	struct building building = {.heap = heap, .graph = &graph};
	lt_decoder_set_is_object(heap->decoder, is_known, &building);
	enum lt_status status = build(&building, roots, root_count, visit);
	lt_decoder_set_is_object(heap->decoder, NULL, NULL);
	lt_decoder_set_part(heap->decoder, NULL, NULL);
	lt_refs_deinit(&building.refs);
	lt_rooms_destroy(building.rooms);
	lt_window_clear(heap->window, true);
	lt_window_settle(heap->window);
	if (status != LT_OK) {
		if (visit != NULL)
			visit->restart(visit->ctx);
		lt_heap_graph_deinit(&graph);
		return status;
	}
	*ret_graph = graph;
	return LT_OK;
}

void lt_heap_graph_settle(struct lt_heap_graph *graph)
{
	free(graph->balance);
	graph->balance = NULL;
	lt_map_deinit(&graph->big_balances);
	lt_loose_refs_deinit(&graph->loose);
}

void lt_heap_graph_deinit(struct lt_heap_graph *graph)
{
	lt_graph_deinit(&graph->graph);
	lt_objmap_destroy(graph->objects);
	lt_map_deinit(&graph->big_sizes);
	lt_map_deinit(&graph->big_types);
	free(graph->type);
	free(graph->size);
	free(graph->flags);
	lt_heap_graph_settle(graph);
	*graph = (struct lt_heap_graph){0};
}

uint32_t lt_heap_graph_find(const struct lt_heap_graph *graph, lt_addr address)
{
	return lt_objmap_find(graph->objects, address);
}

lt_addr lt_heap_graph_address(const struct lt_heap_graph *graph, uint32_t node)
{
	return lt_objmap_address(graph->objects, node);
}

lt_addr lt_heap_graph_after(const struct lt_heap_graph *graph, lt_addr address)
{
	return lt_objmap_after(graph->objects, address);
}

uint32_t lt_heap_graph_from(const struct lt_heap_graph *graph, lt_addr address)
{
	uint32_t low = 0, high = graph->graph.node_count;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (lt_heap_graph_address(graph, middle) < address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool lt_heap_graph_set_size(struct lt_heap_graph *graph, uint32_t node, uint64_t size)
{
	graph->total_bytes += size;
	if (size < UINT16_MAX) {
		graph->size[node] = (uint16_t)size;
		return true;
	}
	graph->size[node] = UINT16_MAX;
	return lt_map_put(&graph->big_sizes, node, size);
}

uint64_t lt_heap_graph_size(const struct lt_heap_graph *graph, uint32_t node)
{
	uint64_t size = graph->size[node];
	if (size == UINT16_MAX)
		(void)lt_map_get(&graph->big_sizes, node, &size);
	return size;
}

uint32_t lt_heap_graph_big_type(const struct lt_heap_graph *graph, uint32_t node)
{
	uint64_t type = 0;
	(void)lt_map_get(&graph->big_types, node, &type);
	return (uint32_t)type;
}

bool lt_heap_graph_set_type(struct lt_heap_graph *graph, uint32_t node, uint32_t type)
{
	bool big = type >= LT_TYPE_BIG;
	graph->type[node] = big ? LT_TYPE_BIG : (uint16_t)type;
	return !big || lt_map_put(&graph->big_types, node, type);
}

int64_t lt_heap_graph_big_balance(const struct lt_heap_graph *graph, uint32_t node)
{
	uint64_t balance = 0;
	(void)lt_map_get(&graph->big_balances, node, &balance);
	return (int64_t)balance;
}

bool lt_heap_graph_set_balance(struct lt_heap_graph *graph, uint32_t node, int64_t balance)
{
	if (balance >= -LT_BALANCE_MOST && balance <= LT_BALANCE_MOST) {
		graph->balance[node] = (int16_t)balance;
		return true;
	}
	graph->balance[node] = LT_BALANCE_BIG;
	return lt_map_put(&graph->big_balances, node, (uint64_t)balance);
}

bool lt_heap_graph_take(struct lt_heap_graph *graph, uint32_t node, uint32_t count)
{
	if (!lt_heap_graph_has_balance(graph, node))
		return true;
	int64_t left = lt_heap_graph_balance(graph, node) - count;
	return lt_heap_graph_set_balance(graph, node, left > INT32_MIN ? left : INT32_MIN);
}
