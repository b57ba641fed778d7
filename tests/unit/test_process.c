/*
 * test_process.c: processes as /proc shows them, with names and files that mean harm.
 */
#include "base/arena.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "target/maps.h"
#include "target/permission.h"
#include "target/proc.h"
#include "target/processes.h"
#include "target/smaps.h"

#include <fcntl.h>
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

static struct lt_session session;

static void parse(const char *text, struct lt_mappings *mappings, struct lt_arena *strings)
{
	assert_true(lt_maps_parse(text, strlen(text), mappings, strings));
}

static void test_maps_lines(void **state)
{
	(void)state;
	struct lt_mappings mappings = {0};
	struct lt_arena strings = {0};
	parse("00400000-0045c000 r-xp 00002000 fe:0a 1234567                  /usr/bin/a b\\012c "
	      "(deleted)\n"
	      "0045c000-00460000 rw-s 0005b000 fe:0a 1234567                  /usr/bin/a b\\012c "
	      "(deleted)\n"
	      "01000000-01021000 rw-p 00000000 00:00 0                        [heap]\n"
	      "7f0000000000-7f0000001000 ---p 00000000 00:00 0 \n"
	      "7f0000001000-7f0000002000 r--p 00000000 00:00 0\n"
	      "7f0000002000-7f0000003000 r--p 00000000 103:03 18446744073709551\t/x\\\\040y",
	      &mappings, &strings);
	assert_int_equal(mappings.count, 6);
	const struct lt_mapping *first = &mappings.data[0];
	assert_int_equal(first->start, 0x400000);
	assert_int_equal(first->end, 0x45c000);
	assert_int_equal(first->file_offset, 0x2000);
	assert_int_equal(first->device_major, 0xfe);
	assert_int_equal(first->device_minor, 0xa);
	assert_int_equal(first->inode, 1234567);
	assert_true(first->readable && !first->writable && first->executable && !first->shared);
	assert_string_equal(first->path, "/usr/bin/a b\nc (deleted)");
	assert_string_equal(mappings.data[1].path, first->path);
	assert_true(mappings.data[1].shared && mappings.data[1].writable);
	assert_string_equal(mappings.data[2].path, "[heap]");
	assert_string_equal(mappings.data[3].path, "");
	assert_false(mappings.data[3].readable);
	assert_string_equal(mappings.data[4].path, "");
	assert_int_equal(mappings.data[5].device_major, 0x103);

	assert_ptr_equal(lt_maps_find(&mappings, 0x400000), first);
	assert_ptr_equal(lt_maps_find(&mappings, 0x45bfff), first);
	assert_ptr_equal(lt_maps_find(&mappings, 0x45c000), &mappings.data[1]);
	assert_null(lt_maps_find(&mappings, 0x3fffff));
	assert_null(lt_maps_find(&mappings, 0x460000));
	assert_null(lt_maps_find(&mappings, UINT64_MAX));
	lt_mappings_deinit(&mappings);
	lt_arena_deinit(&strings);
}

static void test_maps_without_sense_are_left_out(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"",
		"\n",
		"x",
		"00400000",
		"00400000-",
		"-00500000 r-xp 0 0:0 0",
		"00400000-00500000",
		"00400000-00500000 r-x",
		"00400000-00500000 r-xp",
		"00400000-00500000 r-xp ",
		"00400000-00500000 r-xp 0 fe",
		"00400000-00500000 r-xp 0 fe:01",
		"00400000-00500000 r-xp 0 fe:01 ",
		"00400000-00500000 r-xp 0 fe:01 x",
		"00500000-00400000 r-xp 0 fe:01 1 /a",
		"00400000-00400000 r-xp 0 fe:01 1 /a",
		"10000000000000000-10000000000001000 r-xp 0 fe:01 1 /a",
		"00400000-00500000 r-xp 0 100000000:01 1 /a",
		"00400000-00500000 r-xp 0 fe:01 99999999999999999999 /a",
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct lt_mappings mappings = {0};
		struct lt_arena strings = {0};
		parse(bad[i], &mappings, &strings);
		if (mappings.count != 0)
			fail_msg("accepted: %s", bad[i]);
		lt_mappings_deinit(&mappings);
		lt_arena_deinit(&strings);
	}
	/* What does not ascend is left out, so that the vector can be bisected. */
	struct lt_mappings mappings = {0};
	struct lt_arena strings = {0};
	parse("2000-4000 r--p 0 0:0 0\n1000-2000 r--p 0 0:0 0\n3000-5000 r--p 0 0:0 0\n4000-5000 "
	      "r--p 0 0:0 0\n",
	      &mappings, &strings);
	assert_int_equal(mappings.count, 2);
	assert_int_equal(mappings.data[1].start, 0x4000);
	lt_mappings_deinit(&mappings);
	lt_arena_deinit(&strings);
}

