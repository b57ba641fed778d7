/*
 * The format (V8: src/profiler/heap-snapshot-generator.cc; DevTools: heap_snapshot_worker/HeapSnapshot.ts):
 * one object of JSON with `snapshot` (what the fields mean, and counts), then flat arrays of numbers: `nodes`,
 * seven for each node, and `edges`, three for each, those of the first node first; a node says how many
 * are its own. Names are indexes into `strings`, which come last. DevTools keeps the numbers in 32 bits.
 */
#include "report/export_heapsnapshot.h"

#include "base/cleanup.h"
#include "report/names.h"
#include "report/safe.h"

#include <inttypes.h>
#include <string.h>

enum node_type {
	NODE_HIDDEN,
	NODE_ARRAY,
	NODE_STRING,
	NODE_OBJECT,
	NODE_CODE,
	NODE_CLOSURE,
	NODE_REGEXP,
	NODE_NUMBER,
	NODE_NATIVE,
	NODE_SYNTHETIC,
};
#define NODE_TYPES                                                                                 \
	"\"hidden\",\"array\",\"string\",\"object\",\"code\",\"closure\",\"regexp\",\"number\","   \
	"\"native\",\"synthetic\",\"concatenated string\",\"sliced "                               \
	"string\",\"symbol\",\"bigint\","                                                          \
	"\"object shape\""

enum edge_type { EDGE_CONTEXT, EDGE_ELEMENT, EDGE_PROPERTY, EDGE_INTERNAL };
#define EDGE_TYPES                                                                                 \
	"\"context\",\"element\",\"property\",\"internal\",\"hidden\",\"shortcut\",\"weak\""

enum {
	NODE_FIELDS = 7,
	BUFFER_BYTES = 64 * 1024,
	NUMBER_MOST = 24, /* bytes of a number and what stands before it */
	PROGRESS_EACH = 65536,
	SIZE_MOST = UINT32_MAX,
	/* Numbers of our own nodes; those of objects come from their addresses. */
	IDS_RESERVED = 64,
	AHEAD = 64,        /* references that are looked through for the one that an edge is */
	WINDOW_SHIFT = 35, /* addresses that differ below this bit have numbers of their own */
	WINDOWS_MOST = 64,
	/* The first nodes: the root, "(GC roots)", then one for each kind of root, and the garbage. */
	AT_ROOT = 0,
	AT_GC_ROOTS = 1,
	AT_KINDS = 2,
	AT_GARBAGE = AT_KINDS + LT_ROOT_KIND_COUNT,
	OWN_NODES,
};

/* What its type says about an object. */
struct type_info {
	enum node_type type;
	uint32_t name;
	bool own_name; /* its own name is shown: functions, classes, code */
};

/* Of objects whose addresses agree above WINDOW_SHIFT: what is added to the lower part. */
struct id_window {
	uint64_t number; /* address >> WINDOW_SHIFT */
	uint32_t first, last, shift;
};

struct writer {
	const struct lt_picture *picture;
	struct lt_session *session;
	struct lt_expressions *expressions;
	const struct lt_sink *sink;
	bool redact;
	enum lt_status status; /* the first failure: nothing is written after it */
	char *buffer;
	size_t filled;
	bool first; /* of an array: no comma before it */

	struct lt_names names;
	struct lt_map key_names;   /* address of a key -> name */
	struct lt_map place_names; /* what stands in a slot, variable or word -> name */
	struct type_info *types;
	uint32_t type_count;
	struct lt_refs refs;
	struct lt_text scratch;

	struct id_window windows[WINDOWS_MOST];
	size_t window_count; /* 0: objects are numbered in order */
	uint64_t kind_edges[LT_ROOT_KIND_COUNT];
	uint64_t left_out; /* names of edges */
	uint64_t too_big;
};

/* ---- Bytes ---- */

