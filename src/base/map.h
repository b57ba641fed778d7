/*
 * map.h: hash map from a 64-bit key to a 64-bit value. Open addressing, linear probing, no removal.
 *
 * All zero is the empty map. The key 0 is allowed. Lookups never allocate.
 */
#ifndef LT_BASE_MAP_H
#define LT_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lt_map_slot {
	uint64_t key;
	uint64_t value;
};

struct lt_map {
	struct lt_map_slot *slots; /* power of two; key 0 means free, the real key 0 stands apart */
	size_t capacity;
	size_t count;
	bool has_zero;
	uint64_t zero_value;
};

void lt_map_deinit(struct lt_map *map);

/* Room for `count` keys without another allocation. False: no memory, map unchanged. */
bool lt_map_reserve(struct lt_map *map, size_t count);

/* Sets or replaces. False: no memory, map unchanged. */
bool lt_map_put(struct lt_map *map, uint64_t key, uint64_t value);

/* A pointer to the value of `key`, made with `initial` when missing; NULL: no memory. Valid until the next put. */
uint64_t *lt_map_at(struct lt_map *map, uint64_t key, uint64_t initial);

/* True when `key` is there; then *ret_value (if not NULL) is its value. */
bool lt_map_get(const struct lt_map *map, uint64_t key, uint64_t *ret_value);

#endif
