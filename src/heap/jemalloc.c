/*
 * jemalloc.c: the runs of pages of jemalloc, and the blocks in its slabs, through its tree of pages.
 *
 * The tree's upper level is an array in static data: a word of it that points to a leaf, and the first run of pages in
 * that leaf, tell where the array must begin. A run is taken only when it says itself that it begins at that page.
 */
#include "heap/foreign_parts.h"

#include "base/cleanup.h"
#include "heap/pymalloc.h"
#include "layout/jemalloc.h"
#include "target/maps.h"

#include <stdlib.h>
#include <string.h>

enum {
	DATA_MAX = 64 << 20, /* bytes of static data that are looked through */
	WINDOWS_TRIED =
		1 << 16, /* pieces of what may be a leaf that are read, until the tree is found */
	WINDOWS_MOST = 1 << 22, /* pieces of leaves that a walk reads: 8 TiB of addresses */
	WINDOW = 512,           /* words of a leaf that are read at once */
	OWN_UNIT = 2 << 20,     /* jemalloc's own memory comes in such units: HUGEPAGE of base.c */
	OWN_UNITS_MOST = 4096,  /* of such that are known */
};

struct extent {
	lt_addr address; /* what the program sees of a large block is not always the first byte */
	uint64_t size;   /* whole pages */
	unsigned state, class, free;
	bool slab;
	uint64_t bitmap[LT_JE_BITMAP_WORDS];
};

static uint64_t word_at(const unsigned char *bytes, size_t at)
{
	uint64_t value;
	memcpy(&value, bytes + at, sizeof(value));
	return value;
}

/* False: there is no run of pages that begins in this page. */
static bool read_extent(const struct lt_view *view, uint64_t entry, lt_addr page,
			struct extent *ret_extent)
{
	unsigned char bytes[LT_JE_EXTENT];
	lt_addr at = entry & LT_JE_EXTENT_MASK;
	if (at == 0 || lt_memory_probe(view->memory, at, bytes, sizeof(bytes)) != sizeof(bytes))
		return false;
	uint64_t bits = word_at(bytes, 0);
	struct extent extent = {
		.address = word_at(bytes, LT_JE_ADDRESS),
		.size = word_at(bytes, LT_JE_SIZE) & ~(uint64_t)(LT_JE_PAGE - 1),
		.state = bits >> LT_JE_STATE_SHIFT & 7,
		.class = bits >> LT_JE_CLASS_SHIFT & 255,
		.free = bits >> LT_JE_FREE_SHIFT & 1023,
		.slab = (bits >> LT_JE_SLAB_SHIFT & 1) != 0,
	};
	memcpy(extent.bitmap, bytes + LT_JE_BITMAP, sizeof(extent.bitmap));
	if ((extent.address & ~(lt_addr)(LT_JE_PAGE - 1)) != page || extent.size == 0 ||
	    extent.size >= (uint64_t)1 << 47 || extent.state > LT_JE_STATE_RETAINED)
		return false;
	*ret_extent = extent;
	return true;
}

/* ---- The tree ---- */

/* Of the run of pages that comes first in the leaf; 0: this is no leaf. */
static lt_addr first_in_leaf(const struct lt_view *view, lt_addr leaf, uint64_t *tried)
{
	uint64_t words[WINDOW];
	for (uint64_t i = 0; i < LT_JE_TREE_WORDS && *tried < WINDOWS_TRIED; i += WINDOW) {
		++*tried;
		if (lt_memory_probe(view->memory, leaf + i * 8, words, sizeof(words)) !=
		    sizeof(words))
			return 0;
		for (unsigned k = 0; k < WINDOW; k++) {
			if (words[k] == 0)
				continue;
			lt_addr at = words[k] & LT_JE_EXTENT_MASK;
			uint64_t address;
			struct extent extent;
			if (!lt_memory_u64(view->memory, at + LT_JE_ADDRESS, &address))
				return 0;
			lt_addr page = address & ~(lt_addr)(LT_JE_PAGE - 1);
			bool fits = (page / LT_JE_PAGE & (LT_JE_TREE_WORDS - 1)) == i + k &&
				    lt_process_mapping(view->process, page) != NULL &&
				    read_extent(view, words[k], page, &extent);
			return fits ? page : 0;
		}
	}
	return 0;
}

