#include "report/export_svg.h"

#include "analysis/fragmentation.h"
#include "report/screen.h"

enum {
	COLUMNS = 128,
	CELL = 8, /* pixels, with the gap */
	CELLS_MOST = 16384,
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

/* The cells [from, to) below a title; the next free row. Cells of one colour in a row are one path. */
static unsigned add_cells(struct lt_screen *screen, const struct lt_fragmentation *found,
			  size_t from, size_t to, const char *name, unsigned y)
{
	struct lt_text *out = screen->out;
	size_t count = to - from;
	if (count == 0)
		return y;
	size_t joined = (count + CELLS_MOST - 1) / CELLS_MOST;
	uint64_t bytes = 0, used_bytes = 0;
	for (size_t i = from; i < to; i++) {
		bytes += found->cells.data[i].bytes;
		used_bytes += found->cells.data[i].used;
	}
	add_line(out, y + 18, 15, "bold",
		 lt_screen_format(screen, "%s: %s in use of %s, a cell is %s", name,
				  lt_screen_bytes(screen, used_bytes),
				  lt_screen_bytes(screen, bytes),
				  lt_screen_bytes(screen, bytes / count * joined)));
	y += 30;
	for (unsigned s = 0; s < SHADES; s++) {
		bool any = false;
		size_t cell = 0;
		for (size_t i = from; i < to; i += joined, cell++) {
			uint64_t used = 0, all = 0;
			bool resident = false;
			for (size_t j = i; j < to && j < i + joined; j++) {
				used += found->cells.data[j].used;
				all += found->cells.data[j].bytes;
				resident = resident || found->cells.data[j].resident;
			}
			if (shade(used, all, resident) != s)
				continue;
			if (!any)
				lt_text_addf(out, "<path fill=\"%s\" d=\"", shades[s].colour);
			any = true;
			lt_text_addf(out, "M%zu %zuh%dv%dh-%dz", MARGIN + cell % COLUMNS * CELL,
				     y + cell / COLUMNS * CELL, CELL - 1, CELL - 1, CELL - 1);
		}
		if (any)
			lt_text_add(out, "\"/>\n");
	}
	size_t cells = (count + joined - 1) / joined;
	return y + (unsigned)((cells + COLUMNS - 1) / COLUMNS) * CELL + 20;
}

void lt_export_svg(const struct lt_report *report, const struct lt_fragmentation *found,
		   struct lt_text *out)
{
	struct lt_style style = report->style;
	struct lt_text body = {0};
	struct lt_screen screen;
	style.utf8 = true;
	lt_screen_init(&screen, &style, &body);
	size_t pools = 0;
	while (pools < found->cells.count && found->cells.data[pools].arena == UINT32_MAX)
		pools++;
	unsigned y = MARGIN + 20;
	add_line(&body, y, 22, "bold",
		 lt_screen_format(&screen, "Fragmentation: %s",
				  lt_fragmentation_title(found->verdict)));
	y += 26;
	add_line(&body, y, 15, "normal",
		 lt_screen_format(&screen,
				  "PID %d: %s of %s free (%s), longest free range %s. Each square "
				  "is memory, in the order of addresses.",
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
	y = add_legend(&screen, found, y + 16);
	y = add_cells(&screen, found, 0, pools, "Python's allocator (pymalloc)", y);
	y = add_cells(&screen, found, pools, found->cells.count, "malloc", y);
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
