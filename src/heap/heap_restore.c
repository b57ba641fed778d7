#include "base/cleanup.h"
#include "heap/heap_parts.h"
#include "heap/objmap.h"

enum {
	ADDRESS_BITS = 47,
	REACH = 128 << 10, /* bytes behind the last node up to which a window is filled up */
	WALK_MIN = 16,     /* nodes far from each other from which on a window is worth its read */
};

static enum lt_status add_objects(struct lt_session *session, const struct lt_heap_nodes *nodes,
				  struct lt_objmap *objects)
{
	for (uint32_t node = 0; node < nodes->count; node++) {
		lt_addr address = nodes->address[node];
		if ((address & 7) != 0 || address >> ADDRESS_BITS != 0 ||
		    (node > 0 && address <= nodes->address[node - 1]))
			return lt_fail(session, LT_E_FILE,
				       "the addresses of the objects are out of order");
		if (!lt_objmap_add(objects, address))
			return lt_fail_memory(session);
	}
	return lt_objmap_number(objects) ? LT_OK : lt_fail_memory(session);
}

enum lt_status lt_heap_graph_restore(struct lt_session *session, struct lt_heap_nodes *nodes,
				     struct lt_heap_graph *ret_graph)
{
	struct lt_objmap *objects = lt_objmap_create();
	if (objects == NULL)
		return lt_fail_memory(session);
	enum lt_status status = add_objects(session, nodes, objects);
	if (status != LT_OK) {
		lt_objmap_destroy(objects);
		return status;
	}
	struct lt_heap_graph graph = {
		.graph = {.node_count = nodes->count},
		.objects = objects,
		.size = calloc((size_t)nodes->count + 1, sizeof(*graph.size)),
		.type = calloc((size_t)nodes->count + 1, sizeof(*graph.type)),
		.flags = LT_TAKE(nodes->flags),
	};
	bool set = graph.size != NULL && graph.type != NULL;
	for (uint32_t node = 0; set && node < nodes->count; node++) {
		set = lt_heap_graph_set_size(&graph, node, nodes->size[node]) &&
		      lt_heap_graph_set_type(&graph, node, nodes->type[node]);
		graph.tracked += (graph.flags[node] & LT_NODE_TRACKED) != 0;
		graph.permanent += (graph.flags[node] & LT_NODE_PERMANENT) != 0;
	}
	if (!set) {
		lt_heap_graph_deinit(&graph);
		return lt_fail_memory(session);
	}
	*ret_graph = graph;
	return LT_OK;
}

uint32_t lt_heap_walk(struct lt_heap *heap, const struct lt_heap_graph *graph, uint32_t node)
{
	lt_addr start = lt_objmap_address(graph->objects, node) & ~(lt_addr)(LT_OBJMAP_CHUNK - 1);
	uint32_t low = node + 1, high = graph->graph.node_count;
	size_t size, got;
	/*
	 * The first node behind the window. Windows end at multiples of their greatest size: so the next one is
	 * what was read ahead.
	 */
	lt_addr limit = (start | (LT_WINDOW_MAX - 1)) + 1;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (lt_objmap_address(graph->objects, middle) < limit)
			low = middle + 1;
		else
			high = middle;
	}
	size = (lt_objmap_address(graph->objects, low - 1) | (LT_OBJMAP_CHUNK - 1)) + 1 - start;
	if (low - node < WALK_MIN && size > LT_OBJMAP_CHUNK) {
		lt_window_clear(heap->window, false);
		return low;
	}
	if (limit - (start + size) <= REACH)
		size = limit - start;
	/* Without the window each read is a read of its own: slower, and no failure. */
	(void)lt_window_load(heap->window, start, size, &got);
	return low;
}

void lt_heap_walk_end(struct lt_heap *heap)
{
	lt_window_clear(heap->window, true);
}
