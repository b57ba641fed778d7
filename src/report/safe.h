/*
 * safe.h: strings of unknown origin made harmless.
 */
#ifndef LT_REPORT_SAFE_H
#define LT_REPORT_SAFE_H

#include "base/text.h"

/* For a terminal: every character is printable and has a width. */
enum lt_charset {
	LT_ASCII,
	LT_UTF8,
	LT_UTF8_FILE, /* for what is no terminal: in every locale the same, widths do not matter */
};

/*
 * Appends `string` for display: control characters, broken UTF-8, characters without a width and those
 * that change the reading direction become escapes (\x1b, \u202e); with LT_ASCII all others too.
 */
void lt_safe_add(struct lt_text *out, const char *string, enum lt_charset charset);

/* Appends `string` as valid UTF-8: broken bytes become \xNN escapes, all else stays as it is. */
void lt_valid_add(struct lt_text *out, const char *string);

/* Columns that a string from lt_safe_add() takes on a terminal. */
unsigned lt_safe_columns(const char *safe);

/* Bytes of the longest start of `safe` that takes at most `columns`; at least one character. */
size_t lt_safe_prefix(const char *safe, unsigned columns);

#endif
