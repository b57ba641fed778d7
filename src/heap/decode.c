/*
 * decode.c: the decoder, and the parts that all kinds of object have in common: header, plain members,
 * slots, instance attributes, and the conservative scan.
 */
#include "heap/decode_parts.h"
#include "heap/pageset.h"

#include "base/cleanup.h"

#include <string.h>

enum { INTERPRETERS_MAX = 64, SHARED_NAMES_MAX = 65536, SCAN_MAX = 1 << 20, BASES_MAX = 256 };

const char *lt_ref_kind_name(enum lt_ref_kind kind)
{
	static const char *const names[LT_REF_KIND_COUNT] = {
		[LT_REF_TYPE] = "type",
		[LT_REF_ITEM] = "item",
		[LT_REF_KEY] = "key",
		[LT_REF_VALUE] = "value",
		[LT_REF_ATTRIBUTE] = "attribute",
		[LT_REF_DICT] = "dict",
		[LT_REF_SLOT] = "slot",
		[LT_REF_MEMBER] = "member",
		[LT_REF_LOCAL] = "local",
		[LT_REF_STACK] = "stack",
		[LT_REF_CONSERVATIVE] = "word",
	};
	return (unsigned)kind < LT_REF_KIND_COUNT ? names[kind] : "";
}

const char *lt_member_spelling(enum lt_member member)
{
	static const char *const spellings[LT_MEMBER_COUNT] = {
#define LT_MEMBER(name, spelling) [LT_MEMBER_##name] = (spelling),
#include "heap/members.def"
#undef LT_MEMBER
	};
	return (unsigned)member < LT_MEMBER_COUNT ? spellings[member] : "";
}

const char *lt_member_name(enum lt_member member)
{
	static const char *const names[LT_MEMBER_COUNT] = {
#define LT_MEMBER(name, spelling) [LT_MEMBER_##name] = #name,
#include "heap/members.def"
#undef LT_MEMBER
	};
	return names[member];
}

/* ---- The decoder ---- */

struct visit_row {
	enum lt_kind kind;
	enum lt_kind base; /* when not LT_KIND_OPAQUE: this row stands for all rows of the base */
	enum lt_field field;
	enum lt_member member;
	bool untraversed;
	int fact; /* that makes the member traversed, -1 for none */
};

