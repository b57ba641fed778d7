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
	OUTLINE_ROWS = 120,      /* of the outline as a table */
	OUTLINE_DEPTH = 8,       /* of its rows */
	NAME_MOST = 600,         /* bytes of a name in the page */
	DATA_MOST = 2500 * 1000, /* bytes of the outline's data */
	TABLES_MOST = 1500 * 1000,
};

/* What the page needs of a result; all borrowed but `root`. */
struct page {
	const struct lt_report *report;
	const struct lt_outline *outline;
	json_t *root;
	size_t left; /* bytes that names may still take in tables: a hostile target has long ones */
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

/* {"rows": the first of `rows`, "more": how many are left out}. NULL: there are none. */
static json_t *table(struct page *page, json_t *rows, size_t most)
{
	size_t count = json_array_size(rows);
	if (count == 0)
		return NULL;
	json_t *shown = json_array();
	for (size_t i = 0; i < count && i < most; i++) {
		json_t *row = json_array_get(rows, i);
		cut_strings(page, row);
		json_array_append(shown, row);
	}
	return json_pack("{s:o, s:I}", "rows", shown, "more",
			 (json_int_t)(count > most ? count - most : 0));
}

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
	set(root, "live", json_boolean(who != NULL && who->mode == LT_MODE_LIVE));
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
	if (page->outline != NULL)
		set(root, "heap",
		    json_pack("{s:o, s:o}", "bytes", lt_json_count(page->outline->bytes), "objects",
			      lt_json_count(page->outline->objects)));
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
	double all = heap_bytes(page);
	size_t index;
	json_t *kind;
	json_array_foreach(kinds, index, kind)
	{
		double bytes = json_number_value(json_object_get(kind, "bytes"));
		set(kind, "share", json_real(all > 0 ? bytes / all : 0));
	}
	json_t *rows = table(page, kinds, ROWS_MOST);
	if (rows != NULL)
		set(page->root, "kinds", rows);
}

static void add_collectors(struct page *page, json_t *collectors)
{
	static const char *const names[] = {"young", "middle", "old"};
	size_t index;
	json_t *collector;
	json_array_foreach(collectors, index, collector)
	{
		json_t *rows = json_array();
		json_t *generations = json_object_get(collector, "generations");
		for (size_t i = 0; i < 3 && i < json_array_size(generations); i++) {
			json_t *row = json_copy(json_array_get(generations, i));
			set(row, "name", json_string(names[i]));
			json_object_set(
				row, "threshold",
				json_array_get(json_object_get(collector, "thresholds"), i));
			json_object_set(row, "at",
					json_array_get(json_object_get(collector, "counts"), i));
			json_array_append_new(rows, row);
		}
		set(collector, "generation_rows", rows);
	}
	json_object_set(page->root, "collectors", collectors);
}

/* Findings or suspects: the cards, worst first. */
static void add_cards(struct page *page, const char *key, const char *known, json_t *cards)
{
	if (!json_is_array(cards))
		return;
	json_t *rows = json_array();
	for (size_t i = 0; i < json_array_size(cards) && i < FINDINGS_MOST; i++) {
		cut_strings(page, json_array_get(cards, i));
		json_array_append(rows, json_array_get(cards, i));
	}
	set(page->root, key, rows);
	set(page->root, known, json_true());
}

/* What a row of the outline is called without its owner's row to look at. */
static json_t *outline_name(struct page *page, const struct lt_outline_node *node)
{
	struct lt_text text = {0};
	char count[LT_NUMBER_MAX];
	lt_number_count(node->objects, count);
	switch (node->kind) {
	case LT_OUTLINE_HEAP:
		lt_text_add(&text, "the heap");
		break;
	case LT_OUTLINE_OBJECT:
		lt_text_add(&text, *node->expression != '\0' ? node->expression : node->type);
		break;
	case LT_OUTLINE_GROUP:
		lt_text_addf(&text, "%s \u00d7 %s", count, node->type);
		break;
	case LT_OUTLINE_REST:
		lt_text_addf(&text, "%s smaller", count);
		break;
	case LT_OUTLINE_GARBAGE:
		lt_text_add(&text, "garbage, not collected yet");
		break;
	}
	json_t *json = name(page, lt_text_get(&text));
	lt_text_deinit(&text);
	return json;
}

static json_t *outline_row(struct page *page, const struct lt_outline_node *node, size_t depth)
{
	double all = page->outline->bytes > 0 ? (double)page->outline->bytes : 1;
	bool named = node->kind == LT_OUTLINE_OBJECT && *node->expression != '\0';
	return json_pack("{s:o, s:f, s:o, s:o, s:I, s:o, s:o}", "retained",
			 lt_json_count(node->retained), "share", (double)node->retained / all,
			 "own", lt_json_count(node->own), "objects", lt_json_count(node->objects),
			 "depth", (json_int_t)depth, "name", outline_name(page, node), "note",
			 named ? name(page, node->type) : json_null());
}

/* Marks the rows of the table: owners before what they hold, the heaviest first to get a place. */
static size_t choose_rows(const struct lt_outline *outline, bool *chosen)
{
	size_t count = 1;
	chosen[0] = true;
	while (count < OUTLINE_ROWS) {
		uint32_t best = 0;
		for (uint32_t i = 1; i < outline->count; i++) {
			if (!chosen[i] && chosen[outline->nodes[i].parent] &&
			    (best == 0 ||
			     outline->nodes[i].retained > outline->nodes[best].retained))
				best = i;
		}
		if (best == 0)
			break;
		chosen[best] = true;
		count++;
	}
	return count;
}

