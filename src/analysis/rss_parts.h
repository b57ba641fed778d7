/*
 * rss_parts.h: what the rss*.c share: the reading, into which each of them counts its parts.
 */
#ifndef LT_ANALYSIS_RSS_PARTS_H
#define LT_ANALYSIS_RSS_PARTS_H

#include "analysis/resident.h"
#include "analysis/rss.h"
#include "analysis/trim_gain.h"
#include "base/map.h"
#include "heap/foreign.h"
#include "heap/pageset.h"
#include "heap/wordmap.h"

struct lt_rss_tally {
	uint64_t bytes;  /* resident */
	uint64_t shared; /* of these bytes, where it is known by page */
	uint64_t held;   /* mapped */
	uint64_t count;
};

/* Parts that every process has, beside those of types and mappings. */
enum lt_rss_fixed {
	LT_RSS_GARBAGE,   /* objects that no root reaches */
	LT_RSS_NO_OBJECT, /* blocks of pymalloc in use that are no object and belong to none */
	LT_RSS_FREE_BLOCKS,
	LT_RSS_FREE_POOLS,
	LT_RSS_ROUNDING,
	LT_RSS_C_USED, /* chunks of the C allocator in use that belong to no Python object */
	LT_RSS_C_BIG,  /* the same, mappings of their own */
	LT_RSS_C_CACHED,
	LT_RSS_C_FREE,
	LT_RSS_C_TOP,
	LT_RSS_C_PAGES, /* whole free pages of jemalloc and mimalloc */
	LT_RSS_C_OWN,   /* what these need themselves */
	LT_RSS_FIXED_COUNT
};

/* Memory in use of which it is not known yet whom it belongs to. */
struct lt_rss_pending {
	lt_addr start;   /* of what is accounted for, header included */
	lt_addr address; /* what a pointer to it is */
	uint64_t size;   /* from `start` on */
	enum lt_rss_fixed otherwise;
};
LT_VEC(lt_rss_pendings, struct lt_rss_pending);

/* Objects of a type behind free chunks of the C allocator. */
struct lt_rss_kept {
	uint64_t holds; /* resident bytes of these free chunks */
	uint64_t count;
	uint64_t most;   /* of one of them */
	uint32_t sample; /* what is behind that one, LT_NO_NODE when it is no object itself */
	lt_addr memory;  /* the same: the memory behind that one */
};

struct lt_rss_beside;
struct lt_rss_figures;

struct lt_rss_reading {
	struct lt_session *session;
	const struct lt_picture *picture;
	struct lt_heap_graph
		nodes;    /* of the picture: objects and types only, since it is still made */
	pid_t pid_inside; /* of the process in its own PID namespace: its main thread */
	const struct lt_view *view; /* of the picture's heap */
	const struct lt_pymalloc *pymalloc;
	struct lt_malloc malloc;
	struct lt_resident resident;
	struct lt_rss_figures *figures; /* the thread that reads it, NULL: none */
	struct lt_pymalloc_stats stats;
	struct lt_rss_tally fixed[LT_RSS_FIXED_COUNT];
	struct lt_rss_tally *types; /* by index of type: its objects and what belongs to them */
	uint32_t type_count;
	/*
	 * By index of type, then memory of no object, then chunks in caches of threads: what they keep between used
	 * memory, and at the ends of heaps.
	 */
	struct lt_rss_kept *kept, *kept_top;

	/* Pointers of objects to memory that is no object -> index of type; of each part of the heap. */
	struct lt_wordmap owners[LT_HEAP_PARTS];
	struct lt_heap_visit visit;
	struct lt_pageset allocated; /* pages where such memory lies */
	uint64_t *arena_used;        /* bytes of blocks in use, of each arena of pymalloc */
	size_t arena;                /* that the walk is in */
	uint8_t *placed;             /* of each node: its memory is accounted for */
	uint8_t *plain;              /* of each type: its memory holds nothing but objects */
	struct lt_rss_beside *beside_blocks; /* the threads that walk the blocks, NULL: none */
	struct lt_rss_pendings pending;
	struct lt_trim_gain trim;
	struct lt_foreign foreign;
	uint8_t *foreign_maps;      /* of each mapping: the other allocator has memory in it */
	struct lt_resident *shared; /* NULL: not known by page */
	const struct lt_smaps *
		before; /* the figures before the freeze: in a frozen copy all is shared; NULL: none */
	bool no_memory;
};

/* Private memory that an mmap object has. */
struct lt_rss_buffer {
	lt_addr start, end;
	uint32_t node;
};
LT_VEC(lt_rss_buffers, struct lt_rss_buffer);

