#include "analysis/picture.h"

#include "analysis/collectable.h"
#include "analysis/source_live.h"
#include "analysis/tasks.h"
#include "analysis/threads.h"
#include "base/cleanup.h"
#include "base/zeroed.h"

#include <string.h>

enum { BASES_MAX = 64 };

/*
 * Costs of a step on the way to an object, by the kind of what is left: what a user names (modules,
 * attributes, items) is cheap, what only an expert reaches (frames, type internals, C state) is dear.
 */
uint8_t lt_picture_step_cost(const struct lt_type *type)
{
	if (type == NULL)
		return 60;
	switch (type->kind) {
	case LT_KIND_MODULE:
		return 0;
	case LT_KIND_OBJECT:
	case LT_KIND_DICT:
	case LT_KIND_CELL:
	case LT_KIND_NAMESPACE:
		return 4;
	case LT_KIND_LIST:
	case LT_KIND_TUPLE:
	case LT_KIND_ORDERED_DICT:
	case LT_KIND_DEFAULT_DICT:
	case LT_KIND_DEQUE:
	case LT_KIND_PARTIAL:
	case LT_KIND_TYPE:
		return 6;
	case LT_KIND_FUNCTION:
	case LT_KIND_METHOD:
	case LT_KIND_STATIC_METHOD:
	case LT_KIND_CLASS_METHOD:
	case LT_KIND_PROPERTY:
	case LT_KIND_LRU_CACHE:
		return 10;
	case LT_KIND_SET:
	case LT_KIND_GENERATOR:
	case LT_KIND_COROUTINE:
	case LT_KIND_ASYNC_GENERATOR:
		return 14;
	case LT_KIND_FRAME:
	case LT_KIND_TRACEBACK:
	case LT_KIND_BASE_EXCEPTION:
	case LT_KIND_CONTEXT:
	case LT_KIND_THREAD_LOCAL:
		return 20;
	case LT_KIND_CODE:
	case LT_KIND_LRU_LINK:
	case LT_KIND_WEAKREF:
		return 40;
	case LT_KIND_OPAQUE:
		return 50;
	default:
		return 16;
	}
}

/* Where a way begins: a module variable is preferred to a local one that holds the same object. */
static const uint8_t start_cost[LT_ROOT_KIND_COUNT] = {
	[LT_ROOT_MODULES] = 0,       [LT_ROOT_BUILTINS] = 90,  [LT_ROOT_LOCAL] = 24,
	[LT_ROOT_FRAME] = 90,        [LT_ROOT_NAMED] = 10,     [LT_ROOT_INTERPRETER] = 100,
	[LT_ROOT_THREAD] = 80,       [LT_ROOT_CONTEXT] = 70,   [LT_ROOT_TASK] = 70,
	[LT_ROOT_THREAD_LOCAL] = 80, [LT_ROOT_ATEXIT] = 60,    [LT_ROOT_ASYNCIO] = 60,
	[LT_ROOT_TYPE] = 140,        [LT_ROOT_STATE] = 190,    [LT_ROOT_STATIC] = 200,
	[LT_ROOT_STACK] = 240,       [LT_ROOT_EXTERNAL] = 250,
};

const struct lt_root *lt_picture_root(const struct lt_picture *picture, uint32_t node)
{
	const struct lt_root *best = NULL;
	for (size_t r = 0; r < picture->roots.list.count; r++) {
		const struct lt_root *root = &picture->roots.list.data[r];
		if (picture->root_node[r] == node &&
		    (best == NULL || start_cost[root->kind] < start_cost[best->kind]))
			best = root;
	}
	return best;
}

int lt_picture_by_retained(const void *left, const void *right, void *ctx)
{
	const struct lt_picture *picture = ctx;
	uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
	if (picture->retained[a] != picture->retained[b])
		return picture->retained[a] < picture->retained[b] ? 1 : -1;
	return a < b ? -1 : a > b;
}

uint8_t lt_picture_start_cost(enum lt_root_kind kind)
{
	return start_cost[kind];
}

enum lt_status lt_picture_place_roots(struct lt_picture *picture)
{
	free(picture->root_node);
	picture->root_node = malloc((picture->roots.list.count + 1) * sizeof(*picture->root_node));
	if (picture->root_node == NULL)
		return lt_fail_memory(picture->session);
	for (size_t i = 0; i < picture->roots.list.count; i++) {
		const struct lt_root *root = &picture->roots.list.data[i];
		uint32_t node = lt_heap_graph_find(&picture->graph, root->address);
		picture->root_node[i] = node;
		if (lt_root_holds(root->kind))
			continue;
		picture->root_node[i] = LT_NO_NODE;
		if (node != LT_NO_NODE && !lt_map_put(&picture->named, node, i))
			return lt_fail_memory(picture->session);
	}
	return LT_OK;
}

