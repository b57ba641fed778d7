/* From samples of a collector to events: made-up histories, sampled as a poll would, and what must come of them. */
#include "watch/polled.h"

#include "release.h"

enum { MOST = 4000, MS = 1000000 };

struct collection {
	uint64_t start_ns, reset_ns, counted_ns, end_ns;
	int generation;
	int64_t collected;
	unsigned told; /* events that are this one */
};

struct world {
	struct release release;
	struct collection history[MOST];
	size_t count;
	uint64_t random;
	struct lt_watch_events events;
};

static int set_up(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	assert_non_null(world);
	release_begin(&world->release);
	*state = world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;
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

static uint64_t between(struct world *world, uint64_t low, uint64_t high)
{
	return low + next(world) % (high - low + 1);
}

/* Collections one after the other, of `shortest` to `longest` ns, with pauses between them; `slow`: some have slow callbacks. */
static void invent(struct world *world, size_t count, uint64_t shortest, uint64_t longest,
		   uint64_t shortest_pause, uint64_t longest_pause, bool slow)
{
	uint64_t at = 10 * MS;
	world->count = count;
	for (size_t i = 0; i < count; i++) {
		struct collection *one = &world->history[i];
		uint64_t length = between(world, shortest, longest);
		at += between(world, shortest_pause, longest_pause);
		*one = (struct collection){.start_ns = at,
					   .end_ns = at + length,
					   .generation = next(world) % 8 == 0   ? 2
							 : next(world) % 3 == 0 ? 1
										: 0,
					   .collected = (int64_t)(next(world) % 100)};
		/* Callbacks run before the counts are reset, and after the collection is counted. */
		one->reset_ns = at + (slow && next(world) % 4 == 0 ? length / 4 : 0);
		one->counted_ns = one->end_ns - (slow && next(world) % 4 == 0 ? length / 3 : 20000);
		at = one->end_ns;
	}
}

static struct lt_sample sample_at(const struct world *world, uint64_t at)
{
	struct lt_sample sample = {.from_ns = at, .to_ns = at + 500, .steady = true};
	struct lt_gc_state *state = &sample.state;
	state->enabled = true;
	state->generations[0].threshold = 700;
	state->generations[1].threshold = state->generations[2].threshold = 10;
	state->generations[0].count = 100;
	for (size_t i = 0; i < world->count && world->history[i].start_ns <= at; i++) {
		const struct collection *one = &world->history[i];
		struct lt_gc_generation *gen = &state->generations[one->generation];
		if (at >= one->reset_ns) {
			if (one->generation < 2)
				gen[1].count++;
			for (int g = 0; g <= one->generation; g++)
				state->generations[g].count = 0;
		}
		if (at >= one->counted_ns) {
			gen->collections++;
			gen->collected += (uint64_t)one->collected;
		}
		state->collecting = at < one->end_ns;
		if (!state->collecting)
			state->generations[0].count += 50;
	}
	return sample;
}

/* Samples every `every` ns, give or take `jitter`. */
static void watch(struct world *world, uint64_t every, uint64_t jitter)
{
	struct lt_polled polled;
	uint64_t at = 5 * MS, end = world->history[world->count - 1].end_ns + 10 * MS;
	struct lt_sample sample = sample_at(world, at);
	lt_polled_init(&polled, &world->release.view, LT_WATCH_POLL, 0x2000, 0, &sample);
	world->events.count = 0;
	while (at < end) {
		bool look;
		at += every + between(world, 0, jitter);
		sample = sample_at(world, at);
		assert_int_equal(lt_polled_take(&polled, &sample, &world->events, &look), LT_OK);
		assert_true(look <= sample.state.collecting);
	}
	assert_int_equal(lt_polled_end(&polled, at, &world->events), LT_OK);
}

static uint64_t distance(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

static void check_totals(struct world *world)
{
	uint64_t collections[3] = {0}, told[3] = {0};
	int64_t collected[3] = {0}, told_collected[3] = {0};
	for (size_t i = 0; i < world->count; i++) {
		collections[world->history[i].generation]++;
		collected[world->history[i].generation] += world->history[i].collected;
	}
	for (size_t i = 0; i < world->events.count; i++) {
		const struct lt_watch_event *event = &world->events.data[i];
		assert_in_range(event->generation, 0, 2);
		assert_true(event->start_ns <= event->end_ns);
		told[event->generation] += event->kind == LT_WATCH_MISSED ? event->missed : 1;
		if (event->collected > 0)
			told_collected[event->generation] += event->collected;
	}
	for (int g = 0; g < 3; g++) {
		assert_int_equal(told[g], collections[g]);
		assert_int_equal(told_collected[g], collected[g]);
	}
}

/* Events that are a collection of the history, as far off as they say at most; the others are returned. */
static size_t match(struct world *world)
{
	size_t wrong = 0;
	for (size_t i = 0; i < world->count; i++)
		world->history[i].told = 0;
	for (size_t e = 0; e < world->events.count; e++) {
		const struct lt_watch_event *event = &world->events.data[e];
		if (event->kind != LT_WATCH_COLLECTION)
			continue;
		struct collection *found = NULL;
		for (size_t i = 0; i < world->count && found == NULL; i++) {
			struct collection *one = &world->history[i];
			if (one->told == 0 && one->generation == event->generation &&
			    distance(one->start_ns, event->start_ns) <= event->error_ns &&
			    distance(one->end_ns, event->end_ns) <= event->error_ns)
				found = one;
		}
		if (found == NULL)
			wrong++;
		else
			found->told++;
	}
	return wrong;
}

static size_t untold(const struct world *world, uint64_t at_least)
{
	size_t count = 0;
	for (size_t i = 0; i < world->count; i++) {
		const struct collection *one = &world->history[i];
		count += one->told == 0 && one->end_ns - one->start_ns >= at_least;
	}
	return count;
}

/* Collections of 2 ms and longer: each one is there, and none that was not. */
static void test_long_collections_are_all_told(void **state)
{
	struct world *world = *state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		world->random = seed;
		/* Without a sample between two, slow callbacks of both blur where one ends and the other begins. */
		bool slow = seed % 2 == 0;
		invent(world, 300, 2 * MS, 30 * MS, slow ? 3 * MS / 2 : 1000, 20 * MS, slow);
		watch(world, MS, MS / 10);
		check_totals(world);
		assert_int_equal(match(world), 0);
		assert_int_equal(untold(world, 2 * MS), 0);
		assert_int_equal(world->events.count, 300);
	}
}

/* Several between two samples: sums are right, and what is told of single ones is hardly ever wrong. */
static void test_totals_hold_however_many(void **state)
{
	struct world *world = *state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		world->random = seed;
		invent(world, 3000, 10000, seed * MS / 4, 1000, seed % 2 == 0 ? MS : 20000,
		       seed % 3 != 0);
		watch(world, MS, seed % 3 == 0 ? 20 * MS : MS / 2);
		check_totals(world);
		size_t wrong = match(world);
		assert_in_range(wrong, 0, world->events.count / 8);
	}
}

