/*
 * allocators.h: a command run under one C allocator and setting after the other, and whether one of them is
 * worth having.
 */
#ifndef LT_ANALYSIS_ALLOCATORS_H
#define LT_ANALYSIS_ALLOCATORS_H

#include "analysis/trial.h"
#include "base/vec.h"

enum { LT_ALLOCATOR_SETTINGS = 8, LT_ALLOCATOR_VARIABLES = 4, LT_ALLOCATOR_RUNS_MOST = 100 };

#define LT_ALLOCATOR_GAIN 0.1 /* what gains less is not advised */

enum lt_allocator_state {
	LT_ALLOCATOR_TRIED,
	LT_ALLOCATOR_SKIPPED, /* not asked for */
	LT_ALLOCATOR_MISSING, /* the library is not installed */
	LT_ALLOCATOR_NOT_LOADED, /* no process of the command had the library: the figures are not its own */
	LT_ALLOCATOR_FAILED, /* the command ended differently than it does as it is */
	LT_ALLOCATOR_SLOW,   /* it did not end in time, as it does without */
};

struct lt_allocator_result {
	const char *name;
	const char *what; /* a few words */
	struct lt_variable variables[LT_ALLOCATOR_VARIABLES];
	size_t variable_count;
	const char *package; /* of Debian, that has the library; NULL: none is needed */
	char *library;       /* its path; NULL: none, or it is missing; owned */
	char *preload;       /* the value of LD_PRELOAD; owned */
	enum lt_allocator_state state;
	struct lt_trial runs[LT_ALLOCATOR_RUNS_MOST];
	size_t run_count;
	struct lt_trial figures; /* medians; how it ended: as the run did that decided the state */
	double peak_gain,
		final_gain; /* share of what it is without, below 0: more; of a state that has figures */
	double time_ratio; /* 1: as long as without; 0: not to be told, since time ended one of the two */
};

struct lt_allocators {
	struct lt_allocator_result results[LT_ALLOCATOR_SETTINGS]; /* the first: as it is */
	char *const *command;                                      /* borrowed */
	unsigned runs, seconds;
	const struct lt_allocator_result *advice; /* NULL: none */
	const char *reason;                       /* why there is none; NULL: there is one */
	bool stopped;                             /* before it was done */
};

struct lt_allocators_options {
	char *const *command; /* NULL-terminated, outlives the result */
	unsigned runs;        /* of each setting, 1 to LT_ALLOCATOR_RUNS_MOST */
	unsigned seconds;     /* a run at most */
	const char *
		only; /* names of settings with commas between; NULL: all. As it is it always runs */
	bool silent;
	const volatile int *stop;
};

/* LT_E_USAGE: a name of `only` is none. LT_E_FILE: the command cannot be started. */
LT_MUST_CHECK enum lt_status lt_allocators_try(struct lt_session *session,
					       const struct lt_allocators_options *options,
					       struct lt_allocators *ret_allocators);
void lt_allocators_deinit(struct lt_allocators *allocators);

/* "tried", "skipped", "missing", "not-loaded", "failed", "slow". */
const char *lt_allocator_state_name(enum lt_allocator_state state);

/*
 * The file of the newest library whose name begins so ("libjemalloc.so."): in the folders of LD_LIBRARY_PATH, in
 * the cache of the dynamic linker, in the usual folders. free(3) by the caller; NULL: there is none.
 */
char *lt_library_find(const char *start);

#endif
