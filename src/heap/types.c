#include "heap/types.h"

#include "base/utf8.h"
#include "heap/dict_keys.h"

#include <stdlib.h>
#include <string.h>

enum {
	TYPE_BYTES_MAX = 4096,
	NAME_MAX_BYTES = 1000,
	SLOTS_MAX = 4096,
	DEPTH_MAX = 256, /* of base types */
	TYPES_MAX = 1 << 22,
	REFUSED_MAX = 1 << 16,
	RECENT = 1024,         /* types found without a search; a power of two */
	SUBCLASS_BIT_STR = 4,  /* Include/object.h: Py_TPFLAGS_UNICODE_SUBCLASS is 1 << 28 */
	SUBCLASS_BIT_TYPE = 7, /* Include/object.h: Py_TPFLAGS_TYPE_SUBCLASS is 1 << 31 */
	T_OBJECT_EX =
		16, /* Include/structmember.h (<= 3.11), Include/descrobject.h: Py_T_OBJECT_EX */
};

LT_VEC(type_pointers, struct lt_type *);
LT_VEC(offsets, int64_t);

struct lt_types {
	struct lt_view view;
	struct lt_map index;   /* address -> index */
	struct lt_map refused; /* addresses without a type object, and those being read */
	struct lt_map kinds;   /* hash of module and name -> enum lt_kind */
	struct type_pointers types;
	struct lt_arena arena;
	lt_addr metatype;              /* found to be one last */
	const struct lt_types *master; /* of a reader: who has the types */
	bool missed;                   /* by a reader */
	bool no_memory;                /* for one that was read */
	const struct lt_type *recent[RECENT];
};

enum lt_status lt_types_create_reader(const struct lt_types *types, struct lt_types **ret_reader)
{
	struct lt_types *reader = calloc(1, sizeof(*reader));
	if (reader == NULL)
		return lt_fail_memory(types->view.session);
	reader->master = types;
	*ret_reader = reader;
	return LT_OK;
}

bool lt_types_lack_memory(const struct lt_types *types)
{
	return types->no_memory;
}

bool lt_types_missed(const struct lt_types *types)
{
	return types->missed;
}

static uint64_t hash_text(uint64_t hash, const char *text)
{
	for (; *text != '\0'; text++)
		hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
	return hash;
}

static uint64_t kind_key(const char *module, const char *name)
{
	return hash_text(hash_text(0xcbf29ce484222325u, module) * 31, name);
}

struct known_kind {
	enum lt_kind kind;
	const char *module, *name;
};

static const struct known_kind known_kinds[] = {
	{LT_KIND_OBJECT, "builtins", "object"},
#define LT_KIND(kind, module, type_name) {LT_KIND_##kind, module, type_name},
#define LT_KIND_ALIAS(kind, module, type_name) {LT_KIND_##kind, module, type_name},
#include "heap/kinds.def"
#undef LT_KIND
};

enum lt_status lt_types_create(const struct lt_view *view, struct lt_types **ret_types)
{
	struct lt_types *types = calloc(1, sizeof(*types));
	if (types == NULL)
		return lt_fail_memory(view->session);
	types->view = *view;
	for (size_t i = 0; i < sizeof(known_kinds) / sizeof(known_kinds[0]); i++) {
		const struct known_kind *known = &known_kinds[i];
		if (!lt_map_put(&types->kinds, kind_key(known->module, known->name), known->kind)) {
			lt_types_destroy(types);
			return lt_fail_memory(view->session);
		}
	}
	*ret_types = types;
	return LT_OK;
}

void lt_types_destroy(struct lt_types *types)
{
	if (types == NULL)
		return;
	lt_map_deinit(&types->index);
	lt_map_deinit(&types->refused);
	lt_map_deinit(&types->kinds);
	type_pointers_deinit(&types->types);
	lt_arena_deinit(&types->arena);
	free(types);
}

uint32_t lt_types_count(const struct lt_types *types)
{
	return (uint32_t)types->types.count;
}

const struct lt_type *lt_types_at(const struct lt_types *types, uint32_t index)
{
	return types->types.data[index];
}

/* ---- Text ---- */

static bool has_subclass_bit(struct lt_types *types, lt_addr type, int bit)
{
	uint64_t flags;
	const struct lt_layout *layout = types->view.layout;
	if (type == 0 || (type & 7) != 0 ||
	    lt_memory_probe(types->view.memory, type + lt_off(layout, LT_PyTypeObject_tp_flags),
			    &flags, sizeof(flags)) != sizeof(flags))
		return false;
	int64_t shift = lt_fact(layout, LT_FACT_tpflag_subclass_shift);
	return (flags >> (shift + bit) & 1) != 0;
}