static void test_maps_of_random_bytes(void **state)
{
	(void)state;
	static const char alphabet[] = "0123456789abcdef-: rwxps/\\\n[]";
	uint64_t random = 7;
	for (int round = 0; round < 3000; round++) {
		char text[300];
		for (size_t i = 0; i < sizeof(text); i++) {
			random = random * 6364136223846793005u + 1442695040888963407u;
			text[i] = alphabet[(random >> 33) % (sizeof(alphabet) - 1)];
		}
		struct lt_mappings mappings = {0};
		struct lt_arena strings = {0};
		assert_true(lt_maps_parse(text, sizeof(text), &mappings, &strings));
		lt_mappings_deinit(&mappings);
		lt_arena_deinit(&strings);
	}
}

/* What private memory is for, by its place and its neighbours. */
static void test_regions(void **state)
{
	(void)state;
	struct lt_mappings mappings = {0};
	struct lt_arena strings = {0};
	uint64_t bytes[LT_REGION_COUNT];
	lt_maps_regions(&mappings, bytes);
	for (int region = 0; region < LT_REGION_COUNT; region++)
		assert_int_equal(bytes[region], 0);
	parse("00400000-00460000 rw-p 00000000 fe:0a 123 /usr/bin/python3\n"
	      "01000000-01021000 rw-p 00000000 00:00 0 [heap]\n"
	      "7f0000000000-7f0000005000 rw-p 00000000 00:00 0\n"
	      "7f0000005000-7f0004000000 ---p 00000000 00:00 0\n"
	      /* The next one is full but for a page. */
	      "7f0004000000-7f0007fff000 rw-p 00000000 00:00 0\n"
	      "7f0007fff000-7f0008000000 ---p 00000000 00:00 0\n"
	      /* As an arena begins, but nothing is reserved behind it. */
	      "7f0010000000-7f0010008000 rw-p 00000000 00:00 0\n"
	      "7f0010008000-7f0010009000 ---p 00000000 00:00 0\n"
	      /* The guard page below a stack. */
	      "7f0010009000-7f0010809000 rw-p 00000000 00:00 0\n"
	      "7f0020000000-7f0020001000 rw-s 00000000 00:00 0\n"
	      "7f0020001000-7f0020003000 rw-p 00000000 00:00 0 [anon:name]\n"
	      "7f0020003000-7f0020004000 r--p 00000000 00:00 0\n"
	      "7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0 [stack]\n",
	      &mappings, &strings);
	assert_int_equal(mappings.count, 13);
	lt_maps_regions(&mappings, bytes);
	assert_int_equal(bytes[LT_REGION_HEAP], 0x21000);
	assert_int_equal(bytes[LT_REGION_ARENAS], 0x5000 + 0x3fff000);
	assert_int_equal(bytes[LT_REGION_STACKS], 0x800000 + 0x21000);
	assert_int_equal(bytes[LT_REGION_ANONYMOUS], 0x8000 + 0x2000);
	lt_mappings_deinit(&mappings);
	lt_arena_deinit(&strings);
}

static void test_stat_fields_behind_a_hostile_name(void **state)
{
	(void)state;
	static const char stat[] =
		"12 (a) Z 1 (2) (x)) S 7 8 9 10 -1 4194560 1 2 3 4 5 6 7 8 20 0 3 0 555 6 7";
	uint64_t value;
	assert_true(lt_proc_stat_field(stat, 3, &value));
	assert_int_equal(value, 'S');
	assert_true(lt_proc_stat_field(stat, 9, &value));
	assert_int_equal(value, 4194560);
	assert_true(lt_proc_stat_field(stat, 20, &value));
	assert_int_equal(value, 3);
	assert_true(lt_proc_stat_field(stat, 22, &value));
	assert_int_equal(value, 555);
	assert_false(lt_proc_stat_field(stat, 8, &value));
	assert_false(lt_proc_stat_field(stat, 25, &value));
	assert_false(lt_proc_stat_field("no name", 3, &value));
	assert_false(lt_proc_stat_field("1 (x)", 3, &value));
	assert_false(lt_proc_stat_field(stat, 2, &value));

	char field[16];
	assert_true(lt_proc_field("Name:\tx\nUid:\t12\t13\nLong:  0123456789012345678\n", "Uid",
				  field, sizeof(field)));
	assert_string_equal(field, "12\t13");
	assert_false(lt_proc_field("Name:\tUid: 7\n", "Uid", field, sizeof(field)));
	assert_true(lt_proc_field("Long: 0123456789012345678\n", "Long", field, sizeof(field)));
	assert_string_equal(field, "012345678901234");
}

