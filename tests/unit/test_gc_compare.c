/*
 * Two made-up recordings beside each other: what changed, and whether that is good, bad or needs a look. The first one of
 * each pair collects twice a second with a stable heap.
 */
#include "analysis/gc_compare.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { SECONDS = 60, SECOND_NS = 1000000000 };

/* What one process does, evenly. */
struct plan {
	double per_second[LT_GC_GENERATIONS]; /* collections */
	double explicit_per_second;           /* of generation 2 */
	int64_t thresholds[LT_GC_GENERATIONS];
	bool disabled;
	unsigned debug;
	const char *python;
	uint64_t pause_ns, longest_ns;
	int64_t collected;      /* in each */
	double made_per_second; /* without collections: how the count grows */
	int64_t tracked, tracked_growth;
	int64_t count_1; /* of generation 1 */
	uint64_t rss;
	uint64_t requests;
	unsigned seconds;
	pid_t pid;
};

static const struct plan twice = {
	.per_second = {1.8, 0.18, 0.02},
	.thresholds = {700, 10, 10},
	.python = "3.12.8",
	.pause_ns = 1500000,
	.longest_ns = 6000000,
	.collected = 300,
	.tracked = 100000,
	.rss = 200 << 20,
	.seconds = SECONDS,
	.pid = 4242,
};

static struct lt_gc_state state_of(const struct plan *plan, int64_t count)
{
	struct lt_gc_state state = {
		.enabled = !plan->disabled, .debug = plan->debug, .heap_size = -1};
	for (int g = 0; g < LT_GC_GENERATIONS; g++)
		state.generations[g].threshold = plan->thresholds[g];
	state.generations[0].count = count;
	state.generations[1].count = plan->count_1;
	return state;
}

static void tell_collections(const struct lt_gc_sink *sink, struct lt_gc_recording *recording,
			     const struct plan *plan, int generation, double per_second,
			     enum lt_gc_cause cause)
{
	unsigned number = (unsigned)(per_second * plan->seconds + 0.5);
	for (unsigned i = 0; i < number; i++) {
		uint64_t at = recording->start_ns +
			      (uint64_t)plan->seconds * SECOND_NS / (number + 1) * (i + 1);
		bool longest = i == 0 && generation == 0;
		struct lt_gc_event event = {
			.seen = {.kind = LT_WATCH_COLLECTION,
				 .start_ns = at,
				 .end_ns = at + (longest ? plan->longest_ns : plan->pause_ns),
				 .generation = generation,
				 .before = state_of(plan, plan->thresholds[0] + 1),
				 .after = state_of(plan, 0),
				 .collected = plan->collected,
				 .candidates = 701},
			.cause = cause,
			.where = cause == LT_CAUSE_EXPLICIT ? "tasks.py:88:sweep" : "",
			.evidence = "",
		};
		assert_int_equal(sink->event(sink->ctx, recording, &event), LT_OK);
	}
}

static void feed(struct lt_session *session, const struct plan *plan,
		 struct lt_gc_recording *recording, struct lt_gc_side_feed *side)
{
	lt_gc_side_feed_init(session, side);
	const struct lt_gc_sink sink = lt_gc_side_sink(side);
	*recording = (struct lt_gc_recording){
		.identity = {.pid = plan->pid}, .start_ns = 5ull * SECOND_NS, .quarter_rule = true};
	snprintf(recording->identity.python, sizeof(recording->identity.python), "%s",
		 plan->python);
	recording->end_ns = recording->start_ns + (uint64_t)plan->seconds * SECOND_NS;
	for (int g = 0; g < LT_GC_GENERATIONS; g++)
		tell_collections(&sink, recording, plan, g, plan->per_second[g],
				 (enum lt_gc_cause)(LT_CAUSE_THRESHOLD_0 + g));
	tell_collections(&sink, recording, plan, 2, plan->explicit_per_second, LT_CAUSE_EXPLICIT);
	for (unsigned i = 0; i <= plan->seconds; i++) {
		struct lt_gc_sample sample = {
			.at_ns = recording->start_ns + (uint64_t)i * SECOND_NS,
			.rss_bytes = plan->rss,
			.cpu_ns = (uint64_t)i * SECOND_NS / 2,
			.tracked = plan->tracked + plan->tracked_growth * i,
			.state = state_of(plan, (int64_t)(plan->made_per_second * i)),
		};
		assert_int_equal(sink.sample(sink.ctx, recording, &sample), LT_OK);
	}
	assert_int_equal(sink.tick(sink.ctx, recording, true), LT_OK);
}

