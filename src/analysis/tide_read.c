#include "analysis/gc_tide.h"
#include "analysis/tide_parts.h"

#include "base/cleanup.h"

enum { NODES_MAX = UINT32_MAX - 1, PROGRESS_EACH = 1 << 18 };

static enum lt_status open_file(struct lt_tide *tide, struct lt_subject *subject, const char *path)
{
	const struct lt_view no_view = {.session = tide->session};
	LT_TRY(lt_store_open(tide->session, path, LT_TIDE_SCHEMA, &tide->store));
	if (lt_store_meta_text(tide->store, LT_TIDE_KIND) != NULL) {
		lt_remedy(tide->session, "Look at it with 'lowtide gc %.200s'.", path);
		return lt_fail(tide->session, LT_E_FILE,
			       "%.200s is a recording of the collector, not a snapshot of a heap",
			       path);
	}
	LT_TRY(lt_types_create(&no_view, &tide->types));
	return lt_tide_get_facts(tide, subject);
}

enum lt_status lt_tide_open(struct lt_subject *subject, const char *path, struct lt_tide **ret_tide)
{
	struct lt_tide *tide = calloc(1, sizeof(*tide));
	if (tide == NULL)
		return lt_fail_memory(subject->session);
	tide->session = subject->session;
	enum lt_status status = open_file(tide, subject, path);
	if (status != LT_OK) {
		lt_tide_close(tide);
		return status;
	}
	*ret_tide = tide;
	return LT_OK;
}

void lt_tide_close(struct lt_tide *tide)
{
	if (tide == NULL)
		return;
	lt_store_close(tide->store);
	lt_types_destroy(tide->types);
	lt_type_totals_deinit(&tide->all);
	lt_type_totals_deinit(&tide->tracked);
	free(tide->member);
	free(tide);
}

enum lt_status lt_tide_status(const struct lt_tide *tide)
{
	return tide->status;
}

struct lt_tide_counts lt_tide_count(const struct lt_tide *tide)
{
	return tide->counts;
}

enum lt_status lt_tide_totals(struct lt_tide *tide, bool all, struct lt_type_totals *ret_totals)
{
	const struct lt_type_totals *from = all ? &tide->all : &tide->tracked;
	LT_CLEANUP(lt_type_totals_deinit) struct lt_type_totals totals = {0};
	for (size_t i = 0; i < from->count; i++) {
		if (!lt_type_totals_push(&totals, from->data[i]))
			return lt_fail_memory(tide->session);
	}
	*ret_totals = totals;
	totals = (struct lt_type_totals){0};
	return LT_OK;
}

static void free_nodes(struct lt_heap_nodes *nodes)
{
	free((void *)nodes->address);
	free((void *)nodes->type);
	free((void *)nodes->size);
	free(nodes->flags);
}

/* A whole column of single items with a row for each node. */
static enum lt_status read_column(struct lt_tide *tide, const char *name, unsigned width,
				  uint64_t rows, void **ret_items)
{
	uint32_t column;
	LT_TRY(lt_store_column(tide->store, name, width, false, &column));
	if (lt_store_rows(tide->store, column) != rows)
		return lt_tide_damaged(tide, "its columns have different lengths");
	return lt_store_read_items(tide->store, column, ret_items);
}

static enum lt_status read_nodes(struct lt_tide *tide, struct lt_heap_graph *ret_graph)
{
	LT_CLEANUP(free_nodes) struct lt_heap_nodes nodes = {0};
	uint32_t column;
	LT_TRY(lt_store_column(tide->store, LT_TIDE_ADDRESS, 8, false, &column));
	uint64_t count = lt_store_rows(tide->store, column);
	if (count > NODES_MAX || count != tide->counts.objects)
		return lt_tide_damaged(tide, "the number of its objects");
	nodes.count = (uint32_t)count;
	LT_TRY(lt_store_read_items(tide->store, column, (void **)&nodes.address));
	LT_TRY(read_column(tide, LT_TIDE_TYPE, 4, count, (void **)&nodes.type));
	LT_TRY(read_column(tide, LT_TIDE_FLAGS, 1, count, (void **)&nodes.flags));
	LT_TRY(read_column(tide, LT_TIDE_SIZE, 8, count, (void **)&nodes.size));
	return lt_heap_graph_restore(tide->session, &nodes, ret_graph);
}

