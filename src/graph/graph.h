/*
 * graph.h: directed graphs of up to 2^32 - 2 nodes as compressed sparse rows, dominators, retained
 * sizes, shortest paths, components. Knows no target and no Python.
 */
#ifndef LT_GRAPH_GRAPH_H
#define LT_GRAPH_GRAPH_H

#include "base/session.h"

/*
 * Successors of each node, one after the other: lt_row() gives those of a node. Parallel edges are
 * allowed, self-loops too. Memory: 4 bytes a node (8 from 2^32 edges on) and 4 bytes an edge for each
 * direction.
 */
struct lt_rows {
	void *first; /* node_count + 1 places in `target`: uint64_t when `wide`, else uint32_t */
	uint32_t *target;
	bool wide;
};

struct lt_graph {
	uint32_t node_count;
	uint64_t edge_count;
	struct lt_rows out;
	struct lt_rows in; /* NULL pointers until lt_graph_reverse() */
};

/* Where the row of `node` begins; node_count gives the end of the last row. */
static inline uint64_t lt_row_start(const struct lt_rows *rows, uint32_t node)
{
	return rows->wide ? ((const uint64_t *)rows->first)[node]
			  : ((const uint32_t *)rows->first)[node];
}

/*
 *     struct lt_row row = lt_row(&graph->out, node);
 *     for (const uint32_t *to = row.begin; to < row.end; to++) ... *to ...
 */
struct lt_row {
	const uint32_t *begin, *end;
};

static inline struct lt_row lt_row(const struct lt_rows *rows, uint32_t node)
{
	return (struct lt_row){
		.begin = rows->target + lt_row_start(rows, node),
		.end = rows->target + lt_row_start(rows, node + 1),
	};
}

/* Builds rows from edge lists as they come: add the edges of node 0, then of node 1, and so on. */
struct lt_graph_builder;
LT_MUST_CHECK enum lt_status lt_graph_builder_create(struct lt_session *session,
						     struct lt_graph_builder **ret_builder);
/* Some edges of the next node; others follow. False: no memory. */
LT_MUST_CHECK bool lt_graph_builder_add(struct lt_graph_builder *builder, const uint32_t *targets,
					size_t count);
/* The last edges of the next node. */
LT_MUST_CHECK enum lt_status lt_graph_builder_row(struct lt_graph_builder *builder,
						  const uint32_t *targets, size_t count);
/*
 * Appends the rows of all others to those of the first one; targets may be nodes of any. The others are only good to be
 * destroyed then, and after a failure the first one too.
 */
LT_MUST_CHECK enum lt_status lt_graph_builder_join(struct lt_graph_builder *const *builders,
						   unsigned count);
/* Moves the rows into *ret_graph and destroys the builder. Targets must be < rows added: checked. */
LT_MUST_CHECK enum lt_status lt_graph_builder_finish(struct lt_graph_builder *builder,
						     struct lt_graph *ret_graph);
void lt_graph_builder_destroy(struct lt_graph_builder *builder);

/* Makes `in` from `out`. */
LT_MUST_CHECK enum lt_status lt_graph_reverse(struct lt_session *session, struct lt_graph *graph);
/* Frees what lt_graph_reverse() made. */
void lt_graph_drop_reverse(struct lt_graph *graph);

/* Frees both directions; node_count and edge_count stay. */
void lt_graph_drop_edges(struct lt_graph *graph);
void lt_graph_deinit(struct lt_graph *graph);

enum { LT_GRAPH_NONE = UINT32_MAX };

/*
 * Immediate dominators over a virtual root that has an edge to each of `roots` (semi-NCA, Georgiadis
 * 2005). ret_dominator[v] is the node, LT_GRAPH_NONE when the virtual root dominates v or v is not
 * reachable; `order` lists the reachable nodes, each after its dominator (`reachable` of them).
 *
 * It uses up the edges of the graph: both rows are gone afterwards, only node_count stays. At its peak it
 * holds 8 bytes a node, 20 a node with successors, and 8 an edge, less 4 for each that leads to a node
 * without: the rows of `out` included.
 */
struct lt_dominators {
	uint32_t *dominator;
	uint32_t *order;
	uint32_t reachable;
};
LT_MUST_CHECK enum lt_status lt_graph_dominators(struct lt_session *session, struct lt_graph *graph,
						 const uint32_t *roots, size_t root_count,
						 struct lt_dominators *ret_dominators);
void lt_dominators_deinit(struct lt_dominators *dominators);

/* Retained bytes of each node: own sizes summed over the dominator tree. `sizes` by callback. Caller frees. */
LT_MUST_CHECK enum lt_status lt_graph_retained(struct lt_session *session,
					       const struct lt_graph *graph,
					       const struct lt_dominators *dominators,
					       uint64_t (*size)(void *ctx, uint32_t node),
					       void *ctx, uint64_t **ret_retained);

/* Breadth-first tree from the roots in their order: ret_parent[v], LT_GRAPH_NONE for roots and unreached nodes; ret_distance UINT32_MAX when unreached. */
LT_MUST_CHECK enum lt_status lt_graph_shortest(struct lt_session *session,
					       const struct lt_graph *graph, const uint32_t *roots,
					       size_t root_count, uint32_t **ret_parent,
					       uint32_t **ret_distance);

/*
 * Cheapest paths from the roots where entering node v costs enter[v] and leaving it costs leave[v]
 * (small numbers, 0 to 255; the sum of a step counts; `enter` NULL: 1 each). Root i starts at start[i]. The result is as
 * that of lt_graph_shortest() with costs as the distances.
 */
LT_MUST_CHECK enum lt_status lt_graph_cheapest(struct lt_session *session,
					       const struct lt_graph *graph, const uint32_t *roots,
					       const uint8_t *start, size_t root_count,
					       const uint8_t *enter, const uint8_t *leave,
					       uint32_t **ret_parent, uint32_t **ret_distance);

/* Marks in `reached` (one byte a node, 0 or 1; seeds count themselves) all nodes that the seeds reach. */
LT_MUST_CHECK enum lt_status lt_graph_mark(struct lt_session *session, const struct lt_graph *graph,
					   const uint32_t *seeds, size_t seed_count,
					   uint8_t *reached);

/* The same from every node with an external count above 0: references to it from outside the graph. */
LT_MUST_CHECK enum lt_status lt_graph_mark_held(struct lt_session *session,
						const struct lt_graph *graph,
						const int64_t *external, uint8_t *reached);

/* Strongly connected components: ret_component[v] in reverse topological order; *ret_count of them. */
LT_MUST_CHECK enum lt_status lt_graph_components(struct lt_session *session,
						 const struct lt_graph *graph,
						 uint32_t **ret_component, uint32_t *ret_count);

#endif
