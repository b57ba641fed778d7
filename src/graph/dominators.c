/*
 * Dominators by the semi-NCA method of L. Georgiadis ("Linear-Time Algorithms for Dominators and
 * Related Problems", 2005): semidominators by path compression as Lengauer and Tarjan do, then each
 * immediate dominator as the nearest common ancestor of the tree parent and the semidominator, found
 * by walking up the dominators made so far. Near linear on the graphs of heaps.
 *
 * All work is on preorder numbers; number 0 is the virtual root. Explicit stacks, no recursion: a
 * linked list in a target is a path of millions of nodes.
 *
 * Preorder cuts the work down. A predecessor with a smaller number than its successor offers itself,
 * whatever comes later: of those, only the least is kept. Edges from larger numbers alone are turned
 * round and evaluated: those of the depth-first tree never are.
 *
 * Most objects refer to nothing. Such an end is on no way to others: it takes no part in all this, and its
 * dominator is the nearest common one of its predecessors in the tree of the others.
 */
#include "base/cleanup.h"
#include "base/vec.h"
#include "graph/graph_parts.h"

#include <stdlib.h>

/* Where the compressed path from a number leads, and the least semidominator on it. */
struct link {
	uint32_t ancestor; /* holds the dominator at last */
	uint32_t least;
};

enum { END = UINT32_MAX }; /* in place of a number */

struct work {
	uint32_t *number;    /* node -> preorder number, 0: not reached, END: an end that is */
	uint32_t *parent;    /* number -> number of its parent in the depth-first tree */
	uint32_t *semi;      /* number -> number of its semidominator */
	struct link *link;   /* of each number */
	struct lt_rows back; /* number -> the larger numbers among its predecessors */
	uint32_t reached;
};

static void work_deinit(struct work *work)
{
	free(work->number);
	free(work->parent);
	free(work->semi);
	free(work->link);
	lt_rows_deinit(&work->back);
}

/* A node on the way down, and how many of its edges are done. */
struct step {
	uint32_t node, done;
};
LT_VEC(steps, struct step);

static inline void give_number(struct work *work, uint32_t node, uint32_t parent)
{
	work->number[node] = ++work->reached;
	work->parent[work->reached] = parent;
}

/* What is looked at soon is asked for early: the nodes of a heap lie anywhere. */
static inline void ask_for_numbers(const struct work *work, struct lt_row row)
{
	enum { AHEAD = 16 };
	for (uint32_t i = 0; i < AHEAD && row.begin + i < row.end; i++)
		__builtin_prefetch(&work->number[row.begin[i]], 1);
}

/* Numbers what a root reaches, in depth-first preorder. */
static bool number_from(const struct lt_graph *graph, uint32_t root, struct work *work,
			struct steps *steps)
{
	uint32_t node = root;
	struct lt_row row = lt_row(&graph->out, node);
	if (row.begin == row.end) {
		work->number[root] = END;
		return true;
	}
	give_number(work, root, 0);
	uint32_t at = work->reached;
	const uint32_t *next = row.begin;
	steps->count = 0;
	for (;;) {
		uint32_t to = node;
		struct lt_row below = {0};
		while (next < row.end && below.begin == below.end) {
			to = *next++;
			if (work->number[to] != 0)
				continue;
			below = lt_row(&graph->out, to);
			if (below.begin == below.end)
				work->number[to] = END;
			else
				give_number(work, to, at);
		}
		if (below.begin != below.end) {
			ask_for_numbers(work, below);
			struct step step = {.node = node, .done = (uint32_t)(next - row.begin)};
			if (!steps_push(steps, step))
				return false;
			at = work->reached;
			node = to;
			row = below;
			next = row.begin;
			continue;
		}
		if (steps->count == 0)
			return true;
		struct step step = steps->data[--steps->count];
		at = work->parent[at];
		node = step.node;
		row = lt_row(&graph->out, node);
		next = row.begin + step.done;
	}
}

static bool number_nodes(const struct lt_graph *graph, const uint32_t *roots, size_t root_count,
			 struct work *work)
{
	LT_CLEANUP(steps_deinit) struct steps steps = {0};
	for (size_t r = 0; r < root_count; r++) {
		if (roots[r] < graph->node_count && work->number[roots[r]] == 0 &&
		    !number_from(graph, roots[r], work, &steps))
			return false;
	}
	return true;
}

