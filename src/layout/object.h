/*
 * object.h: what CPython releases spell in different bits, read from bytes that the caller has already
 * got. All of it is hostile: false means that the bytes make no sense.
 */
#ifndef LT_LAYOUT_OBJECT_H
#define LT_LAYOUT_OBJECT_H

#include "layout/layout.h"
#include "target/memory.h"

#include <string.h>

static inline uint64_t lt_word(const void *bytes, uint64_t offset)
{
	uint64_t value;
	memcpy(&value, (const uint8_t *)bytes + offset, sizeof value);
	return value;
}

static inline uint32_t lt_half(const void *bytes, uint64_t offset)
{
	uint32_t value;
	memcpy(&value, (const uint8_t *)bytes + offset, sizeof value);
	return value;
}

/* From the first word of an object. An immortal object's count means nothing. */
static inline bool lt_is_immortal(const struct lt_layout *layout, uint64_t refcnt_word)
{
	return lt_fact(layout, LT_FACT_immortal) != 0 && (int32_t)(uint32_t)refcnt_word < 0;
}

static inline uint64_t lt_refcount(const struct lt_layout *layout, uint64_t refcnt_word)
{
	return lt_fact(layout, LT_FACT_refcnt_bytes) == 4 ? (uint32_t)refcnt_word : refcnt_word;
}

/* Addresses of PyGC_Heads from the words of one. While a collection runs _gc_prev holds a count. */
static inline lt_addr lt_gc_next(const struct lt_layout *layout, uint64_t next_word)
{
	return next_word & ~(uint64_t)lt_fact(layout, LT_FACT_gc_next_mask);
}

static inline lt_addr lt_gc_prev(const struct lt_layout *layout, uint64_t prev_word)
{
	return prev_word & ~(uint64_t)lt_fact(layout, LT_FACT_gc_prev_mask);
}

/* The object in a local or stack slot of a frame, 0 when it holds none; *ret_counted: the slot has its own reference. */
static inline lt_addr lt_stackref(const struct lt_layout *layout, uint64_t word, bool *ret_counted)
{
	uint64_t tag = word & (uint64_t)lt_fact(layout, LT_FACT_stackref_mask);
	*ret_counted = tag == 0;
	if (tag != 0 && tag == (uint64_t)lt_fact(layout, LT_FACT_stackref_int_tag))
		return 0;
	return word & ~(uint64_t)lt_fact(layout, LT_FACT_stackref_mask);
}

/* The keys of a dict: where its entries lie. */
struct lt_dict_keys {
	uint64_t slots;          /* of the hash table, a power of two */
	uint64_t entries_offset; /* of the first entry from the start of the keys */
	uint64_t entries;        /* written so far, deleted ones included */
	uint64_t size;           /* bytes of the whole keys object */
	uint32_t entry_size;
	int32_t hash_offset; /* in an entry, LT_ABSENT where entries hold no hash */
	uint32_t key_offset, value_offset;
	bool unicode; /* all keys are str */
	bool split;   /* shared by instances: values lie elsewhere */
};

enum { LT_DICT_KEYS_HEADER = 48 }; /* bytes that lt_dict_keys_decode() looks at, at most */

/* From the first LT_DICT_KEYS_HEADER bytes of a PyDictKeysObject. */
bool lt_dict_keys_decode(const struct lt_layout *layout, const void *header,
			 struct lt_dict_keys *ret_keys);

/* The characters of a str. */
struct lt_str_place {
	uint64_t length; /* characters */
	uint32_t
		width; /* bytes of each: 1, 2 or 4; 0 for the legacy kind that has none yet (3.9 to 3.11) */
	uint32_t
		data_offset; /* from the object; 0: not compact, they lie behind the pointer PyUnicodeObject.data */
	bool ascii, interned;
};

enum { LT_STR_HEADER = 56 }; /* bytes that lt_str_decode() looks at, at most */

/* From the first LT_STR_HEADER bytes of a str. */
bool lt_str_decode(const struct lt_layout *layout, const void *header,
		   struct lt_str_place *ret_place);

/* The digits of an int. */
struct lt_int_place {
	uint64_t digits;       /* 4 bytes each, 30 bits used */
	uint32_t digit_offset; /* from the object */
	bool negative;
};

enum { LT_INT_HEADER = 24 };

/* From the first LT_INT_HEADER bytes of an int. */
bool lt_int_decode(const struct lt_layout *layout, const void *header,
		   struct lt_int_place *ret_place);

/* The value of an int of at most 64 bits. False when it is larger or cannot be read. */
bool lt_int_read(const struct lt_layout *layout, struct lt_memory *memory, lt_addr object,
		 int64_t *ret_value);

#endif
