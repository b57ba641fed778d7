#include "cli/progress.h"

#include "base/text.h"

#include <stdio.h>
#include <unistd.h>

#define QUIET_NS 300000000u /* short work shows no bar */
#define REDRAW_NS 100000000u

enum { BAR_WIDTH = 30 };

static void draw(void *ctx, const char *what, uint64_t done, uint64_t total)
{
	struct lt_progress_bar *bar = ctx;
	uint64_t now = lt_now_ns();
	if (bar->first_ns == 0)
		bar->first_ns = now;
	if (now - bar->first_ns < QUIET_NS || now - bar->drawn_ns < REDRAW_NS)
		return;
	bar->drawn_ns = now;
	if (total == 0) {
		fprintf(stderr, "\r\033[K%.40s", what);
		if (done > 0)
			fprintf(stderr, "  %llu", (unsigned long long)done);
		fflush(stderr);
		return;
	}
	double share = done >= total ? 1 : (double)done / (double)total;
	struct lt_text cells = {0};
	for (int i = 0; i < BAR_WIDTH; i++) {
		bool full = i < (int)(share * BAR_WIDTH);
		lt_text_add(&cells, bar->utf8 ? (full ? "\u2588" : "\u2591") : (full ? "#" : "."));
	}
	fprintf(stderr, "\r\033[K%-28.40s %s %3d %%", what, lt_text_get(&cells),
		(int)(share * 100));
	fflush(stderr);
	lt_text_deinit(&cells);
}

void lt_progress_bar_begin(struct lt_progress_bar *bar, struct lt_session *session, bool utf8)
{
	*bar = (struct lt_progress_bar){.utf8 = utf8};
	if (session->verbosity < 0 || !isatty(STDERR_FILENO))
		return;
	session->progress = draw;
	session->progress_ctx = bar;
}

void lt_progress_bar_end(struct lt_progress_bar *bar, struct lt_session *session)
{
	session->progress = NULL;
	session->progress_ctx = NULL;
	if (bar->drawn_ns != 0)
		fputs("\r\033[K", stderr);
	bar->drawn_ns = 0;
}
