/*
 * Files that are cut off, flipped, foreign, newer, forged or cannot be written: each is a failure with a
 * sentence, or reads as it was written. Never a crash, never another answer.
 */
#include "base/cleanup.h"
#include "store/checksum.h"
#include "store/pages.h"
#include "store/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

enum { ROWS = 70000, SCHEMA = 2, NOBODY = 65534 };

/* One good file, made once; each test damages a copy of it. */
static char folder[] = "/tmp/lowtide-damage-XXXXXX";
static char path[64], copy_path[64], unfinished_path[80];
static unsigned char *good;
static size_t good_length;
static uint64_t good_digest;

static uint64_t noise(uint64_t z)
{
	z = (z + 1) * 0x9e3779b97f4a7c15u;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	return z ^ z >> 27;
}

static enum lt_status put_all(struct lt_store_writer *writer)
{
	static const struct lt_store_spec address = {"address", 8, false, LT_STORE_DELTA};
	static const struct lt_store_spec targets = {"targets", 4, true, LT_STORE_RELATIVE};
	static const struct lt_store_spec flags = {"flags", 1, false, LT_STORE_PLAIN};
	uint32_t columns[3], table;
	LT_TRY(lt_store_put_column(writer, &address, &columns[0]));
	LT_TRY(lt_store_put_column(writer, &targets, &columns[1]));
	LT_TRY(lt_store_put_column(writer, &flags, &columns[2]));
	LT_TRY(lt_store_put_table(writer, "types (id INTEGER PRIMARY KEY, name TEXT)", &table));
	for (uint64_t row = 0; row < ROWS; row++) {
		uint64_t item = 0x7f0000000000u + row * 32;
		uint32_t list[2] = {(uint32_t)row + 1, (uint32_t)(noise(row) % ROWS)};
		uint8_t flag = (uint8_t)(noise(row) % 3);
		LT_TRY(lt_store_put_items(writer, columns[0], &item, 1));
		LT_TRY(lt_store_put_list(writer, columns[1], list, noise(row) % 3));
		LT_TRY(lt_store_put_items(writer, columns[2], &flag, 1));
	}
	for (int i = 0; i < 2000; i++) {
		char name[64];
		snprintf(name, sizeof(name), "type with a name %d", i);
		struct lt_store_value values[] = {lt_store_integer(i), lt_store_text(name)};
		LT_TRY(lt_store_put_row(writer, table, values, 2));
	}
	return lt_store_put_meta(writer, "pid", lt_store_integer(7));
}

static enum lt_status write_to(struct lt_session *session, const char *to, uint32_t schema)
{
	struct lt_store_writer *writer = NULL;
	LT_TRY(lt_store_create(session, to, schema, &writer));
	enum lt_status status = put_all(writer);
	if (status == LT_OK)
		return lt_store_commit(writer);
	lt_store_abandon(writer);
	return status;
}

static void fold(uint64_t *digest, const void *bytes, size_t length)
{
	*digest = lt_checksum(bytes, length, *digest);
}

static enum lt_status read_column(struct lt_store *store, const char *name, unsigned width,
				  bool lists, uint64_t *digest)
{
	uint32_t column;
	LT_FREE uint64_t *first = NULL;
	LT_FREE void *items = NULL;
	LT_TRY(lt_store_column(store, name, width, lists, &column));
	uint64_t rows = lt_store_rows(store, column), count = lt_store_items(store, column);
	/* Row by row and whole must be the same. */
	if (lists) {
		LT_TRY(lt_store_read_lists(store, column, &first, &items));
		fold(digest, first, (rows + 1) * sizeof(*first));
	} else {
		LT_TRY(lt_store_read_items(store, column, &items));
	}
	fold(digest, items, count * width);
	for (uint64_t row = 0; row < rows; row += 1 + rows / 50) {
		const void *list;
		size_t length;
		uint64_t item;
		if (!lists) {
			LT_TRY(lt_store_item(store, column, row, &item));
			assert_memory_equal((char *)items + row * width, &item, width);
			continue;
		}
		LT_TRY(lt_store_list(store, column, row, &list, &length));
		assert_int_equal(length, first[row + 1] - first[row]);
		if (length > 0)
			assert_memory_equal((char *)items + first[row] * width, list,
					    length * width);
	}
	return LT_OK;
}

