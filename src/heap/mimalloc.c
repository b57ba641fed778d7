/*
 * mimalloc.c: the segments of mimalloc, the pages in them, and the blocks of these.
 *
 * A segment begins at a multiple of 32 MiB. It is taken when its slices follow each other to its end and its cookie is
 * that of the others.
 */
#include "heap/foreign_parts.h"

#include "base/cleanup.h"
#include "heap/pymalloc.h"
#include "layout/mimalloc.h"

#include <stdlib.h>
#include <string.h>

enum {
	/* Bytes of a page that are read at once: all but of those with few blocks. */
	MEMORY = 512 << 10,
	CAPACITY_MOST = 1 << 16,
	ENTRIES_BYTES = LT_MI_PAGES + (LT_MI_SLICES + 1) * LT_MI_PAGE
};

struct segment {
	lt_addr address;
	uint64_t cookie, slices, info, kind, entries;
	unsigned char bytes[ENTRIES_BYTES];
};

static uint64_t word_at(const unsigned char *bytes, size_t at)
{
	uint64_t value;
	memcpy(&value, bytes + at, sizeof(value));
	return value;
}

static uint32_t half_at(const unsigned char *bytes, size_t at)
{
	uint32_t value;
	memcpy(&value, bytes + at, sizeof(value));
	return value;
}

static const unsigned char *slice_at(const struct segment *segment, uint64_t i)
{
	return segment->bytes + LT_MI_PAGES + i * LT_MI_PAGE;
}

/* Pages and free slices follow each other to the end. */
static bool slices_fit(const struct segment *segment)
{
	uint64_t i = 0;
	while (i < segment->entries) {
		const unsigned char *slice = slice_at(segment, i);
		uint32_t count = half_at(slice, LT_MI_SLICE_COUNT);
		if (count == 0 || half_at(slice, LT_MI_SLICE_OFFSET) != 0 ||
		    (i == 0 && count != segment->info))
			return false;
		i += count;
	}
	return i == segment->slices;
}

static bool read_segment(const struct lt_view *view, lt_addr at, struct segment *segment)
{
	if (lt_memory_probe(view->memory, at, segment->bytes, LT_MI_PAGES) != LT_MI_PAGES)
		return false;
	segment->address = at;
	segment->cookie = word_at(segment->bytes, LT_MI_COOKIE) ^ at;
	segment->slices = word_at(segment->bytes, LT_MI_SEGMENT_SLICES);
	segment->info = word_at(segment->bytes, LT_MI_INFO_SLICES);
	segment->kind = word_at(segment->bytes, LT_MI_KIND) & UINT32_MAX;
	segment->entries = word_at(segment->bytes, LT_MI_ENTRIES);
	if (segment->kind > 1 || segment->slices == 0 || segment->slices > (uint64_t)1 << 31 ||
	    segment->info == 0 || segment->info >= segment->slices ||
	    (segment->kind == 0 && segment->slices != LT_MI_SLICES) ||
	    segment->entries != (segment->slices < LT_MI_SLICES ? segment->slices : LT_MI_SLICES))
		return false;
	size_t size = segment->entries * LT_MI_PAGE;
	return lt_memory_probe(view->memory, at + LT_MI_PAGES, segment->bytes + LT_MI_PAGES,
			       size) == size &&
	       slices_fit(segment);
}

/* The first segment at or above *at; false: there is none. */
static bool next_segment(const struct lt_view *view, lt_addr *at, struct segment *segment)
{
	const struct lt_mappings *mappings = &view->process->mappings;
	for (size_t i = 0; i < mappings->count; i++) {
		const struct lt_mapping *mapping = &mappings->data[i];
		if (!lt_mapping_may_hold_heap(mapping) || mapping->end <= *at)
			continue;
		lt_addr place = mapping->start > *at ? mapping->start : *at;
		place = (place + LT_MI_SEGMENT - 1) & ~(lt_addr)(LT_MI_SEGMENT - 1);
		for (; place < mapping->end; place += LT_MI_SEGMENT) {
			if (read_segment(view, place, segment)) {
				*at = place + segment->slices * LT_MI_SLICE;
				return true;
			}
		}
	}
	return false;
}

lt_addr lt_mimalloc_find(const struct lt_view *view)
{
	LT_FREE struct segment *segment = malloc(sizeof(*segment));
	lt_addr at = 0;
	return segment != NULL && next_segment(view, &at, segment) ? segment->cookie : 0;
}

/* ---- The blocks of a page ---- */

struct page {
	bool of_python; /* where its blocks begin */
	lt_addr blocks;
	uint64_t size;     /* of a block */
	uint32_t capacity; /* blocks */
	uint32_t used;     /* as the page says */
	uint32_t free;     /* marked */
	uint64_t marks[CAPACITY_MOST / 64];
	lt_addr start; /* of what is at hand of its memory */
	size_t have;
	unsigned char bytes[MEMORY];
};

/* The word at an address in the page. */
static bool read_link(const struct lt_view *view, const struct page *page, lt_addr at,
		      lt_addr *ret_next)
{
	if (at < page->start || page->have < 8 || at - page->start > page->have - 8)
		return lt_memory_u64(view->memory, at, ret_next);
	*ret_next = word_at(page->bytes, at - page->start);
	return true;
}