static struct lt_sample at_rest(uint64_t at)
{
	struct lt_sample sample = {.from_ns = at, .to_ns = at};
	sample.state.enabled = true;
	for (int i = 0; i < 3; i++)
		sample.state.generations[i].threshold = 10;
	return sample;
}

static void test_changes_of_the_settings(void **state)
{
	struct world *world = *state;
	struct lt_polled polled;
	bool look;
	struct lt_sample sample = at_rest(MS);
	lt_polled_init(&polled, &world->release.view, LT_WATCH_POLL, 0x2000, 3, &sample);
	sample = at_rest(2 * MS);
	assert_int_equal(lt_polled_take(&polled, &sample, &world->events, &look), LT_OK);
	assert_int_equal(world->events.count, 0);
	sample = at_rest(4 * MS);
	sample.state.enabled = false;
	sample.state.generations[1].threshold = 50;
	sample.state.debug = 4;
	sample.state.frozen = true;
	assert_int_equal(lt_polled_take(&polled, &sample, &world->events, &look), LT_OK);
	const enum lt_watch_call calls[] = {LT_CALL_DISABLE, LT_CALL_SET_THRESHOLD,
					    LT_CALL_SET_DEBUG, LT_CALL_FREEZE};
	assert_int_equal(world->events.count, 4);
	for (size_t i = 0; i < 4; i++) {
		const struct lt_watch_event *event = &world->events.data[i];
		assert_int_equal(event->kind, LT_WATCH_CHANGED);
		assert_int_equal(event->call, calls[i]);
		assert_false(event->call_certain);
		assert_int_equal(event->interpreter, 3);
		assert_int_equal(event->start_ns, 3 * MS);
		assert_int_equal(event->error_ns, MS);
		assert_true(event->before.enabled);
		assert_false(event->after.enabled);
	}
}

