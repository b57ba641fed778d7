/*
 * decode_containers.c: dict, list, tuple, set, OrderedDict, deque, lru_cache, and the nodes of contexts.
 */
#include "heap/decode_parts.h"
#include "heap/ndarray.h"

#include <string.h>

enum {
	ENTRIES_AT_ONCE = 256,
	DEQUE_BLOCK_MAX = 4096,
	TEE_VALUES_MAX = 4096,
	STRUCT_FIELDS_MAX = 256
};

/* ---- dict: Objects/dictobject.c: dict_traverse ---- */

/*
 * Up to 3.10 the lookup function tells keys of any type from strings only. Where the symbol of the
 * general one is stripped, a key that is no str gives it away; it is then known for all dicts.
 */
static bool keys_are_general(struct lt_decoder *decoder, const struct lt_dict_keys *keys,
			     const uint8_t *entries, uint64_t count)
{
	if (keys->general || keys->lookup == 0)
		return keys->general;
	if (decoder->lookdict != 0)
		return keys->lookup == decoder->lookdict;
	for (uint64_t i = 0; i < count; i++) {
		lt_addr key, type_at;
		memcpy(&key, entries + i * keys->entry_size + keys->key_at, sizeof(key));
		if (key == 0 ||
		    !lt_memory_u64(decoder->view.memory,
				   key + lt_off(decoder->view.layout, LT_PyObject_ob_type),
				   &type_at))
			continue;
		const struct lt_type *type = lt_types_get(decoder->types, type_at);
		if (type != NULL && !(type->kind == LT_KIND_STR && type->exact)) {
			decoder->lookdict = keys->lookup;
			return true;
		}
	}
	return false;
}

static void decode_entries(struct lt_body *body, const struct lt_dict_keys *keys)
{
	uint8_t entries[ENTRIES_AT_ONCE * 24];
	bool general = keys->general;
	if (keys->entry_size > 24)
		return;
	for (uint64_t done = 0; done < keys->count;) {
		uint64_t step = keys->count - done;
		if (step > ENTRIES_AT_ONCE)
			step = ENTRIES_AT_ONCE;
		if (!lt_memory_get(body->decoder->view.memory,
				   keys->entries + done * keys->entry_size, entries,
				   step * keys->entry_size)) {
			lt_body_unreadable(body);
			return;
		}
		if (!general)
			general = keys_are_general(body->decoder, keys, entries, step);
		for (uint64_t i = 0; i < step; i++) {
			lt_addr key, value;
			memcpy(&key, entries + i * keys->entry_size + keys->key_at, sizeof(key));
			memcpy(&value, entries + i * keys->entry_size + keys->value_at,
			       sizeof(value));
			if (value == 0 || key == 0)
				continue;
			lt_body_add(body, (struct lt_ref){.to = value,
							  .name = key,
							  .index = (uint32_t)(done + i),
							  .kind = LT_REF_VALUE});
			lt_body_add(body, (struct lt_ref){.to = key,
							  .index = (uint32_t)(done + i),
							  .kind = LT_REF_KEY,
							  .untraversed = !general});
		}
		done += step;
	}
}

/* The names of shared keys are held by the type (decode_types.c), not again by each dict over them. */
static void decode_value_slots(struct lt_body *body, lt_addr values,
			       const struct lt_shared_keys *shared, enum lt_ref_kind kind,
			       bool untraversed)
{
	struct lt_decoder *decoder = body->decoder;
	lt_addr at = values;
	if (lt_has(body->layout, LT_PyDictValues_values))
		at += lt_off(body->layout, LT_PyDictValues_values);
	uint64_t count = shared->count;
	for (uint64_t done = 0; done < count;) {
		uint64_t step = count - done < LT_DECODE_WORDS ? count - done : LT_DECODE_WORDS;
		if (!lt_memory_get(decoder->view.memory, at + done * 8, decoder->words, step * 8)) {
			lt_body_unreadable(body);
			return;
		}
		for (uint64_t i = 0; i < step; i++)
			lt_body_add(body, (struct lt_ref){.to = decoder->words[i],
							  .name = shared->names[done + i],
							  .index = (uint32_t)(done + i),
							  .kind = kind,
							  .untraversed = untraversed,
							  .borrowed = untraversed});
		done += step;
	}
}

