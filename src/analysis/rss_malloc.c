/*
 * rss_malloc.c: what the C allocator has free, and how much of it malloc_trim(0) would give back.
 *
 * malloc/malloc.c of glibc 2.31 to 2.41: mtrim() joins what is in fast bins with its neighbours, gives back the whole pages
 * inside each free chunk (behind its header of 48 bytes), and of the main arena's end all but a page's rest.
 */
#include "analysis/rss_parts.h"

enum { PAGE = 4096, FREE_HEADER = 48, LEAST = 32 };

static void give_back(struct lt_rss_reading *reading, lt_addr start, lt_addr end)
{
	lt_addr first = (start + FREE_HEADER + PAGE - 1) & ~(lt_addr)(PAGE - 1);
	lt_addr last = end & ~(lt_addr)(PAGE - 1);
	if (first < last)
		reading->trim_gain += lt_resident_bytes(&reading->resident, first, last);
}

/* systrim() of malloc/malloc.c: only where the heap ends with the top, so that brk(2) can take it back. */
static void give_back_top(struct lt_rss_reading *reading, lt_addr start, lt_addr end)
{
	const struct lt_smap *smap = lt_smaps_find(&reading->resident.smaps, start);
	if (smap == NULL || smap->mapping.end != end || end - start <= LEAST + 1)
		return;
	uint64_t extra = (end - start - LEAST - 1) & ~(uint64_t)(PAGE - 1);
	reading->trim_gain += lt_resident_bytes(&reading->resident, end - extra, end);
}

void lt_rss_trim_end(struct lt_rss_reading *reading)
{
	if (reading->run_end > reading->run_start)
		give_back(reading, reading->run_start, reading->run_end);
	reading->run_start = reading->run_end = 0;
}

void lt_rss_trim_chunk(struct lt_rss_reading *reading, const struct lt_chunk *chunk, lt_addr start)
{
	lt_addr end = start + chunk->size;
	bool joins = reading->run_end == start && reading->run_arena == chunk->arena;
	if (chunk->state == LT_CHUNK_FREE || chunk->state == LT_CHUNK_FAST) {
		if (!joins) {
			lt_rss_trim_end(reading);
			reading->run_start = start;
			reading->run_arena = chunk->arena;
		}
		reading->run_end = end;
		return;
	}
	if (chunk->state == LT_CHUNK_TOP && joins) {
		start = reading->run_start;
		reading->run_end = reading->run_start;
	}
	lt_rss_trim_end(reading);
	if (chunk->state == LT_CHUNK_TOP && chunk->arena < reading->malloc.arenas.count &&
	    reading->malloc.arenas.data[chunk->arena].main)
		give_back_top(reading, start, end);
}
