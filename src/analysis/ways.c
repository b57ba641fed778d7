#include "analysis/ways.h"

#include "analysis/expression.h"
#include "analysis/tasks.h"
#include "base/cleanup.h"

#include <string.h>

enum {
	WAYS_MOST = 1 << 20, /* beyond it a way stands also for what leads on from it */
	RANK_NONE = 255,
};

static uint64_t mix(uint64_t hash, uint64_t value)
{
	hash = (hash ^ value) * 0x9e3779b97f4a7c15;
	return hash ^ hash >> 29;
}

static uint64_t hash_text(const char *text)
{
	uint64_t hash = 0xcbf29ce484222325;
	for (; *text != '\0'; text++)
		hash = (hash ^ (uint8_t)*text) * 0x100000001b3;
	return hash;
}

void lt_ways_deinit(struct lt_ways *ways)
{
	lt_way_list_deinit(&ways->list);
	lt_map_deinit(&ways->index);
	lt_map_deinit(&ways->steps);
	lt_map_deinit(&ways->names);
	free(ways->of);
	*ways = (struct lt_ways){0};
}

/* A hash of the text of a str, so that equal names are equal steps. */
static uint64_t name_hash(struct lt_ways *ways, const struct lt_picture *picture, lt_addr name)
{
	uint64_t hash = 0;
	if (lt_map_get(&ways->names, name, &hash))
		return hash;
	LT_CLEANUP(lt_text_deinit) struct lt_text text = {0};
	uint32_t node = lt_heap_graph_find(&picture->graph, name);
	hash = name;
	if (node != LT_NO_NODE && lt_picture_text(picture, node, LT_DETAIL_STRING, &text))
		hash = hash_text(lt_text_get(&text));
	(void)lt_map_put(&ways->names, name, hash); /* only saves time */
	return hash;
}

/* A small number for a hash: they are handed out as they come. */
static uint32_t number_of(struct lt_ways *ways, uint64_t hash)
{
	uint64_t *number = lt_map_at(&ways->steps, hash, ways->steps.count + 1);
	return number != NULL && *number < UINT32_MAX ? (uint32_t)*number : LT_NO_WAY;
}

static bool leads_to_names(const struct lt_ref *ref)
{
	return ref->kind == LT_REF_DICT ||
	       (ref->kind == LT_REF_MEMBER && (ref->index == LT_MEMBER_attributes ||
					       ref->index == LT_MEMBER_instance_attributes));
}

static bool is_modules(const struct lt_picture *picture, uint32_t from, const struct lt_ref *ref)
{
	uint32_t to = lt_heap_graph_find(&picture->graph, ref->to);
	const struct lt_type *type = to != LT_NO_NODE ? lt_picture_type(picture, to) : NULL;
	return type != NULL && type->kind == LT_KIND_MODULE &&
	       picture->parent[from] == LT_GRAPH_NONE;
}

uint32_t lt_ways_step(struct lt_ways *ways, const struct lt_picture *picture, uint32_t way,
		      uint32_t from, const struct lt_ref *ref)
{
	const struct lt_way *here = &ways->list.data[way];
	uint64_t hash = mix(1, (uint64_t)ref->kind);
	switch (ref->kind) {
	case LT_REF_VALUE:
		if (here->names || is_modules(picture, from, ref))
			hash = mix(2, name_hash(ways, picture, ref->name));
		else if (here->threads)
			hash = 3;
		break;
	case LT_REF_ATTRIBUTE:
		hash = mix(2, name_hash(ways, picture, ref->name));
		break;
	case LT_REF_SLOT:
		hash = mix(hash,
			   (uint64_t)lt_heap_graph_type(&picture->graph, from) << 32 | ref->index);
		break;
	case LT_REF_MEMBER:
	case LT_REF_LOCAL:
	case LT_REF_CONSERVATIVE:
		hash = mix(hash, ref->index);
		break;
	case LT_REF_ITEM:
		/* A list of items and a dict of values are both written [*]. */
		hash = mix(1, (uint64_t)LT_REF_VALUE);
		break;
	default:
		break;
	}
	if (leads_to_names(ref))
		hash = 4;
	if (ref->kind == LT_REF_MEMBER && ref->index == LT_MEMBER_local_dicts)
		hash = 5;
	return number_of(ways, hash);
}