/* Whether the counts before it called for a collection says whether it was called for. */
static void test_collections_that_no_count_calls_for(void **state)
{
	static const struct {
		bool enabled;
		int64_t count1, count2;
		uint64_t total, pending;
		int generation;
		bool called;
	} cases[] = {
		{true, 3, 3, 0, 0, 0, false},    {true, 11, 3, 0, 0, 1, false},
		{true, 3, 11, 0, 0, 2, false},   {true, 3, 11, 100, 30, 2, false},
		{true, 3, 11, 100, 20, 2, true}, {true, 3, 3, 0, 0, 2, true},
		{true, 3, 3, 0, 0, 1, true},     {true, 11, 3, 0, 0, 0, true},
		{false, 3, 11, 0, 0, 2, true},   {false, 3, 3, 0, 0, 0, true},
	};
	struct world *world = *state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct lt_polled polled;
		bool look;
		struct lt_sample sample = at_rest(MS);
		sample.state.enabled = cases[i].enabled;
		sample.state.generations[1].count = cases[i].count1;
		sample.state.generations[2].count = cases[i].count2;
		sample.state.long_lived_total = cases[i].total;
		sample.state.long_lived_pending = cases[i].pending;
		lt_polled_init(&polled, &world->release.view, LT_WATCH_POLL, 0x2000, 0, &sample);
		sample.from_ns = sample.to_ns = 2 * MS;
		sample.state.generations[cases[i].generation].collections = 1;
		world->events.count = 0;
		assert_int_equal(lt_polled_take(&polled, &sample, &world->events, &look), LT_OK);
		assert_int_equal(world->events.count, 1);
		const struct lt_watch_event *event = &world->events.data[0];
		assert_int_equal(event->generation, cases[i].generation);
		assert_int_equal(event->call, cases[i].called ? LT_CALL_COLLECT : LT_CALL_NONE);
		assert_int_equal(event->call_certain, cases[i].called);
	}
}

/* A memory that tells nonsense: every figure may be anything. */
static void test_nonsense_does_no_harm(void **state)
{
	struct world *world = *state;
	world->random = 7;
	struct lt_polled polled;
	struct lt_sample sample = at_rest(MS);
	lt_polled_init(&polled, &world->release.view, LT_WATCH_POLL, 0x2000, 0, &sample);
	for (uint64_t i = 0; i < 20000; i++) {
		bool look;
		sample.from_ns = sample.to_ns = (i + 2) * MS;
		uint8_t *bytes = (uint8_t *)&sample.state.generations;
		for (size_t b = next(world) % 8; b < sizeof(sample.state.generations);
		     b += 1 + next(world) % 40)
			bytes[b] = (uint8_t)next(world);
		sample.state.enabled = next(world) % 2;
		sample.state.collecting = next(world) % 2;
		assert_int_equal(lt_polled_take(&polled, &sample, &world->events, &look), LT_OK);
		for (size_t e = 0; e < world->events.count; e++) {
			assert_in_range(world->events.data[e].kind, 0, LT_WATCH_MISSED);
			assert_true(world->events.data[e].start_ns <= world->events.data[e].end_ns);
		}
		world->events.count = 0;
	}
	assert_int_equal(lt_polled_end(&polled, 30000000ull * MS, &world->events), LT_OK);
	assert_true(world->release.session.unreadable > 0);
}

