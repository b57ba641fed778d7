#include "store/store.h"

#include "base/cleanup.h"
#include "store/checksum.h"
#include "store/pages.h"
#include "store/parts.h"
#include "store/unfinished.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

/* One stream of items on its way into chunks. */
struct stream {
	unsigned char *items; /* those of the chunk to come */
	size_t count;
	uint64_t first;  /* of the chunk to come */
	uint64_t before; /* items of the lists before the chunk to come; lengths only */
	uint64_t checksum;
};

struct column {
	struct lt_store_spec spec; /* its name is owned */
	uint64_t rows;
	struct stream streams[LT_STREAM_COUNT];
};

struct table {
	sqlite3_stmt *insert;
	int columns;
};

LT_VEC(columns, struct column);
LT_VEC(tables, struct table);

struct lt_store_writer {
	struct lt_session *session;
	struct lt_unfinished file;
	sqlite3 *db;
	sqlite3_stmt *put_meta;
	sqlite3_stmt *put_chunk;
	sqlite3_stmt *put_piece;
	struct lt_chunk_coder *coder;
	struct columns columns;
	struct tables tables;
	int64_t pieces;
	bool failed;
};

static enum lt_status failure(struct lt_store_writer *writer, int code)
{
	writer->failed = true;
	int error = writer->db == NULL ? 0 : sqlite3_system_errno(writer->db);
	switch (code & 0xff) {
	case SQLITE_NOMEM:
		return lt_fail_memory(writer->session);
	case SQLITE_FULL:
		return lt_fail_errno(writer->session, LT_E_FILE, error != 0 ? error : ENOSPC,
				     "cannot write %.200s", writer->file.path);
	case SQLITE_IOERR:
	case SQLITE_CANTOPEN:
		return lt_fail_errno(writer->session, LT_E_FILE, error != 0 ? error : EIO,
				     "cannot write %.200s", writer->file.path);
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		lt_remedy(writer->session, "Write it again, to another name.");
		return lt_fail(writer->session, LT_E_FILE,
			       "cannot write %.200s: another program has changed it meanwhile",
			       writer->file.path);
	default:
		break;
	}
	return lt_fail(writer->session, LT_E_INTERNAL, "SQLite refuses to write %.200s: %.200s",
		       writer->file.path,
		       writer->db == NULL ? sqlite3_errstr(code) : sqlite3_errmsg(writer->db));
}

static enum lt_status misuse(struct lt_store_writer *writer, const char *what)
{
	writer->failed = true;
	return lt_fail(writer->session, LT_E_INTERNAL, "%s", what);
}

static enum lt_status no_memory(struct lt_store_writer *writer)
{
	writer->failed = true;
	return lt_fail_memory(writer->session);
}

static enum lt_status execute(struct lt_store_writer *writer, const char *sql)
{
	int code = sqlite3_exec(writer->db, sql, NULL, NULL, NULL);
	return code == SQLITE_OK ? LT_OK : failure(writer, code);
}

static enum lt_status prepare(struct lt_store_writer *writer, const char *sql,
			      sqlite3_stmt **ret_statement)
{
	int code = sqlite3_prepare_v2(writer->db, sql, -1, ret_statement, NULL);
	return code == SQLITE_OK ? LT_OK : failure(writer, code);
}

/* Runs a statement that gives no rows, with the values that are bound. */
static enum lt_status run(struct lt_store_writer *writer, sqlite3_stmt *statement)
{
	int code = sqlite3_step(statement);
	int reset = sqlite3_reset(statement);
	if (code != SQLITE_DONE || reset != SQLITE_OK)
		return failure(writer, code != SQLITE_DONE ? code : reset);
	return LT_OK;
}

