#include "analysis/tide_parts.h"

#include "base/cleanup.h"
#include "base/shortage.h"

#include <string.h>
#include <sys/stat.h>

enum {
	PROGRESS_EACH = 1 << 16,
	NUMBER_BYTES = 8, /* of a number as text, on average */
};

struct columns {
	uint32_t address, type, size, flags, alive, external, targets, labels, names;
	uint32_t number_node, number_detail, number_value;
	uint32_t text_node, text_detail, text_value;
};

struct writing {
	struct lt_session *session;
	struct lt_subject *subject;
	struct lt_picture *picture;
	struct lt_store_writer *writer;
	struct columns columns;
	uint8_t *marks; /* of each node; owned by the picture's source in the end */
	bool marks_given;
	uint32_t *found; /* references to each node */
	struct lt_refs refs, more;
	struct lt_node_refs node_refs;
	struct lt_label_bytes labels;
	struct lt_label_names names;
	struct lt_type_totals all, tracked;
	uint64_t reference_count;
	uint64_t key_room;   /* bytes of text that keys of large dicts may still take */
	bool of_interpreter; /* the dict in `refs` is one of the interpreter's own */
	uint64_t empty_str;  /* bytes of the smallest str */
};

static uint32_t node_of(const struct writing *w, lt_addr address)
{
	return lt_heap_graph_find(&w->picture->graph, address);
}

static enum lt_kind kind_of(const struct writing *w, uint32_t node)
{
	const struct lt_type *type = lt_picture_type(w->picture, node);
	return type != NULL ? type->kind : LT_KIND_OPAQUE;
}

/* ---- Which strings are names ---- */

static bool dict_kind(enum lt_kind kind)
{
	return kind == LT_KIND_DICT || kind == LT_KIND_FROZENDICT || kind == LT_KIND_ORDERED_DICT ||
	       kind == LT_KIND_DEFAULT_DICT;
}

/* True when the dict holds the attributes of a module, class or instance, or is sys.modules. */
static bool is_namespace(struct writing *w, uint32_t dict)
{
	const struct lt_picture *picture = w->picture;
	uint32_t owner = picture->parent[dict];
	for (size_t r = 0; owner == LT_GRAPH_NONE && r < picture->roots.list.count; r++) {
		if (picture->root_node[r] == dict &&
		    picture->roots.list.data[r].kind == LT_ROOT_MODULES)
			return true;
	}
	if (owner == LT_GRAPH_NONE)
		return false;
	w->more.count = 0;
	lt_picture_refs(picture, owner, &w->more);
	for (size_t i = 0; i < w->more.count; i++) {
		const struct lt_ref *ref = &w->more.data[i];
		if (node_of(w, ref->to) == dict &&
		    (ref->kind == LT_REF_DICT ||
		     (ref->kind == LT_REF_MEMBER && (ref->index == LT_MEMBER_attributes ||
						     ref->index == LT_MEMBER_instance_attributes))))
			return true;
	}
	return false;
}

struct weight {
	uint64_t held;
	size_t index;
};

static int heaviest_first(const void *left, const void *right)
{
	const struct weight *a = left, *b = right;
	if (a->held != b->held)
		return a->held < b->held ? 1 : -1;
	return a->index < b->index ? -1 : a->index > b->index;
}

/* The last part of a qualified name, that of a module in full. */
static bool names_itself(struct writing *w, uint32_t value, const char *key)
{
	enum lt_kind kind = kind_of(w, value);
	const char *name;
	bool same;
	struct lt_text text = {0};
	if (kind == LT_KIND_LRU_CACHE) {
		w->more.count = 0;
		lt_picture_refs(w->picture, value, &w->more);
		for (size_t i = 0; i < w->more.count; i++) {
			if (w->more.data[i].kind == LT_REF_MEMBER &&
			    w->more.data[i].index == LT_MEMBER_wrapped) {
				value = node_of(w, w->more.data[i].to);
				kind = kind_of(w, value);
			}
		}
	}
	if (kind != LT_KIND_MODULE && kind != LT_KIND_TYPE && kind != LT_KIND_FUNCTION)
		return false;
	if (!lt_picture_text(w->picture, value, LT_DETAIL_NAME, &text))
		return false;
	name = lt_text_get(&text);
	if (strrchr(name, '.') != NULL && kind != LT_KIND_MODULE)
		name = strrchr(name, '.') + 1;
	same = strcmp(name, key) == 0;
	lt_text_deinit(&text);
	return same;
}

