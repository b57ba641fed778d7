#include "heap/gc_rings.h"

#include "heap/fields.h"
#include "layout/object.h"

#include <string.h>

enum { TRIES = 4 };

bool lt_gc_ring_find(const struct lt_layout *layout, int generation,
		     struct lt_gc_ring_place *ret_place)
{
	bool young = generation == 0;
	int64_t length = lt_fact(layout, young ? LT_FACT_gc_young_ring : LT_FACT_gc_old_ring);
	enum lt_field at = young ? LT_gc_stats_young : LT_gc_stats_old;
	enum lt_field items = young ? LT_gc_young_stats_buffer_items : LT_gc_old_stats_buffer_items;
	if (lt_fact(layout, LT_FACT_gc_stats_ring) == 0 || length <= 0 || length > LT_GC_RING_MAX ||
	    !lt_has(layout, at) || !lt_has(layout, items) ||
	    !lt_has(layout, LT_sizeof_gc_old_stats_buffer) ||
	    !lt_has(layout, LT_sizeof_gc_generation_stats) || !lt_has(layout, LT_sizeof_gc_stats) ||
	    lt_off(layout, LT_sizeof_gc_stats) > LT_GC_RINGS_BYTES)
		return false;
	uint64_t ring = lt_off(layout, at);
	if (generation > 1)
		ring += lt_off(layout, LT_sizeof_gc_old_stats_buffer) * (unsigned)(generation - 1);
	struct lt_gc_ring_place place = {
		.items = ring + lt_off(layout, items),
		.length = (unsigned)length,
		.record_size = (unsigned)lt_off(layout, LT_sizeof_gc_generation_stats),
	};
	uint64_t size = lt_off(layout, LT_sizeof_gc_stats);
	if (place.items + place.length * place.record_size > size)
		return false;
	*ret_place = place;
	return true;
}

static uint64_t member(const struct lt_layout *layout, const uint8_t *record, unsigned size,
		       enum lt_field field)
{
	if (!lt_has(layout, field) || lt_off(layout, field) + 8 > size)
		return 0;
	return lt_word(record, lt_off(layout, field));
}

static void decode_ring(const struct lt_layout *layout, const uint8_t *bytes, const uint8_t *again,
			int generation, struct lt_gc_rings *rings)
{
	struct lt_gc_ring_place place;
	if (!lt_gc_ring_find(layout, generation, &place))
		return;
	unsigned count = 0;
	struct lt_gc_record *records = rings->records[generation];
	for (unsigned i = 0; i < place.length; i++) {
		uint64_t at = place.items + i * place.record_size;
		if (memcmp(bytes + at, again + at, place.record_size) != 0)
			continue;
		const uint8_t *from = bytes + at;
		struct lt_gc_record record = {
			.start_ns = member(layout, from, place.record_size,
					   LT_gc_generation_stats_ts_start),
			.end_ns = member(layout, from, place.record_size,
					 LT_gc_generation_stats_ts_stop),
			.collections = member(layout, from, place.record_size,
					      LT_gc_generation_stats_collections),
			.collected = member(layout, from, place.record_size,
					    LT_gc_generation_stats_collected),
			.uncollectable = member(layout, from, place.record_size,
						LT_gc_generation_stats_uncollectable),
			.candidates = member(layout, from, place.record_size,
					     LT_gc_generation_stats_candidates),
		};
		/* A slot that was never used, or whose ts_stop is still that of the record before. */
		if (record.collections == 0 || record.collections > INT64_MAX ||
		    record.start_ns == 0 || record.end_ns < record.start_ns)
			continue;
		unsigned to = count;
		while (to > 0 && records[to - 1].collections > record.collections)
			to--;
		if (to > 0 && records[to - 1].collections == record.collections)
			continue;
		memmove(&records[to + 1], &records[to], (count - to) * sizeof(*records));
		records[to] = record;
		count++;
	}
	/* A record that is being written may have its number already and the times of the one before. */
	unsigned kept = 0;
	for (unsigned i = 0; i < count; i++) {
		if (kept == 0 || records[i].start_ns >= records[kept - 1].end_ns)
			records[kept++] = records[i];
	}
	rings->count[generation] = kept;
}

bool lt_gc_rings_read(const struct lt_view *view, lt_addr interpreter,
		      struct lt_gc_rings *ret_rings)
{
	const struct lt_layout *layout = view->layout;
	struct lt_gc_ring_place place;
	if (!lt_gc_ring_find(layout, 0, &place) || !lt_has(layout, LT_PyInterpreterState_gc))
		return false;
	lt_addr gc = interpreter + lt_off(layout, LT_PyInterpreterState_gc);
	lt_addr stats = lt_read_pointer(view, gc, LT__gc_runtime_state_generation_stats);
	size_t size = (size_t)lt_off(layout, LT_sizeof_gc_stats);
	uint8_t bytes[2][LT_GC_RINGS_BYTES];
	if (stats == 0 || !lt_memory_get(view->memory, stats, bytes[0], size))
		return false;
	unsigned newest = 0;
	for (unsigned i = 0; i < TRIES; i++) {
		newest = 1 - newest;
		if (!lt_memory_get(view->memory, stats, bytes[newest], size))
			return false;
		if (memcmp(bytes[0], bytes[1], size) == 0)
			break;
	}
	struct lt_gc_rings rings = {0};
	for (int i = 0; i < LT_GC_GENERATIONS; i++)
		decode_ring(layout, bytes[newest], bytes[1 - newest], i, &rings);
	*ret_rings = rings;
	return true;
}
