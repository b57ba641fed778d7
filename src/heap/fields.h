/*
 * fields.h: one member of a struct of the target. What cannot be read is 0, and counted by the memory.
 */
#ifndef LT_HEAP_FIELDS_H
#define LT_HEAP_FIELDS_H

#include "heap/view.h"

/* The pointer at base + field; 0 when the release has no such field, base is 0, or it cannot be read. */
lt_addr lt_read_pointer(const struct lt_view *view, lt_addr base, enum lt_field field);

/* The signed word, or 32-bit int, at base + field; 0 likewise. */
int64_t lt_read_word(const struct lt_view *view, lt_addr base, enum lt_field field);
int32_t lt_read_int32(const struct lt_view *view, lt_addr base, enum lt_field field);

/* ob_size of a variable-size object, 0 when it cannot be read or is negative. */
uint64_t lt_read_size(const struct lt_view *view, lt_addr object);

#endif