/* Compares; the caller frees. */
static struct lt_gc_comparison compare(const struct plan *before, const struct plan *after)
{
	struct lt_session session;
	struct lt_gc_recording recordings[LT_SIDES];
	struct lt_gc_side_feed feeds[LT_SIDES];
	struct lt_gc_comparison comparison;
	const uint64_t requests[LT_SIDES] = {before->requests, after->requests};
	lt_session_init(&session);
	feed(&session, before, &recordings[0], &feeds[0]);
	feed(&session, after, &recordings[1], &feeds[1]);
	const struct lt_gc_recording *const both[] = {&recordings[0], &recordings[1]};
	const struct lt_gc_side_feed *const fed[] = {&feeds[0], &feeds[1]};
	assert_int_equal(lt_gc_compare(&session, both, fed, requests, &comparison), LT_OK);
	for (int i = 0; i < LT_SIDES; i++) {
		lt_gc_side_feed_deinit(&feeds[i]);
		lt_gc_recording_deinit(&recordings[i]);
	}
	lt_session_deinit(&session);
	return comparison;
}

/* The verdict, and what its first reason says. */
static void expect(const struct plan *after, enum lt_gc_verdict verdict, const char *reason)
{
	struct lt_gc_comparison comparison = compare(&twice, after);
	assert_true(comparison.reasons.count > 0);
	if (comparison.verdict != verdict ||
	    strstr(comparison.reasons.data[0].text, reason) == NULL)
		fail_msg("%s: %s\n(not %s: %s)", lt_gc_verdict_name(comparison.verdict),
			 comparison.reasons.data[0].text, lt_gc_verdict_name(verdict), reason);
	lt_gc_comparison_deinit(&comparison);
}

static struct plan scaled(double by)
{
	struct plan plan = twice;
	for (int g = 0; g < LT_GC_GENERATIONS; g++)
		plan.per_second[g] *= by;
	return plan;
}

static void test_same(void **state)
{
	(void)state;
	expect(&twice, LT_VERDICT_SAME, "Nothing changed");
	/* Half as long a recording has as many a second. */
	struct plan shorter = twice;
	shorter.seconds = 30;
	expect(&shorter, LT_VERDICT_SAME, "Nothing changed");
}

static void test_less_allocated_is_good(void **state)
{
	(void)state;
	struct plan after = scaled(0.25);
	after.collected = 20;
	expect(&after, LT_VERDICT_GOOD, "because less is allocated");
}

static void test_less_but_a_growing_heap_needs_a_look(void **state)
{
	(void)state;
	struct plan after = scaled(0.25);
	after.tracked_growth = 2000;
	expect(&after, LT_VERDICT_LOOK, "There are fewer collections");
}

static void test_disabled_is_bad(void **state)
{
	(void)state;
	struct plan after = scaled(0);
	after.disabled = true;
	after.made_per_second = 1400;
	expect(&after, LT_VERDICT_BAD, "because automatic collection was turned off");
	after.disabled = false;
	after.thresholds[0] = 0;
	expect(&after, LT_VERDICT_BAD, "switched off by a threshold of 0");
	after.explicit_per_second = 0.2;
	expect(&after, LT_VERDICT_LOOK, "gc.collect() is called 0.20 times a second");
	after = scaled(0);
	after.disabled = true;
	expect(&after, LT_VERDICT_LOOK, "nothing waits for it yet");
}

static void test_turned_on_is_good(void **state)
{
	(void)state;
	struct plan before = scaled(0);
	before.disabled = true;
	before.made_per_second = 1400;
	struct lt_gc_comparison comparison = compare(&before, &twice);
	assert_int_equal(comparison.verdict, LT_VERDICT_GOOD);
	assert_non_null(strstr(comparison.reasons.data[0].text, "was turned on"));
	lt_gc_comparison_deinit(&comparison);
}

