#include "analysis/source_live.h"

#include "analysis/frames.h"
#include "analysis/read.h"
#include "base/cleanup.h"
#include "heap/ndarray.h"

#include <string.h>

enum { NAME_CHARACTERS = 200, PATH_CHARACTERS = 1000 };

/* More is no size of a buffer: the address space of a process. */
static const int64_t BUFFER_MAX = (int64_t)1 << 47;

struct live {
	const struct lt_view *view;
	struct lt_heap *heap;
	const struct lt_heap_graph *graph;
	struct lt_types *types;
};

/* One object that is asked about. */
struct object {
	const struct live *live;
	const struct lt_view *view;
	lt_addr address;
	uint32_t node;
	const struct lt_type *type;
	enum lt_kind kind;
};

static const char *const spellings[] = {
#define LT_DETAIL(name, form, spelling) spelling,
#include "analysis/details.def"
#undef LT_DETAIL
};

bool lt_detail_is_text(enum lt_detail detail)
{
	enum { NUMBER, TEXT };
	static const unsigned char forms[] = {
#define LT_DETAIL(name, form, spelling) form,
#include "analysis/details.def"
#undef LT_DETAIL
	};
	return forms[detail] == TEXT;
}

const char *lt_detail_spelling(enum lt_detail detail)
{
	return spellings[detail];
}

static struct object object_of(const struct live *live, uint32_t node)
{
	struct object object = {
		.live = live,
		.view = live->view,
		.address = lt_heap_graph_address(live->graph, node),
		.node = node,
		.kind = LT_KIND_OPAQUE,
	};
	uint32_t type = lt_heap_graph_type(live->graph, node);
	if (type < lt_types_count(live->types)) {
		object.type = lt_types_at(live->types, type);
		object.kind = object.type->kind;
	}
	return object;
}

static void live_refs(void *ctx, uint32_t node, struct lt_refs *refs)
{
	struct live *live = ctx;
	struct object object = object_of(live, node);
	if (object.type != NULL)
		(void)lt_decode_refs(lt_heap_decoder(live->heap), object.address, object.type,
				     refs);
}

/* ---- Numbers ---- */

static bool word_at(const struct object *object, lt_addr base, enum lt_field field,
		    int64_t *ret_value)
{
	uint64_t value;
	if (base == 0 || !lt_has(object->view->layout, field) ||
	    !lt_memory_u64(object->view->memory, base + lt_off(object->view->layout, field),
			   &value))
		return false;
	*ret_value = (int64_t)value;
	return true;
}

static bool int_at(const struct object *object, lt_addr base, enum lt_field field,
		   int64_t *ret_value)
{
	uint32_t value;
	if (base == 0 || !lt_has(object->view->layout, field) ||
	    !lt_memory_u32(object->view->memory, base + lt_off(object->view->layout, field),
			   &value))
		return false;
	*ret_value = (int32_t)value;
	return true;
}

static bool length(const struct object *object, int64_t *ret_value)
{
	int64_t value = 0;
	switch (object->kind) {
	case LT_KIND_DICT:
	case LT_KIND_FROZENDICT:
	case LT_KIND_ORDERED_DICT:
	case LT_KIND_DEFAULT_DICT:
		value = lt_read_word(object->view, object->address, LT_PyDictObject_ma_used);
		break;
	case LT_KIND_LIST:
	case LT_KIND_TUPLE:
	case LT_KIND_DEQUE:
		value = lt_read_word(object->view, object->address, LT_PyVarObject_ob_size);
		break;
	case LT_KIND_SET:
		value = lt_read_word(object->view, object->address, LT_PySetObject_used);
		break;
	case LT_KIND_LRU_CACHE:
		value = lt_read_word(
			object->view,
			lt_read_pointer(object->view, object->address, LT_lru_cache_object_cache),
			LT_PyDictObject_ma_used);
		break;
	default:
		return false;
	}
	*ret_value = value < 0 ? 0 : value;
	return true;
}