/* Fills semi[] with the least predecessors, as far as they are smaller, and turns the other edges round. */
static enum lt_status turn_edges(struct lt_session *session, const struct lt_graph *graph,
				 struct work *work)
{
	size_t used = (size_t)work->reached + 1;
	struct lt_rows *back = &work->back;
	back->wide = graph->out.wide;
	back->first = calloc(used + 1, back->wide ? sizeof(uint64_t) : sizeof(uint32_t));
	work->semi = malloc(used * sizeof(*work->semi));
	if (back->first == NULL || work->semi == NULL)
		return lt_fail_memory(session);
	for (uint32_t i = 0; i < used; i++)
		work->semi[i] = work->parent[i];
	/* In the order of the nodes, not of the numbers: so the rows are read from first to last. */
	for (uint32_t node = 0; node < graph->node_count; node++) {
		uint32_t from = work->number[node];
		if (from == 0 || from == END)
			continue;
		struct lt_row row = lt_row(&graph->out, node);
		for (const uint32_t *to = row.begin; to < row.end; to++) {
			uint32_t number = work->number[*to];
			if (from > number)
				lt_row_count(back, number);
			else if (number != END && from < work->semi[number])
				work->semi[number] = from;
		}
	}
	uint64_t edges = lt_rows_sum(back, work->reached + 1);
	back->target = malloc((edges + 1) * sizeof(*back->target));
	if (back->target == NULL)
		return lt_fail_memory(session);
	for (uint32_t node = 0; node < graph->node_count; node++) {
		uint32_t from = work->number[node];
		if (from == 0 || from == END)
			continue;
		struct lt_row row = lt_row(&graph->out, node);
		for (const uint32_t *to = row.begin; to < row.end; to++) {
			if (from > work->number[*to])
				lt_row_put(back, work->number[*to], from);
		}
	}
	return LT_OK;
}

/*
 * What an edge from v offers as semidominator, v being processed (number above `last`): the least one on
 * the path from v up through processed nodes. The path is compressed; on the way up its links are turned
 * round, so that the way down needs no stack.
 */
static inline uint32_t evaluate(struct link *link, uint32_t v, uint32_t last)
{
	uint32_t below = 0; /* 0 is the virtual root: never below anything */
	uint32_t at = v;
	while (link[at].ancestor > last) {
		uint32_t up = link[at].ancestor;
		link[at].ancestor = below;
		below = at;
		at = up;
	}
	while (below != 0) {
		uint32_t down = link[below].ancestor;
		if (link[at].least < link[below].least)
			link[below].least = link[at].least;
		link[below].ancestor = link[at].ancestor;
		at = below;
		below = down;
	}
	return link[v].least;
}

static void find_semidominators(struct work *work)
{
	for (uint32_t w = work->reached; w >= 1; w--) {
		uint32_t least = work->semi[w];
		struct lt_row row = lt_row(&work->back, w);
		for (const uint32_t *from = row.begin; from < row.end && least != 0; from++) {
			uint32_t semi = evaluate(work->link, *from, w);
			if (semi < least)
				least = semi;
		}
		work->semi[w] = least;
		work->link[w].least = least;
	}
}

/* Each immediate dominator, into link[].ancestor: the paths are no longer needed. */
static void find_dominators(struct work *work)
{
	work->link[0].ancestor = 0;
	for (uint32_t w = 1; w <= work->reached; w++) {
		uint32_t up = work->parent[w];
		while (up > work->semi[w])
			up = work->link[up].ancestor;
		work->link[w].ancestor = up;
	}
}

/*
 * A walk of the dominator tree, so that "below" is a comparison: parent[] becomes the place of each number
 * in preorder of that tree, semi[] how many there are from it on.
 */
static void number_tree(struct work *work)
{
	uint32_t *place = work->parent, *extent = work->semi;
	for (uint32_t w = 0; w <= work->reached; w++)
		extent[w] = 1;
	for (uint32_t w = work->reached; w >= 1; w--)
		extent[work->link[w].ancestor] += extent[w];
	/* link[].least: the place of the next child. */
	place[0] = 0;
	work->link[0].least = 1;
	for (uint32_t w = 1; w <= work->reached; w++) {
		uint32_t up = work->link[w].ancestor;
		place[w] = work->link[up].least;
		work->link[up].least += extent[w];
		work->link[w].least = place[w] + 1;
	}
}

static inline bool is_below(const struct work *work, uint32_t w, uint32_t top)
{
	return work->parent[w] - work->parent[top] < work->semi[top];
}

/* The nearest dominator of both. Only from one of them on is the tree climbed. */
static inline uint32_t common(const struct work *work, uint32_t one, uint32_t other)
{
	if (is_below(work, one, other))
		return other;
	while (!is_below(work, other, one))
		one = work->link[one].ancestor;
	return one;
}

