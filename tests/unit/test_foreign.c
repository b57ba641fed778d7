/*
 * test_foreign.c: jemalloc and mimalloc in byte images: which allocator is told, what is found in a sound one, and that no
 * other does harm.
 */
#include "heap/foreign.h"
#include "layout/jemalloc.h"
#include "layout/mimalloc.h"
#include "world.h"

static struct lt_session session;

enum {
	DATA_BYTES = 0x210000,
	ROOT = 0x8b18, /* offset of the tree in the data */
	BASE_BYTES = 0x300000,
	EXTENTS = 0x280000, /* offset of what describes the runs of pages */
	RUNS_BYTES = 0x10000,
	SEGMENT_BYTES = 0x40000, /* of the segment, that are there at all */
	BLOCKS = 1 << 16,
	SHIFT = 384, /* of blocks of 1024 bytes in their page */
};
static const lt_addr DATA = 0x7d0000000000, BASE = 0x7e0000000000, RUNS = 0x7f0000000000,
		     SEGMENT = 0x7c0002000000, CONSTANTS = 0x7f1000000000;

/* ---- jemalloc ---- */

/* The number-th run: its description, and the words of its first and last page. */
static void put_extent(struct world *world, unsigned number, lt_addr address, uint64_t size,
		       uint64_t bits, uint64_t bitmap)
{
	lt_addr at = BASE + EXTENTS + number * LT_JE_EXTENT;
	lt_addr page = address & ~(lt_addr)(LT_JE_PAGE - 1);
	world_put(world, at, bits);
	world_put(world, at + LT_JE_ADDRESS, address);
	world_put(world, at + LT_JE_SIZE, size | number); /* with a serial number */
	world_put(world, at + LT_JE_BITMAP, bitmap);
	uint64_t word = at | (bits >> LT_JE_CLASS_SHIFT & 255) << 48 | 1;
	for (lt_addr p = page; p<page + size; p += size - LT_JE_PAGE> 0 ? size - LT_JE_PAGE : 1) {
		world_put(world, BASE + 0xc0 + p / LT_JE_PAGE % LT_JE_TREE_WORDS * 8, word);
		if (size == LT_JE_PAGE)
			break;
	}
}

static uint64_t bits_of(unsigned state, unsigned class, bool slab, unsigned free)
{
	return (uint64_t)state << LT_JE_STATE_SHIFT | (uint64_t) class << LT_JE_CLASS_SHIFT |
	       (uint64_t)slab << LT_JE_SLAB_SHIFT | (uint64_t)free << LT_JE_FREE_SHIFT;
}

static void make_jemalloc(struct world *world)
{
	world_begin(world, &session);
	world_map(world, DATA, DATA_BYTES, DATA_BYTES, "/opt/lib/libjemalloc.so.2");
	world_map(world, BASE, BASE_BYTES, BASE_BYTES, "");
	world_map(world, RUNS, RUNS_BYTES, RUNS_BYTES, "");
	static const char release[] = "x-g5.3.0-0-g54eaed1d8b56b1aa528be3bdd1877e59c56fa90c";
	world_map(world, CONSTANTS, 0x1000, 0x1000, "/opt/lib/libjemalloc.so.2");
	world->process.mappings.data[world->process.mappings.count - 1].writable = false;
	memcpy(lt_image_at(world->image, CONSTANTS + 0x80, sizeof(release)), release,
	       sizeof(release));
	world_put(world, DATA + 0x100, BASE + 0x40); /* something else of its own */
	world_put(world, DATA + ROOT + (RUNS >> LT_JE_LEAF_SHIFT) * 8, BASE + 0xc0);
	/* A slab of four blocks of 1024 bytes, the third free; a large block; two runs of free pages. */
	put_extent(world, 0, RUNS, 0x1000, bits_of(0, 20, true, 1), 4);
	put_extent(world, 1, RUNS + 0x1040, 0x5000, bits_of(0, 36, false, 0), 0);
	put_extent(world, 2, RUNS + 0x6000, 0x2000, bits_of(1, 232, false, 0), 0);
	put_extent(world, 3, RUNS + 0x8000, 0x8000, bits_of(3, 232, false, 0), 0);
}

/* ---- mimalloc ---- */

static void put_slice(struct world *world, unsigned i, uint32_t count, uint32_t block,
		      uint16_t capacity, uint32_t used)
{
	lt_addr at = SEGMENT + LT_MI_PAGES + i * LT_MI_PAGE;
	world_put_half(world, at + LT_MI_SLICE_COUNT, count);
	world_put_half(world, at + LT_MI_BLOCK_SIZE, block);
	world_put_half(world, at + LT_MI_USED, used);
	memcpy(lt_image_at(world->image, at + LT_MI_CAPACITY, 2), &capacity, 2);
	uint64_t room =
		block == 0 ? 0 : (count * (uint64_t)LT_MI_SLICE - lt_mi_shift(block)) / block;
	memcpy(lt_image_at(world->image, at + LT_MI_RESERVED, 2), &room, 2);
}

