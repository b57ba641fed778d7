#include "heap/objmap.h"

#include "base/bits.h"
#include "base/vec.h"

#include <string.h>

enum {
	TOP_BITS = 47,
	LEAF_BITS = 30, /* addresses a leaf covers */
	LEAF_SLOTS = 1 << (LEAF_BITS - LT_OBJMAP_CHUNK_BITS),
	TOP_SLOTS = 1 << (TOP_BITS - LEAF_BITS),
	WORDS = LT_OBJMAP_CHUNK / 8 / 64, /* of bits, a chunk */
	STEP_BITS = 8,                    /* of numbers, between two of `step` */
};

struct chunk {
	lt_addr address;
	uint32_t first;       /* number of its first object, after the numbering */
	uint32_t marked;      /* before it: marked objects */
	uint16_t rank[WORDS]; /* objects of the chunk before each word */
	uint64_t known[WORDS];
};
LT_VEC(chunks, struct chunk);

struct marks {
	uint64_t bits[WORDS];
};
LT_VEC(all_marks, struct marks);

struct lt_objmap {
	uint32_t **leaves; /* address >> LEAF_BITS; index of the chunk + 1, 0 for none */
	struct chunks chunks;
	struct all_marks marks; /* of each chunk; empty after the numbering */
	uint32_t *
		step; /* after the numbering: the chunk of each number that is a multiple of 2^STEP_BITS */
	uint32_t count;
	size_t found;
};

struct lt_objmap *lt_objmap_create(void)
{
	struct lt_objmap *map = calloc(1, sizeof(*map));
	if (map == NULL)
		return NULL;
	map->leaves = calloc(TOP_SLOTS, sizeof(*map->leaves));
	if (map->leaves == NULL) {
		free(map);
		return NULL;
	}
	return map;
}

void lt_objmap_clear(struct lt_objmap *map)
{
	for (size_t i = 0; i < TOP_SLOTS; i++) {
		free(map->leaves[i]);
		map->leaves[i] = NULL;
	}
	chunks_deinit(&map->chunks);
	all_marks_deinit(&map->marks);
	free(map->step);
	map->step = NULL;
	map->count = 0;
	map->found = 0;
}

void lt_objmap_destroy(struct lt_objmap *map)
{
	if (map == NULL)
		return;
	lt_objmap_clear(map);
	free(map->leaves);
	free(map);
}

/* Index of the address' chunk + 1, 0 for none. */
static uint32_t slot_of(const struct lt_objmap *map, lt_addr address)
{
	if (address >> TOP_BITS != 0)
		return 0;
	const uint32_t *leaf = map->leaves[address >> LEAF_BITS];
	return leaf != NULL ? leaf[address >> LT_OBJMAP_CHUNK_BITS & (LEAF_SLOTS - 1)] : 0;
}

bool lt_objmap_near(const struct lt_objmap *map, lt_addr address)
{
	return slot_of(map, address) != 0;
}

static unsigned bit_of(lt_addr address)
{
	return (unsigned)(address & (LT_OBJMAP_CHUNK - 1)) / 8;
}

/* The same, made when there is none. 0: no memory. */
static uint32_t make_slot(struct lt_objmap *map, lt_addr address)
{
	uint32_t **leaf = &map->leaves[address >> LEAF_BITS];
	if (*leaf == NULL) {
		*leaf = calloc(LEAF_SLOTS, sizeof(**leaf));
		if (*leaf == NULL)
			return 0;
	}
	uint32_t *slot = &(*leaf)[address >> LT_OBJMAP_CHUNK_BITS & (LEAF_SLOTS - 1)];
	if (*slot == 0) {
		struct chunk chunk = {.address = address & ~(lt_addr)(LT_OBJMAP_CHUNK - 1)};
		struct marks marks = {{0}};
		if (map->chunks.count >= UINT32_MAX - 1 ||
		    !all_marks_reserve(&map->marks, map->chunks.count + 1) ||
		    !chunks_push(&map->chunks, chunk) || !all_marks_push(&map->marks, marks))
			return 0;
		*slot = (uint32_t)map->chunks.count;
	}
	return *slot;
}

