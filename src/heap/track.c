#include "heap/track.h"

#include "base/thread.h"

#include <stdlib.h>
#include <string.h>

enum {
	TYPE_CACHE = 2048, /* a power of two */
	HEAD_OBJECT = 32,  /* bytes that a PyGC_Head and an object's header take */
	ALIGNMENT = 16,    /* of what malloc and pymalloc hand out */
	OUTSIDE_MANY =
		65536, /* objects outside arenas from which on all anonymous memory is scanned */
	PROGRESS_EACH = 64,      /* windows */
	REFCOUNT_HIGH = 1 << 20, /* a count above it may as well be an address below 4 GiB */
};

LT_VEC(addresses, lt_addr);

/* The first four words of a tracked object, from its PyGC_Head on. */
struct node {
	uint64_t next, prev, refcount, type;
};

struct cached_type {
	lt_addr address;
	const struct lt_type *type;
};

/* Sums over a set of addresses, wrapping: equal for equal sets, and hardly ever for others. */
struct sums {
	uint64_t plain, mixed;
};

struct scan {
	const struct lt_track *track;
	lt_tracked_fn take;
	void *ctx;
	uint64_t next_mask, prev_mask; /* bits of an address */
	uint64_t collecting; /* bit of _gc_prev: the rest is a reference count, not a link */
	uint64_t refcount_mask;
	struct lt_pageset covered;      /* pages whose tracked objects the scan itself finds */
	const struct lt_pageset *pages; /* the arenas, or `covered` */
	struct lt_range here; /* some of these: what is looked at, where most links lead */
	struct sums nodes, next, prev;
	struct lt_map heads;      /* list heads */
	struct lt_map outside;    /* heads of objects outside `pages`, 1: seen, not yet taken */
	struct lt_ranges pending; /* `start`: those of `outside` that were not followed yet */
	uint64_t count, outside_count;
	bool no_memory;
	bool torn;
	lt_addr from; /* of a second thread: its part of the arenas begins here */
	enum lt_status status;
	struct cached_type cache[TYPE_CACHE];
};

static uint64_t mix(uint64_t value)
{
	value ^= value >> 31;
	value *= 0x7fb5d329728ea185u;
	value ^= value >> 27;
	value *= 0x81dadef4bc2dd44du;
	return value ^ value >> 33;
}

static void add(struct sums *sums, uint64_t address)
{
	sums->plain += address;
	sums->mixed += mix(address);
}

static const struct lt_type *type_of(struct scan *scan, lt_addr address)
{
	struct cached_type *cached = &scan->cache[(address >> 4 ^ address >> 15) % TYPE_CACHE];
	if (cached->address != address) {
		cached->type = lt_types_get(scan->track->types, address);
		cached->address = address;
	}
	return cached->type;
}

/* Include/internal/pycore_object.h (3.11 and later): _PyType_PreHeaderSize, without the PyGC_Head. */
static unsigned preheader(const struct lt_type *type)
{
	return type->managed_dict || type->managed_weakref ? 16 : 0;
}

static bool read_node(const struct lt_track *track, lt_addr head, struct node *ret_node)
{
	return lt_memory_probe(track->view.memory, head, ret_node, sizeof(*ret_node)) ==
	       sizeof(*ret_node);
}

static bool plausible_link(const struct scan *scan, uint64_t address)
{
	if (address < 4096 || address >> LT_PAGESET_TOP_BITS != 0)
		return false;
	return (address & (ALIGNMENT - 1)) == 0 || lt_map_get(&scan->heads, address, NULL);
}

/* The type of the object behind the head when everything agrees, NULL when this is no tracked object. */
static const struct lt_type *judge(struct scan *scan, const struct node *node)
{
	uint64_t refcount = node->refcount & scan->refcount_mask;
	if (node->next == 0 || node->prev == 0 || refcount == 0 || refcount > UINT32_MAX ||
	    (node->type & 7) != 0 || node->type < 4096 || node->type >> LT_PAGESET_TOP_BITS != 0 ||
	    !plausible_link(scan, node->next & scan->next_mask))
		return NULL;
	/* A live target may be amidst a collection. */
	if ((node->prev & scan->collecting) == 0 &&
	    !plausible_link(scan, node->prev & scan->prev_mask))
		return NULL;
	const struct lt_type *type = type_of(scan, node->type);
	return type != NULL && type->gc ? type : NULL;
}

