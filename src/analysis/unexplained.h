/*
 * unexplained.h: which references are missing: each object's reference count against the references that are
 * found, in objects and in roots, and where the rest may be held (docs/roots.md).
 */
#ifndef LT_ANALYSIS_UNEXPLAINED_H
#define LT_ANALYSIS_UNEXPLAINED_H

#include "analysis/roots_native.h"

/*
 * Takes the exact roots and what conservative scans of objects found from the balances, searches the
 * memory of C code for the rest (lt_roots_native()), and appends a root of kind LT_ROOT_EXTERNAL, with the
 * count of references, for each object that still misses some. Immortal objects and those in mapped files
 * are left out: their counts mean nothing.
 *
 * ret_scanned: the references of conservative scans that account for a missing one. Uses up
 * the balances and graph->loose.
 */
LT_MUST_CHECK enum lt_status
lt_unexplained_find(const struct lt_view *view, struct lt_heap_graph *graph, struct lt_roots *roots,
		    struct lt_loose_refs *ret_scanned, struct lt_native *ret_native);

#endif
