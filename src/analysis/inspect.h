/*
 * inspect.h: all about one object: what it is, what holds it, what it holds.
 */
#ifndef LT_ANALYSIS_INSPECT_H
#define LT_ANALYSIS_INSPECT_H

#include "analysis/paths.h"

/* Another object, and how it is referred to. */
struct lt_neighbour {
	const char *
		label; /* ".name", "['key']", "[3]" of the reference between the two; "" for none */
	const char *type;
	const char *expression; /* "" when it was not asked for, or there is none */
	lt_addr address;
	uint64_t bytes, retained;
};
LT_VEC(lt_neighbours, struct lt_neighbour);

struct lt_type_count {
	const char *type;
	uint64_t count;
};
LT_VEC(lt_type_counts, struct lt_type_count);

/* A detail by its name: a text, or a number when `text` is NULL. */
struct lt_fact_shown {
	const char *name;
	const char *text;
	int64_t number;
};
LT_VEC(lt_facts_shown, struct lt_fact_shown);

/* All zero is the empty result. */
struct lt_inspection {
	const char *type, *where;
	lt_addr address;
	uint64_t bytes, retained, heap_bytes;
	bool alive; /* some root reaches it */
	bool tracked, permanent, immortal, is_static;

	bool has_count;            /* false: immortal, or not readable */
	int64_t count;             /* its reference count */
	uint64_t count_objects;    /* references from objects that were found */
	uint64_t count_roots;      /* and from frames, threads, the interpreter */
	uint64_t count_scanned;    /* and from memory of C code */
	int64_t count_unexplained; /* what is missing to `count` */

	struct lt_facts_shown facts;          /* name, length, ... */
	struct lt_neighbours dominators;      /* what it goes with, nearest first */
	uint64_t dominators_left;             /* further ones that are not in it */
	struct lt_neighbours referents;       /* most retained first */
	uint64_t referent_count;              /* references there are */
	struct lt_neighbours referrers;       /* most retained first */
	uint64_t referrer_count;              /* objects there are */
	struct lt_type_counts referrer_types; /* most first */
	const char **keys;                    /* names in its namespace, or keys of a dict */
	size_t key_count;
	uint64_t keys_left;
	struct lt_paths paths;
};

/* `what` as lt_pick() takes it for one object; `top` 0: 10 rows of each list. LT_E_USAGE: no such object. */
LT_MUST_CHECK enum lt_status lt_inspect(struct lt_subject *subject, const char *what, size_t top,
					struct lt_inspection *ret_inspection);
void lt_inspection_deinit(struct lt_inspection *inspection);

#endif
