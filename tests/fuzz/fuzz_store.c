/*
 * fuzz_store.c: the reader of .tide files on files that were forged: bytes anywhere in the database are
 * changed, and the checksums of the pages made anew, so that SQLite and the reader see them. Whatever is read,
 * it must end, stay in bounds, and give either values or a failure with a sentence.
 *
 *     fuzz_store [ROUNDS [SEED]]      forged files (default 400), and the first seed
 */
#include "base/cleanup.h"
#include "store/chunk.h"
#include "store/pages.h"
#include "store/store.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

enum { ROWS = 66000, SCHEMA = 1 };

static unsigned rounds = 400;
static uint64_t first_seed = 1;

static char folder[] = "/tmp/lowtide-fuzz-XXXXXX";
static char path[64];
static unsigned char *good;
static size_t good_length;

static uint64_t next_random(uint64_t *seed)
{
	/* splitmix64 (Steele, Lea, Flood 2014). */
	uint64_t z = *seed += 0x9e3779b97f4a7c15u;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static enum lt_status write_good(struct lt_session *session)
{
	static const struct lt_store_spec numbers = {"numbers", 8, false, LT_STORE_DELTA};
	static const struct lt_store_spec lists = {"lists", 4, true, LT_STORE_RELATIVE};
	struct lt_store_writer *writer = NULL;
	uint32_t column, list_column, table;
	LT_TRY(lt_store_create(session, path, SCHEMA, &writer));
	enum lt_status status = lt_store_put_column(writer, &numbers, &column);
	if (status == LT_OK)
		status = lt_store_put_column(writer, &lists, &list_column);
	if (status == LT_OK)
		status = lt_store_put_table(writer, "names (id INTEGER PRIMARY KEY, name TEXT)",
					    &table);
	for (uint64_t row = 0; row < ROWS && status == LT_OK; row++) {
		uint64_t number = row * row;
		uint32_t list[2] = {(uint32_t)row, (uint32_t)(row * 7919)};
		status = lt_store_put_items(writer, column, &number, 1);
		if (status == LT_OK)
			status = lt_store_put_list(writer, list_column, list, row % 3);
		struct lt_store_value values[] = {lt_store_integer((int64_t)row),
						  lt_store_text("a name")};
		if (status == LT_OK && row % 64 == 0)
			status = lt_store_put_row(writer, table, values, 2);
	}
	if (status == LT_OK)
		return lt_store_commit(writer);
	lt_store_abandon(writer);
	return status;
}

static int set_up(void **state)
{
	(void)state;
	struct lt_session session;
	struct stat found;
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/f.tide", folder);
	lt_session_init(&session);
	if (write_good(&session) != LT_OK)
		return -1;
	lt_session_deinit(&session);
	LT_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &found) != 0)
		return -1;
	good_length = (size_t)found.st_size;
	good = malloc(good_length);
	return good != NULL && read(fd, good, good_length) == (ssize_t)good_length ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	free(good);
	unlink(path);
	return rmdir(folder);
}

/* Where the answers are decided: heads of pages and rows, which lie at the ends of a page; sometimes anywhere. */
static size_t place(uint64_t *seed)
{
	size_t page = next_random(seed) % (good_length / LT_PAGE_BYTES) * LT_PAGE_BYTES;
	size_t room = LT_PAGE_BYTES - LT_PAGE_RESERVED;
	switch (next_random(seed) % 4) {
	case 0:
		return page + next_random(seed) % 64;
	case 1:
		return page + room - 1 - next_random(seed) % 512;
	case 2:
		return page + next_random(seed) % room;
	default:
		return next_random(seed) % 2 == 0 ? 100 + next_random(seed) % 200
						  : room - 1 - next_random(seed) % 1500;
	}
}

static void forge(uint64_t seed)
{
	LT_FREE unsigned char *bytes = malloc(good_length);
	LT_CLOSE int fd = open(path, O_RDWR | O_TRUNC | O_CLOEXEC);
	assert_non_null(bytes);
	assert_true(fd >= 0);
	memcpy(bytes, good, good_length);
	for (uint64_t left = 1 + next_random(&seed) % (seed % 3 == 0 ? 40 : 3); left > 0; left--) {
		static const unsigned char extremes[] = {0, 1, 0x7f, 0x80, 0xff, 2, 5, 10, 13};
		uint64_t choice = next_random(&seed);
		bytes[place(&seed)] = choice % 3 == 0 ? (unsigned char)(choice >> 8)
						      : extremes[choice % sizeof(extremes)];
	}
	/* What has no such head is turned away at once, as other tests see. */
	memcpy(bytes, good, 100);
	assert_int_equal(write(fd, bytes, good_length), (ssize_t)good_length);
	assert_int_equal(lt_pages_seal(fd, seed), 0);
}

