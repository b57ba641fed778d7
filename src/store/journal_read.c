#include "store/journal_parts.h"

#include "base/cleanup.h"
#include "store/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <zstd.h>

enum { SEARCH_BYTES = 1 << 20 };

struct lt_journal_reader {
	struct lt_session *session;
	char *path;
	int fd;
	uint64_t number, sequence, at, end, cut;
	bool live, done;
	ZSTD_DCtx *decompressor;
	unsigned char *packed, *raw;
	size_t packed_room, raw_room;
};

bool lt_journal_is(int fd)
{
	char magic[LT_JOURNAL_MAGIC_BYTES];
	return lt_file_read_at(fd, magic, sizeof(magic), 0) == (ssize_t)sizeof(magic) &&
	       memcmp(magic, LT_JOURNAL_MAGIC, sizeof(magic)) == 0;
}

static enum lt_status damaged(struct lt_session *session, const char *path, const char *what)
{
	lt_remedy(session, "Record it again, or copy it again from where it was complete.");
	return lt_fail(session, LT_E_FILE, "%.200s is damaged: %s", path, what);
}

static enum lt_status cannot_read(const struct lt_journal_reader *reader)
{
	return lt_fail_errno(reader->session, LT_E_FILE, errno, "cannot read %.200s", reader->path);
}

enum lt_status lt_journal_reader_create(struct lt_session *session, int fd, const char *path,
					uint64_t number, uint64_t end,
					struct lt_journal_reader **ret_reader)
{
	struct lt_journal_reader *reader = calloc(1, sizeof(*reader));
	if (reader == NULL) {
		close(fd);
		return lt_fail_memory(session);
	}
	*reader = (struct lt_journal_reader){
		.session = session,
		.path = strdup(path),
		.fd = fd,
		.number = number,
		.at = LT_HEAD_BYTES,
		.end = end,
		.decompressor = ZSTD_createDCtx(),
	};
	if (reader->path == NULL || reader->decompressor == NULL) {
		lt_journal_close(reader);
		return lt_fail_memory(session);
	}
	*ret_reader = reader;
	return LT_OK;
}

static enum lt_status check_head(struct lt_session *session, const char *path,
				 const unsigned char *head, size_t length, uint32_t newest)
{
	size_t known = length < LT_JOURNAL_MAGIC_BYTES ? length : LT_JOURNAL_MAGIC_BYTES;
	if (length == 0 || memcmp(head, LT_JOURNAL_MAGIC, known) != 0) {
		lt_remedy(session, "Give a file that lowtide gc has written.");
		return lt_fail(session, LT_E_FILE, "%.200s is not a recording of lowtide", path);
	}
	if (length < LT_HEAD_BYTES)
		return damaged(session, path, "it is cut off before its first second");
	if (lt_journal_get(head, LT_HEAD_CHECKSUM, 8) != lt_checksum(head, LT_HEAD_CHECKSUM, 0))
		return damaged(session, path, "its head does not match its checksum");
	uint64_t version = lt_journal_get(head, LT_HEAD_VERSION, 4);
	uint64_t schema = lt_journal_get(head, LT_HEAD_SCHEMA, 4);
	if (version == LT_JOURNAL_VERSION && schema > 0 && schema <= newest)
		return LT_OK;
	const char *writer = (const char *)head + LT_HEAD_WRITER;
	lt_remedy(session, "Use lowtide %.23s or later.", writer);
	return lt_fail(
		session, LT_E_FILE,
		"%.200s was written by a later lowtide, %.23s: its schema is %llu.%llu, this "
		"lowtide " LT_VERSION " reads up to %d.%u",
		path, writer, (unsigned long long)version, (unsigned long long)schema,
		LT_JOURNAL_VERSION, newest);
}

enum lt_status lt_journal_open(struct lt_session *session, const char *path, uint32_t newest_schema,
			       struct lt_journal_reader **ret_reader)
{
	LT_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	unsigned char head[LT_HEAD_BYTES];
	struct stat found;
	if (fd < 0)
		return lt_fail_errno(session, LT_E_FILE, errno, "cannot read %.200s", path);
	if (fstat(fd, &found) != 0 || !S_ISREG(found.st_mode))
		return lt_fail(session, LT_E_FILE, "%.200s is no regular file", path);
	/* The lock before the length: a writer that ends in between has written everything. */
	bool live = flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
	if (!live)
		(void)flock(fd, LOCK_UN);
	if (fstat(fd, &found) != 0)
		return lt_fail_errno(session, LT_E_FILE, errno, "cannot read %.200s", path);
	ssize_t got = lt_file_read_at(fd, head, sizeof(head), 0);
	if (got < 0)
		return lt_fail_errno(session, LT_E_FILE, errno, "cannot read %.200s", path);
	LT_TRY(check_head(session, path, head, (size_t)got, newest_schema));
	int mine = fd;
	fd = -1;
	LT_TRY(lt_journal_reader_create(session, mine, path,
					lt_journal_get(head, LT_HEAD_NUMBER, 8),
					(uint64_t)found.st_size, ret_reader));
	(*ret_reader)->live = live;
	return LT_OK;
}

