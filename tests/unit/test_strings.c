/*
 * test_strings.c: small values, and the three formats of line tables, from byte images: as they should
 * be, and when the bytes are hostile.
 */
#include "analysis/lines.h"
#include "analysis/read.h"
#include "layout/layout.h"
#include "target/image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { SIZE = 1 << 14 };
static const lt_addr BASE = 0x100000;

struct world {
	struct lt_session session;
	struct lt_layout layout;
	struct lt_memory *memory;
	uint8_t *bytes;
	struct lt_view view;
	struct lt_types *types;
};

static void begin(struct world *world, unsigned column)
{
	memset(world, 0, sizeof(*world));
	lt_session_init(&world->session);
	lt_column_layout(column, &world->layout);
	assert_int_equal(lt_image_create(&world->session, &world->memory), LT_OK);
	assert_int_equal(lt_image_add(&world->session, world->memory, BASE, NULL, SIZE), LT_OK);
	world->bytes = lt_image_at(world->memory, BASE, SIZE);
	world->view = (struct lt_view){
		.session = &world->session, .memory = world->memory, .layout = &world->layout};
	assert_int_equal(lt_types_create(&world->view, &world->types), LT_OK);
}

static void end(struct world *world)
{
	lt_types_destroy(world->types);
	lt_memory_close(world->memory);
	lt_session_deinit(&world->session);
}

static void put(struct world *world, lt_addr at, const void *bytes, size_t size)
{
	assert_true(at >= BASE && at + size <= BASE + SIZE);
	memcpy(world->bytes + (at - BASE), bytes, size);
}

static void set(struct world *world, lt_addr object, enum lt_field field, uint64_t value)
{
	put(world, object + lt_off(&world->layout, field), &value, sizeof(value));
}

static void set32(struct world *world, lt_addr object, enum lt_field field, uint32_t value)
{
	put(world, object + lt_off(&world->layout, field), &value, sizeof(value));
}

/* A compact str of `count` characters of `width` bytes. */
static void make_str(struct world *world, lt_addr at, const void *text, uint64_t count,
		     unsigned width, bool ascii)
{
	const struct lt_layout *layout = &world->layout;
	set(world, at, LT_PyASCIIObject_length, count);
	set32(world, at, LT_PyASCIIObject_state,
	      width << lt_fact(layout, LT_FACT_unicode_kind_shift) |
		      1u << lt_fact(layout, LT_FACT_unicode_compact_shift) |
		      (uint32_t)ascii << lt_fact(layout, LT_FACT_unicode_ascii_shift));
	put(world,
	    at + lt_off(layout, ascii ? LT_sizeof_PyASCIIObject : LT_sizeof_PyCompactUnicodeObject),
	    text, count * width);
}

static void expect_str(struct world *world, lt_addr at, size_t limit, const char *expected)
{
	struct lt_text text = {0};
	assert_true(lt_read_str(&world->view, at, limit, &text));
	assert_string_equal(lt_text_get(&text), expected);
	lt_text_deinit(&text);
}

static void test_strings_of_every_width(void **state)
{
	(void)state;
	for (unsigned column = 0; column < lt_column_count(); column++) {
		struct world world;
		begin(&world, column);
		make_str(&world, BASE, "hello", 5, 1, true);
		expect_str(&world, BASE, 100, "hello");
		expect_str(&world, BASE, 3, "hel...");
		make_str(&world, BASE, "caf\xe9", 4, 1, false);
		expect_str(&world, BASE, 100, "caf\xc3\xa9");
		make_str(&world, BASE, (const uint16_t[]){0x20ac, 'u', 0xd800}, 3, 2, false);
		expect_str(&world, BASE, 100, "\xe2\x82\xacu?");
		make_str(&world, BASE, (const uint32_t[]){0x1f600, 0x110000}, 2, 4, false);
		expect_str(&world, BASE, 100, "\xf0\x9f\x98\x80?");
		/* What a terminal would obey is not passed on. */
		make_str(&world, BASE, "a\x1b[31m\n", 7, 1, true);
		expect_str(&world, BASE, 100, "a?[31m?");
		end(&world);
	}
}

static void test_strings_that_lie(void **state)
{
	(void)state;
	for (unsigned column = 0; column < lt_column_count(); column++) {
		struct world world;
		begin(&world, column);
		struct lt_text text = {0};
		make_str(&world, BASE + SIZE - 256, "x", 1, 1, true);
		set(&world, BASE + SIZE - 256, LT_PyASCIIObject_length, UINT64_MAX);
		assert_false(lt_read_str(&world.view, BASE + SIZE - 256, 100, &text));
		set(&world, BASE + SIZE - 256, LT_PyASCIIObject_length, 100000);
		assert_false(lt_read_str(&world.view, BASE + SIZE - 256, 4000, &text));
		make_str(&world, BASE, "xxx", 1, 3, false);
		assert_false(lt_read_str(&world.view, BASE, 100, &text));
		assert_false(lt_read_str(&world.view, 0, 100, &text));
		assert_false(lt_read_str(&world.view, BASE + SIZE, 100, &text));
		assert_int_equal(text.length, 0);
		lt_text_deinit(&text);
		end(&world);
	}
}

