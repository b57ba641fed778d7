/*
 * checksum.h: XXH64, the checksum of pages and chunks. It finds damage; it is no protection from forgery.
 */
#ifndef LT_STORE_CHECKSUM_H
#define LT_STORE_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* As in the description of the xxHash fast digest algorithm, so that other programs can check a file. */
uint64_t lt_checksum(const void *bytes, size_t length, uint64_t seed);

#endif
