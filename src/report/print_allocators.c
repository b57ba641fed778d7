#include "report/print.h"

#include "analysis/allocators.h"

#include <string.h>

enum { CELLS = 8 };

/* A word as a shell reads it; what it quotes was made harmless before. */
static const char *quoted(struct lt_screen *screen, const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789_./:=,+-@%";
	const char *safe = lt_screen_safe(screen, word);
	if (safe[0] != '\0' && safe[strspn(safe, plain)] == '\0')
		return safe;
	const char *text = "'";
	for (const char *rest = safe; *rest != '\0'; rest++)
		text = *rest == '\'' ? lt_screen_format(screen, "%s'\\''", text)
				     : lt_screen_format(screen, "%s%c", text, *rest);
	return lt_screen_format(screen, "%s'", text);
}

static const char *command_line(struct lt_screen *screen, char *const *command)
{
	const char *line = "";
	for (; *command != NULL; command++)
		line = lt_screen_format(screen, "%s%s%s", line, line[0] != '\0' ? " " : "",
					quoted(screen, *command));
	return line;
}

static const char *ending(struct lt_screen *screen, const struct lt_trial *trial)
{
	if (trial->timed_out)
		return "time over";
	if (trial->signal != 0)
		return lt_screen_format(
			screen, "SIG%s",
			sigabbrev_np(trial->signal) != NULL ? sigabbrev_np(trial->signal) : "?");
	return lt_screen_format(screen, "%d", trial->exit_code);
}

/* Smaller is a gain: "-31 %". */
static const char *change(struct lt_screen *screen, double gain)
{
	int percent = (int)(-100 * gain + (gain < 0 ? 0.5 : -0.5));
	return percent == 0 ? "0 %" : lt_screen_format(screen, "%+d %%", percent);
}

static const char *note(struct lt_screen *screen, const struct lt_allocator_result *result)
{
	switch (result->state) {
	case LT_ALLOCATOR_MISSING:
		return lt_screen_format(screen, "not installed: package %s", result->package);
	case LT_ALLOCATOR_NOT_LOADED:
		return "the library was not loaded: the figures say nothing";
	case LT_ALLOCATOR_FAILED:
		return "fails with it";
	case LT_ALLOCATOR_SLOW:
		return "does not end in time with it";
	default:
		return result->what;
	}
}

static void add_settings(struct lt_screen *screen, const struct lt_allocators *allocators)
{
	static const struct lt_table_column columns[CELLS] = {
		{"SETTING", false, 0}, {"PEAK", true, 0}, {"CHANGE", true, 0}, {"FINAL", true, 0},
		{"CHANGE", true, 0},   {"TIME", true, 0}, {"EXIT", true, 0},   {"NOTE", false, 0}};
	const char *cells[LT_ALLOCATOR_SETTINGS * CELLS];
	size_t count = 0;
	for (size_t i = 0; i < LT_ALLOCATOR_SETTINGS; i++) {
		const struct lt_allocator_result *result = &allocators->results[i];
		if (result->state == LT_ALLOCATOR_SKIPPED)
			continue;
		const char **row = &cells[count++ * CELLS];
		for (size_t j = 0; j < CELLS; j++)
			row[j] = "";
		row[0] = result->name;
		row[CELLS - 1] = note(screen, result);
		if (result->run_count == 0)
			continue;
		const struct lt_trial *figures = &result->figures;
		row[1] = lt_screen_bytes(screen, figures->peak_bytes);
		row[2] = i > 0 ? change(screen, result->peak_gain) : "";
		row[3] = lt_screen_bytes(screen, figures->final_bytes);
		row[4] = i > 0 ? change(screen, result->final_gain) : "";
		row[5] = lt_screen_format(screen, "%.2f s", (double)figures->elapsed_ns / 1e9);
		row[6] = ending(screen, figures);
	}
	const struct lt_table table = {.columns = columns,
				       .column_count = CELLS,
				       .cells = cells,
				       .row_count = count,
				       .indent = 2};
	lt_screen_table(screen, &table);
}

static void add_advice(struct lt_screen *screen, const struct lt_allocators *allocators)
{
	const struct lt_allocator_result *advice = allocators->advice;
	if (advice == NULL) {
		lt_screen_heading(screen, "ADVICE", "");
		lt_screen_paragraph(screen, 2, "", 2,
				    lt_screen_format(screen, "None: %s.", allocators->reason));
		return;
	}
	lt_screen_heading(screen, "ADVICE", advice->name);
	lt_screen_paragraph(
		screen, 2, "", 2,
		lt_screen_format(
			screen,
			"Set this in the environment of the service: peak RSS %s, final RSS "
			"%s%s.",
			change(screen, advice->peak_gain), change(screen, advice->final_gain),
			advice->time_ratio > 0 ? lt_screen_format(screen, ", time %+.0f %%",
								  100 * (advice->time_ratio - 1))
					       : ""));
	for (size_t i = 0; i < advice->variable_count; i++)
		lt_text_addf(screen->out, "      %s=%s\n", advice->variables[i].name,
			     quoted(screen, advice->variables[i].value));
}

void lt_print_allocators(const struct lt_report *report, const struct lt_allocators *allocators,
			 struct lt_text *out)
{
	struct lt_screen screen;
	lt_screen_init(&screen, &report->style, out);
	lt_screen_paragraph(&screen, 0, "", 0, command_line(&screen, allocators->command));
	lt_screen_heading(&screen, "ALLOCATORS",
			  allocators->runs == 1
				  ? "resident memory, one run each"
				  : lt_screen_format(&screen, "resident memory, medians of %u runs",
						     allocators->runs));
	add_settings(&screen, allocators);
	add_advice(&screen, allocators);
	lt_screen_deinit(&screen);
}