static void flush(struct writer *w)
{
	if (w->status == LT_OK && w->filled > 0)
		w->status = w->sink->add(w->sink->ctx, w->buffer, w->filled);
	w->filled = 0;
}

static void put(struct writer *w, const char *text)
{
	size_t length = strlen(text);
	if (w->filled + length > BUFFER_BYTES)
		flush(w);
	if (length > BUFFER_BYTES) {
		if (w->status == LT_OK)
			w->status = w->sink->add(w->sink->ctx, text, length);
		return;
	}
	memcpy(w->buffer + w->filled, text, length);
	w->filled += length;
}

/* The next number of an array. */
static void number(struct writer *w, uint64_t value)
{
	char digits[NUMBER_MOST];
	size_t at = sizeof(digits);
	if (w->filled + sizeof(digits) > BUFFER_BYTES)
		flush(w);
	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	if (!w->first)
		digits[--at] = ',';
	w->first = false;
	memcpy(w->buffer + w->filled, digits + at, sizeof(digits) - at);
	w->filled += sizeof(digits) - at;
}

static void begin(struct writer *w, const char *array)
{
	put(w, array);
	w->first = true;
}

static void line_end(struct writer *w)
{
	put(w, "\n");
}

/* A string of unknown origin as JSON: ASCII, broken UTF-8 as \xNN. */
static void put_string(struct writer *w, const char *string)
{
	struct lt_text *valid = &w->scratch;
	lt_text_clear(valid);
	lt_valid_add(valid, string);
	put(w, "\"");
	for (const unsigned char *c = (const unsigned char *)lt_text_get(valid); *c != '\0'; c++) {
		char escape[8] = {(char)*c, '\0'};
		if (*c == '"' || *c == '\\')
			snprintf(escape, sizeof(escape), "\\%c", *c);
		else if (*c < 0x20 || *c == 0x7f)
			snprintf(escape, sizeof(escape), "\\u%04x", *c);
		put(w, escape);
	}
	put(w, "\"");
}

/* ---- Names ---- */

/* Index of a name, LT_NAMES_NONE when there is no more room. */
static uint32_t name_of(struct writer *w, const char *text)
{
	uint32_t name;
	if (!lt_names_add(&w->names, text, &name)) {
		w->status = w->status == LT_OK ? lt_fail_memory(w->session) : w->status;
		return LT_NAMES_NONE;
	}
	return name;
}

/* A name of lowtide's own, while there is room for sure. */
static uint32_t own_name(struct writer *w, const char *text)
{
	uint32_t name = name_of(w, text);
	return name == LT_NAMES_NONE ? 0 : name;
}

static bool remember(struct writer *w, struct lt_map *map, uint64_t key, uint32_t name)
{
	if (map->count >= LT_HEAPSNAPSHOT_NAMES || lt_map_put(map, key, name))
		return true;
	if (w->status == LT_OK)
		w->status = lt_fail_memory(w->session);
	return false;
}

/* What a key of a dict or the name of an attribute is called. LT_NAMES_NONE: by its place only. */
static uint32_t key_name(struct writer *w, lt_addr key)
{
	uint64_t known;
	if (w->redact)
		return LT_NAMES_NONE;
	if (lt_map_get(&w->key_names, key, &known))
		return (uint32_t)known;
	uint32_t node = lt_heap_graph_find(&w->picture->graph, key);
	uint32_t name = LT_NAMES_NONE;
	struct lt_text text = {0};
	if (node != LT_NO_NODE && (lt_picture_text(w->picture, node, LT_DETAIL_STRING, &text) ||
				   lt_picture_text(w->picture, node, LT_DETAIL_LITERAL, &text)))
		name = name_of(w, lt_text_get(&text));
	lt_text_deinit(&text);
	remember(w, &w->key_names, key, name);
	return name;
}