/* True for the dict in which the interpreter keeps interned strings: each is its own key, and most are no names. */
static bool is_interpreters_own(const struct writing *w, uint32_t dict)
{
	const struct lt_picture *picture = w->picture;
	if (picture->parent[dict] != LT_GRAPH_NONE)
		return false;
	for (size_t r = 0; r < picture->roots.list.count; r++) {
		if (picture->root_node[r] == dict &&
		    picture->roots.list.data[r].kind == LT_ROOT_STATE)
			return true;
	}
	return false;
}

static bool is_named(const struct writing *w, const struct lt_ref *ref)
{
	return ref->name != 0 && !(w->of_interpreter && ref->name == ref->to);
}

static void mark_name(struct writing *w, const struct lt_ref *ref, bool redact)
{
	if (!is_named(w, ref))
		return;
	uint32_t name = node_of(w, ref->name);
	if (name == LT_NO_NODE)
		return;
	w->marks[name] |= LT_MARK_NAME;
	struct lt_text key = {0};
	if (redact && (w->marks[name] & LT_MARK_STAYS) == 0 &&
	    lt_picture_text(w->picture, name, LT_DETAIL_STRING, &key) &&
	    names_itself(w, node_of(w, ref->to), lt_text_get(&key)))
		w->marks[name] |= LT_MARK_STAYS;
	lt_text_deinit(&key);
}

/* About how many bytes of text a key takes, as one in a tuple or by itself. */
static uint64_t part_bytes(const struct writing *w, uint32_t key)
{
	uint64_t length;
	switch (kind_of(w, key)) {
	case LT_KIND_STR:
		length = lt_heap_graph_size(&w->picture->graph, key) - w->empty_str;
		return length < LT_PREVIEW_CHARACTERS ? length : LT_PREVIEW_CHARACTERS;
	case LT_KIND_INT:
	case LT_KIND_FLOAT:
	case LT_KIND_NONE:
		return NUMBER_BYTES;
	default:
		return LT_PREVIEW_CHARACTERS;
	}
}

static uint64_t key_bytes(struct writing *w, uint32_t key)
{
	if (kind_of(w, key) != LT_KIND_TUPLE)
		return part_bytes(w, key);
	uint64_t bytes = 0;
	w->more.count = 0;
	lt_picture_refs(w->picture, key, &w->more);
	for (size_t i = 0; i < w->more.count; i++) {
		if (w->more.data[i].kind == LT_REF_ITEM)
			bytes += part_bytes(w, node_of(w, w->more.data[i].to));
	}
	return bytes;
}

/* The same of all keys of the dict in w->refs that are not in the file anyway. */
static uint64_t keys_bytes(struct writing *w)
{
	uint64_t bytes = 0;
	for (size_t i = 0; i < w->refs.count && bytes <= w->key_room; i++) {
		const struct lt_ref *ref = &w->refs.data[i];
		uint32_t key = ref->kind == LT_REF_VALUE && is_named(w, ref) ? node_of(w, ref->name)
									     : LT_NO_NODE;
		if (key != LT_NO_NODE && (w->marks[key] & LT_MARK_NAME) == 0)
			bytes += key_bytes(w, key);
	}
	return bytes;
}

static void mark_keys(struct writing *w, bool redact)
{
	for (size_t i = 0; i < w->refs.count; i++) {
		if (w->refs.data[i].kind == LT_REF_VALUE)
			mark_name(w, &w->refs.data[i], redact);
	}
}

/* Of a dict of many entries that is no namespace, when there is no room for all: the keys whose values hold most. */
static enum lt_status mark_heaviest(struct writing *w, size_t entries, bool redact)
{
	LT_FREE struct weight *weights = calloc(entries + 1, sizeof(*weights));
	if (weights == NULL)
		return lt_fail_memory(w->session);
	size_t count = 0;
	for (size_t i = 0; i < w->refs.count; i++) {
		if (w->refs.data[i].kind == LT_REF_VALUE && is_named(w, &w->refs.data[i]))
			weights[count++] = (struct weight){
				w->picture->retained[node_of(w, w->refs.data[i].to)], i};
	}
	qsort(weights, count, sizeof(*weights), heaviest_first);
	for (size_t i = 0; i < count && i < LT_TIDE_KEYS; i++)
		mark_name(w, &w->refs.data[weights[i].index], redact);
	return LT_OK;
}

