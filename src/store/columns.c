/* Columns of an open file: the directory of their chunks, rows in any order, whole columns. */
#include "store/reader.h"

#include "base/cleanup.h"
#include "store/checksum.h"

#include <string.h>

static unsigned width_of(const struct lt_stored_column *column, enum lt_stream stream)
{
	return stream == LT_STREAM_LENGTHS ? LT_LENGTH_WIDTH : column->width;
}

/* False: no integer from 0 to `most`. */
static bool take(sqlite3_stmt *rows, int index, uint64_t most, uint64_t *ret_value)
{
	if (sqlite3_column_type(rows, index) != SQLITE_INTEGER)
		return false;
	int64_t value = sqlite3_column_int64(rows, index);
	if (value < 0 || (uint64_t)value > most)
		return false;
	*ret_value = (uint64_t)value;
	return true;
}

static enum lt_status each_row(struct lt_store *store, const char *sql,
			       enum lt_status (*visit)(struct lt_store *store, sqlite3_stmt *row))
{
	sqlite3_stmt *rows = NULL;
	enum lt_status status = LT_OK;
	int code = sqlite3_prepare_v2(store->db, sql, -1, &rows, NULL);
	if (code == SQLITE_OK) {
		while (status == LT_OK && (code = sqlite3_step(rows)) == SQLITE_ROW)
			status = visit(store, rows);
		if (code == SQLITE_DONE)
			code = SQLITE_OK;
	}
	if (status == LT_OK && code != SQLITE_OK)
		status = lt_store_failure(store, code, LT_E_FILE);
	sqlite3_finalize(rows);
	return status;
}

static enum lt_status visit_column(struct lt_store *store, sqlite3_stmt *row)
{
	struct lt_stored_column column = {0};
	uint64_t id, width, lists, coding, items;
	const char *name = (const char *)sqlite3_column_text(row, 1);
	if (!take(row, 0, LT_COLUMNS_MOST - 1, &id) || id != store->columns.count || name == NULL ||
	    strlen(name) > LT_NAME_MOST || !take(row, 2, 8, &width) || !take(row, 3, 1, &lists) ||
	    !take(row, 4, LT_STORE_RELATIVE, &coding) ||
	    !take(row, 5, INT64_MAX / 16, &column.rows) || !take(row, 6, INT64_MAX / 16, &items) ||
	    sqlite3_column_type(row, 7) != SQLITE_INTEGER ||
	    (width != 1 && width != 4 && width != 8) || (lists == 0 && items != column.rows))
		return lt_store_damaged(store, "the table of its columns makes no sense");
	memcpy(column.name, name, strlen(name));
	column.width = (unsigned)width;
	column.lists = lists != 0;
	column.coding = (enum lt_store_coding)coding;
	column.checksum = (uint64_t)sqlite3_column_int64(row, 7);
	column.streams[LT_STREAM_ITEMS].items = items;
	if (column.lists)
		column.streams[LT_STREAM_LENGTHS].items = column.rows;
	return lt_stored_columns_push(&store->columns, column) ? LT_OK
							       : lt_fail_memory(store->session);
}

static enum lt_status visit_chunk(struct lt_store *store, sqlite3_stmt *row)
{
	uint64_t piece, id, which, count;
	struct lt_chunk chunk = {0};
	if (!take(row, 0, INT64_MAX, &piece) || !take(row, 1, store->columns.count, &id) ||
	    id == store->columns.count || !take(row, 2, LT_STREAM_COUNT - 1, &which) ||
	    !take(row, 3, INT64_MAX, &chunk.first) || !take(row, 4, UINT32_MAX, &count) ||
	    !take(row, 5, INT64_MAX, &chunk.before) ||
	    sqlite3_column_type(row, 6) != SQLITE_INTEGER)
		return lt_store_damaged(store, "the table of its chunks makes no sense");
	struct lt_stored_column *column = &store->columns.data[id];
	struct lt_stream_state *stream = &column->streams[which];
	size_t most = lt_chunk_items(width_of(column, which));
	uint64_t due = stream->chunks.count * (uint64_t)most;
	/* Each chunk is where the one before it ended, and as long as all but the last are. */
	if (stream->chunks.count >= LT_CHUNKS_MOST || chunk.first != due || due >= stream->items ||
	    count != (stream->items - due < most ? stream->items - due : most))
		return lt_store_damaged(store, "a chunk is missing or out of place");
	chunk.piece = (int64_t)piece;
	chunk.count = (uint32_t)count;
	chunk.checksum = (uint64_t)sqlite3_column_int64(row, 6);
	return lt_chunks_push(&stream->chunks, chunk) ? LT_OK : lt_fail_memory(store->session);
}

