#include "report/print.h"

enum { CELLS = 8 };

static const char *collector_state(struct lt_screen *screen, const struct lt_ps_row *row)
{
	if (row->interpreters == 0)
		return "?";
	const struct lt_collector_generation *generations = row->main.generations;
	return lt_screen_format(screen, "%s %lld,%lld,%lld", row->main.enabled ? "on" : "OFF",
				(long long)generations[0].threshold,
				(long long)generations[1].threshold,
				(long long)generations[2].threshold);
}

static const char *last_cell(struct lt_screen *screen, const struct lt_ps_row *row)
{
	const char *command = lt_screen_safe(screen, row->command_line);
	if (*row->problem == '\0')
		return command;
	return lt_screen_format(screen, "[%s] %s", lt_screen_safe(screen, row->problem), command);
}

void lt_print_ps(const struct lt_report *report, const struct lt_ps *ps, struct lt_text *out)
{
	static const struct lt_table_column columns[CELLS] = {
		{"PID", true, 0}, {"PYTHON", false, 12}, {"RSS", true, 0},  {"UP", true, 0},
		{"THR", true, 0}, {"GC", false, 32},     {"FULL", true, 0}, {"COMMAND", false, 0}};
	struct lt_screen screen;
	lt_screen_init(&screen, &report->style, out);
	const char **cells = calloc(ps->row_count * CELLS + 1, sizeof(*cells));
	if (cells == NULL) {
		out->failed = true;
		return;
	}
	for (size_t i = 0; i < ps->row_count; i++) {
		const struct lt_ps_row *process = &ps->rows[i];
		const char **row = &cells[i * CELLS];
		row[0] = lt_screen_format(&screen, "%d", (int)process->pid);
		row[1] = *process->python == '\0' ? "?" : lt_screen_safe(&screen, process->python);
		row[2] = lt_screen_bytes(&screen, process->rss_bytes);
		row[3] = lt_screen_age(&screen, process->uptime_ms);
		row[4] = lt_screen_format(&screen, "%u", process->thread_count);
		row[5] = collector_state(&screen, process);
		row[6] = process->interpreters == 0
				 ? "?"
				 : lt_screen_count(&screen,
						   process->main.generations[LT_GENERATIONS - 1]
							   .collections);
		row[7] = last_cell(&screen, process);
	}
	const struct lt_table table = {.columns = columns,
				       .column_count = CELLS,
				       .cells = cells,
				       .row_count = ps->row_count,
				       .one_line = report->style.verbosity < 1};
	if (ps->row_count > 0)
		lt_screen_table(&screen, &table);
	else
		lt_text_add(out, "No CPython process here that can be looked at.\n");
	free(cells);
	for (size_t i = 0; report->style.verbosity >= 0 && i < ps->skipped_count; i++)
		lt_text_addf(out, "%sNot looked at: %s process%s%s: %s\n", i == 0 ? "\n" : "",
			     lt_screen_count(&screen, ps->skipped[i].count),
			     ps->skipped[i].count == 1 ? "" : "es",
			     ps->skipped[i].count == 1 ? "" : ", the first",
			     lt_screen_safe(&screen, ps->skipped[i].reason));
	lt_screen_deinit(&screen);
}
