/*
 * decode_parts.h: what the files decode*.c share. Private to them.
 */
#ifndef LT_HEAP_DECODE_PARTS_H
#define LT_HEAP_DECODE_PARTS_H

#include "heap/decode.h"
#include "heap/dict_keys.h"

/* One row of visits.def, for this layout. */
struct lt_visit {
	int32_t offset;
	uint16_t member;
	bool untraversed;
};
LT_VEC(lt_visits, struct lt_visit);

enum {
	LT_DECODE_WORDS = 1024, /* words read at once from a table of the target */
	LT_DECODE_BODY_MAX =
		1024, /* bytes of a body that are kept; the rest is read when asked for */
	LT_DECODE_ITEMS = 1 << 14,    /* of a list or tuple that lt_decode_plain() copies */
	LT_DECODE_KEYS_CACHED = 1024, /* key tables of instances that are kept; a power of two */
};

/* The names of a key table that instances share. */
struct lt_shared_keys {
	lt_addr address;
	uint64_t count;
	uint64_t room;
	lt_addr *names; /* owned */
};

struct lt_decoder {
	struct lt_view view;
	struct lt_types *types;
	const struct lt_pageset *pools; /* NULL: not known */
	uint64_t pool_size;
	lt_is_object_fn is_object;
	void *is_object_ctx;
	lt_refs_part_fn take_part;
	void *take_part_ctx;
	struct lt_visits visits; /* of all kinds, in the order of the kinds */
	uint32_t first_visit[LT_KIND_COUNT + 1];
	lt_addr lookdict; /* the lookup function of keys of any type (<= 3.10), 0: not known */
	lt_addr interpreters[64];
	unsigned interpreter_count;
	struct lt_shared_keys shared[LT_DECODE_KEYS_CACHED];
	uint64_t words[LT_DECODE_WORDS];
	uint64_t *items; /* LT_DECODE_ITEMS of lt_decode_plain(), NULL: not wanted so far; owned */
	bool no_memory;
};

/* The bytes of the object under the lens, `before` bytes in front of it included. */
struct lt_body {
	struct lt_decoder *decoder;
	const struct lt_layout *layout;
	const struct lt_type *type;
	struct lt_refs *refs;
	lt_addr at;
	uint32_t before;
	uint32_t size; /* bytes kept from `at` on */
	bool whole;    /* nothing was unreadable so far */
	uint8_t bytes[32 + LT_DECODE_BODY_MAX];
};

/* The word at an offset from the object; 0 when it cannot be read (then the body is no longer whole). */
uint64_t lt_body_word(struct lt_body *body, int64_t offset);
uint32_t lt_body_u32(struct lt_body *body, int64_t offset);
uint8_t lt_body_u8(struct lt_body *body, int64_t offset);
static inline uint64_t lt_body_field(struct lt_body *body, enum lt_field field)
{
	return lt_has(body->layout, field)
		       ? lt_body_word(body, (int64_t)lt_off(body->layout, field))
		       : 0;
}

/* ob_size, made positive; bounded by LT_DECODE_COUNT_MAX. */
uint64_t lt_body_count(struct lt_body *body);
#define LT_DECODE_COUNT_MAX ((uint64_t)1 << 32)

/* Notes that a part of the object could not be read. */
void lt_body_unreadable(struct lt_body *body);

/* Appends a reference; 0 and addresses that are no object's are left out. */
void lt_body_add(struct lt_body *body, struct lt_ref ref);
void lt_body_add_member(struct lt_body *body, lt_addr to, enum lt_member member);
void lt_body_hold_member(struct lt_body *body, lt_addr to, enum lt_member member);

/* Appends `count` words at `at` as items; index counts from `index` on. */
void lt_body_add_items(struct lt_body *body, lt_addr at, uint64_t count, enum lt_ref_kind kind,
		       uint32_t index);

/* Aligned words of [at, at + size) that are objects, as LT_REF_CONSERVATIVE; index is the offset from `at`. */
void lt_body_scan(struct lt_body *body, lt_addr at, uint64_t size);
bool lt_decoder_is_object(struct lt_decoder *decoder, lt_addr address);

/* The nearest type that is no Python class: `type` or a base of it; NULL when there is none. */
const struct lt_type *lt_decoder_c_type(struct lt_decoder *decoder, const struct lt_type *type);

/*
 * A walk along links of the target ends even when they form a ring (Brent's method): all zero is the
 * start; false when `next` has been there.
 */
struct lt_chain {
	lt_addr mark;
	uint64_t steps, limit;
};
bool lt_chain_step(struct lt_chain *chain, lt_addr next);

/* The shared keys at `address`, NULL when unreadable. Valid until the next call. */
const struct lt_shared_keys *lt_decoder_shared_keys(struct lt_decoder *decoder, lt_addr address);

/* decode_containers.c */
void lt_decode_dict(struct lt_body *body);
void lt_decode_values(struct lt_body *body, lt_addr values, lt_addr keys, bool untraversed);
void lt_decode_list(struct lt_body *body);
void lt_decode_tuple(struct lt_body *body);
void lt_decode_set(struct lt_body *body);
void lt_decode_ordered_dict(struct lt_body *body);
void lt_decode_deque(struct lt_body *body);
void lt_decode_lru_cache(struct lt_body *body);
void lt_decode_hamt_bitmap(struct lt_body *body);
void lt_decode_hamt_array(struct lt_body *body);
void lt_decode_hamt_collision(struct lt_body *body);
void lt_decode_tee_data(struct lt_body *body);
void lt_decode_simple_queue(struct lt_body *body);
void lt_decode_element(struct lt_body *body);
void lt_decode_ndarray(struct lt_body *body);

/* decode_functions.c */
void lt_decode_frame(struct lt_body *body);
void lt_decode_generator(struct lt_body *body);

/* decode_types.c */
void lt_decode_type(struct lt_body *body);
void lt_decode_module(struct lt_body *body);
lt_addr lt_decode_type_dict(struct lt_decoder *decoder, lt_addr type, lt_addr interpreter);

#endif
