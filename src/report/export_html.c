#include "report/export_html.h"

#include "base/number.h"
#include "report/assets.h"
#include "report/json.h"
#include "report/print.h"
#include "report/template.h"

#include <string.h>

enum {
	ROWS_MOST = 200, /* of each table */
	FINDINGS_MOST = 200,
	BLOCKS_MOST = 4000,      /* of the tree */
	TREE_ROWS = 120,         /* of the tree as a table */
	TREE_DEPTH = 8,          /* of its rows */
	NAME_MOST = 600,         /* bytes of a name in the page */
	DATA_MOST = 2500 * 1000, /* bytes of the tree's data */
	TABLES_MOST = 1500 * 1000,
};

/* What the page needs of a result; all borrowed but `root`. */
struct page {
	const struct lt_report *report;
	const struct lt_retained *tree;
	json_t *root;
	json_t *tables;          /* of the root, in the order of the page */
	struct lt_screen screen; /* for figures */
	uint64_t all;            /* bytes that are alive, when there is a tree */
	size_t left; /* bytes that names may still take in tables: a hostile target has long ones */
};

/* An entry of the tree, or the heap above it. */
struct block {
	const struct lt_retained_entry *entry; /* NULL: the heap */
	size_t parent, first, count;           /* what it holds: blocks[first .. first + count) */
	uint64_t objects, own, retained;
	uint64_t shown; /* bytes of the blocks that it holds */
	bool cut;       /* it holds more than is shown */
	bool chosen;    /* has a row in the table */
	size_t depth;   /* of that row */
};

static void set(json_t *object, const char *key, json_t *value)
{
	json_object_set_new(object, key, value);
}

/* A string of the target, cut when it is long or when the page is nearly full. */
static json_t *name(struct page *page, const char *string)
{
	struct lt_text text = {0};
	size_t most = page->left < NAME_MOST ? page->left : NAME_MOST;
	if (strlen(string) <= most) {
		lt_text_add(&text, string);
	} else {
		/* Not within a character. */
		while (most > 0 && ((unsigned char)string[most] & 0xc0) == 0x80)
			most--;
		lt_text_add_bytes(&text, string, most);
		lt_text_add(&text, "\u2026");
	}
	page->left -= text.length < page->left ? text.length : page->left;
	json_t *json = lt_json_string(lt_text_get(&text));
	lt_text_deinit(&text);
	return json;
}

/* Cuts the strings of a row, and of the rows in it, in place. */
static void cut_strings(struct page *page, json_t *object)
{
	const char *key;
	json_t *value;
	void *next;
	json_object_foreach_safe(object, next, key, value)
	{
		size_t index;
		json_t *item;
		if (json_is_string(value))
			set(object, key, name(page, json_string_value(value)));
		json_array_foreach(value, index, item)
		{
			if (json_is_string(item))
				json_array_set_new(value, index,
						   name(page, json_string_value(item)));
		}
	}
}

enum form {
	FORM_BYTES,
	FORM_COUNT,
	FORM_SHARE,
	FORM_BAR,
	FORM_MS,
	FORM_WHOLE,
	FORM_TEXT,
	FORM_NAME
};

/* A column of a table: what of each row it shows, and how. */
struct column {
	const char *title;
	const char *key;
	enum form form;
	const char *note; /* the key of a smaller text behind it, NULL for none */
};

static bool is_figure(enum form form)
{
	return form < FORM_TEXT && form != FORM_BAR;
}

static const char *figure(struct page *page, enum form form, const json_t *value)
{
	struct lt_screen *screen = &page->screen;
	double real = json_number_value(value);
	json_int_t whole = json_is_integer(value) ? json_integer_value(value) : 0;
	uint64_t count = whole > 0 ? (uint64_t)whole : 0;
	switch (form) {
	case FORM_BYTES:
		return lt_screen_bytes(screen, count);
	case FORM_COUNT:
		return lt_screen_count(screen, count);
	case FORM_SHARE:
		return lt_screen_share(screen, real);
	case FORM_MS:
		return lt_screen_milliseconds(screen, real);
	default:
		return lt_screen_format(screen, "%lld", (long long)whole);
	}
}

