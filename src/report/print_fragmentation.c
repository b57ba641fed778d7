#include "report/print.h"

#include "analysis/fragmentation.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { CLASSES = 8, ARENAS = 8, MAP_WIDTH = 64, MAP_ROWS = 16, INDENT = 2 };

/* ---- What it means ---- */

static const char *meaning(struct lt_screen *screen, const struct lt_fragmentation *found)
{
	const char *idle = lt_screen_bytes(screen, found->free_bytes);
	switch (found->verdict) {
	case LT_FRAGMENTATION_PINNED:
		return lt_screen_format(
			screen,
			"%s of Python's %s arenas are less than a quarter full: %s blocks, %s of "
			"them, keep %s. An arena goes back only when its last block is free, and "
			"neither malloc_trim nor another malloc changes that. Make what stays "
			"before or apart from what goes, or do the big step in a process that "
			"ends.",
			lt_screen_count(screen, found->pinned_arenas),
			lt_screen_count(screen, found->pymalloc.arenas),
			lt_screen_count(screen, found->pinned_blocks),
			lt_screen_bytes(screen, found->pinned_used_bytes),
			lt_screen_bytes(screen, found->pinned_free_bytes));
	case LT_FRAGMENTATION_ARENAS:
		return lt_screen_format(
			screen,
			"malloc has %s arenas for threads beside the main one, and the process %u "
			"threads now. Of the %s that are free, %s lie in these arenas, where only "
			"the threads that use an arena find them. Start it with "
			"MALLOC_ARENA_MAX=2; 'lowtide trim PID' gives free pages back meanwhile.",
			lt_screen_count(screen, found->thread_arenas), found->threads, idle,
			lt_screen_bytes(screen, found->thread_arenas_free_bytes));
	case LT_FRAGMENTATION_INTERNAL:
		if (found->other.found)
			return lt_screen_format(
				screen,
				"%s lie free between memory in use: %s in Python's allocator, "
				"where "
				"objects of the same size reuse it, and %s in %s, of which %s are "
				"whole "
				"pages: it gives these back by itself while it is used%s.",
				idle, lt_screen_bytes(screen, found->pymalloc_free_bytes),
				lt_screen_bytes(screen,
						found->other_free_bytes + found->malloc_free_bytes),
				found->other.name, lt_screen_bytes(screen, found->other_page_bytes),
				strcmp(found->other.name, "jemalloc") == 0
					? ", or at once by 'lowtide trim PID'"
					: lt_screen_format(screen,
							   ", or at once when %s is in its "
							   "environment",
							   found->other.setting));
		return lt_screen_format(
			screen,
			"%s lie free between memory in use: %s in Python's allocator, where "
			"objects of the same size reuse it, and %s in malloc, of which "
			"'lowtide trim PID' gives whole pages back.",
			idle, lt_screen_bytes(screen, found->pymalloc_free_bytes),
			lt_screen_bytes(screen, found->malloc_free_bytes));
	default:
		return lt_screen_format(screen,
					"%s of %s are free: too little, or too small a share, to "
					"matter.",
					idle, lt_screen_bytes(screen, found->held_bytes));
	}
}

static const char *figure(struct lt_screen *screen, const struct lt_memory_limit *limit,
			  uint64_t value)
{
	return limit->mappings ? lt_screen_count(screen, value) : lt_screen_bytes(screen, value);
}

static void add_limits(struct lt_screen *screen, const struct lt_fragmentation *found)
{
	for (size_t i = 0; i < found->limit_count; i++) {
		const struct lt_memory_limit *limit = &found->limits[i];
		if (!limit->tight && screen->style->verbosity <= 0)
			continue;
		lt_screen_paragraph(
			screen, INDENT, "", INDENT,
			lt_screen_format(screen, "%s: %s (%s) has %s of %s in use, %s are left%s",
					 limit->tight ? "Nearly exhausted" : "Limit", limit->name,
					 limit->cause, figure(screen, limit, limit->used),
					 figure(screen, limit, limit->limit),
					 figure(screen, limit, limit->headroom),
					 limit->tight
						 ? ". A request that fails, fails for this and "
						   "not for fragmentation."
						 : "."));
	}
	if (!found->exhausted)
		lt_screen_paragraph(
			screen, INDENT, "", INDENT,
			lt_screen_format(screen,
					 "No limit is near; the longest unused range of addresses "
					 "has %s.",
					 lt_screen_bytes(screen, found->largest_gap_bytes)));
}

