/*
 * reader.h: an open file, as the parts of the reader share it.
 */
#ifndef LT_STORE_READER_H
#define LT_STORE_READER_H

#include "store/pages.h"
#include "store/parts.h"

struct lt_chunk {
	int64_t piece;
	uint64_t first;
	uint64_t before; /* items of the lists before it */
	uint64_t checksum;
	uint32_t count;
};

LT_VEC(lt_chunks, struct lt_chunk);

/* Decoded chunks that were asked for last. */
enum { LT_STREAM_CACHE = 4 };
struct lt_cached_chunk {
	size_t number; /* of the chunk, + 1; 0: free */
	uint64_t used; /* larger is later */
	void *items;
	uint64_t *starts; /* of lengths: where each list begins in the stream of items */
};

struct lt_stream_state {
	struct lt_chunks chunks;
	uint64_t items;
	struct lt_cached_chunk cache[LT_STREAM_CACHE];
};

struct lt_stored_column {
	char name[LT_NAME_MOST + 1];
	unsigned width;
	bool lists;
	enum lt_store_coding coding;
	uint64_t rows;
	uint64_t checksum;
	struct lt_stream_state streams[LT_STREAM_COUNT];
	unsigned char *list; /* the list that was asked for last, `room` items */
	size_t room;
};

struct lt_meta {
	char *key;
	struct lt_store_value value; /* its text is owned */
};

LT_VEC(lt_metas, struct lt_meta);
LT_VEC(lt_stored_columns, struct lt_stored_column);

struct lt_store {
	struct lt_session *session;
	char *path;
	struct lt_pages pages;
	sqlite3 *db;
	sqlite3_stmt *get_piece;
	struct lt_chunk_coder *coder;
	struct lt_metas meta;
	struct lt_stored_columns columns;
	uint64_t clock; /* of the caches */
};

/* LT_E_FILE: "PATH is damaged: WHAT". */
enum lt_status lt_store_damaged(struct lt_store *store, const char *what);

/* Columns and their chunks, from the tables. */
LT_MUST_CHECK enum lt_status lt_columns_load(struct lt_store *store);
void lt_columns_unload(struct lt_store *store);

#endif
