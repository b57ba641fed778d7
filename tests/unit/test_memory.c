/*
 * test_memory.c: memory sources: images, injected faults, the page cache, and live processes.
 */
#include "base/cleanup.h"
#include "target/ahead.h"
#include "target/cache.h"
#include "target/faults.h"
#include "target/image.h"
#include "target/live.h"
#include "target/stream.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <cmocka.h>

enum { PAGE = 4096, MIB = 1 << 20 };

static struct lt_session session;

static struct lt_memory *new_image(void)
{
	struct lt_memory *image = NULL;
	assert_int_equal(lt_image_create(&session, &image), LT_OK);
	return image;
}

static void add(struct lt_memory *image, lt_addr addr, const void *bytes, size_t size)
{
	assert_int_equal(lt_image_add(&session, image, addr, bytes, size), LT_OK);
}

/* What is at hand is copied, without a call; what is not whole at hand comes from the source. */
static void test_what_is_at_hand_is_not_read(void **state)
{
	(void)state;
	static const unsigned char held[16] = "0123456789abcdef";
	struct lt_memory *image = new_image();
	char buffer[16];
	uint64_t word;
	add(image, 0x2000, "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEF", 32);
	assert_null(lt_memory_at(image, 0x2000, 1));
	assert_null(lt_memory_at(image, 0, 0));
	image->held = held;
	image->held_start = 0x2008;
	image->held_size = sizeof(held);
	assert_ptr_equal(lt_memory_at(image, 0x2008, 16), held);
	assert_ptr_equal(lt_memory_at(image, 0x2017, 1), held + 15);
	assert_null(lt_memory_at(image, 0x2008, 17));
	assert_null(lt_memory_at(image, 0x2018, 0));
	assert_null(lt_memory_at(image, 0x2007, 1));
	assert_null(lt_memory_at(image, 0x2010, SIZE_MAX));
	assert_true(lt_memory_u64(image, 0x2010, &word));
	assert_memory_equal(&word, "89abcdef", 8);
	assert_int_equal(lt_memory_probe(image, 0x2009, buffer, 4), 4);
	assert_memory_equal(buffer, "1234", 4);
	assert_int_equal(image->reads, 0);
	assert_true(lt_memory_u64(image, 0x2011, &word));
	assert_memory_equal(&word, "RSTUVWXY", 8);
	assert_int_equal(image->reads, 1);
	lt_memory_close(image);
}

static void test_image_reads_across_segments_and_stops_at_holes(void **state)
{
	(void)state;
	struct lt_memory *image = new_image();
	char buffer[16];
	add(image, 0x2008, "ijkl", 4);
	add(image, 0x2000, "abcdefgh", 8);
	add(image, 0x2010, "xyz", 3);
	memset(buffer, '.', sizeof(buffer));
	assert_int_equal(lt_memory_read(image, 0x2002, buffer, 16), 10);
	assert_memory_equal(buffer, "cdefghijkl......", 16);
	assert_int_equal(image->short_reads, 1);
	assert_int_equal(lt_memory_probe(image, 0x1fff, buffer, 4), 0);
	assert_int_equal(lt_memory_probe(image, 0x200c, buffer, 8), 0);
	assert_int_equal(lt_memory_read(image, 0x2012, buffer, 1), 1);
	assert_int_equal(image->short_reads, 1);
	assert_int_equal(image->reads, 4);
	assert_int_equal(image->bytes, 11);
	assert_int_equal(lt_memory_read(image, 0x2012, buffer, 0), 0);
	lt_memory_close(image);
}

static void test_image_refuses_overlap(void **state)
{
	(void)state;
	struct lt_memory *image = new_image();
	add(image, 100, "abcd", 4);
	lt_addr bad[] = {97, 98, 100, 103};
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(lt_image_add(&session, image, bad[i], "1234", 4), LT_E_INTERNAL);
		lt_session_clear(&session);
	}
	assert_int_equal(lt_image_add(&session, image, UINT64_MAX - 2, "1234", 4), LT_E_INTERNAL);
	lt_session_clear(&session);
	add(image, 96, "1234", 4);
	add(image, 104, NULL, 4);
	add(image, UINT64_MAX - 3, "last", 4);
	char buffer[16] = "................";
	assert_int_equal(lt_memory_read(image, 96, buffer, 12), 12);
	assert_memory_equal(buffer, "1234abcd\0\0\0\0", 12);
	/* The end of the address space is an end like any other. */
	assert_int_equal(lt_memory_read(image, UINT64_MAX - 1, buffer, 16), 2);
	assert_memory_equal(buffer, "st", 2);
	assert_non_null(lt_image_at(image, 100, 4));
	assert_null(lt_image_at(image, 100, 5));
	assert_null(lt_image_at(image, 99, 5));
	lt_memory_close(image);
}

