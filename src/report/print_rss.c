#include "report/print.h"

#include "analysis/rss.h"

enum { ROWS = 30, CELLS = 5, PIN_CELLS = 5, PINS = 5, ALWAYS = 3, TRIM_MIN = 1 << 20 };

static const char *const layer_titles[LT_RSS_LAYERS] = {
	[LT_RSS_OBJECTS] = "Python objects", [LT_RSS_PYMALLOC] = "Python's allocator (pymalloc)",
	[LT_RSS_MALLOC] = "C allocator",     [LT_RSS_STACKS] = "stacks",
	[LT_RSS_FILES] = "mapped files",     [LT_RSS_OTHER] = "not explained",
};

/* Rows that are not shown one by one are joined at the end of their layer. */
static bool is_shown(const struct lt_rss *rss, const struct lt_rss_part *part, uint64_t top,
		     size_t rank)
{
	if (top != 0)
		return rank < top;
	if (rank < ALWAYS && part->layer != LT_RSS_FILES)
		return part->bytes > 0;
	return (double)part->bytes >= 0.005 * (double)rss->rss_bytes;
}

struct rows {
	struct lt_screen *screen;
	const char **cells;
	size_t count;
	uint64_t all;
};

static void add_row(struct rows *rows, const char *name, uint64_t bytes, uint64_t shared,
		    const char *count, const char *detail)
{
	struct lt_screen *screen = rows->screen;
	const char **row = &rows->cells[rows->count++ * CELLS];
	row[0] = lt_screen_bytes(screen, bytes);
	row[1] = lt_screen_share(screen, rows->all > 0 ? (double)bytes / (double)rows->all : 0);
	row[2] = count;
	row[3] = shared > 0 ? lt_screen_bytes(screen, shared) : "";
	row[4] = detail[0] != '\0' ? lt_screen_format(screen, "%s: %s", name, detail) : name;
}

static void add_layer(struct rows *rows, const struct lt_rss *rss, enum lt_rss_layer layer,
		      uint64_t top)
{
	struct lt_screen *screen = rows->screen;
	uint64_t bytes = 0, shared = 0, others = 0, other_bytes = 0, other_shared = 0;
	size_t rank = 0;
	for (size_t i = 0; i < rss->parts.count; i++) {
		if (rss->parts.data[i].layer == layer) {
			bytes += rss->parts.data[i].bytes;
			shared += rss->parts.data[i].shared_bytes;
		}
	}
	if (bytes == 0)
		return;
	add_row(rows, layer_titles[layer], bytes, shared, "", "");
	for (size_t i = 0; i < rss->parts.count; i++) {
		const struct lt_rss_part *part = &rss->parts.data[i];
		if (part->layer != layer)
			continue;
		if (!is_shown(rss, part, top, rank++)) {
			others++;
			other_bytes += part->bytes;
			other_shared += part->shared_bytes;
			continue;
		}
		add_row(rows, lt_screen_format(screen, "  %s", lt_screen_safe(screen, part->name)),
			part->bytes, part->shared_bytes, lt_screen_count(screen, part->count),
			layer == LT_RSS_FILES ? "" : lt_screen_safe(screen, part->detail));
	}
	if (other_bytes > 0)
		add_row(rows, "  others", other_bytes, other_shared,
			lt_screen_count(screen, others), "");
}

static void add_parts(struct lt_screen *screen, const struct lt_rss *rss, uint64_t top)
{
	static const struct lt_table_column columns[CELLS] = {{"RESIDENT", true, 0},
							      {"SHARE", true, 0},
							      {"COUNT", true, 0},
							      {"SHARED", true, 0},
							      {"PART", false, 0}};
	struct rows rows = {.screen = screen, .all = rss->rss_bytes};
	rows.cells = calloc((rss->parts.count + 2 * (size_t)LT_RSS_LAYERS) * CELLS + 1,
			    sizeof(*rows.cells));
	if (rows.cells == NULL) {
		screen->out->failed = true;
		return;
	}
	for (int layer = 0; layer < LT_RSS_LAYERS; layer++)
		add_layer(&rows, rss, (enum lt_rss_layer)layer, top);
	const struct lt_table table = {.columns = columns,
				       .column_count = CELLS,
				       .cells = rows.cells,
				       .row_count = rows.count,
				       .indent = 2};
	lt_screen_table(screen, &table);
	free(rows.cells);
}

static void add_beside(struct lt_screen *screen, const struct lt_rss *rss)
{
	const char *dot = lt_screen_dot(screen);
	lt_screen_paragraph(
		screen, 0, "", 0,
		lt_screen_format(screen,
				 "\nBeside RSS: page tables %s%sswap %s%smapped but not touched "
				 "%s%sof RSS in huge pages %s",
				 lt_screen_bytes(screen, rss->page_table_bytes), dot,
				 lt_screen_bytes(screen, rss->swap_bytes), dot,
				 lt_screen_bytes(screen, rss->untouched_bytes), dot,
				 lt_screen_bytes(screen, rss->huge_bytes)));
}

