#include "heap/dict_keys.h"

#include <string.h>

enum { LOG2_SLOTS_MAX = 40, LOOKUP_ENTRIES_MAX = 65536, LOOKUP_NAME_MAX = 128 };

/* Bytes of an index slot: Objects/dictobject.c: DK_IXSIZE (<= 3.10). */
static uint64_t index_width(uint64_t slots)
{
	return slots <= 0xff ? 1 : slots <= 0xffff ? 2 : slots <= 0xffffffff ? 4 : 8;
}

/* Objects/dictobject.c: USABLE_FRACTION. */
static uint64_t usable_fraction(uint64_t slots)
{
	return (slots << 1) / 3;
}

static uint64_t word(const uint8_t *header, uint64_t offset)
{
	uint64_t value;
	memcpy(&value, header + offset, sizeof(value));
	return value;
}

bool lt_dict_keys_read(const struct lt_view *view, lt_addr address, struct lt_dict_keys *ret_keys)
{
	const struct lt_layout *layout = view->layout;
	uint8_t header[64] = {0};
	uint64_t header_size = lt_off(layout, LT_PyDictKeysObject_dk_indices);
	if (address == 0 || header_size > sizeof(header) ||
	    !lt_memory_get(view->memory, address, header, header_size))
		return false;

	struct lt_dict_keys keys = {.address = address};
	uint64_t index_bytes;
	if (lt_has(layout, LT_PyDictKeysObject_dk_log2_size)) {
		uint8_t log2_size = header[lt_off(layout, LT_PyDictKeysObject_dk_log2_size)];
		uint8_t log2_index =
			header[lt_off(layout, LT_PyDictKeysObject_dk_log2_index_bytes)];
		uint8_t kind = header[lt_off(layout, LT_PyDictKeysObject_dk_kind)];
		if (log2_size > LOG2_SLOTS_MAX || log2_index > LOG2_SLOTS_MAX + 3 || kind > 2)
			return false;
		keys.slots = (uint64_t)1 << log2_size;
		index_bytes = (uint64_t)1 << log2_index;
		keys.general = kind == lt_fact(layout, LT_FACT_dict_kind_general);
		keys.split = kind == lt_fact(layout, LT_FACT_dict_kind_split);
	} else {
		keys.slots = word(header, lt_off(layout, LT_PyDictKeysObject_dk_size));
		if (keys.slots == 0 || keys.slots > (uint64_t)1 << LOG2_SLOTS_MAX ||
		    (keys.slots & (keys.slots - 1)) != 0)
			return false;
		index_bytes = keys.slots * index_width(keys.slots);
		keys.lookup = word(header, lt_off(layout, LT_PyDictKeysObject_dk_lookup));
	}
	if (keys.general || !lt_has(layout, LT_PyDictKeysObject_dk_kind)) {
		keys.entry_size = (unsigned)lt_off(layout, LT_sizeof_PyDictKeyEntry);
		keys.key_at = (unsigned)lt_off(layout, LT_PyDictKeyEntry_me_key);
		keys.value_at = (unsigned)lt_off(layout, LT_PyDictKeyEntry_me_value);
	} else {
		keys.entry_size = (unsigned)lt_off(layout, LT_sizeof_PyDictUnicodeEntry);
		keys.key_at = (unsigned)lt_off(layout, LT_PyDictUnicodeEntry_me_key);
		keys.value_at = (unsigned)lt_off(layout, LT_PyDictUnicodeEntry_me_value);
	}

	keys.count = word(header, lt_off(layout, LT_PyDictKeysObject_dk_nentries));
	keys.usable = word(header, lt_off(layout, LT_PyDictKeysObject_dk_usable));
	keys.refcount = (int64_t)word(header, lt_off(layout, LT_PyDictKeysObject_dk_refcnt));
	if (keys.count > keys.slots || keys.usable > keys.slots)
		return false;
	keys.entries = address + header_size + index_bytes;
	keys.bytes = header_size + index_bytes + usable_fraction(keys.slots) * keys.entry_size;
	*ret_keys = keys;
	return true;
}

uint64_t lt_dict_keys_room(const struct lt_view *view, const struct lt_dict_keys *keys)
{
	if (!lt_has(view->layout, LT_PyDictKeysObject_dk_kind))
		return usable_fraction(keys->slots);
	return keys->count + keys->usable;
}

/* True when the str object at `object` is the ASCII text `name`. */
static bool is_ascii_name(const struct lt_view *view, lt_addr object, const char *name,
			  size_t length)
{
	const struct lt_layout *layout = view->layout;
	uint64_t found;
	if (!lt_memory_u64(view->memory, object + lt_off(layout, LT_PyASCIIObject_length),
			   &found) ||
	    found != length)
		return false;
	char text[LOOKUP_NAME_MAX];
	return lt_memory_get(view->memory, object + lt_off(layout, LT_sizeof_PyASCIIObject), text,
			     length) &&
	       memcmp(text, name, length) == 0;
}

lt_addr lt_dict_get(const struct lt_view *view, lt_addr dict, const char *name)
{
	const struct lt_layout *layout = view->layout;
	size_t length = strlen(name);
	lt_addr keys_at, values = 0;
	struct lt_dict_keys keys;
	if (dict == 0 || length > LOOKUP_NAME_MAX ||
	    !lt_memory_u64(view->memory, dict + lt_off(layout, LT_PyDictObject_ma_keys),
			   &keys_at) ||
	    !lt_memory_u64(view->memory, dict + lt_off(layout, LT_PyDictObject_ma_values),
			   &values) ||
	    !lt_dict_keys_read(view, keys_at, &keys))
		return 0;
	for (uint64_t i = 0; i < keys.count && i < LOOKUP_ENTRIES_MAX; i++) {
		lt_addr entry = keys.entries + i * keys.entry_size;
		lt_addr key, value;
		if (!lt_memory_u64(view->memory, entry + keys.key_at, &key) || key == 0 ||
		    !is_ascii_name(view, key, name, length))
			continue;
		lt_addr at = entry + keys.value_at;
		if (values != 0)
			at = values + i * 8 +
			     (lt_has(layout, LT_PyDictValues_values)
				      ? lt_off(layout, LT_PyDictValues_values)
				      : 0);
		if (lt_memory_u64(view->memory, at, &value) && value != 0)
			return value;
	}
	return 0;
}
