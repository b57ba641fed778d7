#include "store/pages.h"

#include "base/cleanup.h"
#include "store/checksum.h"
#include "store/file.h"
#include "store/journal.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	HEAD_BYTES = 100,
	CONTENT_BYTES = LT_PAGE_BYTES - LT_PAGE_RESERVED,
	/* Places in the head of an SQLite database (sqlite.org/fileformat.html, 1.3). */
	AT_PAGE_SIZE = 16,
	AT_WRITE_VERSION = 18,
	AT_READ_VERSION = 19,
	AT_RESERVED = 20,
	AT_PAGE_COUNT = 28,
	AT_SCHEMA = 60,
	AT_APPLICATION = 68,
	BATCH_PAGES = 64,
};
static const char MAGIC[16] = "SQLite format 3";

static uint64_t checksum_of(const unsigned char *page, uint64_t number, uint64_t file_number)
{
	return lt_checksum(page, CONTENT_BYTES, file_number ^ number * 0x9e3779b97f4a7c15u);
}

static uint64_t word_at(const unsigned char *bytes)
{
	uint64_t value;
	memcpy(&value, bytes, sizeof(value));
	return le64toh(value);
}

static void put_word(unsigned char *bytes, uint64_t value)
{
	value = htole64(value);
	memcpy(bytes, &value, sizeof(value));
}

static uint32_t big32(const unsigned char *bytes)
{
	uint32_t value;
	memcpy(&value, bytes, sizeof(value));
	return be32toh(value);
}

static int write_at(int fd, const void *buffer, size_t length, uint64_t offset)
{
	for (size_t done = 0; done < length;) {
		ssize_t put = pwrite(fd, (const char *)buffer + done, length - done,
				     (off_t)(offset + done));
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return errno;
		done += (size_t)put;
	}
	return 0;
}

int lt_pages_seal(int fd, uint64_t file_number)
{
	LT_FREE unsigned char *batch = malloc((size_t)BATCH_PAGES * LT_PAGE_BYTES);
	if (batch == NULL)
		return ENOMEM;
	uint64_t number = 1;
	for (uint64_t offset = 0;;) {
		ssize_t got =
			lt_file_read_at(fd, batch, (size_t)BATCH_PAGES * LT_PAGE_BYTES, offset);
		if (got < 0)
			return errno;
		if (got == 0)
			return 0;
		if (got % LT_PAGE_BYTES != 0)
			return EIO; /* SQLite writes whole pages */
		for (ssize_t at = 0; at < got; at += LT_PAGE_BYTES, number++) {
			put_word(batch + at + CONTENT_BYTES, file_number);
			put_word(batch + at + CONTENT_BYTES + 8,
				 checksum_of(batch + at, number, file_number));
		}
		int error = write_at(fd, batch, (size_t)got, offset);
		if (error != 0)
			return error;
		offset += (uint64_t)got;
	}
}

/*
 * The file system: one file, read only, which cannot change. SQLite asks for a page or for a part of the first;
 * in both cases the whole page is read and checked.
 */
struct page_file {
	sqlite3_file base;
	struct lt_pages *pages;
};

static struct lt_pages *pages_of(sqlite3_file *file)
{
	struct page_file *mine = (struct page_file *)(void *)file;
	return mine->pages;
}

static int load_page(struct lt_pages *pages, uint64_t number, unsigned char *page)
{
	ssize_t got = lt_file_read_at(pages->fd, page, LT_PAGE_BYTES, (number - 1) * LT_PAGE_BYTES);
	if (got < 0) {
		pages->read_errno = errno;
		return SQLITE_IOERR_READ;
	}
	if (got == LT_PAGE_BYTES && word_at(page + CONTENT_BYTES) == pages->file_number &&
	    word_at(page + CONTENT_BYTES + 8) == checksum_of(page, number, pages->file_number))
		return SQLITE_OK;
	if (pages->bad_page == 0)
		pages->bad_page = number;
	return SQLITE_CORRUPT;
}

static int file_read(sqlite3_file *file, void *buffer, int amount, sqlite3_int64 offset)
{
	struct lt_pages *pages = pages_of(file);
	unsigned char *out = buffer;
	uint64_t at = (uint64_t)offset, left = (uint64_t)amount;
	if (offset < 0 || amount < 0 || at > pages->bytes || left > pages->bytes - at) {
		memset(buffer, 0, amount < 0 ? 0 : (size_t)amount);
		return SQLITE_IOERR_SHORT_READ;
	}
	while (left > 0) {
		uint64_t start = at % LT_PAGE_BYTES, part = LT_PAGE_BYTES - start;
		bool whole = start == 0 && left >= LT_PAGE_BYTES;
		unsigned char *page = whole ? out : pages->page;
		if (part > left)
			part = left;
		int code = load_page(pages, at / LT_PAGE_BYTES + 1, page);
		if (code != SQLITE_OK)
			return code;
		if (!whole)
			memcpy(out, page + start, part);
		out += part;
		at += part;
		left -= part;
	}
	return SQLITE_OK;
}

