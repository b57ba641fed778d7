/*
 * export_gc_parts.h: what the files export_gc*.c share.
 */
#ifndef LT_REPORT_EXPORT_GC_PARTS_H
#define LT_REPORT_EXPORT_GC_PARTS_H

#include "base/map.h"
#include "base/text.h"
#include "report/export_gc.h"

enum { LT_GC_BUCKETS = 14 };

struct lt_gc_export {
	struct lt_session *session;
	const struct lt_gc_export_form *form;
	struct lt_sink to;
	struct lt_text out; /* not given to the sink yet */

	/* For the allocation rate: what the counter of generation 0 has come to in all. */
	double made, made_before;
	uint64_t made_ns;

	/* trace */
	bool some;             /* an event is written already */
	struct lt_map threads; /* those that have a name */

	/* openmetrics */
	uint64_t buckets[LT_GC_GENERATIONS][LT_GC_BUCKETS + 1]; /* the last: longer than all */
	double seconds[LT_GC_GENERATIONS];
	uint64_t seen[LT_GC_GENERATIONS][LT_CAUSE_COUNT];
	struct lt_gc_sample last;
	bool sampled;
};

/* One form; NULL: nothing to do then. What is added to `out` is written after each call. */
struct lt_gc_export_form {
	void (*begin)(struct lt_gc_export *export, const struct lt_gc_recording *recording);
	void (*event)(struct lt_gc_export *export, const struct lt_gc_recording *recording,
		      const struct lt_gc_event *event);
	void (*sample)(struct lt_gc_export *export, const struct lt_gc_recording *recording,
		       const struct lt_gc_sample *sample);
	void (*end)(struct lt_gc_export *export, const struct lt_gc_recording *recording);
};
extern const struct lt_gc_export_form lt_gc_form_csv, lt_gc_form_trace, lt_gc_form_metrics;

/* How many collections an event stands for: 0, 1, or those that only the counters tell of. */
uint64_t lt_gc_export_collections(const struct lt_gc_event *event);

#endif