static void test_thresholds(void **state)
{
	(void)state;
	struct plan after = scaled(0.25);
	after.thresholds[0] = 2800;
	expect(&after, LT_VERDICT_GOOD, "because the thresholds went up");
	after.rss = 300 << 20;
	expect(&after, LT_VERDICT_BAD, "garbage waits longer, and RSS rose from 200.0 MiB to");
	after.rss = twice.rss;
	after.longest_ns = 190000000;
	expect(&after, LT_VERDICT_BAD, "the longest pause rose from 6.0 ms to 190.0 ms");
	after.longest_ns = 20000000;
	expect(&after, LT_VERDICT_LOOK, "One pause took 20.0 ms, where the longest was 6.0 ms");
	after = scaled(4);
	after.thresholds[0] = 175;
	expect(&after, LT_VERDICT_SAME, "because the thresholds went down");
	after.pause_ns = 10000000;
	expect(&after, LT_VERDICT_BAD, "");
}

static void test_more_calls(void **state)
{
	(void)state;
	struct plan after = twice;
	after.explicit_per_second = 3;
	expect(&after, LT_VERDICT_LOOK, "gc.collect() is called");
	struct lt_gc_comparison comparison = compare(&twice, &after);
	assert_non_null(strstr(comparison.reasons.data[0].text, "most at tasks.py:88:sweep"));
	lt_gc_comparison_deinit(&comparison);
	comparison = compare(&after, &twice);
	assert_int_equal(comparison.verdict, LT_VERDICT_GOOD);
	assert_non_null(strstr(comparison.reasons.data[0].text, "is called less often"));
	lt_gc_comparison_deinit(&comparison);
	/* Calls in the place of young collections: as many in all. */
	after = twice;
	after.per_second[0] = 1.5;
	after.explicit_per_second = 0.3;
	expect(&after, LT_VERDICT_LOOK,
	       "gc.collect() is called more often: 0.00 a second became 0.30, most at tasks.py:88");
	after.pause_ns = 60000000;
	after.longest_ns = 60000000;
	comparison = compare(&twice, &after);
	assert_int_equal(comparison.verdict, LT_VERDICT_BAD);
	bool found = false;
	for (size_t i = 0; i < comparison.reasons.count; i++)
		found |= strstr(comparison.reasons.data[i].text, "takes more of the time") != NULL;
	assert_true(found);
	lt_gc_comparison_deinit(&comparison);
	after = twice;
	after.per_second[0] = 1.5;
	after.per_second[2] = 0.32;
	expect(&after, LT_VERDICT_LOOK,
	       "More of the collections are full ones, which look at every object: 0.02 a second");
}

static void test_off_in_both(void **state)
{
	(void)state;
	struct plan before = scaled(0), after = scaled(0);
	before.disabled = after.disabled = true;
	before.made_per_second = after.made_per_second = 500;
	struct lt_gc_comparison comparison = compare(&before, &after);
	assert_int_equal(comparison.verdict, LT_VERDICT_LOOK);
	assert_non_null(strstr(comparison.reasons.data[0].text, "nothing frees the cycles"));
	lt_gc_comparison_deinit(&comparison);
	before.explicit_per_second = after.explicit_per_second = 0.2;
	comparison = compare(&before, &after);
	assert_int_equal(comparison.verdict, LT_VERDICT_SAME);
	assert_non_null(strstr(comparison.reasons.data[0].text, "in its place"));
	lt_gc_comparison_deinit(&comparison);
}

/* Objects of start-up that a collection of generation 1 counts at last are no growth of the heap. */
static void test_objects_that_are_counted_late(void **state)
{
	(void)state;
	struct plan after = scaled(0.25);
	after.tracked_growth = 100;
	expect(&after, LT_VERDICT_LOOK, "tracked objects grow by 100 a second");
	after.count_1 = 9;
	expect(&after, LT_VERDICT_GOOD, "because less is allocated");
}

static void test_settings(void **state)
{
	(void)state;
	struct plan after = twice;
	after.debug = 32;
	expect(&after, LT_VERDICT_BAD, "gc.DEBUG_SAVEALL was set");
	after = twice;
	after.debug = 1;
	expect(&after, LT_VERDICT_LOOK, "gc.set_debug()");
	after = twice;
	after.python = "3.14.0";
	expect(&after, LT_VERDICT_LOOK, "CPython 3.12.8 became 3.14.0");
}