/* The name of a local variable or of a slot, as expressions have it. */
static uint32_t place_name(struct writer *w, uint32_t from, const struct lt_ref *ref, uint32_t to)
{
	static const char local[] = "f_locals['";
	uint64_t type = lt_heap_graph_type(&w->picture->graph, from);
	uint64_t key = type << 32 | ref->index, known;
	if (w->redact)
		return LT_NAMES_NONE;
	if (ref->kind == LT_REF_SLOT && lt_map_get(&w->place_names, key, &known))
		return (uint32_t)known;
	struct lt_text text = {0};
	lt_expression_label(w->expressions, from, to, &text);
	const char *label = lt_text_get(&text);
	char plain[128];
	const char *variable = strstr(label, local);
	if (variable != NULL) {
		snprintf(plain, sizeof(plain), "%s", variable + sizeof(local) - 1);
		plain[strcspn(plain, "'")] = '\0';
		label = plain;
	} else if (*label == '.') {
		label++;
	}
	uint32_t name = *label != '\0' ? name_of(w, label) : LT_NAMES_NONE;
	lt_text_deinit(&text);
	if (ref->kind == LT_REF_SLOT)
		remember(w, &w->place_names, key, name);
	return name;
}

/* ---- Types ---- */

static struct type_info info_of(struct writer *w, const struct lt_type *type)
{
	struct type_info info = {.type = NODE_OBJECT};
	switch (type->kind) {
	case LT_KIND_STR:
		info.type = type->exact ? NODE_STRING : NODE_OBJECT;
		break;
	case LT_KIND_INT:
	case LT_KIND_FLOAT:
	case LT_KIND_COMPLEX:
		info.type = type->exact ? NODE_NUMBER : NODE_OBJECT;
		break;
	case LT_KIND_BYTES:
	case LT_KIND_BYTEARRAY:
	case LT_KIND_ARRAY:
		info.type = NODE_NATIVE;
		break;
	case LT_KIND_CODE:
		info.type = NODE_CODE;
		info.own_name = true;
		break;
	case LT_KIND_FUNCTION:
	case LT_KIND_TYPE:
		info.type = NODE_CLOSURE;
		info.own_name = true;
		break;
	case LT_KIND_BUILTIN:
	case LT_KIND_METHOD:
		info.type = NODE_CLOSURE;
		break;
	default:
		break;
	}
	struct lt_text text = {0};
	if (*type->module != '\0' && strcmp(type->module, "builtins") != 0)
		lt_text_addf(&text, "%s.", type->module);
	lt_text_add(&text, type->name);
	info.name = own_name(w, lt_text_get(&text));
	lt_text_deinit(&text);
	return info;
}

static enum lt_status read_types(struct writer *w)
{
	w->type_count = lt_types_count(w->picture->types);
	w->types = calloc((size_t)w->type_count + 1, sizeof(*w->types));
	if (w->types == NULL)
		return lt_fail_memory(w->session);
	for (uint32_t t = 0; t < w->type_count; t++)
		w->types[t] = info_of(w, lt_types_at(w->picture->types, t));
	w->types[w->type_count] =
		(struct type_info){.type = NODE_HIDDEN, .name = own_name(w, "unreadable")};
	return w->status;
}

/* ---- Numbers of objects ---- */

static uint32_t lower(lt_addr address)
{
	return (uint32_t)(address >> 3);
}

static bool id_free(const struct writer *w, size_t count, uint64_t first, uint64_t last)
{
	if (first < IDS_RESERVED || last > UINT32_MAX)
		return false;
	for (size_t i = 0; i < count; i++) {
		const struct id_window *other = &w->windows[i];
		if (first <= (uint64_t)other->last + other->shift &&
		    last >= (uint64_t)other->first + other->shift)
			return false;
	}
	return true;
}

/* A place for window `at` among those before it; false: none is left. */
static bool place_window(struct writer *w, size_t at)
{
	struct id_window *window = &w->windows[at];
	if (id_free(w, at, window->first, window->last))
		return true;
	for (size_t i = 0; i <= at; i++) {
		uint64_t behind = i < at ? (uint64_t)w->windows[i].last + w->windows[i].shift + 1
					 : IDS_RESERVED;
		if (behind >= window->first &&
		    id_free(w, at, behind, behind + (window->last - window->first))) {
			window->shift = (uint32_t)(behind - window->first);
			return true;
		}
	}
	return false;
}