static void test_shown_text_has_no_control_bytes(void **state)
{
	(void)state;
	struct lt_text text = {0};
	lt_process_show(&text, "a\nb\tc\x1b[31m\x7f\xc3\xa4", 13);
	assert_string_equal(lt_text_get(&text), "a\\nb\\tc\\x1b[31m\\x7f\xc3\xa4");
	lt_text_deinit(&text);
}

static void test_this_process(void **state)
{
	(void)state;
	struct lt_process *process = NULL;
	assert_int_equal(lt_process_open(&session, getpid(), &process), LT_OK);
	assert_true(process->mappings.count > 3);
	assert_true(process->rss_bytes > 100000);
	assert_int_equal(process->thread_count, 1);
	assert_true(process->start_time > 0);
	assert_true(lt_process_alive(process));
	assert_non_null(strstr(process->executable, "test_process"));
	assert_non_null(strstr(process->command_line, "test_process"));
	const struct lt_mapping *text =
		lt_process_mapping(process, (lt_addr)(uintptr_t)&test_this_process);
	assert_non_null(text);
	assert_true(text->executable);
	assert_string_equal(text->path, process->executable);

	struct lt_memory *memory = NULL;
	assert_int_equal(lt_process_memory(&session, process, &memory), LT_OK);
	static const uint64_t secret = 0x1234567887654321;
	uint64_t value;
	assert_true(lt_memory_u64(memory, (lt_addr)(uintptr_t)&secret, &value));
	assert_int_equal(value, secret);
	lt_memory_close(memory);

	void *block = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(block != MAP_FAILED);
	assert_int_equal(lt_process_refresh(&session, process), LT_OK);
	assert_non_null(lt_process_mapping(process, (lt_addr)(uintptr_t)block));
	munmap(block, 4096);
	lt_process_close(process);

	struct lt_pids pids = {0};
	assert_int_equal(lt_processes_list(&session, &pids), LT_OK);
	bool found = false;
	for (size_t i = 0; i < pids.count; i++) {
		found = found || pids.data[i] == getpid();
		assert_true(i == 0 || pids.data[i - 1] < pids.data[i]);
	}
	assert_true(found);
	lt_pids_deinit(&pids);
}

static void end_child(pid_t child)
{
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
}

/* Waits for the child's byte: it has done what it had to. */
static void wait_for(int fd)
{
	char byte;
	assert_int_equal(read(fd, &byte, 1), 1);
}

static void test_hostile_names(void **state)
{
	(void)state;
	char directory[] = "/tmp/lt_process_XXXXXX";
	char path[256];
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/[heap] a\nb 00:00 0 (deleted)", directory);
	int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(file >= 0);
	assert_int_equal(ftruncate(file, 8192), 0);
	int ready[2];
	assert_int_equal(pipe(ready), 0);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		prctl(PR_SET_NAME, ") Z 1 (\n");
		void *map = mmap((void *)0x10000000, 8192, PROT_READ,
				 MAP_SHARED | MAP_FIXED_NOREPLACE, file, 0);
		if (map == (void *)0x10000000 && write(ready[1], "x", 1) == 1)
			for (;;)
				pause();
		_exit(1);
	}
	wait_for(ready[0]);
	struct lt_process *process = NULL;
	assert_int_equal(lt_process_open(&session, child, &process), LT_OK);
	const struct lt_mapping *mapping = lt_process_mapping(process, 0x10001000);
	assert_non_null(mapping);
	assert_string_equal(mapping->path, path);
	assert_true(mapping->inode != 0);
	assert_true(lt_process_alive(process));
	end_child(child);
	assert_false(lt_process_alive(process));
	lt_process_close(process);
	close(ready[0]);
	close(ready[1]);
	close(file);
	unlink(path);
	rmdir(directory);
}

