#include "cli/live.h"

#include "report/print.h"
#include "report/safe.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { WIDTH_USUAL = 80 };

void lt_live_begin(struct lt_live *live, const struct lt_report *report,
		   const struct lt_gc_summary *summary)
{
	struct winsize size;
	*live = (struct lt_live){.report = report, .summary = summary, .style = report->style};
	live->on = report->style.verbosity >= 0 && isatty(STDERR_FILENO);
	live->style.color = false; /* lines are cut at the width, which must not cut a colour */
	live->style.width = WIDTH_USUAL;
	if (live->on && ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		live->style.width = size.ws_col;
}

static void take_off(struct lt_live *live)
{
	if (live->lines > 0)
		fprintf(stderr, "\r\033[%uA\033[J", live->lines);
	else
		fputs("\r\033[J", stderr); /* what the progress bar drew */
	live->lines = 0;
}

static enum lt_status draw(void *ctx, const struct lt_gc_recording *recording, bool final)
{
	struct lt_live *live = ctx;
	if (!live->on || final)
		return LT_OK;
	struct lt_text text = {0};
	struct lt_report report = *live->report;
	report.style = live->style;
	lt_print_gc_live(&report, recording, live->summary, &text);
	take_off(live);
	const char *line = lt_text_get(&text);
	while (*line != '\0') {
		size_t length = strcspn(line, "\n");
		char *copy = strndup(line, length);
		if (copy == NULL)
			break;
		fprintf(stderr, "%.*s\n", (int)lt_safe_prefix(copy, live->style.width - 1), copy);
		free(copy);
		live->lines++;
		line += length + (line[length] == '\n');
	}
	fflush(stderr);
	lt_text_deinit(&text);
	return LT_OK;
}

struct lt_gc_sink lt_live_sink(struct lt_live *live)
{
	return (struct lt_gc_sink){.tick = draw, .ctx = live};
}

void lt_live_end(struct lt_live *live)
{
	if (live->on) {
		take_off(live);
		fflush(stderr);
	}
}
