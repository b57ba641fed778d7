/*
 * decode_types.c: type objects and modules.
 */
#include "heap/decode_parts.h"

#include <string.h>

enum { STATIC_TYPES_MAX = 1024, MODULE_STATE_MAX = 1 << 16 };

/* ---- Types: Objects/typeobject.c: type_traverse ---- */

/*
 * The state that an interpreter keeps of a static type, 0 for none: tp_subclasses holds the index plus
 * one, in the table of built-in types or in that of the extensions' types; the entry names its type
 * (Objects/typeobject.c: managed_static_type_state_get).
 */
static lt_addr static_state(struct lt_decoder *decoder, lt_addr type, uint64_t subclasses,
			    lt_addr interpreter)
{
	const struct lt_layout *layout = decoder->view.layout;
	uint64_t size = lt_off(layout, LT_sizeof_managed_static_type_state);
	const struct {
		enum lt_field table;
		int64_t room;
	} tables[] = {
		{LT_PyInterpreterState_types_builtins, lt_fact(layout, LT_FACT_static_types_max)},
		{LT_PyInterpreterState_types_for_extensions,
		 lt_fact(layout, LT_FACT_static_ext_types_max)},
	};
	if (subclasses == 0 || subclasses > STATIC_TYPES_MAX || interpreter == 0)
		return 0;
	for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++) {
		lt_addr owner;
		if (!lt_has(layout, tables[t].table) || (int64_t)(subclasses - 1) >= tables[t].room)
			continue;
		lt_addr state =
			interpreter + lt_off(layout, tables[t].table) + (subclasses - 1) * size;
		if (lt_memory_u64(decoder->view.memory,
				  state + lt_off(layout, LT_managed_static_type_state_type),
				  &owner) &&
		    owner == type)
			return state;
	}
	return 0;
}

lt_addr lt_decode_type_dict(struct lt_decoder *decoder, lt_addr type, lt_addr interpreter)
{
	const struct lt_layout *layout = decoder->view.layout;
	struct lt_memory *memory = decoder->view.memory;
	lt_addr dict;
	uint64_t subclasses;
	if (!lt_memory_u64(memory, type + lt_off(layout, LT_PyTypeObject_tp_dict), &dict))
		return 0;
	if (dict != 0 || lt_fact(layout, LT_FACT_static_type_state) == 0)
		return dict;
	if (!lt_memory_u64(memory, type + lt_off(layout, LT_PyTypeObject_tp_subclasses),
			   &subclasses))
		return 0;
	lt_addr state = static_state(decoder, type, subclasses, interpreter);
	if (state == 0 ||
	    !lt_memory_u64(memory, state + lt_off(layout, LT_managed_static_type_state_tp_dict),
			   &dict))
		return 0;
	return dict;
}

static void add_static_states(struct lt_body *body, uint64_t subclasses)
{
	struct lt_decoder *decoder = body->decoder;
	const struct lt_layout *layout = body->layout;
	for (unsigned i = 0; i < decoder->interpreter_count; i++) {
		lt_addr state =
			static_state(decoder, body->at, subclasses, decoder->interpreters[i]);
		lt_addr dict, map;
		if (state == 0)
			continue;
		if (lt_memory_u64(decoder->view.memory,
				  state + lt_off(layout, LT_managed_static_type_state_tp_dict),
				  &dict))
			lt_body_add(body, (struct lt_ref){.to = dict, .kind = LT_REF_DICT});
		if (lt_memory_u64(
			    decoder->view.memory,
			    state + lt_off(layout, LT_managed_static_type_state_tp_subclasses),
			    &map))
			lt_body_hold_member(body, map, LT_MEMBER_subclasses);
	}
}

/*
 * Up to 3.12 the dict of a ctypes type has members of its own, and a pointer type visits one of them
 * (Modules/_ctypes/_ctypes.c: PyCPointerType_Type).
 */
