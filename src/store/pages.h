/*
 * pages.h: the pages of the file. SQLite leaves the last 16 bytes of every page to us: the number of the
 * file, the same on all pages, and a checksum over page number, file number and what is on the page.
 */
#ifndef LT_STORE_PAGES_H
#define LT_STORE_PAGES_H

#include "base/session.h"

struct sqlite3;
struct sqlite3_vfs;

enum {
	LT_PAGE_BYTES = 16384,
	LT_PAGE_RESERVED = 16,
	LT_STORE_APPLICATION = 0x4c544944, /* "LTID", the application_id of SQLite */
};

/* Writes number and checksum into every page of the finished database. 0 or an errno. */
int lt_pages_seal(int fd, uint64_t file_number);

/* A file that is open for reading, as a file system of SQLite that holds nothing else. */
struct lt_pages {
	int fd;
	uint64_t bytes;       /* length of the file, a whole number of pages */
	uint64_t file_number; /* of the first page */
	uint32_t schema;      /* user_version */
	uint64_t bad_page;    /* the first page that was not as written, from 1; 0: none */
	int read_errno;       /* of the first read that failed */
	struct sqlite3_vfs *vfs;
	char vfs_name[40];
	unsigned char *page; /* one page */
};

/* Takes over `fd`, on failure too. LT_E_FILE: not a file of lowtide, or cut off. */
LT_MUST_CHECK enum lt_status lt_pages_open(struct lt_session *session, int fd, const char *path,
					   struct lt_pages *ret_pages);
/* Open pages only, and no longer in use by SQLite. */
void lt_pages_close(struct lt_pages *pages);

#endif
