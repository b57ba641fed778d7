#include "analysis/diff.h"
#include "report/print.h"

enum { ROWS = 20, CELLS = 4, TEXT_COLUMN = 12 };

/* "+1.5 MiB", "-120", "0". */
static const char *change(struct lt_screen *screen, uint64_t before, uint64_t after, bool bytes)
{
	uint64_t much = after >= before ? after - before : before - after;
	const char *text = bytes ? lt_screen_bytes(screen, much) : lt_screen_count(screen, much);
	return lt_screen_format(screen, "%s%s",
				after > before   ? "+"
				: after < before ? "-"
						 : "",
				text);
}

static void add_side(struct lt_screen *screen, const char *label, const struct lt_diff_side *side)
{
	const char *dot = lt_screen_dot(screen);
	lt_text_addf(screen->out, "  %-8sPID %d%sup %s%s%s objects%s%s%sRSS %s\n", label,
		     (int)side->pid, dot, lt_screen_age(screen, side->uptime_ms), dot,
		     lt_screen_count(screen, side->objects), dot,
		     lt_screen_bytes(screen, side->bytes), dot,
		     lt_screen_bytes(screen, side->rss_bytes));
}

static void add_holder(struct lt_screen *screen, const struct lt_diff_holder *holder)
{
	const char *dot = lt_screen_dot(screen);
	lt_text_addf(screen->out, "\n  +%-10s", lt_screen_bytes(screen, holder->bytes));
	const char *expression = lt_screen_safe(screen, holder->expression);
	if (*expression == '\0')
		expression = holder->address != 0
				     ? lt_screen_format(screen, "at 0x%llx",
							(unsigned long long)holder->address)
				     : "held by no Python object";
	lt_screen_ink(screen, LT_INK_CYAN, expression);
	lt_text_add(screen->out, "\n");
	const char *text = lt_screen_format(screen, "%s new objects%sholds %s now",
					    lt_screen_count(screen, holder->objects), dot,
					    lt_screen_bytes(screen, holder->retained));
	if (*holder->type != '\0')
		text = lt_screen_format(screen, "%s%s%s", lt_screen_safe(screen, holder->type), dot,
					text);
	if (holder->has_length)
		text = lt_screen_format(screen, "%s%s%s to %s entries", text, dot,
					lt_screen_count(screen, holder->length[0]),
					lt_screen_count(screen, holder->length[1]));
	lt_screen_paragraph(screen, 4, "", TEXT_COLUMN, text);
	if (*holder->item != '\0')
		lt_screen_paragraph(screen, 4, "such as", TEXT_COLUMN,
				    lt_screen_format(screen, "%s  %s",
						     lt_screen_safe(screen, holder->item),
						     lt_screen_safe(screen, holder->example)));
	if (holder->shared)
		lt_screen_paragraph(screen, 4, "shared", TEXT_COLUMN,
				    "most of what is new can be reached past it too");
	if (*holder->where != '\0')
		lt_screen_paragraph(screen, 4, "where", TEXT_COLUMN,
				    lt_screen_safe(screen, holder->where));
}

static void add_types(struct lt_screen *screen, const struct lt_diff *diff, uint64_t top)
{
	static const struct lt_table_column columns[CELLS] = {
		{"BYTES", true, 0}, {"RETAINED", true, 0}, {"COUNT", true, 0}, {"TYPE", false, 0}};
	size_t shown = top != 0 && top < diff->types.count ? (size_t)top : diff->types.count;
	if (top == 0 && shown > ROWS)
		shown = ROWS;
	const char **cells = calloc(shown * CELLS + 1, sizeof(*cells));
	if (cells == NULL) {
		screen->out->failed = true;
		return;
	}
	for (size_t i = 0; i < shown; i++) {
		const struct lt_diff_type *type = &diff->types.data[i];
		const char **row = &cells[i * CELLS];
		row[0] = change(screen, type->bytes[0], type->bytes[1], true);
		row[1] = change(screen, type->retained[0], type->retained[1], true);
		row[2] = change(screen, type->count[0], type->count[1], false);
		row[3] = lt_screen_safe(screen, type->type);
	}
	const char *note = shown < diff->types.count
				   ? lt_screen_format(screen, "%zu of %zu types with a difference",
						      shown, diff->types.count)
				   : "";
	lt_screen_heading(screen, "BY TYPE", note);
	const struct lt_table table = {.columns = columns,
				       .column_count = CELLS,
				       .cells = cells,
				       .row_count = shown,
				       .indent = 2};
	lt_screen_table(screen, &table);
	free(cells);
}

void lt_print_diff(const struct lt_report *report, const struct lt_diff *diff, uint64_t top,
		   struct lt_text *out)
{
	struct lt_screen screen;
	lt_screen_init(&screen, &report->style, out);
	lt_print_head(&screen, report);
	lt_screen_heading(&screen, "WHAT IS BETWEEN THEM", "");
	add_side(&screen, "before", &diff->side[0]);
	add_side(&screen, "after", &diff->side[1]);
	lt_text_addf(out, "  %-8s%s objects, %s", "change",
		     change(&screen, diff->side[0].objects, diff->side[1].objects, false),
		     change(&screen, diff->side[0].bytes, diff->side[1].bytes, true));
	if (diff->matched)
		lt_text_addf(out, ": %s new with %s, %s gone",
			     lt_screen_count(&screen, diff->new_objects),
			     lt_screen_bytes(&screen, diff->new_bytes),
			     lt_screen_count(&screen, diff->gone_objects));
	lt_text_add(out, "\n");
	if (diff->matched) {
		lt_screen_heading(&screen, "WHAT HOLDS MORE",
				  diff->holders.count > 0 ? "objects that were there before"
							  : "nothing that was there before");
		for (size_t i = 0; i < diff->holders.count; i++)
			add_holder(&screen, &diff->holders.data[i]);
	}
	add_types(&screen, diff, top);
	lt_screen_deinit(&screen);
}
