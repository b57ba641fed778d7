/*
 * heap_describe.c: what each object of a graph is and what it refers to, once all of them are known and numbered.
 *
 * Of a picture that stands still two threads do this, in parts that follow each other by address: the first thread from
 * the lowest address on, the second one from a border on, and when that is through the upper half of what the first one
 * has left. So both end together. Each part has a window and a decoder of its own, types that it only looks up, and rows
 * of its own that are joined in the end.
 */
#include "base/cleanup.h"
#include "base/thread.h"
#include "base/zeroed.h"
#include "heap/apart.h"
#include "heap/objmap.h"
#include "layout/object.h"

#include <string.h>

enum {
	PARTS = LT_HEAP_PARTS,
	FIRST = 0,  /* the first thread's */
	GIVEN = 1,  /* what it gives the second one in the end */
	SECOND = 2, /* the second thread's */
	BORDER = 52,        /* of a hundred objects the first thread's */
	BORDER_HELPED = 62, /* when a third processor reads ahead for it */
	MANY = 1 << 14, /* objects from which on a second thread is worth its start */
	CROSSINGS =
		1024, /* targets in the other part whose references are summed up; a power of two */
	PROGRESS_EACH = 8, /* stretches */
};

LT_VEC(numbers, uint32_t);

/* References to an object of the other part, which alone may touch its balance. */
struct crossing {
	uint32_t target, count;
};
LT_VEC(crossings, struct crossing);

/* Between the two threads: who has ended helps the other. */
struct sharing {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool asked,
		answered; /* with the lock, as is the end of the first part and all of the given one */
};

struct part {
	unsigned index;
	struct lt_heap heap;   /* a copy; window, types, decoder and view are the part's */
	struct lt_apart apart; /* begun for all but the first one */
	const struct lt_heap_visit *visit;
	struct lt_heap_graph
		graph; /* a copy: arrays are shared, counts, big sizes and loose references its own */
	size_t first_chunk, end_chunk;
	uint32_t first, end; /* nodes */
	struct lt_graph_builder *builder;
	struct lt_refs refs;    /* of one object */
	struct numbers targets; /* the same as numbers */
	uint32_t node;          /* the one that is described */
	bool is_interned;       /* it is the dict of interned strings: see is_interned_dict() */
	bool no_memory;
	/* The mapping of the last node, for LT_NODE_STATIC. */
	const struct lt_mapping *mapping;
	bool mapping_is_file;
	lt_addr page; /* of that node, and whether it is in a file; 0: none */
	bool page_is_file;
	struct crossing recent[CROSSINGS];
	struct crossings crossings;
	struct sharing *sharing; /* NULL: nobody else describes */
	struct part *given;      /* of the first part and the second one: that of both */
	enum lt_status status;
};

/* A word of the target, as lt_memory_u64(). */
static bool read_word(const struct part *part, lt_addr address, uint64_t *ret_word)
{
	return lt_memory_u64(part->heap.track.view.memory, address, ret_word);
}

static bool find_file(struct part *part, lt_addr object)
{
	const struct lt_process *process = part->heap.track.view.process;
	if (process == NULL || lt_pageset_has(&part->heap.pymalloc.pages, object))
		return false;
	if (part->mapping == NULL || object < part->mapping->start ||
	    object >= part->mapping->end) {
		part->mapping = lt_process_mapping(process, object);
		part->mapping_is_file = false;
		if (part->mapping == NULL)
			return false;
		const struct lt_mapping *mapping = part->mapping;
		part->mapping_is_file = mapping->inode != 0;
		/* .bss goes on in anonymous memory right behind the file's last writable mapping. */
		if (mapping->inode == 0 && mapping->path[0] == '\0' &&
		    mapping > process->mappings.data && mapping[-1].end == mapping->start &&
		    mapping[-1].inode != 0 && mapping[-1].writable)
			part->mapping_is_file = true;
	}
	return part->mapping_is_file;
}

/* Most nodes are in the page of the one before. */
static bool in_file(struct part *part, lt_addr object)
{
	enum { PAGE = 4096 };
	if (part->page == 0 || object - part->page >= PAGE) {
		part->page = object & ~(lt_addr)(PAGE - 1);
		part->page_is_file = find_file(part, object);
	}
	return part->page_is_file;
}

