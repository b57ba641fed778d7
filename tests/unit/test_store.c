/* The container of .tide files: what is written is read, row by row and whole, and nothing is left beside it. */
#include "base/cleanup.h"
#include "store/checksum.h"
#include "store/chunk.h"
#include "store/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

enum { ROWS = 150000, SCHEMA = 3 };

struct fixture {
	char folder[64];
	char path[128];
	struct lt_session session;
};

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	assert_non_null(fixture);
	strcpy(fixture->folder, "/tmp/lowtide-store-XXXXXX");
	assert_non_null(mkdtemp(fixture->folder));
	snprintf(fixture->path, sizeof(fixture->path), "%s/a.tide", fixture->folder);
	lt_session_init(&fixture->session);
	*state = fixture;
	return 0;
}

/* Names in the folder, "." and ".." aside. */
static unsigned names_in(const char *folder)
{
	unsigned count = 0;
	DIR *open_folder = opendir(folder);
	assert_non_null(open_folder);
	for (struct dirent *entry; (entry = readdir(open_folder)) != NULL;)
		count += entry->d_name[0] != '.';
	closedir(open_folder);
	return count;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;
	char path[400];
	DIR *open_folder = opendir(fixture->folder);
	for (struct dirent *entry; open_folder != NULL && (entry = readdir(open_folder)) != NULL;) {
		snprintf(path, sizeof(path), "%s/%s", fixture->folder, entry->d_name);
		unlink(path);
	}
	closedir(open_folder);
	rmdir(fixture->folder);
	lt_session_deinit(&fixture->session);
	free(fixture);
	return 0;
}

static uint64_t noise(uint64_t z)
{
	z = (z + 1) * 0x9e3779b97f4a7c15u;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	return z ^ z >> 27;
}

static uint64_t address_of(uint64_t row)
{
	return 0x7f0000000000u + row * 48 + noise(row) % 3 * 16;
}

static unsigned degree_of(uint64_t row)
{
	return row == 77 ? 200000 : (unsigned)(noise(row) % 5);
}

static uint32_t target_of(uint64_t row, unsigned i)
{
	return (uint32_t)(noise(row * 31 + i) % ROWS);
}

/* One column of each width, kind and coding. */
enum { ADDRESS, TYPE, COUNT, FLAGS, TARGETS, LABELS, NEAR, EMPTY, COLUMNS };
static const struct lt_store_spec specs[COLUMNS] = {
	[ADDRESS] = {"address", 8, false, LT_STORE_DELTA},
	[TYPE] = {"type", 4, false, LT_STORE_PLAIN},
	[COUNT] = {"count", 8, false, LT_STORE_SIGNED},
	[FLAGS] = {"flags", 1, false, LT_STORE_DELTA},
	[TARGETS] = {"targets", 4, true, LT_STORE_RELATIVE},
	[LABELS] = {"labels", 1, true, LT_STORE_PLAIN},
	[NEAR] = {"near", 4, false, LT_STORE_RELATIVE},
	[EMPTY] = {"empty", 8, true, LT_STORE_RELATIVE},
};

static int64_t count_of(uint64_t row)
{
	return row % 1000 == 0 ? INT64_MIN + (int64_t)row : (int64_t)(noise(row) % 9) - 4;
}

static void put_row(struct lt_store_writer *writer, const uint32_t *columns, uint64_t row)
{
	uint64_t address = address_of(row);
	uint32_t type = (uint32_t)(noise(row) % 300), near = (uint32_t)row - 5;
	int64_t count = count_of(row);
	uint8_t flags = (uint8_t)noise(row);
	assert_int_equal(lt_store_put_items(writer, columns[ADDRESS], &address, 1), LT_OK);
	assert_int_equal(lt_store_put_items(writer, columns[TYPE], &type, 1), LT_OK);
	assert_int_equal(lt_store_put_items(writer, columns[COUNT], &count, 1), LT_OK);
	assert_int_equal(lt_store_put_items(writer, columns[FLAGS], &flags, 1), LT_OK);
	assert_int_equal(lt_store_put_items(writer, columns[NEAR], &near, 1), LT_OK);
	static uint32_t targets[200000];
	for (unsigned i = 0; i < degree_of(row); i++)
		targets[i] = target_of(row, i);
	assert_int_equal(lt_store_put_list(writer, columns[TARGETS], targets, degree_of(row)),
			 LT_OK);
	assert_int_equal(lt_store_put_list(writer, columns[LABELS], "labels!", row % 8), LT_OK);
}

