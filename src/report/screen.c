#include "report/screen.h"

#include "base/number.h"

#include "report/safe.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
	PROSE_WIDTH = 100,
	LEAST_WIDTH = 40, /* a narrower terminal wraps by itself */
	LEAST_CELL = 20,  /* of the last column of a table */
	LEAST_CUT = 8,    /* of a last column that is cut */
	GAP = 2,          /* between the columns of a table */
};

void lt_screen_init(struct lt_screen *screen, const struct lt_style *style, struct lt_text *out)
{
	*screen = (struct lt_screen){.style = style, .out = out};
}

void lt_screen_deinit(struct lt_screen *screen)
{
	lt_arena_deinit(&screen->strings);
}

static const char *keep(struct lt_screen *screen, const char *bytes, size_t length)
{
	const char *copy = lt_arena_copy(&screen->strings, bytes, length);
	if (copy == NULL)
		screen->out->failed = true;
	return copy == NULL ? "" : copy;
}

static const char *keep_text(struct lt_screen *screen, struct lt_text *text)
{
	if (text->failed)
		screen->out->failed = true;
	const char *copy = keep(screen, lt_text_get(text), text->length);
	lt_text_deinit(text);
	return copy;
}

const char *lt_screen_safe(struct lt_screen *screen, const char *string)
{
	struct lt_text text = {0};
	lt_safe_add(&text, string == NULL ? "" : string, screen->style->utf8 ? LT_UTF8 : LT_ASCII);
	return keep_text(screen, &text);
}

const char *lt_screen_format(struct lt_screen *screen, const char *format, ...)
{
	char *string = NULL;
	va_list arguments;
	va_start(arguments, format);
	int length = vasprintf(&string, format, arguments);
	va_end(arguments);
	if (length < 0) {
		screen->out->failed = true;
		return "";
	}
	const char *copy = keep(screen, string, (size_t)length);
	free(string);
	return copy;
}

const char *lt_screen_bytes(struct lt_screen *screen, uint64_t bytes)
{
	char text[LT_NUMBER_MAX];
	return lt_screen_format(screen, "%s", lt_number_bytes(bytes, text));
}

const char *lt_screen_count(struct lt_screen *screen, uint64_t count)
{
	char text[LT_NUMBER_MAX];
	return lt_screen_format(screen, "%s", lt_number_count(count, text));
}

const char *lt_screen_share(struct lt_screen *screen, double share)
{
	if (share > 0 && share < 0.0005)
		return "< 0.1 %";
	return lt_screen_format(screen, "%.1f %%", share * 100);
}

const char *lt_screen_age(struct lt_screen *screen, uint64_t milliseconds)
{
	unsigned long long seconds = milliseconds / 1000;
	if (seconds < 60)
		return lt_screen_format(screen, "%llu s", seconds);
	if (seconds < 3600)
		return lt_screen_format(screen, "%llu min %llu s", seconds / 60, seconds % 60);
	if (seconds < 86400)
		return lt_screen_format(screen, "%llu h %llu min", seconds / 3600,
					seconds / 60 % 60);
	return lt_screen_format(screen, "%llu d %llu h", seconds / 86400, seconds / 3600 % 24);
}

const char *lt_screen_milliseconds(struct lt_screen *screen, double milliseconds)
{
	if (milliseconds >= 1000)
		return lt_screen_format(screen, "%.2f s", milliseconds / 1000);
	return lt_screen_format(screen, milliseconds >= 100 ? "%.0f ms" : "%.1f ms", milliseconds);
}

const char *lt_screen_dot(const struct lt_screen *screen)
{
	return screen->style->utf8 ? " \u00b7 " : " - ";
}

void lt_screen_ink(struct lt_screen *screen, enum lt_ink ink, const char *text)
{
	static const char *const codes[] = {
		[LT_INK_BOLD] = "1",        [LT_INK_DIM] = "2",     [LT_INK_RED] = "31",
		[LT_INK_ALARM] = "1;37;41", [LT_INK_YELLOW] = "33", [LT_INK_GREEN] = "32",
		[LT_INK_CYAN] = "36",
	};
	if (screen->style->color)
		lt_text_addf(screen->out, "\033[%sm%s\033[0m", codes[ink], text);
	else
		lt_text_add(screen->out, text);
}

static void spaces(struct lt_text *out, unsigned count)
{
	lt_text_addf(out, "%*s", (int)count, "");
}

static unsigned prose_width(const struct lt_screen *screen)
{
	unsigned width = screen->style->width;
	if (width == 0 || width > PROSE_WIDTH)
		return PROSE_WIDTH;
	return width < LEAST_WIDTH ? LEAST_WIDTH : width;
}

