#include "analysis/tide_labels.h"

enum {
	KINDS = LT_REF_CONSERVATIVE + 1,
	KIND_MASK = 15,
	BORROWED = 15, /* a byte of its own: the reference behind it is borrowed */
	UNTRAVERSED = 16,
	INDEX_GIVEN = 32, /* else it follows that of the reference of this kind before */
	NAME_OF_KEY = 64, /* the name is the target of the key before */
	NAME_GIVEN = 128,
	VARINT_MAX = 10,
};

/* What the labels before one of the same object say about it. */
struct expected {
	uint32_t index[KINDS];
	uint32_t key; /* target of the last key */
};

static void begin(struct expected *expected)
{
	*expected = (struct expected){.key = LT_NO_NODE};
}

static void go_on(struct expected *expected, const struct lt_node_ref *ref)
{
	expected->index[ref->kind] = ref->index + 1;
	if (ref->kind == LT_REF_KEY)
		expected->key = ref->to;
}

void lt_label_names_deinit(struct lt_label_names *names)
{
	lt_map_deinit(&names->place);
	free(names->node);
	*names = (struct lt_label_names){0};
}

static bool place_of(struct lt_label_names *names, uint32_t node, uint64_t *ret_place)
{
	if (lt_map_get(&names->place, node, ret_place))
		return true;
	if (names->count == names->capacity) {
		size_t capacity = names->capacity < 64 ? 64 : names->capacity * 2;
		uint32_t *grown = realloc(names->node, capacity * sizeof(*grown));
		if (grown == NULL)
			return false;
		names->node = grown;
		names->capacity = capacity;
	}
	if (!lt_map_put(&names->place, node, names->count))
		return false;
	*ret_place = names->count;
	names->node[names->count++] = node;
	return true;
}

static bool put_varint(struct lt_label_bytes *bytes, uint64_t value)
{
	for (; value >= 128; value >>= 7) {
		if (!lt_label_bytes_push(bytes, (uint8_t)(value | 128)))
			return false;
	}
	return lt_label_bytes_push(bytes, (uint8_t)value);
}

bool lt_labels_write(const struct lt_node_ref *refs, size_t count, struct lt_label_names *names,
		     struct lt_label_bytes *bytes)
{
	struct expected expected;
	begin(&expected);
	for (size_t i = 0; i < count; i++) {
		const struct lt_node_ref *ref = &refs[i];
		int64_t step = (int64_t)ref->index - (int64_t)expected.index[ref->kind];
		uint64_t place = 0;
		unsigned head = (unsigned)ref->kind | (ref->untraversed ? UNTRAVERSED : 0) |
				(step != 0 ? INDEX_GIVEN : 0);
		if (ref->name != LT_NO_NODE && ref->name == expected.key)
			head |= NAME_OF_KEY;
		else if (ref->name != LT_NO_NODE)
			head |= NAME_GIVEN;
		if ((head & NAME_GIVEN) != 0 && !place_of(names, ref->name, &place))
			return false;
		if ((ref->borrowed && !lt_label_bytes_push(bytes, BORROWED)) ||
		    !lt_label_bytes_push(bytes, (uint8_t)head) ||
		    (step != 0 &&
		     !put_varint(bytes, (uint64_t)step << 1 ^ (uint64_t)(step >> 63))) ||
		    ((head & NAME_GIVEN) != 0 && !put_varint(bytes, place)))
			return false;
		go_on(&expected, ref);
	}
	return true;
}

static bool get_varint(const uint8_t **at, const uint8_t *end, uint64_t *ret_value)
{
	uint64_t value = 0;
	for (unsigned i = 0; i < VARINT_MAX && *at < end; i++) {
		uint8_t byte = *(*at)++;
		value |= (uint64_t)(byte & 127) << 7 * i;
		if ((byte & 128) == 0) {
			*ret_value = value;
			return true;
		}
	}
	return false;
}

bool lt_labels_read(const uint8_t *bytes, size_t size, const struct lt_label_names *names,
		    struct lt_node_ref *refs, size_t count)
{
	const uint8_t *at = bytes, *end = bytes + size;
	struct expected expected;
	begin(&expected);
	for (size_t i = 0; i < count; i++) {
		struct lt_node_ref *ref = &refs[i];
		uint64_t step = 0, place = 0;
		bool borrowed = at < end && *at == BORROWED;
		at += borrowed;
		if (at == end || (*at & KIND_MASK) >= KINDS)
			return false;
		unsigned head = *at++;
		if (((head & INDEX_GIVEN) != 0 && !get_varint(&at, end, &step)) ||
		    ((head & NAME_GIVEN) != 0 &&
		     (!get_varint(&at, end, &place) || place >= names->count)))
			return false;
		ref->kind = (enum lt_ref_kind)(head & KIND_MASK);
		ref->untraversed = (head & UNTRAVERSED) != 0;
		ref->borrowed = borrowed;
		ref->index = expected.index[ref->kind] + (uint32_t)(step >> 1 ^ (0 - (step & 1)));
		ref->name = LT_NO_NODE;
		if ((head & NAME_OF_KEY) != 0)
			ref->name = expected.key;
		else if ((head & NAME_GIVEN) != 0)
			ref->name = names->node[place];
		go_on(&expected, ref);
	}
	return at == end;
}