static enum lt_status read_all(struct lt_store *store, uint64_t *digest)
{
	int64_t pid = 0;
	if (!lt_store_meta_integer(store, "pid", &pid))
		pid = -1;
	fold(digest, &pid, sizeof(pid));
	LT_TRY(read_column(store, "address", 8, false, digest));
	LT_TRY(read_column(store, "targets", 4, true, digest));
	LT_TRY(read_column(store, "flags", 1, false, digest));
	struct lt_store_cursor *cursor = NULL;
	LT_TRY(lt_store_select(store, "SELECT id, name FROM types ORDER BY id", NULL, 0, &cursor));
	bool more = true;
	enum lt_status status = lt_store_next(cursor, &more);
	while (status == LT_OK && more) {
		int64_t id = lt_store_get_integer(cursor, 0);
		const char *name = lt_store_get_text(cursor, 1);
		fold(digest, &id, sizeof(id));
		if (name != NULL)
			fold(digest, name, strlen(name));
		status = lt_store_next(cursor, &more);
	}
	lt_store_cursor_close(cursor);
	return status;
}

/* Everything that a file says, as one number; a failure has a sentence and is LT_E_FILE. */
static enum lt_status digest_of(const char *of, uint64_t *ret_digest, char message[512])
{
	struct lt_session session;
	struct lt_store *store = NULL;
	uint64_t digest = 0;
	lt_session_init(&session);
	enum lt_status status = lt_store_open(&session, of, SCHEMA, &store);
	if (status == LT_OK) {
		status = read_all(store, &digest);
		lt_store_close(store);
	}
	if (status != LT_OK && (status != LT_E_FILE || session.message[0] == '\0'))
		fail_msg("%s: %s", lt_status_name(status), session.message);
	if (message != NULL)
		strcpy(message, session.message);
	lt_session_deinit(&session);
	*ret_digest = digest;
	return status;
}

static void put_file(const char *to, const void *bytes, size_t length)
{
	LT_CLOSE int fd = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, length), (ssize_t)length);
}

static unsigned names_in_folder(void)
{
	unsigned count = 0;
	DIR *names = opendir(folder);
	assert_non_null(names);
	for (struct dirent *entry; (entry = readdir(names)) != NULL;)
		count += entry->d_name[0] != '.';
	closedir(names);
	return count;
}

static int make_good_file(void **state)
{
	(void)state;
	struct lt_session session;
	struct stat found;
	char message[512];
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/good.tide", folder);
	snprintf(copy_path, sizeof(copy_path), "%s/copy.tide", folder);
	snprintf(unfinished_path, sizeof(unfinished_path), "%s.unfinished", copy_path);
	lt_session_init(&session);
	if (write_to(&session, path, SCHEMA) != LT_OK) {
		print_error("%s\n", session.message);
		return -1;
	}
	lt_session_deinit(&session);
	LT_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &found) != 0)
		return -1;
	good_length = (size_t)found.st_size;
	good = malloc(good_length);
	if (good == NULL || read(fd, good, good_length) != (ssize_t)good_length)
		return -1;
	return digest_of(path, &good_digest, message) == LT_OK ? 0 : -1;
}

static int remove_all(void **state)
{
	(void)state;
	unlink(path);
	unlink(copy_path);
	unlink(unfinished_path);
	free(good);
	return rmdir(folder);
}

static void expect_failure(const char *words)
{
	uint64_t digest;
	char message[512];
	assert_int_equal(digest_of(copy_path, &digest, message), LT_E_FILE);
	if (strstr(message, words) == NULL)
		fail_msg("'%s' is not in: %s", words, message);
}

static void test_cut_off(void **state)
{
	(void)state;
	for (size_t length = 0; length < good_length; length += 4096) {
		put_file(copy_path, good, length);
		expect_failure(length == 0 ? "it is empty" : "it is cut off");
	}
	for (size_t length = 1; length <= 100; length += 3) {
		put_file(copy_path, good, length);
		expect_failure(copy_path);
	}
	put_file(copy_path, good, good_length - 1);
	expect_failure("it is cut off");
	LT_FREE unsigned char *longer = calloc(1, good_length + LT_PAGE_BYTES);
	memcpy(longer, good, good_length);
	put_file(copy_path, longer, good_length + 1);
	expect_failure("should have");
	put_file(copy_path, longer, good_length + LT_PAGE_BYTES);
	expect_failure("should have");
}