/* The way one step on. A step or two that were taken three times in a row lead no further. */
static uint32_t go_on(struct lt_ways *ways, uint32_t way, uint32_t step, const struct lt_ref *ref)
{
	enum { BACK = 6 };
	uint32_t last[BACK], at = way;
	size_t known = 0;
	for (; known < BACK && at != LT_NO_WAY && ways->list.data[at].above != LT_NO_WAY; known++) {
		last[known] = at;
		at = ways->list.data[at].above;
	}
	const struct lt_way *list = ways->list.data;
#define STEP(i) (list[last[i]].step)
	if (known >= 3 && STEP(0) == step && STEP(1) == step && STEP(2) == step) {
		ways->list.data[way].repeats = true;
		return way;
	}
	if (known >= 6 && STEP(1) == step && STEP(3) == step && STEP(5) == step &&
	    STEP(2) == STEP(0) && STEP(4) == STEP(0)) {
		ways->list.data[last[1]].repeats = true;
		return last[1];
	}
#undef STEP
	uint64_t key = (uint64_t)way << 32 | step;
	uint64_t found = LT_NO_WAY;
	if (lt_map_get(&ways->index, key, &found))
		return (uint32_t)found;
	if (ways->list.count >= WAYS_MOST) {
		ways->list.data[way].repeats = true;
		return way;
	}
	struct lt_way next = {
		.above = way, .step = step, .example = LT_NO_NODE, .gap = list[way].gap};
	if (ref != NULL) {
		next.gap = next.gap || lt_task_gap(ref);
		next.names =
			leads_to_names(ref) || (ref->kind == LT_REF_VALUE && list[way].threads);
		next.threads = ref->kind == LT_REF_MEMBER && ref->index == LT_MEMBER_local_dicts;
	}
	found = ways->list.count;
	if (!lt_way_list_push(&ways->list, next) || !lt_map_put(&ways->index, key, found))
		return LT_NO_WAY;
	return (uint32_t)found;
}

static uint64_t root_hash(const struct lt_picture *picture, const struct lt_root *root)
{
	uint64_t hash = mix(6, (uint64_t)root->kind);
	if (root->kind == LT_ROOT_LOCAL || root->kind == LT_ROOT_FRAME) {
		if (root->frame < picture->roots.frames.count)
			hash = mix(hash, picture->roots.frames.data[root->frame].code);
		if (root->kind == LT_ROOT_LOCAL)
			hash = mix(hash, root->index);
	} else if (root->name != NULL && root->kind < LT_ROOT_STATE) {
		hash = mix(hash, hash_text(root->name));
	}
	return mix(hash, root->interpreter);
}

/* Ways of the roots among the nodes, each with its best root. */
static bool begin_at_roots(struct lt_ways *ways, const struct lt_picture *picture,
			   const uint8_t *wanted)
{
	for (size_t r = 0; r < picture->roots.list.count; r++) {
		uint32_t node = picture->root_node[r];
		const struct lt_root *root = &picture->roots.list.data[r];
		if (node == LT_NO_NODE || !wanted[node] || picture->parent[node] != LT_GRAPH_NONE)
			continue;
		/* Until all roots are seen of[] holds the index of the best root, and one. */
		if (ways->of[node] == 0 ||
		    lt_picture_start_cost(root->kind) <
			    lt_picture_start_cost(
				    picture->roots.list.data[ways->of[node] - 1].kind))
			ways->of[node] = (uint32_t)r + 1;
	}
	for (size_t r = 0; r < picture->roots.list.count; r++) {
		uint32_t node = picture->root_node[r];
		if (node == LT_NO_NODE || ways->of[node] != r + 1)
			continue;
		uint32_t step = number_of(ways, root_hash(picture, &picture->roots.list.data[r]));
		uint32_t way = step != LT_NO_WAY ? go_on(ways, LT_NO_WAY, step, NULL) : LT_NO_WAY;
		if (way == LT_NO_WAY)
			return false;
		if (lt_task_root_gap(&picture->roots.list.data[r]))
			ways->list.data[way].gap = true;
		ways->of[node] = way | UINT32_C(1) << 31;
	}
	for (size_t r = 0; r < picture->roots.list.count; r++) {
		if (picture->root_node[r] != LT_NO_NODE)
			ways->of[picture->root_node[r]] &= ~(UINT32_C(1) << 31);
	}
	return true;
}

struct tree {
	uint32_t *first; /* children of node v: child[first[v] .. first[v + 1]) */
	uint32_t *child;
};

static void tree_deinit(struct tree *tree)
{
	free(tree->first);
	free(tree->child);
}

/* The tree of the ways downwards, marked nodes only. */
static bool make_tree(const struct lt_picture *picture, const uint8_t *wanted, struct tree *tree)
{
	uint32_t count = picture->graph.graph.node_count;
	uint32_t marked = 0;
	tree->first = calloc((size_t)count + 2, sizeof(*tree->first));
	if (tree->first == NULL)
		return false;
	for (uint32_t node = 0; node < count; node++) {
		if (wanted[node] && picture->parent[node] != LT_GRAPH_NONE) {
			tree->first[picture->parent[node]]++;
			marked++;
		}
	}
	tree->child = malloc(((size_t)marked + 1) * sizeof(*tree->child));
	if (tree->child == NULL)
		return false;
	uint32_t sum = 0;
	for (uint32_t node = 0; node <= count; node++) {
		sum += tree->first[node];
		tree->first[node] = sum;
	}
	for (uint32_t node = count; node-- > 0;) {
		if (wanted[node] && picture->parent[node] != LT_GRAPH_NONE)
			tree->child[--tree->first[picture->parent[node]]] = node;
	}
	return true;
}

