#include "target/cache.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
	PAGE = 4096,
	PAGES = LT_CACHE_LINE / PAGE,
	ALL_PAGES = (1 << PAGES) - 1,
	WAYS = 4, /* slots that a line may be in */
	AHEAD_MAX = 16,
	RECENT = 64, /* reads since then */
	CAPACITY_DEFAULT = 32 << 20,
	CAPACITY_MIN = 1 << 20,
};

/* Line number of an empty slot: no address has it, since lines are addresses / LT_CACHE_LINE. */
static const uint64_t NO_LINE = UINT64_MAX;

struct slot {
	uint64_t line;
	uint32_t used;    /* time of the last use; wraps, which only makes a worse choice */
	uint32_t present; /* bit per page that could be read */
	uint32_t partial; /* bit per page whose start could be read: not kept, read through */
	uint32_t run;     /* lines that were fetched with it */
};

struct cache {
	struct lt_memory memory;
	struct lt_memory *under;
	struct slot *slots; /* sets of WAYS */
	size_t slot_count;
	size_t set_mask;
	unsigned char *bytes; /* LT_CACHE_LINE a slot; mapped, so untouched lines cost nothing */
	unsigned char *ahead; /* AHEAD_MAX lines, where large reads arrive */
	uint32_t clock;
	struct slot *last; /* the slot that served the last read */
	uint64_t hits, fetches;
};

static struct slot *find(struct cache *cache, uint64_t line)
{
	/* Fibonacci hashing, so that heaps with a power-of-two stride do not share a set. */
	size_t set = (size_t)((line * 0x9e3779b97f4a7c15u) >> 32) & cache->set_mask;
	struct slot *first = &cache->slots[set * WAYS];
	for (size_t i = 0; i < WAYS; i++)
		if (first[i].line == line)
			return &first[i];
	return NULL;
}

/* The slot of the line's set that was not used for the longest time. */
static struct slot *victim(struct cache *cache, uint64_t line)
{
	size_t set = (size_t)((line * 0x9e3779b97f4a7c15u) >> 32) & cache->set_mask;
	struct slot *first = &cache->slots[set * WAYS];
	struct slot *oldest = first;
	for (size_t i = 0; i < WAYS; i++) {
		if (first[i].line == NO_LINE)
			return &first[i];
		if (cache->clock - first[i].used > cache->clock - oldest->used)
			oldest = &first[i];
	}
	return oldest;
}

static unsigned char *slot_bytes(struct cache *cache, const struct slot *slot)
{
	return cache->bytes + (size_t)(slot - cache->slots) * LT_CACHE_LINE;
}

static void store(struct cache *cache, uint64_t line, const unsigned char *bytes, uint32_t present,
		  uint32_t partial, size_t run)
{
	struct slot *slot = find(cache, line);
	if (slot == NULL)
		slot = victim(cache, line);
	*slot = (struct slot){line, cache->clock, present, partial, (uint32_t)run};
	memcpy(slot_bytes(cache, slot), bytes, LT_CACHE_LINE);
	cache->fetches++;
}

/* Fetches up to `count` lines from `line` on; those that are here too, again. Returns how many, at least 1. */
static size_t fetch(struct cache *cache, uint64_t line, size_t count)
{
	lt_addr start = line * LT_CACHE_LINE;
	size_t got = lt_memory_probe(cache->under, start, cache->ahead, count * LT_CACHE_LINE);
	size_t whole = got / LT_CACHE_LINE;
	for (size_t i = 0; i < whole; i++)
		store(cache, line + i, cache->ahead + i * LT_CACHE_LINE, ALL_PAGES, 0, count);
	if (whole > 0)
		return whole;
	/* A hole in the first line: the pages behind it may be there. */
	uint32_t present = 0, partial = 0;
	for (size_t page = 0; page < PAGES; page++) {
		size_t at = page * PAGE;
		size_t have = got > at ? got - at : 0;
		if (have < PAGE && got <= at)
			have = lt_memory_probe(cache->under, start + at, cache->ahead + at, PAGE);
		if (have >= PAGE)
			present |= 1u << page;
		else if (have > 0)
			partial |= 1u << page;
	}
	store(cache, line, cache->ahead, present, partial, 1);
	return 1;
}

static struct slot *want(struct cache *cache, uint64_t line)
{
	cache->clock++;
	struct slot *slot =
		cache->last != NULL && cache->last->line == line ? cache->last : find(cache, line);
	if (slot != NULL) {
		cache->hits++;
	} else {
		/*
		 * Several passes may go on at once, each through its own addresses: the line before tells, if
		 * it was used just now. In a heap without order most lines before are here for other reasons.
		 */
		const struct slot *before = line > 0 ? find(cache, line - 1) : NULL;
		bool goes_on = before != NULL && cache->clock - before->used <= RECENT;
		size_t run = goes_on ? (size_t)before->run * 2 : 1;
		(void)fetch(cache, line, run < AHEAD_MAX ? run : AHEAD_MAX);
		slot = find(cache, line);
	}
	slot->used = cache->clock;
	cache->last = slot;
	return slot;
}

