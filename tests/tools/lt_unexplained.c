/*
 * lt_unexplained: how the reference counts of a process add up, as JSON: for the live tests of src/analysis/.
 *
 *     lt_unexplained PID [ADDRESS...]
 *
 * Without addresses: roots by kind, objects with missing references by type, objects of which more
 * references were counted than they have. With addresses: the roots and missing references of each.
 */
#include "analysis/open.h"
#include "analysis/picture.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static void count_up(json_t *object, const char *key, int64_t by)
{
	json_int_t old = json_integer_value(json_object_get(object, key));
	json_object_set_new(object, key, json_integer(old + by));
}

static const char *type_name(struct lt_heap *heap, const struct lt_heap_graph *graph, uint32_t node,
			     char text[256])
{
	const struct lt_types *types = lt_heap_types(heap);
	uint32_t index = lt_heap_graph_type(graph, node);
	const struct lt_type *type =
		index < lt_types_count(types) ? lt_types_at(types, index) : NULL;
	snprintf(text, 256, "%s.%s", type != NULL ? type->module : "",
		 type != NULL ? type->name : "?");
	return text;
}

/* Objects that have fewer references than were counted, before anything uncertain is. */
static json_t *overcounted(struct lt_heap *heap, struct lt_heap_graph *graph,
			   const struct lt_roots *roots)
{
	json_t *result = json_object();
	for (size_t i = 0; i < roots->list.count; i++) {
		uint32_t node = lt_heap_graph_find(graph, roots->list.data[i].address);
		if (node != LT_NO_NODE && roots->list.data[i].count > 0 &&
		    !lt_heap_graph_take(graph, node, 1))
			abort();
	}
	for (uint32_t node = 0; node < graph->graph.node_count; node++) {
		char text[256];
		int64_t balance = lt_heap_graph_balance(graph, node);
		if (balance < 0 && balance > -(1 << 30) && lt_heap_graph_has_balance(graph, node) &&
		    (graph->flags[node] & (LT_NODE_STATIC | LT_NODE_IMMORTAL)) == 0)
			count_up(result, type_name(heap, graph, node, text), 1);
	}
	for (size_t i = 0; i < roots->list.count; i++) {
		uint32_t node = lt_heap_graph_find(graph, roots->list.data[i].address);
		if (node != LT_NO_NODE && roots->list.data[i].count > 0 &&
		    lt_heap_graph_has_balance(graph, node) &&
		    !lt_heap_graph_set_balance(graph, node, lt_heap_graph_balance(graph, node) + 1))
			abort();
	}
	return result;
}

static json_t *root_json(const struct lt_root *root)
{
	return json_pack("{sssIss}", "kind", lt_root_kind_name(root->kind), "count",
			 (json_int_t)root->count, "name", root->name);
}

static json_t *object_json(const struct lt_heap_graph *graph, const struct lt_roots *roots,
			   const struct lt_loose_refs *scanned, lt_addr address)
{
	json_t *list = json_array();
	uint32_t node = lt_heap_graph_find(graph, address);
	int64_t loose = 0, edges = 0;
	for (size_t i = 0; i < roots->list.count; i++)
		if (roots->list.data[i].address == address)
			json_array_append_new(list, root_json(&roots->list.data[i]));
	for (size_t i = 0; i < scanned->count; i++)
		loose += scanned->data[i].to == node;
	for (uint32_t from = 0; node != LT_NO_NODE && from < graph->graph.node_count; from++) {
		struct lt_row row = lt_row(&graph->graph.out, from);
		for (const uint32_t *to = row.begin; to < row.end; to++)
			edges += *to == node;
	}
	return json_pack("{sbsosIsI}", "known", node != LT_NO_NODE, "roots", list, "scanned",
			 (json_int_t)loose, "edges", (json_int_t)edges);
}

static enum lt_status print(struct lt_look *look, char **addresses)
{
	struct lt_heap *heap = NULL;
	struct lt_roots roots = {0};
	struct lt_heap_graph graph = {0};
	struct lt_loose_refs scanned = {0};
	struct lt_native native = {0};
	LT_TRY(lt_heap_open(look->view, &heap));
	LT_TRY(lt_roots_read(look->view, &roots));
	struct lt_addresses starts = {0};
	for (size_t i = 0; i < roots.list.count; i++)
		if (!lt_addresses_push(&starts, roots.list.data[i].address))
			return LT_E_NO_MEMORY;
	LT_TRY(lt_roots_native_held(look->view, lt_heap_types(heap), &starts));
	LT_TRY(lt_heap_build_graph(heap, starts.data, starts.count, NULL, &graph));
	lt_addresses_deinit(&starts);
	json_t *result = json_object();
	json_object_set_new(result, "overcounted", overcounted(heap, &graph, &roots));
	LT_TRY(lt_unexplained_find(look->view, &graph, &roots, &scanned, &native));
	json_t *kinds = json_object(), *types = json_object(), *names = json_object();
	json_t *objects = json_object();
	int64_t unexplained = 0;
	for (size_t i = 0; i < roots.list.count; i++) {
		const struct lt_root *root = &roots.list.data[i];
		char text[256];
		count_up(kinds, lt_root_kind_name(root->kind), 1);
		if (root->kind == LT_ROOT_STATIC || root->kind == LT_ROOT_STATE ||
		    root->kind == LT_ROOT_STACK)
			count_up(names, root->name, 1);
		if (root->kind != LT_ROOT_EXTERNAL)
			continue;
		unexplained++;
		count_up(types,
			 type_name(heap, &graph, lt_heap_graph_find(&graph, root->address), text),
			 1);
		if (addresses[0] == NULL && unexplained < 100) {
			snprintf(text, sizeof(text), "0x%" PRIx64, root->address);
			json_object_set_new(objects, text, json_integer(root->count));
		}
	}
	for (; *addresses != NULL; addresses++)
		json_object_set_new(
			objects, *addresses,
			object_json(&graph, &roots, &scanned, strtoull(*addresses, NULL, 0)));
	json_object_set_new(result, "kinds", kinds);
	json_object_set_new(result, "unexplained", json_integer(unexplained));
	json_object_set_new(result, "unexplained_types", types);
	json_object_set_new(result, "names", names);
	json_object_set_new(result, "objects", objects);
	json_object_set_new(result, "nodes", json_integer(graph.graph.node_count));
	json_object_set_new(result, "scanned", json_integer((json_int_t)scanned.count));
	json_object_set_new(result, "searched_bytes", json_integer((json_int_t)native.bytes));
	json_object_set_new(result, "skipped_bytes", json_integer((json_int_t)native.skipped));
	json_dumpf(result, stdout, JSON_INDENT(1));
	puts("");
	json_decref(result);
	lt_loose_refs_deinit(&scanned);
	lt_heap_graph_deinit(&graph);
	lt_roots_deinit(&roots);
	lt_heap_close(heap);
	return LT_OK;
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return 2;
	struct lt_session session;
	lt_session_init(&session);
	struct lt_look *look = NULL;
	const struct lt_look_options options = {.mode = LT_MODE_FORK};
	enum lt_status status = lt_look_open(&session, atoi(argv[1]), &options, &look);
	if (status == LT_OK) {
		status = print(look, argv + 2);
		lt_look_close(look);
	}
	if (status != LT_OK)
		fprintf(stderr, "lt_unexplained: %s\n", session.message);
	lt_session_deinit(&session);
	return lt_status_exit_code(status);
}
