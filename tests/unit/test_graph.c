/* Random graphs against naive oracles, and shapes that a recursion or a quadratic method would not survive. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "graph/graph.h"

#include <string.h>

static struct lt_session session;

static uint64_t state = 0x9e3779b97f4a7c15;

static uint32_t random_below(uint32_t bound)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)((state >> 16) % bound);
}

static void random_graph(uint32_t nodes, uint32_t max_degree, struct lt_graph *ret_graph)
{
	struct lt_graph_builder *builder = NULL;
	assert_int_equal(lt_graph_builder_create(&session, &builder), LT_OK);
	for (uint32_t v = 0; v < nodes; v++) {
		uint32_t row[64];
		uint32_t degree = random_below(max_degree + 1);
		for (uint32_t i = 0; i < degree; i++)
			row[i] = random_below(nodes);
		assert_int_equal(lt_graph_builder_row(builder, row, degree), LT_OK);
	}
	assert_int_equal(lt_graph_builder_finish(builder, ret_graph), LT_OK);
}

/* Nodes that the roots reach when `removed` is gone. */
static void reach_without(const struct lt_graph *graph, const uint32_t *roots, size_t root_count,
			  uint32_t removed, uint8_t *reached)
{
	memset(reached, 0, graph->node_count);
	for (size_t r = 0; r < root_count; r++) {
		if (roots[r] != removed)
			reached[roots[r]] = 1;
	}
	for (int changed = 1; changed;) {
		changed = 0;
		for (uint32_t v = 0; v < graph->node_count; v++) {
			if (!reached[v])
				continue;
			struct lt_row row = lt_row(&graph->out, v);
			for (const uint32_t *to = row.begin; to < row.end; to++) {
				if (*to != removed && !reached[*to]) {
					reached[*to] = 1;
					changed = 1;
				}
			}
		}
	}
}

static uint64_t size_of(void *ctx, uint32_t node)
{
	(void)ctx;
	return (uint64_t)node * 7 + 1;
}

enum { SMALL = 24 };

/* u dominates v when v is reached, but not without u; the nearest dominator is dominated by all others. */
static void check_dominators(struct lt_graph *graph, const uint32_t *roots, size_t root_count)
{
	uint32_t nodes = graph->node_count;
	uint8_t reached[SMALL], without[SMALL][SMALL];
	reach_without(graph, roots, root_count, LT_GRAPH_NONE, reached);
	for (uint32_t u = 0; u < nodes; u++)
		reach_without(graph, roots, root_count, u, without[u]);

	LT_CLEANUP(lt_dominators_deinit) struct lt_dominators dominators = {0};
	assert_int_equal(lt_graph_dominators(&session, graph, roots, root_count, &dominators),
			 LT_OK);
	LT_FREE uint64_t *retained = NULL;
	assert_int_equal(lt_graph_retained(&session, graph, &dominators, size_of, NULL, &retained),
			 LT_OK);
	uint32_t count = 0;
	for (uint32_t v = 0; v < nodes; v++) {
		count += reached[v];
		uint32_t nearest = LT_GRAPH_NONE;
		for (uint32_t u = 0; u < nodes && reached[v]; u++) {
			if (u == v || !reached[u] || without[u][v])
				continue;
			/* u dominates v: nearer than the best so far when that one dominates u. */
			if (nearest == LT_GRAPH_NONE || !without[nearest][u])
				nearest = u;
		}
		assert_int_equal(dominators.dominator[v], nearest);
		if (!reached[v])
			continue;
		uint64_t lost = 0;
		for (uint32_t other = 0; other < nodes; other++) {
			if (reached[other] && (other == v || !without[v][other]))
				lost += size_of(NULL, other);
		}
		assert_int_equal(retained[v], lost);
	}
	assert_int_equal(dominators.reachable, count);
}

