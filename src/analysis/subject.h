/*
 * subject.h: what a command looks at: a live process (its frozen copy) or a snapshot file, the same from
 * there on.
 */
#ifndef LT_ANALYSIS_SUBJECT_H
#define LT_ANALYSIS_SUBJECT_H

#include "analysis/collector.h"
#include "analysis/open.h"
#include "analysis/picture.h"

/* The steps of a picture, each with those before it. */
enum lt_picture_step {
	LT_PICTURE_TAKEN,   /* roots and graph */
	LT_PICTURE_LIFE,    /* lt_picture_life() */
	LT_PICTURE_WAYS,    /* lt_picture_ways() */
	LT_PICTURE_WEIGHED, /* lt_picture_weigh(): the graph's edges are gone from here on */
};

struct lt_tide;

struct lt_subject {
	struct lt_session *session;
	struct lt_identity identity; /* owned by the look of a process, of a file owned here */
	struct lt_cost cost;         /* complete after lt_subject_end() */
	struct lt_look *look;        /* NULL for a file */
	struct lt_tide *tide;        /* NULL for a process */
	uint64_t started_ns;
	const struct lt_heap_visit
		*visit;            /* for when the picture of a process is taken; NULL: nothing */
	struct lt_picture picture; /* empty until lt_subject_picture() */
	bool taken;
	bool ended;                      /* the target was let go */
	enum lt_picture_step step;       /* once taken */
	struct lt_collector *collectors; /* of each interpreter, the main one first */
	size_t collector_count;
};

/* True when `operand` is a PID: digits only. */
bool lt_subject_is_pid(const char *operand);

/*
 * Opens a process by its PID and freezes it, or a snapshot file: an operand of digits is a PID, all else a
 * path. `options` are for a process. The picture is not taken yet.
 */
LT_MUST_CHECK enum lt_status lt_subject_open(struct lt_session *session, const char *operand,
					     const struct lt_look_options *options,
					     struct lt_subject **ret_subject);

/* The same on a look that is open; it is closed with the subject, but stays the caller's on failure. */
LT_MUST_CHECK enum lt_status lt_subject_of_look(struct lt_look *look,
						struct lt_subject **ret_subject);

/* Takes the picture up to `step`; steps that are done are not done again. */
LT_MUST_CHECK enum lt_status lt_subject_picture(struct lt_subject *subject,
						enum lt_picture_step step);

/*
 * What the outcome of an analysis on this subject means: see lt_look_status(); of a file it is a failure
 * when a part of it could not be read.
 */
LT_MUST_CHECK enum lt_status lt_subject_status(struct lt_subject *subject, enum lt_status status);

/*
 * Lets the target go and completes `cost`. From here on the references and details of the picture can no
 * longer be asked for: they are in the target's memory. Twice does no harm.
 */
void lt_subject_end(struct lt_subject *subject);

/* lt_subject_end() and release of everything; NULL is allowed. */
void lt_subject_close(struct lt_subject *subject);

#endif
