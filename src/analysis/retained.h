/*
 * retained.h: what keeps memory alive: the dominator tree from the top, with what is alike joined.
 *
 * An object's retained bytes are those that would go with it: its own and those of all that can be
 * reached through it only.
 */
#ifndef LT_ANALYSIS_RETAINED_H
#define LT_ANALYSIS_RETAINED_H

#include "base/arena.h"
#include "base/session.h"
#include "base/vec.h"
#include "target/memory.h"

struct lt_subject;

enum lt_retained_kind {
	LT_RETAINED_OBJECT, /* one object */
	LT_RETAINED_ALIKE,  /* objects of one type below one parent */
	LT_RETAINED_MODULE, /* what is reached through one module, and no single object holds */
	LT_RETAINED_ROOTS,  /* the same of the roots of one kind */
	LT_RETAINED_OTHERS, /* what the rows beside it leave out */
};

struct lt_retained_entry {
	enum lt_retained_kind kind;
	const char *expression; /* of several objects with [*]; "" when there is no such */
	const char *example;    /* the way to the heaviest of several objects, else "" */
	const char *type;       /* "shop.pricing.Quote"; "" for objects of several types */
	const char *where;      /* file:line or the module's file, "" when unknown */
	lt_addr address;        /* of a single object, else 0 */
	uint64_t count;         /* objects that are joined in this row */
	uint64_t shallow;       /* their own bytes, as sys.getsizeof */
	uint64_t retained;      /* what would go with each of them, summed up */
	double share;           /* of all bytes that are alive, 0 to 1 */
	/* Its children, heaviest first: entries[first_child .. first_child + child_count). */
	size_t first_child, child_count;
};
LT_VEC(lt_retained_entries, struct lt_retained_entry);

/* All zero is the empty result. */
struct lt_retained {
	struct lt_retained_entries entries; /* the first `top_count` are the roots of the tree */
	size_t top_count;
	uint64_t object_count, object_bytes; /* all that is alive */
	struct lt_arena strings;
};

struct lt_retained_options {
	size_t depth;     /* levels of the tree; 0: 8 */
	size_t top;       /* children of one parent; 0: 10 */
	const char *from; /* where to begin, as lt_pick() takes it; NULL: at the roots */
};

/* Finer than a terminal shows: for a page to click through. */
#define LT_RETAINED_FINE ((struct lt_retained_options){.depth = 32, .top = 40})

/* Takes the picture up to its last step. */
LT_MUST_CHECK enum lt_status lt_retained_take(struct lt_subject *subject,
					      const struct lt_retained_options *options,
					      struct lt_retained *ret_retained);
void lt_retained_deinit(struct lt_retained *retained);

#endif
