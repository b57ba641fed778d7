/* Causes decided from made-up events, and the figures of a summary. */
#include "analysis/gc_causes.h"
#include "analysis/gc_summary.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct lt_gc_recording recording_of(struct lt_gc_frame *frames, size_t count)
{
	struct lt_gc_recording recording = {
		.quarter_rule = true,
		.at_eval_breaker = true,
		.frames = {.data = frames, .count = count, .capacity = count},
	};
	recording.identity.pid = 100;
	strcpy(recording.identity.python, "3.12.1");
	return recording;
}

static struct lt_gc_event collection(int generation, int64_t count0, int64_t count1, int64_t count2)
{
	struct lt_gc_event event = {
		.seen = {.kind = LT_WATCH_COLLECTION, .generation = generation, .thread = 100}};
	const int64_t counts[] = {count0, count1, count2}, thresholds[] = {700, 10, 10};
	event.seen.before.enabled = true;
	for (int i = 0; i < LT_GC_GENERATIONS; i++) {
		event.seen.before.generations[i].count = counts[i];
		event.seen.before.generations[i].threshold = thresholds[i];
	}
	return event;
}

/* Decides and checks cause, place and a part of the evidence. */
static void expect(const struct lt_gc_recording *recording, const struct lt_gc_event *event,
		   enum lt_gc_cause cause, const char *where, const char *part)
{
	struct lt_text place = {0}, evidence = {0};
	assert_string_equal(
		lt_gc_cause_name(lt_gc_cause_decide(recording, event, &place, &evidence)),
		lt_gc_cause_name(cause));
	assert_string_equal(lt_text_get(&place), where);
	if (strstr(lt_text_get(&evidence), part) == NULL)
		fail_msg("no '%s' in '%s'", part, lt_text_get(&evidence));
	lt_text_deinit(&place);
	lt_text_deinit(&evidence);
}

static void test_owners(void **state)
{
	(void)state;
	assert_int_equal(lt_gc_owner_of("/usr/lib/python3.12/threading.py", "3.12.1"),
			 LT_OWNER_STANDARD);
	assert_int_equal(lt_gc_owner_of("<frozen importlib._bootstrap>", "3.12.1"),
			 LT_OWNER_STANDARD);
	assert_int_equal(lt_gc_owner_of("/v/lib/python3.12/site-packages/x/y.py", "3.12.1"),
			 LT_OWNER_INSTALLED);
	assert_int_equal(lt_gc_owner_of("/usr/lib/python3/dist-packages/x.py", "3.12.1"),
			 LT_OWNER_INSTALLED);
	assert_int_equal(lt_gc_owner_of("/srv/python3.12/app.py", "3.12.1"), LT_OWNER_PROGRAM);
	assert_int_equal(lt_gc_owner_of("/usr/lib/python3.11/app.py", "3.12.1"), LT_OWNER_PROGRAM);
	assert_int_equal(lt_gc_owner_of("<string>", "3.12.1"), LT_OWNER_PROGRAM);
}

static void test_thresholds(void **state)
{
	(void)state;
	struct lt_gc_recording recording = recording_of(NULL, 0);
	struct lt_gc_event event = collection(0, 701, 3, 3);
	event.seen.call_certain = true;
	expect(&recording, &event, LT_CAUSE_THRESHOLD_0, "", "701, over its threshold of 700");
	event = collection(1, 701, 11, 3);
	event.seen.call_certain = true;
	expect(&recording, &event, LT_CAUSE_THRESHOLD_1, "", "generation 1 was 11");
	event = collection(2, 701, 11, 11);
	event.seen.call_certain = true;
	event.seen.before.long_lived_total = 1000;
	event.seen.before.long_lived_pending = 300;
	expect(&recording, &event, LT_CAUSE_THRESHOLD_2, "",
	       "300 objects grew old since the last full collection, over a quarter of the 1,000");
	event = collection(0, 500000, 3, 3);
	event.seen.call_certain = true;
	expect(&recording, &event, LT_CAUSE_THRESHOLD_0, "", "waits for the next bytecode");
}

