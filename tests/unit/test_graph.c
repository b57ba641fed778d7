/* Random graphs against naive oracles, and shapes that a recursion or a quadratic method would not survive. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "graph/graph_parts.h"

#include <inttypes.h>
#include <string.h>

static struct lt_session session;

static uint64_t state = 0x9e3779b97f4a7c15;
static char last_graph[200];

static uint32_t random_below(uint32_t bound)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)((state >> 16) % bound);
}

/*
 * Random graphs of different shapes. Each starts from a seed of its own, which is printed when a check of
 * it fails.
 */
enum shape {
	SPARSE,   /* fewer edges than nodes: much is not reached */
	MIXED,    /* up to four edges a node */
	DENSE,    /* half of all edges */
	CHAIN,    /* a path with some edges back and forth */
	TREE,     /* each node below an earlier one, some edges across */
	PARALLEL, /* few targets, each several times, and self-loops */
	LOOPS,    /* rings that touch: large components */
	SHAPES
};
static const char *const shape_names[SHAPES] = {"sparse", "mixed",    "dense", "chain",
						"tree",   "parallel", "loops"};

enum { SMALL = 24, ROW = 64 };

static size_t shaped_row(enum shape shape, uint32_t v, uint32_t nodes, uint32_t *row)
{
	size_t count = 0;
	uint32_t extra = 0;
	switch (shape) {
	case SPARSE:
		extra = random_below(2);
		break;
	case MIXED:
		extra = random_below(5);
		break;
	case DENSE:
		extra = nodes / 2;
		break;
	case CHAIN:
		if (v + 1 < nodes)
			row[count++] = v + 1;
		extra = random_below(4) == 0;
		break;
	case TREE:
		/* Children of v in a tree of three each. */
		for (uint32_t child = 3 * v + 1; child <= 3 * v + 3 && child < nodes; child++)
			row[count++] = child;
		extra = random_below(3) == 0;
		break;
	case PARALLEL:
		for (uint32_t twice = random_below(4), to = random_below(nodes); twice > 0; twice--)
			row[count++] = to;
		if (random_below(2) == 0)
			row[count++] = v;
		extra = random_below(2);
		break;
	case LOOPS:
		row[count++] = v % 6 == 5 || v + 1 == nodes ? v / 6 * 6 : v + 1;
		extra = random_below(3) == 0;
		break;
	case SHAPES:
		break;
	}
	for (; extra > 0; extra--)
		row[count++] = random_below(nodes);
	return count;
}

/* Rows are wide when there are more than `narrow_edges`. */
static void shaped_graph(enum shape shape, uint32_t nodes, uint64_t narrow_edges,
			 struct lt_graph *ret_graph)
{
	struct lt_graph_builder *builder = NULL;
	uint64_t edges = 0;
	assert_int_equal(lt_graph_builder_create(&session, &builder), LT_OK);
	lt_graph_builder_set_narrow_edges(builder, narrow_edges);
	for (uint32_t v = 0; v < nodes; v++) {
		uint32_t row[ROW];
		size_t count = shaped_row(shape, v, nodes, row);
		edges += count;
		/* At times in two parts. */
		size_t part = count / 2 * (v % 2);
		assert_true(lt_graph_builder_add(builder, row, part));
		assert_int_equal(lt_graph_builder_row(builder, row + part, count - part), LT_OK);
	}
	assert_int_equal(lt_graph_builder_finish(builder, ret_graph), LT_OK);
	assert_int_equal(ret_graph->edge_count, edges);
	assert_int_equal(ret_graph->out.wide, edges > narrow_edges);
}

/* The graph of a round: its shape, size and width follow from the round's seed. */
static void graph_of_round(const char *test, int round, struct lt_graph *ret_graph)
{
	state = 0x9e3779b97f4a7c15 * ((uint64_t)round + 1);
	enum shape shape = (enum shape)(round % SHAPES);
	uint32_t nodes = 1 + random_below(SMALL);
	uint64_t narrow_edges = random_below(3) == 0 ? random_below(40) : UINT32_MAX;
	/* cmocka shows it when the test fails: the last line is the graph that failed. */
	(void)snprintf(last_graph, sizeof(last_graph),
		       "%s: round %d, %s, %" PRIu32 " nodes, narrow up to %" PRIu64 " edges", test,
		       round, shape_names[shape], nodes, narrow_edges);
	shaped_graph(shape, nodes, narrow_edges, ret_graph);
}

static int print_last_graph(void **unused)
{
	(void)unused;
	if (last_graph[0] != '\0')
		print_message("last graph: %s\n", last_graph);
	last_graph[0] = '\0';
	return 0;
}

