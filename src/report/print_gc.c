#include "analysis/gc_findings.h"
#include "report/print.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
	OLDEST = LT_GC_GENERATIONS - 1,
	PLACES = 8,       /* rows of that table */
	LONGEST = 3,      /* pauses that are shown with their stack */
	STACK_FRAMES = 6, /* of each, unless -v */
	CHANGES = 10,
	HANG = 14,
};

static void add_timeline(struct lt_screen *screen, const struct lt_gc_result *result)
{
	lt_screen_heading(screen, "OVER TIME",
			  lt_screen_format(screen, "%.0f s from left to right",
					   lt_gc_summary_seconds(&result->summary)));
	lt_print_gc_curves(screen, &result->recording, &result->summary, false);
}

enum { CELLS = 8 };
static const struct lt_table_column columns[CELLS] = {
	{"", false, 0},   {"RUNS", true, 0}, {"A SECOND", true, 0}, {"P50", true, 0},
	{"P99", true, 0}, {"MAX", true, 0},  {"TIME", true, 0},     {"COLLECTED", true, 0}};

const char *lt_print_pause(struct lt_screen *screen, double ms)
{
	if (ms <= 0)
		return "-";
	if (ms < 0.1)
		return lt_screen_format(screen, screen->style->utf8 ? "%.1f \u00b5s" : "%.1f us",
					ms * 1000);
	return ms < 1 ? lt_screen_format(screen, "%.2f ms", ms)
		      : lt_screen_milliseconds(screen, ms);
}

static void fill_row(struct lt_screen *screen, const struct lt_gc_summary *summary,
		     const char *name, const struct lt_gc_group *group, const char **row)
{
	const struct lt_gc_pauses *pauses = &group->pauses;
	double seconds = lt_gc_summary_seconds(summary);
	row[0] = name;
	row[1] = lt_screen_count(screen, group->count);
	row[2] = lt_screen_format(screen, "%.2f", seconds > 0 ? (double)group->count / seconds : 0);
	row[3] = lt_print_pause(screen, lt_gc_pauses_ms(pauses, 0.5));
	row[4] = lt_print_pause(screen, lt_gc_pauses_ms(pauses, 0.99));
	row[5] = lt_print_pause(screen, (double)pauses->max_ns / 1e6);
	row[6] = lt_screen_format(screen, "%.2f %%",
				  lt_gc_summary_share(summary, pauses->total_ns) * 100);
	row[7] = lt_screen_count(screen, group->collected);
}

void lt_print_gc_groups(struct lt_screen *screen, const struct lt_gc_summary *summary, bool causes)
{
	static const char *const generations[] = {"young (0)", "middle (1)", "full (2)"};
	const char *cells[(LT_GC_GENERATIONS + LT_CAUSE_COUNT + 1) * CELLS];
	size_t rows = 0;
	for (int g = 0; g <= OLDEST; g++) {
		if (summary->by_generation[g].count > 0)
			fill_row(screen, summary, generations[g], &summary->by_generation[g],
				 &cells[rows++ * CELLS]);
	}
	for (int cause = 0; causes && cause < LT_CAUSE_COUNT; cause++) {
		if (summary->by_cause[cause].count > 0)
			fill_row(screen, summary, lt_gc_cause_name((enum lt_gc_cause)cause),
				 &summary->by_cause[cause], &cells[rows++ * CELLS]);
	}
	fill_row(screen, summary, "all", &summary->all, &cells[rows++ * CELLS]);
	const struct lt_table table = {.columns = columns,
				       .column_count = CELLS,
				       .cells = cells,
				       .row_count = rows,
				       .indent = 2};
	lt_screen_table(screen, &table);
}

