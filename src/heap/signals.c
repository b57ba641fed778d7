#include "heap/signals.h"

#include "base/cleanup.h"
#include "layout/object.h"

#include <string.h>

enum {
	ENTRY = 16, /* an int, whether the signal came, and the handler: 3.9 to 3.15 */
	TABLE = LT_SIGNALS * ENTRY,
	USUAL_LEAST = 40, /* signals that the program leaves to the system */
	SEGMENT_MOST = 64 << 20,
	BLOCK = 64 << 10, /* bytes that are looked through at once */
};

static lt_addr handler_at(const uint8_t *table, int signal)
{
	return lt_word(table, (uint64_t)signal * ENTRY + 8);
}

/* Most signals have the same handler, the int that stands for the system's way (SIG_DFL, which is 0). */
static bool is_table(const struct lt_view *view, const uint8_t *table)
{
	/* Nobody handles the highest ones, as a rule: most places end here. */
	lt_addr usual = handler_at(table, LT_SIGNALS - 1);
	if (usual == 0 || (usual & 7) != 0 || handler_at(table, LT_SIGNALS - 2) != usual ||
	    handler_at(table, 0) != 0)
		return false;
	int same = 0;
	for (int i = 0; i < LT_SIGNALS; i++) {
		same += handler_at(table, i) == usual;
		if (lt_half(table, (uint64_t)i * ENTRY) > 1 || (i > 0 && handler_at(table, i) == 0))
			return false;
	}
	int64_t value = -1;
	return same >= USUAL_LEAST && lt_int_read(view->layout, view->memory, usual, &value) &&
	       value == 0;
}

/* The interpreter's variables: writable parts of its file, and what follows them without a file (.bss). */
static bool has_variables(const struct lt_view *view, size_t i)
{
	const struct lt_mappings *mappings = &view->process->mappings;
	const struct lt_mapping *mapping = &mappings->data[i];
	const char *own = lt_elf_path(view->python->elf);
	if (!mapping->readable || !mapping->writable ||
	    mapping->end - mapping->start > SEGMENT_MOST)
		return false;
	if (strcmp(mapping->path, own) == 0)
		return true;
	return i > 0 && *mapping->path == '\0' && mappings->data[i - 1].end == mapping->start &&
	       strcmp(mappings->data[i - 1].path, own) == 0;
}

static lt_addr find_in(const struct lt_view *view, lt_addr start, lt_addr end)
{
	/* A table that two blocks share is whole in the second. */
	LT_FREE uint8_t *bytes = malloc(BLOCK + TABLE);
	if (bytes == NULL)
		return 0;
	for (lt_addr at = start; at + TABLE <= end; at += BLOCK) {
		size_t wanted = end - at < BLOCK + TABLE ? (size_t)(end - at) : BLOCK + TABLE;
		size_t got = lt_memory_probe(view->memory, at, bytes, wanted);
		for (size_t i = 0; i + TABLE <= got && i < BLOCK; i += 8) {
			if (is_table(view, bytes + i))
				return at + i;
		}
	}
	return 0;
}

lt_addr lt_signals_find(const struct lt_view *view)
{
	if (view->process == NULL || view->python->elf == NULL)
		return 0;
	const struct lt_mappings *mappings = &view->process->mappings;
	for (size_t i = 0; i < mappings->count; i++) {
		/* The file's own part may end in the middle of the table. */
		lt_addr end = mappings->data[i].end;
		if (!has_variables(view, i))
			continue;
		if (i + 1 < mappings->count && has_variables(view, i + 1) &&
		    mappings->data[i + 1].start == end)
			end = mappings->data[i + 1].end;
		lt_addr found = find_in(view, mappings->data[i].start, end);
		if (found != 0)
			return found;
	}
	return 0;
}

bool lt_signals_read(const struct lt_view *view, lt_addr table, lt_addr ret_handlers[LT_SIGNALS])
{
	uint8_t bytes[TABLE];
	if (table == 0 || lt_memory_probe(view->memory, table, bytes, TABLE) != TABLE)
		return false;
	for (int i = 0; i < LT_SIGNALS; i++)
		ret_handlers[i] = handler_at(bytes, i);
	return true;
}
