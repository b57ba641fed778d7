/*
 * unfinished.h: a file that is being written, under a name of its own beside the name it will have.
 */
#ifndef LT_STORE_UNFINISHED_H
#define LT_STORE_UNFINISHED_H

#include "base/session.h"

/* The name that the file is written under: this comes after the name it will have. */
#define LT_UNFINISHED_SUFFIX ".unfinished"
/* Of the whole file, while the journal that it is made of still has the name above. */
#define LT_FINISHING_SUFFIX ".finishing"

enum lt_unfinished_kind {
	LT_UNFINISHED_DRAFT,   /* worth nothing until it is whole: a signal removes it */
	LT_UNFINISHED_JOURNAL, /* can be read as far as it goes: it stays */
	LT_UNFINISHED_FINAL,   /* a draft beside a journal of the same name */
};

struct lt_unfinished {
	char *path;      /* as the user gave it */
	char *final;     /* what a symbolic link leads to */
	char *temporary; /* final + suffix */
	int fd;          /* of the temporary file, locked while it is written; -1: none */
	int slot;        /* of the paths that a signal removes; -1: none */
};

/*
 * Makes the temporary file, empty and readable for its owner only. A draft that a writer left there when it was
 * killed is replaced, a journal is not. LT_E_FILE: not possible there, or another writer is at work on it.
 */
LT_MUST_CHECK enum lt_status lt_unfinished_begin(struct lt_session *session, const char *path,
						 enum lt_unfinished_kind kind,
						 struct lt_unfinished *ret_file);

/* Syncs the folder of the file, so that its temporary name lasts. 0 or an errno. */
int lt_unfinished_sync(const struct lt_unfinished *file);

/* Syncs the file, gives it its name, syncs the folder. The file must then be ended in any case. */
LT_MUST_CHECK enum lt_status lt_unfinished_commit(struct lt_session *session,
						  struct lt_unfinished *file);

/* Leaves the temporary file where it is, unlocked. */
void lt_unfinished_keep(struct lt_unfinished *file);

/* Removes the temporary file, if it still has its name. All zero but fd and slot -1 is allowed. */
void lt_unfinished_end(struct lt_unfinished *file);

#endif