/* Tables of the names of variables. */
static void mark_variables(struct writing *w)
{
	for (size_t i = 0; i < w->refs.count; i++) {
		const struct lt_ref *ref = &w->refs.data[i];
		if (ref->kind != LT_REF_MEMBER ||
		    (ref->index != LT_MEMBER_variable_names && ref->index != LT_MEMBER_cell_names &&
		     ref->index != LT_MEMBER_free_names && ref->index != LT_MEMBER_local_names))
			continue;
		w->more.count = 0;
		lt_picture_refs(w->picture, node_of(w, ref->to), &w->more);
		for (size_t k = 0; k < w->more.count; k++) {
			if (w->more.data[k].kind == LT_REF_ITEM)
				w->marks[node_of(w, w->more.data[k].to)] |= LT_MARK_NAME;
		}
	}
}

static enum lt_status mark_names_of(struct writing *w, uint32_t node, bool redact)
{
	enum lt_kind kind = kind_of(w, node);
	switch (kind) {
	case LT_KIND_STR:
	case LT_KIND_BYTES:
	case LT_KIND_BYTEARRAY:
	case LT_KIND_INT:
	case LT_KIND_FLOAT:
	case LT_KIND_NONE:
	case LT_KIND_LIST:
	case LT_KIND_TUPLE:
	case LT_KIND_SET:
	case LT_KIND_DEQUE:
		/* Exact ones have no attributes. */
		if (!lt_picture_type(w->picture, node)->python_class)
			return LT_OK;
		break;
	default:
		break;
	}
	w->refs.count = 0;
	lt_picture_refs(w->picture, node, &w->refs);
	if (kind == LT_KIND_CODE) {
		mark_variables(w);
		return LT_OK;
	}
	size_t entries = 0;
	w->of_interpreter = false;
	for (size_t i = 0; i < w->refs.count; i++) {
		if (w->refs.data[i].kind == LT_REF_ATTRIBUTE)
			mark_name(w, &w->refs.data[i], redact);
		entries += w->refs.data[i].kind == LT_REF_VALUE;
	}
	if (!dict_kind(kind) || entries == 0)
		return LT_OK;
	w->of_interpreter = is_interpreters_own(w, node);
	if (entries > LT_TIDE_KEYS && !is_namespace(w, node)) {
		uint64_t bytes = keys_bytes(w);
		if (bytes > w->key_room)
			return mark_heaviest(w, entries, redact);
		w->key_room -= bytes;
	}
	mark_keys(w, redact);
	return LT_OK;
}

static enum lt_status mark_names(struct writing *w, bool redact)
{
	uint32_t nodes = w->picture->graph.graph.node_count, next = 0;
	w->key_room = (uint64_t)nodes * LT_TIDE_KEY_BYTES;
	w->empty_str = UINT64_MAX;
	for (uint32_t node = 0; node < nodes; node++) {
		if (kind_of(w, node) == LT_KIND_STR &&
		    lt_heap_graph_size(&w->picture->graph, node) < w->empty_str)
			w->empty_str = lt_heap_graph_size(&w->picture->graph, node);
	}
	for (uint32_t node = 0; node < nodes; node++) {
		if (node == next)
			next = lt_picture_walk(w->picture, node);
		LT_TRY(mark_names_of(w, node, redact));
		if (node % PROGRESS_EACH == 0)
			lt_progress(w->session, "finding names", node, nodes);
	}
	return LT_OK;
}

/* ---- Columns ---- */

static enum lt_status put_column(struct writing *w, const char *name, unsigned width, bool lists,
				 enum lt_store_coding coding, uint32_t *ret_column)
{
	const struct lt_store_spec spec = {
		.name = name, .width = width, .lists = lists, .coding = coding};
	return lt_store_put_column(w->writer, &spec, ret_column);
}

