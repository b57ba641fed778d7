/*
 * gc_record.h: watches the collector of a live process for a while and makes a recording of it: stacks with
 * files and lines, causes with their evidence, samples of the process. Nothing in the process is stopped.
 *
 * Memory stays bounded however long it takes: of many events the longest are kept, full ones before others
 * (gc_recording.h, left_out), samples become fewer and further apart. A sink sees all.
 */
#ifndef LT_ANALYSIS_GC_RECORD_H
#define LT_ANALYSIS_GC_RECORD_H

#include "analysis/gc_recording.h"

/*
 * Is told of everything as it happens: live views, files. A NULL function is passed over; a status other
 * than LT_OK ends the recording and is returned. What is given is good for the call only.
 */
struct lt_gc_sink {
	/* Once, when it begins: identity, source, facts and callbacks are there, no events and no samples. */
	enum lt_status (*begin)(void *ctx, const struct lt_gc_recording *recording);
	/* Each event, complete. Its stack is at event->stack_first of recording->frames. */
	enum lt_status (*event)(void *ctx, const struct lt_gc_recording *recording,
				const struct lt_gc_event *event);
	enum lt_status (*sample)(void *ctx, const struct lt_gc_recording *recording,
				 const struct lt_gc_sample *sample);
	/* Each second after its events and sample, and at the end; end_ns is now, `final` says the latter. */
	enum lt_status (*tick)(void *ctx, const struct lt_gc_recording *recording, bool final);
	void *ctx;
};

enum {
	LT_GC_EVENTS_MOST = 20000, /* kept in the recording */
	LT_GC_SAMPLES_MOST = 7200, /* likewise */
};

/* With the path of the count between collections (watch/path.h)? */
enum lt_gc_path {
	LT_GC_PATH_NONE,
	/* 6 % of a processor in the first seconds, later less than 2 %; 0.2 % while the process sleeps. */
	LT_GC_PATH_CHEAP,
	LT_GC_PATH_CLOSE, /* 6 % all the time */
};

struct lt_gc_record_options {
	struct lt_watch_options watch;
	unsigned seconds;
	enum lt_gc_path path;
	bool redact;                    /* lt_gc_recording.redacted */
	const volatile int *stop;       /* not 0: end now with what there is; may be NULL */
	const struct lt_gc_sink *sinks; /* each is told, in order */
	size_t sink_count;
};

/*
 * Statuses as lt_process_open(), lt_python_find() and lt_watch_open(), and those of the sinks. A process that ends
 * while it is watched is no failure: ret_recording->ended says so.
 */
LT_MUST_CHECK enum lt_status lt_gc_record(struct lt_session *session, pid_t pid,
					  const struct lt_gc_record_options *options,
					  struct lt_gc_recording *ret_recording);

#endif
