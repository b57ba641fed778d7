/*
 * Layouts, their decoders and the offsets that a target tells, without any Python.
 */
#include "layout/debug_offsets.h"
#include "layout/object.h"
#include "layout/python.h"
#include "layout/release.h"
#include "layout/selfcheck.h"
#include "target/image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { RUNTIME = 0x10000, TABLE_SIZE = 4096 };

static uint64_t random_state = 88172645463325252u;

static uint64_t next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static struct lt_layout column_of(uint32_t hex)
{
	struct lt_layout layout;
	int column = lt_column_find(hex);
	assert_true(column >= 0);
	lt_column_layout((unsigned)column, &layout);
	return layout;
}

static void columns_are_ascending_and_complete(void **state)
{
	(void)state;
	for (unsigned i = 0; i < lt_column_count(); i++) {
		const struct lt_column *column = lt_column_at(i);
		struct lt_layout layout;
		assert_true(column->first <= column->last);
		if (i > 0)
			assert_true(lt_column_at(i - 1)->last < column->first);
		assert_int_equal(lt_column_find(column->first), i);
		assert_int_equal(lt_column_find(column->last), i);
		lt_column_layout(i, &layout);
		assert_string_equal(layout.name, column->name);
		/* What no release lacks. */
		static const enum lt_field always[] = {LT_sizeof_PyObject,
						       LT_PyObject_ob_type,
						       LT_PyGC_Head__gc_prev,
						       LT_PyTypeObject_tp_flags,
						       LT__PyRuntimeState_interpreters_head,
						       LT_PyInterpreterState_gc,
						       LT_PyInterpreterState_runtime,
						       LT_PyThreadState_interp,
						       LT_PyDictKeysObject_dk_indices,
						       LT_PyLongObject_ob_digit,
						       LT_sizeof_PyHeapTypeObject,
						       LT_pool_header_szidx,
						       LT__gc_runtime_state_permanent_generation,
						       LT_PyTupleObject_ob_item};
		for (size_t row = 0; row < sizeof always / sizeof always[0]; row++)
			assert_true(lt_has(&layout, always[row]));
		/* The lists of the collector are there in one way or the other. */
		assert_true(lt_has(&layout, LT__gc_runtime_state_generations) !=
			    lt_has(&layout, LT__gc_runtime_state_old));
		assert_int_equal(lt_has(&layout, LT__gc_runtime_state_old),
				 lt_fact(&layout, LT_FACT_gc_incremental));
	}
	assert_int_equal(lt_column_find(0x030812f0), -1);
	assert_int_equal(lt_column_find(0x031000f0), -1);
}

static void every_row_is_in_some_release(void **state)
{
	(void)state;
	for (int row = 0; row < LT_FIELD_COUNT; row++) {
		bool found = false;
		for (unsigned i = 0; i < lt_column_count(); i++) {
			struct lt_layout layout;
			lt_column_layout(i, &layout);
			assert_true(layout.off[row] >= LT_ABSENT);
			found = found || lt_has(&layout, (enum lt_field)row);
		}
		if (!found)
			fail_msg("%s is in no release", lt_field_name((enum lt_field)row));
	}
}

static void names_are_those_of_cpython(void **state)
{
	(void)state;
	assert_string_equal(lt_field_name(LT_PyDictObject_ma_keys), "PyDictObject.ma_keys");
	assert_string_equal(lt_field_name(LT_sizeof_PyObject), "sizeof(PyObject)");
	assert_string_equal(lt_fact_name(LT_FACT_immortal), "immortal");
	for (int fact = 0; fact < LT_FACT_COUNT; fact++) {
		assert_true(strlen(lt_fact_meaning((enum lt_fact)fact)) > 0);
		assert_true(strlen(lt_fact_source((enum lt_fact)fact)) > 0);
	}
}

