/*
 * weights.h: retained bytes of more than one object, from the dominator tree; after lt_picture_weigh().
 */
#ifndef LT_ANALYSIS_WEIGHTS_H
#define LT_ANALYSIS_WEIGHTS_H

#include "analysis/picture.h"

/* The dominator tree downwards: children of node v are child[first[v] .. first[v + 1]). */
struct lt_dominated {
	uint32_t *first; /* node_count + 1 entries */
	uint32_t *child;
};
LT_MUST_CHECK enum lt_status lt_dominated_list(const struct lt_picture *picture,
					       struct lt_dominated *ret_dominated);
void lt_dominated_deinit(struct lt_dominated *dominated);

/*
 * ret_nested[v] is 1 when a dominator of v is of one of the types (of_type[] by type index). The retained
 * bytes of the other objects of these types do not overlap. Caller frees.
 */
LT_MUST_CHECK enum lt_status lt_weights_nested(const struct lt_picture *picture,
					       const uint8_t *of_type, uint8_t **ret_nested);

/*
 * Of objects in groups the sum of what those of each group retain, each byte once: an object that another
 * one of its group dominates is part of that. What two of them share is not in it. `group` gives the group
 * of a node, below `group_count`, or LT_NO_NODE. Caller frees.
 */
LT_MUST_CHECK enum lt_status lt_weights_of_groups(const struct lt_picture *picture,
						  uint32_t (*group)(const void *ctx, uint32_t node),
						  const void *ctx, uint32_t group_count,
						  uint64_t **ret_retained);

/* The same of types, by index. */
LT_MUST_CHECK enum lt_status lt_weights_of_types(const struct lt_picture *picture,
						 uint64_t **ret_retained);

#endif