/*
 * Both neighbours point back. Costs two scattered reads: only for what an array of pointers could look
 * like too, in a program whose heap is at low addresses (not position-independent).
 */
static bool doubtful(const struct scan *scan, lt_addr head, const struct node *node)
{
	uint64_t back;
	if ((node->refcount & scan->refcount_mask) < REFCOUNT_HIGH)
		return false;
	lt_addr next = node->next & scan->next_mask, prev = node->prev & scan->prev_mask;
	struct lt_memory *memory = scan->track->view.memory;
	return lt_memory_probe(memory, next + sizeof(back), &back, sizeof(back)) != sizeof(back) ||
	       (back & scan->prev_mask) != head ||
	       lt_memory_probe(memory, prev, &back, sizeof(back)) != sizeof(back) ||
	       (back & scan->next_mask) != head;
}

/* Follows a link that leads out of the pages that are scanned. */
static void follow(struct scan *scan, lt_addr address)
{
	if (address - scan->here.start < scan->here.end - scan->here.start ||
	    lt_pageset_has(scan->pages, address) || lt_map_get(&scan->heads, address, NULL) ||
	    lt_map_get(&scan->outside, address, NULL))
		return;
	if (!lt_map_put(&scan->outside, address, 1) ||
	    !lt_ranges_push(&scan->pending, (struct lt_range){address, 0}))
		scan->no_memory = true;
}

static void link_node(struct scan *scan, lt_addr head, const struct node *node)
{
	uint64_t next = node->next & scan->next_mask;
	uint64_t prev = node->prev & scan->prev_mask;
	add(&scan->nodes, head);
	add(&scan->next, next);
	add(&scan->prev, prev);
	follow(scan, next);
	if ((node->prev & scan->collecting) == 0)
		follow(scan, prev);
}

static void take(struct scan *scan, lt_addr head, const struct node *node,
		 const struct lt_type *type)
{
	link_node(scan, head, node);
	scan->count++;
	if (!scan->take(scan->ctx, head + HEAD_OBJECT / 2, type))
		scan->no_memory = true;
}

static void take_block(struct scan *scan, lt_addr block, const unsigned char *bytes, uint32_t size)
{
	/*
	 * The head is at the start of the block, or behind the two words of a managed dict and managed
	 * weak references: the type says which.
	 */
	for (unsigned before = 0; before <= 16; before += 16) {
		struct node node;
		if (before + HEAD_OBJECT > size)
			return;
		memcpy(&node, bytes + before, sizeof(node));
		const struct lt_type *type = judge(scan, &node);
		if (type == NULL || preheader(type) != before ||
		    (uint64_t)type->basicsize + before + HEAD_OBJECT / 2 > size ||
		    doubtful(scan, block + before, &node))
			continue;
		take(scan, block + before, &node, type);
		return;
	}
}

static void scan_pool(struct scan *scan, lt_addr address, const unsigned char *bytes,
		      struct lt_pool_note *ret_note)
{
	const struct lt_pymalloc *pymalloc = scan->track->pymalloc;
	struct lt_pool pool;
	if (!lt_pool_parse(&scan->track->view, pymalloc, address, bytes, &pool))
		return;
	*ret_note = (struct lt_pool_note){(uint16_t)pool.used, (uint16_t)pool.block_size};
	if (pool.torn)
		scan->torn = true;
	else if (pool.used == pool.count)
		ret_note->block_size |= LT_POOL_NOTE_FULL;
	if (pool.block_size < HEAD_OBJECT + pymalloc->shift)
		return;
	for (uint32_t k = 0; k < pool.count; k++) {
		if ((pool.free[k / 64] >> (k % 64) & 1) != 0)
			continue;
		uint32_t offset = pool.first + k * pool.block_size + pymalloc->shift;
		take_block(scan, address + offset, bytes + offset,
			   pool.block_size - pymalloc->shift);
	}
}

enum lt_status lt_track_check_gone(const struct lt_track *track)
{
	const struct lt_view *view = &track->view;
	if (view->process == NULL || lt_process_alive(view->process) ||
	    lt_window_reach(track->window, view->python->runtime))
		return LT_OK;
	return lt_fail(view->session, LT_E_GONE, "process %d ended while its heap was read",
		       (int)view->process->pid);
}

