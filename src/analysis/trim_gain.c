/*
 * malloc/malloc.c of glibc 2.31 to 2.41: mtrim() joins what is in fast bins with its neighbours, gives back the whole pages
 * inside each free chunk (behind its header of 48 bytes), and of the main arena's end all but a page's rest.
 */
#include "analysis/trim_gain.h"

#include "layout/glibc.h"

enum { PAGE = 4096, FREE_HEADER = 48, LEAST = 32 };

static void give_back(struct lt_trim_gain *gain, lt_addr start, lt_addr end)
{
	lt_addr first = (start + FREE_HEADER + PAGE - 1) & ~(lt_addr)(PAGE - 1);
	lt_addr last = end & ~(lt_addr)(PAGE - 1);
	if (first < last)
		gain->bytes += lt_resident_bytes(gain->resident, first, last);
}

/* systrim() of malloc/malloc.c: only where the heap ends with the top, so that brk(2) can take it back. */
static void give_back_top(struct lt_trim_gain *gain, lt_addr start, lt_addr end)
{
	const struct lt_smap *smap = lt_smaps_find(&gain->resident->smaps, start);
	if (smap == NULL || smap->mapping.end != end || end - start <= LEAST + 1)
		return;
	uint64_t extra = (end - start - LEAST - 1) & ~(uint64_t)(PAGE - 1);
	gain->bytes += lt_resident_bytes(gain->resident, end - extra, end);
}

void lt_trim_gain_end(struct lt_trim_gain *gain)
{
	if (gain->run_end > gain->run_start)
		give_back(gain, gain->run_start, gain->run_end);
	gain->run_start = gain->run_end = 0;
}

void lt_trim_gain_chunk(struct lt_trim_gain *gain, const struct lt_chunk *chunk)
{
	lt_addr start = chunk->address - LT_CHUNK_HEAD;
	lt_addr end = start + chunk->size;
	bool joins = gain->run_end == start && gain->run_arena == chunk->arena;
	if (chunk->state == LT_CHUNK_FREE || chunk->state == LT_CHUNK_FAST) {
		if (!joins) {
			lt_trim_gain_end(gain);
			gain->run_start = start;
			gain->run_arena = chunk->arena;
		}
		gain->run_end = end;
		return;
	}
	if (chunk->state == LT_CHUNK_TOP && joins) {
		start = gain->run_start;
		gain->run_end = gain->run_start;
	}
	lt_trim_gain_end(gain);
	if (chunk->state == LT_CHUNK_TOP && chunk->arena < gain->malloc->arenas.count &&
	    gain->malloc->arenas.data[chunk->arena].main)
		give_back_top(gain, start, end);
}
