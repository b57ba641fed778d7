#include "base/zeroed.h"

#include "base/shortage.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4 /* Linux 5.7 */
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

/*
 * Whole pages. In two steps, since one that fails may leave a hole at `to`, where another thread's memory could come to
 * lie: what fails for want of memory or of a newer kernel is the first one, which takes nothing away.
 */
static bool move_pages(unsigned char *to, unsigned char *from, size_t bytes)
{
	void *moved = mremap(from, bytes, bytes, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
	if (moved == MAP_FAILED) {
		memcpy(to, from, bytes);
		return true;
	}
	if (mremap(moved, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to)
		return true;
	bool mapped = mmap(to, bytes, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == to;
	if (mapped)
		memcpy(to, moved, bytes);
	else
		lt_shortage_note();
	munmap(moved, bytes);
	return mapped;
}

bool lt_zeroed_move(void *to, void *from, size_t bytes)
{
	long page = sysconf(_SC_PAGESIZE);
	if (page <= 0 || page > LT_ZEROED_ROOM || bytes < LARGE) {
		memcpy(to, from, bytes);
		return true;
	}
	uintptr_t mask = (uintptr_t)page - 1;
	unsigned char *content = (unsigned char *)from + (((uintptr_t)to - (uintptr_t)from) & mask);
	if (content != from)
		memmove(content, from, bytes);
	size_t head = (size_t)(-(uintptr_t)to & mask), tail = ((uintptr_t)to + bytes) & mask;
	memcpy(to, content, head);
	memcpy((unsigned char *)to + bytes - tail, content + bytes - tail, tail);
	return move_pages((unsigned char *)to + head, content + head, bytes - head - tail);
}
