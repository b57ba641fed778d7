/*
 * outline.h: the dominator tree cut down to what a person can look at: big objects one by one, small ones
 * of a type together, and what is left over as a rest that is counted.
 */
#ifndef LT_ANALYSIS_OUTLINE_H
#define LT_ANALYSIS_OUTLINE_H

#include "base/arena.h"
#include "base/session.h"
#include "target/memory.h"

struct lt_picture;
struct lt_expressions;

enum lt_outline_kind {
	LT_OUTLINE_HEAP,    /* the whole heap: the first node */
	LT_OUTLINE_OBJECT,  /* one object */
	LT_OUTLINE_GROUP,   /* objects of one type under one owner, each too small to stand alone */
	LT_OUTLINE_REST,    /* what else the owner holds: types too small to stand alone */
	LT_OUTLINE_GARBAGE, /* what no root reaches, waiting for the collector */
};

struct lt_outline_node {
	enum lt_outline_kind kind;
	uint32_t parent;                   /* index; of the first node itself: 0 */
	uint32_t first_child, child_count; /* contiguous, most retained first */
	bool cut;               /* it holds more that was not looked into: too small, or too deep */
	const char *type;       /* "" for a rest */
	const char *module;     /* of the type */
	const char *expression; /* of an object, "" when nothing reaches it */
	const char *where;      /* file:line or module, "" when unknown */
	uint64_t objects;       /* how many it stands for, what they hold not counted */
	uint64_t own;           /* bytes of these objects themselves */
	uint64_t retained;      /* bytes that would go with them */
	lt_addr address;        /* of an object, else 0 */
};

struct lt_outline_options {
	double share;   /* of the heap that a node must hold to stand alone; 0: 0.001 */
	uint32_t nodes; /* nodes at most, 0: 2,000 */
};

/* All zero is the empty outline. The strings live in `strings`. */
struct lt_outline {
	struct lt_outline_node *nodes; /* an owner comes before what it holds */
	uint32_t count;
	uint64_t bytes, objects; /* of the whole heap, garbage included */
	uint64_t cut_bytes;   /* that are seen only as a part of a rest or of a node that is cut */
	uint64_t least_bytes; /* what a node must hold to stand alone */
	struct lt_arena strings;
};

/*
 * Needs lt_picture_weigh(), and lt_picture_ways() unless `expressions` is NULL. NULL options: the defaults.
 * Time grows with the number of objects; needs 8 bytes each meanwhile.
 */
LT_MUST_CHECK enum lt_status lt_outline_make(const struct lt_picture *picture,
					     struct lt_expressions *expressions,
					     const struct lt_outline_options *options,
					     struct lt_outline *ret_outline);
void lt_outline_deinit(struct lt_outline *outline);

#endif
