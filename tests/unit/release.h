/*
 * release.h: an empty image with the layout of CPython 3.12, for tests that make up what a process of it has in memory.
 */
#ifndef LT_TESTS_RELEASE_H
#define LT_TESTS_RELEASE_H

#include "heap/view.h"
#include "target/image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* `view` leads to the others. */
struct release {
	struct lt_session session;
	struct lt_memory *image;
	struct lt_layout layout;
	struct lt_python python;
	struct lt_view view;
};

static inline void release_begin(struct release *release)
{
	lt_session_init(&release->session);
	int column = lt_column_find(0x030c01f0);
	assert_true(column >= 0);
	lt_column_layout((unsigned)column, &release->layout);
	assert_int_equal(lt_image_create(&release->session, &release->image), LT_OK);
	release->python = (struct lt_python){.runtime = 0x1000, .layout = &release->layout};
	release->view = (struct lt_view){.session = &release->session,
					 .memory = release->image,
					 .python = &release->python,
					 .layout = &release->layout};
}

static inline void release_end(struct release *release)
{
	lt_memory_close(release->image);
	lt_session_deinit(&release->session);
}

#endif
