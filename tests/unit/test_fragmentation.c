/* The verdict on made-up figures, just below and at each bound; limits of memory told by made-up texts of the kernel. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "analysis/fragmentation.h"

#include <string.h>

#define MIB ((uint64_t)1 << 20)

/* 100 MiB held by each allocator, nothing free. */
static struct lt_fragmentation full(void)
{
	return (struct lt_fragmentation){.pymalloc_held_bytes = 100 * MIB,
					 .malloc_held_bytes = 100 * MIB};
}

static enum lt_fragmentation_verdict judge(struct lt_fragmentation found)
{
	lt_fragmentation_judge(&found);
	assert_int_equal(found.held_bytes, found.pymalloc_held_bytes + found.malloc_held_bytes);
	assert_int_equal(found.free_bytes, found.pymalloc_free_bytes + found.malloc_free_bytes);
	assert_true(found.ratio >= 0 && found.ratio <= 1);
	assert_true(found.held_bytes == 0 ||
		    found.ratio == (double)found.free_bytes / (double)found.held_bytes);
	return found.verdict;
}

static void little_is_free(void **state)
{
	(void)state;
	assert_int_equal(judge((struct lt_fragmentation){0}), LT_FRAGMENTATION_NONE);
	assert_int_equal(judge(full()), LT_FRAGMENTATION_NONE);
	/* A share below a fifth, however much it is. */
	struct lt_fragmentation found = full();
	found.malloc_held_bytes = 10000 * MIB;
	found.malloc_free_bytes = 2019 * MIB;
	assert_int_equal(judge(found), LT_FRAGMENTATION_NONE);
	found.malloc_free_bytes = 2020 * MIB;
	assert_int_equal(judge(found), LT_FRAGMENTATION_INTERNAL);
	/* Less than 8 MiB, whatever the share is. */
	found = (struct lt_fragmentation){.pymalloc_held_bytes = 9 * MIB,
					  .pymalloc_free_bytes = 8 * MIB - 1,
					  .pinned_free_bytes = 8 * MIB - 1,
					  .pinned_arenas = 9};
	assert_int_equal(judge(found), LT_FRAGMENTATION_NONE);
	found.pymalloc_free_bytes++;
	assert_int_equal(judge(found), LT_FRAGMENTATION_PINNED);
}

static void survivors_pin(void **state)
{
	(void)state;
	/* Half of what is free lies in arenas that survivors pin. */
	struct lt_fragmentation found = full();
	found.pymalloc_free_bytes = 40 * MIB;
	found.malloc_free_bytes = 20 * MIB;
	found.pinned_arenas = 30;
	found.pinned_free_bytes = 30 * MIB - 1;
	assert_int_equal(judge(found), LT_FRAGMENTATION_INTERNAL);
	found.pinned_free_bytes = 30 * MIB;
	assert_int_equal(judge(found), LT_FRAGMENTATION_PINNED);
	/* They come before the arenas of malloc when both have half. */
	found.malloc_free_bytes = found.thread_arenas_free_bytes = 30 * MIB;
	found.pymalloc_free_bytes = 30 * MIB;
	found.thread_arenas = 40;
	assert_int_equal(judge(found), LT_FRAGMENTATION_PINNED);
	found.pinned_free_bytes--;
	assert_int_equal(judge(found), LT_FRAGMENTATION_ARENAS);
}

static void arenas_of_threads(void **state)
{
	(void)state;
	struct lt_fragmentation found = full();
	found.malloc_free_bytes = 60 * MIB;
	found.thread_arenas = 4;
	found.thread_arenas_free_bytes = 30 * MIB;
	assert_int_equal(judge(found), LT_FRAGMENTATION_ARENAS);
	/* Three are not too many; and what is free in the main one is not theirs. */
	found.thread_arenas = 3;
	assert_int_equal(judge(found), LT_FRAGMENTATION_INTERNAL);
	found.thread_arenas = 100;
	found.thread_arenas_free_bytes = 30 * MIB - 1;
	assert_int_equal(judge(found), LT_FRAGMENTATION_INTERNAL);
}

static void verdicts_have_names(void **state)
{
	(void)state;
	static const char *const names[] = {"none", "internal", "pinned", "arenas"};
	for (int i = 0; i < LT_FRAGMENTATION_VERDICTS; i++) {
		assert_string_equal(lt_fragmentation_verdict_name(i), names[i]);
		assert_true(strlen(lt_fragmentation_title(i)) >= 4);
	}
}

/* ---- Limits ---- */

static const char limits[] =
	"Limit                     Soft Limit           Hard Limit           Units     \n"
	"Max cpu time              unlimited            unlimited            seconds   \n"
	"Max data size             unlimited            unlimited            bytes     \n"
	"Max address space         1073741824           unlimited            bytes     \n";

