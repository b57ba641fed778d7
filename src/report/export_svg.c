#include "report/export_svg.h"

#include "analysis/fragmentation.h"
#include "report/screen.h"
#include "report/template.h"

enum {
	COLUMNS = 128,
	CELL = 8, /* pixels, with the gap */
	CELLS_MOST = 16384,
	COMMAND_MOST = 110, /* characters of a command line */
	ARENA_GAP = 4,
	MARGIN = 24,
	WIDTH = COLUMNS * CELL + 2 * MARGIN,
	SHADES = 6,
};

/* By occupancy: the few that keep what is empty stand out from it; what is full recedes. */
static const struct {
	const char *colour, *name;
} shades[SHADES] = {
	{"#e9ecef", "not resident"}, {"#f7c6c5", "empty, but held"}, {"#a4161a", "below 25 %"},
	{"#f9b64f", "25 to 75 %"},   {"#90be6d", "75 to 95 %"},      {"#2d6a8f", "full"},
};

static const char *const meanings[LT_FRAGMENTATION_VERDICTS] = {
	[LT_FRAGMENTATION_NONE] = "Too little is free, or too small a share, to matter.",
	[LT_FRAGMENTATION_INTERNAL] =
		"What is free lies between memory in use: new objects of the same size reuse it.",
	[LT_FRAGMENTATION_PINNED] = "A few blocks (dark red) keep arenas that are nearly empty "
				    "(light red) from going back to the system.",
	[LT_FRAGMENTATION_ARENAS] =
		"Most of what is free lies in arenas that malloc has for threads: others do not "
		"find it there.",
};

static unsigned shade(uint64_t used, uint64_t bytes, bool resident)
{
	if (!resident)
		return 0;
	if (used == 0)
		return 1;
	if (used * 4 < bytes)
		return 2;
	if (used * 4 < bytes * 3)
		return 3;
	return used * 20 < bytes * 19 ? 4 : 5;
}

static void add_line(struct lt_text *out, unsigned y, unsigned size, const char *weight,
		     const char *words)
{
	lt_text_addf(out, "<text x=\"%d\" y=\"%u\" font-size=\"%u\" font-weight=\"%s\">%s</text>\n",
		     MARGIN, y, size, weight, words);
}

static unsigned add_legend(struct lt_screen *screen, const struct lt_fragmentation *found,
			   unsigned y)
{
	enum { STEP = 170 };
	struct lt_text *out = screen->out;
	uint64_t bytes[SHADES] = {0};
	unsigned x = MARGIN;
	for (size_t i = 0; i < found->cells.count; i++) {
		const struct lt_fragment_cell *cell = &found->cells.data[i];
		bytes[shade(cell->used, cell->bytes, cell->resident)] += cell->bytes;
	}
	for (unsigned i = SHADES; i-- > 0;) {
		lt_text_addf(
			out,
			"<rect x=\"%u\" y=\"%u\" width=\"14\" height=\"14\" fill=\"%s\"/>"
			"<text x=\"%u\" y=\"%u\" font-size=\"13\">%s</text>"
			"<text x=\"%u\" y=\"%u\" font-size=\"13\" fill=\"#6c757d\">%s</text>\n",
			x, y, shades[i].colour, x + 20, y + 12, shades[i].name, x + 20, y + 30,
			lt_screen_bytes(screen, bytes[i]));
		x += STEP;
	}
	return y + 48;
}

/* ---- The map ---- */

/* Squares from `at` on that are drawn as one: of one arena, at most `joined`. */
struct square {
	size_t end;
	uint64_t used, bytes;
	bool resident;
};

static struct square take_square(const struct lt_fragmentation *found, size_t at, size_t to,
				 size_t joined)
{
	const struct lt_fragment_cell *cells = found->cells.data;
	struct square square = {.end = at};
	while (square.end < to && square.end - at < joined &&
	       cells[square.end].arena == cells[at].arena) {
		const struct lt_fragment_cell *cell = &cells[square.end++];
		square.used += cell->used;
		square.bytes += cell->bytes;
		square.resident = square.resident || cell->resident;
	}
	return square;
}

struct place {
	unsigned column, y;
};

/* Where the next square goes: each arena begins in a row of its own. */
static void step_on(struct place *place, bool same_arena)
{
	if (++place->column < COLUMNS && same_arena)
		return;
	place->column = 0;
	place->y += same_arena ? CELL : CELL + ARENA_GAP;
}

/* The squares of one colour as one path; the place behind the last of all. */
static struct place add_squares(struct lt_text *out, const struct lt_fragmentation *found,
				size_t from, size_t to, size_t joined, unsigned colour, unsigned y)
{
	struct place place = {0, y};
	bool any = false;
	for (size_t at = from; at < to;) {
		const struct square square = take_square(found, at, to, joined);
		if (shade(square.used, square.bytes, square.resident) == colour) {
			if (!any)
				lt_text_addf(out, "<path fill=\"%s\" d=\"", shades[colour].colour);
			any = true;
			lt_text_addf(out, "M%u %uh%dv%dh-%dz", MARGIN + place.column * CELL,
				     place.y, CELL - 1, CELL - 1, CELL - 1);
		}
		if (square.end < to)
			step_on(&place,
				found->cells.data[square.end].arena == found->cells.data[at].arena);
		at = square.end;
	}
	if (any)
		lt_text_add(out, "\"/>\n");
	return place;
}