static enum lt_status take(struct lt_picture *picture, const struct lt_heap_visit *visit)
{
	LT_TRY(lt_roots_read(picture->view, &picture->roots));
	LT_TRY(lt_heap_open(picture->view, &picture->heap));
	picture->types = lt_heap_types(picture->heap);
	LT_CLEANUP(lt_addresses_deinit) struct lt_addresses starts = {0};
	for (size_t i = 0; i < picture->roots.list.count; i++) {
		if (!lt_addresses_push(&starts, picture->roots.list.data[i].address))
			return lt_fail_memory(picture->session);
	}
	LT_TRY(lt_roots_native_held(picture->view, picture->types, &starts));
	LT_TRY(lt_heap_build_graph(picture->heap, starts.data, starts.count, visit,
				   &picture->graph));
	LT_TRY(lt_unexplained_find(picture->view, &picture->graph, &picture->roots,
				   &picture->scanned, &picture->native));
	LT_TRY(lt_source_live_create(picture->session, picture->heap, &picture->graph,
				     &picture->source));
	LT_TRY(lt_tasks_find(picture));
	LT_TRY(lt_threads_find(picture));
	return lt_picture_place_roots(picture);
}

enum lt_status lt_picture_take(const struct lt_view *view, const struct lt_heap_visit *visit,
			       struct lt_picture *ret_picture)
{
	*ret_picture = (struct lt_picture){.session = view->session, .view = view};
	enum lt_status status = take(ret_picture, visit);
	if (status != LT_OK) {
		if (visit != NULL)
			visit->restart(visit->ctx);
		lt_picture_deinit(ret_picture);
	}
	return status;
}

void lt_picture_deinit(struct lt_picture *picture)
{
	if (picture->source.ops != NULL)
		picture->source.ops->destroy(picture->source.ctx);
	lt_heap_graph_deinit(&picture->graph);
	lt_roots_deinit(&picture->roots);
	lt_heap_close(picture->heap);
	lt_loose_refs_deinit(&picture->scanned);
	lt_unvisited_list_deinit(&picture->unvisited);
	lt_map_deinit(&picture->named);
	free(picture->root_node);
	free(picture->alive);
	free(picture->dominator);
	free(picture->retained);
	free(picture->parent);
	*picture = (struct lt_picture){0};
}

uint32_t lt_picture_dead_from(const struct lt_picture *picture, uint32_t node)
{
	uint32_t count = picture->graph.graph.node_count;
	const uint8_t *dead = node < count ? memchr(picture->alive + node, 0, count - node) : NULL;
	return dead != NULL ? (uint32_t)(dead - picture->alive) : count;
}

static enum lt_status mark_roots(struct lt_picture *picture, size_t first)
{
	return lt_graph_mark(picture->session, &picture->graph.graph, picture->root_node + first,
			     picture->roots.list.count - first, picture->alive);
}

/*
 * Of what the known roots do not reach: references among these nodes are counted against their
 * reference counts. One with more is held from outside, all that it reaches is alive, the rest is garbage.
 */
static enum lt_status find_external(struct lt_picture *picture)
{
	struct lt_session *session = picture->session;
	const struct lt_graph *graph = &picture->graph.graph;
	LT_FREE uint32_t *inner = calloc((size_t)graph->node_count + 1, sizeof(*inner));
	if (inner == NULL)
		return lt_fail_memory(session);
	for (uint32_t node = lt_picture_dead_from(picture, 0); node < graph->node_count;
	     node = lt_picture_dead_from(picture, node + 1)) {
		struct lt_row row = lt_row(&graph->out, node);
		for (const uint32_t *to = row.begin; to < row.end; to++) {
			if (inner[*to] < UINT32_MAX)
				inner[*to]++;
		}
	}
	size_t known = picture->roots.list.count;
	for (uint32_t node = lt_picture_dead_from(picture, 0); node < graph->node_count;
	     node = lt_picture_dead_from(picture, node + 1)) {
		/* Without a count (immortal, unreadable) it counts as held. */
		int64_t references = INT64_MAX;
		(void)lt_picture_number(picture, node, LT_DETAIL_REFCOUNT, &references);
		bool held =
			(picture->graph.flags[node] & (LT_NODE_IMMORTAL | LT_NODE_STATIC)) != 0 ||
			references > (int64_t)inner[node];
		if (!held)
			continue;
		struct lt_root root = {.address = lt_picture_address(picture, node),
				       .kind = LT_ROOT_EXTERNAL,
				       .name = "held from C code"};
		if (!lt_root_list_push(&picture->roots.list, root))
			return lt_fail_memory(session);
	}
	LT_TRY(lt_picture_place_roots(picture));
	return mark_roots(picture, known);
}

