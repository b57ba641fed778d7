/* Pools, tracked objects and the proof, on a heap made by hand in the layout of 3.12. */
#include "heap/track.h"
#include "target/ahead.h"

#include "release.h"

enum {
	POOL = 16384,
	BLOCK = 64,
	FIRST = 48,
	OBJECTS = 100,
	FREED = 7, /* index of a block that was freed */
};

static const lt_addr ARENA = 0x7f0000100000, OUTSIDE = 0x7f0000900000, TYPES = 0x7f0000a00000,
		     HEADS = 0x7f0000b00000;

struct world {
	struct release release;
	struct lt_window *window;
	struct lt_types *types;
	struct lt_interpreter interpreter;
	struct lt_interpreters interpreters;
	struct lt_pymalloc pymalloc;
	struct lt_track track;
	lt_addr taken[OBJECTS * 4];
	size_t taken_count;
	unsigned joined;
};

static void put(struct world *world, lt_addr address, uint64_t value)
{
	void *place = lt_image_at(world->release.image, address, sizeof(value));
	assert_non_null(place);
	memcpy(place, &value, sizeof(value));
}

static void put_u32(struct world *world, lt_addr address, uint32_t value)
{
	void *place = lt_image_at(world->release.image, address, sizeof(value));
	assert_non_null(place);
	memcpy(place, &value, sizeof(value));
}

static void link_heads(struct world *world, lt_addr left, lt_addr right)
{
	put(world, left, right);
	put(world, right + 8, left);
}

static void make_type(struct world *world, lt_addr type, lt_addr metatype, uint64_t flags,
		      const char *name)
{
	const struct lt_layout *layout = &world->release.layout;
	put(world, type + lt_off(layout, LT_PyObject_ob_type), metatype);
	put(world, type + lt_off(layout, LT_PyTypeObject_tp_basicsize), 40);
	put(world, type + lt_off(layout, LT_PyTypeObject_tp_flags), flags);
	put(world, type + lt_off(layout, LT_PyTypeObject_tp_name), type + 1024);
	memcpy(lt_image_at(world->release.image, type + 1024, strlen(name) + 1), name,
	       strlen(name) + 1);
}

static lt_addr block(unsigned index)
{
	return ARENA + FIRST + (lt_addr)index * BLOCK;
}

static int set_up(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	assert_non_null(world);
	release_begin(&world->release);
	assert_int_equal(lt_image_add(&world->release.session, world->release.image, ARENA, NULL,
				      (size_t)2 * POOL),
			 LT_OK);
	assert_int_equal(
		lt_image_add(&world->release.session, world->release.image, OUTSIDE, NULL, 4096),
		LT_OK);
	assert_int_equal(
		lt_image_add(&world->release.session, world->release.image, TYPES, NULL, 8192),
		LT_OK);
	assert_int_equal(
		lt_image_add(&world->release.session, world->release.image, HEADS, NULL, 4096),
		LT_OK);

	make_type(world, TYPES, TYPES, (uint64_t)1 << 31 | 4096, "type");
	make_type(world, TYPES + 4096, TYPES, 4096 | 16384, "made.up.Thing");

	const struct lt_layout *layout = &world->release.layout;
	put_u32(world, ARENA + lt_off(layout, LT_pool_header_ref_count), OBJECTS - 1);
	put_u32(world, ARENA + lt_off(layout, LT_pool_header_szidx), BLOCK / 16 - 1);
	put_u32(world, ARENA + lt_off(layout, LT_pool_header_nextoffset), FIRST + OBJECTS * BLOCK);
	put_u32(world, ARENA + lt_off(layout, LT_pool_header_maxnextoffset), POOL - BLOCK);
	put(world, ARENA + lt_off(layout, LT_pool_header_freeblock), block(FREED));

	/* Three lists, two of them empty; every other block and one object outside are in the first. */
	for (int i = 0; i < 4; i++)
		link_heads(world, HEADS + (lt_addr)i * 24, HEADS + (lt_addr)i * 24);
	lt_addr last = HEADS;
	for (unsigned i = 0; i < OBJECTS; i++) {
		/* What was freed still looks like an object, but for the first word. */
		put(world, block(i) + 16, 1 + i % 3);
		put(world, block(i) + 24, TYPES + 4096);
		if (i == FREED)
			put(world, block(i) + 8, block(0));
		if (i == FREED || i % 2 == 0)
			continue;
		link_heads(world, last, block(i));
		last = block(i);
	}
	put(world, OUTSIDE + 16, 1);
	put(world, OUTSIDE + 24, TYPES + 4096);
	link_heads(world, last, OUTSIDE);
	link_heads(world, OUTSIDE, HEADS);

	assert_int_equal(
		lt_window_create(&world->release.session, world->release.image, &world->window),
		LT_OK);
	world->release.view.memory = lt_window_memory(world->window);
	assert_int_equal(lt_types_create(&world->release.view, &world->types), LT_OK);
	for (int i = 0; i < LT_GC_GENERATIONS; i++)
		world->interpreter.gc.generations[i].head = HEADS + (lt_addr)i * 24;
	world->interpreter.gc.permanent = HEADS + (lt_addr)3 * 24;
	world->interpreters = (struct lt_interpreters){&world->interpreter, 1};
	world->pymalloc.pool_size = POOL;
	world->pymalloc.bytes = (uint64_t)2 * POOL;
	assert_true(lt_ranges_push(&world->pymalloc.pools,
				   (struct lt_range){ARENA, ARENA + (lt_addr)2 * POOL}));
	assert_true(lt_pageset_add(&world->pymalloc.pages, ARENA, ARENA + (lt_addr)2 * POOL));
	world->track = (struct lt_track){.view = world->release.view,
					 .window = world->window,
					 .types = world->types,
					 .interpreters = &world->interpreters,
					 .pymalloc = &world->pymalloc};
	*state = world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;
	lt_types_destroy(world->types);
	lt_window_destroy(world->window);
	lt_pymalloc_deinit(&world->pymalloc);
	release_end(&world->release);
	free(world);
	return 0;
}

