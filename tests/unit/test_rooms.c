/* Arrays of nodes that are made before their number is known: they are zero and have room for all, however many there are. */
#include "heap/rooms.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROOM = 8 << 20 };

/* Each of the arrays has `nodes` elements and one more, all zero. */
static void assert_made(struct lt_heap_graph *graph, size_t nodes)
{
	uint64_t sum = 0;
	for (size_t node = 0; node <= nodes; node++)
		sum += graph->type[node] + graph->size[node] + graph->flags[node] +
		       (uint16_t)graph->balance[node];
	assert_int_equal(sum, 0);
	memset(graph->type, 1, (nodes + 1) * sizeof(*graph->type));
	memset(graph->size, 1, (nodes + 1) * sizeof(*graph->size));
	memset(graph->flags, 1, (nodes + 1) * sizeof(*graph->flags));
	memset(graph->balance, 1, (nodes + 1) * sizeof(*graph->balance));
	lt_heap_graph_deinit(graph);
}

static void make(uint64_t room, uint64_t nodes)
{
	struct lt_heap_graph graph = {0};
	struct lt_rooms *rooms = lt_rooms_begin(room);
	for (uint64_t found = 0; found <= nodes; found += 1 << 18)
		lt_rooms_found(rooms, found);
	assert_true(lt_rooms_end(rooms, nodes, &graph));
	assert_made(&graph, nodes);
}

static void test_as_many_as_there_are(void **state)
{
	(void)state;
	make(ROOM, 0);
	make(ROOM, ROOM / 3);
	make(ROOM, ROOM);
}

static void test_more_than_there_is_room_for(void **state)
{
	(void)state;
	make(ROOM, ROOM + 1);
	make(ROOM, ROOM + ROOM / 2);
}

static void test_not_worth_it(void **state)
{
	(void)state;
	assert_null(lt_rooms_begin(1000));
	assert_null(lt_rooms_begin(UINT64_MAX));
	make(1000, 2000);
}

static void test_given_up(void **state)
{
	(void)state;
	struct lt_rooms *rooms = lt_rooms_begin(ROOM);
	assert_non_null(rooms);
	lt_rooms_found(rooms, ROOM / 2);
	/* It begins anew. */
	lt_rooms_found(rooms, 10);
	lt_rooms_destroy(rooms);
	lt_rooms_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_as_many_as_there_are),
		cmocka_unit_test(test_more_than_there_is_room_for),
		cmocka_unit_test(test_not_worth_it),
		cmocka_unit_test(test_given_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
