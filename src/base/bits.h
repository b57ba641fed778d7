/*
 * bits.h: counting bits on processors of which nothing is known.
 */
#ifndef LT_BASE_BITS_H
#define LT_BASE_BITS_H

#include <stdint.h>

/* The number of bits that are set: without an instruction for it __builtin_popcountll() is a call. */
static inline unsigned lt_bits(uint64_t word)
{
	word -= word >> 1 & 0x5555555555555555u;
	word = (word & 0x3333333333333333u) + (word >> 2 & 0x3333333333333333u);
	word = (word + (word >> 4)) & 0x0f0f0f0f0f0f0f0fu;
	return (unsigned)(word * 0x0101010101010101u >> 56);
}

#endif
