/*
 * live.h: what `gc` sees, drawn anew each second on a terminal's standard error while it watches, and taken off the
 * screen at the end.
 */
#ifndef LT_CLI_LIVE_H
#define LT_CLI_LIVE_H

#include "analysis/gc_summary.h"
#include "report/report.h"

struct lt_live {
	const struct lt_report *report;
	const struct lt_gc_summary *summary; /* finished at each tick, by a sink before this one */
	struct lt_style style;
	unsigned lines; /* that are on the screen */
	bool on;
};

/* Nothing is drawn where standard error is no terminal or the report is quiet. */
void lt_live_begin(struct lt_live *live, const struct lt_report *report,
		   const struct lt_gc_summary *summary);
struct lt_gc_sink lt_live_sink(struct lt_live *live);
void lt_live_end(struct lt_live *live);

#endif