/*
 * The compact str object at `address` as UTF-8 of at most NAME_MAX_BYTES in `text` (which has room for
 * them and a NUL). False: not a str that makes sense. *ret_data is where its characters lie.
 */
static bool read_str(struct lt_types *types, lt_addr address, char *text, lt_addr *ret_data)
{
	const struct lt_layout *layout = types->view.layout;
	struct lt_memory *memory = types->view.memory;
	unsigned char header[64];
	size_t size = lt_off(layout, LT_sizeof_PyASCIIObject);
	if (address == 0 || (address & 7) != 0 || size > sizeof(header) ||
	    lt_memory_probe(memory, address, header, size) != size)
		return false;
	lt_addr type;
	uint64_t length;
	uint32_t state;
	memcpy(&type, header + lt_off(layout, LT_PyObject_ob_type), sizeof(type));
	memcpy(&length, header + lt_off(layout, LT_PyASCIIObject_length), sizeof(length));
	memcpy(&state, header + lt_off(layout, LT_PyASCIIObject_state), sizeof(state));
	if (!has_subclass_bit(types, type, SUBCLASS_BIT_STR))
		return false;
	bool compact = (state >> lt_fact(layout, LT_FACT_unicode_compact_shift) & 1) != 0;
	bool ascii = (state >> lt_fact(layout, LT_FACT_unicode_ascii_shift) & 1) != 0;
	uint32_t width = state >> lt_fact(layout, LT_FACT_unicode_kind_shift) & 7;
	if (!compact || (width != 1 && width != 2 && width != 4) || (ascii && width != 1))
		return false;
	lt_addr data = address + lt_off(layout, ascii ? LT_sizeof_PyASCIIObject
						      : LT_sizeof_PyCompactUnicodeObject);
	if (length > NAME_MAX_BYTES / 4 * (ascii ? 4 : 1))
		length = NAME_MAX_BYTES / 4 * (ascii ? 4 : 1);
	unsigned char raw[NAME_MAX_BYTES];
	if (lt_memory_probe(memory, data, raw, length * width) != length * width)
		return false;
	size_t out = 0;
	for (size_t i = 0; i < length; i++) {
		uint32_t c = raw[i];
		uint16_t c16;
		if (width == 2) {
			memcpy(&c16, raw + i * 2, sizeof(c16));
			c = c16;
		} else if (width == 4) {
			memcpy(&c, raw + i * 4, sizeof(c));
		}
		/* What is unfit for a terminal is the business of src/report/; a NUL would end the name here. */
		if (c == 0 || (ascii && c >= 0x80))
			c = '?';
		out += lt_utf8_put(c, text + out);
	}
	text[out] = '\0';
	*ret_data = data;
	return true;
}

static const char *keep(struct lt_types *types, const char *text)
{
	const char *copy = lt_arena_copy(&types->arena, text, strlen(text));
	types->no_memory = types->no_memory || copy == NULL;
	return copy != NULL ? copy : "";
}

/* ---- One type ---- */

struct raw {
	unsigned char bytes[TYPE_BYTES_MAX];
	size_t size;
};

static uint64_t word(const struct raw *raw, const struct lt_layout *layout, enum lt_field field)
{
	uint64_t value = 0;
	if (lt_has(layout, field) && lt_off(layout, field) + sizeof(value) <= raw->size)
		memcpy(&value, raw->bytes + lt_off(layout, field), sizeof(value));
	return value;
}

static bool text_is_name(const char *text)
{
	size_t length = 0;
	for (; text[length] != '\0'; length++) {
		unsigned char c = (unsigned char)text[length];
		if (c < 0x20 || c == 0x7f)
			return false;
	}
	return length > 0;
}

static bool is_metatype(struct lt_types *types, lt_addr address)
{
	if (address == types->metatype && address != 0)
		return true;
	if (!has_subclass_bit(types, address, SUBCLASS_BIT_TYPE))
		return false;
	types->metatype = address;
	return true;
}

static int compare_offsets(const void *left, const void *right)
{
	int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
	return (a > b) - (a < b);
}