/*
 * DevTools compares two snapshots by the numbers of the objects: an object has the same one in each, made
 * from its address. Where that does not fit 32 bits the objects are numbered in their order.
 */
static void choose_ids(struct writer *w)
{
	uint32_t count = w->picture->graph.graph.node_count;
	size_t windows = 0;
	for (uint32_t node = 0; node < count; node++) {
		lt_addr address = lt_picture_address(w->picture, node);
		struct id_window *last = windows > 0 ? &w->windows[windows - 1] : NULL;
		if (last == NULL || last->number != address >> WINDOW_SHIFT) {
			if (windows == WINDOWS_MOST)
				return;
			w->windows[windows++] = (struct id_window){
				.number = address >> WINDOW_SHIFT,
				.first = lower(address),
				.last = lower(address),
			};
			continue;
		}
		if (lower(address) <= last->last)
			return; /* two objects in one word: a target that lies */
		last->last = lower(address);
	}
	for (size_t i = 0; i < windows; i++)
		if (!place_window(w, i))
			return;
	w->window_count = windows;
}

static uint64_t id_of(struct writer *w, uint32_t node, size_t *window)
{
	if (w->window_count == 0)
		return (uint64_t)IDS_RESERVED + node;
	lt_addr address = lt_picture_address(w->picture, node);
	while (w->windows[*window].number != address >> WINDOW_SHIFT)
		++*window;
	return (uint64_t)lower(address) + w->windows[*window].shift;
}

/* ---- Nodes ---- */

static void put_node(struct writer *w, enum node_type type, uint32_t name, uint64_t id,
		     uint64_t size, uint64_t edges)
{
	number(w, (uint64_t)type);
	number(w, name);
	number(w, id);
	number(w, size);
	number(w, edges);
	number(w, 0); /* trace_node_id */
	number(w, 0); /* detachedness: not known */
	line_end(w);
}

static uint64_t row_length(const struct lt_picture *picture, uint32_t node)
{
	const struct lt_rows *out = &picture->graph.graph.out;
	return lt_row_start(out, node + 1) - lt_row_start(out, node);
}

/* The root and "(GC roots)" both lead to each kind: with the first, DevTools counts distances from there. */
static void put_own_nodes(struct writer *w)
{
	const uint64_t kinds = LT_ROOT_KIND_COUNT + 1;
	put_node(w, NODE_SYNTHETIC, own_name(w, ""), 1, 0, 1 + kinds);
	put_node(w, NODE_SYNTHETIC, own_name(w, "(GC roots)"), 3, 0, kinds);
	for (unsigned kind = 0; kind < LT_ROOT_KIND_COUNT; kind++) {
		char name[48];
		snprintf(name, sizeof(name), "(%s)", lt_root_kind_name((enum lt_root_kind)kind));
		put_node(w, NODE_NATIVE, own_name(w, name), 5 + 2 * kind, 0, w->kind_edges[kind]);
	}
	put_node(w, NODE_NATIVE, own_name(w, "(garbage)"), 5 + 2 * LT_ROOT_KIND_COUNT, 0,
		 w->picture->garbage_count);
}

