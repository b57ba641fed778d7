/*
 * growth.h: what grew between pictures of one heap, and which object it piled up in.
 *
 * Of an earlier picture only a generation is kept: of each object its address, type, size, entries and
 * retained bytes, no references; about 22 bytes an object. In the last picture an object is as old as the
 * run of generations that have an object of the same type at its address. One that was freed and made
 * again in between at the same address with the same type passes for old; sums over many objects are
 * hardly moved by it.
 *
 * New objects belong to the nearest old object above them: along the dominators, or along the way that a
 * user would take (lt_picture.parent) when several objects share them. From these owners growth is summed
 * up the dominator tree, and each suspect is the outermost container that really piles up: one that gets
 * longer, or one whose many entries do.
 */
#ifndef LT_ANALYSIS_GROWTH_H
#define LT_ANALYSIS_GROWTH_H

#include "analysis/expression.h"

/* What is kept of one picture. All zero is the empty generation. */
struct lt_generation {
	struct lt_objmap *objects;
	uint32_t *type; /* hash of the type's address and name, of each object */
	uint16_t *size; /* own bytes, UINT16_MAX: see big_sizes */
	struct lt_map big_sizes;
	uint32_t *length;   /* entries of a container, saturated; 0 for all others */
	uint64_t *retained; /* bytes that would go with it; 0 when no root reached it */
	uint32_t count;
	uint64_t bytes; /* of all objects */
	uint64_t garbage_count, garbage_bytes;
	uint64_t stuck_count, stuck_bytes; /* garbage that no collection will free (unvisited.h) */
};

/*
 * Takes a generation of a picture after lt_picture_weigh() while its memory can still be read. It uses up
 * the picture: only lt_picture_deinit() may follow.
 */
LT_MUST_CHECK enum lt_status lt_generation_take(struct lt_picture *picture,
						struct lt_generation *ret_generation);
void lt_generation_deinit(struct lt_generation *generation);

enum { LT_GROWTH_GENERATIONS_MAX = 15 };

/* An object that grew. */
struct lt_growth_point {
	uint32_t node;  /* in the last picture */
	bool container; /* a container, not a namespace */
	bool rebound;   /* the node is itself new: what a variable refers to is replaced by more */
	bool shared;    /* most of what is new can be reached past the node too */
	bool spread;    /* its entries grew, not itself */
	uint64_t objects; /* new objects that count, net of what went */
	uint64_t bytes;   /* growth of what it holds, from the first picture to the last */
	uint64_t
		retained; /* what it holds now; of a shared one with the shared objects that are new */
	uint64_t length[LT_GROWTH_GENERATIONS_MAX + 1]; /* entries in each picture */
	uint64_t held[LT_GROWTH_GENERATIONS_MAX + 1];   /* retained bytes in each picture */
	/*
	 * 1 when it grew alike in each interval, 0 when there is one without growth; 1 of two pictures, which
	 * cannot tell.
	 */
	double steadiness;
	/* Of the bytes that came to itself, the share that others which went do not outweigh: 1 when none went. */
	double kept;
	uint32_t sample; /* one of the new objects: the heaviest that the node holds directly */
};
LT_VEC(lt_growth_points, struct lt_growth_point);

/* New objects that no object holds, by the kind of root that they begin at. */
struct lt_growth_rootless {
	uint64_t objects, bytes;
	uint32_t sample; /* the heaviest of the roots, LT_NO_NODE for none */
};

/*
 * Of those that C code holds the ones that one place has: a symbol of a library's static data, a part of the
 * interpreter's state, or, where the place is not known, those whose first object is of one type.
 */
struct lt_growth_holder {
	const struct lt_root *root; /* one of its roots: its kind and name */
	uint32_t sample;            /* the heaviest of the objects that it refers to */
	uint64_t objects, bytes;
	uint64_t known[LT_GROWTH_GENERATIONS_MAX +
		       1]; /* of the bytes those that are in each picture */
	uint64_t before;   /* bytes that its objects of the first picture held then */
};
LT_VEC(lt_growth_holders, struct lt_growth_holder);

struct lt_growth {
	struct lt_growth_holders holders; /* most bytes first */
	struct lt_growth_rootless rootless[LT_ROOT_KIND_COUNT];
	struct lt_growth_points points;  /* most bytes first */
	uint64_t new_objects, new_bytes; /* in the last picture and not in the first */
};

/*
 * `picture` is the last one, weighed, with its ways; `generations` those before it, oldest first, 1 to
 * LT_GROWTH_GENERATIONS_MAX of them. Points below `least_bytes` are left out.
 */
LT_MUST_CHECK enum lt_status lt_growth_find(const struct lt_picture *picture,
					    struct lt_expressions *expressions,
					    const struct lt_generation *generations, size_t count,
					    uint64_t least_bytes, struct lt_growth *ret_growth);
void lt_growth_deinit(struct lt_growth *growth);

#endif