/* A byte is another one: found, or what it was in is of no account. */
static void check_flip(size_t at, unsigned char change)
{
	uint64_t digest;
	LT_CLOSE int fd = open(copy_path, O_RDWR | O_CLOEXEC);
	unsigned char byte = good[at] ^ change;
	assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
	if (digest_of(copy_path, &digest, NULL) == LT_OK && digest != good_digest)
		fail_msg("byte %zu: another answer", at);
	assert_int_equal(pwrite(fd, &good[at], 1, (off_t)at), 1);
}

static void test_flipped_bytes(void **state)
{
	(void)state;
	put_file(copy_path, good, good_length);
	for (size_t at = 0; at < 120; at++)
		check_flip(at, (unsigned char)(1u << noise(at) % 8));
	for (size_t page = 0; page < good_length / LT_PAGE_BYTES; page++) {
		size_t start = page * LT_PAGE_BYTES;
		for (uint64_t i = 0; i < 12; i++)
			check_flip(start + noise(page * 100 + i) % LT_PAGE_BYTES,
				   (unsigned char)(1 + noise(i + page) % 255));
		check_flip(start, 0x01);
		check_flip(start + LT_PAGE_BYTES - 1, 0x80);
		check_flip(start + LT_PAGE_BYTES - LT_PAGE_RESERVED, 0x80);
	}
	uint64_t digest;
	assert_int_equal(digest_of(copy_path, &digest, NULL), LT_OK);
	assert_true(digest == good_digest);
}

static void test_pages_of_other_places(void **state)
{
	(void)state;
	size_t pages = good_length / LT_PAGE_BYTES;
	LT_FREE unsigned char *bytes = malloc(good_length);
	for (size_t page = 1; page + 1 < pages; page++) {
		uint64_t digest;
		memcpy(bytes, good, good_length);
		memcpy(bytes + page * LT_PAGE_BYTES, good + (page + 1) * LT_PAGE_BYTES,
		       LT_PAGE_BYTES);
		memcpy(bytes + (page + 1) * LT_PAGE_BYTES, good + page * LT_PAGE_BYTES,
		       LT_PAGE_BYTES);
		put_file(copy_path, bytes, good_length);
		assert_int_equal(digest_of(copy_path, &digest, NULL), LT_E_FILE);
		/* A page of zeros, as a file system leaves them after a power cut. */
		memcpy(bytes, good, good_length);
		memset(bytes + page * LT_PAGE_BYTES, 0, LT_PAGE_BYTES);
		put_file(copy_path, bytes, good_length);
		assert_int_equal(digest_of(copy_path, &digest, NULL), LT_E_FILE);
	}
	/* Halves of two files of the same content, each intact. */
	struct lt_session session;
	lt_session_init(&session);
	assert_int_equal(write_to(&session, copy_path, SCHEMA), LT_OK);
	LT_CLOSE int fd = open(copy_path, O_RDWR | O_CLOEXEC);
	size_t half = pages / 2 * LT_PAGE_BYTES;
	assert_int_equal(pwrite(fd, good + half, good_length - half, (off_t)half),
			 (ssize_t)(good_length - half));
	expect_failure("does not match its checksum");
	lt_session_deinit(&session);
}

static void test_foreign_files(void **state)
{
	(void)state;
	static const char png[] = "\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
	put_file(copy_path, "", 0);
	expect_failure("it is empty");
	put_file(copy_path, "What a nice day.\n", 17);
	expect_failure("it is no SQLite database");
	put_file(copy_path, png, sizeof(png));
	expect_failure("it is no SQLite database");
	LT_FREE char *zeros = calloc(1, 100000);
	put_file(copy_path, zeros, 100000);
	expect_failure("it is no SQLite database");
	unlink(copy_path);
	sqlite3 *db = NULL;
	assert_int_equal(sqlite3_open(copy_path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "CREATE TABLE meta (key, value)", NULL, NULL, NULL),
			 SQLITE_OK);
	sqlite3_close(db);
	expect_failure("an SQLite database of another program");
	unlink(copy_path);
	expect_failure("there is no file");
	uint64_t digest;
	char message[512];
	assert_int_equal(digest_of(folder, &digest, message), LT_E_FILE);
	assert_non_null(strstr(message, "it is a folder"));
	assert_int_equal(digest_of("/dev/null", &digest, message), LT_E_FILE);
	assert_int_equal(mkfifo(copy_path, 0600), 0);
	expect_failure("it is no regular file");
	unlink(copy_path);
}

