#include "base/cleanup.h"
#include "base/vec.h"
#include "graph/graph.h"

#include <stdlib.h>
#include <string.h>

/* Two fresh arrays, filled with NONE. */
static bool alloc_tree(uint32_t nodes, uint32_t **ret_parent, uint32_t **ret_distance)
{
	size_t size = ((size_t)nodes + 1) * sizeof(uint32_t);
	LT_FREE uint32_t *parent = malloc(size);
	LT_FREE uint32_t *distance = malloc(size);
	if (parent == NULL || distance == NULL)
		return false;
	memset(parent, 0xff, size);
	memset(distance, 0xff, size);
	*ret_parent = LT_TAKE(parent);
	*ret_distance = LT_TAKE(distance);
	return true;
}

enum lt_status lt_graph_shortest(struct lt_session *session, const struct lt_graph *graph,
				 const uint32_t *roots, size_t root_count, uint32_t **ret_parent,
				 uint32_t **ret_distance)
{
	LT_FREE uint32_t *parent = NULL;
	LT_FREE uint32_t *distance = NULL;
	LT_FREE uint32_t *queue = malloc(((size_t)graph->node_count + 1) * sizeof(*queue));
	if (queue == NULL || !alloc_tree(graph->node_count, &parent, &distance))
		return lt_fail_memory(session);
	uint32_t tail = 0;
	for (size_t r = 0; r < root_count; r++) {
		if (roots[r] < graph->node_count && distance[roots[r]] == UINT32_MAX) {
			distance[roots[r]] = 0;
			queue[tail++] = roots[r];
		}
	}
	for (uint32_t head = 0; head < tail; head++) {
		uint32_t node = queue[head];
		struct lt_row row = lt_row(&graph->out, node);
		for (const uint32_t *to = row.begin; to < row.end; to++) {
			if (distance[*to] != UINT32_MAX)
				continue;
			distance[*to] = distance[node] + 1;
			parent[*to] = node;
			queue[tail++] = *to;
		}
	}
	*ret_parent = LT_TAKE(parent);
	*ret_distance = LT_TAKE(distance);
	return LT_OK;
}

enum {
	BUCKETS = 512, /* a power of two above the dearest step, 2 * UINT8_MAX */
	BUCKET_KEPT = 1 << 16,
};

LT_VEC(lt_bucket, uint32_t);

struct buckets {
	struct lt_bucket at[BUCKETS];
};

static void buckets_deinit(struct buckets **buckets)
{
	if (*buckets == NULL)
		return;
	for (size_t i = 0; i < BUCKETS; i++)
		lt_bucket_deinit(&(*buckets)->at[i]);
	free(*buckets);
}

/* Dial's variant of Dijkstra: a ring of buckets, one for each distance. A node may lie in several; only the nearest counts. */
enum lt_status lt_graph_cheapest(struct lt_session *session, const struct lt_graph *graph,
				 const uint32_t *roots, const uint8_t *start, size_t root_count,
				 const uint8_t *enter, const uint8_t *leave, uint32_t **ret_parent,
				 uint32_t **ret_distance)
{
	LT_FREE uint32_t *parent = NULL;
	LT_FREE uint32_t *distance = NULL;
	LT_CLEANUP(buckets_deinit) struct buckets *buckets = calloc(1, sizeof(*buckets));
	if (buckets == NULL || !alloc_tree(graph->node_count, &parent, &distance))
		return lt_fail_memory(session);
	uint64_t waiting = 0; /* entries in the ring */
	for (size_t r = 0; r < root_count; r++) {
		if (roots[r] >= graph->node_count || start[r] >= distance[roots[r]])
			continue;
		distance[roots[r]] = start[r];
		if (!lt_bucket_push(&buckets->at[start[r]], roots[r]))
			return lt_fail_memory(session);
		waiting++;
	}
	for (uint32_t now = 0; waiting > 0; now++) {
		struct lt_bucket *bucket = &buckets->at[now % BUCKETS];
		/* Steps of cost 0 push to this very bucket while it is walked. */
		for (size_t i = 0; i < bucket->count; i++) {
			uint32_t node = bucket->data[i];
			/* It is put in again only when it comes nearer: at its last distance it is there once. */
			if (distance[node] != now)
				continue;
			struct lt_row row = lt_row(&graph->out, node);
			for (const uint32_t *to = row.begin; to < row.end; to++) {
				uint32_t there =
					now + leave[node] + (enter != NULL ? enter[*to] : 1);
				if (there >= distance[*to])
					continue;
				distance[*to] = there;
				parent[*to] = node;
				if (!lt_bucket_push(&buckets->at[there % BUCKETS], *to))
					return lt_fail_memory(session);
				waiting++;
			}
		}
		waiting -= bucket->count;
		bucket->count = 0;
		/* A large one is needed once or twice only. */
		if (bucket->capacity > BUCKET_KEPT)
			lt_bucket_deinit(bucket);
	}
	*ret_parent = LT_TAKE(parent);
	*ret_distance = LT_TAKE(distance);
	return LT_OK;
}
