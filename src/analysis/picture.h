/*
 * picture.h: the heap as the analyses see it: graph, roots, what is alive, dominators, retained sizes.
 * Built in steps: each analysis asks for the steps that it needs.
 */
#ifndef LT_ANALYSIS_PICTURE_H
#define LT_ANALYSIS_PICTURE_H

#include "analysis/source.h"
#include "analysis/unexplained.h"
#include "analysis/unvisited.h"
#include "heap/heap.h"

/*
 * All zero is the empty picture. It is of a frozen process or of a snapshot file, and an analysis does
 * not see which: what it needs beyond this struct comes from lt_picture_refs(), _number() and _text().
 */
struct lt_picture {
	struct lt_session *session;
	struct lt_types *types;
	struct lt_source source;
	const struct lt_view *view; /* NULL for a file */
	struct lt_heap *heap;       /* NULL for a file */
	struct lt_roots roots;      /* more of LT_ROOT_EXTERNAL after lt_picture_life() */
	struct lt_heap_graph graph;
	uint32_t *
		root_node; /* node of each root, LT_NO_NODE when it is in no node, or holds nothing */
	struct lt_map
		named; /* node of each root that holds nothing (lt_root_holds()) -> the root's index */
	/* References found by scans of the objects of C types that no other one accounts for. */
	struct lt_loose_refs scanned;
	struct lt_native native; /* how much memory of C code was searched for roots */

	/* After lt_picture_life(). A file has `alive` from the start. */
	uint8_t *alive; /* 1: some root reaches the node */
	uint64_t
		garbage_count; /* nodes that no root reaches: cyclic garbage waiting for the collector */
	uint64_t garbage_bytes;
	uint64_t garbage_tracked; /* of garbage_count, those in the collector's lists */
	uint64_t collectable_count, collectable_bytes; /* what gc.collect() would find now */
	struct lt_unvisited_list unvisited; /* of the garbage: what the collector will never free */

	/* After lt_picture_ways(). */
	uint32_t *parent; /* the node that a user reaches this one from, LT_GRAPH_NONE for roots */

	/* After lt_picture_weigh(). */
	uint32_t *dominator; /* of each node, LT_GRAPH_NONE: no single node */
	uint64_t *retained;  /* bytes that would go with each node */
};

/* Roots and graph; `visit` may be NULL. The picture must stay where it is in memory: its source points into it. */
LT_MUST_CHECK enum lt_status lt_picture_take(const struct lt_view *view,
					     const struct lt_heap_visit *visit,
					     struct lt_picture *ret_picture);
void lt_picture_deinit(struct lt_picture *picture);

/* Sets root_node[] of the roots; for those who fill a picture. */
LT_MUST_CHECK enum lt_status lt_picture_place_roots(struct lt_picture *picture);

/*
 * Which nodes are alive. A node whose reference count exceeds the references found is held from
 * outside the heap and becomes a root of kind LT_ROOT_EXTERNAL when no other root reaches it.
 */
LT_MUST_CHECK enum lt_status lt_picture_life(struct lt_picture *picture);

/* The cheapest way to each node that is alive, for expressions; needs lt_picture_life(). */
LT_MUST_CHECK enum lt_status lt_picture_ways(struct lt_picture *picture);

/*
 * Dominators and retained sizes; needs lt_picture_life(). It uses up the references of the graph, to
 * save memory: it is the last of the steps.
 */
LT_MUST_CHECK enum lt_status lt_picture_weigh(struct lt_picture *picture);

/* For qsort_r(3) on nodes, with a weighed picture as its argument: the one that holds most first. */
int lt_picture_by_retained(const void *left, const void *right, void *picture);

/* Counts and bytes of each type over all nodes, in no order. */
LT_MUST_CHECK enum lt_status lt_picture_totals(const struct lt_picture *picture,
					       struct lt_type_totals *ret_totals);

/* Of the roots that are this node the one where a way begins most cheaply, NULL when it is none; looks at all roots. */
const struct lt_root *lt_picture_root(const struct lt_picture *picture, uint32_t node);

/* What a way that begins at a root of this kind costs before its first step. */
uint8_t lt_picture_start_cost(enum lt_root_kind kind);

/* What a step from an object of this type on costs on a way; NULL: the type is not known. */
uint8_t lt_picture_step_cost(const struct lt_type *type);

/* The first node from `node` on that is not alive, the number of nodes when there is none; needs lt_picture_life(). */
uint32_t lt_picture_dead_from(const struct lt_picture *picture, uint32_t node);

/* NULL when the type of the node is not known. */
const struct lt_type *lt_picture_type(const struct lt_picture *picture, uint32_t node);
lt_addr lt_picture_address(const struct lt_picture *picture, uint32_t node);

/* The type that a class node is; NULL when the node is no class or it cannot be read. */
const struct lt_type *lt_picture_type_of_class(const struct lt_picture *picture, uint32_t node);

/*
 * Appends the labelled references of a node to other nodes, in the order of decode.h. `to` and `name`
 * are addresses: lt_heap_graph_find(&picture->graph, ...) gives their nodes.
 */
void lt_picture_refs(const struct lt_picture *picture, uint32_t node, struct lt_refs *refs);
/* The first ones, at most `limit`: a container may have millions. */
void lt_picture_refs_some(const struct lt_picture *picture, uint32_t node, size_t limit,
			  struct lt_refs *refs);

/*
 * For an analysis that asks about all nodes in their order: makes ready what the questions about `node` and
 * those behind it need, and returns the node at which to call it again. With the number of nodes it ends.
 */
uint32_t lt_picture_walk(const struct lt_picture *picture, uint32_t node);

/* A detail of a node that is a number; false when the node has none. */
bool lt_picture_number(const struct lt_picture *picture, uint32_t node, enum lt_detail detail,
		       int64_t *ret_value);

/* Appends a detail of a node that is text; false, with nothing appended, when the node has none. */
bool lt_picture_text(const struct lt_picture *picture, uint32_t node, enum lt_detail detail,
		     struct lt_text *text);

/* True when the type is the one of that module and name, or derives from it. */
bool lt_picture_derives(const struct lt_picture *picture, const struct lt_type *type,
			const char *module, const char *name);

#endif
