#include "target/stream.h"

#include "target/ahead.h"

#include <stdlib.h>

void lt_stream_rest(struct lt_stream *stream)
{
	if (stream->next_size > 0)
		lt_ahead_drop(stream->memory);
	stream->next_size = 0;
}

void lt_stream_deinit(struct lt_stream *stream)
{
	lt_stream_rest(stream);
	free(stream->bytes);
	free(stream->spare);
	free(stream->kept);
	stream->bytes = stream->spare = stream->kept = NULL;
}

/* What was asked for, when it holds enough of what is wanted; NULL: it does not, or nothing was. */
static const unsigned char *take_next(struct lt_stream *stream, lt_addr start, size_t least,
				      size_t size, size_t *ret_size)
{
	if (stream->next_size == 0)
		return NULL;
	size_t asked = stream->next_size, got = lt_ahead_answer(stream->memory);
	lt_addr offset = start - stream->next;
	stream->next_size = 0;
	/* Where it ends at a hole, a read from here on ends there too; behind the hole there may be more. */
	if (start < stream->next || offset >= got || least > asked - offset)
		return NULL;
	unsigned char *bytes = stream->spare;
	stream->spare = stream->bytes;
	stream->bytes = bytes;
	*ret_size = got - offset < size ? got - (size_t)offset : size;
	return bytes + offset;
}

const unsigned char *lt_stream_load(struct lt_stream *stream, lt_addr start, size_t least,
				    size_t size, size_t *ret_size)
{
	if (stream->keeps) {
		unsigned char *last = stream->bytes;
		stream->bytes = stream->kept;
		stream->kept = last;
	}
	if (stream->bytes == NULL)
		stream->bytes = malloc(stream->capacity);
	if (stream->bytes == NULL)
		return NULL;
	if (size > stream->capacity)
		size = stream->capacity;
	const unsigned char *bytes = take_next(stream, start, least, size, ret_size);
	if (bytes == NULL) {
		bytes = stream->bytes;
		*ret_size = lt_memory_probe(stream->memory, start, stream->bytes, size);
	}
	return bytes;
}

void lt_stream_ask(struct lt_stream *stream, lt_addr start, size_t size)
{
	lt_stream_rest(stream);
	if (stream->memory->ahead == NULL || size == 0)
		return;
	if (size > stream->capacity)
		size = stream->capacity;
	if (stream->spare == NULL)
		stream->spare = malloc(stream->capacity);
	if (stream->spare == NULL || !lt_ahead_ask(stream->memory, start, stream->spare, size))
		return;
	stream->next = start;
	stream->next_size = size;
}