static bool line(const struct object *object, int64_t *ret_value)
{
	const struct lt_view *view = object->view;
	lt_addr frame = 0;
	switch (object->kind) {
	case LT_KIND_TRACEBACK:
		return int_at(object, object->address, LT_PyTracebackObject_tb_lineno, ret_value);
	case LT_KIND_FRAME:
		frame = lt_has(view->layout, LT_PyFrameObject_f_frame)
				? lt_read_pointer(view, object->address, LT_PyFrameObject_f_frame)
				: object->address;
		break;
	case LT_KIND_GENERATOR:
	case LT_KIND_COROUTINE:
	case LT_KIND_ASYNC_GENERATOR:
		*ret_value = lt_generator_line(view, object->address);
		return *ret_value != 0;
	default:
		return false;
	}
	*ret_value = frame != 0 ? lt_frame_line(view, frame) : 0;
	return *ret_value != 0;
}

/* Include/object.h, Include/refcount.h: facts refcnt_bytes and immortal. */
static bool reference_count(const struct object *object, int64_t *ret_value)
{
	const struct lt_layout *layout = object->view->layout;
	int64_t word;
	if (!word_at(object, object->address, LT_PyObject_ob_refcnt, &word) ||
	    (lt_fact(layout, LT_FACT_immortal) && (int32_t)(uint32_t)word < 0))
		return false;
	*ret_value = lt_fact(layout, LT_FACT_refcnt_bytes) == 4 ? (int64_t)(uint32_t)word : word;
	return true;
}

static bool member_offset(const struct object *object, int64_t *ret_value)
{
	if (object->kind != LT_KIND_DESCRIPTOR ||
	    strcmp(object->type->name, "member_descriptor") != 0)
		return false;
	return word_at(
		object,
		lt_read_pointer(object->view, object->address, LT_PyMemberDescrObject_d_member),
		LT_PyMemberDef_offset, ret_value);
}

/* Python knows no size of an mmap but its length. */
static bool mapped_bytes(const struct object *object, int64_t *ret_value)
{
	uint64_t size;
	lt_addr at =
		object->address + (lt_addr)lt_fact(object->view->layout, LT_FACT_mmap_size_offset);
	if (!lt_memory_u64(object->view->memory, at, &size) || size == 0 ||
	    size > (uint64_t)BUFFER_MAX)
		return false;
	*ret_value = (int64_t)size;
	return true;
}

static bool is_type(const struct object *object, const char *module, const char *name)
{
	return object->type != NULL && strcmp(object->type->name, name) == 0 &&
	       strcmp(object->type->module, module) == 0;
}

/* The table of a bytearray, and that of an array.array, lie outside the object. */
static bool buffer_bytes(const struct object *object, int64_t *ret_value)
{
	int64_t room;
	struct lt_ndarray array;
	if (object->kind == LT_KIND_NDARRAY) {
		if (!lt_ndarray_read(object->view->memory, object->address, &array))
			return false;
		*ret_value = (int64_t)array.bytes;
		return array.bytes > 0;
	}
	if (object->kind == LT_KIND_OPAQUE && is_type(object, "mmap", "mmap"))
		return mapped_bytes(object, ret_value);
	if (object->kind == LT_KIND_BYTEARRAY)
		return word_at(object, object->address, LT_PyByteArrayObject_ob_alloc, ret_value);
	if (object->kind != LT_KIND_ARRAY ||
	    !word_at(object, object->address, LT_arrayobject_allocated, &room) || room < 0)
		return false;
	int32_t unit = lt_read_int32(
		object->view,
		lt_read_pointer(object->view, object->address, LT_arrayobject_ob_descr),
		LT_arraydescr_itemsize);
	return unit > 0 && !__builtin_mul_overflow(room, (int64_t)unit, ret_value);
}

