/*
 * screen.h: the parts of a text report: coloured words, wrapped paragraphs, tables, figures with units.
 *
 * What is added here has been made harmless already, or is lowtide's own; lt_screen_safe() does it.
 */
#ifndef LT_REPORT_SCREEN_H
#define LT_REPORT_SCREEN_H

#include "base/arena.h"
#include "report/report.h"

enum lt_ink {
	LT_INK_BOLD,
	LT_INK_DIM,
	LT_INK_RED,
	LT_INK_ALARM,
	LT_INK_YELLOW,
	LT_INK_GREEN,
	LT_INK_CYAN
};

/* All strings that the screen makes live until lt_screen_deinit(). */
struct lt_screen {
	const struct lt_style *style;
	struct lt_text *out;
	struct lt_arena strings;
};

void lt_screen_init(struct lt_screen *screen, const struct lt_style *style, struct lt_text *out);
void lt_screen_deinit(struct lt_screen *screen);

/* A harmless copy of a string of unknown origin. Never NULL. */
const char *lt_screen_safe(struct lt_screen *screen, const char *string);
const char *lt_screen_format(struct lt_screen *screen, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* "812.4 MiB", "3,210,004", "31.2 %", "2 h 13 min". */
const char *lt_screen_bytes(struct lt_screen *screen, uint64_t bytes);
const char *lt_screen_count(struct lt_screen *screen, uint64_t count);
const char *lt_screen_share(struct lt_screen *screen, double share);
const char *lt_screen_age(struct lt_screen *screen, uint64_t milliseconds);
const char *lt_screen_milliseconds(struct lt_screen *screen, double milliseconds);

/* The sign between two parts of a line, with its spaces: a middle dot, or "-" in ASCII. */
const char *lt_screen_dot(const struct lt_screen *screen);

void lt_screen_ink(struct lt_screen *screen, enum lt_ink ink, const char *text);
/* After a blank line: the title, and the note beside it or, when that is too wide, below it. */
void lt_screen_heading(struct lt_screen *screen, const char *title, const char *note);

/*
 * A paragraph: `label` at column `indent`, then the text from column `hang` on, wrapped between words at
 * the width of the terminal (100 at most) and at newlines. A word longer than a line stays whole.
 */
void lt_screen_paragraph(struct lt_screen *screen, unsigned indent, const char *label,
			 unsigned hang, const char *text);

/* The start of `text` that fits `columns`, with a sign that something is cut off. */
const char *lt_screen_cut(struct lt_screen *screen, const char *text, unsigned columns);

enum { LT_TABLE_COLUMNS = 64 };

struct lt_table_column {
	const char *title;
	bool right; /* figures */
	unsigned
		most; /* columns after which a cell is cut; 0: never. The last column wraps instead. */
};

struct lt_table {
	const struct lt_table_column *columns;
	size_t column_count;
	const char *const *cells; /* row after row */
	size_t row_count;
	unsigned indent;
	bool one_line; /* cut the last column at the width of the terminal instead of wrapping it */
};
void lt_screen_table(struct lt_screen *screen, const struct lt_table *table);

#endif