static json_t *make_cell(struct page *page, const json_t *row, const struct column *column)
{
	const json_t *value = json_object_get(row, column->key);
	json_t *cell = json_object();
	if (is_figure(column->form)) {
		set(cell, "class", json_string("n"));
		if (json_is_number(value))
			set(cell, "text", json_string(figure(page, column->form, value)));
	} else if (column->form == FORM_BAR) {
		set(cell, "class", json_string("bar"));
		set(cell, "bar", json_real(json_number_value(value)));
	} else if (json_is_string(value)) {
		set(cell, "text", name(page, json_string_value(value)));
	}
	if (column->form == FORM_NAME) {
		json_int_t depth = json_integer_value(json_object_get(row, "depth"));
		char class[32];
		snprintf(class, sizeof(class), depth > 0 ? "name d%d" : "name", (int)depth);
		set(cell, "class", json_string(class));
	}
	const json_t *note = column->note != NULL ? json_object_get(row, column->note) : NULL;
	if (json_is_string(note))
		set(cell, "note", name(page, json_string_value(note)));
	return cell;
}

/* Adds a table of the first rows; `rows` is borrowed. The table, NULL when there are no rows. */
static json_t *add_table(struct page *page, const char *id, const char *heading, const char *lead,
			 const struct column *columns, size_t column_count, const json_t *rows)
{
	size_t count = json_array_size(rows);
	json_t *heads = json_array(), *shown = json_array();
	for (size_t c = 0; c < column_count && count > 0; c++) {
		json_t *head = json_object();
		set(head, "title", json_string(columns[c].title));
		if (is_figure(columns[c].form))
			set(head, "class", json_string("n"));
		json_array_append_new(heads, head);
	}
	for (size_t i = 0; i < count && i < ROWS_MOST; i++) {
		json_t *cells = json_array();
		for (size_t c = 0; c < column_count; c++)
			json_array_append_new(
				cells, make_cell(page, json_array_get(rows, i), &columns[c]));
		json_array_append_new(shown, cells);
	}
	json_t *table = json_pack("{s:s, s:s, s:s, s:o, s:o, s:I}", "id", id, "heading", heading,
				  "lead", lead, "columns", heads, "rows", shown, "more",
				  (json_int_t)(count > ROWS_MOST ? count - ROWS_MOST : 0));
	if (count == 0 || table == NULL) {
		json_decref(table);
		return NULL;
	}
	json_array_append_new(page->tables, table);
	return table;
}

#define ADD_TABLE(page, id, heading, lead, columns, rows)                                          \
	add_table(page, id, heading, lead, columns, sizeof(columns) / sizeof((columns)[0]), rows)

static void add_target(struct page *page, json_t *result)
{
	const struct lt_report *report = page->report;
	const struct lt_identity *who = report->identity;
	json_t *root = page->root;
	struct lt_text title = {0};
	lt_text_addf(&title, "lowtide %s", report->command);
	if (who != NULL) {
		json_t *target =
			json_pack("{s:i, s:o, s:o, s:o, s:o, s:i}", "pid", (int)who->pid, "python",
				  lt_json_known(who->python), "cmdline",
				  name(page, who->command_line != NULL ? who->command_line : ""),
				  "uptime_ms", lt_json_count(who->uptime_ms), "rss_bytes",
				  lt_json_count(who->rss_bytes), "threads", (int)who->thread_count);
		set(root, "target", target);
		lt_text_addf(&title, " %d", (int)who->pid);
	}
	set(root, "title", lt_json_string(lt_text_get(&title)));
	lt_text_deinit(&title);
	bool stored = who != NULL && who->stored;
	bool live = !stored && who != NULL && who->mode == LT_MODE_LIVE;
	set(root, "stored", json_boolean(stored));
	set(root, "live", json_boolean(live));
	set(root, "stopped", json_boolean(!stored && !live));
	set(root, "version", json_string(LT_VERSION));
	set(root, "command", json_string(report->command));
	set(root, "stall_ms", json_real(report->cost.stall_ms));
	set(root, "elapsed_ms", json_real(report->cost.elapsed_ms));
	set(root, "peak_bytes", lt_json_count(report->cost.peak_bytes));
	set(root, "unreadable", lt_json_count(report->session->unreadable));
	json_t *warnings = json_array();
	for (size_t i = 0; i < report->session->warning_count; i++)
		json_array_append_new(warnings, name(page, report->session->warnings[i]));
	set(root, "warnings", warnings);
	json_t *heap = json_object_get(result, "heap");
	if (heap == NULL && page->tree != NULL)
		set(root, "heap",
		    json_pack("{s:o, s:o}", "bytes", lt_json_count(page->tree->object_bytes),
			      "objects", lt_json_count(page->tree->object_count)));
	else if (heap != NULL)
		set(root, "heap",
		    json_pack("{s:O?, s:O?}", "bytes", json_object_get(heap, "bytes"), "objects",
			      json_object_get(heap, "count")));
}