static bool live_number(void *ctx, uint32_t node, enum lt_detail detail, int64_t *ret_value)
{
	struct object object = object_of(ctx, node);
	lt_addr at = object.address;
	bool cache = object.kind == LT_KIND_LRU_CACHE, code = object.kind == LT_KIND_CODE;
	switch (detail) {
	case LT_DETAIL_LENGTH:
		return length(&object, ret_value);
	case LT_DETAIL_HITS:
		return cache && word_at(&object, at, LT_lru_cache_object_hits, ret_value);
	case LT_DETAIL_MISSES:
		return cache && word_at(&object, at, LT_lru_cache_object_misses, ret_value);
	case LT_DETAIL_MAXSIZE:
		if (object.kind == LT_KIND_DEQUE)
			return word_at(&object, at, LT_dequeobject_maxlen, ret_value);
		return cache && word_at(&object, at, LT_lru_cache_object_maxsize, ret_value);
	case LT_DETAIL_FIRST_LINE:
		return code && int_at(&object, at, LT_PyCodeObject_co_firstlineno, ret_value);
	case LT_DETAIL_ARGUMENT_COUNT:
		return code && int_at(&object, at, LT_PyCodeObject_co_argcount, ret_value);
	case LT_DETAIL_REFERENT:
		return object.kind == LT_KIND_WEAKREF &&
		       lt_read_pointer(object.view, at, LT_PyWeakReference_wr_callback) != 0 &&
		       word_at(&object, at, LT_PyWeakReference_wr_object, ret_value);
	case LT_DETAIL_LINE:
		return line(&object, ret_value);
	case LT_DETAIL_MEMBER_OFFSET:
		return member_offset(&object, ret_value);
	case LT_DETAIL_REFCOUNT:
		return reference_count(&object, ret_value);
	case LT_DETAIL_BUFFER_BYTES:
		return buffer_bytes(&object, ret_value);
	default:
		return false;
	}
}

/* ---- Texts ---- */

static bool str_at(const struct object *object, enum lt_field field, struct lt_text *text)
{
	return lt_read_str(object->view, lt_read_pointer(object->view, object->address, field),
			   NAME_CHARACTERS, text);
}

/* The type that the object is, NULL when it is none. */
static const struct lt_type *as_type(const struct object *object)
{
	return object->type != NULL && object->type->is_type_type
		       ? lt_types_get(object->live->types, object->address)
		       : NULL;
}

static bool add_known(struct lt_text *text, const char *string)
{
	lt_text_add(text, string);
	return string[0] != '\0';
}

static bool name(const struct object *object, struct lt_text *text)
{
	const struct lt_type *type = as_type(object);
	if (type != NULL)
		return add_known(text, type->name);
	switch (object->kind) {
	case LT_KIND_FUNCTION:
		return str_at(object, LT_PyFunctionObject_func_qualname, text);
	case LT_KIND_CODE:
		return str_at(object, LT_PyCodeObject_co_qualname, text) ||
		       str_at(object, LT_PyCodeObject_co_name, text);
	case LT_KIND_GENERATOR:
	case LT_KIND_COROUTINE:
	case LT_KIND_ASYNC_GENERATOR:
		return str_at(object, LT_PyGenObject_gi_qualname, text);
	case LT_KIND_MODULE:
		return str_at(object, LT_PyModuleObject_md_name, text);
	default:
		return false;
	}
}

static bool module(const struct object *object, struct lt_text *text)
{
	const struct lt_type *type = as_type(object);
	if (type != NULL)
		return add_known(text, type->module);
	return object->kind == LT_KIND_FUNCTION &&
	       str_at(object, LT_PyFunctionObject_func_module, text);
}

static bool is_str(const struct object *object)
{
	return object->kind == LT_KIND_STR;
}

/* The str value of the key `__file__` among references. */
static bool file_among(const struct live *live, const struct lt_refs *refs, struct lt_text *text)
{
	for (size_t i = 0; i < refs->count; i++) {
		const struct lt_ref *ref = &refs->data[i];
		LT_CLEANUP(lt_text_deinit) struct lt_text key = {0};
		uint32_t value = ref->kind == LT_REF_VALUE || ref->kind == LT_REF_ATTRIBUTE
					 ? lt_heap_graph_find(live->graph, ref->to)
					 : LT_NO_NODE;
		if (value == LT_NO_NODE || !lt_read_str(live->view, ref->name, 16, &key) ||
		    strcmp(lt_text_get(&key), "__file__") != 0)
			continue;
		struct object object = object_of(live, value);
		return is_str(&object) &&
		       lt_read_str(live->view, object.address, PATH_CHARACTERS, text);
	}
	return false;
}

