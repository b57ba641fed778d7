/*
 * export_html.h: a report as one page that needs no network: summary, findings or suspects, what holds the
 * memory, tables. docs/export.md describes it. At most LT_HTML_MOST bytes, whatever the heap.
 *
 * Strings of the target are escaped in one place (template.h), and in the page's data every character that
 * could end its element is written as \uXXXX. A Content-Security-Policy allows the page its own style and
 * script, by their hashes, and nothing else.
 */
#ifndef LT_REPORT_EXPORT_HTML_H
#define LT_REPORT_EXPORT_HTML_H

#include "report/report.h"

#include <jansson.h>

enum { LT_HTML_MOST = 5 * 1000 * 1000 };

/*
 * `result` is what --json gives; what the page knows of it is shown: findings, suspects, containers, kinds,
 * collectors, looks, heap. Takes over the reference. `tree`: what holds the memory, NULL when it is not known.
 */
void lt_html_write(const struct lt_report *report, json_t *result, const struct lt_retained *tree,
		   struct lt_text *out);

void lt_html_doctor(const struct lt_report *report, const struct lt_doctor *doctor,
		    struct lt_text *out);
void lt_html_leaks(const struct lt_report *report, const struct lt_leaks *leaks,
		   struct lt_text *out);

#endif
