/*
 * export_gc.h: what the collector did, for other programs: each collection in a trace for Perfetto and Chrome, a row a
 * collection as CSV, totals as OpenMetrics text. docs/export.md.
 *
 * An export is a sink of a recording (analysis/gc_record.h): of one that is being made or of one that is read from a
 * file. Memory stays the same however long that is.
 */
#ifndef LT_REPORT_EXPORT_GC_H
#define LT_REPORT_EXPORT_GC_H

#include "analysis/gc_record.h"
#include "report/format.h"
#include "report/sink.h"

#define LT_GC_EXPORTS                                                                              \
	(LT_FORMAT_BIT(LT_FORMAT_CSV) | LT_FORMAT_BIT(LT_FORMAT_TRACE) |                           \
	 LT_FORMAT_BIT(LT_FORMAT_OPENMETRICS))

struct lt_gc_export;

/* `format` is one of LT_GC_EXPORTS. The session and where it goes to must outlive it. */
LT_MUST_CHECK enum lt_status lt_gc_export_create(struct lt_session *session, enum lt_format format,
						 const struct lt_sink *to,
						 struct lt_gc_export **ret_export);
/* After its last tick everything is written. */
struct lt_gc_sink lt_gc_export_sink(struct lt_gc_export *export);
void lt_gc_export_destroy(struct lt_gc_export *export);

#endif