static uint64_t less(uint64_t count, uint64_t part)
{
	return part < count ? count - part : 0;
}

enum lt_status lt_picture_life(struct lt_picture *picture)
{
	const struct lt_graph *graph = &picture->graph.graph;
	if (picture->alive == NULL) {
		picture->alive = lt_zeroed((size_t)graph->node_count + 1, 1);
		if (picture->alive == NULL)
			return lt_fail_memory(picture->session);
		LT_TRY(mark_roots(picture, 0));
		LT_TRY(find_external(picture));
	}
	for (uint32_t node = lt_picture_dead_from(picture, 0); node < graph->node_count;
	     node = lt_picture_dead_from(picture, node + 1)) {
		picture->garbage_count++;
		picture->garbage_bytes += lt_heap_graph_size(&picture->graph, node);
		picture->garbage_tracked += (picture->graph.flags[node] & LT_NODE_TRACKED) != 0;
	}
	/* A collection would not free these. A file has them from the start. */
	if (picture->view != NULL)
		LT_TRY(lt_unvisited_find(picture, &picture->unvisited));
	for (size_t i = 0; i < picture->unvisited.count; i++) {
		const struct lt_unvisited *unvisited = &picture->unvisited.data[i];
		picture->garbage_count = less(picture->garbage_count, unvisited->objects);
		picture->garbage_bytes = less(picture->garbage_bytes, unvisited->bytes);
		picture->garbage_tracked = less(picture->garbage_tracked, unvisited->tracked);
	}
	return lt_collectable_count(picture, &picture->collectable_count,
				    &picture->collectable_bytes);
}

static uint64_t node_size(void *ctx, uint32_t node)
{
	return lt_heap_graph_size(ctx, node);
}

enum lt_status lt_picture_weigh(struct lt_picture *picture)
{
	struct lt_session *session = picture->session;
	struct lt_graph *graph = &picture->graph.graph;
	LT_CLEANUP(lt_dominators_deinit) struct lt_dominators dominators = {0};
	LT_TRY(lt_graph_dominators(session, graph, picture->root_node, picture->roots.list.count,
				   &dominators));
	LT_TRY(lt_graph_retained(session, graph, &dominators, node_size, &picture->graph,
				 &picture->retained));
	picture->dominator = LT_TAKE(dominators.dominator);
	return LT_OK;
}

enum lt_status lt_picture_ways(struct lt_picture *picture)
{
	struct lt_session *session = picture->session;
	const struct lt_graph *graph = &picture->graph.graph;
	const struct lt_types *types = picture->types;
	uint32_t type_count = lt_types_count(types);
	size_t room = (size_t)graph->node_count + 1;
	LT_FREE uint8_t *of_type = malloc((size_t)type_count + 1);
	LT_FREE uint8_t *leave = malloc(room);
	LT_FREE uint8_t *start = malloc(picture->roots.list.count + 1);
	if (of_type == NULL || leave == NULL || start == NULL)
		return lt_fail_memory(session);
	for (uint32_t t = 0; t < type_count; t++)
		of_type[t] = lt_picture_step_cost(lt_types_at(types, t));
	for (uint32_t node = 0; node < graph->node_count; node++) {
		uint32_t type = lt_heap_graph_type(&picture->graph, node);
		leave[node] = type < type_count ? of_type[type] : lt_picture_step_cost(NULL);
	}
	for (size_t r = 0; r < picture->roots.list.count; r++)
		start[r] = start_cost[picture->roots.list.data[r].kind];
	LT_FREE uint32_t *cost = NULL;
	return lt_graph_cheapest(session, graph, picture->root_node, start,
				 picture->roots.list.count, NULL, leave, &picture->parent, &cost);
}