static enum lt_status put_columns(struct writing *w)
{
	struct columns *c = &w->columns;
	LT_TRY(put_column(w, LT_TIDE_ADDRESS, 8, false, LT_STORE_DELTA, &c->address));
	LT_TRY(put_column(w, LT_TIDE_TYPE, 4, false, LT_STORE_PLAIN, &c->type));
	LT_TRY(put_column(w, LT_TIDE_SIZE, 8, false, LT_STORE_PLAIN, &c->size));
	LT_TRY(put_column(w, LT_TIDE_FLAGS, 1, false, LT_STORE_PLAIN, &c->flags));
	LT_TRY(put_column(w, LT_TIDE_ALIVE, 1, false, LT_STORE_PLAIN, &c->alive));
	LT_TRY(put_column(w, LT_TIDE_EXTERNAL, 4, false, LT_STORE_SIGNED, &c->external));
	LT_TRY(put_column(w, LT_TIDE_TARGETS, 4, true, LT_STORE_RELATIVE, &c->targets));
	LT_TRY(put_column(w, LT_TIDE_LABELS, 1, true, LT_STORE_PLAIN, &c->labels));
	LT_TRY(put_column(w, LT_TIDE_NAMES, 4, false, LT_STORE_PLAIN, &c->names));
	LT_TRY(put_column(w, LT_TIDE_NUMBER_NODE, 4, false, LT_STORE_DELTA, &c->number_node));
	LT_TRY(put_column(w, LT_TIDE_NUMBER_DETAIL, 1, false, LT_STORE_PLAIN, &c->number_detail));
	LT_TRY(put_column(w, LT_TIDE_NUMBER_VALUE, 8, false, LT_STORE_SIGNED, &c->number_value));
	LT_TRY(put_column(w, LT_TIDE_TEXT_NODE, 4, false, LT_STORE_DELTA, &c->text_node));
	LT_TRY(put_column(w, LT_TIDE_TEXT_DETAIL, 1, false, LT_STORE_PLAIN, &c->text_detail));
	return put_column(w, LT_TIDE_TEXT_VALUE, 1, true, LT_STORE_PLAIN, &c->text_value);
}

/* References of a node as nodes; what leads out of the picture is left out by lt_picture_refs(). */
static enum lt_status put_refs(struct writing *w, uint32_t node)
{
	w->refs.count = 0;
	lt_picture_refs(w->picture, node, &w->refs);
	size_t count = w->refs.count;
	LT_FREE uint32_t *many = NULL;
	uint32_t few[64], *targets = few;
	if (!lt_node_refs_reserve(&w->node_refs, count + 1))
		return lt_fail_memory(w->session);
	if (count > sizeof(few) / sizeof(few[0])) {
		many = malloc(count * sizeof(*many));
		if (many == NULL)
			return lt_fail_memory(w->session);
		targets = many;
	}
	for (size_t i = 0; i < count; i++) {
		const struct lt_ref *ref = &w->refs.data[i];
		targets[i] = node_of(w, ref->to);
		w->node_refs.data[i] = (struct lt_node_ref){
			.to = targets[i],
			.name = ref->name != 0 ? node_of(w, ref->name) : LT_NO_NODE,
			.index = ref->index,
			.kind = ref->kind,
			.untraversed = ref->untraversed,
			.borrowed = ref->borrowed,
		};
	}
	w->node_refs.count = count;
	w->reference_count += count;
	w->labels.count = 0;
	if (!lt_labels_write(w->node_refs.data, count, &w->names, &w->labels))
		return lt_fail_memory(w->session);
	LT_TRY(lt_store_put_list(w->writer, w->columns.targets, targets, count));
	return lt_store_put_list(w->writer, w->columns.labels, w->labels.data, w->labels.count);
}

static enum lt_status put_number(struct writing *w, uint32_t node, enum lt_detail detail,
				 int64_t value)
{
	uint8_t id = (uint8_t)detail;
	LT_TRY(lt_store_put_items(w->writer, w->columns.number_node, &node, 1));
	LT_TRY(lt_store_put_items(w->writer, w->columns.number_detail, &id, 1));
	return lt_store_put_items(w->writer, w->columns.number_value, &value, 1);
}

