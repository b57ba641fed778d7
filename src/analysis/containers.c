#include "analysis/containers.h"

#include "analysis/expression.h"
#include "base/cleanup.h"

#include <string.h>

enum {
	CANDIDATES = 512,       /* the heaviest containers that are looked at closely */
	TUPLE_LENGTH_MIN = 100, /* shorter ones are records, not collections */
	DOMINATORS_MAX = 4096,  /* steps up the dominators of one candidate */
};

/* A container is passed over for one below it that holds this much of it. */
static const double WRAPPER_SHARE = 0.8;
/* Unless what it holds beside is more than this share of the heap. */
static const double OWN_SHARE = 0.05;

bool lt_container_length(const struct lt_picture *picture, uint32_t node, uint64_t *ret_length)
{
	int64_t length;
	if (!lt_picture_number(picture, node, LT_DETAIL_LENGTH, &length))
		return false;
	*ret_length = length < 0 ? 0 : (uint64_t)length;
	return true;
}

struct candidate {
	uint32_t node;
	uint64_t held;
	bool skipped;
};

static bool container_kind(enum lt_kind kind)
{
	switch (kind) {
	case LT_KIND_DICT:
	case LT_KIND_FROZENDICT:
	case LT_KIND_ORDERED_DICT:
	case LT_KIND_DEFAULT_DICT:
	case LT_KIND_LIST:
	case LT_KIND_TUPLE:
	case LT_KIND_DEQUE:
	case LT_KIND_SET:
	case LT_KIND_LRU_CACHE:
		return true;
	default:
		return false;
	}
}

/* A heap of the heaviest: the least of them is at the top, to be replaced. */
static void sift_down(struct candidate *heap, size_t count)
{
	size_t at = 0;
	for (;;) {
		size_t least = at;
		for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < count; child++) {
			if (heap[child].held < heap[least].held)
				least = child;
		}
		if (least == at)
			return;
		struct candidate swap = heap[at];
		heap[at] = heap[least];
		heap[least] = swap;
		at = least;
	}
}

static void keep_heaviest(struct candidate *heap, size_t *count, struct candidate candidate)
{
	if (*count == CANDIDATES) {
		if (candidate.held <= heap[0].held)
			return;
		heap[0] = candidate;
		sift_down(heap, *count);
		return;
	}
	size_t at = (*count)++;
	heap[at] = candidate;
	while (at > 0 && heap[(at - 1) / 2].held > heap[at].held) {
		struct candidate swap = heap[at];
		heap[at] = heap[(at - 1) / 2];
		heap[(at - 1) / 2] = swap;
		at = (at - 1) / 2;
	}
}

static int by_held(const void *left, const void *right)
{
	const struct candidate *a = left, *b = right;
	if (a->held != b->held)
		return a->held < b->held ? 1 : -1;
	return a->node < b->node ? -1 : a->node > b->node;
}

static size_t collect(const struct lt_picture *picture, struct candidate *heap)
{
	const struct lt_types *types = picture->types;
	uint32_t type_count = lt_types_count(types);
	size_t count = 0;
	for (uint32_t node = 0; node < picture->graph.graph.node_count; node++) {
		uint32_t index = lt_heap_graph_type(&picture->graph, node);
		if (index >= type_count || !picture->alive[node])
			continue;
		enum lt_kind kind = lt_types_at(types, index)->kind;
		if (!container_kind(kind) ||
		    (count == CANDIDATES && picture->retained[node] <= heap[0].held))
			continue;
		uint64_t length;
		if (kind == LT_KIND_TUPLE &&
		    (!lt_container_length(picture, node, &length) || length < TUPLE_LENGTH_MIN))
			continue;
		keep_heaviest(heap, &count,
			      (struct candidate){.node = node, .held = picture->retained[node]});
	}
	qsort(heap, count, sizeof(*heap), by_held);
	return count;
}

bool lt_container_is_names(const struct lt_picture *picture, struct lt_expressions *expressions,
			   uint32_t node)
{
	uint32_t parent = picture->parent[node];
	if (parent == LT_GRAPH_NONE) {
		for (size_t r = 0; r < picture->roots.list.count; r++) {
			enum lt_root_kind kind = picture->roots.list.data[r].kind;
			if (picture->root_node[r] == node && kind != LT_ROOT_LOCAL &&
			    kind != LT_ROOT_STATIC && kind != LT_ROOT_STACK &&
			    kind != LT_ROOT_EXTERNAL && kind != LT_ROOT_NAMED)
				return true;
		}
		return false;
	}
	struct lt_ref ref;
	const struct lt_type *owner = lt_picture_type(picture, parent);
	if (owner == NULL || !lt_expression_ref(expressions, parent, node, &ref))
		return false;
	uint32_t above = picture->parent[parent];
	const struct lt_type *above_type =
		above != LT_GRAPH_NONE ? lt_picture_type(picture, above) : NULL;
	if (above_type != NULL && above_type->kind == LT_KIND_THREAD_LOCAL &&
	    owner->kind == LT_KIND_DICT)
		return true; /* of one thread */
	return ref.kind == LT_REF_DICT ||
	       (ref.kind == LT_REF_MEMBER &&
		(ref.index == LT_MEMBER_attributes || ref.index == LT_MEMBER_instance_attributes ||
		 ref.index == LT_MEMBER_globals || ref.index == LT_MEMBER_frame_globals ||
		 ref.index == LT_MEMBER_frame_locals || ref.index == LT_MEMBER_builtins ||
		 ref.index == LT_MEMBER_subclasses || ref.index == LT_MEMBER_local_dicts));
}

