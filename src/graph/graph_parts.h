/*
 * graph_parts.h: what the files of src/graph share. Private to them and to their tests.
 */
#ifndef LT_GRAPH_GRAPH_PARTS_H
#define LT_GRAPH_GRAPH_PARTS_H

#include "graph/graph.h"

/* Rows become wide beyond this many edges: UINT32_MAX unless told otherwise. Before the first row. */
void lt_graph_builder_set_narrow_edges(struct lt_graph_builder *builder, uint64_t edges);

/* Rows in the making: `first` counts each row, then holds the ends of the rows, then the starts. */
static inline void lt_row_count(struct lt_rows *rows, uint32_t node)
{
	if (rows->wide)
		((uint64_t *)rows->first)[node]++;
	else
		((uint32_t *)rows->first)[node]++;
}

/* Counts become ends; `last` is the row beyond the last one. Returns the sum. */
uint64_t lt_rows_sum(struct lt_rows *rows, uint32_t last);

/* Puts `target` before what the row holds so far. */
static inline void lt_row_put(struct lt_rows *rows, uint32_t node, uint32_t target)
{
	rows->target[rows->wide ? --((uint64_t *)rows->first)[node]
				: --((uint32_t *)rows->first)[node]] = target;
}

void lt_rows_deinit(struct lt_rows *rows);

/* lt_graph_mark() by two threads from `many` nodes on; the others are explained at MANY, GIVEN_MIN and STEPS there. */
struct lt_marking_limits {
	uint32_t many, given_min, steps;
};
LT_MUST_CHECK enum lt_status lt_graph_mark_with(struct lt_session *session,
						const struct lt_graph *graph, const uint32_t *seeds,
						size_t seed_count, uint8_t *reached,
						const struct lt_marking_limits *limits);

#endif