static bool may_be_leaf(const struct lt_view *view, uint64_t word)
{
	const struct lt_mapping *mapping =
		word % 64 == 0 ? lt_process_mapping(view->process, word) : NULL;
	return mapping != NULL && lt_mapping_may_hold_heap(mapping) &&
	       mapping->end - word >= LT_JE_TREE_WORDS * 8;
}

static lt_addr find_in(const struct lt_view *view, lt_addr start, uint64_t size)
{
	LT_FREE unsigned char *data = malloc(size);
	if (data == NULL)
		return 0;
	size_t got = lt_memory_probe(view->memory, start, data, size);
	uint64_t tried = 0;
	for (size_t at = 0; at + 8 <= got && tried < WINDOWS_TRIED; at += 8) {
		uint64_t word = word_at(data, at);
		if (word == 0 || !may_be_leaf(view, word))
			continue;
		lt_addr page = first_in_leaf(view, word, &tried);
		uint64_t before = (page >> LT_JE_LEAF_SHIFT) * 8;
		if (page != 0 && before <= at &&
		    at - before + (uint64_t)LT_JE_TREE_WORDS * 8 <= got)
			return start + at - before;
	}
	return 0;
}

lt_addr lt_jemalloc_find(const struct lt_view *view, const char *path)
{
	const struct lt_mappings *mappings = &view->process->mappings;
	for (size_t i = 0; i < mappings->count; i++) {
		const struct lt_mapping *mapping = &mappings->data[i];
		if (!mapping->writable || strcmp(mapping->path, path) != 0)
			continue;
		/* With the .bss behind it. */
		lt_addr end = mapping->end;
		for (size_t k = i + 1;
		     k < mappings->count && mappings->data[k].start == end &&
		     mappings->data[k].writable && mappings->data[k].path[0] == '\0';
		     k++)
			end = mappings->data[k].end;
		uint64_t size = end - mapping->start;
		lt_addr found = find_in(view, mapping->start, size < DATA_MAX ? size : DATA_MAX);
		if (found != 0)
			return found;
	}
	return 0;
}

/* ---- The walk ---- */

struct tree {
	struct lt_foreign_walk *walk;
	uint64_t leaf_number;
	lt_addr leaf;
	lt_addr window; /* page whose word is the first in `words`; 1: none is */
	uint64_t words[WINDOW];
	uint64_t windows;            /* read so far */
	lt_addr own[OWN_UNITS_MOST]; /* where its own memory lies, ascending */
	size_t own_count;
};

static void keep_own(struct tree *tree, lt_addr at)
{
	lt_addr unit = at & ~(lt_addr)(OWN_UNIT - 1);
	size_t low = 0, high = tree->own_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (tree->own[middle] < unit)
			low = middle + 1;
		else
			high = middle;
	}
	if (tree->own_count == OWN_UNITS_MOST || (low < tree->own_count && tree->own[low] == unit))
		return;
	memmove(&tree->own[low + 1], &tree->own[low], (tree->own_count - low) * sizeof(*tree->own));
	tree->own[low] = unit;
	tree->own_count++;
}

/* The word of the page; when the whole leaf has none, *ret_next is behind it. */
static uint64_t look_up(struct tree *tree, lt_addr page, lt_addr *ret_next)
{
	struct lt_memory *memory = tree->walk->view->memory;
	uint64_t number = page >> LT_JE_LEAF_SHIFT;
	*ret_next = page + LT_JE_PAGE;
	if (number != tree->leaf_number) {
		tree->leaf_number = number;
		tree->window = 1;
		if (lt_memory_probe(memory, tree->walk->foreign->key + number * 8, &tree->leaf,
				    8) != 8)
			tree->leaf = 0;
	}
	if (tree->leaf == 0) {
		*ret_next = (number + 1) << LT_JE_LEAF_SHIFT;
		return 0;
	}
	uint64_t index = page / LT_JE_PAGE & (LT_JE_TREE_WORDS - 1);
	lt_addr window = page - index % WINDOW * LT_JE_PAGE;
	if (window != tree->window && tree->windows++ < WINDOWS_MOST) {
		memset(tree->words, 0, sizeof(tree->words));
		(void)!lt_memory_probe(memory, tree->leaf + index / WINDOW * WINDOW * 8,
				       tree->words, sizeof(tree->words));
		tree->window = window;
	}
	return window == tree->window ? tree->words[index % WINDOW] : 0;
}

