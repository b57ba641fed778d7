/*
 * layout.h: every offset, flag and named fact of the CPython releases that lowtide knows, as data.
 *
 * A field is named by CPython's own struct and member: LT_FIELD(PyDictObject, ma_keys) in fields.def
 * is the enumerator LT_PyDictObject_ma_keys; lt_off(layout, LT_PyDictObject_ma_keys) is its offset in
 * bytes. Structs that are private to a .c file of CPython have the name that they have there. A fact
 * (facts.def) is a number or a truth about a release that is not an offset: LT_FACT_inline_values.
 *
 * Code outside src/layout/ never compares versions: it asks lt_has() for a field or reads a fact.
 */
#ifndef LT_LAYOUT_LAYOUT_H
#define LT_LAYOUT_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>

enum lt_field {
#define LT_FIELD(structure, member) LT_##structure##_##member,
#define LT_SIZEOF(structure) LT_sizeof_##structure,
#include "layout/fields.def"
#undef LT_FIELD
#undef LT_SIZEOF
	LT_FIELD_COUNT
};

enum lt_fact {
#define LT_FACT(name, meaning, ...) LT_FACT_##name,
#include "layout/facts.def"
#undef LT_FACT
	LT_FACT_COUNT
};

enum { LT_ABSENT = -1 };

struct lt_layout {
	char name[16]; /* of the column: "3.13.13" */
	int32_t off
		[LT_FIELD_COUNT]; /* offset or size in bytes, LT_ABSENT where the release has no such member */
	int64_t fact[LT_FACT_COUNT]; /* 0 where it does not apply */
};

static inline bool lt_has(const struct lt_layout *layout, enum lt_field field)
{
	return layout->off[field] >= 0;
}

/* The offset of a field that lt_has(). */
static inline uint64_t lt_off(const struct lt_layout *layout, enum lt_field field)
{
	return (uint64_t)layout->off[field];
}

static inline int64_t lt_fact(const struct lt_layout *layout, enum lt_fact fact)
{
	return layout->fact[fact];
}

/* "PyDictObject.ma_keys", "sizeof(PyDictObject)", for messages and tests. */
const char *lt_field_name(enum lt_field field);

/* "immortal", what it means, and the file of CPython that says so. */
const char *lt_fact_name(enum lt_fact fact);
const char *lt_fact_meaning(enum lt_fact fact);
const char *lt_fact_source(enum lt_fact fact);

/* The releases known, ascending. A column is one of them without any target's own offsets. */
struct lt_column {
	const char *name;     /* "3.13.13" */
	uint32_t first, last; /* as PY_VERSION_HEX, inclusive */
};
unsigned lt_column_count(void);
const struct lt_column *lt_column_at(unsigned index);

/* The index of the column for a release, -1 for none. */
int lt_column_find(uint32_t hex);

/* The release's own headers or debug information were compared with its column. */
bool lt_release_is_verified(uint32_t hex);

/* Fills *ret_layout with a column, index < lt_column_count(). */
void lt_column_layout(unsigned index, struct lt_layout *ret_layout);

#endif
