#include "heap/window.h"

#include "target/cache.h"
#include "target/stream.h"

#include <stdlib.h>
#include <string.h>

/* For what the window does not hold: types, shared keys, tables beside the objects. */
enum {
	CACHE_BYTES = 16 << 20,
	GAP = 256 << 10, /* from one window to the next of a pass */
};

struct piece {
	lt_addr start;
	size_t size;
	const unsigned char *bytes; /* in a buffer of the stream */
};

struct lt_window {
	struct lt_memory memory;
	struct lt_memory *lender;
	struct lt_memory *under; /* a cache over the lender */
	struct piece now, before;
	lt_addr last_end; /* of the window before: a pass goes on from there */
	bool alone;       /* nothing is read ahead */
	struct lt_stream stream;
};

/* What the cache stands on: it closes that in the end, and the lender must stay. */
struct borrowed {
	struct lt_memory memory;
	struct lt_memory *lender;
};

static size_t read_borrowed(struct lt_memory *memory, lt_addr addr, void *buffer, size_t size)
{
	return lt_memory_probe(((struct borrowed *)memory)->lender, addr, buffer, size);
}

static void close_borrowed(struct lt_memory *memory)
{
	free(memory);
}

static const struct lt_memory_ops borrowed_ops = {read_borrowed, close_borrowed};

const unsigned char *lt_window_at(const struct lt_window *window, lt_addr address, size_t size)
{
	lt_addr offset = address - window->now.start;
	if (offset < window->now.size && size <= window->now.size - offset)
		return window->now.bytes + offset;
	offset = address - window->before.start;
	if (offset < window->before.size && size <= window->before.size - offset)
		return window->before.bytes + offset;
	return NULL;
}

bool lt_window_holds(const struct lt_window *window, lt_addr address, size_t size)
{
	return lt_window_at(window, address, size) != NULL;
}

bool lt_window_before(const struct lt_window *window, lt_addr *ret_start, lt_addr *ret_end)
{
	*ret_start = window->before.start;
	*ret_end = window->before.start + window->before.size;
	return window->before.size > 0;
}

static size_t read_window(struct lt_memory *memory, lt_addr addr, void *buffer, size_t size)
{
	struct lt_window *window = (struct lt_window *)memory;
	const unsigned char *bytes = lt_window_at(window, addr, size);
	if (bytes == NULL)
		return lt_memory_probe(window->under, addr, buffer, size);
	memcpy(buffer, bytes, size);
	return size;
}

/* The owner destroys it with lt_window_destroy(). */
static void close_window(struct lt_memory *memory)
{
	(void)memory;
}

static const struct lt_memory_ops window_ops = {read_window, close_window};

enum lt_status lt_window_create(struct lt_session *session, struct lt_memory *under,
				struct lt_window **ret_window)
{
	struct lt_window *window = calloc(1, sizeof(*window));
	struct borrowed *borrowed = calloc(1, sizeof(*borrowed));
	if (window == NULL || borrowed == NULL) {
		free(borrowed);
		free(window);
		return lt_fail_memory(session);
	}
	borrowed->memory.ops = &borrowed_ops;
	borrowed->lender = under;
	borrowed->memory.ahead = under->ahead;
	enum lt_status status =
		lt_cache_create(session, &borrowed->memory, CACHE_BYTES, &window->under);
	if (status != LT_OK) {
		free(borrowed);
		free(window);
		return status;
	}
	window->memory.ops = &window_ops;
	window->lender = under;
	window->memory.ahead = under->ahead;
	window->stream = (struct lt_stream){
		.memory = window->under, .capacity = LT_WINDOW_MAX, .keeps = true};
	*ret_window = window;
	return LT_OK;
}

void lt_window_destroy(struct lt_window *window)
{
	if (window == NULL)
		return;
	if (window->lender != NULL)
		lt_window_settle(window);
	lt_stream_deinit(&window->stream);
	lt_memory_close(window->under);
	free(window);
}

struct lt_memory *lt_window_memory(struct lt_window *window)
{
	return &window->memory;
}

const unsigned char *lt_window_load(struct lt_window *window, lt_addr start, size_t size,
				    size_t *ret_size)
{
	if (size > LT_WINDOW_MAX)
		size = LT_WINDOW_MAX;
	/* Small windows, and those far from each other, are no pass. */
	bool goes_on = start - window->last_end <= GAP && size >= LT_CACHE_BULK;
	window->before = window->now;
	window->now = (struct piece){.start = start};
	window->memory.held_size = 0;
	window->last_end = start + size;
	window->now.bytes = lt_stream_load(&window->stream, start, size, size, &window->now.size);
	window->memory.held = window->now.bytes;
	window->memory.held_start = start;
	window->memory.held_size = window->now.size;
	if (goes_on && !window->alone)
		lt_stream_ask(&window->stream, window->last_end, LT_WINDOW_MAX);
	*ret_size = window->now.size;
	return window->now.bytes;
}

void lt_window_set_ahead(struct lt_window *window, bool ahead)
{
	window->alone = !ahead;
}

void lt_window_clear(struct lt_window *window, bool free_buffer)
{
	window->now.size = window->before.size = window->memory.held_size = 0;
	lt_stream_rest(&window->stream);
	if (free_buffer)
		lt_stream_deinit(&window->stream);
}

bool lt_window_reach(struct lt_window *window, lt_addr address)
{
	unsigned char byte;
	return lt_memory_probe(window->lender, address, &byte, 1) == 1;
}

void lt_window_settle(struct lt_window *window)
{
	window->lender->short_reads += window->memory.short_reads;
	window->memory.short_reads = 0;
}

void lt_window_let_go(struct lt_window *window)
{
	lt_window_settle(window);
	lt_stream_rest(&window->stream);
	window->stream.memory = NULL;
	window->memory.ahead = window->under->ahead = NULL;
	window->lender = NULL;
}
