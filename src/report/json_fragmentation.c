#include "report/json.h"

#include "analysis/fragmentation.h"

static double ratio(uint64_t part, uint64_t all)
{
	return all > 0 ? (double)part / (double)all : 0;
}

static json_t *size_classes(const struct lt_pymalloc_stats *stats)
{
	json_t *list = json_array();
	for (size_t i = 0; i < stats->class_count; i++) {
		const struct lt_size_class *class = &stats->classes[i];
		if (class->pools == 0)
			continue;
		json_array_append_new(
			list,
			json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:f}", "size",
				  lt_json_count(class->size), "pools", lt_json_count(class->pools),
				  "used_blocks", lt_json_count(class->used), "free_blocks",
				  lt_json_count(class->free), "used_bytes",
				  lt_json_count(class->used * class->size), "free_bytes",
				  lt_json_count(class->free * class->size), "ratio",
				  ratio(class->free, class->used + class->free)));
	}
	return list;
}

static json_t *arenas(const struct lt_fragmentation *found)
{
	json_t *list = json_array();
	for (size_t i = 0; i < found->arenas.count; i++) {
		const struct lt_fragment_arena *arena = &found->arenas.data[i];
		json_array_append_new(
			list,
			json_pack("{s:o, s:s, s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:f}", "address",
				  lt_json_address(arena->address), "kind",
				  arena->other  ? found->other.name
				  : arena->main ? "main"
						: "thread",
				  "threads", lt_json_count(arena->attached), "whole", arena->whole,
				  "system_bytes", lt_json_count(arena->system_bytes), "used_bytes",
				  lt_json_count(arena->used_bytes), "free_bytes",
				  lt_json_count(arena->free_bytes), "resident_free_bytes",
				  lt_json_count(arena->resident_free_bytes), "largest_free_bytes",
				  lt_json_count(arena->largest_free_bytes), "ratio",
				  ratio(arena->free_bytes, arena->used_bytes + arena->free_bytes)));
	}
	return list;
}

static json_t *pymalloc(const struct lt_fragmentation *found)
{
	const struct lt_pymalloc_stats *stats = &found->pymalloc;
	return json_pack(
		"{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "arenas",
		lt_json_count(stats->arenas), "arena_bytes", lt_json_count(stats->arena_bytes),
		"used_pools", lt_json_count(stats->pools_used), "free_pools",
		lt_json_count(stats->pools_free), "used_bytes", lt_json_count(stats->used_bytes),
		"free_bytes", lt_json_count(stats->free_bytes), "pool_bytes",
		lt_json_count(found->pool_size), "resident_bytes",
		lt_json_count(found->pymalloc_held_bytes), "resident_free_bytes",
		lt_json_count(found->pymalloc_free_bytes), "largest_free_bytes",
		lt_json_count(found->pymalloc_largest_free_bytes), "pinned_arenas",
		lt_json_count(found->pinned_arenas), "pinned_free_bytes",
		lt_json_count(found->pinned_free_bytes), "pinned_used_bytes",
		lt_json_count(found->pinned_used_bytes), "pinned_blocks",
		lt_json_count(found->pinned_blocks));
}

static json_t *malloc_figures(const struct lt_fragmentation *found)
{
	if (!found->malloc.found)
		return json_null();
	return json_pack("{s:s, s:b, s:o, s:o, s:o, s:o, s:o, s:o}", "release",
			 found->malloc.release, "whole", found->malloc.whole, "resident_bytes",
			 lt_json_count(found->malloc_held_bytes), "resident_free_bytes",
			 lt_json_count(found->malloc_free_bytes), "thread_arenas",
			 lt_json_count(found->thread_arenas), "thread_arenas_free_bytes",
			 lt_json_count(found->thread_arenas_free_bytes), "mmapped_bytes",
			 lt_json_count(found->malloc.mmapped_bytes), "mmapped_chunks",
			 lt_json_count(found->malloc.mmapped_chunks));
}

static json_t *other_allocator(const struct lt_fragmentation *found)
{
	if (!found->other.found)
		return json_null();
	return json_pack("{s:s, s:s, s:b, s:o, s:o, s:o, s:o}", "name", found->other.name,
			 "release", found->other.release, "whole", found->other.torn == 0,
			 "resident_bytes", lt_json_count(found->other_held_bytes),
			 "resident_free_bytes", lt_json_count(found->other_free_bytes),
			 "free_page_bytes", lt_json_count(found->other_page_bytes),
			 "largest_free_bytes", lt_json_count(found->other_largest_free_bytes));
}

static json_t *limits(const struct lt_fragmentation *found)
{
	json_t *list = json_array();
	for (size_t i = 0; i < found->limit_count; i++) {
		const struct lt_memory_limit *limit = &found->limits[i];
		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:b}", "name",
						      limit->name, "cause", limit->cause, "unit",
						      limit->mappings ? "mappings" : "bytes",
						      "limit", lt_json_count(limit->limit), "used",
						      lt_json_count(limit->used), "headroom",
						      lt_json_count(limit->headroom), "tight",
						      limit->tight));
	}
	return list;
}

json_t *lt_json_fragmentation(const struct lt_fragmentation *found)
{
	return json_pack("{s:s, s:o, s:o, s:f, s:o, s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:o}",
			 "verdict", lt_fragmentation_verdict_name(found->verdict), "held_bytes",
			 lt_json_count(found->held_bytes), "free_bytes",
			 lt_json_count(found->free_bytes), "ratio", found->ratio,
			 "largest_free_bytes", lt_json_count(found->largest_free_bytes),
			 "largest_gap_bytes", lt_json_count(found->largest_gap_bytes), "exhausted",
			 found->exhausted, "limits", limits(found), "size_classes",
			 size_classes(&found->pymalloc), "arenas", arenas(found), "pymalloc",
			 pymalloc(found), "malloc", malloc_figures(found), "other_allocator",
			 other_allocator(found));
}
