/*
 * copies.h: parts of a process's memory as they were at a moment, in front of its memory as it is now. What a probe
 * saw can so be read when it is gone: the code objects of an interpreter that has ended, for one.
 */
#ifndef LT_WATCH_COPIES_H
#define LT_WATCH_COPIES_H

#include "target/memory.h"

enum { LT_COPIES_MOST = 16 };

struct lt_copies {
	size_t count;
	struct {
		lt_addr address;
		const uint8_t *bytes;
		size_t size;
	} parts[LT_COPIES_MOST];
};

/* Adds a part; the bytes are not copied yet. More than LT_COPIES_MOST, and empty ones, are left out. */
void lt_copies_add(struct lt_copies *copies, lt_addr address, const uint8_t *bytes, size_t size);

/* Bytes from `addr` on that the parts have. */
size_t lt_copies_read(const struct lt_copies *copies, lt_addr addr, void *buffer, size_t size);

/* A memory of them, bytes included, over `under`, which must live as long. NULL: no memory. lt_memory_close(). */
struct lt_memory *lt_copies_memory(const struct lt_copies *copies, struct lt_memory *under);

#endif
