#include "graph/graph.h"

#include "base/cleanup.h"
#include "base/vec.h"
#include "base/zeroed.h"
#include "graph/graph_parts.h"

#include <stdlib.h>
#include <string.h>

LT_VEC(narrow_places, uint32_t);
LT_VEC(wide_places, uint64_t);
LT_VEC(targets, uint32_t);

/*
 * Large blocks grow by mremap(2) inside realloc(3) and the part not yet written has no memory: growth
 * never holds the edges twice. What is written next has its memory in one step, which costs less than page by page.
 */
struct lt_graph_builder {
	struct lt_session *session;
	uint64_t narrow_edges;
	bool is_wide;
	struct narrow_places narrow; /* where each row begins, until is_wide */
	struct wide_places wide;     /* the same from then on */
	struct targets target;
	uint32_t most;         /* the greatest of them */
	size_t target_brought; /* of them these have memory */
	size_t narrow_brought;
};

static void empty(struct lt_graph_builder *builder)
{
	narrow_places_deinit(&builder->narrow);
	wide_places_deinit(&builder->wide);
	targets_deinit(&builder->target);
}

enum lt_status lt_graph_builder_create(struct lt_session *session,
				       struct lt_graph_builder **ret_builder)
{
	struct lt_graph_builder *builder = calloc(1, sizeof(*builder));
	if (builder == NULL)
		return lt_fail_memory(session);
	builder->session = session;
	builder->narrow_edges = UINT32_MAX;
	if (!narrow_places_push(&builder->narrow, 0)) {
		lt_graph_builder_destroy(builder);
		return lt_fail_memory(session);
	}
	*ret_builder = builder;
	return LT_OK;
}

void lt_graph_builder_set_narrow_edges(struct lt_graph_builder *builder, uint64_t edges)
{
	builder->narrow_edges = edges;
}

static bool widen(struct lt_graph_builder *builder)
{
	if (!wide_places_reserve(&builder->wide, builder->narrow.count + 1))
		return false;
	for (size_t i = 0; i < builder->narrow.count; i++)
		builder->wide.data[i] = builder->narrow.data[i];
	builder->wide.count = builder->narrow.count;
	narrow_places_deinit(&builder->narrow);
	builder->is_wide = true;
	return true;
}

static size_t place_count(const struct lt_graph_builder *builder)
{
	return builder->is_wide ? builder->wide.count : builder->narrow.count;
}

enum { BROUGHT_AT_ONCE = 4 << 20 };

/* Room behind `used` elements, as far as there is; up to where it has memory then. */
static size_t bring(void *data, size_t used, size_t capacity, size_t size)
{
	size_t end = used + BROUGHT_AT_ONCE / size + 1;
	if (end > capacity)
		end = capacity;
	lt_zeroed_bring(data, used, end, size);
	return end;
}

bool lt_graph_builder_add(struct lt_graph_builder *builder, const uint32_t *list, size_t count)
{
	struct targets *target = &builder->target;
	if (count == 0)
		return true;
	if (!targets_reserve(target, target->count + count))
		return false;
	if (target->count + count > builder->target_brought)
		builder->target_brought =
			bring(target->data, target->count + count, target->capacity, sizeof(*list));
	uint32_t most = builder->most, *to = target->data + target->count;
	for (size_t i = 0; i < count; i++) {
		to[i] = list[i];
		most = list[i] > most ? list[i] : most;
	}
	builder->most = most;
	target->count += count;
	return true;
}

enum lt_status lt_graph_builder_row(struct lt_graph_builder *builder, const uint32_t *list,
				    size_t count)
{
	if (!lt_graph_builder_add(builder, list, count))
		return lt_fail_memory(builder->session);
	uint64_t start = builder->is_wide ? builder->wide.data[builder->wide.count - 1]
					  : builder->narrow.data[builder->narrow.count - 1];
	uint64_t end = builder->target.count;
	if (place_count(builder) > LT_GRAPH_NONE - 1u || end - start > UINT32_MAX)
		return lt_fail(builder->session, LT_E_INTERNAL, "the graph is too large");
	if ((!builder->is_wide && end > builder->narrow_edges && !widen(builder)) ||
	    !(builder->is_wide ? wide_places_push(&builder->wide, end)
			       : narrow_places_push(&builder->narrow, (uint32_t)end)))
		return lt_fail_memory(builder->session);
	if (builder->narrow.count > builder->narrow_brought)
		builder->narrow_brought = bring(builder->narrow.data, builder->narrow.count,
						builder->narrow.capacity, sizeof(uint32_t));
	return LT_OK;
}

/* Gives back what growth reserved too much; a failure to shrink keeps the block as it is. */
static void *shrunk(void *block, size_t size)
{
	void *smaller = realloc(block, size > 0 ? size : 1);
	return smaller != NULL ? smaller : block;
}

static bool make_room(struct lt_graph_builder *builder, size_t places, size_t edges)
{
	return targets_reserve(&builder->target, edges) &&
	       (builder->is_wide ? wide_places_reserve(&builder->wide, places)
				 : narrow_places_reserve(&builder->narrow, places));
}

/* The ends of the rows of `other`; its first place is no end. Its edges come behind those that are there. */
static bool take_places(struct lt_graph_builder *to, struct lt_graph_builder *other)
{
	uint64_t before = to->target.count;
	size_t ends = place_count(other) - 1;
	if (to->is_wide) {
		uint64_t *end = other->wide.data + 1;
		for (size_t i = 0; i < ends; i++)
			end[i] += before;
		to->wide.count += ends;
		return lt_zeroed_move(to->wide.data + to->wide.count - ends, end,
				      ends * sizeof(*end));
	}
	uint32_t *end = other->narrow.data + 1;
	for (size_t i = 0; i < ends; i++)
		end[i] += (uint32_t)before;
	to->narrow.count += ends;
	return lt_zeroed_move(to->narrow.data + to->narrow.count - ends, end, ends * sizeof(*end));
}