void lt_journal_close(struct lt_journal_reader *reader)
{
	if (reader == NULL)
		return;
	close(reader->fd);
	ZSTD_freeDCtx(reader->decompressor);
	free(reader->packed);
	free(reader->raw);
	free(reader->path);
	free(reader);
}

uint64_t lt_journal_cut(const struct lt_journal_reader *reader)
{
	return reader->cut;
}

bool lt_journal_live(const struct lt_journal_reader *reader)
{
	return reader->live;
}

static bool is_head(const struct lt_journal_reader *reader, const unsigned char *head)
{
	return lt_journal_get(head, 0, 4) == LT_FRAME_MAGIC &&
	       lt_journal_get(head, LT_FRAME_CHECKSUM, 8) ==
		       lt_journal_sum(head, LT_FRAME_CHECKSUM, reader->number, 0);
}

/* Whether a later frame begins somewhere from `at` on: then what is broken here is not the end. */
static enum lt_status find_later(const struct lt_journal_reader *reader, uint64_t at,
				 bool *ret_found)
{
	LT_FREE unsigned char *buffer = malloc(SEARCH_BYTES);
	if (buffer == NULL)
		return lt_fail_memory(reader->session);
	while (reader->end - at >= LT_FRAME_BYTES) {
		size_t wanted =
			reader->end - at < SEARCH_BYTES ? (size_t)(reader->end - at) : SEARCH_BYTES;
		ssize_t got = lt_file_read_at(reader->fd, buffer, wanted, at);
		if (got < 0)
			return cannot_read(reader);
		if (got < LT_FRAME_BYTES)
			break;
		size_t places = (size_t)got - LT_FRAME_BYTES + 1;
		for (size_t i = 0; i < places; i++) {
			if (is_head(reader, buffer + i)) {
				*ret_found = true;
				return LT_OK;
			}
		}
		at += places;
	}
	*ret_found = false;
	return LT_OK;
}

static bool make_room(unsigned char **buffer, size_t *room, size_t wanted)
{
	if (wanted <= *room)
		return true;
	unsigned char *grown = realloc(*buffer, wanted);
	if (grown == NULL)
		return false;
	*buffer = grown;
	*room = wanted;
	return true;
}

/* *ret_whole false: what is at this place is no whole frame of this journal. */
static enum lt_status take(struct lt_journal_reader *reader, bool *ret_whole, size_t *ret_length)
{
	unsigned char head[LT_FRAME_BYTES];
	*ret_whole = false;
	ssize_t got = lt_file_read_at(reader->fd, head, sizeof(head), reader->at);
	if (got < 0)
		return cannot_read(reader);
	if (got < (ssize_t)sizeof(head) || !is_head(reader, head))
		return LT_OK;
	size_t packed = lt_journal_get(head, LT_FRAME_PACKED, 4);
	size_t raw = lt_journal_get(head, LT_FRAME_RAW, 4);
	if (lt_journal_get(head, LT_FRAME_SEQUENCE, 8) != reader->sequence)
		return damaged(reader->session, reader->path, "a second of it is missing");
	if (raw > LT_JOURNAL_FRAME_MOST || packed > ZSTD_compressBound(LT_JOURNAL_FRAME_MOST))
		return damaged(reader->session, reader->path, "a second is longer than any can be");
	if (reader->end - reader->at - sizeof(head) < packed)
		return LT_OK;
	if (!make_room(&reader->packed, &reader->packed_room, packed) ||
	    !make_room(&reader->raw, &reader->raw_room, raw + 1))
		return lt_fail_memory(reader->session);
	got = lt_file_read_at(reader->fd, reader->packed, packed, reader->at + sizeof(head));
	if (got < 0)
		return cannot_read(reader);
	if ((size_t)got != packed ||
	    lt_journal_get(head, LT_FRAME_CONTENT, 8) !=
		    lt_journal_sum(reader->packed, packed, reader->number, reader->sequence))
		return LT_OK;
	if (ZSTD_decompressDCtx(reader->decompressor, reader->raw, raw, reader->packed, packed) !=
	    raw)
		return damaged(reader->session, reader->path, "a second cannot be decompressed");
	reader->at += sizeof(head) + packed;
	reader->sequence++;
	*ret_whole = true;
	*ret_length = raw;
	return LT_OK;
}

enum lt_status lt_journal_next(struct lt_journal_reader *reader, const void **ret_bytes,
			       size_t *ret_length)
{
	bool whole = false, later = false;
	size_t length = 0;
	if (!reader->done && reader->at < reader->end) {
		LT_TRY(take(reader, &whole, &length));
		if (!whole)
			LT_TRY(find_later(reader, reader->at + 1, &later));
		if (later)
			return damaged(reader->session, reader->path,
				       "a second of it does not match its checksum");
	}
	reader->done |= !whole;
	if (!whole)
		reader->cut = reader->end - reader->at;
	*ret_bytes = whole ? reader->raw : NULL;
	*ret_length = length;
	return LT_OK;
}
