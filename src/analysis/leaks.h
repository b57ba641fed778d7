/*
 * leaks.h: what a process keeps more and more of, from two or more pictures over time.
 */
#ifndef LT_ANALYSIS_LEAKS_H
#define LT_ANALYSIS_LEAKS_H

#include "analysis/doctor.h"
#include "analysis/open.h"

enum { LT_LEAKS_LOOKS_MAX = 16, LT_LEAKS_SECONDS_MAX = 86400 };

/*
 * The finding says what it is: its id is the kind (stable, docs/leaks.md lists them: "lru-cache-unbounded"),
 * its expression is "" when no Python object holds what grows.
 */
struct lt_suspect {
	struct lt_finding finding;
	const char *type; /* of what piles up, with its module; "" of native memory */
	uint64_t growth_objects;
	uint64_t growth_bytes;
	double bytes_per_second; /* 0 when the time between the pictures is not known */
	double steadiness;       /* 1: alike in each interval, 0: not in each (leaks_steady.c) */
	uint64_t retained_bytes;
	double share; /* of all bytes of the heap, 0 to 1 */
};

/* One look at the target. */
struct lt_leaks_look {
	double at_ms;       /* since the first one */
	uint64_t uptime_ms; /* of the process; 0 when unknown */
	double stall_ms;
	uint64_t objects, bytes;  /* in the heap */
	uint64_t garbage_objects; /* that no root reaches */
	unsigned threads;
	uint64_t
		anonymous_bytes; /* private memory of no file, resident or swapped; 0 when unknown */
	uint64_t region_bytes[LT_REGION_COUNT]; /* of struct lt_identity */
};

/* All zero is the empty result. The strings live in `strings`. */
struct lt_leaks {
	struct lt_identity identity;
	struct lt_cost cost; /* of all looks together */
	struct lt_leaks_look looks[LT_LEAKS_LOOKS_MAX];
	size_t look_count;
	bool ended_early;            /* by the stop flag */
	struct lt_suspect *suspects; /* the worst first */
	size_t suspect_count;
	uint64_t heap_objects, heap_bytes; /* in the last look */
	uint64_t new_objects, new_bytes;   /* of them, not in the first */
	struct lt_retained tree; /* what holds the memory in the last look, when it was asked for */
	struct lt_arena strings;
};

struct lt_leaks_options {
	struct lt_look_options look;
	unsigned seconds;   /* from the first look to the last */
	unsigned snapshots; /* 0: 3 */
	bool tree;          /* make one */
	/* Set, for example by a signal: the last look is taken at once. NULL: never. */
	const volatile int *stop;
};

/*
 * Looks at the process at the start, at the end and between; in the meantime it runs freely. Never forces a
 * collection. LT_E_GONE when it ended before the last look.
 */
LT_MUST_CHECK enum lt_status lt_leaks_watch(struct lt_session *session, pid_t pid,
					    const struct lt_leaks_options *options,
					    struct lt_leaks *ret_leaks);
/*
 * The same from snapshot files of one process, the oldest first; the last may be the PID of the process
 * itself. 2 to LT_LEAKS_LOOKS_MAX of them; of `options` only `look` counts.
 */
LT_MUST_CHECK enum lt_status lt_leaks_compare(struct lt_session *session,
					      const char *const *operands, size_t count,
					      const struct lt_leaks_options *options,
					      struct lt_leaks *ret_leaks);
void lt_leaks_deinit(struct lt_leaks *leaks);

/* True when a suspect is at or above `level`. */
bool lt_leaks_has(const struct lt_leaks *leaks, enum lt_severity level);

#endif
