/*
 * rss_buffers.c: private memory that mmap objects have, which sys.getsizeof() does not see.
 */
#include "analysis/rss_parts.h"

#include "base/cleanup.h"
#include "heap/pymalloc.h"

enum { WORD = 8 };

static int by_start(const void *left, const void *right)
{
	lt_addr a = ((const struct lt_rss_buffer *)left)->start;
	lt_addr b = ((const struct lt_rss_buffer *)right)->start;
	return (a > b) - (a < b);
}

/* False: the object has none. */
static bool find_buffer(const struct lt_rss_reading *reading, uint32_t node,
			struct lt_rss_buffer *buffer)
{
	const struct lt_picture *picture = reading->picture;
	lt_addr at = lt_picture_address(picture, node);
	int64_t bytes = 0;
	/* The length is behind the address. */
	at += (lt_addr)lt_fact(reading->view->layout, LT_FACT_mmap_size_offset) - WORD;
	if (!lt_picture_number(picture, node, LT_DETAIL_BUFFER_BYTES, &bytes) || bytes <= 0 ||
	    !lt_memory_u64(reading->view->memory, at, &buffer->start))
		return false;
	const struct lt_smap *smap = lt_smaps_find(&reading->resident.smaps, buffer->start);
	if (smap == NULL || smap->rss == 0 || !lt_mapping_may_hold_heap(&smap->mapping) ||
	    (uint64_t)bytes > smap->mapping.end - buffer->start)
		return false;
	buffer->end = buffer->start + (uint64_t)bytes;
	buffer->node = node;
	return true;
}

/* What an object that is not sound has in common with one before it is left out. */
static void keep_apart(struct lt_rss_buffers *buffers)
{
	size_t kept = 0;
	if (buffers->count > 0)
		qsort(buffers->data, buffers->count, sizeof(*buffers->data), by_start);
	for (size_t i = 0; i < buffers->count; i++)
		if (kept == 0 || buffers->data[i].start >= buffers->data[kept - 1].end)
			buffers->data[kept++] = buffers->data[i];
	buffers->count = kept;
}

/* The first node from `node` on with a type from `low` to `high`, the number of nodes when there is none. */
static uint32_t next_between(const struct lt_heap_graph *graph, uint32_t node, uint32_t low,
			     uint32_t high)
{
	enum { AT_ONCE = 64 };
	uint32_t count = graph->graph.node_count, found = 0;
	/* Without a way out, so that several are compared at once. */
	for (; count - node >= AT_ONCE; node += AT_ONCE) {
		const uint16_t *type = graph->type + node;
		for (unsigned i = 0; i < AT_ONCE; i++)
			found |= (type[i] == LT_TYPE_BIG) | ((type[i] >= low) & (type[i] <= high));
		if (found != 0)
			break;
	}
	while (node < count && lt_heap_graph_type(graph, node) - low > high - low)
		node++;
	return node;
}

enum lt_status lt_rss_find_buffers(const struct lt_rss_reading *reading,
				   struct lt_rss_buffers *ret_buffers)
{
	const struct lt_picture *picture = reading->picture;
	uint32_t type_count = lt_types_count(picture->types);
	LT_CLEANUP(lt_rss_buffers_deinit) struct lt_rss_buffers buffers = {0};
	LT_FREE uint8_t *maps = calloc((size_t)type_count + 1, 1);
	uint32_t low = UINT32_MAX, high = 0; /* types that may be one */
	if (maps == NULL)
		return lt_fail_memory(reading->session);
	for (uint32_t type = 0; type < type_count; type++) {
		const struct lt_type *one = lt_types_at(picture->types, type);
		maps[type] = one->kind == LT_KIND_OPAQUE &&
			     lt_picture_derives(picture, one, "mmap", "mmap");
		if (maps[type] == 0)
			continue;
		low = type < low ? type : low;
		high = type;
	}
	for (uint32_t node = 0; low <= high && node < picture->graph.graph.node_count; node++) {
		node = next_between(&picture->graph, node, low, high);
		uint32_t type = node < picture->graph.graph.node_count
					? lt_heap_graph_type(&picture->graph, node)
					: type_count;
		struct lt_rss_buffer buffer;
		if (type < type_count && maps[type] != 0 && find_buffer(reading, node, &buffer) &&
		    !lt_rss_buffers_push(&buffers, buffer))
			return lt_fail_memory(reading->session);
	}
	keep_apart(&buffers);
	*ret_buffers = buffers;
	buffers = (struct lt_rss_buffers){0};
	return LT_OK;
}