/* The object members that __slots__ made (typeobject.c: type_new, traverse_slots), and those of the base. */
static void read_slots(struct lt_types *types, struct lt_type *type, const struct lt_type *base,
		       const struct raw *raw)
{
	const struct lt_layout *layout = types->view.layout;
	lt_addr members = word(raw, layout, LT_PyTypeObject_tp_members);
	uint64_t count =
		type->python_class && members != 0 ? word(raw, layout, LT_PyVarObject_ob_size) : 0;
	if (count > SLOTS_MAX) {
		types->view.session->unreadable++;
		count = 0;
	}
	struct offsets found = {0};
	uint64_t stride = lt_off(layout, LT_sizeof_PyMemberDef);
	for (uint64_t i = 0; i < count; i++) {
		lt_addr member = members + i * stride;
		uint32_t kind;
		uint64_t offset;
		if (!lt_memory_u32(types->view.memory, member + lt_off(layout, LT_PyMemberDef_type),
				   &kind) ||
		    !lt_memory_u64(types->view.memory,
				   member + lt_off(layout, LT_PyMemberDef_offset), &offset)) {
			types->view.session->unreadable++;
			break;
		}
		if (kind != T_OBJECT_EX || offset < lt_off(layout, LT_sizeof_PyObject) ||
		    offset > (uint64_t)type->basicsize - sizeof(uint64_t) || (offset & 7) != 0)
			continue;
		if (!offsets_push(&found, (int64_t)offset))
			break;
	}
	if (found.count == 0) {
		offsets_deinit(&found);
		if (base != NULL) {
			type->slots = base->slots;
			type->slot_count = base->slot_count;
		}
		return;
	}
	for (uint32_t i = 0; base != NULL && i < base->slot_count; i++)
		if (!offsets_push(&found, base->slots[i]))
			break;
	qsort(found.data, found.count, sizeof(*found.data), compare_offsets);
	int64_t *kept = lt_arena_alloc(&types->arena, found.count * sizeof(*kept));
	if (kept != NULL) {
		size_t unique = 0;
		for (size_t i = 0; i < found.count; i++)
			if (unique == 0 || kept[unique - 1] != found.data[i])
				kept[unique++] = found.data[i];
		type->slots = kept;
		type->slot_count = (uint32_t)unique;
	}
	offsets_deinit(&found);
}

/* True when the C type adds no more to its base than the words of __dict__ and __weakref__. */
static bool adds_nothing(const struct lt_type *type, const struct lt_type *base)
{
	int64_t size = base->basicsize;
	if (type->dictoffset > 0 && base->dictoffset == 0)
		size += 8;
	if (type->weaklistoffset > 0 && base->weaklistoffset == 0)
		size += 8;
	return type->basicsize <= size && type->itemsize == base->itemsize;
}

static void set_kind(struct lt_types *types, struct lt_type *type, const struct lt_type *base)
{
	uint64_t kind;
	if (!type->python_class &&
	    lt_map_get(&types->kinds, kind_key(type->module, type->name), &kind)) {
		type->kind = (enum lt_kind)kind;
		type->exact = true;
		return;
	}
	type->kind = base != NULL ? base->kind : LT_KIND_OPAQUE;
	if (type->kind == LT_KIND_OBJECT && !type->python_class && !adds_nothing(type, base))
		type->kind = LT_KIND_OPAQUE;
}

/* Module and qualified name, as the attributes __module__ and __qualname__ give them. */
static void read_names(struct lt_types *types, struct lt_type *type, const struct raw *raw,
		       const char *tp_name)
{
	const struct lt_layout *layout = types->view.layout;
	const char *dot = strrchr(tp_name, '.');
	if (!type->heap_type) {
		/* typeobject.c: type_module, type_qualname. */
		type->name = keep(types, dot != NULL ? dot + 1 : tp_name);
		if (dot == NULL) {
			type->module = "builtins";
		} else {
			char *module =
				lt_arena_copy(&types->arena, tp_name, (size_t)(dot - tp_name));
			type->module = module != NULL ? module : "";
		}
		return;
	}
	char text[NAME_MAX_BYTES + 8];
	lt_addr data = 0;
	lt_addr name = word(raw, layout, LT_PyHeapTypeObject_ht_name);
	if (read_str(types, name, text, &data)) {
		/*
		 * A class made from Python has its tp_name inside ht_name (type_new: PyUnicode_AsUTF8);
		 * one made from a C spec has its own copy, with the module before it.
		 */
		lt_addr tp = word(raw, layout, LT_PyTypeObject_tp_name);
		lt_addr utf8 = 0;
		if (tp != data && lt_has(layout, LT_PyCompactUnicodeObject_utf8) &&
		    !lt_memory_u64(types->view.memory,
				   name + lt_off(layout, LT_PyCompactUnicodeObject_utf8), &utf8))
			utf8 = 0;
		type->python_class = tp == data || (utf8 != 0 && tp == utf8);
	}
	if (read_str(types, word(raw, layout, LT_PyHeapTypeObject_ht_qualname), text, &data) ||
	    read_str(types, name, text, &data))
		type->name = keep(types, text);
	else
		type->name = keep(types, dot != NULL ? dot + 1 : tp_name);
	lt_addr module =
		lt_dict_get(&types->view, word(raw, layout, LT_PyTypeObject_tp_dict), "__module__");
	type->module = module != 0 && read_str(types, module, text, &data) ? keep(types, text) : "";
}

