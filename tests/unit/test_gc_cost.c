/* What collections take, learnt from made-up ones, and the caches of this machine. */
#include "analysis/gc_cost.h"
#include "analysis/gc_recording.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { BYTES = 80, MANY = 400 };

static void assert_near(double value, double wanted, double share)
{
	if (fabs(value - wanted) > share * wanted)
		fail_msg("%g is not %g", value, wanted);
}

static void add(struct lt_gc_recording *recording, int generation, double candidates,
		double collected, double ns)
{
	struct lt_gc_event event = {.where = "", .evidence = ""};
	event.seen.kind = LT_WATCH_COLLECTION;
	event.seen.generation = generation;
	event.seen.start_ns = 1000000 * (recording->events.count + 1);
	event.seen.end_ns = event.seen.start_ns + (uint64_t)ns;
	event.seen.candidates = (int64_t)candidates;
	event.seen.collected = (int64_t)collected;
	assert_true(lt_gc_events_push(&recording->events, event));
}

/* Young collections of 2,000 objects, of which more and more are garbage: 10 ns to look at one, 50 to free it. */
static void test_looking_and_freeing_are_told_apart(void **state)
{
	(void)state;
	struct lt_gc_recording recording = {0};
	struct lt_gc_cost_data data = {.timed = {MANY}, .candidates = {2000}};
	for (int i = 0; i < MANY; i++) {
		double collected = 2000.0 * (i % 10) / 10, ns = 1200 + 10 * 2000 + 50 * collected;
		/* One of twenty was interrupted. */
		add(&recording, 0, 2000, collected, i % 20 == 7 ? 10 * ns : ns);
		data.collected[0] += collected / MANY;
		data.ns[0] += ns / MANY;
	}
	struct lt_gc_costs costs;
	lt_gc_costs_fit(&recording, &data, BYTES, &costs);
	assert_near(lt_gc_collection_ns(&costs, 2000, 0), 21200, 0.1);
	assert_near(lt_gc_collection_ns(&costs, 2000, 1800), 111200, 0.1);
	lt_gc_recording_deinit(&recording);
}

/* Of each generation what was seen comes out again; in between nothing jumps. */
static void test_what_was_seen_comes_out_again(void **state)
{
	(void)state;
	struct lt_gc_recording recording = {.cache = {{0, 2, 8, 40, 200, 500, 600}}};
	const struct lt_gc_cost_data data = {
		.timed = {1000, 100, 5},
		.ns = {100000, 500000, 30000000},
		.candidates = {2000, 6000, 200000},
		.collected = {1500, 5000, 10000},
	};
	struct lt_gc_costs costs;
	lt_gc_costs_fit(&recording, &data, BYTES, &costs);
	assert_int_equal(costs.left_count, 3);
	for (int i = 0; i < LT_GC_GENERATIONS; i++)
		assert_near(lt_gc_collection_ns(&costs, data.candidates[i], data.collected[i]),
			    data.ns[i], 0.01);
	double before = 0;
	for (double size = 100; size < 2e6; size *= 1.02) {
		double ns = lt_gc_collection_ns(&costs, size, size / 2);
		assert_true(isfinite(ns) && ns > 0);
		assert_true(before == 0 || (ns < before * 1.25 && ns > before * 0.9));
		before = ns;
	}
}

/* The same collections are dearer to repeat at ten times the size where memory is far. */
static void test_far_memory_counts_beyond_the_caches(void **state)
{
	(void)state;
	const struct lt_gc_cost_data data = {
		.timed = {1000}, .ns = {100000}, .candidates = {1500}, .collected = {1500}};
	struct lt_gc_recording near = {.cache = {{0, 0.5, 1, 2, 4, 6, 8}}};
	struct lt_gc_recording far = {.cache = {{0, 0, 0, 100, 400, 500, 600}}};
	struct lt_gc_costs of_near, of_far;
	lt_gc_costs_fit(&near, &data, BYTES, &of_near);
	lt_gc_costs_fit(&far, &data, BYTES, &of_far);
	assert_near(lt_gc_collection_ns(&of_near, 1500, 1500), 100000, 0.01);
	assert_near(lt_gc_collection_ns(&of_far, 1500, 1500), 100000, 0.01);
	assert_true(lt_gc_collection_ns(&of_near, 50000, 50000) < 50000 * 80.0);
	assert_true(lt_gc_collection_ns(&of_far, 50000, 50000) > 50000 * 200.0);
}

