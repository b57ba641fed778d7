/*
 * gc_cache.h: what an object costs a collector beyond its usual work when the objects that are looked at together do not
 * fit the caches of the processor: measured on this machine with a made-up heap, whose other load counts too.
 */
#ifndef LT_ANALYSIS_GC_CACHE_H
#define LT_ANALYSIS_GC_CACHE_H

#include <stdbool.h>

/* Sizes of the heap: LT_GC_CACHE_LEAST bytes, twice that, and so on. */
enum { LT_GC_CACHE_SIZES = 7, LT_GC_CACHE_LEAST = 256 << 10 };

/* More than at the least size, ns an object. All zero: not measured, a usual machine. */
struct lt_gc_cache {
	double ns[LT_GC_CACHE_SIZES];
};

/* Takes a tenth of a second to half a second of processor time and 16 MiB. False: no memory. */
bool lt_gc_cache_measure(struct lt_gc_cache *ret_cache);

/* At any size in bytes. */
double lt_gc_cache_ns(const struct lt_gc_cache *cache, double bytes);

#endif
