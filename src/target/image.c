#include "target/image.h"

#include "base/cleanup.h"
#include "base/vec.h"

#include <string.h>

struct segment {
	lt_addr start;
	size_t size;
	unsigned char *bytes; /* owned */
};
LT_VEC(segments, struct segment);

struct image {
	struct lt_memory memory;
	struct segments segments; /* ascending, none overlaps another, none is empty */
};

/* Index of the first segment that ends behind `addr`; the count when there is none. */
static size_t find(const struct image *image, lt_addr addr)
{
	size_t low = 0, high = image->segments.count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct segment *segment = &image->segments.data[middle];
		if (addr >= segment->start && addr - segment->start >= segment->size)
			low = middle + 1;
		else if (addr < segment->start)
			high = middle;
		else
			return middle;
	}
	return low;
}

static size_t read_image(struct lt_memory *memory, lt_addr addr, void *buffer, size_t size)
{
	const struct image *image = (struct image *)memory;
	size_t done = 0;
	for (size_t i = find(image, addr); i < image->segments.count && done < size; i++) {
		const struct segment *segment = &image->segments.data[i];
		if (segment->start > addr + done)
			break;
		size_t offset = (size_t)(addr + done - segment->start);
		size_t piece = segment->size - offset;
		if (piece > size - done)
			piece = size - done;
		memcpy((char *)buffer + done, segment->bytes + offset, piece);
		done += piece;
	}
	return done;
}

static void close_image(struct lt_memory *memory)
{
	struct image *image = (struct image *)memory;
	for (size_t i = 0; i < image->segments.count; i++)
		free(image->segments.data[i].bytes);
	segments_deinit(&image->segments);
	free(image);
}

static const struct lt_memory_ops image_ops = {read_image, close_image};

enum lt_status lt_image_create(struct lt_session *session, struct lt_memory **ret_memory)
{
	struct image *image = calloc(1, sizeof(*image));
	if (image == NULL)
		return lt_fail_memory(session);
	image->memory.ops = &image_ops;
	*ret_memory = &image->memory;
	return LT_OK;
}

enum lt_status lt_image_add(struct lt_session *session, struct lt_memory *memory, lt_addr addr,
			    const void *bytes, size_t size)
{
	struct image *image = (struct image *)memory;
	if (size == 0)
		return LT_OK;
	size_t at = find(image, addr);
	const struct segment *next = at < image->segments.count ? &image->segments.data[at] : NULL;
	if (addr > UINT64_MAX - (size - 1) || (next != NULL && next->start <= addr + (size - 1)))
		return lt_fail(session, LT_E_INTERNAL, "the image has bytes at 0x%llx already",
			       (unsigned long long)addr);
	LT_FREE unsigned char *copy = calloc(1, size);
	if (copy == NULL || !segments_reserve(&image->segments, image->segments.count + 1))
		return lt_fail_memory(session);
	if (bytes != NULL)
		memcpy(copy, bytes, size);
	struct segment *data = image->segments.data;
	memmove(data + at + 1, data + at, (image->segments.count - at) * sizeof(*data));
	data[at] = (struct segment){addr, size, LT_TAKE(copy)};
	image->segments.count++;
	return LT_OK;
}

void *lt_image_at(struct lt_memory *memory, lt_addr addr, size_t size)
{
	struct image *image = (struct image *)memory;
	size_t at = find(image, addr);
	if (at == image->segments.count)
		return NULL;
	struct segment *segment = &image->segments.data[at];
	if (segment->start > addr || size > segment->size - (addr - segment->start))
		return NULL;
	return segment->bytes + (addr - segment->start);
}
