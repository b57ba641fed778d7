/*
 * census.h: what the heap is made of: objects and bytes of each type.
 */
#ifndef LT_ANALYSIS_CENSUS_H
#define LT_ANALYSIS_CENSUS_H

#include "analysis/open.h"
#include "base/arena.h"

struct lt_composition_row {
	const char *type;   /* qualified name, "Cart.Item" */
	const char *module; /* "builtins", "shop.pricing"; "" when it could not be read */
	uint64_t count;
	uint64_t bytes; /* as sys.getsizeof gives them, GC headers included */
	uint64_t
		retained; /* what would go with each of them, no byte twice (weights.h); 0: not asked for */
};

/* All zero is the empty result. The strings live in `strings`. */
struct lt_composition {
	struct lt_composition_row *rows; /* most bytes first */
	size_t row_count;
	uint64_t count, bytes; /* sums over all rows */
	uint64_t tracked;      /* objects that the collector knows */
	uint64_t permanent;    /* of them in the permanent generation (gc.freeze) */
	bool all;              /* untracked objects are in the rows too */
	bool weighed;          /* the rows have retained bytes, and come in their order */
	bool proved;           /* the tracked objects were proved complete */
	struct lt_arena strings;
};

struct lt_subject;

enum lt_composition_scope {
	LT_COMPOSITION_TRACKED,  /* tracked objects, as gc.get_objects() counts them (fast) */
	LT_COMPOSITION_ALL,      /* every object that can be reached */
	LT_COMPOSITION_RETAINED, /* the same with retained bytes */
};

/* Two types of the same module and name are one row. */
LT_MUST_CHECK enum lt_status lt_composition_take(struct lt_subject *subject,
						 enum lt_composition_scope scope,
						 struct lt_composition *ret_composition);

struct lt_type_total;

/*
 * Rows out of totals: names copied, types of one name joined, sorted. `retained`: of each total, NULL: not
 * known. The counters beside the rows stay 0.
 */
LT_MUST_CHECK enum lt_status lt_composition_of(struct lt_session *session,
					       const struct lt_type_total *totals, size_t count,
					       const uint64_t *retained,
					       struct lt_composition *ret_composition);
void lt_composition_deinit(struct lt_composition *composition);

#endif
