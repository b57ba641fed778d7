/* How often a process is looked at. That a thread is given a bounded share of the processor and nothing else, hands it on to nobody, and is what it was afterwards. */
#include "watch/pace.h"
#include "watch/turns.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { POLICY_DEADLINE = 6 };

static struct lt_scheduling scheduling_now(void)
{
	struct lt_scheduling scheduling = {.size = sizeof(scheduling)};
	assert_int_equal(syscall(SYS_sched_getattr, 0, &scheduling, sizeof(scheduling), 0), 0);
	return scheduling;
}

static void assert_same(const struct lt_scheduling *a, const struct lt_scheduling *b)
{
	assert_int_equal(a->policy, b->policy);
	assert_int_equal(a->nice, b->nice);
	assert_int_equal(a->flags, b->flags);
	assert_int_equal(a->priority, b->priority);
	assert_int_equal(a->runtime, b->runtime);
	assert_int_equal(a->period, b->period);
}

static void *policy_of_thread(void *argument)
{
	struct lt_scheduling *ret = argument;
	*ret = scheduling_now();
	return NULL;
}

enum { MS = 1000000 };

static const uint64_t SECOND = 1000000000;

/* As often as it takes to be given a reservation, the last time at `at` + 1 ms. */
static void wake_late(struct lt_turns *turns, uint64_t at)
{
	for (int before = 2; before >= 0; before--)
		lt_turns_woke(turns, at - (uint64_t)before * MS, at - (uint64_t)before * MS + MS);
}

/* With a reservation, where one is granted. */
static void begin_late(struct lt_turns *turns)
{
	lt_turns_begin(turns);
	wake_late(turns, SECOND);
}

/* False: this kernel grants none to this process, which may be bound to a processor, or have no right to it. */
static bool begin_reserved(struct lt_turns *turns)
{
	begin_late(turns);
	assert_true(turns->reserved != turns->refused);
	if (turns->reserved)
		return true;
	assert_int_equal(scheduling_now().policy, SCHED_OTHER);
	lt_turns_end(turns);
	print_message("this kernel grants no reservation to this process\n");
	return false;
}

/* Before and after each: what is checked is how a usual thread fares, whatever started this program, or failed before. */
static int usual_policy(void **state)
{
	(void)state;
	const struct sched_param none = {0};
	return sched_setscheduler(0, SCHED_OTHER, &none);
}

static void left_as_it_was(void **state)
{
	(void)state;
	struct lt_scheduling before = scheduling_now();
	struct lt_turns turns;
	lt_turns_begin(&turns);
	assert_true(turns.asked);
	assert_int_equal(scheduling_now().policy, SCHED_OTHER);
	for (uint64_t at = SECOND; at < 4 * SECOND; at += SECOND) {
		wake_late(&turns, at);
		lt_turns_review(&turns, at + 2 * MS);
	}
	lt_turns_end(&turns);
	struct lt_scheduling after = scheduling_now();
	assert_same(&before, &after);
	lt_turns_end(&turns);
	after = scheduling_now();
	assert_same(&before, &after);
}

static void nothing_is_asked_for_in_time(void **state)
{
	(void)state;
	struct lt_turns turns;
	lt_turns_begin(&turns);
	for (uint64_t at = SECOND; at < 2 * SECOND; at += MS) {
		lt_turns_woke(&turns, at, at + MS / 5);
		lt_turns_review(&turns, at);
	}
	assert_false(turns.reserved);
	assert_false(turns.refused);
	assert_int_equal(scheduling_now().policy, SCHED_OTHER);
	lt_turns_end(&turns);
}

static void reserved_or_refused(void **state)
{
	(void)state;
	struct lt_turns turns;
	if (!begin_reserved(&turns))
		skip();
	struct lt_scheduling now = scheduling_now();
	assert_int_equal(now.policy, POLICY_DEADLINE);
	assert_int_equal(now.runtime, LT_TURNS_RUNTIME_NS);
	assert_int_equal(now.period, LT_TURNS_PERIOD_NS);
	assert_int_equal(now.deadline, LT_TURNS_PERIOD_NS);
	/* Neither a thread nor a process has it. */
	pthread_t thread;
	struct lt_scheduling other = {0};
	assert_int_equal(pthread_create(&thread, NULL, policy_of_thread, &other), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(other.policy, SCHED_OTHER);
	assert_int_equal(other.nice, 0);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0)
		_exit(scheduling_now().policy == SCHED_OTHER ? 0 : 1);
	int status = -1;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	lt_turns_end(&turns);
	assert_int_equal(scheduling_now().policy, SCHED_OTHER);
}

