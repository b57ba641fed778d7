/*
 * memory.h: a target's memory, behind one contract, whatever it comes from.
 *
 * Sources: a live process, a frozen fork of one, a byte image (tests), and a wrapper that fails or
 * tears chosen reads (tests). A page cache stands on any of them. Nothing here knows CPython.
 *
 * A read returns how many bytes it got, counted from the start; it never fails in another way. Bytes
 * past that are left untouched. Each read that comes short is counted in `short_reads`, which the
 * result shows as unreadable; lt_memory_probe() is for addresses that may well be nothing and does not count.
 */
#ifndef LT_TARGET_MEMORY_H
#define LT_TARGET_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* An address in the target. Never a pointer. */
typedef uint64_t lt_addr;

struct lt_memory;
struct lt_ahead;

struct lt_memory_ops {
	/* Bytes read from the start of the range, at most `size`. */
	size_t (*read)(struct lt_memory *memory, lt_addr addr, void *buffer, size_t size);
	/* Releases everything, `memory` itself too. */
	void (*close)(struct lt_memory *memory);
};

/* The first member of each source. */
struct lt_memory {
	const struct lt_memory_ops *ops;
	uint64_t reads;       /* calls */
	uint64_t bytes;       /* bytes delivered */
	uint64_t short_reads; /* counted reads that got less than they asked for */
	struct lt_ahead
		*ahead; /* what reads ahead, of this one or of the one below; NULL: nothing */
	/* Bytes that are at hand: a read within them is a copy, and not counted. None: the size is 0. */
	const unsigned char *held;
	lt_addr held_start;
	size_t held_size;
};

/* The bytes of a range that is at hand whole, valid until the source is asked to hold others; else NULL. */
static inline const unsigned char *lt_memory_at(const struct lt_memory *memory, lt_addr addr,
						size_t size)
{
	lt_addr offset = addr - memory->held_start;
	return offset < memory->held_size && size <= memory->held_size - offset
		       ? memory->held + offset
		       : NULL;
}

size_t lt_memory_read(struct lt_memory *memory, lt_addr addr, void *buffer, size_t size);
size_t lt_memory_probe(struct lt_memory *memory, lt_addr addr, void *buffer, size_t size);

/* True when all `size` bytes came. On false the buffer may be filled in part. */
static inline bool lt_memory_get(struct lt_memory *memory, lt_addr addr, void *buffer, size_t size)
{
	const unsigned char *bytes = lt_memory_at(memory, addr, size);
	if (bytes == NULL)
		return lt_memory_read(memory, addr, buffer, size) == size;
	memcpy(buffer, bytes, size);
	return true;
}

/* The value stays as it is when it cannot be read. */
static inline bool lt_memory_u8(struct lt_memory *memory, lt_addr addr, uint8_t *ret_value)
{
	return lt_memory_get(memory, addr, ret_value, sizeof(*ret_value));
}

static inline bool lt_memory_u32(struct lt_memory *memory, lt_addr addr, uint32_t *ret_value)
{
	uint32_t value;
	if (!lt_memory_get(memory, addr, &value, sizeof(value)))
		return false;
	*ret_value = value;
	return true;
}

static inline bool lt_memory_u64(struct lt_memory *memory, lt_addr addr, uint64_t *ret_value)
{
	uint64_t value;
	if (!lt_memory_get(memory, addr, &value, sizeof(value)))
		return false;
	*ret_value = value;
	return true;
}

/* A C string of at most `capacity` - 1 bytes; always terminated. True when its end was found or the buffer is full. */
bool lt_memory_string(struct lt_memory *memory, lt_addr addr, char *buffer, size_t capacity);

/* Closes a source; NULL is allowed. */
void lt_memory_close(struct lt_memory *memory);

#endif