/* Immortality and reference count of a node. References counted before it was its turn are in its balance. */
static bool count_references(struct part *part, uint32_t node, lt_addr object)
{
	const struct lt_view *view = &part->heap.track.view;
	struct lt_heap_graph *graph = &part->graph;
	uint64_t word;
	if (!read_word(part, object + lt_off(view->layout, LT_PyObject_ob_refcnt), &word)) {
		graph->balance[node] = LT_BALANCE_UNKNOWN;
		return true;
	}
	if (lt_is_immortal(view->layout, word)) {
		graph->flags[node] |= LT_NODE_IMMORTAL;
		graph->balance[node] = LT_BALANCE_UNKNOWN;
		return true;
	}
	int64_t count = (int64_t)lt_refcount(view->layout, word);
	if (count < 0 || count > INT32_MAX)
		count = INT32_MAX;
	return lt_heap_graph_set_balance(graph, node, graph->balance[node] + count);
}

/* The references of the dict of interned strings to its strings are not counted (Objects/unicodeobject.c). */
static bool is_interned_dict(const struct part *part, lt_addr object)
{
	for (size_t i = 0; i < part->heap.interpreters.count; i++)
		if (part->heap.interpreters.data[i].interned == object)
			return true;
	return false;
}

/* References that are taken in the end. A few objects (None, types, names) have most of them. */
static bool cross(struct part *part, uint32_t target)
{
	struct crossing *recent = &part->recent[target & (CROSSINGS - 1)];
	if (recent->count > 0 && recent->target != target) {
		if (!crossings_push(&part->crossings, *recent))
			return false;
		recent->count = 0;
	}
	recent->target = target;
	recent->count++;
	return true;
}

/* An object that is owned by the one that is described. */
static bool count_owned(struct part *part, uint32_t target)
{
	if (target < part->first || target >= part->end)
		return cross(part, target);
	int16_t *balance = &part->graph.balance[target];
	if (*balance == LT_BALANCE_UNKNOWN)
		return true;
	/* Many have references to it: it is not looked up for each. */
	if (*balance == LT_BALANCE_BIG || *balance == -LT_BALANCE_MOST)
		return cross(part, target);
	--*balance;
	return true;
}

/* One reference of the object that is described, with what it means for the count of its target. */
static bool count_reference(struct part *part, uint32_t target, const struct lt_ref *ref)
{
	if (ref->kind == LT_REF_CONSERVATIVE) {
		part->graph.conservative_refs++;
		return lt_loose_refs_push(&part->graph.loose,
					  (struct lt_loose_ref){part->node, target});
	}
	return ref->borrowed || count_owned(part, target);
}

/* Objects of the collector are linked in a list while they are tracked. Static types have no PyGC_Head. */
static bool is_tracked(struct part *part, lt_addr object, const struct lt_type *type)
{
	const struct lt_layout *layout = part->heap.track.view.layout;
	uint64_t next, flags;
	if (!type->gc)
		return false;
	if (type->is_type_type &&
	    (!read_word(part, object + lt_off(layout, LT_PyTypeObject_tp_flags), &flags) ||
	     (flags & (uint64_t)lt_fact(layout, LT_FACT_tpflag_heap_type)) == 0))
		return false;
	return read_word(part, object - lt_off(layout, LT_sizeof_PyGC_Head), &next) && next != 0;
}

/* References of the node that is described become edges. */
static void add_edges(void *ctx, struct lt_refs *refs)
{
	struct part *part = ctx;
	size_t count = 0;
	if (!numbers_reserve(&part->targets, refs->count)) {
		part->no_memory = true;
		return;
	}
	for (size_t i = 0; i < refs->count; i++) {
		uint32_t target = lt_objmap_find(part->graph.objects, refs->data[i].to);
		if (target == LT_NO_NODE)
			continue;
		part->targets.data[count++] = target;
		if (!part->is_interned && !count_reference(part, target, &refs->data[i]))
			part->no_memory = true;
	}
	refs->count = 0;
	if (!lt_graph_builder_add(part->builder, part->targets.data, count))
		part->no_memory = true;
}

static void add_word(struct part *part, lt_addr to)
{
	uint32_t target =
		lt_may_be_referred_to(to) ? lt_objmap_find(part->graph.objects, to) : LT_NO_NODE;
	if (target == LT_NO_NODE)
		return;
	part->targets.data[part->targets.count++] = target;
	if (!part->is_interned && !count_owned(part, target))
		part->no_memory = true;
}