/* What is not a container to its user: namespaces, internals of others, what only the interpreter holds. */
static void classify(const struct lt_picture *picture, struct lt_expressions *expressions,
		     struct candidate *candidate)
{
	uint32_t parent = picture->parent[candidate->node];
	const struct lt_type *owner =
		parent != LT_GRAPH_NONE ? lt_picture_type(picture, parent) : NULL;
	candidate->skipped = (owner != NULL && owner->kind == LT_KIND_LRU_CACHE) ||
			     lt_container_is_names(picture, expressions, candidate->node);
}

/* Passes over containers that only wrap a narrower one. `list` is sorted, heaviest first. */
static enum lt_status skip_wrappers(const struct lt_picture *picture, struct candidate *list,
				    size_t count)
{
	LT_CLEANUP(lt_map_deinit) struct lt_map by_node = {0};
	for (size_t i = 0; i < count; i++) {
		if (!list[i].skipped && !lt_map_put(&by_node, list[i].node, i))
			return lt_fail_memory(picture->session);
	}
	double heap = (double)picture->graph.total_bytes;
	for (size_t i = 0; i < count; i++) {
		if (list[i].skipped &&
		    lt_picture_type(picture, list[i].node)->kind != LT_KIND_LRU_CACHE)
			continue;
		uint32_t up = picture->dominator[list[i].node];
		for (int step = 0; up != LT_GRAPH_NONE && step < DOMINATORS_MAX; step++) {
			uint64_t index;
			if (lt_map_get(&by_node, up, &index)) {
				double above = (double)list[index].held,
				       below = (double)list[i].held;
				if (below >= WRAPPER_SHARE * above &&
				    above - below < OWN_SHARE * heap)
					list[index].skipped = true;
				break;
			}
			up = picture->dominator[up];
		}
	}
	return LT_OK;
}

static const char *keep(struct lt_arena *strings, const char *text)
{
	const char *copy = lt_arena_copy(strings, text, strlen(text));
	return copy != NULL ? copy : "";
}

enum lt_status lt_containers_find(const struct lt_picture *picture,
				  struct lt_expressions *expressions, size_t limit,
				  struct lt_arena *strings, struct lt_container **ret_containers,
				  size_t *ret_count)
{
	struct lt_session *session = picture->session;
	LT_FREE struct candidate *list = calloc(CANDIDATES, sizeof(*list));
	LT_FREE struct lt_container *containers = calloc(limit + 1, sizeof(*containers));
	if (list == NULL || containers == NULL)
		return lt_fail_memory(session);
	size_t count = collect(picture, list);
	for (size_t i = 0; i < count; i++)
		classify(picture, expressions, &list[i]);
	LT_TRY(skip_wrappers(picture, list, count));

	size_t kept = 0;
	double heap = picture->graph.total_bytes > 0 ? (double)picture->graph.total_bytes : 1;
	for (size_t i = 0; i < count && kept < limit; i++) {
		uint32_t node = list[i].node;
		uint64_t length = 0;
		if (list[i].skipped || !lt_container_length(picture, node, &length) || length == 0)
			continue;
		const struct lt_type *type = lt_picture_type(picture, node);
		LT_CLEANUP(lt_text_deinit) struct lt_text expression = {0};
		LT_CLEANUP(lt_text_deinit) struct lt_text where = {0};
		lt_expression_write(expressions, node, &expression, &where);
		containers[kept++] = (struct lt_container){
			.type = type->kind == LT_KIND_LRU_CACHE ? "lru_cache"
								: keep(strings, type->name),
			.module = keep(strings, type->module),
			.expression = keep(strings, lt_text_get(&expression)),
			.where = keep(strings, lt_text_get(&where)),
			.length = length,
			.bytes = lt_heap_graph_size(&picture->graph, node),
			.held = list[i].held,
			.share = (double)list[i].held / heap,
			.address = lt_picture_address(picture, node),
		};
	}
	*ret_containers = LT_TAKE(containers);
	*ret_count = kept;
	return LT_OK;
}