/* --- the records of 3.15 ------------------------------------------------------------------------- */

enum { INTERPRETER = 0x100000, STATS = 0x200000, RINGS = 4096 };

/* An interpreter of 3.15 with rings, no record in them. */
static void make_rings(struct world *world)
{
	int column = lt_column_find(0x030f00f0);
	assert_true(column >= 0);
	lt_column_layout((unsigned)column, &world->release.layout);
	lt_addr gc = INTERPRETER + lt_off(&world->release.layout, LT_PyInterpreterState_gc);
	assert_int_equal(lt_image_add(&world->release.session, world->release.image, gc, NULL, 512),
			 LT_OK);
	assert_int_equal(
		lt_image_add(&world->release.session, world->release.image, STATS, NULL, RINGS),
		LT_OK);
	uint64_t stats = STATS;
	memcpy(lt_image_at(
		       world->release.image,
		       gc + lt_off(&world->release.layout, LT__gc_runtime_state_generation_stats),
		       8),
	       &stats, 8);
	memcpy(lt_image_at(world->release.image,
			   gc + lt_off(&world->release.layout, LT__gc_runtime_state_enabled), 4),
	       &(int){1}, 4);
}

static void put(struct world *world, lt_addr at, enum lt_field field, uint64_t value)
{
	memcpy(lt_image_at(world->release.image, at + lt_off(&world->release.layout, field), 8),
	       &value, 8);
}

/* The collection number `number` of a generation, as the collector would store it. */
static lt_addr put_record(struct world *world, int generation, uint64_t number, uint64_t start_ns,
			  uint64_t end_ns)
{
	struct lt_gc_ring_place place;
	assert_true(lt_gc_ring_find(&world->release.layout, generation, &place));
	unsigned slot = (unsigned)(number % place.length);
	lt_addr at = STATS + place.items + slot * place.record_size;
	put(world, at, LT_gc_generation_stats_ts_start, start_ns);
	put(world, at, LT_gc_generation_stats_collections, number);
	put(world, at, LT_gc_generation_stats_collected, 10 * number);
	put(world, at, LT_gc_generation_stats_uncollectable, number);
	put(world, at, LT_gc_generation_stats_candidates, 100 * number);
	put(world, at, LT_gc_generation_stats_ts_stop, end_ns);
	return at;
}

static void look(struct world *world, struct lt_polled *polled, uint64_t at)
{
	struct lt_sample sample = {.from_ns = at, .to_ns = at + 500, .steady = true};
	bool wants;
	unsigned crowd;
	assert_true(lt_gc_state_read(&world->release.view, INTERPRETER, &sample.state));
	assert_int_equal(lt_polled_take_ring(polled, &sample, &world->events, &wants, &crowd),
			 LT_OK);
}

static void start(struct world *world, struct lt_polled *polled, uint64_t at)
{
	struct lt_sample sample = {.from_ns = at, .to_ns = at + 500, .steady = true};
	struct lt_gc_rings rings;
	assert_true(lt_gc_state_read(&world->release.view, INTERPRETER, &sample.state));
	assert_true(lt_gc_rings_read(&world->release.view, INTERPRETER, &rings));
	lt_polled_init(polled, &world->release.view, LT_WATCH_RING, INTERPRETER, 0, &sample);
	lt_polled_init_ring(polled, &rings);
}

