/*
 * test_malloc.c: glibc's allocator in byte images: what is found in a sound one, and that no other does harm.
 */
#include "heap/malloc_parts.h"
#include "world.h"

#include <stdio.h>

static struct lt_session session;

enum {
	DATA_BYTES = 0x3000,
	HEAP_BYTES = 0x8000,
	THREAD_BYTES = 0x3000,
	MAPPED_BYTES = 0x5000,
	CHUNKS = 64,
};
static const lt_addr DATA = 0x10000000, HEAP = 0x20000000, MAPPED = 0x7e0000000000,
		     THREAD = 0x7f0000000000, KEY = 0x1234567890abcdef;

struct malloc_world {
	const struct lt_glibc_layout *layout;
	struct world in;
	struct lt_glibc glibc;
	lt_addr used, cached[2], fast, freed; /* chunks */
};

static uint64_t link_to(const struct malloc_world *world, lt_addr at, lt_addr to)
{
	return world->layout->safe_linking != 0 ? at >> 12 ^ to : to;
}

static void put_arena(struct malloc_world *world, lt_addr at, lt_addr top, uint64_t system,
		      lt_addr next)
{
	const struct lt_glibc_layout *layout = world->layout;
	world_put(&world->in, at + layout->arena_top, top);
	world_put(&world->in, at + layout->arena_system, system);
	world_put(&world->in, at + layout->arena_attached, 1);
	world_put(&world->in, at + layout->arena_next, next);
	for (uint32_t i = 0; i < layout->bins; i++) {
		lt_addr bin = at + layout->arena_bins + i * 16;
		world_put(&world->in, bin, bin - 16);
		world_put(&world->in, bin + 8, bin - 16);
	}
}

/* A chunk, and where the next one is. */
static lt_addr put_chunk(struct malloc_world *world, lt_addr at, uint64_t size, unsigned bits)
{
	world_put(&world->in, at + 8, size | bits);
	return at + size;
}

