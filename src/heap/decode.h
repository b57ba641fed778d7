/*
 * decode.h: what one object is: its size and the objects that it refers to.
 *
 * The set of references is that of tp_traverse, i.e. of gc.get_referents(), for the built-in types and
 * the instances of Python classes, and beside it what tp_traverse passes over (`untraversed`). Objects of
 * other C types are scanned conservatively (LT_REF_CONSERVATIVE): every aligned word of the body that is
 * the address of a known object. docs/references.md lists the types that differ.
 */
#ifndef LT_HEAP_DECODE_H
#define LT_HEAP_DECODE_H

#include "heap/types.h"

/* How a reference is reached from its referrer; with `index` or `name` it becomes an expression. */
enum lt_ref_kind {
	LT_REF_TYPE,      /* the object's type (heap types only, as tp_traverse visits it) */
	LT_REF_ITEM,      /* sequence item `index` */
	LT_REF_KEY,       /* dict key or set member; `index` is the entry */
	LT_REF_VALUE,     /* dict value; `name` is the key object's address */
	LT_REF_ATTRIBUTE, /* instance attribute; `name` is the key string object's address */
	LT_REF_DICT,      /* __dict__ */
	LT_REF_SLOT,      /* __slots__ member; `index` is its offset */
	LT_REF_MEMBER, /* fixed member of a C struct; `index` is an enum lt_member (members.def) */
	LT_REF_LOCAL,  /* local, cell or free variable of a frame; `index` in co_localsplusnames */
	LT_REF_STACK,  /* evaluation stack of a frame */
	LT_REF_CONSERVATIVE, /* a word of the body; `index` is its offset */
	LT_REF_KIND_COUNT
};
/* "item", "attribute"; "word" for LT_REF_CONSERVATIVE. "" for a number that is no kind. */
const char *lt_ref_kind_name(enum lt_ref_kind kind);

/*
 * An `untraversed` reference is owned by the object, but its tp_traverse passes it over, since it cannot
 * close a cycle: the keys of a dict of strings, the members of a code object. It keeps the object alive
 * and belongs into the graph; gc.get_referents() does not give it.
 *
 * A `borrowed` reference is one that the object leads to but does not own: another object of the graph is
 * decoded with the same one (values inside an instance and the dict over them). It must not be counted
 * against the reference count of what it leads to.
 */
struct lt_ref {
	lt_addr to;
	lt_addr name; /* see lt_ref_kind, 0 when it does not apply */
	uint32_t index;
	enum lt_ref_kind kind : 16;
	bool untraversed;
	bool borrowed;
};
LT_VEC(lt_refs, struct lt_ref);

/* The fixed members, for LT_REF_MEMBER: "__func__", "cell_contents", "__closure__", ... */
enum lt_member {
#define LT_MEMBER(name, spelling) LT_MEMBER_##name,
#include "heap/members.def"
#undef LT_MEMBER
	LT_MEMBER_COUNT
};
const char *lt_member_spelling(enum lt_member member);
const char *lt_member_name(enum lt_member member); /* "cell_contents": as in members.def */

struct lt_decoder;

/*
 * Tells whether an address is an object, for conservative scans; also used by the builder of the graph.
 * Without one, an address counts as an object when its header is plausible.
 */
typedef bool (*lt_is_object_fn)(void *ctx, lt_addr address);

LT_MUST_CHECK enum lt_status lt_decoder_create(const struct lt_view *view, struct lt_types *types,
					       struct lt_decoder **ret_decoder);
/* One that decodes as `decoder` does, through another view and with another hold on the types: for another thread. */
LT_MUST_CHECK enum lt_status lt_decoder_create_like(const struct lt_decoder *decoder,
						    const struct lt_view *view,
						    struct lt_types *types,
						    struct lt_decoder **ret_decoder);
/* What another one has found out about the target while it decoded. */
void lt_decoder_learn(struct lt_decoder *decoder, const struct lt_decoder *other);
void lt_decoder_destroy(struct lt_decoder *decoder);
/*
 * Memory of pymalloc, by pages, and the bytes of its pools: what begins there ends within a pool, and a count that says
 * otherwise is torn. NULL: not known. The set has to outlive the decoder and those made like it.
 */
struct lt_pageset;
void lt_decoder_set_pools(struct lt_decoder *decoder, const struct lt_pageset *pages,
			  uint64_t pool_size);
void lt_decoder_set_is_object(struct lt_decoder *decoder, lt_is_object_fn is_object, void *ctx);

/*
 * sys.getsizeof() of the object, GC header included, in bytes. False when it cannot be read or is
 * absurd (counted in the session). A Python-level __sizeof__ is not called: the base's size counts.
 */
bool lt_decode_size(struct lt_decoder *decoder, lt_addr object, const struct lt_type *type,
		    uint64_t *ret_size);

/*
 * Appends the references of the object to `refs`, NULL ones and freed ones left out, duplicates kept.
 * False when a part could not be read (counted); what was read is there.
 */
bool lt_decode_refs(struct lt_decoder *decoder, lt_addr object, const struct lt_type *type,
		    struct lt_refs *refs);

/* True from there on when a reference was left out for want of memory: what was decoded is not whole. */
bool lt_decoder_lacks_memory(const struct lt_decoder *decoder);

/*
 * A list, tuple, dict or set may have millions of references. With `take` set, lt_decode_refs() gives them
 * away in parts: whenever LT_REFS_PART of one object have piled up, `take` uses them up and empties the
 * vector; the last ones stay in it. NULL: no more.
 */
enum { LT_REFS_PART = 1 << 16 };
typedef void (*lt_refs_part_fn)(void *ctx, struct lt_refs *refs);
void lt_decoder_set_part(struct lt_decoder *decoder, lt_refs_part_fn take, void *ctx);

/*
 * The same of an exact dict, list or tuple that lies in what is at hand of its memory, a dict with its items: rows in
 * which the words are. All are owned; what is 0 or no address of an object is among them. Valid as long as the bytes are
 * at hand, and until the next call.
 */
struct lt_plain_refs {
	const unsigned char *at;
	uint64_t count;  /* rows */
	unsigned stride; /* bytes from one row to the next */
	unsigned key_at,
		value_at; /* in a row: of a dict, both are 0 where the entry is none; else the same word */
};
/* False: lt_decode_refs() can do it. */
bool lt_decode_plain(struct lt_decoder *decoder, lt_addr object, const struct lt_type *type,
		     struct lt_plain_refs *ret_refs);

/* The words of a row, the value before the key. Returns their number: 0 of an entry that is none, 1 or 2. */
static inline unsigned lt_plain_row(const struct lt_plain_refs *refs, uint64_t row,
				    lt_addr ret_words[2])
{
	const unsigned char *at = refs->at + row * refs->stride;
	memcpy(&ret_words[0], at + refs->value_at, sizeof(ret_words[0]));
	if (refs->key_at == refs->value_at)
		return 1;
	memcpy(&ret_words[1], at + refs->key_at, sizeof(ret_words[1]));
	return ret_words[0] != 0 && ret_words[1] != 0 ? 2 : 0;
}

/* True of what lt_decode_refs() gives as a reference: not 0, and it may be the address of an object. */
static inline bool lt_may_be_referred_to(lt_addr to)
{
	return to % 8 == 0 && to >= 4096 && to >> 47 == 0;
}

/* True when the reference set of this type is found by a conservative scan. */
bool lt_decode_is_conservative(const struct lt_type *type);

#endif