static int file_close(sqlite3_file *file)
{
	(void)file;
	return SQLITE_OK;
}

static int file_write(sqlite3_file *file, const void *buffer, int amount, sqlite3_int64 offset)
{
	(void)file;
	(void)buffer;
	(void)amount;
	(void)offset;
	return SQLITE_READONLY;
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	(void)file;
	(void)size;
	return SQLITE_READONLY;
}

static int file_nothing(sqlite3_file *file, int value)
{
	(void)file;
	(void)value;
	return SQLITE_OK;
}

static int file_size(sqlite3_file *file, sqlite3_int64 *ret_size)
{
	*ret_size = (sqlite3_int64)pages_of(file)->bytes;
	return SQLITE_OK;
}

static int file_reserved(sqlite3_file *file, int *ret_reserved)
{
	(void)file;
	*ret_reserved = 0;
	return SQLITE_OK;
}

static int file_control(sqlite3_file *file, int operation, void *argument)
{
	(void)file;
	(void)operation;
	(void)argument;
	return SQLITE_NOTFOUND;
}

static int file_sector(sqlite3_file *file)
{
	(void)file;
	return LT_PAGE_BYTES;
}

static int file_traits(sqlite3_file *file)
{
	(void)file;
	return SQLITE_IOCAP_IMMUTABLE;
}

static const sqlite3_io_methods file_methods = {
	.iVersion = 1,
	.xClose = file_close,
	.xRead = file_read,
	.xWrite = file_write,
	.xTruncate = file_truncate,
	.xSync = file_nothing,
	.xFileSize = file_size,
	.xLock = file_nothing,
	.xUnlock = file_nothing,
	.xCheckReservedLock = file_reserved,
	.xFileControl = file_control,
	.xSectorSize = file_sector,
	.xDeviceCharacteristics = file_traits,
};

/* Only the one database can be opened, whatever its name: no journal, no temporary file, no second database. */
static int system_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
		       int *ret_flags)
{
	struct page_file *mine = (struct page_file *)(void *)file;
	mine->base.pMethods = NULL;
	if ((flags & SQLITE_OPEN_MAIN_DB) == 0 || name == NULL)
		return SQLITE_CANTOPEN;
	const char *slash = strrchr(name, '/');
	if (strcmp(slash != NULL ? slash + 1 : name, vfs->zName) != 0)
		return SQLITE_CANTOPEN;
	mine->pages = vfs->pAppData;
	mine->base.pMethods = &file_methods;
	if (ret_flags != NULL)
		*ret_flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_MAIN_DB;
	return SQLITE_OK;
}

static int system_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
	(void)vfs;
	(void)name;
	(void)sync;
	return SQLITE_READONLY;
}

static int system_access(sqlite3_vfs *vfs, const char *name, int flags, int *ret_result)
{
	(void)vfs;
	(void)name;
	(void)flags;
	*ret_result = 0;
	return SQLITE_OK;
}

static int system_full_name(sqlite3_vfs *vfs, const char *name, int size, char *ret_name)
{
	(void)vfs;
	snprintf(ret_name, (size_t)size, "/%s", name[0] == '/' ? name + 1 : name);
	return SQLITE_OK;
}

/* Entropy, time and sleep are those of the default file system. */
static int system_random(sqlite3_vfs *vfs, int size, char *ret_bytes)
{
	(void)vfs;
	sqlite3_vfs *common = sqlite3_vfs_find(NULL);
	return common->xRandomness(common, size, ret_bytes);
}

static int system_sleep(sqlite3_vfs *vfs, int microseconds)
{
	(void)vfs;
	sqlite3_vfs *common = sqlite3_vfs_find(NULL);
	return common->xSleep(common, microseconds);
}

static int system_time(sqlite3_vfs *vfs, double *ret_time)
{
	(void)vfs;
	sqlite3_vfs *common = sqlite3_vfs_find(NULL);
	return common->xCurrentTime(common, ret_time);
}

static int system_error(sqlite3_vfs *vfs, int size, char *ret_text)
{
	(void)vfs;
	(void)size;
	(void)ret_text;
	return 0;
}

static enum lt_status foreign(struct lt_session *session, const char *path, const char *what)
{
	lt_remedy(session, "Give a file that lowtide snapshot or lowtide gc -o has written.");
	return lt_fail(session, LT_E_FILE, "%.200s is not a snapshot of lowtide: %s", path, what);
}