static void test_dominators_random(void **unused)
{
	(void)unused;
	for (int round = 0; round < 4000; round++) {
		LT_CLEANUP(lt_graph_deinit) struct lt_graph graph = {0};
		random_graph(1 + random_below(SMALL), 1 + random_below(4), &graph);
		uint32_t roots[4];
		size_t root_count = random_below(5);
		for (size_t r = 0; r < root_count; r++)
			roots[r] = random_below(graph.node_count);
		check_dominators(&graph, roots, root_count);
	}
}

static void test_shortest_random(void **unused)
{
	(void)unused;
	for (int round = 0; round < 500; round++) {
		LT_CLEANUP(lt_graph_deinit) struct lt_graph graph = {0};
		random_graph(1 + random_below(SMALL), 1 + random_below(3), &graph);
		uint32_t roots[3];
		uint8_t start[3], enter[SMALL], leave[SMALL];
		size_t root_count = 1 + random_below(3);
		for (size_t r = 0; r < root_count; r++) {
			roots[r] = random_below(graph.node_count);
			start[r] = (uint8_t)random_below(256);
		}
		for (uint32_t v = 0; v < SMALL; v++) {
			enter[v] = (uint8_t)(random_below(3) == 0 ? 0 : random_below(256));
			leave[v] = (uint8_t)(random_below(3) == 0 ? 0 : random_below(256));
		}
		/* Bellman-Ford, once with every step 1 and once with the costs. */
		for (int priced = 0; priced < 2; priced++) {
			uint32_t expected[SMALL];
			memset(expected, 0xff, sizeof(expected));
			for (size_t r = 0; r < root_count; r++) {
				uint32_t from = priced ? start[r] : 0;
				if (from < expected[roots[r]])
					expected[roots[r]] = from;
			}
			for (uint32_t pass = 0; pass < graph.node_count; pass++) {
				for (uint32_t v = 0; v < graph.node_count; v++) {
					struct lt_row row = lt_row(&graph.out, v);
					for (const uint32_t *to = row.begin;
					     to < row.end && expected[v] != UINT32_MAX; to++) {
						uint32_t there = expected[v];
						there += priced ? (uint32_t)leave[v] + enter[*to]
								: 1;
						if (there < expected[*to])
							expected[*to] = there;
					}
				}
			}
			LT_FREE uint32_t *parent = NULL;
			LT_FREE uint32_t *distance = NULL;
			if (priced)
				assert_int_equal(lt_graph_cheapest(&session, &graph, roots, start,
								   root_count, enter, leave,
								   &parent, &distance),
						 LT_OK);
			else
				assert_int_equal(lt_graph_shortest(&session, &graph, roots,
								   root_count, &parent, &distance),
						 LT_OK);
			assert_memory_equal(distance, expected,
					    graph.node_count * sizeof(*expected));
			for (uint32_t v = 0; v < graph.node_count; v++) {
				if (parent[v] == LT_GRAPH_NONE)
					continue;
				uint32_t step = priced ? (uint32_t)leave[parent[v]] + enter[v] : 1;
				assert_int_equal(distance[parent[v]] + step, distance[v]);
			}
		}
	}
}

static void test_components_random(void **unused)
{
	(void)unused;
	for (int round = 0; round < 1000; round++) {
		LT_CLEANUP(lt_graph_deinit) struct lt_graph graph = {0};
		random_graph(1 + random_below(SMALL), 1 + random_below(3), &graph);
		uint8_t reach[SMALL][SMALL];
		for (uint32_t v = 0; v < graph.node_count; v++) {
			reach_without(&graph, &v, 1, LT_GRAPH_NONE, reach[v]);
			uint8_t marked[SMALL] = {0};
			assert_int_equal(lt_graph_mark(&session, &graph, &v, 1, marked), LT_OK);
			assert_memory_equal(marked, reach[v], graph.node_count);
		}
		LT_FREE uint32_t *component = NULL;
		uint32_t count = 0;
		assert_int_equal(lt_graph_components(&session, &graph, &component, &count), LT_OK);
		uint8_t seen[SMALL] = {0};
		for (uint32_t v = 0; v < graph.node_count; v++) {
			assert_true(component[v] < count);
			seen[component[v]] = 1;
			for (uint32_t u = 0; u < graph.node_count; u++) {
				assert_int_equal(component[u] == component[v],
						 reach[u][v] && reach[v][u]);
				if (reach[v][u])
					assert_true(component[u] <= component[v]);
			}
		}
		for (uint32_t c = 0; c < count; c++)
			assert_true(seen[c]);
	}
}