static enum lt_status put_text(struct writing *w, uint32_t node, unsigned detail,
			       const struct lt_text *text)
{
	uint8_t id = (uint8_t)detail;
	if (text->failed)
		return lt_fail_memory(w->session);
	LT_TRY(lt_store_put_items(w->writer, w->columns.text_node, &node, 1));
	LT_TRY(lt_store_put_items(w->writer, w->columns.text_detail, &id, 1));
	return lt_store_put_list(w->writer, w->columns.text_value, lt_text_get(text), text->length);
}

/* Containers of which there are many have a length and nothing else. */
static bool more_details(enum lt_kind kind)
{
	return !dict_kind(kind) && kind != LT_KIND_LIST && kind != LT_KIND_TUPLE &&
	       kind != LT_KIND_SET;
}

static enum lt_status put_numbers(struct writing *w, uint32_t node, enum lt_kind kind)
{
	int64_t value, derived = lt_tide_length(kind, w->node_refs.data, w->node_refs.count);
	if (lt_picture_number(w->picture, node, LT_DETAIL_LENGTH, &value) && value != derived)
		LT_TRY(put_number(w, node, LT_DETAIL_LENGTH, value));
	if (!more_details(kind))
		return LT_OK;
	for (int d = 0; d < LT_DETAIL_COUNT; d++) {
		enum lt_detail detail = (enum lt_detail)d;
		if (detail != LT_DETAIL_REFCOUNT && detail != LT_DETAIL_LENGTH &&
		    !lt_detail_is_text(detail) &&
		    lt_picture_number(w->picture, node, detail, &value))
			LT_TRY(put_number(w, node, detail, value));
	}
	return LT_OK;
}

/* A key or name. Most are strings whose literal is the string in quotes: one text for both. */
static enum lt_status put_name(struct writing *w, uint32_t node)
{
	LT_CLEANUP(lt_text_deinit) struct lt_text string = {0};
	LT_CLEANUP(lt_text_deinit) struct lt_text literal = {0};
	bool has_string = lt_picture_text(w->picture, node, LT_DETAIL_STRING, &string);
	bool has_literal = lt_picture_text(w->picture, node, LT_DETAIL_LITERAL, &literal);
	const char *quoted = lt_text_get(&literal);
	if (has_string && has_literal && literal.length == string.length + 2 && quoted[0] == '\'' &&
	    memcmp(quoted + 1, lt_text_get(&string), string.length) == 0 &&
	    quoted[literal.length - 1] == '\'')
		return put_text(w, node, LT_TIDE_PLAIN_STRING, &string);
	if (has_string)
		LT_TRY(put_text(w, node, LT_DETAIL_STRING, &string));
	return has_literal ? put_text(w, node, LT_DETAIL_LITERAL, &literal) : LT_OK;
}

static enum lt_status put_texts(struct writing *w, uint32_t node, bool of_type)
{
	for (int d = 0; d < LT_DETAIL_COUNT; d++) {
		enum lt_detail detail = (enum lt_detail)d;
		if (!lt_detail_is_text(detail) || detail == LT_DETAIL_STRING ||
		    detail == LT_DETAIL_LITERAL)
			continue;
		/* Those of a class are with the types. */
		if (of_type && (detail == LT_DETAIL_NAME || detail == LT_DETAIL_MODULE))
			continue;
		LT_CLEANUP(lt_text_deinit) struct lt_text text = {0};
		if (lt_picture_text(w->picture, node, detail, &text))
			LT_TRY(put_text(w, node, (unsigned)d, &text));
	}
	return LT_OK;
}

/* Kinds of which there are many and that have no details. */
static bool plain_kind(const struct lt_type *type)
{
	switch (type->kind) {
	case LT_KIND_STR:
	case LT_KIND_BYTES:
	case LT_KIND_INT:
	case LT_KIND_FLOAT:
	case LT_KIND_COMPLEX:
	case LT_KIND_NONE:
	case LT_KIND_OBJECT:
	case LT_KIND_CELL:
	case LT_KIND_DATE:
	case LT_KIND_DATETIME:
		return true;
	default:
		return false;
	}
}

