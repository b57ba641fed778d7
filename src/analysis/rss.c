#include "analysis/rss_parts.h"

#include "base/cleanup.h"
#include "base/thread.h"
#include "target/proc.h"

#include <stdio.h>
#include <string.h>

enum { TYPES_SHOWN = 12, TYPES_ALWAYS = 5 };

/* A type with less than this share of RSS is joined with the others. */
static const double TYPE_SHARE = 0.002;

static const char *const layer_names[LT_RSS_LAYERS] = {
	[LT_RSS_OBJECTS] = "objects", [LT_RSS_PYMALLOC] = "pymalloc", [LT_RSS_MALLOC] = "malloc",
	[LT_RSS_STACKS] = "stacks",   [LT_RSS_FILES] = "files",       [LT_RSS_OTHER] = "other",
};

const char *lt_rss_layer_name(enum lt_rss_layer layer)
{
	return layer_names[layer];
}

void lt_rss_deinit(struct lt_rss *rss)
{
	lt_rss_parts_deinit(&rss->parts);
	lt_rss_pins_deinit(&rss->pins);
	lt_malloc_deinit(&rss->malloc);
	lt_arena_deinit(&rss->strings);
	*rss = (struct lt_rss){0};
}

void lt_rss_reading_deinit(struct lt_rss_reading *reading)
{
	lt_rss_stop_beside(reading);
	lt_rss_stop_figures(reading);
	lt_resident_deinit(&reading->resident);
	lt_malloc_deinit(&reading->malloc);
	for (unsigned i = 0; i < LT_HEAP_PARTS; i++)
		lt_wordmap_deinit(&reading->owners[i]);
	lt_pageset_deinit(&reading->allocated);
	lt_rss_pendings_deinit(&reading->pending);
	free(reading->types);
	free(reading->placed);
	free(reading->plain);
	free(reading->foreign_maps);
	free(reading->kept);
	free(reading->kept_top);
	free(reading->arena_used);
}

/* ---- What is shared ---- */

double lt_rss_shared(const struct lt_rss_reading *reading, const struct lt_smap *smap)
{
	const struct lt_smap *before = reading->before != NULL
					       ? lt_smaps_find(reading->before, smap->mapping.start)
					       : NULL;
	return before == NULL || before->rss == 0
		       ? 0
		       : (double)(before->shared_clean + before->shared_dirty) /
				 (double)before->rss;
}

/* The same of all memory that allocators have. */
static double shared_of_claimed(const struct lt_rss_reading *reading)
{
	double claimed = 0, shared = 0;
	for (size_t i = 0; i < reading->resident.smaps.list.count; i++) {
		double here = (double)reading->resident.mappings[i].claimed;
		claimed += here;
		shared += here * lt_rss_shared(reading, &reading->resident.smaps.list.data[i]);
	}
	return claimed > 0 ? shared / claimed : 0;
}

/* ---- Parts ---- */

static const struct {
	enum lt_rss_layer layer;
	const char *name, *detail;
} fixed_parts[LT_RSS_FIXED_COUNT] = {
	[LT_RSS_GARBAGE] = {LT_RSS_OBJECTS, "garbage",
			    "objects that nothing reaches, until the collector comes"},
	[LT_RSS_NO_OBJECT] = {LT_RSS_PYMALLOC, "blocks of no object",
			      "in use by the interpreter and C code, or kept for reuse"},
	[LT_RSS_FREE_BLOCKS] = {LT_RSS_PYMALLOC, "free blocks in used pools", ""},
	[LT_RSS_FREE_POOLS] = {LT_RSS_PYMALLOC, "free pools", ""},
	[LT_RSS_ROUNDING] = {LT_RSS_PYMALLOC, "headers and rounding",
			     "headers of pools, their ends, alignment of arenas"},
	[LT_RSS_C_USED] = {LT_RSS_MALLOC, "used by no Python object",
			   "C libraries, the interpreter itself, and what C code leaks"},
	[LT_RSS_C_BIG] = {LT_RSS_MALLOC, "big blocks of no Python object", "mappings of their own"},
	[LT_RSS_C_CACHED] = {LT_RSS_MALLOC, "free in caches of threads", ""},
	[LT_RSS_C_FREE] = {LT_RSS_MALLOC, "free between used memory", ""},
	[LT_RSS_C_TOP] = {LT_RSS_MALLOC, "free at the end of heaps", ""},
	[LT_RSS_C_PAGES] = {LT_RSS_MALLOC, "free pages",
			    "the allocator gives them back by and by, while it is used"},
	[LT_RSS_C_OWN] = {LT_RSS_MALLOC, "the C allocator's own data", ""},
};