void lt_decode_values(struct lt_body *body, lt_addr values, lt_addr keys, bool untraversed)
{
	const struct lt_shared_keys *shared = lt_decoder_shared_keys(body->decoder, keys);
	if (shared == NULL) {
		lt_body_unreadable(body);
		return;
	}
	decode_value_slots(body, values, shared, LT_REF_ATTRIBUTE, untraversed);
}

void lt_decode_dict(struct lt_body *body)
{
	const struct lt_layout *layout = body->layout;
	lt_addr keys_at = lt_body_field(body, LT_PyDictObject_ma_keys);
	lt_addr values = lt_body_field(body, LT_PyDictObject_ma_values);
	struct lt_dict_keys keys;
	/* frozendict has no values; the field lies beyond its end (3.15). */
	if (values != 0) {
		const struct lt_shared_keys *shared =
			lt_decoder_shared_keys(body->decoder, keys_at);
		uint8_t embedded = 0;
		if (shared == NULL) {
			lt_body_unreadable(body);
			return;
		}
		/* Values inside an instance are visited by one of the two only. */
		if (lt_has(layout, LT_PyDictValues_embedded) &&
		    lt_fact(layout, LT_FACT_dict_visits_inline) == 0)
			lt_memory_u8(body->decoder->view.memory,
				     values + lt_off(layout, LT_PyDictValues_embedded), &embedded);
		decode_value_slots(body, values, shared, LT_REF_VALUE, embedded == 1);
		return;
	}
	if (!lt_dict_keys_read(&body->decoder->view, keys_at, &keys)) {
		lt_body_unreadable(body);
		return;
	}
	decode_entries(body, &keys);
}

/* Objects/odictobject.c: odict_traverse: the keys of the nodes, then as dict. */
void lt_decode_ordered_dict(struct lt_body *body)
{
	const struct lt_layout *layout = body->layout;
	lt_addr node = lt_body_field(body, LT_PyODictObject_od_first);
	uint64_t left = lt_body_field(body, LT_PyDictObject_ma_used);
	uint8_t bytes[64];
	uint64_t size = lt_off(layout, LT_sizeof__odictnode);
	struct lt_chain chain = {0};
	for (uint32_t i = 0; node != 0 && left > 0 && size <= sizeof(bytes); i++, left--) {
		if (!lt_chain_step(&chain, node)) {
			lt_body_unreadable(body);
			break;
		}
		lt_addr key;
		if (!lt_memory_get(body->decoder->view.memory, node, bytes, size)) {
			lt_body_unreadable(body);
			break;
		}
		memcpy(&key, bytes + lt_off(layout, LT__odictnode_key), sizeof(key));
		memcpy(&node, bytes + lt_off(layout, LT__odictnode_next), sizeof(node));
		lt_body_add(body, (struct lt_ref){.to = key, .index = i, .kind = LT_REF_KEY});
	}
	lt_decode_dict(body);
}

/* ---- Sequences ---- */

void lt_decode_list(struct lt_body *body)
{
	uint64_t count = lt_body_count(body);
	uint64_t allocated = lt_body_field(body, LT_PyListObject_allocated);
	if (count > allocated && allocated <= LT_DECODE_COUNT_MAX)
		count = allocated; /* torn: being appended to */
	if (count != 0)
		lt_body_add_items(body, lt_body_field(body, LT_PyListObject_ob_item), count,
				  LT_REF_ITEM, 0);
}

/*
 * Items of a struct sequence past its length (Objects/structseq.c: structseq_traverse). tp_basicsize
 * counts them since 3.13; before, the type knows how many there are in all.
 */
