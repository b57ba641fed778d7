#include "analysis/retained.h"
#include "report/print.h"

#include <string.h>

enum { CELLS = 5, BAR = 10, INDENT_MOST = 40, SHOWN_PARTS = 200 };

const char *lt_print_bar(struct lt_screen *screen, double share, unsigned columns)
{
	if (share > 1)
		share = 1;
	unsigned full = share > 0 ? (unsigned)(share * columns + 0.5) : 0;
	const char *bar = "";
	for (unsigned i = 0; i < full; i++)
		bar = lt_screen_format(screen, "%s%s", bar, screen->style->utf8 ? "\u2588" : "#");
	return bar;
}

/* What a row is: its way, behind it its type; of what is joined how many. */
static const char *name_of(struct lt_screen *screen, const struct lt_retained_entry *entry)
{
	const char *expression = lt_screen_safe(screen, entry->expression);
	const char *type = lt_screen_safe(screen, entry->type);
	const char *times = screen->style->utf8 ? "\u00d7" : "x";
	const char *name = expression;
	if (*name == '\0' && entry->address != 0)
		name = lt_screen_format(screen, "at 0x%llx", (unsigned long long)entry->address);
	switch (entry->kind) {
	case LT_RETAINED_OBJECT:
		name = lt_screen_format(screen, "%s  (%s)", name, type);
		break;
	case LT_RETAINED_ALIKE:
		if (*name == '\0' && *entry->example != '\0')
			name = lt_screen_format(screen, "such as %s",
						lt_screen_safe(screen, entry->example));
		name = lt_screen_format(screen, "%s %s %s  %s",
					lt_screen_count(screen, entry->count), times, type, name);
		break;
	case LT_RETAINED_MODULE:
		name = lt_screen_format(screen, "%s  (module)", name);
		break;
	case LT_RETAINED_ROOTS:
		break;
	case LT_RETAINED_OTHERS:
		return lt_screen_format(screen, "%s other object%s",
					lt_screen_count(screen, entry->count),
					entry->count == 1 ? "" : "s");
	}
	if (screen->style->verbosity > 0 && entry->address != 0 && *expression != '\0')
		name = lt_screen_format(screen, "%s  0x%llx", name,
					(unsigned long long)entry->address);
	if (screen->style->verbosity > 0 && *entry->where != '\0')
		name = lt_screen_format(screen, "%s  %s", name,
					lt_screen_safe(screen, entry->where));
	return name;
}

static void add_tree(struct lt_screen *screen, const struct lt_retained *retained)
{
	static const struct lt_table_column columns[CELLS] = {{"RETAINED", true, 0},
							      {"SHARE", true, 0},
							      {"", false, 0},
							      {"OWN", true, 0},
							      {"WHAT", false, 0}};
	size_t count = retained->entries.count;
	const char **cells = calloc(count * CELLS + 1, sizeof(*cells));
	/* In the order of reading: a stack of what is still to come, with the depth of each. */
	size_t *stack = malloc((count + 1) * sizeof(*stack));
	unsigned *depth = calloc(count + 1, sizeof(*depth));
	if (cells == NULL || stack == NULL || depth == NULL) {
		screen->out->failed = true;
		count = 0;
	}
	size_t height = 0, row_count = 0;
	uint64_t least = 0; /* rows below the top with less are left out */
	for (size_t i = 0; i < retained->top_count && screen->style->verbosity < 1; i++)
		least += retained->entries.data[i].retained / SHOWN_PARTS;
	for (size_t i = count > 0 ? retained->top_count : 0; i-- > 0;)
		stack[height++] = i;
	while (height > 0) {
		size_t index = stack[--height];
		const struct lt_retained_entry *entry = &retained->entries.data[index];
		unsigned indent = 2 * depth[index] < INDENT_MOST ? 2 * depth[index] : INDENT_MOST;
		const char **row = &cells[row_count++ * CELLS];
		row[0] = lt_screen_bytes(screen, entry->retained);
		row[1] = lt_screen_share(screen, entry->share);
		row[2] = lt_print_bar(screen, entry->share, BAR);
		row[3] = lt_screen_bytes(screen, entry->shallow);
		row[4] = lt_screen_format(screen, "%*s%s", (int)indent, "", name_of(screen, entry));
		for (size_t c = entry->child_count; c-- > 0;) {
			if (retained->entries.data[entry->first_child + c].retained < least)
				continue;
			depth[entry->first_child + c] = depth[index] + 1;
			stack[height++] = entry->first_child + c;
		}
	}
	const struct lt_table table = {.columns = columns,
				       .column_count = CELLS,
				       .cells = cells,
				       .row_count = row_count,
				       .indent = 2};
	if (count > 0)
		lt_screen_table(screen, &table);
	free(cells);
	free(stack);
	free(depth);
}

void lt_print_retained(const struct lt_report *report, const struct lt_retained *retained,
		       struct lt_text *out)
{
	struct lt_screen screen;
	lt_screen_init(&screen, &report->style, out);
	lt_print_head(&screen, report);
	lt_screen_heading(&screen, "WHAT KEEPS MEMORY ALIVE",
			  lt_screen_format(&screen,
					   "retained: what would go with it; of %s in %s objects",
					   lt_screen_bytes(&screen, retained->object_bytes),
					   lt_screen_count(&screen, retained->object_count)));
	add_tree(&screen, retained);
	if (report->style.verbosity == 0)
		lt_text_add(out, "\nRows below 0.5 % are left out; -v shows them.\n");
	lt_screen_deinit(&screen);
}
