#include "analysis/tide.h"
#include "report/print.h"

void lt_print_snapshot(const struct lt_report *report, const struct lt_tide_written *written,
		       struct lt_text *out)
{
	struct lt_screen screen;
	lt_screen_init(&screen, &report->style, out);
	if (report->style.verbosity >= 0)
		lt_print_head(&screen, report);
	double each = written->objects > 0 ? (double)written->bytes / (double)written->objects : 0;
	lt_screen_paragraph(
		&screen, 0, "", 0,
		lt_screen_format(&screen,
				 "%s: %s objects and %s references in %s, %.1f bytes an object.%s",
				 lt_screen_safe(&screen, written->path),
				 lt_screen_count(&screen, written->objects),
				 lt_screen_count(&screen, written->references),
				 lt_screen_bytes(&screen, written->bytes), each,
				 written->redacted ? " Keys and names are left out." : ""));
	lt_screen_deinit(&screen);
}