static void test_words_and_strings(void **state)
{
	(void)state;
	struct lt_memory *image = new_image();
	static const unsigned char bytes[] = {1, 2, 3, 4, 5, 6, 7, 8, 'h', 'i', 0, 'n', 'o'};
	add(image, 0x1000, bytes, sizeof(bytes));
	uint8_t byte = 0;
	uint32_t half = 0;
	uint64_t word = 77;
	assert_true(lt_memory_u8(image, 0x1001, &byte));
	assert_int_equal(byte, 2);
	assert_true(lt_memory_u32(image, 0x1000, &half));
	assert_int_equal(half, 0x04030201);
	assert_true(lt_memory_u64(image, 0x1000, &word));
	assert_int_equal(word, 0x0807060504030201);
	word = 77;
	assert_false(lt_memory_u64(image, 0x1006, &word));
	assert_int_equal(word, 77);

	char text[8];
	assert_true(lt_memory_string(image, 0x1008, text, sizeof(text)));
	assert_string_equal(text, "hi");
	assert_true(lt_memory_string(image, 0x1008, text, 2));
	assert_string_equal(text, "h");
	uint64_t before = image->short_reads;
	assert_false(lt_memory_string(image, 0x100b, text, sizeof(text)));
	assert_string_equal(text, "no");
	assert_int_equal(image->short_reads, before + 1);
	assert_false(lt_memory_string(image, 0x9000, text, sizeof(text)));
	assert_string_equal(text, "");
	lt_memory_close(image);
}

static struct lt_memory *new_faults(enum lt_fault_kind kind, uint64_t at, uint64_t every)
{
	struct lt_memory *image = new_image(), *faults = NULL;
	unsigned char bytes[256];
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(i + 1);
	add(image, 0x1000, bytes, sizeof(bytes));
	struct lt_fault fault = {.kind = kind, .at = at, .every = every, .seed = 5};
	assert_int_equal(lt_faults_create(&session, image, &fault, &faults), LT_OK);
	return faults;
}

static void test_faults_hit_the_chosen_read(void **state)
{
	(void)state;
	for (int kind = LT_FAULT_FAIL; kind <= LT_FAULT_TEAR; kind++) {
		struct lt_memory *faults = new_faults((enum lt_fault_kind)kind, 3, 0);
		unsigned char right[64], buffer[64];
		assert_int_equal(lt_memory_read(faults, 0x1010, right, 64), 64);
		for (int i = 2; i < 8; i++) {
			memset(buffer, 0, sizeof(buffer));
			size_t got = lt_memory_read(faults, 0x1010, buffer, 64);
			bool same = got == 64 && memcmp(buffer, right, 64) == 0;
			assert_int_equal(same, i != 3);
			if (i == 3 && kind == LT_FAULT_FAIL)
				assert_int_equal(got, 0);
			if (i == 3 && kind == LT_FAULT_SHORT)
				assert_true(got < 64);
			if (i == 3 && kind == LT_FAULT_TEAR)
				assert_int_equal(got, 64);
		}
		assert_int_equal(lt_faults_count(faults), 1);
		assert_int_equal(faults->short_reads, kind == LT_FAULT_TEAR ? 0 : 1);
		lt_memory_close(faults);
	}
	/* A hole stays, and takes its page out of every read. */
	struct lt_memory *holed = new_faults(LT_FAULT_HOLE, 2, 0);
	unsigned char some[16];
	assert_int_equal(lt_memory_read(holed, 0x1010, some, 16), 16);
	assert_int_equal(lt_memory_read(holed, 0x1010, some, 16), 0);
	assert_int_equal(lt_memory_read(holed, 0x1080, some, 16), 0);
	assert_int_equal(lt_faults_count(holed), 2);
	lt_memory_close(holed);

	struct lt_memory *faults = new_faults(LT_FAULT_FAIL, 2, 3);
	char byte;
	char seen[11] = "";
	for (size_t i = 0; i < 10; i++)
		seen[i] = lt_memory_probe(faults, 0x1000, &byte, 1) == 1 ? '.' : 'x';
	assert_string_equal(seen, ".x..x..x..");
	lt_memory_close(faults);
}

