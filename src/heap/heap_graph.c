#include "heap/heap_parts.h"
#include "heap/objmap.h"
#include "layout/object.h"

#include <string.h>

enum {
	BUSY = 4,        /* objects to look at from which on a stretch is worth a window */
	SPARSE = 4,      /* less than one chunk in so many: a stretch has too few for one window */
	NEAR = 1024,     /* objects that wait in `near` at most */
	NEAR_BYTES = 64, /* what is read of most objects */
	PROGRESS_EACH = 8, /* stretches */
};

LT_VEC(numbers, uint32_t);

struct building {
	struct lt_heap *heap;
	struct lt_objmap *objects;
	struct lt_refs refs;    /* of one object */
	struct numbers targets; /* the same as numbers */
	lt_addr near[NEAR]; /* objects that turned up and that the window holds: looked at first */
	unsigned near_count;
	struct lt_graph_builder *builder;
	struct lt_heap_graph *graph;
	uint32_t node;    /* the one that is described */
	bool is_interned; /* it is the dict of interned strings: see is_interned_dict() */
	bool no_memory;
	/* The mapping of the last node, for LT_NODE_STATIC. */
	const struct lt_mapping *mapping;
	bool mapping_is_file;
};

/* A word of the target, as lt_memory_u64(). */
static bool read_word(const struct building *building, lt_addr address, uint64_t *ret_word)
{
	const unsigned char *bytes =
		lt_window_at(building->heap->window, address, sizeof(*ret_word));
	if (bytes == NULL)
		return lt_memory_u64(building->heap->track.view.memory, address, ret_word);
	memcpy(ret_word, bytes, sizeof(*ret_word));
	return true;
}

static const struct lt_type *type_at(struct building *building, lt_addr object)
{
	const struct lt_view *view = &building->heap->track.view;
	lt_addr at = object + lt_off(view->layout, LT_PyObject_ob_type), address;
	const unsigned char *bytes = lt_window_at(building->heap->window, at, sizeof(address));
	if (bytes != NULL)
		memcpy(&address, bytes, sizeof(address));
	else if (lt_memory_probe(view->memory, at, &address, sizeof(address)) != sizeof(address))
		return NULL;
	return lt_types_get(building->heap->types, address);
}

/* Values that hold no reference: the greater part of most heaps. Instances of subclasses may hold some. */
static bool is_leaf(const struct lt_type *type)
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

/* Addresses [start, end) whose chunks are looked at together. */
struct stretch {
	lt_addr start, end;
};

/* Objects of the chunk at the address that are to be looked at: the marked ones, or simply some. */
static uint32_t busy_at(const struct lt_objmap *objects, lt_addr address, bool marked_only)
{
	size_t chunk = lt_objmap_chunk_at(objects, address);
	if (chunk == SIZE_MAX)
		return 0;
	return marked_only ? lt_objmap_marked(objects, chunk) : 1;
}

/* The addresses around `here` that one window can hold: no more than its mapping. */
static struct stretch around(const struct building *building, lt_addr here)
{
	const struct lt_process *process = building->heap->track.view.process;
	const struct lt_mapping *mapping =
		process != NULL ? lt_process_mapping(process, here) : NULL;
	lt_addr base = here & ~(lt_addr)(LT_WINDOW_MAX - 1);
	struct stretch stretch = {base, base + LT_WINDOW_MAX};
	if (mapping == NULL)
		return stretch;
	if (mapping->start > stretch.start)
		stretch.start = mapping->start & ~(lt_addr)(LT_OBJMAP_CHUNK - 1);
	if (mapping->end < stretch.end)
		stretch.end = mapping->end;
	return stretch;
}

/*
 * Chooses what to look at next, with the given chunk, and loads the window with it. Between chunks of
 * objects lie the tables that these own: it is worth reading all of it, unless the chunks are few.
 * With `marked_only` chunks below the given one are in it, too; else none.
 */
