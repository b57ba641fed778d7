/*
 * Strongly connected components by D. J. Pearce's one-array form of Tarjan's method ("A space-efficient
 * algorithm for finding strongly connected components", 2016), with explicit stacks.
 */
#include "base/cleanup.h"
#include "graph/graph.h"

#include <stdlib.h>

enum lt_status lt_graph_components(struct lt_session *session, const struct lt_graph *graph,
				   uint32_t **ret_component, uint32_t *ret_count)
{
	size_t room = (size_t)graph->node_count + 1;
	/* Visit numbers from 1 up while a node is open; component numbers, counted down from the top, when closed. */
	LT_FREE uint32_t *rank = calloc(room, sizeof(*rank));
	/* How many edges of each node on the path are done. */
	LT_FREE uint32_t *next = malloc(room * sizeof(*next));
	LT_FREE uint32_t *path = malloc(room * sizeof(*path));
	LT_FREE uint32_t *open = malloc(room * sizeof(*open));
	LT_FREE uint8_t *is_root = malloc(room);
	if (rank == NULL || next == NULL || path == NULL || open == NULL || is_root == NULL)
		return lt_fail_memory(session);
	uint32_t index = 1;
	uint32_t closing =
		UINT32_MAX - 1; /* never met by `index`: closed nodes give their numbers back */
	uint32_t open_count = 0;
	for (uint32_t start = 0; start < graph->node_count; start++) {
		if (rank[start] != 0)
			continue;
		uint32_t depth = 0;
		path[depth++] = start;
		rank[start] = index++;
		next[start] = 0;
		is_root[start] = 1;
		while (depth > 0) {
			uint32_t node = path[depth - 1];
			struct lt_row row = lt_row(&graph->out, node);
			if (row.begin + next[node] < row.end) {
				uint32_t to = row.begin[next[node]];
				if (rank[to] == 0) {
					/* Down; the edge is looked at again on the way back. */
					rank[to] = index++;
					next[to] = 0;
					is_root[to] = 1;
					path[depth++] = to;
					continue;
				}
				next[node]++;
				if (rank[to] < rank[node]) {
					rank[node] = rank[to];
					is_root[node] = 0;
				}
				continue;
			}
			depth--;
			if (!is_root[node]) {
				open[open_count++] = node;
				continue;
			}
			index--;
			while (open_count > 0 && rank[open[open_count - 1]] >= rank[node]) {
				rank[open[--open_count]] = closing;
				index--;
			}
			rank[node] = closing--;
		}
	}
	for (uint32_t node = 0; node < graph->node_count; node++)
		rank[node] = UINT32_MAX - 1 - rank[node];
	*ret_component = LT_TAKE(rank);
	*ret_count = UINT32_MAX - 1 - closing;
	return LT_OK;
}
