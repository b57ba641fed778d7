#include "analysis/query.h"

#include "analysis/query_tables.h"
#include "base/cleanup.h"

#include <ctype.h>
#include <string.h>

enum {
	COLUMNS_MOST = 64,
	TEXT_MOST = 1 << 20,    /* bytes of a value */
	VALUES_MOST = 20000000, /* of a result */
	QUERY_MOST = 1000000,   /* bytes of a query */
	SHOWN = 60,             /* bytes of the query that a failure shows */
};

struct lt_query {
	struct lt_query_scope scope;
	sqlite3 *db;
	sqlite3_stmt *statement;
};

/* A query reads its tables and calls functions; everything else is refused when it is read. */
static int authorize(void *context, int action, const char *first, const char *second,
		     const char *database, const char *inner)
{
	(void)context;
	(void)first;
	(void)database;
	(void)inner;
	switch (action) {
	case SQLITE_SELECT:
	case SQLITE_READ:
	case SQLITE_RECURSIVE:
		return SQLITE_OK;
	case SQLITE_FUNCTION:
		return second != NULL && strcmp(second, "load_extension") == 0 ? SQLITE_DENY
									       : SQLITE_OK;
	default:
		return SQLITE_DENY;
	}
}

/* The sentence of SQLite, and the place in the query where it is known. */
static enum lt_status wrong(struct lt_query *query, const char *sql, int code)
{
	struct lt_session *session = query->scope.session;
	if ((code & 0xff) == SQLITE_NOMEM)
		return lt_fail_memory(session);
	int at = -1;
#if SQLITE_VERSION_NUMBER >= 3038000
	at = sqlite3_error_offset(query->db);
#endif
	lt_remedy(session, "The tables are objects, refs, types and roots; 'lowtide help sql' has "
			   "their columns.");
	if ((code & 0xff) == SQLITE_AUTH)
		return lt_fail(session, LT_E_USAGE,
			       "the query is refused: a query can only read objects, refs, types "
			       "and roots");
	if (at < 0 || (size_t)at >= strlen(sql))
		return lt_fail(session, LT_E_USAGE, "the query is wrong: %.300s",
			       sqlite3_errmsg(query->db));
	return lt_fail(session, LT_E_USAGE,
		       "the query is wrong at character %d, before '%.*s': %.300s", at + 1, SHOWN,
		       sql + at, sqlite3_errmsg(query->db));
}

