#include "report/json.h"

#include "analysis/rss.h"

static json_t *parts(const struct lt_rss *rss)
{
	json_t *list = json_array();
	for (size_t i = 0; i < rss->parts.count; i++) {
		const struct lt_rss_part *part = &rss->parts.data[i];
		json_array_append_new(list,
				      json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "layer",
						lt_rss_layer_name(part->layer), "name",
						lt_json_string(part->name), "detail",
						lt_json_string(part->detail), "bytes",
						lt_json_count(part->bytes), "held_bytes",
						lt_json_count(part->held_bytes), "shared_bytes",
						lt_json_count(part->shared_bytes), "count",
						lt_json_count(part->count)));
	}
	return list;
}

static json_t *pins(const struct lt_rss *rss)
{
	json_t *list = json_array();
	for (size_t i = 0; i < rss->pins.count; i++) {
		const struct lt_rss_pin *pin = &rss->pins.data[i];
		json_array_append_new(
			list,
			json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:s}", "expression",
				  lt_json_known(pin->expression), "note", lt_json_known(pin->note),
				  "address",
				  pin->address != 0 ? lt_json_address(pin->address) : json_null(),
				  "type", lt_json_string(pin->type), "count",
				  lt_json_count(pin->count), "holds_bytes",
				  lt_json_count(pin->holds_bytes), "layer", pin->layer));
	}
	return list;
}

static json_t *pymalloc(const struct lt_pymalloc_stats *stats)
{
	if (stats->class_count == 0)
		return json_null();
	json_t *classes = json_array();
	for (size_t i = 0; i < stats->class_count; i++) {
		const struct lt_size_class *class = &stats->classes[i];
		if (class->pools > 0)
			json_array_append_new(classes,
					      json_pack("{s:o, s:o, s:o, s:o}", "size",
							lt_json_count(class->size), "pools",
							lt_json_count(class->pools), "used_blocks",
							lt_json_count(class->used), "free_blocks",
							lt_json_count(class->free)));
	}
	return json_pack(
		"{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "arenas",
		lt_json_count(stats->arenas), "arena_bytes", lt_json_count(stats->arena_bytes),
		"used_pools", lt_json_count(stats->pools_used), "free_pools",
		lt_json_count(stats->pools_free), "used_bytes", lt_json_count(stats->used_bytes),
		"free_bytes", lt_json_count(stats->free_bytes), "header_bytes",
		lt_json_count(stats->header_bytes), "tail_bytes", lt_json_count(stats->tail_bytes),
		"alignment_bytes", lt_json_count(stats->alignment_bytes), "size_classes", classes);
}

static json_t *chunks(const struct lt_malloc_arena *arena)
{
	static const char *const names[LT_CHUNK_STATES] = {
		[LT_CHUNK_USED] = "used", [LT_CHUNK_TCACHE] = "cached",
		[LT_CHUNK_FAST] = "fast", [LT_CHUNK_FREE] = "free",
		[LT_CHUNK_TOP] = "top",   [LT_CHUNK_MMAPPED] = "mapped",
	};
	json_t *object = json_object();
	for (size_t state = 0; state < LT_CHUNK_MMAPPED; state++)
		json_object_set_new(object, names[state],
				    json_pack("{s:o, s:o}", "bytes",
					      lt_json_count(arena->bytes[state]), "chunks",
					      lt_json_count(arena->chunks[state])));
	return object;
}

static json_t *c_allocator(const struct lt_malloc *found)
{
	if (!found->found)
		return json_null();
	json_t *arenas = json_array();
	for (size_t i = 0; i < found->arenas.count; i++) {
		const struct lt_malloc_arena *arena = &found->arenas.data[i];
		json_array_append_new(
			arenas, json_pack("{s:b, s:o, s:o, s:o, s:b, s:o}", "main", arena->main,
					  "system_bytes", lt_json_count(arena->system_bytes),
					  "attached", lt_json_count(arena->attached),
					  "largest_free_bytes", lt_json_count(arena->largest_free),
					  "whole", arena->whole, "chunks", chunks(arena)));
	}
	return json_pack("{s:o, s:o, s:o, s:b, s:o}", "release", lt_json_known(found->release),
			 "mapped_bytes", lt_json_count(found->mmapped_bytes), "mapped_chunks",
			 lt_json_count(found->mmapped_chunks), "whole", found->whole, "arenas",
			 arenas);
}

static json_t *other_allocator(const struct lt_foreign *foreign)
{
	if (!foreign->found)
		return json_null();
	return json_pack("{s:s, s:o, s:o, s:o, s:o}", "name", foreign->name, "used_bytes",
			 lt_json_count(foreign->used_bytes), "used_blocks",
			 lt_json_count(foreign->used_blocks), "page_bytes",
			 lt_json_count(foreign->page_bytes), "torn", lt_json_count(foreign->torn));
}

json_t *lt_json_rss(const struct lt_rss *rss)
{
	return json_pack(
		"{s:o, s:o, s:f, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
		"rss_bytes", lt_json_count(rss->rss_bytes), "explained_bytes",
		lt_json_count(rss->explained_bytes), "explained_ratio", rss->explained_ratio,
		"allocator", lt_json_known(rss->allocator), "swap_bytes",
		lt_json_count(rss->swap_bytes), "page_table_bytes",
		lt_json_count(rss->page_table_bytes), "huge_bytes", lt_json_count(rss->huge_bytes),
		"untouched_bytes", lt_json_count(rss->untouched_bytes), "trim_gain_bytes",
		lt_json_count(rss->trim_gain_bytes), "parts", parts(rss), "pins", pins(rss),
		"pymalloc", pymalloc(&rss->pymalloc), "malloc", c_allocator(&rss->malloc),
		"other_allocator", other_allocator(&rss->foreign));
}
