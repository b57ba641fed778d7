/*
 * dict_keys.h: the table of keys of a dict, in every layout that CPython has had.
 */
#ifndef LT_HEAP_DICT_KEYS_H
#define LT_HEAP_DICT_KEYS_H

#include "heap/view.h"

struct lt_dict_keys {
	lt_addr address;
	lt_addr entries;
	lt_addr lookup;  /* the lookup function that tells the kind of keys (<= 3.10), else 0 */
	uint64_t slots;  /* of the hash index: a power of two */
	uint64_t count;  /* entries in use, deleted ones included */
	uint64_t usable; /* entries still free */
	uint64_t bytes;  /* of the whole table */
	int64_t refcount;
	unsigned entry_size;       /* 16 or 24 */
	unsigned key_at, value_at; /* within an entry */
	bool general; /* keys of any type; false: strings only, or not known (<= 3.10) */
	bool split;   /* shared by instances: the values lie elsewhere */
};

/* Reads and bounds the header. False when it cannot be read or makes no sense (not counted). */
bool lt_dict_keys_read(const struct lt_view *view, lt_addr address, struct lt_dict_keys *ret_keys);

/* Values that a split dict over these keys has room for (Objects/dictobject.c: shared_keys_usable_size). */
uint64_t lt_dict_keys_room(const struct lt_view *view, const struct lt_dict_keys *keys);

/*
 * The value of the string key `name` (ASCII) in the dict object at `dict`; 0 when it is not there or the
 * dict cannot be read. Looks at every entry, at most 65,536: for the few lookups at the start.
 */
lt_addr lt_dict_get(const struct lt_view *view, lt_addr dict, const char *name);

#endif
