/*
 * store.h: the container of a .tide file: an SQLite database with small facts in tables and long columns
 * in compressed chunks. Knows no target and no Python. docs/tide.md describes the format.
 *
 * A column has rows 0, 1, 2 ...; each row is one item of 1, 4 or 8 bytes, or a list of such items (a list
 * of 1-byte items is a byte string). Columns are written from the first row to the last, in pieces of any
 * size and interleaved as one likes; they are read whole, or row by row in any order.
 */
#ifndef LT_STORE_STORE_H
#define LT_STORE_STORE_H

#include "base/session.h"
#include "base/text.h"

/* How the items of a column become small. What is read is what was written, whichever is chosen. */
enum lt_store_coding {
	LT_STORE_PLAIN,
	LT_STORE_SIGNED,   /* small numbers of both signs, in two's complement */
	LT_STORE_DELTA,    /* near the item before: addresses in order, sorted numbers */
	LT_STORE_RELATIVE, /* near the number of its row: targets of references */
};

struct lt_store_spec {
	const char *name; /* of the column, one in a file; at most 63 bytes */
	unsigned width;   /* bytes of an item: 1, 4 or 8 */
	bool lists;       /* a row is a list of items, else one item */
	enum lt_store_coding coding;
};

/* A value in a row of a table. */
enum lt_store_type { LT_STORE_NULL, LT_STORE_INTEGER, LT_STORE_REAL, LT_STORE_TEXT };
struct lt_store_value {
	enum lt_store_type type;
	int64_t integer;
	double real;
	const char *text; /* NUL-terminated */
};

static inline struct lt_store_value lt_store_null(void)
{
	return (struct lt_store_value){.type = LT_STORE_NULL};
}

static inline struct lt_store_value lt_store_integer(int64_t integer)
{
	return (struct lt_store_value){.type = LT_STORE_INTEGER, .integer = integer};
}

static inline struct lt_store_value lt_store_real(double real)
{
	return (struct lt_store_value){.type = LT_STORE_REAL, .real = real};
}

/* NULL becomes a null. */
static inline struct lt_store_value lt_store_text(const char *text)
{
	return (struct lt_store_value){.type = text == NULL ? LT_STORE_NULL : LT_STORE_TEXT,
				       .text = text};
}

/*
 * Writing. The file appears complete under its name, or not at all: until lt_store_commit() everything is
 * in PATH.unfinished, which is gone when the writer is abandoned or the program ends by a signal that
 * can be caught. One writer at a time for a path; what another writer left behind when it was killed is
 * replaced. Each failure is LT_E_FILE with a sentence. Tables and columns may be written in any order.
 */
struct lt_store_writer;

/* `schema` > 0 says what tables and columns there are; a reader takes those up to the schema that it knows. */
LT_MUST_CHECK enum lt_status lt_store_create(struct lt_session *session, const char *path,
					     uint32_t schema, struct lt_store_writer **ret_writer);

/* The same for a path whose journal (journal.h) has the name PATH.unfinished: everything is in PATH.finishing. */
LT_MUST_CHECK enum lt_status lt_store_create_beside(struct lt_session *session, const char *path,
						    uint32_t schema,
						    struct lt_store_writer **ret_writer);

/* A fact of the whole file. A key is set once. */
LT_MUST_CHECK enum lt_status lt_store_put_meta(struct lt_store_writer *writer, const char *key,
					       struct lt_store_value value);

/* A column without rows yet; *ret_column is its number for the functions below. */
LT_MUST_CHECK enum lt_status lt_store_put_column(struct lt_store_writer *writer,
						 const struct lt_store_spec *spec,
						 uint32_t *ret_column);
/* `count` rows of one item each, in the byte order of this machine. */
LT_MUST_CHECK enum lt_status lt_store_put_items(struct lt_store_writer *writer, uint32_t column,
						const void *items, size_t count);
/* One row, a list of `count` items. */
LT_MUST_CHECK enum lt_status lt_store_put_list(struct lt_store_writer *writer, uint32_t column,
					       const void *items, size_t count);

/* A table: "name (column TYPE, ...)" as in SQL. */
LT_MUST_CHECK enum lt_status lt_store_put_table(struct lt_store_writer *writer,
						const char *definition, uint32_t *ret_table);
/* A row of it: a value for each of its columns. */
LT_MUST_CHECK enum lt_status lt_store_put_row(struct lt_store_writer *writer, uint32_t table,
					      const struct lt_store_value *values, size_t count);

