/*
 * gc_waits.h: how much garbage waits when collections come, over many of them. It is highest before the last collection of
 * generation 1 that comes before a full one: there all that counts. Of those of generation 0 the most is what one of twenty
 * exceeds: the very most of thousands is chance.
 */
#ifndef LT_ANALYSIS_GC_WAITS_H
#define LT_ANALYSIS_GC_WAITS_H

#include "heap/interpreters.h"

enum { LT_GC_WAIT_BINS = 1024 };

/* All zero: none yet. */
struct lt_gc_waits {
	struct {
		uint32_t count;
		float most;
	} young[LT_GC_WAIT_BINS]; /* by the logarithm of the objects */
	uint64_t count;
	double older; /* the most before a collection of an older generation than 0 */
};

/* So many objects wait when a collection of the generation comes. */
void lt_gc_waits_note(struct lt_gc_waits *waits, int generation, double objects);

double lt_gc_waits_most(const struct lt_gc_waits *waits);

#endif