/* What can be told from the head and the length alone. */
static enum lt_status check_head(struct lt_session *session, const char *path,
				 const unsigned char *head, size_t length, struct lt_pages *pages)
{
	if (pages->bytes == 0)
		return foreign(session, path, "it is empty");
	if (lt_journal_is(pages->fd)) {
		lt_remedy(session, "Look at it with 'lowtide gc %.200s'.", path);
		return lt_fail(session, LT_E_FILE,
			       "%.200s is an unfinished recording of the collector, not a snapshot "
			       "of a heap",
			       path);
	}
	if (length < sizeof(MAGIC) || memcmp(head, MAGIC, sizeof(MAGIC)) != 0)
		return foreign(session, path, "it is no SQLite database");
	if (length < HEAD_BYTES)
		return lt_fail(session, LT_E_FILE, "%.200s is damaged: it is cut off", path);
	if (big32(head + AT_APPLICATION) != LT_STORE_APPLICATION)
		return foreign(session, path, "it is an SQLite database of another program");
	pages->schema = big32(head + AT_SCHEMA);
	unsigned page_bytes = (unsigned)head[AT_PAGE_SIZE] << 8 | head[AT_PAGE_SIZE + 1];
	if (page_bytes != LT_PAGE_BYTES || head[AT_RESERVED] != LT_PAGE_RESERVED ||
	    head[AT_WRITE_VERSION] != 1 || head[AT_READ_VERSION] != 1)
		return lt_fail(session, LT_E_FILE,
			       "%.200s is damaged, or another program has changed it: its pages "
			       "are not those of a snapshot",
			       path);
	uint64_t wanted = (uint64_t)big32(head + AT_PAGE_COUNT) * LT_PAGE_BYTES;
	if (pages->bytes < wanted)
		return lt_fail(session, LT_E_FILE,
			       "%.200s is damaged: it is cut off after %llu of %llu bytes", path,
			       (unsigned long long)pages->bytes, (unsigned long long)wanted);
	if (pages->bytes > wanted || wanted == 0)
		return lt_fail(session, LT_E_FILE,
			       "%.200s is damaged: it has %llu bytes and should have %llu", path,
			       (unsigned long long)pages->bytes, (unsigned long long)wanted);
	return LT_OK;
}

static enum lt_status read_head(struct lt_session *session, const char *path,
				struct lt_pages *pages)
{
	struct stat found;
	if (fstat(pages->fd, &found) != 0)
		return lt_fail_errno(session, LT_E_FILE, errno, "cannot read %.200s", path);
	if (S_ISDIR(found.st_mode))
		return foreign(session, path, "it is a folder");
	if (!S_ISREG(found.st_mode))
		return foreign(session, path, "it is no regular file");
	pages->bytes = (uint64_t)found.st_size;
	ssize_t got = lt_file_read_at(pages->fd, pages->page, LT_PAGE_BYTES, 0);
	if (got < 0)
		return lt_fail_errno(session, LT_E_FILE, errno, "cannot read %.200s", path);
	LT_TRY(check_head(session, path, pages->page, (size_t)got, pages));
	pages->file_number = word_at(pages->page + CONTENT_BYTES);
	if (got == LT_PAGE_BYTES && load_page(pages, 1, pages->page) == SQLITE_OK)
		return LT_OK;
	return lt_fail(session, LT_E_FILE, "%.200s is damaged: page 1 does not match its checksum",
		       path);
}

static enum lt_status register_system(struct lt_session *session, struct lt_pages *pages)
{
	pages->vfs = calloc(1, sizeof(*pages->vfs));
	if (pages->vfs == NULL)
		return lt_fail_memory(session);
	snprintf(pages->vfs_name, sizeof(pages->vfs_name), "lowtide-%p", (void *)pages->vfs);
	*pages->vfs = (sqlite3_vfs){
		.iVersion = 1,
		.szOsFile = (int)sizeof(struct page_file),
		.mxPathname = 256,
		.zName = pages->vfs_name,
		.pAppData = pages,
		.xOpen = system_open,
		.xDelete = system_delete,
		.xAccess = system_access,
		.xFullPathname = system_full_name,
		.xRandomness = system_random,
		.xSleep = system_sleep,
		.xCurrentTime = system_time,
		.xGetLastError = system_error,
	};
	if (sqlite3_vfs_register(pages->vfs, 0) != SQLITE_OK) {
		free(pages->vfs);
		pages->vfs = NULL;
		return lt_fail_memory(session);
	}
	return LT_OK;
}

enum lt_status lt_pages_open(struct lt_session *session, int fd, const char *path,
			     struct lt_pages *ret_pages)
{
	*ret_pages = (struct lt_pages){.fd = fd, .page = malloc(LT_PAGE_BYTES)};
	enum lt_status status = ret_pages->page == NULL ? lt_fail_memory(session)
							: read_head(session, path, ret_pages);
	if (status == LT_OK)
		status = register_system(session, ret_pages);
	if (status != LT_OK)
		lt_pages_close(ret_pages);
	return status;
}

void lt_pages_close(struct lt_pages *pages)
{
	if (pages->vfs != NULL)
		sqlite3_vfs_unregister(pages->vfs);
	free(pages->vfs);
	free(pages->page);
	close(pages->fd);
	memset(pages, 0, sizeof(*pages));
	pages->fd = -1;
}
