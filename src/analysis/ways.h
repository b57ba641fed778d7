/*
 * ways.h: the ways to many objects, told apart by what they have in common: two objects have the same
 * general way when the ways to them differ in indexes and keys only (cache['a'][0].items, cache['b'][7].items).
 */
#ifndef LT_ANALYSIS_WAYS_H
#define LT_ANALYSIS_WAYS_H

#include "analysis/picture.h"

enum { LT_NO_WAY = 0 };

/* A general way: the one above it and one more step. */
struct lt_way {
	uint32_t above;   /* LT_NO_WAY: it begins at a root */
	uint32_t step;    /* tells the steps apart */
	uint32_t example; /* the nearest of the nodes asked for, LT_NO_NODE: none */
	bool names;       /* leads to a namespace, whose keys are attributes */
	bool threads;     /* leads to the namespaces of threads */
	bool gap;         /* Python code has no way along one of its steps */
	bool repeats;     /* stands also for ways that take its last steps again and again */
};
LT_VEC(lt_way_list, struct lt_way);

/* All zero is empty. */
struct lt_ways {
	struct lt_way_list list; /* the first is LT_NO_WAY */
	struct lt_map index;     /* way and step -> way one step on */
	struct lt_map steps;     /* hash of a step -> its number */
	struct lt_map names;     /* address of a str -> hash of its text */
	uint32_t *of;            /* the way of each node asked for and of those on the way to it */
};

/*
 * Follows lt_picture.parent from the nodes with wanted[node] != 0; wanted[] is set for the nodes on the way
 * too. Nodes that no root reaches are left out.
 */
LT_MUST_CHECK enum lt_status lt_ways_find(const struct lt_picture *picture, uint8_t *wanted,
					  struct lt_ways *ret_ways);
void lt_ways_deinit(struct lt_ways *ways);

/* The step of a reference that leaves a node with this way, in general. LT_NO_WAY: no memory. */
uint32_t lt_ways_step(struct lt_ways *ways, const struct lt_picture *picture, uint32_t way,
		      uint32_t from, const struct lt_ref *ref);

#endif
