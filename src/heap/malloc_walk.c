#include "heap/malloc_parts.h"

#include <stdlib.h>
#include <string.h>

enum {
	PAGE = 4096,
	AHEAD = 256 << 10, /* bytes read at once where chunks follow each other closely */
	OVERLAP = 1024,    /* what is looked at, at the end of what was read, may go on behind it */
};

bool lt_chunk_reader_init(struct lt_chunk_reader *reader, struct lt_memory *memory)
{
	*reader = (struct lt_chunk_reader){
		.stream = {.memory = memory, .capacity = AHEAD, .bytes = malloc(AHEAD)}};
	return reader->stream.bytes != NULL;
}

void lt_chunk_reader_deinit(struct lt_chunk_reader *reader)
{
	lt_stream_deinit(&reader->stream);
	reader->bytes = NULL;
	reader->size = 0;
}

const unsigned char *lt_chunk_read(struct lt_chunk_reader *reader, lt_addr addr, size_t size)
{
	lt_addr offset = addr - reader->start;
	if (addr >= reader->start && offset <= reader->size && size <= reader->size - offset)
		return reader->bytes + offset;
	if (addr > UINT64_MAX - AHEAD)
		return NULL;
	/* Behind what is there: chunks are small here. Farther away: they are large, and a page is enough. */
	bool near = addr >= reader->start && offset < reader->size + PAGE && reader->size > 0;
	size_t want = near ? AHEAD : PAGE - (size_t)(addr % PAGE);
	if (want < size)
		want = size;
	reader->start = addr;
	reader->bytes = lt_stream_load(&reader->stream, addr, size, want, &reader->size);
	if (near && reader->size > OVERLAP)
		lt_stream_ask(&reader->stream, addr + reader->size - OVERLAP, AHEAD);
	return reader->size >= size ? reader->bytes : NULL;
}

struct head {
	uint64_t before, size; /* prev_size, size with its bits */
};

static bool read_head(struct lt_chunk_reader *reader, lt_addr at, struct head *ret_head)
{
	const unsigned char *bytes = lt_chunk_read(reader, at, sizeof(*ret_head));
	if (bytes == NULL)
		return false;
	memcpy(ret_head, bytes, sizeof(*ret_head));
	return true;
}

enum lt_chunk_step lt_chunk_next(struct lt_chunk_reader *reader, lt_addr *at, lt_addr end,
				 lt_addr top, struct lt_chunk_at *ret_chunk)
{
	struct head head, next;
	if (*at == end)
		return LT_STEP_END;
	if (*at > end || end - *at < sizeof(head) || !read_head(reader, *at, &head))
		return LT_STEP_TORN;
	uint64_t size = head.size & ~(uint64_t)LT_CHUNK_BITS;
	*ret_chunk = (struct lt_chunk_at){*at, size, false};
	if (size > end - *at || size % LT_CHUNK_ALIGN != 0 ||
	    (head.size & LT_CHUNK_IS_MMAPPED) != 0)
		return LT_STEP_TORN;
	if (*at == top) {
		if (size < LT_CHUNK_MIN || (head.size & LT_CHUNK_PREV_INUSE) == 0)
			return LT_STEP_TORN;
		*at += size;
		return LT_STEP_TOP;
	}
	/* malloc/malloc.c, sysmalloc(): a piece of the main arena ends with two, a heap with one and a size of 0. */
	if (size == LT_CHUNK_HEAD) {
		if (end - *at < 2 * sizeof(head) || !read_head(reader, *at + size, &next) ||
		    (next.size & ~(uint64_t)LT_CHUNK_BITS) > LT_CHUNK_HEAD)
			return LT_STEP_TORN;
		*at += size + LT_CHUNK_HEAD;
		return LT_STEP_FENCE;
	}
	if (size == 0 && head.size == LT_CHUNK_PREV_INUSE) {
		*at += LT_CHUNK_HEAD;
		return LT_STEP_FENCE;
	}
	if (size < LT_CHUNK_MIN || end - *at - size < sizeof(next) ||
	    !read_head(reader, *at + size, &next))
		return LT_STEP_TORN;
	ret_chunk->free = (next.size & LT_CHUNK_PREV_INUSE) == 0;
	if (ret_chunk->free && next.before != size)
		return LT_STEP_TORN;
	*at += size;
	return LT_STEP_CHUNK;
}
