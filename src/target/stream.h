/*
 * stream.h: a pass over memory in large reads, each of which begins while the one before is looked at, where the
 * memory can be read ahead (ahead.h).
 */
#ifndef LT_TARGET_STREAM_H
#define LT_TARGET_STREAM_H

#include "target/memory.h"

/* All zero, but for `memory`, `capacity` and `keeps`, is one that has read nothing. */
struct lt_stream {
	struct lt_memory *memory;
	size_t capacity; /* bytes that a read gets at most */
	bool keeps;      /* what was loaded stays until the load after the next */
	unsigned char *bytes, *spare, *kept;
	lt_addr next; /* what was asked for, into `spare`; `next_size` 0: nothing */
	size_t next_size;
};

/*
 * The bytes of [start, start + size); *ret_size of them, counted from the start, are there: less where less could be
 * read, and where `least` or more are there already. NULL: no memory. Valid until the next call (`keeps`: the one after).
 */
const unsigned char *lt_stream_load(struct lt_stream *stream, lt_addr start, size_t least,
				    size_t size, size_t *ret_size);

/* Begins to read where the next load is expected to begin; what is loaded stays. `size` 0: nowhere. */
void lt_stream_ask(struct lt_stream *stream, lt_addr start, size_t size);

/* Takes back what was asked for; for the end of a pass. What was loaded stays. */
void lt_stream_rest(struct lt_stream *stream);
/* The same, and frees the buffers. */
void lt_stream_deinit(struct lt_stream *stream);

#endif
