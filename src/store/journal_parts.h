/*
 * journal_parts.h: the bytes of a journal, as its writer and its reader agree on them. All numbers are
 * little-endian.
 */
#ifndef LT_STORE_JOURNAL_PARTS_H
#define LT_STORE_JOURNAL_PARTS_H

#include "store/checksum.h"
#include "store/journal.h"

#include <endian.h>
#include <string.h>

#define LT_JOURNAL_MAGIC "lowtide journal"

/* Places in the head of the file, and in that of a frame. */
enum {
	LT_JOURNAL_VERSION = 1,
	LT_HEAD_VERSION = 16, /* u32 */
	LT_HEAD_SCHEMA = 20,  /* u32 */
	LT_HEAD_NUMBER = 24,  /* u64, random: that of the file */
	LT_HEAD_WRITER = 32,  /* 24 bytes: the version of lowtide */
	LT_HEAD_CHECKSUM = 56,
	LT_HEAD_BYTES = 64,

	LT_FRAME_MAGIC = 0x6d617246, /* "Fram" */
	LT_FRAME_PACKED = 4,         /* u32: bytes behind the head, compressed by zstd */
	LT_FRAME_RAW = 8,            /* u32: bytes that they become */
	LT_FRAME_SEQUENCE = 16,      /* u64, from 0 on */
	LT_FRAME_CONTENT = 24,       /* checksum of the compressed bytes */
	LT_FRAME_CHECKSUM = 32,      /* of the head itself */
	LT_FRAME_BYTES = 40,
};

static inline uint64_t lt_journal_get(const unsigned char *bytes, size_t at, size_t width)
{
	uint64_t value = 0;
	memcpy(&value, bytes + at, width);
	return le64toh(value);
}

static inline void lt_journal_put(unsigned char *bytes, size_t at, size_t width, uint64_t value)
{
	value = htole64(value);
	memcpy(bytes + at, &value, width);
}

/* A checksum fits its own file and place only. */
static inline uint64_t lt_journal_sum(const void *bytes, size_t length, uint64_t number,
				      uint64_t place)
{
	return lt_checksum(bytes, length, number ^ (place + 1) * 0x9e3779b97f4a7c15u);
}

/* Reads frames from `fd`, which is taken over, from behind the head to `end`. */
LT_MUST_CHECK enum lt_status lt_journal_reader_create(struct lt_session *session, int fd,
						      const char *path, uint64_t number,
						      uint64_t end,
						      struct lt_journal_reader **ret_reader);

#endif
