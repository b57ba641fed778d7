/*
 * zeroed.h: the memory behind large arrays. Of zeros that will be used whole all pages come at once: a page that is read
 * before it is written costs two faults, and the second one interrupts the processors of the other threads. And what moves from one
 * array to another takes its pages along.
 */
#ifndef LT_BASE_ZEROED_H
#define LT_BASE_ZEROED_H

#include <stdbool.h>
#include <stddef.h>

/* As calloc(3), with the memory behind it; free(3). */
void *lt_zeroed(size_t count, size_t size);

/* The memory behind elements `first` to `end` - 1 of `data`. Their content stays; where the kernel cannot, nothing happens. */
void lt_zeroed_bring(void *data, size_t first, size_t end, size_t size);

/*
 * Moves `bytes` of one array, from malloc(3), into another one. Of large ones whole pages are not copied but change their
 * place, for which the content is first brought to the same distance from the begin of a page: behind it `from` must have room for
 * LT_ZEROED_ROOM bytes more. What it holds afterwards is not defined. False: no memory, and what `to` holds there is not
 * defined.
 *
 * Such an array takes another system call each time that it grows: it should have its last size before.
 */
enum { LT_ZEROED_ROOM = 1 << 16 };
bool lt_zeroed_move(void *to, void *from, size_t bytes);

#endif
