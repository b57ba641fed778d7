/*
 * number.h: numbers as a person reads them. The same in every locale.
 */
#ifndef LT_BASE_NUMBER_H
#define LT_BASE_NUMBER_H

#include <stdint.h>

enum { LT_NUMBER_MAX = 32 }; /* bytes of any of these texts, its end included */

/* "1,234,567". Returns `text`. */
const char *lt_number_count(uint64_t count, char text[static LT_NUMBER_MAX]);

/* "512 B", "1.5 MiB": units of 1,024. Returns `text`. */
const char *lt_number_bytes(uint64_t bytes, char text[static LT_NUMBER_MAX]);

#endif
