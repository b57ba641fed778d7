#include "layout/debug_offsets.h"

#include <string.h>

enum {
	COOKIE_SIZE = 8,
	TABLE_MAX = 4096,      /* bytes; 888 in 3.15.0 */
	STRUCT_MAX = 16 << 20, /* bytes; the largest, the interpreter's state, has 0.3 MiB */
	PLAIN_MAX = 4096,      /* bytes; of a struct whose size the table does not tell */
};

static const char cookie[COOKIE_SIZE] = {'x', 'd', 'e', 'b', 'u', 'g', 'p', 'y'};

bool lt_debug_offsets_probe(struct lt_memory *memory, lt_addr runtime,
			    struct lt_debug_header *ret_header)
{
	/* Include/internal/pycore_debug_offsets.h: cookie, version, free_threaded; the same since 3.13.0. */
	uint64_t words[3];
	if (lt_memory_probe(memory, runtime, words, sizeof words) != sizeof words ||
	    memcmp(words, cookie, COOKIE_SIZE) != 0)
		return false;
	uint64_t version = words[1], free_threaded = words[2];
	if (version < 0x030d0000 || version > 0x03ffffff || free_threaded > 1)
		return false;
	ret_header->hex = (uint32_t)version;
	ret_header->free_threaded = free_threaded != 0;
	return true;
}

struct table {
	const struct lt_layout *column;
	const uint8_t *bytes;
	size_t size;
	bool *told; /* by row: the table gave it */
};

/* The member of the table at `position`; false when this release has none. */
static bool member(const struct table *table, enum lt_field position, uint64_t *ret_value)
{
	if (!lt_has(table->column, position) || lt_off(table->column, position) + 8 > table->size)
		return false;
	memcpy(ret_value, table->bytes + lt_off(table->column, position), 8);
	return true;
}

/* Sets the row when the member is there. False: it is not plausible. */
static bool take_size(const struct table *table, enum lt_field position, enum lt_field row,
		      struct lt_layout *layout)
{
	uint64_t value;
	if (!member(table, position, &value))
		return true;
	if (value == 0 || value > STRUCT_MAX || value % 4 != 0)
		return false;
	layout->off[row] = (int32_t)value;
	table->told[row] = true;
	return true;
}

/* `size`: the member that tells the size of the struct. */
static bool take_offset(const struct table *table, enum lt_field position, enum lt_field row,
			enum lt_field size, struct lt_layout *layout)
{
	uint64_t value, limit = PLAIN_MAX;
	if (!member(table, position, &value))
		return true;
	if (size != LT_FIELD_COUNT && !member(table, size, &limit))
		limit = STRUCT_MAX;
	/* An array at the end of a struct starts at its size or before. */
	if (value > limit)
		return false;
	if (lt_has(table->column, row) && lt_off(table->column, row) % 4 == 0 && value % 4 != 0)
		return false;
	layout->off[row] = (int32_t)value;
	table->told[row] = true;
	return true;
}

static bool take_all(const struct table *table, struct lt_layout *layout)
{
	bool good = true;
#define AT(name) LT__Py_DebugOffsets_##name
#define LT_DEBUG_SIZE(name, row) good = good && take_size(table, AT(name), row, layout);
#define LT_DEBUG_OFFSET(name, row, size)                                                           \
	good = good && take_offset(table, AT(name), row, AT(size), layout);
#define LT_DEBUG_PLAIN(name, row)                                                                  \
	good = good && take_offset(table, AT(name), row, LT_FIELD_COUNT, layout);
#include "layout/debug_offsets.def"
#undef LT_DEBUG_SIZE
#undef LT_DEBUG_OFFSET
#undef LT_DEBUG_PLAIN
#undef AT
	return good;
}

/* Rows of one struct stand together in fields.def; the struct of a size is its own. */
static size_t struct_length(enum lt_field row)
{
	const char *name = lt_field_name(row);
	const char *dot = strchr(name, '.');
	return dot != NULL ? (size_t)(dot - name) : 0;
}

/*
 * What the table does not tell moves with the nearest member before it that the table does tell: a member
 * that a patch release adds shifts all behind it.
 */
static void follow(const struct lt_layout *column, const bool *told, struct lt_layout *layout)
{
	for (int row = 0; row < LT_FIELD_COUNT; row++) {
		const char *name = lt_field_name((enum lt_field)row);
		size_t length = struct_length((enum lt_field)row);
		int nearest = -1;
		if (told[row] || length == 0 || column->off[row] < 0)
			continue;
		for (int other = 0; other < LT_FIELD_COUNT; other++)
			if (told[other] && struct_length((enum lt_field)other) == length &&
			    strncmp(lt_field_name((enum lt_field)other), name, length) == 0 &&
			    column->off[other] >= 0 && column->off[other] <= column->off[row] &&
			    (nearest < 0 || column->off[other] > column->off[nearest]))
				nearest = other;
		if (nearest >= 0)
			layout->off[row] += layout->off[nearest] - column->off[nearest];
	}
}

bool lt_debug_offsets_apply(struct lt_memory *memory, lt_addr runtime, struct lt_layout *layout)
{
	uint8_t bytes[TABLE_MAX];
	if (!lt_has(layout, LT_sizeof__Py_DebugOffsets) ||
	    lt_off(layout, LT_sizeof__Py_DebugOffsets) > sizeof bytes)
		return false;
	struct table table = {layout, bytes, lt_off(layout, LT_sizeof__Py_DebugOffsets), NULL};
	if (lt_memory_probe(memory, runtime, bytes, table.size) != table.size)
		return false;
	struct lt_layout own = *layout;
	bool told[LT_FIELD_COUNT] = {false};
	table.told = told;
	if (!take_all(&table, &own))
		return false;
	follow(layout, told, &own);
	*layout = own;
	return true;
}