static void test_each_record_is_told_once(void **state)
{
	struct world *world = *state;
	struct lt_polled polled;
	make_rings(world);
	for (uint64_t n = 1; n <= 5; n++)
		put_record(world, 0, n, n * MS, n * MS + 100);
	start(world, &polled, 6 * MS);
	uint64_t number = 6;
	for (uint64_t step = 0; step < 40; step++) {
		for (uint64_t n = 0; n < step % 5; n++, number++)
			put_record(world, 0, number, number * MS, number * MS + 100 + number);
		size_t before = world->events.count;
		look(world, &polled, (number + 1) * MS);
		assert_int_equal(world->events.count - before, step % 5);
	}
	for (size_t i = 0; i < world->events.count; i++) {
		const struct lt_watch_event *event = &world->events.data[i];
		assert_int_equal(event->kind, LT_WATCH_COLLECTION);
		assert_int_equal(event->start_ns, (i + 6) * MS);
		assert_int_equal(event->end_ns, (i + 6) * MS + 100 + i + 6);
		assert_int_equal(event->error_ns, 0);
		assert_int_equal(event->collected, 10);
		assert_int_equal(event->uncollectable, 1);
		assert_int_equal(event->candidates, 100);
	}
}

static void test_records_that_were_overwritten_are_missed(void **state)
{
	struct world *world = *state;
	struct lt_polled polled;
	make_rings(world);
	put_record(world, 0, 1, MS, MS + 100);
	start(world, &polled, 2 * MS);
	for (uint64_t n = 2; n <= 40; n++)
		put_record(world, 0, n, n * MS, n * MS + 100);
	look(world, &polled, 50 * MS);
	assert_int_equal(world->events.count, 11);
	assert_int_equal(lt_polled_flush(&polled, UINT64_MAX, &world->events), LT_OK);
	assert_int_equal(world->events.count, 12);
	int64_t collected = 0;
	uint64_t told = 0;
	for (size_t i = 0; i < 12; i++) {
		const struct lt_watch_event *event = &world->events.data[i];
		collected += event->collected > 0 ? event->collected : 0;
		told += event->kind == LT_WATCH_MISSED ? event->missed : 1;
	}
	assert_int_equal(world->events.data[0].collected, -1);
	assert_int_equal(world->events.data[11].kind, LT_WATCH_MISSED);
	assert_int_equal(world->events.data[11].missed, 28);
	assert_int_equal(told, 39);
	assert_int_equal(collected, 390);
}

/* ts_stop is stored last: until then the record bears its number and, perhaps, times of the one before. */
static void test_records_that_are_being_written_wait(void **state)
{
	struct world *world = *state;
	struct lt_polled polled;
	make_rings(world);
	put_record(world, 2, 1, MS, 2 * MS);
	start(world, &polled, 3 * MS);
	put_record(world, 2, 2, 5 * MS, 2 * MS); /* ts_stop is of the first one still */
	look(world, &polled, 6 * MS);
	assert_int_equal(world->events.count, 0);
	put_record(world, 2, 2, MS, 2 * MS); /* both are */
	look(world, &polled, 7 * MS);
	assert_int_equal(world->events.count, 0);
	put_record(world, 2, 2, 5 * MS, 9 * MS);
	look(world, &polled, 10 * MS);
	assert_int_equal(world->events.count, 1);
	assert_int_equal(world->events.data[0].start_ns, 5 * MS);
	assert_int_equal(world->events.data[0].end_ns, 9 * MS);
}

static void put_generation(struct world *world, int generation, enum lt_field field, int value)
{
	lt_addr at =
		INTERPRETER + lt_off(&world->release.layout, LT_PyInterpreterState_gc) +
		lt_off(&world->release.layout, LT__gc_runtime_state_generations) +
		(unsigned)generation * lt_off(&world->release.layout, LT_sizeof_gc_generation) +
		lt_off(&world->release.layout, field);
	memcpy(lt_image_at(world->release.image, at, 4), &value, 4);
}

