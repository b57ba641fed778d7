/*
 * glibc.h: glibc's allocator in a process: which release it is, where its arenas begin, and how they are laid out.
 *
 * The numbers are in glibc.def.
 */
#ifndef LT_LAYOUT_GLIBC_H
#define LT_LAYOUT_GLIBC_H

#include "base/session.h"
#include "target/memory.h"
#include "target/process.h"

struct lt_glibc_layout {
	uint32_t major, minor;
#define LT_GLIBC_ROW(name, meaning, source, ...) uint32_t name;
#include "layout/glibc.def"
#undef LT_GLIBC_ROW
};

/* The same in all releases: malloc/malloc.c, malloc/arena.c. */
enum {
	LT_CHUNK_PREV_INUSE =
		1, /* bits of a chunk's size word, which is 8 bytes behind its start */
	LT_CHUNK_IS_MMAPPED = 2,
	LT_CHUNK_BITS = 7,
	LT_CHUNK_HEAD = 16,     /* from a chunk to the memory that the program sees */
	LT_CHUNK_MIN = 32,      /* MINSIZE */
	LT_CHUNK_ALIGN = 16,    /* MALLOC_ALIGNMENT */
	LT_ARENA_PIECES = 2,    /* of arena_flags: NONCONTIGUOUS_BIT */
	LT_HEAP_MAX = 64 << 20, /* HEAP_MAX_SIZE: alignment of thread heaps */
	LT_TCACHE_SMALL = 64,   /* lists of one size each */
};

struct lt_glibc {
	bool found;
	char release[16]; /* "2.36", "" when it does not say */
	const struct lt_glibc_layout
		*layout; /* without an allocator too, when the release is known */
	lt_addr main_arena;
	lt_addr parameters; /* of mp_; 0: not found */
	const char *path;   /* of the library or program; owned by the process */
};

/*
 * Looks in the C library of the process, or in the program when it is linked in. `symbols`: may use its symbol
 * table or debug file; what is found so is checked by its structure too. Not found: no glibc, or its allocator was
 * never used.
 */
LT_MUST_CHECK enum lt_status lt_glibc_find(struct lt_session *session,
					   const struct lt_process *process,
					   struct lt_memory *memory, bool symbols,
					   struct lt_glibc *ret_glibc);

/* The layout of a release: that of the newest column that is not newer. NULL: older than all. */
const struct lt_glibc_layout *lt_glibc_layout(uint32_t major, uint32_t minor);

/* True when an arena of this layout is at the address: its bins are lists, and its ring of arenas closes. */
bool lt_glibc_fits(struct lt_memory *memory, const struct lt_glibc_layout *layout, lt_addr arena);

#endif
