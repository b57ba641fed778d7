/*
 * Dominators by the semi-NCA method of L. Georgiadis ("Linear-Time Algorithms for Dominators and
 * Related Problems", 2005): semidominators by path compression as Lengauer and Tarjan do, then each
 * immediate dominator as the nearest common ancestor of the tree parent and the semidominator, found
 * by walking up the dominators made so far. Near linear on the graphs of heaps.
 *
 * All work is on preorder numbers; number 0 is the virtual root. Explicit stacks, no recursion: a
 * linked list in a target is a path of millions of nodes.
 */
#include "base/cleanup.h"
#include "graph/graph.h"

#include <stdlib.h>

struct work {
	uint32_t *number; /* node -> preorder number, 0: not reached */
	uint32_t *parent; /* number -> number of its parent in the depth-first tree */
	uint32_t *semi;   /* number -> number of its semidominator */
	uint32_t *label;  /* number -> the ancestor of least semi on the compressed path */
	uint32_t
		*ancestor; /* number -> where the compressed path goes on; holds dominators later */
};

static void work_deinit(struct work *work)
{
	free(work->number);
	free(work->parent);
	free(work->semi);
	free(work->label);
	free(work->ancestor);
}

/* Numbers the nodes in depth-first preorder. order[i] is the node of number i + 1. */
static bool number_nodes(const struct lt_graph *graph, const uint32_t *roots, size_t root_count,
			 struct work *work, uint32_t *order, uint32_t *ret_reached)
{
	/* How many edges of each node on the stack are done; the stack itself is the chain of parents. */
	LT_FREE uint32_t *next = malloc(((size_t)graph->node_count + 1) * sizeof(*next));
	if (next == NULL)
		return false;
	uint32_t reached = 0;
	for (size_t r = 0; r < root_count; r++) {
		if (roots[r] >= graph->node_count || work->number[roots[r]] != 0)
			continue;
		uint32_t node = roots[r];
		order[reached++] = node;
		work->number[node] = reached;
		work->parent[reached] = 0;
		next[reached] = 0;
		uint32_t at = reached;
		while (at != 0) {
			node = order[at - 1];
			uint64_t degree = graph->out.first[node + 1] - graph->out.first[node];
			const uint32_t *target = graph->out.target + graph->out.first[node];
			uint32_t child = LT_GRAPH_NONE;
			while (next[at] < degree && child == LT_GRAPH_NONE) {
				uint32_t to = target[next[at]++];
				if (work->number[to] == 0)
					child = to;
			}
			if (child == LT_GRAPH_NONE) {
				at = work->parent[at];
				continue;
			}
			order[reached++] = child;
			work->number[child] = reached;
			work->parent[reached] = at;
			next[reached] = 0;
			at = reached;
		}
	}
	*ret_reached = reached;
	return true;
}

/*
 * What an edge from v offers as semidominator: v itself while it is not processed (number at most
 * `last`), else the least semi on the path from v up through processed nodes. The path is compressed;
 * on the way up its links are turned round, so that the way down needs no stack.
 */
static uint32_t evaluate(struct work *work, uint32_t v, uint32_t last)
{
	if (v <= last)
		return v;
	uint32_t below = 0; /* 0 is the virtual root: never below anything */
	uint32_t at = v;
	while (work->ancestor[at] > last) {
		uint32_t up = work->ancestor[at];
		work->ancestor[at] = below;
		below = at;
		at = up;
	}
	while (below != 0) {
		uint32_t down = work->ancestor[below];
		if (work->semi[work->label[at]] < work->semi[work->label[below]])
			work->label[below] = work->label[at];
		work->ancestor[below] = work->ancestor[at];
		at = below;
		below = down;
	}
	return work->semi[work->label[v]];
}