/* ---- Tables ---- */

static double share(uint64_t part, uint64_t all)
{
	return all > 0 ? (double)part / (double)all : 0;
}

enum { ALLOCATOR_CELLS = 5, ALLOCATORS = 3 };

struct allocator_rows {
	const char *cells[ALLOCATORS * ALLOCATOR_CELLS];
	size_t count;
};

static void add_allocator(struct lt_screen *screen, struct allocator_rows *rows, uint64_t held,
			  uint64_t idle, uint64_t largest, const char *name)
{
	const char **row = &rows->cells[rows->count++ * ALLOCATOR_CELLS];
	row[0] = lt_screen_bytes(screen, held);
	row[1] = lt_screen_bytes(screen, idle);
	row[2] = lt_screen_share(screen, share(idle, held));
	row[3] = lt_screen_bytes(screen, largest);
	row[4] = name;
}

static void add_malloc(struct lt_screen *screen, const struct lt_fragmentation *found,
		       struct allocator_rows *rows)
{
	uint64_t largest = 0;
	size_t own = found->arenas.count - (found->other.found ? 1 : 0);
	for (size_t i = 0; i < own; i++) {
		if (found->arenas.data[i].largest_free_bytes > largest)
			largest = found->arenas.data[i].largest_free_bytes;
	}
	if (found->malloc.found)
		add_allocator(screen, rows, found->malloc_held_bytes, found->malloc_free_bytes,
			      largest,
			      lt_screen_format(screen, "malloc of glibc %s: %zu arena%s",
					       lt_screen_safe(screen, found->malloc.release), own,
					       own == 1 ? "" : "s"));
	else if (!found->other.found)
		add_allocator(screen, rows, 0, 0, 0, "C allocator: none that can be walked");
}

static void add_allocators(struct lt_screen *screen, const struct lt_fragmentation *found)
{
	static const struct lt_table_column columns[ALLOCATOR_CELLS] = {{"RESIDENT", true, 0},
									{"FREE", true, 0},
									{"SHARE", true, 0},
									{"LARGEST FREE", true, 0},
									{"ALLOCATOR", false, 0}};
	struct allocator_rows rows = {0};
	add_allocator(screen, &rows, found->pymalloc_held_bytes, found->pymalloc_free_bytes,
		      found->pymalloc_largest_free_bytes,
		      lt_screen_format(screen, "Python's (pymalloc): %s arenas",
				       lt_screen_count(screen, found->pymalloc.arenas)));
	add_malloc(screen, found, &rows);
	if (found->other.found)
		add_allocator(screen, &rows, found->other_held_bytes, found->other_free_bytes,
			      found->other_largest_free_bytes,
			      lt_screen_format(screen, "%s%s%s: %s free pages", found->other.name,
					       found->other.release[0] != '\0' ? " " : "",
					       found->other.release,
					       lt_screen_bytes(screen, found->other_page_bytes)));
	const struct lt_table table = {.columns = columns,
				       .column_count = ALLOCATOR_CELLS,
				       .cells = rows.cells,
				       .row_count = rows.count,
				       .indent = INDENT};
	lt_screen_table(screen, &table);
}

static int by_free_class(const void *left, const void *right)
{
	const struct lt_size_class *a = left, *b = right;
	uint64_t mine = a->free * a->size, other = b->free * b->size;
	return mine != other ? (mine < other ? 1 : -1) : (a->size > b->size) - (a->size < b->size);
}

