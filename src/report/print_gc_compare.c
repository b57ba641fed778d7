#include "analysis/gc_compare.h"
#include "report/print.h"

#include <inttypes.h>
#include <math.h>

enum { CELLS = 4 };

static const struct {
	const char *word, *label;
	enum lt_ink ink;
} verdicts[] = {
	[LT_VERDICT_SAME] = {"nothing that matters", "SAME", LT_INK_DIM},
	[LT_VERDICT_GOOD] = {"good", "GOOD", LT_INK_GREEN},
	[LT_VERDICT_LOOK] = {"needs a look", "LOOK", LT_INK_YELLOW},
	[LT_VERDICT_BAD] = {"bad", "BAD", LT_INK_RED},
};

static const char *number(struct lt_screen *screen, double value)
{
	const char *sign = value < 0 ? "-" : "";
	value = fabs(value);
	if (value >= 100)
		return lt_screen_format(screen, "%s%s", sign,
					lt_screen_count(screen, (uint64_t)(value + 0.5)));
	return lt_screen_format(screen, "%s%.*f", sign, value >= 10 ? 1 : 2, value);
}

static const char *bytes(struct lt_screen *screen, double value)
{
	return lt_screen_format(screen, "%s%s", value < 0 ? "-" : "",
				lt_screen_bytes(screen, (uint64_t)fabs(value)));
}

static const char *cell(struct lt_screen *screen, const struct lt_gc_side *side,
			enum lt_gc_figure figure)
{
	double value = side->figure[figure];
	if (!side->known[figure])
		return "?";
	switch (lt_gc_figures[figure].unit) {
	case LT_UNIT_COUNT:
		return lt_screen_format(screen, "%s%s", value < 0 ? "-" : "",
					lt_screen_count(screen, (uint64_t)fabs(value)));
	case LT_UNIT_RATE:
		return lt_screen_format(screen, "%s/s", number(screen, value));
	case LT_UNIT_EACH:
		return number(screen, value);
	case LT_UNIT_MS:
		return lt_print_pause(screen, value);
	case LT_UNIT_BYTES:
		return bytes(screen, value);
	case LT_UNIT_BYTE_RATE:
		return lt_screen_format(screen, "%s/s", bytes(screen, value));
	case LT_UNIT_SHARE:
		return lt_screen_share(screen, value);
	case LT_UNIT_SWITCH:
		return value == 0   ? "off"
		       : value == 1 ? "on"
				    : lt_screen_format(screen, "on %.0f %%", value * 100);
	case LT_UNIT_FLAGS:
		return lt_screen_format(screen, "%.0f", value);
	case LT_UNIT_SECONDS:
		return lt_screen_format(screen, "%.1f s", value);
	}
	return "";
}

static const char *change(struct lt_screen *screen, const struct lt_gc_comparison *comparison,
			  enum lt_gc_figure figure)
{
	double before = comparison->side[LT_SIDE_BEFORE].figure[figure];
	double after = comparison->side[LT_SIDE_AFTER].figure[figure];
	enum lt_gc_unit unit = lt_gc_figures[figure].unit;
	if (!comparison->changed[figure])
		return "";
	if (unit == LT_UNIT_SWITCH || unit == LT_UNIT_FLAGS || before <= 0 || after < 0)
		return "changed";
	if (after >= 2 * before)
		return lt_screen_format(screen, "%.1f times", after / before);
	return lt_screen_format(screen, "%+.0f %%", (after / before - 1) * 100);
}

static void add_side(struct lt_screen *screen, const char *label, const struct lt_gc_side *side)
{
	const char *dot = lt_screen_dot(screen);
	lt_text_addf(screen->out, "  %-8sPID %d%sCPython %s%s%.1f s by %s%s%s collection%s%s%s\n",
		     label, (int)side->pid, dot, lt_screen_safe(screen, side->python), dot,
		     side->figure[LT_FIGURE_SECONDS], lt_watch_source_name(side->source), dot,
		     lt_screen_count(screen, side->collections), side->collections == 1 ? "" : "s",
		     side->cut ? dot : "", side->cut ? "not finished" : "");
}

static void add_reason(struct lt_screen *screen, const struct lt_gc_reason *reason)
{
	lt_text_add(screen->out, "\n  ");
	lt_screen_ink(screen, verdicts[reason->verdict].ink, verdicts[reason->verdict].label);
	lt_text_add(screen->out, "\n");
	lt_screen_paragraph(screen, 4, "", 4,
			    lt_screen_format(screen, "%s.", lt_screen_safe(screen, reason->text)));
}

/* What both do not know, and what is 0 in both, says nothing. */
static bool is_shown(const struct lt_gc_comparison *comparison, enum lt_gc_figure figure)
{
	const struct lt_gc_side *before = &comparison->side[LT_SIDE_BEFORE];
	const struct lt_gc_side *after = &comparison->side[LT_SIDE_AFTER];
	if (figure == LT_FIGURE_SECONDS)
		return false;
	if (!before->known[figure] && !after->known[figure])
		return false;
	return before->figure[figure] != 0 || after->figure[figure] != 0 ||
	       figure == LT_FIGURE_ENABLED;
}

static void add_figures(struct lt_screen *screen, const struct lt_gc_comparison *comparison)
{
	static const struct lt_table_column columns[CELLS] = {
		{"", false, 0}, {"BEFORE", true, 0}, {"AFTER", true, 0}, {"CHANGE", false, 0}};
	const char *cells[LT_FIGURE_COUNT * CELLS];
	size_t rows = 0;
	for (int i = 0; i < LT_FIGURE_COUNT; i++) {
		enum lt_gc_figure figure = (enum lt_gc_figure)i;
		if (!is_shown(comparison, figure))
			continue;
		const char **row = &cells[rows++ * CELLS];
		row[0] = lt_gc_figures[i].name;
		row[1] = cell(screen, &comparison->side[LT_SIDE_BEFORE], figure);
		row[2] = cell(screen, &comparison->side[LT_SIDE_AFTER], figure);
		row[3] = change(screen, comparison, figure);
	}
	lt_screen_heading(screen, "FIGURES", "a change is named where it is more than chance");
	const struct lt_table table = {.columns = columns,
				       .column_count = CELLS,
				       .cells = cells,
				       .row_count = rows,
				       .indent = 2};
	lt_screen_table(screen, &table);
}

void lt_print_gc_compare(const struct lt_report *report, const struct lt_gc_comparison *comparison,
			 struct lt_text *out)
{
	struct lt_screen screen;
	lt_screen_init(&screen, &report->style, out);
	lt_screen_ink(&screen, LT_INK_BOLD, "What changed: ");
	lt_screen_ink(&screen, verdicts[comparison->verdict].ink,
		      verdicts[comparison->verdict].word);
	lt_text_add(out, "\n");
	add_side(&screen, "before", &comparison->side[LT_SIDE_BEFORE]);
	add_side(&screen, "after", &comparison->side[LT_SIDE_AFTER]);
	for (size_t i = 0; i < comparison->reasons.count; i++)
		add_reason(&screen, &comparison->reasons.data[i]);
	if (report->style.verbosity >= 0)
		add_figures(&screen, comparison);
	lt_screen_deinit(&screen);
}
