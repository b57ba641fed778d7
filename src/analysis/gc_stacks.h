/*
 * gc_stacks.h: Python stacks of a running process as files, functions and lines, each string and each stack
 * kept once.
 *
 * Code objects come and go: what is known of one is used only while its name, file and line table still are
 * where they were, which is looked at once each round.
 */
#ifndef LT_ANALYSIS_GC_STACKS_H
#define LT_ANALYSIS_GC_STACKS_H

#include "analysis/gc_recording.h"
#include "base/map.h"

struct lt_gc_stacks;

/* `recording` takes the frames and strings; it and `view` (on the live memory) must live as long. */
LT_MUST_CHECK enum lt_status lt_gc_stacks_create(const struct lt_view *view,
						 struct lt_gc_recording *recording,
						 struct lt_gc_stacks **ret_stacks);

/* From here on every code object is checked anew. */
void lt_gc_stacks_round(struct lt_gc_stacks *stacks);

/* The frames of `event` into the recording: sets its stack_first and stack_count. */
LT_MUST_CHECK enum lt_status lt_gc_stacks_resolve(struct lt_gc_stacks *stacks,
						  struct lt_gc_event *event);

/*
 * A copy of `text` that lives in the recording, the same one for the same text. "" when the recording has so
 * many strings that there is no room for another; NULL: no memory.
 */
const char *lt_gc_stacks_string(struct lt_gc_stacks *stacks, const char *text);

void lt_gc_stacks_destroy(struct lt_gc_stacks *stacks);

#endif