/* Bytes of the whole heap, 0 when they are not known. */
static double heap_bytes(const struct page *page)
{
	return json_number_value(json_object_get(json_object_get(page->root, "heap"), "bytes"));
}

static void add_kinds(struct page *page, json_t *kinds)
{
	static const struct column columns[] = {{"Bytes", "bytes", FORM_BYTES, NULL},
						{"Share", "share", FORM_SHARE, NULL},
						{"", "share", FORM_BAR, NULL},
						{"Objects", "count", FORM_COUNT, NULL},
						{"Type", "type", FORM_NAME, "module"}};
	double all = heap_bytes(page);
	size_t index;
	json_t *kind;
	json_array_foreach(kinds, index, kind)
	{
		double bytes = json_number_value(json_object_get(kind, "bytes"));
		set(kind, "share", json_real(all > 0 ? bytes / all : 0));
	}
	(void)ADD_TABLE(page, "kinds", "Biggest types", "", columns, kinds);
}

static void add_containers(struct page *page, json_t *containers)
{
	static const struct column columns[] = {{"Held", "held", FORM_BYTES, NULL},
						{"Share", "share", FORM_SHARE, NULL},
						{"", "share", FORM_BAR, NULL},
						{"Entries", "length", FORM_COUNT, NULL},
						{"Type", "type", FORM_TEXT, NULL},
						{"Expression", "expression", FORM_NAME, "where"}};
	size_t index;
	json_t *container;
	json_array_foreach(containers, index, container)
	{
		const char *address = json_string_value(json_object_get(container, "address"));
		if (!json_is_string(json_object_get(container, "expression")) && address != NULL)
			set(container, "expression",
			    json_string(lt_screen_format(&page->screen, "at %s", address)));
	}
	(void)ADD_TABLE(page, "containers", "Biggest containers", "", columns, containers);
}

/* The looks of leaks, one row each. */
static void add_looks(struct page *page, const json_t *looks)
{
	static const struct column columns[] = {
		{"After", "at_ms", FORM_MS, NULL},
		{"Objects", "objects", FORM_COUNT, NULL},
		{"Bytes", "bytes", FORM_BYTES, NULL},
		{"Garbage", "garbage_objects", FORM_COUNT, NULL},
		{"Private memory", "anonymous_bytes", FORM_BYTES, NULL},
		{"Stood still", "stall_ms", FORM_MS, NULL}};
	(void)ADD_TABLE(page, "looks", "The looks", "", columns, looks);
}

/* "; 120 objects are tracked", nothing when there are none or it is not known. */
static const char *counted(struct page *page, const json_t *collector, const char *key,
			   const char *before, const char *behind)
{
	json_int_t count = json_integer_value(json_object_get(collector, key));
	return count > 0 ? lt_screen_format(&page->screen, "%s%s%s", before,
					    lt_screen_count(&page->screen, (uint64_t)count), behind)
			 : "";
}