static enum lt_status bind(struct lt_store_writer *writer, sqlite3_stmt *statement, int index,
			   const struct lt_store_value *value)
{
	int code = SQLITE_OK;
	size_t length = 0;
	switch (value->type) {
	case LT_STORE_NULL:
		code = sqlite3_bind_null(statement, index);
		break;
	case LT_STORE_INTEGER:
		code = sqlite3_bind_int64(statement, index, value->integer);
		break;
	case LT_STORE_REAL:
		code = sqlite3_bind_double(statement, index, value->real);
		break;
	case LT_STORE_TEXT:
		/* A text of the target can be as long as it likes; what does not fit is cut. */
		length = strnlen(value->text, LT_TEXT_MOST);
		code = sqlite3_bind_text(statement, index, value->text, (int)length, SQLITE_STATIC);
		break;
	}
	return code == SQLITE_OK ? LT_OK : failure(writer, code);
}

/* The file is thrown away when anything fails, so it needs no journal; it is synced once, at the end. */
static enum lt_status begin(struct lt_store_writer *writer, uint32_t schema)
{
	/* Nobody else opens this file: no locks of SQLite, which some network file systems lack. */
	int code = sqlite3_open_v2(writer->file.temporary, &writer->db,
				   SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW |
					   SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE,
				   "unix-none");
	if (code != SQLITE_OK)
		return failure(writer, code);
	sqlite3_extended_result_codes(writer->db, 1);
	LT_TRY(execute(writer, "PRAGMA page_size = 16384; PRAGMA journal_mode = OFF; "
			       "PRAGMA synchronous = OFF; PRAGMA temp_store = MEMORY; "
			       "PRAGMA locking_mode = EXCLUSIVE; PRAGMA auto_vacuum = NONE; "
			       "PRAGMA encoding = 'UTF-8'; PRAGMA cache_size = -8192"));
	int reserved = LT_PAGE_RESERVED;
	code = sqlite3_file_control(writer->db, "main", SQLITE_FCNTL_RESERVE_BYTES, &reserved);
	if (code != SQLITE_OK)
		return failure(writer, code);
	char sql[128];
	sqlite3_snprintf(sizeof(sql), sql, "PRAGMA application_id = %d; PRAGMA user_version = %u",
			 LT_STORE_APPLICATION, schema);
	LT_TRY(execute(writer, sql));
	LT_TRY(execute(writer, "BEGIN; " LT_STORE_TABLES));
	LT_TRY(prepare(writer, "INSERT INTO meta VALUES (?, ?)", &writer->put_meta));
	LT_TRY(prepare(writer, "INSERT INTO chunks VALUES (?, ?, ?, ?, ?, ?, ?)",
		       &writer->put_chunk));
	return prepare(writer, "INSERT INTO pieces VALUES (?, ?)", &writer->put_piece);
}

static enum lt_status create(struct lt_session *session, const char *path,
			     enum lt_unfinished_kind kind, uint32_t schema,
			     struct lt_store_writer **ret_writer)
{
	struct lt_store_writer *writer = calloc(1, sizeof(*writer));
	if (writer == NULL)
		return lt_fail_memory(session);
	writer->session = session;
	writer->file.fd = writer->file.slot = -1;
	writer->coder = lt_chunk_coder_create();
	enum lt_status status = writer->coder == NULL ? lt_fail_memory(session) : LT_OK;
	if (status == LT_OK)
		status = lt_unfinished_begin(session, path, kind, &writer->file);
	if (status == LT_OK)
		status = begin(writer, schema);
	if (status == LT_OK)
		*ret_writer = writer;
	else
		lt_store_abandon(writer);
	return status;
}

enum lt_status lt_store_create(struct lt_session *session, const char *path, uint32_t schema,
			       struct lt_store_writer **ret_writer)
{
	return create(session, path, LT_UNFINISHED_DRAFT, schema, ret_writer);
}

enum lt_status lt_store_create_beside(struct lt_session *session, const char *path, uint32_t schema,
				      struct lt_store_writer **ret_writer)
{
	return create(session, path, LT_UNFINISHED_FINAL, schema, ret_writer);
}