static enum lt_status check_columns(struct lt_store *store)
{
	for (size_t i = 0; i < store->columns.count; i++) {
		const struct lt_stored_column *column = &store->columns.data[i];
		uint64_t all = 0;
		for (unsigned which = 0; which < LT_STREAM_COUNT; which++) {
			const struct lt_stream_state *stream = &column->streams[which];
			size_t most = lt_chunk_items(width_of(column, which));
			uint64_t sum = 0;
			if (stream->chunks.count != (stream->items + most - 1) / most)
				return lt_store_damaged(store, "a chunk is missing");
			for (size_t at = 0; at < stream->chunks.count; at++)
				sum = lt_checksum(&stream->chunks.data[at].checksum, sizeof(sum),
						  sum);
			all ^= sum;
		}
		if (all != column->checksum)
			return lt_store_damaged(store, "the table of its chunks does not match "
						       "its checksum");
	}
	return LT_OK;
}

enum lt_status lt_columns_load(struct lt_store *store)
{
	LT_TRY(each_row(store,
			"SELECT id, name, width, lists, coding, row_count, item_count, checksum "
			"FROM columns ORDER BY id",
			visit_column));
	LT_TRY(each_row(store,
			"SELECT piece, column_id, stream, first, count, before, checksum "
			"FROM chunks ORDER BY piece",
			visit_chunk));
	return check_columns(store);
}

void lt_columns_unload(struct lt_store *store)
{
	for (size_t i = 0; i < store->columns.count; i++) {
		struct lt_stored_column *column = &store->columns.data[i];
		for (unsigned which = 0; which < LT_STREAM_COUNT; which++) {
			struct lt_stream_state *stream = &column->streams[which];
			for (unsigned at = 0; at < LT_STREAM_CACHE; at++) {
				free(stream->cache[at].items);
				free(stream->cache[at].starts);
			}
			lt_chunks_deinit(&stream->chunks);
		}
		free(column->list);
	}
	lt_stored_columns_deinit(&store->columns);
}

/* Decodes a chunk to room for its items. */
static enum lt_status load_chunk(struct lt_store *store, uint32_t number, enum lt_stream which,
				 size_t at, void *ret_items)
{
	const struct lt_stored_column *column = &store->columns.data[number];
	const struct lt_chunk *chunk = &column->streams[which].chunks.data[at];
	sqlite3_bind_int64(store->get_piece, 1, chunk->piece);
	int code = sqlite3_step(store->get_piece);
	enum lt_status status = LT_OK;
	if (code == SQLITE_ROW) {
		const void *bytes = sqlite3_column_blob(store->get_piece, 0);
		size_t length = (size_t)sqlite3_column_bytes(store->get_piece, 0);
		uint64_t seed =
			lt_chunk_seed(number, which, chunk->first, chunk->count, chunk->before);
		enum lt_store_coding coding =
			which == LT_STREAM_LENGTHS ? LT_STORE_PLAIN : column->coding;
		if (bytes == NULL)
			status = lt_store_failure(store, sqlite3_errcode(store->db), LT_E_FILE);
		else if (lt_checksum(bytes, length, seed) != chunk->checksum)
			status = lt_store_damaged(store, "a chunk does not match its checksum");
		else if (!lt_chunk_decode(store->coder, bytes, length, chunk->count,
					  width_of(column, which), coding, ret_items))
			status = lt_store_damaged(store, "a chunk cannot be decompressed");
	} else if (code == SQLITE_DONE) {
		status = lt_store_damaged(store, "a chunk is missing");
	} else {
		status = lt_store_failure(store, code, LT_E_FILE);
	}
	sqlite3_reset(store->get_piece);
	return status;
}

