/*
 * gc_callbacks.h: what a program has put into gc.callbacks: it runs before and after every collection.
 */
#ifndef LT_ANALYSIS_GC_CALLBACKS_H
#define LT_ANALYSIS_GC_CALLBACKS_H

#include "analysis/gc_recording.h"

struct lt_types;
struct lt_type;

/* What a method or partial runs, itself for what is neither; *ret_type: the type of that, NULL when there is none. */
lt_addr lt_gc_function_of(const struct lt_view *view, struct lt_types *types, lt_addr object,
			  const struct lt_type **ret_type);

/* Sets callbacks and callback_count of the recording, at most 64: "shop.metrics.on_gc (shop/metrics.py:12)". */
LT_MUST_CHECK enum lt_status lt_gc_callbacks_read(const struct lt_view *view, lt_addr list,
						  struct lt_gc_recording *recording);

#endif
