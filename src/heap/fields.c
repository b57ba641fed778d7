#include "heap/fields.h"

lt_addr lt_read_pointer(const struct lt_view *view, lt_addr base, enum lt_field field)
{
	uint64_t value = 0;
	if (base == 0 || !lt_has(view->layout, field) ||
	    !lt_memory_u64(view->memory, base + lt_off(view->layout, field), &value))
		return 0;
	return value;
}

int64_t lt_read_word(const struct lt_view *view, lt_addr base, enum lt_field field)
{
	return (int64_t)lt_read_pointer(view, base, field);
}

int32_t lt_read_int32(const struct lt_view *view, lt_addr base, enum lt_field field)
{
	uint32_t value = 0;
	if (base == 0 || !lt_has(view->layout, field) ||
	    !lt_memory_u32(view->memory, base + lt_off(view->layout, field), &value))
		return 0;
	return (int32_t)value;
}

uint64_t lt_read_size(const struct lt_view *view, lt_addr object)
{
	int64_t size = lt_read_word(view, object, LT_PyVarObject_ob_size);
	return size < 0 ? 0 : (uint64_t)size;
}
