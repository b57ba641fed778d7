#include "heap/ndarray.h"

enum {
	DATA = 16,
	DIMENSION_COUNT = 24, /* int */
	DIMENSIONS = 32,
	STRIDES = 40,
	BASE = 48,
	DTYPE = 56,
	FLAGS = 64, /* int */
	BODY = 72,
	DIMENSIONS_MAX = 64,
	FLAG_OWN_DATA = 4,
	DTYPE_LETTER = 25, /* PyArray_Descr.type */
	BYTES_OF_SCALAR = 8,
};

#define BYTES_MAX ((uint64_t)1 << 44)

bool lt_ndarray_read(struct lt_memory *memory, lt_addr at, struct lt_ndarray *ret_array)
{
	union {
		uint64_t words[BODY / 8];
		uint32_t halves[BODY / 4];
	} body;
	uint64_t dimensions[DIMENSIONS_MAX] = {0}, strides[DIMENSIONS_MAX] = {0};
	uint8_t letter = 0;
	if (!lt_memory_get(memory, at, &body, sizeof(body)))
		return false;
	struct lt_ndarray array = {
		.data = body.words[DATA / 8],
		.base = body.words[BASE / 8],
		.dtype = body.words[DTYPE / 8],
		.dimensions = body.halves[DIMENSION_COUNT / 4],
		.owns_data = (body.halves[FLAGS / 4] & FLAG_OWN_DATA) != 0,
	};
	size_t size = array.dimensions * sizeof(uint64_t);
	if (array.dimensions > DIMENSIONS_MAX ||
	    (size > 0 && (!lt_memory_get(memory, body.words[DIMENSIONS / 8], dimensions, size) ||
			  !lt_memory_get(memory, body.words[STRIDES / 8], strides, size))))
		return false;
	(void)lt_memory_get(memory, array.dtype + DTYPE_LETTER, &letter, 1);
	array.of_objects = letter == 'O';
	/* An array with memory of its own has no gaps: its longest step covers it. */
	uint64_t bytes = array.dimensions == 0 ? BYTES_OF_SCALAR : 0;
	for (unsigned i = 0; i < array.dimensions; i++) {
		uint64_t stride = (int64_t)strides[i] < 0 ? 0 - strides[i] : strides[i], span;
		if (dimensions[i] == 0) {
			bytes = 0;
			break;
		}
		if (__builtin_mul_overflow(dimensions[i], stride, &span) || span > BYTES_MAX)
			return false;
		bytes = span > bytes ? span : bytes;
	}
	array.bytes = array.owns_data ? bytes : 0;
	*ret_array = array;
	return true;
}