static void add_groups(struct lt_screen *screen, const struct lt_gc_summary *summary)
{
	lt_screen_heading(
		screen, "COLLECTIONS",
		"by generation and by cause; time: share in which the program stood still");
	lt_print_gc_groups(screen, summary, true);
	uint64_t short_ones = summary->all.pauses.short_ones;
	if (short_ones > 0)
		lt_screen_paragraph(
			screen, 2, "", 2,
			lt_screen_format(
				screen,
				"%s of them were too short for polling to time: percentiles count "
				"them as the shortest, their time is not in the figures.",
				lt_screen_count(screen, short_ones)));
	else if (summary->missed > 0)
		lt_screen_paragraph(
			screen, 2, "", 2,
			lt_screen_format(
				screen,
				"%s of them were too short or came too fast to be seen one by one: "
				"the counters of the process tell of them, their time is not in "
				"the figures.",
				lt_screen_count(screen, summary->missed)));
}

static void add_places(struct lt_screen *screen, const struct lt_gc_summary *summary)
{
	static const struct lt_table_column place_columns[] = {
		{"RUNS", true, 0}, {"MAX", true, 0},    {"PAUSES", true, 0},
		{"GEN", true, 0},  {"CAUSE", false, 0}, {"WHERE", false, 0}};
	enum { PLACE_CELLS = sizeof(place_columns) / sizeof(place_columns[0]) };
	const char *cells[PLACES * PLACE_CELLS];
	size_t rows = 0;
	for (size_t i = 0; i < summary->place_count && rows < PLACES; i++) {
		const struct lt_gc_place *place = &summary->places[i];
		if (*place->where == '\0')
			continue;
		const char **row = &cells[rows++ * PLACE_CELLS];
		double all = (double)summary->all.pauses.total_ns;
		row[0] = lt_screen_count(screen, place->count);
		row[1] = lt_print_pause(screen, (double)place->max_ns / 1e6);
		row[2] = lt_screen_share(screen, all > 0 ? (double)place->total_ns / all : 0);
		row[3] = lt_screen_format(screen, "%d", place->generation);
		row[4] = lt_gc_cause_name(place->cause);
		row[5] = lt_screen_safe(screen, place->where);
	}
	if (rows == 0)
		return;
	lt_screen_heading(
		screen, "PLACES",
		"who called, or what ran when a threshold was crossed; share of all pauses");
	const struct lt_table table = {.columns = place_columns,
				       .column_count = PLACE_CELLS,
				       .cells = cells,
				       .row_count = rows,
				       .indent = 2};
	lt_screen_table(screen, &table);
}

static int longest_first(const void *left, const void *right)
{
	const struct lt_gc_event *a = *(const struct lt_gc_event *const *)left;
	const struct lt_gc_event *b = *(const struct lt_gc_event *const *)right;
	uint64_t a_ns = a->seen.end_ns - a->seen.start_ns, b_ns = b->seen.end_ns - b->seen.start_ns;
	if (a_ns != b_ns)
		return a_ns < b_ns ? 1 : -1;
	return (a->seen.start_ns > b->seen.start_ns) - (a->seen.start_ns < b->seen.start_ns);
}

static void add_stack(struct lt_screen *screen, const struct lt_gc_recording *recording,
		      const struct lt_gc_event *event)
{
	uint32_t most = screen->style->verbosity > 0 ? UINT32_MAX : STACK_FRAMES;
	for (uint32_t i = 0; i < event->stack_count && i < most; i++) {
		const struct lt_gc_frame *frame = &recording->frames.data[event->stack_first + i];
		lt_text_addf(screen->out, "%*s%s:%d %s\n", HANG, "",
			     lt_screen_safe(screen, frame->file), frame->line,
			     lt_screen_safe(screen, frame->function));
	}
	if (event->stack_count > most)
		lt_text_addf(screen->out, "%*s... %u more (-v)\n", HANG, "",
			     event->stack_count - most);
}