static void make_world(struct malloc_world *world, unsigned minor)
{
	memset(world, 0, sizeof(*world));
	const struct lt_glibc_layout *layout = world->layout = lt_glibc_layout(2, minor);
	assert_non_null(layout);
	world_begin(&world->in, &session);
	world_map(&world->in, DATA, DATA_BYTES, DATA_BYTES, "/nowhere/libc.so.6");
	world_map(&world->in, HEAP, HEAP_BYTES, HEAP_BYTES, "[heap]");
	world_map(&world->in, MAPPED, MAPPED_BYTES, MAPPED_BYTES, "");
	world_map(&world->in, THREAD, THREAD_BYTES, THREAD_BYTES, "");

	/* The main arena: a cache, used, two in the cache, one in a fast bin, used, free, used, top. */
	lt_addr main_arena = DATA + 0x100, thread_arena = THREAD + layout->heap_bytes;
	lt_addr at = put_chunk(world, HEAP, lt_tcache_chunk_size(layout), 1);
	world->used = at;
	at = put_chunk(world, at, 0x30, 1);
	for (int i = 0; i < 2; i++) {
		world->cached[i] = at;
		at = put_chunk(world, at, 0x50, 1);
		world_put(&world->in, world->cached[i] + 24,
			  layout->tcache_random_key != 0 ? KEY : HEAP + 16);
	}
	world_put(&world->in, world->cached[0] + 16,
		  link_to(world, world->cached[0] + 16, world->cached[1] + 16));
	world_put(&world->in, world->cached[1] + 16, link_to(world, world->cached[1] + 16, 0));
	uint16_t number = layout->tcache_slots != 0 ? 14 : 2;
	memcpy(lt_image_at(world->in.image, HEAP + 16 + (0x50 - 0x20) / 16 * 2, 2), &number, 2);
	world_put(&world->in, HEAP + 16 + layout->tcache_bins * 2 + (0x50 - 0x20) / 16 * 8,
		  world->cached[0] + 16);
	world->fast = at;
	at = put_chunk(world, at, 0x40, 1);
	world_put(&world->in, world->fast + 16, link_to(world, world->fast + 16, 0));
	world->freed = at;
	at = put_chunk(world, at, 0x520, 1);
	world_put(&world->in, at, 0x520);
	at = put_chunk(world, at, 0x100, 0);
	world_put(&world->in, at + 8, (HEAP + HEAP_BYTES - at) | 1);
	put_arena(world, main_arena, at, HEAP_BYTES, thread_arena);
	if (layout->fast_bins > 0)
		world_put(&world->in, main_arena + layout->arena_fast + 2 * 8, world->fast);
	lt_addr bin = main_arena + layout->arena_bins;
	world_put(&world->in, bin, world->freed);
	world_put(&world->in, bin + 8, world->freed);
	world_put(&world->in, world->freed + 16, bin - 16);
	world_put(&world->in, world->freed + 24, bin - 16);

	/* A thread's: one heap, locked. */
	at = (thread_arena + layout->arena_bytes + 15) & ~(lt_addr)15;
	lt_addr top = put_chunk(world, at, 0x110, 5);
	world_put(&world->in, top + 8, (THREAD + THREAD_BYTES - top) | 1);
	world_put(&world->in, THREAD, thread_arena);
	world_put(&world->in, THREAD + 16, THREAD_BYTES);
	put_arena(world, thread_arena, top, THREAD_BYTES, main_arena);
	world_put_half(&world->in, thread_arena, 1);

	/* Two mapped chunks, the second as memalign(64) makes them, and a page of something else between. */
	world_put(&world->in, MAPPED + 8, (0x1000 - layout->mmapped_tail) | 2);
	world_put(&world->in, MAPPED + 0x2030, 0x30);
	world_put(&world->in, MAPPED + 0x2038, (0x3000 - 0x30 - layout->mmapped_tail) | 2);

	lt_addr parameters = DATA + 0x1800;
	world_put(&world->in, parameters + layout->par_mmap_threshold, 128 << 10);
	world_put(&world->in, parameters + layout->par_arena_test, 8);
	world_put(&world->in, parameters + layout->par_sbrk_base, HEAP);
	world_put(&world->in, parameters + layout->par_tcache_bins, 64);
	world_put(&world->in, parameters + layout->par_tcache_count, 16);
	world_put_half(&world->in, parameters + layout->par_n_mmaps, 2);
	world_put_half(&world->in, parameters + layout->par_max_n_mmaps, 2);
	world_put(&world->in, parameters + layout->par_mmapped, 0x4000);
	world_put(&world->in, parameters + layout->par_max_mmapped, 0x4000);
	world->glibc = (struct lt_glibc){.found = true,
					 .layout = layout,
					 .main_arena = main_arena,
					 .parameters = parameters};
}

struct walked {
	struct lt_chunk chunks[CHUNKS];
	size_t count, stop;
};

static bool keep(void *ctx, const struct lt_chunk *chunk)
{
	struct walked *walked = ctx;
	if (walked->count < CHUNKS)
		walked->chunks[walked->count] = *chunk;
	return ++walked->count != walked->stop;
}

static enum lt_chunk_state state_of(const struct walked *walked, lt_addr chunk)
{
	for (size_t i = 0; i < walked->count && i < CHUNKS; i++)
		if (walked->chunks[i].address == chunk + 16)
			return walked->chunks[i].state;
	return LT_CHUNK_STATES;
}

static const unsigned minors[] = {31, 33, 34, 36, 42, 43};

