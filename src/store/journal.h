/*
 * journal.h: a file that grows while something is watched: one frame a second, each whole and durable before
 * the next, so that whoever kills the writer costs at most the frame that was on its way. docs/tide.md has
 * the format. When all is done the frames go into a file of the store and the journal goes.
 *
 * Under its path a journal is called PATH.unfinished, locked while its writer lives.
 */
#ifndef LT_STORE_JOURNAL_H
#define LT_STORE_JOURNAL_H

#include "base/session.h"

enum {
	LT_JOURNAL_FRAME_MOST = 8 << 20, /* bytes of a frame */
	LT_JOURNAL_MAGIC_BYTES = 16,
};

/* True when this begins as a journal does. The place in the file stays. */
bool lt_journal_is(int fd);

/*
 * Writing. A thread of its own writes and syncs, so that a slow disk does not hold up the caller. Failures are
 * LT_E_FILE with a sentence; what was durable before stays readable.
 */
struct lt_journal;
LT_MUST_CHECK enum lt_status lt_journal_begin(struct lt_session *session, const char *path,
					      uint32_t schema, struct lt_journal **ret_journal);
/* The frame is durable some time after, and before a later one. A failure may be that of an earlier frame. */
LT_MUST_CHECK enum lt_status lt_journal_append(struct lt_journal *journal, const void *bytes,
					       size_t length);
/* Returns when every frame is durable. */
LT_MUST_CHECK enum lt_status lt_journal_sync(struct lt_journal *journal);
uint64_t lt_journal_bytes(const struct lt_journal *journal);   /* durable so far, after a sync */
const char *lt_journal_name(const struct lt_journal *journal); /* that of the file now */
/* Ends the writer and removes the file. NULL is allowed. */
void lt_journal_remove(struct lt_journal *journal);
/* Ends the writer and leaves the file; without a durable frame it is removed. NULL is allowed. */
void lt_journal_keep(struct lt_journal *journal);

/*
 * Reading, frame by frame. Damage before the last frame is LT_E_FILE; a last frame that is not whole is what a
 * killed writer leaves: it is passed over, and lt_journal_cut() says so.
 */
struct lt_journal_reader;
LT_MUST_CHECK enum lt_status lt_journal_open(struct lt_session *session, const char *path,
					     uint32_t newest_schema,
					     struct lt_journal_reader **ret_reader);
/* The frames of a journal that is being written, up to the last sync. It must outlive the reader. */
LT_MUST_CHECK enum lt_status lt_journal_read_back(struct lt_journal *journal,
						  struct lt_journal_reader **ret_reader);
/* The next frame, valid until the next call; *ret_bytes is NULL after the last. */
LT_MUST_CHECK enum lt_status lt_journal_next(struct lt_journal_reader *reader,
					     const void **ret_bytes, size_t *ret_length);
uint64_t lt_journal_cut(const struct lt_journal_reader *reader); /* bytes passed over at the end */
bool lt_journal_live(const struct lt_journal_reader *reader);    /* its writer is at work */
void lt_journal_close(struct lt_journal_reader *reader);

#endif
