/*
 * objmap.h: a compact set of object addresses that becomes a numbering of them.
 *
 * The address space is cut into chunks of 16 KiB; a chunk with an object in it has a bit for each
 * 8 bytes. First objects are added, each with a mark that it is still to be looked at; then
 * lt_objmap_number() gives each object its rank by address, found by counting bits. Memory: about 1/50
 * of the address range that holds objects, whatever their number.
 */
#ifndef LT_HEAP_OBJMAP_H
#define LT_HEAP_OBJMAP_H

#include "target/memory.h"

struct lt_objmap;

enum {
	LT_OBJMAP_CHUNK_BITS = 14,
	LT_OBJMAP_CHUNK = 1 << LT_OBJMAP_CHUNK_BITS,
	LT_OBJMAP_ALIGN = 8, /* of objects */
};

/* NULL: no memory. */
struct lt_objmap *lt_objmap_create(void);
void lt_objmap_destroy(struct lt_objmap *map);

/* Forgets all objects. */
void lt_objmap_clear(struct lt_objmap *map);

/*
 * Adds an object and marks it when it is new. An address that is no multiple of 8 or not below 2^47 is
 * left out. False: no memory.
 */
bool lt_objmap_add(struct lt_objmap *map, lt_addr address);

/*
 * The same in one step where an object of the address' chunk is known already, and without the mark: FAR says that none
 * is, and nothing was done. What lt_objmap_add() leaves out is KNOWN.
 */
enum lt_objmap_place { LT_OBJMAP_KNOWN, LT_OBJMAP_NEW, LT_OBJMAP_FAR };
enum lt_objmap_place lt_objmap_meet(struct lt_objmap *map, lt_addr address);
/* Before the numbering: how many objects were added and met; some may have been removed since. */
size_t lt_objmap_found(const struct lt_objmap *map);
/* Marks an object again, or one that was met. */
void lt_objmap_mark(struct lt_objmap *map, lt_addr address);

void lt_objmap_remove(struct lt_objmap *map, lt_addr address);
/*
 * Before the numbering: adds the objects of another map. What has no mark in one of the two was looked at: it has none
 * then. False: no memory.
 */
bool lt_objmap_join(struct lt_objmap *map, const struct lt_objmap *other);
/* Takes the mark off the object, which stays one. False: it had none. */
bool lt_objmap_unmark(struct lt_objmap *map, lt_addr address);
bool lt_objmap_has(const struct lt_objmap *map, lt_addr address);
/* True when some object of the address' chunk was added, so that one more costs no memory. */
bool lt_objmap_near(const struct lt_objmap *map, lt_addr address);

/* Chunks in the order of first sight before the numbering, by address after it. */
size_t lt_objmap_chunks(const struct lt_objmap *map);
lt_addr lt_objmap_chunk_address(const struct lt_objmap *map, size_t chunk);
/* The chunk that the address lies in, SIZE_MAX when no object of it was added. */
size_t lt_objmap_chunk_at(const struct lt_objmap *map, lt_addr address);

/* The chunk with marked objects that has the lowest address, of those at or above `from`; SIZE_MAX: there is none. */
size_t lt_objmap_marked_from(const struct lt_objmap *map, lt_addr from);
/* Marked objects of a chunk. */
uint32_t lt_objmap_marked(const struct lt_objmap *map, size_t chunk);
/* The lowest object at or above `from` in the chunk; 0: there is none. */
lt_addr lt_objmap_next(const struct lt_objmap *map, size_t chunk, lt_addr from);
/* Takes the mark off the lowest marked object at or above `from` in the chunk; 0: there is none. */
lt_addr lt_objmap_take(struct lt_objmap *map, size_t chunk, lt_addr from);

/*
 * Numbers the objects by address; nothing can be added or removed from here on. False: no memory, or
 * more than 2^32 - 2 objects.
 */
bool lt_objmap_number(struct lt_objmap *map);
uint32_t lt_objmap_count(const struct lt_objmap *map);

/* After the numbering: UINT32_MAX when the address is no object's. */
uint32_t lt_objmap_find(const struct lt_objmap *map, lt_addr address);
/* The number of the first object of a chunk. */
uint32_t lt_objmap_first(const struct lt_objmap *map, size_t chunk);
/* number < lt_objmap_count() */
lt_addr lt_objmap_address(const struct lt_objmap *map, uint32_t number);
/* The object behind another one, whose address is given: what a walk over all of them needs. 0: there is none. */
lt_addr lt_objmap_after(const struct lt_objmap *map, lt_addr object);

/* The same for a walk by steps: it stands before an object, or behind the last one. */
struct lt_objmap_cursor {
	size_t chunk;
	unsigned word;
	lt_addr base;  /* that the first bit of the word stands for */
	uint64_t bits; /* of the word: objects that are still to come */
};
/* On to the next word with an object; false: there is none. */
bool lt_objmap_turn(const struct lt_objmap *map, struct lt_objmap_cursor *cursor);
/* Before the object of a number; lt_objmap_count() is the end. */
void lt_objmap_seek(const struct lt_objmap *map, uint32_t number,
		    struct lt_objmap_cursor *ret_cursor);
/* Past the next object, whose address it gives; 0: there is none. */
static inline lt_addr lt_objmap_step(const struct lt_objmap *map, struct lt_objmap_cursor *cursor)
{
	if (cursor->bits == 0 && !lt_objmap_turn(map, cursor))
		return 0;
	unsigned bit = (unsigned)__builtin_ctzll(cursor->bits);
	cursor->bits &= cursor->bits - 1;
	return cursor->base + (lt_addr)bit * LT_OBJMAP_ALIGN;
}

#endif
