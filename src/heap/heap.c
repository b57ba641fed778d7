#include "heap/heap.h"

#include "heap/dict_keys.h"
#include "heap/heap_parts.h"

#include <string.h>

/* ---- Opening ---- */

enum lt_status lt_heap_open(const struct lt_view *view, struct lt_heap **ret_heap)
{
	struct lt_heap *heap = calloc(1, sizeof(*heap));
	if (heap == NULL)
		return lt_fail_memory(view->session);
	struct lt_track *track = &heap->track;
	track->view = *view;
	enum lt_status status = lt_window_create(view->session, view->memory, &heap->window);
	if (status == LT_OK) {
		track->view.memory = lt_window_memory(heap->window);
		track->window = heap->window;
		status = lt_interpreters_read(&track->view, &heap->interpreters);
	}
	if (status == LT_OK)
		status = lt_types_create(&track->view, &heap->types);
	if (status == LT_OK)
		status = lt_decoder_create(&track->view, heap->types, &heap->decoder);
	if (status == LT_OK)
		status = lt_pymalloc_find(&track->view, &heap->interpreters, &heap->pymalloc);
	if (status != LT_OK) {
		lt_heap_close(heap);
		return status;
	}
	lt_decoder_set_pools(heap->decoder, &heap->pymalloc.pages, heap->pymalloc.pool_size);
	track->types = heap->types;
	track->interpreters = &heap->interpreters;
	track->pymalloc = &heap->pymalloc;
	*ret_heap = heap;
	return LT_OK;
}

void lt_heap_close(struct lt_heap *heap)
{
	if (heap == NULL)
		return;
	lt_pymalloc_deinit(&heap->pymalloc);
	lt_decoder_destroy(heap->decoder);
	lt_types_destroy(heap->types);
	lt_interpreters_deinit(&heap->interpreters);
	lt_window_destroy(heap->window);
	free(heap);
}

void lt_heap_let_go(struct lt_heap *heap)
{
	lt_window_let_go(heap->window);
}

struct lt_types *lt_heap_types(struct lt_heap *heap)
{
	return heap->types;
}

struct lt_decoder *lt_heap_decoder(struct lt_heap *heap)
{
	return heap->decoder;
}

const struct lt_view *lt_heap_view(const struct lt_heap *heap)
{
	return &heap->track.view;
}

const struct lt_pymalloc *lt_heap_pymalloc(const struct lt_heap *heap)
{
	return &heap->pymalloc;
}

const struct lt_interpreters *lt_heap_interpreters(struct lt_heap *heap)
{
	return &heap->interpreters;
}

/* ---- Every tracked object, by whichever way can be proved ---- */

enum lt_status lt_heap_each_tracked(struct lt_heap *heap, lt_tracked_fn take,
				    void (*restart)(void *ctx), void *ctx,
				    struct lt_tracked *ret_tracked)
{
	const struct lt_track *track = &heap->track;
	struct lt_tracked scanned = {0}, walked = {0};
	uint64_t before = track->view.session->unreadable;
	LT_TRY(lt_track_scan(track, take, ctx, &scanned));
	if (lt_types_lack_memory(heap->types))
		return lt_fail_memory(track->view.session);
	if (scanned.proved) {
		*ret_tracked = scanned;
		return LT_OK;
	}
	/* The lists themselves decide, when they close: they do not in a target that runs meanwhile. */
	uint64_t unreadable = track->view.session->unreadable;
	uint64_t limit = scanned.count * 2 + 1000000;
	LT_TRY(lt_track_walk(track, limit, NULL, NULL, &walked));
	if (!walked.proved) {
		track->view.session->unreadable = unreadable + 1;
		*ret_tracked = scanned;
		return LT_OK;
	}
	restart(ctx);
	track->view.session->unreadable = before;
	return lt_track_walk(track, limit, take, ctx, ret_tracked);
}

enum lt_status lt_heap_each_permanent(struct lt_heap *heap, uint64_t limit, lt_tracked_fn take,
				      void *ctx, uint64_t *counts)
{
	for (size_t i = 0; i < heap->interpreters.count; i++) {
		struct lt_tracked found = {0};
		LT_TRY(lt_track_list(&heap->track, heap->interpreters.data[i].gc.permanent, limit,
				     take, ctx, &found));
		counts[i] = found.count;
	}
	return LT_OK;
}

