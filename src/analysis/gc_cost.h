/*
 * gc_cost.h: what a collection takes, by how many objects it looks at and frees: the processor's own work, fitted to
 * the recording, and waiting for memory, which depends on how much of it is looked at together. How dear that is on
 * this machine, now, is measured with a made-up heap. docs/gc-model.md has the method. Times in ns.
 */
#ifndef LT_ANALYSIS_GC_COST_H
#define LT_ANALYSIS_GC_COST_H

#include "analysis/gc_cache.h"
#include "heap/interpreters.h"

struct lt_gc_recording;

struct lt_gc_costs {
	struct lt_gc_cache cache;
	double bytes;              /* of an object, as lt_gc_cache_ns() counts them */
	double each_ns;            /* a collection of nothing */
	double look_ns, free_ns;   /* an object, and one that is freed in addition, in the caches */
	double look_far, free_far; /* of what lt_gc_cache_ns() says, in addition */
	/* What is left: by how much collections of so many objects took longer than all this says. Ascending. */
	struct {
		double candidates, times;
	} left[LT_GC_GENERATIONS];
	int left_count;
	double spread; /* how unevenly long alike collections are: of the logarithm, one standard deviation */
	double interrupted_ns; /* by so much the longest of many short ones was longer than it should be */
};

/* Of the recording's collections by generation: how many were timed, and their averages. */
struct lt_gc_cost_data {
	uint64_t timed[LT_GC_GENERATIONS];
	double ns[LT_GC_GENERATIONS];
	double candidates[LT_GC_GENERATIONS], collected[LT_GC_GENERATIONS];
};

/* What is usual, of objects of so many bytes. */
struct lt_gc_costs lt_gc_costs_usual(double bytes_per_object);

void lt_gc_costs_fit(const struct lt_gc_recording *recording, const struct lt_gc_cost_data *data,
		     double bytes_per_object, struct lt_gc_costs *ret_costs);

/* Of one that looks at `candidates` objects and frees `collected` of them. */
double lt_gc_collection_ns(const struct lt_gc_costs *costs, double candidates, double collected);

/* Of the data: the longest of each generation, and what it should have taken. */
void lt_gc_costs_note_longest(const double seen_ns[LT_GC_GENERATIONS],
			      const double should_ns[LT_GC_GENERATIONS], struct lt_gc_costs *costs);

/* The longest of so many that are alike, each of which takes `ns`. */
double lt_gc_longest_ns(const struct lt_gc_costs *costs, double count, double ns);

#endif
