/*
 * zeroed.h: large arrays of zeros that will be used whole. A page that is read before it is written costs two faults, and the
 * second one interrupts the processors of the other threads: so all its pages come at once.
 */
#ifndef LT_BASE_ZEROED_H
#define LT_BASE_ZEROED_H

#include <stddef.h>

/* As calloc(3), with the memory behind it; free(3). */
void *lt_zeroed(size_t count, size_t size);

/* The memory behind elements `first` to `end` - 1 of `data`. Their content stays; where the kernel cannot, nothing happens. */
void lt_zeroed_bring(void *data, size_t first, size_t end, size_t size);

#endif
