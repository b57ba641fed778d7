/*
 * gc_compare.h: two recordings of the collector beside each other: what changed, and whether that is good, bad or
 * needs a look. Each verdict has the figures that it rests on.
 */
#ifndef LT_ANALYSIS_GC_COMPARE_H
#define LT_ANALYSIS_GC_COMPARE_H

#include "analysis/gc_summary.h"

/* Ascending by weight: that of a comparison is the weightiest of its reasons. */
enum lt_gc_verdict { LT_VERDICT_SAME, LT_VERDICT_GOOD, LT_VERDICT_LOOK, LT_VERDICT_BAD };
const char *lt_gc_verdict_name(enum lt_gc_verdict verdict); /* "same", "good", "look", "bad" */

enum lt_gc_unit {
	LT_UNIT_COUNT, /* objects, collections */
	LT_UNIT_RATE,  /* of these in a second */
	LT_UNIT_EACH,  /* a small number with decimals: of these in a request or collection */
	LT_UNIT_MS,
	LT_UNIT_BYTES,
	LT_UNIT_SHARE, /* 0 to 1 */
	LT_UNIT_BYTE_RATE,
	LT_UNIT_SWITCH, /* 0 off, 1 on, between: that share of the time */
	LT_UNIT_FLAGS,  /* gc.get_debug() */
	LT_UNIT_SECONDS,
};

/* The figures of each side, in the order in which they are shown. */
enum lt_gc_figure {
	LT_FIGURE_SECONDS,
	LT_FIGURE_ENABLED,
	LT_FIGURE_THRESHOLD_0,
	LT_FIGURE_THRESHOLD_1,
	LT_FIGURE_THRESHOLD_2,
	LT_FIGURE_DEBUG,
	LT_FIGURE_FROZEN,
	LT_FIGURE_RATE, /* collections in a second */
	LT_FIGURE_RATE_0,
	LT_FIGURE_RATE_1,
	LT_FIGURE_RATE_2,
	LT_FIGURE_EXPLICIT, /* of them those that were called for */
	LT_FIGURE_MADE, /* tracked objects made, less those that reference counts freed at once */
	LT_FIGURE_GARBAGE,   /* objects collected in a second */
	LT_FIGURE_COLLECTED, /* in a collection */
	LT_FIGURE_SURVIVAL_0,
	LT_FIGURE_SURVIVAL_1,
	LT_FIGURE_SURVIVAL_2,
	LT_FIGURE_PAUSE_P50,
	LT_FIGURE_PAUSE_P99,
	LT_FIGURE_PAUSE_MAX,
	LT_FIGURE_SHARE, /* of the time in which the program stood still for the collector */
	LT_FIGURE_TRACKED,
	LT_FIGURE_TRACKED_GROWTH,
	LT_FIGURE_RSS,
	LT_FIGURE_RSS_GROWTH,
	/* With numbers of requests only. */
	LT_FIGURE_REQUESTS,
	LT_FIGURE_REQUEST_COLLECTIONS,
	LT_FIGURE_REQUEST_MADE,
	LT_FIGURE_REQUEST_GARBAGE,
	LT_FIGURE_REQUEST_MS,
	LT_FIGURE_REQUEST_TRACKED, /* objects that the heap grew by */
	LT_FIGURE_COUNT
};
struct lt_gc_figure_kind {
	const char *key, *name; /* "collections_per_second", "collections" */
	enum lt_gc_unit unit;
};
extern const struct lt_gc_figure_kind lt_gc_figures[LT_FIGURE_COUNT];

enum lt_gc_side_number { LT_SIDE_BEFORE, LT_SIDE_AFTER, LT_SIDES };

struct lt_gc_side {
	pid_t pid;
	char python[32];
	enum lt_watch_source source;
	int64_t start_unix_ms;
	uint64_t collections;
	bool cut; /* of a recording that was not finished */
	/* Objects of generation 1 at its first or its last sample, at most, that the estimate of tracked objects leaves out. */
	double uncounted;
	bool known[LT_FIGURE_COUNT];
	double figure[LT_FIGURE_COUNT];
};

struct lt_gc_reason {
	enum lt_gc_verdict verdict;
	char *text; /* a sentence, owned */
};
LT_VEC(lt_gc_reasons, struct lt_gc_reason);

/* All zero is the empty comparison. */
struct lt_gc_comparison {
	struct lt_gc_side side[LT_SIDES];
	bool changed[LT_FIGURE_COUNT]; /* more than chance and rounding explain */
	enum lt_gc_verdict verdict;
	struct lt_gc_reasons reasons; /* weightiest first */
};

/* What one side is made of: a sink that holds no events. */
struct lt_gc_side_feed {
	struct lt_session *session;
	struct lt_gc_summary summary;
	struct lt_gc_summary_feed summary_feed;
	struct lt_gc_sink to_summary;
	uint64_t samples, tracked_samples, enabled_samples;
	double rss, tracked; /* sums */
	int64_t first_tracked, last_tracked;
	bool froze;
};
void lt_gc_side_feed_init(struct lt_session *session, struct lt_gc_side_feed *ret_feed);
void lt_gc_side_feed_deinit(struct lt_gc_side_feed *feed);
struct lt_gc_sink lt_gc_side_sink(struct lt_gc_side_feed *feed);

/* `requests`: how many were served in each recording, 0: not known. */
LT_MUST_CHECK enum lt_status lt_gc_compare(struct lt_session *session,
					   const struct lt_gc_recording *const recordings[LT_SIDES],
					   const struct lt_gc_side_feed *const feeds[LT_SIDES],
					   const uint64_t requests[LT_SIDES],
					   struct lt_gc_comparison *ret_comparison);

void lt_gc_comparison_deinit(struct lt_gc_comparison *comparison);

#endif