static void test_callbacks_at_the_end(void **state)
{
	(void)state;
	struct lt_gc_frame frames[] = {{.file = "/srv/app.py", .function = "on_gc", .line = 8}};
	struct lt_gc_recording recording = recording_of(frames, 1);
	struct lt_gc_event event = collection(2, 5, 0, 0);
	event.seen.finalizing = true;
	event.stack_count = 1;
	/* No automatic one was due, and on_gc() runs because of it. */
	expect(&recording, &event, LT_CAUSE_SHUTDOWN, "/srv/app.py:8:on_gc", "collects once more");
	event.seen.call = LT_CALL_COLLECT;
	event.seen.call_certain = true;
	expect(&recording, &event, LT_CAUSE_EXPLICIT, "/srv/app.py:8:on_gc",
	       "gc.collect() called at /srv/app.py:8");
	event.seen.call = LT_CALL_NONE;
	event.seen.generation = 0;
	event.seen.before.generations[0].count = 800;
	expect(&recording, &event, LT_CAUSE_THRESHOLD_0, "/srv/app.py:8:on_gc",
	       "over its threshold");
	/* Code of an interpreter that is gone: that Python ran is known. */
	event = collection(2, 5, 0, 0);
	event.seen.call = LT_CALL_COLLECT;
	event.seen.call_certain = true;
	event.seen.frames_exact = true;
	event.seen.frame_count = 2;
	expect(&recording, &event, LT_CAUSE_EXPLICIT, "", "was gone before it could be read");
}

static void test_call_in_a_signal_handler(void **state)
{
	(void)state;
	struct lt_gc_frame frames[] = {{.file = "/srv/app.py", .function = "flush", .line = 8}};
	struct lt_gc_recording recording = recording_of(frames, 1);
	struct lt_gc_event event = collection(2, 5, 0, 0);
	event.seen.call = LT_CALL_COLLECT;
	event.seen.call_certain = true;
	event.stack_count = 1;
	event.signal = SIGUSR1;
	expect(&recording, &event, LT_CAUSE_EXPLICIT, "/srv/app.py:8:flush",
	       "called at /srv/app.py:8 in flush(), in the program's handler of SIGUSR1");
	event.signal = 40;
	expect(&recording, &event, LT_CAUSE_EXPLICIT, "/srv/app.py:8:flush",
	       ", in the program's handler of signal 40");
}

static void test_calls(void **state)
{
	(void)state;
	struct lt_gc_frame frames[] = {
		{.file = "/usr/lib/python3.12/threading.py", .function = "Timer.run", .line = 9},
		{.file = "/v/lib/python3.12/site-packages/lib/a.py",
		 .function = "clean",
		 .line = 7},
		{.file = "/srv/app/tasks.py", .function = "refresh", .line = 88},
	};
	struct lt_gc_recording recording = recording_of(frames, 3);
	struct lt_gc_event event = collection(2, 5, 0, 0);
	event.seen.call = LT_CALL_COLLECT;
	event.seen.call_certain = true;
	event.stack_first = 2;
	event.stack_count = 1;
	expect(&recording, &event, LT_CAUSE_EXPLICIT, "/srv/app/tasks.py:88:refresh",
	       "gc.collect() called at /srv/app/tasks.py:88 in refresh()");
	event.stack_first = 1;
	event.stack_count = 2;
	expect(&recording, &event, LT_CAUSE_EXPLICIT,
	       "/v/lib/python3.12/site-packages/lib/a.py:7:clean",
	       "an installed library that was called at /srv/app/tasks.py:88");
	event.stack_first = 0;
	event.stack_count = 1;
	event.seen.thread = 101;
	expect(&recording, &event, LT_CAUSE_EXPLICIT,
	       "/usr/lib/python3.12/threading.py:9:Timer.run",
	       "no code of the program is on the stack, on a threading.Timer, thread 101");
	event.stack_count = 0;
	event.seen.call = LT_CALL_C_COLLECT;
	event.seen.frames_exact = true;
	expect(&recording, &event, LT_CAUSE_EXPLICIT, "", "no Python code runs in that thread");
	event.seen.finalizing = true;
	expect(&recording, &event, LT_CAUSE_SHUTDOWN, "", "shuts down");
	/* A stack that is not in the recording is none. */
	event = collection(0, 701, 0, 0);
	event.stack_first = UINT32_MAX;
	event.stack_count = 2;
	event.seen.call_certain = true;
	expect(&recording, &event, LT_CAUSE_THRESHOLD_0, "", "701");
}

