#include "analysis/weights.h"

#include "base/cleanup.h"

#include <string.h>

void lt_dominated_deinit(struct lt_dominated *dominated)
{
	free(dominated->first);
	free(dominated->child);
	*dominated = (struct lt_dominated){0};
}

enum lt_status lt_dominated_list(const struct lt_picture *picture,
				 struct lt_dominated *ret_dominated)
{
	uint32_t count = picture->graph.graph.node_count;
	LT_CLEANUP(lt_dominated_deinit)
	struct lt_dominated list = {
		.first = calloc((size_t)count + 2, sizeof(uint32_t)),
		.child = malloc(((size_t)count + 1) * sizeof(uint32_t)),
	};
	if (list.first == NULL || list.child == NULL)
		return lt_fail_memory(picture->session);
	/* Counting sort: first[v + 1] becomes the end of v's row, and filling from the back its start. */
	for (uint32_t node = 0; node < count; node++) {
		if (picture->dominator[node] != LT_GRAPH_NONE)
			list.first[picture->dominator[node]]++;
	}
	uint32_t sum = 0;
	for (uint32_t node = 0; node <= count; node++) {
		sum += list.first[node];
		list.first[node] = sum;
	}
	for (uint32_t node = count; node-- > 0;) {
		if (picture->dominator[node] != LT_GRAPH_NONE)
			list.child[--list.first[picture->dominator[node]]] = node;
	}
	*ret_dominated = list;
	list = (struct lt_dominated){0};
	return LT_OK;
}

enum lt_status lt_weights_nested(const struct lt_picture *picture, const uint8_t *of_type,
				 uint8_t **ret_nested)
{
	enum { UNKNOWN, OUTER, INNER };
	uint32_t count = picture->graph.graph.node_count;
	uint32_t types = lt_types_count(picture->types);
	uint8_t *state = calloc((size_t)count + 1, 1);
	if (state == NULL)
		return lt_fail_memory(picture->session);
	for (uint32_t node = 0; node < count; node++) {
		uint8_t found = UNKNOWN;
		uint32_t at = node;
		/* Up to what is known, or to an instance: below it all are inner ones. */
		while (found == UNKNOWN && state[at] == UNKNOWN) {
			uint32_t up = picture->dominator[at];
			if (up == LT_GRAPH_NONE)
				found = OUTER;
			else if (lt_heap_graph_type(&picture->graph, up) < types &&
				 of_type[lt_heap_graph_type(&picture->graph, up)])
				found = INNER;
			else
				at = up;
		}
		if (found == UNKNOWN)
			found = state[at];
		for (uint32_t below = node; state[below] == UNKNOWN;
		     below = picture->dominator[below]) {
			state[below] = found;
			if (below == at)
				break;
		}
	}
	for (uint32_t node = 0; node < count; node++)
		state[node] = state[node] == INNER;
	*ret_nested = state;
	return LT_OK;
}

enum lt_status lt_weights_of_groups(const struct lt_picture *picture,
				    uint32_t (*group)(const void *ctx, uint32_t node),
				    const void *ctx, uint32_t group_count, uint64_t **ret_retained)
{
	struct lt_session *session = picture->session;
	uint32_t count = picture->graph.graph.node_count;
	LT_CLEANUP(lt_dominated_deinit) struct lt_dominated below = {0};
	LT_TRY(lt_dominated_list(picture, &below));
	LT_FREE uint64_t *retained = calloc((size_t)group_count + 1, sizeof(*retained));
	LT_FREE uint32_t *open = calloc((size_t)group_count + 1, sizeof(*open));
	LT_FREE uint32_t *next = malloc(((size_t)count + 1) * sizeof(*next));
	if (retained == NULL || open == NULL || next == NULL || below.first == NULL)
		return lt_fail_memory(session);
	memcpy(next, below.first, ((size_t)count + 1) * sizeof(*next));
	/* Depth first; `open` counts the objects of each group on the way down, and dominators lead back. */
	for (uint32_t top = 0; top < count; top++) {
		if (picture->dominator[top] != LT_GRAPH_NONE || !picture->alive[top])
			continue;
		uint32_t at = top;
		bool entered = true;
		while (at != LT_GRAPH_NONE) {
			uint32_t of = group(ctx, at);
			if (of < group_count && entered && open[of]++ == 0)
				retained[of] += picture->retained[at];
			entered = next[at] < below.first[at + 1];
			if (entered) {
				at = below.child[next[at]++];
				continue;
			}
			if (of < group_count)
				open[of]--;
			at = picture->dominator[at];
		}
	}
	*ret_retained = LT_TAKE(retained);
	return LT_OK;
}

static uint32_t type_of(const void *ctx, uint32_t node)
{
	const struct lt_picture *picture = ctx;
	return lt_heap_graph_type(&picture->graph, node);
}

enum lt_status lt_weights_of_types(const struct lt_picture *picture, uint64_t **ret_retained)
{
	return lt_weights_of_groups(picture, type_of, picture, lt_types_count(picture->types),
				    ret_retained);
}
