#include "target/memory.h"

#include <string.h>

size_t lt_memory_probe(struct lt_memory *memory, lt_addr addr, void *buffer, size_t size)
{
	if (size == 0)
		return 0;
	const unsigned char *bytes = lt_memory_at(memory, addr, size);
	if (bytes != NULL) {
		memcpy(buffer, bytes, size);
		return size;
	}
	memory->reads++;
	/* A range that wraps around the end of the address space ends there. */
	size_t room = addr == 0 ? SIZE_MAX : (size_t)(0 - addr);
	size_t got = memory->ops->read(memory, addr, buffer, size < room ? size : room);
	memory->bytes += got;
	return got;
}

size_t lt_memory_read(struct lt_memory *memory, lt_addr addr, void *buffer, size_t size)
{
	size_t got = lt_memory_probe(memory, addr, buffer, size);
	if (got < size)
		memory->short_reads++;
	return got;
}

bool lt_memory_string(struct lt_memory *memory, lt_addr addr, char *buffer, size_t capacity)
{
	/* Pieces end at page borders: the page behind the string's end may well be missing. */
	enum { PIECE = 256 };
	if (capacity == 0)
		return false;
	size_t length = 0;
	while (length < capacity - 1) {
		size_t want = PIECE - (size_t)((addr + length) % PIECE);
		if (want > capacity - 1 - length)
			want = capacity - 1 - length;
		size_t got = lt_memory_probe(memory, addr + length, buffer + length, want);
		const char *end = memchr(buffer + length, '\0', got);
		if (end != NULL)
			return true;
		length += got;
		if (got < want) {
			memory->short_reads++;
			buffer[length] = '\0';
			return false;
		}
	}
	buffer[length] = '\0';
	return true;
}

void lt_memory_close(struct lt_memory *memory)
{
	if (memory != NULL)
		memory->ops->close(memory);
}