/*
 * Where the ways of what a node leads to go on from: what a listed task holds is told from that task on when
 * Python code has no other way to it, and tasks that run the same code are alike.
 */
static uint32_t base_of(struct lt_ways *ways, const struct lt_picture *picture, uint32_t node)
{
	uint32_t way = ways->of[node];
	if (!ways->list.data[way].gap || lt_task_root(picture, node) == NULL)
		return way;
	uint32_t code = lt_task_code(picture, node);
	uint32_t step =
		number_of(ways, mix(8, code != LT_NO_NODE ? lt_picture_address(picture, code) : 0));
	return step != LT_NO_WAY ? go_on(ways, LT_NO_WAY, step, NULL) : LT_NO_WAY;
}

/* Gives the children of `node` their ways: each by the best of the references to it. */
static bool go_down(struct lt_ways *ways, const struct lt_picture *picture, const uint8_t *wanted,
		    const struct tree *tree, uint32_t node, uint8_t *rank, struct lt_refs *refs)
{
	uint32_t base = base_of(ways, picture, node);
	if (base == LT_NO_WAY)
		return false;
	refs->count = 0;
	lt_picture_refs(picture, node, refs);
	for (size_t i = 0; i < refs->count; i++) {
		const struct lt_ref *ref = &refs->data[i];
		uint32_t to = lt_heap_graph_find(&picture->graph, ref->to);
		if (to == LT_NO_NODE || !wanted[to] || picture->parent[to] != node || to == node)
			continue;
		int better = lt_expression_rank(ref);
		if (better >= rank[to])
			continue;
		rank[to] = (uint8_t)better;
		uint32_t step = lt_ways_step(ways, picture, base, node, ref);
		ways->of[to] = step != LT_NO_WAY ? go_on(ways, base, step, ref) : LT_NO_WAY;
		if (ways->of[to] == LT_NO_WAY)
			return false;
	}
	/* What the references do not tell: a torn read. */
	for (uint32_t c = tree->first[node]; c < tree->first[node + 1]; c++) {
		uint32_t child = tree->child[c];
		if (rank[child] != RANK_NONE)
			continue;
		uint32_t step = number_of(ways, 7);
		ways->of[child] = step != LT_NO_WAY ? go_on(ways, base, step, NULL) : LT_NO_WAY;
		if (ways->of[child] == LT_NO_WAY)
			return false;
	}
	return true;
}

enum lt_status lt_ways_find(const struct lt_picture *picture, uint8_t *wanted,
			    struct lt_ways *ret_ways)
{
	struct lt_session *session = picture->session;
	uint32_t count = picture->graph.graph.node_count;
	LT_CLEANUP(lt_ways_deinit) struct lt_ways ways = {0};
	LT_CLEANUP(tree_deinit) struct tree tree = {0};
	LT_CLEANUP(lt_refs_deinit) struct lt_refs refs = {0};
	for (uint32_t node = 0; node < count; node++) {
		if (wanted[node] != 1)
			continue;
		if (!picture->alive[node])
			wanted[node] = 0;
		/* 2: on the way to a wanted one; the way of what is marked is marked. */
		for (uint32_t at = node; wanted[at] != 0 && picture->parent[at] != LT_GRAPH_NONE;) {
			at = picture->parent[at];
			if (wanted[at] != 0)
				break;
			wanted[at] = 2;
		}
	}
	ways.of = calloc((size_t)count + 1, sizeof(*ways.of));
	LT_FREE uint8_t *rank = malloc((size_t)count + 1);
	LT_FREE uint32_t *queue = malloc(((size_t)count + 1) * sizeof(*queue));
	if (ways.of == NULL || rank == NULL || queue == NULL ||
	    !lt_way_list_push(&ways.list, (struct lt_way){.example = LT_NO_NODE}) ||
	    !make_tree(picture, wanted, &tree) || !begin_at_roots(&ways, picture, wanted))
		return lt_fail_memory(session);
	memset(rank, RANK_NONE, (size_t)count + 1);
	uint32_t tail = 0;
	for (uint32_t node = 0; node < count; node++) {
		if (wanted[node] && picture->parent[node] == LT_GRAPH_NONE)
			queue[tail++] = node;
	}
	for (uint32_t head = 0; head < tail; head++) {
		uint32_t node = queue[head];
		struct lt_way *way = &ways.list.data[ways.of[node]];
		if (wanted[node] == 1 && way->example == LT_NO_NODE)
			way->example = node;
		if (tree.first[node] == tree.first[node + 1])
			continue;
		if (!go_down(&ways, picture, wanted, &tree, node, rank, &refs))
			return lt_fail_memory(session);
		for (uint32_t c = tree.first[node]; c < tree.first[node + 1]; c++)
			queue[tail++] = tree.child[c];
	}
	*ret_ways = ways;
	ways = (struct lt_ways){0};
	return LT_OK;
}
