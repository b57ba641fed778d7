#include "report/print.h"

#include <string.h>

enum { ROWS = 30, NAME_WIDTH = 60, CELLS = 5 };

static const char *const mode_names[] = {[LT_MODE_FORK] = "frozen by a fork",
					 [LT_MODE_STOP] = "stopped",
					 [LT_MODE_LIVE] = "read while it ran"};

void lt_print_head(struct lt_screen *screen, const struct lt_report *report)
{
	const struct lt_identity *who = report->identity;
	const char *dot = lt_screen_dot(screen);
	if (who == NULL)
		return;
	lt_screen_ink(screen, LT_INK_BOLD, lt_screen_format(screen, "PID %d", (int)who->pid));
	lt_text_addf(screen->out, "%sCPython %s%sup %s%sRSS %s%s%u thread%s\n", dot,
		     lt_screen_safe(screen, who->python), dot,
		     lt_screen_age(screen, who->uptime_ms), dot,
		     lt_screen_bytes(screen, who->rss_bytes), dot, who->thread_count,
		     who->thread_count == 1 ? "" : "s");
	const char *command = lt_screen_safe(screen, who->command_line);
	if (report->style.width != 0 && report->style.verbosity < 1)
		command = lt_screen_cut(screen, command, report->style.width);
	lt_text_addf(screen->out, "%s\n", command);
	if (report->style.verbosity > 0)
		lt_text_addf(screen->out, "%s\n", lt_screen_safe(screen, who->executable));
	if (report->style.verbosity < 0)
		return;
	const char *cost =
		who->stored
			? lt_screen_format(screen, "From a file; %s in all, %s of memory at most.",
					   lt_screen_milliseconds(screen, report->cost.elapsed_ms),
					   lt_screen_bytes(screen, report->cost.peak_bytes))
		: who->mode == LT_MODE_LIVE && report->cost.stall_ms <= 0
			? lt_screen_format(
				  screen,
				  "This look: nothing stopped; %s in all, %s of memory at most.",
				  lt_screen_milliseconds(screen, report->cost.elapsed_ms),
				  lt_screen_bytes(screen, report->cost.peak_bytes))
		: who->mode == LT_MODE_LIVE
			? lt_screen_format(
				  screen,
				  "In all: the process stood still for %s; %s, %s of memory at "
				  "most.",
				  lt_screen_milliseconds(screen, report->cost.stall_ms),
				  lt_screen_milliseconds(screen, report->cost.elapsed_ms),
				  lt_screen_bytes(screen, report->cost.peak_bytes))
			: lt_screen_format(
				  screen,
				  "This look: the process stood still for %s (%s); %s in all, "
				  "%s of memory at most.",
				  lt_screen_milliseconds(screen, report->cost.stall_ms),
				  mode_names[who->mode],
				  lt_screen_milliseconds(screen, report->cost.elapsed_ms),
				  lt_screen_bytes(screen, report->cost.peak_bytes));
	lt_screen_paragraph(screen, 0, "", 0, cost);
	if (report->session->unreadable > 0) {
		lt_screen_ink(
			screen, LT_INK_YELLOW,
			lt_screen_format(screen,
					 "Not readable: %s piece%s of the target, left out below.",
					 lt_screen_count(screen, report->session->unreadable),
					 report->session->unreadable == 1 ? "" : "s"));
		lt_text_add(screen->out, "\n");
	}
}

static const char *full_name(struct lt_screen *screen, const struct lt_composition_row *row)
{
	const char *type = lt_screen_safe(screen, row->type);
	const char *module = lt_screen_safe(screen, row->module);
	return *module == '\0' || strcmp(module, "builtins") == 0
		       ? type
		       : lt_screen_format(screen, "%s.%s", module, type);
}

void lt_print_kinds(struct lt_screen *screen, const struct lt_composition_row *rows, size_t count,
		    uint64_t all_bytes, bool weighed)
{
	static const struct lt_table_column all_columns[CELLS] = {{"RETAINED", true, 0},
								  {"BYTES", true, 0},
								  {"SHARE", true, 0},
								  {"COUNT", true, 0},
								  {"TYPE", false, 0}};
	size_t width = weighed ? CELLS : CELLS - 1;
	const char **cells = calloc(count * width + 1, sizeof(*cells));
	if (cells == NULL) {
		screen->out->failed = true;
		return;
	}
	for (size_t i = 0; i < count; i++) {
		const char **row = &cells[i * width];
		if (weighed)
			*row++ = lt_screen_bytes(screen, rows[i].retained);
		row[0] = lt_screen_bytes(screen, rows[i].bytes);
		row[1] = lt_screen_share(
			screen, all_bytes == 0 ? 0 : (double)rows[i].bytes / (double)all_bytes);
		row[2] = lt_screen_count(screen, rows[i].count);
		row[3] = full_name(screen, &rows[i]);
	}
	const struct lt_table table = {.columns = all_columns + CELLS - width,
				       .column_count = width,
				       .cells = cells,
				       .row_count = count,
				       .indent = 2};
	lt_screen_table(screen, &table);
	free(cells);
}

void lt_print_types(const struct lt_report *report, const struct lt_composition *composition,
		    uint64_t top, struct lt_text *out)
{
	struct lt_screen screen;
	lt_screen_init(&screen, &report->style, out);
	lt_print_head(&screen, report);
	size_t shown = top == 0 ? ROWS : (size_t)top;
	if (shown > composition->row_count)
		shown = composition->row_count;
	const char *note = lt_screen_format(
		&screen, "%s in %s %s, %s kind%s%s", lt_screen_bytes(&screen, composition->bytes),
		lt_screen_count(&screen, composition->count),
		composition->all ? "objects that can be reached"
				 : "objects that the collector tracks",
		lt_screen_count(&screen, composition->row_count),
		composition->row_count == 1 ? "" : "s",
		shown < composition->row_count
			? lt_screen_format(&screen, ", the %zu biggest below", shown)
			: "");
	lt_screen_heading(&screen, "KINDS OF OBJECT", note);
	lt_print_kinds(&screen, composition->rows, shown, composition->bytes, composition->weighed);
	if (composition->permanent > 0)
		lt_text_addf(out,
			     "\n%s of them are frozen (gc.freeze()): the collector never looks at "
			     "them.\n",
			     lt_screen_count(&screen, composition->permanent));
	if (report->style.verbosity > 0)
		lt_text_addf(out, "\n%s\n",
			     composition->proved ? "The tracked objects were proved complete "
						   "against the collector's lists."
						 : "The tracked objects were found by walking the "
						   "collector's lists.");
	lt_screen_deinit(&screen);
}