static void add_classes(struct lt_screen *screen, const struct lt_fragmentation *found)
{
	enum { CELLS = 6 };
	static const struct lt_table_column columns[CELLS] = {
		{"BLOCK", true, 0}, {"POOLS", true, 0},      {"USED", true, 0},
		{"FREE", true, 0},  {"FREE BYTES", true, 0}, {"SHARE", true, 0}};
	struct lt_pymalloc_stats stats = found->pymalloc;
	const char *cells[LT_SIZE_CLASSES_MAX * CELLS];
	size_t count = 0;
	qsort(stats.classes, stats.class_count, sizeof(*stats.classes), by_free_class);
	for (size_t i = 0; i < stats.class_count; i++) {
		const struct lt_size_class *class = &stats.classes[i];
		if (class->pools == 0 || (screen->style->verbosity <= 0 && count >= CLASSES))
			continue;
		const char **row = &cells[count++ * CELLS];
		row[0] = lt_screen_format(screen, "%u", class->size);
		row[1] = lt_screen_count(screen, class->pools);
		row[2] = lt_screen_count(screen, class->used);
		row[3] = lt_screen_count(screen, class->free);
		row[4] = lt_screen_bytes(screen, class->free * class->size);
		row[5] = lt_screen_share(screen, share(class->free, class->used + class->free));
	}
	if (count == 0)
		return;
	lt_screen_heading(screen, "SIZE CLASSES OF PYTHON'S ALLOCATOR",
			  lt_screen_format(screen, "%s pools in use, %s free; most free first",
					   lt_screen_count(screen, stats.pools_used),
					   lt_screen_count(screen, stats.pools_free)));
	const struct lt_table table = {.columns = columns,
				       .column_count = CELLS,
				       .cells = cells,
				       .row_count = count,
				       .indent = INDENT};
	lt_screen_table(screen, &table);
}

static int by_free_arena(const void *left, const void *right)
{
	const struct lt_fragment_arena *a = *(const struct lt_fragment_arena *const *)left,
				       *b = *(const struct lt_fragment_arena *const *)right;
	if (a->resident_free_bytes != b->resident_free_bytes)
		return a->resident_free_bytes < b->resident_free_bytes ? 1 : -1;
	return (a->address > b->address) - (a->address < b->address);
}

static void add_arenas(struct lt_screen *screen, const struct lt_fragmentation *found)
{
	enum { CELLS = 6 };
	static const struct lt_table_column columns[CELLS] = {
		{"SYSTEM", true, 0},         {"USED", true, 0},    {"FREE", true, 0},
		{"FREE, RESIDENT", true, 0}, {"LARGEST", true, 0}, {"ARENA", false, 0}};
	size_t all = found->arenas.count;
	if (all == 0)
		return;
	size_t shown = all > ARENAS && screen->style->verbosity <= 0 ? ARENAS : all;
	const struct lt_fragment_arena **order = calloc(all, sizeof(struct lt_fragment_arena *));
	const char **cells = calloc(shown * CELLS, sizeof(*cells));
	if (order == NULL || cells == NULL) {
		screen->out->failed = true;
	} else {
		for (size_t i = 0; i < all; i++)
			order[i] = &found->arenas.data[i];
		qsort(order, all, sizeof(struct lt_fragment_arena *), by_free_arena);
		for (size_t i = 0; i < shown; i++) {
			const char **row = &cells[i * CELLS];
			row[0] = lt_screen_bytes(screen, order[i]->system_bytes);
			row[1] = lt_screen_bytes(screen, order[i]->used_bytes);
			row[2] = lt_screen_bytes(screen, order[i]->free_bytes);
			row[3] = lt_screen_bytes(screen, order[i]->resident_free_bytes);
			row[4] = lt_screen_bytes(screen, order[i]->largest_free_bytes);
			row[5] =
				order[i]->other
					? lt_screen_format(screen, "all of %s%s", found->other.name,
							   order[i]->whole ? "" : ", not whole")
					: lt_screen_format(
						  screen, "%s, used by %s thread%s%s",
						  order[i]->main ? "main" : "for threads",
						  lt_screen_count(screen, order[i]->attached),
						  order[i]->attached == 1 ? "" : "s",
						  order[i]->whole ? "" : ", not whole");
		}
		lt_screen_heading(screen, "ARENAS OF MALLOC",
				  shown < all
					  ? lt_screen_format(screen, "%zu of %zu, most free first",
							     shown, all)
					  : "most free first");
		const struct lt_table table = {.columns = columns,
					       .column_count = CELLS,
					       .cells = cells,
					       .row_count = shown,
					       .indent = INDENT};
		lt_screen_table(screen, &table);
	}
	free(order);
	free(cells);
}

/* ---- The map ---- */

static const char *const blocks[] = {"\u00b7", "\u2591", "\u2592", "\u2593", "\u2588"};
static const char *const letters[] = {".", "-", "+", "*", "#"};

