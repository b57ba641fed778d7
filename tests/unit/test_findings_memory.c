/* What is found for given figures of resident memory, just below and at each bound; settings in an environment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "analysis/findings.h"
#include "analysis/memory_state.h"
#include "base/cleanup.h"

#include <string.h>

#define MIB ((uint64_t)1 << 20)

static struct lt_session session;

struct found {
	struct lt_arena strings;
	struct lt_finding_list list;
};

static void found_deinit(struct found *found)
{
	lt_finding_list_deinit(&found->list);
	lt_arena_deinit(&found->strings);
}

/* A service of 500 MiB which Python objects explain. */
static struct lt_memory_state healthy(void)
{
	return (struct lt_memory_state){
		.known = true,
		.pid = 4711,
		.rss = {.rss_bytes = 500 * MIB, .allocator = "glibc 2.36"},
		.object_bytes = 400 * MIB,
		.anonymous_bytes = 470 * MIB,
		.file_bytes = 30 * MIB,
		.arenas = 400,
		.threads = 4,
		.settings = {.debug_cause = "",
			     .tracing_cause = "",
			     .malloc_check = "",
			     .malloc_perturb = "",
			     .malloc_stats = "",
			     .arena_max = ""},
	};
}

static void judge_since(const struct lt_memory_state *state, const struct lt_memory_before *before,
			struct found *ret_found)
{
	static const struct lt_picture picture;
	struct lt_findings findings = {
		.session = &session, .picture = &picture, .strings = &ret_found->strings};
	assert_int_equal(lt_findings_memory(&findings, state, before), LT_OK);
	ret_found->list = findings.list;
	for (size_t i = 0; i < findings.list.count; i++) {
		const struct lt_finding *finding = &findings.list.data[i];
		assert_true(strlen(finding->title) > 10 && strlen(finding->explanation) > 10 &&
			    strlen(finding->fix) > 10 && finding->evidence_count > 0);
	}
}

static void judge(const struct lt_memory_state *state, struct found *ret_found)
{
	judge_since(state, NULL, ret_found);
}

/* The finding of that id alone, or among ones for information; NULL: none of that id. */
static const struct lt_finding *only(const struct found *found, const char *id)
{
	const struct lt_finding *the = NULL;
	for (size_t i = 0; i < found->list.count; i++) {
		if (strcmp(found->list.data[i].id, id) == 0)
			the = &found->list.data[i];
		else
			assert_int_equal(found->list.data[i].severity, LT_INFO);
	}
	return the;
}

static int64_t figure(const struct lt_finding *finding, const char *name)
{
	for (size_t i = 0; i < finding->evidence_count; i++) {
		if (strcmp(finding->evidence[i].name, name) == 0)
			return finding->evidence[i].integer;
	}
	fail_msg("no evidence %s", name);
	return 0;
}

static void expect(const struct lt_memory_state *state, const char *id, int severity)
{
	LT_CLEANUP(found_deinit) struct found found = {0};
	judge(state, &found);
	const struct lt_finding *finding = only(&found, id);
	if (severity < 0) {
		assert_null(finding);
		return;
	}
	assert_non_null(finding);
	assert_int_equal(finding->severity, severity);
}

static void a_healthy_service_has_none(void **ignored)
{
	(void)ignored;
	const struct lt_memory_state state = healthy(), unknown = {0};
	LT_CLEANUP(found_deinit) struct found found = {0}, nothing = {0};
	judge(&state, &found);
	judge(&unknown, &nothing);
	assert_int_equal(found.list.count, 0);
	assert_int_equal(nothing.list.count, 0);
}

static void swap_counts_from_a_share_on(void **ignored)
{
	(void)ignored;
	struct lt_memory_state state = healthy();
	state.rss.swap_bytes = 20 * MIB; /* less than a twentieth */
	expect(&state, "swapped-out", -1);
	state.rss.swap_bytes = 30 * MIB;
	expect(&state, "swapped-out", LT_LOW);
	state.rss.swap_bytes = 200 * MIB;
	state.group = (struct lt_cgroup_memory){
		.limited = true, .swaps = true, .swap = 210 * MIB, .swap_limit = UINT64_MAX};
	expect(&state, "swapped-out", LT_MEDIUM);
	LT_CLEANUP(found_deinit) struct found found = {0};
	state.group.swap_limit = 1024 * MIB;
	judge(&state, &found);
	assert_int_equal(figure(only(&found, "swapped-out"), "group_swap_limit_bytes"), 1024 * MIB);
	struct lt_memory_state small = healthy();
	small.rss.rss_bytes = small.object_bytes = 30 * MIB;
	small.anonymous_bytes = small.file_bytes = 0;
	small.rss.swap_bytes = 15 * MIB;
	expect(&small, "swapped-out", -1);
}

