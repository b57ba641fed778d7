#include "report/export_dot.h"

#include "analysis/paths.h"
#include "analysis/picture.h"
#include "base/map.h"
#include "base/number.h"
#include "report/safe.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { LABEL_COLUMNS = 48, TITLE_COLUMNS = 100 };

struct graph {
	const struct lt_paths *paths;
	const struct lt_picture *picture;
	struct lt_text *out;
	struct lt_map nodes; /* address -> 1 + number of its node */
	struct lt_map edges; /* hash of both ends and the label of an edge that is there */
	uint64_t node_count;
	struct lt_text scratch;
};

/*
 * What stands between double quotes: printable characters only, of at most `columns`. A backslash begins
 * an escape in labels, and an ampersand an entity of HTML: both are written so that they mean themselves.
 */
static void add_quoted(struct graph *graph, const char *string, unsigned columns)
{
	struct lt_text *safe = &graph->scratch;
	lt_text_clear(safe);
	lt_safe_add(safe, string, LT_UTF8_FILE);
	const char *text = lt_text_get(safe);
	size_t length = lt_safe_prefix(text, columns);
	for (size_t i = 0; i < length && text[i] != '\0'; i++) {
		if (text[i] == '"' || text[i] == '\\')
			lt_text_addf(graph->out, "\\%c", text[i]);
		else if (text[i] == '&')
			lt_text_add(graph->out, "&amp;");
		else
			lt_text_add_bytes(graph->out, &text[i], 1);
	}
	if (text[0] != '\0' && text[length] != '\0')
		lt_text_add(graph->out, "\u2026");
}

static void add_bytes(struct graph *graph, const char *what, uint64_t bytes)
{
	char text[LT_NUMBER_MAX];
	lt_text_addf(graph->out, "\\n%s %s", what, lt_number_bytes(bytes, text));
}

/* True when a node of that number is to be written now; *ret_number is its number in any case. */
static bool new_node(struct graph *graph, uint64_t key, uint64_t *ret_number)
{
	uint64_t *number = lt_map_at(&graph->nodes, key, 0);
	if (number == NULL) {
		graph->out->failed = true;
		return false;
	}
	bool is_new = *number == 0;
	if (is_new)
		*number = ++graph->node_count;
	*ret_number = *number;
	return is_new;
}

static uint64_t add_object(struct graph *graph, const struct lt_path_step *step, bool target)
{
	uint64_t number = 0;
	if (!new_node(graph, step->address, &number))
		return number;
	lt_text_addf(graph->out, "  n%" PRIu64 " [label=\"", number);
	add_quoted(graph, *step->type != '\0' ? step->type : "object", LABEL_COLUMNS);
	uint32_t node = graph->picture != NULL && graph->picture->retained != NULL
				? lt_heap_graph_find(&graph->picture->graph, step->address)
				: LT_NO_NODE;
	if (node != LT_NO_NODE)
		add_bytes(graph, "holds", graph->picture->retained[node]);
	lt_text_addf(graph->out, "\", tooltip=\"0x%" PRIx64 "\"%s];\n", step->address,
		     target ? ", fillcolor=\"#f5d6a8\", penwidth=2" : "");
	return number;
}

/* A kind of root: its key is no address of an object. */
static uint64_t add_root(struct graph *graph, const struct lt_path *path)
{
	uint64_t number = 0;
	uint64_t key = 1;
	for (const char *c = path->root_kind; *c != '\0'; c++)
		key = key * 31 + (unsigned char)*c;
	if (!new_node(graph, ~key, &number))
		return number;
	lt_text_addf(graph->out, "  n%" PRIu64 " [shape=oval, fillcolor=\"#d5e6ea\", label=\"",
		     number);
	add_quoted(graph, path->root_kind, LABEL_COLUMNS);
	lt_text_add(graph->out, "\"];\n");
	return number;
}

/* `note`: a second line below the label, "" for none. */
static void add_edge(struct graph *graph, uint64_t from, uint64_t to, const char *label,
		     const char *note, bool dashed)
{
	uint64_t hash = from * 0x9e3779b97f4a7c15u ^ to;
	for (const char *c = label; *c != '\0'; c++)
		hash = (hash ^ (unsigned char)*c) * 0x100000001b3u;
	if (lt_map_get(&graph->edges, hash, NULL))
		return;
	graph->out->failed |= !lt_map_put(&graph->edges, hash, 1);
	lt_text_addf(graph->out, "  n%" PRIu64 " -> n%" PRIu64 " [label=\"", from, to);
	add_quoted(graph, label, LABEL_COLUMNS);
	lt_text_addf(graph->out, "%s%s\"%s];\n", *note != '\0' ? "\\n" : "", note,
		     dashed ? ", style=dashed" : "");
}

static void add_path(struct graph *graph, const struct lt_path *path)
{
	uint64_t before = add_root(graph, path);
	for (size_t i = 0; i < path->step_count; i++) {
		bool last = i + 1 == path->step_count;
		/* Of a way that is too long the steps before the last one are left out. */
		bool gap = last && path->steps_left > 0;
		uint64_t node = add_object(graph, &path->steps[i], last);
		char note[LT_NUMBER_MAX + 32] = "", count[LT_NUMBER_MAX];
		if (gap)
			snprintf(note, sizeof(note), "and %s steps more",
				 lt_number_count(path->steps_left, count));
		else if (last && graph->paths->of_type)
			snprintf(note, sizeof(note), "%s like it",
				 lt_number_count(path->count, count));
		add_edge(graph, before, node, path->steps[i].label, note, gap);
		before = node;
	}
}

void lt_dot_paths(const struct lt_paths *paths, const struct lt_picture *picture,
		  struct lt_text *out)
{
	struct graph graph = {.paths = paths, .picture = picture, .out = out};
	lt_text_add(out, "digraph lowtide {\n"
			 "  graph [rankdir=LR, charset=\"UTF-8\", fontname=\"sans-serif\", "
			 "labelloc=t, label=\"");
	lt_text_addf(out, "%s ", paths->of_type ? "What holds the objects of" : "What holds the");
	add_quoted(&graph, paths->type, TITLE_COLUMNS);
	if (!paths->of_type)
		lt_text_addf(out, " at 0x%" PRIx64, paths->address);
	lt_text_add(out, "\"];\n"
			 "  node [shape=box, style=\"filled,rounded\", fillcolor=\"#f3f1ea\", "
			 "color=\"#56616a\", fontname=\"sans-serif\"];\n"
			 "  edge [color=\"#56616a\", fontname=\"monospace\", fontsize=11];\n");
	for (size_t i = 0; i < paths->list.count; i++)
		add_path(&graph, &paths->list.data[i]);
	lt_text_add(out, "}\n");
	out->failed |= graph.scratch.failed;
	lt_text_deinit(&graph.scratch);
	lt_map_deinit(&graph.nodes);
	lt_map_deinit(&graph.edges);
}
