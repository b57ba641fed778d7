#include "analysis/resident.h"

#include "heap/pymalloc.h"

#include <stdlib.h>

enum { PAGE_BITS = 12, PAGE = 1 << PAGE_BITS, SHARED_LEAST = 1 << 20 };

/* A mapping of more addresses than this has its figure only: 8 TiB. */
#define BYTES_BY_PAGE ((uint64_t)1 << 43)

typedef bool page_reader(const struct lt_process *process, lt_addr start, lt_addr end,
			 uint64_t *bits);

/* How much of the mapping counts. */
typedef uint64_t figure(const struct lt_smap *smap);

static uint64_t resident_of(const struct lt_smap *smap)
{
	return smap->rss;
}

static uint64_t shared_of(const struct lt_smap *smap)
{
	return lt_mapping_may_hold_heap(&smap->mapping) ? smap->shared_clean + smap->shared_dirty
							: 0;
}

static enum lt_status take(struct lt_session *session, const struct lt_process *process,
			   struct lt_resident *resident, figure *of, page_reader *read)
{
	size_t count = resident->smaps.list.count;
	resident->by_page = true;
	resident->mappings = calloc(count + 1, sizeof(*resident->mappings));
	if (resident->mappings == NULL)
		return lt_fail_memory(session);
	for (size_t i = 0; i < count; i++) {
		const struct lt_smap *smap = &resident->smaps.list.data[i];
		struct lt_resident_mapping *mapping = &resident->mappings[i];
		uint64_t size = smap->mapping.end - smap->mapping.start;
		mapping->start = smap->mapping.start;
		mapping->end = smap->mapping.end;
		mapping->bytes = of(smap);
		if (mapping->bytes == 0 || size > BYTES_BY_PAGE || !resident->by_page)
			continue;
		mapping->pages = calloc((size / PAGE + 63) / 64, sizeof(uint64_t));
		if (mapping->pages == NULL)
			return lt_fail_memory(session);
		if (!read(process, mapping->start, mapping->end, mapping->pages)) {
			free(mapping->pages);
			mapping->pages = NULL;
			resident->by_page = false;
		}
	}
	return LT_OK;
}

enum lt_status lt_resident_take_shared(struct lt_session *session, const struct lt_process *process,
				       struct lt_resident *ret_resident)
{
	struct lt_resident resident = {0};
	uint64_t shared = 0;
	LT_TRY(lt_smaps_read(session, process, &resident.smaps));
	for (size_t i = 0; i < resident.smaps.list.count; i++)
		shared += shared_of(&resident.smaps.list.data[i]);
	enum lt_status status = LT_OK;
	if (shared >= SHARED_LEAST)
		status = take(session, process, &resident, shared_of, lt_smaps_shared);
	if (status != LT_OK) {
		lt_resident_deinit(&resident);
		return status;
	}
	*ret_resident = resident;
	return LT_OK;
}

enum lt_status lt_resident_take(struct lt_session *session, const struct lt_process *process,
				struct lt_resident *ret_resident)
{
	struct lt_resident resident = {0};
	LT_TRY(lt_smaps_read(session, process, &resident.smaps));
	enum lt_status status = take(session, process, &resident, resident_of, lt_smaps_resident);
	if (status != LT_OK) {
		lt_resident_deinit(&resident);
		return status;
	}
	*ret_resident = resident;
	return LT_OK;
}

void lt_resident_deinit(struct lt_resident *resident)
{
	for (size_t i = 0; resident->mappings != NULL && i < resident->smaps.list.count; i++)
		free(resident->mappings[i].pages);
	free(resident->mappings);
	lt_smaps_deinit(&resident->smaps);
	*resident = (struct lt_resident){0};
}