enum lt_status lt_store_put_meta(struct lt_store_writer *writer, const char *key,
				 struct lt_store_value value)
{
	struct lt_store_value name = lt_store_text(key);
	LT_TRY(bind(writer, writer->put_meta, 1, &name));
	LT_TRY(bind(writer, writer->put_meta, 2, &value));
	return run(writer, writer->put_meta);
}

static unsigned width_of(const struct column *column, enum lt_stream stream)
{
	return stream == LT_STREAM_LENGTHS ? LT_LENGTH_WIDTH : column->spec.width;
}

enum lt_status lt_store_put_column(struct lt_store_writer *writer, const struct lt_store_spec *spec,
				   uint32_t *ret_column)
{
	size_t length = strlen(spec->name);
	if ((spec->width != 1 && spec->width != 4 && spec->width != 8) || length == 0 ||
	    length > LT_NAME_MOST || writer->columns.count >= LT_COLUMNS_MOST)
		return misuse(writer, "a column that a file cannot have");
	for (size_t i = 0; i < writer->columns.count; i++)
		if (strcmp(writer->columns.data[i].spec.name, spec->name) == 0)
			return misuse(writer, "two columns of one name");
	struct column column = {.spec = *spec};
	column.spec.name = strdup(spec->name);
	bool made = column.spec.name != NULL;
	for (unsigned i = 0; i < LT_STREAM_COUNT; i++) {
		unsigned width = width_of(&column, i);
		if (i == LT_STREAM_LENGTHS && !spec->lists)
			continue;
		column.streams[i].items = malloc(lt_chunk_items(width) * width);
		made = made && column.streams[i].items != NULL;
	}
	if (made && columns_push(&writer->columns, column)) {
		*ret_column = (uint32_t)(writer->columns.count - 1);
		return LT_OK;
	}
	free((char *)column.spec.name);
	for (unsigned i = 0; i < LT_STREAM_COUNT; i++)
		free(column.streams[i].items);
	return no_memory(writer);
}

static enum lt_status put_piece(struct lt_store_writer *writer, const void *bytes, size_t length)
{
	sqlite3_stmt *put = writer->put_piece;
	sqlite3_bind_int64(put, 1, ++writer->pieces);
	int code = sqlite3_bind_blob(put, 2, bytes, (int)length, SQLITE_STATIC);
	if (code != SQLITE_OK)
		return failure(writer, code);
	return run(writer, put);
}

/* Writes what a stream has gathered. */
static enum lt_status flush(struct lt_store_writer *writer, uint32_t number, enum lt_stream which)
{
	struct column *column = &writer->columns.data[number];
	struct stream *stream = &column->streams[which];
	if (stream->count == 0)
		return LT_OK;
	unsigned width = width_of(column, which);
	enum lt_store_coding coding =
		which == LT_STREAM_LENGTHS ? LT_STORE_PLAIN : column->spec.coding;
	const void *bytes;
	size_t length;
	if (!lt_chunk_encode(writer->coder, stream->items, stream->count, width, coding, &bytes,
			     &length))
		return no_memory(writer);
	uint64_t checksum = lt_checksum(
		bytes, length,
		lt_chunk_seed(number, which, stream->first, stream->count, stream->before));
	LT_TRY(put_piece(writer, bytes, length));
	const int64_t values[] = {writer->pieces,
				  number,
				  which,
				  (int64_t)stream->first,
				  (int64_t)stream->count,
				  (int64_t)stream->before,
				  (int64_t)checksum};
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		sqlite3_bind_int64(writer->put_chunk, (int)i + 1, values[i]);
	LT_TRY(run(writer, writer->put_chunk));
	stream->checksum = lt_checksum(&checksum, sizeof(checksum), stream->checksum);
	if (which == LT_STREAM_LENGTHS)
		for (size_t i = 0; i < stream->count; i++)
			stream->before += lt_item_get(stream->items, i, LT_LENGTH_WIDTH);
	stream->first += stream->count;
	stream->count = 0;
	return LT_OK;
}

