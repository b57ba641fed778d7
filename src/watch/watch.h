/*
 * watch.h: what the collector of a live process does, as it happens: each collection, each call that changes
 * the collector, and the state in between. The process runs on; nothing in it is changed or stopped.
 *
 * Three sources give the same events, the best that is possible here being taken:
 *   probe  uprobes (or the USDT probes of the build) on the collector and on the functions of the gc module,
 *          handled in the kernel: exact times, counts and stacks at the very moment
 *   ring   the timed records that 3.15 keeps of its collections: exact times; the rest by polling
 *   poll   the state of the collector read up to 1,000 times a second: needs no more than reading memory
 *
 * All times are CLOCK_MONOTONIC in ns. Addresses in an event are worth something right after it was given:
 * resolve them before the next wait.
 */
#ifndef LT_WATCH_WATCH_H
#define LT_WATCH_WATCH_H

#include "base/vec.h"
#include "heap/interpreters.h"

enum lt_watch_source { LT_WATCH_PROBE, LT_WATCH_RING, LT_WATCH_POLL, LT_WATCH_SOURCES };
const char *lt_watch_source_name(enum lt_watch_source source); /* "probe", "ring", "poll" */

/* Functions that a program or a library calls. */
enum lt_watch_call {
	LT_CALL_NONE,
	LT_CALL_COLLECT,   /* gc.collect() */
	LT_CALL_C_COLLECT, /* PyGC_Collect() from C */
	LT_CALL_ENABLE,    /* gc.enable() and so on */
	LT_CALL_DISABLE,
	LT_CALL_FREEZE,
	LT_CALL_UNFREEZE,
	LT_CALL_SET_THRESHOLD,
	LT_CALL_SET_DEBUG,
	LT_CALL_COUNT
};
const char *
lt_watch_call_name(enum lt_watch_call call); /* "gc.collect", "PyGC_Collect", "gc.disable" */

enum lt_watch_kind {
	LT_WATCH_COLLECTION, /* one collection from begin to end */
	LT_WATCH_CALLED,     /* a call that changes the collector, without a collection */
	LT_WATCH_CHANGED, /* the state changed, but nobody was seen doing it (sources other than probe) */
	/*
	 * Collections that the counters tell of and no event: `missed` of them in `generation`, between start_ns and
	 * end_ns. Its `collected` and `uncollectable` are those of all of them, and of the one collection or the ones
	 * in the same time whose own are -1: sums over all events are what gc.get_stats() says.
	 */
	LT_WATCH_MISSED,
};

/* One frame of a Python stack, innermost first. */
struct lt_watch_frame {
	lt_addr code; /* PyCodeObject */
	lt_addr instruction; /* as the release keeps it (f_lasti, prev_instr, instr_ptr): lt_frame_line_at() */
	bool copied; /* the code object, its names and lines are in the event's memory, as they were */
};
enum { LT_WATCH_FRAMES = 48 };

struct lt_watch_event {
	enum lt_watch_kind kind;
	enum lt_watch_source source;
	uint64_t start_ns, end_ns; /* of a call or change: alike */
	uint64_t error_ns;    /* start and end are at most this far off; 0: exact to microseconds */
	uint64_t interpreter; /* its id, 0 is the main one */
	pid_t thread;         /* kernel thread id in lowtide's PID namespace, 0 when not known */
	int generation;       /* collected (0 to 2), -1 when not known */
	enum lt_watch_call
		call;      /* that it is, or in which the collection runs; NONE: none was seen */
	bool call_certain; /* whether there was a call or none is known, not concluded */
	bool finalizing;   /* the interpreter shuts down */
	uint64_t missed;
	/*
	 * The collector before (counts, thresholds, long_lived_*; as at start_ns - before_age_ns) and after. By the source
	 * ring `before` may be followed from the collection before it: counts and statistics, not long_lived_*.
	 */
	struct lt_gc_state before, after;
	uint64_t before_age_ns;
	int64_t collected, uncollectable, candidates; /* of this collection, -1 when not known */
	uint32_t frame_count;                         /* of the Python stack at the start */
	bool frames_exact;                            /* taken at the moment, not while it ran */
	struct lt_watch_frame frames[LT_WATCH_FRAMES];
	/* To read what is copied, over the live memory; NULL: nothing is. The source's own, good until the next wait. */
	struct lt_memory *memory;
};
LT_VEC(lt_watch_events, struct lt_watch_event);

struct lt_watch_options {
	bool only[LT_WATCH_SOURCES]; /* sources that may be used; all false: all */
	unsigned
		poll_hz; /* of the sources ring and poll; 0: 1,000, and half of it at rest: pace.h */
};

struct lt_watch;

/*
 * Begins. `view` is on the live memory and must live as long. Sources that are not possible are passed over, why
 * can be asked. LT_E_PERMISSION when none of the allowed sources is possible, with the remedy.
 */
LT_MUST_CHECK enum lt_status lt_watch_open(const struct lt_view *view,
					   const struct lt_watch_options *options,
					   struct lt_watch **ret_watch);
enum lt_watch_source lt_watch_source(const struct lt_watch *watch);

/* Why a better source is not in use: "uprobes need CAP_PERFMON ..."; "" when it is, or was not allowed. */
const char *lt_watch_why_not(const struct lt_watch *watch, enum lt_watch_source source);

/*
 * Waits until `until_ns` or until there are events, whichever is first, and appends them, in order of their
 * start. LT_E_GONE when the process ended; the events until then are given.
 */
LT_MUST_CHECK enum lt_status lt_watch_wait(struct lt_watch *watch, uint64_t until_ns,
					   struct lt_watch_events *events);

/*
 * Until when the waits so far have told everything: what ended by then has been given, and no counter of an event
 * tells of anything later. 0 before the first wait.
 */
uint64_t lt_watch_seen_ns(const struct lt_watch *watch);

/* The state of the main interpreter's collector now. */
LT_MUST_CHECK enum lt_status lt_watch_state(struct lt_watch *watch, struct lt_gc_state *ret_state);

/* Ends; nothing is left in the process or in the kernel, also when lowtide is killed. NULL is allowed. */
void lt_watch_close(struct lt_watch *watch);

#endif
