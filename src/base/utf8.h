/*
 * utf8.h: code points to UTF-8.
 */
#ifndef LT_BASE_UTF8_H
#define LT_BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

enum { LT_UTF8_MAX = 4 }; /* bytes of one code point */

/*
 * Writes the code point and returns its number of bytes, 1 to LT_UTF8_MAX. Surrogates are written like
 * any other; what is past U+10FFFF loses its upper bits. Text of a target is made fit to show by src/report/.
 */
size_t lt_utf8_put(uint32_t c, char *out);

#endif