static uint64_t hidden_items(struct lt_body *body, uint64_t count)
{
	struct lt_decoder *decoder = body->decoder;
	const struct lt_layout *layout = body->layout;
	int64_t start = (int64_t)lt_off(layout, LT_PyTupleObject_ob_item);
	if (body->type->basicsize > start)
		return (uint64_t)(body->type->basicsize - start) / 8;
	lt_addr interpreter = decoder->interpreter_count > 0 ? decoder->interpreters[0] : 0;
	lt_addr dict = lt_decode_type_dict(decoder, body->type->address, interpreter);
	lt_addr number = lt_dict_get(&decoder->view, dict, "n_fields");
	uint32_t fields;
	if (number == 0 ||
	    !lt_memory_u32(decoder->view.memory, number + lt_off(layout, LT_PyLongObject_ob_digit),
			   &fields))
		return 0;
	return fields > count && fields < STRUCT_FIELDS_MAX ? fields - count : 0;
}

void lt_decode_tuple(struct lt_body *body)
{
	uint64_t count = lt_body_count(body);
	if (!body->type->exact && !body->type->python_class && count < STRUCT_FIELDS_MAX)
		count += hidden_items(body, count);
	if (count != 0)
		lt_body_add_items(body, body->at + lt_off(body->layout, LT_PyTupleObject_ob_item),
				  count, LT_REF_ITEM, 0);
}

/* Objects/setobject.c: set_traverse. Entries of removed members hold a dummy, told by their hash of -1. */
void lt_decode_set(struct lt_body *body)
{
	struct lt_decoder *decoder = body->decoder;
	const struct lt_layout *layout = body->layout;
	lt_addr table = lt_body_field(body, LT_PySetObject_table);
	uint64_t mask = lt_body_field(body, LT_PySetObject_mask);
	uint64_t entry = lt_off(layout, LT_sizeof_setentry);
	uint64_t key_at = lt_off(layout, LT_setentry_key),
		 hash_at = lt_off(layout, LT_setentry_hash);
	if (mask >= LT_DECODE_COUNT_MAX || (mask & (mask + 1)) != 0 || entry == 0) {
		lt_body_unreadable(body);
		return;
	}
	uint64_t at_once = sizeof(decoder->words) / entry;
	for (uint64_t done = 0; done <= mask;) {
		uint64_t step = mask + 1 - done < at_once ? mask + 1 - done : at_once;
		const uint8_t *bytes = (const uint8_t *)decoder->words;
		if (!lt_memory_get(decoder->view.memory, table + done * entry, decoder->words,
				   step * entry)) {
			lt_body_unreadable(body);
			return;
		}
		for (uint64_t i = 0; i < step; i++) {
			lt_addr key;
			int64_t hash;
			memcpy(&key, bytes + i * entry + key_at, sizeof(key));
			memcpy(&hash, bytes + i * entry + hash_at, sizeof(hash));
			if (key != 0 && hash != -1)
				lt_body_add(body, (struct lt_ref){.to = key,
								  .index = (uint32_t)(done + i),
								  .kind = LT_REF_KEY});
		}
		done += step;
	}
}

/* Modules/_collectionsmodule.c: deque_traverse. */
void lt_decode_deque(struct lt_body *body)
{
	const struct lt_layout *layout = body->layout;
	uint64_t count = lt_body_count(body);
	uint64_t items = (uint64_t)lt_fact(layout, LT_FACT_deque_block_items);
	uint64_t first = lt_body_field(body, LT_dequeobject_leftindex);
	lt_addr block = lt_body_field(body, LT_dequeobject_leftblock);
	uint32_t index = 0;
	if (items == 0 || items > DEQUE_BLOCK_MAX || first > items) {
		lt_body_unreadable(body);
		return;
	}
	struct lt_chain chain = {0};
	while (count > 0 && block != 0) {
		if (!lt_chain_step(&chain, block)) {
			lt_body_unreadable(body);
			return;
		}
		uint64_t step = items - first < count ? items - first : count;
		lt_body_add_items(body, block + lt_off(layout, LT_BLOCK_data) + first * 8, step,
				  LT_REF_ITEM, index);
		index += (uint32_t)step;
		count -= step;
		first = 0;
		if (count > 0 &&
		    !lt_memory_u64(body->decoder->view.memory,
				   block + lt_off(layout, LT_BLOCK_rightlink), &block)) {
			lt_body_unreadable(body);
			return;
		}
		if (!body->whole)
			return;
	}
}

