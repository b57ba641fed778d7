/*
 * polled.h: from the states of one interpreter's collector, read one after the other, to events.
 *
 * What is in a sample was so at some moment between from_ns and to_ns. A collection shows in two ways: the flag
 * `collecting` was seen, or the statistics count it. Each counted one becomes exactly one event or one of the
 * `missed` of an event, so that sums over events are those of gc.get_stats().
 */
#ifndef LT_WATCH_POLLED_H
#define LT_WATCH_POLLED_H

#include "heap/gc_rings.h"
#include "watch/running.h"
#include "watch/watch.h"

struct lt_sample {
	uint64_t from_ns, to_ns; /* right before and right after it was read */
	struct lt_gc_state state;
	bool steady; /* counts and statistics are of one moment: no collection ended while they were read */
};

/* Collections that the statistics count between two samples. */
struct lt_counted {
	uint64_t collections[LT_GC_GENERATIONS];
	int64_t collected[LT_GC_GENERATIONS], uncollectable[LT_GC_GENERATIONS];
	uint64_t all; /* sum of `collections` */
	/* Of one of them an event was made, but `collected` and `uncollectable` are still those of both. */
	bool shared[LT_GC_GENERATIONS];
};

/* A collection that was seen running. */
struct lt_run {
	bool active;
	struct lt_sample before;           /* the last sample in which it did not run */
	uint64_t lower_ns;                 /* it began after this */
	uint64_t first_ns;                 /* and before this */
	uint64_t last_ns;                  /* it still ran at this time */
	uint64_t looked_ns;                /* when its stack was read, 0: never */
	unsigned samples;                  /* that saw it */
	bool doubtful;                     /* it may be the last part of the one before */
	int64_t counts[LT_GC_GENERATIONS]; /* of the generations, while it ran */
	struct lt_counted pending;         /* counted in the interval in which it began */
	struct lt_running seen;
};

struct lt_polled {
	const struct lt_view *view;
	enum lt_watch_source source; /* ring or poll */
	lt_addr address;
	uint64_t id;
	struct lt_sample last;
	struct lt_gc_generation accounted[LT_GC_GENERATIONS]; /* statistics that events tell of */
	uint64_t candidates[LT_GC_GENERATIONS];               /* the same, of the source ring */
	struct lt_run run;
	bool has_held; /* an event whose end is not known yet: the flag stayed set after it was counted */
	struct lt_watch_event held;
	struct lt_watch_event missed[LT_GC_GENERATIONS]; /* not yet given, when .missed > 0 */
	pid_t inside, outside; /* the thread met last: ids as the target and as lowtide see it */
};

/* Starts with the first sample. */
void lt_polled_init(struct lt_polled *polled, const struct lt_view *view,
		    enum lt_watch_source source, lt_addr address, uint64_t id,
		    const struct lt_sample *sample);

/* For the source ring: the records that are there already are none that are told of. */
void lt_polled_init_ring(struct lt_polled *polled, const struct lt_gc_rings *rings);

/*
 * Takes the next sample and appends what it tells. *ret_look: a collection runs and it would help to look at its
 * thread now; the caller then takes another sample at once and passes it to lt_polled_looked().
 */
LT_MUST_CHECK enum lt_status lt_polled_take(struct lt_polled *polled,
					    const struct lt_sample *sample,
					    struct lt_watch_events *events, bool *ret_look);

/* What was seen of the thread since the last sample; `sample` tells whether the collection still ran afterwards. */
LT_MUST_CHECK enum lt_status lt_polled_looked(struct lt_polled *polled,
					      const struct lt_running *running,
					      const struct lt_sample *sample,
					      struct lt_watch_events *events);

/* What the source ring makes of a sample; else the same. *ret_crowd: records that came to the fullest ring, in %. */
LT_MUST_CHECK enum lt_status lt_polled_take_ring(struct lt_polled *polled,
						 const struct lt_sample *sample,
						 struct lt_watch_events *events, bool *ret_look,
						 unsigned *ret_crowd);

/* Gives the events that are gathered over a while, those that began before `until_ns`. */
LT_MUST_CHECK enum lt_status lt_polled_flush(struct lt_polled *polled, uint64_t until_ns,
					     struct lt_watch_events *events);

/* The interpreter or the process is gone at `now_ns`: everything that is held back. */
LT_MUST_CHECK enum lt_status lt_polled_end(struct lt_polled *polled, uint64_t now_ns,
					   struct lt_watch_events *events);

/* --- what both ways of taking a sample share --- */

/* A collection of this interpreter. */
struct lt_watch_event lt_polled_event(const struct lt_polled *polled, int generation,
				      const struct lt_sample *before, const struct lt_sample *after,
				      uint64_t start_ns, uint64_t end_ns);

/*
 * Puts the thread and its stack into an event, and concludes whether there was a call; `seen` may be NULL. `fresh`: no
 * collection lies between event->before and its start that event->before does not know of.
 */
void lt_polled_explain(struct lt_polled *polled, const struct lt_running *seen, bool fresh,
		       struct lt_watch_event *event);

/* Collections of all generations, so far. */
uint64_t lt_polled_total(const struct lt_gc_generation generations[LT_GC_GENERATIONS]);

/* Adds what an event of LT_WATCH_COLLECTION says to those that are missed in its generation. */
void lt_polled_miss(struct lt_polled *polled, const struct lt_watch_event *event, uint64_t from_ns,
		    uint64_t to_ns, uint64_t collections);

/* Changes of the settings since the last sample. */
LT_MUST_CHECK enum lt_status lt_polled_compare(struct lt_polled *polled,
					       const struct lt_sample *sample,
					       struct lt_watch_events *events);

void lt_polled_begin_run(struct lt_polled *polled, const struct lt_sample *sample,
			 const struct lt_counted *pending);
void lt_polled_go_on(struct lt_run *run, const struct lt_sample *sample);
bool lt_polled_worth_a_look(const struct lt_run *run);

#endif