static void test_concluded(void **state)
{
	(void)state;
	struct lt_gc_recording recording = recording_of(NULL, 0);
	struct lt_gc_event event = collection(2, 100, 3, 2);
	event.seen.before_age_ns = 1000;
	expect(&recording, &event, LT_CAUSE_EXPLICIT, "", "too few objects had been made");
	/* Enough time for 600 objects, not for the collections of generation 1 that must come first. */
	event.seen.before_age_ns = 20000;
	expect(&recording, &event, LT_CAUSE_EXPLICIT, "", "was not over its threshold");
	/* Enough for everything: the counters prove nothing. */
	event.seen.before_age_ns = 1000000000;
	expect(&recording, &event, LT_CAUSE_THRESHOLD_2, "", "before");
	event.seen.before.enabled = false;
	expect(&recording, &event, LT_CAUSE_EXPLICIT, "", "automatic collection was off");
	event = collection(0, 701, 11, 0);
	expect(&recording, &event, LT_CAUSE_EXPLICIT, "", "generation 1 too");
	event = collection(2, 701, 11, 11);
	event.seen.before.long_lived_total = 1000000;
	expect(&recording, &event, LT_CAUSE_EXPLICIT, "", "25 % rule");
	event = collection(-1, 701, 11, 11);
	expect(&recording, &event, LT_CAUSE_UNKNOWN, "", "which generation");
}

/* One made while automatic collection was off, or the threshold higher, is due the moment that it is let go. */
static void test_let_go(void **state)
{
	(void)state;
	struct lt_gc_event change = collection(-1, 22826, 3, 3);
	change.seen.kind = LT_WATCH_CALLED;
	change.seen.call = LT_CALL_ENABLE;
	change.where = "/srv/app.py:22:serve";
	change.seen.after = change.seen.before;
	change.seen.before.enabled = false;
	struct lt_gc_recording recording = recording_of(NULL, 0);
	recording.events = (struct lt_gc_events){.data = &change, .count = 1, .capacity = 1};
	struct lt_gc_event event = collection(0, 22827, 3, 3);
	event.seen.call_certain = true;
	expect(&recording, &event, LT_CAUSE_THRESHOLD_0, "",
	       "automatic collection was off until gc.enable() at /srv/app.py:22:serve");
	change.seen.before.enabled = true;
	change.seen.before.generations[0].threshold = 50000;
	change.seen.call = LT_CALL_SET_THRESHOLD;
	expect(&recording, &event, LT_CAUSE_THRESHOLD_0, "",
	       "the threshold was higher until gc.set_threshold() at");
	/* What was made after the change is another matter. */
	change.seen.before.generations[0].count = change.seen.after.generations[0].count = 12;
	expect(&recording, &event, LT_CAUSE_THRESHOLD_0, "", "waits for the next bytecode");
	change.seen.after.generations[0].count = 22826;
	change.seen.interpreter = 1;
	expect(&recording, &event, LT_CAUSE_THRESHOLD_0, "", "waits for the next bytecode");
}

/* Between two looks by polling: settings and statistics of both count. */
static void test_between_looks(void **state)
{
	(void)state;
	struct lt_gc_recording recording = recording_of(NULL, 0);
	struct lt_gc_event event = collection(0, 4923, 0, 0);
	event.seen.source = LT_WATCH_POLL;
	event.seen.before_age_ns = 1000000;
	event.seen.after = event.seen.before;
	event.seen.before.enabled = false;
	event.seen.after.generations[0].collections = 1;
	expect(&recording, &event, LT_CAUSE_THRESHOLD_0, "", "has been turned on");
	event.seen.after.enabled = false;
	expect(&recording, &event, LT_CAUSE_EXPLICIT, "", "automatic collection was off");
	/* No collection of generation 1 lies between: it takes six to bring the count from 5 over 10. */
	event = collection(2, 117, 11, 5);
	event.seen.source = LT_WATCH_POLL;
	event.seen.before_age_ns = 8200000;
	event.seen.before.long_lived_total = 8051;
	event.seen.before.long_lived_pending = 5000;
	event.seen.after = event.seen.before;
	event.seen.after.generations[2].collections = 1;
	event.seen.after.generations[1].collections = 2;
	expect(&recording, &event, LT_CAUSE_EXPLICIT, "", "was not over its threshold");
	event.seen.after.generations[1].collections = 6;
	expect(&recording, &event, LT_CAUSE_THRESHOLD_2, "",
	       "generation 2 went over its threshold of 10 (it was 5 8.2 ms before)");
	/* What is pending grows with collections of generation 1 only. */
	event.seen.before.generations[2].count = 11;
	event.seen.before.long_lived_pending = 84;
	event.seen.after.generations[1].collections = 0;
	expect(&recording, &event, LT_CAUSE_EXPLICIT, "", "25 % rule");
}

