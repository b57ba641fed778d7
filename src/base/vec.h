/*
 * vec.h: a growing array, generated for an element type.
 *
 *     LT_VEC(lt_ranges, struct lt_range)
 *     struct lt_ranges ranges = {0};                 all zero is the empty vector
 *     if (!lt_ranges_push(&ranges, range)) ...       false: no memory, vector unchanged
 *     ranges.data[i], i < ranges.count
 *     lt_ranges_deinit(&ranges);
 */
#ifndef LT_BASE_VEC_H
#define LT_BASE_VEC_H

#include "base/shortage.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define LT_VEC(name, type)                                                                         \
	struct name {                                                                              \
		type *data;                                                                        \
		size_t count;                                                                      \
		size_t capacity;                                                                   \
	};                                                                                         \
	__attribute__((unused)) static inline bool name##_reserve(struct name *vec, size_t wanted) \
	{                                                                                          \
		if (vec->data != NULL && wanted <= vec->capacity)                                  \
			return true;                                                               \
		size_t grown = vec->capacity < 8 ? 8 : vec->capacity + vec->capacity / 2;          \
		if (grown < wanted)                                                                \
			grown = wanted;                                                            \
		if (grown > SIZE_MAX / sizeof(type))                                               \
			return false;                                                              \
		type *data = (type *)realloc(vec->data, grown * sizeof(type));                     \
		if (data == NULL) {                                                                \
			lt_shortage_note();                                                        \
			return false;                                                              \
		}                                                                                  \
		vec->data = data;                                                                  \
		vec->capacity = grown;                                                             \
		return true;                                                                       \
	}                                                                                          \
	__attribute__((unused)) static inline bool name##_push(struct name *vec, type element)     \
	{                                                                                          \
		if (!name##_reserve(vec, vec->count + 1))                                          \
			return false;                                                              \
		vec->data[vec->count++] = element;                                                 \
		return true;                                                                       \
	}                                                                                          \
	__attribute__((unused)) static inline void name##_deinit(struct name *vec)                 \
	{                                                                                          \
		free(vec->data);                                                                   \
		vec->data = NULL;                                                                  \
		vec->count = 0;                                                                    \
		vec->capacity = 0;                                                                 \
	}                                                                                          \
	struct name

/* Used as `LT_VEC(lt_ranges, struct lt_range);` */

#endif
