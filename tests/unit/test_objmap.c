/* Sets of pages and of objects, and their numbering. */
#include "heap/objmap.h"
#include "heap/pageset.h"
#include "heap/wordmap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static uint64_t seed = 88172645463325252u;

static uint64_t draw(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static int by_value(const void *left, const void *right)
{
	lt_addr a = *(const lt_addr *)left, b = *(const lt_addr *)right;
	return (a > b) - (a < b);
}

static void numbers_follow_addresses(void **state)
{
	(void)state;
	enum { COUNT = 20000 };
	lt_addr *all = calloc(COUNT, sizeof(*all));
	struct lt_objmap *map = lt_objmap_create();
	assert_non_null(all);
	assert_non_null(map);
	for (size_t i = 0; i < COUNT; i++) {
		/* Crowded and lonely chunks, low and high addresses. */
		lt_addr base = i % 3 == 0   ? 0x10000
			       : i % 3 == 1 ? 0x7f0000000000
					    : draw() % ((lt_addr)1 << 47);
		all[i] = (base + draw() % (1 << 20)) & ~(lt_addr)7 & (((lt_addr)1 << 47) - 1);
		assert_true(lt_objmap_add(map, all[i]));
		assert_true(lt_objmap_has(map, all[i]));
	}
	/* Added twice, or no address of an object: nothing changes. */
	assert_true(lt_objmap_add(map, all[0]));
	assert_true(lt_objmap_add(map, 0x1234));
	assert_true(lt_objmap_add(map, all[1] + 4));
	assert_true(lt_objmap_add(map, (lt_addr)1 << 47));
	assert_true(lt_objmap_add(map, UINT64_MAX - 7));
	assert_false(lt_objmap_has(map, all[1] + 4));
	assert_false(lt_objmap_has(map, (lt_addr)1 << 47));

	qsort(all, COUNT, sizeof(*all), by_value);
	size_t unique = 0;
	for (size_t i = 0; i < COUNT; i++)
		if (unique == 0 || all[unique - 1] != all[i])
			all[unique++] = all[i];
	/* In one step, where the chunk is there. */
	assert_int_equal(lt_objmap_meet(map, all[0]), LT_OBJMAP_KNOWN);
	assert_int_equal(lt_objmap_meet(map, all[0] + 4), LT_OBJMAP_KNOWN);
	assert_int_equal(lt_objmap_meet(map, (lt_addr)1 << 47), LT_OBJMAP_KNOWN);
	assert_int_equal(lt_objmap_meet(map, 0x200000), LT_OBJMAP_FAR);
	assert_false(lt_objmap_has(map, 0x200000));
	lt_objmap_mark(map, 0x200000);
	lt_objmap_remove(map, all[unique - 1]);
	assert_int_equal(lt_objmap_meet(map, all[unique - 1]), LT_OBJMAP_NEW);
	assert_true(lt_objmap_has(map, all[unique - 1]));
	assert_false(lt_objmap_unmark(map, all[unique - 1]));
	lt_objmap_mark(map, all[unique - 1]);
	lt_objmap_mark(map, all[unique - 1]);
	assert_true(lt_objmap_unmark(map, all[unique - 1]));
	lt_objmap_remove(map, all[unique - 1]);
	lt_objmap_remove(map, all[unique - 1]);
	unique--;
	assert_true(lt_objmap_number(map));
	assert_int_equal(lt_objmap_count(map), unique);
	for (size_t i = 0; i < unique; i++) {
		assert_int_equal(lt_objmap_find(map, all[i]), i);
		assert_int_equal(lt_objmap_address(map, (uint32_t)i), all[i]);
	}
	size_t walked = 0;
	for (size_t chunk = 0; chunk < lt_objmap_chunks(map); chunk++) {
		for (lt_addr object = 0; (object = lt_objmap_next(map, chunk, object)) != 0;
		     object += LT_OBJMAP_ALIGN)
			assert_int_equal(object, all[walked++]);
	}
	assert_int_equal(walked, unique);
	for (size_t i = 0; i < unique; i++)
		assert_int_equal(lt_objmap_after(map, all[i]), i + 1 < unique ? all[i + 1] : 0);
	struct lt_objmap_cursor cursor;
	for (size_t from = 0; from <= unique; from += unique / 7) {
		lt_objmap_seek(map, (uint32_t)from, &cursor);
		for (size_t i = from; i < unique; i++)
			assert_int_equal(lt_objmap_step(map, &cursor), all[i]);
		assert_int_equal(lt_objmap_step(map, &cursor), 0);
		assert_int_equal(lt_objmap_step(map, &cursor), 0);
	}
	assert_int_equal(lt_objmap_find(map, all[unique]), UINT32_MAX);
	assert_int_equal(lt_objmap_find(map, 1), UINT32_MAX);
	assert_int_equal(lt_objmap_find(map, UINT64_MAX), UINT32_MAX);
	lt_objmap_destroy(map);
	free(all);
}

static void marks_are_taken_once(void **state)
{
	(void)state;
	struct lt_objmap *map = lt_objmap_create();
	assert_non_null(map);
	for (lt_addr address = 0x100000; address < 0x100000 + 3 * LT_OBJMAP_CHUNK; address += 48)
		assert_true(lt_objmap_add(map, address));
	size_t taken = 0;
	for (size_t chunk = 0; chunk < lt_objmap_chunks(map); chunk++) {
		lt_addr object = 0, last = 0;
		while ((object = lt_objmap_take(map, chunk, object)) != 0) {
			assert_true(object > last);
			assert_int_equal((object - 0x100000) % 48, 0);
			last = object;
			taken++;
		}
		assert_int_equal(lt_objmap_marked(map, chunk), 0);
	}
	assert_int_equal(taken, (3 * LT_OBJMAP_CHUNK + 47) / 48);
	/* What is known is not marked again; what is new is, also behind the last one that was taken. */
	assert_true(lt_objmap_add(map, 0x100000));
	assert_int_equal(lt_objmap_marked(map, 0), 0);
	assert_true(lt_objmap_add(map, 0x100008));
	assert_int_equal(lt_objmap_marked(map, 0), 1);
	assert_int_equal(lt_objmap_take(map, 0, 0x100010), 0);
	assert_int_equal(lt_objmap_take(map, 0, 0x100000 + LT_OBJMAP_CHUNK - 1), 0);
	assert_int_equal(lt_objmap_take(map, 0, 0), 0x100008);
	lt_objmap_clear(map);
	assert_int_equal(lt_objmap_chunks(map), 0);
	assert_false(lt_objmap_has(map, 0x100000));
	assert_true(lt_objmap_number(map));
	assert_int_equal(lt_objmap_count(map), 0);
	lt_objmap_destroy(map);
	lt_objmap_destroy(NULL);
}

/* As if one had found all of it; what either has looked at is not looked at again. */
static void two_become_one(void **state)
{
	(void)state;
	enum { COUNT = 3000, RANGE = 5 * LT_OBJMAP_CHUNK };
	static const lt_addr base = 0x3fff8000; /* the end of a leaf is among them */
	static uint8_t known[2][RANGE / 8], marked[2][RANGE / 8];
	struct lt_objmap *maps[2] = {lt_objmap_create(), lt_objmap_create()};
	assert_non_null(maps[0]);
	assert_non_null(maps[1]);
	for (unsigned i = 0; i < 2 * COUNT; i++) {
		unsigned which = i % 2, word = (unsigned)(draw() % (RANGE / 8));
		/* One has a chunk of its own, as has the other one. */
		if (word / (LT_OBJMAP_CHUNK / 8) == 3 * which)
			continue;
		lt_addr address = base + (lt_addr)word * 8;
		bool looked_at = draw() % 2 != 0;
		if (known[which][word] == 0)
			marked[which][word] = 1;
		known[which][word] = 1;
		assert_true(lt_objmap_add(maps[which], address));
		if (looked_at) {
			marked[which][word] = 0;
			(void)lt_objmap_unmark(maps[which], address);
		}
	}
	assert_true(lt_objmap_join(maps[0], maps[1]));
	size_t count = 0;
	for (unsigned word = 0; word < RANGE / 8; word++) {
		bool first = known[0][word] != 0, second = known[1][word] != 0;
		bool left = (first || second) && (!first || marked[0][word] != 0) &&
			    (!second || marked[1][word] != 0);
		lt_addr address = base + (lt_addr)word * 8;
		assert_int_equal(lt_objmap_has(maps[0], address), first || second);
		assert_int_equal(lt_objmap_unmark(maps[0], address), left);
		count += first || second;
	}
	assert_int_equal(lt_objmap_found(maps[0]), count);
	assert_int_equal(lt_objmap_marked_from(maps[0], 0), SIZE_MAX);
	assert_true(lt_objmap_number(maps[0]));
	assert_int_equal(lt_objmap_count(maps[0]), count);
	lt_objmap_destroy(maps[0]);
	lt_objmap_destroy(maps[1]);
}

static void marked_chunks_come_by_address(void **state)
{
	(void)state;
	/* Not in the order in which they were added; two of them at the ends of leaves. */
	static const lt_addr all[] = {0x7f0000004000, 0x100000, 0x3fffc008, 0x40000000,
				      ((lt_addr)1 << 47) - 8};
	static const size_t order[] = {1, 2, 3, 0, 4};
	enum { COUNT = sizeof(all) / sizeof(all[0]) };
	struct lt_objmap *map = lt_objmap_create();
	assert_non_null(map);
	assert_true(lt_objmap_marked_from(map, 0) == SIZE_MAX);
	for (size_t i = 0; i < COUNT; i++) {
		assert_true(lt_objmap_chunk_at(map, all[i]) == SIZE_MAX);
		assert_true(lt_objmap_add(map, all[i]));
		assert_int_equal(lt_objmap_chunk_at(map, all[i]), i);
	}
	assert_true(lt_objmap_chunk_at(map, (lt_addr)1 << 47) == SIZE_MAX);
	lt_addr from = 0;
	for (size_t i = 0; i < COUNT; i++) {
		size_t chunk = lt_objmap_marked_from(map, from);
		assert_int_equal(chunk, order[i]);
		from = lt_objmap_chunk_address(map, chunk) + LT_OBJMAP_CHUNK;
	}
	assert_true(lt_objmap_marked_from(map, from) == SIZE_MAX);
	assert_true(lt_objmap_marked_from(map, UINT64_MAX) == SIZE_MAX);
	/* Without its mark an object stays one, and gets no new mark. */
	assert_true(lt_objmap_unmark(map, all[2]));
	assert_false(lt_objmap_unmark(map, all[2]));
	assert_false(lt_objmap_unmark(map, all[2] + 8));
	assert_false(lt_objmap_unmark(map, all[2] + 4));
	assert_false(lt_objmap_unmark(map, 0x200000));
	assert_true(lt_objmap_has(map, all[2]));
	assert_true(lt_objmap_add(map, all[2]));
	assert_int_equal(lt_objmap_marked(map, 2), 0);
	assert_int_equal(lt_objmap_marked_from(map, 0x100000 + LT_OBJMAP_CHUNK), 3);
	lt_objmap_destroy(map);
}

static void pages_of_ranges(void **state)
{
	(void)state;
	struct lt_pageset set = {0};
	assert_false(lt_pageset_has(&set, 0x1000));
	assert_true(lt_pageset_add(&set, 0x5800, 0x5801));
	assert_true(
		lt_pageset_add(&set, 0x3ffff000, 0x40001000)); /* over the border of two leaves */
	assert_true(lt_pageset_add(&set, 9, 9));
	assert_true(lt_pageset_add(&set, ((lt_addr)1 << 47) - 1, UINT64_MAX));
	assert_true(lt_pageset_has(&set, 0x5000) && lt_pageset_has(&set, 0x5fff));
	assert_false(lt_pageset_has(&set, 0x4fff) || lt_pageset_has(&set, 0x6000) ||
		     lt_pageset_has(&set, 0));
	assert_true(lt_pageset_has(&set, 0x3fffffff) && lt_pageset_has(&set, 0x40000fff));
	assert_false(lt_pageset_has(&set, 0x40001000));
	assert_true(lt_pageset_has(&set, ((lt_addr)1 << 47) - 1));
	assert_false(lt_pageset_has(&set, (lt_addr)1 << 47) || lt_pageset_has(&set, UINT64_MAX));
	lt_pageset_deinit(&set);
	lt_pageset_deinit(&set);
}

/* What the map should say of an address: the number that it was first added with. */
static bool find_plain(const lt_addr *keys, const uint32_t *values, size_t count, lt_addr at,
		       uint32_t *ret_value)
{
	for (size_t i = 0; i < count; i++) {
		if (keys[i] == at) {
			*ret_value = values[i];
			return true;
		}
	}
	return false;
}

static void numbers_of_words(void **state)
{
	(void)state;
	enum { COUNT = 1500 };
	static lt_addr keys[COUNT];
	static uint32_t values[COUNT];
	struct lt_wordmap map = {0}, parts[3] = {{0}, {0}, {0}};
	uint32_t value, plain;
	assert_false(lt_wordmap_get(&map, 0x1000, &value));
	assert_false(lt_wordmap_first(&map, 1, 0x1000, 9, &value));
	for (size_t i = 0; i < COUNT; i++) {
		/* Full pages, lonely ones, and the ends of what there can be; numbers on both sides of 65535. */
		lt_addr base = i % 4 == 0 ? draw() % ((lt_addr)1 << 46) : 0x3fffe000;
		keys[i] = (base + draw() % 0x4000) & ~(lt_addr)7;
		values[i] = i % 5 == 0 ? 65530 + (uint32_t)i % 20 : (uint32_t)i;
		assert_true(lt_wordmap_add(&map, keys[i], values[i]));
		assert_true(lt_wordmap_add(&parts[i / (COUNT / 3)], keys[i], values[i]));
	}
	assert_true(lt_wordmap_add(&map, ((lt_addr)1 << 47) - 8, 7));
	assert_true(lt_wordmap_add(&map, (lt_addr)1 << 47, 8));
	assert_true(lt_wordmap_add(&map, 0x3fffe001, 8));
	assert_false(lt_wordmap_get(&map, (lt_addr)1 << 47, &value));
	assert_false(lt_wordmap_get(&map, 0x3fffe001, &value));
	for (lt_addr word = 0x3fffdff0; word < 0x40002010; word += 8) {
		bool known = find_plain(keys, values, COUNT, word, &plain);
		assert_int_equal(lt_wordmap_get(&map, word, &value), known);
		assert_true(!known || value == plain);
		bool first = false;
		for (unsigned i = 0; i < 9 && !first; i++)
			first = find_plain(keys, values, COUNT, word + 8 * (lt_addr)i, &plain);
		/* Alone, and in three maps, of which the one that was filled first goes before the others. */
		assert_int_equal(lt_wordmap_first(&map, 1, word, 9, &value), first);
		assert_true(!first || value == plain);
		assert_int_equal(lt_wordmap_first(parts, 3, word, 9, &value), first);
		assert_true(!first || value == plain);
	}
	assert_true(lt_wordmap_get(&map, ((lt_addr)1 << 47) - 8, &value));
	assert_int_equal(value, 7);
	for (size_t i = 0; i < 3; i++)
		lt_wordmap_deinit(&parts[i]);
	lt_wordmap_deinit(&map);
	lt_wordmap_deinit(&map);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_follow_addresses),
		cmocka_unit_test(marks_are_taken_once),
		cmocka_unit_test(two_become_one),
		cmocka_unit_test(marked_chunks_come_by_address),
		cmocka_unit_test(pages_of_ranges),
		cmocka_unit_test(numbers_of_words),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