/* A source of pages whose contents follow from their address, with holes; counts what it is asked for. */
struct pattern {
	struct lt_memory memory;
	uint64_t asked;
	lt_addr hole; /* this page is missing */
};

static unsigned char pattern_byte(lt_addr addr)
{
	return (unsigned char)((addr * 0x9e3779b97f4a7c15u) >> 56);
}

static size_t pattern_read(struct lt_memory *memory, lt_addr addr, void *buffer, size_t size)
{
	struct pattern *pattern = (struct pattern *)memory;
	pattern->asked++;
	for (size_t i = 0; i < size; i++) {
		if (addr + i >= pattern->hole && addr + i < pattern->hole + PAGE)
			return i;
		((unsigned char *)buffer)[i] = pattern_byte(addr + i);
	}
	return size;
}

static void pattern_close(struct lt_memory *memory)
{
	(void)memory;
}

static const struct lt_memory_ops pattern_ops = {pattern_read, pattern_close};

static void expect_pattern(struct lt_memory *memory, lt_addr addr, size_t size, size_t expected)
{
	LT_FREE unsigned char *buffer = malloc(size);
	assert_non_null(buffer);
	assert_int_equal(lt_memory_probe(memory, addr, buffer, size), expected);
	for (size_t i = 0; i < expected; i++)
		if (buffer[i] != pattern_byte(addr + i))
			fail_msg("byte %zu of the read at 0x%llx", i, (unsigned long long)addr);
}

static void test_cache_gives_what_is_below(void **state)
{
	(void)state;
	struct pattern pattern = {.memory.ops = &pattern_ops, .hole = 0x7f0000005000};
	struct lt_memory *cache = NULL;
	assert_int_equal(lt_cache_create(&session, &pattern.memory, MIB, &cache), LT_OK);
	uint64_t random = 1;
	for (int i = 0; i < 20000; i++) {
		random = random * 6364136223846793005u + 1442695040888963407u;
		/* 4 MiB of addresses in a cache of 1 MiB, so that lines are thrown out too. */
		lt_addr addr = 0x7f0000100000 + (random >> 33) % (4 * MIB);
		size_t size = 1 + (random >> 20) % 300;
		expect_pattern(cache, addr, size, size);
	}
	expect_pattern(cache, 0x7f0000100001, LT_CACHE_BULK + 5, LT_CACHE_BULK + 5);
	expect_pattern(cache, 0x7f0000100001, LT_CACHE_BULK - 1, LT_CACHE_BULK - 1);
	lt_memory_close(cache);
}

static void test_cache_remembers(void **state)
{
	(void)state;
	struct pattern pattern = {.memory.ops = &pattern_ops, .hole = 0x7f0000005000};
	struct lt_memory *cache = NULL;
	assert_int_equal(lt_cache_create(&session, &pattern.memory, MIB, &cache), LT_OK);
	expect_pattern(cache, 0x7f0000010008, 8, 8);
	uint64_t asked = pattern.asked;
	expect_pattern(cache, 0x7f0000010000, 100, 100);
	expect_pattern(cache, 0x7f0000013ff8, 8, 8);
	assert_int_equal(pattern.asked, asked);

	/* The hole is the second page of its line: the pages beside it are read, it is asked for only once. */
	expect_pattern(cache, 0x7f0000004f00, 0x200, 0x100);
	expect_pattern(cache, 0x7f0000006000, 8, 8);
	asked = pattern.asked;
	expect_pattern(cache, 0x7f0000005000, 8, 0);
	expect_pattern(cache, 0x7f0000005ff8, 16, 0);
	expect_pattern(cache, 0x7f0000004ff8, 16, 8);
	assert_int_equal(pattern.asked, asked);

	/* Sequential misses fetch ever more at once: fewer requests than lines. */
	asked = pattern.asked;
	for (lt_addr addr = 0x7f0000100000; addr < 0x7f0000100000 + MIB / 2; addr += 64)
		expect_pattern(cache, addr, 64, 64);
	assert_true(pattern.asked - asked <= 8);

	asked = pattern.asked;
	lt_cache_prefetch(cache, 0x7f0000300010, 200000);
	assert_true(pattern.asked - asked <= 2);
	asked = pattern.asked;
	for (lt_addr addr = 0x7f0000300010; addr < 0x7f0000300010 + 200000 - 64; addr += 64)
		expect_pattern(cache, addr, 64, 64);
	assert_int_equal(pattern.asked, asked);

	lt_cache_clear(cache);
	expect_pattern(cache, 0x7f0000300010, 8, 8);
	assert_int_equal(pattern.asked, asked + 1);
	lt_memory_close(cache);
}