static void add_pins(struct lt_screen *screen, const struct lt_rss *rss)
{
	static const struct lt_table_column columns[PIN_CELLS] = {{"HOLDS", true, 0},
								  {"SURVIVORS", true, 0},
								  {"TYPE", false, 40},
								  {"IN", false, 0},
								  {"ONE OF THEM", false, 0}};
	const char *cells[PINS * PIN_CELLS];
	size_t count = rss->pins.count < PINS ? rss->pins.count : PINS;
	if (count == 0)
		return;
	for (size_t i = 0; i < count; i++) {
		const struct lt_rss_pin *pin = &rss->pins.data[i];
		const char **row = &cells[i * PIN_CELLS];
		row[0] = lt_screen_bytes(screen, pin->holds_bytes);
		row[1] = lt_screen_count(screen, pin->count);
		row[2] = lt_screen_safe(screen, pin->type);
		row[3] = pin->layer;
		row[4] = pin->expression[0] != '\0' ? lt_screen_safe(screen, pin->expression)
			 : pin->note != NULL        ? pin->note
						    : "";
	}
	lt_screen_heading(screen, "WHAT KEEPS MEMORY FROM GOING BACK",
			  "survivors in memory that is mostly free");
	const struct lt_table table = {.columns = columns,
				       .column_count = PIN_CELLS,
				       .cells = cells,
				       .row_count = count,
				       .indent = 2};
	lt_screen_table(screen, &table);
	lt_screen_paragraph(
		screen, 2, "", 2,
		"An arena of Python's allocator goes back when the last object in it is gone: make "
		"what survives before the big structure or copy it afterwards, or do the work in a "
		"process that ends; malloc_trim cannot change that. Holes in a heap of malloc go "
		"back by malloc_trim.");
}

static void add_trim(struct lt_screen *screen, const struct lt_rss *rss)
{
	if (rss->trim_gain_bytes < TRIM_MIN)
		return;
	lt_screen_heading(screen, "WHAT WOULD GO BACK AT ONCE",
			  lt_screen_format(screen, "%s by malloc_trim(0)",
					   lt_screen_bytes(screen, rss->trim_gain_bytes)));
	lt_screen_paragraph(screen, 2, "", 2,
			    "These are whole pages that the C allocator has free between and "
			    "behind used memory. Now: 'lowtide trim PID'. In the service: "
			    "ctypes.CDLL(None).malloc_trim(0), after the work that frees much.");
}

static void add_classes(struct lt_screen *screen, const struct lt_pymalloc_stats *stats)
{
	enum { CLASS_CELLS = 5 };
	static const struct lt_table_column columns[CLASS_CELLS] = {{"BLOCK", true, 0},
								    {"POOLS", true, 0},
								    {"USED", true, 0},
								    {"FREE", true, 0},
								    {"FREE BYTES", true, 0}};
	const char *cells[LT_SIZE_CLASSES_MAX * CLASS_CELLS];
	size_t count = 0;
	for (size_t i = 0; i < stats->class_count; i++) {
		const struct lt_size_class *class = &stats->classes[i];
		if (class->pools == 0)
			continue;
		const char **row = &cells[count++ * CLASS_CELLS];
		row[0] = lt_screen_format(screen, "%u", class->size);
		row[1] = lt_screen_count(screen, class->pools);
		row[2] = lt_screen_count(screen, class->used);
		row[3] = lt_screen_count(screen, class->free);
		row[4] = lt_screen_bytes(screen, class->free * class->size);
	}
	lt_screen_heading(screen, "SIZE CLASSES OF PYMALLOC",
			  lt_screen_format(screen, "%s arenas, %s",
					   lt_screen_count(screen, stats->arenas),
					   lt_screen_bytes(screen, stats->arena_bytes)));
	const struct lt_table table = {.columns = columns,
				       .column_count = CLASS_CELLS,
				       .cells = cells,
				       .row_count = count,
				       .indent = 2};
	lt_screen_table(screen, &table);
}

void lt_print_rss(const struct lt_report *report, const struct lt_rss *rss, uint64_t top,
		  struct lt_text *out)
{
	struct lt_screen screen;
	lt_screen_init(&screen, &report->style, out);
	lt_print_head(&screen, report);
	lt_screen_heading(&screen, "RESIDENT MEMORY",
			  lt_screen_format(&screen, "%s%s%s explained%sC allocator: %s",
					   lt_screen_bytes(&screen, rss->rss_bytes),
					   lt_screen_dot(&screen),
					   lt_screen_share(&screen, rss->explained_ratio),
					   lt_screen_dot(&screen), rss->allocator));
	add_parts(&screen, rss, top);
	add_pins(&screen, rss);
	add_trim(&screen, rss);
	if (report->style.verbosity >= 0)
		add_beside(&screen, rss);
	if (report->style.verbosity > 0 && rss->pymalloc.class_count > 0)
		add_classes(&screen, &rss->pymalloc);
	lt_screen_deinit(&screen);
}
