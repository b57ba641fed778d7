#include "base/arena.h"

#include "base/shortage.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_SIZE = 64 * 1024 };

struct lt_arena_block {
	struct lt_arena_block *next;
	size_t size;
	alignas(max_align_t) char data[];
};

void lt_arena_deinit(struct lt_arena *arena)
{
	struct lt_arena_block *block = arena->blocks;
	while (block != NULL) {
		struct lt_arena_block *next = block->next;
		free(block);
		block = next;
	}
	arena->blocks = NULL;
	arena->left = 0;
}

void *lt_arena_alloc(struct lt_arena *arena, size_t size)
{
	if (size > SIZE_MAX / 2)
		return NULL;
	size = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
	if (size > arena->left) {
		size_t room = size > BLOCK_SIZE ? size : (size_t)BLOCK_SIZE;
		struct lt_arena_block *block = calloc(1, sizeof(*block) + room);
		if (block == NULL) {
			lt_shortage_note();
			return NULL;
		}
		block->size = room;
		block->next = arena->blocks;
		arena->blocks = block;
		arena->left = room;
	}
	struct lt_arena_block *block = arena->blocks;
	void *result = block->data + (block->size - arena->left);
	arena->left -= size;
	return result;
}

char *lt_arena_copy(struct lt_arena *arena, const char *text, size_t length)
{
	char *copy = lt_arena_alloc(arena, length + 1);
	if (copy != NULL)
		memcpy(copy, text, length);
	return copy;
}
