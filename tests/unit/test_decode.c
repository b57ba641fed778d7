/*
 * test_decode.c: decoding of objects in byte images, in the layout of every release: containers as they
 * should be, and hostile bytes, links in rings and failing reads, which must end and stay in bounds.
 */
#include "heap/decode.h"
#include "layout/layout.h"
#include "target/faults.h"
#include "target/image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { SIZE = 1 << 16, WORDS = SIZE / 8 };
static const lt_addr BASE = 0x100000;

struct world {
	struct lt_session session;
	struct lt_layout layout;
	struct lt_memory *memory; /* what the decoder reads */
	uint64_t *words;          /* the bytes at BASE */
	struct lt_view view;
	struct lt_types *types;
	struct lt_decoder *decoder;
	struct lt_refs refs;
};

static bool every_address(void *ctx, lt_addr address)
{
	(void)ctx;
	return address >= BASE && address < BASE + SIZE;
}

/* `fault` may be NULL. */
static void begin(struct world *world, unsigned column, const struct lt_fault *fault)
{
	memset(world, 0, sizeof(*world));
	lt_session_init(&world->session);
	lt_column_layout(column, &world->layout);
	struct lt_memory *image = NULL;
	assert_int_equal(lt_image_create(&world->session, &image), LT_OK);
	assert_int_equal(lt_image_add(&world->session, image, BASE, NULL, SIZE), LT_OK);
	world->words = lt_image_at(image, BASE, SIZE);
	world->memory = image;
	if (fault != NULL)
		assert_int_equal(lt_faults_create(&world->session, image, fault, &world->memory),
				 LT_OK);
	world->view = (struct lt_view){
		.session = &world->session, .memory = world->memory, .layout = &world->layout};
	assert_int_equal(lt_types_create(&world->view, &world->types), LT_OK);
	assert_int_equal(lt_decoder_create(&world->view, world->types, &world->decoder), LT_OK);
	lt_decoder_set_is_object(world->decoder, every_address, NULL);
}

static void end(struct world *world)
{
	lt_refs_deinit(&world->refs);
	lt_decoder_destroy(world->decoder);
	lt_types_destroy(world->types);
	lt_memory_close(world->memory);
	lt_session_deinit(&world->session);
}

static void put(struct world *world, lt_addr at, uint64_t value)
{
	assert_true(at >= BASE && at + 8 <= BASE + SIZE);
	memcpy((char *)world->words + (at - BASE), &value, sizeof(value));
}

static void put_bytes(struct world *world, lt_addr at, const void *bytes, size_t size)
{
	assert_true(at >= BASE && at + size <= BASE + SIZE);
	memcpy((char *)world->words + (at - BASE), bytes, size);
}

static void set(struct world *world, lt_addr object, enum lt_field field, uint64_t value)
{
	put(world, object + lt_off(&world->layout, field), value);
}

static struct lt_type type_of(const struct world *world, enum lt_kind kind, enum lt_field size)
{
	return (struct lt_type){
		.address = BASE,
		.kind = kind,
		.exact = true,
		.gc = true,
		.basicsize = (int64_t)lt_off(&world->layout, size),
		.module = "builtins",
		.name = "thing",
	};
}

/* The words of plain rows in the order of lt_decode_refs(), those that it leaves out left out. */
static size_t plain_words(const struct lt_plain_refs *refs, lt_addr *words, size_t most)
{
	size_t count = 0;
	for (uint64_t row = 0; row < refs->count; row++) {
		lt_addr both[2];
		unsigned in_row = lt_plain_row(refs, row, both);
		for (unsigned i = 0; i < in_row && count < most; i++)
			if (lt_may_be_referred_to(both[i]))
				words[count++] = both[i];
	}
	return count;
}