static void test_cache_passes_on_a_page_that_ends_early(void **state)
{
	(void)state;
	struct lt_memory *image = new_image(), *cache = NULL;
	add(image, 0x10000, "0123456789", 10);
	assert_int_equal(lt_cache_create(&session, image, 0, &cache), LT_OK);
	char buffer[16];
	assert_int_equal(lt_memory_read(cache, 0x10002, buffer, 8), 8);
	assert_memory_equal(buffer, "23456789", 8);
	assert_int_equal(lt_memory_read(cache, 0x10002, buffer, 9), 8);
	assert_int_equal(lt_memory_read(cache, UINT64_MAX - 3, buffer, 8), 0);
	lt_memory_close(cache);
}

/* The same as the pattern, but nothing is counted: two threads read it. */
static size_t calm_read(struct lt_memory *memory, lt_addr addr, void *buffer, size_t size)
{
	const struct pattern *pattern = (const struct pattern *)memory;
	for (size_t i = 0; i < size; i++) {
		if (addr + i >= pattern->hole && addr + i < pattern->hole + PAGE)
			return i;
		((unsigned char *)buffer)[i] = pattern_byte(addr + i);
	}
	return size;
}

static const struct lt_memory_ops calm_ops = {calm_read, pattern_close};

/* A load in `stream`: all that there is, or at least `least` of it. */
static size_t expect_load(struct lt_stream *stream, lt_addr addr, size_t least, size_t size)
{
	const struct pattern *pattern = (const struct pattern *)stream->memory;
	size_t there = size, got = 0;
	if (addr < pattern->hole + PAGE && addr + size > pattern->hole)
		there = addr < pattern->hole ? (size_t)(pattern->hole - addr) : 0;
	const unsigned char *bytes = lt_stream_load(stream, addr, least, size, &got);
	assert_non_null(bytes);
	assert_true(got <= there && (got == there || got >= least));
	for (size_t i = 0; i < got; i++)
		if (bytes[i] != pattern_byte(addr + i))
			fail_msg("byte %zu of the load at 0x%llx", i, (unsigned long long)addr);
	return got;
}

static void test_a_stream_gives_what_is_there(void **state)
{
	const bool *is_ahead = *state;
	enum { STEP = 8 * PAGE };
	struct pattern pattern = {.memory.ops = &calm_ops, .hole = 0x7f0000105000};
	struct lt_stream stream = {.memory = &pattern.memory, .capacity = STEP};
	if (*is_ahead) {
		lt_ahead_create(&pattern.memory);
		assert_non_null(pattern.memory.ahead);
	}
	/* In order, and over the hole: what was asked for ends there, what is behind it is read anew. */
	for (lt_addr at = 0x7f0000100000; at < 0x7f0000120000; at += STEP) {
		expect_load(&stream, at, STEP, STEP);
		lt_stream_ask(&stream, at + STEP, STEP);
	}
	lt_addr at = 0x7f0000101000;
	uint64_t random = 1;
	for (int i = 0; i < 3000; i++) {
		random = random * 6364136223846793005u + 1442695040888963407u;
		size_t size = 1 + (random >> 33) % STEP, least = 1 + (random >> 20) % size;
		size_t got = expect_load(&stream, at, least, size);
		/* Right behind, a little farther or nearer, or elsewhere. */
		at += got;
		if (random >> 60 == 0)
			at = 0x7f0000100000 + (random >> 40) % MIB;
		lt_stream_ask(&stream, at - (random >> 50) % 64, STEP + 1000);
		at += random >> 61 == 1 ? (random >> 45) % PAGE : 0;
		if (at > 0x7f0000400000 || random >> 58 == 17) {
			lt_stream_rest(&stream);
			at = 0x7f0000103000;
		}
	}
	/* Nothing is read ahead at the end of all addresses, and a reading that goes on is waited for. */
	lt_stream_ask(&stream, UINT64_MAX - PAGE, STEP);
	assert_int_equal(stream.next_size, 0);
	lt_stream_ask(&stream, 0x7f0000000000, STEP);
	assert_int_equal(stream.next_size, *is_ahead ? STEP : 0);
	lt_stream_deinit(&stream);
	lt_ahead_destroy(pattern.memory.ahead);
}