/* A linked list of a million nodes whose end leads back to the start. */
static void test_long_list(void **unused)
{
	(void)unused;
	enum { LENGTH = 1000000 };
	struct lt_graph_builder *builder = NULL;
	assert_int_equal(lt_graph_builder_create(&session, &builder), LT_OK);
	for (uint32_t v = 0; v < LENGTH; v++) {
		uint32_t next = (v + 1) % LENGTH;
		assert_int_equal(lt_graph_builder_row(builder, &next, 1), LT_OK);
	}
	LT_CLEANUP(lt_graph_deinit) struct lt_graph graph = {0};
	assert_int_equal(lt_graph_builder_finish(builder, &graph), LT_OK);
	LT_FREE uint32_t *component = NULL;
	uint32_t count = 0;
	assert_int_equal(lt_graph_components(&session, &graph, &component, &count), LT_OK);
	assert_int_equal(count, 1);
	uint32_t root = 0;
	LT_CLEANUP(lt_dominators_deinit) struct lt_dominators dominators = {0};
	assert_int_equal(lt_graph_dominators(&session, &graph, &root, 1, &dominators), LT_OK);
	assert_int_equal(dominators.reachable, LENGTH);
	assert_int_equal(dominators.dominator[0], LT_GRAPH_NONE);
	for (uint32_t v = 1; v < LENGTH; v++)
		assert_int_equal(dominators.dominator[v], v - 1);
}

static void test_builder_bounds(void **unused)
{
	(void)unused;
	struct lt_graph_builder *builder = NULL;
	assert_int_equal(lt_graph_builder_create(&session, &builder), LT_OK);
	uint32_t beyond = 1;
	assert_int_equal(lt_graph_builder_row(builder, &beyond, 1), LT_OK);
	struct lt_graph graph = {0};
	assert_int_equal(lt_graph_builder_finish(builder, &graph), LT_E_INTERNAL);
	assert_null(graph.out.first);
	lt_session_clear(&session);

	assert_int_equal(lt_graph_builder_create(&session, &builder), LT_OK);
	assert_int_equal(lt_graph_builder_finish(builder, &graph), LT_OK);
	assert_int_equal(graph.node_count, 0);
	check_dominators(&graph, NULL, 0);
	lt_graph_deinit(&graph);
}

static void test_reverse(void **unused)
{
	(void)unused;
	LT_CLEANUP(lt_graph_deinit) struct lt_graph graph = {0};
	random_graph(500, 6, &graph);
	assert_int_equal(lt_graph_reverse(&session, &graph), LT_OK);
	assert_int_equal(lt_row_start(&graph.in, graph.node_count), graph.edge_count);
	for (uint32_t v = 0; v < graph.node_count; v++) {
		for (uint32_t u = 0; u < graph.node_count; u++) {
			int forward = 0, backward = 0;
			struct lt_row out = lt_row(&graph.out, u), in = lt_row(&graph.in, v);
			for (const uint32_t *to = out.begin; to < out.end; to++)
				forward += *to == v;
			for (const uint32_t *from = in.begin; from < in.end; from++)
				backward += *from == u;
			assert_int_equal(forward, backward);
		}
	}
}

int main(void)
{
	lt_session_init(&session);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reverse),         cmocka_unit_test(test_dominators_random),
		cmocka_unit_test(test_shortest_random), cmocka_unit_test(test_components_random),
		cmocka_unit_test(test_long_list),       cmocka_unit_test(test_builder_bounds),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	lt_session_deinit(&session);
	return failed;
}
