#include "store/chunk.h"

#include <stdlib.h>
#include <zstd.h>

enum {
	ITEMS = 64 * 1024,
	BYTE_ITEMS = 256 * 1024,
	RAW_MOST = ITEMS * 8,
	LEVEL = 3, /* docs/tide.md has the figures of the levels */
};

struct lt_chunk_coder {
	ZSTD_CCtx *compressor;
	ZSTD_DCtx *decompressor;
	size_t room;           /* of `packed` */
	unsigned char *planes; /* RAW_MOST bytes */
	unsigned char *packed;
};

size_t lt_chunk_items(unsigned width)
{
	return width == 1 ? BYTE_ITEMS : ITEMS;
}

struct lt_chunk_coder *lt_chunk_coder_create(void)
{
	struct lt_chunk_coder *coder = calloc(1, sizeof(*coder));
	if (coder == NULL)
		return NULL;
	coder->room = ZSTD_compressBound(RAW_MOST);
	coder->compressor = ZSTD_createCCtx();
	coder->decompressor = ZSTD_createDCtx();
	coder->planes = malloc(RAW_MOST);
	coder->packed = malloc(coder->room);
	if (coder->compressor != NULL && coder->decompressor != NULL && coder->planes != NULL &&
	    coder->packed != NULL)
		return coder;
	lt_chunk_coder_destroy(coder);
	return NULL;
}

void lt_chunk_coder_destroy(struct lt_chunk_coder *coder)
{
	if (coder == NULL)
		return;
	ZSTD_freeCCtx(coder->compressor);
	ZSTD_freeDCtx(coder->decompressor);
	free(coder->planes);
	free(coder->packed);
	free(coder);
}

/* All lowest bytes first, then all second ones, and so on: what is alike comes together. */
__attribute__((always_inline)) static inline void to_planes(const void *items, size_t count,
							    unsigned width,
							    enum lt_store_coding coding,
							    unsigned char *planes)
{
	uint64_t before = 0;
	for (size_t i = 0; i < count; i++) {
		uint64_t item = lt_item_get(items, i, width), coded = item;
		if (coding == LT_STORE_DELTA)
			coded = lt_zigzag(item - before, width);
		else if (coding == LT_STORE_SIGNED)
			coded = lt_zigzag(item, width);
		before = item;
		for (unsigned plane = 0; plane < width; plane++)
			planes[plane * count + i] = (unsigned char)(coded >> (8 * plane));
	}
}

__attribute__((always_inline)) static inline void from_planes(const unsigned char *planes,
							      size_t count, unsigned width,
							      enum lt_store_coding coding,
							      void *ret_items)
{
	uint64_t before = 0;
	for (size_t i = 0; i < count; i++) {
		uint64_t coded = 0;
		for (unsigned plane = 0; plane < width; plane++)
			coded |= (uint64_t)planes[plane * count + i] << (8 * plane);
		uint64_t item = coded;
		if (coding == LT_STORE_DELTA)
			item = before + lt_unzigzag(coded, width);
		else if (coding == LT_STORE_SIGNED)
			item = lt_unzigzag(coded, width);
		lt_item_put(ret_items, i, width, item);
		before = item;
	}
}

bool lt_chunk_encode(struct lt_chunk_coder *coder, const void *items, size_t count, unsigned width,
		     enum lt_store_coding coding, const void **ret_bytes, size_t *ret_length)
{
	if (width == 1)
		to_planes(items, count, 1, coding, coder->planes);
	else if (width == 4)
		to_planes(items, count, 4, coding, coder->planes);
	else
		to_planes(items, count, 8, coding, coder->planes);
	size_t length = ZSTD_compressCCtx(coder->compressor, coder->packed, coder->room,
					  coder->planes, count * width, LEVEL);
	if (ZSTD_isError(length))
		return false;
	*ret_bytes = coder->packed;
	*ret_length = length;
	return true;
}

bool lt_chunk_decode(struct lt_chunk_coder *coder, const void *bytes, size_t length, size_t count,
		     unsigned width, enum lt_store_coding coding, void *ret_items)
{
	if (count > lt_chunk_items(width))
		return false;
	size_t got = ZSTD_decompressDCtx(coder->decompressor, coder->planes, count * width, bytes,
					 length);
	if (ZSTD_isError(got) || got != count * width)
		return false;
	if (width == 1)
		from_planes(coder->planes, count, 1, coding, ret_items);
	else if (width == 4)
		from_planes(coder->planes, count, 4, coding, ret_items);
	else
		from_planes(coder->planes, count, 8, coding, ret_items);
	return true;
}
