/*
 * diff.h: what is between two pictures of one process, by type and by what holds it.
 */
#ifndef LT_ANALYSIS_DIFF_H
#define LT_ANALYSIS_DIFF_H

#include "analysis/open.h"
#include "base/arena.h"
#include "base/vec.h"

/* One side. */
struct lt_diff_side {
	pid_t pid;
	char python[32];
	uint64_t uptime_ms, rss_bytes;
	uint64_t objects, bytes;
};

/* A type, by its full name, with more or less of it than before. */
struct lt_diff_type {
	const char *type;
	uint64_t count[2], bytes[2], retained[2]; /* before and after; retained as in weights.h */
};
LT_VEC(lt_diff_types, struct lt_diff_type);

/* An object that was there before and holds more now. */
struct lt_diff_holder {
	const char *expression, *where, *type;
	lt_addr address;
	uint64_t objects;  /* new objects in it, less those that went */
	uint64_t bytes;    /* more that it holds */
	uint64_t retained; /* what it holds now */
	bool has_length;
	uint64_t length[2]; /* entries before and after */
	const char *item; /* type of the heaviest of what is new directly in it, "" when unknown */
	const char *example; /* the way to that one */
	bool shared;         /* most of what is new can be reached past it too */
};
LT_VEC(lt_diff_holders, struct lt_diff_holder);

/* All zero is the empty result. */
struct lt_diff {
	struct lt_diff_side side[2];
	bool matched; /* of one process: objects are the same by address and type */
	uint64_t new_objects, new_bytes, gone_objects; /* only when matched */
	struct lt_diff_types types;     /* with a difference, most growth in bytes first */
	struct lt_diff_holders holders; /* most growth first; only when matched */
	struct lt_identity identity;    /* of the second side */
	struct lt_cost cost;            /* of both looks together */
	struct lt_arena strings;
};

/*
 * `operands`: before and after, each a PID or a snapshot file. `top` 0: 10 holders. Sides of two processes are
 * compared by type only, with a warning.
 */
LT_MUST_CHECK enum lt_status lt_diff_take(struct lt_session *session, const char *const operands[2],
					  const struct lt_look_options *options, size_t top,
					  struct lt_diff *ret_diff);
void lt_diff_deinit(struct lt_diff *diff);

#endif
