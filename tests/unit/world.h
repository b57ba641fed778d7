/*
 * world.h: a process made of bytes, for tests of what walks allocators: mappings, an image of their content, and a view on both.
 */
#ifndef LT_TESTS_WORLD_H
#define LT_TESTS_WORLD_H

#include "heap/view.h"
#include "target/image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* `view` leads to the session of the test program, to the image and to the process. */
struct world {
	struct lt_memory *image;
	struct lt_process process;
	struct lt_view view;
};

static inline void world_begin(struct world *world, struct lt_session *session)
{
	memset(world, 0, sizeof(*world));
	assert_int_equal(lt_image_create(session, &world->image), LT_OK);
	world->view = (struct lt_view){session, world->image, NULL, NULL, &world->process};
}

static inline void world_end(struct world *world)
{
	lt_memory_close(world->image);
	lt_mappings_deinit(&world->process.mappings);
}

/* A mapping of `size`, of which the first `bytes` are there: zeros. */
static inline void world_map(struct world *world, lt_addr start, uint64_t size, uint64_t bytes,
			     const char *path)
{
	struct lt_mapping mapping = {.start = start,
				     .end = start + size,
				     .readable = true,
				     .writable = true,
				     .inode = path[0] == '/' ? 1 : 0,
				     .path = path};
	assert_int_equal(lt_image_add(world->view.session, world->image, start, NULL, bytes),
			 LT_OK);
	assert_true(lt_mappings_push(&world->process.mappings, mapping));
}

static inline void world_put(struct world *world, lt_addr at, uint64_t value)
{
	void *bytes = lt_image_at(world->image, at, sizeof(value));
	assert_non_null(bytes);
	memcpy(bytes, &value, sizeof(value));
}

static inline void world_put_half(struct world *world, lt_addr at, uint32_t value)
{
	void *bytes = lt_image_at(world->image, at, sizeof(value));
	assert_non_null(bytes);
	memcpy(bytes, &value, sizeof(value));
}

#endif