static enum lt_status open_empty(struct lt_query *query)
{
	int code = sqlite3_open_v2(":memory:", &query->db,
				   SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX |
					   SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_MEMORY,
				   NULL);
	if (code == SQLITE_OK)
		code = sqlite3_exec(query->db, "PRAGMA temp_store = MEMORY", NULL, NULL, NULL);
	if (code == SQLITE_OK)
		code = lt_query_tables_add(query->db, &query->scope);
	/* Tables are declared when a query names them first, which is more than a query of the user may do. */
	sqlite3_stmt *all = NULL;
	if (code == SQLITE_OK)
		code = sqlite3_prepare_v2(query->db, "SELECT 1 FROM objects, refs, types, roots",
					  -1, &all, NULL);
	sqlite3_finalize(all);
	if (code != SQLITE_OK)
		return lt_fail(query->scope.session, LT_E_INTERNAL, "SQLite does not start: %.200s",
			       sqlite3_errstr(code));
	sqlite3_extended_result_codes(query->db, 1);
	sqlite3_db_config(query->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(query->db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
	sqlite3_limit(query->db, SQLITE_LIMIT_LENGTH, TEXT_MOST);
	sqlite3_limit(query->db, SQLITE_LIMIT_SQL_LENGTH, QUERY_MOST);
	sqlite3_limit(query->db, SQLITE_LIMIT_ATTACHED, 0);
	sqlite3_limit(query->db, SQLITE_LIMIT_COLUMN, COLUMNS_MOST);
	sqlite3_set_authorizer(query->db, authorize, NULL);
	return LT_OK;
}

static enum lt_status read_query(struct lt_query *query, const char *sql)
{
	const char *rest = NULL;
	int code = sqlite3_prepare_v2(query->db, sql, -1, &query->statement, &rest);
	if (code != SQLITE_OK)
		return wrong(query, sql, code);
	while (rest != NULL && isspace((unsigned char)*rest))
		rest++;
	if (query->statement == NULL) {
		lt_remedy(query->scope.session,
			  "Write for example: lowtide sql PID \"SELECT * FROM types LIMIT 10\".");
		return lt_fail(query->scope.session, LT_E_USAGE, "the query is empty");
	}
	if (rest != NULL && *rest != '\0') {
		lt_remedy(query->scope.session, "Give one query at a time.");
		return lt_fail(query->scope.session, LT_E_USAGE,
			       "there is more after the query: '%.*s'", SHOWN, rest);
	}
	/* What is refused only when it runs, as VACUUM. */
	return sqlite3_stmt_readonly(query->statement) ? LT_OK : wrong(query, sql, SQLITE_AUTH);
}

enum lt_status lt_query_prepare(struct lt_session *session, const char *sql,
				struct lt_query **ret_query)
{
	struct lt_query *query = calloc(1, sizeof(*query));
	if (query == NULL)
		return lt_fail_memory(session);
	query->scope.session = session;
	enum lt_status status = open_empty(query);
	if (status == LT_OK)
		status = read_query(query, sql);
	if (status == LT_OK)
		*ret_query = query;
	else
		lt_query_destroy(query);
	return status;
}

void lt_query_destroy(struct lt_query *query)
{
	if (query == NULL)
		return;
	sqlite3_finalize(query->statement);
	sqlite3_close(query->db);
	free(query);
}

/* Names of the columns; one that is there already has a number after it. */
static bool name_columns(sqlite3_stmt *statement, struct lt_query_result *result)
{
	result->columns = calloc(result->column_count + 1, sizeof(*result->columns));
	for (size_t i = 0; result->columns != NULL && i < result->column_count; i++) {
		const char *name = sqlite3_column_name(statement, (int)i);
		char numbered[128];
		unsigned twins = 0;
		for (size_t other = 0; name != NULL && other < i; other++)
			twins += strcmp(sqlite3_column_name(statement, (int)other), name) == 0;
		if (name == NULL)
			return false;
		if (twins > 0) {
			snprintf(numbered, sizeof(numbered), "%.100s_%u", name, twins + 1);
			name = numbered;
		}
		result->columns[i] = lt_arena_copy(&result->strings, name, strlen(name));
		if (result->columns[i] == NULL)
			return false;
	}
	return result->columns != NULL;
}

/* x'00ff' as in SQL. */
static const char *copy_bytes(struct lt_query_result *result, const unsigned char *bytes,
			      size_t length)
{
	char *text = lt_arena_alloc(&result->strings, length * 2 + 4);
	if (text == NULL)
		return NULL;
	text[0] = 'x';
	text[1] = '\'';
	for (size_t i = 0; i < length; i++) {
		text[2 + 2 * i] = "0123456789abcdef"[bytes[i] >> 4];
		text[3 + 2 * i] = "0123456789abcdef"[bytes[i] & 15];
	}
	text[2 + 2 * length] = '\'';
	return text;
}

/* False: no memory. */
static bool take_value(sqlite3_stmt *statement, int column, struct lt_query_result *result,
		       struct lt_store_value *ret_value)
{
	const char *text;
	switch (sqlite3_column_type(statement, column)) {
	case SQLITE_INTEGER:
		*ret_value = lt_store_integer(sqlite3_column_int64(statement, column));
		return true;
	case SQLITE_FLOAT:
		*ret_value = lt_store_real(sqlite3_column_double(statement, column));
		return true;
	case SQLITE_NULL:
		*ret_value = lt_store_null();
		return true;
	case SQLITE_BLOB:
		text = copy_bytes(result, sqlite3_column_blob(statement, column),
				  (size_t)sqlite3_column_bytes(statement, column));
		break;
	default:
		text = (const char *)sqlite3_column_text(statement, column);
		if (text != NULL)
			text = lt_arena_copy(&result->strings, text,
					     (size_t)sqlite3_column_bytes(statement, column));
		break;
	}
	*ret_value = lt_store_text(text);
	return text != NULL;
}

static enum lt_status take_row(struct lt_query *query, struct lt_query_result *result, size_t *room)
{
	size_t at = result->row_count * result->column_count;
	if (at + result->column_count > VALUES_MOST) {
		lt_remedy(query->scope.session, "Narrow the query, or end it with LIMIT.");
		return lt_fail(query->scope.session, LT_E_USAGE,
			       "the result of the query has more than %d values", VALUES_MOST);
	}
	if (at + result->column_count > *room) {
		size_t grown = *room * 2 + 1024;
		struct lt_store_value *values =
			realloc(result->values, grown * sizeof(*result->values));
		if (values == NULL)
			return lt_fail_memory(query->scope.session);
		result->values = values;
		*room = grown;
	}
	for (size_t i = 0; i < result->column_count; i++)
		if (!take_value(query->statement, (int)i, result, &result->values[at + i]))
			return lt_fail_memory(query->scope.session);
	result->row_count++;
	return LT_OK;
}

static enum lt_status take_rows(struct lt_query *query, uint64_t most,
				struct lt_query_result *result)
{
	size_t room = 0;
	int code;
	while ((code = sqlite3_step(query->statement)) == SQLITE_ROW) {
		result->cut = most != 0 && result->row_count >= most;
		if (result->cut)
			return LT_OK;
		LT_TRY(take_row(query, result, &room));
	}
	if (code == SQLITE_DONE)
		return LT_OK;
	if (query->scope.status != LT_OK)
		return query->scope.status;
	if ((code & 0xff) == SQLITE_NOMEM)
		return lt_fail_memory(query->scope.session);
	lt_remedy(query->scope.session, "Change the query; 'lowtide help sql' has examples.");
	return lt_fail(query->scope.session, LT_E_USAGE, "the query failed: %.300s",
		       sqlite3_errmsg(query->db));
}

enum lt_status lt_query_run(struct lt_query *query, struct lt_subject *subject, uint64_t most,
			    struct lt_query_result *ret_result)
{
	struct lt_query_result result = {.column_count =
						 (size_t)sqlite3_column_count(query->statement)};
	query->scope.subject = subject;
	enum lt_status status = name_columns(query->statement, &result)
					? take_rows(query, most, &result)
					: lt_fail_memory(query->scope.session);
	sqlite3_reset(query->statement);
	query->scope.subject = NULL;
	if (status == LT_OK)
		*ret_result = result;
	else
		lt_query_result_deinit(&result);
	return lt_subject_status(subject, status);
}

void lt_query_result_deinit(struct lt_query_result *result)
{
	free(result->columns);
	free(result->values);
	lt_arena_deinit(&result->strings);
	memset(result, 0, sizeof(*result));
}