static void put_objects(struct writer *w)
{
	const struct lt_picture *picture = w->picture;
	uint32_t count = picture->graph.graph.node_count;
	size_t window = 0;
	for (uint32_t node = 0; node < count && w->status == LT_OK; node++) {
		uint32_t type = lt_heap_graph_type(&picture->graph, node);
		const struct type_info *info =
			&w->types[type < w->type_count ? type : w->type_count];
		uint32_t name = info->name;
		struct lt_text text = {0};
		if (info->own_name && lt_picture_text(picture, node, LT_DETAIL_NAME, &text)) {
			name = name_of(w, lt_text_get(&text));
			if (name == LT_NAMES_NONE)
				name = info->name;
		}
		lt_text_deinit(&text);
		uint64_t size = lt_heap_graph_size(&picture->graph, node);
		w->too_big += size > SIZE_MOST;
		put_node(w, info->type, name, id_of(w, node, &window),
			 size > SIZE_MOST ? SIZE_MOST : size, row_length(picture, node));
		if (node % PROGRESS_EACH == 0)
			lt_progress(w->session, "objects to the file", node, count);
	}
}

/* ---- Edges ---- */

static void put_edge(struct writer *w, enum edge_type type, uint64_t name_or_index, uint64_t to)
{
	number(w, (uint64_t)type);
	number(w, name_or_index);
	number(w, to * NODE_FIELDS);
	line_end(w);
}

/* `name` when it has one, else the number `index`. */
static void put_named(struct writer *w, enum edge_type type, uint32_t name, uint64_t index,
		      uint64_t to)
{
	if (name != LT_NAMES_NONE)
		put_edge(w, type, name, to);
	else
		put_edge(w, EDGE_ELEMENT, index > UINT32_MAX ? UINT32_MAX : index, to);
}

static uint32_t root_name(struct writer *w, const struct lt_root *root)
{
	const struct lt_frames *frames = &w->picture->roots.frames;
	const char *what = root->variable != NULL && !w->redact ? root->variable : root->name;
	if (what == NULL)
		what = "object";
	if ((root->kind != LT_ROOT_LOCAL && root->kind != LT_ROOT_FRAME) ||
	    root->frame >= frames->count)
		return name_of(w, what);
	const struct lt_frame *frame = &frames->data[root->frame];
	struct lt_text text = {0};
	const char *file = frame->file != NULL ? frame->file : "?";
	const char *slash = w->redact ? strrchr(file, '/') : NULL;
	lt_text_addf(&text, "%s of %s() at %s:%d", what,
		     frame->function != NULL ? frame->function : "?",
		     slash != NULL ? slash + 1 : file, frame->line);
	uint32_t name = name_of(w, lt_text_get(&text));
	lt_text_deinit(&text);
	return name;
}

static void put_own_edges(struct writer *w)
{
	const struct lt_picture *picture = w->picture;
	put_edge(w, EDGE_ELEMENT, 1, AT_GC_ROOTS);
	for (unsigned i = AT_KINDS; i < OWN_NODES; i++)
		put_edge(w, EDGE_ELEMENT, i, i);
	for (unsigned i = AT_KINDS; i < OWN_NODES; i++)
		put_edge(w, EDGE_ELEMENT, i - AT_KINDS + 1, i);
	for (unsigned kind = 0; kind < LT_ROOT_KIND_COUNT; kind++) {
		uint64_t index = 0;
		for (size_t r = 0; r < picture->roots.list.count && w->status == LT_OK; r++) {
			const struct lt_root *root = &picture->roots.list.data[r];
			if (root->kind == kind && picture->root_node[r] != LT_NO_NODE)
				put_named(w, EDGE_PROPERTY, root_name(w, root), index++,
					  (uint64_t)OWN_NODES + picture->root_node[r]);
		}
	}
	uint64_t index = 0;
	for (uint32_t node = 0; node < picture->graph.graph.node_count; node++)
		if (!picture->alive[node])
			put_edge(w, EDGE_ELEMENT, index++, (uint64_t)OWN_NODES + node);
}

static void put_member(struct writer *w, uint32_t index, uint64_t to)
{
	const char *spelling =
		index < LT_MEMBER_COUNT ? lt_member_spelling((enum lt_member)index) : "<member>";
	bool named = *spelling == '.';
	put_named(w, named ? EDGE_PROPERTY : EDGE_INTERNAL, name_of(w, spelling + named), index,
		  to);
}

