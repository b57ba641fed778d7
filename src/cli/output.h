/*
 * output.h: where a report goes: standard output or a file that appears complete or not at all.
 */
#ifndef LT_CLI_OUTPUT_H
#define LT_CLI_OUTPUT_H

#include "base/session.h"

/* Whether a file could be made there, before a target is stopped for it. LT_E_FILE: no. NULL path: standard output. */
LT_MUST_CHECK enum lt_status lt_output_check(struct lt_session *session, const char *path);

/*
 * A file in the making. To a path: an unnamed or temporary file beside it, synced and then renamed over it
 * by lt_output_commit(); a path that is there and no regular file (a device, a pipe) is written directly.
 * Without the commit, or when it fails, an older file is as it was and nothing new is there.
 */
struct lt_output;
LT_MUST_CHECK enum lt_status lt_output_begin(struct lt_session *session, const char *path,
					     struct lt_output **ret_output);
LT_MUST_CHECK enum lt_status lt_output_add(struct lt_output *output, const char *bytes,
					   size_t length);
/* The whole file is there then. LT_E_FILE, or LT_E_NO_MEMORY after a shortage: nothing of the kind happened. */
LT_MUST_CHECK enum lt_status lt_output_commit(struct lt_output *output);
/* Releases it; what was not committed is gone. NULL is allowed. */
void lt_output_end(struct lt_output *output);

/* All of it at once; NULL: to standard output. */
LT_MUST_CHECK enum lt_status lt_output_write(struct lt_session *session, const char *path,
					     const char *bytes, size_t length);

#endif