enum lt_status lt_picture_totals(const struct lt_picture *picture,
				 struct lt_type_totals *ret_totals)
{
	struct lt_session *session = picture->session;
	const struct lt_types *types = picture->types;
	uint32_t type_count = lt_types_count(types);
	LT_CLEANUP(lt_type_totals_deinit) struct lt_type_totals totals = {0};
	if (!lt_type_totals_reserve(&totals, type_count))
		return lt_fail_memory(session);
	for (uint32_t t = 0; t < type_count; t++)
		totals.data[t] = (struct lt_type_total){.type = lt_types_at(types, t)};
	totals.count = type_count;
	for (uint32_t node = 0; node < picture->graph.graph.node_count; node++) {
		uint32_t type = lt_heap_graph_type(&picture->graph, node);
		if (type >= type_count)
			continue;
		totals.data[type].count++;
		totals.data[type].bytes += lt_heap_graph_size(&picture->graph, node);
	}
	*ret_totals = totals;
	totals = (struct lt_type_totals){0};
	return LT_OK;
}

const struct lt_type *lt_picture_type(const struct lt_picture *picture, uint32_t node)
{
	const struct lt_types *types = picture->types;
	uint32_t type = lt_heap_graph_type(&picture->graph, node);
	return type < lt_types_count(types) ? lt_types_at(types, type) : NULL;
}

lt_addr lt_picture_address(const struct lt_picture *picture, uint32_t node)
{
	return lt_heap_graph_address(&picture->graph, node);
}

const struct lt_type *lt_picture_type_of_class(const struct lt_picture *picture, uint32_t node)
{
	const struct lt_type *own = lt_picture_type(picture, node);
	return own != NULL && own->is_type_type
		       ? lt_types_get(picture->types, lt_picture_address(picture, node))
		       : NULL;
}

void lt_picture_refs(const struct lt_picture *picture, uint32_t node, struct lt_refs *refs)
{
	if (picture->source.ops == NULL || node >= picture->graph.graph.node_count)
		return;
	size_t first = refs->count;
	picture->source.ops->refs(picture->source.ctx, node, refs);
	size_t kept = first;
	for (size_t i = first; i < refs->count; i++) {
		if (lt_heap_graph_find(&picture->graph, refs->data[i].to) != LT_NO_NODE)
			refs->data[kept++] = refs->data[i];
	}
	refs->count = kept;
}

struct some {
	const struct lt_picture *picture;
	struct lt_refs *kept;
	size_t limit;
};

static void keep_some(void *ctx, struct lt_refs *part)
{
	struct some *some = ctx;
	for (size_t i = 0; i < part->count && some->kept->count < some->limit; i++) {
		if (lt_heap_graph_find(&some->picture->graph, part->data[i].to) != LT_NO_NODE)
			(void)lt_refs_push(some->kept, part->data[i]);
	}
	part->count = 0;
}

void lt_picture_refs_some(const struct lt_picture *picture, uint32_t node, size_t limit,
			  struct lt_refs *refs)
{
	LT_CLEANUP(lt_refs_deinit) struct lt_refs part = {0};
	struct some some = {.picture = picture, .kept = refs, .limit = refs->count + limit};
	struct lt_decoder *decoder = picture->heap != NULL ? lt_heap_decoder(picture->heap) : NULL;
	if (decoder != NULL)
		lt_decoder_set_part(decoder, keep_some, &some);
	lt_picture_refs(picture, node, &part);
	if (decoder != NULL)
		lt_decoder_set_part(decoder, NULL, NULL);
	keep_some(&some, &part);
}

bool lt_picture_number(const struct lt_picture *picture, uint32_t node, enum lt_detail detail,
		       int64_t *ret_value)
{
	return picture->source.ops != NULL && node < picture->graph.graph.node_count &&
	       picture->source.ops->number(picture->source.ctx, node, detail, ret_value);
}

bool lt_picture_text(const struct lt_picture *picture, uint32_t node, enum lt_detail detail,
		     struct lt_text *text)
{
	return picture->source.ops != NULL && node < picture->graph.graph.node_count &&
	       picture->source.ops->text(picture->source.ctx, node, detail, text);
}

uint32_t lt_picture_walk(const struct lt_picture *picture, uint32_t node)
{
	if (picture->source.ops == NULL || picture->source.ops->walk == NULL)
		return picture->graph.graph.node_count;
	return picture->source.ops->walk(picture->source.ctx, node);
}

bool lt_picture_derives(const struct lt_picture *picture, const struct lt_type *type,
			const char *module, const char *name)
{
	for (int depth = 0; type != NULL && depth < BASES_MAX; depth++) {
		if (strcmp(type->name, name) == 0 && strcmp(type->module, module) == 0)
			return true;
		type = type->base != 0 ? lt_types_get(picture->types, type->base) : NULL;
	}
	return false;
}