bool lt_objmap_add(struct lt_objmap *map, lt_addr address)
{
	if (address >> TOP_BITS != 0 || (address & 7) != 0)
		return true;
	uint32_t slot = make_slot(map, address);
	if (slot == 0)
		return false;
	struct chunk *chunk = &map->chunks.data[slot - 1];
	unsigned bit = bit_of(address);
	uint64_t mask = (uint64_t)1 << (bit % 64);
	if ((chunk->known[bit / 64] & mask) == 0) {
		chunk->known[bit / 64] |= mask;
		map->marks.data[slot - 1].bits[bit / 64] |= mask;
		chunk->marked++;
		map->found++;
	}
	return true;
}

enum lt_objmap_place lt_objmap_meet(struct lt_objmap *map, lt_addr address)
{
	if (address >> TOP_BITS != 0 || (address & 7) != 0)
		return LT_OBJMAP_KNOWN;
	uint32_t slot = slot_of(map, address);
	if (slot == 0)
		return LT_OBJMAP_FAR;
	unsigned bit = bit_of(address);
	uint64_t *known = &map->chunks.data[slot - 1].known[bit / 64];
	uint64_t mask = (uint64_t)1 << (bit % 64);
	if ((*known & mask) != 0)
		return LT_OBJMAP_KNOWN;
	*known |= mask;
	map->found++;
	return LT_OBJMAP_NEW;
}

size_t lt_objmap_found(const struct lt_objmap *map)
{
	return map->found;
}

void lt_objmap_mark(struct lt_objmap *map, lt_addr address)
{
	uint32_t slot = slot_of(map, address);
	if (slot == 0 || (address & 7) != 0)
		return;
	struct chunk *chunk = &map->chunks.data[slot - 1];
	uint64_t *bits = &map->marks.data[slot - 1].bits[bit_of(address) / 64];
	uint64_t mask = (uint64_t)1 << (bit_of(address) % 64);
	if ((chunk->known[bit_of(address) / 64] & mask) != 0 && (*bits & mask) == 0) {
		*bits |= mask;
		chunk->marked++;
	}
}

bool lt_objmap_unmark(struct lt_objmap *map, lt_addr address)
{
	uint32_t slot = slot_of(map, address);
	if (slot == 0 || (address & 7) != 0)
		return false;
	uint64_t *bits = &map->marks.data[slot - 1].bits[bit_of(address) / 64];
	uint64_t mask = (uint64_t)1 << (bit_of(address) % 64);
	if ((*bits & mask) == 0)
		return false;
	*bits &= ~mask;
	map->chunks.data[slot - 1].marked--;
	return true;
}

void lt_objmap_remove(struct lt_objmap *map, lt_addr address)
{
	uint32_t slot = slot_of(map, address);
	if (slot == 0 || (address & 7) != 0)
		return;
	(void)lt_objmap_unmark(map, address);
	unsigned bit = bit_of(address);
	map->chunks.data[slot - 1].known[bit / 64] &= ~((uint64_t)1 << (bit % 64));
}

bool lt_objmap_join(struct lt_objmap *map, const struct lt_objmap *other)
{
	for (size_t i = 0; i < other->chunks.count; i++) {
		const struct chunk *from = &other->chunks.data[i];
		uint32_t slot = make_slot(map, from->address);
		if (slot == 0)
			return false;
		struct chunk *to = &map->chunks.data[slot - 1];
		to->marked = 0;
		for (unsigned word = 0; word < WORDS; word++) {
			uint64_t *marks = &map->marks.data[slot - 1].bits[word];
			uint64_t others = other->marks.data[i].bits[word];
			uint64_t seen = (to->known[word] & ~*marks) | (from->known[word] & ~others);
			map->found += lt_bits(from->known[word] & ~to->known[word]);
			to->known[word] |= from->known[word];
			*marks = (*marks | others) & ~seen;
			to->marked += lt_bits(*marks);
		}
	}
	return true;
}

bool lt_objmap_has(const struct lt_objmap *map, lt_addr address)
{
	uint32_t slot = slot_of(map, address);
	if (slot == 0 || (address & 7) != 0)
		return false;
	unsigned bit = bit_of(address);
	return (map->chunks.data[slot - 1].known[bit / 64] >> (bit % 64) & 1) != 0;
}

