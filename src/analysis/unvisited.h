/*
 * unvisited.h: references that the collector cannot see because a C type does not tell it: cycles through
 * them are garbage that is never freed.
 */
#ifndef LT_ANALYSIS_UNVISITED_H
#define LT_ANALYSIS_UNVISITED_H

#include "base/vec.h"
#include "heap/heap.h"

struct lt_picture;

/* All such references of one type. */
struct lt_unvisited {
	const struct lt_type *type;
	bool collected; /* the type is the collector's, and its tp_traverse leaves the member out */
	uint64_t edges; /* references that close a cycle */
	uint32_t from, to;       /* nodes of the first of them */
	uint32_t offset;         /* of the member, from the start of the object */
	uint64_t objects, bytes; /* that no root reaches and that these cycles keep */
	uint64_t tracked;        /* of the objects, those in the collector's lists */
};
LT_VEC(lt_unvisited_list, struct lt_unvisited);

/*
 * Needs what is alive, the edges of the graph, and the code of tp_traverse: a snapshot file has the result.
 */
LT_MUST_CHECK enum lt_status lt_unvisited_find(const struct lt_picture *picture,
					       struct lt_unvisited_list *ret_list);

#endif