static void test_waits_that_are_none(void **state)
{
	(void)state;
	struct lt_session session;
	lt_session_init(&session);
	struct lt_gc_recording recording = {.start_ns = 0, .end_ns = 1000000000};
	struct lt_gc_summary summary = {0};
	struct lt_gc_event change = collection(-1, 50000, 0, 0), event = collection(0, 50001, 0, 0);
	change.seen.kind = LT_WATCH_CALLED;
	change.seen.after = change.seen.before;
	change.seen.before.enabled = false;
	change.where = event.where = "";
	event.cause = LT_CAUSE_THRESHOLD_0;
	event.seen.end_ns = 30000000;
	assert_int_equal(lt_gc_summary_add(&session, &summary, &recording, &change), LT_OK);
	assert_int_equal(lt_gc_summary_add(&session, &summary, &recording, &event), LT_OK);
	assert_int_equal(summary.longest_wait, 0);
	assert_int_equal(lt_gc_summary_add(&session, &summary, &recording, &event), LT_OK);
	assert_int_equal(summary.longest_wait, 50001);
	lt_gc_summary_deinit(&summary);
	lt_session_deinit(&session);
}

static void test_percentiles(void **state)
{
	(void)state;
	struct lt_session session;
	lt_session_init(&session);
	struct lt_gc_recording recording = {.start_ns = 1000, .end_ns = 10000001000};
	struct lt_gc_summary summary = {0};
	/* 1 to 1,000 microseconds, each once, and one of a whole second. */
	for (uint64_t i = 1; i <= 1001; i++) {
		struct lt_gc_event event = collection(0, 701, 0, 0);
		event.where = "";
		event.cause = LT_CAUSE_THRESHOLD_0;
		event.seen.start_ns = 1000 + i * 1000000;
		event.seen.end_ns = event.seen.start_ns + (i <= 1000 ? i * 1000 : 1000000000);
		assert_int_equal(lt_gc_summary_add(&session, &summary, &recording, &event), LT_OK);
	}
	lt_gc_summary_finish(&summary, &recording);
	const struct lt_gc_pauses *pauses = &summary.all.pauses;
	assert_int_equal(pauses->count, 1001);
	double p50 = lt_gc_pauses_ms(pauses, 0.5), p99 = lt_gc_pauses_ms(pauses, 0.99);
	assert_true(p50 > 0.501 * 0.99 && p50 < 0.501 * 1.01);
	assert_true(p99 > 0.991 * 0.99 && p99 < 0.991 * 1.01);
	assert_true(lt_gc_pauses_ms(pauses, 1) > 999.9 && lt_gc_pauses_ms(pauses, 1) < 1000.1);
	assert_int_equal(summary.place_count, 1);
	assert_int_equal(summary.by_cause[LT_CAUSE_THRESHOLD_0].count, 1001);
	/* 0.5005 s and 1 s of the 10 s. */
	double share = lt_gc_summary_share(&summary, pauses->total_ns);
	assert_true(share > 0.15 && share < 0.1502);
	lt_gc_summary_deinit(&summary);
	lt_session_deinit(&session);
}

static void test_many_places(void **state)
{
	(void)state;
	struct lt_session session;
	lt_session_init(&session);
	struct lt_gc_recording recording = {.start_ns = 0, .end_ns = 1000000000};
	struct lt_gc_summary summary = {0};
	for (unsigned i = 0; i < 10 * LT_GC_PLACES_MOST; i++) {
		char where[32];
		snprintf(where, sizeof(where), "a.py:%u:f", i);
		struct lt_gc_event event = collection(2, 1, 0, 0);
		event.where = where;
		event.cause = LT_CAUSE_EXPLICIT;
		event.seen.start_ns = i;
		event.seen.end_ns = i + 10;
		assert_int_equal(lt_gc_summary_add(&session, &summary, &recording, &event), LT_OK);
	}
	assert_int_equal(summary.place_count, LT_GC_PLACES_MOST);
	assert_int_equal(summary.other_places.count, 9 * LT_GC_PLACES_MOST);
	lt_gc_summary_deinit(&summary);
	lt_session_deinit(&session);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_owners),
		cmocka_unit_test(test_thresholds),
		cmocka_unit_test(test_calls),
		cmocka_unit_test(test_concluded),
		cmocka_unit_test(test_let_go),
		cmocka_unit_test(test_between_looks),
		cmocka_unit_test(test_waits_that_are_none),
		cmocka_unit_test(test_call_in_a_signal_handler),
		cmocka_unit_test(test_callbacks_at_the_end),
		cmocka_unit_test(test_percentiles),
		cmocka_unit_test(test_many_places),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
