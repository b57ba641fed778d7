/*
 * gc_tide_parts.h: what gc_tide_write.c and gc_tide_read.c agree on.
 */
#ifndef LT_ANALYSIS_GC_TIDE_PARTS_H
#define LT_ANALYSIS_GC_TIDE_PARTS_H

#include "analysis/gc_piece.h"
#include "analysis/gc_tide.h"

/* A list of bytes a row: one piece. In a journal a piece is a frame. */
#define LT_GC_TIDE_PIECES "pieces"

#endif