/* The same of items that are at hand: the edges of the node. */
static enum lt_status add_plain(struct part *part, const struct lt_plain_refs *refs)
{
	part->targets.count = 0;
	if (!numbers_reserve(&part->targets, 2 * refs->count))
		return lt_fail_memory(part->heap.track.view.session);
	for (uint64_t row = 0; row < refs->count; row++) {
		lt_addr words[2];
		unsigned count = lt_plain_row(refs, row, words);
		for (unsigned i = 0; i < count; i++)
			add_word(part, words[i]);
	}
	return part->no_memory ? lt_fail_memory(part->heap.track.view.session)
			       : lt_graph_builder_row(part->builder, part->targets.data,
						      part->targets.count);
}

static enum lt_status describe_unknown(struct part *part, uint32_t node)
{
	/* It was read before: a target that runs has changed meanwhile. */
	part->heap.track.view.session->unreadable++;
	const struct lt_type *type = lt_types_unknown(part->heap.types);
	if (type == NULL && !lt_types_missed(part->heap.types))
		return lt_fail_memory(part->heap.track.view.session);
	if (!lt_heap_graph_set_type(&part->graph, node, type != NULL ? type->index : 0))
		return lt_fail_memory(part->heap.track.view.session);
	part->graph.balance[node] = LT_BALANCE_UNKNOWN;
	return lt_graph_builder_row(part->builder, NULL, 0);
}

static enum lt_status describe(struct part *part, uint32_t node, lt_addr object)
{
	struct lt_heap *heap = &part->heap;
	struct lt_heap_graph *graph = &part->graph;
	struct lt_session *session = heap->track.view.session;
	const struct lt_type *type = lt_heap_type_at(heap, object);
	uint64_t size = 0;
	if (type == NULL)
		return describe_unknown(part, node);
	if (!lt_heap_graph_set_type(graph, node, type->index))
		return lt_fail_memory(session);
	if (lt_decode_size(heap->decoder, object, type, &size) &&
	    !lt_heap_graph_set_size(graph, node, size))
		return lt_fail_memory(session);
	if (is_tracked(part, object, type)) {
		graph->flags[node] |= LT_NODE_TRACKED;
		graph->tracked++;
	}
	if (!count_references(part, node, object))
		return lt_fail_memory(session);
	if (in_file(part, object))
		graph->flags[node] |= LT_NODE_STATIC;
	if (part->visit != NULL && !part->visit->node(part->visit->ctx, part->index,
						      &heap->track.view, graph, object, type))
		return lt_fail_memory(session);
	if (lt_heap_is_leaf(type))
		return lt_graph_builder_row(part->builder, NULL, 0);
	part->refs.count = 0;
	part->node = node;
	part->is_interned = type->kind == LT_KIND_DICT && is_interned_dict(part, object);
	struct lt_plain_refs plain;
	if (lt_decode_plain(heap->decoder, object, type, &plain))
		return add_plain(part, &plain);
	/* What could not be read was counted when the object was explored. */
	uint64_t unreadable = session->unreadable;
	(void)lt_decode_refs(heap->decoder, object, type, &part->refs);
	session->unreadable = unreadable;
	add_edges(part, &part->refs);
	return part->no_memory ? lt_fail_memory(session)
			       : lt_graph_builder_row(part->builder, NULL, 0);
}

/* Where the part's nodes will be described. */
static void bring(const struct part *part)
{
	const struct lt_heap_graph *graph = &part->graph;
	lt_zeroed_bring(graph->type, part->first, part->end, sizeof(*graph->type));
	lt_zeroed_bring(graph->size, part->first, part->end, sizeof(*graph->size));
	lt_zeroed_bring(graph->flags, part->first, part->end, sizeof(*graph->flags));
	lt_zeroed_bring(graph->balance, part->first, part->end, sizeof(*graph->balance));
}

