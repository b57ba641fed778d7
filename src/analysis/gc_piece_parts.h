/*
 * gc_piece_parts.h: what the writer and the reader of pieces agree on.
 */
#ifndef LT_ANALYSIS_GC_PIECE_PARTS_H
#define LT_ANALYSIS_GC_PIECE_PARTS_H

#include "analysis/gc_piece.h"

enum {
	LT_PIECE_FORGET = 1,        /* flag of a piece: it begins with nothing known */
	LT_PIECE_NUMBER_BYTES = 10, /* of a number, 7 bits each, the lowest first */
	LT_PIECE_NUMBERS_MOST = 80, /* of a row: one bit each */
};

_Static_assert((int)LT_PIECE_EVENT_NUMBERS <= (int)LT_PIECE_NUMBERS_MOST,
	       "one bit for each number");

/*
 * What number i of a row is likely near: of an event its end begins with its start, the state before it with the
 * one after the event before, and that after it with the one before. All else is as in the row before.
 */
static inline int64_t lt_piece_expect_event(const int64_t *row, const int64_t *last, size_t i)
{
	if (i == 1)
		return row[0];
	if (i >= LT_PIECE_AFTER)
		return row[i - LT_PIECE_AFTER + LT_PIECE_BEFORE];
	if (i >= LT_PIECE_BEFORE)
		return last[i - LT_PIECE_BEFORE + LT_PIECE_AFTER];
	return last[i];
}

static inline int64_t lt_piece_expect_sample(const int64_t *row, const int64_t *last, size_t i)
{
	(void)row;
	return last[i];
}

#endif
