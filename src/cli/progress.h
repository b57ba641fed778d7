/*
 * progress.h: a bar on a terminal's standard error while long work goes on.
 */
#ifndef LT_CLI_PROGRESS_H
#define LT_CLI_PROGRESS_H

#include "base/session.h"

struct lt_progress_bar {
	uint64_t first_ns; /* when the work was first reported */
	uint64_t drawn_ns; /* when the bar was last drawn, 0: never */
	bool utf8;
};

/* Listens to the session when standard error is a terminal and the session is not quiet. */
void lt_progress_bar_begin(struct lt_progress_bar *bar, struct lt_session *session, bool utf8);

/* Takes the bar off the screen and stops listening. */
void lt_progress_bar_end(struct lt_progress_bar *bar, struct lt_session *session);

#endif
