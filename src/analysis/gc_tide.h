/*
 * gc_tide.h: a recording of the collector in a .tide file (docs/tide.md): written second by second while it is
 * made, read back as if it were made now.
 *
 * While it is made it is PATH.unfinished, and every second of it is durable before the next. Whoever kills
 * lowtide then leaves a file that is read up to its last durable second.
 */
#ifndef LT_ANALYSIS_GC_TIDE_H
#define LT_ANALYSIS_GC_TIDE_H

#include "analysis/gc_record.h"

enum { LT_GC_TIDE_SCHEMA = 1 };

/* In the table `meta`: what a file is. A file without it is a snapshot. */
#define LT_TIDE_KIND "kind"
#define LT_TIDE_KIND_GC "gc"

struct lt_gc_tide_writer;

/* Makes PATH.unfinished, so that it is known before anything is watched whether it can be. LT_E_FILE: it cannot. */
LT_MUST_CHECK enum lt_status lt_gc_tide_create(struct lt_session *session, const char *path,
					       struct lt_gc_tide_writer **ret_writer);

/* For lt_gc_record(): writes what it is told. Memory stays the same however much that is. */
struct lt_gc_sink lt_gc_tide_sink(struct lt_gc_tide_writer *writer);

/* What a finished file is. */
struct lt_gc_tide_written {
	uint64_t events, samples, points,
		seconds; /* points: of the path; seconds: times that something was written */
	uint64_t bytes;  /* on disk */
};

/*
 * Completes the file, gives it its name, and destroys the writer, on failure too: then PATH.unfinished stays, if
 * there is a second in it, and the sentence says so.
 */
LT_MUST_CHECK enum lt_status lt_gc_tide_finish(struct lt_gc_tide_writer *writer,
					       struct lt_gc_tide_written *ret_written);

/* Destroys the writer; PATH.unfinished stays, if there is a second in it. NULL is allowed. */
void lt_gc_tide_leave(struct lt_gc_tide_writer *writer);

/*
 * Reads a file, PATH or else PATH.unfinished, and tells the sinks as lt_gc_record() does; `cut` of the recording
 * says that it is an unfinished one, with a warning that says why. LT_E_FILE: missing, damaged, foreign, newer,
 * or a snapshot.
 */
LT_MUST_CHECK enum lt_status lt_gc_tide_read(struct lt_session *session, const char *path,
					     const struct lt_gc_sink *sinks, size_t sink_count,
					     struct lt_gc_recording *ret_recording);

#endif
