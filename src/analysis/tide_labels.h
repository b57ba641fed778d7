/*
 * tide_labels.h: the labels of one object's references as bytes: kind, index and name of each, without
 * the target, which has a column of its own.
 */
#ifndef LT_ANALYSIS_TIDE_LABELS_H
#define LT_ANALYSIS_TIDE_LABELS_H

#include "base/vec.h"
#include "heap/heap.h"

LT_VEC(lt_label_bytes, uint8_t);

/* A reference with nodes in place of addresses. */
struct lt_node_ref {
	uint32_t to;
	uint32_t name; /* LT_NO_NODE: none */
	uint32_t index;
	enum lt_ref_kind kind;
	bool untraversed, borrowed;
};
LT_VEC(lt_node_refs, struct lt_node_ref);

/*
 * The nodes that are names, each once, in the order of first use: labels say their place in this list,
 * so that the labels of the instances of one class are the same bytes.
 */
struct lt_label_names {
	struct lt_map place; /* node -> place in the list; of a writer only */
	uint32_t *node;
	size_t count, capacity;
};
void lt_label_names_deinit(struct lt_label_names *names);

/* Appends. False: no memory. */
bool lt_labels_write(const struct lt_node_ref *refs, size_t count, struct lt_label_names *names,
		     struct lt_label_bytes *bytes);

/*
 * Sets everything but `to` of `count` references, whose `to` are given in refs[]. False: the bytes are not
 * such labels.
 */
bool lt_labels_read(const uint8_t *bytes, size_t size, const struct lt_label_names *names,
		    struct lt_node_ref *refs, size_t count);

#endif