static void put_ref(struct writer *w, uint32_t from, const struct lt_ref *ref, uint32_t node)
{
	uint64_t to = (uint64_t)OWN_NODES + node;
	char word[32];
	switch (ref->kind) {
	case LT_REF_ITEM:
		put_edge(w, EDGE_ELEMENT, ref->index, to);
		break;
	case LT_REF_VALUE:
	case LT_REF_ATTRIBUTE:
		put_named(w, EDGE_PROPERTY, key_name(w, ref->name), ref->index, to);
		break;
	case LT_REF_KEY:
		put_named(w, EDGE_INTERNAL, name_of(w, "key"), ref->index, to);
		break;
	case LT_REF_TYPE:
		put_named(w, EDGE_INTERNAL, name_of(w, "type"), 0, to);
		break;
	case LT_REF_DICT:
		put_named(w, EDGE_PROPERTY, name_of(w, "__dict__"), 0, to);
		break;
	case LT_REF_SLOT:
		put_named(w, EDGE_PROPERTY, place_name(w, from, ref, node), ref->index, to);
		break;
	case LT_REF_LOCAL:
		put_named(w, EDGE_CONTEXT, place_name(w, from, ref, node), ref->index, to);
		break;
	case LT_REF_MEMBER:
		put_member(w, ref->index, to);
		break;
	case LT_REF_STACK:
		put_named(w, EDGE_INTERNAL, name_of(w, "evaluation stack"), ref->index, to);
		break;
	default:
		snprintf(word, sizeof(word), "word at %" PRIu32, ref->index);
		put_named(w, EDGE_INTERNAL, name_of(w, word), ref->index, to);
	}
}

/* Whether one of the next references leads to the node; those before it are passed over. */
static bool find_ref(struct writer *w, size_t *at, uint32_t to)
{
	size_t end = w->refs.count - *at < AHEAD ? w->refs.count : *at + AHEAD;
	for (size_t i = *at; i < end; i++) {
		if (lt_heap_graph_find(&w->picture->graph, w->refs.data[i].to) == to) {
			*at = i;
			return true;
		}
	}
	return false;
}

/*
 * The row of the graph says where the edges lead, in the order of the references, which say what each is
 * called. In the live mode a second reading may find others: an edge that it does not find has no name.
 */
static void put_row(struct writer *w, uint32_t node)
{
	const struct lt_picture *picture = w->picture;
	struct lt_row row = lt_row(&picture->graph.graph.out, node);
	size_t at = 0;
	w->refs.count = 0;
	if (row.begin < row.end)
		lt_picture_refs(picture, node, &w->refs);
	for (const uint32_t *to = row.begin; to < row.end; to++) {
		if (find_ref(w, &at, *to)) {
			put_ref(w, node, &w->refs.data[at++], *to);
			continue;
		}
		w->left_out++;
		put_named(w, EDGE_INTERNAL, name_of(w, "changed while it was read"), 0,
			  (uint64_t)OWN_NODES + *to);
	}
}

static void put_edges(struct writer *w)
{
	uint32_t count = w->picture->graph.graph.node_count;
	put_own_edges(w);
	for (uint32_t node = 0; node < count && w->status == LT_OK; node++) {
		put_row(w, node);
		if (node % PROGRESS_EACH == 0)
			lt_progress(w->session, "references to the file", node, count);
	}
}

/* ---- The file ---- */