/* What lt_types_get() seldom comes to: a call of its own, so that the rest of it is short. */
__attribute__((noinline)) static const struct lt_type *get(struct lt_types *types, lt_addr address,
							   int depth);

/* Reads the type; false when there is none. */
static bool read_type(struct lt_types *types, lt_addr address, int depth, struct lt_type *type)
{
	const struct lt_layout *layout = types->view.layout;
	struct lt_memory *memory = types->view.memory;
	struct raw raw = {.size = lt_off(layout, LT_sizeof_PyTypeObject)};
	if (address < 4096 || (address & 7) != 0 || raw.size > sizeof(raw.bytes) ||
	    lt_memory_probe(memory, address, raw.bytes, raw.size) != raw.size)
		return false;
	type->address = address;
	type->metatype = word(&raw, layout, LT_PyObject_ob_type);
	type->flags = word(&raw, layout, LT_PyTypeObject_tp_flags);
	type->basicsize = (int64_t)word(&raw, layout, LT_PyTypeObject_tp_basicsize);
	type->itemsize = (int64_t)word(&raw, layout, LT_PyTypeObject_tp_itemsize);
	type->dictoffset = (int64_t)word(&raw, layout, LT_PyTypeObject_tp_dictoffset);
	type->weaklistoffset = (int64_t)word(&raw, layout, LT_PyTypeObject_tp_weaklistoffset);
	type->base = word(&raw, layout, LT_PyTypeObject_tp_base);
	if (type->basicsize < (int64_t)lt_off(layout, LT_sizeof_PyObject) ||
	    type->basicsize > (int64_t)1 << 30 || type->itemsize < 0 ||
	    type->itemsize > (int64_t)1 << 20 || !is_metatype(types, type->metatype))
		return false;
	char tp_name[NAME_MAX_BYTES];
	lt_addr name = word(&raw, layout, LT_PyTypeObject_tp_name);
	type->heap_type = (type->flags & (uint64_t)lt_fact(layout, LT_FACT_tpflag_heap_type)) != 0;
	/* The name of a class made from Python may be anything without a NUL, also empty. */
	if (name < 4096 || !lt_memory_string(memory, name, tp_name, sizeof(tp_name)) ||
	    (!type->heap_type && !text_is_name(tp_name)))
		return false;
	type->gc = (type->flags & (uint64_t)lt_fact(layout, LT_FACT_tpflag_have_gc)) != 0;
	type->managed_dict =
		(type->flags & (uint64_t)lt_fact(layout, LT_FACT_tpflag_managed_dict)) != 0;
	type->managed_weakref =
		(type->flags & (uint64_t)lt_fact(layout, LT_FACT_tpflag_managed_weakref)) != 0;
	type->inline_values =
		(type->flags & (uint64_t)lt_fact(layout, LT_FACT_tpflag_inline_values)) != 0;
	type->is_type_type = (type->flags >> (lt_fact(layout, LT_FACT_tpflag_subclass_shift) +
					      SUBCLASS_BIT_TYPE) &
			      1) != 0;
	type->has_is_gc = word(&raw, layout, LT_PyTypeObject_tp_is_gc) != 0;
	if (type->heap_type) {
		size_t size = lt_off(layout, LT_sizeof_PyHeapTypeObject);
		if (size > sizeof(raw.bytes) ||
		    lt_memory_probe(memory, address, raw.bytes, size) != size)
			return false;
		raw.size = size;
		type->cached_keys = word(&raw, layout, LT_PyHeapTypeObject_ht_cached_keys);
	}
	const struct lt_type *base = NULL;
	if (type->base != 0 && depth < DEPTH_MAX)
		base = get(types, type->base, depth + 1);
	read_names(types, type, &raw, tp_name);
	set_kind(types, type, base);
	read_slots(types, type, base, &raw);
	return true;
}