size_t lt_objmap_chunks(const struct lt_objmap *map)
{
	return map->chunks.count;
}

lt_addr lt_objmap_chunk_address(const struct lt_objmap *map, size_t chunk)
{
	return map->chunks.data[chunk].address;
}

size_t lt_objmap_chunk_at(const struct lt_objmap *map, lt_addr address)
{
	return (size_t)slot_of(map, address) - 1;
}

size_t lt_objmap_marked_from(const struct lt_objmap *map, lt_addr from)
{
	size_t slot = from >> LT_OBJMAP_CHUNK_BITS & (LEAF_SLOTS - 1);
	for (size_t top = from >> LEAF_BITS; top < TOP_SLOTS; top++, slot = 0) {
		const uint32_t *leaf = map->leaves[top];
		for (; leaf != NULL && slot < LEAF_SLOTS; slot++)
			if (leaf[slot] != 0 && map->chunks.data[leaf[slot] - 1].marked != 0)
				return leaf[slot] - 1;
	}
	return SIZE_MAX;
}

uint32_t lt_objmap_marked(const struct lt_objmap *map, size_t chunk)
{
	return map->chunks.data[chunk].marked;
}

/* The lowest object at or above `from` among those of `bits`, a chunk's; 0: there is none. */
static lt_addr lowest(const struct chunk *chunk, const uint64_t *bits, lt_addr from)
{
	lt_addr offset = from > chunk->address ? from + 7 - chunk->address : 0;
	if (offset >= LT_OBJMAP_CHUNK)
		return 0;
	unsigned bit = (unsigned)offset / 8;
	unsigned word = bit / 64;
	uint64_t left = bits[word] & ~(uint64_t)0 << (bit % 64);
	while (left == 0) {
		if (++word == WORDS)
			return 0;
		left = bits[word];
	}
	return chunk->address + ((lt_addr)word * 64 + (unsigned)__builtin_ctzll(left)) * 8;
}

lt_addr lt_objmap_take(struct lt_objmap *map, size_t index, lt_addr from)
{
	struct chunk *chunk = &map->chunks.data[index];
	struct marks *marks = &map->marks.data[index];
	lt_addr found = chunk->marked > 0 ? lowest(chunk, marks->bits, from) : 0;
	if (found != 0) {
		marks->bits[bit_of(found) / 64] &= ~((uint64_t)1 << (bit_of(found) % 64));
		chunk->marked--;
	}
	return found;
}

lt_addr lt_objmap_next(const struct lt_objmap *map, size_t index, lt_addr from)
{
	const struct chunk *chunk = &map->chunks.data[index];
	return lowest(chunk, chunk->known, from);
}

static int by_address(const void *left, const void *right)
{
	lt_addr a = ((const struct chunk *)left)->address,
		b = ((const struct chunk *)right)->address;
	return (a > b) - (a < b);
}

static bool make_steps(struct lt_objmap *map)
{
	size_t steps = ((size_t)map->count >> STEP_BITS) + 1;
	map->step = malloc(steps * sizeof(*map->step));
	if (map->step == NULL)
		return false;
	size_t chunk = 0;
	for (size_t i = 0; i < steps; i++) {
		while (chunk + 1 < map->chunks.count &&
		       map->chunks.data[chunk + 1].first <= i << STEP_BITS)
			chunk++;
		map->step[i] = (uint32_t)chunk;
	}
	return true;
}

bool lt_objmap_number(struct lt_objmap *map)
{
	all_marks_deinit(&map->marks);
	/* In place: a merge sort would need the memory twice. They are nearly sorted already. */
	bool sorted = true;
	for (size_t i = 1; i < map->chunks.count && sorted; i++)
		sorted = map->chunks.data[i - 1].address < map->chunks.data[i].address;
	if (!sorted)
		qsort(map->chunks.data, map->chunks.count, sizeof(*map->chunks.data), by_address);
	uint64_t total = 0;
	for (size_t i = 0; i < map->chunks.count; i++) {
		struct chunk *chunk = &map->chunks.data[i];
		chunk->first = (uint32_t)total;
		unsigned inside = 0;
		for (unsigned word = 0; word < WORDS; word++) {
			chunk->rank[word] = (uint16_t)inside;
			inside += lt_bits(chunk->known[word]);
		}
		total += inside;
		if (total >= UINT32_MAX)
			return false;
		map->leaves[chunk->address >> LEAF_BITS][chunk->address >> LT_OBJMAP_CHUNK_BITS &
							 (LEAF_SLOTS - 1)] = (uint32_t)i + 1;
	}
	map->count = (uint32_t)total;
	return make_steps(map);
}