static void write_file(struct fixture *fixture)
{
	struct lt_store_writer *writer = NULL;
	uint32_t columns[COLUMNS], table;
	assert_int_equal(lt_store_create(&fixture->session, fixture->path, SCHEMA, &writer), LT_OK);
	for (size_t i = 0; i < COLUMNS; i++)
		assert_int_equal(lt_store_put_column(writer, &specs[i], &columns[i]), LT_OK);
	assert_int_equal(lt_store_put_table(writer,
					    "types (id INTEGER PRIMARY KEY, name TEXT, share REAL)",
					    &table),
			 LT_OK);
	for (uint64_t row = 0; row < ROWS; row++)
		put_row(writer, columns, row);
	for (int i = 0; i < 300; i++) {
		char name[32];
		snprintf(name, sizeof(name), "type %d", i);
		struct lt_store_value values[] = {lt_store_integer(i),
						  lt_store_text(i == 7 ? NULL : name),
						  lt_store_real(i / 4.0)};
		assert_int_equal(lt_store_put_row(writer, table, values, 3), LT_OK);
	}
	assert_int_equal(lt_store_put_meta(writer, "pid", lt_store_integer(4242)), LT_OK);
	assert_int_equal(lt_store_put_meta(writer, "python", lt_store_text("3.13.1")), LT_OK);
	assert_int_equal(lt_store_put_meta(writer, "stall_ms", lt_store_real(2.5)), LT_OK);
	assert_int_equal(lt_store_put_meta(writer, "nothing", lt_store_null()), LT_OK);
	assert_int_equal(names_in(fixture->folder), 1);
	assert_int_equal(lt_store_commit(writer), LT_OK);
	assert_int_equal(names_in(fixture->folder), 1);
}

static struct lt_store *open_file(struct fixture *fixture)
{
	struct lt_store *store = NULL;
	if (lt_store_open(&fixture->session, fixture->path, SCHEMA, &store) != LT_OK)
		fail_msg("%s", fixture->session.message);
	assert_string_equal(lt_store_path(store), fixture->path);
	return store;
}

static void check_row(struct lt_store *store, const uint32_t *columns, uint64_t row)
{
	uint64_t item;
	const void *items;
	size_t count;
	assert_int_equal(lt_store_item(store, columns[ADDRESS], row, &item), LT_OK);
	assert_int_equal(item, address_of(row));
	assert_int_equal(lt_store_item(store, columns[TYPE], row, &item), LT_OK);
	assert_int_equal(item, noise(row) % 300);
	assert_int_equal(lt_store_item(store, columns[COUNT], row, &item), LT_OK);
	assert_true((int64_t)item == count_of(row));
	assert_int_equal(lt_store_item(store, columns[FLAGS], row, &item), LT_OK);
	assert_int_equal(item, (uint8_t)noise(row));
	assert_int_equal(lt_store_item(store, columns[NEAR], row, &item), LT_OK);
	assert_int_equal(item, (uint32_t)row - 5);
	assert_int_equal(lt_store_list(store, columns[TARGETS], row, &items, &count), LT_OK);
	assert_int_equal(count, degree_of(row));
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(((const uint32_t *)items)[i], target_of(row, i));
	assert_int_equal(lt_store_list(store, columns[LABELS], row, &items, &count), LT_OK);
	assert_int_equal(count, row % 8);
	assert_memory_equal(items, "labels!", count);
	assert_int_equal(lt_store_find(store, columns[ADDRESS], address_of(row), &item), LT_OK);
	assert_int_equal(item, row);
}

static void find_columns(struct lt_store *store, uint32_t *columns)
{
	for (size_t i = 0; i < COLUMNS; i++)
		assert_int_equal(lt_store_column(store, specs[i].name, specs[i].width,
						 specs[i].lists, &columns[i]),
				 LT_OK);
}

static void test_rows_in_any_order(void **state)
{
	struct fixture *fixture = *state;
	uint32_t columns[COLUMNS];
	uint64_t item;
	write_file(fixture);
	struct lt_store *store = open_file(fixture);
	find_columns(store, columns);
	assert_int_equal(lt_store_rows(store, columns[ADDRESS]), ROWS);
	assert_int_equal(lt_store_rows(store, columns[EMPTY]), 0);
	for (uint64_t row = 60; row < 100; row++)
		check_row(store, columns, row);
	for (uint64_t i = 0; i < 500; i++)
		check_row(store, columns, noise(i) % ROWS);
	check_row(store, columns, ROWS - 1);
	assert_int_equal(lt_store_find(store, columns[ADDRESS], 0, &item), LT_OK);
	assert_int_equal(item, 0);
	assert_int_equal(lt_store_find(store, columns[ADDRESS], UINT64_MAX, &item), LT_OK);
	assert_int_equal(item, ROWS);
	assert_int_equal(lt_store_item(store, columns[ADDRESS], ROWS, &item), LT_E_FILE);
	lt_store_close(store);
	assert_int_equal(names_in(fixture->folder), 1);
}