void lt_screen_heading(struct lt_screen *screen, const char *title, const char *note)
{
	lt_text_add(screen->out, "\n");
	lt_screen_ink(screen, LT_INK_BOLD, title);
	if (*note != '\0') {
		unsigned columns = lt_safe_columns(title) + GAP + lt_safe_columns(note);
		bool fits = screen->style->width == 0 || columns <= screen->style->width;
		lt_text_add(screen->out, fits ? "  " : "\n  ");
		lt_screen_ink(screen, LT_INK_DIM, note);
	}
	lt_text_add(screen->out, "\n");
}

void lt_screen_paragraph(struct lt_screen *screen, unsigned indent, const char *label,
			 unsigned hang, const char *text)
{
	struct lt_text *out = screen->out;
	unsigned width = prose_width(screen);
	spaces(out, indent);
	if (*label != '\0')
		lt_screen_ink(screen, LT_INK_DIM, label);
	unsigned column = indent + lt_safe_columns(label);
	if (column < hang) {
		spaces(out, hang - column);
		column = hang;
	}
	bool first = true;
	while (*text != '\0') {
		size_t length = strcspn(text, " \n");
		const char *word = keep(screen, text, length);
		unsigned columns = lt_safe_columns(word);
		if (!first && column + 1 + columns > width) {
			lt_text_add(out, "\n");
			spaces(out, hang);
			column = hang;
		} else if (!first) {
			lt_text_add(out, " ");
			column++;
		}
		lt_text_add(out, word);
		column += columns;
		first = false;
		text += length;
		while (*text == ' ')
			text++;
		if (*text == '\n') { /* a line of its own */
			text++;
			lt_text_add(out, "\n");
			spaces(out, *text != '\0' ? hang : 0);
			column = hang;
			first = true;
			if (*text == '\0')
				return;
		}
	}
	lt_text_add(out, "\n");
}

const char *lt_screen_cut(struct lt_screen *screen, const char *text, unsigned columns)
{
	if (lt_safe_columns(text) <= columns)
		return text;
	const char *sign = screen->style->utf8 ? "\u2026" : "...";
	unsigned room = columns > lt_safe_columns(sign) ? columns - lt_safe_columns(sign) : 1;
	return lt_screen_format(screen, "%.*s%s", (int)lt_safe_prefix(text, room), text, sign);
}

/* The last cell of a row: cut, or broken into lines that start below it. */
static void add_last_cell(struct lt_screen *screen, const char *cell, unsigned start, bool one_line)
{
	unsigned width = screen->style->width;
	if (width == 0) {
		lt_text_add(screen->out, cell);
		return;
	}
	unsigned least = one_line ? LEAST_CUT : LEAST_CELL;
	unsigned room = width < start + least ? least : width - start;
	if (one_line)
		cell = lt_screen_cut(screen, cell, room);
	while (lt_safe_columns(cell) > room) {
		size_t length = lt_safe_prefix(cell, room);
		lt_text_add_bytes(screen->out, cell, length);
		lt_text_add(screen->out, "\n");
		spaces(screen->out, start);
		cell += length;
	}
	lt_text_add(screen->out, cell);
}

static void add_row(struct lt_screen *screen, const struct lt_table *table, const unsigned *widths,
		    const char *const *cells, bool title)
{
	unsigned start = table->indent;
	spaces(screen->out, start);
	for (size_t i = 0; i < table->column_count; i++) {
		bool last = i + 1 == table->column_count;
		const char *cell = cells[i];
		if (!last && table->columns[i].most != 0)
			cell = lt_screen_cut(screen, cell, table->columns[i].most);
		unsigned pad = widths[i] - lt_safe_columns(cell);
		if (table->columns[i].right)
			spaces(screen->out, pad);
		if (title)
			lt_screen_ink(screen, LT_INK_DIM, cell);
		else if (last && !table->columns[i].right)
			add_last_cell(screen, cell, start, table->one_line);
		else
			lt_text_add(screen->out, cell);
		if (!last)
			spaces(screen->out, GAP + (table->columns[i].right ? 0 : pad));
		start += widths[i] + GAP;
	}
	lt_text_add(screen->out, "\n");
}

void lt_screen_table(struct lt_screen *screen, const struct lt_table *table)
{
	unsigned widths[LT_TABLE_COLUMNS] = {0};
	const char *titles[LT_TABLE_COLUMNS];
	for (size_t i = 0; i < table->column_count; i++) {
		titles[i] = table->columns[i].title;
		widths[i] = lt_safe_columns(titles[i]);
		for (size_t row = 0; row < table->row_count; row++) {
			unsigned columns =
				lt_safe_columns(table->cells[row * table->column_count + i]);
			unsigned most = table->columns[i].most;
			if (most != 0 && i + 1 < table->column_count && columns > most)
				columns = most;
			if (columns > widths[i])
				widths[i] = columns;
		}
	}
	add_row(screen, table, widths, titles, true);
	for (size_t row = 0; row < table->row_count; row++)
		add_row(screen, table, widths, table->cells + row * table->column_count, false);
}