static enum lt_status read_lists(struct lt_store *store)
{
	uint32_t column;
	LT_FREE uint64_t *first = NULL;
	LT_FREE void *items = NULL;
	LT_TRY(lt_store_column(store, "lists", 4, true, &column));
	uint64_t rows = lt_store_rows(store, column);
	LT_TRY(lt_store_read_lists(store, column, &first, &items));
	assert_int_equal(first[rows], lt_store_items(store, column));
	for (uint64_t row = 0; row < rows; row += 1 + rows / 20) {
		const void *list;
		size_t count;
		LT_TRY(lt_store_list(store, column, row, &list, &count));
		assert_int_equal(count, first[row + 1] - first[row]);
	}
	return LT_OK;
}

static enum lt_status read_numbers(struct lt_store *store)
{
	uint32_t column;
	uint64_t row, item = 0;
	LT_FREE void *items = NULL;
	LT_TRY(lt_store_column(store, "numbers", 8, false, &column));
	LT_TRY(lt_store_read_items(store, column, &items));
	for (row = 0; row < lt_store_rows(store, column); row++)
		item += ((const uint64_t *)items)[row]; /* every item is there */
	return lt_store_find(store, column, item, &row);
}

static enum lt_status read_names(struct lt_store *store)
{
	struct lt_store_cursor *cursor = NULL;
	bool more = true;
	size_t bytes = 0;
	LT_TRY(lt_store_select(store, "SELECT id, name FROM names", NULL, 0, &cursor));
	enum lt_status status = LT_OK;
	while (status == LT_OK && more) {
		status = lt_store_next(cursor, &more);
		const char *name = status == LT_OK && more ? lt_store_get_text(cursor, 1) : NULL;
		bytes += name == NULL ? 0 : strlen(name);
	}
	lt_store_cursor_close(cursor);
	assert_true(bytes <= good_length * 64);
	return status;
}

/* One forged file; true when all of it could be read. */
static bool read_forged(uint64_t seed)
{
	struct lt_session session;
	struct lt_store *store = NULL;
	static enum lt_status (*const parts[])(struct lt_store *) = {read_lists, read_numbers,
								     read_names};
	lt_session_init(&session);
	enum lt_status status = lt_store_open(&session, path, SCHEMA, &store);
	for (size_t i = 0; i < 3 && store != NULL; i++) {
		enum lt_status part = parts[i](store);
		if (status == LT_OK)
			status = part;
	}
	lt_store_close(store);
	if (status != LT_OK && status != LT_E_FILE && status != LT_E_NO_MEMORY)
		fail_msg("seed %llu: %s: %s", (unsigned long long)seed, lt_status_name(status),
			 session.message);
	if (status != LT_OK && session.message[0] == '\0')
		fail_msg("seed %llu: %s without a sentence", (unsigned long long)seed,
			 lt_status_name(status));
	lt_session_deinit(&session);
	return status == LT_OK;
}

static void test_forged(void **state)
{
	(void)state;
	unsigned opened = 0;
	for (uint64_t seed = first_seed; seed < first_seed + rounds; seed++) {
		forge(seed);
		opened += read_forged(seed);
	}
	/* Some must be read to the end and some not, or the changes were of no account. */
	assert_true(opened > 0 && opened < rounds);
}

/* Noise where compressed bytes should be. */
static void test_chunks(void **state)
{
	(void)state;
	struct lt_chunk_coder *coder = lt_chunk_coder_create();
	LT_FREE uint64_t *items = calloc(lt_chunk_items(8), sizeof(*items));
	LT_FREE unsigned char *bytes = malloc((size_t)1 << 20);
	assert_true(coder != NULL && items != NULL && bytes != NULL);
	for (uint64_t seed = first_seed; seed < first_seed + rounds; seed++) {
		uint64_t random = seed;
		const void *packed;
		size_t length, count = 1 + next_random(&random) % 5000;
		static const unsigned widths[] = {1, 4, 8};
		unsigned width = widths[seed % 3];
		for (size_t i = 0; i < count; i++)
			items[i] = next_random(&random) >> next_random(&random) % 64;
		assert_true(lt_chunk_encode(coder, items, count, width,
					    (enum lt_store_coding)(seed % 4), &packed, &length));
		memcpy(bytes, packed, length);
		for (unsigned i = 0; i < 1 + seed % 4; i++)
			bytes[next_random(&random) % length] = (unsigned char)next_random(&random);
		if (seed % 5 == 0)
			length = next_random(&random) % (length + 1);
		(void)lt_chunk_decode(coder, bytes, length, count, width,
				      (enum lt_store_coding)(seed % 4), items);
	}
	lt_chunk_coder_destroy(coder);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_forged),
					   cmocka_unit_test(test_chunks)};
	if (argc > 1)
		rounds = (unsigned)strtoul(argv[1], NULL, 10);
	if (argc > 2)
		first_seed = strtoull(argv[2], NULL, 10);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