static void test_whole_columns(void **state)
{
	struct fixture *fixture = *state;
	uint32_t columns[COLUMNS];
	write_file(fixture);
	struct lt_store *store = open_file(fixture);
	find_columns(store, columns);
	void *items = NULL;
	uint64_t *first = NULL;
	assert_int_equal(lt_store_read_items(store, columns[ADDRESS], &items), LT_OK);
	for (uint64_t row = 0; row < ROWS; row++)
		assert_int_equal(((uint64_t *)items)[row], address_of(row));
	free(items);
	assert_int_equal(lt_store_read_items(store, columns[NEAR], &items), LT_OK);
	for (uint64_t row = 0; row < ROWS; row++)
		assert_int_equal(((uint32_t *)items)[row], (uint32_t)row - 5);
	free(items);
	assert_int_equal(lt_store_read_lists(store, columns[TARGETS], &first, &items), LT_OK);
	assert_int_equal(first[ROWS], lt_store_items(store, columns[TARGETS]));
	for (uint64_t row = 0; row < ROWS; row++) {
		assert_int_equal(first[row + 1] - first[row], degree_of(row));
		for (unsigned i = 0; i < degree_of(row); i++)
			assert_int_equal(((uint32_t *)items)[first[row] + i], target_of(row, i));
	}
	free(items);
	free(first);
	assert_int_equal(lt_store_read_lists(store, columns[EMPTY], &first, &items), LT_OK);
	assert_int_equal(first[0], 0);
	free(items);
	free(first);
	lt_store_close(store);
}

static void test_tables_and_facts(void **state)
{
	struct fixture *fixture = *state;
	int64_t integer = 0;
	double real = 0;
	write_file(fixture);
	struct lt_store *store = open_file(fixture);
	assert_true(lt_store_meta_integer(store, "pid", &integer));
	assert_int_equal(integer, 4242);
	assert_true(lt_store_meta_real(store, "stall_ms", &real));
	assert_true(real == 2.5);
	assert_string_equal(lt_store_meta_text(store, "python"), "3.13.1");
	assert_string_equal(lt_store_meta_text(store, "lowtide"), LT_VERSION);
	assert_null(lt_store_meta_text(store, "nothing"));
	assert_null(lt_store_meta_text(store, "pid"));
	assert_false(lt_store_meta_integer(store, "no such", &integer));
	struct lt_store_cursor *cursor = NULL;
	struct lt_store_value least = lt_store_integer(7);
	assert_int_equal(lt_store_select(store, "SELECT id, name, share FROM types WHERE id >= ?",
					 &least, 1, &cursor),
			 LT_OK);
	bool more = false;
	for (int i = 7; i < 300; i++) {
		char name[32];
		snprintf(name, sizeof(name), "type %d", i);
		assert_int_equal(lt_store_next(cursor, &more), LT_OK);
		assert_true(more);
		assert_int_equal(lt_store_get_integer(cursor, 0), i);
		assert_true(lt_store_get_real(cursor, 2) == i / 4.0);
		assert_int_equal(lt_store_is_null(cursor, 1), i == 7);
		if (i == 7)
			assert_null(lt_store_get_text(cursor, 1));
		else
			assert_string_equal(lt_store_get_text(cursor, 1), name);
		assert_int_equal(lt_store_get_integer(cursor, 1), 0);
		assert_string_equal(lt_store_get_text(cursor, 0), "");
	}
	assert_int_equal(lt_store_next(cursor, &more), LT_OK);
	assert_false(more);
	lt_store_cursor_close(cursor);
	assert_int_equal(lt_store_select(store, "SELECT x FROM nosuch", NULL, 0, &cursor),
			 LT_E_FILE);
	lt_store_close(store);
}

/* Values of the reference implementation. */
static void test_checksum(void **state)
{
	(void)state;
	assert_true(lt_checksum("", 0, 0) == 0xef46db3751d8e999u);
	assert_true(lt_checksum("a", 1, 0) == 0xd24ec4f1a98c6e5bu);
	assert_true(lt_checksum("abc", 3, 0) == 0x44bc2cf5ad770999u);
}

static void test_chunk_of_other_bytes(void **state)
{
	(void)state;
	struct lt_chunk_coder *coder = lt_chunk_coder_create();
	uint32_t items[1000] = {0}, back[1000];
	const void *bytes;
	size_t length;
	assert_non_null(coder);
	assert_true(lt_chunk_encode(coder, items, 1000, 4, LT_STORE_DELTA, &bytes, &length));
	char copy[4096];
	assert_true(length < sizeof(copy));
	memcpy(copy, bytes, length);
	assert_true(lt_chunk_decode(coder, copy, length, 1000, 4, LT_STORE_DELTA, back));
	assert_memory_equal(items, back, sizeof(items));
	assert_false(lt_chunk_decode(coder, copy, length, 999, 4, LT_STORE_DELTA, back));
	assert_false(lt_chunk_decode(coder, copy, length, 500, 8, LT_STORE_DELTA, back) &&
		     lt_chunk_decode(coder, copy, length, 501, 8, LT_STORE_DELTA, back));
	assert_false(lt_chunk_decode(coder, copy, length - 1, 1000, 4, LT_STORE_DELTA, back));
	assert_false(lt_chunk_decode(coder, copy, 0, 1000, 4, LT_STORE_DELTA, back));
	assert_false(lt_chunk_decode(coder, copy, length, SIZE_MAX, 4, LT_STORE_DELTA, back));
	lt_chunk_coder_destroy(coder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_rows_in_any_order, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_whole_columns, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_tables_and_facts, set_up, tear_down),
		cmocka_unit_test(test_checksum),
		cmocka_unit_test(test_chunk_of_other_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
