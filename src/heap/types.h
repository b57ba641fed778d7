/*
 * types.h: the types of a target, each read once.
 */
#ifndef LT_HEAP_TYPES_H
#define LT_HEAP_TYPES_H

#include "base/map.h"
#include "base/arena.h"
#include "heap/view.h"

/* How an object's body is laid out: the nearest base that kinds.def knows by module and name. */
enum lt_kind {
	LT_KIND_OPAQUE = 0, /* a C type that nobody knows: conservative scan */
	LT_KIND_OBJECT,     /* nothing beyond object: header, slots and instance attributes */
#define LT_KIND(name, module, type_name) LT_KIND_##name,
#include "heap/kinds.def"
#undef LT_KIND
	LT_KIND_COUNT
};

/* BaseException and what derives from it, each with the layout of its own. */
bool lt_kind_is_exception(enum lt_kind kind);
/* Functions, methods and partials: what lists of callbacks hold. */
bool lt_kind_is_callable(enum lt_kind kind);

struct lt_type {
	lt_addr address;
	uint32_t index; /* dense, in order of first sight */
	enum lt_kind kind;
	bool exact;        /* the kind is this very type, not a base of it */
	bool is_type_type; /* instances are types */
	bool heap_type;
	bool python_class; /* made by a class statement or a call of its metatype, not by C */
	bool gc;           /* instances carry a PyGC_Head (Py_TPFLAGS_HAVE_GC) */
	bool has_is_gc;    /* tp_is_gc decides for each instance (type objects) */
	bool managed_dict, managed_weakref, inline_values;
	uint64_t flags; /* tp_flags */
	int64_t basicsize, itemsize, dictoffset, weaklistoffset;
	lt_addr base, metatype, cached_keys;
	const char *module; /* "builtins", "shop.pricing"; "" when it cannot be read */
	const char *name;   /* qualified: "Cart.Item" */
	/* Offsets of __slots__ members of this type and its bases that hold objects; ascending. */
	const int64_t *slots;
	uint32_t slot_count;
};

/* The name of a layout in kinds.def; "OPAQUE", "OBJECT" for the two that are not there. */
const char *lt_kind_name(enum lt_kind kind);

struct lt_types;

/* A view without memory: there are no types but those of lt_types_add(). */
LT_MUST_CHECK enum lt_status lt_types_create(const struct lt_view *view,
					     struct lt_types **ret_types);
void lt_types_destroy(struct lt_types *types);

/*
 * The type at `address`, read on first sight and kept; NULL when there is no plausible type object
 * there (not counted: the caller knows whether that is a loss). Pointers stay valid.
 */
const struct lt_type *lt_types_get(struct lt_types *types, lt_addr address);

/* Stands for a type that could not be read: no module, name "unreadable". NULL: no memory. */
const struct lt_type *lt_types_unknown(struct lt_types *types);

/* Adds a type that was read before, with the next index; names are copied. False: no memory, or too many. */
bool lt_types_add(struct lt_types *types, const struct lt_type *type);

/* By dense index, index < lt_types_count(). */
const struct lt_type *lt_types_at(const struct lt_types *types, uint32_t index);
uint32_t lt_types_count(const struct lt_types *types);

/* True from there on when one was left out for want of memory: what was found with these types is not whole. */
bool lt_types_lack_memory(const struct lt_types *types);

/*
 * The same types for a thread of its own, as long as nobody adds to `types`: they are looked up only. What is not there
 * is NULL, and then lt_types_missed() is true from there on.
 */
LT_MUST_CHECK enum lt_status lt_types_create_reader(const struct lt_types *types,
						    struct lt_types **ret_reader);
bool lt_types_missed(const struct lt_types *types);

#endif