/* The chunk with an item, decoded. */
static enum lt_status cached(struct lt_store *store, uint32_t number, enum lt_stream which,
			     uint64_t item, struct lt_cached_chunk **ret_chunk)
{
	struct lt_stored_column *column = &store->columns.data[number];
	struct lt_stream_state *stream = &column->streams[which];
	unsigned width = width_of(column, which);
	size_t most = lt_chunk_items(width), at = (size_t)(item / most);
	struct lt_cached_chunk *oldest = &stream->cache[0];
	for (unsigned i = 0; i < LT_STREAM_CACHE; i++) {
		struct lt_cached_chunk *chunk = &stream->cache[i];
		if (chunk->number == at + 1) {
			chunk->used = ++store->clock;
			*ret_chunk = chunk;
			return LT_OK;
		}
		if (chunk->used < oldest->used)
			oldest = chunk;
	}
	oldest->number = 0;
	if (oldest->items == NULL)
		oldest->items = malloc(most * width);
	if (which == LT_STREAM_LENGTHS && oldest->starts == NULL)
		oldest->starts = malloc((most + 1) * sizeof(*oldest->starts));
	if (oldest->items == NULL || (which == LT_STREAM_LENGTHS && oldest->starts == NULL))
		return lt_fail_memory(store->session);
	LT_TRY(load_chunk(store, number, which, at, oldest->items));
	if (which == LT_STREAM_LENGTHS) {
		const struct lt_chunk *chunk = &stream->chunks.data[at];
		uint64_t start = chunk->before, all = column->streams[LT_STREAM_ITEMS].items;
		for (size_t i = 0; i < chunk->count; i++) {
			oldest->starts[i] = start;
			start += lt_item_get(oldest->items, i, LT_LENGTH_WIDTH);
		}
		oldest->starts[chunk->count] = start;
		bool last = at + 1 == stream->chunks.count;
		if (start != (last ? all : stream->chunks.data[at + 1].before) ||
		    (at == 0 && chunk->before != 0))
			return lt_store_damaged(store, "the lists of a column do not fit together");
	}
	oldest->number = at + 1;
	oldest->used = ++store->clock;
	*ret_chunk = oldest;
	return LT_OK;
}

enum lt_status lt_store_column(struct lt_store *store, const char *name, unsigned width, bool lists,
			       uint32_t *ret_column)
{
	for (size_t i = 0; i < store->columns.count; i++) {
		const struct lt_stored_column *column = &store->columns.data[i];
		if (strcmp(column->name, name) != 0 || column->width != width ||
		    column->lists != lists)
			continue;
		*ret_column = (uint32_t)i;
		return LT_OK;
	}
	char what[128];
	snprintf(what, sizeof(what), "it has no column %.60s", name);
	return lt_store_damaged(store, what);
}

uint64_t lt_store_rows(const struct lt_store *store, uint32_t column)
{
	return column < store->columns.count ? store->columns.data[column].rows : 0;
}

uint64_t lt_store_items(const struct lt_store *store, uint32_t column)
{
	return column < store->columns.count
		       ? store->columns.data[column].streams[LT_STREAM_ITEMS].items
		       : 0;
}

/* The column, when it has this row; NULL: then the session says so. */
static struct lt_stored_column *column_with(struct lt_store *store, uint32_t number, bool lists,
					    uint64_t row)
{
	if (number < store->columns.count && store->columns.data[number].lists == lists &&
	    row < store->columns.data[number].rows)
		return &store->columns.data[number];
	(void)lt_store_damaged(store, "it refers to a row that it does not have");
	return NULL;
}

enum lt_status lt_store_item(struct lt_store *store, uint32_t number, uint64_t row,
			     uint64_t *ret_item)
{
	const struct lt_stored_column *column = column_with(store, number, false, row);
	if (column == NULL)
		return LT_E_FILE;
	struct lt_cached_chunk *chunk = NULL;
	LT_TRY(cached(store, number, LT_STREAM_ITEMS, row, &chunk));
	size_t at = (size_t)(row % lt_chunk_items(column->width));
	uint64_t item = lt_item_get(chunk->items, at, column->width);
	if (column->coding == LT_STORE_RELATIVE)
		item = (lt_unzigzag(item, column->width) + row) &
		       UINT64_MAX >> (64 - 8 * column->width);
	*ret_item = item;
	return LT_OK;
}

/* Items of a list that were near its row become themselves again. */
static void absolute(const struct lt_stored_column *column, void *items, size_t count, uint64_t row,
		     unsigned step)
{
	if (column->coding != LT_STORE_RELATIVE)
		return;
	for (size_t i = 0; i < count; i++, row += step)
		lt_item_put(items, i, column->width,
			    lt_unzigzag(lt_item_get(items, i, column->width), column->width) + row);
}