static void add_longest(struct lt_screen *screen, const struct lt_gc_result *result)
{
	const struct lt_gc_recording *recording = &result->recording;
	const struct lt_gc_event **events =
		calloc(recording->events.count + 1, sizeof(struct lt_gc_event *));
	size_t count = 0;
	if (events == NULL) {
		screen->out->failed = true;
		return;
	}
	for (size_t i = 0; i < recording->events.count; i++) {
		const struct lt_gc_event *event = &recording->events.data[i];
		if (event->seen.kind == LT_WATCH_COLLECTION &&
		    event->seen.end_ns > event->seen.start_ns)
			events[count++] = event;
	}
	qsort(events, count, sizeof(const struct lt_gc_event *), longest_first);
	if (count > 0)
		lt_screen_heading(
			screen, "LONGEST PAUSES",
			"the longest of each cause and place, with what ran, innermost first");
	size_t shown = 0;
	for (size_t i = 0; i < count && shown < LONGEST; i++) {
		const struct lt_watch_event *seen = &events[i]->seen;
		/* Of those that ran for one reason at one place the longest is enough. */
		bool again = false;
		for (size_t k = 0; k < i && !again; k++)
			again = events[k]->cause == events[i]->cause &&
				events[k]->seen.generation == seen->generation &&
				strcmp(events[k]->where, events[i]->where) == 0;
		if (again)
			continue;
		shown++;
		const char *dot = lt_screen_dot(screen);
		const char *head = lt_screen_format(
			screen, "at %.2f s%sgeneration %d%s%s%scollected %lld",
			(double)(int64_t)(seen->start_ns - recording->start_ns) / 1e9, dot,
			seen->generation, dot, lt_gc_cause_name(events[i]->cause), dot,
			(long long)seen->collected);
		if (seen->interpreter != 0)
			head = lt_screen_format(screen, "%s%sinterpreter %llu", head, dot,
						(unsigned long long)seen->interpreter);
		lt_screen_paragraph(
			screen, 2,
			lt_print_pause(screen, (double)(seen->end_ns - seen->start_ns) / 1e6), HANG,
			head);
		lt_screen_paragraph(screen, 2, "", HANG,
				    lt_screen_safe(screen, events[i]->evidence));
		add_stack(screen, recording, events[i]);
	}
	free(events);
}

static void add_changes(struct lt_screen *screen, const struct lt_gc_recording *recording)
{
	size_t shown = 0;
	for (size_t i = 0; i < recording->events.count; i++) {
		const struct lt_gc_event *event = &recording->events.data[i];
		if (event->seen.kind != LT_WATCH_CALLED && event->seen.kind != LT_WATCH_CHANGED)
			continue;
		if (shown++ == 0)
			lt_screen_heading(screen, "CHANGES", "what was done to the collector");
		if (shown > CHANGES && screen->style->verbosity < 1)
			continue;
		lt_screen_paragraph(screen, 2,
				    lt_screen_format(screen, "at %.2f s",
						     (double)(int64_t)(event->seen.start_ns -
								       recording->start_ns) /
							     1e9),
				    HANG, lt_screen_safe(screen, event->evidence));
	}
	if (shown > CHANGES && screen->style->verbosity < 1)
		lt_text_addf(screen->out, "  ... %zu more (-v)\n", shown - CHANGES);
}

