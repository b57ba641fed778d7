#include "graph/graph.h"

#include "base/cleanup.h"
#include "base/vec.h"

#include <stdlib.h>
#include <string.h>

LT_VEC(firsts, uint64_t);
LT_VEC(targets, uint32_t);

struct lt_graph_builder {
	struct lt_session *session;
	struct firsts first;
	struct targets target;
};

enum lt_status lt_graph_builder_create(struct lt_session *session,
				       struct lt_graph_builder **ret_builder)
{
	struct lt_graph_builder *builder = calloc(1, sizeof(*builder));
	if (builder == NULL)
		return lt_fail_memory(session);
	builder->session = session;
	if (!firsts_push(&builder->first, 0)) {
		lt_graph_builder_destroy(builder);
		return lt_fail_memory(session);
	}
	*ret_builder = builder;
	return LT_OK;
}

enum lt_status lt_graph_builder_row(struct lt_graph_builder *builder, const uint32_t *list,
				    size_t count)
{
	struct targets *target = &builder->target;
	if (builder->first.count > LT_GRAPH_NONE - 1u)
		return lt_fail(builder->session, LT_E_INTERNAL, "the graph has too many nodes");
	if (!targets_reserve(target, target->count + count) ||
	    !firsts_push(&builder->first, target->count + count))
		return lt_fail_memory(builder->session);
	if (count > 0)
		memcpy(target->data + target->count, list, count * sizeof(*list));
	target->count += count;
	return LT_OK;
}

/* Gives back what growth reserved too much; a failure to shrink keeps the block as it is. */
static void *shrunk(void *block, size_t size)
{
	void *smaller = realloc(block, size > 0 ? size : 1);
	return smaller != NULL ? smaller : block;
}

enum lt_status lt_graph_builder_finish(struct lt_graph_builder *builder, struct lt_graph *ret_graph)
{
	struct lt_session *session = builder->session;
	uint32_t nodes = (uint32_t)(builder->first.count - 1);
	for (size_t i = 0; i < builder->target.count; i++) {
		if (builder->target.data[i] >= nodes) {
			lt_graph_builder_destroy(builder);
			return lt_fail(session, LT_E_INTERNAL,
				       "an edge leads to a node that does not exist");
		}
	}
	*ret_graph = (struct lt_graph){
		.node_count = nodes,
		.edge_count = builder->target.count,
		.out.first = shrunk(builder->first.data, builder->first.count * sizeof(uint64_t)),
		.out.target =
			shrunk(builder->target.data, builder->target.count * sizeof(uint32_t)),
	};
	builder->first = (struct firsts){0};
	builder->target = (struct targets){0};
	if (ret_graph->out.target == NULL)
		ret_graph->out.target = calloc(1, sizeof(uint32_t));
	lt_graph_builder_destroy(builder);
	if (ret_graph->out.target == NULL) {
		lt_graph_deinit(ret_graph);
		return lt_fail_memory(session);
	}
	return LT_OK;
}

void lt_graph_builder_destroy(struct lt_graph_builder *builder)
{
	if (builder == NULL)
		return;
	firsts_deinit(&builder->first);
	targets_deinit(&builder->target);
	free(builder);
}

enum lt_status lt_graph_reverse(struct lt_session *session, struct lt_graph *graph)
{
	if (graph->in.first != NULL)
		return LT_OK;
	uint32_t nodes = graph->node_count;
	LT_FREE uint64_t *first = calloc((size_t)nodes + 1, sizeof(*first));
	LT_FREE uint32_t *target = malloc((graph->edge_count + 1) * sizeof(*target));
	if (first == NULL || target == NULL)
		return lt_fail_memory(session);
	/* Counting sort: first[v] becomes the end of v's row, then filling from the back moves it to the start. */
	for (uint64_t e = 0; e < graph->edge_count; e++)
		first[graph->out.target[e]]++;
	uint64_t sum = 0;
	for (uint32_t v = 0; v < nodes; v++) {
		sum += first[v];
		first[v] = sum;
	}
	first[nodes] = sum;
	for (uint32_t v = nodes; v-- > 0;) {
		for (uint64_t e = graph->out.first[v + 1]; e-- > graph->out.first[v];)
			target[--first[graph->out.target[e]]] = v;
	}
	graph->in.first = LT_TAKE(first);
	graph->in.target = LT_TAKE(target);
	return LT_OK;
}

void lt_graph_deinit(struct lt_graph *graph)
{
	free(graph->out.first);
	free(graph->out.target);
	free(graph->in.first);
	free(graph->in.target);
	*graph = (struct lt_graph){0};
}
