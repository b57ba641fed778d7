/*
 * gc_signals.h: whether a collection ran in a signal handler of the program: a function that is set for a signal is on
 * its stack.
 */
#ifndef LT_ANALYSIS_GC_SIGNALS_H
#define LT_ANALYSIS_GC_SIGNALS_H

#include "analysis/gc_recording.h"

struct lt_gc_signals;

/* `view`, on the live memory, must live as long. */
LT_MUST_CHECK enum lt_status lt_gc_signals_create(const struct lt_view *view,
						  struct lt_gc_signals **ret_signals);

/* The handlers that are set now, which is looked at once each round. */
void lt_gc_signals_round(struct lt_gc_signals *signals);

/* The signal that the innermost function of the event's stack is set for that is set for one; 0: none is. */
int lt_gc_signals_of(struct lt_gc_signals *signals, const struct lt_watch_event *event);

void lt_gc_signals_destroy(struct lt_gc_signals *signals); /* NULL is allowed */

#endif
