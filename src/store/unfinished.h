/*
 * unfinished.h: a file that is being written, under a name of its own beside the name it will have.
 */
#ifndef LT_STORE_UNFINISHED_H
#define LT_STORE_UNFINISHED_H

#include "base/session.h"

/* The name that the file is written under: this comes after the name it will have. */
#define LT_UNFINISHED_SUFFIX ".unfinished"

struct lt_unfinished {
	char *path;      /* as the user gave it */
	char *final;     /* what a symbolic link leads to */
	char *temporary; /* final + LT_UNFINISHED_SUFFIX */
	int fd;          /* of the temporary file, locked while it is written; -1: none */
	int slot;        /* of the paths that a signal removes; -1: none */
};

/*
 * Makes the temporary file, empty and readable for its owner only. What a writer that is gone left there is
 * replaced. LT_E_FILE: not possible there, or another writer is at work on it.
 */
LT_MUST_CHECK enum lt_status lt_unfinished_begin(struct lt_session *session, const char *path,
						 struct lt_unfinished *ret_file);

/* Syncs the file, gives it its name, syncs the folder. The file must then be ended in any case. */
LT_MUST_CHECK enum lt_status lt_unfinished_commit(struct lt_session *session,
						  struct lt_unfinished *file);

/* Removes the temporary file, if it still has its name. All zero but fd and slot -1 is allowed. */
void lt_unfinished_end(struct lt_unfinished *file);

#endif