/* The cells [from, to) below a title; the next free row. */
static unsigned add_cells(struct lt_screen *screen, const struct lt_fragmentation *found,
			  size_t from, size_t to, const char *name, unsigned y)
{
	size_t count = to - from, joined = (count + CELLS_MOST - 1) / CELLS_MOST;
	uint64_t bytes = 0, used = 0;
	for (size_t i = from; i < to; i++) {
		bytes += found->cells.data[i].bytes;
		used += found->cells.data[i].used;
	}
	add_line(screen->out, y + 18, 15, "bold",
		 lt_screen_format(screen, "%s: %s in use of %s, a square is %s", name,
				  lt_screen_bytes(screen, used), lt_screen_bytes(screen, bytes),
				  lt_screen_bytes(screen, bytes / count * joined)));
	struct place end = {0};
	for (unsigned colour = 0; colour < SHADES; colour++)
		end = add_squares(screen->out, found, from, to, joined, colour, y + 30);
	return end.y + CELL + 20;
}

enum section { PYMALLOC, MAIN_ARENA, THREAD_ARENAS, OTHER_ALLOCATOR };

static enum section section_of(const struct lt_fragmentation *found, size_t cell)
{
	uint32_t index = found->cells.data[cell].arena;
	if (index >= found->arenas.count)
		return PYMALLOC;
	const struct lt_fragment_arena *arena = &found->arenas.data[index];
	return arena->other ? OTHER_ALLOCATOR : arena->main ? MAIN_ARENA : THREAD_ARENAS;
}

static const char *section_name(struct lt_screen *screen, const struct lt_fragmentation *found,
				enum section section)
{
	switch (section) {
	case PYMALLOC:
		return "Python's allocator (pymalloc)";
	case MAIN_ARENA:
		return found->thread_arenas > 0 ? "malloc, main arena" : "malloc";
	case THREAD_ARENAS:
		if (found->thread_arenas == 1)
			return "malloc, arena for threads";
		return lt_screen_format(screen,
					"malloc, %s arenas for threads, each from a new row on",
					lt_screen_count(screen, found->thread_arenas));
	default:
		return lt_screen_safe(screen, found->other.name);
	}
}

static unsigned add_sections(struct lt_screen *screen, const struct lt_fragmentation *found,
			     unsigned y)
{
	for (size_t from = 0, to; from < found->cells.count; from = to) {
		enum section section = section_of(found, from);
		to = from + 1;
		while (to < found->cells.count && section_of(found, to) == section)
			to++;
		y = add_cells(screen, found, from, to, section_name(screen, found, section), y);
	}
	return y;
}

/* Of whom the picture is; nothing when that is not known. */
static unsigned add_command(struct lt_screen *screen, const struct lt_report *report, unsigned y)
{
	struct lt_text escaped = {0};
	const char *command = report->identity != NULL ? report->identity->command_line : NULL;
	if (command == NULL || *command == '\0')
		return y;
	lt_template_escape(lt_screen_cut(screen, lt_screen_safe(screen, command), COMMAND_MOST),
			   &escaped);
	add_line(screen->out, y, 15, "normal", lt_text_get(&escaped));
	screen->out->failed = screen->out->failed || escaped.failed;
	lt_text_deinit(&escaped);
	return y + 22;
}

void lt_export_svg(const struct lt_report *report, const struct lt_fragmentation *found,
		   struct lt_text *out)
{
	struct lt_style style = report->style;
	struct lt_text body = {0};
	struct lt_screen screen;
	style.utf8 = true;
	lt_screen_init(&screen, &style, &body);
	unsigned y = MARGIN + 20;
	add_line(&body, y, 22, "bold",
		 lt_screen_format(&screen, "Fragmentation: %s",
				  lt_fragmentation_title(found->verdict)));
	y = add_command(&screen, report, y + 26);
	add_line(&body, y, 15, "normal",
		 lt_screen_format(&screen, "PID %d: %s of %s free (%s), longest free range %s.",
				  (int)report->pid, lt_screen_bytes(&screen, found->free_bytes),
				  lt_screen_bytes(&screen, found->held_bytes),
				  lt_screen_share(&screen, found->ratio),
				  lt_screen_bytes(&screen, found->largest_free_bytes)));
	y += 22;
	add_line(&body, y, 15, "normal", meanings[found->verdict]);
	for (size_t i = 0; i < found->limit_count; i++) {
		const struct lt_memory_limit *limit = &found->limits[i];
		if (!limit->tight)
			continue;
		y += 22;
		add_line(&body, y, 15, "bold",
			 lt_screen_format(&screen,
					  "Nearly exhausted: %s (%s). A request that fails, fails "
					  "for this and not for fragmentation.",
					  limit->name, limit->cause));
	}
	y += 22;
	add_line(&body, y, 15, "normal",
		 "Each square is a piece of memory, in the order of addresses; its colour says how "
		 "much of it is in use:");
	y = add_legend(&screen, found, y + 12);
	y = add_sections(&screen, found, y);
	lt_screen_deinit(&screen);
	lt_text_addf(out,
		     "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		     "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%u\" "
		     "viewBox=\"0 0 %d %u\" font-family=\"sans-serif\" fill=\"#212529\">\n"
		     "<title>Fragmentation of process %d</title>\n"
		     "<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n",
		     WIDTH, y + MARGIN, WIDTH, y + MARGIN, (int)report->pid);
	lt_text_add_bytes(out, lt_text_get(&body), body.length);
	lt_text_add(out, "</svg>\n");
	out->failed = out->failed || body.failed;
	lt_text_deinit(&body);
}