static enum lt_status put_details(struct writing *w, uint32_t node)
{
	const struct lt_type *type = lt_picture_type(w->picture, node);
	if ((w->marks[node] & LT_MARK_NAME) != 0)
		LT_TRY(put_name(w, node));
	if (type == NULL || plain_kind(type))
		return LT_OK;
	LT_TRY(put_numbers(w, node, type->kind));
	if (!more_details(type->kind))
		return LT_OK;
	return put_texts(w, node, lt_picture_type_of_class(w->picture, node) != NULL);
}

static int32_t external_references(const struct writing *w, uint32_t node)
{
	int64_t count;
	if (!lt_picture_number(w->picture, node, LT_DETAIL_REFCOUNT, &count))
		return LT_TIDE_NO_COUNT;
	count -= w->found[node];
	if (count > INT32_MAX)
		return INT32_MAX;
	return count <= LT_TIDE_NO_COUNT ? LT_TIDE_NO_COUNT + 1 : (int32_t)count;
}

static enum lt_status put_node(struct writing *w, uint32_t node)
{
	const struct lt_picture *picture = w->picture;
	const struct columns *c = &w->columns;
	uint64_t address = lt_picture_address(picture, node);
	uint64_t size = lt_heap_graph_size(&picture->graph, node);
	const struct lt_type *type = lt_picture_type(picture, node);
	uint32_t index = type != NULL ? type->index : UINT32_MAX;
	uint8_t flags = picture->graph.flags[node], alive = picture->alive[node] != 0;
	int32_t external = external_references(w, node);
	LT_TRY(lt_store_put_items(w->writer, c->address, &address, 1));
	LT_TRY(lt_store_put_items(w->writer, c->type, &index, 1));
	LT_TRY(lt_store_put_items(w->writer, c->size, &size, 1));
	LT_TRY(lt_store_put_items(w->writer, c->flags, &flags, 1));
	LT_TRY(lt_store_put_items(w->writer, c->alive, &alive, 1));
	LT_TRY(lt_store_put_items(w->writer, c->external, &external, 1));
	LT_TRY(put_refs(w, node));
	return put_details(w, node);
}

static enum lt_status put_nodes(struct writing *w)
{
	uint32_t nodes = w->picture->graph.graph.node_count, next = 0;
	for (uint32_t node = 0; node < nodes; node++) {
		if (node == next)
			next = lt_picture_walk(w->picture, node);
		LT_TRY(put_node(w, node));
		if (node % PROGRESS_EACH != 0)
			continue;
		LT_TRY(lt_subject_status(w->subject, LT_OK));
		lt_progress(w->session, "writing the snapshot", node, nodes);
	}
	(void)lt_picture_walk(w->picture, nodes);
	if (w->names.count == 0)
		return LT_OK;
	return lt_store_put_items(w->writer, w->columns.names, w->names.node, w->names.count);
}

/* ---- The whole ---- */

/* Types of classes without an instance are read now, so that they are in the list of types. */
static enum lt_status read_classes(struct writing *w)
{
	for (uint32_t node = 0; node < w->picture->graph.graph.node_count; node++)
		(void)lt_picture_type_of_class(w->picture, node);
	return LT_OK;
}

static enum lt_status count_types(struct writing *w)
{
	const struct lt_picture *picture = w->picture;
	uint32_t count = lt_types_count(picture->types);
	LT_TRY(lt_picture_totals(picture, &w->all));
	if (!lt_type_totals_reserve(&w->tracked, (size_t)count + 1))
		return lt_fail_memory(w->session);
	for (uint32_t t = 0; t < count; t++)
		w->tracked.data[t] = (struct lt_type_total){.type = lt_types_at(picture->types, t)};
	w->tracked.count = count;
	for (uint32_t node = 0; node < picture->graph.graph.node_count; node++) {
		const struct lt_type *type = lt_picture_type(picture, node);
		uint8_t flags = picture->graph.flags[node];
		if (type == NULL)
			continue;
		uint64_t size = lt_heap_graph_size(&picture->graph, node);
		if ((flags & LT_NODE_TRACKED) != 0) {
			w->tracked.data[type->index].count++;
			w->tracked.data[type->index].bytes += size;
		}
		if ((flags & LT_NODE_PERMANENT) != 0) {
			w->all.data[type->index].permanent_count++;
			w->all.data[type->index].permanent_bytes += size;
		}
	}
	return LT_OK;
}

