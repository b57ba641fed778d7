/*
 * gc_summary.h: what collections cost: counts, rates and pauses, overall, by generation, by cause and by place;
 * how fast tracked objects are made and how many survive. Fed event by event, in bounded memory.
 */
#ifndef LT_ANALYSIS_GC_SUMMARY_H
#define LT_ANALYSIS_GC_SUMMARY_H

#include "analysis/gc_record.h"

enum { LT_GC_PLACES_MOST = 256, LT_GC_SLOTS = 128 };

/* How long many collections took. All zero is none. */
struct lt_gc_pauses {
	uint64_t count; /* those whose length is known */
	uint64_t
		short_ones; /* those that polling cannot time, since they are short; percentiles count them */
	uint64_t total_ns, max_ns;
	uint32_t *buckets; /* by length, each at most 1 % wide */
};

struct lt_gc_group {
	uint64_t count; /* collections, those included that only the counters tell of */
	uint64_t collected, uncollectable;
	struct lt_gc_pauses pauses;
};

struct lt_gc_survival {
	uint64_t examined, survived; /* objects; 0 and 0: not known */
};

/* Collections of one cause and generation that ran in or were called at one place. */
struct lt_gc_place {
	char *where; /* as in struct lt_gc_event */
	enum lt_gc_cause cause;
	int generation;
	uint64_t count, collected, total_ns, max_ns;
	uint64_t interpreter; /* of the last of them, and its threshold of generation 0 */
	int64_t threshold0;
};

/* A stretch of time, for curves. */
struct lt_gc_slot {
	uint64_t count, total_ns, max_ns;
	double made; /* its part of lt_gc_summary.made, as if made evenly between two collections */
};

/* All zero is the empty summary. */
struct lt_gc_summary {
	uint64_t start_ns, end_ns; /* of the time that was watched */
	struct lt_gc_group all, by_generation[LT_GC_GENERATIONS], by_cause[LT_CAUSE_COUNT];
	struct lt_gc_survival survival[LT_GC_GENERATIONS];
	uint64_t missed;       /* of all.count, no event was seen of them */
	uint64_t others;       /* of all.count, in other interpreters than the main one */
	uint64_t full_in_vain; /* full collections that found nothing */
	/* The highest count of generation 0 at an automatic collection that nothing but C code had put off, */
	uint64_t longest_wait;
	uint64_t longest_wait_ns; /* and how long that one took */
	bool let_go; /* a change of the settings since the last collection let its count go: lt_gc_lets_go() */
	double made; /* what the counter of generation 0 had come to at each collection, in all */
	struct lt_gc_place *places; /* most time first after lt_gc_summary_finish() */
	size_t place_count;
	struct lt_gc_place other_places; /* those for which there was no room */
	uint64_t slot_ns;                /* length of one */
	uint64_t made_until_ns;          /* what was made until here is in `made` */
	struct lt_gc_slot slots[LT_GC_SLOTS];
	size_t slot_count;
	/* The process at the first and the last sample. */
	struct lt_gc_sample first, last;
	int64_t waiting; /* the count of generation 0 at the end, as far as it is known: samples and collections tell */
	bool sampled;
	bool frozen;      /* objects were set apart with gc.freeze() */
	uint64_t changes; /* calls and changes that are no collections */
};

/* One event of a recording; LT_E_NO_MEMORY only. */
LT_MUST_CHECK enum lt_status lt_gc_summary_add(struct lt_session *session,
					       struct lt_gc_summary *summary,
					       const struct lt_gc_recording *recording,
					       const struct lt_gc_event *event);
void lt_gc_summary_sample(struct lt_gc_summary *summary, const struct lt_gc_recording *recording,
			  const struct lt_gc_sample *sample);

/* Of all that was added until now, over the time of the recording; more may be added. */
void lt_gc_summary_finish(struct lt_gc_summary *summary, const struct lt_gc_recording *recording);

/* A whole recording at once. */
LT_MUST_CHECK enum lt_status lt_gc_summary_of(struct lt_session *session,
					      const struct lt_gc_recording *recording,
					      struct lt_gc_summary *ret_summary);

/* A sink that feeds a summary, which is finished at each tick. */
struct lt_gc_summary_feed {
	struct lt_session *session;
	struct lt_gc_summary *summary;
};
struct lt_gc_sink lt_gc_summary_sink(struct lt_gc_summary_feed *feed);

/* The length in ms below which `share` (0 to 1) of the pauses stay, at most 1 % off; 0: not known, or none. */
double lt_gc_pauses_ms(const struct lt_gc_pauses *pauses, double share);
/* How many took longer than this, but for those within 1 % of it. */
uint64_t lt_gc_pauses_over(const struct lt_gc_pauses *pauses, double ms);

/* Tracked objects made in a second, less those that reference counts freed at once. */
double lt_gc_summary_rate(const struct lt_gc_summary *summary);

double lt_gc_summary_seconds(const struct lt_gc_summary *summary);
/* Share of the time in which the program stood still for the collector, 0 to 1. */
double lt_gc_summary_share(const struct lt_gc_summary *summary, uint64_t pause_ns);
/* The same of the processor time that the process used; 0: not known. */
double lt_gc_summary_cpu_share(const struct lt_gc_summary *summary, uint64_t pause_ns);

void lt_gc_summary_deinit(struct lt_gc_summary *summary);

#endif