static void test_integers(void **state)
{
	(void)state;
	for (unsigned column = 0; column < lt_column_count(); column++) {
		struct world world;
		begin(&world, column);
		bool tagged = lt_fact(&world.layout, LT_FACT_long_tagged) != 0;
		enum lt_field field = tagged ? LT_PyLongObject_lv_tag : LT_PyVarObject_ob_size;
		const uint32_t digits[4] = {5, 1, 0, 1};
		int64_t value = 0;
		put(&world, BASE + lt_off(&world.layout, LT_PyLongObject_ob_digit), digits,
		    sizeof(digits));
		set(&world, BASE, field, tagged ? 1 << 3 : 1);
		assert_true(lt_read_int(&world.view, BASE, &value));
		assert_int_equal(value, 5);
		set(&world, BASE, field, tagged ? (uint64_t)2 << 3 | 2 : (uint64_t)-2);
		assert_true(lt_read_int(&world.view, BASE, &value));
		assert_int_equal(value, -(5 + ((int64_t)1 << 30)));
		set(&world, BASE, field, tagged ? 1 : 0);
		assert_true(lt_read_int(&world.view, BASE, &value));
		assert_int_equal(value, 0);
		set(&world, BASE, field, tagged ? (uint64_t)4 << 3 : 4);
		assert_false(lt_read_int(&world.view, BASE, &value));
		set(&world, BASE, field, (uint64_t)1 << 63);
		(void)lt_read_int(&world.view, BASE, &value);
		end(&world);
	}
}

/* A code object whose first line is 100, with this table. */
static lt_addr make_code(struct world *world, const uint8_t *table, size_t size)
{
	lt_addr code = BASE, bytes = BASE + 0x1000;
	set32(world, code, LT_PyCodeObject_co_firstlineno, 100);
	set(world, code,
	    lt_has(&world->layout, LT_PyCodeObject_co_linetable) ? LT_PyCodeObject_co_linetable
								 : LT_PyCodeObject_co_lnotab,
	    bytes);
	set(world, bytes, LT_PyVarObject_ob_size, size);
	put(world, bytes + lt_off(&world->layout, LT_PyBytesObject_ob_sval), table, size);
	return code;
}

static void test_line_tables(void **state)
{
	(void)state;
	for (unsigned column = 0; column < lt_column_count(); column++) {
		struct world world;
		begin(&world, column);
		lt_addr code;
		switch (lt_fact(&world.layout, LT_FACT_linetable)) {
		case 0: /* four bytes on line 100, four on 103, the rest on 101 */
			code = make_code(&world, (const uint8_t[]){4, 3, 4, 0xfe}, 4);
			break;
		case 1: /* the same; a range without a line follows */
			code = make_code(&world, (const uint8_t[]){4, 0, 4, 3, 4, 0xfe, 2, 0x80},
					 8);
			break;
		default: /* short form; no columns with +3; long form with -2; no line */
			code = make_code(&world,
					 (const uint8_t[]){0x80 | 0 << 3 | 1, 0, 0x80 | 13 << 3 | 1,
							   6, 0x80 | 14 << 3 | 1, 5, 0, 0, 0,
							   0x80 | 15 << 3 | 0},
					 10);
			break;
		}
		assert_int_equal(lt_lines_at(&world.view, code, 0), 100);
		assert_int_equal(lt_lines_at(&world.view, code, 2), 100);
		assert_int_equal(lt_lines_at(&world.view, code, 4), 103);
		assert_int_equal(lt_lines_at(&world.view, code, 10), 101);
		if (lt_fact(&world.layout, LT_FACT_linetable) != 0)
			assert_int_equal(lt_lines_at(&world.view, code, 12), 100);
		assert_int_equal(lt_lines_at(&world.view, code, -2), 100);
		end(&world);
	}
}

static void test_noise(void **state)
{
	(void)state;
	uint64_t seed = 1;
	for (unsigned column = 0; column < lt_column_count(); column++) {
		for (int round = 0; round < 200; round++) {
			struct world world;
			struct lt_text text = {0};
			uint8_t table[512];
			int64_t value;
			begin(&world, column);
			for (size_t i = 0; i < SIZE; i++) {
				seed = seed * 6364136223846793005u + 1442695040888963407u;
				world.bytes[i] = (uint8_t)(seed >> 56);
			}
			memcpy(table, world.bytes + 0x2000, sizeof(table));
			lt_addr code = make_code(&world, table, sizeof(table));
			for (int64_t offset = 0; offset < 2000; offset += 222)
				(void)lt_lines_at(&world.view, code, offset);
			(void)lt_read_str(&world.view, BASE + 0x2000, 200, &text);
			(void)lt_read_int(&world.view, BASE + 0x2000, &value);
			(void)lt_read_literal(&world.view, world.types, BASE + 0x2000, &text);
			lt_text_deinit(&text);
			end(&world);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_strings_of_every_width),
		cmocka_unit_test(test_strings_that_lie),
		cmocka_unit_test(test_integers),
		cmocka_unit_test(test_line_tables),
		cmocka_unit_test(test_noise),
	};
	return cmocka_run_group_tests_name("strings", tests, NULL, NULL);
}