static void put_head(struct writer *w)
{
	const struct lt_picture *picture = w->picture;
	uint64_t nodes = (uint64_t)OWN_NODES + picture->graph.graph.node_count;
	uint64_t edges = 1 + 2 * (LT_ROOT_KIND_COUNT + 1) + picture->garbage_count +
			 lt_row_start(&picture->graph.graph.out, picture->graph.graph.node_count);
	for (unsigned kind = 0; kind < LT_ROOT_KIND_COUNT; kind++)
		edges += w->kind_edges[kind];
	put(w,
	    "{\"snapshot\":{\"meta\":{\"node_fields\":[\"type\",\"name\",\"id\",\"self_size\","
	    "\"edge_count\",\"trace_node_id\",\"detachedness\"],\"node_types\":[[" NODE_TYPES
	    "],\"string\",\"number\",\"number\",\"number\",\"number\",\"number\"],"
	    "\"edge_fields\":[\"type\",\"name_or_index\",\"to_node\"],\"edge_types\":[[" EDGE_TYPES
	    "],\"string_or_number\",\"node\"],\"trace_function_info_fields\":[\"function_id\","
	    "\"name\",\"script_name\",\"script_id\",\"line\",\"column\"],\"trace_node_fields\":["
	    "\"id\",\"function_info_index\",\"count\",\"size\",\"children\"],\"sample_fields\":["
	    "\"timestamp_us\",\"last_assigned_id\"],\"location_fields\":[\"object_index\","
	    "\"script_id\",\"line\",\"column\"]},");
	char counts[128];
	snprintf(counts, sizeof(counts),
		 "\"node_count\":%" PRIu64 ",\"edge_count\":%" PRIu64
		 ",\"trace_function_count\":0},\n",
		 nodes, edges);
	put(w, counts);
}

static void put_strings(struct writer *w)
{
	put(w, "],\n\"trace_function_infos\":[],\n\"trace_tree\":[],\n\"samples\":[],\n"
	       "\"locations\":[],\n\"strings\":[");
	for (uint32_t i = 0; i < lt_names_count(&w->names) && w->status == LT_OK; i++) {
		put(w, i == 0 ? "" : ",\n");
		put_string(w, lt_names_at(&w->names, i));
	}
	put(w, "]}\n");
}

static enum lt_status write_all(struct writer *w)
{
	const struct lt_picture *picture = w->picture;
	w->buffer = malloc(BUFFER_BYTES);
	if (w->buffer == NULL)
		return lt_fail_memory(w->session);
	if ((uint64_t)OWN_NODES + picture->graph.graph.node_count > UINT32_MAX / NODE_FIELDS)
		return lt_fail(w->session, LT_E_FILE,
			       "a heap snapshot of V8 cannot hold so many objects");
	LT_TRY(read_types(w));
	for (size_t r = 0; r < picture->roots.list.count; r++)
		w->kind_edges[picture->roots.list.data[r].kind] +=
			picture->root_node[r] != LT_NO_NODE;
	choose_ids(w);
	put_head(w);
	begin(w, "\"nodes\":[");
	put_own_nodes(w);
	put_objects(w);
	begin(w, "],\n\"edges\":[");
	put_edges(w);
	put_strings(w);
	flush(w);
	return w->status;
}

enum lt_status lt_heapsnapshot_write(const struct lt_picture *picture,
				     struct lt_expressions *expressions,
				     const struct lt_heapsnapshot_options *options,
				     const struct lt_sink *sink)
{
	struct writer w = {
		.picture = picture,
		.session = picture->session,
		.expressions = expressions,
		.sink = sink,
		.redact = options != NULL && options->redact,
		.names = {.most = LT_HEAPSNAPSHOT_NAMES},
	};
	enum lt_status status = write_all(&w);
	if (status == LT_OK && w.scratch.failed)
		status = lt_fail_memory(w.session);
	w.session->unreadable += w.left_out;
	if (status == LT_OK && w.too_big > 0)
		lt_warn(w.session,
			"%" PRIu64 " objects of 4 GiB or more are written as one byte less than "
			"4 GiB: the format has no larger size",
			w.too_big);
	free(w.buffer);
	free(w.types);
	lt_names_deinit(&w.names);
	lt_map_deinit(&w.key_names);
	lt_map_deinit(&w.place_names);
	lt_refs_deinit(&w.refs);
	lt_text_deinit(&w.scratch);
	return status;
}
