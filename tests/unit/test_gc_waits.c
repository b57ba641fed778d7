/* How much garbage waits at most, of what waits before each of many collections. */
#include "analysis/gc_waits.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void assert_near(double value, double wanted, double share)
{
	if (fabs(value - wanted) > share * wanted)
		fail_msg("%g is not %g", value, wanted);
}

/*
 * As CPython collects with 2000,10,10: each collection of generation 0 leaves 90 for the next older one, each of generation 1
 * leaves 100 for a full one, which comes with the first of generation 0 after the last of generation 1.
 */
static void test_the_most_waits_before_the_last_of_generation_1(void **state)
{
	(void)state;
	struct lt_gc_waits waits = {0};
	for (int full = 0; full < 3; full++) {
		for (int middle = 0; middle < 11; middle++) {
			for (int young = 0; young < 11; young++)
				lt_gc_waits_note(&waits, 0, 500 + 100 * middle + 90 * young);
			lt_gc_waits_note(&waits, 1, 500 + 100 * middle + 90 * 11);
		}
		lt_gc_waits_note(&waits, 2, 500 + 100 * 11);
	}
	assert_near(lt_gc_waits_most(&waits), 2490, 1e-9);
}

/* One of a thousand in generation 0 is chance, one in twelve is not. */
static void test_few_of_generation_0_do_not_count(void **state)
{
	(void)state;
	struct lt_gc_waits rare = {0}, usual = {0};
	for (int i = 0; i < 1000; i++) {
		lt_gc_waits_note(&rare, 0, i == 500 ? 9000 : 1000);
		lt_gc_waits_note(&usual, 0, i % 12 == 5 ? 9000 : 1000);
	}
	assert_near(lt_gc_waits_most(&rare), 1000, 1e-6);
	assert_near(lt_gc_waits_most(&usual), 9000, 1e-6);
}

static void test_nothing_waits(void **state)
{
	(void)state;
	struct lt_gc_waits waits = {0};
	assert_true(lt_gc_waits_most(&waits) == 0);
	lt_gc_waits_note(&waits, 0, 0);
	lt_gc_waits_note(&waits, 1, 0);
	assert_true(lt_gc_waits_most(&waits) == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_most_waits_before_the_last_of_generation_1),
		cmocka_unit_test(test_few_of_generation_0_do_not_count),
		cmocka_unit_test(test_nothing_waits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
