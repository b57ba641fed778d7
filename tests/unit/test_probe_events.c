/* From records of probes to events: made-up collections of which records are lost, and what must come of the rest. */
#include "watch/probe_parts.h"

#include "release.h"

enum { COLLECTIONS = 3000, RECORD_MOST = 4096, INTERPRETER = 0x10000, THREAD = 77, US = 1000 };

struct world {
	struct release release;
	struct lt_probe_events state;
	struct lt_watch_events events;
	struct lt_gc_state now;
	bool by_writes; /* begin and end are seen by the word that is written */
	bool callbacks_ask; /* each collection's callbacks ask for another one, which does nothing; these are not lost */
	uint64_t random;
	unsigned to_lose; /* records: the ring is full */
	unsigned lost, whole;
};

static int set_up(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	assert_non_null(world);
	release_begin(&world->release);
	world->state.view = &world->release.view;
	*state = world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;
	lt_probe_events_deinit(&world->state);
	lt_watch_events_deinit(&world->events);
	release_end(&world->release);
	free(world);
	return 0;
}

static uint64_t next(struct world *world)
{
	world->random = world->random * 6364136223846793005u + 1442695040888963407u;
	return world->random >> 33;
}

static bool is_lost(struct world *world)
{
	if (world->to_lose == 0 && next(world) % 20 == 0)
		world->to_lose = 1 + (unsigned)(next(world) % 12);
	if (world->to_lose == 0)
		return false;
	world->to_lose--;
	return true;
}

/* A record at `at_ns` with the statistics as they are now. */
static bool record(struct world *world, enum lt_probe_moment moment, uint64_t at_ns,
		   bool collecting, bool may_be_lost)
{
	static union {
		struct lt_probe_record record;
		uint8_t bytes[RECORD_MOST];
	} made;
	const struct lt_layout *layout = &world->release.layout;
	size_t size = (size_t)lt_off(layout, LT_sizeof__gc_runtime_state);
	assert_true(sizeof(made.record) + size + 8 <= sizeof(made));
	if (may_be_lost && is_lost(world)) {
		world->lost++;
		return false;
	}
	memset(&made, 0, sizeof(made));
	made.record = (struct lt_probe_record){
		.site = lt_probe_site_id(world->by_writes ? LT_MOMENT_WRITE : moment, LT_CALL_NONE),
		.start_ns = at_ns,
		.end_ns = at_ns,
		.namespace_thread = THREAD,
		.own_thread = THREAD,
		.slots = {[LT_SLOT_INTERPRETER] = INTERPRETER, [LT_SLOT_COLLECTING] = collecting}};
	uint8_t *gc = made.bytes + sizeof(made.record);
	for (unsigned i = 0; i < LT_GC_GENERATIONS; i++)
		memcpy(gc + lt_off(layout, LT__gc_runtime_state_generation_stats) +
			       lt_off(layout, LT_sizeof_gc_generation_stats) * i +
			       lt_off(layout, LT_gc_generation_stats_collections),
		       &world->now.generations[i].collections, sizeof(uint64_t));
	lt_probe_events_take(&world->state, &made.record, sizeof(made.record) + (size + 7) / 8 * 8,
			     &world->events);
	return true;
}

/* The collection with this number goes from number * 100 us for 50 us. */
static void collect(struct world *world, unsigned number)
{
	uint64_t at_ns = (uint64_t)number * 100 * US;
	bool begun = record(world, LT_MOMENT_BEGIN, at_ns, true, true);
	world->now.generations[next(world) % LT_GC_GENERATIONS].collections++;
	if (world->callbacks_ask && !world->by_writes) {
		record(world, LT_MOMENT_BEGIN, at_ns + 30 * US, true, false);
		record(world, LT_MOMENT_END, at_ns + 40 * US, true, false);
	}
	bool ended = record(world, LT_MOMENT_END, at_ns + 50 * US, false, true);
	world->whole += begun && ended;
}

static void check(struct world *world)
{
	lt_probe_events_look(&world->state, INTERPRETER, 0, &world->now, &world->events);
	for (unsigned i = 1; i <= COLLECTIONS; i++)
		collect(world, i);
	/* Nothing runs any more, and nothing is lost: what a look finds the next one tells of. */
	world->to_lose = 0;
	for (int i = 0; i < 2; i++)
		lt_probe_events_look(&world->state, INTERPRETER, 0, &world->now, &world->events);
	uint64_t told = 0, missed = 0;
	for (size_t i = 0; i < world->events.count; i++) {
		const struct lt_watch_event *event = &world->events.data[i];
		if (event->kind == LT_WATCH_MISSED) {
			missed += event->missed;
			continue;
		}
		assert_int_equal(event->kind, LT_WATCH_COLLECTION);
		assert_int_equal(event->start_ns % (100 * US), 0);
		assert_int_equal(event->end_ns - event->start_ns, 50 * US);
		told++;
	}
	assert_true(world->lost > COLLECTIONS / 10);
	assert_true(told <= COLLECTIONS && told >= world->whole * 9 / 10);
	/* One that ran at the end by what is known of it leaves the statistics uncompared. */
	if (world->state.open.count == 0)
		assert_int_equal(told + missed, COLLECTIONS);
	assert_true(told + missed <= COLLECTIONS && told + missed + 30 > COLLECTIONS);
}

static void check_all(struct world *world)
{
	for (uint64_t seed = 1; seed <= 40; seed++) {
		world->random = seed;
		check(world);
		lt_probe_events_deinit(&world->state);
		lt_watch_events_deinit(&world->events);
		world->state = (struct lt_probe_events){.view = &world->release.view};
		world->events = (struct lt_watch_events){0};
		world->now = (struct lt_gc_state){0};
		world->lost = world->whole = 0;
	}
}

static void test_lost_records(void **state)
{
	check_all(*state);
}

static void test_lost_records_of_writes(void **state)
{
	struct world *world = *state;
	world->by_writes = true;
	check_all(world);
}

static void test_lost_records_while_callbacks_collect(void **state)
{
	struct world *world = *state;
	world->callbacks_ask = true;
	check_all(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_lost_records, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_lost_records_of_writes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_lost_records_while_callbacks_collect, set_up,
						tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