static bool parse_smaps(const char *text, size_t size, struct lt_smaps *smaps)
{
	LT_FCLOSE FILE *file = fmemopen((void *)(uintptr_t)text, size, "r");
	assert_non_null(file);
	return lt_smaps_parse(file, smaps);
}

static void test_smaps_lines(void **state)
{
	(void)state;
	static const char text[] =
		"Rss:                  99 kB\n"
		"00400000-0045c000 r-xp 00002000 fe:0a 1234567                  /a\\012Rss: 8 kB\n"
		"Size:                368 kB\n"
		"Rss:                  12 kB\n"
		"Pss:                   7 kB\n"
		"Shared_Clean:          4 kB\n"
		"Private_Clean:         8 kB\n"
		"Swap:                  x kB\n"
		"VmFlags: rd ex mr mw me \n"
		"00300000-00400000 rw-p 00000000 00:00 0 \n"
		"Rss:                1000 kB\n"
		"7f0000000000-7f0000400000 rw-p 00000000 00:00 0 \n"
		"Rss:                2052 kB\n"
		"Private_Dirty:      2052 kB\n"
		"AnonHugePages:      2048 kB\n"
		"Private_Hugetlb:     100 kB\n"
		"Swap:                 16 kB\n"
		"LazyFree:              4 kB\n"
		"Locked:             8 kB\n"
		"Anonymous: 99999999999999999999 kB\n"
		"7f0000400000-7f0000500000 rw-p 00000000 00:00 0 \n"
		"Rss: 18014398509481983 kB\n"
		"Rss";
	struct lt_smaps smaps = {0};
	assert_true(parse_smaps(text, sizeof(text) - 1, &smaps));
	assert_int_equal(smaps.list.count, 3);
	const struct lt_smap *file = &smaps.list.data[0], *huge = &smaps.list.data[1];
	assert_string_equal(file->mapping.path, "/a\nRss: 8 kB");
	assert_int_equal(file->rss, 12 << 10);
	assert_int_equal(file->pss, 7 << 10);
	assert_int_equal(file->shared_clean, 4 << 10);
	assert_int_equal(file->private_clean, 8 << 10);
	assert_int_equal(file->swap, 0);
	assert_int_equal(huge->huge, 2148 << 10);
	assert_int_equal(huge->hugetlb, 100 << 10);
	assert_int_equal(huge->lazy_free, 4 << 10);
	assert_int_equal(huge->locked, 8 << 10);
	assert_int_equal(huge->anonymous, 0);
	assert_int_equal(smaps.list.data[2].rss, 0);
	assert_int_equal(smaps.rss, (12 + 2052) << 10);
	assert_int_equal(smaps.swap, 16 << 10);
	assert_ptr_equal(lt_smaps_find(&smaps, 0x45bfff), file);
	assert_ptr_equal(lt_smaps_find(&smaps, 0x7f0000000000), huge);
	assert_null(lt_smaps_find(&smaps, 0x45c000));
	lt_smaps_deinit(&smaps);
}

static void test_smaps_of_random_bytes(void **state)
{
	(void)state;
	static const char letters[] = "0123456789abcdef-rwxps :\nRskBwap\\/\0";
	srand(12345);
	for (int round = 0; round < 2000; round++) {
		char text[512];
		size_t size = 1 + (size_t)rand() % sizeof(text);
		for (size_t i = 0; i < size; i++)
			text[i] = letters[(size_t)rand() % sizeof(letters)];
		struct lt_smaps smaps = {0};
		assert_true(parse_smaps(text, size, &smaps));
		for (size_t i = 1; i < smaps.list.count; i++)
			assert_true(smaps.list.data[i - 1].mapping.end <=
				    smaps.list.data[i].mapping.start);
		lt_smaps_deinit(&smaps);
	}
}