static void make_mimalloc(struct world *world)
{
	world_begin(world, &session);
	world_map(world, SEGMENT, LT_MI_SEGMENT, SEGMENT_BYTES, "");
	world_map(world, DATA, 0x1000, 0x1000, "/opt/lib/libmimalloc.so.2.0");
	world_put(world, SEGMENT + LT_MI_COOKIE, 0x1234567890abcdef ^ SEGMENT);
	world_put(world, SEGMENT + LT_MI_SEGMENT_SLICES, LT_MI_SLICES);
	world_put(world, SEGMENT + LT_MI_INFO_SLICES, 1);
	world_put(world, SEGMENT + LT_MI_ENTRIES, LT_MI_SLICES);
	put_slice(world, 0, 1, 0, 0, 0);
	/* Four blocks of 1024 bytes: the second free, the fourth freed by another thread; then a page of one; then none. */
	lt_addr page = SEGMENT + LT_MI_PAGES + LT_MI_PAGE;
	lt_addr blocks = SEGMENT + LT_MI_SLICE + SHIFT;
	put_slice(world, 1, 1, 1024, 4, 3);
	world_put(world, page + LT_MI_FREE, blocks + 1024);
	world_put(world, page + LT_MI_THREAD_FREE, (blocks + 3 * 1024) | 1);
	put_slice(world, 2, 2, 0x20000, 1, 1);
	put_slice(world, 4, 508, 0, 0, 0);
}

/* ---- What is found ---- */

struct walked {
	struct lt_foreign_block blocks[16];
	size_t count, stop;
	uint64_t bytes[LT_FOREIGN_STATES];
};

static bool keep(void *ctx, const struct lt_foreign_block *block)
{
	struct walked *walked = ctx;
	if (walked->count < sizeof(walked->blocks) / sizeof(*walked->blocks))
		walked->blocks[walked->count] = *block;
	walked->bytes[block->state] += block->size;
	return ++walked->count != walked->stop;
}

static struct lt_foreign look(struct world *world, struct walked *walked)
{
	struct lt_foreign found;
	lt_foreign_find(&world->view, &found);
	*walked = (struct walked){.stop = walked->stop};
	lt_foreign_walk(&world->view, &found, keep, walked);
	assert_true(walked->count <= BLOCKS);
	return found;
}

static void test_a_sound_jemalloc(void **state)
{
	(void)state;
	struct world world;
	struct walked walked = {0};
	make_jemalloc(&world);
	struct lt_foreign found = look(&world, &walked);
	assert_string_equal(found.name, "jemalloc");
	assert_string_equal(found.release, "5.3.0");
	assert_true(found.found);
	assert_int_equal(found.key, DATA + ROOT);
	assert_int_equal(found.used_bytes, 3 * 1024 + 16384);
	assert_int_equal(found.used_blocks, 4);
	assert_int_equal(found.page_bytes, 0x6000);
	assert_int_equal(found.torn, 0);
	assert_int_equal(walked.blocks[2].state, LT_FOREIGN_FREE);
	assert_int_equal(walked.blocks[2].start, RUNS + 2 * 1024);
	assert_int_equal(walked.blocks[4].start, RUNS + 0x1000);
	assert_int_equal(walked.blocks[4].address, RUNS + 0x1040);
	assert_int_equal(walked.blocks[4].size, 0x5000);
	assert_int_equal(walked.bytes[LT_FOREIGN_USED], 3 * 1024 + 0x5000);
	assert_int_equal(walked.bytes[LT_FOREIGN_FREE], 1024);
	assert_int_equal(walked.bytes[LT_FOREIGN_PAGES], 0xa000);
	assert_int_equal(walked.bytes[LT_FOREIGN_OWN], 2 * (2 << 20));
	walked.stop = 3;
	look(&world, &walked);
	assert_int_equal(walked.count, 3);
	/* A slab that was being changed. */
	world_put(&world, BASE + EXTENTS + LT_JE_BITMAP, 6);
	assert_int_equal(look(&world, &walked).torn, 1);
	world_end(&world);
}

