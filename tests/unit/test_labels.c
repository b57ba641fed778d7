/* Labels of references as bytes: what is read is what was written, and other bytes are refused or harmless. */
#include "analysis/tide_labels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { NODES = 1000, REFS_MOST = 300, ROUNDS = 2000 };

static uint64_t state = 1;

static uint32_t noise(uint32_t most)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(state >> 33) % most;
}

/* As decoders make them: mostly in order, with names and jumps here and there. */
static size_t make_refs(struct lt_node_ref *refs)
{
	size_t count = noise(REFS_MOST);
	uint32_t index = 0;
	for (size_t i = 0; i < count; i++) {
		struct lt_node_ref *ref = &refs[i];
		*ref = (struct lt_node_ref){
			.to = noise(NODES),
			.name = LT_NO_NODE,
			.index = noise(8) == 0 ? noise(UINT32_MAX) : index++,
			.kind = (enum lt_ref_kind)noise(LT_REF_CONSERVATIVE + 1),
			.untraversed = noise(3) == 0,
			.borrowed = noise(5) == 0,
		};
		if (ref->kind == LT_REF_VALUE && i > 0 && refs[i - 1].kind == LT_REF_KEY)
			ref->name = refs[i - 1].to;
		else if (ref->kind == LT_REF_VALUE || ref->kind == LT_REF_ATTRIBUTE)
			ref->name = noise(NODES);
	}
	return count;
}

static void test_round_trip(void **unused)
{
	(void)unused;
	struct lt_label_names names = {0};
	struct lt_label_bytes bytes = {0};
	struct lt_node_ref refs[REFS_MOST], read[REFS_MOST];
	for (int round = 0; round < ROUNDS; round++) {
		size_t count = make_refs(refs);
		bytes.count = 0;
		assert_true(lt_labels_write(refs, count, &names, &bytes));
		memset(read, 0xff, sizeof(read));
		for (size_t i = 0; i < count; i++)
			read[i].to = refs[i].to;
		assert_true(lt_labels_read(bytes.data, bytes.count, &names, read, count));
		for (size_t i = 0; i < count; i++) {
			assert_int_equal(read[i].to, refs[i].to);
			assert_int_equal(read[i].name, refs[i].name);
			assert_int_equal(read[i].index, refs[i].index);
			assert_int_equal(read[i].kind, refs[i].kind);
			assert_int_equal(read[i].untraversed, refs[i].untraversed);
			assert_int_equal(read[i].borrowed, refs[i].borrowed);
		}
	}
	assert_true(names.count <= NODES);
	lt_label_bytes_deinit(&bytes);
	lt_label_names_deinit(&names);
}

/* The labels of what is in order are one byte each, and the same for each instance of a class. */
static void test_small(void **unused)
{
	(void)unused;
	struct lt_label_names names = {0};
	struct lt_label_bytes first = {0}, second = {0};
	struct lt_node_ref refs[200];
	for (uint32_t i = 0; i < 100; i++) {
		refs[2 * i] = (struct lt_node_ref){
			.to = i, .name = LT_NO_NODE, .index = i, .kind = LT_REF_KEY};
		refs[2 * i + 1] = (struct lt_node_ref){
			.to = 500 + i, .name = i, .index = i, .kind = LT_REF_VALUE};
	}
	assert_true(lt_labels_write(refs, 200, &names, &first));
	assert_int_equal(first.count, 200);
	assert_int_equal(names.count, 0);
	for (uint32_t i = 0; i < 3; i++)
		refs[i] = (struct lt_node_ref){
			.to = i, .name = 700 + i, .index = i, .kind = LT_REF_ATTRIBUTE};
	first.count = 0;
	assert_true(lt_labels_write(refs, 3, &names, &first));
	for (uint32_t i = 0; i < 3; i++)
		refs[i].to += 90;
	assert_true(lt_labels_write(refs, 3, &names, &second));
	assert_int_equal(first.count, second.count);
	assert_memory_equal(first.data, second.data, first.count);
	lt_label_bytes_deinit(&first);
	lt_label_bytes_deinit(&second);
	lt_label_names_deinit(&names);
}

static void test_other_bytes(void **unused)
{
	(void)unused;
	struct lt_label_names names = {0};
	struct lt_label_bytes bytes = {0};
	struct lt_node_ref refs[REFS_MOST], read[REFS_MOST];
	for (int round = 0; round < ROUNDS; round++) {
		size_t count = make_refs(refs);
		bytes.count = 0;
		assert_true(lt_labels_write(refs, count, &names, &bytes));
		if (bytes.count == 0)
			continue;
		/* Cut off, too long, or with a byte of noise. */
		uint8_t *copy = malloc(bytes.count);
		memcpy(copy, bytes.data, bytes.count);
		size_t cut = noise((uint32_t)bytes.count);
		assert_false(lt_labels_read(copy, cut, &names, read, count));
		assert_false(lt_labels_read(copy, bytes.count, &names, read, count - 1));
		copy[noise((uint32_t)bytes.count)] = (uint8_t)noise(256);
		if (lt_labels_read(copy, bytes.count, &names, read, count)) {
			for (size_t i = 0; i < count; i++)
				assert_true(read[i].kind <= LT_REF_CONSERVATIVE);
		}
		free(copy);
	}
	/* A name that is not in the list. */
	const uint8_t beyond[] = {LT_REF_ATTRIBUTE | 128, 0xff, 0xff, 0xff, 0x7f};
	assert_false(lt_labels_read(beyond, sizeof(beyond), &names, read, 1));
	/* A number without an end. */
	const uint8_t endless[] = {
		LT_REF_ITEM | 32, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	assert_false(lt_labels_read(endless, sizeof(endless), &names, read, 1));
	lt_label_bytes_deinit(&bytes);
	lt_label_names_deinit(&names);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_small),
		cmocka_unit_test(test_other_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