static void test_a_sound_one(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(minors) / sizeof(*minors); i++) {
		struct malloc_world world;
		struct lt_malloc found;
		make_world(&world, minors[i]);
		const struct lt_glibc_layout *layout = world.layout;
		uint64_t fast = layout->fast_bins > 0;
		assert_true(lt_glibc_fits(world.in.image, layout, world.glibc.main_arena));
		assert_int_equal(lt_malloc_find_in(&world.in.view, &world.glibc, NULL, &found),
				 LT_OK);
		assert_true(found.found && found.whole);
		assert_int_equal(session.unreadable, 0);
		assert_int_equal(found.arenas.count, 2);
		const struct lt_malloc_arena *main_arena = &found.arenas.data[0],
					     *thread = &found.arenas.data[1];
		assert_true(main_arena->main && !main_arena->locked && main_arena->whole);
		assert_true(!thread->main && thread->locked && thread->whole);
		assert_int_equal(main_arena->chunks[LT_CHUNK_USED], 3 + (fast == 0));
		assert_int_equal(main_arena->bytes[LT_CHUNK_USED], lt_tcache_chunk_size(layout) +
									   0x30 + 0x100 +
									   (fast == 0 ? 0x40 : 0));
		assert_int_equal(main_arena->chunks[LT_CHUNK_TCACHE], 2);
		assert_int_equal(main_arena->bytes[LT_CHUNK_TCACHE], 0xa0);
		assert_int_equal(main_arena->chunks[LT_CHUNK_FAST], fast);
		assert_int_equal(main_arena->bytes[LT_CHUNK_FAST], fast * 0x40);
		assert_int_equal(main_arena->chunks[LT_CHUNK_FREE], 1);
		assert_int_equal(main_arena->bytes[LT_CHUNK_FREE], 0x520);
		assert_int_equal(main_arena->overhead, 0);
		assert_int_equal(main_arena->largest_free, main_arena->bytes[LT_CHUNK_TOP]);
		assert_int_equal(thread->chunks[LT_CHUNK_USED], 1);
		assert_int_equal(thread->bytes[LT_CHUNK_USED], 0x110);
		assert_int_equal(thread->overhead + 0x110 + thread->bytes[LT_CHUNK_TOP],
				 THREAD_BYTES);
		assert_int_equal(found.caches, 1);
		assert_int_equal(found.mapped_found_chunks, 2);
		assert_int_equal(found.mapped_found_bytes, 0x4000);

		struct walked walked = {0};
		lt_malloc_walk(&found, keep, &walked);
		assert_int_equal(walked.count, 8 + 2 + 2);
		assert_int_equal(state_of(&walked, world.used), LT_CHUNK_USED);
		assert_int_equal(state_of(&walked, world.cached[0]), LT_CHUNK_TCACHE);
		assert_int_equal(state_of(&walked, world.cached[1]), LT_CHUNK_TCACHE);
		assert_int_equal(state_of(&walked, world.fast),
				 fast != 0 ? LT_CHUNK_FAST : LT_CHUNK_USED);
		assert_int_equal(state_of(&walked, world.freed), LT_CHUNK_FREE);
		assert_int_equal(state_of(&walked, MAPPED), LT_CHUNK_MMAPPED);
		assert_int_equal(state_of(&walked, MAPPED + 0x2030), LT_CHUNK_MMAPPED);
		walked = (struct walked){.stop = 3};
		lt_malloc_walk(&found, keep, &walked);
		assert_int_equal(walked.count, 3);
		lt_malloc_deinit(&found);
		world_end(&world.in);
	}
}

/* No file, no symbols, no release: the data of the library alone. */
static void test_found_by_its_structure(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(minors) / sizeof(*minors); i++) {
		struct malloc_world world;
		struct lt_glibc glibc;
		make_world(&world, minors[i]);
		assert_int_equal(
			lt_glibc_find(&session, &world.in.process, world.in.image, true, &glibc),
			LT_OK);
		assert_true(glibc.found);
		assert_int_equal(glibc.main_arena, world.glibc.main_arena);
		assert_int_equal(glibc.layout->arena_top, world.layout->arena_top);
		assert_int_equal(glibc.parameters, world.glibc.parameters);
		assert_string_equal(glibc.release, "");
		assert_int_equal(session.status, LT_OK);

		/* Never used: nothing is there. */
		memset(lt_image_at(world.in.image, DATA, DATA_BYTES), 0, DATA_BYTES);
		assert_int_equal(
			lt_glibc_find(&session, &world.in.process, world.in.image, true, &glibc),
			LT_OK);
		assert_false(glibc.found);
		world_end(&world.in);
	}
	assert_null(lt_glibc_layout(2, 30));
	assert_int_equal(lt_glibc_layout(2, 40)->minor, 35);
	assert_int_equal(lt_glibc_layout(3, 0)->minor, 43);
}

