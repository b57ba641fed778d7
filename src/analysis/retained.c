#include "analysis/retained.h"

#include "analysis/pick.h"
#include "analysis/subject.h"
#include "analysis/tide.h"
#include "analysis/weights.h"
#include "base/cleanup.h"

#include <string.h>

enum {
	DEPTH_DEFAULT = 8,
	TOP_DEFAULT = 10,
	EXPRESSIONS_MOST = 5000, /* entries beyond are left without one */
	ALONE_PARTS = 20,        /* a child with this part of its parent stands alone */
	ALONE_OF_ALL = 100,      /* or with this part of all */
	EXPANDED_PARTS = 500,    /* an entry with less than this part of all is not opened */
	SHOWN_PARTS = 1000,      /* and one with less than this part has no row of its own */
};

LT_VEC(nodes, uint32_t);

/* An entry that is still to be opened: the objects that it stands for, heaviest first. */
struct pending {
	size_t entry;
	size_t level;
	struct nodes members;
};
LT_VEC(queue, struct pending);

struct work {
	const struct lt_picture *picture;
	struct lt_expressions *expressions;
	struct lt_retained *result;
	struct lt_dominated below;
	uint64_t all; /* bytes of the top entries */
	bool mixed;   /* the start is all objects of a type, wherever they are */
	size_t depth, top;
	size_t written;
	struct queue queue;
};

static void queue_free(struct queue *queue)
{
	for (size_t i = 0; i < queue->count; i++)
		nodes_deinit(&queue->data[i].members);
	queue_deinit(queue);
}

static void work_deinit(struct work *work)
{
	queue_free(&work->queue);
	lt_dominated_deinit(&work->below);
	lt_expressions_destroy(work->expressions);
}

void lt_retained_deinit(struct lt_retained *retained)
{
	lt_retained_entries_deinit(&retained->entries);
	lt_arena_deinit(&retained->strings);
	*retained = (struct lt_retained){0};
}

static const char *keep(struct work *work, const char *text)
{
	const char *copy = lt_arena_copy(&work->result->strings, text, strlen(text));
	return copy != NULL ? copy : "";
}

/* Expression and place of an entry that stands for `node` or for objects like it. */
static void describe(struct work *work, struct lt_retained_entry *entry, uint32_t node)
{
	const struct lt_picture *picture = work->picture;
	LT_CLEANUP(lt_text_deinit) struct lt_text text = {0};
	LT_CLEANUP(lt_text_deinit) struct lt_text where = {0};
	LT_CLEANUP(lt_text_deinit) struct lt_text type = {0};
	lt_node_type_add(&type, picture, node);
	entry->type = keep(work, lt_text_get(&type));
	if (work->written++ >= EXPRESSIONS_MOST)
		return;
	lt_expression_write(work->expressions, node, &text, &where);
	if (entry->kind == LT_RETAINED_OBJECT) {
		entry->expression = keep(work, lt_text_get(&text));
		entry->where = keep(work, lt_text_get(&where));
		return;
	}
	entry->example = keep(work, lt_text_get(&text));
	LT_CLEANUP(nodes_deinit) struct nodes way = {0};
	for (uint32_t at = node; at != LT_GRAPH_NONE; at = picture->parent[at]) {
		if (way.count > UINT16_MAX || !nodes_push(&way, at))
			return;
	}
	for (size_t i = 0; i < way.count / 2; i++) {
		uint32_t swap = way.data[i];
		way.data[i] = way.data[way.count - 1 - i];
		way.data[way.count - 1 - i] = swap;
	}
	lt_text_clear(&text);
	lt_expression_write_way(work->expressions, way.data, way.count, NULL, true, &text, NULL);
	if (!work->mixed && strstr(lt_text_get(&text), "[*]") != NULL)
		entry->expression = keep(work, lt_text_get(&text));
}

static int by_type(const void *left, const void *right, void *ctx)
{
	const struct lt_picture *picture = ctx;
	uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
	if (lt_heap_graph_type(&picture->graph, a) != lt_heap_graph_type(&picture->graph, b))
		return lt_heap_graph_type(&picture->graph, a) <
				       lt_heap_graph_type(&picture->graph, b)
			       ? -1
			       : 1;
	return lt_picture_by_retained(left, right, ctx);
}

/* A row in the making: members[begin .. begin + count). */
struct row {
	size_t begin, count;
	uint64_t retained;
};
LT_VEC(rows, struct row);

