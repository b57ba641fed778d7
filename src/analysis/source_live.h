/*
 * source_live.h: a picture's source that reads the memory of the frozen process.
 */
#ifndef LT_ANALYSIS_SOURCE_LIVE_H
#define LT_ANALYSIS_SOURCE_LIVE_H

#include "analysis/source.h"
#include "heap/heap.h"

/* `heap` and `graph` must outlive the source. */
LT_MUST_CHECK enum lt_status lt_source_live_create(struct lt_session *session, struct lt_heap *heap,
						   const struct lt_heap_graph *graph,
						   struct lt_source *ret_source);

#endif
