/*
 * pageset.h: a set of 4 KiB pages of a target's address space, with a test of two loads.
 *
 * All zero is the empty set. Memory: 32 KiB for each GiB of addresses with a member, 1 MiB in all for
 * the directory, of which only touched pages are resident.
 */
#ifndef LT_HEAP_PAGESET_H
#define LT_HEAP_PAGESET_H

#include "target/memory.h"

enum {
	LT_PAGESET_PAGE_BITS = 12,
	LT_PAGESET_LEAF_BITS = 30, /* addresses a leaf covers */
	LT_PAGESET_TOP_BITS = 47,  /* user addresses of x86-64 and, by default, aarch64 */
};

struct lt_pageset {
	uint64_t **leaves;
};

void lt_pageset_deinit(struct lt_pageset *set);

/* Adds every page of [start, end); beyond 2^47 nothing is added. False: no memory. */
bool lt_pageset_add(struct lt_pageset *set, lt_addr start, lt_addr end);

static inline bool lt_pageset_has(const struct lt_pageset *set, lt_addr addr)
{
	if (set->leaves == NULL || addr >> LT_PAGESET_TOP_BITS != 0)
		return false;
	const uint64_t *leaf = set->leaves[addr >> LT_PAGESET_LEAF_BITS];
	if (leaf == NULL)
		return false;
	uint64_t page = (addr & (((lt_addr)1 << LT_PAGESET_LEAF_BITS) - 1)) >> LT_PAGESET_PAGE_BITS;
	return (leaf[page / 64] >> (page % 64) & 1) != 0;
}

#endif