static int by_row(const void *left, const void *right)
{
	const struct row *a = left, *b = right;
	if (a->retained != b->retained)
		return a->retained < b->retained ? 1 : -1;
	return a->begin < b->begin ? -1 : a->begin > b->begin;
}

static void fill(const struct work *work, struct lt_retained_entry *entry, const uint32_t *members,
		 size_t count)
{
	const struct lt_picture *picture = work->picture;
	entry->expression = entry->example = entry->type = entry->where = "";
	entry->count = count;
	for (size_t i = 0; i < count; i++) {
		entry->shallow += lt_heap_graph_size(&picture->graph, members[i]);
		entry->retained += picture->retained[members[i]];
	}
	entry->share = work->result->object_bytes == 0
			       ? 0
			       : (double)entry->retained / (double)work->result->object_bytes;
	if (count == 1)
		entry->address = lt_picture_address(picture, members[0]);
}

/* Adds an entry and, when it is worth it, queues it to be opened. Its index; SIZE_MAX: no memory. */
static size_t add_entry(struct work *work, enum lt_retained_kind kind, size_t level,
			const uint32_t *members, size_t count)
{
	struct lt_retained_entry entry = {.kind = kind};
	fill(work, &entry, members, count);
	if (kind == LT_RETAINED_OBJECT || kind == LT_RETAINED_ALIKE)
		describe(work, &entry, members[0]);
	size_t index = work->result->entries.count;
	if (!lt_retained_entries_push(&work->result->entries, entry))
		return SIZE_MAX;
	if (kind == LT_RETAINED_OTHERS || level + 1 >= work->depth)
		return index;
	struct pending pending = {.entry = index, .level = level};
	if (!nodes_reserve(&pending.members, count))
		return SIZE_MAX;
	memcpy(pending.members.data, members, count * sizeof(*members));
	pending.members.count = count;
	if (!queue_push(&work->queue, pending)) {
		nodes_deinit(&pending.members);
		return SIZE_MAX;
	}
	return index;
}

/*
 * Entries of one level out of its objects: the heavy ones alone, the rest joined by type, and what is
 * beyond the `top` rows in one row. `members` is put into another order.
 */
static enum lt_status add_level(struct work *work, size_t level, uint32_t *members, size_t count,
				uint64_t parent_bytes, size_t *ret_count)
{
	struct lt_session *session = work->picture->session;
	const struct lt_picture *picture = work->picture;
	size_t before = work->result->entries.count;
	LT_CLEANUP(rows_deinit) struct rows rows = {0};
	/* The heavy ones to the front. */
	size_t alone = 0;
	uint64_t heavy = parent_bytes / ALONE_PARTS + 1;
	if (level > 0 && work->all / ALONE_OF_ALL + 1 < heavy)
		heavy = work->all / ALONE_OF_ALL + 1;
	for (size_t i = 0; i < count; i++) {
		if (picture->retained[members[i]] >= heavy) {
			uint32_t swap = members[alone];
			members[alone++] = members[i];
			members[i] = swap;
		}
	}
	for (size_t i = 0; i < alone; i++) {
		if (!rows_push(&rows, (struct row){i, 1, picture->retained[members[i]]}))
			return lt_fail_memory(session);
	}
	if (count > alone)
		qsort_r(members + alone, count - alone, sizeof(*members), by_type, (void *)picture);
	for (size_t i = alone; i < count;) {
		struct row row = {.begin = i};
		uint32_t type = lt_heap_graph_type(&picture->graph, members[i]);
		for (; i < count && lt_heap_graph_type(&picture->graph, members[i]) == type; i++) {
			row.count++;
			row.retained += picture->retained[members[i]];
		}
		if (!rows_push(&rows, row))
			return lt_fail_memory(session);
	}
	if (rows.count > 0)
		qsort(rows.data, rows.count, sizeof(*rows.data), by_row);
	size_t shown = 0;
	while (shown < rows.count && (shown == 0 || shown < work->top) &&
	       (level == 0 || rows.data[shown].retained >= work->all / SHOWN_PARTS))
		shown++;
	if (shown + 1 == rows.count)
		shown++;
	for (size_t r = 0; r < shown; r++) {
		const struct row *row = &rows.data[r];
		enum lt_retained_kind kind =
			row->count == 1 ? LT_RETAINED_OBJECT : LT_RETAINED_ALIKE;
		if (add_entry(work, kind, level, members + row->begin, row->count) == SIZE_MAX)
			return lt_fail_memory(session);
	}
	LT_CLEANUP(nodes_deinit) struct nodes left = {0};
	for (size_t r = shown; r < rows.count; r++) {
		const struct row *row = &rows.data[r];
		if (!nodes_reserve(&left, left.count + row->count))
			return lt_fail_memory(session);
		memcpy(left.data + left.count, members + row->begin, row->count * sizeof(*members));
		left.count += row->count;
	}
	if (left.count > 0 &&
	    add_entry(work, LT_RETAINED_OTHERS, level, left.data, left.count) == SIZE_MAX)
		return lt_fail_memory(session);
	*ret_count = work->result->entries.count - before;
	return LT_OK;
}

