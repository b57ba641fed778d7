/*
 * doomed.h: unfinished files that go when a signal ends the program. SIGHUP, SIGINT, SIGQUIT and SIGTERM remove
 * them where they would have ended it at once; nothing removes them on SIGKILL.
 */
#ifndef LT_BASE_DOOMED_H
#define LT_BASE_DOOMED_H

#include <signal.h>

/* Returns a slot for lt_doom_release(), -1: there is no room, and the file would be left behind. */
int lt_doom(const char *path);

/* The file is finished or has gone; -1 is allowed. */
void lt_doom_release(int slot);

/* Between the making, naming or removing of a file and the note of it none of these signals ends the program. */
void lt_doom_hold(sigset_t *ret_before);
void lt_doom_let(const sigset_t *before);

#endif
