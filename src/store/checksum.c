#include "store/checksum.h"

#include <string.h>

/* The five constants of the algorithm. */
static const uint64_t P1 = 0x9e3779b185ebca87u;
static const uint64_t P2 = 0xc2b2ae3d27d4eb4fu;
static const uint64_t P3 = 0x165667b19e3779f9u;
static const uint64_t P4 = 0x85ebca77c2b2ae63u;
static const uint64_t P5 = 0x27d4eb2f165667c5u;

enum { LANES = 4, STRIPE = LANES * 8 };

static inline uint64_t turn(uint64_t value, unsigned bits)
{
	return value << bits | value >> (64 - bits);
}

static inline uint64_t word(const unsigned char *bytes)
{
	uint64_t value;
	memcpy(&value, bytes, sizeof(value));
	return value;
}

static inline uint64_t mix(uint64_t lane, uint64_t input)
{
	return turn(lane + input * P2, 31) * P1;
}

/* What is left after the last full stripe, and the final scattering. */
static uint64_t finish(uint64_t hash, const unsigned char *bytes, size_t length)
{
	for (; length >= 8; bytes += 8, length -= 8)
		hash = turn(hash ^ mix(0, word(bytes)), 27) * P1 + P4;
	if (length >= 4) {
		uint32_t half;
		memcpy(&half, bytes, sizeof(half));
		hash = turn(hash ^ half * P1, 23) * P2 + P3;
		bytes += 4;
		length -= 4;
	}
	for (; length > 0; bytes++, length--)
		hash = turn(hash ^ *bytes * P5, 11) * P1;
	hash = (hash ^ hash >> 33) * P2;
	hash = (hash ^ hash >> 29) * P3;
	return hash ^ hash >> 32;
}

uint64_t lt_checksum(const void *start, size_t length, uint64_t seed)
{
	const unsigned char *bytes = start;
	size_t left = length;
	if (length < STRIPE)
		return finish(seed + P5 + length, bytes, length);
	uint64_t lanes[LANES] = {seed + P1 + P2, seed + P2, seed, seed - P1};
	for (; left >= STRIPE; bytes += STRIPE, left -= STRIPE)
		for (unsigned i = 0; i < LANES; i++)
			lanes[i] = mix(lanes[i], word(bytes + (size_t)i * 8));
	uint64_t hash =
		turn(lanes[0], 1) + turn(lanes[1], 7) + turn(lanes[2], 12) + turn(lanes[3], 18);
	for (unsigned i = 0; i < LANES; i++)
		hash = (hash ^ mix(0, lanes[i])) * P1 + P4;
	return finish(hash + length, bytes, left);
}
