/*
 * wordmap.h: a map from addresses of words to small numbers, for many addresses that lie close together.
 *
 * Each 4 KiB page with a member has a bit for each word and the numbers of its members in their order: a test costs
 * a few loads, and neighbours share them. Addresses are multiples of 8 below 2^47; others are never members.
 * Memory: 80 bytes a page, 2 to 4 a member. All zero is the empty map.
 */
#ifndef LT_HEAP_WORDMAP_H
#define LT_HEAP_WORDMAP_H

#include "base/map.h"
#include "base/vec.h"
#include "target/memory.h"

enum {
	LT_WORDMAP_PAGE_BITS = 12,
	LT_WORDMAP_WORDS = 1 << (LT_WORDMAP_PAGE_BITS - 3),
	LT_WORDMAP_NEAR = 64, /* words that lt_wordmap_first() can look through */
};

struct lt_wordmap_page {
	uint64_t known[LT_WORDMAP_WORDS / 64];
	uint16_t *values;     /* of the members, ascending; 65535: see `large` */
	uint16_t count, last; /* members, and the last one's word */
};
LT_VEC(lt_wordmap_pages, struct lt_wordmap_page);

struct lt_wordmap {
	uint32_t **leaves; /* address >> 30; index of each page + 1, 0 for none */
	struct lt_wordmap_pages pages;
	struct lt_map large; /* address -> a number from 65535 on */
};

void lt_wordmap_deinit(struct lt_wordmap *map);

/* Adds the address unless it is a member: the first number stays. False: no memory. */
bool lt_wordmap_add(struct lt_wordmap *map, lt_addr address, uint32_t value);

bool lt_wordmap_get(const struct lt_wordmap *map, lt_addr address, uint32_t *ret_value);

/*
 * The number of the lowest member among the `words` words from the address on, at most LT_WORDMAP_NEAR. Of an address
 * that is in several of the maps it is that of the first.
 */
bool lt_wordmap_first(const struct lt_wordmap *maps, unsigned count, lt_addr address,
		      unsigned words, uint32_t *ret_value);

#endif