/* Completes the file, gives it its name, and destroys the writer; on failure too, then nothing of it is left. */
LT_MUST_CHECK enum lt_status lt_store_commit(struct lt_store_writer *writer);

/* Nothing of it is left. NULL is allowed. */
void lt_store_abandon(struct lt_store_writer *writer);

/*
 * Reading. A file is opened for reading only and nothing is left beside it. Every page is checked as it is
 * read, and everything that is given back was checked: what is damaged, cut off, foreign or newer is
 * LT_E_FILE with a sentence, wherever it shows first. One thread at a time.
 */
struct lt_store;

LT_MUST_CHECK enum lt_status lt_store_open(struct lt_session *session, const char *path,
					   uint32_t newest_schema, struct lt_store **ret_store);
void lt_store_close(struct lt_store *store);

const char *lt_store_path(const struct lt_store *store);
uint64_t lt_store_bytes(const struct lt_store *store); /* length of the file */

/* False: no such key, or not of this kind. Texts live as long as the store. */
bool lt_store_meta_integer(const struct lt_store *store, const char *key, int64_t *ret_value);
bool lt_store_meta_real(const struct lt_store *store, const char *key, double *ret_value);
const char *lt_store_meta_text(const struct lt_store *store, const char *key); /* NULL: none */

/* The column of this name with this width and kind; LT_E_FILE when the file has none such. */
LT_MUST_CHECK enum lt_status lt_store_column(struct lt_store *store, const char *name,
					     unsigned width, bool lists, uint32_t *ret_column);
uint64_t lt_store_rows(const struct lt_store *store, uint32_t column);
uint64_t lt_store_items(const struct lt_store *store, uint32_t column); /* of all lists together */

/* One row; a row past the end is LT_E_FILE. Cheap when rows near each other are read in a row. */
LT_MUST_CHECK enum lt_status lt_store_item(struct lt_store *store, uint32_t column, uint64_t row,
					   uint64_t *ret_item);
/* *ret_items points to items of the width of the column; valid until the next call for this column. */
LT_MUST_CHECK enum lt_status lt_store_list(struct lt_store *store, uint32_t column, uint64_t row,
					   const void **ret_items, size_t *ret_count);
/* In a column that never falls: the first row whose item is at least `item`, the number of rows when none is. */
LT_MUST_CHECK enum lt_status lt_store_find(struct lt_store *store, uint32_t column, uint64_t item,
					   uint64_t *ret_row);

/* All rows as one array, items of the width of the column. Caller frees. */
LT_MUST_CHECK enum lt_status lt_store_read_items(struct lt_store *store, uint32_t column,
						 void **ret_items);
/* All lists: row i has the items ret_first[i] to ret_first[i + 1]. Caller frees both. */
LT_MUST_CHECK enum lt_status lt_store_read_lists(struct lt_store *store, uint32_t column,
						 uint64_t **ret_first, void **ret_items);

/* Rows of tables: `sql` is one SELECT with ? for each of `values`. */
struct lt_store_cursor;
LT_MUST_CHECK enum lt_status lt_store_select(struct lt_store *store, const char *sql,
					     const struct lt_store_value *values, size_t count,
					     struct lt_store_cursor **ret_cursor);
/* The next row; *ret_more is false after the last. */
LT_MUST_CHECK enum lt_status lt_store_next(struct lt_store_cursor *cursor, bool *ret_more);
/* What is in the current row; a value of another type reads as 0, "" or, where told, as null. Texts live until the next row. */
bool lt_store_is_null(struct lt_store_cursor *cursor, unsigned index);
int64_t lt_store_get_integer(struct lt_store_cursor *cursor, unsigned index);
double lt_store_get_real(struct lt_store_cursor *cursor, unsigned index);
const char *lt_store_get_text(struct lt_store_cursor *cursor, unsigned index); /* NULL: null */
void lt_store_cursor_close(struct lt_store_cursor *cursor);

/* The database itself, for virtual tables and queries of the user (src/cli). It can only be read, and opens no other file. */
struct sqlite3 *lt_store_database(struct lt_store *store);
/* The failure that an error code of SQLite stands for: damage that was seen, no memory, or `otherwise`. */
LT_MUST_CHECK enum lt_status lt_store_failure(struct lt_store *store, int code,
					      enum lt_status otherwise);

#endif
