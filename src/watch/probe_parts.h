/*
 * probe_parts.h: the source probe in its parts: where to probe in an interpreter, what a probe copies, and how that
 * becomes events.
 */
#ifndef LT_WATCH_PROBE_PARTS_H
#define LT_WATCH_PROBE_PARTS_H

#include "target/probe.h"
#include "watch/watch_parts.h"

/* How begin and end of a collection are seen, best first. */
enum lt_probe_way {
	LT_WAY_USDT,   /* the build's own probes python:gc__start and python:gc__done */
	LT_WAY_SYMBOL, /* entry and return of the collector's function, which has a symbol */
	LT_WAY_WRITE, /* writes to the word that says that a collection runs: takes no symbols at all */
	LT_WAYS
};

/* ---- Where (probe_places.c) ---- */

enum { LT_PROBE_NOTES = 8 };

struct lt_probe_places {
	lt_addr begin[LT_PROBE_NOTES], end[LT_PROBE_NOTES]; /* USDT */
	lt_addr begin_semaphore, end_semaphore;
	size_t begin_count, end_count;
	lt_addr collector;            /* of LT_WAY_SYMBOL, 0: none */
	lt_addr calls[LT_CALL_COUNT]; /* C functions, 0: not found */
};

/* What is not there is 0. Fails with LT_E_NO_MEMORY alone. */
LT_MUST_CHECK enum lt_status lt_probe_places_find(const struct lt_view *view,
						  struct lt_probe_places *ret_places);

/* ---- What is copied (probe_plan.c) ---- */

enum lt_probe_what {
	LT_PROBE_STATE, /* the collector of the interpreter that runs */
	LT_PROBE_STATE_AND_STACK,
	LT_PROBE_WATCHED, /* that of one interpreter; the stack only when a collection begins */
};

/* Slots of the records. */
enum {
	LT_SLOT_INTERPRETER,
	LT_SLOT_THREAD,     /* its PyThreadState */
	LT_SLOT_ID,         /* of the interpreter */
	LT_SLOT_FINALIZING, /* of the runtime */
	LT_SLOT_ENDING,     /* of the interpreter */
	LT_SLOT_STATISTICS, /* where they lie when not in the collector's state */
	LT_SLOT_COLLECTING,
	LT_SLOT_FRAME,
	LT_SLOT_WORK,
};

/* False: the layout lacks a member that it takes. `interpreter`: for LT_PROBE_WATCHED. */
bool lt_probe_plan_make(const struct lt_view *view, enum lt_probe_what what, lt_addr interpreter,
			struct lt_probe_plan *ret_plan);

/* The state of the collector in a record of such a plan. False: it was not there. */
bool lt_probe_state(const struct lt_view *view, const struct lt_probe_record *record, size_t size,
		    struct lt_gc_state *ret_state);

/* Whether the interpreter shuts down. */
bool lt_probe_finalizing(const struct lt_view *view, const struct lt_probe_record *record);

/* All candidates so far in collections of a generation, where the release counts them; -1: it does not. */
int64_t lt_probe_candidates(const struct lt_view *view, const struct lt_probe_record *record,
			    size_t size, int generation);

/* The Python stack in a record into an event; its `memory` is the caller's, lt_memory_close(). */
void lt_probe_stack(const struct lt_view *view, const struct lt_probe_record *record, size_t size,
		    struct lt_watch_event *event);

/* ---- From records to events (probe_events.c) ---- */

enum lt_probe_moment {
	LT_MOMENT_BEGIN,
	LT_MOMENT_END,
	LT_MOMENT_WRITE, /* begin or end, as the word says */
	LT_MOMENT_CALL,
	LT_MOMENT_RETURN,
};

/* The site of a probe: moment and call. */
static inline uint32_t lt_probe_site_id(enum lt_probe_moment moment, enum lt_watch_call call)
{
	return (uint32_t)moment << 8 | (uint32_t)call;
}

struct lt_probe_counters { /* of an interpreter's statistics, as far as events tell of them */
	lt_addr interpreter;
	uint64_t id;
	uint64_t told[LT_GC_GENERATIONS];
	uint64_t looked_at[LT_GC_GENERATIONS]; /* at the last look */
	bool in_flight; /* one ran when the watch began: its end comes without a begin */
};
LT_VEC(lt_probe_counter_list, struct lt_probe_counters);

struct lt_probe_open {   /* what has begun */
	uint32_t thread; /* in the process's namespace */
	lt_addr interpreter;
	int64_t candidates[LT_GC_GENERATIONS]; /* at a collection's begin, -1: not known */
	struct lt_watch_event event;           /* a collection, or a call */
};
LT_VEC(lt_probe_open_list, struct lt_probe_open);

LT_VEC(lt_probe_memories, struct lt_memory *);

/* All zero but the view and the thread translator is the empty one. */
struct lt_probe_events {
	const struct lt_view *view;
	bool calls_known; /* calls are probed: none seen means that there was none */
	pid_t (*thread_id)(void *ctx, const struct lt_probe_record *record);
	void *thread_ctx;
	struct lt_probe_open_list open;
	struct lt_probe_counter_list counters;
	struct lt_probe_memories given; /* of events that were appended */
	bool failed;                    /* no memory */
};

void lt_probe_events_deinit(struct lt_probe_events *state);

/* The memory of the events that were appended until now ends here. */
void lt_probe_events_forget(struct lt_probe_events *state);

/* One record; what it completes is appended. */
void lt_probe_events_take(struct lt_probe_events *state, const struct lt_probe_record *record,
			  size_t size, struct lt_watch_events *events);

/* The statistics of an interpreter as read from its memory: the first look sets them, later ones find what was missed. */
void lt_probe_events_look(struct lt_probe_events *state, lt_addr interpreter, uint64_t id,
			  const struct lt_gc_state *now, struct lt_watch_events *events);

/* ---- The source (source_probe.c) ---- */

/* `ways`: those that may be used; NULL: all. */
LT_MUST_CHECK enum lt_status lt_watch_open_probe_ways(const struct lt_view *view, const bool *ways,
						      struct lt_watch_feed **ret_feed);
enum lt_probe_way lt_watch_probe_way(const struct lt_watch_feed *feed);
bool lt_watch_probe_linked(const struct lt_watch_feed *feed); /* lt_probe_linked() */

#endif