static void offsets_lie_in_their_structs(void **state)
{
	(void)state;
	for (unsigned i = 0; i < lt_column_count(); i++) {
		struct lt_layout layout;
		lt_column_layout(i, &layout);
		/* A size stands before the members of its struct in fields.def. */
		for (int row = 0, size = -1; row < LT_FIELD_COUNT; row++) {
			const char *name = lt_field_name((enum lt_field)row);
			if (strncmp(name, "sizeof(", 7) == 0) {
				size = row;
				continue;
			}
			size_t length =
				size < 0 ? 0 : strlen(lt_field_name((enum lt_field)size)) - 8;
			if (size < 0 ||
			    strncmp(lt_field_name((enum lt_field)size) + 7, name, length) != 0 ||
			    name[length] != '.' || layout.off[row] < 0)
				continue;
			if (layout.off[row] > layout.off[size])
				fail_msg("%s: %s is at %d in %d bytes", layout.name, name,
					 layout.off[row], layout.off[size]);
		}
	}
}

static void versions_are_parsed(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint32_t hex;
	} good[] = {{"3.9.18 (main, May  9 2026, 10:00:00) \n[GCC 12.2.0]", 0x030912f0},
		    {"3.13.15", 0x030d0ff0},
		    {"3.15.0rc1", 0x030f00c1},
		    {"3.14.0a7+ (heads/main)", 0x030e00a7},
		    {"3.10.0b4", 0x030a00b4}};
	static const char *const bad[] = {
		"", "3", "3.9", "3.x.1", "3.9.1b", "3.9.256", "99999999999999999999.1.1", "-3.1.1"};
	uint32_t hex = 0;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		assert_true(lt_release_parse(good[i].text, &hex));
		assert_int_equal(hex, good[i].hex);
	}
	hex = 7;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_false(lt_release_parse(bad[i], &hex));
	assert_int_equal(hex, 7);
	char name[32];
	lt_release_name(&(struct lt_release){.hex = 0x030f00c1, .exact = true}, name, sizeof name);
	assert_string_equal(name, "3.15.0rc1");
	lt_release_name(&(struct lt_release){.hex = 0x030912f0, .exact = true}, name, sizeof name);
	assert_string_equal(name, "3.9.18");
	lt_release_name(&(struct lt_release){.hex = 0x030900f0}, name, sizeof name);
	assert_string_equal(name, "3.9");
}

/* ---- the offsets that a target tells ---- */

static void put_word(uint8_t *table, const struct lt_layout *layout, enum lt_field member,
		     uint64_t value)
{
	memcpy(table + lt_off(layout, member), &value, sizeof value);
}