static void free_memory_counts_by_bytes_and_share(void **ignored)
{
	(void)ignored;
	struct lt_memory_state state = healthy();
	state.pinned_free_bytes = 49 * MIB;
	state.pinned_arenas = 50;
	expect(&state, "arenas-pinned", -1);
	state.pinned_free_bytes = 51 * MIB;
	expect(&state, "arenas-pinned", LT_MEDIUM);
	state.pinned_free_bytes = 201 * MIB;
	expect(&state, "arenas-pinned", LT_HIGH);
	state = healthy();
	state.thread_arenas_free_bytes = 60 * MIB;
	state.thread_arenas = 3;
	expect(&state, "malloc-arenas", -1);
	state.thread_arenas = 4;
	expect(&state, "malloc-arenas", LT_MEDIUM);
	state = healthy();
	state.rss.trim_gain_bytes = 49 * MIB;
	expect(&state, "trim-would-return", -1);
	state.rss.trim_gain_bytes = 60 * MIB;
	expect(&state, "trim-would-return", LT_LOW);
	state.rss.trim_gain_bytes = 210 * MIB;
	expect(&state, "trim-would-return", LT_MEDIUM);
	/* The same memory is not blamed twice. */
	state.thread_arenas = 16;
	state.thread_arenas_free_bytes = 210 * MIB;
	expect(&state, "malloc-arenas", LT_HIGH);
}

static void huge_pages_count_when_sampled(void **ignored)
{
	(void)ignored;
	struct lt_memory_state state = healthy();
	state.rss.huge_bytes = 400 * MIB;
	state.huge_sampled = 1000;
	state.huge_empty = 390;
	expect(&state, "huge-pages-empty", -1);
	state.huge_empty = 410;
	expect(&state, "huge-pages-empty", LT_LOW);
	state.huge_empty = 600;
	expect(&state, "huge-pages-empty", LT_MEDIUM);
	state.huge_sampled = 31;
	state.huge_empty = 31;
	expect(&state, "huge-pages-empty", -1);
}