/* Marks the blocks of a list; false: it makes no sense. */
static bool mark_list(const struct lt_view *view, struct page *page, lt_addr at)
{
	while (at != 0) {
		uint64_t i = (at - page->blocks) / page->size;
		if (at < page->blocks || i >= page->capacity ||
		    (at - page->blocks) % page->size != 0 ||
		    (page->marks[i / 64] >> (i % 64) & 1) != 0)
			return false;
		page->marks[i / 64] |= (uint64_t)1 << (i % 64);
		page->free++;
		if (!read_link(view, page, at, &at))
			return false;
	}
	return true;
}

/* The blocks of a page that begins with this slice and has these bytes. */
static void take_page(struct lt_foreign_walk *walk, const unsigned char *slice, lt_addr start,
		      uint64_t bytes, struct page *page)
{
	struct lt_foreign *foreign = walk->foreign;
	uint32_t block = half_at(slice, LT_MI_BLOCK_SIZE);
	uint16_t capacity;
	memcpy(&capacity, slice + LT_MI_CAPACITY, sizeof(capacity));
	uint64_t shift = page->of_python ? lt_mi_python_shift(block) : lt_mi_shift(block);
	memset(page->marks, 0, sizeof(page->marks));
	page->blocks = start + shift;
	page->size = block < LT_MI_HUGE ? block : bytes;
	page->used = half_at(slice, LT_MI_USED);
	page->free = 0;
	page->capacity = capacity;
	if (page->used > page->capacity || shift + page->capacity * page->size > bytes) {
		foreign->torn++;
		return;
	}
	page->start = start;
	page->have = 0;
	if (page->used < page->capacity ||
	    word_at(slice, LT_MI_THREAD_FREE) > LT_MI_THREAD_FREE_FLAGS) {
		uint64_t touched = shift + page->capacity * page->size;
		page->have = lt_memory_probe(walk->view->memory, start, page->bytes,
					     touched < MEMORY ? touched : MEMORY);
	}
	/* What other threads have freed is counted as used by the page until its own thread takes it in. */
	bool sound = mark_list(walk->view, page, word_at(slice, LT_MI_FREE)) &&
		     mark_list(walk->view, page, word_at(slice, LT_MI_LOCAL_FREE)) &&
		     page->free + page->used == page->capacity;
	sound = mark_list(walk->view, page,
			  word_at(slice, LT_MI_THREAD_FREE) & ~(uint64_t)LT_MI_THREAD_FREE_FLAGS) &&
		sound;
	foreign->torn += !sound;
	uint64_t used = page->capacity - page->free;
	if (used > 0) {
		foreign->page_bytes += bytes;
		foreign->used_blocks += used;
		foreign->used_bytes += used * page->size;
	}
	lt_foreign_give(walk, start, shift, start, LT_FOREIGN_OWN);
	for (uint32_t i = 0; i < page->capacity && !walk->ended; i++) {
		lt_addr at = page->blocks + i * page->size;
		bool is_free = (page->marks[i / 64] >> (i % 64) & 1) != 0;
		lt_foreign_give(walk, at, page->size, at,
				is_free ? LT_FOREIGN_FREE : LT_FOREIGN_USED);
	}
	lt_addr end = page->blocks + page->capacity * page->size;
	lt_foreign_give(walk, end, start + bytes - end, end, LT_FOREIGN_FREE);
}

static void take_segment(struct lt_foreign_walk *walk, const struct segment *segment,
			 struct page *page)
{
	lt_foreign_give(walk, segment->address, segment->info * LT_MI_SLICE, segment->address,
			LT_FOREIGN_OWN);
	uint64_t i = segment->info;
	while (i < segment->entries && !walk->ended) {
		const unsigned char *slice = slice_at(segment, i);
		uint64_t count = half_at(slice, LT_MI_SLICE_COUNT);
		lt_addr start = segment->address + i * LT_MI_SLICE;
		if (half_at(slice, LT_MI_BLOCK_SIZE) == 0)
			lt_foreign_give(walk, start, count * LT_MI_SLICE, start, LT_FOREIGN_PAGES);
		else
			take_page(walk, slice, start, count * LT_MI_SLICE, page);
		i += count;
	}
}

/* How many blocks have room in a page tells where they begin, though not of every size. */
static int votes_for_python(const struct segment *segment)
{
	int votes = 0;
	for (uint64_t i = segment->info; i < segment->entries;) {
		const unsigned char *slice = slice_at(segment, i);
		uint64_t count = half_at(slice, LT_MI_SLICE_COUNT);
		uint32_t block = half_at(slice, LT_MI_BLOCK_SIZE);
		uint16_t reserved;
		memcpy(&reserved, slice + LT_MI_RESERVED, sizeof(reserved));
		if (block != 0)
			votes += ((count * LT_MI_SLICE - lt_mi_python_shift(block)) / block ==
				  reserved) -
				 ((count * LT_MI_SLICE - lt_mi_shift(block)) / block == reserved);
		i += count;
	}
	return votes;
}

void lt_mimalloc_walk(struct lt_foreign_walk *walk)
{
	LT_FREE struct segment *segment = malloc(sizeof(*segment));
	LT_FREE struct page *page = malloc(sizeof(*page));
	if (segment == NULL || page == NULL)
		return;
	int64_t votes = 0;
	for (lt_addr at = 0; next_segment(walk->view, &at, segment);)
		votes += votes_for_python(segment);
	page->of_python = votes > 0;
	for (lt_addr at = 0; !walk->ended && next_segment(walk->view, &at, segment);) {
		if (segment->cookie == walk->foreign->key)
			take_segment(walk, segment, page);
		else
			walk->foreign->torn++;
	}
}