/* A sum may be wrong then, but chunks never have more bytes than there are, and everything ends. */
static void look(struct malloc_world *world)
{
	struct lt_malloc found;
	struct walked walked = {0};
	assert_int_equal(lt_malloc_find_in(&world->in.view, &world->glibc, NULL, &found), LT_OK);
	uint64_t bytes = 0;
	for (size_t i = 0; i < found.arenas.count; i++)
		for (int state = 0; state < LT_CHUNK_STATES; state++)
			bytes += found.arenas.data[i].bytes[state];
	assert_true(bytes <= HEAP_BYTES + THREAD_BYTES + MAPPED_BYTES + DATA_BYTES);
	assert_true(found.mapped_found_bytes <= HEAP_BYTES + MAPPED_BYTES + THREAD_BYTES);
	lt_malloc_walk(&found, keep, &walked);
	assert_true(walked.count <= (HEAP_BYTES + THREAD_BYTES + MAPPED_BYTES) / 32);
	lt_malloc_deinit(&found);
}

static void test_each_word_changed(void **state)
{
	(void)state;
	static const struct {
		lt_addr start;
		uint64_t size;
	} * range, ranges[] = {{0x10000100, 0x1800},
			       {0x20000000, 0xc00},
			       {0x7f0000000000, 0xc00},
			       {0x7e0000000000, 0x40}};
	for (size_t i = 0; i < sizeof(minors) / sizeof(*minors); i += 2) {
		struct malloc_world world;
		make_world(&world, minors[i]);
		const uint64_t values[] = {0,
					   1,
					   17,
					   33,
					   UINT64_MAX,
					   (uint64_t)1 << 62,
					   0x20000000,
					   world.glibc.main_arena,
					   world.cached[0],
					   THREAD};
		for (size_t r = 0; r < sizeof(ranges) / sizeof(*ranges); r++) {
			range = &ranges[r];
			for (lt_addr at = range->start; at < range->start + range->size; at += 8) {
				uint64_t kept;
				memcpy(&kept, lt_image_at(world.in.image, at, 8), 8);
				/* All values where something is, one where nothing is. */
				size_t count = kept != 0 ? sizeof(values) / sizeof(*values) : 1;
				for (size_t v = 0; v < count; v++) {
					world_put(&world.in, at,
						  kept != 0 ? values[v] : values[at / 8 % 10]);
					look(&world);
				}
				world_put(&world.in, at, kept);
			}
		}
		session.unreadable = 0;
		struct lt_malloc found;
		assert_int_equal(lt_malloc_find_in(&world.in.view, &world.glibc, NULL, &found),
				 LT_OK);
		assert_true(found.whole);
		lt_malloc_deinit(&found);
		world_end(&world.in);
	}
}

static void test_random_words(void **state)
{
	(void)state;
	srand(4711);
	for (int round = 0; round < 2000; round++) {
		struct malloc_world world;
		make_world(&world, minors[(size_t)round % 6]);
		for (int i = rand() % 12; i >= 0; i--) {
			static const lt_addr starts[] = {0x10000100, 0x20000000, 0x7f0000000000,
							 0x7e0000000000};
			lt_addr from = starts[rand() % 4] + (lt_addr)(rand() % 0x180) * 8,
				to = starts[rand() % 4] + (lt_addr)(rand() % 0x180) * 8;
			/* What is elsewhere makes rings and lists that cross. */
			uint64_t value;
			memcpy(&value, lt_image_at(world.in.image, from, 8), 8);
			world_put(&world.in, to, rand() % 2 == 0 ? value : to & ~(lt_addr)15);
		}
		look(&world);
		world_end(&world.in);
	}
	session.unreadable = 0;
}

int main(void)
{
	lt_session_init(&session);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_sound_one),
		cmocka_unit_test(test_found_by_its_structure),
		cmocka_unit_test(test_each_word_changed),
		cmocka_unit_test(test_random_words),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	lt_session_deinit(&session);
	return failed;
}