static const struct lt_type *keep_type(struct lt_types *types, const struct lt_type *type)
{
	struct lt_type *kept = lt_arena_alloc(&types->arena, sizeof(*kept));
	if (kept == NULL || !type_pointers_reserve(&types->types, types->types.count + 1) ||
	    !lt_map_put(&types->index, type->address, types->types.count)) {
		types->no_memory = true;
		return NULL;
	}
	*kept = *type;
	kept->index = (uint32_t)types->types.count;
	types->types.data[types->types.count++] = kept;
	return kept;
}

static const struct lt_type *look_up(struct lt_types *reader, lt_addr address)
{
	const struct lt_types *master = reader->master;
	uint64_t index;
	if (lt_map_get(&master->index, address, &index))
		return master->types.data[index];
	if (!lt_map_get(&master->refused, address, NULL))
		reader->missed = true;
	return NULL;
}

static const struct lt_type *get(struct lt_types *types, lt_addr address, int depth)
{
	uint64_t index;
	if (address == 0)
		return NULL;
	if (types->master != NULL)
		return look_up(types, address);
	if (lt_map_get(&types->index, address, &index))
		return types->types.data[index];
	if (types->view.memory == NULL || lt_map_get(&types->refused, address, NULL) ||
	    types->types.count >= TYPES_MAX)
		return NULL;
	/* A live target can offer any number of wrong addresses: what was refused may be forgotten. */
	if (types->refused.count >= REFUSED_MAX)
		lt_map_deinit(&types->refused);
	/* Refused until it is read: so a cycle of bases ends. */
	struct lt_type found = {0};
	if (!lt_map_put(&types->refused, address, 1)) {
		types->no_memory = true;
		return NULL;
	}
	return read_type(types, address, depth, &found) ? keep_type(types, &found) : NULL;
}

const struct lt_type *lt_types_get(struct lt_types *types, lt_addr address)
{
	const struct lt_type **recent =
		&types->recent[(address >> 4 ^ address >> 14) & (RECENT - 1)];
	if (*recent != NULL && (*recent)->address == address && address != 0)
		return *recent;
	const struct lt_type *type = get(types, address, 0);
	if (type != NULL)
		*recent = type;
	return type;
}

const struct lt_type *lt_types_unknown(struct lt_types *types)
{
	uint64_t index;
	if (types->master != NULL)
		return look_up(types, 0);
	if (lt_map_get(&types->index, 0, &index))
		return types->types.data[index];
	struct lt_type unknown = {.module = "", .name = "unreadable", .kind = LT_KIND_OPAQUE};
	return keep_type(types, &unknown);
}

bool lt_types_add(struct lt_types *types, const struct lt_type *type)
{
	struct lt_type kept = *type;
	if (types->types.count >= TYPES_MAX)
		return false;
	kept.module = lt_arena_copy(&types->arena, type->module, strlen(type->module));
	kept.name = lt_arena_copy(&types->arena, type->name, strlen(type->name));
	return kept.module != NULL && kept.name != NULL && keep_type(types, &kept) != NULL;
}

const char *lt_kind_name(enum lt_kind kind)
{
	static const char *const names[LT_KIND_COUNT] = {
		[LT_KIND_OPAQUE] = "OPAQUE",
		[LT_KIND_OBJECT] = "OBJECT",
#define LT_KIND(kind, module, type_name) [LT_KIND_##kind] = #kind,
#include "heap/kinds.def"
#undef LT_KIND
	};
	return names[kind];
}

bool lt_kind_is_exception(enum lt_kind kind)
{
	switch (kind) {
	case LT_KIND_BASE_EXCEPTION:
	case LT_KIND_OS_ERROR:
	case LT_KIND_STOP_ITERATION:
	case LT_KIND_SYNTAX_ERROR:
	case LT_KIND_IMPORT_ERROR:
	case LT_KIND_UNICODE_ERROR:
	case LT_KIND_SYSTEM_EXIT:
	case LT_KIND_NAME_ERROR:
	case LT_KIND_ATTRIBUTE_ERROR:
	case LT_KIND_EXCEPTION_GROUP:
		return true;
	default:
		return false;
	}
}

bool lt_kind_is_callable(enum lt_kind kind)
{
	switch (kind) {
	case LT_KIND_FUNCTION:
	case LT_KIND_METHOD:
	case LT_KIND_PARTIAL:
	case LT_KIND_BUILTIN:
		return true;
	default:
		return false;
	}
}