static bool take(void *ctx, lt_addr object, const struct lt_type *type)
{
	struct world *world = ctx;
	if (type != NULL)
		assert_string_equal(type->name, "Thing");
	if (world->taken_count < sizeof(world->taken) / sizeof(world->taken[0]))
		world->taken[world->taken_count] = object;
	world->taken_count++;
	return true;
}

static void a_scan_finds_what_is_linked(void **state)
{
	struct world *world = *state;
	struct lt_tracked tracked = {0}, walked = {0};
	assert_int_equal(lt_track_scan(&world->track, take, world, &tracked), LT_OK);
	assert_int_equal(tracked.count, OBJECTS / 2 - 1 + 1);
	assert_int_equal(tracked.outside, 1);
	assert_true(tracked.proved);
	assert_int_equal(world->taken_count, tracked.count);
	assert_int_equal(world->taken[0], block(1) + 16);
	assert_int_equal(world->taken[tracked.count - 1], OUTSIDE + 16);
	assert_int_equal(lt_track_walk(&world->track, 1000, NULL, NULL, &walked), LT_OK);
	assert_int_equal(walked.count, tracked.count);
	assert_true(walked.proved);
	assert_string_equal(lt_types_get(world->types, TYPES + 4096)->module, "made.up");
	assert_int_equal(world->release.session.unreadable, 0);
}

/* Arenas that have gone since they were listed: those behind them are read all the same. */
static void a_scan_goes_on_behind_what_is_gone(void **state)
{
	struct world *world = *state;
	struct lt_tracked tracked = {0};
	const lt_addr start = ARENA - (lt_addr)3 * POOL, end = ARENA + (lt_addr)5 * POOL;
	assert_int_equal(lt_image_add(&world->release.session, world->release.image,
				      start - POOL / 2, NULL, POOL),
			 LT_OK);
	world->pymalloc.pools.data[0] = (struct lt_range){start, end};
	world->pymalloc.bytes = end - start;
	assert_true(lt_pageset_add(&world->pymalloc.pages, start, end));
	assert_int_equal(lt_track_scan(&world->track, take, world, &tracked), LT_OK);
	assert_int_equal(tracked.count, OBJECTS / 2 - 1 + 1);
	assert_int_equal(tracked.outside, 1);
	assert_true(tracked.proved);
	assert_int_equal(world->taken_count, tracked.count);
	assert_true(world->release.session.unreadable > 0);
}

static bool count_joined(void *ctx)
{
	((struct world *)ctx)->joined++;
	return true;
}

static bool take_none(void *ctx, lt_addr start, lt_addr end)
{
	(void)ctx;
	return start >= end;
}