static bool module_file(const struct object *object, struct lt_text *text)
{
	struct live *live = (struct live *)object->live;
	LT_CLEANUP(lt_refs_deinit) struct lt_refs refs = {0};
	live_refs(live, object->node, &refs);
	uint32_t dict = LT_NO_NODE;
	for (size_t i = 0; i < refs.count && dict == LT_NO_NODE; i++) {
		if (refs.data[i].kind == LT_REF_DICT ||
		    (refs.data[i].kind == LT_REF_MEMBER &&
		     refs.data[i].index == LT_MEMBER_attributes))
			dict = lt_heap_graph_find(live->graph, refs.data[i].to);
	}
	if (dict == LT_NO_NODE)
		return false;
	refs.count = 0;
	live_refs(live, dict, &refs);
	return file_among(live, &refs, text);
}

/* The file that the type object of a C type lies in, or the code of its tp_dealloc. */
static bool library(const struct object *object, struct lt_text *text)
{
	const struct lt_view *view = object->view;
	const struct lt_type *type = as_type(object);
	if (type == NULL || type->python_class || view->process == NULL)
		return false;
	const struct lt_mapping *mapping = lt_process_mapping(view->process, type->address);
	if (mapping == NULL || mapping->path[0] != '/')
		mapping = lt_process_mapping(
			view->process,
			lt_read_pointer(view, type->address, LT_PyTypeObject_tp_dealloc));
	if (mapping == NULL || mapping->path[0] != '/')
		return false;
	lt_text_add(text, mapping->path);
	return true;
}

static bool live_text(void *ctx, uint32_t node, enum lt_detail detail, struct lt_text *text)
{
	struct object object = object_of(ctx, node);
	switch (detail) {
	case LT_DETAIL_NAME:
		return name(&object, text);
	case LT_DETAIL_MODULE:
		return module(&object, text);
	case LT_DETAIL_FILE:
		if (object.kind == LT_KIND_MODULE)
			return module_file(&object, text);
		return object.kind == LT_KIND_CODE &&
		       lt_read_str(object.view,
				   lt_read_pointer(object.view, object.address,
						   LT_PyCodeObject_co_filename),
				   PATH_CHARACTERS, text);
	case LT_DETAIL_LIBRARY:
		return library(&object, text);
	case LT_DETAIL_STRING:
		return is_str(&object) &&
		       lt_read_str(object.view, object.address, LT_PREVIEW_CHARACTERS, text);
	case LT_DETAIL_LITERAL:
		return lt_read_literal(object.view, object.live->types, object.address, text);
	default:
		return false;
	}
}

/* Scans of the objects of C types find the objects of the picture, as when the graph was built. */
static bool is_node(void *ctx, lt_addr address)
{
	const struct live *live = ctx;
	return lt_heap_graph_find(live->graph, address) != LT_NO_NODE;
}

static uint32_t live_walk(void *ctx, uint32_t node)
{
	struct live *live = ctx;
	if (node < live->graph->graph.node_count)
		return lt_heap_walk(live->heap, live->graph, node);
	lt_heap_walk_end(live->heap);
	return node;
}

static void live_destroy(void *ctx)
{
	lt_decoder_set_is_object(lt_heap_decoder(((struct live *)ctx)->heap), NULL, NULL);
	free(ctx);
}

enum lt_status lt_source_live_create(struct lt_session *session, struct lt_heap *heap,
				     const struct lt_heap_graph *graph,
				     struct lt_source *ret_source)
{
	static const struct lt_source_ops ops = {
		.refs = live_refs,
		.number = live_number,
		.text = live_text,
		.walk = live_walk,
		.destroy = live_destroy,
	};
	struct live *live = calloc(1, sizeof(*live));
	if (live == NULL)
		return lt_fail_memory(session);
	*live = (struct live){.view = lt_heap_view(heap),
			      .heap = heap,
			      .graph = graph,
			      .types = lt_heap_types(heap)};
	lt_decoder_set_is_object(lt_heap_decoder(heap), is_node, live);
	*ret_source = (struct lt_source){.ops = &ops, .ctx = live};
	return LT_OK;
}
