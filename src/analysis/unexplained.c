#include "analysis/unexplained.h"

#include "base/cleanup.h"

static bool countable(const struct lt_heap_graph *graph, uint32_t node)
{
	return lt_heap_graph_has_balance(graph, node) &&
	       (graph->flags[node] & (LT_NODE_IMMORTAL | LT_NODE_STATIC)) == 0;
}

static enum lt_status find(const struct lt_view *view, struct lt_heap_graph *graph,
			   struct lt_roots *roots, struct lt_loose_refs *scanned,
			   struct lt_native *native)
{
	for (size_t i = 0; i < roots->list.count; i++) {
		uint32_t node = lt_heap_graph_find(graph, roots->list.data[i].address);
		if (node != LT_NO_NODE && roots->list.data[i].count > 0 &&
		    !lt_heap_graph_take(graph, node, 1))
			return lt_fail_memory(view->session);
	}
	for (size_t i = 0; i < graph->loose.count; i++) {
		struct lt_loose_ref ref = graph->loose.data[i];
		if (!countable(graph, ref.to) || lt_heap_graph_balance(graph, ref.to) <= 0)
			continue;
		if (!lt_heap_graph_take(graph, ref.to, 1) || !lt_loose_refs_push(scanned, ref))
			return lt_fail_memory(view->session);
	}
	LT_TRY(lt_roots_native(view, graph, roots, native));
	for (uint32_t node = 0; node < graph->graph.node_count; node++) {
		/* Of most there is nothing left, and it is not looked at what else they are. */
		int64_t left = lt_heap_graph_balance(graph, node);
		if (left <= 0 || !countable(graph, node))
			continue;
		struct lt_root root = {.address = lt_heap_graph_address(graph, node),
				       .kind = LT_ROOT_EXTERNAL,
				       .count = (uint32_t)left,
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
