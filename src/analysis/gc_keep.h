/*
 * gc_keep.h: what stays of a recording in memory, whether it is made or read: all of a short one, of a long one what is
 * most worth seeing. The same memory however long it is.
 */
#ifndef LT_ANALYSIS_GC_KEEP_H
#define LT_ANALYSIS_GC_KEEP_H

#include "analysis/gc_record.h"

/* All zero is the beginning. */
struct lt_gc_keep {
	uint64_t step_ns;        /* between two samples, 0: a second */
	uint64_t kept_sample_ns; /* when the last sample that was kept was taken */
};

/*
 * Adds an event whose stack is in the recording already, with copies of `where` and `evidence`. Of too many, half of the
 * collections that the youngest threshold started go, the shortest; when that is little, the older half of all.
 */
LT_MUST_CHECK enum lt_status lt_gc_keep_event(struct lt_session *session,
					      struct lt_gc_recording *recording,
					      const struct lt_gc_event *event);

/* Adds a sample, unless it is too near the one before. `edge`: the first or the last, which is added anyway. */
LT_MUST_CHECK enum lt_status lt_gc_keep_sample(struct lt_session *session, struct lt_gc_keep *keep,
					       struct lt_gc_recording *recording,
					       const struct lt_gc_sample *sample, bool edge);

#endif