static bool take_targets(struct targets *to, struct targets *from)
{
	to->count += from->count;
	return lt_zeroed_move(to->data + to->count - from->count, from->data,
			      from->count * sizeof(*from->data));
}

/* There is room for them, and places of both are as wide. */
static bool append(struct lt_graph_builder *builder, struct lt_graph_builder *other)
{
	if (!make_room(other, place_count(other) + LT_ZEROED_ROOM / sizeof(uint32_t),
		       other->target.count + LT_ZEROED_ROOM / sizeof(uint32_t)) ||
	    !take_places(builder, other) || !take_targets(&builder->target, &other->target))
		return false;
	if (other->most > builder->most)
		builder->most = other->most;
	return true;
}

enum lt_status lt_graph_builder_join(struct lt_graph_builder *const *builders, unsigned count)
{
	struct lt_graph_builder *whole = builders[0];
	uint64_t edges = 0, places = 1;
	for (unsigned i = 0; i < count; i++) {
		edges += builders[i]->target.count;
		places += place_count(builders[i]) - 1;
	}
	if (places > LT_GRAPH_NONE)
		return lt_fail(whole->session, LT_E_INTERNAL, "the graph is too large");
	bool wide = edges > whole->narrow_edges;
	for (unsigned i = 0; wide && i < count; i++)
		if (!builders[i]->is_wide && !widen(builders[i]))
			return lt_fail_memory(whole->session);
	if (!make_room(whole, places, edges))
		return lt_fail_memory(whole->session);
	for (unsigned i = 1; i < count; i++) {
		bool joined = append(whole, builders[i]);
		empty(builders[i]);
		if (!joined)
			return lt_fail_memory(whole->session);
	}
	return LT_OK;
}

enum lt_status lt_graph_builder_finish(struct lt_graph_builder *builder, struct lt_graph *ret_graph)
{
	struct lt_session *session = builder->session;
	uint32_t nodes = (uint32_t)(place_count(builder) - 1);
	if (builder->target.count > 0 && builder->most >= nodes) {
		lt_graph_builder_destroy(builder);
		return lt_fail(session, LT_E_INTERNAL,
			       "an edge leads to a node that does not exist");
	}
	size_t places = (size_t)nodes + 1;
	*ret_graph = (struct lt_graph){
		.node_count = nodes,
		.edge_count = builder->target.count,
		.out.wide = builder->is_wide,
		.out.first = builder->is_wide
				     ? shrunk(builder->wide.data, places * sizeof(uint64_t))
				     : shrunk(builder->narrow.data, places * sizeof(uint32_t)),
		.out.target =
			shrunk(builder->target.data, builder->target.count * sizeof(uint32_t)),
	};
	builder->narrow = (struct narrow_places){0};
	builder->wide = (struct wide_places){0};
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
	if (builder != NULL)
		empty(builder);
	free(builder);
}

uint64_t lt_rows_sum(struct lt_rows *rows, uint32_t last)
{
	uint64_t sum = 0;
	for (uint32_t node = 0; node < last; node++) {
		sum += lt_row_start(rows, node);
		if (rows->wide)
			((uint64_t *)rows->first)[node] = sum;
		else
			((uint32_t *)rows->first)[node] = (uint32_t)sum;
	}
	if (rows->wide)
		((uint64_t *)rows->first)[last] = sum;
	else
		((uint32_t *)rows->first)[last] = (uint32_t)sum;
	return sum;
}

void lt_rows_deinit(struct lt_rows *rows)
{
	free(rows->first);
	free(rows->target);
	*rows = (struct lt_rows){0};
}

enum lt_status lt_graph_reverse(struct lt_session *session, struct lt_graph *graph)
{
	if (graph->in.first != NULL)
		return LT_OK;
	LT_CLEANUP(lt_rows_deinit)
	struct lt_rows in = {
		.wide = graph->out.wide,
		.first = calloc((size_t)graph->node_count + 1,
				graph->out.wide ? sizeof(uint64_t) : sizeof(uint32_t)),
		.target = malloc((graph->edge_count + 1) * sizeof(*in.target)),
	};
	if (in.first == NULL || in.target == NULL)
		return lt_fail_memory(session);
	/* A counting sort; from the last node to the first, so that each row comes out in ascending order. */
	for (uint64_t e = 0; e < graph->edge_count; e++)
		lt_row_count(&in, graph->out.target[e]);
	(void)lt_rows_sum(&in, graph->node_count);
	for (uint32_t v = graph->node_count; v-- > 0;) {
		struct lt_row row = lt_row(&graph->out, v);
		for (const uint32_t *to = row.end; to-- > row.begin;)
			lt_row_put(&in, *to, v);
	}
	graph->in = in;
	in = (struct lt_rows){0};
	return LT_OK;
}

void lt_graph_drop_reverse(struct lt_graph *graph)
{
	lt_rows_deinit(&graph->in);
}

void lt_graph_drop_edges(struct lt_graph *graph)
{
	lt_rows_deinit(&graph->out);
	lt_rows_deinit(&graph->in);
}

void lt_graph_deinit(struct lt_graph *graph)
{
	lt_graph_drop_edges(graph);
	*graph = (struct lt_graph){0};
}
