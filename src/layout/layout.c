/*
 * layout.c: the tables of layout.h, from fields.def, facts.def, columns.def and columns.inc.
 */
#include "layout/layout.h"

#include <stddef.h>
#include <string.h>

enum {
#define LT_COLUMN(tag, name, first, last) COLUMN_##tag,
#define LT_VERIFIED(hex)
#include "layout/columns.def"
#undef LT_COLUMN
#undef LT_VERIFIED
	COLUMN_COUNT
};

static const struct lt_column columns[COLUMN_COUNT] = {
#define LT_COLUMN(tag, name, first, last) {name, first, last},
#define LT_VERIFIED(hex)
#include "layout/columns.def"
#undef LT_COLUMN
#undef LT_VERIFIED
};

static const uint32_t verified[] = {
#define LT_COLUMN(tag, name, first, last)
#define LT_VERIFIED(hex) hex,
#include "layout/columns.def"
#undef LT_COLUMN
#undef LT_VERIFIED
};

static const int32_t offsets[LT_FIELD_COUNT][COLUMN_COUNT] = {
#include "layout/columns.inc"
};

static const int64_t facts[LT_FACT_COUNT][COLUMN_COUNT] = {
#define LT_FACT(name, meaning, source, ...) {__VA_ARGS__},
#include "layout/facts.def"
#undef LT_FACT
};

static const char *const field_names[LT_FIELD_COUNT] = {
#define LT_FIELD(structure, member) #structure "." #member,
#define LT_SIZEOF(structure) "sizeof(" #structure ")",
#include "layout/fields.def"
#undef LT_FIELD
#undef LT_SIZEOF
};

static const struct {
	const char *name;
	const char *meaning;
	const char *source;
} fact_names[LT_FACT_COUNT] = {
#define LT_FACT(name, meaning, source, ...) {#name, meaning, source},
#include "layout/facts.def"
#undef LT_FACT
};

const char *lt_field_name(enum lt_field field)
{
	return (unsigned)field < LT_FIELD_COUNT ? field_names[field] : "";
}

const char *lt_fact_name(enum lt_fact fact)
{
	return (unsigned)fact < LT_FACT_COUNT ? fact_names[fact].name : "";
}

const char *lt_fact_meaning(enum lt_fact fact)
{
	return (unsigned)fact < LT_FACT_COUNT ? fact_names[fact].meaning : "";
}

const char *lt_fact_source(enum lt_fact fact)
{
	return (unsigned)fact < LT_FACT_COUNT ? fact_names[fact].source : "";
}

unsigned lt_column_count(void)
{
	return COLUMN_COUNT;
}

const struct lt_column *lt_column_at(unsigned index)
{
	return &columns[index];
}

int lt_column_find(uint32_t hex)
{
	for (unsigned i = 0; i < COLUMN_COUNT; i++)
		if (hex >= columns[i].first && hex <= columns[i].last)
			return (int)i;
	return -1;
}

bool lt_release_is_verified(uint32_t hex)
{
	for (size_t i = 0; i < sizeof verified / sizeof verified[0]; i++)
		if (verified[i] == hex)
			return true;
	return false;
}

void lt_column_layout(unsigned index, struct lt_layout *ret_layout)
{
	memset(ret_layout, 0, sizeof *ret_layout);
	strncpy(ret_layout->name, columns[index].name, sizeof ret_layout->name - 1);
	for (unsigned i = 0; i < LT_FIELD_COUNT; i++)
		ret_layout->off[i] = offsets[i][index];
	for (unsigned i = 0; i < LT_FACT_COUNT; i++)
		ret_layout->fact[i] = facts[i][index];
}