/* Both threads read a piece each, from either end: what came ends at the hole, wherever that is. */
static void test_a_read_ahead_is_shared_out(void **state)
{
	(void)state;
	enum { SIZE = 5 * LT_AHEAD_PIECE + 100, ROUNDS = 40 };
	const lt_addr start = 0x7f0000100ff0;
	struct pattern pattern = {.memory.ops = &calm_ops};
	unsigned char *bytes = malloc(SIZE);
	assert_non_null(bytes);
	lt_ahead_create(&pattern.memory);
	for (unsigned i = 0; i < ROUNDS; i++) {
		pattern.hole = start + (lt_addr)i * SIZE / (ROUNDS - 1);
		size_t there = i < ROUNDS - 1 ? (size_t)(pattern.hole - start) : SIZE;
		assert_true(lt_ahead_ask(&pattern.memory, start, bytes, SIZE));
		assert_false(lt_ahead_ask(&pattern.memory, start, bytes, SIZE));
		if (i % 4 == 3) {
			lt_ahead_drop(&pattern.memory);
			assert_int_equal(lt_ahead_answer(&pattern.memory), 0);
			continue;
		}
		assert_int_equal(lt_ahead_answer(&pattern.memory), there);
		for (size_t k = 0; k < there; k++)
			if (bytes[k] != pattern_byte(start + k))
				fail_msg("byte %zu of round %u", k, i);
	}
	lt_ahead_destroy(pattern.memory.ahead);
	free(bytes);
}

