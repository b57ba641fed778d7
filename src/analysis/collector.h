/*
 * collector.h: the state of the garbage collector of each interpreter of a target.
 */
#ifndef LT_ANALYSIS_COLLECTOR_H
#define LT_ANALYSIS_COLLECTOR_H

#include "base/session.h"

enum { LT_GENERATIONS = 3 };

struct lt_collector_generation {
	int64_t threshold;                              /* gc.get_threshold() */
	int64_t count;                                  /* gc.get_count() */
	uint64_t collections, collected, uncollectable; /* gc.get_stats() */
};

struct lt_collector {
	uint64_t interpreter; /* its id: 0 is the main one */
	bool enabled;
	bool collecting;
	struct lt_collector_generation generations[LT_GENERATIONS];
	uint64_t tracked;   /* objects in all lists; 0 when they were not counted */
	uint64_t frozen;    /* of them in the permanent generation (gc.get_freeze_count()) */
	uint64_t garbage;   /* length of gc.garbage */
	uint64_t callbacks; /* length of gc.callbacks */
	uint32_t debug;     /* gc.get_debug() */
	uint64_t long_lived_total,
		long_lived_pending;    /* of the 25 % rule; 0 where it does not exist */
	int64_t usual[LT_GENERATIONS]; /* the thresholds that the release starts with */
	bool incremental;              /* the second threshold is not a count of collections */
};

struct lt_view;

/*
 * Of every interpreter, the main one first; at most 1,024. Counts of objects are left 0: the caller
 * that has walked the heap fills them. Caller frees *ret_collectors.
 */
LT_MUST_CHECK enum lt_status lt_collectors_read(const struct lt_view *view,
						struct lt_collector **ret_collectors,
						size_t *ret_count);

#endif