static void add_collector(struct page *page, const json_t *collector, size_t number)
{
	static const struct column columns[] = {
		{"Generation", "name", FORM_TEXT, NULL},
		{"Threshold", "threshold", FORM_WHOLE, NULL},
		{"Count", "at", FORM_WHOLE, NULL},
		{"Collections", "collections", FORM_COUNT, NULL},
		{"Collected", "collected", FORM_COUNT, NULL},
		{"Uncollectable", "uncollectable", FORM_COUNT, NULL}};
	static const char *const names[] = {"young", "middle", "old"};
	struct lt_screen *screen = &page->screen;
	json_t *rows = json_array();
	json_t *generations = json_object_get(collector, "generations");
	for (size_t i = 0; i < 3 && i < json_array_size(generations); i++) {
		json_t *row = json_copy(json_array_get(generations, i));
		set(row, "name", json_string(names[i]));
		json_object_set(row, "threshold",
				json_array_get(json_object_get(collector, "thresholds"), i));
		json_object_set(row, "at", json_array_get(json_object_get(collector, "counts"), i));
		json_array_append_new(rows, row);
	}
	json_int_t interpreter = json_integer_value(json_object_get(collector, "interpreter"));
	const char *lead =
		lt_screen_format(screen, "Automatic collection is %s%s%s%s%s.",
				 json_is_true(json_object_get(collector, "enabled")) ? "on" : "off",
				 counted(page, collector, "tracked", "; ", " objects are tracked"),
				 counted(page, collector, "frozen", ", ", " of them frozen"),
				 counted(page, collector, "garbage", "; ", " in gc.garbage"),
				 counted(page, collector, "callbacks", "; ", " callbacks"));
	(void)ADD_TABLE(page, lt_screen_format(screen, "collector-%zu", number),
			interpreter > 0 ? lt_screen_format(screen, "Collector of interpreter %lld",
							   (long long)interpreter)
					: "Collector",
			lead, columns, rows);
	json_decref(rows);
}

/* Findings or suspects: the cards, worst first. */
static void add_cards(struct page *page, const char *id, const char *heading, const char *quiet,
		      json_t *cards)
{
	if (!json_is_array(cards))
		return;
	json_t *list = json_array();
	for (size_t i = 0; i < json_array_size(cards) && i < FINDINGS_MOST; i++) {
		cut_strings(page, json_array_get(cards, i));
		json_array_append(list, json_array_get(cards, i));
	}
	set(page->root, "cards",
	    json_pack("{s:s, s:s, s:s, s:o}", "id", id, "heading", heading, "quiet", quiet, "list",
		      list));
}

/* ---- What holds the memory ---- */

static const char *block_name(const struct block *block, struct lt_text *text)
{
	const struct lt_retained_entry *entry = block->entry;
	char count[LT_NUMBER_MAX];
	lt_text_clear(text);
	if (entry == NULL)
		lt_text_add(text, "the heap");
	else if (entry->kind == LT_RETAINED_OTHERS)
		lt_text_addf(text, "%s smaller", lt_number_count(entry->count, count));
	else if (entry->kind == LT_RETAINED_ALIKE)
		lt_text_addf(text, "%s \u00d7 %s", lt_number_count(entry->count, count),
			     entry->type);
	else
		lt_text_add(text, *entry->expression != '\0' ? entry->expression : entry->type);
	return lt_text_get(text);
}