/* Modules/_functoolsmodule.c: lru_cache_tp_traverse: the links in a ring, least recently used first. */
void lt_decode_lru_cache(struct lt_body *body)
{
	const struct lt_layout *layout = body->layout;
	lt_addr root = body->at + lt_off(layout, LT_lru_cache_object_root);
	lt_addr link = lt_body_word(body, (int64_t)(lt_off(layout, LT_lru_cache_object_root) +
						    lt_off(layout, LT_lru_list_elem_next)));
	uint8_t bytes[128];
	uint64_t size = lt_off(layout, LT_sizeof_lru_list_elem);
	lt_addr type_at, key, result;
	uint64_t left = LT_DECODE_COUNT_MAX;
	lt_addr cache = lt_body_field(body, LT_lru_cache_object_cache);
	uint64_t used;
	/* The ring has as many links as the dict of the cache has entries; an unbounded cache has none. */
	if (cache != 0 && lt_memory_u64(body->decoder->view.memory,
					cache + lt_off(layout, LT_PyDictObject_ma_used), &used))
		left = used;
	struct lt_chain chain = {0};
	for (uint32_t i = 0; link != 0 && link != root && left > 0 && size <= sizeof(bytes);
	     i++, left--) {
		if (!lt_chain_step(&chain, link) ||
		    !lt_memory_get(body->decoder->view.memory, link, bytes, size)) {
			lt_body_unreadable(body);
			return;
		}
		memcpy(&type_at, bytes + lt_off(layout, LT_PyObject_ob_type), sizeof(type_at));
		memcpy(&key, bytes + lt_off(layout, LT_lru_list_elem_key), sizeof(key));
		memcpy(&result, bytes + lt_off(layout, LT_lru_list_elem_result), sizeof(result));
		/* The ring owns its links, beside the dict of the cache. */
		lt_body_hold_member(body, link, LT_MEMBER_link);
		memcpy(&link, bytes + lt_off(layout, LT_lru_list_elem_next), sizeof(link));
		/* Visited here, but owned by the link. */
		lt_body_add(body,
			    (struct lt_ref){
				    .to = key, .index = i, .kind = LT_REF_KEY, .borrowed = true});
		lt_body_add(body, (struct lt_ref){.to = result,
						  .name = key,
						  .index = i,
						  .kind = LT_REF_VALUE,
						  .borrowed = true});
		if (lt_has(layout, LT_lru_cache_object_lru_list_elem_type))
			lt_body_add(body, (struct lt_ref){.to = type_at,
							  .kind = LT_REF_TYPE,
							  .borrowed = true});
	}
}

/* ---- NumPy ---- */

void lt_decode_ndarray(struct lt_body *body)
{
	struct lt_ndarray array;
	if (!lt_ndarray_read(body->decoder->view.memory, body->at, &array)) {
		lt_body_unreadable(body);
		return;
	}
	lt_body_add_member(body, array.base, LT_MEMBER_array_base);
	lt_body_add_member(body, array.dtype, LT_MEMBER_dtype);
	if (!array.of_objects || array.bytes / 8 > LT_DECODE_COUNT_MAX)
		return;
	size_t first = body->refs->count;
	lt_body_add_items(body, array.data, array.bytes / 8, LT_REF_ITEM, 0);
	for (size_t i = first; array.dimensions != 1 && i < body->refs->count; i++) {
		body->refs->data[i].kind = LT_REF_MEMBER;
		body->refs->data[i].index = LT_MEMBER_array_item;
	}
}

/* ---- Contexts: Python/hamt.c: hamt_node_*_traverse ---- */

