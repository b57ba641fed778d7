#include "report/print.h"

#include "analysis/trim.h"

static const char *what_happened(struct lt_screen *screen, const struct lt_trim_round *round)
{
	const char *predicted = lt_screen_bytes(screen, round->predicted_bytes);
	if (round->refusal[0] != '\0')
		return lt_screen_format(screen, "Not done: %s.",
					lt_screen_safe(screen, round->refusal));
	if (!round->called)
		return lt_screen_format(screen, "%s would go back: nothing was done.", predicted);
	const char *before = lt_screen_bytes(screen, round->before_bytes);
	const char *after = lt_screen_bytes(screen, round->after_bytes);
	bool grew = round->after_bytes > round->before_bytes;
	return lt_screen_format(
		screen, "RSS %s -> %s: %s went back%s (predicted %s).", before, after,
		lt_screen_bytes(screen, grew ? 0 : round->before_bytes - round->after_bytes),
		grew              ? ", and the process took more meanwhile"
		: round->finished ? ""
				  : " so far",
		predicted);
}

static const char *how(struct lt_screen *screen, const struct lt_trim *trim,
		       const struct lt_trim_round *round)
{
	if (!round->called)
		return "";
	return lt_screen_format(screen, "%s ran for %s %s; threads stood still for %s.",
				trim->function, lt_screen_milliseconds(screen, round->call_ms),
				round->beside ? "beside the program" : "while the program stood",
				lt_screen_milliseconds(screen, round->stall_ms));
}

void lt_print_trim_round(const struct lt_report *report, const struct lt_trim_round *round,
			 struct lt_text *out)
{
	struct lt_screen screen;
	lt_screen_init(&screen, &report->style, out);
	lt_text_addf(out, "%s  %s", lt_screen_age(&screen, (uint64_t)(round->at_seconds * 1000)),
		     what_happened(&screen, round));
	lt_screen_deinit(&screen);
}

static void add_watch(struct lt_screen *screen, const struct lt_trim *trim)
{
	enum { CELLS = 6 };
	static const struct lt_table_column columns[CELLS] = {
		{"AT", true, 0},        {"RSS BEFORE", true, 0}, {"AFTER", true, 0},
		{"WENT BACK", true, 0}, {"STOOD", true, 0},      {"", false, 0}};
	size_t shown = trim->rounds.count < 50 ? trim->rounds.count : 50;
	size_t first = trim->rounds.count - shown;
	const char *cells[50 * CELLS];
	for (size_t i = 0; i < shown; i++) {
		const struct lt_trim_round *round = &trim->rounds.data[first + i];
		const char **row = &cells[i * CELLS];
		row[0] = lt_screen_age(screen, (uint64_t)(round->at_seconds * 1000));
		row[1] = round->called ? lt_screen_bytes(screen, round->before_bytes) : "";
		row[2] = round->called ? lt_screen_bytes(screen, round->after_bytes) : "";
		row[3] = round->called && round->after_bytes < round->before_bytes
				 ? lt_screen_bytes(screen, round->before_bytes - round->after_bytes)
				 : "";
		row[4] = round->called ? lt_screen_milliseconds(screen, round->stall_ms) : "";
		row[5] = lt_screen_safe(screen, round->refusal);
	}
	lt_screen_paragraph(
		screen, 2, "", 2,
		lt_screen_format(screen,
				 "%s looks in %s: %s was called %s times and gave %s back "
				 "(predicted %s).",
				 lt_screen_count(screen, trim->looks),
				 lt_screen_age(screen, (uint64_t)(trim->seconds * 1000)),
				 trim->function, lt_screen_count(screen, trim->calls),
				 lt_screen_bytes(screen, trim->returned_bytes),
				 lt_screen_bytes(screen, trim->predicted_bytes)));
	if (shown == 0)
		return;
	lt_text_add(screen->out, "\n");
	const struct lt_table table = {.columns = columns,
				       .column_count = CELLS,
				       .cells = cells,
				       .row_count = shown,
				       .indent = 2};
	lt_screen_table(screen, &table);
}

void lt_print_trim(const struct lt_report *report, const struct lt_trim *trim, struct lt_text *out)
{
	struct lt_screen screen;
	lt_screen_init(&screen, &report->style, out);
	lt_print_head(&screen, report);
	lt_screen_heading(&screen, "TRIM", trim->allocator);
	if (trim->watched) {
		add_watch(&screen, trim);
	} else if (trim->rounds.count > 0) {
		const struct lt_trim_round *round = &trim->rounds.data[0];
		lt_screen_paragraph(&screen, 2, "", 2, what_happened(&screen, round));
		if (report->style.verbosity >= 0 && round->called)
			lt_screen_paragraph(&screen, 2, "", 2, how(&screen, trim, round));
	}
	lt_screen_deinit(&screen);
}