static void pass(struct scan *scan, lt_addr start, lt_addr end)
{
	const struct lt_track *track = scan->track;
	if (track->passed != NULL && !track->passed(track->passed_ctx, start, end))
		scan->no_memory = true;
}

/* Those in [from, to). */
static enum lt_status scan_arenas(struct scan *scan, lt_addr from, lt_addr to)
{
	const struct lt_track *track = scan->track;
	const struct lt_pymalloc *pymalloc = track->pymalloc;
	uint64_t step = LT_WINDOW_MAX & ~(pymalloc->pool_size - 1);
	uint64_t before = 0, windows = 0;
	struct lt_pool_note unwanted, *notes = pymalloc->notes;
	for (size_t i = 0; i < pymalloc->pools.count; i++) {
		const struct lt_range *range = &pymalloc->pools.data[i];
		lt_addr end = range->end < to ? range->end : to;
		uint64_t size;
		scan->here = *range;
		for (lt_addr at = range->start > from ? range->start : from; at < end; at += size) {
			size = end - at < step ? end - at : step;
			uint64_t done = before + (at - range->start);
			size_t got;
			const unsigned char *bytes = lt_window_load(track->window, at, size, &got);
			if (bytes == NULL)
				return lt_fail_memory(track->view.session);
			if (got < size) {
				track->view.session->unreadable++;
				LT_TRY(lt_track_check_gone(track));
				/* An arena was given back since the arenas were listed: what lies behind it is still there. */
				size = got - got % pymalloc->pool_size + pymalloc->pool_size;
			}
			for (size_t pool = 0; pool + pymalloc->pool_size <= got;
			     pool += pymalloc->pool_size)
				scan_pool(scan, at + pool, bytes + pool,
					  notes != NULL
						  ? &notes[(done + pool) / pymalloc->pool_size]
						  : &unwanted);
			pass(scan, at, at + got);
			if (scan->no_memory)
				return lt_fail_memory(track->view.session);
			if (windows++ % PROGRESS_EACH == 0)
				lt_progress(track->view.session, "reading the heap", done + size,
					    pymalloc->bytes);
		}
		before += range->end - range->start;
	}
	return LT_OK;
}

/* ---- Objects outside the arenas ---- */

static int by_start(const void *left, const void *right)
{
	lt_addr a = ((const struct lt_range *)left)->start,
		b = ((const struct lt_range *)right)->start;
	return (a > b) - (a < b);
}

/* Follows links until all lead to known nodes, or there are more than `many` (then *ret_many). */
static enum lt_status close_outside(struct scan *scan, uint64_t many, bool *ret_many)
{
	while (scan->pending.count > 0) {
		struct lt_ranges wave = scan->pending;
		scan->pending = (struct lt_ranges){0};
		qsort(wave.data, wave.count, sizeof(*wave.data), by_start);
		for (size_t i = 0; i < wave.count; i++) {
			struct node node;
			lt_addr head = wave.data[i].start;
			if (!read_node(scan->track, head, &node) || judge(scan, &node) == NULL) {
				scan->torn = true;
				scan->track->view.session->unreadable++;
				if (!lt_map_put(&scan->outside, head, 0))
					scan->no_memory = true;
				continue;
			}
			link_node(scan, head, &node);
		}
		lt_ranges_deinit(&wave);
		if (scan->no_memory)
			return lt_fail_memory(scan->track->view.session);
		if (scan->outside.count > many) {
			*ret_many = true;
			return LT_OK;
		}
	}
	*ret_many = false;
	return LT_OK;
}

static int by_address(const void *left, const void *right)
{
	lt_addr a = *(const lt_addr *)left, b = *(const lt_addr *)right;
	return (a > b) - (a < b);
}

/* Gives the objects outside to the caller, in address order. */
static enum lt_status take_outside(struct scan *scan)
{
	size_t count = 0;
	struct addresses heads = {0};
	if (!addresses_reserve(&heads, scan->outside.count + 1) || heads.data == NULL)
		return lt_fail_memory(scan->track->view.session);
	for (size_t i = 0; i < scan->outside.capacity; i++)
		if (scan->outside.slots[i].key != 0 && scan->outside.slots[i].value == 1)
			heads.data[count++] = scan->outside.slots[i].key;
	qsort(heads.data, count, sizeof(*heads.data), by_address);
	for (size_t i = 0; i < count && !scan->no_memory; i++) {
		struct node node;
		const struct lt_type *type;
		if (!read_node(scan->track, heads.data[i], &node) ||
		    (type = judge(scan, &node)) == NULL)
			continue;
		scan->count++;
		scan->outside_count++;
		if (!scan->take(scan->ctx, heads.data[i] + HEAD_OBJECT / 2, type))
			scan->no_memory = true;
	}
	addresses_deinit(&heads);
	return scan->no_memory ? lt_fail_memory(scan->track->view.session) : LT_OK;
}