/* Where the bytes are at hand, both ways of decoding agree. Returns whether there were two. */
static bool check_plain(struct world *world, lt_addr object, const struct lt_type *type)
{
	enum { MOST = 2 * WORDS };
	static lt_addr words[MOST];
	struct lt_plain_refs plain;
	assert_false(lt_decode_plain(world->decoder, object, type, &plain));
	world->memory->held = (const unsigned char *)world->words;
	world->memory->held_start = BASE;
	bool is_plain = false;
	/* Of a list the items may be elsewhere: then they are copied. */
	size_t body = (size_t)(object - BASE) + (size_t)type->basicsize;
	size_t sizes[] = {body < SIZE ? body : SIZE, SIZE};
	for (size_t k = 0; k < 2; k++) {
		world->memory->held_size = sizes[k];
		is_plain = lt_decode_plain(world->decoder, object, type, &plain);
		world->refs.count = 0;
		(void)lt_decode_refs(world->decoder, object, type, &world->refs);
		if (!is_plain)
			continue;
		const unsigned char *all = (const unsigned char *)world->words;
		if (plain.at >= all && plain.at < all + SIZE)
			assert_true(plain.at + plain.count * plain.stride <= all + sizes[k]);
		assert_int_equal(plain_words(&plain, words, MOST), world->refs.count);
		for (size_t i = 0; i < world->refs.count; i++)
			assert_int_equal(words[i], world->refs.data[i].to);
	}
	world->memory->held_size = 0;
	return is_plain;
}

static const struct lt_ref *find(const struct world *world, lt_addr to)
{
	for (size_t i = 0; i < world->refs.count; i++)
		if (world->refs.data[i].to == to)
			return &world->refs.data[i];
	return NULL;
}

static void test_list_and_tuple(void **state)
{
	(void)state;
	for (unsigned column = 0; column < lt_column_count(); column++) {
		struct world world;
		begin(&world, column, NULL);
		lt_addr object = BASE + 0x100, items = BASE + 0x200;
		uint64_t size;
		struct lt_type list = type_of(&world, LT_KIND_LIST, LT_sizeof_PyListObject);
		set(&world, object, LT_PyVarObject_ob_size, 3);
		set(&world, object, LT_PyListObject_ob_item, items);
		set(&world, object, LT_PyListObject_allocated, 8);
		put(&world, items, BASE + 0x1000);
		put(&world, items + 16, BASE + 0x2000); /* the second one is NULL */
		assert_true(lt_decode_refs(world.decoder, object, &list, &world.refs));
		assert_int_equal(world.refs.count, 2);
		assert_int_equal(world.refs.data[1].to, BASE + 0x2000);
		assert_int_equal(world.refs.data[1].index, 2);
		assert_int_equal(world.refs.data[1].kind, LT_REF_ITEM);
		assert_true(lt_decode_size(world.decoder, object, &list, &size));
		assert_int_equal(size, 40 + 8 * 8 + 16);

		struct lt_type tuple = type_of(&world, LT_KIND_TUPLE, LT_PyTupleObject_ob_item);
		tuple.itemsize = 8;
		lt_addr other = BASE + 0x400;
		set(&world, other, LT_PyVarObject_ob_size, 2);
		put(&world, other + lt_off(&world.layout, LT_PyTupleObject_ob_item) + 8,
		    BASE + 0x3000);
		world.refs.count = 0;
		assert_true(lt_decode_refs(world.decoder, other, &tuple, &world.refs));
		assert_int_equal(world.refs.count, 1);
		assert_int_equal(world.refs.data[0].index, 1);
		assert_true(lt_decode_size(world.decoder, other, &tuple, &size));
		assert_int_equal(size, lt_off(&world.layout, LT_PyTupleObject_ob_item) + 16 + 16);
		assert_int_equal(world.session.unreadable, 0);
		assert_true(check_plain(&world, object, &list));
		assert_true(check_plain(&world, other, &tuple));
		/* A subclass may have more than its items. */
		list.exact = false;
		assert_false(check_plain(&world, object, &list));
		list.exact = true;
		list.kind = LT_KIND_SET;
		assert_false(check_plain(&world, object, &list));
		end(&world);
	}
}

