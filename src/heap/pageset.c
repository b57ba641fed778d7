#include "heap/pageset.h"

#include <stdlib.h>

static const uint64_t LEAVES = (uint64_t)1 << (LT_PAGESET_TOP_BITS - LT_PAGESET_LEAF_BITS);
static const uint64_t LEAF_WORDS = (uint64_t)1 << (LT_PAGESET_LEAF_BITS - LT_PAGESET_PAGE_BITS - 6);

void lt_pageset_deinit(struct lt_pageset *set)
{
	for (uint64_t i = 0; set->leaves != NULL && i < LEAVES; i++)
		free(set->leaves[i]);
	free(set->leaves);
	set->leaves = NULL;
}

bool lt_pageset_add(struct lt_pageset *set, lt_addr start, lt_addr end)
{
	if (end > (lt_addr)1 << LT_PAGESET_TOP_BITS)
		end = (lt_addr)1 << LT_PAGESET_TOP_BITS;
	if (start >= end)
		return true;
	if (set->leaves == NULL) {
		set->leaves = calloc(LEAVES, sizeof(*set->leaves));
		if (set->leaves == NULL)
			return false;
	}
	uint64_t last = (end - 1) >> LT_PAGESET_PAGE_BITS;
	for (uint64_t page = start >> LT_PAGESET_PAGE_BITS; page <= last; page++) {
		uint64_t **leaf =
			&set->leaves[page >> (LT_PAGESET_LEAF_BITS - LT_PAGESET_PAGE_BITS)];
		if (*leaf == NULL) {
			*leaf = calloc(LEAF_WORDS, sizeof(**leaf));
			if (*leaf == NULL)
				return false;
		}
		(*leaf)[page / 64 % LEAF_WORDS] |= (uint64_t)1 << (page % 64);
	}
	return true;
}
