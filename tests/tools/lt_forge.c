/*
 * lt_forge.c: snapshot files that lie, with all checksums right. Each round copies a good file through the writer, with
 * some values of its columns and tables changed, and asks for everything that a file can be asked. Whatever it says, the
 * analyses end, stay in bounds, and give an answer or a failure with a sentence.
 *
 *     lt_forge GOOD SCRATCH ROUNDS SEED
 */
#include "analysis/census.h"
#include "analysis/query.h"
#include "analysis/retained.h"
#include "analysis/subject.h"
#include "analysis/tide.h"
#include "base/cleanup.h"
#include "store/store.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

enum { VALUES_MAX = 64, NAME_MAX_BYTES = 64 };

static uint64_t random_state;

static uint64_t next_random(void)
{
	/* splitmix64 (Steele, Lea, Flood 2014). */
	uint64_t z = random_state += 0x9e3779b97f4a7c15u;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static void need(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "%s\n", what);
	abort();
}

/* A number that is nearly right, or as wrong as can be. */
static uint64_t forged(uint64_t value)
{
	switch (next_random() % 8) {
	case 0:
		return 0;
	case 1:
		return UINT64_MAX;
	case 2:
		return UINT32_MAX;
	case 3:
		return INT64_MAX;
	case 4:
		return value + 1;
	case 5:
		return value - 1;
	case 6:
		return next_random() % 1000;
	default:
		return next_random();
	}
}

static void forge_items(unsigned char *items, uint64_t count, unsigned width)
{
	for (uint64_t left = count == 0 ? 0 : 1 + next_random() % 20; left > 0; left--) {
		unsigned char *item = items + next_random() % count * width;
		uint64_t value = 0;
		memcpy(&value, item, width);
		value = forged(value);
		memcpy(item, &value, width);
	}
}

/* `chance`: one column or table in so many is changed. */
static enum lt_status copy_column(struct lt_store *store, struct lt_store_writer *writer,
				  const struct lt_store_spec *spec, unsigned chance)
{
	uint32_t from, to;
	LT_FREE uint64_t *first = NULL;
	LT_FREE void *items = NULL;
	LT_TRY(lt_store_column(store, spec->name, spec->width, spec->lists, &from));
	LT_TRY(lt_store_put_column(writer, spec, &to));
	uint64_t rows = lt_store_rows(store, from), count = lt_store_items(store, from);
	LT_TRY(spec->lists ? lt_store_read_lists(store, from, &first, &items)
			   : lt_store_read_items(store, from, &items));
	bool change = next_random() % chance == 0;
	/* Sometimes a row is missing, sometimes there is one too many. */
	uint64_t kept = change && rows > 0 && next_random() % 8 == 0 ? rows - 1 : rows;
	if (change)
		forge_items(items, count, spec->width);
	if (!spec->lists)
		return lt_store_put_items(writer, to, items, kept);
	for (uint64_t row = 0; row < kept; row++) {
		uint64_t length = first[row + 1] - first[row];
		if (change && length > 0 && next_random() % (rows + 1) < 4)
			length--;
		LT_TRY(lt_store_put_list(
			writer, to, (unsigned char *)items + first[row] * spec->width, length));
	}
	return LT_OK;
}

static enum lt_status copy_columns(struct lt_store *store, struct lt_store_writer *writer,
				   unsigned chance)
{
	struct lt_store_cursor *cursor = NULL;
	bool more = false;
	LT_TRY(lt_store_select(store, "SELECT name, width, lists, coding FROM columns", NULL, 0,
			       &cursor));
	enum lt_status status = lt_store_next(cursor, &more);
	while (status == LT_OK && more) {
		char name[NAME_MAX_BYTES];
		snprintf(name, sizeof(name), "%s", lt_store_get_text(cursor, 0));
		struct lt_store_spec spec = {name, (unsigned)lt_store_get_integer(cursor, 1),
					     lt_store_get_integer(cursor, 2) != 0,
					     (enum lt_store_coding)lt_store_get_integer(cursor, 3)};
		status = copy_column(store, writer, &spec, chance);
		if (status == LT_OK)
			status = lt_store_next(cursor, &more);
	}
	lt_store_cursor_close(cursor);
	return status;
}

static struct lt_store_value value_of(sqlite3_stmt *row, int column, bool change)
{
	int type = sqlite3_column_type(row, column);
	if (change && next_random() % 40 == 0)
		return next_random() % 4 == 0
			       ? lt_store_null()
			       : lt_store_integer((int64_t)forged(
					 (uint64_t)sqlite3_column_int64(row, column)));
	if (type == SQLITE_INTEGER)
		return lt_store_integer(sqlite3_column_int64(row, column));
	if (type == SQLITE_FLOAT)
		return lt_store_real(sqlite3_column_double(row, column));
	return lt_store_text((const char *)sqlite3_column_text(row, column));
}

/* `table` UINT32_MAX: facts. */
static enum lt_status copy_rows(sqlite3 *db, const char *name, struct lt_store_writer *writer,
				uint32_t table, unsigned chance)
{
	char sql[128];
	sqlite3_stmt *rows = NULL;
	enum lt_status status = LT_OK;
	bool change = next_random() % chance == 0;
	snprintf(sql, sizeof(sql), "SELECT * FROM %.60s", name);
	need(sqlite3_prepare_v2(db, sql, -1, &rows, NULL) == SQLITE_OK, sql);
	int columns = sqlite3_column_count(rows);
	need(columns <= VALUES_MAX, name);
	while (status == LT_OK && sqlite3_step(rows) == SQLITE_ROW) {
		struct lt_store_value values[VALUES_MAX];
		for (int i = 0; i < columns; i++)
			/* A table has each key once. */
			values[i] = value_of(rows, i, change && i > 0);
		if (table != UINT32_MAX)
			status = lt_store_put_row(writer, table, values, (size_t)columns);
		else if (strcmp(values[0].text, "complete") != 0 &&
			 strcmp(values[0].text, "lowtide") != 0)
			status = lt_store_put_meta(writer, values[0].text, values[1]);
	}
	sqlite3_finalize(rows);
	return status;
}