static void take_slab(struct lt_foreign_walk *walk, const struct extent *extent)
{
	struct lt_foreign *foreign = walk->foreign;
	uint64_t size = lt_je_class_bytes(extent->class);
	uint64_t count = extent->size / size;
	unsigned free = 0;
	if (extent->class >= LT_JE_SMALL_CLASSES || count > LT_JE_BITMAP_WORDS * 64) {
		foreign->torn++;
		return;
	}
	for (uint64_t i = 0; i < count; i++)
		free += extent->bitmap[i / 64] >> (i % 64) & 1;
	/* Its lock was held as it was frozen. */
	foreign->torn += free != extent->free;
	foreign->page_bytes += extent->size;
	foreign->used_blocks += count - free;
	foreign->used_bytes += (count - free) * size;
	for (uint64_t i = 0; i < count && !walk->ended; i++) {
		lt_addr at = extent->address + i * size;
		bool is_free = (extent->bitmap[i / 64] >> (i % 64) & 1) != 0;
		lt_foreign_give(walk, at, size, at, is_free ? LT_FOREIGN_FREE : LT_FOREIGN_USED);
	}
	lt_foreign_give(walk, extent->address + count * size, extent->size - count * size,
			extent->address + count * size, LT_FOREIGN_FREE);
}

static void take_extent(struct lt_foreign_walk *walk, const struct extent *extent, lt_addr page)
{
	struct lt_foreign *foreign = walk->foreign;
	if (extent->state != LT_JE_STATE_ACTIVE) {
		lt_foreign_give(walk, page, extent->size, page, LT_FOREIGN_PAGES);
	} else if (extent->slab) {
		take_slab(walk, extent);
	} else if (extent->class < LT_JE_CLASSES &&
		   lt_je_class_bytes(extent->class) <= extent->size) {
		foreign->page_bytes += extent->size;
		foreign->used_blocks++;
		foreign->used_bytes += lt_je_class_bytes(extent->class);
		lt_foreign_give(walk, page, extent->size, extent->address, LT_FOREIGN_USED);
	} else {
		foreign->torn++;
	}
}

void lt_jemalloc_walk(struct lt_foreign_walk *walk)
{
	const struct lt_view *view = walk->view;
	const struct lt_mappings *mappings = &view->process->mappings;
	LT_FREE struct tree *tree = calloc(1, sizeof(*tree));
	if (tree == NULL)
		return;
	tree->walk = walk;
	tree->leaf_number = UINT64_MAX;
	lt_addr behind = 0;
	for (size_t i = 0; i < mappings->count && !walk->ended; i++) {
		const struct lt_mapping *mapping = &mappings->data[i];
		if (!lt_mapping_may_hold_heap(mapping) || mapping->end >> 48 != 0)
			continue;
		lt_addr at = mapping->start > behind ? mapping->start : behind, next;
		for (; at < mapping->end && !walk->ended; at = next) {
			struct extent extent;
			uint64_t entry = look_up(tree, at, &next);
			if (entry == 0 || !read_extent(view, entry, at, &extent))
				continue;
			keep_own(tree, entry & LT_JE_EXTENT_MASK);
			keep_own(tree, tree->leaf);
			keep_own(tree, tree->leaf + LT_JE_TREE_WORDS * 8 - 1);
			take_extent(walk, &extent, at);
			next = behind = at + extent.size;
		}
	}
	for (size_t i = 0; i < tree->own_count; i++)
		lt_foreign_give(walk, tree->own[i], OWN_UNIT, tree->own[i], LT_FOREIGN_OWN);
}