static const struct visit_row visit_rows[] = {
#define LT_VISIT(kind, structure, member, name)                                                    \
	{LT_KIND_##kind, LT_KIND_OPAQUE, LT_##structure##_##member, LT_MEMBER_##name, false, -1},
#define LT_HOLD(kind, structure, member, name)                                                     \
	{LT_KIND_##kind, LT_KIND_OPAQUE, LT_##structure##_##member, LT_MEMBER_##name, true, -1},
#define LT_VISIT_IF(kind, structure, member, name, fact)                                           \
	{LT_KIND_##kind,   LT_KIND_OPAQUE, LT_##structure##_##member,                              \
	 LT_MEMBER_##name, true,           LT_FACT_##fact},
#define LT_EXTENDS(kind, base) {LT_KIND_##kind, LT_KIND_##base, 0, 0, false, -1},
#define LT_UNTYPED(kind)
#include "heap/visits.def"
#undef LT_VISIT
#undef LT_HOLD
#undef LT_VISIT_IF
#undef LT_EXTENDS
#undef LT_UNTYPED
};

/* Kinds whose tp_traverse does not visit the type. */
static const bool untyped[LT_KIND_COUNT] = {
#define LT_VISIT(kind, structure, member, name)
#define LT_HOLD(kind, structure, member, name)
#define LT_VISIT_IF(kind, structure, member, name, fact)
#define LT_EXTENDS(kind, base)
#define LT_UNTYPED(kind) [LT_KIND_##kind] = true,
#include "heap/visits.def"
#undef LT_VISIT
#undef LT_HOLD
#undef LT_VISIT_IF
#undef LT_EXTENDS
#undef LT_UNTYPED
};

static bool add_rows(struct lt_decoder *decoder, enum lt_kind kind)
{
	const struct lt_layout *layout = decoder->view.layout;
	for (size_t i = 0; i < sizeof(visit_rows) / sizeof(visit_rows[0]); i++) {
		const struct visit_row *row = &visit_rows[i];
		if (row->kind != kind)
			continue;
		if (row->base != LT_KIND_OPAQUE) {
			if (!add_rows(decoder, row->base))
				return false;
			continue;
		}
		if (!lt_has(layout, row->field))
			continue;
		struct lt_visit visit = {
			.offset = (int32_t)lt_off(layout, row->field),
			.member = (uint16_t)row->member,
			.untraversed =
				row->untraversed &&
				(row->fact < 0 || lt_fact(layout, (enum lt_fact)row->fact) == 0),
		};
		if (!lt_visits_push(&decoder->visits, visit))
			return false;
	}
	return true;
}

static void find_interpreters(struct lt_decoder *decoder)
{
	const struct lt_view *view = &decoder->view;
	const struct lt_layout *layout = view->layout;
	lt_addr interpreter;
	if (view->python == NULL || view->python->runtime == 0 ||
	    !lt_memory_u64(view->memory,
			   view->python->runtime +
				   lt_off(layout, LT__PyRuntimeState_interpreters_head),
			   &interpreter))
		return;
	while (interpreter != 0 && decoder->interpreter_count < INTERPRETERS_MAX) {
		decoder->interpreters[decoder->interpreter_count++] = interpreter;
		if (!lt_memory_u64(view->memory,
				   interpreter + lt_off(layout, LT_PyInterpreterState_next),
				   &interpreter))
			return;
	}
}

enum lt_status lt_decoder_create(const struct lt_view *view, struct lt_types *types,
				 struct lt_decoder **ret_decoder)
{
	struct lt_decoder *decoder = calloc(1, sizeof(*decoder));
	if (decoder == NULL)
		return lt_fail_memory(view->session);
	decoder->view = *view;
	decoder->types = types;
	for (int kind = 0; kind < LT_KIND_COUNT; kind++) {
		decoder->first_visit[kind] = (uint32_t)decoder->visits.count;
		if (!add_rows(decoder, (enum lt_kind)kind)) {
			lt_decoder_destroy(decoder);
			return lt_fail_memory(view->session);
		}
	}
	decoder->first_visit[LT_KIND_COUNT] = (uint32_t)decoder->visits.count;
	if (view->python != NULL && lt_has(view->layout, LT_PyDictKeysObject_dk_lookup))
		decoder->lookdict = lt_python_symbol(view->python, "lookdict");
	find_interpreters(decoder);
	*ret_decoder = decoder;
	return LT_OK;
}

enum lt_status lt_decoder_create_like(const struct lt_decoder *decoder, const struct lt_view *view,
				      struct lt_types *types, struct lt_decoder **ret_decoder)
{
	LT_TRY(lt_decoder_create(view, types, ret_decoder));
	lt_decoder_learn(*ret_decoder, decoder);
	lt_decoder_set_pools(*ret_decoder, decoder->pools, decoder->pool_size);
	return LT_OK;
}

void lt_decoder_learn(struct lt_decoder *decoder, const struct lt_decoder *other)
{
	if (decoder->lookdict == 0)
		decoder->lookdict = other->lookdict;
}

void lt_decoder_destroy(struct lt_decoder *decoder)
{
	if (decoder == NULL)
		return;
	for (size_t i = 0; i < LT_DECODE_KEYS_CACHED; i++)
		free(decoder->shared[i].names);
	lt_visits_deinit(&decoder->visits);
	free(decoder->items);
	free(decoder);
}

void lt_decoder_set_pools(struct lt_decoder *decoder, const struct lt_pageset *pages,
			  uint64_t pool_size)
{
	decoder->pools = pages;
	decoder->pool_size = pool_size;
}

void lt_decoder_set_is_object(struct lt_decoder *decoder, lt_is_object_fn is_object, void *ctx)
{
	decoder->is_object = is_object;
	decoder->is_object_ctx = ctx;
}

void lt_decoder_set_part(struct lt_decoder *decoder, lt_refs_part_fn take, void *ctx)
{
	decoder->take_part = take;
	decoder->take_part_ctx = ctx;
}

/* Kinds whose references are done with as soon as they are added: nothing looks at them again. */
static bool may_be_parted(const struct lt_type *type)
{
	switch (type->kind) {
	case LT_KIND_LIST:
	case LT_KIND_TUPLE:
	case LT_KIND_DICT:
	case LT_KIND_SET:
		return type->exact && type->gc;
	default:
		return false;
	}
}

bool lt_chain_step(struct lt_chain *chain, lt_addr next)
{
	if (next == chain->mark && chain->limit != 0)
		return false;
	if (chain->steps++ == chain->limit) {
		chain->mark = next;
		chain->steps = 0;
		chain->limit = chain->limit * 2 + 1;
	}
	return true;
}

const struct lt_type *lt_decoder_c_type(struct lt_decoder *decoder, const struct lt_type *type)
{
	for (int depth = 0; type != NULL && type->python_class; depth++)
		type = depth < BASES_MAX ? lt_types_get(decoder->types, type->base) : NULL;
	return type;
}

static bool plausible_object(struct lt_decoder *decoder, lt_addr address)
{
	uint64_t header[2];
	if (lt_memory_probe(decoder->view.memory, address, header, sizeof(header)) !=
	    sizeof(header))
		return false;
	bool wide = lt_fact(decoder->view.layout, LT_FACT_refcnt_bytes) == 8;
	uint64_t refcount = wide ? header[0] : (uint32_t)header[0];
	if (refcount == 0 || (wide && refcount >> 40 != 0) || header[1] == 0 || header[1] % 8 != 0)
		return false;
	return lt_types_get(decoder->types, header[1]) != NULL;
}

bool lt_decoder_is_object(struct lt_decoder *decoder, lt_addr address)
{
	if (address < 4096 || address % 8 != 0 || address >> 47 != 0)
		return false;
	if (decoder->is_object != NULL)
		return decoder->is_object(decoder->is_object_ctx, address);
	return plausible_object(decoder, address);
}

const struct lt_shared_keys *lt_decoder_shared_keys(struct lt_decoder *decoder, lt_addr address)
{
	struct lt_shared_keys *shared =
		&decoder->shared[(address >> 4 ^ address >> 14) % LT_DECODE_KEYS_CACHED];
	if (shared->address == address && address != 0)
		return shared;
	struct lt_dict_keys keys;
	if (!lt_dict_keys_read(&decoder->view, address, &keys) || keys.count > SHARED_NAMES_MAX)
		return NULL;
	lt_addr *names = calloc(keys.count + 1, sizeof(*names));
	LT_FREE uint8_t *entries = malloc(keys.count * keys.entry_size + 1);
	if (names == NULL || entries == NULL) {
		free(names);
		decoder->no_memory = true;
		return NULL;
	}
	if (!lt_memory_get(decoder->view.memory, keys.entries, entries,
			   keys.count * keys.entry_size)) {
		free(names);
		return NULL;
	}
	for (uint64_t i = 0; i < keys.count; i++)
		memcpy(&names[i], entries + i * keys.entry_size + keys.key_at, sizeof(names[i]));
	free(shared->names);
	shared->address = address;
	shared->count = keys.count;
	shared->room = lt_dict_keys_room(&decoder->view, &keys);
	shared->names = names;
	return shared;
}

/* ---- The body of an object ---- */

void lt_body_unreadable(struct lt_body *body)
{
	if (body->whole)
		body->decoder->view.session->unreadable++;
	body->whole = false;
}

static void body_bytes(struct lt_body *body, int64_t offset, void *ret_bytes, size_t size)
{
	memset(ret_bytes, 0, size);
	if (offset + (int64_t)body->before >= 0 && offset + (int64_t)size <= (int64_t)body->size)
		memcpy(ret_bytes, body->bytes + body->before + offset, size);
	else if (!lt_memory_get(body->decoder->view.memory, body->at + (uint64_t)offset, ret_bytes,
				size))
		lt_body_unreadable(body);
}

uint64_t lt_body_word(struct lt_body *body, int64_t offset)
{
	uint64_t value;
	body_bytes(body, offset, &value, sizeof(value));
	return value;
}

uint32_t lt_body_u32(struct lt_body *body, int64_t offset)
{
	uint32_t value;
	body_bytes(body, offset, &value, sizeof(value));
	return value;
}

uint8_t lt_body_u8(struct lt_body *body, int64_t offset)
{
	uint8_t value;
	body_bytes(body, offset, &value, sizeof(value));
	return value;
}

uint64_t lt_body_count(struct lt_body *body)
{
	int64_t count = (int64_t)lt_body_field(body, LT_PyVarObject_ob_size);
	if (count < 0)
		count = count == INT64_MIN ? 0 : -count;
	if ((uint64_t)count > LT_DECODE_COUNT_MAX) {
		lt_body_unreadable(body);
		return 0;
	}
	return (uint64_t)count;
}

void lt_body_add(struct lt_body *body, struct lt_ref ref)
{
	if (ref.to == 0)
		return;
	if (!lt_may_be_referred_to(ref.to)) {
		lt_body_unreadable(body);
		return;
	}
	if (body->refs->count >= LT_REFS_PART && body->decoder->take_part != NULL &&
	    may_be_parted(body->type))
		body->decoder->take_part(body->decoder->take_part_ctx, body->refs);
	if (!lt_refs_push(body->refs, ref)) {
		body->decoder->no_memory = true;
		body->whole = false;
	}
}

void lt_body_add_member(struct lt_body *body, lt_addr to, enum lt_member member)
{
	lt_body_add(body, (struct lt_ref){.to = to, .index = member, .kind = LT_REF_MEMBER});
}

void lt_body_hold_member(struct lt_body *body, lt_addr to, enum lt_member member)
{
	lt_body_add(body,
		    (struct lt_ref){
			    .to = to, .index = member, .kind = LT_REF_MEMBER, .untraversed = true});
}

void lt_body_add_items(struct lt_body *body, lt_addr at, uint64_t count, enum lt_ref_kind kind,
		       uint32_t index)
{
	struct lt_decoder *decoder = body->decoder;
	/* In a process that runs on, freed memory still looks like an object, with a count of something else. */
	if (decoder->pools != NULL && count > decoder->pool_size / 8 &&
	    lt_pageset_has(decoder->pools, at)) {
		lt_body_unreadable(body);
		return;
	}
	while (count > 0) {
		uint64_t step = count < LT_DECODE_WORDS ? count : LT_DECODE_WORDS;
		if (!lt_memory_get(decoder->view.memory, at, decoder->words, step * 8)) {
			lt_body_unreadable(body);
			return;
		}
		for (uint64_t i = 0; i < step; i++)
			lt_body_add(body, (struct lt_ref){.to = decoder->words[i],
							  .index = index++,
							  .kind = kind});
		at += step * 8;
		count -= step;
	}
}

void lt_body_scan(struct lt_body *body, lt_addr at, uint64_t size)
{
	struct lt_decoder *decoder = body->decoder;
	uint64_t count = (size < SCAN_MAX ? size : SCAN_MAX) / 8;
	uint64_t done = 0;
	while (done < count) {
		uint64_t words[64];
		uint64_t step = count - done < 64 ? count - done : 64;
		if (!lt_memory_get(decoder->view.memory, at + done * 8, words, step * 8)) {
			lt_body_unreadable(body);
			return;
		}
		for (uint64_t i = 0; i < step; i++)
			if (words[i] != body->at && lt_decoder_is_object(decoder, words[i]))
				lt_body_add(body,
					    (struct lt_ref){.to = words[i],
							    .index = (uint32_t)((done + i) * 8),
							    .kind = LT_REF_CONSERVATIVE});
		done += step;
	}
}

/* ---- Instance attributes ---- */

static void add_dict(struct lt_body *body, lt_addr dict)
{
	lt_body_add(body, (struct lt_ref){.to = dict, .kind = LT_REF_DICT});
}

/*
 * Objects/dictobject.c: PyObject_VisitManagedDict. Where the values lie in the instance and a dict stands
 * over them, one of the two visits the values.
 */
static void decode_inline_values(struct lt_body *body, lt_addr dict)
{
	const struct lt_type *type = body->type;
	const struct lt_layout *layout = body->layout;
	bool by_dict = dict != 0 && lt_fact(layout, LT_FACT_dict_visits_inline) != 0;
	bool valid = false;
	if (type->inline_values) {
		int64_t at = type->basicsize;
		valid = lt_body_u8(body, at + (int64_t)lt_off(layout, LT_PyDictValues_valid)) != 0;
		if (valid)
			lt_decode_values(body, body->at + (uint64_t)at, type->cached_keys, by_dict);
	}
	lt_body_add(
		body,
		(struct lt_ref){.to = dict, .kind = LT_REF_DICT, .untraversed = valid && !by_dict});
}

/* Objects/object.c: _PyObject_DictPointer. */
static void decode_managed_dict(struct lt_body *body)
{
	const struct lt_layout *layout = body->layout;
	const struct lt_type *type = body->type;
	uint64_t word = lt_body_word(body, lt_fact(layout, LT_FACT_managed_dict_offset));
	switch (lt_fact(layout, LT_FACT_managed_dict)) {
	case 1: {
		lt_addr values = lt_body_word(body, lt_fact(layout, LT_FACT_managed_values_offset));
		if (values != 0)
			lt_decode_values(body, values, type->cached_keys, false);
		add_dict(body, word);
		break;
	}
	case 2:
		if ((word & (uint64_t)lt_fact(layout, LT_FACT_managed_values_tag)) != 0)
			lt_decode_values(body, word + 1, type->cached_keys, false);
		else
			add_dict(body, word);
		break;
	default:
		decode_inline_values(body, word);
		break;
	}
}

/* tp_dictoffset; a negative one counts from the end of a variable-sized object (Objects/object.c). */
static void decode_dict_offset(struct lt_body *body)
{
	const struct lt_type *type = body->type;
	int64_t offset = type->dictoffset;
	if (offset < 0) {
		uint64_t size =
			(uint64_t)type->basicsize + lt_body_count(body) * (uint64_t)type->itemsize;
		offset += (int64_t)((size + 7) & ~(uint64_t)7);
	}
	if (offset <= 0 || offset % 8 != 0)
		return;
	add_dict(body, lt_body_word(body, offset));
}

static void decode_attributes(struct lt_body *body)
{
	const struct lt_type *type = body->type;
	for (uint32_t i = 0; i < type->slot_count; i++)
		lt_body_add(body, (struct lt_ref){.to = lt_body_word(body, type->slots[i]),
						  .index = (uint32_t)type->slots[i],
						  .kind = LT_REF_SLOT});
	if (type->managed_dict)
		decode_managed_dict(body);
	else if (type->dictoffset != 0 && type->kind != LT_KIND_TYPE)
		decode_dict_offset(body);
}

/* ---- Dispatch ---- */

static void decode_members(struct lt_body *body)
{
	const struct lt_decoder *decoder = body->decoder;
	for (uint32_t i = decoder->first_visit[body->type->kind];
	     i < decoder->first_visit[body->type->kind + 1]; i++) {
		const struct lt_visit *visit = &decoder->visits.data[i];
		lt_body_add(body, (struct lt_ref){.to = lt_body_word(body, visit->offset),
						  .index = visit->member,
						  .kind = LT_REF_MEMBER,
						  .untraversed = visit->untraversed});
	}
}

/* Words that decode_attributes() accounts for are left out of what a scan has found, from `first` on. */
static void drop_attribute_words(struct lt_body *body, size_t first)
{
	const struct lt_type *type = body->type;
	size_t kept = first;
	for (size_t i = first; i < body->refs->count; i++) {
		int64_t offset = body->refs->data[i].index;
		bool known = offset == type->dictoffset || offset == type->weaklistoffset;
		for (uint32_t s = 0; s < type->slot_count && !known; s++)
			known = type->slots[s] == offset;
		if (!known)
			body->refs->data[kept++] = body->refs->data[i];
	}
	body->refs->count = kept;
}

static void decode_opaque(struct lt_body *body)
{
	const struct lt_type *type = body->type;
	size_t before = body->refs->count;
	uint64_t start = lt_off(body->layout, LT_sizeof_PyObject);
	uint64_t size = (uint64_t)type->basicsize;
	if (type->itemsize > 0 && start + 8 <= size)
		size += lt_body_count(body) * (uint64_t)type->itemsize;
	if (size > start)
		lt_body_scan(body, body->at + start, size - start);
	for (size_t i = before; i < body->refs->count; i++)
		body->refs->data[i].index += (uint32_t)start;
	drop_attribute_words(body, before);
}

/*
 * A C type may add members to a kind that is known: the words that it adds are scanned. A metatype's are
 * those behind the heap type (the StgInfo of ctypes, 3.13).
 */
static void decode_tail(struct lt_body *body)
{
	struct lt_types *types = body->decoder->types;
	const struct lt_type *type = lt_decoder_c_type(body->decoder, body->type);
	const struct lt_type *known = type;
	for (int depth = 0; known != NULL && known->kind == body->type->kind && !known->exact;
	     depth++)
		known = depth < BASES_MAX ? lt_types_get(types, known->base) : NULL;
	if (type == NULL || known == NULL || known->kind != body->type->kind || known == type)
		return;
	int64_t start = (known->basicsize + 7) & ~(int64_t)7;
	if (type->kind == LT_KIND_TUPLE || type->itemsize != known->itemsize ||
	    type->basicsize <= start)
		return;
	size_t before = body->refs->count;
	lt_body_scan(body, body->at + (uint64_t)start, (uint64_t)(type->basicsize - start));
	for (size_t i = before; i < body->refs->count; i++)
		body->refs->data[i].index += (uint32_t)start;
	drop_attribute_words(body, before);
}

/* The member is not there at all in an object without a time zone (Include/datetime.h). */
static void add_time_zone(struct lt_body *body, enum lt_field field)
{
	int64_t aware = (int64_t)lt_off(body->layout, LT_PyDateTime_Time_hastzinfo);
	if (lt_body_u8(body, aware) != 0)
		lt_body_hold_member(body, lt_body_field(body, field), LT_MEMBER_extra);
}

static void decode_kind(struct lt_body *body)
{
	switch (body->type->kind) {
	case LT_KIND_DICT:
	case LT_KIND_C_TYPE_INFO:
	case LT_KIND_FROZENDICT:
	case LT_KIND_DEFAULT_DICT:
		lt_decode_dict(body);
		break;
	case LT_KIND_ORDERED_DICT:
		lt_decode_ordered_dict(body);
		break;
	case LT_KIND_LIST:
		lt_decode_list(body);
		break;
	case LT_KIND_TUPLE:
		lt_decode_tuple(body);
		break;
	case LT_KIND_SET:
		lt_decode_set(body);
		break;
	case LT_KIND_DEQUE:
		lt_decode_deque(body);
		break;
	case LT_KIND_LRU_CACHE:
		lt_decode_lru_cache(body);
		break;
	case LT_KIND_HAMT_BITMAP:
		lt_decode_hamt_bitmap(body);
		break;
	case LT_KIND_HAMT_ARRAY:
		lt_decode_hamt_array(body);
		break;
	case LT_KIND_HAMT_COLLISION:
		lt_decode_hamt_collision(body);
		break;
	case LT_KIND_TEE_DATA:
		lt_decode_tee_data(body);
		break;
	case LT_KIND_MEMORYVIEW:
		lt_body_add_member(body, lt_body_field(body, LT_PyMemoryViewObject_mbuf),
				   LT_MEMBER_managed_buffer);
		break;
	case LT_KIND_TIME:
		add_time_zone(body, LT_PyDateTime_Time_tzinfo);
		break;
	case LT_KIND_DATETIME:
		add_time_zone(body, LT_PyDateTime_DateTime_tzinfo);
		break;
	case LT_KIND_METHOD_CALLER:
		if (lt_fact(body->layout, LT_FACT_methodcaller_tuple) != 0) {
			lt_body_add_member(
				body, lt_body_field(body, LT_methodcallerobject_vectorcall_args),
				LT_MEMBER_args);
			lt_body_add_member(
				body, lt_body_field(body, LT_methodcallerobject_vectorcall_kwnames),
				LT_MEMBER_keywords);
		}
		break;
	case LT_KIND_ELEMENT:
		lt_decode_element(body);
		break;
	case LT_KIND_NDARRAY:
		lt_decode_ndarray(body);
		break;
	case LT_KIND_SIMPLE_QUEUE:
		lt_decode_simple_queue(body);
		break;
	case LT_KIND_FRAME:
		lt_decode_frame(body);
		break;
	case LT_KIND_GENERATOR:
	case LT_KIND_COROUTINE:
	case LT_KIND_ASYNC_GENERATOR:
		lt_decode_generator(body);
		break;
	case LT_KIND_TYPE:
		lt_decode_type(body);
		break;
	case LT_KIND_MODULE:
		lt_decode_module(body);
		break;
	case LT_KIND_OPAQUE:
		decode_opaque(body);
		break;
	default:
		break;
	}
}

static bool read_body(struct lt_body *body)
{
	const struct lt_type *type = body->type;
	uint64_t size = type->basicsize < 16 ? 16 : (uint64_t)type->basicsize;
	if (size > LT_DECODE_BODY_MAX)
		size = LT_DECODE_BODY_MAX;
	body->before = type->managed_dict ? 32 : 0;
	if (body->at < 4096 || body->at % 8 != 0 ||
	    !lt_memory_get(body->decoder->view.memory, body->at - body->before, body->bytes,
			   size + body->before)) {
		lt_body_unreadable(body);
		return false;
	}
	body->size = (uint32_t)size;
	return true;
}

static bool is_heap_type(struct lt_body *body)
{
	return (lt_body_field(body, LT_PyTypeObject_tp_flags) &
		(uint64_t)lt_fact(body->layout, LT_FACT_tpflag_heap_type)) != 0;
}

bool lt_decode_refs(struct lt_decoder *decoder, lt_addr object, const struct lt_type *type,
		    struct lt_refs *refs)
{
	struct lt_body body;
	body.decoder = decoder;
	body.layout = decoder->view.layout;
	body.type = type;
	body.refs = refs;
	body.at = object;
	body.size = 0;
	body.whole = true;
	size_t first = refs->count;
	if (!read_body(&body))
		return false;
	decode_members(&body);
	decode_kind(&body);
	if (!type->exact && type->kind != LT_KIND_OBJECT && type->kind != LT_KIND_OPAQUE)
		decode_tail(&body);
	decode_attributes(&body);
	if (type->heap_type)
		lt_body_add(&body, (struct lt_ref){.to = type->address,
						   .kind = LT_REF_TYPE,
						   .untraversed = untyped[type->kind]});
	/* The collector never asks an object that is not its own, static types among them. */
	if (!type->gc || (type->kind == LT_KIND_TYPE && !is_heap_type(&body)))
		for (size_t i = first; i < refs->count; i++)
			refs->data[i].untraversed = true;
	return body.whole;
}

bool lt_decoder_lacks_memory(const struct lt_decoder *decoder)
{
	return decoder->no_memory;
}

bool lt_decode_is_conservative(const struct lt_type *type)
{
	return type->kind == LT_KIND_OPAQUE;
}
