/*
 * foreign.h: C allocators other than glibc's: which one a process has, and each block of jemalloc's and mimalloc's memory.
 *
 * One counts when its library is mapped, or when the program has it linked in. What it knows of its memory is found by
 * structure, since libraries are stripped: jemalloc's tree of pages in the static data of its file, mimalloc's
 * segments at their alignment. What does not agree with itself is counted as torn and not used.
 */
#ifndef LT_HEAP_FOREIGN_H
#define LT_HEAP_FOREIGN_H

#include "heap/view.h"

enum lt_foreign_state {
	LT_FOREIGN_USED, /* handed out; those in caches of threads count as used, as in jemalloc's own figures */
	LT_FOREIGN_FREE,  /* a free block between used ones */
	LT_FOREIGN_PAGES, /* free pages, resident until the allocator gives them back */
	LT_FOREIGN_OWN,   /* what the allocator needs itself */
	LT_FOREIGN_STATES
};

struct lt_foreign_block {
	lt_addr start,
		address; /* of what is accounted for, and of the memory that the program sees */
	uint64_t size;   /* from `start` on */
	enum lt_foreign_state state;
};

struct lt_foreign {
	const char *name; /* "jemalloc", "mimalloc", "tcmalloc", "musl"; NULL: none of them */
	/* In the environment: free pages go back at once, or after a second; "" for none, static. */
	const char *setting;
	char release[16]; /* of jemalloc: "5.3.0"; "" when it does not say */
	bool beside; /* glibc's is in use too: CPython has a mimalloc from 3.13 on, PYTHONMALLOC=mimalloc takes it */
	bool found;          /* its memory can be walked; all below is 0 otherwise */
	uint64_t used_bytes; /* of blocks in use, by size class: jemalloc's stats.allocated */
	uint64_t used_blocks;
	uint64_t page_bytes; /* of all pages with blocks in use: jemalloc's stats.active */
	uint64_t torn;       /* pages and runs of pages that make no sense */
	lt_addr key;         /* jemalloc: its tree; mimalloc: what is in all cookies */
};

/* True when the C library's allocator is not in use. */
static inline bool lt_foreign_replaces(const struct lt_foreign *foreign)
{
	return foreign->name != NULL && !foreign->beside;
}

void lt_foreign_find(const struct lt_view *view, struct lt_foreign *ret_foreign);

/* Every block of one that was found, by ascending address, then jemalloc's own memory; false from `visit` ends the walk. */
typedef bool (*lt_foreign_visit)(void *ctx, const struct lt_foreign_block *block);
void lt_foreign_walk(const struct lt_view *view, const struct lt_foreign *foreign,
		     lt_foreign_visit visit, void *ctx);

#endif
