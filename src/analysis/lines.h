/*
 * lines.h: from a position in a code object to its line.
 */
#ifndef LT_ANALYSIS_LINES_H
#define LT_ANALYSIS_LINES_H

#include "heap/view.h"

/*
 * Line of the instruction at byte `offset` of the code object's bytecode; its first line when the table
 * does not say; 0 when the object cannot be read.
 */
int lt_lines_at(const struct lt_view *view, lt_addr code, int64_t offset);

#endif
