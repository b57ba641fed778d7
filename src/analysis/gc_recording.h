/*
 * gc_recording.h: what was seen of the collector of one process over a period: the one shape that causes,
 * summary, model, comparison, reports and files work on, whether it was watched now or read from a file.
 */
#ifndef LT_ANALYSIS_GC_RECORDING_H
#define LT_ANALYSIS_GC_RECORDING_H

#include "analysis/gc_cache.h"
#include "analysis/open.h"
#include "base/arena.h"
#include "heap/young.h"
#include "watch/path.h"
#include "watch/watch.h"

/* Why a collection ran. */
enum lt_gc_cause {
	LT_CAUSE_UNKNOWN,
	LT_CAUSE_THRESHOLD_0, /* the count of generation 0 went over its threshold; 1, 2: that of an older one too */
	LT_CAUSE_THRESHOLD_1,
	LT_CAUSE_THRESHOLD_2,
	LT_CAUSE_EXPLICIT,
	LT_CAUSE_SHUTDOWN,
	LT_CAUSE_COUNT
};
const char *
lt_gc_cause_name(enum lt_gc_cause cause); /* "threshold-0", "explicit", "shutdown", "unknown" */
/* False: no such name. */
bool lt_gc_cause_parse(const char *name, enum lt_gc_cause *ret_cause);

/* A frame of a Python stack. Strings live in the recording. */
struct lt_gc_frame {
	const char *file, *function;
	int line; /* 0 when not known */
	const char *
		path; /* of the file, where `file` is its last part only; NULL else. Is in no file */
};
LT_VEC(lt_gc_frames, struct lt_gc_frame);

/* One collection, call or change. */
struct lt_gc_event {
	struct lt_watch_event seen;        /* its frames are in `stack` below */
	uint32_t stack_first, stack_count; /* into the recording's frames, innermost first */
	enum lt_gc_cause cause;
	int signal; /* it ran in a function that is set for this signal, 0: in none. Is in no file */
	const char *
		where; /* "file:line:function" of the caller in the program's own code, "" when not known */
	const char *evidence; /* what the cause rests on, in a sentence */
};
LT_VEC(lt_gc_events, struct lt_gc_event);

/* A collection that polling found between two looks: shorter than their distance, but how long it was is not known. */
static inline bool lt_gc_untimed(const struct lt_watch_event *seen)
{
	return seen->kind == LT_WATCH_COLLECTION && seen->source == LT_WATCH_POLL &&
	       seen->end_ns == seen->start_ns;
}

/* The process at one moment. */
struct lt_gc_sample {
	uint64_t at_ns;
	uint64_t rss_bytes;
	uint64_t cpu_ns; /* processor time of the process so far */
	int64_t tracked; /* objects in the lists of the collector: estimated, exact where the release keeps it; -1 */
	struct lt_gc_state state; /* `frozen`: by the program, see lt_gc_frozen_by_program() */
	unsigned threads;
};
LT_VEC(lt_gc_samples, struct lt_gc_sample);

/* All zero is the empty recording. */
struct lt_gc_recording {
	struct lt_identity identity;
	enum lt_watch_source source;
	char why_not[256]; /* why no better source was in use, "" when there is none better */
	uint64_t start_ns, end_ns; /* CLOCK_MONOTONIC of the machine it was made on */
	int64_t start_unix_ms;     /* the same moment as start_ns, by the calendar */
	bool ended; /* the process, or the program that it ran, ended while it was watched */
	char replaced_by
		[512]; /* the command line of the program that took its place by execve(2), "" for none; where redacted the
	                          last part of its file */
	bool redacted; /* of paths there is the last part only, and no command line */
	bool cut;      /* of a file whose writer was killed: it ends at the last durable second */
	int64_t usual_thresholds[3];                     /* that the release starts with */
	bool quarter_rule, incremental, at_eval_breaker; /* facts of the release, see facts.def */
	const char **callbacks; /* names of what is in gc.callbacks; the array is owned: free(3) */
	size_t callback_count;
	struct lt_gc_events events; /* ascending by start */
	uint64_t
		left_out; /* events that are no more in `events`: short young collections, when they are many */
	struct lt_gc_samples
		samples; /* one at the start, then one each second at most, one at the end */
	/* How the count of generation 0 moved in between, in stretches; none when nobody asked for it. */
	struct lt_watch_points path;
	struct lt_young_sizes
		young; /* as found in looks once a second; none when nobody asked for it */
	struct lt_gc_cache cache; /* of the machine it was made on; all zero: not measured */
	struct lt_gc_frames frames;
	struct lt_arena strings, texts; /* texts: `where` and `evidence` of events */
};
void lt_gc_recording_deinit(struct lt_gc_recording *recording);

#endif