/* The table that a target of this column has. */
static void make_table(const struct lt_layout *layout, uint32_t hex, uint8_t *table)
{
	memset(table, 0, TABLE_SIZE);
	memcpy(table, "xdebugpy", 8);
	put_word(table, layout, LT__Py_DebugOffsets_version, hex);
#define PUT(name, row)                                                                             \
	if (lt_has(layout, LT__Py_DebugOffsets_##name))                                            \
		put_word(table, layout, LT__Py_DebugOffsets_##name, lt_off(layout, row));
#define LT_DEBUG_SIZE(name, row) PUT(name, row)
#define LT_DEBUG_OFFSET(name, row, size) PUT(name, row)
#define LT_DEBUG_PLAIN(name, row) PUT(name, row)
#include "layout/debug_offsets.def"
#undef LT_DEBUG_SIZE
#undef LT_DEBUG_OFFSET
#undef LT_DEBUG_PLAIN
#undef PUT
}

static struct lt_memory *image_of(const uint8_t *bytes, size_t size)
{
	struct lt_session session;
	struct lt_memory *image = NULL;
	lt_session_init(&session);
	assert_int_equal(lt_image_create(&session, &image), LT_OK);
	assert_int_equal(lt_image_add(&session, image, RUNTIME, bytes, size), LT_OK);
	lt_session_deinit(&session);
	return image;
}

static void own_offsets_win(void **state)
{
	(void)state;
	static const uint32_t releases[] = {0x030d00f0, 0x030d05f0, 0x030d0cf0, 0x030d0ff0,
					    0x030e00f0, 0x030e08f0, 0x030f00f0};
	for (size_t i = 0; i < sizeof releases / sizeof releases[0]; i++) {
		uint8_t table[TABLE_SIZE];
		struct lt_layout column = column_of(releases[i]), layout = column;
		make_table(&column, releases[i], table);
		struct lt_memory *image = image_of(table, sizeof table);
		struct lt_debug_header header;
		assert_true(lt_debug_offsets_probe(image, RUNTIME, &header));
		assert_int_equal(header.hex, releases[i]);
		assert_false(header.free_threaded);
		assert_true(lt_debug_offsets_apply(image, RUNTIME, &layout));
		assert_memory_equal(layout.off, column.off, sizeof layout.off);

		/* A patch release that puts a word before the modules: what stands behind moves with it. */
		uint64_t moved = lt_off(&column, LT_PyInterpreterState_imports_modules) + 8;
		put_word(lt_image_at(image, RUNTIME, TABLE_SIZE), &column,
			 LT__Py_DebugOffsets_interpreter_state_imports_modules, moved);
		assert_true(lt_debug_offsets_apply(image, RUNTIME, &layout));
		assert_int_equal(layout.off[LT_PyInterpreterState_imports_modules], moved);
		assert_int_equal(layout.off[LT_PyInterpreterState_obmalloc],
				 column.off[LT_PyInterpreterState_obmalloc] + 8);
		assert_int_equal(layout.off[LT_PyInterpreterState_gc],
				 column.off[LT_PyInterpreterState_gc]);
		lt_memory_close(image);
	}
}

static void absurd_offsets_are_refused(void **state)
{
	(void)state;
	struct lt_layout column = column_of(0x030f00f0);
	static const struct {
		enum lt_field member;
		uint64_t value;
	} absurd[] = {{LT__Py_DebugOffsets_interpreter_state_gc, UINT64_MAX},
		      {LT__Py_DebugOffsets_interpreter_state_gc, UINT64_C(1) << 40},
		      {LT__Py_DebugOffsets_interpreter_state_size, 0},
		      {LT__Py_DebugOffsets_interpreter_state_size, UINT64_C(1) << 31},
		      {LT__Py_DebugOffsets_thread_state_next, 3},
		      {LT__Py_DebugOffsets_pyobject_ob_type, 4096},
		      {LT__Py_DebugOffsets_err_stackitem_exc_value, 1 << 20}};
	for (size_t i = 0; i < sizeof absurd / sizeof absurd[0]; i++) {
		uint8_t table[TABLE_SIZE];
		struct lt_layout layout = column;
		make_table(&column, 0x030f00f0, table);
		put_word(table, &column, absurd[i].member, absurd[i].value);
		struct lt_memory *image = image_of(table, sizeof table);
		assert_false(lt_debug_offsets_apply(image, RUNTIME, &layout));
		assert_memory_equal(&layout, &column, sizeof layout);
		lt_memory_close(image);
	}
	/* Cut short, and of a release that has none. */
	uint8_t table[TABLE_SIZE];
	make_table(&column, 0x030f00f0, table);
	struct lt_memory *image = image_of(table, 500);
	struct lt_layout layout = column;
	assert_false(lt_debug_offsets_apply(image, RUNTIME, &layout));
	layout = column_of(0x030c01f0);
	assert_false(lt_debug_offsets_apply(image, RUNTIME, &layout));
	lt_memory_close(image);
}

static void a_wrong_cookie_is_no_table(void **state)
{
	(void)state;
	uint8_t table[TABLE_SIZE];
	struct lt_layout column = column_of(0x030e08f0);
	struct lt_debug_header header = {1, true};
	make_table(&column, 0x030e08f0, table);
	table[7] = 'z';
	struct lt_memory *image = image_of(table, sizeof table);
	assert_false(lt_debug_offsets_probe(image, RUNTIME, &header));
	assert_false(lt_debug_offsets_probe(image, RUNTIME + 16, &header));
	assert_int_equal(header.hex, 1);
	lt_memory_close(image);
}

/* ---- objects ---- */

static void ints_are_read(void **state)
{
	(void)state;
	static const int64_t values[] = {0,          1,          -1,          255,
					 1073741823, 1073741824, -1073741824, 0x030d0ff0,
					 INT64_MAX,  -INT64_MAX};
	for (unsigned column = 0; column < lt_column_count(); column++) {
		struct lt_layout layout;
		lt_column_layout(column, &layout);
		for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
			uint8_t object[64] = {0};
			uint64_t magnitude =
				values[i] < 0 ? -(uint64_t)values[i] : (uint64_t)values[i];
			uint64_t digits = 0;
			for (uint64_t rest = magnitude; rest != 0; rest >>= 30, digits++) {
				uint32_t digit = rest & 0x3fffffff;
				memcpy(object + lt_off(&layout, LT_PyLongObject_ob_digit) +
					       4 * digits,
				       &digit, 4);
			}
			uint64_t word = values[i] < 0 ? -digits : digits;
			if (lt_fact(&layout, LT_FACT_long_tagged) != 0)
				word = digits << 3 | (values[i] < 0 ? 2 : values[i] == 0 ? 1 : 0);
			memcpy(object + 16, &word, 8);
			struct lt_memory *image = image_of(object, sizeof object);
			int64_t found = 42;
			assert_true(lt_int_read(&layout, image, RUNTIME, &found));
			assert_int_equal(found, values[i]);
			lt_memory_close(image);
		}
	}
}

static void dict_keys_are_measured(void **state)
{
	(void)state;
	/* sizeof of the keys as sys.getsizeof({}) counts them for one entry, less the dict itself. */
	for (unsigned column = 0; column < lt_column_count(); column++) {
		struct lt_layout layout;
		lt_column_layout(column, &layout);
		uint8_t header[LT_DICT_KEYS_HEADER] = {0};
		struct lt_dict_keys keys;
		bool unicode = lt_has(&layout, LT_PyDictKeysObject_dk_kind);
		if (unicode) {
			header[lt_off(&layout, LT_PyDictKeysObject_dk_log2_size)] = 3;
			header[lt_off(&layout, LT_PyDictKeysObject_dk_log2_index_bytes)] = 3;
			header[lt_off(&layout, LT_PyDictKeysObject_dk_kind)] = 1;
		} else {
			header[lt_off(&layout, LT_PyDictKeysObject_dk_size)] = 8;
		}
		header[lt_off(&layout, LT_PyDictKeysObject_dk_nentries)] = 5;
		assert_true(lt_dict_keys_decode(&layout, header, &keys));
		assert_int_equal(keys.slots, 8);
		assert_int_equal(keys.entries, 5);
		assert_int_equal(keys.entry_size, unicode ? 16 : 24);
		/* sys.getsizeof({'a': 1}): 184 with 16-byte entries, 232 with 24-byte ones; 16 of them are PyGC_Head. */
		assert_int_equal(keys.size + lt_off(&layout, LT_sizeof_PyDictObject) + 16,
				 unicode ? 184 : 232);
		header[lt_off(&layout, LT_PyDictKeysObject_dk_nentries)] = 6;
		assert_false(lt_dict_keys_decode(&layout, header, &keys));
	}
}

static void strings_are_placed(void **state)
{
	(void)state;
	for (unsigned column = 0; column < lt_column_count(); column++) {
		struct lt_layout layout;
		lt_column_layout(column, &layout);
		uint8_t header[LT_STR_HEADER] = {0};
		struct lt_str_place place;
		bool ready = lt_fact(&layout, LT_FACT_unicode_ready_shift) != 0;
		uint8_t *at = header + lt_off(&layout, LT_PyASCIIObject_state);
		header[lt_off(&layout, LT_PyASCIIObject_length)] = 7;
		at[0] = (uint8_t)(1 << 2 | 1 << 5 | 1 << 6 | (ready ? 1 << 7 : 0) | 1);
		assert_true(lt_str_decode(&layout, header, &place));
		assert_int_equal(place.width, 1);
		assert_int_equal(place.length, 7);
		assert_true(place.ascii && place.interned);
		assert_int_equal(place.data_offset, ready ? 48 : 40);
		at[0] = (uint8_t)(2 << 2 | 1 << 5);
		assert_true(lt_str_decode(&layout, header, &place));
		assert_int_equal(place.width, 2);
		assert_int_equal(place.data_offset, ready ? 72 : 56);
		assert_false(place.ascii || place.interned);
		at[0] = (uint8_t)(3 << 2 | 1 << 5);
		assert_false(lt_str_decode(&layout, header, &place));
		at[0] = (uint8_t)(1 << 2 | 1 << 5);
		memset(header + lt_off(&layout, LT_PyASCIIObject_length), 0xff, 8);
		assert_false(lt_str_decode(&layout, header, &place));
	}
}

static void counts_and_tags(void **state)
{
	(void)state;
	struct lt_layout old = column_of(0x030b07f0), middle = column_of(0x030c01f0),
			 recent = column_of(0x030e08f0);
	bool counted;
	assert_false(lt_is_immortal(&old, 0xffffffff));
	assert_true(lt_is_immortal(&middle, 0xffffffff));
	assert_true(lt_is_immortal(&recent, UINT64_C(0x0001000140000000) | 0x80000000));
	assert_int_equal(lt_refcount(&middle, UINT64_C(0x100000002)), UINT64_C(0x100000002));
	assert_int_equal(lt_refcount(&recent, UINT64_C(0x0004000000000002)), 2);
	assert_int_equal(lt_gc_prev(&old, 0x7f0000000013), 0x7f0000000010);
	assert_int_equal(lt_gc_next(&recent, 0x7f0000000011), 0x7f0000000010);
	assert_int_equal(lt_stackref(&old, 0x7f0000000010, &counted), 0x7f0000000010);
	assert_true(counted);
	assert_int_equal(lt_stackref(&recent, 0x7f0000000011, &counted), 0x7f0000000010);
	assert_false(counted);
	assert_int_equal(lt_stackref(&recent, 0x7f0000000013, &counted), 0);
	assert_int_equal(lt_stackref(&recent, 1, &counted), 0);
}

static void random_bytes_break_nothing(void **state)
{
	(void)state;
	enum { SIZE = 512 << 10 };
	uint8_t *bytes = malloc(SIZE);
	assert_non_null(bytes);
	for (unsigned round = 0; round < 60; round++) {
		/* Words are addresses in the image, small numbers, or anything. */
		for (size_t i = 0; i < SIZE; i += 8) {
			uint64_t word = next_random();
			switch (word & 3) {
			case 0:
			case 1:
				word = RUNTIME + next_random() % SIZE / 8 * 8;
				break;
			case 2:
				word = next_random() % 64;
				break;
			default:
				break;
			}
			memcpy(bytes + i, &word, 8);
		}
		struct lt_memory *image = image_of(bytes, SIZE);
		for (unsigned column = 0; column < lt_column_count(); column++) {
			struct lt_layout layout;
			struct lt_check_result result;
			lt_column_layout(column, &layout);
			(void)lt_locate_fits(image, &layout, RUNTIME);
			lt_selfcheck(image, &layout, RUNTIME, &result);
			assert_int_not_equal(result.outcome, LT_CHECK_FITS);
			struct lt_dict_keys keys;
			struct lt_str_place str;
			struct lt_int_place digits;
			int64_t value;
			for (size_t i = 0; i + 64 < 4096; i += 8) {
				if (lt_dict_keys_decode(&layout, bytes + i, &keys))
					assert_true(keys.entries <= keys.slots);
				(void)lt_str_decode(&layout, bytes + i, &str);
				(void)lt_int_decode(&layout, bytes + i, &digits);
				(void)lt_int_read(&layout, image, RUNTIME + i, &value);
			}
			(void)lt_debug_offsets_apply(image, RUNTIME, &layout);
		}
		lt_memory_close(image);
	}
	free(bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(columns_are_ascending_and_complete),
		cmocka_unit_test(every_row_is_in_some_release),
		cmocka_unit_test(names_are_those_of_cpython),
		cmocka_unit_test(offsets_lie_in_their_structs),
		cmocka_unit_test(versions_are_parsed),
		cmocka_unit_test(own_offsets_win),
		cmocka_unit_test(absurd_offsets_are_refused),
		cmocka_unit_test(a_wrong_cookie_is_no_table),
		cmocka_unit_test(ints_are_read),
		cmocka_unit_test(dict_keys_are_measured),
		cmocka_unit_test(strings_are_placed),
		cmocka_unit_test(counts_and_tags),
		cmocka_unit_test(random_bytes_break_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