uint32_t lt_objmap_count(const struct lt_objmap *map)
{
	return map->count;
}

uint32_t lt_objmap_first(const struct lt_objmap *map, size_t chunk)
{
	return map->chunks.data[chunk].first;
}

uint32_t lt_objmap_find(const struct lt_objmap *map, lt_addr address)
{
	uint32_t slot = slot_of(map, address);
	if (slot == 0 || (address & 7) != 0)
		return UINT32_MAX;
	const struct chunk *chunk = &map->chunks.data[slot - 1];
	unsigned bit = bit_of(address);
	unsigned word = bit / 64;
	uint64_t here = chunk->known[word];
	if ((here >> (bit % 64) & 1) == 0)
		return UINT32_MAX;
	return chunk->first + chunk->rank[word] + lt_bits(here & (((uint64_t)1 << (bit % 64)) - 1));
}

lt_addr lt_objmap_address(const struct lt_objmap *map, uint32_t number)
{
	/* The last chunk that begins at or below the number; empty chunks have the number of the next one. */
	size_t at = number >> STEP_BITS;
	size_t low = map->step[at];
	size_t high =
		at < map->count >> STEP_BITS ? (size_t)map->step[at + 1] + 1 : map->chunks.count;
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;
		if (map->chunks.data[middle].first <= number)
			low = middle;
		else
			high = middle;
	}
	const struct chunk *chunk = &map->chunks.data[low];
	unsigned left = number - chunk->first;
	unsigned word = WORDS - 1;
	while (word > 0 && chunk->rank[word] > left)
		word--;
	uint64_t bits = chunk->known[word];
	for (left -= chunk->rank[word]; left > 0; left--)
		bits &= bits - 1;
	return bits != 0 ? chunk->address + (word * 64 + (lt_addr)__builtin_ctzll(bits)) * 8 : 0;
}

lt_addr lt_objmap_after(const struct lt_objmap *map, lt_addr object)
{
	uint32_t slot = slot_of(map, object);
	if (slot == 0)
		return 0;
	const struct chunk *chunk = &map->chunks.data[slot - 1];
	const struct chunk *end = map->chunks.data + map->chunks.count;
	lt_addr found = lowest(chunk, chunk->known, object + LT_OBJMAP_ALIGN);
	while (found == 0 && ++chunk < end)
		found = lowest(chunk, chunk->known, chunk->address);
	return found;
}

void lt_objmap_seek(const struct lt_objmap *map, uint32_t number,
		    struct lt_objmap_cursor *ret_cursor)
{
	*ret_cursor = (struct lt_objmap_cursor){.chunk = map->chunks.count};
	if (number >= map->count)
		return;
	lt_addr address = lt_objmap_address(map, number);
	unsigned bit = bit_of(address);
	ret_cursor->chunk = slot_of(map, address) - 1;
	ret_cursor->word = bit / 64;
	ret_cursor->base = address - (lt_addr)(bit % 64) * 8;
	ret_cursor->bits =
		map->chunks.data[ret_cursor->chunk].known[bit / 64] & ~(uint64_t)0 << (bit % 64);
}

bool lt_objmap_turn(const struct lt_objmap *map, struct lt_objmap_cursor *cursor)
{
	while (cursor->bits == 0) {
		if (++cursor->word >= WORDS) {
			cursor->word = 0;
			cursor->chunk++;
		}
		if (cursor->chunk >= map->chunks.count)
			return false;
		cursor->bits = map->chunks.data[cursor->chunk].known[cursor->word];
	}
	cursor->base = map->chunks.data[cursor->chunk].address + (lt_addr)cursor->word * 64 * 8;
	return true;
}
