#include "watch/copies.h"

#include <stdlib.h>
#include <string.h>

struct memory {
	struct lt_memory base;
	struct lt_memory *under;
	struct lt_copies copies; /* of `bytes` */
	uint8_t bytes[];
};

void lt_copies_add(struct lt_copies *copies, lt_addr address, const uint8_t *bytes, size_t size)
{
	if (copies->count >= LT_COPIES_MOST || address == 0 || size == 0 ||
	    address + size < address)
		return;
	copies->parts[copies->count].address = address;
	copies->parts[copies->count].bytes = bytes;
	copies->parts[copies->count++].size = size;
}

static size_t read_part(const struct lt_copies *copies, lt_addr addr, void *buffer, size_t size)
{
	for (size_t i = 0; i < copies->count; i++) {
		uint64_t at = addr - copies->parts[i].address;
		if (addr < copies->parts[i].address || at >= copies->parts[i].size)
			continue;
		size_t there = copies->parts[i].size - (size_t)at;
		if (there > size)
			there = size;
		memcpy(buffer, copies->parts[i].bytes + at, there);
		return there;
	}
	return 0;
}

size_t lt_copies_read(const struct lt_copies *copies, lt_addr addr, void *buffer, size_t size)
{
	size_t got = 0;
	while (got < size) {
		size_t more = read_part(copies, addr + got, (uint8_t *)buffer + got, size - got);
		if (more == 0)
			break;
		got += more;
	}
	return got;
}

static size_t memory_read(struct lt_memory *memory, lt_addr addr, void *buffer, size_t size)
{
	struct memory *own = (struct memory *)memory;
	size_t got = lt_copies_read(&own->copies, addr, buffer, size);
	if (got < size)
		got += lt_memory_probe(own->under, addr + got, (uint8_t *)buffer + got, size - got);
	return got;
}

static void memory_close(struct lt_memory *memory)
{
	free(memory);
}

struct lt_memory *lt_copies_memory(const struct lt_copies *copies, struct lt_memory *under)
{
	static const struct lt_memory_ops ops = {.read = memory_read, .close = memory_close};
	size_t size = 0, at = 0;
	for (size_t i = 0; i < copies->count; i++)
		size += copies->parts[i].size;
	struct memory *memory = calloc(1, sizeof(*memory) + size);
	if (memory == NULL)
		return NULL;
	memory->base.ops = &ops;
	memory->under = under;
	memory->copies = *copies;
	for (size_t i = 0; i < copies->count; i++) {
		memcpy(memory->bytes + at, copies->parts[i].bytes, copies->parts[i].size);
		memory->copies.parts[i].bytes = memory->bytes + at;
		at += copies->parts[i].size;
	}
	return &memory->base;
}
