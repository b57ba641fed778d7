/*
 * chunk.h: a piece of a column as bytes of the file: items transformed, their bytes sorted by significance,
 * compressed by zstd.
 */
#ifndef LT_STORE_CHUNK_H
#define LT_STORE_CHUNK_H

#include "store/store.h"

struct lt_chunk_coder;

/* Most items of a chunk of this width: as many in every chunk but the last. */
size_t lt_chunk_items(unsigned width);

/* NULL: no memory. */
struct lt_chunk_coder *lt_chunk_coder_create(void);
void lt_chunk_coder_destroy(struct lt_chunk_coder *coder);

/* *ret_bytes is valid until the next call for this coder. False: no memory. */
bool lt_chunk_encode(struct lt_chunk_coder *coder, const void *items, size_t count, unsigned width,
		     enum lt_store_coding coding, const void **ret_bytes, size_t *ret_length);

/* False: these are not the bytes of `count` such items. Nothing is allocated for what the bytes claim. */
bool lt_chunk_decode(struct lt_chunk_coder *coder, const void *bytes, size_t length, size_t count,
		     unsigned width, enum lt_store_coding coding, void *ret_items);

/* Small for small numbers of either sign, in `width` bytes, and back. */
static inline uint64_t lt_zigzag(uint64_t value, unsigned width)
{
	unsigned spare = 64 - 8 * width;
	int64_t number = (int64_t)(value << spare) >> spare;
	return ((uint64_t)number << 1 ^ (uint64_t)(number >> 63)) & UINT64_MAX >> spare;
}

static inline uint64_t lt_unzigzag(uint64_t coded, unsigned width)
{
	unsigned spare = 64 - 8 * width;
	return (coded >> 1 ^ -(coded & 1)) & UINT64_MAX >> spare;
}

/* Item i of an array of items of this width, in the byte order of this machine. */
static inline uint64_t lt_item_get(const void *items, size_t i, unsigned width)
{
	switch (width) {
	case 1:
		return ((const uint8_t *)items)[i];
	case 4:
		return ((const uint32_t *)items)[i];
	default:
		return ((const uint64_t *)items)[i];
	}
}

static inline void lt_item_put(void *items, size_t i, unsigned width, uint64_t item)
{
	switch (width) {
	case 1:
		((uint8_t *)items)[i] = (uint8_t)item;
		break;
	case 4:
		((uint32_t *)items)[i] = (uint32_t)item;
		break;
	default:
		((uint64_t *)items)[i] = item;
		break;
	}
}

#endif