/* Nodes that the roots reach when `removed` is gone. */
static void reach_without(const struct lt_graph *graph, const uint32_t *roots, size_t root_count,
			  uint32_t removed, uint8_t *reached)
{
	memset(reached, 0, graph->node_count);
	for (size_t r = 0; r < root_count; r++) {
		if (roots[r] != removed && roots[r] != LT_GRAPH_NONE)
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
	for (int round = 0; round < 7000; round++) {
		LT_CLEANUP(lt_graph_deinit) struct lt_graph graph = {0};
		graph_of_round("dominators", round, &graph);
		/* None, one, some, many; now and then one that is no node, as a root outside the graph has. */
		uint32_t roots[SMALL];
		size_t root_count =
			random_below(3) == 0 ? random_below(SMALL + 1) : random_below(4);
		for (size_t r = 0; r < root_count; r++)
			roots[r] = random_below(20) == 0 ? LT_GRAPH_NONE
							 : random_below(graph.node_count);
		check_dominators(&graph, roots, root_count);
	}
}

static void test_shortest_random(void **unused)
{
	(void)unused;
	for (int round = 0; round < 700; round++) {
		LT_CLEANUP(lt_graph_deinit) struct lt_graph graph = {0};
		graph_of_round("shortest", round, &graph);
		uint32_t roots[3];
		uint8_t start[3], enter[SMALL], leave[SMALL];
		size_t root_count = 1 + random_below(3);
		for (size_t r = 0; r < root_count; r++) {
			roots[r] = random_below(graph.node_count);
			start[r] = (uint8_t)random_below(256);
		}
		bool plain = round % 4 == 0; /* entering costs 1 each: NULL says so */
		for (uint32_t v = 0; v < SMALL; v++) {
			enter[v] = (uint8_t)(random_below(3) == 0 ? 0 : random_below(256));
			if (plain)
				enter[v] = 1;
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
								   root_count, plain ? NULL : enter,
								   leave, &parent, &distance),
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
	for (int round = 0; round < 2100; round++) {
		LT_CLEANUP(lt_graph_deinit) struct lt_graph graph = {0};
		graph_of_round("components", round, &graph);
		uint8_t reach[SMALL][SMALL];
		for (uint32_t v = 0; v < graph.node_count; v++) {
			reach_without(&graph, &v, 1, LT_GRAPH_NONE, reach[v]);
			uint8_t marked[SMALL] = {0};
			assert_int_equal(lt_graph_mark(&session, &graph, &v, 1, marked), LT_OK);
			assert_memory_equal(marked, reach[v], graph.node_count);
			const struct lt_marking_limits limits = {
				.many = 0, .given_min = 1 + v % 3, .steps = 1};
			memset(marked, 0, sizeof(marked));
			assert_int_equal(
				lt_graph_mark_with(&session, &graph, &v, 1, marked, &limits),
				LT_OK);
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

/* Everything that a node with an external count reaches is held, and nothing else. */
static void test_held_random(void **unused)
{
	(void)unused;
	for (int round = 0; round < 1400; round++) {
		LT_CLEANUP(lt_graph_deinit) struct lt_graph graph = {0};
		graph_of_round("held", round, &graph);
		int64_t external[SMALL];
		uint32_t seeds[SMALL];
		size_t seed_count = 0;
		for (uint32_t v = 0; v < graph.node_count; v++) {
			external[v] = (int64_t)random_below(8) - 5;
			if (external[v] > 0)
				seeds[seed_count++] = v;
		}
		uint8_t expected[SMALL], held[SMALL] = {0};
		reach_without(&graph, seeds, seed_count, LT_GRAPH_NONE, expected);
		assert_int_equal(lt_graph_mark_held(&session, &graph, external, held), LT_OK);
		assert_memory_equal(held, expected, graph.node_count);
	}
}

/* The rows of two builders, the second's behind the first's, and the same rows of one. */
static void rows_in_two(uint32_t nodes, uint32_t middle, uint64_t narrow_edges)
{
	struct lt_graph_builder *one = NULL, *parts[2] = {0};
	assert_int_equal(lt_graph_builder_create(&session, &one), LT_OK);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(lt_graph_builder_create(&session, &parts[i]), LT_OK);
		lt_graph_builder_set_narrow_edges(parts[i], narrow_edges);
	}
	for (uint32_t v = 0; v < nodes; v++) {
		uint32_t row[4], count = random_below(4);
		for (uint32_t i = 0; i < count; i++)
			row[i] = random_below(nodes);
		assert_int_equal(lt_graph_builder_row(one, row, count), LT_OK);
		assert_int_equal(lt_graph_builder_row(parts[v >= middle], row, count), LT_OK);
	}
	LT_CLEANUP(lt_graph_deinit) struct lt_graph plain = {0}, joined = {0};
	assert_int_equal(lt_graph_builder_join(parts, 2), LT_OK);
	assert_int_equal(lt_graph_builder_finish(one, &plain), LT_OK);
	assert_int_equal(lt_graph_builder_finish(parts[0], &joined), LT_OK);
	lt_graph_builder_destroy(parts[1]);
	assert_int_equal(joined.node_count, nodes);
	assert_int_equal(joined.edge_count, plain.edge_count);
	assert_int_equal(joined.out.wide, plain.edge_count > narrow_edges);
	for (uint32_t v = 0; v < nodes; v++) {
		struct lt_row a = lt_row(&plain.out, v), b = lt_row(&joined.out, v);
		assert_int_equal(a.end - a.begin, b.end - b.begin);
		if (a.begin < a.end)
			assert_memory_equal(a.begin, b.begin,
					    (size_t)(a.end - a.begin) * sizeof(*a.begin));
	}
}

static void test_rows_of_two_builders(void **unused)
{
	(void)unused;
	for (int round = 0; round < 200; round++) {
		uint32_t nodes = 1 + random_below(SMALL);
		uint64_t narrow_edges = random_below(2) == 0 ? random_below(2 * SMALL) : UINT32_MAX;
		rows_in_two(nodes, random_below(nodes + 1), narrow_edges);
	}
	/* Whose pages are moved, at four distances from the begin of a page. */
	for (uint32_t i = 0; i < 4; i++) {
		rows_in_two(2500000, 1000000 + i, UINT32_MAX);
		rows_in_two(2500000, 1000000 + i, 2000000);
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
	for (int wide = 0; wide < 2; wide++) {
		LT_CLEANUP(lt_graph_deinit) struct lt_graph graph = {0};
		shaped_graph(MIXED, 500, wide ? 700 : UINT32_MAX, &graph);
		assert_int_equal(lt_graph_reverse(&session, &graph), LT_OK);
		assert_int_equal(graph.in.wide, wide);
		assert_int_equal(lt_row_start(&graph.in, graph.node_count), graph.edge_count);
		for (uint32_t v = 0; v < graph.node_count; v++) {
			for (uint32_t u = 0; u < graph.node_count; u++) {
				int forward = 0, backward = 0;
				struct lt_row out = lt_row(&graph.out, u),
					      in = lt_row(&graph.in, v);
				for (const uint32_t *to = out.begin; to < out.end; to++)
					forward += *to == v;
				for (const uint32_t *from = in.begin; from < in.end; from++)
					backward += *from == u;
				assert_int_equal(forward, backward);
			}
		}
	}
}

/* Wide rows and narrow ones give the same results on a graph that is not small. */
static void test_widths_agree(void **unused)
{
	(void)unused;
	struct lt_dominators of[2] = {{0}, {0}};
	uint32_t *component[2], count[2];
	for (int wide = 0; wide < 2; wide++) {
		LT_CLEANUP(lt_graph_deinit) struct lt_graph graph = {0};
		state = 4711;
		shaped_graph(MIXED, 20000, wide ? 30000 : UINT32_MAX, &graph);
		assert_int_equal(
			lt_graph_components(&session, &graph, &component[wide], &count[wide]),
			LT_OK);
		const uint32_t roots[] = {5, 17, 5000};
		assert_int_equal(lt_graph_dominators(&session, &graph, roots, 3, &of[wide]), LT_OK);
	}
	assert_int_equal(count[0], count[1]);
	assert_memory_equal(component[0], component[1], 20000 * sizeof(uint32_t));
	assert_int_equal(of[0].reachable, of[1].reachable);
	assert_memory_equal(of[0].dominator, of[1].dominator, 20000 * sizeof(uint32_t));
	assert_memory_equal(of[0].order, of[1].order, of[0].reachable * sizeof(uint32_t));
	for (int wide = 0; wide < 2; wide++) {
		lt_dominators_deinit(&of[wide]);
		free(component[wide]);
	}
}

int main(void)
{
	lt_session_init(&session);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reverse),
		cmocka_unit_test(test_widths_agree),
		cmocka_unit_test_teardown(test_dominators_random, print_last_graph),
		cmocka_unit_test_teardown(test_shortest_random, print_last_graph),
		cmocka_unit_test_teardown(test_components_random, print_last_graph),
		cmocka_unit_test_teardown(test_held_random, print_last_graph),
		cmocka_unit_test(test_long_list),
		cmocka_unit_test(test_builder_bounds),
		cmocka_unit_test(test_rows_of_two_builders),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	lt_session_deinit(&session);
	return failed;
}