static void add_ctypes_item_type(struct lt_body *body)
{
	struct lt_decoder *decoder = body->decoder;
	const struct lt_layout *layout = body->layout;
	lt_addr dict = lt_body_field(body, LT_PyTypeObject_tp_dict);
	lt_addr dict_type, item;
	const struct lt_type *metatype = lt_decoder_c_type(decoder, body->type);
	if (metatype == NULL || strcmp(metatype->name, "PyCPointerType") != 0 || dict == 0 ||
	    !lt_memory_u64(decoder->view.memory, dict + lt_off(layout, LT_PyObject_ob_type),
			   &dict_type))
		return;
	const struct lt_type *type = lt_types_get(decoder->types, dict_type);
	if (type != NULL && type->kind == LT_KIND_C_TYPE_INFO &&
	    lt_memory_u64(decoder->view.memory, dict + lt_off(layout, LT_StgDictObject_proto),
			  &item))
		lt_body_add(body, (struct lt_ref){.to = item,
						  .index = LT_MEMBER_self_type,
						  .kind = LT_REF_MEMBER,
						  .borrowed = true});
}

void lt_decode_type(struct lt_body *body)
{
	const struct lt_layout *layout = body->layout;
	uint64_t flags = lt_body_field(body, LT_PyTypeObject_tp_flags);
	bool heap_type = (flags & (uint64_t)lt_fact(layout, LT_FACT_tpflag_heap_type)) != 0;
	uint64_t subclasses = lt_body_field(body, LT_PyTypeObject_tp_subclasses);
	lt_body_add(body, (struct lt_ref){.to = lt_body_field(body, LT_PyTypeObject_tp_dict),
					  .kind = LT_REF_DICT});
	lt_body_add_member(body, lt_body_field(body, LT_PyTypeObject_tp_cache),
			   LT_MEMBER_type_cache);
	lt_body_add_member(body, lt_body_field(body, LT_PyTypeObject_tp_mro), LT_MEMBER_mro);
	lt_body_add_member(body, lt_body_field(body, LT_PyTypeObject_tp_bases), LT_MEMBER_bases);
	lt_body_add_member(body, lt_body_field(body, LT_PyTypeObject_tp_base), LT_MEMBER_base);
	if (!heap_type) {
		if (lt_fact(layout, LT_FACT_static_type_state) != 0 && subclasses != 0 &&
		    subclasses <= STATIC_TYPES_MAX)
			add_static_states(body, subclasses);
		else
			lt_body_hold_member(body, subclasses, LT_MEMBER_subclasses);
		return;
	}
	if (lt_has(layout, LT_StgDictObject_proto))
		add_ctypes_item_type(body);
	lt_body_add_member(body, lt_body_field(body, LT_PyHeapTypeObject_ht_module),
			   LT_MEMBER_module);
	lt_body_hold_member(body, subclasses, LT_MEMBER_subclasses);
	lt_body_hold_member(body, lt_body_field(body, LT_PyHeapTypeObject_ht_name), LT_MEMBER_name);
	lt_body_hold_member(body, lt_body_field(body, LT_PyHeapTypeObject_ht_qualname),
			    LT_MEMBER_qualname);
	lt_body_hold_member(body, lt_body_field(body, LT_PyHeapTypeObject_ht_slots),
			    LT_MEMBER_slots);
	lt_addr keys = lt_body_field(body, LT_PyHeapTypeObject_ht_cached_keys);
	const struct lt_shared_keys *shared =
		keys != 0 ? lt_decoder_shared_keys(body->decoder, keys) : NULL;
	for (uint64_t i = 0; shared != NULL && i < shared->count; i++)
		lt_body_add(body, (struct lt_ref){.to = shared->names[i],
						  .index = (uint32_t)i,
						  .kind = LT_REF_KEY,
						  .untraversed = true});
}

/* ---- Modules: Objects/moduleobject.c: module_traverse ---- */

/*
 * The state of a C module is visited by a function of that module: its words are scanned.
 * md_dict comes as the instance dict.
 */
void lt_decode_module(struct lt_body *body)
{
	const struct lt_layout *layout = body->layout;
	struct lt_memory *memory = body->decoder->view.memory;
	lt_addr state = lt_body_field(body, LT_PyModuleObject_md_state);
	uint64_t size = 0;
	if (state == 0)
		return;
	if (lt_has(layout, LT_PyModuleObject_md_state_size)) {
		size = lt_body_field(body, LT_PyModuleObject_md_state_size);
	} else {
		lt_addr definition = lt_body_field(body, LT_PyModuleObject_md_def);
		if (definition == 0 ||
		    !lt_memory_u64(memory, definition + lt_off(layout, LT_PyModuleDef_m_size),
				   &size))
			return;
	}
	if (size > MODULE_STATE_MAX)
		size = MODULE_STATE_MAX;
	lt_body_scan(body, state, size);
}