static void test_list_that_lies_about_its_length(void **state)
{
	(void)state;
	for (unsigned column = 0; column < lt_column_count(); column++) {
		struct world world;
		begin(&world, column, NULL);
		struct lt_type list = type_of(&world, LT_KIND_LIST, LT_sizeof_PyListObject);
		lt_addr object = BASE + 0x100;
		uint64_t size;
		/* Shorter than its storage says: being appended to. */
		set(&world, object, LT_PyVarObject_ob_size, 1000);
		set(&world, object, LT_PyListObject_ob_item, BASE + 0x200);
		set(&world, object, LT_PyListObject_allocated, 2);
		put(&world, BASE + 0x208, BASE + 0x1000);
		put(&world, BASE + 0x210, BASE + 0x2000);
		assert_true(lt_decode_refs(world.decoder, object, &list, &world.refs));
		assert_int_equal(world.refs.count, 1);
		/* Out of all bounds. */
		set(&world, object, LT_PyVarObject_ob_size, UINT64_MAX / 2);
		set(&world, object, LT_PyListObject_allocated, UINT64_MAX);
		assert_false(lt_decode_refs(world.decoder, object, &list, &world.refs));
		assert_false(lt_decode_size(world.decoder, object, &list, &size));
		assert_int_equal(world.session.unreadable, 2);
		/* Items that end in a hole. */
		set(&world, object, LT_PyVarObject_ob_size, 100000);
		set(&world, object, LT_PyListObject_allocated, 100000);
		assert_false(lt_decode_refs(world.decoder, object, &list, &world.refs));
		end(&world);
	}
}

/* A table of keys at `at` of 8 slots with `count` entries in use; returns the address of the first. */
static lt_addr make_keys(struct world *world, lt_addr at, unsigned count, int kind)
{
	const struct lt_layout *layout = &world->layout;
	set(world, at, LT_PyDictKeysObject_dk_refcnt, 1);
	if (lt_has(layout, LT_PyDictKeysObject_dk_log2_size)) {
		uint8_t bytes[3] = {3, 3, (uint8_t)kind};
		put_bytes(world, at + lt_off(layout, LT_PyDictKeysObject_dk_log2_size), &bytes[0],
			  1);
		put_bytes(world, at + lt_off(layout, LT_PyDictKeysObject_dk_log2_index_bytes),
			  &bytes[1], 1);
		put_bytes(world, at + lt_off(layout, LT_PyDictKeysObject_dk_kind), &bytes[2], 1);
	} else {
		set(world, at, LT_PyDictKeysObject_dk_size, 8);
	}
	set(world, at, LT_PyDictKeysObject_dk_usable, 5 - count);
	set(world, at, LT_PyDictKeysObject_dk_nentries, count);
	return at + lt_off(layout, LT_PyDictKeysObject_dk_indices) + 8;
}

