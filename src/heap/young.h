/*
 * young.h: how many bytes an object of the youngest generation takes, looked at in the memory of a process that runs.
 *
 * An object is such as the collector tracks. What it alone holds of others (strings, numbers, tuples that are not tracked) counts as
 * its own, since it goes with it.
 */
#ifndef LT_HEAP_YOUNG_H
#define LT_HEAP_YOUNG_H

#include "heap/view.h"

/* Sums over what was looked at. */
struct lt_young_sizes {
	uint64_t objects, bytes;
};

struct lt_young;

/* Of a process, in memory opened anew; the view outlives this one. What cannot be read is counted nowhere. */
LT_MUST_CHECK enum lt_status lt_young_open(const struct lt_view *view, struct lt_young **ret_young);
void lt_young_close(struct lt_young *young);

/*
 * Looks at some 400 objects at random places of the oldest quarter of the list and adds them: fewer where the program changes the list
 * meanwhile, a collection runs, or it would take longer than 4 ms. `head`, `count`: struct lt_gc_generation of the youngest.
 */
void lt_young_look(struct lt_young *young, lt_addr head, int64_t count,
		   struct lt_young_sizes *sizes);

#endif
