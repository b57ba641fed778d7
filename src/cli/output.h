/*
 * output.h: where a report goes: standard output or a file that appears complete or not at all.
 */
#ifndef LT_CLI_OUTPUT_H
#define LT_CLI_OUTPUT_H

#include "base/session.h"

/* Whether a file could be made there, before a target is stopped for it. LT_E_FILE: no. NULL path: standard output. */
LT_MUST_CHECK enum lt_status lt_output_check(struct lt_session *session, const char *path);

/*
 * Writes all bytes. To a path: into a temporary file beside it, synced, then renamed over it; a path
 * that is there and no regular file (a device, a pipe) is written directly. LT_E_FILE: nothing of
 * the kind happened, an older file is as it was.
 */
LT_MUST_CHECK enum lt_status lt_output_write(struct lt_session *session, const char *path,
					     const char *bytes, size_t length);

#endif