static void test_a_sound_mimalloc(void **state)
{
	(void)state;
	struct world world;
	struct walked walked = {0};
	make_mimalloc(&world);
	struct lt_foreign found = look(&world, &walked);
	assert_string_equal(found.name, "mimalloc");
	assert_true(found.found);
	assert_int_equal(found.used_bytes, 2 * 1024 + 0x20000);
	assert_int_equal(found.used_blocks, 3);
	assert_int_equal(found.page_bytes, 3 * LT_MI_SLICE);
	assert_int_equal(found.torn, 0);
	assert_int_equal(walked.bytes[LT_FOREIGN_USED], 2 * 1024 + 0x20000);
	assert_int_equal(walked.bytes[LT_FOREIGN_FREE], LT_MI_SLICE - SHIFT - 2 * 1024);
	assert_int_equal(walked.bytes[LT_FOREIGN_PAGES], 508 * LT_MI_SLICE);
	assert_int_equal(walked.bytes[LT_FOREIGN_OWN], LT_MI_SLICE + SHIFT);
	/* A list that leads to itself. */
	world_put(&world, SEGMENT + LT_MI_SLICE + SHIFT + 1024,
		  SEGMENT + LT_MI_SLICE + SHIFT + 1024);
	assert_int_equal(look(&world, &walked).torn, 1);
	/* Slices that do not follow each other to the end are no segment. */
	put_slice(&world, 4, 507, 0, 0, 0);
	assert_false(look(&world, &walked).found);
	assert_int_equal(walked.count, 0);
	world_end(&world);
}

static void test_which_allocator(void **state)
{
	(void)state;
	static const struct {
		const char *path, *name;
	} cases[] = {
		{"/usr/lib/x86_64-linux-gnu/libjemalloc.so.2", "jemalloc"},
		{"/usr/lib/x86_64-linux-gnu/libmimalloc.so.2.0", "mimalloc"},
		{"/usr/lib/libtcmalloc_minimal.so.4", "tcmalloc"},
		{"/lib/ld-musl-x86_64.so.1", "musl"},
		{"/usr/lib/x86_64-linux-gnu/libc.so.6", NULL},
		{"[heap]", NULL},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct world world;
		struct walked walked = {0};
		world_begin(&world, &session);
		world_map(&world, DATA, 0x4000, 0x4000, cases[i].path);
		struct lt_foreign found = look(&world, &walked);
		assert_false(found.found);
		assert_int_equal(walked.count, 0);
		if (cases[i].name != NULL)
			assert_string_equal(found.name, cases[i].name);
		else
			assert_null(found.name);
		world_end(&world);
	}
}

/* Its library's name is that of other things too: what it says of itself decides. */
static void test_musl_by_its_constant(void **state)
{
	(void)state;
	static const struct {
		const char *path, *says, *name;
	} cases[] = {
		{"/usr/lib/x86_64-linux-musl/libc.so", "musl libc (x86_64)", "musl"},
		{"/usr/lib/x86_64-linux-musl/libc.so", "another libc", NULL},
		{"/opt/lib/libc.so.6", "musl libc (x86_64)", NULL},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct world world;
		struct walked walked = {0};
		world_begin(&world, &session);
		world_map(&world, CONSTANTS, 0x2000, 0x2000, cases[i].path);
		world.process.mappings.data[0].writable = false;
		memcpy(lt_image_at(world.image, CONSTANTS + 0x1234, 32), cases[i].says,
		       strlen(cases[i].says));
		struct lt_foreign found = look(&world, &walked);
		assert_false(found.found);
		if (cases[i].name != NULL)
			assert_string_equal(found.name, cases[i].name);
		else
			assert_null(found.name);
		world_end(&world);
	}
}

/* ---- Harm ---- */

static void change_words(struct world *world, lt_addr start, uint64_t size)
{
	static const uint64_t values[] = {0,
					  1,
					  8,
					  UINT64_MAX,
					  UINT64_MAX - 7,
					  (uint64_t)1 << 46,
					  0x7f0000000000,
					  0x7e00000000c0,
					  0x7c0002000000,
					  0x7c0002010180,
					  0xffff0001ffff0001};
	for (lt_addr at = start; at < start + size; at += 8) {
		uint64_t kept;
		memcpy(&kept, lt_image_at(world->image, at, 8), 8);
		if (kept == 0)
			continue;
		for (size_t v = 0; v < sizeof(values) / sizeof(*values); v++) {
			struct walked walked = {0};
			world_put(world, at, values[v]);
			look(world, &walked);
		}
		world_put(world, at, kept);
	}
}

static void test_each_word_changed(void **state)
{
	(void)state;
	struct world world;
	struct walked walked = {0};
	make_jemalloc(&world);
	change_words(&world, DATA, DATA_BYTES);
	change_words(&world, BASE, BASE_BYTES);
	assert_int_equal(look(&world, &walked).used_blocks, 4);
	world_end(&world);
	make_mimalloc(&world);
	change_words(&world, SEGMENT, SEGMENT_BYTES);
	assert_int_equal(look(&world, &walked).used_blocks, 3);
	world_end(&world);
}

int main(void)
{
	lt_session_init(&session);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_sound_jemalloc),
		cmocka_unit_test(test_a_sound_mimalloc),
		cmocka_unit_test(test_which_allocator),
		cmocka_unit_test(test_musl_by_its_constant),
		cmocka_unit_test(test_each_word_changed),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	lt_session_deinit(&session);
	return failed;
}