/* ---- Objects from malloc, when there are many (PYTHONMALLOC=malloc, or large ones) ---- */

/* Takes each place of the mapping, arenas left out, where a tracked object seems to begin. */
static enum lt_status scan_mapping(struct scan *scan, const struct lt_mapping *mapping)
{
	const struct lt_track *track = scan->track;
	const size_t step = LT_WINDOW_MAX - 4096;
	for (lt_addr at = mapping->start; at < mapping->end; at += step) {
		size_t size = mapping->end - at < LT_WINDOW_MAX ? mapping->end - at : LT_WINDOW_MAX;
		size_t got;
		const unsigned char *bytes = lt_window_load(track->window, at, size, &got);
		if (bytes == NULL)
			return lt_fail_memory(track->view.session);
		if (got < size)
			LT_TRY(lt_track_check_gone(track));
		for (size_t offset = 0; offset < step && offset + HEAD_OBJECT <= got;
		     offset += ALIGNMENT) {
			if (offset % 4096 == 0 &&
			    lt_pageset_has(&track->pymalloc->pages, at + offset)) {
				offset += 4096 - ALIGNMENT;
				continue;
			}
			struct node node;
			memcpy(&node, bytes + offset, sizeof(node));
			if (node.next == 0)
				continue;
			const struct lt_type *type = judge(scan, &node);
			if (type != NULL && !doubtful(scan, at + offset, &node))
				take(scan, at + offset, &node, type);
		}
		pass(scan, at, at + got);
		if (scan->no_memory)
			return lt_fail_memory(track->view.session);
	}
	return LT_OK;
}

static enum lt_status scan_anonymous(struct scan *scan)
{
	const struct lt_track *track = scan->track;
	const struct lt_mappings *mappings = &track->view.process->mappings;
	const struct lt_ranges *pools = &track->pymalloc->pools;
	for (size_t i = 0; i < pools->count; i++)
		if (!lt_pageset_add(&scan->covered, pools->data[i].start, pools->data[i].end))
			return lt_fail_memory(track->view.session);
	for (size_t i = 0; i < mappings->count; i++)
		if (lt_mapping_may_hold_heap(&mappings->data[i]) &&
		    !lt_pageset_add(&scan->covered, mappings->data[i].start, mappings->data[i].end))
			return lt_fail_memory(track->view.session);
	scan->pages = &scan->covered;

	/* What was seen outside and still is, is followed again. */
	struct lt_map seen = scan->outside;
	scan->outside = (struct lt_map){0};
	scan->pending.count = 0;
	for (size_t i = 0; i < seen.capacity; i++)
		if (seen.slots[i].key != 0)
			follow(scan, seen.slots[i].key);
	lt_map_deinit(&seen);

	for (size_t i = 0; i < mappings->count; i++) {
		if (lt_mapping_may_hold_heap(&mappings->data[i]))
			LT_TRY(scan_mapping(scan, &mappings->data[i]));
		lt_progress(track->view.session, "reading the heap", i + 1, mappings->count);
	}
	return LT_OK;
}

/* ---- The scan as a whole ---- */

/* Calls `each` for the head of every list that objects can be in. */
static bool each_head(const struct lt_track *track, bool (*each)(void *ctx, lt_addr head),
		      void *ctx)
{
	for (size_t i = 0; i < track->interpreters->count; i++) {
		const struct lt_gc_state *gc = &track->interpreters->data[i].gc;
		for (int g = 0; g < LT_GC_GENERATIONS; g++)
			if (gc->generations[g].head != 0 && !each(ctx, gc->generations[g].head))
				return false;
		if (gc->permanent != 0 && !each(ctx, gc->permanent))
			return false;
	}
	return true;
}

static bool note_head(void *ctx, lt_addr head)
{
	struct scan *scan = ctx;
	return lt_map_put(&scan->heads, head, 1);
}