static void limits_are_told_by_cause(void **ignored)
{
	(void)ignored;
	static const struct {
		struct lt_memory_limit limit;
		bool throttles;
		int severity;
		const char *fix;
	} cases[] = {
		{{.name = "control group", .cause = "memory.max", .headroom = 5},
		 false,
		 LT_MEDIUM,
		 "Raise the limit"},
		{{.name = "control group", .cause = "memory.max", .headroom = 2},
		 false,
		 LT_HIGH,
		 "Raise the limit"},
		{{.name = "control group", .cause = "memory.high", .headroom = 0},
		 true,
		 LT_MEDIUM,
		 "Raise the limit"},
		{{.name = "address space", .cause = "RLIMIT_AS", .headroom = 2},
		 false,
		 LT_HIGH,
		 "ulimit -v"},
		{{.name = "data", .cause = "RLIMIT_DATA", .headroom = 5},
		 false,
		 LT_MEDIUM,
		 "ulimit -d"},
		{{.name = "mappings", .cause = "vm.max_map_count", .mappings = true, .headroom = 1},
		 false,
		 LT_HIGH,
		 "vm.max_map_count"},
		{{.name = "promised memory of the machine",
		  .cause = "vm.overcommit_memory = 2",
		  .headroom = 1},
		 false,
		 LT_MEDIUM,
		 "vm.overcommit_ratio"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		LT_CLEANUP(found_deinit) struct found found = {0};
		struct lt_memory_state state = healthy();
		state.limits[0] = cases[i].limit;
		state.limits[0].limit = 100;
		state.limits[0].used = 100 - cases[i].limit.headroom;
		state.limits[0].tight = true;
		state.limit_count = 1;
		state.group.throttles = cases[i].throttles;
		judge(&state, &found);
		const struct lt_finding *finding = only(&found, "memory-limit-near");
		assert_non_null(finding);
		assert_int_equal(finding->severity, cases[i].severity);
		assert_non_null(strstr(finding->fix, cases[i].fix));
		assert_non_null(strstr(finding->explanation, "not fragmentation"));
		state.limits[0].tight = false;
		expect(&state, "memory-limit-near", -1);
	}
}

static void kills_of_the_group_are_told(void **ignored)
{
	(void)ignored;
	struct lt_memory_state state = healthy();
	state.group = (struct lt_cgroup_memory){
		.limited = true, .limit = 1024 * MIB, .usage = 600 * MIB, .counts_kills = true};
	expect(&state, "oom-kills", -1);
	state.group.kills = 3;
	expect(&state, "oom-kills", LT_LOW);
}

static void causes_of_rss_are_weighed(void **ignored)
{
	(void)ignored;
	LT_CLEANUP(found_deinit) struct found native = {0}, files = {0}, told = {0};
	struct lt_memory_state state = healthy();
	state.object_bytes = 100 * MIB;
	judge(&state, &native);
	const struct lt_finding *finding = only(&native, "rss-above-python");
	assert_int_equal(finding->severity, LT_LOW);
	assert_int_equal(figure(finding, "native_bytes"), 370 * MIB);
	assert_int_equal(figure(finding, "python_bytes"), 100 * MIB);
	assert_non_null(strstr(finding->explanation, "C code"));
	state.anonymous_bytes = 110 * MIB;
	state.file_bytes = 390 * MIB;
	judge(&state, &files);
	assert_int_equal(only(&files, "rss-above-python")->severity, LT_INFO);
	state = healthy();
	state.object_bytes = 100 * MIB;
	state.pymalloc_free_bytes = state.pinned_free_bytes = 300 * MIB;
	judge(&state, &told);
	finding = only(&told, "arenas-pinned");
	assert_int_equal(finding->severity, LT_HIGH);
	assert_int_equal(told.list.count, 2);
}

static void growth_is_of_c_code_when_no_object_explains_it(void **ignored)
{
	(void)ignored;
	static const struct {
		uint64_t used, objects; /* MiB of growth */
		int severity;
	} cases[] = {
		{3, 0, -1},          {5, 0, LT_LOW}, {40, 0, LT_MEDIUM},
		{40, 10, LT_MEDIUM}, {40, 21, -1}, /* less than four tenths */
		{40, 33, -1},        {0, 0, -1},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		LT_CLEANUP(found_deinit) struct found found = {0};
		const struct lt_memory_state state = healthy();
		const struct lt_memory_before before = {
			.taken_ns = lt_now_ns() - 10000000000u,
			.used_bytes = lt_memory_used(&state) - cases[i].used * MIB,
			.object_bytes = state.object_bytes - cases[i].objects * MIB,
			.rss_bytes = 400 * MIB,
		};
		judge_since(&state, &before, &found);
		const struct lt_finding *finding = only(&found, "native-growth");
		assert_int_equal(finding != NULL ? (int)finding->severity : -1, cases[i].severity);
	}
}

static void settings_are_found_in_a_block(void **ignored)
{
	(void)ignored;
	static const char block[] =
		"PATH=/bin\0PYTHONMALLOC=debug\0EMPTY=\0PYTHONMALLOCSTATS=1\0LAST";
	assert_string_equal(lt_memory_setting(block, sizeof(block), "PYTHONMALLOC"), "debug");
	assert_string_equal(lt_memory_setting(block, sizeof(block), "PYTHONMALLOCSTATS"), "1");
	assert_string_equal(lt_memory_setting(block, sizeof(block), "EMPTY"), "");
	assert_null(lt_memory_setting(block, sizeof(block), "ATH"));
	assert_null(lt_memory_setting(block, sizeof(block), "LAST"));
	assert_null(lt_memory_setting(block, sizeof(block), "LASTING"));
	assert_null(lt_memory_setting(NULL, 0, "PATH"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_healthy_service_has_none),
		cmocka_unit_test(swap_counts_from_a_share_on),
		cmocka_unit_test(free_memory_counts_by_bytes_and_share),
		cmocka_unit_test(huge_pages_count_when_sampled),
		cmocka_unit_test(limits_are_told_by_cause),
		cmocka_unit_test(kills_of_the_group_are_told),
		cmocka_unit_test(causes_of_rss_are_weighed),
		cmocka_unit_test(growth_is_of_c_code_when_no_object_explains_it),
		cmocka_unit_test(settings_are_found_in_a_block),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