enum lt_status lt_store_list(struct lt_store *store, uint32_t number, uint64_t row,
			     const void **ret_items, size_t *ret_count)
{
	struct lt_stored_column *column = column_with(store, number, true, row);
	if (column == NULL)
		return LT_E_FILE;
	struct lt_cached_chunk *lengths = NULL;
	LT_TRY(cached(store, number, LT_STREAM_LENGTHS, row, &lengths));
	size_t at = (size_t)(row % lt_chunk_items(LT_LENGTH_WIDTH));
	uint64_t start = lengths->starts[at];
	size_t count = (size_t)(lengths->starts[at + 1] - start);
	size_t most = lt_chunk_items(column->width);
	/* The list grows as its chunks prove to be there: a length alone allocates nothing large. */
	for (size_t done = 0; done < count;) {
		struct lt_cached_chunk *chunk = NULL;
		LT_TRY(cached(store, number, LT_STREAM_ITEMS, start + done, &chunk));
		size_t skip = (size_t)((start + done) % most), part = most - skip;
		if (part > count - done)
			part = count - done;
		if (done + part > column->room) {
			size_t room =
				column->room * 2 > done + part ? column->room * 2 : done + part;
			unsigned char *grown = realloc(column->list, room * column->width);
			if (grown == NULL)
				return lt_fail_memory(store->session);
			column->list = grown;
			column->room = room;
		}
		memcpy(column->list + done * column->width,
		       (const unsigned char *)chunk->items + skip * column->width,
		       part * column->width);
		done += part;
	}
	absolute(column, column->list, count, row, 0);
	*ret_items = column->list;
	*ret_count = count;
	return LT_OK;
}

enum lt_status lt_store_find(struct lt_store *store, uint32_t number, uint64_t item,
			     uint64_t *ret_row)
{
	uint64_t low = 0, high = lt_store_rows(store, number);
	while (low < high) {
		uint64_t middle = low + (high - low) / 2, found;
		LT_TRY(lt_store_item(store, number, middle, &found));
		if (found < item)
			low = middle + 1;
		else
			high = middle;
	}
	*ret_row = low;
	return LT_OK;
}

/* A whole stream. Room is made as its chunks prove to be there. */
static enum lt_status read_stream(struct lt_store *store, uint32_t number, enum lt_stream which,
				  void **ret_items)
{
	const struct lt_stored_column *column = &store->columns.data[number];
	const struct lt_stream_state *stream = &column->streams[which];
	unsigned width = width_of(column, which);
	size_t most = lt_chunk_items(width);
	LT_FREE unsigned char *items = calloc(stream->items + 1, width);
	if (items == NULL)
		return lt_fail_memory(store->session);
	for (size_t at = 0; at < stream->chunks.count; at++)
		LT_TRY(load_chunk(store, number, which, at, items + at * most * width));
	*ret_items = LT_TAKE(items);
	return LT_OK;
}

enum lt_status lt_store_read_items(struct lt_store *store, uint32_t number, void **ret_items)
{
	if (number >= store->columns.count || store->columns.data[number].lists)
		return lt_store_damaged(store, "a column of it is of another kind");
	*ret_items = NULL;
	LT_TRY(read_stream(store, number, LT_STREAM_ITEMS, ret_items));
	if (*ret_items == NULL)
		return lt_fail_memory(store->session);
	absolute(&store->columns.data[number], *ret_items, (size_t)store->columns.data[number].rows,
		 0, 1);
	return LT_OK;
}

enum lt_status lt_store_read_lists(struct lt_store *store, uint32_t number, uint64_t **ret_first,
				   void **ret_items)
{
	if (number >= store->columns.count || !store->columns.data[number].lists)
		return lt_store_damaged(store, "a column of it is of another kind");
	const struct lt_stored_column *column = &store->columns.data[number];
	LT_FREE void *read = NULL;
	LT_TRY(read_stream(store, number, LT_STREAM_LENGTHS, &read));
	const uint32_t *lengths = read;
	LT_FREE uint64_t *first = calloc(column->rows + 1, sizeof(*first));
	if (first == NULL || lengths == NULL)
		return lt_fail_memory(store->session);
	first[0] = 0;
	for (uint64_t row = 0; row < column->rows; row++)
		first[row + 1] = first[row] + lengths[row];
	if (first[column->rows] != column->streams[LT_STREAM_ITEMS].items)
		return lt_store_damaged(store, "the lists of a column do not fit together");
	LT_FREE void *items = NULL;
	LT_TRY(read_stream(store, number, LT_STREAM_ITEMS, &items));
	if (items == NULL)
		return lt_fail_memory(store->session);
	for (uint64_t row = 0; row < column->rows; row++)
		absolute(column, (unsigned char *)items + first[row] * column->width, lengths[row],
			 row, 0);
	*ret_first = LT_TAKE(first);
	*ret_items = LT_TAKE(items);
	return LT_OK;
}
