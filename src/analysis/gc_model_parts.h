/*
 * gc_model_parts.h: what fitting (gc_model.c) and replaying (gc_predict.c) share.
 */
#ifndef LT_ANALYSIS_GC_MODEL_PARTS_H
#define LT_ANALYSIS_GC_MODEL_PARTS_H

#include "analysis/gc_model.h"

/* What the path shows of the free lists; false: they could not be read, or too rarely. */
bool lt_gc_refill_measure(const struct lt_watch_points *points, struct lt_gc_refill *ret_refill);
/*
 * Concluded: `uncounted` objects were collected more than counted, in so many collections that are not full ones and found
 * `collected` objects in all.
 */
void lt_gc_refill_conclude(double uncounted, double collections, double collected,
			   struct lt_gc_refill *ret_refill);

/* How many have to be allocated for so many to be counted, with `spare` objects in the free lists. */
double lt_gc_spare_needed(const struct lt_gc_refill *refill, double spare, double counted);
/* So many are allocated: those that came out of the lists are gone there. Returns how many were counted. */
double lt_gc_spare_take(const struct lt_gc_refill *refill, double *spare, double allocated);

/*
 * The path of a recording as steps: as `refill` says, objects were allocated after each collection without being counted;
 * `taken_back` is the share of what was allocated before a collection that reference
 * counting takes back once the count has come down to 0. `ret_flow`: what the level rises by in a ns, `usual_flow` where the stretches do not tell. `ret_regular`: units of work that no collection met are alike, and told it. No steps: there is
 * no path, or it goes up and down by less than the `threshold` of generation 0 in all. False: no memory.
 */
bool lt_gc_steps_build(const struct lt_watch_points *points, double taken_back,
		       const struct lt_gc_refill *refill, double usual_flow, double threshold,
		       struct lt_gc_steps *steps, double *ret_flow, bool *ret_regular);
/* The same path, rising by `flow` in a ns on the whole. False: no memory. */
bool lt_gc_steps_tilt(struct lt_gc_steps *steps, double flow);
/* Fills in what follows from the levels, the path being walked again and again: base, rest, low, top. False: no memory. */
bool lt_gc_steps_mark(struct lt_gc_steps *steps);
/* Without a path: so many net allocations, evenly. */
bool lt_gc_steps_even(double allocated, uint64_t run_ns, struct lt_gc_steps *steps);

/* Of the collections of a replay, on average. */
struct lt_gc_averages {
	double passing; /* what one of generation 1 makes old that does not stay */
	double held;    /* share of the crossings of the threshold that lie in a call of C code */
	double old_garbage; /* in the oldest generation at the end */
	double refilled;    /* the free lists, by one that is not a full one */
	double candidates[LT_GC_GENERATIONS], collected[LT_GC_GENERATIONS];
	double longest_ns[LT_GC_GENERATIONS];
};

/* `ret_averages`: NULL when not wanted. */
void lt_gc_replay(const struct lt_gc_model *model, const struct lt_gc_setting *setting,
		  struct lt_gc_prediction *ret_prediction, struct lt_gc_averages *ret_averages);

#endif