static enum lt_status copy_tables(sqlite3 *db, struct lt_store_writer *writer, unsigned chance)
{
	sqlite3_stmt *tables = NULL;
	enum lt_status status = LT_OK;
	need(sqlite3_prepare_v2(db,
				"SELECT name, substr(sql, 14) FROM sqlite_schema WHERE type = "
				"'table' AND name NOT IN ('meta', 'columns', 'chunks', 'pieces')",
				-1, &tables, NULL) == SQLITE_OK,
	     "no schema");
	while (status == LT_OK && sqlite3_step(tables) == SQLITE_ROW) {
		uint32_t table;
		const char *name = (const char *)sqlite3_column_text(tables, 0);
		status = lt_store_put_table(writer, (const char *)sqlite3_column_text(tables, 1),
					    &table);
		if (status == LT_OK)
			status = copy_rows(db, name, writer, table, chance);
	}
	sqlite3_finalize(tables);
	return status != LT_OK ? status : copy_rows(db, "meta", writer, UINT32_MAX, chance);
}

static enum lt_status forge(struct lt_session *session, const char *good, const char *scratch)
{
	struct lt_store *store = NULL;
	struct lt_store_writer *writer = NULL;
	unsigned chance = next_random() % 3 == 0 ? 3 : 12;
	LT_TRY(lt_store_open(session, good, LT_TIDE_SCHEMA, &store));
	enum lt_status status = lt_store_create(session, scratch, LT_TIDE_SCHEMA, &writer);
	if (status == LT_OK)
		status = copy_columns(store, writer, chance);
	if (status == LT_OK)
		status = copy_tables(lt_store_database(store), writer, chance);
	lt_store_close(store);
	if (status == LT_OK)
		return lt_store_commit(writer);
	lt_store_abandon(writer);
	return status;
}

static enum lt_status query(struct lt_subject *subject, const char *sql)
{
	LT_CLEANUP(lt_query_result_deinit) struct lt_query_result result = {0};
	struct lt_query *prepared = NULL;
	LT_TRY(lt_query_prepare(subject->session, sql, &prepared));
	enum lt_status status = lt_query_run(prepared, subject, 0, &result);
	lt_query_destroy(prepared);
	return status;
}

static enum lt_status composition(struct lt_subject *subject, bool all)
{
	LT_CLEANUP(lt_composition_deinit) struct lt_composition found = {0};
	return lt_composition_take(subject, all, &found);
}

static enum lt_status retained(struct lt_subject *subject, size_t depth)
{
	LT_CLEANUP(lt_retained_deinit) struct lt_retained found = {0};
	const struct lt_retained_options options = {.depth = depth};
	return lt_retained_take(subject, &options, &found);
}

static enum lt_status ask_all(struct lt_subject *subject)
{
	LT_TRY(composition(subject, true));
	LT_TRY(composition(subject, false));
	LT_TRY(retained(subject, 0));
	LT_TRY(query(subject, "SELECT count(label), sum(position / 2.0), count(target) FROM refs"));
	LT_TRY(query(subject, "SELECT * FROM roots"));
	LT_TRY(query(subject, "SELECT * FROM types"));
	LT_TRY(query(subject, "SELECT count(type), count(module), sum(size / 2.0), sum(refcount / "
			      "2.0), sum(length / 2.0), count(name), count(flags) FROM objects"));
	LT_TRY(retained(subject, 9));
	return query(subject, "SELECT sum(retained / 2.0), count(dominator) FROM objects");
}

/* True when all of it was answered. */
static bool ask(const char *path, uint64_t seed)
{
	struct lt_session session;
	struct lt_subject *subject = NULL;
	const struct lt_look_options options = {0};
	lt_session_init(&session);
	enum lt_status status = lt_subject_open(&session, path, &options, &subject);
	if (status == LT_OK)
		status = ask_all(subject);
	lt_subject_close(subject);
	if (status != LT_OK && status != LT_E_FILE && status != LT_E_NO_MEMORY)
		fprintf(stderr, "seed %llu: %s: %s\n", (unsigned long long)seed,
			lt_status_name(status), session.message);
	need(status == LT_OK || status == LT_E_FILE || status == LT_E_NO_MEMORY, "another failure");
	need(status == LT_OK || session.message[0] != '\0', "no sentence");
	lt_session_deinit(&session);
	return status == LT_OK;
}

int main(int argc, char **argv)
{
	need(argc == 5, "lt_forge GOOD SCRATCH ROUNDS SEED");
	uint64_t rounds = strtoull(argv[3], NULL, 10), seed = strtoull(argv[4], NULL, 10);
	uint64_t answered = 0;
	need(ask(argv[1], 0), "the good file is not good");
	for (uint64_t round = 0; round < rounds; round++) {
		struct lt_session session;
		random_state = seed + round;
		lt_session_init(&session);
		if (forge(&session, argv[1], argv[2]) != LT_OK) {
			/* Not every change can be written: a number that is there twice. */
			lt_session_deinit(&session);
			continue;
		}
		lt_session_deinit(&session);
		answered += ask(argv[2], seed + round);
	}
	printf("%llu of %llu answered\n", (unsigned long long)answered, (unsigned long long)rounds);
	return 0;
}
