/*
 * text.h: a string that grows. All zero is the empty text.
 *
 * When memory runs out the text keeps what it has and `failed` is set, so that a writer checks once,
 * at the end.
 */
#ifndef LT_BASE_TEXT_H
#define LT_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lt_text {
	char *data; /* NUL-terminated, or NULL while empty */
	size_t length;
	size_t capacity;
	bool failed;
};

void lt_text_deinit(struct lt_text *text);
void lt_text_clear(struct lt_text *text);
void lt_text_add(struct lt_text *text, const char *string);
void lt_text_add_bytes(struct lt_text *text, const char *bytes, size_t length);
void lt_text_addf(struct lt_text *text, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* The text as a C string, "" when empty. Valid until the next change. */
const char *lt_text_get(const struct lt_text *text);

/* Gives the string to the caller (free(3)) and empties the text. NULL when it has failed. */
char *lt_text_take(struct lt_text *text);

/*
 * How many single letters tell two words apart, with `fold` capitals aside (ASCII); UINT32_MAX when one has
 * more than 63 bytes: too long for a slip.
 */
unsigned lt_text_slips(const char *a, const char *b, bool fold);

#endif
