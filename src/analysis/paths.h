/*
 * paths.h: who holds an object, and what holds the objects of a type: ways from the roots as Python
 * expressions. Weak references hold nothing and are on no way.
 */
#ifndef LT_ANALYSIS_PATHS_H
#define LT_ANALYSIS_PATHS_H

#include "base/arena.h"
#include "base/session.h"
#include "base/vec.h"
#include "target/memory.h"

struct lt_subject;
struct lt_picture;
struct lt_expressions;

struct lt_path_step {
	const char
		*label; /* of the first what kind of root it is, else ".name", "['key']", "[3]" */
	const char *type;
	lt_addr address;
};

/* A way to an object, or what ways to objects of a type have in common. */
struct lt_path {
	const char *root_kind;      /* "modules", "local", ... (lt_root_kind_name()) */
	const char *expression;     /* of a type with [*] for indexes and keys */
	const char *where;          /* file:line or the module's file, "" when unknown */
	struct lt_path_step *steps; /* from the root to the object; of a type to the example */
	size_t step_count;
	uint64_t steps_left; /* steps that are not in `steps`, since there are too many */

	/* Of an object: ways that differ from this one in indexes and keys only, itself included. */
	uint64_t alike;

	/* Of a type: the objects whose cheapest way is like this one. */
	uint64_t count, bytes;
	uint64_t retained;   /* what would go with each, each byte once */
	double share;        /* of all objects of the type, 0 to 1 */
	bool repeats;        /* the last steps are taken again and again, as in a linked list */
	const char *example; /* the way to the one in `steps` */
	lt_addr address;     /* of it */
};
LT_VEC(lt_path_list, struct lt_path);

/* All zero is the empty result. */
struct lt_paths {
	bool of_type;
	const char *type; /* "shop.models.Order" */
	lt_addr address;  /* of an object */
	uint64_t count,
		bytes; /* of a type: objects that are alive; of an object 1 and its own bytes */
	uint64_t dead; /* of a type: objects that no root reaches, waiting for the collector */
	struct lt_path_list list; /* of an object cheapest first, of a type most objects first */
	uint64_t more;            /* of a type: ways beside these */
	uint64_t more_count;      /* the objects that they lead to */
	bool cut;                 /* of an object: not all that holds it was looked at */
	struct lt_arena strings;
};

/*
 * `what` as lt_pick() takes it; `top` 0: 5 paths of an object, 10 of a type. LT_E_USAGE when it names nothing.
 */
LT_MUST_CHECK enum lt_status lt_paths_take(struct lt_subject *subject, const char *what, size_t top,
					   struct lt_paths *ret_paths);
void lt_paths_deinit(struct lt_paths *paths);

/*
 * Ways to one object that differ in what holds it, cheapest first: at most `top`. Needs the edges of the
 * graph and lt_picture_ways(); makes the edges backwards.
 */
LT_MUST_CHECK enum lt_status lt_paths_of_object(struct lt_picture *picture,
						struct lt_expressions *expressions, uint32_t node,
						size_t top, struct lt_paths *paths);

#endif
