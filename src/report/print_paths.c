#include "analysis/paths.h"
#include "report/print.h"

enum { STEPS_SHOWN = 30, LABEL_MOST = 48 };

static const char *sentence_of(const char *kind, struct lt_screen *screen)
{
	return lt_screen_format(screen, "root: %s", lt_screen_safe(screen, kind));
}

static void add_steps(struct lt_screen *screen, const struct lt_path *path)
{
	static const struct lt_table_column columns[] = {
		{"STEP", false, LABEL_MOST}, {"ADDRESS", false, 0}, {"TYPE", false, 0}};
	enum { COLUMNS = sizeof(columns) / sizeof(columns[0]) };
	const char *cells[STEPS_SHOWN * COLUMNS];
	size_t count = 0;
	for (size_t i = 0; i < path->step_count; i++) {
		/* Of a long way both ends. */
		if (path->step_count > STEPS_SHOWN && i >= STEPS_SHOWN / 2 &&
		    i + STEPS_SHOWN / 2 < path->step_count)
			continue;
		const char **row = &cells[count++ * COLUMNS];
		row[0] = lt_screen_safe(screen, path->steps[i].label);
		row[1] = lt_screen_format(screen, "0x%llx",
					  (unsigned long long)path->steps[i].address);
		row[2] = lt_screen_safe(screen, path->steps[i].type);
	}
	const struct lt_table table = {.columns = columns,
				       .column_count = COLUMNS,
				       .cells = cells,
				       .row_count = count,
				       .indent = 4,
				       .one_line = true};
	lt_screen_table(screen, &table);
	uint64_t hidden = path->steps_left + path->step_count - count;
	if (hidden > 0)
		lt_text_addf(screen->out, "    %s steps between them are left out\n",
			     lt_screen_count(screen, hidden));
}

static void add_path(struct lt_screen *screen, const struct lt_paths *paths, size_t index)
{
	const struct lt_path *path = &paths->list.data[index];
	lt_text_add(screen->out, "\n");
	if (paths->of_type) {
		lt_text_addf(screen->out, "  %s  %s %s, %s, retained %s\n  ",
			     lt_screen_share(screen, path->share),
			     lt_screen_count(screen, path->count),
			     path->count == 1 ? "object" : "objects",
			     lt_screen_bytes(screen, path->bytes),
			     lt_screen_bytes(screen, path->retained));
	} else {
		lt_text_addf(screen->out, "  %zu  ", index + 1);
	}
	lt_screen_ink(screen, LT_INK_CYAN, lt_screen_safe(screen, path->expression));
	lt_text_add(screen->out, path->repeats ? "  and so on\n" : "\n");
	if (*path->where != '\0')
		lt_screen_paragraph(screen, 4, "where", 12, lt_screen_safe(screen, path->where));
	if (paths->of_type && path->count > 1 && path->example != NULL)
		lt_screen_paragraph(screen, 4, "such as", 12,
				    lt_screen_safe(screen, path->example));
	if (path->alike > 1)
		lt_screen_paragraph(
			screen, 4, "alike", 12,
			lt_screen_format(screen, "%s%s ways that differ in indexes and keys only",
					 paths->cut ? "at least " : "",
					 lt_screen_count(screen, path->alike)));
	lt_screen_paragraph(screen, 4, "from", 12, sentence_of(path->root_kind, screen));
	if (screen->style->verbosity > 0 || !paths->of_type)
		add_steps(screen, path);
}

void lt_print_paths(const struct lt_report *report, const struct lt_paths *paths,
		    struct lt_text *out)
{
	struct lt_screen screen;
	lt_screen_init(&screen, &report->style, out);
	lt_print_head(&screen, report);
	const char *type = lt_screen_safe(&screen, paths->type);
	if (paths->of_type)
		lt_screen_heading(&screen, lt_screen_format(&screen, "WHAT HOLDS %s", type),
				  lt_screen_format(&screen, "%s objects, %s of their own",
						   lt_screen_count(&screen, paths->count),
						   lt_screen_bytes(&screen, paths->bytes)));
	else
		lt_screen_heading(&screen,
				  lt_screen_format(&screen, "WHO HOLDS 0x%llx",
						   (unsigned long long)paths->address),
				  lt_screen_format(&screen, "%s of %s", type,
						   lt_screen_bytes(&screen, paths->bytes)));
	for (size_t i = 0; i < paths->list.count; i++)
		add_path(&screen, paths, i);
	if (paths->list.count == 0)
		lt_text_add(out, "\n  No root reaches it: it waits for the collector.\n");
	else if (paths->dead > 0)
		lt_text_addf(out, "\n  %s more wait for the collector.\n",
			     lt_screen_count(&screen, paths->dead));
	if (paths->more > 0)
		lt_text_addf(out, "\n  %s more ways, to %s objects\n",
			     lt_screen_count(&screen, paths->more),
			     lt_screen_count(&screen, paths->more_count));
	if (paths->cut)
		lt_text_add(out, "\n  More objects lead to it than were looked at.\n");
	lt_screen_deinit(&screen);
}