/* Of this process: pages that were written are resident, the others are not, and smaps counts the same. */
static void test_resident_pages(void **state)
{
	(void)state;
	enum { PAGES = 200 };
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	/* Without access around it, so that the kernel does not join it with a neighbour. */
	char *around =
		mmap(NULL, (PAGES + 2) * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(around != MAP_FAILED);
	char *start = around + page;
	assert_int_equal(mprotect(start, PAGES * page, PROT_READ | PROT_WRITE), 0);
	madvise(start, PAGES * page, MADV_NOHUGEPAGE);
	size_t written = 0;
	for (size_t i = 0; i < PAGES; i += i % 3 + 1, written++)
		start[i * page] = 1;
	struct lt_process *process = NULL;
	assert_int_equal(lt_process_open(&session, getpid(), &process), LT_OK);
	uint64_t bits[(PAGES + 63) / 64];
	assert_true(lt_smaps_resident(process, (lt_addr)(uintptr_t)start,
				      (lt_addr)(uintptr_t)start + PAGES * page, bits));
	bool expected[PAGES] = {false};
	for (size_t i = 0; i < PAGES; i += i % 3 + 1)
		expected[i] = true;
	for (size_t i = 0; i < PAGES; i++)
		assert_int_equal(bits[i / 64] >> (i % 64) & 1, expected[i]);
	assert_false(lt_smaps_resident(process, 4096, 4096, bits));

	struct lt_smaps smaps = {0};
	assert_int_equal(lt_smaps_read(&session, process, &smaps), LT_OK);
	const struct lt_smap *smap = lt_smaps_find(&smaps, (lt_addr)(uintptr_t)start);
	assert_non_null(smap);
	assert_int_equal(smap->mapping.end - smap->mapping.start, PAGES * page);
	assert_int_equal(smap->rss + smap->swap, written * page);
	assert_true(smaps.rss > smap->rss && smaps.page_tables > 0);
	lt_smaps_deinit(&smaps);
	lt_process_close(process);
	munmap(around, (PAGES + 2) * page);

	struct lt_process gone = {.pid = INT32_MAX};
	assert_false(lt_smaps_resident(&gone, 0, 64 * 4096, bits));
	assert_int_equal(lt_smaps_read(&session, &gone, &smaps), LT_E_GONE);
	lt_session_clear(&session);
}

static void test_command_lines(void **state)
{
	(void)state;
	int ready[2], silent[2];
	assert_int_equal(pipe(ready), 0);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* Nobody writes: the shell waits in its "read". */
		if (pipe(silent) != 0)
			_exit(1);
		dup2(silent[0], 0);
		dup2(ready[1], 1);
		execl("/bin/sh", "a\x1b]0;x\a", "-c", "echo\nread x", "", "end", (char *)NULL);
		_exit(1);
	}
	wait_for(ready[0]);
	struct lt_process *process = NULL;
	assert_int_equal(lt_process_open(&session, child, &process), LT_OK);
	assert_string_equal(process->command_line, "a\\x1b]0;x\\x07 -c echo\\nread x  end");
	lt_process_close(process);
	end_child(child);
	close(ready[0]);
	close(ready[1]);
}

static void test_the_gone_and_the_dead(void **state)
{
	(void)state;
	struct lt_process *process = NULL;
	static const pid_t none[] = {0, -1, INT32_MAX};
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(lt_process_open(&session, none[i], &process), LT_E_GONE);
		assert_non_null(strstr(session.message, "there is no process"));
		lt_session_clear(&session);
	}
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0)
		_exit(0);
	siginfo_t info;
	assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(lt_process_open(&session, child, &process), LT_E_GONE);
	assert_non_null(strstr(session.message, "has ended"));
	lt_session_clear(&session);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(lt_process_open(&session, child, &process), LT_E_GONE);
	lt_session_clear(&session);
	assert_null(process);

	char name[64];
	if (lt_proc_read("/proc/2/comm", name, sizeof(name)) && strcmp(name, "kthreadd\n") == 0) {
		assert_int_equal(lt_process_open(&session, 2, &process), LT_E_NOT_PYTHON);
		assert_non_null(strstr(session.message, "a part of the kernel"));
		lt_session_clear(&session);
	}
}