static void decode_hamt_items(struct lt_body *body, enum lt_field items, uint64_t count)
{
	if (lt_has(body->layout, items))
		lt_body_add_items(body, body->at + lt_off(body->layout, items), count, LT_REF_ITEM,
				  0);
}

void lt_decode_hamt_bitmap(struct lt_body *body)
{
	decode_hamt_items(body, LT_PyHamtNode_Bitmap_b_array, lt_body_count(body));
}

void lt_decode_hamt_array(struct lt_body *body)
{
	decode_hamt_items(body, LT_PyHamtNode_Array_a_array, 32);
}

void lt_decode_hamt_collision(struct lt_body *body)
{
	decode_hamt_items(body, LT_PyHamtNode_Collision_c_array, lt_body_count(body));
}

/* Modules/itertoolsmodule.c: teedataobject_traverse. */
void lt_decode_tee_data(struct lt_body *body)
{
	uint64_t count = lt_body_u32(body, (int64_t)lt_off(body->layout, LT_teedataobject_numread));
	if (count > (uint64_t)lt_fact(body->layout, LT_FACT_teedata_items) ||
	    count > TEE_VALUES_MAX) {
		lt_body_unreadable(body);
		return;
	}
	lt_body_add_items(body, body->at + lt_off(body->layout, LT_teedataobject_values), count,
			  LT_REF_ITEM, 0);
}

/* Modules/_queuemodule.c: simplequeue_traverse: a list, or a ring of items (3.13). */
void lt_decode_simple_queue(struct lt_body *body)
{
	lt_body_add_member(body, lt_body_field(body, LT_simplequeueobject_lst), LT_MEMBER_data);
	if (!lt_has(body->layout, LT_simplequeueobject_buf_items))
		return;
	lt_addr items = lt_body_field(body, LT_simplequeueobject_buf_items);
	uint64_t room = lt_body_field(body, LT_simplequeueobject_buf_items_cap);
	uint64_t first = lt_body_field(body, LT_simplequeueobject_buf_get_idx);
	uint64_t count = lt_body_field(body, LT_simplequeueobject_buf_num_items);
	if (room > LT_DECODE_COUNT_MAX || first > room || count > room) {
		lt_body_unreadable(body);
		return;
	}
	uint64_t run = room - first < count ? room - first : count;
	lt_body_add_items(body, items + first * 8, run, LT_REF_ITEM, 0);
	lt_body_add_items(body, items, count - run, LT_REF_ITEM, (uint32_t)run);
}

/*
 * Modules/_elementtree.c: element_gc_traverse. The lowest bit of text and tail says that a list of
 * strings is still to be joined; attributes and children lie in memory of their own.
 */
void lt_decode_element(struct lt_body *body)
{
	const struct lt_layout *layout = body->layout;
	struct lt_memory *memory = body->decoder->view.memory;
	lt_addr extra = lt_body_field(body, LT_ElementObject_extra);
	lt_addr attributes, children;
	uint64_t count;
	lt_body_add_member(body, lt_body_field(body, LT_ElementObject_text) & ~(uint64_t)1,
			   LT_MEMBER_text);
	lt_body_add_member(body, lt_body_field(body, LT_ElementObject_tail) & ~(uint64_t)1,
			   LT_MEMBER_tail);
	if (extra == 0)
		return;
	if (!lt_memory_u64(memory, extra + lt_off(layout, LT_ElementObjectExtra_attrib),
			   &attributes) ||
	    !lt_memory_u64(memory, extra + lt_off(layout, LT_ElementObjectExtra_length), &count) ||
	    !lt_memory_u64(memory, extra + lt_off(layout, LT_ElementObjectExtra_children),
			   &children) ||
	    count > LT_DECODE_COUNT_MAX) {
		lt_body_unreadable(body);
		return;
	}
	lt_body_add_member(body, attributes, LT_MEMBER_element_attributes);
	lt_body_add_items(body, children, count, LT_REF_ITEM, 0);
}