/* `row` is what items are relative to; it rises by `step` with each item. */
static enum lt_status add(struct lt_store_writer *writer, uint32_t number, enum lt_stream which,
			  const void *items, size_t count, uint64_t row, unsigned step)
{
	struct column *column = &writer->columns.data[number];
	struct stream *stream = &column->streams[which];
	unsigned width = width_of(column, which);
	size_t most = lt_chunk_items(width);
	bool relative = which == LT_STREAM_ITEMS && column->spec.coding == LT_STORE_RELATIVE;
	for (size_t done = 0; done < count;) {
		size_t part = most - stream->count;
		if (part > count - done)
			part = count - done;
		const unsigned char *from = (const unsigned char *)items + done * width;
		memcpy(stream->items + stream->count * width, from, part * width);
		for (size_t i = 0; relative && i < part; i++)
			lt_item_put(stream->items, stream->count + i, width,
				    lt_zigzag(lt_item_get(items, done + i, width) -
						      (row + (done + i) * step),
					      width));
		stream->count += part;
		done += part;
		if (stream->count == most)
			LT_TRY(flush(writer, number, which));
	}
	return LT_OK;
}

enum lt_status lt_store_put_items(struct lt_store_writer *writer, uint32_t number,
				  const void *items, size_t count)
{
	if (number >= writer->columns.count || writer->columns.data[number].spec.lists)
		return misuse(writer, "items for a column that has none");
	struct column *column = &writer->columns.data[number];
	LT_TRY(add(writer, number, LT_STREAM_ITEMS, items, count, column->rows, 1));
	column->rows += count;
	return LT_OK;
}

enum lt_status lt_store_put_list(struct lt_store_writer *writer, uint32_t number, const void *items,
				 size_t count)
{
	if (number >= writer->columns.count || !writer->columns.data[number].spec.lists ||
	    count > UINT32_MAX)
		return misuse(writer, "a list for a column that has none");
	struct column *column = &writer->columns.data[number];
	uint32_t length = (uint32_t)count;
	LT_TRY(add(writer, number, LT_STREAM_LENGTHS, &length, 1, 0, 0));
	LT_TRY(add(writer, number, LT_STREAM_ITEMS, items, count, column->rows, 0));
	column->rows++;
	return LT_OK;
}

enum lt_status lt_store_put_table(struct lt_store_writer *writer, const char *definition,
				  uint32_t *ret_table)
{
	LT_FREE char *sql = NULL;
	size_t length = strcspn(definition, " (");
	struct table table = {0};
	if (asprintf(&sql, "CREATE TABLE %s", definition) < 0) {
		sql = NULL;
		return no_memory(writer);
	}
	LT_TRY(execute(writer, sql));
	/* How many columns it has is known to SQLite. */
	sqlite3_stmt *statement = NULL;
	char select[128];
	snprintf(select, sizeof(select), "SELECT * FROM %.*s", (int)length, definition);
	LT_TRY(prepare(writer, select, &statement));
	table.columns = sqlite3_column_count(statement);
	sqlite3_finalize(statement);
	struct lt_text insert = {0};
	lt_text_addf(&insert, "INSERT INTO %.*s VALUES (?", (int)length, definition);
	for (int i = 1; i < table.columns; i++)
		lt_text_add(&insert, ", ?");
	lt_text_add(&insert, ")");
	enum lt_status status = insert.failed
					? no_memory(writer)
					: prepare(writer, lt_text_get(&insert), &table.insert);
	lt_text_deinit(&insert);
	LT_TRY(status);
	if (!tables_push(&writer->tables, table)) {
		sqlite3_finalize(table.insert);
		return no_memory(writer);
	}
	*ret_table = (uint32_t)(writer->tables.count - 1);
	return LT_OK;
}

enum lt_status lt_store_put_row(struct lt_store_writer *writer, uint32_t number,
				const struct lt_store_value *values, size_t count)
{
	if (number >= writer->tables.count || count != (size_t)writer->tables.data[number].columns)
		return misuse(writer, "a row that its table does not have");
	sqlite3_stmt *insert = writer->tables.data[number].insert;
	for (size_t i = 0; i < count; i++)
		LT_TRY(bind(writer, insert, (int)i + 1, &values[i]));
	return run(writer, insert);
}