/* The counts are followed from record to record: they say which collections nobody can have asked for. */
static void test_counts_are_followed_through_the_records(void **state)
{
	static const struct {
		int count1, young;
		bool called;
	} cases[] = {{8, 2, true}, {8, 3, false}, {10, 0, true}, {11, 0, false}, {3, 2, true}};
	struct world *world = *state;
	struct lt_polled polled;
	make_rings(world);
	for (int g = 0; g < 3; g++)
		put_generation(world, g, LT_gc_generation_threshold, 10);
	uint64_t at = MS, young = 0;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		put_generation(world, 1, LT_gc_generation_count, cases[i].count1);
		start(world, &polled, at);
		for (int n = 0; n < cases[i].young; n++) {
			at += MS;
			young++;
			put_record(world, 0, young, at, at + 100);
		}
		at += MS;
		put_record(world, 1, i + 1, at, at + 100);
		world->events.count = 0;
		at += MS;
		look(world, &polled, at);
		assert_int_equal(world->events.count, cases[i].young + 1);
		const struct lt_watch_event *last = &world->events.data[cases[i].young];
		assert_int_equal(last->generation, 1);
		assert_int_equal(last->before.generations[1].count,
				 cases[i].count1 + cases[i].young);
		assert_int_equal(last->call, cases[i].called ? LT_CALL_COLLECT : LT_CALL_NONE);
	}
}

static void test_rings_full_of_nonsense(void **state)
{
	struct world *world = *state;
	struct lt_polled polled;
	make_rings(world);
	world->random = 5;
	start(world, &polled, MS);
	uint8_t *bytes = lt_image_at(world->release.image, STATS, RINGS);
	for (uint64_t i = 0; i < 5000; i++) {
		for (int b = 0; b < 200; b++)
			bytes[next(world) % RINGS] = (uint8_t)next(world);
		look(world, &polled, (i + 2) * MS);
		for (size_t e = 0; e < world->events.count; e++)
			assert_true(world->events.data[e].start_ns <= world->events.data[e].end_ns);
		world->events.count = 0;
	}
	assert_int_equal(lt_polled_end(&polled, 10000ull * MS, &world->events), LT_OK);
}

/* A stack of one digit a frame, innermost first: where it lies and what it runs; `at` moves the innermost one. */
static struct lt_running stack_of(const char *digits, unsigned at)
{
	struct lt_running running = {.taken = true, .tstate = 8};
	for (; digits[running.frame_count] != '\0'; running.frame_count++) {
		lt_addr digit = (lt_addr)digits[running.frame_count];
		running.addresses[running.frame_count] = 16 * digit;
		running.frames[running.frame_count] = (struct lt_watch_frame){.code = digit};
	}
	running.frames[0].instruction = at;
	return running;
}

static void test_a_later_look_counts_unless_something_runs_on_top(void **state)
{
	(void)state;
	static const struct {
		const char *first, *later;
		unsigned later_at;
		bool later_counts;
	} cases[] = {
		{"21", "321", 0, false}, /* a callback came on top */
		{"321", "21", 0, true},  /* and was gone again */
		{"321", "421", 0, true}, /* by another one: no nearer to the truth, and no farther */
		{"21", "21", 0, false},
		{"21", "21", 4, true}, /* its next line called again */
		{"1", "2", 0, true},
		{"1", "", 0, true}, /* another collection, of no Python code */
		{"", "1", 0, false},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct lt_running first = stack_of(cases[i].first, 0), kept = first;
		const struct lt_running later = stack_of(cases[i].later, cases[i].later_at);
		lt_running_refine(&kept, &later);
		const struct lt_running *right = cases[i].later_counts ? &later : &first;
		assert_int_equal(kept.frame_count, right->frame_count);
		assert_memory_equal(kept.frames, right->frames, sizeof(kept.frames));
	}
	struct lt_running kept = stack_of("1", 0), other = stack_of("2", 0);
	other.tstate = 16;
	lt_running_refine(&kept, &other);
	assert_int_equal(kept.frames[0].code, '1');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_long_collections_are_all_told, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_totals_hold_however_many, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_changes_of_the_settings, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_collections_that_no_count_calls_for, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_nonsense_does_no_harm, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_each_record_is_told_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_records_that_were_overwritten_are_missed,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_records_that_are_being_written_wait, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_counts_are_followed_through_the_records,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_rings_full_of_nonsense, set_up, tear_down),
		cmocka_unit_test(test_a_later_look_counts_unless_something_runs_on_top),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
