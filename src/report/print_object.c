#include "analysis/inspect.h"
#include "report/print.h"

enum { TEXT_COLUMN = 14, CELLS = 4, LABEL_MOST = 32, TYPE_MOST = 32 };

static void add_line(struct lt_screen *screen, const char *label, const char *text)
{
	if (*text != '\0')
		lt_screen_paragraph(screen, 2, label, TEXT_COLUMN, text);
}

static const char *flags_of(struct lt_screen *screen, const struct lt_inspection *found)
{
	const struct {
		bool set;
		const char *text;
	} flags[] = {
		{found->tracked, "tracked by the collector"},
		{found->permanent, "in the permanent generation (gc.freeze())"},
		{found->immortal, "immortal"},
		{found->is_static, "lies in a mapped file"},
		{!found->alive, "garbage: no root reaches it"},
	};
	const char *text = "";
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (flags[i].set)
			text = lt_screen_format(screen, "%s%s%s", text,
						*text == '\0' ? "" : lt_screen_dot(screen),
						flags[i].text);
	return text;
}

static const char *count_of(struct lt_screen *screen, const struct lt_inspection *found)
{
	if (!found->has_count)
		return "not counted";
	const char *dot = lt_screen_dot(screen);
	const char *text = lt_screen_format(
		screen, "%lld%s%s from objects%s%s from frames and the interpreter",
		(long long)found->count, dot, lt_screen_count(screen, found->count_objects), dot,
		lt_screen_count(screen, found->count_roots));
	if (found->count_scanned > 0)
		text = lt_screen_format(screen, "%s%s%s from memory of C code", text, dot,
					lt_screen_count(screen, found->count_scanned));
	return found->count_unexplained == 0
		       ? text
		       : lt_screen_format(screen, "%s%s%lld unexplained", text, dot,
					  (long long)found->count_unexplained);
}

static void add_neighbours(struct lt_screen *screen, const char *title, const char *note,
			   const struct lt_neighbours *list, const char *first, bool expression)
{
	const struct lt_table_column columns[CELLS + 1] = {{"RETAINED", true, 0},
							   {"ADDRESS", false, 0},
							   {"TYPE", false, TYPE_MOST},
							   {first, false, LABEL_MOST},
							   {"EXPRESSION", false, 0}};
	size_t width = expression ? CELLS + 1 : CELLS;
	const char **cells = calloc(list->count * width + 1, sizeof(*cells));
	if (cells == NULL) {
		screen->out->failed = true;
		return;
	}
	for (size_t i = 0; i < list->count; i++) {
		const struct lt_neighbour *one = &list->data[i];
		const char **row = &cells[i * width];
		row[0] = lt_screen_bytes(screen, one->retained);
		row[1] = lt_screen_format(screen, "0x%llx", (unsigned long long)one->address);
		row[2] = lt_screen_safe(screen, one->type);
		row[3] = lt_screen_safe(screen, one->label);
		if (expression)
			row[4] = lt_screen_safe(screen, one->expression);
	}
	lt_screen_heading(screen, title, note);
	const struct lt_table table = {.columns = columns,
				       .column_count = width,
				       .cells = cells,
				       .row_count = list->count,
				       .indent = 2};
	lt_screen_table(screen, &table);
	free(cells);
}

static void add_ways(struct lt_screen *screen, const struct lt_inspection *found)
{
	lt_screen_heading(screen, "WAYS TO IT", "'lowtide path' shows their steps");
	for (size_t i = 0; i < found->paths.list.count; i++) {
		lt_text_add(screen->out, "  ");
		lt_screen_ink(screen, LT_INK_CYAN,
			      lt_screen_safe(screen, found->paths.list.data[i].expression));
		lt_text_add(screen->out, "\n");
	}
	if (found->paths.list.count == 0)
		lt_text_add(screen->out, "  No root reaches it: it waits for the collector.\n");
}

void lt_print_inspection(const struct lt_report *report, const struct lt_inspection *found,
			 struct lt_text *out)
{
	struct lt_screen screen;
	lt_screen_init(&screen, &report->style, out);
	lt_print_head(&screen, report);
	lt_screen_heading(
		&screen,
		lt_screen_format(&screen, "OBJECT 0x%llx", (unsigned long long)found->address),
		lt_screen_safe(&screen, found->type));
	add_line(&screen, "own",
		 lt_screen_format(&screen, "%s (%s bytes)", lt_screen_bytes(&screen, found->bytes),
				  lt_screen_count(&screen, found->bytes)));
	add_line(&screen, "retained", lt_screen_bytes(&screen, found->retained));
	add_line(&screen, "state", flags_of(&screen, found));
	add_line(&screen, "references", count_of(&screen, found));
	add_line(&screen, "where", lt_screen_safe(&screen, found->where));
	for (size_t i = 0; i < found->facts.count; i++) {
		const struct lt_fact_shown *fact = &found->facts.data[i];
		add_line(&screen, fact->name,
			 fact->text != NULL
				 ? lt_screen_safe(&screen, fact->text)
				 : lt_screen_format(&screen, "%lld", (long long)fact->number));
	}
	const char *keys = "";
	for (size_t i = 0; i < found->key_count; i++)
		keys = lt_screen_format(&screen, "%s%s%s", keys, i == 0 ? "" : ", ",
					lt_screen_safe(&screen, found->keys[i]));
	if (found->keys_left > 0)
		keys = lt_screen_format(&screen, "%s and %s more", keys,
					lt_screen_count(&screen, found->keys_left));
	add_line(&screen, "keys", keys);
	add_ways(&screen, found);
	if (found->dominators.count > 0)
		add_neighbours(&screen, "GOES WITH",
			       "what must go for it to go, nearest first: its dominators",
			       &found->dominators, "", true);
	const char *types = "";
	for (size_t i = 0; i < found->referrer_types.count; i++)
		types = lt_screen_format(
			&screen, "%s%s%s %s", types, i == 0 ? "" : ", ",
			lt_screen_count(&screen, found->referrer_types.data[i].count),
			lt_screen_safe(&screen, found->referrer_types.data[i].type));
	if (found->referrers.count > 0)
		add_neighbours(&screen, "REFERRED TO BY",
			       lt_screen_format(&screen, "%s object%s: %s",
						lt_screen_count(&screen, found->referrer_count),
						found->referrer_count == 1 ? "" : "s", types),
			       &found->referrers, "BY", true);
	if (found->referents.count > 0)
		add_neighbours(&screen, "REFERS TO",
			       lt_screen_format(&screen, "%s references",
						lt_screen_count(&screen, found->referent_count)),
			       &found->referents, "BY", false);
	lt_screen_deinit(&screen);
}