static const struct lt_memory_limit *limit_of(const struct lt_fragmentation *found,
					      const char *cause)
{
	for (size_t i = 0; i < found->limit_count; i++) {
		const struct lt_memory_limit *limit = &found->limits[i];
		assert_true(limit->headroom <= limit->limit);
		if (strcmp(limit->cause, cause) == 0)
			return limit;
	}
	return NULL;
}

static void limits_of_the_process(void **state)
{
	(void)state;
	struct lt_fragmentation found = full();
	struct lt_memory_sources sources = {.limits = limits,
					    .status = "VmSize:\t  943718 kB\nVmData:\t 90000 kB\n"};
	lt_memory_limits_judge(&sources, &found);
	const struct lt_memory_limit *limit = limit_of(&found, "RLIMIT_AS");
	assert_non_null(limit);
	assert_int_equal(found.limit_count, 1); /* none of data, none that is not known */
	assert_int_equal(limit->limit, 1024 * MIB);
	assert_int_equal(limit->used, 943718 * 1024);
	assert_int_equal(limit->used + limit->headroom, limit->limit);
	assert_false(limit->tight || limit->mappings || found.exhausted);

	found = full();
	sources.status = "VmSize:\t  943719 kB\n";
	lt_memory_limits_judge(&sources, &found);
	assert_true(limit_of(&found, "RLIMIT_AS")->tight && found.exhausted);
	/* Beyond the limit, as after setrlimit(2): nothing is left. The verdict is another matter. */
	found = full();
	sources.status = "VmSize:\t  9437190 kB\n";
	lt_memory_limits_judge(&sources, &found);
	assert_int_equal(limit_of(&found, "RLIMIT_AS")->headroom, 0);
	assert_int_equal(judge(found), LT_FRAGMENTATION_NONE);

	found = full();
	sources.limits =
		"Max data size             104857600            104857600            bytes\n";
	sources.status = "VmData:\t 90000 kB\n";
	lt_memory_limits_judge(&sources, &found);
	assert_int_equal(limit_of(&found, "RLIMIT_DATA")->limit, 100 * MIB);
	assert_false(found.exhausted);
}

static void limits_of_the_machine(void **state)
{
	(void)state;
	struct lt_fragmentation found = full();
	struct lt_memory_sources sources = {
		.machine = "MemTotal: 2000 kB\nCommitLimit:  1000 kB\nCommitted_AS:  990 kB\n",
		.overcommit = 1,
		.mappings = 65000,
		.mappings_most = 65530};
	lt_memory_limits_judge(&sources, &found);
	/* What was promised counts only where the kernel keeps to it. */
	assert_null(limit_of(&found, "vm.overcommit_memory = 2"));
	assert_true(limit_of(&found, "vm.max_map_count")->tight);
	assert_true(limit_of(&found, "vm.max_map_count")->mappings && found.exhausted);

	found = full();
	sources.overcommit = 2;
	sources.mappings = 100;
	lt_memory_limits_judge(&sources, &found);
	assert_int_equal(limit_of(&found, "vm.overcommit_memory = 2")->headroom, 10 * 1024);
	assert_true(limit_of(&found, "vm.overcommit_memory = 2")->tight);
	assert_false(limit_of(&found, "vm.max_map_count")->tight);
	assert_true(found.exhausted);
}

static void limits_of_the_control_group(void **state)
{
	(void)state;
	const struct lt_memory_sources none = {0};
	struct lt_fragmentation found = full();
	lt_memory_limits_judge(&none, &found);
	assert_int_equal(found.limit_count, 0);
	found.group = (struct lt_cgroup_memory){.limited = true,
						.file = "memory.limit_in_bytes",
						.limit = 500 * MIB,
						.usage = 480 * MIB,
						.reclaimable = 100 * MIB,
						.headroom = 120 * MIB};
	lt_memory_limits_judge(&none, &found);
	assert_int_equal(limit_of(&found, "memory.limit_in_bytes")->used, 380 * MIB);
	assert_false(found.exhausted);

	found = full();
	found.group = (struct lt_cgroup_memory){.limited = true,
						.file = "memory.high",
						.throttles = true,
						.limit = 500 * MIB,
						.usage = 480 * MIB,
						.reclaimable = 500 * MIB, /* read a moment later */
						.headroom = 20 * MIB};
	lt_memory_limits_judge(&none, &found);
	assert_int_equal(limit_of(&found, "memory.high")->used, 0);
	assert_true(limit_of(&found, "memory.high")->tight && found.exhausted);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(little_is_free),
		cmocka_unit_test(survivors_pin),
		cmocka_unit_test(arenas_of_threads),
		cmocka_unit_test(verdicts_have_names),
		cmocka_unit_test(limits_of_the_process),
		cmocka_unit_test(limits_of_the_machine),
		cmocka_unit_test(limits_of_the_control_group),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
