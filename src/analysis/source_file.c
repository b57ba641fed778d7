/* A picture's source that reads the columns of a snapshot file; the store decodes them by chunks and keeps the last ones. */
#include "analysis/tide_parts.h"

#include "base/cleanup.h"

#include <string.h>

/* Rows of details, sorted by node. */
struct rows {
	uint32_t *node;  /* owned */
	uint8_t *detail; /* owned; as in the file */
	uint64_t count;
	uint32_t value; /* column */
};

struct file {
	struct lt_tide *tide;
	const struct lt_heap_graph *graph;
	uint32_t targets, labels, external; /* columns */
	struct lt_label_names names;
	struct rows numbers, texts;
	struct lt_node_refs refs; /* of the node looked at last */
	uint32_t *found;          /* references to each node, once it was asked for; owned */
};

int64_t lt_tide_length(enum lt_kind kind, const struct lt_node_ref *refs, size_t count)
{
	enum lt_ref_kind entry;
	switch (kind) {
	case LT_KIND_DICT:
	case LT_KIND_FROZENDICT:
	case LT_KIND_ORDERED_DICT:
	case LT_KIND_DEFAULT_DICT:
		entry = LT_REF_VALUE;
		break;
	case LT_KIND_LIST:
	case LT_KIND_TUPLE:
	case LT_KIND_DEQUE:
		entry = LT_REF_ITEM;
		break;
	case LT_KIND_SET:
		entry = LT_REF_KEY;
		break;
	default:
		return -1;
	}
	int64_t length = 0;
	for (size_t i = 0; i < count; i++)
		length += refs[i].kind == entry;
	return length;
}

/* A failure makes the whole picture worthless: whoever asks for lt_subject_status() is told. */
static void note(struct file *file, enum lt_status status)
{
	if (file->tide->status == LT_OK)
		file->tide->status = status;
}

static enum lt_status read_refs(struct file *file, uint32_t node)
{
	struct lt_tide *tide = file->tide;
	const void *items = NULL, *bytes = NULL;
	size_t count = 0, size = 0;
	file->refs.count = 0;
	LT_TRY(lt_store_list(tide->store, file->targets, node, &items, &count));
	if (count == 0)
		return LT_OK;
	if (!lt_node_refs_reserve(&file->refs, count))
		return lt_fail_memory(tide->session);
	const uint32_t *target = items;
	for (size_t i = 0; i < count; i++) {
		if (target[i] >= file->graph->graph.node_count)
			return lt_tide_damaged(tide, "a reference leads nowhere");
		file->refs.data[i] = (struct lt_node_ref){.to = target[i]};
	}
	LT_TRY(lt_store_list(tide->store, file->labels, node, &bytes, &size));
	if (!lt_labels_read(bytes, size, &file->names, file->refs.data, count))
		return lt_tide_damaged(tide, "the labels of a reference");
	file->refs.count = count;
	return LT_OK;
}

static void file_refs(void *ctx, uint32_t node, struct lt_refs *refs)
{
	struct file *file = ctx;
	struct lt_tide *tide = file->tide;
	enum lt_status status = read_refs(file, node);
	if (status == LT_OK && !lt_refs_reserve(refs, refs->count + file->refs.count))
		status = lt_fail_memory(tide->session);
	if (status != LT_OK) {
		note(file, status);
		return;
	}
	for (size_t i = 0; i < file->refs.count; i++) {
		const struct lt_node_ref *from = &file->refs.data[i];
		struct lt_ref ref = {
			.to = lt_heap_graph_address(file->graph, from->to),
			.name = from->name != LT_NO_NODE
					? lt_heap_graph_address(file->graph, from->name)
					: 0,
			.index = from->index,
			.kind = from->kind,
			.untraversed = from->untraversed,
			.borrowed = from->borrowed,
		};
		if (from->kind == LT_REF_MEMBER)
			ref.index = from->index < tide->member_count ? tide->member[from->index]
								     : LT_MEMBER_COUNT;
		refs->data[refs->count++] = ref;
	}
}