static void test_newer_schema(void **state)
{
	(void)state;
	struct lt_session session;
	struct lt_store *store = NULL;
	lt_session_init(&session);
	assert_int_equal(write_to(&session, copy_path, SCHEMA + 1), LT_OK);
	expect_failure("its schema is 3, this lowtide " LT_VERSION " reads up to 2");
	assert_int_equal(lt_store_open(&session, copy_path, SCHEMA, &store), LT_E_FILE);
	assert_string_equal(session.remedy, "Use lowtide " LT_VERSION " or later.");
	lt_session_deinit(&session);
	lt_session_init(&session);
	assert_int_equal(lt_store_open(&session, path, SCHEMA + 1, &store), LT_OK);
	lt_store_close(store);
	lt_session_deinit(&session);
}

/* Changes a copy with SQL; what SQLite writes has no checksums, unless they are made anew. */
static void change(const char *sql, bool seal)
{
	sqlite3 *db = NULL;
	char *error = NULL;
	put_file(copy_path, good, good_length);
	assert_int_equal(sqlite3_open(copy_path, &db), SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, &error) != SQLITE_OK)
		fail_msg("%s: %s", sql, error);
	sqlite3_close(db);
	if (!seal)
		return;
	LT_CLOSE int fd = open(copy_path, O_RDWR | O_CLOEXEC);
	assert_int_equal(lt_pages_seal(fd, 99), 0);
}

static void test_changed_by_others(void **state)
{
	(void)state;
	change("UPDATE meta SET value = 8 WHERE key = 'pid'", false);
	expect_failure("does not match its checksum");
	change("PRAGMA journal_mode = WAL; CREATE TABLE x (y)", false);
	expect_failure("copy.tide is damaged");
}

/* The checksums of the pages are right, the content is not. */
static void test_forged(void **state)
{
	static const struct {
		const char *sql;
		const char *words;
	} cases[] = {
		{"DELETE FROM meta WHERE key = 'complete'", "its writer did not complete it"},
		{"UPDATE meta SET value = 'yes' WHERE key = 'complete'", "did not complete it"},
		{"DROP TABLE meta", "no such table"},
		{"DROP TABLE meta; CREATE VIEW meta AS SELECT 'complete' AS key, 1 AS value",
		 "is damaged"},
		{"PRAGMA user_version = 0", "it has no schema"},
		{"DELETE FROM chunks WHERE first > 0 AND column_id = 0", "a chunk is missing"},
		{"DELETE FROM chunks WHERE first = 0 AND column_id = 1", "out of place"},
		{"DELETE FROM pieces WHERE id = 2", "a chunk is missing"},
		{"UPDATE pieces SET data = (SELECT data FROM pieces WHERE id = 1) WHERE id = 2",
		 "a chunk does not match its checksum"},
		{"UPDATE pieces SET id = -id; UPDATE pieces SET id = 1 WHERE id = -2; "
		 "UPDATE pieces SET id = 2 WHERE id = -1",
		 "is damaged"},
		{"UPDATE pieces SET data = x'' WHERE id = 1", "is damaged"},
		{"UPDATE pieces SET data = 'text' WHERE id = 3", "is damaged"},
		{"UPDATE pieces SET data = zeroblob(2000000) WHERE id = 3", "is damaged"},
		{"UPDATE chunks SET checksum = 0 WHERE piece = 1", "does not match its checksum"},
		{"UPDATE chunks SET before = 5 WHERE stream = 1", "is damaged"},
		{"UPDATE chunks SET column_id = 77", "the table of its chunks makes no sense"},
		{"UPDATE chunks SET first = 'x'", "the table of its chunks makes no sense"},
		{"UPDATE chunks SET count = 1000000000", "out of place"},
		{"UPDATE columns SET row_count = 1000000000000000", "is damaged"},
		{"UPDATE columns SET item_count = 9000000000000 WHERE lists = 1", "is damaged"},
		{"UPDATE columns SET row_count = -1", "the table of its columns makes no sense"},
		{"UPDATE columns SET width = 3", "the table of its columns makes no sense"},
		{"UPDATE columns SET coding = 9", "the table of its columns makes no sense"},
		{"UPDATE columns SET name = 'other' WHERE id = 0", "it has no column address"},
		{"UPDATE columns SET name = printf('%.*c', 1000, 'x')",
		 "the table of its columns makes no sense"},
		{"UPDATE columns SET id = id + 1000", "the table of its columns makes no sense"},
		{"UPDATE columns SET lists = 1 - lists", "is damaged"},
		{"DROP TABLE types", "no such table"},
		{"PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = 'nonsense'",
		 "is damaged"},
		{"PRAGMA writable_schema = ON; UPDATE sqlite_schema SET rootpage = 1000000",
		 "is damaged"},
		{"PRAGMA writable_schema = ON; UPDATE sqlite_schema SET rootpage = 2",
		 "is damaged"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		change(cases[i].sql, true);
		expect_failure(cases[i].words);
	}
}

/* Runs `child` in a process of its own, which ends by itself, and returns how. */
static int in_child(void (*child)(void))
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		child();
		_exit(0);
	}
	int status = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static struct lt_store_writer *begin_copy(struct lt_session *session)
{
	struct lt_store_writer *writer = NULL;
	lt_session_init(session);
	if (lt_store_create(session, copy_path, SCHEMA, &writer) != LT_OK)
		_exit(9);
	return writer;
}