static bool link_head(void *ctx, lt_addr head)
{
	struct scan *scan = ctx;
	struct node node = {0};
	/* Two words: behind the head lie the threshold and the count. */
	if (lt_memory_read(scan->track->view.memory, head, &node, 2 * sizeof(uint64_t)) !=
	    2 * sizeof(uint64_t)) {
		scan->torn = true;
		scan->track->view.session->unreadable++;
		return true;
	}
	link_node(scan, head, &node);
	return !scan->no_memory;
}

static struct scan *make_scan(const struct lt_track *track, lt_tracked_fn take_object, void *ctx)
{
	struct scan *scan = calloc(1, sizeof(*scan));
	if (scan == NULL)
		return NULL;
	const struct lt_layout *layout = track->view.layout;
	scan->track = track;
	scan->take = take_object;
	scan->ctx = ctx;
	scan->next_mask = ~(uint64_t)lt_fact(layout, LT_FACT_gc_next_mask);
	scan->prev_mask = ~(uint64_t)lt_fact(layout, LT_FACT_gc_prev_mask);
	scan->collecting = (uint64_t)lt_fact(layout, LT_FACT_gc_prev_collecting);
	/* 3.14 and later keep flags in the upper bytes of the word. */
	scan->refcount_mask =
		lt_fact(layout, LT_FACT_refcnt_bytes) == 8 ? UINT64_MAX : ((uint64_t)1 << 48) - 1;
	scan->pages = &track->pymalloc->pages;
	return scan;
}

static void destroy_scan(struct scan *scan)
{
	if (scan == NULL)
		return;
	lt_pageset_deinit(&scan->covered);
	lt_map_deinit(&scan->heads);
	lt_map_deinit(&scan->outside);
	lt_ranges_deinit(&scan->pending);
	free(scan);
}

static void *work(void *ctx)
{
	struct scan *scan = ctx;
	scan->status = scan_arenas(scan, scan->from, UINT64_MAX);
	return NULL;
}

static void add_sums(struct sums *to, const struct sums *from)
{
	to->plain += from->plain;
	to->mixed += from->mixed;
}

/* What a second thread has found. */
static enum lt_status take_over(struct scan *scan, const struct scan *other)
{
	if (other->status != LT_OK) {
		LT_TRY(lt_track_check_gone(scan->track));
		return lt_fail_memory(scan->track->view.session);
	}
	add_sums(&scan->nodes, &other->nodes);
	add_sums(&scan->next, &other->next);
	add_sums(&scan->prev, &other->prev);
	scan->count += other->count;
	scan->torn = scan->torn || other->torn;
	for (size_t i = 0; i < other->outside.capacity; i++)
		if (other->outside.slots[i].key != 0)
			follow(scan, other->outside.slots[i].key);
	return scan->no_memory ? lt_fail_memory(scan->track->view.session) : LT_OK;
}

/* By two threads, if there is a second one and it starts. */
static enum lt_status scan_all_arenas(struct scan *scan)
{
	const struct lt_pymalloc *pymalloc = scan->track->pymalloc;
	const struct lt_track_beside *beside = scan->track->beside;
	struct scan *other = NULL;
	pthread_t thread;
	if (pymalloc->notes != NULL)
		memset(pymalloc->notes, 0,
		       pymalloc->bytes / pymalloc->pool_size * sizeof(*pymalloc->notes));
	if (beside == NULL)
		return scan_arenas(scan, 0, UINT64_MAX);
	other = make_scan(beside->track, scan->take, beside->ctx);
	if (other != NULL)
		other->from = beside->border;
	bool started = other != NULL && each_head(scan->track, note_head, other) &&
		       lt_thread_start(&thread, work, other);
	enum lt_status status = scan_arenas(scan, 0, started ? beside->border : UINT64_MAX);
	if (started)
		pthread_join(thread, NULL);
	if (started && status == LT_OK)
		status = take_over(scan, other);
	destroy_scan(other);
	if (status == LT_OK && !beside->joined(scan->ctx))
		status = lt_fail_memory(scan->track->view.session);
	return status;
}

