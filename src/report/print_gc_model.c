#include "analysis/gc_advise.h"
#include "report/print.h"

#include <string.h>

enum { CELLS = 9, ROWS_MOST = LT_GC_CURVE_MOST + LT_GC_ASKED_MOST + 2 };

static const struct lt_table_column columns[CELLS] = {
	{"THRESHOLDS", false, 0}, {"RUNS", true, 0}, {"YOUNG", true, 0},
	{"MIDDLE", true, 0},      {"FULL", true, 0}, {"TIME", true, 0},
	{"SHARE", true, 0},       {"MAX", true, 0},  {"MORE MEMORY", true, 0}};

static const char *length(struct lt_screen *screen, double ms)
{
	return ms < 1 ? lt_screen_format(screen, "%.2f ms", ms)
		      : lt_screen_milliseconds(screen, ms);
}

static const char *setting_name(struct lt_screen *screen, const struct lt_gc_setting *setting)
{
	if (setting->bound_bytes > 0)
		return lt_screen_format(screen, "off, at most %s",
					lt_screen_bytes(screen, setting->bound_bytes));
	return lt_screen_format(screen, "%lld, %lld, %lld%s", (long long)setting->thresholds[0],
				(long long)setting->thresholds[1],
				(long long)setting->thresholds[2],
				setting->freeze ? ", frozen" : "");
}

static const char *change(struct lt_screen *screen, int64_t bytes)
{
	if (bytes == 0)
		return "0";
	uint64_t size = bytes < 0 ? (uint64_t)-bytes : (uint64_t)bytes;
	return lt_screen_format(screen, "%s%s", bytes < 0 ? "-" : "+",
				lt_screen_bytes(screen, size));
}

static void fill(struct lt_screen *screen, const struct lt_gc_prediction *prediction,
		 const char *note, const char **row)
{
	row[0] = lt_screen_format(screen, "%s%s", setting_name(screen, &prediction->setting), note);
	row[1] = lt_screen_count(screen, prediction->all_collections);
	for (int i = 0; i < LT_GC_GENERATIONS; i++)
		row[2 + i] = lt_screen_count(screen, prediction->collections[i]);
	row[5] = length(screen, prediction->gc_time_ms);
	row[6] = lt_screen_format(screen, "%.2f %%", prediction->share * 100);
	row[7] = length(screen, prediction->pause_max_ms);
	row[8] = change(screen, prediction->extra_bytes);
}

static void add_rows(struct lt_screen *screen, const struct lt_gc_prediction *predictions,
		     size_t count, const struct lt_gc_prediction *first, const char *note)
{
	const char *cells[ROWS_MOST * CELLS];
	size_t rows = 0;
	if (first != NULL)
		fill(screen, first, note, &cells[rows++ * CELLS]);
	for (size_t i = 0; i < count && rows < ROWS_MOST; i++)
		fill(screen, &predictions[i], "", &cells[rows++ * CELLS]);
	const struct lt_table table = {.columns = columns,
				       .column_count = CELLS,
				       .cells = cells,
				       .row_count = rows,
				       .indent = 2};
	lt_screen_table(screen, &table);
}

static void add_advice(struct lt_screen *screen, const struct lt_gc_what_if *answer)
{
	const struct lt_gc_prediction *advice = &answer->advice, *now = &answer->recorded;
	const char *goal = answer->goal.pause_ms > 0
				   ? lt_screen_format(screen, "a worst pause of %s",
						      length(screen, answer->goal.pause_ms))
				   : lt_screen_format(screen, "%.2f %% of the time in collections",
						      answer->goal.share * 100);
	char call[160];
	lt_gc_setting_call(&advice->setting, call, sizeof(call));
	lt_screen_heading(screen, "ADVICE", lt_screen_format(screen, "for at most %s", goal));
	if (answer->already) {
		lt_screen_paragraph(screen, 2, "", 2,
				    "The settings keep that already: leave them.");
		return;
	}
	lt_screen_paragraph(screen, 2, answer->met ? "set" : "nearest", 10, call);
	lt_screen_paragraph(
		screen, 2, "gives", 10,
		lt_screen_format(
			screen,
			"%s collections in place of %s, %.2f %% of the time in place of %.2f %%, "
			"worst pause %s in place of %s, %s of memory that waits longer.",
			lt_screen_count(screen, advice->all_collections),
			lt_screen_count(screen, now->all_collections), advice->share * 100,
			now->share * 100, length(screen, advice->pause_max_ms),
			length(screen, now->pause_max_ms), change(screen, advice->extra_bytes)));
	if (!answer->met)
		lt_screen_paragraph(screen, 2, "why", 10,
				    "No thresholds reach it: a full collection has to look at "
				    "every object that lives. "
				    "Fewer objects, or gc.freeze() after the start where the heap "
				    "hardly grows, make it shorter.");
}

void lt_print_gc_what_if(struct lt_screen *screen, const struct lt_gc_what_if *answer)
{
	if (answer->basis == LT_BASIS_NONE) {
		lt_screen_heading(screen, "WHAT IF", "");
		lt_screen_paragraph(
			screen, 2, "", 2,
			lt_screen_format(screen, "Nothing can be said: %s.", answer->why));
		return;
	}
	const char *basis = answer->basis == LT_BASIS_PATH
				    ? "replayed on how the count of generation 0 went"
				    : "from the counts at collections: bursts are not known";
	if (answer->asked_count > 0) {
		lt_screen_heading(screen, "WHAT IF", basis);
		add_rows(screen, answer->asked, answer->asked_count, &answer->recorded, "  (now)");
	}
	if (answer->advised) {
		lt_screen_heading(screen, "THRESHOLDS AGAINST TIME AND MEMORY", basis);
		add_rows(screen, answer->curve, answer->curve_count, &answer->recorded, "  (now)");
		add_advice(screen, answer);
	}
	lt_screen_paragraph(
		screen, 2, "", 2,
		lt_screen_format(screen,
				 "For the work of this recording. More memory: garbage that waits, "
				 "at %s of %.0f "
				 "bytes an object.",
				 answer->bytes_known ? "a measured size" : "a usual size",
				 answer->bytes_per_object));
}
