/*
 * decode_plain.c: the references of exact dicts, lists and tuples where they lie, without a struct for each: most
 * objects with references are one of these.
 */
#include "heap/decode_parts.h"

#include <stdlib.h>
#include <string.h>

static uint64_t word_of(const unsigned char *body, const struct lt_layout *layout,
			enum lt_field field)
{
	uint64_t value;
	memcpy(&value, body + lt_off(layout, field), sizeof(value));
	return value;
}

/* Nothing but items: no member, slot or attribute, and no type that is referred to. */
static bool has_items_only(const struct lt_decoder *decoder, const struct lt_type *type)
{
	return type->exact && type->gc && !type->heap_type && !type->managed_dict &&
	       type->dictoffset == 0 && type->slot_count == 0 &&
	       decoder->first_visit[type->kind] == decoder->first_visit[type->kind + 1];
}

static bool dict(const struct lt_decoder *decoder, const unsigned char *body,
		 struct lt_plain_refs *refs)
{
	const struct lt_layout *layout = decoder->view.layout;
	struct lt_memory *memory = decoder->view.memory;
	struct lt_dict_keys keys;
	lt_addr keys_at = word_of(body, layout, LT_PyDictObject_ma_keys);
	if (word_of(body, layout, LT_PyDictObject_ma_values) != 0 ||
	    lt_memory_at(memory, keys_at, lt_off(layout, LT_PyDictKeysObject_dk_indices)) == NULL ||
	    !lt_dict_keys_read(&decoder->view, keys_at, &keys) ||
	    /* The keys of this one may tell what the lookup function is. */
	    (keys.lookup != 0 && decoder->lookdict == 0))
		return false;
	refs->at = lt_memory_at(memory, keys.entries, keys.count * keys.entry_size);
	refs->count = keys.count;
	refs->stride = keys.entry_size;
	refs->key_at = keys.key_at;
	refs->value_at = keys.value_at;
	return refs->at != NULL;
}

/* Items that are not at hand: those of a long list are a block of the C allocator. NULL: not all can be read. */
static const unsigned char *copy_items(struct lt_decoder *decoder, lt_addr at, uint64_t count)
{
	if (decoder->items == NULL)
		decoder->items = malloc(LT_DECODE_ITEMS * sizeof(*decoder->items));
	if (decoder->items == NULL)
		return NULL;
	/* As much at once as lt_body_add_items() reads: a cache keeps it. */
	for (uint64_t done = 0; done < count; done += LT_DECODE_WORDS) {
		size_t step = count - done < LT_DECODE_WORDS ? count - done : LT_DECODE_WORDS;
		size_t size = step * sizeof(*decoder->items);
		if (lt_memory_probe(decoder->view.memory, at + done * sizeof(*decoder->items),
				    decoder->items + done, size) != size)
			return NULL;
	}
	return (const unsigned char *)decoder->items;
}

static bool items(struct lt_decoder *decoder, lt_addr at, int64_t count, struct lt_plain_refs *refs)
{
	refs->count = count < 0 ? -(uint64_t)count : (uint64_t)count;
	refs->stride = sizeof(uint64_t);
	refs->key_at = refs->value_at = 0;
	refs->at =
		refs->count <= LT_DECODE_COUNT_MAX
			? lt_memory_at(decoder->view.memory, at, (size_t)refs->count * refs->stride)
			: NULL;
	if (refs->at == NULL && refs->count <= LT_DECODE_ITEMS)
		refs->at = copy_items(decoder, at, refs->count);
	return refs->at != NULL;
}

bool lt_decode_plain(struct lt_decoder *decoder, lt_addr object, const struct lt_type *type,
		     struct lt_plain_refs *ret_refs)
{
	const struct lt_layout *layout = decoder->view.layout;
	if ((type->kind != LT_KIND_DICT && type->kind != LT_KIND_LIST &&
	     type->kind != LT_KIND_TUPLE) ||
	    !has_items_only(decoder, type) || type->basicsize < 0 || object % 8 != 0)
		return false;
	const unsigned char *body =
		lt_memory_at(decoder->view.memory, object, (size_t)type->basicsize);
	if (body == NULL)
		return false;
	if (type->kind == LT_KIND_DICT)
		return type->basicsize >= (int64_t)lt_off(layout, LT_sizeof_PyDictObject) &&
		       dict(decoder, body, ret_refs);
	uint64_t head = lt_off(layout, LT_PyVarObject_ob_size) + sizeof(uint64_t);
	if ((uint64_t)type->basicsize < head)
		return false;
	int64_t count = (int64_t)word_of(body, layout, LT_PyVarObject_ob_size);
	if (type->kind == LT_KIND_TUPLE)
		return items(decoder, object + lt_off(layout, LT_PyTupleObject_ob_item), count,
			     ret_refs);
	/* More than there is room for: torn. */
	return (uint64_t)type->basicsize >=
		       lt_off(layout, LT_PyListObject_allocated) + sizeof(uint64_t) &&
	       (uint64_t)type->basicsize >=
		       lt_off(layout, LT_PyListObject_ob_item) + sizeof(uint64_t) &&
	       count >= 0 && (uint64_t)count <= word_of(body, layout, LT_PyListObject_allocated) &&
	       items(decoder, word_of(body, layout, LT_PyListObject_ob_item), count, ret_refs);
}