static void add_state(struct lt_screen *screen, const struct lt_gc_result *result)
{
	const struct lt_gc_summary *summary = &result->summary;
	const struct lt_gc_recording *recording = &result->recording;
	const struct lt_gc_generation *g = summary->last.state.generations;
	const char *dot = lt_screen_dot(screen);
	lt_text_addf(screen->out, "Watched %.1f s%ssource %s%s%s\n", lt_gc_summary_seconds(summary),
		     dot, lt_watch_source_name(recording->source),
		     !recording->ended ? ""
		     : *recording->replaced_by != '\0'
			     ? lt_screen_format(screen, "%sthe program was replaced", dot)
			     : lt_screen_format(screen, "%sthe process ended", dot),
		     recording->cut ? lt_screen_format(screen, "%sthe recording is cut off", dot)
				    : "");
	if (*recording->replaced_by != '\0')
		lt_screen_paragraph(
			screen, 0, "", 0,
			lt_screen_format(screen,
					 "It became another program by exec(): %s. What follows is "
					 "of the one before.",
					 lt_screen_safe(screen, recording->replaced_by)));
	if (summary->sampled)
		lt_screen_paragraph(
			screen, 0, "", 0,
			lt_screen_format(
				screen,
				"Collector %s%sthresholds %lld, %lld, %lld%s%s new tracked objects "
				"a "
				"second, less those freed at once",
				summary->last.state.enabled ? "on" : "OFF", dot,
				(long long)g[0].threshold, (long long)g[1].threshold,
				(long long)g[2].threshold, dot,
				lt_screen_count(screen,
						(uint64_t)fmax(0, lt_gc_summary_rate(summary)))));
	if (summary->others > 0)
		lt_screen_paragraph(
			screen, 0, "", 0,
			lt_screen_format(screen,
					 "%s of the collections ran in other interpreters than the "
					 "main one, which have settings of their own; one with a "
					 "GIL of its own stops itself only.",
					 lt_screen_count(screen, summary->others)));
	if (*recording->why_not != '\0' && screen->style->verbosity >= 0)
		lt_screen_paragraph(screen, 0, "", 0,
				    lt_screen_format(screen, "No better source: %s.",
						     lt_screen_safe(screen, recording->why_not)));
	for (size_t i = 0; i < recording->callback_count; i++)
		lt_screen_paragraph(
			screen, 0, "", 0,
			lt_screen_format(screen, "Each collection runs the callback %s",
					 lt_screen_safe(screen, recording->callbacks[i])));
}

static void add_findings(struct lt_screen *screen, const struct lt_gc_result *result)
{
	if (result->finding_count == 0) {
		lt_screen_heading(screen, "NO FINDINGS",
				  "nothing that lowtide knows to be wrong with the collections");
		return;
	}
	size_t counts[LT_CRITICAL + 1] = {0};
	for (size_t i = 0; i < result->finding_count; i++)
		counts[result->findings[i].severity]++;
	lt_screen_heading(screen, result->finding_count == 1 ? "FINDING" : "FINDINGS",
			  lt_print_severities(screen, counts));
	for (size_t i = 0; i < result->finding_count; i++)
		lt_print_finding(screen, &result->findings[i], "");
}

static void add_file(struct lt_screen *screen, const struct lt_gc_result *result)
{
	const struct lt_gc_tide_written *written = &result->written;
	double seconds = lt_gc_summary_seconds(&result->summary);
	if (result->file == NULL)
		return;
	lt_text_add(screen->out, "\n");
	lt_screen_paragraph(
		screen, 0, "", 0,
		lt_screen_format(
			screen, "%s: %s events and %s samples in %s, %s a second.%s",
			lt_screen_safe(screen, result->file),
			lt_screen_count(screen, written->events),
			lt_screen_count(screen, written->samples),
			lt_screen_bytes(screen, written->bytes),
			lt_screen_bytes(screen,
					seconds > 0 ? (uint64_t)((double)written->bytes / seconds)
						    : 0),
			result->recording.redacted ? " Paths but for their last part and the "
						     "command line are left out."
						   : ""));
}

void lt_print_gc(const struct lt_report *report, const struct lt_gc_result *result,
		 struct lt_text *out)
{
	struct lt_screen screen;
	lt_screen_init(&screen, &report->style, out);
	lt_print_head(&screen, report);
	add_state(&screen, result);
	lt_text_add(out, "\n");
	lt_screen_ink(&screen, LT_INK_BOLD, lt_screen_safe(&screen, result->headline));
	lt_text_add(out, "\n");
	if (result->summary.all.count > 0)
		add_groups(&screen, &result->summary);
	add_places(&screen, &result->summary);
	if (report->style.verbosity >= 0) {
		add_longest(&screen, result);
		add_changes(&screen, &result->recording);
		add_timeline(&screen, result);
	}
	if (result->asked)
		lt_print_gc_what_if(&screen, &result->what_if);
	add_findings(&screen, result);
	add_file(&screen, result);
	lt_screen_deinit(&screen);
}
