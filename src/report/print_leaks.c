#include "report/print.h"

/* "+12,340 objects, +4.1 MiB in 30 s (0.1 MiB/s), holds 8.0 MiB, 41.0 %". */
static const char *growth(struct lt_screen *screen, const struct lt_leaks *leaks,
			  const struct lt_suspect *suspect)
{
	double seconds =
		leaks->look_count > 0 ? leaks->looks[leaks->look_count - 1].at_ms / 1e3 : 0;
	const char *rate = "";
	if (suspect->bytes_per_second > 0)
		rate = lt_screen_format(
			screen, " in %.0f s (%s/s)", seconds,
			lt_screen_bytes(screen, (uint64_t)suspect->bytes_per_second));
	const char *objects =
		suspect->growth_objects > 0
			? lt_screen_format(screen, "+%s objects, ",
					   lt_screen_count(screen, suspect->growth_objects))
			: "";
	return lt_screen_format(screen, "%s+%s%s%sheld %s%sheap share %s", objects,
				lt_screen_bytes(screen, suspect->growth_bytes), rate,
				lt_screen_dot(screen),
				lt_screen_bytes(screen, suspect->retained_bytes),
				lt_screen_dot(screen), lt_screen_share(screen, suspect->share));
}

static void add_suspects(struct lt_screen *screen, const struct lt_leaks *leaks)
{
	if (leaks->suspect_count == 0) {
		lt_screen_heading(screen, "NO SUSPECTS", "nothing grew that stayed");
		return;
	}
	size_t counts[LT_CRITICAL + 1] = {0};
	for (size_t i = 0; i < leaks->suspect_count; i++)
		counts[leaks->suspects[i].finding.severity]++;
	lt_screen_heading(screen, leaks->suspect_count == 1 ? "SUSPECT" : "SUSPECTS",
			  lt_print_severities(screen, counts));
	for (size_t i = 0; i < leaks->suspect_count; i++)
		lt_print_finding(screen, &leaks->suspects[i].finding,
				 growth(screen, leaks, &leaks->suspects[i]));
}

static void add_looks(struct lt_screen *screen, const struct lt_leaks *leaks)
{
	static const struct lt_table_column columns[] = {
		{"AFTER", true, 0}, {"STALL", true, 0},   {"OBJECTS", true, 0},
		{"HEAP", true, 0},  {"GARBAGE", true, 0}, {"ANONYMOUS", true, 0}};
	enum { COLUMNS = sizeof(columns) / sizeof(columns[0]) };
	const char *cells[LT_LEAKS_LOOKS_MAX * COLUMNS];
	for (size_t i = 0; i < leaks->look_count; i++) {
		const struct lt_leaks_look *look = &leaks->looks[i];
		const char **row = &cells[i * COLUMNS];
		row[0] = lt_screen_format(screen, "%.1f s", look->at_ms / 1e3);
		row[1] = lt_screen_milliseconds(screen, look->stall_ms);
		row[2] = lt_screen_count(screen, look->objects);
		row[3] = lt_screen_bytes(screen, look->bytes);
		row[4] = lt_screen_count(screen, look->garbage_objects);
		row[5] = look->anonymous_bytes > 0 ? lt_screen_bytes(screen, look->anonymous_bytes)
						   : "?";
	}
	lt_screen_heading(screen, "LOOKS",
			  lt_screen_format(screen,
					   "garbage: objects that the collector has not freed yet"
					   "%snew since the first look %s objects, %s",
					   lt_screen_dot(screen),
					   lt_screen_count(screen, leaks->new_objects),
					   lt_screen_bytes(screen, leaks->new_bytes)));
	const struct lt_table table = {.columns = columns,
				       .column_count = COLUMNS,
				       .cells = cells,
				       .row_count = leaks->look_count,
				       .indent = 2};
	lt_screen_table(screen, &table);
}

void lt_print_leaks(const struct lt_report *report, const struct lt_leaks *leaks,
		    struct lt_text *out)
{
	struct lt_screen screen;
	lt_screen_init(&screen, &report->style, out);
	lt_print_head(&screen, report);
	add_suspects(&screen, leaks);
	if (report->style.verbosity >= 0)
		add_looks(&screen, leaks);
	lt_screen_deinit(&screen);
}