enum lt_status lt_graph_dominators(struct lt_session *session, struct lt_graph *graph,
				   const uint32_t *roots, size_t root_count,
				   struct lt_dominators *ret_dominators)
{
	size_t room = (size_t)graph->node_count + 1;
	LT_CLEANUP(work_deinit)
	struct work work = {
		.number = calloc(room, sizeof(uint32_t)),
		.parent = malloc(room * sizeof(uint32_t)),
	};
	LT_FREE uint32_t *order = malloc(room * sizeof(*order));
	if (work.number == NULL || work.parent == NULL || order == NULL)
		return lt_fail_memory(session);
	uint32_t reached = 0;
	if (!number_nodes(graph, roots, root_count, &work, order, &reached))
		return lt_fail_memory(session);
	/* From here on only predecessors count: the successors make room for the arrays below. */
	LT_TRY(lt_graph_reverse(session, graph));
	free(graph->out.first);
	free(graph->out.target);
	graph->out = (struct lt_rows){0};

	size_t used = (size_t)reached + 1;
	work.semi = malloc(used * sizeof(uint32_t));
	work.label = malloc(used * sizeof(uint32_t));
	work.ancestor = malloc(used * sizeof(uint32_t));
	if (work.semi == NULL || work.label == NULL || work.ancestor == NULL)
		return lt_fail_memory(session);
	for (uint32_t i = 0; i < used; i++) {
		work.semi[i] = i;
		work.label[i] = i;
		work.ancestor[i] = i == 0 ? 0 : work.parent[i];
	}
	/* The virtual root is a predecessor of every root. */
	for (size_t r = 0; r < root_count; r++) {
		if (roots[r] < graph->node_count)
			work.semi[work.number[roots[r]]] = 0;
	}
	for (uint32_t w = reached; w >= 1; w--) {
		uint32_t node = order[w - 1];
		uint32_t least = work.semi[w] == 0 ? 0 : work.parent[w];
		for (uint64_t e = graph->in.first[node];
		     e < graph->in.first[node + 1] && least != 0; e++) {
			uint32_t v = work.number[graph->in.target[e]];
			if (v == 0)
				continue;
			uint32_t semi = evaluate(&work, v, w);
			if (semi < least)
				least = semi;
		}
		work.semi[w] = least;
	}
	free(graph->in.first);
	free(graph->in.target);
	graph->in = (struct lt_rows){0};
	/* The paths are no longer needed: the same array takes the dominators, parents to begin with. */
	uint32_t *dominator = work.ancestor;
	dominator[0] = 0;
	for (uint32_t w = 1; w < used; w++) {
		uint32_t up = work.parent[w];
		while (up > work.semi[w])
			up = dominator[up];
		dominator[w] = up;
	}
	/* `number` is not needed beyond here: it becomes the result, by node. */
	uint32_t *result = work.number;
	for (uint32_t node = 0; node < graph->node_count; node++) {
		uint32_t up = result[node] == 0 ? 0 : dominator[result[node]];
		result[node] = up == 0 ? LT_GRAPH_NONE : order[up - 1];
	}
	uint32_t *smaller = realloc(order, used * sizeof(*order));
	if (smaller != NULL)
		order = smaller;
	*ret_dominators = (struct lt_dominators){
		.dominator = LT_TAKE(work.number),
		.order = LT_TAKE(order),
		.reachable = reached,
	};
	return LT_OK;
}

void lt_dominators_deinit(struct lt_dominators *dominators)
{
	free(dominators->dominator);
	free(dominators->order);
	*dominators = (struct lt_dominators){0};
}

enum lt_status lt_graph_retained(struct lt_session *session, const struct lt_graph *graph,
				 const struct lt_dominators *dominators,
				 uint64_t (*size)(void *ctx, uint32_t node), void *ctx,
				 uint64_t **ret_retained)
{
	uint64_t *retained = malloc(((size_t)graph->node_count + 1) * sizeof(*retained));
	if (retained == NULL)
		return lt_fail_memory(session);
	for (uint32_t node = 0; node < graph->node_count; node++)
		retained[node] = size(ctx, node);
	/* Preorder numbers a dominator before what it dominates, so backwards each sum is complete. */
	for (uint32_t i = dominators->reachable; i-- > 0;) {
		uint32_t node = dominators->order[i];
		uint32_t up = dominators->dominator[node];
		if (up != LT_GRAPH_NONE)
			retained[up] += retained[node];
	}
	*ret_retained = retained;
	return LT_OK;
}
