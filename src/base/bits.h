/*
 * bits.h: counting bits on processors of which nothing is known.
 */
#ifndef LT_BASE_BITS_H
#define LT_BASE_BITS_H

#include <stdint.h>

/* The number of bits that are set. Without knowing of the instruction for it compilers make __builtin_popcountll() a call. */
static inline unsigned lt_bits(uint64_t word)
{
#ifdef __x86_64__
	/* A constructor of the compiler's has asked the processor; the branch goes the same way each time. */
	if (__builtin_expect(__builtin_cpu_supports("popcnt") != 0, 1)) {
		uint64_t count;
		__asm__("popcnt %1, %0" : "=r"(count) : "r"(word) : "cc");
		return (unsigned)count;
	}
#endif
	word -= word >> 1 & 0x5555555555555555u;
	word = (word & 0x3333333333333333u) + (word >> 2 & 0x3333333333333333u);
	word = (word + (word >> 4)) & 0x0f0f0f0f0f0f0f0fu;
	return (unsigned)(word * 0x0101010101010101u >> 56);
}

#endif
