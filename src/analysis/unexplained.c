#include "analysis/unexplained.h"

#include "base/cleanup.h"

static bool countable(const struct lt_heap_graph *graph, uint32_t node)
{
	return graph->balance[node] != LT_BALANCE_UNKNOWN &&
	       (graph->flags[node] & (LT_NODE_IMMORTAL | LT_NODE_STATIC)) == 0;
}

static enum lt_status find(const struct lt_view *view, struct lt_heap_graph *graph,
			   struct lt_roots *roots, struct lt_loose_refs *scanned,
			   struct lt_native *native)
{
	for (size_t i = 0; i < roots->list.count; i++) {
		uint32_t node = lt_heap_graph_find(graph, roots->list.data[i].address);
		if (node != LT_NO_NODE && roots->list.data[i].count > 0 &&
		    graph->balance[node] > -INT32_MAX)
			graph->balance[node]--;
	}
	for (size_t i = 0; i < graph->loose.count; i++) {
		struct lt_loose_ref ref = graph->loose.data[i];
		if (!countable(graph, ref.to) || graph->balance[ref.to] <= 0)
			continue;
		graph->balance[ref.to]--;
		if (!lt_loose_refs_push(scanned, ref))
			return lt_fail_memory(view->session);
	}
	LT_TRY(lt_roots_native(view, graph, roots, native));
	for (uint32_t node = 0; node < graph->graph.node_count; node++) {
		/* Of most there is nothing left, and it is not looked at what else they are. */
		if (graph->balance[node] <= 0 || !countable(graph, node))
			continue;
		struct lt_root root = {.address = lt_heap_graph_address(graph, node),
				       .kind = LT_ROOT_EXTERNAL,
				       .count = (uint32_t)graph->balance[node],
				       .name = "held from C code"};
		if (!lt_root_list_push(&roots->list, root))
			return lt_fail_memory(view->session);
	}
	return LT_OK;
}

enum lt_status lt_unexplained_find(const struct lt_view *view, struct lt_heap_graph *graph,
				   struct lt_roots *roots, struct lt_loose_refs *ret_scanned,
				   struct lt_native *ret_native)
{
	LT_CLEANUP(lt_loose_refs_deinit) struct lt_loose_refs scanned = {0};
	struct lt_native native = {0};
	enum lt_status status = find(view, graph, roots, &scanned, &native);
	lt_heap_graph_settle(graph);
	LT_TRY(status);
	*ret_scanned = scanned;
	*ret_native = native;
	scanned = (struct lt_loose_refs){0};
	return LT_OK;
}