/* References to each node; the graph's edges are gone when the picture is weighed. */
static enum lt_status count_found(struct writing *w)
{
	const struct lt_graph *graph = &w->picture->graph.graph;
	w->found = calloc((size_t)graph->node_count + 1, sizeof(*w->found));
	if (w->found == NULL)
		return lt_fail_memory(w->session);
	for (uint32_t node = 0; node < graph->node_count; node++) {
		struct lt_row row = lt_row(&graph->out, node);
		for (const uint32_t *to = row.begin; to < row.end; to++)
			w->found[*to]++;
	}
	return LT_OK;
}

static enum lt_status put_scanned(struct writing *w)
{
	const struct lt_loose_refs *scanned = &w->picture->scanned;
	uint32_t from, to;
	LT_TRY(put_column(w, LT_TIDE_SCANNED_FROM, 4, false, LT_STORE_DELTA, &from));
	LT_TRY(put_column(w, LT_TIDE_SCANNED_TO, 4, false, LT_STORE_PLAIN, &to));
	for (size_t i = 0; i < scanned->count; i++) {
		LT_TRY(lt_store_put_items(w->writer, from, &scanned->data[i].from, 1));
		LT_TRY(lt_store_put_items(w->writer, to, &scanned->data[i].to, 1));
	}
	return LT_OK;
}

static enum lt_status write_all(struct writing *w, const struct lt_tide_options *options)
{
	struct lt_subject *subject = w->subject;
	LT_TRY(lt_subject_picture(subject, LT_PICTURE_WAYS));
	LT_TRY(count_found(w));
	LT_TRY(lt_subject_picture(subject, LT_PICTURE_WEIGHED));
	w->marks = calloc((size_t)w->picture->graph.graph.node_count + 1, 1);
	if (w->marks == NULL)
		return lt_fail_memory(w->session);
	LT_TRY(mark_names(w, options->redact));
	LT_TRY(lt_source_redact(w->session, &w->picture->source, w->marks, options->redact));
	w->marks_given = true;
	if (options->redact)
		LT_TRY(lt_tide_redact_roots(w->session, &w->picture->roots));
	LT_TRY(read_classes(w));
	LT_TRY(count_types(w));
	LT_TRY(put_columns(w));
	LT_TRY(put_nodes(w));
	LT_TRY(put_scanned(w));
	LT_TRY(lt_store_put_meta(w->writer, "references",
				 lt_store_integer((int64_t)w->reference_count)));
	LT_TRY(lt_tide_put_tables(w->writer, subject, &w->all, &w->tracked, options->redact));
	LT_TRY(lt_tide_put_tree(w->writer, subject));
	return lt_subject_status(subject, LT_OK);
}

static void deinit(struct writing *w)
{
	if (!w->marks_given)
		free(w->marks);
	free(w->found);
	lt_refs_deinit(&w->refs);
	lt_refs_deinit(&w->more);
	lt_node_refs_deinit(&w->node_refs);
	lt_label_bytes_deinit(&w->labels);
	lt_label_names_deinit(&w->names);
	lt_type_totals_deinit(&w->all);
	lt_type_totals_deinit(&w->tracked);
}

enum lt_status lt_tide_write(struct lt_subject *subject, const char *path,
			     const struct lt_tide_options *options,
			     struct lt_tide_written *ret_written)
{
	struct writing w = {
		.session = subject->session, .subject = subject, .picture = &subject->picture};
	LT_TRY(lt_store_create(subject->session, path, LT_TIDE_SCHEMA, &w.writer));
	enum lt_status status = write_all(&w, options);
	*ret_written = (struct lt_tide_written){
		.path = path,
		.redacted = options->redact,
		.objects = w.picture->graph.graph.node_count,
		.references = w.reference_count,
	};
	deinit(&w);
	if (status == LT_OK && lt_shortage())
		status = lt_fail_memory(subject->session);
	if (status != LT_OK) {
		lt_store_abandon(w.writer);
		return status;
	}
	lt_progress(subject->session, "completing the file", 0, 0);
	LT_TRY(lt_store_commit(w.writer));
	struct stat facts;
	if (stat(path, &facts) == 0)
		ret_written->bytes = (uint64_t)facts.st_size;
	return LT_OK;
}
