/*
 * test_cgroup.c: memory limits of control groups, in made-up trees and in real groups of this system.
 */
#include "base/cleanup.h"
#include "target/cgroup.h"
#include "target/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

enum { MIB = 1 << 20 };

static struct lt_session session;
static char tree[64];

static int make_tree(void **state)
{
	(void)state;
	strcpy(tree, "/tmp/lt_cgroup_XXXXXX");
	return mkdtemp(tree) == NULL ? -1 : 0;
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
	(void)info;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int remove_tree(void **state)
{
	(void)state;
	return nftw(tree, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* Writes a file below the tree and makes the directories that it needs. */
static void put(const char *path, const char *text)
{
	char full[512];
	snprintf(full, sizeof(full), "%s%s", tree, path);
	for (char *at = full + strlen(tree) + 1; (at = strchr(at, '/')) != NULL; at++) {
		*at = '\0';
		if (mkdir(full, 0700) != 0)
			assert_int_equal(errno, EEXIST);
		*at = '/';
	}
	LT_FCLOSE FILE *file = fopen(full, "we");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
}

static struct lt_cgroup_memory look(void)
{
	struct lt_cgroup_memory memory = {0};
	assert_int_equal(lt_cgroup_memory_below(&session, tree, 77, &memory), LT_OK);
	return memory;
}

static const char mounts_2[] =
	"30 20 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";

static void test_version_2_takes_the_tightest_ancestor(void **state)
{
	(void)state;
	put("/proc/self/mountinfo", mounts_2);
	put("/proc/77/cgroup", "0::/system.slice/shop.service/worker\n");
	put("/sys/fs/cgroup/cgroup.procs", "");
	put("/sys/fs/cgroup/system.slice/memory.max", "1000000\n");
	put("/sys/fs/cgroup/system.slice/memory.high", "max\n");
	put("/sys/fs/cgroup/system.slice/memory.current", "900000\n");
	put("/sys/fs/cgroup/system.slice/memory.stat",
	    "anon 1\nfile 250000\ninactive_file 200000\nactive_file 5\n");
	put("/sys/fs/cgroup/system.slice/shop.service/memory.max", "800000\n");
	put("/sys/fs/cgroup/system.slice/shop.service/memory.current", "300000\n");
	put("/sys/fs/cgroup/system.slice/shop.service/worker/memory.max", "max\n");
	put("/sys/fs/cgroup/system.slice/shop.service/worker/memory.current", "100000\n");
	struct lt_cgroup_memory memory = look();
	assert_true(memory.limited);
	assert_int_equal(memory.limit, 1000000);
	assert_int_equal(memory.usage, 900000);
	assert_int_equal(memory.reclaimable, 200000);
	assert_int_equal(memory.headroom, 300000);
	assert_false(memory.throttles);
	assert_string_equal(memory.file, "memory.max");
	assert_string_equal(memory.group, "/system.slice");

	put("/sys/fs/cgroup/system.slice/shop.service/memory.high", "350000\n");
	memory = look();
	assert_int_equal(memory.headroom, 50000);
	assert_true(memory.throttles);
	assert_string_equal(memory.file, "memory.high");
	assert_string_equal(memory.group, "/system.slice/shop.service");

	/* Already above: no headroom, rather than a huge one. */
	put("/sys/fs/cgroup/system.slice/shop.service/worker/memory.max", "99999\n");
	memory = look();
	assert_int_equal(memory.headroom, 0);
	assert_false(memory.throttles);
	assert_string_equal(memory.group, "/system.slice/shop.service/worker");
}

static void test_version_1_beside_version_2(void **state)
{
	(void)state;
	put("/proc/self/mountinfo",
	    "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
	    "36 31 0:33 / /sys/fs/cgroup/memory2 rw - cgroup cgroup rw,memoryx\n"
	    "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
	put("/proc/77/cgroup",
	    "9:name=systemd:/\n4:cpu,memory:/docker/abc\n1:cpuset:/no\n0::/docker/abc\n");
	put("/sys/fs/cgroup/unified/docker/abc/cgroup.procs", "77\n");
	put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
	put("/sys/fs/cgroup/memory/memory.usage_in_bytes", "5000\n");
	put("/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes", "9223372036854771712\n");
	put("/sys/fs/cgroup/memory/docker/abc/memory.usage_in_bytes", "5000\n");
	assert_false(look().limited);
	put("/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes", "536870912\n");
	put("/sys/fs/cgroup/memory/docker/abc/memory.usage_in_bytes", "500000000\n");
	put("/sys/fs/cgroup/memory/docker/abc/memory.stat",
	    "inactive_file 1\ntotal_inactive_file 100000000\n");
	struct lt_cgroup_memory memory = look();
	assert_true(memory.limited);
	assert_int_equal(memory.headroom, 136870912);
	assert_string_equal(memory.file, "memory.limit_in_bytes");
	assert_string_equal(memory.group, "/docker/abc");
}

static void test_swap_and_kills(void **state)
{
	(void)state;
	put("/proc/self/mountinfo", mounts_2);
	put("/proc/77/cgroup", "0::/a\n");
	put("/sys/fs/cgroup/a/memory.max", "1000\n");
	put("/sys/fs/cgroup/a/memory.current", "800\n");
	struct lt_cgroup_memory memory = look();
	assert_true(memory.limited);
	assert_false(memory.swaps);
	assert_false(memory.counts_kills);
	put("/sys/fs/cgroup/a/memory.swap.current", "70\n");
	put("/sys/fs/cgroup/a/memory.swap.max", "max\n");
	put("/sys/fs/cgroup/a/memory.events",
	    "low 0\nhigh 0\nmax 12\noom 4\noom_kill 3\noom_group_kill 9\n");
	memory = look();
	assert_true(memory.swaps && memory.counts_kills);
	assert_int_equal(memory.swap, 70);
	assert_true(memory.swap_limit == UINT64_MAX);
	assert_int_equal(memory.kills, 3);
	put("/sys/fs/cgroup/a/memory.swap.max", "90\n");
	assert_int_equal(look().swap_limit, 90);

	/* Version 1 counts memory and swap together. */
	put("/proc/self/mountinfo", "35 31 0:32 / /sys/fs/cgroup/m rw - cgroup cgroup rw,memory\n");
	put("/proc/77/cgroup", "4:memory:/b\n");
	put("/sys/fs/cgroup/m/b/memory.limit_in_bytes", "1000\n");
	put("/sys/fs/cgroup/m/b/memory.usage_in_bytes", "800\n");
	put("/sys/fs/cgroup/m/b/memory.memsw.limit_in_bytes", "1500\n");
	put("/sys/fs/cgroup/m/b/memory.memsw.usage_in_bytes", "950\n");
	put("/sys/fs/cgroup/m/b/memory.oom_control",
	    "oom_kill_disable 0\nunder_oom 0\noom_kill 5\n");
	memory = look();
	assert_true(memory.swaps && memory.counts_kills);
	assert_int_equal(memory.swap, 150);
	assert_int_equal(memory.swap_limit, 500);
	assert_int_equal(memory.kills, 5);
}

static void test_containers(void **state)
{
	(void)state;
	/* Version 1 in a container without a namespace for groups: the mount shows the container's group. */
	put("/proc/self/mountinfo",
	    "35 31 0:32 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n");
	put("/proc/77/cgroup", "4:memory:/docker/abc/inner\n");
	put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "1000\n");
	put("/sys/fs/cgroup/memory/memory.usage_in_bytes", "400\n");
	assert_int_equal(look().headroom, 600);
	/* A name that only begins like the group is another group. */
	put("/proc/77/cgroup", "4:memory:/docker/abcdef\n");
	assert_false(look().limited);

	/* A target outside of lowtide's namespace of groups: its own mount shows its group. */
	put("/proc/self/mountinfo", mounts_2);
	put("/sys/fs/cgroup/memory.max", "1\n");
	put("/sys/fs/cgroup/memory.current", "1\n");
	put("/proc/77/cgroup", "0::/../other\n");
	assert_false(look().limited);
	put("/proc/77/mountinfo", "30 20 0:26 /../other /my\\040groups rw - cgroup2 cgroup2 rw\n");
	put("/proc/77/root/my groups/memory.max", "5000\n");
	put("/proc/77/root/my groups/memory.current", "1000\n");
	struct lt_cgroup_memory memory = look();
	assert_int_equal(memory.headroom, 4000);
	assert_string_equal(memory.group, "/");
}

static void test_files_without_sense(void **state)
{
	(void)state;
	static const char *const groups[] = {
		"",      "\n",       ":",         "::",          "0::",
		"0::x",  "4:memory", "4:memory:", "0::/a/../..", "0::/../../../../etc",
		"0:::/x"};
	static const char *const mounts[] = {"",
					     "-",
					     " - ",
					     "1 2 3 - cgroup2",
					     "a b c d e - cgroup2 x",
					     "1 2 3 / - cgroup2 a b",
					     mounts_2,
					     "30 20 0:26 / \\777\\0 rw - cgroup2 cgroup2 rw\n"};
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		for (size_t j = 0; j < sizeof(mounts) / sizeof(mounts[0]); j++) {
			put("/proc/77/cgroup", groups[i]);
			put("/proc/self/mountinfo", mounts[j]);
			assert_false(look().limited);
		}
	}
	static const char *const numbers[] = {"",   "x",  "-5", "99999999999999999999999",
					      "5x", "max"};
	put("/proc/77/cgroup", "0::/a\n");
	put("/proc/self/mountinfo", mounts_2);
	put("/sys/fs/cgroup/a/memory.current", "10\n");
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		put("/sys/fs/cgroup/a/memory.max", numbers[i]);
		assert_false(look().limited);
	}
	put("/sys/fs/cgroup/a/memory.max", "30\n");
	put("/sys/fs/cgroup/a/memory.stat", "inactive_file 99999999\n");
	assert_int_equal(look().headroom, 30);
}

static void test_no_such_process(void **state)
{
	(void)state;
	struct lt_cgroup_memory memory;
	assert_int_equal(lt_cgroup_memory(&session, INT32_MAX, &memory), LT_E_GONE);
	lt_session_clear(&session);
	/* This very process has groups or none; either way there is an answer. */
	assert_int_equal(lt_cgroup_memory(&session, getpid(), &memory), LT_OK);
	if (memory.limited)
		assert_true(memory.headroom <= memory.limit);
}

static bool write_text(const char *path, const char *text)
{
	LT_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

/* The groups of the test, outer and inner, and the process in the inner one. */
struct groups {
	char outer[256], inner[300];
	pid_t child;
};

static int end_groups(void **state)
{
	struct groups *groups = *state;
	if (groups == NULL)
		return 0;
	if (groups->child > 0) {
		kill(groups->child, SIGKILL);
		waitpid(groups->child, NULL, 0);
	}
	/* The kernel takes a moment to notice that a group is empty. */
	for (int i = 0; i < 200 && rmdir(groups->inner) != 0 && errno == EBUSY; i++)
		usleep(10000);
	for (int i = 0; i < 200 && rmdir(groups->outer) != 0 && errno == EBUSY; i++)
		usleep(10000);
	bool left = access(groups->outer, F_OK) == 0;
	free(groups);
	return left ? -1 : 0;
}

static void start_in_group(struct groups *groups, const char *parent)
{
	snprintf(groups->outer, sizeof(groups->outer), "%s/lt_test_%d", parent, (int)getpid());
	snprintf(groups->inner, sizeof(groups->inner), "%s/inner", groups->outer);
	if (mkdir(groups->outer, 0755) != 0 || mkdir(groups->inner, 0755) != 0) {
		print_message("no group can be made below %s: %s\n", parent, strerror(errno));
		skip();
	}
	int go[2], ready[2];
	char path[400], number[16], byte;
	assert_int_equal(pipe(go), 0);
	assert_int_equal(pipe(ready), 0);
	groups->child = fork();
	assert_true(groups->child >= 0);
	if (groups->child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (read(go[0], &byte, 1) != 1)
			_exit(1);
		/* Memory that this group is charged for. */
		char *block = mmap(NULL, 8 * MIB, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (block == MAP_FAILED)
			_exit(1);
		memset(block, 1, 8 * MIB);
		if (write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	snprintf(path, sizeof(path), "%s/cgroup.procs", groups->inner);
	snprintf(number, sizeof(number), "%d", (int)groups->child);
	assert_true(write_text(path, number));
	assert_int_equal(write(go[1], "x", 1), 1);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	for (int i = 0; i < 2; i++) {
		close(go[i]);
		close(ready[i]);
	}
}

static struct groups *new_groups(void **state)
{
	struct groups *groups = calloc(1, sizeof(*groups));
	assert_non_null(groups);
	*state = groups;
	return groups;
}

/* The outer group has 64 MiB, the inner one no limit; the process in it has taken 8 MiB and a little. */
static void expect_outer_limit(const struct groups *groups)
{
	struct lt_cgroup_memory memory;
	assert_int_equal(lt_cgroup_memory(&session, groups->child, &memory), LT_OK);
	assert_true(memory.limited);
	assert_int_equal(memory.limit, 64 * MIB);
	assert_true(memory.usage >= 8 * MIB && memory.usage < 64 * MIB);
	assert_true(memory.headroom <= 56 * MIB && memory.headroom > 30 * MIB);
	const char *name = strrchr(groups->outer, '/');
	assert_true(strlen(memory.group) >= strlen(name));
	assert_string_equal(memory.group + strlen(memory.group) - strlen(name), name);
}

/* The first mount in /proc/self/mounts of that type whose options hold `option`. */
static bool find_hierarchy(const char *type, const char *option, char *buffer, size_t capacity)
{
	char mounts[65536], point[512], kind[64], options[1024];
	if (!lt_proc_read("/proc/self/mounts", mounts, sizeof(mounts)))
		return false;
	for (char *line = strtok(mounts, "\n"); line != NULL; line = strtok(NULL, "\n")) {
		if (sscanf(line, "%*s %511s %63s %1023s", point, kind, options) == 3 &&
		    strcmp(kind, type) == 0 && strstr(options, option) != NULL) {
			snprintf(buffer, capacity, "%s", point);
			return true;
		}
	}
	return false;
}

static void test_real_group_of_version_1(void **state)
{
	char parent[512], path[600];
	if (!find_hierarchy("cgroup", ",memory", parent, sizeof(parent))) {
		print_message("this system has no version 1 memory hierarchy\n");
		skip();
	}
	struct groups *groups = new_groups(state);
	start_in_group(groups, parent);
	snprintf(path, sizeof(path), "%s/memory.limit_in_bytes", groups->outer);
	assert_true(write_text(path, "67108864"));
	expect_outer_limit(groups);
}

static void test_real_group_of_version_2(void **state)
{
	char parent[512], path[600], controllers[4096];
	if (!find_hierarchy("cgroup2", "", parent, sizeof(parent))) {
		print_message("this system has no version 2 hierarchy\n");
		skip();
	}
	struct groups *groups = new_groups(state);
	start_in_group(groups, parent);
	snprintf(path, sizeof(path), "%s/cgroup.controllers", groups->outer);
	if (!lt_proc_read(path, controllers, sizeof(controllers)) ||
	    strstr(controllers, "memory") == NULL) {
		/* Without the controller the group limits nothing, whatever its version 1 group says. */
		struct lt_cgroup_memory memory;
		assert_int_equal(lt_cgroup_memory(&session, groups->child, &memory), LT_OK);
		assert_null(strstr(memory.group, "lt_test_"));
		print_message("the version 2 hierarchy of this system does not control memory\n");
		skip();
	}
	snprintf(path, sizeof(path), "%s/memory.max", groups->outer);
	assert_true(write_text(path, "67108864"));
	expect_outer_limit(groups);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_version_2_takes_the_tightest_ancestor,
						make_tree, remove_tree),
		cmocka_unit_test_setup_teardown(test_version_1_beside_version_2, make_tree,
						remove_tree),
		cmocka_unit_test_setup_teardown(test_swap_and_kills, make_tree, remove_tree),
		cmocka_unit_test_setup_teardown(test_containers, make_tree, remove_tree),
		cmocka_unit_test_setup_teardown(test_files_without_sense, make_tree, remove_tree),
		cmocka_unit_test(test_no_such_process),
		cmocka_unit_test_teardown(test_real_group_of_version_1, end_groups),
		cmocka_unit_test_teardown(test_real_group_of_version_2, end_groups),
	};
	lt_session_init(&session);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	lt_session_deinit(&session);
	return failed;
}
