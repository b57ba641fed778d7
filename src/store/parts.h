/*
 * parts.h: what writer and reader agree on: the tables of the container and its limits.
 */
#ifndef LT_STORE_PARTS_H
#define LT_STORE_PARTS_H

#include "base/vec.h"
#include "store/chunk.h"

#include <sqlite3.h>

/* A list column has two streams of items: all items of its lists, and how long each list is. */
enum lt_stream { LT_STREAM_ITEMS, LT_STREAM_LENGTHS, LT_STREAM_COUNT };

enum {
	LT_COLUMNS_MOST = 256,
	LT_NAME_MOST = 63,
	LT_LENGTH_WIDTH = 4,       /* bytes of the length of a list */
	LT_TEXT_MOST = 1 << 20,    /* bytes of a text in a table */
	LT_RECORD_MOST = 16 << 20, /* bytes of a row of a table, or of a chunk */
	LT_CHUNKS_MOST = 1 << 24,  /* of one stream */
	LT_META_MOST = 4096,       /* keys */
};

/*
 * columns: one row a column, in the order of their numbers, from 0 on. `checksum` is over the
 * checksums of its chunks in their order.
 * chunks: in the order of (stream, column, first). `first` is the number of its first item in the
 * stream; `before`, of a chunk of lengths, how many items the lists before it have together.
 * `checksum` is over the bytes, seeded with lt_chunk_seed(). The bytes are in pieces.
 */
#define LT_STORE_TABLES                                                                            \
	"CREATE TABLE meta (key TEXT PRIMARY KEY NOT NULL, value) WITHOUT ROWID;"                  \
	"CREATE TABLE columns (id INTEGER PRIMARY KEY, name TEXT NOT NULL, width INTEGER NOT "     \
	"NULL, lists INTEGER NOT NULL, coding INTEGER NOT NULL, row_count INTEGER NOT NULL, "      \
	"item_count INTEGER NOT NULL, checksum INTEGER NOT NULL);"                                 \
	"CREATE TABLE chunks (piece INTEGER PRIMARY KEY, column_id INTEGER NOT NULL, stream "      \
	"INTEGER NOT NULL, first INTEGER NOT NULL, count INTEGER NOT NULL, before INTEGER NOT "    \
	"NULL, checksum INTEGER NOT NULL);"                                                        \
	"CREATE TABLE pieces (id INTEGER PRIMARY KEY, data BLOB NOT NULL);"

/* Keys of meta that every file has. */
#define LT_META_COMPLETE "complete" /* 1, written last */
#define LT_META_WRITER "lowtide"    /* version of the program that wrote it */

/* Binds a chunk to its place. */
static inline uint64_t lt_chunk_seed(uint32_t column, enum lt_stream stream, uint64_t first,
				     uint64_t count, uint64_t before)
{
	uint64_t seed = 0;
	const uint64_t parts[] = {column, (uint64_t)stream, first, count, before};
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		seed = (seed ^ parts[i]) * 0x9e3779b97f4a7c15u + (seed >> 29);
	return seed;
}

#endif