/* The first chunk whose first object has that number or a greater one; the number of chunks when there is none. */
static size_t chunk_from(const struct lt_objmap *objects, uint32_t node)
{
	size_t low = 0, high = lt_objmap_chunks(objects);
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (lt_objmap_first(objects, middle) < node)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The objects of a part from the chunk on, if there are any, become those of another one. */
static void cut(struct part *part, size_t chunk, struct part *rest)
{
	const struct lt_objmap *objects = part->graph.objects;
	if (chunk >= part->end_chunk)
		return;
	rest->first_chunk = chunk;
	rest->end_chunk = part->end_chunk;
	rest->first = lt_objmap_first(objects, chunk);
	rest->end = part->end;
	part->end_chunk = chunk;
	part->end = rest->first;
}

/* The first thread, which has described all before `node`: gives half of the others away when it is asked to. */
static void give(struct part *part, uint32_t node)
{
	struct sharing *sharing = part->sharing;
	pthread_mutex_lock(&sharing->lock);
	if (sharing->asked && !sharing->answered) {
		cut(part, chunk_from(part->graph.objects, node + (part->end - node) / 2),
		    part->given);
		sharing->answered = true;
		pthread_cond_signal(&sharing->changed);
	}
	pthread_mutex_unlock(&sharing->lock);
}

/* The second thread waits for what it is given; that may be nothing. */
static void ask(struct sharing *sharing)
{
	pthread_mutex_lock(&sharing->lock);
	sharing->asked = true;
	while (!sharing->answered)
		pthread_cond_wait(&sharing->changed, &sharing->lock);
	pthread_mutex_unlock(&sharing->lock);
}

/* The first thread has nothing more to give. */
static void refuse(struct sharing *sharing)
{
	pthread_mutex_lock(&sharing->lock);
	sharing->answered = true;
	pthread_cond_signal(&sharing->changed);
	pthread_mutex_unlock(&sharing->lock);
}

static enum lt_status describe_part(struct part *part)
{
	const struct lt_objmap *objects = part->graph.objects;
	struct lt_session *session = part->heap.track.view.session;
	uint32_t node = part->first;
	size_t stretches = 0;
	struct lt_objmap_cursor cursor;
	lt_objmap_seek(objects, node, &cursor);
	lt_addr object = node < part->end ? lt_objmap_step(objects, &cursor) : 0;
	lt_decoder_set_part(part->heap.decoder, add_edges, part);
	bring(part);
	while (node < part->end) {
		struct lt_stretch stretch;
		size_t chunk = lt_objmap_chunk_at(objects, object);
		if (part->sharing != NULL && part->index == FIRST)
			give(part, node);
		if (!lt_heap_load_stretch(&part->heap, objects, chunk, false, &stretch))
			return lt_fail_memory(session);
		/* All objects of a chunk that begins in the stretch. */
		lt_addr end = (stretch.end + LT_OBJMAP_CHUNK - 1) & ~(lt_addr)(LT_OBJMAP_CHUNK - 1);
		while (node < part->end && object < end) {
			LT_TRY(describe(part, node++, object));
			object = lt_objmap_step(objects, &cursor);
		}
		if (++stretches % PROGRESS_EACH == 0)
			lt_progress(session, "reading references", chunk - part->first_chunk,
				    part->end_chunk - part->first_chunk);
		if (lt_types_missed(part->heap.types))
			return LT_OK;
	}
	lt_window_clear(part->heap.window, false);
	return lt_decoder_lacks_memory(part->heap.decoder) ? lt_fail_memory(session) : LT_OK;
}

static void *work(void *ctx)
{
	struct part *part = ctx;
	part->status = describe_part(part);
	ask(part->sharing);
	if (part->status == LT_OK && !lt_types_missed(part->heap.types))
		part->given->status = describe_part(part->given);
	return NULL;
}

/* ---- In parts ---- */

static bool is_known(void *ctx, lt_addr address)
{
	return lt_objmap_has(ctx, address);
}

static void begin(struct part *part, const struct lt_heap *heap, unsigned index,
		  const struct lt_heap_graph *graph, const struct lt_heap_visit *visit)
{
	part->index = index;
	part->heap = *heap;
	part->visit = visit;
	part->graph = (struct lt_heap_graph){
		.objects = graph->objects,
		.type = graph->type,
		.size = graph->size,
		.flags = graph->flags,
		.balance = graph->balance,
	};
	part->end_chunk = lt_objmap_chunks(graph->objects);
	part->end = lt_objmap_count(graph->objects);
}

/* What the part uses while others work: nothing of it is theirs. */
static enum lt_status set_apart(struct part *part, const struct lt_heap *heap)
{
	struct lt_types *types;
	if (part->index != FIRST)
		LT_TRY(lt_apart_begin(&part->apart, heap, &part->heap));
	LT_TRY(lt_types_create_reader(heap->types, &types));
	LT_TRY(lt_apart_decode(heap, types, &part->heap));
	lt_decoder_set_is_object(part->heap.decoder, is_known, part->graph.objects);
	return LT_OK;
}

static bool take_map(struct lt_map *to, const struct lt_map *from)
{
	for (size_t i = 0; i < from->capacity; i++)
		if (from->slots[i].key != 0 &&
		    !lt_map_put(to, from->slots[i].key, from->slots[i].value))
			return false;
	return !from->has_zero || lt_map_put(to, 0, from->zero_value);
}

static enum lt_status take_over(struct part *part, struct lt_heap_graph *graph)
{
	graph->tracked += part->graph.tracked;
	graph->conservative_refs += part->graph.conservative_refs;
	graph->total_bytes += part->graph.total_bytes;
	const struct lt_loose_refs *loose = &part->graph.loose;
	if (!take_map(&graph->big_sizes, &part->graph.big_sizes) ||
	    !take_map(&graph->big_balances, &part->graph.big_balances) ||
	    !lt_loose_refs_reserve(&graph->loose, graph->loose.count + loose->count))
		return lt_fail_memory(part->heap.track.view.session);
	for (size_t i = 0; i < loose->count; i++)
		graph->loose.data[graph->loose.count++] = loose->data[i];
	return LT_OK;
}

/* Once all balances are there. */
static enum lt_status take_crossings(const struct part *part, struct lt_heap_graph *graph)
{
	bool taken = true;
	for (size_t i = 0; i < part->crossings.count && taken; i++)
		taken = lt_heap_graph_take(graph, part->crossings.data[i].target,
					   part->crossings.data[i].count);
	for (size_t i = 0; i < CROSSINGS && taken; i++)
		if (part->recent[i].count > 0)
			taken = lt_heap_graph_take(graph, part->recent[i].target,
						   part->recent[i].count);
	return taken ? LT_OK : lt_fail_memory(part->heap.track.view.session);
}

static void end(struct part *part, struct lt_heap *heap)
{
	lt_apart_end(&part->apart, heap, &part->heap);
	lt_graph_builder_destroy(part->builder);
	lt_map_deinit(&part->graph.big_sizes);
	lt_map_deinit(&part->graph.big_types);
	lt_map_deinit(&part->graph.big_balances);
	lt_loose_refs_deinit(&part->graph.loose);
	lt_refs_deinit(&part->refs);
	numbers_deinit(&part->targets);
	crossings_deinit(&part->crossings);
	free(part);
}

/* Both threads: the second one ends first, and can be given something of the first one's. */
static void describe_shared(struct part *const parts[PARTS], struct sharing *sharing)
{
	pthread_t thread;
	parts[FIRST]->sharing = parts[SECOND]->sharing = sharing;
	parts[FIRST]->given = parts[SECOND]->given = parts[GIVEN];
	bool started = lt_thread_start(&thread, work, parts[SECOND]);
	parts[FIRST]->status = describe_part(parts[FIRST]);
	refuse(sharing);
	if (started)
		pthread_join(thread, NULL);
	else
		parts[SECOND]->status = describe_part(parts[SECOND]);
}

/* All parts; *ret_missed: nothing of it counts. */
static enum lt_status describe_parts(struct part *const parts[PARTS], const struct lt_heap *heap,
				     struct lt_heap_graph *graph, bool *ret_missed)
{
	struct sharing sharing = {.asked = false};
	bool helped = lt_thread_processors() > 2;
	uint64_t percent = helped ? BORDER_HELPED : BORDER;
	uint32_t border = (uint32_t)(lt_objmap_count(graph->objects) * percent / 100);
	parts[SECOND]->first = parts[SECOND]->end;
	parts[SECOND]->first_chunk = parts[SECOND]->end_chunk;
	cut(parts[FIRST], chunk_from(graph->objects, border), parts[SECOND]);
	parts[GIVEN]->first = parts[GIVEN]->end;
	if (pthread_mutex_init(&sharing.lock, NULL) != 0)
		return lt_fail_memory(heap->track.view.session);
	if (pthread_cond_init(&sharing.changed, NULL) != 0) {
		pthread_mutex_destroy(&sharing.lock);
		return lt_fail_memory(heap->track.view.session);
	}
	lt_window_set_ahead(heap->window, helped);
	describe_shared(parts, &sharing);
	lt_window_set_ahead(heap->window, true);
	pthread_cond_destroy(&sharing.changed);
	pthread_mutex_destroy(&sharing.lock);
	LT_TRY(parts[FIRST]->status);
	for (unsigned i = 0; i < PARTS; i++) {
		if (parts[i]->status != LT_OK)
			return lt_fail_memory(heap->track.view.session);
		*ret_missed = *ret_missed || lt_types_missed(parts[i]->heap.types);
	}
	return LT_OK;
}

static enum lt_status finish(struct part *const parts[PARTS], unsigned count, struct lt_heap *heap,
			     struct lt_heap_graph *graph)
{
	for (unsigned i = 0; i < count; i++) {
		lt_apart_end(&parts[i]->apart, heap, &parts[i]->heap);
		LT_TRY(take_over(parts[i], graph));
	}
	for (unsigned i = 0; i < count; i++)
		LT_TRY(take_crossings(parts[i], graph));
	struct lt_graph_builder *builders[PARTS];
	for (unsigned i = 0; i < count; i++)
		builders[i] = parts[i]->builder;
	LT_TRY(lt_graph_builder_join(builders, count));
	struct lt_graph_builder *builder = LT_TAKE(parts[0]->builder);
	return lt_graph_builder_finish(builder, &graph->graph);
}

static enum lt_status describe_all(struct part *const parts[PARTS], unsigned count,
				   struct lt_heap *heap, struct lt_heap_graph *graph,
				   const struct lt_heap_visit *visit, bool *ret_missed)
{
	for (unsigned i = 0; i < count; i++) {
		begin(parts[i], heap, i, graph, visit);
		if ((count > 1 && set_apart(parts[i], heap) != LT_OK) ||
		    lt_graph_builder_create(parts[i]->heap.track.view.session,
					    &parts[i]->builder) != LT_OK)
			return lt_fail_memory(heap->track.view.session);
	}
	if (count > 1)
		LT_TRY(describe_parts(parts, heap, graph, ret_missed));
	else
		LT_TRY(describe_part(parts[0]));
	if (*ret_missed)
		return LT_OK;
	for (unsigned i = 0; i < count; i++)
		if (!take_map(&graph->big_types, &parts[i]->graph.big_types))
			return lt_fail_memory(heap->track.view.session);
	if (visit != NULL && visit->seen != NULL)
		visit->seen(visit->ctx, graph);
	return finish(parts, count, heap, graph);
}

static enum lt_status describe_with(struct lt_heap *heap, struct lt_heap_graph *graph,
				    const struct lt_heap_visit *visit, unsigned count,
				    bool *ret_missed)
{
	struct part *parts[PARTS] = {0};
	uint64_t unreadable = heap->track.view.session->unreadable;
	bool whole = true, missed = false;
	if (visit != NULL && visit->begin != NULL)
		LT_TRY(visit->begin(visit->ctx));
	for (unsigned i = 0; i < count; i++) {
		parts[i] = calloc(1, sizeof(*parts[i]));
		whole = whole && parts[i] != NULL;
		if (parts[i] != NULL)
			parts[i]->heap = *heap;
	}
	enum lt_status status = whole ? describe_all(parts, count, heap, graph, visit, &missed)
				      : lt_fail_memory(heap->track.view.session);
	for (unsigned i = 0; i < count; i++)
		if (parts[i] != NULL)
			end(parts[i], heap);
	lt_decoder_set_part(heap->decoder, NULL, NULL);
	if (missed)
		heap->track.view.session->unreadable = unreadable;
	*ret_missed = missed;
	return status;
}

enum lt_status lt_heap_describe(struct lt_heap *heap, struct lt_heap_graph *graph,
				const struct lt_heap_visit *visit)
{
	bool missed = false;
	uint32_t nodes = lt_objmap_count(graph->objects);
	if (nodes >= MANY && heap->track.view.memory->ahead != NULL)
		LT_TRY(describe_with(heap, graph, visit, PARTS, &missed));
	if (graph->graph.out.first != NULL)
		return LT_OK;
	if (missed) {
		/* A type of a target that runs was not there before: only one thread can read new ones. */
		memset(graph->type, 0, nodes * sizeof(*graph->type));
		memset(graph->size, 0, nodes * sizeof(*graph->size));
		memset(graph->flags, 0, nodes * sizeof(*graph->flags));
		memset(graph->balance, 0, nodes * sizeof(*graph->balance));
		if (visit != NULL)
			visit->restart(visit->ctx);
	}
	return describe_with(heap, graph, visit, 1, &missed);
}