static json_t *outline_rows(struct page *page, size_t *ret_left_out)
{
	const struct lt_outline *outline = page->outline;
	bool *chosen = calloc(outline->count, sizeof(*chosen));
	uint32_t *stack = calloc(outline->count, sizeof(*stack));
	unsigned char *depth = calloc(outline->count, 1);
	json_t *rows = json_array();
	size_t waiting = 0;
	if (chosen != NULL && stack != NULL && depth != NULL) {
		*ret_left_out = outline->count - choose_rows(outline, chosen);
		stack[waiting++] = 0;
	}
	while (waiting > 0) {
		uint32_t at = stack[--waiting];
		const struct lt_outline_node *node = &outline->nodes[at];
		json_array_append_new(rows, outline_row(page, node, depth[at]));
		for (uint32_t i = node->child_count; i-- > 0;) {
			uint32_t child = node->first_child + i;
			if (!chosen[child])
				continue;
			depth[child] = depth[at] < OUTLINE_DEPTH ? depth[at] + 1 : OUTLINE_DEPTH;
			stack[waiting++] = child;
		}
	}
	free(chosen);
	free(stack);
	free(depth);
	return rows;
}

static void add_outline(struct page *page)
{
	const struct lt_outline *outline = page->outline;
	size_t left_out = 0;
	json_t *rows = outline_rows(page, &left_out);
	double all = outline->bytes > 0 ? (double)outline->bytes : 1;
	set(page->root, "outline",
	    json_pack("{s:o, s:o, s:f, s:o, s:b, s:o}", "least_bytes",
		      lt_json_count(outline->least_bytes), "cut_bytes",
		      lt_json_count(outline->cut_bytes), "cut_share",
		      (double)outline->cut_bytes / all, "outline_rows", rows, "outline_open", 1,
		      "outline_more", lt_json_count(left_out)));
}

static int add_bytes(const char *bytes, size_t length, void *ctx)
{
	lt_text_add_bytes(ctx, bytes, length);
	return 0;
}

/* JSON that may stand in an element: < > and & are in its strings only, where \u003c means the same. */
static void add_json(json_t *json, struct lt_text *out)
{
	struct lt_text text = {0};
	if (json == NULL ||
	    json_dump_callback(json, add_bytes, &text, JSON_COMPACT | JSON_ENSURE_ASCII) != 0)
		out->failed = true;
	for (const char *c = lt_text_get(&text); *c != '\0'; c++) {
		if (*c == '<' || *c == '>' || *c == '&')
			lt_text_addf(out, "\\u%04x", (unsigned)*c);
		else
			lt_text_add_bytes(out, c, 1);
	}
	out->failed |= text.failed;
	lt_text_deinit(&text);
}

/* The outline for the script: a row for each node, in the order of page.js. */
static void add_data(const struct lt_outline *outline, struct lt_text *out)
{
	struct page names = {.left = DATA_MOST / 6}; /* a byte is written as six at most */
	lt_text_add(out, "[");
	for (uint32_t i = 0; i < outline->count; i++) {
		const struct lt_outline_node *node = &outline->nodes[i];
		json_t *row = json_pack("[i, I, o, o, o, o, o, o, o, i]", (int)node->kind,
					(json_int_t)node->parent, name(&names, node->type),
					name(&names, node->module), name(&names, node->expression),
					name(&names, node->where), lt_json_count(node->objects),
					lt_json_count(node->own), lt_json_count(node->retained),
					(int)node->cut);
		lt_text_add(out, i == 0 ? "" : ",\n");
		add_json(row, out);
		json_decref(row);
	}
	lt_text_add(out, "]");
}

void lt_html_write(const struct lt_report *report, json_t *result, const struct lt_outline *outline,
		   struct lt_text *out)
{
	if (outline != NULL && outline->count == 0)
		outline = NULL;
	struct page page = {.report = report,
			    .outline = outline,
			    .root = json_object(),
			    .left = TABLES_MOST / 6};
	struct lt_text data = {0};
	set(page.root, "script_hash", json_string(lt_asset_page_js.hash));
	set(page.root, "style_hash", json_string(lt_asset_page_css.hash));
	add_target(&page, result);
	add_cards(&page, "findings", "findings_known", json_object_get(result, "findings"));
	add_cards(&page, "suspects", "suspects_known", json_object_get(result, "suspects"));
	if (outline != NULL) {
		add_outline(&page);
		add_data(outline, &data);
	}
	json_t *containers = table(&page, json_object_get(result, "containers"), ROWS_MOST);
	if (containers != NULL)
		set(page.root, "containers", containers);
	add_kinds(&page, json_object_get(result, "kinds"));
	add_collectors(&page, json_object_get(result, "collectors"));
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
	json_decref(page.root);
	json_decref(result);
}

void lt_html_doctor(const struct lt_report *report, const struct lt_doctor *doctor,
		    struct lt_text *out)
{
	static const struct lt_style style = {.utf8 = true};
	struct lt_screen screen;
	lt_screen_init(&screen, &style, out);
	json_t *result = lt_json_doctor(doctor);
	json_t *findings = json_object_get(result, "findings");
	for (size_t i = 0; i < doctor->finding_count; i++) {
		const struct lt_finding *finding = &doctor->findings[i];
		json_t *seen = json_array();
		for (size_t e = 0; e < finding->evidence_count; e++)
			json_array_append_new(seen, lt_json_string(lt_print_evidence(
							    &screen, &finding->evidence[e])));
		set(json_array_get(findings, i), "seen", seen);
	}
	lt_html_write(report, result, &doctor->outline, out);
	lt_screen_deinit(&screen);
}