static void killed_writer(void)
{
	struct lt_session session;
	struct lt_store_writer *writer = begin_copy(&session);
	if (put_all(writer) == LT_OK)
		raise(SIGKILL);
}

static void ended_writer(void)
{
	struct lt_session session;
	struct lt_store_writer *writer = begin_copy(&session);
	if (put_all(writer) == LT_OK)
		raise(SIGTERM);
}

static void test_ended_writers(void **state)
{
	(void)state;
	struct lt_session session;
	uint64_t digest;
	lt_session_init(&session);
	put_file(copy_path, good, good_length);
	int status = in_child(ended_writer);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	assert_int_equal(access(unfinished_path, F_OK), -1);
	status = in_child(killed_writer);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	/* It left something, which the next writer takes away; the file itself was never touched. */
	assert_int_equal(access(unfinished_path, F_OK), 0);
	assert_int_equal(digest_of(copy_path, &digest, NULL), LT_OK);
	assert_true(digest == good_digest);
	assert_int_equal(write_to(&session, copy_path, SCHEMA), LT_OK);
	assert_int_equal(access(unfinished_path, F_OK), -1);
	assert_int_equal(digest_of(copy_path, &digest, NULL), LT_OK);
	assert_true(digest == good_digest);
	lt_session_deinit(&session);
}

static void test_second_writer(void **state)
{
	(void)state;
	struct lt_session first, second;
	struct lt_store_writer *writer = NULL, *other = NULL;
	uint64_t digest;
	lt_session_init(&first);
	lt_session_init(&second);
	unlink(copy_path);
	assert_int_equal(lt_store_create(&first, copy_path, SCHEMA, &writer), LT_OK);
	assert_int_equal(lt_store_create(&second, copy_path, SCHEMA, &other), LT_E_FILE);
	assert_non_null(strstr(second.message, "another lowtide is writing"));
	assert_true(second.remedy[0] != '\0');
	assert_int_equal(put_all(writer), LT_OK);
	assert_int_equal(access(copy_path, F_OK), -1);
	assert_int_equal(lt_store_commit(writer), LT_OK);
	assert_int_equal(digest_of(copy_path, &digest, NULL), LT_OK);
	assert_true(digest == good_digest);
	assert_int_equal(names_in_folder(), 2);
	lt_session_deinit(&first);
	lt_session_deinit(&second);
}

