/*
 * export_heapsnapshot.h: a heap in the format of V8's heap snapshots, which the Memory tab of Chrome
 * DevTools opens. docs/export.md says what becomes what.
 *
 * It is written as it is made. Memory: the names, at most LT_HEAPSNAPSHOT_NAMES of them; a name past that
 * is left out and its reference shown with a number. Values of strings are not written, only what names
 * something: types, functions, attributes, variables, keys of dicts.
 */
#ifndef LT_REPORT_EXPORT_HEAPSNAPSHOT_H
#define LT_REPORT_EXPORT_HEAPSNAPSHOT_H

#include "analysis/expression.h"
#include "report/sink.h"

enum { LT_HEAPSNAPSHOT_NAMES = 4 * 1024 * 1024 };

struct lt_heapsnapshot_options {
	bool redact; /* no key and no name of an attribute or variable, as in a .tide file */
};

/*
 * Needs lt_picture_ways(), for the names of slots and variables, and must come before lt_picture_weigh(),
 * which uses up the references. The file has every object of the picture, garbage included.
 */
LT_MUST_CHECK enum lt_status lt_heapsnapshot_write(const struct lt_picture *picture,
						   struct lt_expressions *expressions,
						   const struct lt_heapsnapshot_options *options,
						   const struct lt_sink *sink);

#endif
