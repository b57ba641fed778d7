/*
 * report.h: the results of src/analysis as a text for people or as JSON for programs.
 *
 * Each function appends a whole report to `out`; no memory shows in out->failed. Strings that come
 * from the target are hostile: in both forms nothing of them can move the cursor, change a colour or
 * the reading direction, and JSON is always valid ASCII.
 */
#ifndef LT_REPORT_REPORT_H
#define LT_REPORT_REPORT_H

#include "analysis/census.h"
#include "analysis/doctor.h"
#include "analysis/leaks.h"
#include "analysis/open.h"
#include "analysis/ps.h"
#include "base/text.h"
#include "report/format.h"

/* How a text report looks. JSON does not depend on it. */
struct lt_style {
	bool color;
	bool utf8;      /* false: ASCII only */
	unsigned width; /* columns of the terminal; 0: not a terminal, nothing is cut */
	int verbosity;  /* -1 quiet, 0 normal, 1 and more: more detail */
};

/* What every report has. */
struct lt_report {
	const char *command;   /* "" while the command is not known */
	enum lt_format format; /* of the result */
	bool json;             /* errors as JSON, and what the command says beside its result */
	struct lt_style style;
	const struct lt_session *session;   /* its warnings, unreadable count and error */
	pid_t pid;                          /* the one asked for, 0 for none */
	const struct lt_identity *identity; /* NULL while the target is not identified */
	struct lt_cost cost;
};

/* `top` rows at most; 0: 30 in a text, all in JSON. */
void lt_report_types(const struct lt_report *report, const struct lt_composition *composition,
		     uint64_t top, struct lt_text *out);
void lt_report_ps(const struct lt_report *report, const struct lt_ps *ps, struct lt_text *out);
void lt_report_doctor(const struct lt_report *report, const struct lt_doctor *doctor,
		      struct lt_text *out);

void lt_report_leaks(const struct lt_report *report, const struct lt_leaks *leaks,
		     struct lt_text *out);
struct lt_gc_comparison;
void lt_report_gc_compare(const struct lt_report *report, const struct lt_gc_comparison *comparison,
			  struct lt_text *out);
struct lt_gc_result;
void lt_report_gc(const struct lt_report *report, const struct lt_gc_result *result,
		  struct lt_text *out);
struct lt_diff;
/* `top`: rows of types in a text, 0: 20. */
void lt_report_diff(const struct lt_report *report, const struct lt_diff *diff, uint64_t top,
		    struct lt_text *out);
struct lt_inspection;
void lt_report_inspection(const struct lt_report *report, const struct lt_inspection *inspection,
			  struct lt_text *out);
struct lt_paths;
void lt_report_paths(const struct lt_report *report, const struct lt_paths *paths,
		     struct lt_text *out);
struct lt_retained;
void lt_report_retained(const struct lt_report *report, const struct lt_retained *retained,
			struct lt_text *out);

struct lt_fragmentation;
void lt_report_fragmentation(const struct lt_report *report,
			     const struct lt_fragmentation *fragmentation, struct lt_text *out);

struct lt_rss;
/* `top`: parts of each layer in a text, 0: those from half a percent on. */
void lt_report_rss(const struct lt_report *report, const struct lt_rss *rss, uint64_t top,
		   struct lt_text *out);

struct lt_trim;
void lt_report_trim(const struct lt_report *report, const struct lt_trim *trim,
		    struct lt_text *out);
struct lt_trim_round;
/* One round of a watch as a line without its end. */
void lt_report_trim_round(const struct lt_report *report, const struct lt_trim_round *round,
			  struct lt_text *out);

struct lt_allocators;
/* What a command takes under each allocator, and the advice. */
void lt_report_allocators(const struct lt_report *report, const struct lt_allocators *allocators,
			  struct lt_text *out);

struct lt_query_result;
/* Rows as a table, as JSON or as CSV (RFC 4180). */
void lt_report_query(const struct lt_report *report, const struct lt_query_result *result,
		     struct lt_text *out);

struct lt_tide_written;
void lt_report_snapshot(const struct lt_report *report, const struct lt_tide_written *written,
			struct lt_text *out);

/* The session's error: as JSON in the envelope, or as a sentence and its remedy, each on a line. */
void lt_report_error(const struct lt_report *report, struct lt_text *out);

#endif