static void test_dict(void **state)
{
	(void)state;
	for (unsigned column = 0; column < lt_column_count(); column++) {
		for (int general = 0; general < 2; general++) {
			struct world world;
			begin(&world, column, NULL);
			const struct lt_layout *layout = &world.layout;
			bool told = lt_has(layout, LT_PyDictKeysObject_dk_kind);
			struct lt_type type = type_of(&world, LT_KIND_DICT, LT_sizeof_PyDictObject);
			lt_addr dict = BASE + 0x100, keys = BASE + 0x200;
			bool narrow = told && !general;
			unsigned stride = narrow ? 16 : 24;
			lt_addr entry = make_keys(&world, keys, 2, general ? 0 : 1);
			set(&world, dict, LT_PyDictObject_ma_keys, keys);
			set(&world, dict, LT_PyDictObject_ma_used, 1);
			/* The first entry is deleted: a key without a value. */
			put(&world, entry + (narrow ? 0 : 8), BASE + 0x1000);
			put(&world, entry + stride + (narrow ? 0 : 8), BASE + 0x2000);
			put(&world, entry + stride + (narrow ? 8 : 16), BASE + 0x3000);
			assert_true(lt_decode_refs(world.decoder, dict, &type, &world.refs));
			assert_int_equal(world.refs.count, 2);
			const struct lt_ref *value = find(&world, BASE + 0x3000);
			const struct lt_ref *key = find(&world, BASE + 0x2000);
			assert_non_null(value);
			assert_non_null(key);
			assert_int_equal(value->kind, LT_REF_VALUE);
			assert_int_equal(value->name, BASE + 0x2000);
			assert_false(value->untraversed);
			assert_int_equal(key->untraversed, !(told && general));
			uint64_t size;
			assert_true(lt_decode_size(world.decoder, dict, &type, &size));
			assert_int_equal(size,
					 48 + 16 + lt_off(layout, LT_PyDictKeysObject_dk_indices) +
						 8 + 5 * (uint64_t)stride);
			/* Without a name for the lookup function its own keys must tell it (<= 3.10). */
			bool silent = !told;
			if (silent)
				set(&world, keys, LT_PyDictKeysObject_dk_lookup, BASE);
			assert_int_equal(check_plain(&world, dict, &type), told);
			if (silent)
				set(&world, keys, LT_PyDictKeysObject_dk_lookup, 0);
			assert_true(check_plain(&world, dict, &type));
			/* Keys that others share count for none of them. */
			set(&world, keys, LT_PyDictKeysObject_dk_refcnt, 2);
			assert_true(lt_decode_size(world.decoder, dict, &type, &size));
			assert_int_equal(size, 48 + 16);
			/* A table that makes no sense. */
			set(&world, keys, LT_PyDictKeysObject_dk_nentries, 1000);
			assert_false(lt_decode_refs(world.decoder, dict, &type, &world.refs));
			assert_false(lt_decode_size(world.decoder, dict, &type, &size));
			end(&world);
		}
	}
}

static void test_set_leaves_out_removed_members(void **state)
{
	(void)state;
	for (unsigned column = 0; column < lt_column_count(); column++) {
		struct world world;
		begin(&world, column, NULL);
		struct lt_type type = type_of(&world, LT_KIND_SET, LT_sizeof_PySetObject);
		lt_addr object = BASE + 0x100, table = BASE + 0x1000;
		uint64_t size;
		set(&world, object, LT_PySetObject_table, table);
		set(&world, object, LT_PySetObject_mask, 31);
		put(&world, table + 16, BASE + 0x2000);
		put(&world, table + 24, 77);
		put(&world, table + 32, BASE + 0x3000);
		put(&world, table + 40, (uint64_t)-1);
		assert_true(lt_decode_refs(world.decoder, object, &type, &world.refs));
		assert_int_equal(world.refs.count, 1);
		assert_int_equal(world.refs.data[0].to, BASE + 0x2000);
		assert_true(lt_decode_size(world.decoder, object, &type, &size));
		assert_int_equal(size, 200 + 32 * 16 + 16);
		set(&world, object, LT_PySetObject_mask, 30);
		assert_false(lt_decode_refs(world.decoder, object, &type, &world.refs));
		end(&world);
	}
}

static void test_links_in_a_ring_end(void **state)
{
	(void)state;
	for (unsigned column = 0; column < lt_column_count(); column++) {
		struct world world;
		begin(&world, column, NULL);
		const struct lt_layout *layout = &world.layout;
		lt_addr object = BASE + 0x100, first = BASE + 0x1000, second = BASE + 0x2000;
		struct lt_type deque = type_of(&world, LT_KIND_DEQUE, LT_sizeof_dequeobject);
		set(&world, object, LT_PyVarObject_ob_size, (uint64_t)1 << 31);
		set(&world, object, LT_dequeobject_leftblock, first);
		put(&world, first + lt_off(layout, LT_BLOCK_rightlink), second);
		put(&world, second + lt_off(layout, LT_BLOCK_rightlink), second);
		assert_false(lt_decode_refs(world.decoder, object, &deque, &world.refs));

		lt_addr odict = BASE + 0x4000;
		struct lt_type ordered =
			type_of(&world, LT_KIND_ORDERED_DICT, LT_sizeof_PyODictObject);
		set(&world, odict, LT_PyDictObject_ma_used, UINT64_MAX);
		set(&world, odict, LT_PyODictObject_od_first, first);
		set(&world, first, LT__odictnode_next, second);
		set(&world, second, LT__odictnode_next, first);
		assert_false(lt_decode_refs(world.decoder, odict, &ordered, &world.refs));

		lt_addr cache = BASE + 0x5000;
		struct lt_type cached =
			type_of(&world, LT_KIND_LRU_CACHE, LT_sizeof_lru_cache_object);
		put(&world,
		    cache + lt_off(layout, LT_lru_cache_object_root) +
			    lt_off(layout, LT_lru_list_elem_next),
		    first);
		set(&world, first, LT_lru_list_elem_next, second);
		set(&world, second, LT_lru_list_elem_next, second);
		assert_false(lt_decode_refs(world.decoder, cache, &cached, &world.refs));
		end(&world);
	}
}