size_t lt_resident_find(const struct lt_resident *resident, lt_addr at, size_t last)
{
	size_t low = 0, high = resident->smaps.list.count;
	if (last < high && at >= resident->mappings[last].start &&
	    at < resident->mappings[last].end)
		return last;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (resident->mappings[middle].end <= at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_resident(const uint64_t *pages, uint64_t page)
{
	return (pages[page / 64] >> (page % 64) & 1) != 0;
}

/* Resident bytes of [start, end), which lies in the mapping. */
static uint64_t within(const struct lt_resident *resident, size_t index, lt_addr start, lt_addr end)
{
	const struct lt_resident_mapping *mapping = &resident->mappings[index];
	if (mapping->bytes == 0)
		return 0;
	if (mapping->pages == NULL)
		return (uint64_t)((double)(end - start) * (double)mapping->bytes /
				  (double)(mapping->end - mapping->start));
	uint64_t first = (start - mapping->start) >> PAGE_BITS;
	uint64_t last = (end - 1 - mapping->start) >> PAGE_BITS;
	if (first == last)
		return is_resident(mapping->pages, first) ? end - start : 0;
	uint64_t bytes = 0;
	if (is_resident(mapping->pages, first))
		bytes += PAGE - (start & (PAGE - 1));
	if (is_resident(mapping->pages, last))
		bytes += ((end - 1) & (PAGE - 1)) + 1;
	for (uint64_t page = first + 1; page < last;) {
		if (page % 64 == 0 && last - page >= 64) {
			bytes += (uint64_t)__builtin_popcountll(mapping->pages[page / 64]) * PAGE;
			page += 64;
			continue;
		}
		bytes += is_resident(mapping->pages, page) ? PAGE : 0;
		page++;
	}
	return bytes;
}

static uint64_t count(struct lt_resident *resident, lt_addr start, lt_addr end, bool claim)
{
	uint64_t bytes = 0;
	resident->last = lt_resident_find(resident, start, resident->last);
	for (size_t i = resident->last; i < resident->smaps.list.count && start < end; i++) {
		struct lt_resident_mapping *mapping = &resident->mappings[i];
		if (mapping->start >= end)
			break;
		lt_addr from = start > mapping->start ? start : mapping->start;
		lt_addr to = end < mapping->end ? end : mapping->end;
		uint64_t here = within(resident, i, from, to);
		if (claim)
			mapping->claimed += here;
		bytes += here;
	}
	return bytes;
}

uint64_t lt_resident_bytes(struct lt_resident *resident, lt_addr start, lt_addr end)
{
	return count(resident, start, end, false);
}

/* What comes next begins there mostly: pages from there on that are all resident. */
static void look_ahead(struct lt_resident *resident, lt_addr start)
{
	enum { WORDS = 64 };
	size_t index = resident->last;
	if (index >= resident->smaps.list.count)
		return;
	const struct lt_resident_mapping *mapping = &resident->mappings[index];
	if (mapping->pages == NULL || mapping->bytes == 0 || start < mapping->start ||
	    start >= mapping->end)
		return;
	uint64_t first = (start - mapping->start) >> PAGE_BITS, page = first;
	uint64_t end = (mapping->end - mapping->start) >> PAGE_BITS;
	if (end - first > WORDS * 64)
		end = first + WORDS * 64;
	while (page < end) {
		uint64_t absent = ~mapping->pages[page / 64] >> (page % 64);
		uint64_t run = absent != 0 ? (uint64_t)__builtin_ctzll(absent) : 64 - page % 64;
		page += run;
		if (absent != 0)
			break;
	}
	if (page > end)
		page = end;
	resident->whole = index;
	resident->whole_start = mapping->start + (first << PAGE_BITS);
	resident->whole_end = mapping->start + (page << PAGE_BITS);
}

uint64_t lt_resident_claim_any(struct lt_resident *resident, lt_addr start, lt_addr end)
{
	uint64_t bytes = count(resident, start, end, true);
	look_ahead(resident, start);
	return bytes;
}

uint64_t lt_resident_rest(const struct lt_resident *resident, size_t mapping)
{
	uint64_t rss = resident->mappings[mapping].bytes;
	uint64_t claimed = resident->mappings[mapping].claimed;
	return rss > claimed ? rss - claimed : 0;
}
