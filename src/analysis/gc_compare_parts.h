/*
 * gc_compare_parts.h: what gc_compare.c and gc_judge.c share.
 */
#ifndef LT_ANALYSIS_GC_COMPARE_PARTS_H
#define LT_ANALYSIS_GC_COMPARE_PARTS_H

#include "analysis/gc_compare.h"

/* Adds the reasons to a comparison whose figures are there. False: no memory. */
LT_MUST_CHECK bool lt_gc_judge(struct lt_gc_comparison *comparison,
			       const struct lt_gc_side_feed *const feeds[LT_SIDES]);

#endif
