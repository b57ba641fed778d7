/*
 * gc_model_parts.h: what fitting (gc_model.c) and replaying (gc_predict.c) share.
 */
#ifndef LT_ANALYSIS_GC_MODEL_PARTS_H
#define LT_ANALYSIS_GC_MODEL_PARTS_H

#include "analysis/gc_model.h"

/*
 * The path of a recording as steps: `refill` objects were allocated after each collection without being counted, a share
 * `refill_share` of all that was allocated until they were used up; `taken_back` is the share of what was allocated before a collection that reference
 * counting takes back once the count has come down to 0. `ret_flow`: what the level rises by in a ns, `usual_flow` where the stretches do not tell. `ret_regular`: units of work that no collection met are alike, and told it. No steps: there is
 * no path, or it goes up and down by less than the `threshold` of generation 0 in all. False: no memory.
 */
bool lt_gc_steps_build(const struct lt_watch_points *points, double taken_back, double refill,
		       double refill_share, double usual_flow, double threshold,
		       struct lt_gc_steps *steps, double *ret_flow, bool *ret_regular);
/* The same path, rising by `flow` in a ns on the whole. */
void lt_gc_steps_tilt(struct lt_gc_steps *steps, double flow);
/* Fills in what follows from the levels, the path being walked again and again: base, rest, low, top. */
void lt_gc_steps_mark(struct lt_gc_steps *steps);
/* Without a path: so many net allocations, evenly. */
bool lt_gc_steps_even(double allocated, uint64_t run_ns, struct lt_gc_steps *steps);

/* Of the collections of a replay, on average. */
struct lt_gc_averages {
	double passing; /* what one of generation 1 makes old that does not stay */
	double held;    /* share of the crossings of the threshold that lie in a call of C code */
	double old_garbage; /* in the oldest generation at the end */
	double candidates[LT_GC_GENERATIONS], collected[LT_GC_GENERATIONS];
	double longest_ns[LT_GC_GENERATIONS];
};

/* `ret_averages`: NULL when not wanted. */
void lt_gc_replay(const struct lt_gc_model *model, const struct lt_gc_setting *setting,
		  struct lt_gc_prediction *ret_prediction, struct lt_gc_averages *ret_averages);

#endif
