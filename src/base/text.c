#include "base/text.h"

#include "base/shortage.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void lt_text_deinit(struct lt_text *text)
{
	free(text->data);
	memset(text, 0, sizeof(*text));
}

void lt_text_clear(struct lt_text *text)
{
	text->length = 0;
	if (text->data != NULL)
		text->data[0] = '\0';
}

static bool reserve(struct lt_text *text, size_t more)
{
	if (more < text->capacity - text->length)
		return true;
	size_t wanted = text->length + more + 1;
	size_t grown = text->capacity < 64 ? 64 : text->capacity * 2;
	if (grown < wanted)
		grown = wanted;
	char *data = realloc(text->data, grown);
	if (data == NULL) {
		lt_shortage_note();
		text->failed = true;
		return false;
	}
	text->data = data;
	text->capacity = grown;
	return true;
}

void lt_text_add_bytes(struct lt_text *text, const char *bytes, size_t length)
{
	if (!reserve(text, length))
		return;
	memcpy(text->data + text->length, bytes, length);
	text->length += length;
	text->data[text->length] = '\0';
}

void lt_text_add(struct lt_text *text, const char *string)
{
	lt_text_add_bytes(text, string, strlen(string));
}

void lt_text_addf(struct lt_text *text, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	va_list again;
	va_copy(again, arguments);
	int length = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	if (length > 0 && reserve(text, (size_t)length)) {
		vsnprintf(text->data + text->length, (size_t)length + 1, format, again);
		text->length += (size_t)length;
	}
	va_end(again);
}

const char *lt_text_get(const struct lt_text *text)
{
	return text->length == 0 ? "" : text->data;
}

char *lt_text_take(struct lt_text *text)
{
	char *data = text->failed ? NULL : text->data != NULL ? text->data : calloc(1, 1);
	if (text->failed)
		free(text->data);
	memset(text, 0, sizeof(*text));
	return data;
}

unsigned lt_text_slips(const char *a, const char *b, bool fold)
{
	enum { LENGTH_MOST = 63 };
	size_t n = strlen(a), m = strlen(b);
	if (n > LENGTH_MOST || m > LENGTH_MOST)
		return UINT32_MAX;
	/* Levenshtein distance, row by row. */
	unsigned row[LENGTH_MOST + 1];
	for (size_t j = 0; j <= m; j++)
		row[j] = (unsigned)j;
	for (size_t i = 1; i <= n; i++) {
		unsigned diagonal = row[0];
		row[0] = (unsigned)i;
		for (size_t j = 1; j <= m; j++) {
			bool same = fold ? strncasecmp(a + i - 1, b + j - 1, 1) == 0
					 : a[i - 1] == b[j - 1];
			unsigned best = diagonal + !same;
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			diagonal = row[j];
			row[j] = best;
		}
	}
	return row[m];
}