/* ---- Census ---- */

struct tally {
	uint64_t count, bytes;
	uint64_t permanent_count, permanent_bytes;
};
LT_VEC(tallies, struct tally);

/* A dict whose size waits for its keys. */
struct waiting_keys {
	lt_addr keys;
	uint32_t type;
};
LT_VEC(waiting, struct waiting_keys);

enum {
	KEYS_GAP = 64 << 10, /* a larger gap between keys begins another window */
	KEYS_HEADER = 64,    /* bytes from a keys object's start that its size depends on */
};

struct tallying {
	struct lt_heap *heap;
	struct tallies by_type; /* by the index of the type */
	struct waiting waiting;
};

static void restart_tally(void *ctx)
{
	struct tallying *tallying = ctx;
	tallying->by_type.count = 0;
	tallying->waiting.count = 0;
}

static int by_keys(const void *left, const void *right)
{
	lt_addr a = ((const struct waiting_keys *)left)->keys,
		b = ((const struct waiting_keys *)right)->keys;
	return (a > b) - (a < b);
}

/* Adds the sizes of the keys that wait, reading them in address order. */
static bool settle_keys(struct tallying *tallying)
{
	struct lt_heap *heap = tallying->heap;
	struct waiting *waiting = &tallying->waiting;
	if (waiting->count > 1)
		qsort(waiting->data, waiting->count, sizeof(*waiting->data), by_keys);
	size_t i = 0;
	while (i < waiting->count) {
		/* As many as one window holds without a wide gap. */
		lt_addr start = waiting->data[i].keys, end = start + KEYS_HEADER;
		size_t past = i + 1;
		while (past < waiting->count && waiting->data[past].keys - end < KEYS_GAP &&
		       waiting->data[past].keys + KEYS_HEADER - start <= LT_WINDOW_MAX)
			end = waiting->data[past++].keys + KEYS_HEADER;
		size_t got;
		if (past - i > 1 && lt_window_load(heap->window, start, end - start, &got) == NULL)
			return false;
		for (; i < past; i++) {
			struct lt_dict_keys keys;
			if (!lt_dict_keys_read(&heap->track.view, waiting->data[i].keys, &keys))
				heap->track.view.session->unreadable++;
			else if (keys.refcount == 1)
				tallying->by_type.data[waiting->data[i].type].bytes += keys.bytes;
		}
	}
	lt_window_clear(heap->window, false);
	waiting->count = 0;
	return true;
}

/*
 * Objects/dictobject.c: the size of a dict that owns its keys is its own and theirs. Keys beyond the
 * window would cost a scattered read each: they wait. False: not such a dict.
 */
static bool wait_for_keys(struct tallying *tallying, lt_addr object, const struct lt_type *type)
{
	const struct lt_view *view = &tallying->heap->track.view;
	uint64_t keys, values;
	if (type->kind != LT_KIND_DICT && type->kind != LT_KIND_DEFAULT_DICT)
		return false;
	if (!lt_memory_u64(view->memory, object + lt_off(view->layout, LT_PyDictObject_ma_keys),
			   &keys) ||
	    !lt_memory_u64(view->memory, object + lt_off(view->layout, LT_PyDictObject_ma_values),
			   &values) ||
	    values != 0 || keys == 0 || lt_window_holds(tallying->heap->window, keys, KEYS_HEADER))
		return false;
	return waiting_push(&tallying->waiting, (struct waiting_keys){keys, type->index});
}

/* sys.getsizeof() of a dict less its keys. */
static uint64_t bare_size(const struct lt_layout *layout, const struct lt_type *type)
{
	uint64_t size = (uint64_t)type->basicsize + lt_off(layout, LT_sizeof_PyGC_Head);
	if (lt_fact(layout, LT_FACT_sizeof_preheader) != 0 &&
	    (type->managed_dict || type->managed_weakref))
		size += 2 * sizeof(uint64_t);
	return size;
}

