/*
 * format.h: the forms in which a result can be written, and how a file name chooses one.
 */
#ifndef LT_REPORT_FORMAT_H
#define LT_REPORT_FORMAT_H

#include <stdbool.h>

enum lt_format {
	LT_FORMAT_TEXT,         /* for people, at a terminal */
	LT_FORMAT_JSON,         /* docs/json.md */
	LT_FORMAT_CSV,          /* rows of a query, for a spreadsheet */
	LT_FORMAT_TIDE,         /* lowtide's own file */
	LT_FORMAT_HTML,         /* one page that needs no network */
	LT_FORMAT_DOT,          /* a graph for Graphviz */
	LT_FORMAT_HEAPSNAPSHOT, /* of V8, for the Memory tab of Chrome DevTools */
	LT_FORMAT_TRACE,        /* of Chrome, for Perfetto: what happened when */
	LT_FORMAT_OPENMETRICS,  /* for Prometheus */
	LT_FORMAT_COUNT
};

#define LT_FORMAT_BIT(format) (1u << (format))

/* "text", "json", "csv", "tide", "html", "dot", "heapsnapshot", "trace", "openmetrics"; NULL-terminated. */
extern const char *const lt_format_names[LT_FORMAT_COUNT + 1];

/* The format that the ending of a file name stands for. False: none, or the name is NULL. */
bool lt_format_of_file(const char *path, enum lt_format *ret_format);

#endif
