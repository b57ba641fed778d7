#include "analysis/lines.h"

#include "analysis/read.h"
#include "base/cleanup.h"

enum { TABLE_MAX = 1 << 20, CODE_UNIT = 2 };

struct table {
	const uint8_t *data;
	size_t size;
	size_t at;
};

/* The next byte; past the end 0, and `at` stays there. */
static uint8_t next_byte(struct table *table)
{
	return table->at < table->size ? table->data[table->at++] : 0;
}

/* CPython 3.9, Objects/lnotab_notes.txt: pairs of an address step and a signed line step. */
static int line_of_lnotab(struct table *table, int first, int64_t offset)
{
	int64_t address = 0;
	int line = first;
	while (table->at + 1 < table->size) {
		address += next_byte(table);
		if (address > offset)
			break;
		line += (int8_t)next_byte(table);
	}
	return line;
}

/* CPython 3.10, PEP 626: pairs of a range's length and a signed line step; -128 is a range without a line. */
static int line_of_ranges(struct table *table, int first, int64_t offset)
{
	int64_t address = 0;
	int line = first;
	while (table->at + 1 < table->size) {
		address += next_byte(table);
		int8_t step = (int8_t)next_byte(table);
		if (step != INT8_MIN)
			line += step;
		if (address > offset)
			return step != INT8_MIN ? line : first;
	}
	return first;
}

static uint32_t varint(struct table *table)
{
	uint32_t value = 0;
	for (unsigned shift = 0; shift < 32; shift += 6) {
		uint8_t byte = next_byte(table);
		value |= (uint32_t)(byte & 63) << shift;
		if ((byte & 64) == 0)
			break;
	}
	return value;
}

static int signed_varint(struct table *table)
{
	uint32_t value = varint(table);
	return (value & 1) != 0 ? -(int)(value >> 1) : (int)(value >> 1);
}

/* CPython 3.11 and later, PEP 657 (Objects/locations.md): entries of one head byte and what its code says. */
static int line_of_locations(struct table *table, int first, int64_t offset)
{
	int64_t address = 0;
	int64_t line = first;
	while (table->at < table->size) {
		uint8_t head = next_byte(table);
		unsigned code = head >> 3 & 15;
		bool has_line = true;
		address += ((head & 7) + 1) * CODE_UNIT;
		if (code < 10) {
			next_byte(table);
		} else if (code < 13) {
			line += code - 10;
			next_byte(table);
			next_byte(table);
		} else if (code == 13) {
			line += signed_varint(table);
		} else if (code == 14) {
			line += signed_varint(table);
			varint(table);
			varint(table);
			varint(table);
		} else {
			has_line = false;
		}
		if (address > offset)
			return has_line && line > 0 && line < INT32_MAX ? (int)line : first;
	}
	return first;
}

int lt_lines_at(const struct lt_view *view, lt_addr code, int64_t offset)
{
	const struct lt_layout *layout = view->layout;
	int first = lt_read_int32(view, code, LT_PyCodeObject_co_firstlineno);
	lt_addr bytes = lt_read_pointer(view, code, LT_PyCodeObject_co_linetable);
	if (bytes == 0)
		bytes = lt_read_pointer(view, code, LT_PyCodeObject_co_lnotab);
	uint64_t size = lt_read_size(view, bytes);
	if (offset < 0 || bytes == 0 || size == 0 || size > TABLE_MAX)
		return first;
	LT_FREE uint8_t *data = malloc((size_t)size);
	if (data == NULL)
		return first;
	/* Of a table that is there in part, the part tells of the instructions up to its end. */
	size_t got = lt_memory_read(view->memory, bytes + lt_off(layout, LT_PyBytesObject_ob_sval),
				    data, (size_t)size);
	struct table table = {.data = data, .size = got};
	switch (lt_fact(layout, LT_FACT_linetable)) {
	case 0:
		return line_of_lnotab(&table, first, offset);
	case 1:
		return line_of_ranges(&table, first, offset);
	default:
		return line_of_locations(&table, first, offset);
	}
}
