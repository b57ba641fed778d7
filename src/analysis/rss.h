/*
 * rss.h: where the resident memory of a process is: every byte of its RSS in a named part.
 *
 * Parts are measured on the frozen copy (what is live, free, held) and by the kernel's own count of resident pages;
 * a part has the resident bytes of it, so that the parts add up to RSS and what is left is said to be unexplained.
 */
#ifndef LT_ANALYSIS_RSS_H
#define LT_ANALYSIS_RSS_H

#include "analysis/subject.h"
#include "base/arena.h"
#include "base/vec.h"
#include "heap/foreign.h"
#include "heap/malloc.h"
#include "heap/pymalloc.h"

enum lt_rss_layer {
	LT_RSS_OBJECTS, /* live Python objects, wherever they lie, with what they own (list arrays, dict keys, buffers) */
	LT_RSS_PYMALLOC, /* free in pymalloc: blocks in used pools, free pools, rounding */
	LT_RSS_MALLOC, /* of the C allocator: used by no Python object, free chunks, tops, caches of threads */
	LT_RSS_STACKS,
	LT_RSS_FILES, /* mapped files: code and data of program and libraries, data files, shared memory */
	LT_RSS_OTHER, /* anonymous mappings that nobody accounts for */
	LT_RSS_LAYERS
};

struct lt_rss_part {
	enum lt_rss_layer layer;
	const char *name;    /* "live objects: dict", "free blocks in used pools", "libssl.so.3" */
	const char *detail;  /* a sentence or "" */
	uint64_t bytes;      /* resident */
	uint64_t held_bytes; /* mapped, resident or not */
	uint64_t shared_bytes; /* of `bytes`, shared with other processes (forked workers, files) */
	uint64_t count;        /* objects, blocks, chunks, mappings */
};
LT_VEC(lt_rss_parts, struct lt_rss_part);

/* A kind of object that keeps memory from going back: one survivor in an otherwise free arena, heap or mapping. */
struct lt_rss_pin {
	const char *expression; /* that reaches one of them, "" when none is known */
	const char
		*where;   /* the source that it leads to: a file, a line of it; "" when not known */
	const char *note; /* what is known of it where no expression is, "" else */
	lt_addr address;  /* of the same: an object, or memory of none; 0: not known */
	const char *type; /* of the survivors */
	uint64_t count;
	uint64_t holds_bytes; /* resident memory that would go back if they went */
	const char *layer; /* "pymalloc arena", "malloc heap", or "malloc top": the end of a heap */
};
LT_VEC(lt_rss_pins, struct lt_rss_pin);

/* All zero is the empty result. Strings live in `strings`. */
struct lt_rss {
	uint64_t rss_bytes;       /* by smaps, at the moment of the freeze */
	uint64_t explained_bytes; /* in named parts */
	double explained_ratio;
	uint64_t swap_bytes, page_table_bytes, huge_bytes, untouched_bytes; /* beside RSS */
	const char
		*allocator; /* "glibc 2.36", "jemalloc 5.3.0", "mimalloc", "musl", "debug hooks" */
	struct lt_rss_parts parts;         /* largest first within its layer */
	uint64_t trim_gain_bytes;          /* what malloc_trim(0) would give back, predicted */
	struct lt_rss_pins pins;           /* largest first */
	struct lt_pymalloc_stats pymalloc; /* all zero: the table of arenas was not found */
	struct lt_malloc malloc;
	struct lt_foreign foreign; /* an allocator in place of glibc's, or beside it */
	struct lt_arena strings;
};

struct lt_resident;

/*
 * `shared` is that of lt_resident_take_shared(), from before the freeze: in a frozen copy all is shared.
 * `subject` is a process whose picture is not taken yet. It lets go of the target at the end (lt_subject_end()), and of its
 * picture's nodes and edges while it waits for that.
 */
LT_MUST_CHECK enum lt_status lt_rss_read(struct lt_subject *subject, struct lt_resident *shared,
					 struct lt_rss *ret_rss);
/* "objects", "pymalloc", ...: as in JSON. */
const char *lt_rss_layer_name(enum lt_rss_layer layer);
void lt_rss_deinit(struct lt_rss *rss);

#endif
