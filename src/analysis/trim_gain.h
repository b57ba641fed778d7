/*
 * trim_gain.h: how much malloc_trim(0) would give back, reckoned along a walk of the C allocator.
 *
 *     struct lt_trim_gain gain = {.resident = &resident, .malloc = &malloc};
 *     lt_trim_gain_chunk(&gain, chunk) for each chunk of lt_malloc_walk(), then lt_trim_gain_end(&gain)
 */
#ifndef LT_ANALYSIS_TRIM_GAIN_H
#define LT_ANALYSIS_TRIM_GAIN_H

#include "analysis/resident.h"
#include "heap/malloc.h"

struct lt_trim_gain {
	struct lt_resident *resident;
	const struct lt_malloc *malloc;
	uint64_t bytes;             /* resident; complete after lt_trim_gain_end() */
	lt_addr run_start, run_end; /* free chunks beside each other that the walk is in */
	uint32_t run_arena;
};

void lt_trim_gain_chunk(struct lt_trim_gain *gain, const struct lt_chunk *chunk);
void lt_trim_gain_end(struct lt_trim_gain *gain);

#endif
