/*
 * trim.h: gives free memory of the C allocator back to the system: malloc_trim(0), or the purge of an allocator in
 * glibc's place, called in the process by a thread of its own when that is safe (heap/malloc_quiet.h, target/side_call.h).
 *
 * What it would give back is reckoned first, from the live memory without stopping anything.
 */
#ifndef LT_ANALYSIS_TRIM_H
#define LT_ANALYSIS_TRIM_H

#include "analysis/open.h"
#include "base/vec.h"

struct lt_trim_round {
	double at_seconds;                  /* since the start */
	uint64_t before_bytes, after_bytes; /* RSS by smaps */
	uint64_t predicted_bytes;           /* what would go back */
	double stall_ms;                    /* how long threads of the process stood still */
	double call_ms;                     /* how long it ran; 0: it was not called */
	unsigned attempts;                  /* stops until it was safe */
	bool called;   /* false: it would give back less than asked for, or was refused */
	bool beside;   /* the process ran on meanwhile */
	bool finished; /* false: it still ran when lowtide stopped waiting */
	bool whole;    /* false: arenas changed while they were read, the prediction is a guess */
	char refusal[512]; /* why it could not be done in this round; "": it was not refused */
};
LT_VEC(lt_trim_rounds, struct lt_trim_round);

struct lt_trim {
	struct lt_identity identity; /* owned */
	struct lt_cost cost;
	char allocator[32];   /* "glibc 2.36", "jemalloc 5.3.0" */
	const char *function; /* "malloc_trim", "mallctl" */
	struct lt_trim_rounds
		rounds; /* of a watch those in which something was done or refused; else one */
	uint64_t looks; /* predictions */
	uint64_t before_bytes, after_bytes,
		predicted_bytes; /* of the first look, the last, and what the calls promised */
	uint64_t returned_bytes; /* what the calls gave back together */
	uint64_t calls;
	double seconds; /* that a watch lasted */
	bool watched;
};

struct lt_trim_options {
	bool watch;
	unsigned seconds;         /* of a watch; 0: until `stop` */
	unsigned interval;        /* of a watch, seconds */
	uint64_t at_least;        /* do nothing when less would go back */
	const volatile int *stop; /* not 0: end the watch; NULL: never */
	void (*done)(void *ctx,
		     const struct lt_trim_round
			     *round); /* after each round of a watch that is kept; NULL: none */
	void *ctx;
};

enum { LT_TRIM_INTERVAL = 60, LT_TRIM_ROUNDS_MAX = 100000 };
#define LT_TRIM_AT_LEAST ((uint64_t)64 << 20)

/*
 * LT_E_BUSY: it was not safe at any attempt. LT_E_NOT_PYTHON: not CPython, or an allocator or C library that
 * cannot be called. A watch goes on after LT_E_BUSY, and ends with what there is when the process does.
 */
LT_MUST_CHECK enum lt_status lt_trim(struct lt_session *session, pid_t pid,
				     const struct lt_trim_options *options,
				     struct lt_trim *ret_trim);
void lt_trim_deinit(struct lt_trim *trim);

/* "64M" or a number of bytes; false: neither. */
bool lt_trim_amount(const char *text, uint64_t *ret_bytes);

#endif
