/*
 * fragmentation.h: how much of what the allocators of a process hold is free, where it lies, and why it stays.
 *
 * Only the allocators are walked, not the objects. Free memory counts as far as it is resident: what the kernel has
 * back already costs nothing. Limits of the process and its control groups stand beside, since a request that fails
 * for them looks the same to the program and has another remedy.
 */
#ifndef LT_ANALYSIS_FRAGMENTATION_H
#define LT_ANALYSIS_FRAGMENTATION_H

#include "analysis/subject.h"
#include "base/vec.h"
#include "heap/foreign.h"
#include "heap/malloc.h"
#include "heap/pymalloc.h"
#include "target/cgroup.h"

enum lt_fragmentation_verdict {
	LT_FRAGMENTATION_NONE,     /* little is free, or little of what is held */
	LT_FRAGMENTATION_INTERNAL, /* free between used memory; requests of the same size reuse it */
	LT_FRAGMENTATION_PINNED,   /* arenas of pymalloc that a few blocks keep from going back */
	LT_FRAGMENTATION_ARENAS,   /* free in the arenas that malloc has for threads */
	LT_FRAGMENTATION_VERDICTS
};

/* A pool of pymalloc or, of malloc, a run of pages: a cell of the map. */
struct lt_fragment_cell {
	lt_addr address;
	uint32_t bytes, used; /* bytes that an allocator has there, and of these in use */
	uint32_t arena;       /* of malloc, by its index; UINT32_MAX: pymalloc's */
	bool resident;        /* something of it is */
};
LT_VEC(lt_fragment_cells, struct lt_fragment_cell);

/* An arena of malloc. */
struct lt_fragment_arena {
	lt_addr address;
	bool main, whole;
	bool other;            /* all memory of another allocator, which stands in for glibc's */
	uint64_t attached;     /* threads that use it */
	uint64_t system_bytes; /* that it has of the kernel */
	uint64_t used_bytes, free_bytes;
	uint64_t resident_free_bytes;
	uint64_t largest_free_bytes;
};
LT_VEC(lt_fragment_arenas, struct lt_fragment_arena);

/* Something that ends requests for memory, however contiguous the free memory is. */
struct lt_memory_limit {
	const char *name;  /* "address space", "control group", ...: static */
	const char *cause; /* where it is set: "RLIMIT_AS", "memory.max", ...: static */
	bool mappings;     /* the figures count mappings, else bytes */
	bool tight;        /* less than a tenth is left */
	uint64_t limit, used, headroom;
};
enum { LT_MEMORY_LIMITS_MAX = 6 };

/* All zero is the empty result. */
struct lt_fragmentation {
	enum lt_fragmentation_verdict verdict;
	uint64_t
		held_bytes; /* resident memory of the allocators, without blocks that are mappings of their own */
	uint64_t free_bytes;         /* of these free */
	double ratio;                /* free over held */
	uint64_t largest_free_bytes; /* the longest free range in any */
	uint64_t largest_gap_bytes;  /* the longest unused range of addresses between mappings */

	/* pymalloc */
	struct lt_pymalloc_stats pymalloc; /* of what was found, without its table too */
	uint64_t pymalloc_held_bytes, pymalloc_free_bytes; /* resident */
	uint64_t pymalloc_largest_free_bytes;
	uint64_t pool_size;
	uint64_t pinned_arenas; /* less than a quarter is in use, but not nothing */
	uint64_t pinned_free_bytes, pinned_used_bytes, pinned_blocks;

	/* malloc */
	struct lt_malloc malloc; /* without its walk */
	struct lt_fragment_arenas arenas;
	uint64_t malloc_held_bytes, malloc_free_bytes; /* resident */
	uint64_t thread_arenas;                        /* all but the main one */
	uint64_t thread_arenas_free_bytes;             /* resident */
	unsigned threads;

	/* jemalloc or mimalloc, where they can be walked: in `arenas` as one, the last */
	struct lt_foreign other;
	uint64_t other_held_bytes, other_free_bytes; /* resident */
	uint64_t other_page_bytes; /* of the free: pages, which it gives back by itself */
	uint64_t other_largest_free_bytes;

	struct lt_memory_limit limits[LT_MEMORY_LIMITS_MAX];
	size_t limit_count;
	bool exhausted;                /* one of them is tight */
	struct lt_cgroup_memory group; /* the control group among them */

	struct lt_fragment_cells cells; /* pymalloc's first, each allocator's ascending by arena */
	bool cut;                       /* there were more cells than are kept */
};

/* `subject` is a process. */
LT_MUST_CHECK enum lt_status lt_fragmentation_read(struct lt_subject *subject,
						   struct lt_fragmentation *ret_fragmentation);
void lt_fragmentation_deinit(struct lt_fragmentation *fragmentation);

/* "none", "internal", "pinned", "arenas": as in JSON. */
const char *lt_fragmentation_verdict_name(enum lt_fragmentation_verdict verdict);

/* The same for people: "pinned by survivors". */
const char *lt_fragmentation_title(enum lt_fragmentation_verdict verdict);

/* The verdict for the figures in it: fills `verdict`, `ratio`, `held_bytes`, `free_bytes`. */
void lt_fragmentation_judge(struct lt_fragmentation *fragmentation);

/* What the kernel says of limits. A text that is missing is NULL, a number 0. */
struct lt_memory_sources {
	const char *limits, *status; /* of /proc/PID */
	const char *machine;         /* /proc/meminfo */
	uint64_t overcommit;         /* vm.overcommit_memory */
	uint64_t mappings, mappings_most;
};
/* Adds the limits that they and `group` tell, and which of them are tight. */
void lt_memory_limits_judge(const struct lt_memory_sources *sources,
			    struct lt_fragmentation *fragmentation);

/* The limits that hold for the process, of which `mappings` are in use. */
LT_MUST_CHECK enum lt_status lt_memory_limits_read(struct lt_session *session, pid_t pid,
						   uint64_t mappings,
						   struct lt_fragmentation *fragmentation);

#endif