static enum lt_status open_entry(struct work *work, struct pending *pending)
{
	struct lt_session *session = work->picture->session;
	struct lt_retained_entry *entry = &work->result->entries.data[pending->entry];
	if (entry->retained < work->all / EXPANDED_PARTS)
		return LT_OK;
	LT_CLEANUP(nodes_deinit) struct nodes below = {0};
	/* A module or kind of roots has the objects themselves below it. */
	if (entry->kind == LT_RETAINED_MODULE || entry->kind == LT_RETAINED_ROOTS) {
		below = pending->members;
		pending->members = (struct nodes){0};
	}
	for (size_t i = 0; i < pending->members.count; i++) {
		uint32_t node = pending->members.data[i];
		size_t count = work->below.first[node + 1] - work->below.first[node];
		if (!nodes_reserve(&below, below.count + count))
			return lt_fail_memory(session);
		memcpy(below.data + below.count, work->below.child + work->below.first[node],
		       count * sizeof(*below.data));
		below.count += count;
	}
	nodes_deinit(&pending->members);
	if (below.count == 0)
		return LT_OK;
	size_t first = work->result->entries.count, count = 0;
	LT_TRY(add_level(work, pending->level + 1, below.data, below.count, entry->retained,
			 &count));
	entry = &work->result->entries.data[pending->entry];
	entry->first_child = first;
	entry->child_count = count;
	return LT_OK;
}

static enum lt_status open_entries(struct work *work)
{
	for (size_t i = 0; i < work->queue.count; i++) {
		struct pending pending = work->queue.data[i];
		work->queue.data[i].members = (struct nodes){0};
		enum lt_status status = open_entry(work, &pending);
		nodes_deinit(&pending.members);
		LT_TRY(status);
	}
	return LT_OK;
}

/*
 * What each object at the top belongs to: the first module on its way from the roots, else the kind of
 * its root, as node_count + kind. `owner` is filled along the ways, each of which is walked once.
 */
static enum lt_status find_owners(const struct lt_picture *picture, const struct nodes *top,
				  uint32_t *owner)
{
	struct lt_session *session = picture->session;
	uint32_t count = picture->graph.graph.node_count;
	memset(owner, 0xff, ((size_t)count + 1) * sizeof(*owner));
	LT_CLEANUP(lt_map_deinit) struct lt_map root_kind = {0};
	for (size_t r = 0; r < picture->roots.list.count; r++) {
		enum lt_root_kind kind = picture->roots.list.data[r].kind;
		if (picture->root_node[r] == LT_NO_NODE)
			continue;
		uint64_t *known = lt_map_at(&root_kind, picture->root_node[r], kind);
		if (known == NULL)
			return lt_fail_memory(session);
		if (lt_picture_start_cost(kind) <
		    lt_picture_start_cost((enum lt_root_kind) * known))
			*known = kind;
	}
	for (size_t i = 0; i < top->count; i++) {
		uint32_t at = top->data[i];
		uint32_t found = LT_NO_NODE;
		while (found == LT_NO_NODE) {
			const struct lt_type *type = lt_picture_type(picture, at);
			uint64_t kind = LT_ROOT_EXTERNAL;
			if (owner[at] != LT_NO_NODE) {
				found = owner[at];
			} else if (type != NULL && type->kind == LT_KIND_MODULE) {
				found = at;
			} else if (picture->parent[at] == LT_GRAPH_NONE) {
				(void)lt_map_get(&root_kind, at, &kind);
				found = count + (uint32_t)kind;
			} else {
				at = picture->parent[at];
			}
		}
		for (at = top->data[i]; at != LT_GRAPH_NONE && owner[at] == LT_NO_NODE;
		     at = picture->parent[at])
			owner[at] = found;
	}
	return LT_OK;
}

