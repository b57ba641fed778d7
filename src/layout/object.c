#include "layout/object.h"

enum {
	LOG2_MAX = 40, /* of slots and index bytes: beyond any dict of a machine */
	LENGTH_MAX_BITS = 44,
	STATE_KIND_MASK = 7,
};

static bool keys_sized(const struct lt_layout *layout, const void *header,
		       uint64_t *ret_index_bytes, struct lt_dict_keys *keys)
{
	const uint8_t *bytes = header;
	if (lt_has(layout, LT_PyDictKeysObject_dk_log2_size)) {
		uint8_t log2_size = bytes[lt_off(layout, LT_PyDictKeysObject_dk_log2_size)];
		uint8_t log2_index = bytes[lt_off(layout, LT_PyDictKeysObject_dk_log2_index_bytes)];
		uint8_t kind = bytes[lt_off(layout, LT_PyDictKeysObject_dk_kind)];
		/* The empty keys have one slot and eight index bytes (Objects/dictobject.c). */
		if (log2_size > LOG2_MAX || log2_index > LOG2_MAX + 3 || log2_index < log2_size ||
		    kind > lt_fact(layout, LT_FACT_dict_kind_split))
			return false;
		keys->slots = UINT64_C(1) << log2_size;
		*ret_index_bytes = UINT64_C(1) << log2_index;
		keys->unicode = kind != lt_fact(layout, LT_FACT_dict_kind_general);
		keys->split = kind == lt_fact(layout, LT_FACT_dict_kind_split);
		return true;
	}
	uint64_t slots = lt_word(header, lt_off(layout, LT_PyDictKeysObject_dk_size));
	if (slots == 0 || (slots & (slots - 1)) != 0 || slots > UINT64_C(1) << LOG2_MAX)
		return false;
	/* Objects/dictobject.c (<= 3.10), DK_IXSIZE. */
	uint64_t width = slots <= 0xff ? 1 : slots <= 0xffff ? 2 : slots <= 0xffffffff ? 4 : 8;
	keys->slots = slots;
	*ret_index_bytes = slots * width;
	return true;
}

bool lt_dict_keys_decode(const struct lt_layout *layout, const void *header,
			 struct lt_dict_keys *ret_keys)
{
	struct lt_dict_keys keys = {0};
	uint64_t index_bytes;
	if (!keys_sized(layout, header, &index_bytes, &keys))
		return false;
	bool narrow = keys.unicode && lt_has(layout, LT_sizeof_PyDictUnicodeEntry);
	keys.entry_size = (uint32_t)lt_off(layout, narrow ? LT_sizeof_PyDictUnicodeEntry
							  : LT_sizeof_PyDictKeyEntry);
	keys.key_offset = (uint32_t)lt_off(layout, narrow ? LT_PyDictUnicodeEntry_me_key
							  : LT_PyDictKeyEntry_me_key);
	keys.value_offset = (uint32_t)lt_off(layout, narrow ? LT_PyDictUnicodeEntry_me_value
							    : LT_PyDictKeyEntry_me_value);
	keys.hash_offset = narrow ? LT_ABSENT : layout->off[LT_PyDictKeyEntry_me_hash];
	keys.entries_offset = lt_off(layout, LT_PyDictKeysObject_dk_indices) + index_bytes;
	keys.entries = lt_word(header, lt_off(layout, LT_PyDictKeysObject_dk_nentries));
	/* Objects/dictobject.c, USABLE_FRACTION. */
	uint64_t usable = (keys.slots << 1) / 3;
	if (keys.entries > usable)
		return false;
	keys.size = keys.entries_offset + usable * keys.entry_size;
	*ret_keys = keys;
	return true;
}

bool lt_str_decode(const struct lt_layout *layout, const void *header,
		   struct lt_str_place *ret_place)
{
	struct lt_str_place place = {0};
	uint32_t state = lt_half(header, lt_off(layout, LT_PyASCIIObject_state));
	place.length = lt_word(header, lt_off(layout, LT_PyASCIIObject_length));
	place.width = (state >> lt_fact(layout, LT_FACT_unicode_kind_shift)) & STATE_KIND_MASK;
	place.ascii = ((state >> lt_fact(layout, LT_FACT_unicode_ascii_shift)) & 1) != 0;
	place.interned =
		(state & ((1U << lt_fact(layout, LT_FACT_unicode_interned_bits)) - 1)) != 0;
	bool compact = ((state >> lt_fact(layout, LT_FACT_unicode_compact_shift)) & 1) != 0;
	bool has_legacy = lt_fact(layout, LT_FACT_unicode_ready_shift) != 0;
	if (place.length >> LENGTH_MAX_BITS != 0 || place.width == 3 || place.width > 4 ||
	    (place.width == 0 && (!has_legacy || compact)) || (place.ascii && place.width != 1))
		return false;
	if (compact)
		place.data_offset =
			(uint32_t)lt_off(layout, place.ascii ? LT_sizeof_PyASCIIObject
							     : LT_sizeof_PyCompactUnicodeObject);
	*ret_place = place;
	return true;
}

bool lt_int_decode(const struct lt_layout *layout, const void *header,
		   struct lt_int_place *ret_place)
{
	struct lt_int_place place = {.digit_offset =
					     (uint32_t)lt_off(layout, LT_PyLongObject_ob_digit)};
	if (lt_fact(layout, LT_FACT_long_tagged) != 0) {
		uint64_t tag = lt_word(header, lt_off(layout, LT_PyLongObject_lv_tag));
		/* Include/internal/pycore_long.h: sign 0 positive, 1 zero, 2 negative. */
		uint64_t sign = tag & 3;
		place.digits = tag >> lt_fact(layout, LT_FACT_long_digits_shift);
		place.negative = sign == 2;
		if (sign == 3 || (sign == 1 && place.digits != 0))
			return false;
	} else {
		int64_t size = (int64_t)lt_word(header, lt_off(layout, LT_PyVarObject_ob_size));
		place.negative = size < 0;
		place.digits = size < 0 ? -(uint64_t)size : (uint64_t)size;
	}
	if (place.digits >> LENGTH_MAX_BITS != 0)
		return false;
	*ret_place = place;
	return true;
}

bool lt_int_read(const struct lt_layout *layout, struct lt_memory *memory, lt_addr object,
		 int64_t *ret_value)
{
	uint8_t header[LT_INT_HEADER];
	struct lt_int_place place;
	uint32_t digits[3] = {0};
	if (lt_memory_probe(memory, object, header, sizeof header) != sizeof header ||
	    !lt_int_decode(layout, header, &place) || place.digits > 3)
		return false;
	size_t size = place.digits * sizeof digits[0];
	if (lt_memory_probe(memory, object + place.digit_offset, digits, size) != size)
		return false;
	int bits = (int)lt_fact(layout, LT_FACT_long_digit_bits);
	unsigned __int128 magnitude = 0;
	for (int i = 2; i >= 0; i--)
		magnitude = (magnitude << bits) | digits[i];
	if (magnitude > (unsigned __int128)INT64_MAX)
		return false;
	*ret_value = place.negative ? -(int64_t)magnitude : (int64_t)magnitude;
	return true;
}