/* The heap and the first entries of the tree: owners come before what they hold. NULL: no memory. */
static struct block *make_blocks(const struct lt_retained *tree, size_t *ret_count)
{
	size_t count = tree->entries.count < BLOCKS_MOST ? tree->entries.count : BLOCKS_MOST;
	struct block *blocks = calloc(count + 1, sizeof(*blocks));
	if (blocks == NULL)
		return NULL;
	blocks[0] = (struct block){.first = 1,
				   .count = tree->top_count < count ? tree->top_count : count,
				   .objects = tree->object_count};
	for (size_t i = 0; i < count; i++) {
		const struct lt_retained_entry *entry = &tree->entries.data[i];
		struct block *block = &blocks[i + 1];
		block->entry = entry;
		block->objects = entry->count;
		block->retained = entry->retained;
		/* A module or a kind of roots is not an object of its own: what it joins is below it. */
		if (entry->kind != LT_RETAINED_MODULE && entry->kind != LT_RETAINED_ROOTS)
			block->own = entry->shallow;
		block->first = entry->first_child + 1;
		if (entry->first_child < count)
			block->count = entry->first_child + entry->child_count <= count
					       ? entry->child_count
					       : count - entry->first_child;
		for (size_t c = 0; c < block->count; c++)
			blocks[block->first + c].parent = i + 1;
	}
	for (size_t i = count; i > 0; i--) {
		struct block *block = &blocks[i], *parent = &blocks[block->parent];
		parent->shown += block->retained;
		block->cut = block->retained - block->own > block->shown;
	}
	blocks[0].retained = blocks[0].shown;
	*ret_count = count + 1;
	return blocks;
}

static json_t *block_row(struct page *page, const struct block *block, size_t depth)
{
	struct lt_text text = {0};
	double all = page->all > 0 ? (double)page->all : 1;
	bool named = block->entry != NULL && block->entry->kind == LT_RETAINED_OBJECT &&
		     *block->entry->expression != '\0';
	json_t *row = json_pack("{s:o, s:f, s:o, s:o, s:I, s:o, s:o}", "retained",
				lt_json_count(block->retained), "share",
				(double)block->retained / all, "own", lt_json_count(block->own),
				"objects", lt_json_count(block->objects), "depth",
				(json_int_t)depth, "name", lt_json_string(block_name(block, &text)),
				"note", named ? lt_json_string(block->entry->type) : json_null());
	lt_text_deinit(&text);
	return row;
}

/* Marks the rows of the table: owners before what they hold, the heaviest first to get a place. */
static void choose_rows(struct block *blocks, size_t count)
{
	blocks[0].chosen = true;
	for (size_t rows = 1; rows < TREE_ROWS; rows++) {
		size_t best = 0;
		for (size_t i = 1; i < count; i++) {
			if (!blocks[i].chosen && blocks[blocks[i].parent].chosen &&
			    (best == 0 || blocks[i].retained > blocks[best].retained))
				best = i;
		}
		if (best == 0)
			return;
		blocks[best].chosen = true;
	}
}

/* Depth first over the rows that were chosen. */
static json_t *tree_rows(struct page *page, struct block *blocks, size_t count)
{
	json_t *rows = json_array();
	size_t *stack = calloc(count, sizeof(*stack));
	size_t waiting = 0;
	if (stack != NULL)
		stack[waiting++] = 0;
	choose_rows(blocks, count);
	while (waiting > 0) {
		const struct block *block = &blocks[stack[--waiting]];
		json_array_append_new(rows, block_row(page, block, block->depth));
		for (size_t c = block->count; c-- > 0;) {
			struct block *child = &blocks[block->first + c];
			if (!child->chosen)
				continue;
			child->depth = block->depth < TREE_DEPTH ? block->depth + 1 : TREE_DEPTH;
			stack[waiting++] = block->first + c;
		}
	}
	free(stack);
	return rows;
}

