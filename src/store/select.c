/* Rows of the tables of an open file. */
#include "store/reader.h"

#include <string.h>

struct lt_store_cursor {
	struct lt_store *store;
	sqlite3_stmt *statement;
	uint64_t rows;
};

enum lt_status lt_store_select(struct lt_store *store, const char *sql,
			       const struct lt_store_value *values, size_t count,
			       struct lt_store_cursor **ret_cursor)
{
	struct lt_store_cursor *cursor = calloc(1, sizeof(*cursor));
	if (cursor == NULL)
		return lt_fail_memory(store->session);
	cursor->store = store;
	int code = sqlite3_prepare_v2(store->db, sql, -1, &cursor->statement, NULL);
	for (size_t i = 0; i < count && code == SQLITE_OK; i++) {
		int at = (int)i + 1;
		const struct lt_store_value *value = &values[i];
		if (value->type == LT_STORE_INTEGER)
			code = sqlite3_bind_int64(cursor->statement, at, value->integer);
		else if (value->type == LT_STORE_REAL)
			code = sqlite3_bind_double(cursor->statement, at, value->real);
		else if (value->type == LT_STORE_TEXT)
			code = sqlite3_bind_text(cursor->statement, at, value->text, -1,
						 SQLITE_TRANSIENT);
	}
	if (code == SQLITE_OK) {
		*ret_cursor = cursor;
		return LT_OK;
	}
	enum lt_status status = lt_store_failure(store, code, LT_E_FILE);
	lt_store_cursor_close(cursor);
	return status;
}

enum lt_status lt_store_next(struct lt_store_cursor *cursor, bool *ret_more)
{
	int code = sqlite3_step(cursor->statement);
	/* A row takes at least a byte of the file: a tree that bites its tail ends here. */
	if (code == SQLITE_ROW && ++cursor->rows > cursor->store->pages.bytes)
		return lt_store_damaged(cursor->store,
					"a table has more rows than the file has room for");
	if (code != SQLITE_ROW && code != SQLITE_DONE)
		return lt_store_failure(cursor->store, code, LT_E_FILE);
	*ret_more = code == SQLITE_ROW;
	return LT_OK;
}

static bool is(struct lt_store_cursor *cursor, unsigned index, int type)
{
	return sqlite3_column_type(cursor->statement, (int)index) == type;
}

bool lt_store_is_null(struct lt_store_cursor *cursor, unsigned index)
{
	return is(cursor, index, SQLITE_NULL);
}

int64_t lt_store_get_integer(struct lt_store_cursor *cursor, unsigned index)
{
	return is(cursor, index, SQLITE_INTEGER)
		       ? sqlite3_column_int64(cursor->statement, (int)index)
		       : 0;
}

double lt_store_get_real(struct lt_store_cursor *cursor, unsigned index)
{
	return is(cursor, index, SQLITE_FLOAT) || is(cursor, index, SQLITE_INTEGER)
		       ? sqlite3_column_double(cursor->statement, (int)index)
		       : 0;
}

const char *lt_store_get_text(struct lt_store_cursor *cursor, unsigned index)
{
	if (is(cursor, index, SQLITE_NULL))
		return NULL;
	const char *text =
		is(cursor, index, SQLITE_TEXT)
			? (const char *)sqlite3_column_text(cursor->statement, (int)index)
			: NULL;
	return text != NULL ? text : "";
}

void lt_store_cursor_close(struct lt_store_cursor *cursor)
{
	if (cursor == NULL)
		return;
	sqlite3_finalize(cursor->statement);
	free(cursor);
}