/* What a thread of its own has of the arenas, from the border on, and the sums of both. */
static void two_threads_find_the_same(void **state)
{
	struct world *world = *state;
	struct world *other = calloc(1, sizeof(*other));
	assert_non_null(other);
	const lt_addr borders[] = {ARENA, ARENA + POOL, ARENA + (lt_addr)2 * POOL};
	lt_ahead_create(world->release.image);
	struct lt_memory *twin = lt_ahead_twin(world->release.image);
	assert_non_null(twin);
	struct lt_session session;
	lt_session_init(&session);
	struct lt_view view = world->release.view;
	struct lt_track track = world->track;
	view.session = &session;
	assert_int_equal(lt_window_create(&session, twin, &track.window), LT_OK);
	view.memory = lt_window_memory(track.window);
	assert_int_equal(lt_types_create(&view, &track.types), LT_OK);
	track.view = view;
	struct lt_pool_note notes[2];
	world->pymalloc.notes = notes;
	for (size_t i = 0; i < 3; i++) {
		struct lt_track_beside beside = {.track = &track,
						 .ctx = other,
						 .border = borders[i],
						 .joined = count_joined};
		struct lt_tracked tracked = {0};
		world->taken_count = other->taken_count = world->joined = 0;
		world->track.beside = &beside;
		assert_int_equal(lt_track_scan(&world->track, take, world, &tracked), LT_OK);
		assert_int_equal(tracked.count, OBJECTS / 2 - 1 + 1);
		assert_int_equal(tracked.outside, 1);
		assert_true(tracked.proved);
		assert_int_equal(world->joined, 1);
		assert_int_equal(world->taken_count, i == 0 ? 1 : tracked.count);
		assert_int_equal(other->taken_count, i == 0 ? tracked.count - 1 : 0);
		assert_int_equal(world->taken[world->taken_count - 1], OUTSIDE + 16);
		assert_int_equal(notes[0].used, OBJECTS - 1);
		assert_int_equal(notes[1].used, 0);
	}
	/* A second thread without memory ends the scan. */
	struct lt_track_beside beside = {
		.track = &track, .ctx = other, .border = ARENA, .joined = count_joined};
	struct lt_tracked tracked = {0};
	world->track.beside = &beside;
	world->joined = 0;
	track.passed = take_none;
	assert_int_equal(lt_track_scan(&world->track, take, world, &tracked), LT_E_NO_MEMORY);
	assert_int_equal(world->joined, 0);
	world->pymalloc.notes = NULL;
	lt_types_destroy(track.types);
	lt_window_destroy(track.window);
	lt_memory_close(twin);
	lt_ahead_destroy(world->release.image->ahead);
	world->release.image->ahead = NULL;
	lt_session_deinit(&session);
	free(other);
}

static void a_missing_or_false_object_breaks_the_proof(void **state)
{
	struct world *world = *state;
	struct lt_tracked tracked = {0};
	/* A block that is linked to nothing that knows it. */
	put(world, block(2), block(1));
	put(world, block(2) + 8, block(3));
	assert_int_equal(lt_track_scan(&world->track, take, world, &tracked), LT_OK);
	assert_false(tracked.proved);
	put(world, block(2), 0);
	/* One that is in the list, but in a block that seems free. */
	put(world, ARENA + lt_off(&world->release.layout, LT_pool_header_freeblock), block(5));
	assert_int_equal(lt_track_scan(&world->track, take, world, &tracked), LT_OK);
	assert_false(tracked.proved);
}

static void a_list_that_does_not_end_is_left(void **state)
{
	struct world *world = *state;
	struct lt_tracked walked = {0};
	put(world, block(9), block(1)); /* back to an earlier one */
	assert_int_equal(lt_track_walk(&world->track, 1000, NULL, NULL, &walked), LT_OK);
	assert_false(walked.proved);
	assert_true(walked.count < OBJECTS);
	put(world, block(9), block(9)); /* to itself */
	put(world, block(9) + 8, block(9));
	assert_int_equal(lt_track_walk(&world->track, 1000, NULL, NULL, &walked), LT_OK);
	assert_false(walked.proved);
	assert_true(walked.count <= 1000);
	assert_true(world->release.session.unreadable > 0);
}