static enum lt_status read_edges(struct lt_tide *tide, uint32_t nodes,
				 struct lt_graph_builder *builder)
{
	uint32_t column;
	LT_TRY(lt_store_column(tide->store, LT_TIDE_TARGETS, 4, true, &column));
	if (lt_store_rows(tide->store, column) != nodes)
		return lt_tide_damaged(tide, "its columns have different lengths");
	for (uint32_t node = 0; node < nodes; node++) {
		const void *items = NULL;
		size_t count = 0;
		LT_TRY(lt_store_list(tide->store, column, node, &items, &count));
		for (size_t i = 0; i < count; i++) {
			if (((const uint32_t *)items)[i] >= nodes)
				return lt_tide_damaged(tide, "a reference leads nowhere");
		}
		LT_TRY(lt_graph_builder_row(builder, items, count));
		if (node % PROGRESS_EACH == 0)
			lt_progress(tide->session, "reading the snapshot", node, nodes);
	}
	return LT_OK;
}

static enum lt_status read_graph(struct lt_tide *tide, struct lt_heap_graph *graph)
{
	int64_t value = 0;
	LT_TRY(read_nodes(tide, graph));
	struct lt_graph_builder *builder = NULL;
	LT_TRY(lt_graph_builder_create(tide->session, &builder));
	enum lt_status status = read_edges(tide, graph->graph.node_count, builder);
	if (status != LT_OK) {
		lt_graph_builder_destroy(builder);
		return status;
	}
	LT_TRY(lt_graph_builder_finish(builder, &graph->graph));
	graph->proved = tide->counts.proved;
	if (lt_store_meta_integer(tide->store, "conservative", &value) && value > 0)
		graph->conservative_refs = (uint64_t)value;
	return LT_OK;
}

static enum lt_status read_scanned(struct lt_tide *tide, struct lt_picture *picture)
{
	LT_FREE uint32_t *from = NULL;
	LT_FREE uint32_t *to = NULL;
	uint32_t column, nodes = picture->graph.graph.node_count;
	LT_TRY(lt_store_column(tide->store, LT_TIDE_SCANNED_FROM, 4, false, &column));
	uint64_t count = lt_store_rows(tide->store, column);
	LT_TRY(lt_store_read_items(tide->store, column, (void **)&from));
	LT_TRY(read_column(tide, LT_TIDE_SCANNED_TO, 4, count, (void **)&to));
	for (uint64_t i = 0; from != NULL && to != NULL && i < count; i++) {
		if (from[i] >= nodes || to[i] >= nodes)
			return lt_tide_damaged(tide, "a reference leads nowhere");
		if (!lt_loose_refs_push(&picture->scanned, (struct lt_loose_ref){from[i], to[i]}))
			return lt_fail_memory(tide->session);
	}
	return LT_OK;
}

static uint64_t meta_number(const struct lt_tide *tide, const char *key)
{
	int64_t value;
	return lt_store_meta_integer(tide->store, key, &value) && value > 0 ? (uint64_t)value : 0;
}

static enum lt_status read_picture(struct lt_tide *tide, struct lt_picture *picture)
{
	LT_TRY(lt_tide_get_roots(tide, &picture->roots));
	LT_TRY(read_graph(tide, &picture->graph));
	LT_TRY(read_scanned(tide, picture));
	LT_TRY(lt_tide_get_unvisited(tide, &picture->unvisited));
	picture->native = (struct lt_native){.bytes = meta_number(tide, "native_bytes"),
					     .skipped = meta_number(tide, "native_skipped")};
	LT_TRY(read_column(tide, LT_TIDE_ALIVE, 1, picture->graph.graph.node_count,
			   (void **)&picture->alive));
	LT_TRY(lt_source_file_create(tide, &picture->graph, &picture->source));
	return lt_picture_place_roots(picture);
}

enum lt_status lt_tide_picture(struct lt_tide *tide, struct lt_picture *ret_picture)
{
	*ret_picture = (struct lt_picture){.session = tide->session, .types = tide->types};
	enum lt_status status = read_picture(tide, ret_picture);
	if (status != LT_OK)
		lt_picture_deinit(ret_picture);
	return status;
}