static void add_tree(struct page *page, struct block *blocks, size_t count)
{
	uint64_t cut = 0;
	for (size_t i = 1; i < count; i++) {
		bool rest = blocks[i].entry->kind == LT_RETAINED_OTHERS;
		if (rest || blocks[i].cut)
			cut += blocks[i].retained - (rest ? 0 : blocks[i].own + blocks[i].shown);
	}
	static const struct column columns[] = {{"Held", "retained", FORM_BYTES, NULL},
						{"Share", "share", FORM_SHARE, NULL},
						{"", "share", FORM_BAR, NULL},
						{"Own", "own", FORM_BYTES, NULL},
						{"Objects", "objects", FORM_COUNT, NULL},
						{"Object", "name", FORM_NAME, "note"}};
	struct lt_screen *screen = &page->screen;
	double all = page->all > 0 ? (double)page->all : 1;
	const char *left =
		cut > 0 ? lt_screen_format(
				  screen,
				  "%s, %s of all that is alive, is seen as a part of a bigger "
				  "block only",
				  lt_screen_bytes(screen, cut),
				  lt_screen_share(screen, (double)cut / all))
			: "nothing is left out";
	const char *lead = lt_screen_format(
		screen,
		"Each block is as tall as what would go with it: itself and all that only it keeps "
		"alive. To its right is what it holds. Small objects are joined by type; %s.",
		left);
	json_t *rows = tree_rows(page, blocks, count);
	json_t *table = ADD_TABLE(page, "holds", "What holds the memory", lead, columns, rows);
	if (table != NULL) {
		set(table, "map", json_true());
		set(table, "more", lt_json_count(count - json_array_size(rows)));
		set(page->root, "mapped", json_true());
	}
	json_decref(rows);
}

/* JSON that may stand in an element: < > and & are in its strings only, where \u003c means the same. */
static void add_json(json_t *json, struct lt_text *out)
{
	struct lt_text text = {0};
	lt_json_dump(json, JSON_COMPACT, &text);
	for (const char *c = lt_text_get(&text); *c != '\0'; c++) {
		if (*c == '<' || *c == '>' || *c == '&')
			lt_text_addf(out, "\\u%04x", (unsigned)*c);
		else
			lt_text_add_bytes(out, c, 1);
	}
	out->failed |= text.failed;
	lt_text_deinit(&text);
}

/* The tree for the script: a row for each block, in the order of page.js. */
static void add_data(const struct block *blocks, size_t count, struct lt_text *out)
{
	struct page names = {.left = DATA_MOST / 6}; /* a byte is written as six at most */
	lt_text_add(out, "[");
	for (size_t i = 0; i < count; i++) {
		const struct block *block = &blocks[i];
		const struct lt_retained_entry *entry = block->entry;
		/* 0 is the heap. */
		int kind = entry == NULL ? 0 : 1 + (int)entry->kind;
		json_t *row =
			json_pack("[i, I, o, o, o, o, o, o, i]", kind, (json_int_t)block->parent,
				  name(&names, entry != NULL ? entry->type : ""),
				  name(&names, entry != NULL ? entry->expression : ""),
				  name(&names, entry != NULL ? entry->where : ""),
				  lt_json_count(block->objects), lt_json_count(block->own),
				  lt_json_count(block->retained), (int)block->cut);
		lt_text_add(out, i == 0 ? "" : ",\n");
		add_json(row, out);
		json_decref(row);
	}
	lt_text_add(out, "]");
}

static void fill_page(struct page *page, json_t *result, struct lt_text *data)
{
	size_t count = 0;
	struct block *blocks = NULL;
	if (page->tree != NULL && page->tree->entries.count > 0) {
		blocks = make_blocks(page->tree, &count);
		data->failed |= blocks == NULL;
		page->all = page->tree->object_bytes;
	}
	set(page->root, "script_hash", json_string(lt_asset_page_js.hash));
	set(page->root, "style_hash", json_string(lt_asset_page_css.hash));
	add_target(page, result);
	add_cards(page, "findings", "Findings", "Nothing that lowtide knows to be wrong.",
		  json_object_get(result, "findings"));
	add_cards(page, "suspects", "Leak suspects", "Nothing grows as a leak does.",
		  json_object_get(result, "suspects"));
	if (blocks != NULL) {
		add_tree(page, blocks, count);
		add_data(blocks, count, data);
	}
	free(blocks);
	add_looks(page, json_object_get(result, "looks"));
	add_containers(page, json_object_get(result, "containers"));
	add_kinds(page, json_object_get(result, "kinds"));
	const json_t *collectors = json_object_get(result, "collectors");
	for (size_t i = 0; i < json_array_size(collectors); i++)
		add_collector(page, json_array_get(collectors, i), i);
}

