/*
 * export_svg.h: fragmentation as a picture: a cell for each pool or run of pages, coloured by occupancy.
 *
 * The file needs nothing beside it: no script, style sheet, font or network.
 */
#ifndef LT_REPORT_EXPORT_SVG_H
#define LT_REPORT_EXPORT_SVG_H

#include "report/report.h"

struct lt_fragmentation;

/* Appends the whole file; no memory shows in out->failed. Of very many cells neighbours are joined. */
void lt_export_svg(const struct lt_report *report, const struct lt_fragmentation *fragmentation,
		   struct lt_text *out);

#endif