/* More than half of the share: one as all others, and asked for again after a second. */
static void given_back_by_the_greedy(void **state)
{
	(void)state;
	struct lt_turns turns;
	if (!begin_reserved(&turns))
		skip();
	/* As if it had used 11 ms of the 100 that passed. */
	turns.cpu_ns -= 11 * MS;
	lt_turns_review(&turns, SECOND + 101 * MS);
	assert_false(turns.reserved);
	assert_int_equal(scheduling_now().policy, SCHED_OTHER);
	wake_late(&turns, SECOND + 500 * MS);
	assert_false(turns.reserved);
	wake_late(&turns, 3 * SECOND);
	assert_true(turns.reserved);
	assert_int_equal(scheduling_now().policy, POLICY_DEADLINE);
	lt_turns_end(&turns);
}

/* Now and then a look comes late on every machine. */
static void not_asked_for_by_chance(void **state)
{
	(void)state;
	struct lt_turns turns;
	lt_turns_begin(&turns);
	for (uint64_t at = SECOND; at < 60 * SECOND; at += 600 * MS) {
		lt_turns_woke(&turns, at, at + MS);
		lt_turns_review(&turns, at + 2 * MS);
	}
	assert_false(turns.reserved);
	assert_false(turns.refused);
	assert_int_equal(scheduling_now().policy, SCHED_OTHER);
	lt_turns_end(&turns);
}

/* For two seconds, then twice as long where it was needed again soon, else two seconds again. */
static void tried_without_now_and_then(void **state)
{
	(void)state;
	struct lt_turns turns;
	if (!begin_reserved(&turns))
		skip();
	uint64_t at = SECOND + MS;
	static const uint64_t seconds[] = {2, 4, 8, 16, 32, 64, 64};
	for (size_t i = 0; i < sizeof(seconds) / sizeof(seconds[0]); i++) {
		lt_turns_review(&turns, at + seconds[i] * SECOND - MS);
		assert_true(turns.reserved);
		at += seconds[i] * SECOND;
		lt_turns_review(&turns, at);
		assert_false(turns.reserved);
		assert_int_equal(scheduling_now().policy, SCHED_OTHER);
		at += 2 * MS;
		wake_late(&turns, at);
		at += MS;
		assert_true(turns.reserved);
	}
	at += 64 * SECOND;
	lt_turns_review(&turns, at);
	at += 100 * SECOND;
	wake_late(&turns, at);
	assert_true(turns.reserved);
	assert_int_equal(turns.hold_ns, 2 * SECOND);
	lt_turns_end(&turns);
}

static void others_are_left_alone(void **state)
{
	(void)state;
	struct sched_param none = {0};
	assert_int_equal(sched_setscheduler(0, SCHED_BATCH, &none), 0);
	struct lt_scheduling before = scheduling_now();
	struct lt_turns turns;
	begin_late(&turns);
	struct lt_scheduling within = scheduling_now();
	lt_turns_end(&turns);
	struct lt_scheduling after = scheduling_now();
	assert_false(turns.asked);
	assert_same(&before, &within);
	assert_same(&before, &after);
}

/* Last: a process without the right does not get its nice value back. */
static void nice_is_kept(void **state)
{
	(void)state;
	assert_int_equal(setpriority(PRIO_PROCESS, 0, 5), 0);
	left_as_it_was(state);
	assert_int_equal(scheduling_now().nice, 5);
}

/* Of `ms` milliseconds the ones at the full pace; each `every`th look finds that something was made. */
static unsigned busy(unsigned ms, unsigned every)
{
	struct lt_pace pace = {0};
	unsigned full = 0;
	for (unsigned i = 0; i < ms; i++) {
		if (every != 0 && i % every == 0)
			lt_pace_moved(&pace, SECOND + i * MS);
		full += !lt_pace_rests(&pace, SECOND + i * MS);
	}
	return full;
}

static void at_rest_and_at_work(void **state)
{
	(void)state;
	assert_int_equal(busy(1000, 0), 0);
	/* A little fifty times a second is rest for three quarters of the time. */
	assert_int_equal(busy(1000, 20), 250);
	assert_int_equal(busy(1000, 2), 1000);
	/* After much work it takes a quarter of a second, after a collection too. */
	struct lt_pace pace = {0};
	for (unsigned i = 0; i < 1000; i++)
		lt_pace_moved(&pace, SECOND + i * MS);
	assert_false(lt_pace_rests(&pace, SECOND + 1240 * MS));
	assert_true(lt_pace_rests(&pace, SECOND + 1250 * MS));
	lt_pace_stirred(&pace, 3 * SECOND);
	assert_false(lt_pace_rests(&pace, 3 * SECOND + 240 * MS));
	assert_true(lt_pace_rests(&pace, 3 * SECOND + 250 * MS));
}

#define CHECK(name) cmocka_unit_test_setup_teardown(name, usual_policy, usual_policy)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(at_rest_and_at_work),
		CHECK(left_as_it_was),
		CHECK(nothing_is_asked_for_in_time),
		CHECK(not_asked_for_by_chance),
		CHECK(reserved_or_refused),
		CHECK(given_back_by_the_greedy),
		CHECK(tried_without_now_and_then),
		CHECK(others_are_left_alone),
		CHECK(nice_is_kept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