void lt_html_write(const struct lt_report *report, json_t *result, const struct lt_retained *tree,
		   struct lt_text *out)
{
	static const struct lt_style style = {.utf8 = true};
	struct page page = {.report = report,
			    .tree = tree,
			    .root = json_object(),
			    .tables = json_array(),
			    .left = TABLES_MOST / 6};
	struct lt_text data = {0};
	set(page.root, "tables", page.tables);
	lt_screen_init(&page.screen, &style, out);
	if (result != NULL)
		fill_page(&page, result, &data);
	const struct lt_template_part parts[] = {
		{"style", lt_asset_page_css.text, lt_asset_page_css.length},
		{"script", lt_asset_page_js.text, lt_asset_page_js.length},
		{"data", lt_text_get(&data), data.length},
		{NULL, NULL, 0}};
	if (result == NULL || !lt_template_fill(lt_asset_page_html.text, lt_asset_page_html.length,
						page.root, parts, out))
		out->failed = true;
	out->failed |= data.failed;
	lt_text_deinit(&data);
	lt_screen_deinit(&page.screen);
	json_decref(page.root);
	json_decref(result);
}

/* Lines under the title of a card. */
static void add_line(json_t *card, const char *line)
{
	json_t *seen = json_object_get(card, "seen");
	if (seen == NULL) {
		seen = json_array();
		set(card, "seen", seen);
	}
	json_array_append_new(seen, lt_json_string(line));
}

/* The figures under a finding, as they are printed. */
static void add_seen(json_t *card, const struct lt_finding *finding, struct lt_screen *screen)
{
	for (size_t e = 0; e < finding->evidence_count; e++)
		add_line(card, lt_print_evidence(screen, &finding->evidence[e]));
}

static void add_growth(json_t *card, const struct lt_suspect *suspect, struct lt_screen *screen)
{
	const char *objects =
		suspect->growth_objects > 0
			? lt_screen_format(screen, " in %s objects",
					   lt_screen_count(screen, suspect->growth_objects))
			: "";
	add_line(card, lt_screen_format(screen, "grew by %s%s",
					lt_screen_bytes(screen, suspect->growth_bytes), objects));
	if (suspect->bytes_per_second > 0)
		add_line(card,
			 lt_screen_format(
				 screen, "%s a second",
				 lt_screen_bytes(screen, (uint64_t)suspect->bytes_per_second)));
	add_line(card, lt_screen_format(screen, "holds %s",
					lt_screen_bytes(screen, suspect->retained_bytes)));
	add_line(card, lt_screen_format(screen, "%s of the heap",
					lt_screen_share(screen, suspect->share)));
	if (suspect->type[0] != '\0')
		add_line(card, suspect->type);
}

void lt_html_doctor(const struct lt_report *report, const struct lt_doctor *doctor,
		    struct lt_text *out)
{
	static const struct lt_style style = {.utf8 = true};
	struct lt_screen screen;
	lt_screen_init(&screen, &style, out);
	json_t *result = lt_json_doctor(doctor);
	json_t *findings = json_object_get(result, "findings");
	for (size_t i = 0; i < doctor->finding_count; i++)
		add_seen(json_array_get(findings, i), &doctor->findings[i], &screen);
	lt_screen_deinit(&screen);
	lt_html_write(report, result, &doctor->tree, out);
}

void lt_html_leaks(const struct lt_report *report, const struct lt_leaks *leaks,
		   struct lt_text *out)
{
	static const struct lt_style style = {.utf8 = true};
	struct lt_screen screen;
	lt_screen_init(&screen, &style, out);
	json_t *result = lt_json_leaks(leaks);
	json_t *suspects = json_object_get(result, "suspects");
	for (size_t i = 0; i < leaks->suspect_count; i++) {
		json_t *card = json_array_get(suspects, i);
		add_growth(card, &leaks->suspects[i], &screen);
		add_seen(card, &leaks->suspects[i].finding, &screen);
	}
	lt_screen_deinit(&screen);
	lt_html_write(report, result, &leaks->tree, out);
}