static void test_pauses_and_heap(void **state)
{
	(void)state;
	struct plan after = twice;
	after.longest_ns = 500000000;
	expect(&after, LT_VERDICT_BAD,
	       "The longest pause got longer: it was 6.0 ms and is 500.0 ms");
	after.longest_ns = 40000000;
	expect(&after, LT_VERDICT_LOOK, "other load on the machine can be the reason");
	after.pause_ns = 15000000;
	expect(&after, LT_VERDICT_BAD,
	       "Pauses got longer: 99 % were below 1.5 ms and are below 15.0 ms");
	/* Most of them, and none longer than the longest. */
	after.longest_ns = 10000000;
	after.pause_ns = 5000000;
	struct plan before = twice;
	before.longest_ns = 10000000;
	struct lt_gc_comparison comparison = compare(&before, &after);
	assert_int_equal(comparison.verdict, LT_VERDICT_BAD);
	lt_gc_comparison_deinit(&comparison);
	after = twice;
	after.tracked = 200000;
	expect(&after, LT_VERDICT_LOOK, "tracked objects rose from 100,000 to 200,000");
}

static void test_too_short(void **state)
{
	(void)state;
	struct plan before = twice, after = scaled(0.25);
	before.seconds = after.seconds = 1;
	struct lt_gc_comparison comparison = compare(&before, &after);
	assert_int_equal(comparison.verdict, LT_VERDICT_LOOK);
	assert_non_null(strstr(comparison.reasons.data[0].text, "too few collections"));
	lt_gc_comparison_deinit(&comparison);
}

/* Four times the requests make four times the collections: that is nothing new for a request. */
static void test_requests(void **state)
{
	(void)state;
	struct plan one = twice, many = scaled(4);
	one.requests = 600;
	many.requests = 2400;
	struct lt_gc_comparison comparison = compare(&one, &many);
	assert_int_equal(comparison.verdict, LT_VERDICT_SAME);
	assert_true(comparison.side[0].figure[LT_FIGURE_REQUEST_COLLECTIONS] ==
		    comparison.side[1].figure[LT_FIGURE_REQUEST_COLLECTIONS]);
	assert_true(comparison.changed[LT_FIGURE_RATE]);
	lt_gc_comparison_deinit(&comparison);
	many.collected = 900;
	comparison = compare(&one, &many);
	assert_int_equal(comparison.verdict, LT_VERDICT_LOOK);
	assert_non_null(
		strstr(comparison.reasons.data[0].text, "leaves more garbage for the collector"));
	lt_gc_comparison_deinit(&comparison);
	many.tracked_growth = 400;
	comparison = compare(&one, &many);
	assert_int_equal(comparison.verdict, LT_VERDICT_BAD);
	assert_non_null(strstr(comparison.reasons.data[0].text, "A request leaves more behind"));
	lt_gc_comparison_deinit(&comparison);
}

/* Nothing at all, and numbers at their ends. */
static void test_absurd(void **state)
{
	(void)state;
	struct plan nothing = {.python = "", .pid = 1};
	struct plan absurd = twice;
	absurd.thresholds[0] = INT64_MAX - 1;
	absurd.thresholds[1] = INT64_MIN;
	absurd.collected = INT64_MAX / 1000;
	absurd.rss = INT64_MAX;
	absurd.tracked = INT64_MAX / 2;
	absurd.longest_ns = INT64_MAX / 2;
	const struct plan *const plans[] = {&nothing, &absurd, &twice};
	for (size_t i = 0; i < 9; i++) {
		struct lt_gc_comparison comparison = compare(plans[i / 3], plans[i % 3]);
		assert_true(comparison.reasons.count > 0);
		lt_gc_comparison_deinit(&comparison);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same),
		cmocka_unit_test(test_less_allocated_is_good),
		cmocka_unit_test(test_less_but_a_growing_heap_needs_a_look),
		cmocka_unit_test(test_disabled_is_bad),
		cmocka_unit_test(test_turned_on_is_good),
		cmocka_unit_test(test_thresholds),
		cmocka_unit_test(test_more_calls),
		cmocka_unit_test(test_off_in_both),
		cmocka_unit_test(test_objects_that_are_counted_late),
		cmocka_unit_test(test_settings),
		cmocka_unit_test(test_pauses_and_heap),
		cmocka_unit_test(test_too_short),
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_absurd),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