/* number[] of the ends becomes that of their dominators: 0 where the virtual root is it. */
static void find_dominators_of_ends(const struct lt_graph *graph, const uint32_t *roots,
				    size_t root_count, const uint64_t *is_end, struct work *work)
{
	for (size_t r = 0; r < root_count; r++) {
		if (roots[r] < graph->node_count && work->number[roots[r]] == END)
			work->number[roots[r]] = 0;
	}
	for (uint32_t node = 0; node < graph->node_count; node++) {
		uint32_t from = work->number[node];
		struct lt_row row = lt_row(&graph->out, node);
		if (from == 0)
			continue;
		for (const uint32_t *to = row.begin; to < row.end; to++) {
			if ((is_end[*to / 64] >> *to % 64 & 1) == 0)
				continue;
			uint32_t *best = &work->number[*to];
			*best = *best == END ? from : common(work, *best, from);
		}
	}
}

/* The results by node, from those by number. */
static enum lt_status give_results(struct lt_session *session, struct lt_graph *graph,
				   const uint32_t *roots, size_t root_count, struct work *work,
				   struct lt_dominators *ret_dominators)
{
	uint32_t nodes = graph->node_count;
	LT_FREE uint64_t *is_end = calloc((size_t)nodes / 64 + 1, sizeof(*is_end));
	if (is_end == NULL)
		return lt_fail_memory(session);
	uint32_t reachable = work->reached;
	for (uint32_t node = 0; node < nodes; node++) {
		if (work->number[node] == END) {
			is_end[node / 64] |= (uint64_t)1 << node % 64;
			reachable++;
		}
	}
	number_tree(work);
	find_dominators_of_ends(graph, roots, root_count, is_end, work);
	lt_graph_drop_edges(graph);
	uint32_t *order = calloc((size_t)reachable + 1, sizeof(*order));
	if (order == NULL)
		return lt_fail_memory(session);
	uint32_t ends = work->reached;
	for (uint32_t node = 0; node < nodes; node++) {
		if (is_end[node / 64] >> node % 64 & 1)
			order[ends++] = node;
		else if (work->number[node] != 0)
			order[work->number[node] - 1] = node;
	}
	uint32_t *dominator = LT_TAKE(work->number);
	for (uint32_t node = 0; node < nodes; node++) {
		uint32_t up = dominator[node];
		if (up != 0 && (is_end[node / 64] >> node % 64 & 1) == 0)
			up = work->link[up].ancestor;
		dominator[node] = up == 0 ? LT_GRAPH_NONE : order[up - 1];
	}
	*ret_dominators = (struct lt_dominators){
		.dominator = dominator,
		.order = order,
		.reachable = reachable,
	};
	return LT_OK;
}

enum lt_status lt_graph_dominators(struct lt_session *session, struct lt_graph *graph,
				   const uint32_t *roots, size_t root_count,
				   struct lt_dominators *ret_dominators)
{
	size_t room = (size_t)graph->node_count + 1;
	LT_CLEANUP(work_deinit)
	struct work work = {
		.number = calloc(room, sizeof(uint32_t)),
		.parent = calloc(room, sizeof(uint32_t)),
	};
	lt_rows_deinit(&graph->in);
	if (work.number == NULL || work.parent == NULL ||
	    !number_nodes(graph, roots, root_count, &work))
		return lt_fail_memory(session);
	LT_TRY(turn_edges(session, graph, &work));
	/* The virtual root is a predecessor of every root. */
	for (size_t r = 0; r < root_count; r++) {
		if (roots[r] < graph->node_count && work.number[roots[r]] != END)
			work.semi[work.number[roots[r]]] = 0;
	}
	size_t used = (size_t)work.reached + 1;
	work.link = calloc(used, sizeof(*work.link));
	if (work.link == NULL)
		return lt_fail_memory(session);
	for (uint32_t i = 0; i < used; i++)
		work.link[i] = (struct link){.ancestor = work.parent[i], .least = i};
	find_semidominators(&work);
	lt_rows_deinit(&work.back);
	find_dominators(&work);
	return give_results(session, graph, roots, root_count, &work, ret_dominators);
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
	/* `order` has a dominator before what it dominates, so backwards each sum is complete. */
	for (uint32_t i = dominators->reachable; i-- > 0;) {
		uint32_t node = dominators->order[i];
		uint32_t up = dominators->dominator[node];
		if (up != LT_GRAPH_NONE)
			retained[up] += retained[node];
	}
	*ret_retained = retained;
	return LT_OK;
}