static enum lt_status put_columns(struct lt_store_writer *writer)
{
	sqlite3_stmt *put = NULL;
	LT_TRY(prepare(writer, "INSERT INTO columns VALUES (?, ?, ?, ?, ?, ?, ?, ?)", &put));
	enum lt_status status = LT_OK;
	for (uint32_t i = 0; i < writer->columns.count && status == LT_OK; i++) {
		for (unsigned stream = 0; stream < LT_STREAM_COUNT && status == LT_OK; stream++)
			status = flush(writer, i, stream);
		const struct column *column = &writer->columns.data[i];
		const struct stream *streams = column->streams;
		const struct lt_store_value values[] = {
			lt_store_integer(i),
			lt_store_text(column->spec.name),
			lt_store_integer(column->spec.width),
			lt_store_integer(column->spec.lists),
			lt_store_integer(column->spec.coding),
			lt_store_integer((int64_t)column->rows),
			lt_store_integer((int64_t)streams[LT_STREAM_ITEMS].first),
			lt_store_integer((int64_t)(streams[LT_STREAM_ITEMS].checksum ^
						   streams[LT_STREAM_LENGTHS].checksum)),
		};
		for (size_t at = 0; at < sizeof(values) / sizeof(values[0]) && status == LT_OK;
		     at++)
			status = bind(writer, put, (int)at + 1, &values[at]);
		if (status == LT_OK)
			status = run(writer, put);
	}
	sqlite3_finalize(put);
	return status;
}

static void close_database(struct lt_store_writer *writer)
{
	sqlite3_finalize(writer->put_meta);
	sqlite3_finalize(writer->put_chunk);
	sqlite3_finalize(writer->put_piece);
	writer->put_meta = writer->put_chunk = writer->put_piece = NULL;
	for (size_t i = 0; i < writer->tables.count; i++)
		sqlite3_finalize(writer->tables.data[i].insert);
	tables_deinit(&writer->tables);
	sqlite3_close(writer->db);
	writer->db = NULL;
}

static enum lt_status commit(struct lt_store_writer *writer)
{
	if (writer->failed)
		return misuse(writer, "a file that could not be written is to be completed");
	LT_TRY(put_columns(writer));
	LT_TRY(lt_store_put_meta(writer, LT_META_WRITER, lt_store_text(LT_VERSION)));
	LT_TRY(lt_store_put_meta(writer, LT_META_COMPLETE, lt_store_integer(1)));
	LT_TRY(execute(writer, "COMMIT"));
	close_database(writer);
	uint64_t file_number;
	if (getrandom(&file_number, sizeof(file_number), 0) != (ssize_t)sizeof(file_number))
		file_number = lt_now_ns() ^ (uint64_t)getpid() << 40;
	int error = lt_pages_seal(writer->file.fd, file_number);
	if (error != 0)
		return lt_fail_errno(writer->session, LT_E_FILE, error, "cannot write %.200s",
				     writer->file.path);
	return lt_unfinished_commit(writer->session, &writer->file);
}

enum lt_status lt_store_commit(struct lt_store_writer *writer)
{
	enum lt_status status = commit(writer);
	lt_store_abandon(writer);
	return status;
}

void lt_store_abandon(struct lt_store_writer *writer)
{
	if (writer == NULL)
		return;
	close_database(writer);
	lt_unfinished_end(&writer->file);
	for (size_t i = 0; i < writer->columns.count; i++) {
		free((char *)writer->columns.data[i].spec.name);
		for (unsigned stream = 0; stream < LT_STREAM_COUNT; stream++)
			free(writer->columns.data[i].streams[stream].items);
	}
	columns_deinit(&writer->columns);
	lt_chunk_coder_destroy(writer->coder);
	free(writer);
}