static void pools_are_parsed_and_bounded(void **state)
{
	struct world *world = *state;
	unsigned char *bytes = lt_image_at(world->release.image, ARENA, POOL);
	struct lt_pool pool;
	assert_true(lt_pool_parse(&world->release.view, &world->pymalloc, ARENA, bytes, &pool));
	assert_int_equal(pool.count, OBJECTS);
	assert_int_equal(pool.block_size, BLOCK);
	assert_int_equal(pool.free[0], (uint64_t)1 << FREED);
	assert_false(pool.torn);
	/* A chain that runs in a circle, and one that leaves the pool. */
	put(world, block(FREED), block(FREED));
	assert_true(lt_pool_parse(&world->release.view, &world->pymalloc, ARENA, bytes, &pool));
	assert_true(pool.torn);
	put(world, block(FREED), OUTSIDE);
	assert_true(lt_pool_parse(&world->release.view, &world->pymalloc, ARENA, bytes, &pool));
	assert_true(pool.torn);
	assert_false(lt_pool_parse(&world->release.view, &world->pymalloc, ARENA + POOL,
				   bytes + POOL, &pool));
	put_u32(world, ARENA + lt_off(&world->release.layout, LT_pool_header_nextoffset),
		UINT32_MAX);
	assert_false(lt_pool_parse(&world->release.view, &world->pymalloc, ARENA, bytes, &pool));
}

static void a_block_is_found_by_the_notes(void **state)
{
	struct world *world = *state;
	struct lt_pymalloc *pymalloc = &world->pymalloc;
	struct lt_pymalloc_place place = {0};
	struct lt_tracked tracked = {0};
	struct lt_range found;
	assert_false(lt_pymalloc_block(&world->release.view, pymalloc, block(3), &place, &found));
	pymalloc->notes = calloc(2, sizeof(*pymalloc->notes));
	assert_non_null(pymalloc->notes);
	assert_int_equal(lt_track_scan(&world->track, take, world, &tracked), LT_OK);
	for (unsigned i = 0; i < OBJECTS; i++) {
		for (unsigned offset = 0; offset < BLOCK; offset += 8) {
			assert_true(lt_pymalloc_block(&world->release.view, pymalloc,
						      block(i) + offset, &place, &found));
			assert_int_equal(found.start, block(i));
			assert_int_equal(found.end, block(i) + BLOCK);
		}
	}
	struct lt_pymalloc_place fresh = {0};
	assert_false(lt_pymalloc_block(&world->release.view, pymalloc, ARENA - 8, &fresh, &found));
	assert_false(lt_pymalloc_block(&world->release.view, pymalloc, ARENA + 8, &fresh, &found));
	/* A pool that is not in use, and what lies behind all of them. */
	assert_false(lt_pymalloc_block(&world->release.view, pymalloc, ARENA + POOL + 64, &fresh,
				       &found));
	assert_false(lt_pymalloc_block(&world->release.view, pymalloc, OUTSIDE, &fresh, &found));
	assert_false(
		lt_pymalloc_block(&world->release.view, pymalloc, OUTSIDE + 64, &fresh, &found));
}

static bool take_any(void *ctx, lt_addr object, const struct lt_type *type)
{
	(void)object;
	assert_true(type == NULL || type->name != NULL);
	((struct world *)ctx)->taken_count++;
	return true;
}

/* Random bytes anywhere: whatever is found, it ends. */
static void damage_does_no_harm(void **state)
{
	struct world *world = *state;
	static const struct {
		lt_addr start;
		size_t size;
	} parts[] = {{ARENA, FIRST},
		     {ARENA, FIRST + OBJECTS * BLOCK},
		     {OUTSIDE, 64},
		     {TYPES, 8192},
		     {HEADS, 96}};
	uint64_t seed = 42;
	for (int turn = 0; turn < 3000; turn++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		lt_addr at = parts[turn % 5].start + (seed >> 33) % parts[turn % 5].size;
		unsigned char *place = lt_image_at(world->release.image, at, 1);
		unsigned char before = *place;
		*place = (unsigned char)(seed >> 24);
		struct lt_tracked tracked;
		struct lt_types *types;
		assert_int_equal(lt_types_create(&world->release.view, &types), LT_OK);
		struct lt_track track = world->track;
		track.types = types;
		world->taken_count = 0;
		assert_int_equal(lt_track_scan(&track, take_any, world, &tracked), LT_OK);
		assert_int_equal(lt_track_walk(&track, 1000, take_any, world, &tracked), LT_OK);
		lt_types_destroy(types);
		if (turn % 7 != 0)
			*place = before;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_scan_finds_what_is_linked, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_scan_goes_on_behind_what_is_gone, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(two_threads_find_the_same, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_missing_or_false_object_breaks_the_proof, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_list_that_does_not_end_is_left, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(pools_are_parsed_and_bounded, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_block_is_found_by_the_notes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(damage_does_no_harm, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