static bool tally_one(void *ctx, lt_addr object, const struct lt_type *type)
{
	struct tallying *tallying = ctx;
	struct lt_heap *heap = tallying->heap;
	if (type->index >= tallying->by_type.count) {
		size_t wanted = (size_t)type->index + 1;
		if (!tallies_reserve(&tallying->by_type, wanted))
			return false;
		memset(tallying->by_type.data + tallying->by_type.count, 0,
		       (wanted - tallying->by_type.count) * sizeof(*tallying->by_type.data));
		tallying->by_type.count = wanted;
	}
	struct tally *tally = &tallying->by_type.data[type->index];
	tally->count++;
	uint64_t size;
	if (wait_for_keys(tallying, object, type))
		tally->bytes += bare_size(heap->track.view.layout, type);
	else if (lt_decode_size(heap->decoder, object, type, &size))
		tally->bytes += size;
	return true;
}

/* Objects of the permanent generation were counted with all others: this says how many they are. */
static bool tally_permanent(void *ctx, lt_addr object, const struct lt_type *type)
{
	struct tallying *tallying = ctx;
	struct lt_heap *heap = tallying->heap;
	const struct lt_view *view = &heap->track.view;
	lt_addr address;
	uint64_t size = 0;
	if (!lt_memory_u64(view->memory, object + lt_off(view->layout, LT_PyObject_ob_type),
			   &address))
		return true;
	type = lt_types_get(heap->types, address);
	if (type == NULL || type->index >= tallying->by_type.count)
		return true;
	struct tally *tally = &tallying->by_type.data[type->index];
	if (tally->permanent_count >= tally->count)
		return true;
	tally->permanent_count++;
	if (lt_decode_size(heap->decoder, object, type, &size))
		tally->permanent_bytes += size;
	return true;
}

static int by_bytes(const void *left, const void *right)
{
	const struct lt_type_total *a = left, *b = right;
	if (a->bytes != b->bytes)
		return a->bytes < b->bytes ? 1 : -1;
	return (a->type->index > b->type->index) - (a->type->index < b->type->index);
}

static enum lt_status sum_up(struct tallying *tallying, struct lt_census *census)
{
	for (size_t i = 0; i < tallying->by_type.count; i++) {
		const struct tally *tally = &tallying->by_type.data[i];
		if (tally->count == 0)
			continue;
		struct lt_type_total total = {lt_types_at(tallying->heap->types, (uint32_t)i),
					      tally->count, tally->bytes, tally->permanent_count,
					      tally->permanent_bytes};
		if (!lt_type_totals_push(&census->totals, total))
			return lt_fail_memory(tallying->heap->track.view.session);
		census->count += tally->count;
		census->bytes += tally->bytes;
	}
	if (census->totals.count > 0)
		qsort(census->totals.data, census->totals.count, sizeof(*census->totals.data),
		      by_bytes);
	return LT_OK;
}

enum lt_status lt_heap_census_tracked(struct lt_heap *heap, struct lt_census *ret_census)
{
	struct tallying tallying = {.heap = heap};
	struct lt_census census = {.interpreter_count = heap->interpreters.count};
	struct lt_tracked tracked = {0};
	census.permanent_of = calloc(census.interpreter_count + 1, sizeof(*census.permanent_of));
	if (census.permanent_of == NULL)
		return lt_fail_memory(heap->track.view.session);
	enum lt_status status =
		lt_heap_each_tracked(heap, tally_one, restart_tally, &tallying, &tracked);
	if (status == LT_OK && !settle_keys(&tallying))
		status = lt_fail_memory(heap->track.view.session);
	if (status == LT_OK)
		status = lt_heap_each_permanent(heap, tracked.count, tally_permanent, &tallying,
						census.permanent_of);
	if (status == LT_OK)
		status = lt_track_check_gone(&heap->track);
	if (status == LT_OK)
		status = sum_up(&tallying, &census);
	for (size_t i = 0; status == LT_OK && i < census.interpreter_count; i++)
		census.permanent += census.permanent_of[i];
	census.tracked = tracked.count;
	census.proved = tracked.proved;
	tallies_deinit(&tallying.by_type);
	waiting_deinit(&tallying.waiting);
	lt_window_settle(heap->window);
	if (status != LT_OK) {
		lt_census_deinit(&census);
		return status;
	}
	*ret_census = census;
	return LT_OK;
}

void lt_census_deinit(struct lt_census *census)
{
	lt_type_totals_deinit(&census->totals);
	free(census->permanent_of);
	*census = (struct lt_census){0};
}