static void test_conservative_scan_is_marked(void **state)
{
	(void)state;
	struct world world;
	begin(&world, 0, NULL);
	lt_addr object = BASE + 0x100;
	struct lt_type type = {.kind = LT_KIND_OPAQUE,
			       .basicsize = 64,
			       .gc = true,
			       .dictoffset = 40,
			       .module = "m",
			       .name = "opaque"};
	put(&world, object + 24, BASE + 0x1000);
	put(&world, object + 32, BASE + SIZE + 64); /* not an object */
	put(&world, object + 40, BASE + 0x2000);    /* __dict__ is known as such */
	put(&world, object + 48, BASE + 0x1001);    /* not aligned */
	assert_true(lt_decode_is_conservative(&type));
	assert_true(lt_decode_refs(world.decoder, object, &type, &world.refs));
	assert_int_equal(world.refs.count, 2);
	assert_int_equal(find(&world, BASE + 0x1000)->kind, LT_REF_CONSERVATIVE);
	assert_int_equal(find(&world, BASE + 0x1000)->index, 24);
	assert_int_equal(find(&world, BASE + 0x2000)->kind, LT_REF_DICT);
	end(&world);
}

static uint64_t next_random(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return *seed >> 16 ^ *seed << 31;
}

/* Words that lead somewhere, small numbers and noise. */
static void fill(struct world *world, uint64_t seed)
{
	for (size_t i = 0; i < WORDS; i++) {
		uint64_t random = next_random(&seed);
		switch (random % 8) {
		case 0:
			world->words[i] = next_random(&seed);
			break;
		case 1:
		case 2:
			world->words[i] = random >> 8 & 0xff;
			break;
		case 3:
			world->words[i] = 0;
			break;
		default:
			world->words[i] = BASE + (random >> 8) % WORDS * 8;
			break;
		}
	}
}

static void decode_all_kinds(struct world *world, uint64_t seed)
{
	for (int kind = 0; kind < LT_KIND_COUNT; kind++) {
		uint64_t random = next_random(&seed);
		int64_t slots[2] = {24, 4096};
		struct lt_type type = {
			.address = BASE + 0x800,
			.kind = (enum lt_kind)kind,
			.exact = random & 1,
			.gc = random & 2,
			.heap_type = random & 4,
			.managed_dict = random & 8,
			.managed_weakref = random & 16,
			.inline_values = random & 32,
			.python_class = random & 64,
			.basicsize = (int64_t)(16 + (random >> 8) % 2000),
			.itemsize = (int64_t)((random >> 20) % 3 * 8),
			.dictoffset = (int64_t)((random >> 24) % 64 * 8) - 128,
			.base = BASE + (random >> 32) % WORDS * 8,
			.cached_keys = BASE + (random >> 40) % WORDS * 8,
			.module = "m",
			.name = "PyCPointerType",
			.slots = slots,
			.slot_count = random >> 7 & 1 ? 2 : 0,
		};
		lt_addr object = BASE + next_random(&seed) % (WORDS - 64) * 8;
		uint64_t size;
		world->refs.count = 0;
		(void)lt_decode_refs(world->decoder, object, &type, &world->refs);
		for (size_t i = 0; i < world->refs.count; i++)
			assert_true(world->refs.data[i].to != 0 && world->refs.data[i].to % 8 == 0);
		if (lt_decode_size(world->decoder, object, &type, &size))
			assert_true(size < (uint64_t)1 << 45);
	}
}