static size_t read_cache(struct lt_memory *memory, lt_addr addr, void *buffer, size_t size)
{
	struct cache *cache = (struct cache *)memory;
	if (size >= LT_CACHE_BULK)
		return lt_memory_probe(cache->under, addr, buffer, size);
	size_t done = 0;
	while (done < size) {
		lt_addr at = addr + done;
		const struct slot *slot = want(cache, at / LT_CACHE_LINE);
		size_t offset = (size_t)(at % LT_CACHE_LINE);
		size_t end = LT_CACHE_LINE - offset < size - done ? LT_CACHE_LINE
								  : offset + (size - done);
		size_t page = offset / PAGE;
		if (slot->present != ALL_PAGES) {
			while (page * PAGE < end && (slot->present >> page & 1) != 0)
				page++;
			if (page * PAGE < end)
				end = page * PAGE > offset ? page * PAGE : offset;
			else
				page = PAGES;
		} else {
			page = PAGES;
		}
		memcpy((char *)buffer + done, slot_bytes(cache, slot) + offset, end - offset);
		done += end - offset;
		if (page == PAGES)
			continue;
		if ((slot->partial >> page & 1) != 0)
			done += lt_memory_probe(cache->under, addr + done, (char *)buffer + done,
						size - done);
		break;
	}
	return done;
}

static void close_cache(struct lt_memory *memory)
{
	struct cache *cache = (struct cache *)memory;
	lt_memory_close(cache->under);
	munmap(cache->bytes, cache->slot_count * LT_CACHE_LINE);
	free(cache->ahead);
	free(cache->slots);
	free(cache);
}

static const struct lt_memory_ops cache_ops = {read_cache, close_cache};

enum lt_status lt_cache_create(struct lt_session *session, struct lt_memory *under, size_t capacity,
			       struct lt_memory **ret_memory)
{
	if (capacity == 0)
		capacity = CAPACITY_DEFAULT;
	size_t size = CAPACITY_MIN;
	while (size <= capacity / 2)
		size *= 2;
	struct cache *cache = calloc(1, sizeof(*cache));
	if (cache == NULL)
		return lt_fail_memory(session);
	cache->memory.ops = &cache_ops;
	cache->slot_count = size / LT_CACHE_LINE;
	cache->set_mask = cache->slot_count / WAYS - 1;
	cache->slots = calloc(cache->slot_count, sizeof(*cache->slots));
	cache->ahead = malloc((size_t)AHEAD_MAX * LT_CACHE_LINE);
	cache->bytes = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (cache->slots == NULL || cache->ahead == NULL || cache->bytes == MAP_FAILED) {
		if (cache->bytes != MAP_FAILED)
			munmap(cache->bytes, size);
		free(cache->ahead);
		free(cache->slots);
		free(cache);
		return lt_fail_memory(session);
	}
	cache->under = under;
	cache->memory.ahead = under->ahead;
	*ret_memory = &cache->memory;
	lt_cache_clear(*ret_memory);
	return LT_OK;
}

void lt_cache_prefetch(struct lt_memory *memory, lt_addr addr, size_t size)
{
	struct cache *cache = (struct cache *)memory;
	if (size == 0)
		return;
	uint64_t line = addr / LT_CACHE_LINE;
	uint64_t last = (addr + (size - 1)) / LT_CACHE_LINE;
	if (last < line)
		return;
	uint64_t limit = cache->slot_count / 2;
	uint64_t left = last - line + 1 < limit ? last - line + 1 : limit;
	cache->clock++;
	while (left > 0) {
		size_t count = left < AHEAD_MAX ? (size_t)left : AHEAD_MAX;
		count = fetch(cache, line, count);
		line += count;
		left -= count;
	}
	cache->last = NULL;
}

void lt_cache_clear(struct lt_memory *memory)
{
	struct cache *cache = (struct cache *)memory;
	for (size_t i = 0; i < cache->slot_count; i++)
		cache->slots[i] = (struct slot){.line = NO_LINE};
	cache->last = NULL;
}

void lt_cache_counts(const struct lt_memory *memory, uint64_t *ret_hits, uint64_t *ret_fetches)
{
	const struct cache *cache = (const struct cache *)memory;
	*ret_hits = cache->hits;
	*ret_fetches = cache->fetches;
}
