#include "heap/wordmap.h"

#include "base/bits.h"

#include <stdlib.h>
#include <string.h>

enum {
	TOP_BITS = 47,
	LEAF_BITS = 30, /* addresses a leaf covers */
	LEAF_SLOTS = 1 << (LEAF_BITS - LT_WORDMAP_PAGE_BITS),
	TOP_SLOTS = 1 << (TOP_BITS - LEAF_BITS),
	LARGE = UINT16_MAX,
	ROOM_MIN = 4,
};

void lt_wordmap_deinit(struct lt_wordmap *map)
{
	for (size_t i = 0; map->leaves != NULL && i < TOP_SLOTS; i++)
		free(map->leaves[i]);
	free(map->leaves);
	for (size_t i = 0; i < map->pages.count; i++)
		free(map->pages.data[i].values);
	lt_wordmap_pages_deinit(&map->pages);
	lt_map_deinit(&map->large);
	*map = (struct lt_wordmap){0};
}

static const struct lt_wordmap_page *page_of(const struct lt_wordmap *map, lt_addr address)
{
	if (map->leaves == NULL || address >> TOP_BITS != 0)
		return NULL;
	const uint32_t *leaf = map->leaves[address >> LEAF_BITS];
	uint32_t slot = leaf != NULL ? leaf[address >> LT_WORDMAP_PAGE_BITS & (LEAF_SLOTS - 1)] : 0;
	return slot != 0 ? &map->pages.data[slot - 1] : NULL;
}

/* The same, made when it is missing. NULL: no memory. */
static struct lt_wordmap_page *make_page(struct lt_wordmap *map, lt_addr address)
{
	if (map->leaves == NULL) {
		map->leaves = calloc(TOP_SLOTS, sizeof(*map->leaves));
		if (map->leaves == NULL)
			return NULL;
	}
	uint32_t **leaf = &map->leaves[address >> LEAF_BITS];
	if (*leaf == NULL) {
		*leaf = calloc(LEAF_SLOTS, sizeof(**leaf));
		if (*leaf == NULL)
			return NULL;
	}
	uint32_t *slot = &(*leaf)[address >> LT_WORDMAP_PAGE_BITS & (LEAF_SLOTS - 1)];
	if (*slot == 0) {
		if (map->pages.count >= UINT32_MAX - 1 ||
		    !lt_wordmap_pages_push(&map->pages, (struct lt_wordmap_page){0}))
			return NULL;
		*slot = (uint32_t)map->pages.count;
	}
	return &map->pages.data[*slot - 1];
}

static unsigned word_of(lt_addr address)
{
	return (unsigned)(address >> 3) & (LT_WORDMAP_WORDS - 1);
}

/* Members of the page before its word; of LT_WORDMAP_WORDS all. */
static unsigned rank_of(const struct lt_wordmap_page *page, unsigned word)
{
	unsigned rank = 0;
	for (unsigned i = 0; i < word / 64; i++)
		rank += lt_bits(page->known[i]);
	if (word % 64 != 0)
		rank += lt_bits(page->known[word / 64] & (((uint64_t)1 << (word % 64)) - 1));
	return rank;
}

static uint32_t value_of(const struct lt_wordmap *map, const struct lt_wordmap_page *page,
			 lt_addr address)
{
	uint64_t value = page->values[rank_of(page, word_of(address))];
	if (value == LARGE)
		(void)lt_map_get(&map->large, address, &value);
	return (uint32_t)value;
}

/* Room for one more of `count` values: it doubles at powers of two. */
static bool make_room(struct lt_wordmap_page *page, unsigned count)
{
	if (count >= ROOM_MIN ? (count & (count - 1)) != 0 : page->values != NULL)
		return true;
	unsigned room = count >= ROOM_MIN ? 2 * count : ROOM_MIN;
	uint16_t *grown = realloc(page->values, room * sizeof(*grown));
	if (grown == NULL)
		return false;
	page->values = grown;
	return true;
}

bool lt_wordmap_add(struct lt_wordmap *map, lt_addr address, uint32_t value)
{
	if (address >> TOP_BITS != 0 || (address & 7) != 0)
		return true;
	struct lt_wordmap_page *page = make_page(map, address);
	if (page == NULL)
		return false;
	unsigned word = word_of(address);
	uint64_t bit = (uint64_t)1 << (word % 64);
	if ((page->known[word / 64] & bit) != 0)
		return true;
	/* Most come in the order of their addresses. */
	unsigned count = page->count;
	unsigned rank = word > page->last ? count : rank_of(page, word);
	if (!make_room(page, count) || (value >= LARGE && !lt_map_put(&map->large, address, value)))
		return false;
	memmove(page->values + rank + 1, page->values + rank,
		(count - rank) * sizeof(*page->values));
	page->values[rank] = value < LARGE ? (uint16_t)value : LARGE;
	page->known[word / 64] |= bit;
	page->count++;
	if (word > page->last)
		page->last = (uint16_t)word;
	return true;
}

bool lt_wordmap_get(const struct lt_wordmap *map, lt_addr address, uint32_t *ret_value)
{
	const struct lt_wordmap_page *page = page_of(map, address);
	unsigned word = word_of(address);
	if (page == NULL || (address & 7) != 0 || (page->known[word / 64] >> (word % 64) & 1) == 0)
		return false;
	*ret_value = value_of(map, page, address);
	return true;
}

/* The bits of the 64 words from the address on, as far as they lie in its page. */
static uint64_t bits_from(const struct lt_wordmap_page *page, unsigned word)
{
	uint64_t bits = page->known[word / 64] >> (word % 64);
	if (word % 64 != 0 && word / 64 + 1 < LT_WORDMAP_WORDS / 64)
		bits |= page->known[word / 64 + 1] << (64 - word % 64);
	return bits;
}

bool lt_wordmap_first(const struct lt_wordmap *maps, unsigned count, lt_addr address,
		      unsigned words, uint32_t *ret_value)
{
	while (words > 0 && (address & 7) == 0) {
		unsigned word = word_of(address);
		unsigned here = LT_WORDMAP_WORDS - word < words ? LT_WORDMAP_WORDS - word : words;
		uint64_t mask = here < 64 ? ((uint64_t)1 << here) - 1 : ~(uint64_t)0;
		unsigned lowest = 64, first = 0;
		for (unsigned i = 0; i < count; i++) {
			const struct lt_wordmap_page *page = page_of(&maps[i], address);
			uint64_t bits = page != NULL ? bits_from(page, word) & mask : 0;
			if (bits != 0 && (unsigned)__builtin_ctzll(bits) < lowest) {
				lowest = (unsigned)__builtin_ctzll(bits);
				first = i;
			}
		}
		if (lowest < 64) {
			lt_addr at = address + 8 * (lt_addr)lowest;
			*ret_value = value_of(&maps[first], page_of(&maps[first], at), at);
			return true;
		}
		words -= here;
		address += 8 * (lt_addr)here;
	}
	return false;
}
