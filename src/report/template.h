/*
 * template.h: a text with holes, filled from JSON. For pages: everything that comes from the data is
 * escaped for HTML, in text and in quoted attributes alike.
 *
 *     {{name}}             the value, escaped; nothing when there is none
 *     {{name|filter}}      the value as bytes, count, share, percent (a share as
 *                          a plain number), ms or age
 *     {{.}}                the value itself, inside a section over plain values
 *     {{#name}}...{{/name}}   for each item of an array; once for an object or any other value that is not
 *                          null, false, 0 or empty. Names inside are looked up in the item first.
 *     {{^name}}...{{/name}}   when a section of that name would show nothing
 *     {{>part}}            a part of the caller, as it is
 */
#ifndef LT_REPORT_TEMPLATE_H
#define LT_REPORT_TEMPLATE_H

#include "base/text.h"

#include <jansson.h>

struct lt_template_part {
	const char *name;
	const char *text;
	size_t length;
};

/* The template is lowtide's own; `parts` ends with a NULL name. False: the template is wrong. */
bool lt_template_fill(const char *text, size_t length, json_t *data,
		      const struct lt_template_part *parts, struct lt_text *out);

/* Appends a string of the target's, harmless in a file and escaped for HTML and XML. */
void lt_template_escape(const char *string, struct lt_text *out);

#endif
