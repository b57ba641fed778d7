/*
 * read.h: small Python values of a target as text and numbers: the keys and names of expressions.
 */
#ifndef LT_ANALYSIS_READ_H
#define LT_ANALYSIS_READ_H

#include "base/text.h"
#include "heap/fields.h"
#include "heap/types.h"

/*
 * Appends a str as UTF-8, at most `limit` characters (then "..." follows). False, with nothing
 * appended, when it cannot be read. Lone surrogates and control characters become "?".
 */
bool lt_read_str(const struct lt_view *view, lt_addr object, size_t limit, struct lt_text *text);

/* An int that fits 64 bits. */
bool lt_read_int(const struct lt_view *view, lt_addr object, int64_t *ret_value);

/*
 * Appends an expression that equals the value, as repr() would write it: str, bytes, int, bool, float,
 * None, and tuples of them (of at most 8 items, 2 deep). False, with nothing appended, for any other
 * value and for text that is too long to paste.
 */
bool lt_read_literal(const struct lt_view *view, struct lt_types *types, lt_addr object,
		     struct lt_text *text);

/* True when `name` can follow a dot in Python (ASCII identifiers; the keywords are left out). */
bool lt_is_identifier(const char *name);

#endif