/* From 0, nothing in use, to 4, full. A cell that has anything in use is at least 1, one that is not full at most 3. */
static unsigned shade(uint64_t used, uint64_t bytes)
{
	if (used == 0)
		return 0;
	if (used * 20 >= bytes * 19)
		return 4;
	unsigned level = 1 + (unsigned)(used * 3 / bytes);
	return level < 3 ? level : 3;
}

static void add_map(struct lt_screen *screen, const struct lt_fragmentation *found, size_t from,
		    size_t to, const char *title)
{
	const char *const *signs = screen->style->utf8 ? blocks : letters;
	unsigned room = screen->style->width > INDENT ? screen->style->width - INDENT : MAP_WIDTH;
	unsigned width = room < MAP_WIDTH ? room : MAP_WIDTH;
	size_t count = to - from, most = (size_t)width * MAP_ROWS;
	if (count == 0)
		return;
	size_t joined = (count + most - 1) / most;
	uint64_t bytes = 0;
	for (size_t i = from; i < to; i++)
		bytes += found->cells.data[i].bytes;
	lt_screen_heading(
		screen, title,
		lt_screen_format(screen,
				 "by address, %s a sign; %s empty %s %s %s %s full, blank: "
				 "not resident",
				 lt_screen_bytes(screen, bytes / count * joined), signs[0],
				 signs[1], signs[2], signs[3], signs[4]));
	for (size_t i = from, column = 0; i < to; i += joined) {
		uint64_t used = 0, all = 0;
		bool resident = false;
		for (size_t j = i; j < to && j < i + joined; j++) {
			used += found->cells.data[j].used;
			all += found->cells.data[j].bytes;
			resident = resident || found->cells.data[j].resident;
		}
		if (column == 0)
			lt_text_addf(screen->out, "%*s", INDENT, "");
		lt_text_add(screen->out, resident ? signs[shade(used, all)] : " ");
		if (++column == width) {
			lt_text_add(screen->out, "\n");
			column = 0;
		} else if (i + joined >= to) {
			lt_text_add(screen->out, "\n");
		}
	}
}

/* True when the cell is of another allocator than glibc's. */
static bool of_other(const struct lt_fragmentation *found, size_t cell)
{
	uint32_t arena = found->cells.data[cell].arena;
	return arena < found->arenas.count && found->arenas.data[arena].other;
}

static void add_maps(struct lt_screen *screen, const struct lt_fragmentation *found)
{
	char title[64];
	size_t pools = 0, chunks;
	while (pools < found->cells.count && found->cells.data[pools].arena == UINT32_MAX)
		pools++;
	for (chunks = pools; chunks < found->cells.count && !of_other(found, chunks);)
		chunks++;
	add_map(screen, found, 0, pools, "MAP OF PYTHON'S ALLOCATOR");
	add_map(screen, found, pools, chunks, "MAP OF MALLOC");
	if (chunks == found->cells.count)
		return;
	size_t length = (size_t)snprintf(title, sizeof(title), "MAP OF %s", found->other.name);
	for (size_t i = 0; i < length && i < sizeof(title); i++)
		title[i] = (char)toupper((unsigned char)title[i]);
	add_map(screen, found, chunks, found->cells.count, title);
}

void lt_print_fragmentation(const struct lt_report *report, const struct lt_fragmentation *found,
			    struct lt_text *out)
{
	struct lt_screen screen;
	lt_screen_init(&screen, &report->style, out);
	lt_print_head(&screen, report);
	lt_screen_heading(&screen, "FRAGMENTATION",
			  lt_screen_format(&screen, "%s%s%s of %s free (%s)",
					   lt_fragmentation_title(found->verdict),
					   lt_screen_dot(&screen),
					   lt_screen_bytes(&screen, found->free_bytes),
					   lt_screen_bytes(&screen, found->held_bytes),
					   lt_screen_share(&screen, found->ratio)));
	lt_screen_paragraph(&screen, INDENT, "", INDENT, meaning(&screen, found));
	add_limits(&screen, found);
	lt_text_add(out, "\n");
	add_allocators(&screen, found);
	if (report->style.verbosity >= 0) {
		add_classes(&screen, found);
		add_arenas(&screen, found);
		add_maps(&screen, found);
	}
	lt_screen_deinit(&screen);
}
