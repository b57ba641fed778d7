#include "base/map.h"

#include "base/shortage.h"

#include <stdlib.h>
#include <string.h>

/* Finalizer of MurmurHash3: target addresses share their low bits. */
static inline uint64_t hash(uint64_t key)
{
	key ^= key >> 33;
	key *= 0xff51afd7ed558ccdu;
	key ^= key >> 33;
	key *= 0xc4ceb9fe1a85ec53u;
	key ^= key >> 33;
	return key;
}

void lt_map_deinit(struct lt_map *map)
{
	free(map->slots);
	memset(map, 0, sizeof(*map));
}

/* The slot of `key`, or the free slot where it belongs. `key` is not 0, capacity is not 0. */
static struct lt_map_slot *find(const struct lt_map *map, uint64_t key)
{
	size_t mask = map->capacity - 1;
	size_t i = hash(key) & mask;
	while (map->slots[i].key != 0 && map->slots[i].key != key)
		i = (i + 1) & mask;
	return &map->slots[i];
}

bool lt_map_reserve(struct lt_map *map, size_t count)
{
	if (count > SIZE_MAX / 4 / sizeof(struct lt_map_slot))
		return false;
	size_t wanted = 16;
	while (wanted < count + count / 2 + 1)
		wanted *= 2;
	if (wanted <= map->capacity)
		return true;
	struct lt_map grown = *map;
	grown.slots = calloc(wanted, sizeof(*grown.slots));
	grown.capacity = wanted;
	if (grown.slots == NULL) {
		lt_shortage_note();
		return false;
	}
	for (size_t i = 0; i < map->capacity; i++)
		if (map->slots[i].key != 0)
			*find(&grown, map->slots[i].key) = map->slots[i];
	free(map->slots);
	*map = grown;
	return true;
}

uint64_t *lt_map_at(struct lt_map *map, uint64_t key, uint64_t initial)
{
	if (key == 0) {
		if (!map->has_zero) {
			map->has_zero = true;
			map->zero_value = initial;
			map->count++;
		}
		return &map->zero_value;
	}
	if (!lt_map_reserve(map, map->count + 1))
		return NULL;
	struct lt_map_slot *slot = find(map, key);
	if (slot->key == 0) {
		slot->key = key;
		slot->value = initial;
		map->count++;
	}
	return &slot->value;
}

bool lt_map_put(struct lt_map *map, uint64_t key, uint64_t value)
{
	uint64_t *place = lt_map_at(map, key, value);
	if (place == NULL)
		return false;
	*place = value;
	return true;
}

bool lt_map_get(const struct lt_map *map, uint64_t key, uint64_t *ret_value)
{
	uint64_t value;
	if (key == 0) {
		if (!map->has_zero)
			return false;
		value = map->zero_value;
	} else {
		if (map->capacity == 0)
			return false;
		const struct lt_map_slot *slot = find(map, key);
		if (slot->key == 0)
			return false;
		value = slot->value;
	}
	if (ret_value != NULL)
		*ret_value = value;
	return true;
}