static enum lt_status add_tally(struct lt_rss_reading *reading, struct lt_rss *rss,
				enum lt_rss_layer layer, const char *name, const char *detail,
				const struct lt_rss_tally *tally, double shared)
{
	if (tally->held == 0)
		return LT_OK;
	return lt_rss_add(
		reading->session, rss,
		(struct lt_rss_part){
			.layer = layer,
			.name = name,
			.detail = detail,
			.bytes = tally->bytes,
			.held_bytes = tally->held,
			.shared_bytes = reading->shared != NULL
						? tally->shared
						: (uint64_t)((double)tally->bytes * shared),
			.count = tally->count,
		});
}

static int by_tally(const void *left, const void *right, void *tallies)
{
	const struct lt_rss_tally *of = tallies;
	uint64_t a = of[*(const uint32_t *)left].bytes, b = of[*(const uint32_t *)right].bytes;
	return (a < b) - (a > b);
}

void lt_rss_type_name(const struct lt_rss_reading *reading, uint32_t index, char *buffer,
		      size_t capacity)
{
	const struct lt_types *types = reading->picture->types;
	const struct lt_type *type =
		index < lt_types_count(types) ? lt_types_at(types, index) : NULL;
	if (type == NULL)
		snprintf(buffer, capacity, "of types that cannot be read");
	else if (type->module[0] == '\0' || strcmp(type->module, "builtins") == 0)
		snprintf(buffer, capacity, "%s", type->name);
	else
		snprintf(buffer, capacity, "%s.%s", type->module, type->name);
}

static enum lt_status add_types(struct lt_rss_reading *reading, struct lt_rss *rss, double shared)
{
	size_t count = (size_t)reading->type_count + 1, others = 0;
	LT_FREE uint32_t *order = calloc(count, sizeof(*order));
	if (order == NULL)
		return lt_fail_memory(reading->session);
	for (uint32_t i = 0; i < count; i++)
		order[i] = i;
	qsort_r(order, count, sizeof(*order), by_tally, reading->types);
	struct lt_rss_tally rest = {0};
	char type[LT_RSS_NAME], name[LT_RSS_NAME + 32], detail[64];
	for (size_t i = 0; i < count; i++) {
		const struct lt_rss_tally *tally = &reading->types[order[i]];
		bool great =
			(double)tally->bytes >= TYPE_SHARE * (double)reading->resident.smaps.rss;
		if (i >= TYPES_SHOWN || tally->bytes == 0 || (i >= TYPES_ALWAYS && !great)) {
			rest.bytes += tally->bytes;
			rest.shared += tally->shared;
			rest.held += tally->held;
			rest.count += tally->count;
			others += tally->count > 0;
			continue;
		}
		lt_rss_type_name(reading, order[i], type, sizeof(type));
		snprintf(name, sizeof(name), "live objects: %s", type);
		LT_TRY(add_tally(reading, rss, LT_RSS_OBJECTS, name, "", tally, shared));
	}
	snprintf(detail, sizeof(detail), "%zu kinds", others);
	return add_tally(reading, rss, LT_RSS_OBJECTS, "live objects: other kinds", detail, &rest,
			 shared);
}

static int by_layer(const void *left, const void *right)
{
	const struct lt_rss_part *a = left, *b = right;
	if (a->layer != b->layer)
		return a->layer < b->layer ? -1 : 1;
	if (a->bytes != b->bytes)
		return a->bytes < b->bytes ? 1 : -1;
	return strcmp(a->name, b->name);
}