static void test_noise_ends_in_bounds(void **state)
{
	(void)state;
	for (unsigned column = 0; column < lt_column_count(); column++) {
		for (uint64_t seed = 1; seed <= 40; seed++) {
			struct world world;
			begin(&world, column, NULL);
			fill(&world, seed);
			decode_all_kinds(&world, seed * 7919);
			end(&world);
		}
	}
}

static void test_failing_and_torn_reads_end_in_bounds(void **state)
{
	(void)state;
	static const enum lt_fault_kind kinds[] = {LT_FAULT_FAIL, LT_FAULT_SHORT, LT_FAULT_TEAR};
	for (unsigned column = 0; column < lt_column_count(); column++) {
		for (unsigned i = 0; i < 60; i++) {
			struct lt_fault fault = {
				.kind = kinds[i % 3], .at = 1 + i, .every = 1 + i % 17, .seed = i};
			struct world world;
			begin(&world, column, &fault);
			fill(&world, i);
			decode_all_kinds(&world, i + 1);
			end(&world);
		}
	}
}

static void test_spellings(void **state)
{
	(void)state;
	assert_string_equal(lt_member_spelling(LT_MEMBER_closure), ".__closure__");
	for (int member = 0; member < LT_MEMBER_COUNT; member++) {
		char first = lt_member_spelling((enum lt_member)member)[0];
		assert_true(first == '.' || first == '<');
	}
	assert_string_equal(lt_member_spelling(LT_MEMBER_COUNT), "");
}

static uint64_t draw(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* Whatever the words are: small numbers, addresses in and around the image, anything. */
static void test_plain_rows_are_the_references(void **state)
{
	(void)state;
	static const enum lt_kind kinds[] = {LT_KIND_DICT, LT_KIND_LIST, LT_KIND_TUPLE};
	uint64_t seed = 88172645463325252u, plain = 0;
	for (unsigned column = 0; column < lt_column_count(); column++) {
		struct world world;
		begin(&world, column, NULL);
		for (unsigned round = 0; round < 200; round++) {
			const enum lt_kind kind = kinds[round % 3];
			struct lt_type type =
				type_of(&world, kind,
					kind == LT_KIND_DICT   ? LT_sizeof_PyDictObject
					: kind == LT_KIND_LIST ? LT_sizeof_PyListObject
							       : LT_PyTupleObject_ob_item);
			for (unsigned i = 0; i < WORDS; i++) {
				uint64_t word = draw(&seed);
				unsigned how = (unsigned)(word >> 60);
				world.words[i] = how < 6    ? word % 40
						 : how < 14 ? BASE + word % (SIZE + 256)
							    : word;
			}
			lt_addr object = BASE + draw(&seed) % SIZE / 8 * 8;
			if (kind == LT_KIND_DICT && object + 64 < BASE + SIZE) {
				lt_addr keys = BASE + draw(&seed) % (SIZE - 512) / 8 * 8;
				set(&world, object, LT_PyDictObject_ma_values, 0);
				set(&world, object, LT_PyDictObject_ma_keys, keys);
				(void)make_keys(&world, keys, (unsigned)(draw(&seed) % 7),
						(int)(draw(&seed) % 3));
			}
			plain += check_plain(&world, object, &type);
		}
		end(&world);
	}
	assert_true(plain > 50 * (uint64_t)lt_column_count());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_list_and_tuple),
		cmocka_unit_test(test_list_that_lies_about_its_length),
		cmocka_unit_test(test_plain_rows_are_the_references),
		cmocka_unit_test(test_dict),
		cmocka_unit_test(test_set_leaves_out_removed_members),
		cmocka_unit_test(test_links_in_a_ring_end),
		cmocka_unit_test(test_conservative_scan_is_marked),
		cmocka_unit_test(test_noise_ends_in_bounds),
		cmocka_unit_test(test_failing_and_torn_reads_end_in_bounds),
		cmocka_unit_test(test_spellings),
	};
	return cmocka_run_group_tests_name("decode", tests, NULL, NULL);
}
