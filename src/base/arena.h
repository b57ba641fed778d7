/*
 * arena.h: memory that is freed all at once. All zero is the empty arena.
 */
#ifndef LT_BASE_ARENA_H
#define LT_BASE_ARENA_H

#include <stddef.h>

struct lt_arena_block;

struct lt_arena {
	struct lt_arena_block *blocks;
	size_t left; /* bytes free in the newest block */
};

void lt_arena_deinit(struct lt_arena *arena);

/* Zeroed memory, aligned for any type; NULL: no memory. */
void *lt_arena_alloc(struct lt_arena *arena, size_t size);

/* A NUL-terminated copy of `length` bytes; NULL: no memory. */
char *lt_arena_copy(struct lt_arena *arena, const char *text, size_t length);

#endif
