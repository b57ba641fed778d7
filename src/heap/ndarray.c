#include "heap/ndarray.h"

#include "layout/numpy.h"

enum { DIMENSIONS_MAX = 64, BYTES_OF_SCALAR = 8 };

#define BYTES_MAX ((uint64_t)1 << 44)

bool lt_ndarray_read(struct lt_memory *memory, lt_addr at, struct lt_ndarray *ret_array)
{
	union {
		uint64_t words[LT_NUMPY_BODY / 8];
		uint32_t halves[LT_NUMPY_BODY / 4];
	} body;
	uint64_t dimensions[DIMENSIONS_MAX] = {0}, strides[DIMENSIONS_MAX] = {0};
	uint8_t letter = 0;
	if (!lt_memory_get(memory, at, &body, sizeof(body)))
		return false;
	struct lt_ndarray array = {
		.data = body.words[LT_NUMPY_DATA / 8],
		.base = body.words[LT_NUMPY_BASE / 8],
		.dtype = body.words[LT_NUMPY_DTYPE / 8],
		.dimensions = body.halves[LT_NUMPY_DIMENSION_COUNT / 4],
		.owns_data = (body.halves[LT_NUMPY_FLAGS / 4] & LT_NUMPY_FLAG_OWN_DATA) != 0,
	};
	size_t size = array.dimensions * sizeof(uint64_t);
	if (array.dimensions > DIMENSIONS_MAX ||
	    (size > 0 &&
	     (!lt_memory_get(memory, body.words[LT_NUMPY_DIMENSIONS / 8], dimensions, size) ||
	      !lt_memory_get(memory, body.words[LT_NUMPY_STRIDES / 8], strides, size))))
		return false;
	(void)lt_memory_get(memory, array.dtype + LT_NUMPY_DTYPE_LETTER, &letter, 1);
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
