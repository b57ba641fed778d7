/*
 * interpreters.h: the interpreters of a target, the state of their collectors, and their threads.
 *
 * Everything is a copy, good after the memory is gone.
 */
#ifndef LT_HEAP_INTERPRETERS_H
#define LT_HEAP_INTERPRETERS_H

#include "heap/view.h"

#include <sys/types.h>

enum { LT_GC_GENERATIONS = 3 };

struct lt_gc_generation {
	lt_addr head;      /* of the list: a PyGC_Head that is no object */
	int64_t threshold; /* gc.get_threshold() */
	int64_t count;     /* gc.get_count() */
	uint64_t collections, collected, uncollectable; /* gc.get_stats() */
};

struct lt_gc_state {
	bool enabled;
	bool collecting; /* a collection runs: lists and links are not what they seem */
	struct lt_gc_generation generations[LT_GC_GENERATIONS];
	lt_addr permanent;   /* head of the permanent generation's list */
	bool frozen;         /* that list is not empty: gc.freeze(), and 3.12 from its start */
	lt_addr frozen_last; /* the last PyGC_Head in it: another one after each gc.freeze() */
	lt_addr frame; /* that the running collection began in, 0 where the release does not keep it */
	lt_addr garbage;   /* the list gc.garbage, 0 for none */
	lt_addr callbacks; /* the list gc.callbacks, 0 for none */
	uint32_t debug;    /* gc.get_debug() */
	uint64_t long_lived_total,
		long_lived_pending; /* of the 25 % rule; 0 where it does not exist */
	int64_t heap_size; /* objects that the collector tracks; -1 where the release does not count them */
};

struct lt_thread {
	lt_addr address;    /* of its PyThreadState */
	uint64_t thread_id; /* as pthread_self() gave it */
	pid_t native_id;    /* kernel thread id as the target sees it, 0 when unknown */
	bool holds_gil;
	bool ended; /* surely: the kernel thread is gone, and nobody deleted its state */
};

struct lt_interpreter {
	lt_addr address; /* of its PyInterpreterState */
	int64_t id;      /* 0 is the main one */
	struct lt_gc_state gc;
	lt_addr interned; /* the dict of interned strings, 0 where it is none of the interpreter's */
	struct lt_thread *threads;
	size_t thread_count;
};

/* All zero is the empty list. */
struct lt_interpreters {
	struct lt_interpreter *data; /* the main interpreter first */
	size_t count;                /* at most LT_INTERPRETERS_MAX */
};

enum { LT_INTERPRETERS_MAX = 1024, LT_THREADS_MAX = 65536 };

/*
 * Reads all interpreters. What cannot be read of one is counted in the session and left zero;
 * LT_E_NOT_PYTHON when there is no interpreter at all, LT_E_GONE when the target ended.
 */
LT_MUST_CHECK enum lt_status lt_interpreters_read(const struct lt_view *view,
						  struct lt_interpreters *ret_interpreters);
void lt_interpreters_deinit(struct lt_interpreters *interpreters);

/*
 * The state of the collector of the interpreter at `interpreter` (struct lt_interpreter.address) alone, from one
 * piece of memory (two where the statistics lie elsewhere): cheap enough for a thousand times a second. False,
 * with nothing written, when it cannot be read.
 */
bool lt_gc_state_read(const struct lt_view *view, lt_addr interpreter,
		      struct lt_gc_state *ret_state);

/*
 * Whether gc.freeze() set objects apart: more lie in the permanent generation than a release may put there as it starts
 * (375 were seen in 3.12). Follows the list that far: not for a thousand times a second.
 */
bool lt_gc_frozen_by_program(const struct lt_view *view, const struct lt_gc_state *state);

/* Addresses of the interpreters, the newest first; how many, at most `capacity`. For a caller that looks often. */
size_t lt_interpreters_list(const struct lt_view *view, lt_addr *ret_addresses, size_t capacity);
int64_t lt_interpreter_id(const struct lt_view *view, lt_addr interpreter);

/* The thread of the interpreter that holds the GIL at this moment. False: none of its threads does. */
bool lt_interpreter_running(const struct lt_view *view, lt_addr interpreter,
			    struct lt_thread *ret_thread);

/* Whether the interpreter shuts down: its exit functions have run, its modules are being cleared. */
bool lt_interpreter_finalizing(const struct lt_view *view, lt_addr interpreter, int64_t id);

/* For struct lt_freeze_probe; ctx is a struct lt_view, whose own memory is not used. */
bool lt_interpreters_collecting(void *ctx, struct lt_memory *live);
pid_t lt_interpreters_gil_holder(void *ctx, struct lt_memory *live);

#endif