/* The row of a detail of a node, `count` when there is none. */
static uint64_t row_of(const struct file *file, const struct rows *rows, uint32_t node,
		       enum lt_detail detail, bool *ret_plain)
{
	uint64_t low = 0, high = rows->count;
	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		if (rows->node[middle] < node)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < rows->count && rows->node[low] == node; low++) {
		bool plain = rows->detail[low] == LT_TIDE_PLAIN_STRING;
		if (plain ? detail == LT_DETAIL_STRING || detail == LT_DETAIL_LITERAL
			  : file->tide->detail[rows->detail[low]] == (uint8_t)detail) {
			*ret_plain = plain;
			return low;
		}
	}
	return rows->count;
}

static const struct lt_type *type_of(const struct file *file, uint32_t node)
{
	uint32_t type = lt_heap_graph_type(file->graph, node);
	return type < lt_types_count(file->tide->types) ? lt_types_at(file->tide->types, type)
							: NULL;
}

static bool derived_length(struct file *file, uint32_t node, int64_t *ret_value)
{
	const struct lt_type *type = type_of(file, node);
	if (type == NULL || lt_tide_length(type->kind, NULL, 0) < 0)
		return false;
	enum lt_status status = read_refs(file, node);
	if (status != LT_OK) {
		note(file, status);
		return false;
	}
	*ret_value = lt_tide_length(type->kind, file->refs.data, file->refs.count);
	return true;
}

static enum lt_status count_found(struct file *file)
{
	struct lt_tide *tide = file->tide;
	uint32_t nodes = file->graph->graph.node_count;
	if (file->found != NULL)
		return LT_OK;
	file->found = calloc((size_t)nodes + 1, sizeof(*file->found));
	if (file->found == NULL)
		return lt_fail_memory(tide->session);
	for (uint32_t node = 0; node < nodes; node++) {
		const void *items = NULL;
		size_t count = 0;
		LT_TRY(lt_store_list(tide->store, file->targets, node, &items, &count));
		for (size_t i = 0; i < count; i++) {
			uint32_t target = ((const uint32_t *)items)[i];
			if (target >= nodes)
				return lt_tide_damaged(tide, "a reference leads nowhere");
			file->found[target]++;
		}
	}
	return LT_OK;
}

static bool reference_count(struct file *file, uint32_t node, int64_t *ret_value)
{
	uint64_t item = 0;
	enum lt_status status = lt_store_item(file->tide->store, file->external, node, &item);
	int32_t external = (int32_t)(uint32_t)item;
	if (status == LT_OK && external != LT_TIDE_NO_COUNT)
		status = count_found(file);
	if (status != LT_OK)
		note(file, status);
	if (status != LT_OK || external == LT_TIDE_NO_COUNT)
		return false;
	*ret_value = (int64_t)external + file->found[node];
	return true;
}

static bool file_number(void *ctx, uint32_t node, enum lt_detail detail, int64_t *ret_value)
{
	struct file *file = ctx;
	bool plain = false;
	if (detail == LT_DETAIL_REFCOUNT)
		return reference_count(file, node, ret_value);
	uint64_t row = row_of(file, &file->numbers, node, detail, &plain), item = 0;
	if (row == file->numbers.count)
		return detail == LT_DETAIL_LENGTH && derived_length(file, node, ret_value);
	enum lt_status status = lt_store_item(file->tide->store, file->numbers.value, row, &item);
	if (status != LT_OK) {
		note(file, status);
		return false;
	}
	*ret_value = (int64_t)item;
	return true;
}

static bool class_text(const struct file *file, uint32_t node, enum lt_detail detail,
		       struct lt_text *text)
{
	const struct lt_type *own = type_of(file, node);
	const struct lt_type *type =
		own != NULL && own->is_type_type
			? lt_types_get(file->tide->types, lt_heap_graph_address(file->graph, node))
			: NULL;
	if (type == NULL)
		return false;
	const char *string = detail == LT_DETAIL_NAME ? type->name : type->module;
	lt_text_add(text, string);
	return string[0] != '\0';
}

static bool file_text(void *ctx, uint32_t node, enum lt_detail detail, struct lt_text *text)
{
	struct file *file = ctx;
	if ((detail == LT_DETAIL_NAME || detail == LT_DETAIL_MODULE) &&
	    class_text(file, node, detail, text))
		return true;
	bool plain = false;
	uint64_t row = row_of(file, &file->texts, node, detail, &plain);
	const void *bytes = NULL;
	size_t size = 0;
	if (row == file->texts.count)
		return false;
	enum lt_status status =
		lt_store_list(file->tide->store, file->texts.value, row, &bytes, &size);
	if (status == LT_OK && size > 0 && memchr(bytes, '\0', size) != NULL)
		status = lt_tide_damaged(file->tide, "a text");
	if (status != LT_OK) {
		note(file, status);
		return false;
	}
	bool quoted = plain && detail == LT_DETAIL_LITERAL;
	if (quoted)
		lt_text_add(text, "'");
	lt_text_add_bytes(text, bytes, size);
	if (quoted)
		lt_text_add(text, "'");
	return true;
}

