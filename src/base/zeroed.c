#include "base/zeroed.h"

#include "base/shortage.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

enum { LARGE = 4 << 20 }; /* bytes, from which on it is worth a call */

void lt_zeroed_bring(void *data, size_t first, size_t end, size_t size)
{
	long page = sysconf(_SC_PAGESIZE);
	if (page <= 0 || end <= first || (end - first) * size < LARGE)
		return;
	uintptr_t mask = (uintptr_t)page - 1;
	uintptr_t from = ((uintptr_t)data + first * size + mask) & ~mask;
	uintptr_t to = ((uintptr_t)data + end * size) & ~mask;
	(void)madvise((void *)from, to - from, MADV_POPULATE_WRITE);
}

void *lt_zeroed(size_t count, size_t size)
{
	void *data = calloc(count, size);
	if (data != NULL)
		lt_zeroed_bring(data, 0, count, size);
	else
		lt_shortage_note();
	return data;
}
