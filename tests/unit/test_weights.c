/* Retained bytes of groups on random dominator trees, against walking up from every node. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "analysis/weights.h"
#include "base/cleanup.h"

enum { NODES = 300, GROUPS = 5, TREES = 300, DEEP = 200000 };

static struct lt_session session;
static uint64_t state = 0x2545f4914f6cdd1d;

static uint32_t random_below(uint32_t bound)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)((state >> 16) % bound);
}

static uint32_t group_of(const void *ctx, uint32_t node)
{
	return ((const uint32_t *)ctx)[node];
}

/* A forest in an order of its own: order[i] hangs below one of order[0 .. i), or on top. */
static void make_forest(uint32_t *dominator, uint64_t *retained, uint8_t *alive)
{
	uint32_t order[NODES];
	for (uint32_t i = 0; i < NODES; i++)
		order[i] = i;
	for (uint32_t i = NODES; i-- > 1;) {
		uint32_t other = random_below(i + 1), swap = order[i];
		order[i] = order[other];
		order[other] = swap;
	}
	uint32_t tops = 1 + random_below(20);
	for (uint32_t i = 0; i < NODES; i++) {
		uint32_t node = order[i];
		alive[node] = random_below(20) > 0;
		dominator[node] = LT_GRAPH_NONE;
		if (i >= tops && alive[node])
			dominator[node] = order[random_below(i)];
		if (dominator[node] != LT_GRAPH_NONE && !alive[dominator[node]])
			dominator[node] = LT_GRAPH_NONE;
		retained[node] = 1 + random_below(100);
	}
	for (uint32_t i = NODES; i-- > 0;) {
		if (dominator[order[i]] != LT_GRAPH_NONE)
			retained[dominator[order[i]]] += retained[order[i]];
	}
}

static void test_groups_count_each_byte_once(void **ignored)
{
	(void)ignored;
	for (int tree = 0; tree < TREES; tree++) {
		uint32_t dominator[NODES], group[NODES];
		uint64_t retained[NODES], wanted[GROUPS] = {0};
		uint8_t alive[NODES];
		make_forest(dominator, retained, alive);
		for (uint32_t node = 0; node < NODES; node++) {
			uint32_t of = random_below(GROUPS + 2);
			group[node] = of < GROUPS ? of : LT_NO_NODE;
		}
		for (uint32_t node = 0; node < NODES; node++) {
			bool inner = group[node] == LT_NO_NODE || !alive[node];
			for (uint32_t up = dominator[node]; up != LT_GRAPH_NONE; up = dominator[up])
				inner |= group[up] == group[node];
			if (!inner)
				wanted[group[node]] += retained[node];
		}
		const struct lt_picture picture = {.session = &session,
						   .graph.graph.node_count = NODES,
						   .dominator = dominator,
						   .retained = retained,
						   .alive = alive};
		LT_FREE uint64_t *found = NULL;
		assert_int_equal(lt_weights_of_groups(&picture, group_of, group, GROUPS, &found),
				 LT_OK);
		for (uint32_t g = 0; g < GROUPS; g++)
			assert_int_equal(found[g], wanted[g]);
	}
}

static void test_lists_of_children(void **ignored)
{
	(void)ignored;
	uint32_t dominator[NODES];
	uint64_t retained[NODES];
	uint8_t alive[NODES];
	make_forest(dominator, retained, alive);
	const struct lt_picture picture = {
		.session = &session, .graph.graph.node_count = NODES, .dominator = dominator};
	LT_CLEANUP(lt_dominated_deinit) struct lt_dominated below = {0};
	assert_int_equal(lt_dominated_list(&picture, &below), LT_OK);
	uint32_t seen = 0, children = 0;
	for (uint32_t node = 0; node < NODES; node++) {
		children += dominator[node] != LT_GRAPH_NONE;
		for (uint32_t i = below.first[node]; i < below.first[node + 1]; i++, seen++)
			assert_int_equal(dominator[below.child[i]], node);
	}
	assert_int_equal(seen, children);
}

/* A chain as long as a linked list of a target: no recursion, no square. */
static void test_a_long_chain(void **ignored)
{
	(void)ignored;
	LT_FREE uint32_t *dominator = malloc(DEEP * sizeof(*dominator));
	LT_FREE uint32_t *group = calloc(DEEP, sizeof(*group));
	LT_FREE uint64_t *retained = malloc(DEEP * sizeof(*retained));
	LT_FREE uint8_t *alive = malloc(DEEP);
	LT_FREE uint64_t *found = NULL;
	assert_non_null(dominator);
	assert_non_null(group);
	assert_non_null(retained);
	assert_non_null(alive);
	for (uint32_t node = 0; node < DEEP; node++) {
		dominator[node] = node == 0 ? LT_GRAPH_NONE : node - 1;
		retained[node] = DEEP - node;
		alive[node] = 1;
	}
	const struct lt_picture picture = {.session = &session,
					   .graph.graph.node_count = DEEP,
					   .dominator = dominator,
					   .retained = retained,
					   .alive = alive};
	assert_int_equal(lt_weights_of_groups(&picture, group_of, group, 1, &found), LT_OK);
	assert_int_equal(found[0], DEEP);
}

int main(void)
{
	lt_session_init(&session);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_groups_count_each_byte_once),
		cmocka_unit_test(test_lists_of_children),
		cmocka_unit_test(test_a_long_chain),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
