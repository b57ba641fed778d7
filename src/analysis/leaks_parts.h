/*
 * leaks_parts.h: what the files of the leak analysis share.
 */
#ifndef LT_ANALYSIS_LEAKS_PARTS_H
#define LT_ANALYSIS_LEAKS_PARTS_H

#include "analysis/findings.h"
#include "analysis/growth.h"
#include "analysis/leaks.h"

LT_VEC(lt_suspects, struct lt_suspect);

/* Where growth piles up and what the things are that pile up there. */
struct lt_holding {
	const struct lt_growth_point *point;
	uint32_t node;                  /* what is shown: the lru_cache of its dict, the list, ... */
	const struct lt_type *type;     /* of `node` */
	uint64_t gained, length;        /* entries since the first picture, and now */
	const struct lt_type *item;     /* the commonest type among its newest entries, NULL: unknown */
	uint32_t sample;                /* an entry of that type, LT_NO_NODE for none */
	uint64_t items_seen, items_alike; /* entries looked at; of them of that type */
	uint64_t callables, tasks, generators, exceptions, threads, modules, classes, handlers;
	uint64_t untracked;             /* entries that the collector does not track */
	uint64_t buffer_bytes;          /* memory outside the objects */
};

/* What the suspects are made from. */
struct lt_suspecting {
	struct lt_findings findings; /* its list is not used: each finding moves into a suspect */
	const struct lt_growth *growth;
	const struct lt_generation *generations;
	size_t generation_count;
	struct lt_leaks *leaks;
	double seconds; /* from the first picture to the last, 0: unknown */
	struct lt_suspects list;
};

/* leaks_items.c: looks at what a container holds. */
void lt_holding_look(struct lt_suspecting *suspecting, const struct lt_growth_point *point,
		     struct lt_holding *holding);

/* leaks_kinds.c: says what the holding is. Fills kind, title, explanation, fix and more evidence. */
void lt_suspect_explain(struct lt_suspecting *suspecting, const struct lt_holding *holding,
			struct lt_suspect *suspect);

/* leaks_suspects.c: every suspect of the growth found, ranked, into the result. */
LT_MUST_CHECK enum lt_status lt_suspects_find(struct lt_suspecting *suspecting);

#endif
