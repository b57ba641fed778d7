/*
 * memory_state.h: the figures on resident memory that doctor judges.
 *
 * Less than rss.h and quicker: the objects are those of the picture that is there already, of the allocators only headers
 * are read. What belongs to an object outside of it is told by sizes, not by pointers.
 */
#ifndef LT_ANALYSIS_MEMORY_STATE_H
#define LT_ANALYSIS_MEMORY_STATE_H

#include "analysis/fragmentation.h"
#include "analysis/rss.h"

/* What in the environment and the state of a process makes its memory larger or slower; see docs/doctor.md. */
struct lt_memory_settings {
	bool debug_hooks;        /* Python's debug hooks are at work: seen in its memory */
	const char *debug_cause; /* what asked for them: "PYTHONMALLOC=debug", "" when not known */
	bool tracing;            /* tracemalloc records allocations */
	uint64_t tracing_frames; /* of each of them; 0: not known */
	const char *tracing_cause;  /* "PYTHONTRACEMALLOC=25", "" when the program started it */
	const char *malloc_check;   /* "MALLOC_CHECK_=3", also by GLIBC_TUNABLES; "" for none */
	bool malloc_check_library;  /* libc_malloc_debug.so is loaded */
	const char *malloc_perturb; /* "MALLOC_PERTURB_=165", "" for none */
	const char *malloc_stats;   /* "PYTHONMALLOCSTATS=1", "" for none */
	const char *arena_max;      /* "MALLOC_ARENA_MAX=2", "" for none */
};

/* All zero is the empty state: nothing is known. Strings live in rss.strings. All sizes in bytes. */
struct lt_memory_state {
	bool known;
	pid_t pid;
	struct lt_rss
		rss; /* of it: rss_bytes, swap_bytes, huge_bytes, allocator, trim_gain_bytes, pins */
	/* Live Python objects with what they own, as sys.getsizeof(), and the private memory of mmap objects. */
	uint64_t object_bytes;
	uint64_t garbage_bytes;   /* those that nothing reaches */
	uint64_t file_bytes;      /* resident: mapped files and shared memory */
	uint64_t anonymous_bytes; /* resident: the rest */
	uint64_t stack_bytes;     /* of that in stacks */

	uint64_t arenas, pymalloc_used_bytes;
	uint64_t pymalloc_free_bytes; /* resident */
	uint64_t pinned_arenas,
		pinned_free_bytes; /* less than a quarter is in use, but not nothing */
	uint64_t pinned_used_bytes;

	bool foreign;                                     /* another C allocator than glibc's */
	uint64_t malloc_used_bytes;                       /* mmapped chunks included */
	uint64_t malloc_free_bytes;                       /* resident */
	uint64_t thread_arenas, thread_arenas_free_bytes; /* resident */
	uint64_t arena_max;                               /* 0: no limit is set */
	unsigned threads;

	/* Of a sample of the pages in transparent huge pages those without a bit set. */
	uint64_t huge_sampled, huge_empty;

	struct lt_memory_limit limits[LT_MEMORY_LIMITS_MAX];
	size_t limit_count;
	struct lt_cgroup_memory group;
	struct lt_memory_settings settings;
};

/* `subject` is a process; takes its picture to its ways when there is something to name. */
LT_MUST_CHECK enum lt_status lt_memory_state_read(struct lt_subject *subject,
						  struct lt_memory_state *ret_state);
void lt_memory_state_deinit(struct lt_memory_state *state);

/* What memory was when a watch began. All zero: there was none. */
struct lt_memory_before {
	uint64_t taken_ns;     /* lt_now_ns(); 0: not known */
	uint64_t used_bytes;   /* lt_memory_used() */
	uint64_t object_bytes; /* live or not */
	uint64_t rss_bytes;
};

/* The figures of `subject`, which is a process, without what takes longer. */
LT_MUST_CHECK enum lt_status lt_memory_before_read(struct lt_subject *subject,
						   struct lt_memory_before *ret_before);

/* Anonymous memory, resident or swapped, that is neither free in an allocator nor a stack. */
uint64_t lt_memory_used(const struct lt_memory_state *state);

struct lt_rss_reading;

/* Fills `state->settings`. */
LT_MUST_CHECK enum lt_status lt_memory_settings_read(const struct lt_rss_reading *reading,
						     struct lt_memory_state *state);

/* The value of `name` in a block of NAME=VALUE strings with a zero byte behind each; NULL: it is not in it. */
const char *lt_memory_setting(const char *block, size_t size, const char *name);

#endif
