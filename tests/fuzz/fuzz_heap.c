/*
 * fuzz_heap.c: the heap of a made-up process whose memory is noise, in the layout of every release: its
 * interpreters, pools, tracked objects, census and graph. Whatever is read, it must end, stay in bounds,
 * and give either a result or a failure with a sentence.
 *
 *     fuzz_heap [ROUNDS [SEED]]      images for each release (default 20), and the first seed
 */
#include "base/cleanup.h"
#include "heap/heap.h"
#include "target/faults.h"
#include "target/image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum {
	SIZE = 1 << 20,
	WORDS = SIZE / 8,
};
static const lt_addr BASE = 0x7f0000000000;

static unsigned rounds = 20;
static uint64_t first_seed = 1;

struct noise {
	uint64_t state;
	unsigned style; /* which mix of words */
};

static uint64_t next_random(struct noise *noise)
{
	/* splitmix64 (Steele, Lea, Flood 2014). */
	uint64_t z = noise->state += 0x9e3779b97f4a7c15u;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static lt_addr somewhere(struct noise *noise)
{
	return BASE + next_random(noise) % WORDS * 8;
}

/* Words that get far: addresses that are there, small numbers, and the extremes. */
static uint64_t word(struct noise *noise)
{
	uint64_t choice = next_random(noise) % 16;
	if (noise->style % 3 == 0 && choice < 10)
		return somewhere(noise) & ~(uint64_t)15;
	switch (choice) {
	case 0:
		return UINT64_MAX;
	case 1:
		return next_random(noise);
	case 2:
		return INT64_MAX;
	case 3:
		return (uint64_t)1 << next_random(noise) % 64;
	case 4:
	case 5:
	case 6:
		return 0;
	case 7:
	case 8:
	case 9:
		return next_random(noise) % 64;
	case 10:
		return somewhere(noise) | next_random(noise) % 8;
	default:
		return somewhere(noise);
	}
}

static void put(unsigned char *bytes, uint64_t offset, uint64_t value)
{
	if (offset <= SIZE - 8)
		memcpy(bytes + offset, &value, sizeof(value));
}

/* The way to the first interpreter, so that most images get past the door. */
static void put_runtime(unsigned char *bytes, const struct lt_layout *layout, struct noise *noise)
{
	uint64_t interpreter = (1 << 16) + next_random(noise) % 1024 * 64;
	put(bytes, lt_off(layout, LT__PyRuntimeState_interpreters_head), BASE + interpreter);
	if (noise->style % 2 == 0)
		put(bytes, interpreter + lt_off(layout, LT_PyInterpreterState_next), 0);
	if (!lt_has(layout, LT_PyInterpreterState_gc) ||
	    !lt_has(layout, LT__gc_runtime_state_generations))
		return;
	/* Rings of a few objects in the lists of the collector, most of which close. */
	uint64_t head = interpreter + lt_off(layout, LT_PyInterpreterState_gc) +
			lt_off(layout, LT__gc_runtime_state_generations);
	for (unsigned generation = 0; generation < 3; generation++, head += 24) {
		uint64_t at = head, type = SIZE / 2 + next_random(noise) % 64 * 512;
		for (uint64_t left = next_random(noise) % 200; left > 0; left--) {
			uint64_t next = SIZE / 4 + next_random(noise) % (SIZE / 128) * 64;
			put(bytes, at, BASE + next);
			put(bytes, next + 8, BASE + at);
			put(bytes, next + 24, BASE + type);
			at = next;
		}
		put(bytes, at, BASE + (noise->style % 5 != 0 ? head : SIZE / 4));
		put(bytes, head + 8, BASE + at);
		/* A type of itself: the type of types, and by chance a type of those objects. */
		put(bytes, type + 8, BASE + type);
	}
}

static enum lt_status look(const struct lt_view *view)
{
	struct lt_heap *heap = NULL;
	struct lt_census census;
	struct lt_heap_graph graph;
	LT_TRY(lt_heap_open(view, &heap));
	enum lt_status status = lt_heap_census_tracked(heap, &census);
	if (status == LT_OK) {
		assert_true(census.count <= SIZE / 8);
		lt_census_deinit(&census);
		lt_addr roots[] = {BASE, BASE + SIZE / 2, 0, UINT64_MAX, BASE + 1, BASE + SIZE - 8};
		status = lt_heap_build_graph(heap, roots, sizeof(roots) / sizeof(roots[0]), NULL,
					     &graph);
	}
	if (status == LT_OK) {
		assert_true(graph.graph.node_count <= SIZE / 8 + 6);
		lt_heap_graph_deinit(&graph);
	}
	lt_heap_close(heap);
	return status;
}

/* One image; true when there was a result. */
static bool try_image(unsigned column, uint64_t seed, unsigned char *bytes)
{
	struct lt_layout layout;
	struct lt_session session;
	struct noise noise = {seed * 7919 + column, (unsigned)seed};
	lt_column_layout(column, &layout);
	lt_session_init(&session);
	for (size_t i = 0; i < WORDS; i++)
		put(bytes, i * 8, word(&noise));
	put_runtime(bytes, &layout, &noise);

	struct lt_memory *image = NULL, *memory = NULL;
	assert_int_equal(lt_image_create(&session, &image), LT_OK);
	assert_int_equal(lt_image_add(&session, image, BASE, bytes, SIZE), LT_OK);
	struct lt_fault fault = {
		.kind = (enum lt_fault_kind)(seed % 4), .at = seed % 7, .every = 11, .seed = seed};
	assert_int_equal(lt_faults_create(&session, image, &fault, &memory), LT_OK);
	/* The mappings bound what may be an object, as in a process. */
	struct lt_mapping mapping = {
		.start = BASE, .end = BASE + SIZE, .readable = true, .writable = true, .path = ""};
	struct lt_process process = {.pid = getpid(), .mappings = {&mapping, 1, 1}};
	struct lt_python python = {.runtime = BASE, .layout = &layout};
	struct lt_view view = {&session, memory, &python, &layout, seed % 2 == 0 ? &process : NULL};
	enum lt_status status = look(&view);
	if (status != LT_OK && session.message[0] == '\0')
		fail_msg("column %u, seed %llu: %s without a sentence", column,
			 (unsigned long long)seed, lt_status_name(status));
	lt_memory_close(memory);
	lt_session_deinit(&session);
	return status == LT_OK;
}

static void test_noise(void **state)
{
	(void)state;
	LT_FREE unsigned char *bytes = malloc(SIZE);
	assert_non_null(bytes);
	for (unsigned column = 0; column < lt_column_count(); column++) {
		unsigned results = 0;
		for (uint64_t seed = first_seed; seed < first_seed + rounds; seed++)
			results += try_image(column, seed, bytes);
		/* Most images must get past the door, or nothing behind it was tried. */
		if (results * 4 < rounds)
			fail_msg("%s: only %u of %u images gave a result",
				 lt_column_at(column)->name, results, rounds);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_noise)};
	if (argc > 1)
		rounds = (unsigned)strtoul(argv[1], NULL, 10);
	if (argc > 2)
		first_seed = strtoull(argv[2], NULL, 10);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
