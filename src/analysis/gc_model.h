/*
 * gc_model.h: what other settings of the collector would have done to a program that was recorded: collections,
 * time, worst pause, garbage that waits.
 *
 * CPython's own rules (Python/gc.c, Modules/gcmodule.c: gc_select_generation, gc_collect_main) are replayed on the
 * path that the count of generation 0 took. What the rules do not say is fitted to the recording: how much of what is
 * allocated stays, becomes garbage or goes by reference counting, what a collection costs an object.
 * docs/gc-model.md has the method, its limits and how well it predicts.
 */
#ifndef LT_ANALYSIS_GC_MODEL_H
#define LT_ANALYSIS_GC_MODEL_H

#include "analysis/gc_cost.h"
#include "analysis/gc_recording.h"

struct lt_gc_setting {
	int64_t thresholds[LT_GC_GENERATIONS];
	bool freeze; /* gc.freeze() at the start: what lives then is looked at no more */
	/*
	 * Not 0: no automatic collection; a full one each time the count of generation 0 says that so many
	 * bytes may be waiting.
	 */
	uint64_t bound_bytes;
};

/* For the same work as was recorded. */
struct lt_gc_prediction {
	struct lt_gc_setting setting;
	uint64_t collections[LT_GC_GENERATIONS];
	uint64_t all_collections;
	double gc_time_ms;
	double gc_ms[LT_GC_GENERATIONS];
	double share; /* of the time of the program that is spent in collections */
	double pause_max_ms;
	double garbage_peak; /* objects that wait to be collected, at most */
	uint64_t garbage_peak_bytes;
	int64_t extra_bytes; /* that more than with the settings of the recording */
};

/* What the fit rests on. */
enum lt_gc_basis {
	LT_BASIS_NONE,   /* nothing can be said: `why` */
	LT_BASIS_COUNTS, /* the counts at collections: bursts are not known */
	LT_BASIS_PATH,   /* the path of the count between them */
};
const char *lt_gc_basis_name(enum lt_gc_basis basis); /* "none", "counts", "path" */

enum { LT_GC_DELAYS = 256 };

/* A point of the path as the replay takes it. */
struct lt_gc_step {
	double level;      /* net allocations so far */
	double base;       /* of them those that reference counting will not take back */
	bool rest;         /* a unit of work ends here: nothing of it will be taken back */
	double low, top;   /* where the unit that this point is of begins, and its highest */
	uint64_t run_ns;   /* that the program goes on the path for in a recording */
	double program_ns; /* of the recording, outside of collections */
	bool held;         /* on the way here no collection could begin */
	bool joint;        /* the program was not seen between the point before and this one */
};
LT_VEC(lt_gc_steps, struct lt_gc_step);

/*
 * Free lists: what a collection frees fills them, and is not counted when it is allocated again. A full one clears them. All
 * zero: there are none.
 */
struct lt_gc_refill {
	double share;  /* of what a collection frees, so much goes there */
	double most;   /* objects that it fills them up to */
	double taken;  /* of what is allocated while there are some, so much comes from there */
	double each;   /* objects, by a collection that is not a full one, in the recording */
	bool measured; /* the lists were read; else concluded from what was collected */
};

/* All zero is the empty model. Objects are such as the collector tracks; rates are per ns of the program's own run. */
struct lt_gc_model {
	enum lt_gc_basis basis;
	const char *why; /* nothing can be said, "" when something can; static */
	struct lt_gc_steps steps;
	uint64_t run_ns;               /* that the program goes on the path for in a recording */
	double program_ns;             /* of the recording, outside of collections */
	struct lt_gc_setting recorded; /* its settings at the start */
	int64_t counts[LT_GC_GENERATIONS]; /* at the start */
	double long_lived,
		long_lived_total; /* tracked objects, those of the last full collection */
	double long_lived_pending;
	bool quarter_rule;
	/*
	 * How many more were allocated, each time, before a collection that was due began: one waits for the end of a
	 * call of C code. None: it begins at once.
	 */
	double delays[LT_GC_DELAYS];
	size_t delay_count;
	struct lt_gc_refill refill;
	double flow;          /* objects that stay or become garbage */
	double garbage_share; /* of the flow */
	/*
	 * A unit of work has its first garbage to be when it has come up to this share of its height; a collection
	 * that comes later in it leaves all of that to one of an older generation.
	 */
	double garbage_from;
	double aging; /* objects in use that become old, of those that the replay thinks */
	/* Objects that count as collected, of the garbage that the replay thinks waits in each generation. */
	double found[LT_GC_GENERATIONS];
	struct lt_gc_costs costs;
	double scale[LT_GC_GENERATIONS]; /* objects looked at, of those that the replay thinks */
	double bytes_per_object;
	bool bytes_known; /* else a usual size */
	/* Collections that the program asked for: they come whatever the thresholds. */
	uint64_t explicit_collections[LT_GC_GENERATIONS];
	double explicit_ms, explicit_max_ms;
	/* As recorded, and the model's own figures for the same settings. */
	uint64_t seen_collections[LT_GC_GENERATIONS];
	double seen_ms[LT_GC_GENERATIONS], seen_max_ms[LT_GC_GENERATIONS];
	struct lt_gc_prediction itself;
};

/* LT_E_NO_MEMORY only: a recording of which nothing can be said gives the basis NONE. */
LT_MUST_CHECK enum lt_status lt_gc_model_fit(struct lt_session *session,
					     const struct lt_gc_recording *recording,
					     struct lt_gc_model *ret_model);
void lt_gc_model_deinit(struct lt_gc_model *model);

/* Of a model with a basis; thresholds below 0 count as 0, which is off. */
void lt_gc_model_predict(const struct lt_gc_model *model, const struct lt_gc_setting *setting,
			 struct lt_gc_prediction *ret_prediction);

#endif
