/*
 * export_dot.h: the paths to an object or to those of a type as a graph for Graphviz. docs/export.md.
 */
#ifndef LT_REPORT_EXPORT_DOT_H
#define LT_REPORT_EXPORT_DOT_H

#include "base/text.h"

struct lt_paths;
struct lt_picture;

/*
 * Steps that several paths share are one node. `picture`: for the sizes, after lt_picture_weigh(); NULL:
 * no sizes are shown.
 */
void lt_dot_paths(const struct lt_paths *paths, const struct lt_picture *picture,
		  struct lt_text *out);

#endif