static struct stretch load_stretch(struct building *building, size_t chunk, bool marked_only)
{
	const struct lt_objmap *objects = building->objects;
	struct lt_window *window = building->heap->window;
	lt_addr here = lt_objmap_chunk_address(objects, chunk);
	struct stretch stretch = around(building, here);
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
		return (struct stretch){low, high};
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
		building->no_memory = true;
	else if (stretch.start + got < stretch.end)
		stretch.end = stretch.start + got;
	/* What cannot be read is to be looked at, too. */
	if (stretch.end < low + LT_OBJMAP_CHUNK)
		stretch.end = low + LT_OBJMAP_CHUNK;
	return stretch;
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

/* What an object refers to is an object: all of that is looked at, too. */
static void add_found(void *ctx, struct lt_refs *refs)
{
	struct building *building = ctx;
	for (size_t i = 0; i < refs->count; i++) {
		lt_addr to = refs->data[i].to;
		if (lt_objmap_has(building->objects, to))
			continue;
		if (!may_be_object(building, to))
			building->heap->track.view.session->unreadable++;
		else if (!lt_objmap_add(building->objects, to))
			building->no_memory = true;
		else if (building->near_count < NEAR &&
			 lt_window_holds(building->heap->window, to, NEAR_BYTES))
			building->near[building->near_count++] = to;
	}
	refs->count = 0;
}

static void explore(struct building *building, lt_addr object, const struct lt_type *type)
{
	struct lt_session *session = building->heap->track.view.session;
	if (type == NULL) {
		session->unreadable++;
		lt_objmap_remove(building->objects, object);
		return;
	}
	if (is_leaf(type))
		return;
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
			explore(building, found, type_at(building, found));
	}
}

/* A tracked object is looked at as soon as it is found: the window is there. */
static bool add_tracked(void *ctx, lt_addr object, const struct lt_type *type)
{
	struct building *building = ctx;
	if (!lt_objmap_add(building->objects, object))
		return false;
	if (lt_objmap_unmark(building->objects, object))
		explore_near(building, object, type != NULL ? type : type_at(building, object));
	return !building->no_memory;
}

/* Looks at the marked objects of the stretch until no new one turns up in it. */
static void explore_stretch(struct building *building, struct stretch stretch)
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
				explore_near(building, object, type_at(building, object));
			if (building->no_memory)
				return;
		}
	}
}

/*
 * The same once [start, end) is loaded: objects in the window before that turned up since then, too. What a window
 * refers to lies mostly in it, the one before or the next one: so few objects are left for windows of their own.
 */
