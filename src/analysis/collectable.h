/*
 * collectable.h: what CPython's collector would find unreachable if it ran now.
 *
 * Less than what no root reaches: it looks at tracked objects outside the permanent generation only, and
 * at the references that tp_traverse visits. A cycle that leads through an object of a type without
 * tp_traverse, or that a frozen object refers to, is garbage for ever.
 */
#ifndef LT_ANALYSIS_COLLECTABLE_H
#define LT_ANALYSIS_COLLECTABLE_H

#include "analysis/picture.h"

/* Needs picture->alive. What gc.collect() would return, and the bytes of these objects themselves. */
LT_MUST_CHECK enum lt_status lt_collectable_count(const struct lt_picture *picture,
						  uint64_t *ret_count, uint64_t *ret_bytes);

#endif
