#include "report/print.h"

#include <string.h>

enum { TEXT_COLUMN = 12, CELLS = 5 };

static const enum lt_ink inks[] = {
	[LT_INFO] = LT_INK_CYAN, [LT_LOW] = LT_INK_GREEN,      [LT_MEDIUM] = LT_INK_YELLOW,
	[LT_HIGH] = LT_INK_RED,  [LT_CRITICAL] = LT_INK_ALARM,
};

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), tail = strlen(end);
	return length >= tail && strcmp(text + length - tail, end) == 0;
}

static const char *figure(struct lt_screen *screen, int64_t number)
{
	return number < 0 ? lt_screen_format(screen, "%lld", (long long)number)
			  : lt_screen_count(screen, (uint64_t)number);
}

const char *lt_print_evidence(struct lt_screen *screen, const struct lt_evidence *evidence)
{
	char name[64];
	strncpy(name, evidence->name, sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	bool bytes = ends_with(name, "_bytes");
	if (bytes)
		name[strlen(name) - strlen("_bytes")] = '\0';
	for (char *letter = name; *letter != '\0'; letter++)
		if (*letter == '_')
			*letter = ' ';
	switch (evidence->kind) {
	case LT_EVIDENCE_INT:
		if ((bytes || strcmp(name, "bytes") == 0) && evidence->integer >= 0)
			return lt_screen_format(
				screen, "%s %s", name,
				lt_screen_bytes(screen, (uint64_t)evidence->integer));
		if (evidence->integer < 0)
			return lt_screen_format(screen, "%s %lld", name,
						(long long)evidence->integer);
		return lt_screen_format(screen, "%s %s", name,
					lt_screen_count(screen, (uint64_t)evidence->integer));
	case LT_EVIDENCE_REAL:
		if (ends_with(name, "share"))
			return lt_screen_format(screen, "%s %s", name,
						lt_screen_share(screen, evidence->real));
		return lt_screen_format(screen, "%s %.3g", name, evidence->real);
	case LT_EVIDENCE_TEXT:
		return lt_screen_format(screen, "%s %s", name,
					lt_screen_safe(screen, evidence->text));
	case LT_EVIDENCE_BOOL:
		return lt_screen_format(screen, "%s %s", name, evidence->boolean ? "yes" : "no");
	}
	return "";
}

void lt_print_finding(struct lt_screen *screen, const struct lt_finding *finding, const char *seen)
{
	char level[16] = "";
	const char *name = lt_severity_name(finding->severity);
	for (size_t i = 0; name[i] != '\0' && i + 1 < sizeof(level); i++)
		level[i] =
			(char)(name[i] >= 'a' && name[i] <= 'z' ? name[i] - ('a' - 'A') : name[i]);
	lt_text_add(screen->out, "\n  ");
	lt_screen_ink(screen, inks[finding->severity], level);
	lt_text_addf(screen->out, "%*s", TEXT_COLUMN - 2 - (int)strlen(level), "");
	lt_screen_ink(screen, LT_INK_BOLD, lt_screen_safe(screen, finding->title));
	lt_text_add(screen->out, "\n");
	if (*finding->expression != '\0') {
		lt_text_addf(screen->out, "%*s", TEXT_COLUMN, "");
		lt_screen_ink(screen, LT_INK_CYAN, lt_screen_safe(screen, finding->expression));
		lt_text_add(screen->out, "\n");
	}
	if (*finding->where != '\0')
		lt_screen_paragraph(screen, 4, "where", TEXT_COLUMN,
				    lt_screen_safe(screen, finding->where));
	const char *evidence = seen;
	for (size_t i = 0; i < finding->evidence_count; i++)
		evidence = lt_screen_format(screen, "%s%s%s", evidence,
					    *evidence == '\0' ? "" : lt_screen_dot(screen),
					    lt_print_evidence(screen, &finding->evidence[i]));
	if (*evidence != '\0')
		lt_screen_paragraph(screen, 4, "seen", TEXT_COLUMN, evidence);
	if (*finding->explanation != '\0' && screen->style->verbosity >= 0)
		lt_screen_paragraph(screen, 4, "why", TEXT_COLUMN,
				    lt_screen_safe(screen, finding->explanation));
	if (*finding->fix != '\0')
		lt_screen_paragraph(screen, 4, "fix", TEXT_COLUMN,
				    lt_screen_safe(screen, finding->fix));
}

const char *lt_print_severities(struct lt_screen *screen, const size_t counts[LT_CRITICAL + 1])
{
	const char *note = "";
	for (int severity = LT_CRITICAL; severity >= LT_INFO; severity--) {
		if (counts[severity] > 0)
			note = lt_screen_format(screen, "%s%s%zu %s", note,
						*note == '\0' ? "" : ", ", counts[severity],
						lt_severity_name((enum lt_severity)severity));
	}
	return note;
}

static void add_findings(struct lt_screen *screen, const struct lt_doctor *doctor)
{
	if (doctor->finding_count == 0) {
		lt_screen_heading(screen, "NO FINDINGS", "nothing that lowtide knows to be wrong");
		return;
	}
	size_t counts[LT_CRITICAL + 1] = {0};
	for (size_t i = 0; i < doctor->finding_count; i++)
		counts[doctor->findings[i].severity]++;
	const char *note = lt_print_severities(screen, counts);
	lt_screen_heading(screen, doctor->finding_count == 1 ? "FINDING" : "FINDINGS", note);
	for (size_t i = 0; i < doctor->finding_count; i++)
		lt_print_finding(screen, &doctor->findings[i], "");
}

static const char *container_name(struct lt_screen *screen, const struct lt_container *container)
{
	const char *where = lt_screen_safe(screen, container->where);
	if (*container->expression != '\0')
		return *where == '\0' || screen->style->verbosity < 1
			       ? lt_screen_safe(screen, container->expression)
			       : lt_screen_format(screen, "%s  (%s)",
						  lt_screen_safe(screen, container->expression),
						  where);
	return lt_screen_format(screen, "at 0x%llx%s%s", (unsigned long long)container->address,
				*where == '\0' ? "" : ", ", where);
}

static void add_containers(struct lt_screen *screen, const struct lt_doctor *doctor)
{
	static const struct lt_table_column columns[CELLS] = {{"HELD", true, 0},
							      {"SHARE", true, 0},
							      {"ENTRIES", true, 0},
							      {"TYPE", false, 24},
							      {"EXPRESSION", false, 0}};
	if (doctor->container_count == 0)
		return;
	const char **cells = calloc(doctor->container_count * CELLS, sizeof(*cells));
	if (cells == NULL) {
		screen->out->failed = true;
		return;
	}
	for (size_t i = 0; i < doctor->container_count; i++) {
		const struct lt_container *container = &doctor->containers[i];
		const char **row = &cells[i * CELLS];
		row[0] = lt_screen_bytes(screen, container->held);
		row[1] = lt_screen_share(screen, container->share);
		row[2] = lt_screen_count(screen, container->length);
		row[3] = lt_screen_safe(screen, container->type);
		row[4] = container_name(screen, container);
	}
	const char *note =
		lt_screen_format(screen, "held: what would go with it; of %s in %s objects",
				 lt_screen_bytes(screen, doctor->object_bytes),
				 lt_screen_count(screen, doctor->object_count));
	lt_screen_heading(screen, "BIGGEST CONTAINERS", note);
	const struct lt_table table = {.columns = columns,
				       .column_count = CELLS,
				       .cells = cells,
				       .row_count = doctor->container_count,
				       .indent = 2};
	lt_screen_table(screen, &table);
	free(cells);
}

static void add_collector(struct lt_screen *screen, const struct lt_doctor *doctor,
			  const struct lt_collector *gc)
{
	static const char *const names[LT_GENERATIONS] = {"young", "middle", "old"};
	static const struct lt_table_column columns[] = {
		{"GENERATION", false, 0}, {"THRESHOLD", true, 0}, {"COUNT", true, 0},
		{"COLLECTIONS", true, 0}, {"COLLECTED", true, 0}, {"UNCOLLECTABLE", true, 0}};
	enum { COLUMNS = sizeof(columns) / sizeof(columns[0]) };
	const char *cells[LT_GENERATIONS * COLUMNS];
	const char *dot = lt_screen_dot(screen);
	const char *title = doctor->collector_count == 1
				    ? "COLLECTOR"
				    : lt_screen_format(screen, "COLLECTOR OF INTERPRETER %llu",
						       (unsigned long long)gc->interpreter);
	const char *note =
		lt_screen_format(screen, "automatic collection %s", gc->enabled ? "on" : "OFF");
	if (gc->tracked > 0)
		note = lt_screen_format(screen, "%s%s%s objects tracked", note, dot,
					lt_screen_count(screen, gc->tracked));
	if (gc->frozen > 0)
		note = lt_screen_format(screen, "%s%s%s frozen", note, dot,
					lt_screen_count(screen, gc->frozen));
	if (gc->garbage > 0)
		note = lt_screen_format(screen, "%s%s%s in gc.garbage", note, dot,
					lt_screen_count(screen, gc->garbage));
	if (gc->callbacks > 0)
		note = lt_screen_format(screen, "%s%s%s callback%s", note, dot,
					lt_screen_count(screen, gc->callbacks),
					gc->callbacks == 1 ? "" : "s");
	if (gc->collecting)
		note = lt_screen_format(screen, "%s%sa collection was running", note, dot);
	lt_screen_heading(screen, title, note);
	for (size_t i = 0; i < LT_GENERATIONS; i++) {
		const struct lt_collector_generation *generation = &gc->generations[i];
		const char **row = &cells[i * COLUMNS];
		row[0] = names[i];
		row[1] = figure(screen, generation->threshold);
		row[2] = figure(screen, generation->count);
		row[3] = lt_screen_count(screen, generation->collections);
		row[4] = lt_screen_count(screen, generation->collected);
		row[5] = lt_screen_count(screen, generation->uncollectable);
	}
	const struct lt_table table = {.columns = columns,
				       .column_count = COLUMNS,
				       .cells = cells,
				       .row_count = LT_GENERATIONS,
				       .indent = 2};
	lt_screen_table(screen, &table);
	if (gc->long_lived_total > 0 && screen->style->verbosity > 0)
		lt_text_addf(screen->out,
			     "  an automatic full collection also needs pending %s > 25 %% of %s\n",
			     lt_screen_count(screen, gc->long_lived_pending),
			     lt_screen_count(screen, gc->long_lived_total));
}

void lt_print_doctor(const struct lt_report *report, const struct lt_doctor *doctor,
		     struct lt_text *out)
{
	struct lt_screen screen;
	lt_screen_init(&screen, &report->style, out);
	lt_print_head(&screen, report);
	add_findings(&screen, doctor);
	if (report->style.verbosity >= 0) {
		add_containers(&screen, doctor);
		if (doctor->kind_count > 0) {
			lt_screen_heading(&screen, "BIGGEST KINDS OF OBJECT", "");
			lt_print_kinds(&screen, doctor->kinds, doctor->kind_count,
				       doctor->object_bytes, false);
		}
		for (size_t i = 0; i < doctor->collector_count; i++)
			add_collector(&screen, doctor, &doctor->collectors[i]);
	}
	if (report->style.verbosity > 0)
		lt_text_addf(out, "\n%s references were found by conservative scans. %s\n",
			     lt_screen_count(&screen, doctor->conservative_refs),
			     doctor->proved ? "The tracked objects were proved complete."
					    : "The tracked objects were found by walking the "
					      "collector's lists.");
	lt_screen_deinit(&screen);
}