static enum lt_status run_scan(struct scan *scan)
{
	const struct lt_track *track = scan->track;
	if (!each_head(track, note_head, scan) || !each_head(track, link_head, scan))
		return lt_fail_memory(track->view.session);
	LT_TRY(scan_all_arenas(scan));
	lt_window_clear(track->window, false);
	struct sums nodes = scan->nodes, next = scan->next, prev = scan->prev;
	bool many = false, torn = scan->torn;
	uint64_t limit = track->view.process != NULL ? OUTSIDE_MANY : UINT64_MAX;
	LT_TRY(close_outside(scan, limit, &many));
	if (many) {
		scan->nodes = nodes;
		scan->next = next;
		scan->prev = prev;
		scan->torn = torn;
		LT_TRY(scan_anonymous(scan));
		lt_window_clear(track->window, false);
		LT_TRY(close_outside(scan, UINT64_MAX, &many));
	}
	return take_outside(scan);
}

enum lt_status lt_track_scan(const struct lt_track *track, lt_tracked_fn take_object, void *ctx,
			     struct lt_tracked *ret_tracked)
{
	struct scan *scan = make_scan(track, take_object, ctx);
	if (scan == NULL)
		return lt_fail_memory(track->view.session);
	enum lt_status status = run_scan(scan);
	if (status == LT_OK) {
		bool equal = memcmp(&scan->nodes, &scan->next, sizeof(scan->nodes)) == 0 &&
			     memcmp(&scan->nodes, &scan->prev, sizeof(scan->nodes)) == 0;
		*ret_tracked = (struct lt_tracked){
			.count = scan->count, .outside = scan->outside_count, .proved = equal};
	}
	destroy_scan(scan);
	return status;
}

/* ---- The walk ---- */

enum lt_status lt_track_list(const struct lt_track *track, lt_addr head, uint64_t limit,
			     lt_tracked_fn take_object, void *ctx, struct lt_tracked *ret_tracked)
{
	const struct lt_layout *layout = track->view.layout;
	uint64_t next_mask = ~(uint64_t)lt_fact(layout, LT_FACT_gc_next_mask);
	uint64_t prev_mask = ~(uint64_t)lt_fact(layout, LT_FACT_gc_prev_mask);
	struct lt_tracked found = {.proved = true};
	struct node node = {0};
	if (head == 0) {
		*ret_tracked = found;
		return LT_OK;
	}
	if (!lt_memory_u64(track->view.memory, head, &node.next)) {
		found.proved = false;
		*ret_tracked = found;
		return LT_OK;
	}
	lt_addr last = head, at = node.next & next_mask;
	while (at != head) {
		if (found.count >= limit || !read_node(track, at, &node) ||
		    (node.prev & prev_mask) != last) {
			found.proved = false;
			track->view.session->unreadable++;
			break;
		}
		found.count++;
		if (take_object != NULL && !take_object(ctx, at + HEAD_OBJECT / 2, NULL))
			return lt_fail_memory(track->view.session);
		last = at;
		at = node.next & next_mask;
	}
	*ret_tracked = found;
	return LT_OK;
}

struct walk {
	const struct lt_track *track;
	lt_tracked_fn take;
	void *ctx;
	uint64_t limit;
	struct lt_tracked found;
	enum lt_status status;
};

static bool take_walked(void *ctx, lt_addr object, const struct lt_type *type)
{
	struct walk *walk = ctx;
	const struct lt_view *view = &walk->track->view;
	lt_addr address;
	(void)type;
	if (walk->take == NULL)
		return true;
	if (!lt_memory_u64(view->memory, object + lt_off(view->layout, LT_PyObject_ob_type),
			   &address))
		return true;
	const struct lt_type *found = lt_types_get(walk->track->types, address);
	if (found == NULL) {
		view->session->unreadable++;
		return true;
	}
	return walk->take(walk->ctx, object, found);
}

static bool walk_head(void *ctx, lt_addr head)
{
	struct walk *walk = ctx;
	struct lt_tracked one = {0};
	walk->status = lt_track_list(walk->track, head, walk->limit - walk->found.count,
				     take_walked, walk, &one);
	walk->found.count += one.count;
	walk->found.proved = walk->found.proved && one.proved;
	return walk->status == LT_OK;
}

enum lt_status lt_track_walk(const struct lt_track *track, uint64_t limit,
			     lt_tracked_fn take_object, void *ctx, struct lt_tracked *ret_tracked)
{
	struct walk walk = {track, take_object, ctx, limit, {.proved = true}, LT_OK};
	if (!each_head(track, walk_head, &walk))
		return walk.status;
	*ret_tracked = walk.found;
	return LT_OK;
}