static void test_the_longest_of_many_is_longer(void **state)
{
	(void)state;
	struct lt_gc_costs costs = lt_gc_costs_usual(BYTES);
	double before = 5;
	assert_true(lt_gc_longest_ns(&costs, 0, 5) == 5 && lt_gc_longest_ns(&costs, 1, 5) == 5);
	assert_true(lt_gc_longest_ns(&costs, NAN, 5) == 5);
	for (double count = 2; count < 1e7; count *= 3) {
		double ns = lt_gc_longest_ns(&costs, count, 5);
		assert_true(ns > before && ns < 20);
		before = ns;
	}
	/* The largest of 100 normal figures is 2.51 standard deviations above on average. */
	assert_near(lt_gc_longest_ns(&costs, 100, 1), exp(2.51 * costs.spread), 0.02);
	/* A young one took 300 us more than it should, a full one any time more. */
	const double seen[] = {400000, 200000, 1e9}, should[] = {100000, 250000, 1e6};
	lt_gc_costs_note_longest(seen, should, &costs);
	assert_near(lt_gc_longest_ns(&costs, 100, 10000), 310000, 0.001);
	assert_near(lt_gc_longest_ns(&costs, 100, 1e7), 1e7 * exp(2.51 * costs.spread), 0.02);
}

static void test_hostile_recordings_give_figures(void **state)
{
	(void)state;
	static const double odd[] = {0, -1, 1e-300, 1, 1e15, INFINITY, NAN};
	enum { ODD = sizeof(odd) / sizeof(odd[0]) };
	struct lt_gc_recording recording = {0};
	for (int i = 0; i < 100; i++)
		add(&recording, i % 3, i % 7 == 0 ? -1 : (double)(i % 5) * 1e12, 1e12, 1e12);
	for (size_t i = 0; i < ODD * ODD * ODD; i++) {
		const double a = odd[i % ODD], b = odd[i / ODD % ODD], c = odd[i / ODD / ODD];
		const struct lt_gc_cost_data data = {.timed = {1, 0, UINT64_MAX},
						     .ns = {a, 1, b},
						     .candidates = {b, 1, c},
						     .collected = {1, 1, 1}};
		struct lt_gc_costs costs;
		lt_gc_costs_fit(&recording, &data, BYTES, &costs);
		double ns = lt_gc_collection_ns(&costs, 1000, 500);
		assert_true(isfinite(ns) && ns > 0);
		assert_true(lt_gc_longest_ns(&costs, 1000, ns) < 10 * ns);
	}
	lt_gc_recording_deinit(&recording);
}

static void test_the_caches_of_this_machine(void **state)
{
	(void)state;
	struct lt_gc_cache cache = {0};
	assert_true(lt_gc_cache_measure(&cache));
	assert_true(cache.ns[0] == 0);
	for (int i = 1; i < LT_GC_CACHE_SIZES; i++)
		assert_true(isfinite(cache.ns[i]) && cache.ns[i] >= cache.ns[i - 1]);
	double before = 0;
	for (double bytes = 1; bytes < 1e12; bytes *= 1.7) {
		double ns = lt_gc_cache_ns(&cache, bytes);
		assert_true(isfinite(ns) && ns >= before);
		before = ns;
	}
	assert_true(lt_gc_cache_ns(&cache, NAN) == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_looking_and_freeing_are_told_apart),
		cmocka_unit_test(test_what_was_seen_comes_out_again),
		cmocka_unit_test(test_far_memory_counts_beyond_the_caches),
		cmocka_unit_test(test_the_longest_of_many_is_longer),
		cmocka_unit_test(test_hostile_recordings_give_figures),
		cmocka_unit_test(test_the_caches_of_this_machine),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
