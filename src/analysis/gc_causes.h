/*
 * gc_causes.h: why a collection ran, decided from what was seen, and the evidence in a sentence.
 *
 * CPython starts a collection for three reasons only: the counters of allocations went over the thresholds,
 * somebody called for it, or the interpreter shuts down. How much memory is in use or free is none of them.
 */
#ifndef LT_ANALYSIS_GC_CAUSES_H
#define LT_ANALYSIS_GC_CAUSES_H

#include "analysis/gc_recording.h"
#include "base/text.h"

/* To whom the code of a file belongs. */
enum lt_gc_owner {
	LT_OWNER_PROGRAM,
	LT_OWNER_INSTALLED, /* a library of site-packages or dist-packages */
	LT_OWNER_STANDARD,  /* Python's own library, frozen modules included */
};

/* `python` is the version, "3.12.1". */
enum lt_gc_owner lt_gc_owner_of(const char *file, const char *python);

/* Innermost frame that is not the standard library's; the innermost one when all are; NULL: no stack. */
const struct lt_gc_frame *lt_gc_own_frame(const struct lt_gc_recording *recording,
					  const struct lt_gc_event *event);

/* The innermost frame that is of no library at all, neither Python's own nor an installed one; NULL: none. */
const struct lt_gc_frame *lt_gc_program_frame(const struct lt_gc_recording *recording,
					      const struct lt_gc_event *event);

/* "file:line:function", the line left out when it is not known. */
void lt_gc_frame_add(const struct lt_gc_frame *frame, struct lt_text *text);

/*
 * Whether a change of the settings lets go a count that is over the threshold by then: automatic collection was off, or the
 * threshold higher, while the objects were made. False for a collection.
 */
bool lt_gc_lets_go(const struct lt_watch_event *change);

/*
 * The cause of a collection whose `seen` and stack are filled in; of every other event LT_CAUSE_UNKNOWN.
 * Appends its place in the program's own code, nothing when that is not known, and the sentence. What came right before
 * is looked up in the recording's events.
 */
enum lt_gc_cause lt_gc_cause_decide(const struct lt_gc_recording *recording,
				    const struct lt_gc_event *event, struct lt_text *where,
				    struct lt_text *evidence);

#endif
