/*
 * gc_rings.h: the timed records that a collector keeps of its last collections (fact gc_stats_ring): a ring
 * for each generation, behind one pointer.
 *
 * CPython 3.15 (Include/internal/pycore_interp_structs.h: struct gc_stats; Python/gc.c: gc_collect_main): each
 * collection takes the slot after the newest one, copies the newest record there, adds its own figures, and
 * stores ts_stop last. Counters are cumulative; times are those of PyTime_PerfCounterRaw(), on Linux CLOCK_MONOTONIC.
 */
#ifndef LT_HEAP_GC_RINGS_H
#define LT_HEAP_GC_RINGS_H

#include "heap/interpreters.h"

enum { LT_GC_RING_MAX = 32, LT_GC_RINGS_BYTES = 2048 };

/* Where the ring of a generation lies in the block of all rings. */
struct lt_gc_ring_place {
	uint64_t items,
		index;   /* offsets of the records and of the number of the newest one, a byte */
	unsigned length; /* records */
	unsigned record_size;
};

/* False: the release has no rings, or its layout does not say where. */
bool lt_gc_ring_find(const struct lt_layout *layout, int generation,
		     struct lt_gc_ring_place *ret_place);

/* One collection; the counters are those after it, since the start of the interpreter. */
struct lt_gc_record {
	uint64_t start_ns, end_ns;
	uint64_t collections, collected, uncollectable, candidates;
};

struct lt_gc_rings {
	struct lt_gc_record records[LT_GC_GENERATIONS]
				   [LT_GC_RING_MAX]; /* ascending by collections */
	unsigned count[LT_GC_GENERATIONS];
};

/*
 * Records that are whole, from the collector of the interpreter at `interpreter`. Those that were written while
 * they were read are left out. False: there are none to be read.
 */
bool lt_gc_rings_read(const struct lt_view *view, lt_addr interpreter,
		      struct lt_gc_rings *ret_rings);

#endif