static void refuse(const char *to, const char *words)
{
	struct lt_session session;
	struct lt_store_writer *writer = NULL;
	lt_session_init(&session);
	assert_int_equal(lt_store_create(&session, to, SCHEMA, &writer), LT_E_FILE);
	if (strstr(session.message, words) == NULL)
		fail_msg("'%s' is not in: %s", words, session.message);
	lt_session_deinit(&session);
}

static void unprivileged_writer(void)
{
	struct lt_session session;
	struct lt_store_writer *writer = NULL;
	lt_session_init(&session);
	if ((geteuid() == 0 && setresuid(NOBODY, NOBODY, NOBODY) != 0) ||
	    lt_store_create(&session, copy_path, SCHEMA, &writer) != LT_E_FILE ||
	    strstr(session.message, "Permission denied") == NULL)
		_exit(1);
}

static void test_not_writable(void **state)
{
	(void)state;
	char other[128];
	refuse("", "No such file");
	refuse("/dev/null", "is no regular file");
	refuse(folder, "is a folder");
	refuse("/nosuch/folder/a.tide", "No such file");
	snprintf(other, sizeof(other), "%s/a.tide", path);
	refuse(other, "Not a directory");
	/* A file of somebody under the name of an unfinished one stays as it is. */
	put_file(unfinished_path, "my notes, do not touch", 22);
	refuse(copy_path, "is in the way");
	struct stat found;
	assert_int_equal(stat(unfinished_path, &found), 0);
	assert_int_equal(found.st_size, 22);
	unlink(unfinished_path);
	assert_int_equal(symlink(path, unfinished_path), 0);
	refuse(copy_path, "is in the way");
	unlink(unfinished_path);
	assert_int_equal(chmod(folder, 0555), 0);
	assert_int_equal(in_child(unprivileged_writer), 0);
	assert_int_equal(chmod(folder, 0700), 0);
}

/* Writes with a limit on the size of files, which acts as a full disk does; exits with 0 when all is as it should. */
static void limited_writer(void)
{
	struct lt_session session;
	signal(SIGXFSZ, SIG_IGN);
	for (size_t limit = 0; limit < good_length; limit += 1 + good_length / 12) {
		struct rlimit bound = {limit, RLIM_INFINITY};
		lt_session_init(&session);
		if (setrlimit(RLIMIT_FSIZE, &bound) != 0)
			_exit(1);
		if (write_to(&session, copy_path, SCHEMA) != LT_E_FILE)
			_exit(2);
		if (strstr(session.message, "cannot write") == NULL)
			_exit(3);
		if (access(unfinished_path, F_OK) == 0)
			_exit(4);
		lt_session_deinit(&session);
	}
}

static void test_full_disk(void **state)
{
	(void)state;
	uint64_t digest;
	put_file(copy_path, good, good_length);
	int status = in_child(limited_writer);
	assert_int_equal(status, 0);
	assert_int_equal(digest_of(copy_path, &digest, NULL), LT_OK);
	assert_true(digest == good_digest);
}

static void test_removed_while_written(void **state)
{
	(void)state;
	struct lt_session session;
	struct lt_store_writer *writer = NULL;
	lt_session_init(&session);
	unlink(copy_path);
	assert_int_equal(lt_store_create(&session, copy_path, SCHEMA, &writer), LT_OK);
	assert_int_equal(put_all(writer), LT_OK);
	assert_int_equal(unlink(unfinished_path), 0);
	put_file(unfinished_path, "x", 1);
	assert_int_equal(lt_store_commit(writer), LT_E_FILE);
	assert_int_equal(access(copy_path, F_OK), -1);
	assert_int_equal(access(unfinished_path, F_OK), 0);
	unlink(unfinished_path);
	lt_session_deinit(&session);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cut_off),
		cmocka_unit_test(test_flipped_bytes),
		cmocka_unit_test(test_pages_of_other_places),
		cmocka_unit_test(test_foreign_files),
		cmocka_unit_test(test_newer_schema),
		cmocka_unit_test(test_changed_by_others),
		cmocka_unit_test(test_forged),
		cmocka_unit_test(test_ended_writers),
		cmocka_unit_test(test_second_writer),
		cmocka_unit_test(test_not_writable),
		cmocka_unit_test(test_full_disk),
		cmocka_unit_test(test_removed_while_written),
	};
	return cmocka_run_group_tests(tests, make_good_file, remove_all);
}
