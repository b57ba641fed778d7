/*
 * print.h: the text form of each result.
 */
#ifndef LT_REPORT_PRINT_H
#define LT_REPORT_PRINT_H

#include "report/report.h"
#include "report/screen.h"

void lt_print_types(const struct lt_report *report, const struct lt_composition *composition,
		    uint64_t top, struct lt_text *out);
void lt_print_ps(const struct lt_report *report, const struct lt_ps *ps, struct lt_text *out);
void lt_print_doctor(const struct lt_report *report, const struct lt_doctor *doctor,
		     struct lt_text *out);
void lt_print_diff(const struct lt_report *report, const struct lt_diff *diff, uint64_t top,
		   struct lt_text *out);
void lt_print_inspection(const struct lt_report *report, const struct lt_inspection *inspection,
			 struct lt_text *out);
void lt_print_paths(const struct lt_report *report, const struct lt_paths *paths,
		    struct lt_text *out);
void lt_print_retained(const struct lt_report *report, const struct lt_retained *retained,
		       struct lt_text *out);

struct lt_fragmentation;
void lt_print_fragmentation(const struct lt_report *report,
			    const struct lt_fragmentation *fragmentation, struct lt_text *out);

struct lt_rss;
void lt_print_rss(const struct lt_report *report, const struct lt_rss *rss, uint64_t top,
		  struct lt_text *out);

struct lt_trim;
void lt_print_trim(const struct lt_report *report, const struct lt_trim *trim, struct lt_text *out);
struct lt_trim_round;
void lt_print_trim_round(const struct lt_report *report, const struct lt_trim_round *round,
			 struct lt_text *out);

struct lt_allocators;
void lt_print_allocators(const struct lt_report *report, const struct lt_allocators *allocators,
			 struct lt_text *out);

struct lt_tide_written;
void lt_print_snapshot(const struct lt_report *report, const struct lt_tide_written *written,
		       struct lt_text *out);

/* A bar of at most `columns` columns for a share, 0 to 1. */
const char *lt_print_bar(struct lt_screen *screen, double share, unsigned columns);

/* One figure under a finding: "held_bytes" becomes "held 212.4 MiB", "hit_ratio" "hit ratio 0.02". */
const char *lt_print_evidence(struct lt_screen *screen, const struct lt_evidence *evidence);

void lt_print_leaks(const struct lt_report *report, const struct lt_leaks *leaks,
		    struct lt_text *out);

struct lt_gc_comparison;
void lt_print_gc_compare(const struct lt_report *report, const struct lt_gc_comparison *comparison,
			 struct lt_text *out);
struct lt_gc_what_if;
/* The part of a report on the collector that says what other settings would do. */
void lt_print_gc_what_if(struct lt_screen *screen, const struct lt_gc_what_if *answer);

struct lt_gc_result;
void lt_print_gc(const struct lt_report *report, const struct lt_gc_result *result,
		 struct lt_text *out);

struct lt_gc_recording;
struct lt_gc_summary;
/* How long a pause took: "12.4 µs", "0.31 ms", "41.3 ms", "1.20 s"; "-" for 0. */
const char *lt_print_pause(struct lt_screen *screen, double ms);
struct lt_screen;
/* The table of pauses, by generation and, with `causes`, by cause. */
void lt_print_gc_groups(struct lt_screen *screen, const struct lt_gc_summary *summary, bool causes);
/*
 * Memory, tracked objects, new ones a second less those freed at once, collections and pauses over time. The figure before
 * a rate is that of the last seconds with `now`, else of all the time.
 */
void lt_print_gc_curves(struct lt_screen *screen, const struct lt_gc_recording *recording,
			const struct lt_gc_summary *summary, bool now);
/* Some lines while it is watched; the summary is finished. */
void lt_print_gc_live(const struct lt_report *report, const struct lt_gc_recording *recording,
		      const struct lt_gc_summary *summary, struct lt_text *out);

/* One finding: severity, title, expression, place, `seen` and its evidence, why and fix. */
void lt_print_finding(struct lt_screen *screen, const struct lt_finding *finding, const char *seen);

/* "1 high, 2 low", of severities counted by level. */
const char *lt_print_severities(struct lt_screen *screen, const size_t counts[LT_CRITICAL + 1]);

void lt_print_query(const struct lt_report *report, const struct lt_query_result *result,
		    struct lt_text *out);
void lt_csv_query(const struct lt_query_result *result, struct lt_text *out);

/* The first lines of a look's report: who was looked at, and what the look cost. */
void lt_print_head(struct lt_screen *screen, const struct lt_report *report);

/*
 * The table of kinds of object, as types and doctor show it; shares are of `all_bytes`. `weighed`: with
 * what they retain.
 */
void lt_print_kinds(struct lt_screen *screen, const struct lt_composition_row *rows, size_t count,
		    uint64_t all_bytes, bool weighed);

#endif