/* A child that holds still until it is killed; it never returns. */
static pid_t start_child(void)
{
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		/* A test that fails leaves by longjmp: the child must not outlive the program. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	return child;
}

static void end_child(pid_t child)
{
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
}

/* KiB in the first line "NAME:" of the mapping at `start` in smaps. */
static long smaps(pid_t pid, const void *start, const char *name)
{
	char path[64], line[512], prefix[32];
	snprintf(path, sizeof(path), "/proc/%d/smaps", (int)pid);
	snprintf(prefix, sizeof(prefix), "%lx-", (unsigned long)start);
	LT_FCLOSE FILE *file = fopen(path, "re");
	assert_non_null(file);
	bool inside = false;
	while (fgets(line, sizeof(line), file) != NULL) {
		if (strncmp(line, prefix, strlen(prefix)) == 0)
			inside = true;
		long value;
		if (inside && strncmp(line, name, strlen(name)) == 0 &&
		    sscanf(line + strlen(name), ": %ld", &value) == 1)
			return value;
	}
	fail_msg("no %s for the mapping in %s", name, path);
	return 0;
}

static void test_live_reads_do_not_unshare_a_forked_child(void **state)
{
	(void)state;
	enum { SIZE = 8 * MIB };
	/* Its neighbours are kept apart, so that it stands in smaps by itself. */
	unsigned char *around =
		mmap(NULL, SIZE + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(around != MAP_FAILED);
	unsigned char *block = around + PAGE;
	assert_int_equal(mprotect(block, SIZE, PROT_READ | PROT_WRITE), 0);
	assert_int_equal(madvise(block, SIZE, MADV_NOHUGEPAGE), 0);
	for (size_t i = 0; i < SIZE; i++)
		block[i] = pattern_byte(i);
	pid_t child = start_child();
	assert_int_equal(smaps(child, block, "Private_Dirty"), 0);
	assert_int_equal(smaps(child, block, "Shared_Dirty"), SIZE / 1024);

	struct lt_memory *memory = NULL;
	assert_int_equal(lt_live_open(&session, child, &memory), LT_OK);
	LT_FREE unsigned char *copy = malloc(SIZE);
	assert_non_null(copy);
	assert_true(lt_memory_get(memory, (lt_addr)(uintptr_t)block, copy, SIZE));
	assert_memory_equal(copy, block, SIZE);
	assert_int_equal(smaps(child, block, "Private_Dirty"), 0);
	assert_int_equal(smaps(child, block, "Shared_Dirty"), SIZE / 1024);
	lt_memory_close(memory);
	end_child(child);
	munmap(around, SIZE + 2 * PAGE);
}

static void read_around_a_hole(struct lt_memory *memory, unsigned char *block)
{
	lt_addr start = (lt_addr)(uintptr_t)block;
	unsigned char buffer[3 * PAGE];
	memset(buffer, 0xee, sizeof(buffer));
	assert_int_equal(lt_memory_read(memory, start + 100, buffer, 3 * PAGE - 100), PAGE - 100);
	assert_int_equal(buffer[PAGE - 101], pattern_byte(PAGE - 1));
	assert_int_equal(buffer[PAGE - 100], 0xee);
	assert_int_equal(lt_memory_read(memory, start + PAGE, buffer, 8), 0);
	assert_int_equal(lt_memory_read(memory, start + 2 * PAGE, buffer, PAGE), PAGE);
	assert_int_equal(buffer[7], pattern_byte(2 * PAGE + 7));
	assert_int_equal(lt_memory_read(memory, 0, buffer, 8), 0);
	assert_int_equal(lt_memory_read(memory, UINT64_MAX - 3, buffer, 8), 0);
	assert_int_equal(lt_memory_read(memory, (lt_addr)1 << 63, buffer, 8), 0);
	assert_int_equal(memory->short_reads, 5);
}

static void test_live_stops_at_holes(void **state)
{
	(void)state;
	unsigned char *block =
		mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(block != MAP_FAILED);
	for (size_t i = 0; i < 3 * PAGE; i++)
		block[i] = pattern_byte(i);
	assert_int_equal(munmap(block + PAGE, PAGE), 0);
	pid_t child = start_child();
	struct lt_memory *memory = NULL;
	assert_int_equal(lt_live_open(&session, child, &memory), LT_OK);
	read_around_a_hole(memory, block);
	lt_memory_close(memory);
	assert_int_equal(lt_live_from_vm(&session, child, &memory), LT_OK);
	read_around_a_hole(memory, block);
	end_child(child);
	/* The process behind an open source is gone: nothing comes, and nothing breaks. */
	char byte;
	assert_int_equal(lt_memory_read(memory, (lt_addr)(uintptr_t)block, &byte, 1), 0);
	lt_memory_close(memory);
	munmap(block, PAGE);
	munmap(block + 2 * PAGE, PAGE);
}

static void test_live_refuses_the_dead(void **state)
{
	(void)state;
	struct lt_memory *memory = NULL;
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0)
		_exit(0);
	siginfo_t info;
	assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(lt_live_open(&session, child, &memory), LT_E_GONE);
	assert_non_null(strstr(session.message, "has ended"));
	lt_session_clear(&session);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(lt_live_open(&session, child, &memory), LT_E_GONE);
	assert_non_null(strstr(session.message, "no process"));
	assert_null(memory);
	lt_session_clear(&session);
}

int main(void)
{
	bool plain = false, ahead = true;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_at_hand_is_not_read),
		cmocka_unit_test(test_image_reads_across_segments_and_stops_at_holes),
		cmocka_unit_test(test_image_refuses_overlap),
		cmocka_unit_test(test_words_and_strings),
		cmocka_unit_test(test_faults_hit_the_chosen_read),
		cmocka_unit_test(test_cache_gives_what_is_below),
		cmocka_unit_test(test_cache_remembers),
		cmocka_unit_test(test_cache_passes_on_a_page_that_ends_early),
		cmocka_unit_test_prestate(test_a_stream_gives_what_is_there, &plain),
		cmocka_unit_test_prestate(test_a_stream_gives_what_is_there, &ahead),
		cmocka_unit_test(test_a_read_ahead_is_shared_out),
		cmocka_unit_test(test_live_reads_do_not_unshare_a_forked_child),
		cmocka_unit_test(test_live_stops_at_holes),
		cmocka_unit_test(test_live_refuses_the_dead),
	};
	lt_session_init(&session);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	lt_session_deinit(&session);
	return failed;
}