static void file_destroy(void *ctx)
{
	struct file *file = ctx;
	free(file->numbers.node);
	free(file->numbers.detail);
	free(file->texts.node);
	free(file->texts.detail);
	lt_label_names_deinit(&file->names);
	lt_node_refs_deinit(&file->refs);
	free(file->found);
	free(file);
}

static enum lt_status open_rows(struct file *file, const char *node_name, const char *detail_name,
				const char *value_name, unsigned width, bool lists,
				struct rows *rows)
{
	struct lt_tide *tide = file->tide;
	uint32_t nodes = 0, details = 0;
	LT_TRY(lt_store_column(tide->store, node_name, 4, false, &nodes));
	LT_TRY(lt_store_column(tide->store, detail_name, 1, false, &details));
	LT_TRY(lt_store_column(tide->store, value_name, width, lists, &rows->value));
	rows->count = lt_store_rows(tide->store, nodes);
	if (lt_store_rows(tide->store, details) != rows->count ||
	    lt_store_rows(tide->store, rows->value) != rows->count)
		return lt_tide_damaged(tide, "the details of objects");
	LT_TRY(lt_store_read_items(tide->store, nodes, (void **)&rows->node));
	LT_TRY(lt_store_read_items(tide->store, details, (void **)&rows->detail));
	for (uint64_t i = 1; i < rows->count; i++) {
		if (rows->node[i] < rows->node[i - 1])
			return lt_tide_damaged(tide, "the order of the details");
	}
	return LT_OK;
}

static enum lt_status open_columns(struct file *file)
{
	struct lt_tide *tide = file->tide;
	uint32_t names = 0, nodes = file->graph->graph.node_count;
	LT_TRY(lt_store_column(tide->store, LT_TIDE_TARGETS, 4, true, &file->targets));
	LT_TRY(lt_store_column(tide->store, LT_TIDE_LABELS, 1, true, &file->labels));
	LT_TRY(lt_store_column(tide->store, LT_TIDE_EXTERNAL, 4, false, &file->external));
	LT_TRY(lt_store_column(tide->store, LT_TIDE_NAMES, 4, false, &names));
	if (lt_store_rows(tide->store, file->labels) != nodes ||
	    lt_store_rows(tide->store, file->external) != nodes)
		return lt_tide_damaged(tide, "its columns have different lengths");
	file->names.count = (size_t)lt_store_rows(tide->store, names);
	LT_TRY(lt_store_read_items(tide->store, names, (void **)&file->names.node));
	for (size_t i = 0; i < file->names.count; i++) {
		if (file->names.node[i] >= nodes)
			return lt_tide_damaged(tide, "a name is no object");
	}
	LT_TRY(open_rows(file, LT_TIDE_NUMBER_NODE, LT_TIDE_NUMBER_DETAIL, LT_TIDE_NUMBER_VALUE, 8,
			 false, &file->numbers));
	return open_rows(file, LT_TIDE_TEXT_NODE, LT_TIDE_TEXT_DETAIL, LT_TIDE_TEXT_VALUE, 1, true,
			 &file->texts);
}

enum lt_status lt_source_file_create(struct lt_tide *tide, const struct lt_heap_graph *graph,
				     struct lt_source *ret_source)
{
	static const struct lt_source_ops ops = {
		.refs = file_refs,
		.number = file_number,
		.text = file_text,
		.destroy = file_destroy,
	};
	struct file *file = calloc(1, sizeof(*file));
	if (file == NULL)
		return lt_fail_memory(tide->session);
	file->tide = tide;
	file->graph = graph;
	enum lt_status status = open_columns(file);
	if (status != LT_OK) {
		file_destroy(file);
		return status;
	}
	*ret_source = (struct lt_source){.ops = &ops, .ctx = file};
	return LT_OK;
}
