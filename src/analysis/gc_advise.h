/*
 * gc_advise.h: which settings of the collector to take: the curve of thresholds against time and memory, and the
 * setting that keeps a goal at the least memory, both by the model (gc_model.h).
 */
#ifndef LT_ANALYSIS_GC_ADVISE_H
#define LT_ANALYSIS_GC_ADVISE_H

#include "analysis/gc_model.h"

enum { LT_GC_CURVE_MOST = 16, LT_GC_ASKED_MOST = 16 };

struct lt_gc_goal {
	double share;    /* of the time in collections, at most; 0: none set */
	double pause_ms; /* of the worst pause, at most; 0: none set */
};

/* What --what-if and --advise ask for. */
struct lt_gc_question {
	struct lt_gc_setting asked[LT_GC_ASKED_MOST];
	size_t asked_count;
	bool advise;
	struct lt_gc_goal goal; /* with `advise`; no goal: 1 % of the time */
};

/* All zero is the answer to nothing. */
struct lt_gc_what_if {
	enum lt_gc_basis basis;
	const char *why; /* nothing can be said; static */
	double program_ms; /* that the figures are for: the time of the recording outside of collections */
	double path_ms; /* how much of it the count was watched for closely; 0: no path */
	struct lt_gc_prediction
		recorded;          /* what the model says of the settings that were recorded */
	uint64_t seen_collections; /* what was seen of them */
	double seen_gc_ms, seen_pause_ms;
	bool bytes_known; /* else bytes are objects times a usual size */
	double bytes_per_object;
	struct lt_gc_prediction asked[LT_GC_ASKED_MOST];
	size_t asked_count;
	struct lt_gc_prediction
		curve[LT_GC_CURVE_MOST]; /* by threshold of generation 0; the others as recorded */
	size_t curve_count;
	bool advised;
	struct lt_gc_goal goal;
	bool met;       /* the setting below keeps the goal; else it comes nearest */
	bool already;   /* the recorded settings keep it */
	bool is_static; /* the heap hardly grows: freezing pays */
	struct lt_gc_prediction advice;
};

/* Fits the model and answers. LT_E_NO_MEMORY only. */
LT_MUST_CHECK enum lt_status lt_gc_ask(struct lt_session *session,
				       const struct lt_gc_recording *recording,
				       const struct lt_gc_question *question,
				       struct lt_gc_what_if *ret_answer);

/* The same of a model that was fitted. */
void lt_gc_ask_model(const struct lt_gc_model *model, const struct lt_gc_question *question,
		     struct lt_gc_what_if *ret_answer);

/* "10000,10,10", "freeze", "10000,20,20,freeze", "bound=64M". What is not named is as recorded: -1. False: no such setting. */
bool lt_gc_setting_parse(const char *text, struct lt_gc_setting *ret_setting);

/* The call that makes the setting: "gc.set_threshold(10000, 10, 10)", with gc.freeze() before it where asked for. */
void lt_gc_setting_call(const struct lt_gc_setting *setting, char *buffer, size_t size);

#endif