static void test_permission_remedies(void **state)
{
	(void)state;
	static const struct {
		struct lt_permission facts;
		const char *sentence, *remedy;
	} cases[] = {
		{{.pid = 7,
		  .target_known = true,
		  .target_uid = 0,
		  .own_uid = 12345,
		  .ptrace_scope = 1},
		 "it belongs to root",
		 "run it with sudo, or as root"},
		{{.pid = 7,
		  .target_known = true,
		  .target_uid = 12345,
		  .own_uid = 12345,
		  .ptrace_scope = 1},
		 "kernel.yama.ptrace_scope is 1",
		 "sudo sysctl kernel.yama.ptrace_scope=0"},
		{{.pid = 7,
		  .target_known = true,
		  .target_uid = 12345,
		  .own_uid = 12345,
		  .ptrace_scope = 1,
		  .in_container = true},
		 "kernel.yama.ptrace_scope is 1",
		 "CAP_SYS_PTRACE"},
		{{.pid = 7,
		  .target_known = true,
		  .target_uid = 12345,
		  .own_uid = 12345,
		  .ptrace_scope = 2},
		 "kernel.yama.ptrace_scope is 2",
		 "sudo"},
		{{.pid = 7,
		  .target_known = true,
		  .own_uid = 0,
		  .has_ptrace_cap = true,
		  .ptrace_scope = 3},
		 "kernel.yama.ptrace_scope is 3",
		 "boot"},
		{{.pid = 7,
		  .target_known = true,
		  .target_uid = 0,
		  .own_uid = 0,
		  .ptrace_scope = 0,
		  .in_container = true},
		 "without CAP_SYS_PTRACE",
		 "docker run --cap-add=SYS_PTRACE"},
		{{.pid = 7,
		  .target_known = true,
		  .own_uid = 0,
		  .has_ptrace_cap = true,
		  .ptrace_scope = -1,
		  .other_user_namespace = true},
		 "another user namespace",
		 "root on the host"},
		{{.pid = 7,
		  .target_known = true,
		  .target_uid = 12345,
		  .own_uid = 12345,
		  .ptrace_scope = 0},
		 "it is protected",
		 "sudo"},
		{{.pid = 7,
		  .target_known = true,
		  .own_uid = 0,
		  .has_ptrace_cap = true,
		  .ptrace_scope = -1},
		 "a security policy",
		 "seccomp"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		lt_session_clear(&session);
		assert_int_equal(lt_permission_explain(&session, &cases[i].facts, "stop"),
				 LT_E_PERMISSION);
		if (strstr(session.message, cases[i].sentence) == NULL ||
		    strstr(session.remedy, cases[i].remedy) == NULL ||
		    strncmp(session.message, "not permitted to stop process 7: ", 33) != 0)
			fail_msg("case %zu: %s / %s", i, session.message, session.remedy);
	}
	lt_session_clear(&session);
}

/* As another user, at this very process, which belongs to root. */
static void test_a_real_refusal(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	pid_t target = getpid();
	int answer[2];
	assert_int_equal(pipe(answer), 0);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct lt_process *process = NULL;
		if (setgid(65534) != 0 || setuid(65534) != 0)
			_exit(1);
		enum lt_status status = lt_process_open(&session, target, &process);
		dprintf(answer[1], "%s|%s|%s", lt_status_name(status), session.message,
			session.remedy);
		_exit(0);
	}
	int result;
	assert_int_equal(waitpid(child, &result, 0), child);
	assert_int_equal(result, 0);
	char text[2048];
	ssize_t length = read(answer[0], text, sizeof(text) - 1);
	assert_true(length > 0);
	text[length] = '\0';
	close(answer[0]);
	close(answer[1]);
	if (strstr(text, lt_status_name(LT_E_PERMISSION)) != text ||
	    strstr(text, "belongs to root") == NULL || strstr(text, "sudo") == NULL)
		fail_msg("%s", text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_maps_lines),
		cmocka_unit_test(test_maps_without_sense_are_left_out),
		cmocka_unit_test(test_maps_of_random_bytes),
		cmocka_unit_test(test_regions),
		cmocka_unit_test(test_stat_fields_behind_a_hostile_name),
		cmocka_unit_test(test_shown_text_has_no_control_bytes),
		cmocka_unit_test(test_this_process),
		cmocka_unit_test(test_hostile_names),
		cmocka_unit_test(test_smaps_lines),
		cmocka_unit_test(test_smaps_of_random_bytes),
		cmocka_unit_test(test_resident_pages),
		cmocka_unit_test(test_command_lines),
		cmocka_unit_test(test_the_gone_and_the_dead),
		cmocka_unit_test(test_permission_remedies),
		cmocka_unit_test(test_a_real_refusal),
	};
	lt_session_init(&session);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	lt_session_deinit(&session);
	return failed;
}