static void add_up(const struct lt_rss_reading *reading, struct lt_rss *rss)
{
	const struct lt_smaps *smaps = &reading->resident.smaps;
	uint64_t sum = 0;
	qsort(rss->parts.data, rss->parts.count, sizeof(*rss->parts.data), by_layer);
	for (size_t i = 0; i < rss->parts.count; i++) {
		if (rss->parts.data[i].layer != LT_RSS_OTHER)
			sum += rss->parts.data[i].bytes;
	}
	rss->rss_bytes = smaps->rss;
	rss->trim_gain_bytes = lt_foreign_replaces(&reading->foreign) ? 0 : reading->trim.bytes;
	/* Pages of zeros are mapped, but the kernel does not count them: parts may then sum up to more. */
	rss->explained_bytes = sum < smaps->rss ? sum : smaps->rss;
	rss->explained_ratio =
		smaps->rss > 0 ? (double)rss->explained_bytes / (double)smaps->rss : 0;
	rss->swap_bytes = smaps->swap;
	rss->page_table_bytes = smaps->page_tables;
	for (size_t i = 0; i < smaps->list.count; i++) {
		const struct lt_smap *smap = &smaps->list.data[i];
		uint64_t size = smap->mapping.end - smap->mapping.start;
		rss->huge_bytes += smap->huge;
		if ((lt_mapping_may_hold_heap(&smap->mapping) ||
		     strncmp(smap->mapping.path, "/dev/zero", 9) == 0) &&
		    size > smap->rss + smap->swap)
			rss->untouched_bytes += size - smap->rss - smap->swap;
	}
}

static enum lt_status make_parts(struct lt_rss_reading *reading, struct lt_rss *rss)
{
	double shared = shared_of_claimed(reading);
	LT_TRY(add_types(reading, rss, shared));
	for (size_t i = 0; i < LT_RSS_FIXED_COUNT; i++)
		LT_TRY(add_tally(reading, rss, fixed_parts[i].layer, fixed_parts[i].name,
				 fixed_parts[i].detail, &reading->fixed[i], shared));
	LT_TRY(lt_rss_mappings(reading, rss));
	add_up(reading, rss);
	return LT_OK;
}

static enum lt_status look(struct lt_subject *subject, struct lt_rss_reading *reading,
			   struct lt_rss *rss)
{
	const struct lt_look *live = subject->look;
	LT_TRY(lt_rss_begin_figures(reading, live->process));
	lt_rss_ask(reading);
	reading->picture = &subject->picture;
	subject->visit = &reading->visit;
	enum lt_status status = lt_subject_picture(subject, LT_PICTURE_LIFE);
	subject->visit = NULL;
	LT_TRY(status);
	reading->pid_inside = lt_proc_inside(live->process->pid);
	reading->view = lt_heap_view(subject->picture.heap);
	LT_TRY(lt_rss_blocks(reading));
	LT_TRY(lt_malloc_find(reading->view, &reading->pymalloc->pages, &reading->malloc));
	LT_TRY(lt_rss_allocator(reading, rss));
	LT_TRY(lt_rss_owners(reading));
	LT_TRY(lt_rss_find_pins(reading, subject, rss));
	if (!reading->pymalloc->by_search)
		rss->pymalloc = reading->stats;
	return LT_OK;
}

/* What only the search needed. */
static void *let_go(void *ctx)
{
	struct lt_picture *picture = ctx;
	lt_heap_graph_deinit(&picture->graph);
	return NULL;
}

/* The copy of the target takes as long to go as the picture of it: both at once. */
static void end(struct lt_subject *subject)
{
	pthread_t thread;
	bool started = lt_thread_start(&thread, let_go, &subject->picture);
	lt_subject_end(subject);
	if (started)
		pthread_join(thread, NULL);
}

static enum lt_status read_parts(struct lt_subject *subject, struct lt_rss_reading *reading,
				 struct lt_rss *rss)
{
	struct lt_session *session = subject->session;
	if (subject->look == NULL)
		return lt_fail(session, LT_E_USAGE,
			       "resident memory is that of a process, not of a snapshot file");
	LT_TRY(lt_subject_status(subject, look(subject, reading, rss)));
	end(subject);
	LT_TRY(make_parts(reading, rss));
	rss->malloc = reading->malloc;
	reading->malloc = (struct lt_malloc){0};
	return LT_OK;
}

enum lt_status lt_rss_read(struct lt_subject *subject, struct lt_resident *shared,
			   struct lt_rss *ret_rss)
{
	LT_CLEANUP(lt_rss_deinit) struct lt_rss rss = {0};
	LT_CLEANUP(lt_rss_reading_deinit)
	struct lt_rss_reading reading = {
		.session = subject->session,
		.shared = shared->by_page ? shared : NULL,
		.before = &shared->smaps,
	};
	LT_TRY(read_parts(subject, &reading, &rss));
	*ret_rss = rss;
	rss = (struct lt_rss){0};
	return LT_OK;
}