/*
 * That of all mmap objects, ascending and apart from each other; `picture`, `view` and `resident` are set. The kernel joins
 * neighbouring mappings, so each may be a part of one that others have memory in too; but no allocator.
 */
LT_MUST_CHECK enum lt_status lt_rss_find_buffers(const struct lt_rss_reading *reading,
						 struct lt_rss_buffers *ret_buffers);

/* Makes what is counted by type and by arena, all zero; `picture` and `pymalloc` are set. */
LT_MUST_CHECK enum lt_status lt_rss_begin(struct lt_rss_reading *reading);

/* Releases all of it. */
void lt_rss_reading_deinit(struct lt_rss_reading *reading);

/*
 * Begins to read what is resident, by a thread beside the search for objects. lt_rss_figures() waits for it; `resident` is
 * there then.
 */
LT_MUST_CHECK enum lt_status lt_rss_begin_figures(struct lt_rss_reading *reading,
						  const struct lt_process *process);
LT_MUST_CHECK enum lt_status lt_rss_figures(struct lt_rss_reading *reading);
/* Ends that thread, whatever it has read. */
void lt_rss_stop_figures(struct lt_rss_reading *reading);

/* Sets `visit`, by which objects are asked for such pointers while the picture is taken; it waits for those figures. */
void lt_rss_ask(struct lt_rss_reading *reading);

/* Ends the threads that walk the blocks, whatever they are at. */
void lt_rss_stop_beside(struct lt_rss_reading *reading);

/* Counts what Python's allocator has; which nodes are alive is known. */
LT_MUST_CHECK enum lt_status lt_rss_blocks(struct lt_rss_reading *reading);

/* After that: counts every other object, what belongs to it, and what is free beside it. */
LT_MUST_CHECK enum lt_status lt_rss_owners(struct lt_rss_reading *reading);

/* A part for what nobody has claimed of each mapping: files, stacks, the rest. */
LT_MUST_CHECK enum lt_status lt_rss_mappings(struct lt_rss_reading *reading, struct lt_rss *rss);

/*
 * How many threads have their stack in the mapping: where pthread_self() is, but for the main thread, which has it
 * elsewhere. glibc from 2.42 on guards stacks without mappings between them, so that they are one.
 */
size_t lt_rss_stacks(const struct lt_rss_reading *reading, const struct lt_mapping *mapping);

/* Which other C allocator there is, into the reading; the name of the one in use, into the strings of `rss`. */
LT_MUST_CHECK enum lt_status lt_rss_allocator(struct lt_rss_reading *reading, struct lt_rss *rss);

/* What keeps memory from going back; takes the picture on to its ways when there is something. */
LT_MUST_CHECK enum lt_status lt_rss_find_pins(struct lt_rss_reading *reading,
					      struct lt_subject *subject, struct lt_rss *rss);

enum { LT_RSS_NAME = 256, LT_RSS_POINTERS = 132 };

/* Words of an object of a type, whose address is `at`, that may point to memory of its own; how many. */
size_t lt_rss_pointers(const struct lt_view *view, const struct lt_type *type, lt_addr at,
		       uint64_t words[LT_RSS_POINTERS]);

/* What their memory points to are objects, which count for themselves. */
bool lt_rss_has_plain_content(enum lt_kind kind);
/* Of struct lt_heap_visit: notes whose the memory is that an object points to. */
bool lt_rss_ask_object(void *ctx, unsigned part, const struct lt_view *view,
		       const struct lt_heap_graph *graph, lt_addr object,
		       const struct lt_type *type);
/* The same of the pointers in memory that belongs to objects of `type`; an object's own pointer comes first. */
void lt_rss_take_content(struct lt_rss_reading *reading, struct lt_memory *memory, lt_addr start,
			 uint64_t size, uint32_t type);
/* The type that has a pointer to the memory; false: none has. */
bool lt_rss_find_owner(const struct lt_rss_reading *reading, lt_addr address, uint64_t size,
		       uint32_t *ret_type);

/* "dict", "shop.models.Order". */
void lt_rss_type_name(const struct lt_rss_reading *reading, uint32_t type, char *buffer,
		      size_t capacity);

/* How much of a mapping's resident memory is shared with other processes, 0 to 1. */
double lt_rss_shared(const struct lt_rss_reading *reading, const struct lt_smap *smap);

/* Appends a part, or adds to the one of the same name and detail; strings are copied. */
LT_MUST_CHECK enum lt_status lt_rss_add(struct lt_session *session, struct lt_rss *rss,
					struct lt_rss_part part);

#endif