static const char *const root_names[LT_ROOT_KIND_COUNT] = {
	[LT_ROOT_MODULES] = "<sys.modules and what it shares>",
	[LT_ROOT_BUILTINS] = "<builtins>",
	[LT_ROOT_LOCAL] = "<local variables of running functions>",
	[LT_ROOT_FRAME] = "<running functions>",
	[LT_ROOT_NAMED] = "<gc.garbage and gc.callbacks>",
	[LT_ROOT_INTERPRETER] = "<state of the interpreter>",
	[LT_ROOT_THREAD] = "<state of the threads>",
	[LT_ROOT_THREAD_LOCAL] = "<thread-local values>",
	[LT_ROOT_CONTEXT] = "<context variables>",
	[LT_ROOT_TASK] = "<running event loops and tasks>",
	[LT_ROOT_ASYNCIO] = "<pending asyncio tasks>",
	[LT_ROOT_LOCAL_VALUES] = "<thread-local values>",
	[LT_ROOT_ATEXIT] = "<functions registered with atexit>",
	[LT_ROOT_TYPE] = "<static types>",
	[LT_ROOT_STATE] = "<other state of the interpreter>",
	[LT_ROOT_STATIC] = "<static data of C code>",
	[LT_ROOT_STACK] = "<C stacks of the threads>",
	[LT_ROOT_EXTERNAL] = "<held from C code>",
};

struct owned {
	uint32_t node, owner;
};

static int by_owner(const void *left, const void *right)
{
	const struct owned *a = left, *b = right;
	if (a->owner != b->owner)
		return a->owner < b->owner ? -1 : 1;
	return a->node < b->node ? -1 : a->node > b->node;
}

/* The top of the whole tree: what no single object holds, by the module that it is reached through. */
static enum lt_status add_top(struct work *work)
{
	const struct lt_picture *picture = work->picture;
	struct lt_session *session = picture->session;
	uint32_t count = picture->graph.graph.node_count;
	LT_CLEANUP(nodes_deinit) struct nodes top = {0};
	for (uint32_t node = 0; node < count; node++) {
		if (picture->alive[node] && picture->dominator[node] == LT_GRAPH_NONE &&
		    !nodes_push(&top, node))
			return lt_fail_memory(session);
	}
	LT_FREE struct owned *owned = malloc((top.count + 1) * sizeof(*owned));
	LT_FREE uint32_t *owner = malloc(((size_t)count + 1) * sizeof(*owner));
	LT_CLEANUP(rows_deinit) struct rows rows = {0};
	if (owned == NULL || owner == NULL)
		return lt_fail_memory(session);
	LT_TRY(find_owners(picture, &top, owner));
	for (size_t i = 0; i < top.count; i++)
		owned[i] = (struct owned){top.data[i], owner[top.data[i]]};
	qsort(owned, top.count, sizeof(*owned), by_owner);
	for (size_t i = 0; i < top.count;) {
		struct row row = {.begin = i};
		uint32_t of = owned[i].owner;
		for (; i < top.count && owned[i].owner == of; i++) {
			top.data[i] = owned[i].node;
			row.count++;
			row.retained += picture->retained[owned[i].node];
		}
		if (!rows_push(&rows, row))
			return lt_fail_memory(session);
	}
	if (rows.count > 0)
		qsort(rows.data, rows.count, sizeof(*rows.data), by_row);
	LT_CLEANUP(nodes_deinit) struct nodes left = {0};
	for (size_t r = 0; r < rows.count; r++) {
		const struct row *row = &rows.data[r];
		if (r >= work->top && rows.count > work->top + 1) {
			if (!nodes_reserve(&left, left.count + row->count))
				return lt_fail_memory(session);
			memcpy(left.data + left.count, top.data + row->begin,
			       row->count * sizeof(*left.data));
			left.count += row->count;
			continue;
		}
		uint32_t of = owned[row->begin].owner;
		/* What is alone needs no row above it. */
		if (row->count == 1) {
			if (add_entry(work, LT_RETAINED_OBJECT, 0, top.data + row->begin, 1) ==
			    SIZE_MAX)
				return lt_fail_memory(session);
			continue;
		}
		size_t index = add_entry(work, of < count ? LT_RETAINED_MODULE : LT_RETAINED_ROOTS,
					 0, top.data + row->begin, row->count);
		if (index == SIZE_MAX)
			return lt_fail_memory(session);
		struct lt_retained_entry *entry = &work->result->entries.data[index];
		entry->address = 0;
		if (of < count) {
			LT_CLEANUP(lt_text_deinit) struct lt_text text = {0};
			LT_CLEANUP(lt_text_deinit) struct lt_text where = {0};
			lt_expression_write(work->expressions, of, &text, &where);
			entry->expression = keep(work, lt_text_get(&text));
			entry->where = keep(work, lt_text_get(&where));
			entry->type = "module";
			entry->address = lt_picture_address(picture, of);
		} else {
			enum lt_root_kind kind = (enum lt_root_kind)(of - count);
			entry->expression = root_names[kind] != NULL ? root_names[kind]
								     : lt_root_kind_name(kind);
		}
	}
	if (left.count > 0 &&
	    add_entry(work, LT_RETAINED_OTHERS, 0, left.data, left.count) == SIZE_MAX)
		return lt_fail_memory(session);
	return LT_OK;
}

