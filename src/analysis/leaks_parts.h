/*
 * leaks_parts.h: what the files of the leak analysis share.
 */
#ifndef LT_ANALYSIS_LEAKS_PARTS_H
#define LT_ANALYSIS_LEAKS_PARTS_H

#include "analysis/findings.h"
#include "analysis/growth.h"
#include "analysis/leaks.h"

struct lt_subject;

LT_VEC(lt_suspects, struct lt_suspect);

/* What the entries of a container are; several of the counts may hold for one entry. */
enum lt_item {
	LT_ITEM_CALLABLE, /* functions, methods, partials, weak references to them */
	LT_ITEM_TASK,     /* asyncio tasks, futures and what waits in an event loop */
	LT_ITEM_GENERATOR,
	LT_ITEM_EXCEPTION, /* exceptions and tracebacks */
	LT_ITEM_THREAD,
	LT_ITEM_MODULE,
	LT_ITEM_CLASS,
	LT_ITEM_HANDLER,   /* of logging */
	LT_ITEM_UNTRACKED, /* values and tuples of values, which no list of the collector shows */
	LT_ITEM_BUFFER,    /* small objects that hold memory outside of them */
	LT_ITEM_COUNT
};

/* Where growth piles up and what it is that piles up. */
struct lt_holding {
	const struct lt_growth_point *point;
	uint32_t node;              /* what is shown */
	const struct lt_type *type; /* of `node` */
	uint64_t gained, length;    /* entries since the first picture, and now */
	const struct lt_type *item; /* the commonest type of its newest entries, NULL: unknown */
	uint32_t sample;            /* an entry of that type, LT_NO_NODE for none */
	uint64_t seen, alike;       /* entries looked at; of them of that type */
	uint64_t of[LT_ITEM_COUNT];
	uint64_t buffer_bytes; /* outside the objects, in the entries looked at */
};

/* What the nearest thing above that a user would name is. */
enum lt_place {
	LT_PLACE_UNKNOWN,
	LT_PLACE_MODULE,
	LT_PLACE_CLASS,
	LT_PLACE_INSTANCE,
	LT_PLACE_CLOSURE,
	LT_PLACE_DEFAULT,
	LT_PLACE_THREAD_LOCAL,
	LT_PLACE_CONTEXT,
	LT_PLACE_LOCAL,     /* a variable of a running function */
	LT_PLACE_SUSPENDED, /* a variable of a suspended generator or coroutine */
	LT_PLACE_EXCEPTION, /* a variable of a frame that a traceback keeps, or an attribute of an exception */
	LT_PLACE_CACHE,
};

struct lt_setting {
	enum lt_place place;
	uint32_t owner;             /* the module, class, instance, function; LT_NO_NODE for none */
	const struct lt_type *type; /* of an instance, or the class itself */
	struct lt_text name;        /* of the attribute or variable, "" when unknown */
	struct lt_text key;         /* the nearest key below it, "" for none */
	bool of_subclasses;         /* the table of the subclasses of a class */
	const struct lt_root
		*root; /* where the way begins, NULL when it was not followed to its end */
};

/* What the suspects are made from. */
struct lt_suspecting {
	struct lt_findings findings; /* its list is not used: each finding moves into a suspect */
	const struct lt_growth *growth;
	const struct lt_generation *generations;
	size_t generation_count;
	const struct lt_subject *subject; /* the last one */
	struct lt_leaks *leaks;
	double seconds; /* from the first picture to the last, 0: unknown */
	struct lt_suspects list;
};

/* leaks_steady.c */
/* Less steady growth may be a warm-up or a burst. */
#define LT_LEAKS_STEADY 0.25
/*
 * How steady a figure grew that each look has, 0 to 1: of three looks and more the least step by the mean
 * one. Of two the start of the process stands for a third, at which it was 0.
 */
double lt_leaks_steadiness(const struct lt_suspecting *suspecting, const double *values);
/* The same of a point. */
double lt_leaks_point_steadiness(const struct lt_suspecting *suspecting,
				 const struct lt_growth_point *point);
/* Says what two looks can tell of a point and what not; nothing when there are more. */
void lt_leaks_tell_two(struct lt_suspecting *suspecting, const struct lt_growth_point *point,
		       struct lt_suspect *suspect);

/* leaks_items.c */
bool lt_leaks_is_item(const struct lt_picture *picture, uint32_t node, enum lt_item item);
/* Looks at what a container holds. */
void lt_holding_look(struct lt_suspecting *suspecting, const struct lt_growth_point *point,
		     struct lt_holding *holding);

/* leaks_setting.c */
enum lt_kind lt_leaks_kind(const struct lt_picture *picture, uint32_t node);
/* The name that a key or an attribute is to its user; "" for none. */
void lt_leaks_key(const struct lt_picture *picture, lt_addr key, struct lt_text *name);
/* Follows the way up from the node. `setting` is all zero before. */
void lt_setting_find(const struct lt_suspecting *suspecting, uint32_t node,
		     struct lt_setting *setting);
void lt_setting_deinit(struct lt_setting *setting);

/* leaks_kinds.c: says what the holding is. Fills kind, title, explanation, fix and more evidence. */
void lt_suspect_explain(struct lt_suspecting *suspecting, const struct lt_holding *holding,
			struct lt_suspect *suspect);

/* leaks_others.c: adds those of growth that piles up in no object. */
LT_MUST_CHECK enum lt_status lt_suspects_find_others(struct lt_suspecting *suspecting);

/* A suspect without an expression, at the end of the list; NULL: no memory, which the findings have noted. */
struct lt_suspect *lt_suspect_begin(struct lt_suspecting *suspecting, const char *kind,
				    enum lt_severity severity, uint64_t bytes);
/* " in 30 s", or nothing when the time is not known. */
const char *lt_leaks_window(struct lt_suspecting *suspecting);

/* leaks_native.c: adds those of what C code has. */
void lt_suspects_find_native(struct lt_suspecting *suspecting);

/* leaks_suspects.c: every suspect of the growth found, ranked, into the result. */
LT_MUST_CHECK enum lt_status lt_suspects_find(struct lt_suspecting *suspecting);

#endif
