/*
 * paths_parts.h: what the two kinds of paths share: a chain of nodes made into a struct lt_path.
 */
#ifndef LT_ANALYSIS_PATHS_PARTS_H
#define LT_ANALYSIS_PATHS_PARTS_H

#include "analysis/expression.h"
#include "analysis/paths.h"

enum { LT_PATH_STEPS_MOST = 200 };

LT_VEC(lt_path_nodes, uint32_t);

/*
 * The way that lt_picture.parent gives, from the root on; of one that is longer than a million steps the
 * first of them, and the object itself.
 */
bool lt_path_chain(const struct lt_picture *picture, uint32_t node,
		   struct lt_path_nodes *ret_nodes);

/* A copy in the strings of the result, "" without memory. */
const char *lt_path_keep(struct lt_paths *paths, const char *text);

/*
 * Fills in root_kind, expression, where and steps: `nodes` lead from a root to the object; `root` NULL: the
 * best one of nodes[0]. `general`: the expression with [*].
 */
LT_MUST_CHECK enum lt_status lt_path_write(const struct lt_picture *picture,
					   struct lt_expressions *expressions,
					   const uint32_t *nodes, size_t count,
					   const struct lt_root *root, bool general,
					   struct lt_paths *paths, struct lt_path *path);

#endif