/* The instances of the types meant that no other such instance holds. */
static enum lt_status add_from(struct work *work, const struct lt_picked *picked)
{
	const struct lt_picture *picture = work->picture;
	struct lt_session *session = picture->session;
	LT_CLEANUP(nodes_deinit) struct nodes members = {0};
	size_t count = 0;
	if (picked->node != LT_NO_NODE) {
		if (!picture->alive[picked->node]) {
			lt_remedy(session, "It waits for the collector: nothing keeps it alive.");
			return lt_fail(session, LT_E_USAGE, "no root reaches the object %.200s",
				       picked->name);
		}
		return add_level(work, 0, (uint32_t[]){picked->node}, 1, 0, &count);
	}
	work->mixed = true;
	LT_FREE uint8_t *inner = NULL;
	LT_TRY(lt_weights_nested(picture, picked->of_type, &inner));
	for (uint32_t node = 0; node < picture->graph.graph.node_count; node++) {
		uint32_t type = lt_heap_graph_type(&picture->graph, node);
		if (picture->alive[node] && type < lt_types_count(picture->types) &&
		    picked->of_type[type] && !inner[node] && !nodes_push(&members, node))
			return lt_fail_memory(session);
	}
	return add_level(work, 0, members.data, members.count, UINT64_MAX, &count);
}

static void count_alive(const struct lt_picture *picture, struct lt_retained *retained)
{
	for (uint32_t node = 0; node < picture->graph.graph.node_count; node++) {
		if (!picture->alive[node])
			continue;
		retained->object_count++;
		retained->object_bytes += lt_heap_graph_size(&picture->graph, node);
	}
}

static enum lt_status take(struct lt_subject *subject, const struct lt_retained_options *options,
			   struct lt_retained *retained)
{
	LT_CLEANUP(work_deinit)
	struct work work = {.picture = &subject->picture,
			    .result = retained,
			    .depth = options->depth != 0 ? options->depth : DEPTH_DEFAULT,
			    .top = options->top != 0 ? options->top : TOP_DEFAULT};
	LT_CLEANUP(lt_picked_deinit) struct lt_picked picked = {.node = LT_NO_NODE};
	LT_TRY(lt_subject_picture(subject, LT_PICTURE_WAYS));
	LT_TRY(lt_expressions_create(work.picture, &work.expressions));
	if (options->from != NULL)
		LT_TRY(lt_pick(work.picture, work.expressions, options->from, &picked));
	LT_TRY(lt_subject_picture(subject, LT_PICTURE_WEIGHED));
	LT_TRY(lt_dominated_list(work.picture, &work.below));
	count_alive(work.picture, retained);
	LT_TRY(options->from != NULL ? add_from(&work, &picked) : add_top(&work));
	retained->top_count = retained->entries.count;
	for (size_t i = 0; i < retained->top_count; i++)
		work.all += retained->entries.data[i].retained;
	return open_entries(&work);
}

enum lt_status lt_retained_take(struct lt_subject *subject,
				const struct lt_retained_options *options,
				struct lt_retained *ret_retained)
{
	LT_CLEANUP(lt_retained_deinit) struct lt_retained retained = {0};
	bool plain = options->from == NULL &&
		     (options->depth == 0 || options->depth == DEPTH_DEFAULT) &&
		     (options->top == 0 || options->top == TOP_DEFAULT);
	if (plain && subject->tide != NULL && lt_tide_has_tree(subject->tide))
		return lt_tide_get_tree(subject->tide, ret_retained);
	LT_TRY(lt_subject_status(subject, take(subject, options, &retained)));
	*ret_retained = retained;
	retained = (struct lt_retained){0};
	return LT_OK;
}