static bool explore_held(void *ctx, lt_addr start, lt_addr end)
{
	struct building *building = ctx;
	struct stretch stretch = {start & ~(lt_addr)(LT_OBJMAP_CHUNK - 1), end}, before;
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
			struct stretch stretch = load_stretch(building, chunk, true);
			if (!building->no_memory)
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

/* ---- What they are and what they refer to ---- */

static bool in_file(struct building *building, lt_addr object)
{
	const struct lt_process *process = building->heap->track.view.process;
	if (process == NULL || lt_pageset_has(&building->heap->pymalloc.pages, object))
		return false;
	if (building->mapping == NULL || object < building->mapping->start ||
	    object >= building->mapping->end) {
		building->mapping = lt_process_mapping(process, object);
		building->mapping_is_file = false;
		if (building->mapping == NULL)
			return false;
		const struct lt_mapping *mapping = building->mapping;
		building->mapping_is_file = mapping->inode != 0;
		/* .bss goes on in anonymous memory right behind the file's last writable mapping. */
		if (mapping->inode == 0 && mapping->path[0] == '\0' &&
		    mapping > process->mappings.data && mapping[-1].end == mapping->start &&
		    mapping[-1].inode != 0 && mapping[-1].writable)
			building->mapping_is_file = true;
	}
	return building->mapping_is_file;
}

/* Immortality and reference count of a node. References counted before it was its turn are in its balance. */
static void count_references(struct building *building, uint32_t node, lt_addr object)
{
	const struct lt_view *view = &building->heap->track.view;
	struct lt_heap_graph *graph = building->graph;
	uint64_t word;
	if (!read_word(building, object + lt_off(view->layout, LT_PyObject_ob_refcnt), &word)) {
		graph->balance[node] = LT_BALANCE_UNKNOWN;
		return;
	}
	if (lt_is_immortal(view->layout, word)) {
		graph->flags[node] |= LT_NODE_IMMORTAL;
		graph->balance[node] = LT_BALANCE_UNKNOWN;
		return;
	}
	int64_t count = (int64_t)lt_refcount(view->layout, word);
	if (count < 0 || count > INT32_MAX)
		count = INT32_MAX;
	if (graph->balance[node] != LT_BALANCE_UNKNOWN)
		graph->balance[node] = (int32_t)(graph->balance[node] + count);
}

/* The references of the dict of interned strings to its strings are not counted (Objects/unicodeobject.c). */
static bool is_interned_dict(const struct building *building, lt_addr object)
{
	for (size_t i = 0; i < building->heap->interpreters.count; i++)
		if (building->heap->interpreters.data[i].interned == object)
			return true;
	return false;
}

/* One reference of the object `from`, with what it means for the count of its target. */
static bool count_reference(struct building *building, uint32_t from, uint32_t target,
			    const struct lt_ref *ref)
{
	struct lt_heap_graph *graph = building->graph;
	if (ref->kind == LT_REF_CONSERVATIVE) {
		graph->conservative_refs++;
		return lt_loose_refs_push(&graph->loose, (struct lt_loose_ref){from, target});
	}
	/* It never comes near the least value: references of one object are fewer than 2^31. */
	if (!ref->borrowed && graph->balance[target] > -INT32_MAX)
		graph->balance[target]--;
	return true;
}

/* Objects of the collector are linked in a list while they are tracked. Static types have no PyGC_Head. */
static bool is_tracked(struct building *building, lt_addr object, const struct lt_type *type)
{
	const struct lt_view *view = &building->heap->track.view;
	const struct lt_layout *layout = view->layout;
	uint64_t next, flags;
	if (!type->gc)
		return false;
	if (type->is_type_type &&
	    (!read_word(building, object + lt_off(layout, LT_PyTypeObject_tp_flags), &flags) ||
	     (flags & (uint64_t)lt_fact(layout, LT_FACT_tpflag_heap_type)) == 0))
		return false;
	return read_word(building, object - lt_off(layout, LT_sizeof_PyGC_Head), &next) &&
	       next != 0;
}

/* References of the node that is described become edges. */
static void add_edges(void *ctx, struct lt_refs *refs)
{
	struct building *building = ctx;
	size_t count = 0;
	if (!numbers_reserve(&building->targets, refs->count)) {
		building->no_memory = true;
		return;
	}
	for (size_t i = 0; i < refs->count; i++) {
		uint32_t target = lt_objmap_find(building->objects, refs->data[i].to);
		if (target == LT_NO_NODE)
			continue;
		building->targets.data[count++] = target;
		if (!building->is_interned &&
		    !count_reference(building, building->node, target, &refs->data[i]))
			building->no_memory = true;
	}
	refs->count = 0;
	if (!lt_graph_builder_add(building->builder, building->targets.data, count))
		building->no_memory = true;
}

static enum lt_status describe(struct building *building, uint32_t node, lt_addr object)
{
	struct lt_heap *heap = building->heap;
	struct lt_heap_graph *graph = building->graph;
	struct lt_session *session = heap->track.view.session;
	const struct lt_type *type = type_at(building, object);
	uint64_t size = 0;
	if (type == NULL) {
		/* It was read before: a target that runs has changed meanwhile. */
		session->unreadable++;
		type = lt_types_unknown(heap->types);
		if (type == NULL)
			return lt_fail_memory(session);
		graph->type[node] = type->index;
		graph->balance[node] = LT_BALANCE_UNKNOWN;
		return lt_graph_builder_row(building->builder, NULL, 0);
	}
	graph->type[node] = type->index;
	if (lt_decode_size(heap->decoder, object, type, &size) &&
	    !lt_heap_graph_set_size(graph, node, size))
		return lt_fail_memory(session);
	if (is_tracked(building, object, type)) {
		graph->flags[node] |= LT_NODE_TRACKED;
		graph->tracked++;
	}
	count_references(building, node, object);
	if (in_file(building, object))
		graph->flags[node] |= LT_NODE_STATIC;
	if (is_leaf(type))
		return lt_graph_builder_row(building->builder, NULL, 0);
	building->refs.count = 0;
	building->node = node;
	building->is_interned = type->kind == LT_KIND_DICT && is_interned_dict(building, object);
	/* What could not be read was counted when the object was explored. */
	uint64_t unreadable = session->unreadable;
	(void)lt_decode_refs(heap->decoder, object, type, &building->refs);
	session->unreadable = unreadable;
	add_edges(building, &building->refs);
	return building->no_memory ? lt_fail_memory(session)
				   : lt_graph_builder_row(building->builder, NULL, 0);
}

static enum lt_status describe_all(struct building *building)
{
	struct lt_objmap *objects = building->objects;
	struct lt_session *session = building->heap->track.view.session;
	size_t chunks = lt_objmap_chunks(objects);
	uint32_t node = 0;
	size_t chunk = 0;
	size_t stretches = 0;
	while (chunk < chunks) {
		struct stretch stretch = load_stretch(building, chunk, false);
		if (building->no_memory)
			return lt_fail_memory(session);
		for (; chunk < chunks && lt_objmap_chunk_address(objects, chunk) < stretch.end;
		     chunk++) {
			lt_addr object = 0;
			while ((object = lt_objmap_next(objects, chunk, object)) != 0) {
				LT_TRY(describe(building, node++, object));
				object += LT_OBJMAP_ALIGN;
			}
		}
		if (++stretches % PROGRESS_EACH == 0)
			lt_progress(session, "reading references", chunk, chunks);
	}
	lt_window_clear(building->heap->window, false);
	return LT_OK;
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

static enum lt_status build(struct building *building, const lt_addr *roots, size_t root_count)
{
	struct lt_heap *heap = building->heap;
	struct lt_session *session = heap->track.view.session;
	struct lt_heap_graph *graph = building->graph;
	struct lt_tracked tracked = {0};
	building->objects = lt_objmap_create();
	if (building->objects == NULL)
		return lt_fail_memory(session);
	graph->objects = building->objects;
	lt_decoder_set_part(heap->decoder, add_found, building);
	heap->track.passed = explore_held;
	heap->track.passed_ctx = building;
	enum lt_status status =
		lt_heap_each_tracked(heap, add_tracked, restart, building, &tracked);
	heap->track.passed = NULL;
	LT_TRY(status);
	graph->proved = tracked.proved;
	for (size_t i = 0; i < root_count; i++)
		if (roots[i] != 0 && !lt_objmap_add(building->objects, roots[i]))
			return lt_fail_memory(session);
	LT_TRY(explore_all(building));
	if (!lt_objmap_number(building->objects))
		return lt_fail_memory(session);
	size_t nodes = lt_objmap_count(building->objects);
	graph->type = calloc(nodes + 1, sizeof(*graph->type));
	graph->size = calloc(nodes + 1, sizeof(*graph->size));
	graph->flags = calloc(nodes + 1, sizeof(*graph->flags));
	graph->balance = calloc(nodes + 1, sizeof(*graph->balance));
	if (graph->type == NULL || graph->size == NULL || graph->flags == NULL ||
	    graph->balance == NULL)
		return lt_fail_memory(session);
	LT_TRY(lt_graph_builder_create(session, &building->builder));
	lt_decoder_set_part(heap->decoder, add_edges, building);
	LT_TRY(describe_all(building));
	struct lt_graph_builder *builder = building->builder;
	building->builder = NULL;
	LT_TRY(lt_graph_builder_finish(builder, &graph->graph));
	uint64_t *counts = calloc(heap->interpreters.count + 1, sizeof(*counts));
	if (counts == NULL)
		return lt_fail_memory(session);
	status = lt_heap_each_permanent(heap, tracked.count, flag_permanent, building, counts);
	free(counts);
	return status == LT_OK ? lt_track_check_gone(&heap->track) : status;
}

enum lt_status lt_heap_build_graph(struct lt_heap *heap, const lt_addr *roots, size_t root_count,
				   struct lt_heap_graph *ret_graph)
{
	struct lt_heap_graph graph = {0};
	struct building building = {.heap = heap, .graph = &graph};
	lt_decoder_set_is_object(heap->decoder, is_known, &building);
	enum lt_status status = build(&building, roots, root_count);
	lt_decoder_set_is_object(heap->decoder, NULL, NULL);
	lt_decoder_set_part(heap->decoder, NULL, NULL);
	lt_graph_builder_destroy(building.builder);
	lt_refs_deinit(&building.refs);
	numbers_deinit(&building.targets);
	lt_window_clear(heap->window, true);
	lt_window_settle(heap->window);
	if (status != LT_OK) {
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
	lt_loose_refs_deinit(&graph->loose);
}

void lt_heap_graph_deinit(struct lt_heap_graph *graph)
{
	lt_graph_deinit(&graph->graph);
	lt_objmap_destroy(graph->objects);
	lt_map_deinit(&graph->big_sizes);
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
