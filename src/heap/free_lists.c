#include "heap/free_lists.h"

#include <string.h>

enum { STEP_MOST = 64, MANY_OF = 8 /* an eighth of all is many */ };

bool lt_free_lists_find(const struct lt_layout *layout, lt_addr interpreter,
			struct lt_free_lists *ret_lists)
{
	*ret_lists = (struct lt_free_lists){0};
	if (!lt_has(layout, LT_PyInterpreterState_freelist_tuples))
		return false;
	lt_addr from = interpreter + lt_off(layout, LT_PyInterpreterState_freelist_tuples);
	size_t step = sizeof(int32_t);
	/* Later ones are pairs of the first object and the count. */
	if (lt_has(layout, LT__Py_freelist_size)) {
		from += lt_off(layout, LT__Py_freelist_size);
		step = lt_off(layout, LT_sizeof__Py_freelist);
	}
	if (step > STEP_MOST)
		return false;
	*ret_lists = (struct lt_free_lists){from, step};
	return true;
}

bool lt_free_lists_read(const struct lt_free_lists *lists, struct lt_memory *memory,
			struct lt_free_tuples *ret_tuples)
{
	unsigned char bytes[LT_FREE_TUPLE_LISTS * STEP_MOST];
	size_t size = (LT_FREE_TUPLE_LISTS - 1) * lists->step + sizeof(int32_t);
	if (lists->from == 0 || lt_memory_probe(memory, lists->from, bytes, size) != size)
		return false;
	int32_t counts[LT_FREE_TUPLE_LISTS];
	struct lt_free_tuples found = {0};
	for (size_t i = 0; i < LT_FREE_TUPLE_LISTS; i++) {
		memcpy(&counts[i], bytes + i * lists->step, sizeof(counts[i]));
		if (counts[i] > LT_FREE_TUPLES_MOST)
			return false;
		/* One that is switched off has -1 in it. */
		found.tuples += counts[i] > 0 ? (uint32_t)counts[i] : 0;
	}
	for (size_t i = 0; i < LT_FREE_TUPLE_LISTS; i++)
		found.lists += counts[i] > (int32_t)(found.tuples / MANY_OF);
	*ret_tuples = found;
	return true;
}
