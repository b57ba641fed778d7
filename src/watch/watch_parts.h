/*
 * watch_parts.h: what the sources of events share: a source is a feed, opened by its own function, behind one
 * small table of functions. watch.c tries them in the order of enum lt_watch_source.
 */
#ifndef LT_WATCH_WATCH_PARTS_H
#define LT_WATCH_WATCH_PARTS_H

#include "watch/watch.h"

struct lt_watch_feed;

struct lt_watch_feed_ops {
	/*
	 * As lt_watch_wait(); the order of the events of one call is put right by the caller. A wait whose
	 * `until_ns` has passed gives what is there and does not block.
	 */
	enum lt_status (*wait)(struct lt_watch_feed *feed, uint64_t until_ns,
			       struct lt_watch_events *events);
	/* Releases everything, `feed` itself too. */
	void (*close)(struct lt_watch_feed *feed);
};

/* The first member of each source. */
struct lt_watch_feed {
	const struct lt_watch_feed_ops *ops;
	const struct lt_view *view;
	uint64_t seen_ns; /* lt_watch_seen_ns(), set by each wait */
};

/*
 * Each opens its source; a row in the table of watch.c. Any failure but LT_E_NO_MEMORY and LT_E_GONE means that the
 * source is not possible here: the sentence in the session becomes lt_watch_why_not(), and the next one is tried.
 */
LT_MUST_CHECK enum lt_status lt_watch_open_probe(const struct lt_view *view,
						 const struct lt_watch_options *options,
						 struct lt_watch_feed **ret_feed);
LT_MUST_CHECK enum lt_status lt_watch_open_poll(const struct lt_view *view,
						const struct lt_watch_options *options,
						struct lt_watch_feed **ret_feed);

LT_MUST_CHECK enum lt_status lt_watch_open_ring(const struct lt_view *view,
						const struct lt_watch_options *options,
						struct lt_watch_feed **ret_feed);

/* The loop that these two share. */
LT_MUST_CHECK enum lt_status lt_watch_open_polling(const struct lt_view *view,
						   const struct lt_watch_options *options,
						   enum lt_watch_source source,
						   struct lt_watch_feed **ret_feed);

/* False: the process ended, or became another program by execve(2); its memory is gone then. */
bool lt_watch_goes_on(const struct lt_view *view);

/* LT_E_GONE, with the sentence that says which. */
LT_MUST_CHECK enum lt_status lt_watch_gone(const struct lt_view *view);

/* An event with everything that is not known set so. */
struct lt_watch_event lt_watch_event_of(enum lt_watch_kind kind, enum lt_watch_source source);

#endif
