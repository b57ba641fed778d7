#include "analysis/sparse.h"

#include "heap/pymalloc.h"

#include <stdlib.h>
#include <string.h>

enum { PAGE = 4096 };

struct sparse {
	struct lt_memory memory;
	struct lt_memory *below;
	const struct lt_resident *resident;
	size_t last; /* mapping of the read before */
};

static void sparse_close(struct lt_memory *memory)
{
	free(memory);
}

/* True when the page at `at` reads as zeros without being touched. */
static bool is_hole(const struct lt_resident *resident, size_t index, lt_addr at)
{
	const struct lt_smap *smap = &resident->smaps.list.data[index];
	const struct lt_resident_mapping *mapping = &resident->mappings[index];
	if (!resident->by_page || !lt_mapping_may_hold_heap(&smap->mapping) || smap->swap > 0)
		return false;
	if (mapping->pages == NULL)
		return smap->rss == 0;
	uint64_t page = (at - mapping->start) / PAGE;
	return (mapping->pages[page / 64] >> (page % 64) & 1) == 0;
}

static size_t sparse_read(struct lt_memory *memory, lt_addr addr, void *buffer, size_t size)
{
	struct sparse *sparse = (struct sparse *)memory;
	const struct lt_resident *resident = sparse->resident;
	size_t done = 0;
	while (done < size) {
		lt_addr at = addr + done;
		size_t index = sparse->last = lt_resident_find(sparse->resident, at, sparse->last);
		bool inside =
			index < resident->smaps.list.count && at >= resident->mappings[index].start;
		bool hole = inside && is_hole(resident, index, at);
		/* As many pages as are alike. */
		size_t piece = PAGE - (size_t)(at % PAGE);
		while (piece < size - done && inside &&
		       at + piece < resident->mappings[index].end &&
		       is_hole(resident, index, at + piece) == hole)
			piece += PAGE;
		if (piece > size - done)
			piece = size - done;
		size_t got = piece;
		if (hole)
			memset((char *)buffer + done, 0, piece);
		else
			got = lt_memory_probe(sparse->below, at, (char *)buffer + done, piece);
		done += got;
		if (got < piece)
			break;
	}
	return done;
}

static const struct lt_memory_ops sparse_ops = {.read = sparse_read, .close = sparse_close};

struct lt_memory *lt_sparse_open(struct lt_memory *below, const struct lt_resident *resident)
{
	struct sparse *sparse = calloc(1, sizeof(*sparse));
	if (sparse == NULL)
		return NULL;
	sparse->memory.ops = &sparse_ops;
	sparse->below = below;
	sparse->resident = resident;
	return &sparse->memory;
}
