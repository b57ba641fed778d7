/*
 * cache.h: a bounded page cache over another memory, for scattered reads of a picture that does not
 * change (a frozen fork, a stopped process, an image). Over a process that runs only for a look that is over within a millisecond,
 * begins with lt_cache_clear() and doubts what it reads.
 *
 * Reads of LT_CACHE_BULK bytes and more go through. Misses that follow each other in ascending order
 * fetch ever more at once. A page that could not be read is remembered as such.
 */
#ifndef LT_TARGET_CACHE_H
#define LT_TARGET_CACHE_H

#include "base/session.h"
#include "target/memory.h"

enum {
	LT_CACHE_LINE = 16 << 10, /* bytes fetched at a time */
	LT_CACHE_BULK = 64 << 10,
};

/*
 * Stands on `under` and owns it (on failure it does not). `capacity`: bytes to keep at most, 0 for
 * 32 MiB; rounded to a power of two, at least 1 MiB. Memory that was not needed is not touched.
 */
LT_MUST_CHECK enum lt_status lt_cache_create(struct lt_session *session, struct lt_memory *under,
					     size_t capacity, struct lt_memory **ret_memory);

/* Fetches a range in large reads, at most half of the capacity; what cannot be read is left out. */
void lt_cache_prefetch(struct lt_memory *cache, lt_addr addr, size_t size);

/* Forgets everything, for when the memory below has changed. */
void lt_cache_clear(struct lt_memory *cache);

/* Lines found in the cache and lines fetched, for tests and measurements. */
void lt_cache_counts(const struct lt_memory *cache, uint64_t *ret_hits, uint64_t *ret_fetches);

#endif
