#include "analysis/inspect.h"

#include "analysis/paths_parts.h"
#include "analysis/pick.h"
#include "analysis/subject.h"
#include "base/cleanup.h"

#include <string.h>

enum {
	TOP_DEFAULT = 10,
	PATHS = 3,
	DOMINATORS_SHOWN = 30,
	KEYS_SHOWN = 20,
};

LT_VEC(nodes, uint32_t);

struct work {
	struct lt_picture *picture;
	struct lt_expressions *expressions;
	struct lt_inspection *result;
	uint32_t node;
	size_t top;
	struct nodes referrers; /* each once */
};

static void work_deinit(struct work *work)
{
	nodes_deinit(&work->referrers);
	lt_expressions_destroy(work->expressions);
}

void lt_inspection_deinit(struct lt_inspection *inspection)
{
	lt_facts_shown_deinit(&inspection->facts);
	lt_neighbours_deinit(&inspection->dominators);
	lt_neighbours_deinit(&inspection->referents);
	lt_neighbours_deinit(&inspection->referrers);
	lt_type_counts_deinit(&inspection->referrer_types);
	free(inspection->keys);
	lt_paths_deinit(&inspection->paths);
	*inspection = (struct lt_inspection){0};
}

/* The strings of the result are those of its paths. */
static const char *keep(struct work *work, const struct lt_text *text)
{
	return lt_path_keep(&work->result->paths, lt_text_get(text));
}

static const char *type_name(struct work *work, uint32_t node)
{
	LT_CLEANUP(lt_text_deinit) struct lt_text text = {0};
	lt_node_type_add(&text, work->picture, node);
	return keep(work, &text);
}

/* References that are known, from objects, from roots and from scans, against the reference count. */
static void count_references(struct work *work)
{
	const struct lt_picture *picture = work->picture;
	struct lt_inspection *result = work->result;
	struct lt_row row = lt_row(&picture->graph.graph.in, work->node);
	result->count_objects = (uint64_t)(row.end - row.begin);
	for (size_t r = 0; r < picture->roots.list.count; r++) {
		const struct lt_root *root = &picture->roots.list.data[r];
		if (picture->root_node[r] != work->node || root->kind == LT_ROOT_EXTERNAL)
			continue;
		if (root->kind >= LT_ROOT_STATE)
			result->count_scanned += root->count;
		else
			result->count_roots += root->count;
	}
	result->has_count =
		lt_picture_number(picture, work->node, LT_DETAIL_REFCOUNT, &result->count);
	uint64_t known = result->count_objects + result->count_roots + result->count_scanned;
	if (result->has_count)
		result->count_unexplained = known > INT64_MAX ? 0 : result->count - (int64_t)known;
}

static int by_number(const void *left, const void *right)
{
	uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
	return a < b ? -1 : a > b;
}

static int by_type_count(const void *left, const void *right)
{
	const struct lt_type_count *a = left, *b = right;
	if (a->count != b->count)
		return a->count < b->count ? 1 : -1;
	return strcmp(a->type, b->type);
}

/* Each referrer once, and how many there are of each type. */
static enum lt_status list_referrers(struct work *work)
{
	const struct lt_picture *picture = work->picture;
	struct lt_session *session = picture->session;
	struct lt_inspection *result = work->result;
	struct lt_row row = lt_row(&picture->graph.graph.in, work->node);
	struct nodes *list = &work->referrers;
	size_t room = (size_t)(row.end - row.begin);
	if (!nodes_reserve(list, room + 1))
		return lt_fail_memory(session);
	if (room > 0)
		memcpy(list->data, row.begin, room * sizeof(*list->data));
	if (room > 1)
		qsort(list->data, room, sizeof(*list->data), by_number);
	LT_CLEANUP(lt_map_deinit) struct lt_map of_type = {0};
	for (size_t i = 0; i < room; i++) {
		uint32_t node = list->data[i];
		if (list->count > 0 && list->data[list->count - 1] == node)
			continue;
		list->data[list->count++] = node;
		uint64_t *at = lt_map_at(&of_type, lt_heap_graph_type(&picture->graph, node),
					 result->referrer_types.count);
		if (at == NULL)
			return lt_fail_memory(session);
		if (*at == result->referrer_types.count &&
		    !lt_type_counts_push(&result->referrer_types,
					 (struct lt_type_count){type_name(work, node), 0}))
			return lt_fail_memory(session);
		result->referrer_types.data[*at].count++;
	}
	result->referrer_count = list->count;
	if (result->referrer_types.count > 0)
		qsort(result->referrer_types.data, result->referrer_types.count,
		      sizeof(*result->referrer_types.data), by_type_count);
	if (result->referrer_types.count > work->top)
		result->referrer_types.count = work->top;
	return LT_OK;
}

static void add_facts(struct work *work)
{
	struct lt_inspection *result = work->result;
	for (int detail = 0; detail < LT_DETAIL_COUNT; detail++) {
		struct lt_fact_shown fact = {.name = lt_detail_spelling((enum lt_detail)detail)};
		LT_CLEANUP(lt_text_deinit) struct lt_text text = {0};
		/* A value is not shown, only names and sizes. */
		if (detail == LT_DETAIL_REFCOUNT || detail == LT_DETAIL_LITERAL ||
		    detail == LT_DETAIL_STRING)
			continue;
		if (lt_detail_is_text((enum lt_detail)detail)) {
			if (!lt_picture_text(work->picture, work->node, (enum lt_detail)detail,
					     &text))
				continue;
			fact.text = keep(work, &text);
		} else if (!lt_picture_number(work->picture, work->node, (enum lt_detail)detail,
					      &fact.number)) {
			continue;
		}
		(void)lt_facts_shown_push(&result->facts, fact);
	}
}

/* Names of a namespace, or keys of a dict. */
static enum lt_status add_keys(struct work *work)
{
	const struct lt_picture *picture = work->picture;
	struct lt_inspection *result = work->result;
	LT_CLEANUP(lt_refs_deinit) struct lt_refs refs = {0};
	result->keys = calloc(KEYS_SHOWN, sizeof(*result->keys));
	if (result->keys == NULL)
		return lt_fail_memory(picture->session);
	lt_picture_refs(picture, work->node, &refs);
	bool own = false;
	uint32_t names = LT_NO_NODE;
	for (size_t i = 0; i < refs.count; i++) {
		const struct lt_ref *ref = &refs.data[i];
		own |= ref->kind == LT_REF_VALUE || ref->kind == LT_REF_ATTRIBUTE;
		if (ref->kind == LT_REF_DICT ||
		    (ref->kind == LT_REF_MEMBER && (ref->index == LT_MEMBER_attributes ||
						    ref->index == LT_MEMBER_instance_attributes)))
			names = lt_heap_graph_find(&picture->graph, ref->to);
	}
	if (!own && names != LT_NO_NODE) {
		refs.count = 0;
		lt_picture_refs(picture, names, &refs);
	}
	for (size_t i = 0; i < refs.count; i++) {
		const struct lt_ref *ref = &refs.data[i];
		LT_CLEANUP(lt_text_deinit) struct lt_text text = {0};
		if (ref->kind != LT_REF_VALUE && ref->kind != LT_REF_ATTRIBUTE)
			continue;
		uint32_t key = lt_heap_graph_find(&picture->graph, ref->name);
		if (result->key_count == KEYS_SHOWN) {
			result->keys_left++;
			continue;
		}
		if (key == LT_NO_NODE || !lt_picture_text(picture, key, LT_DETAIL_LITERAL, &text))
			lt_text_add(&text, "<key>");
		result->keys[result->key_count++] = keep(work, &text);
	}
	return LT_OK;
}

static struct lt_neighbour neighbour(struct work *work, uint32_t node)
{
	const struct lt_picture *picture = work->picture;
	return (struct lt_neighbour){
		.label = "",
		.type = type_name(work, node),
		.expression = "",
		.address = lt_picture_address(picture, node),
		.bytes = lt_heap_graph_size(&picture->graph, node),
		.retained = picture->alive[node] ? picture->retained[node] : 0,
	};
}

static void add_label(struct work *work, uint32_t from, uint32_t to, struct lt_neighbour *found)
{
	LT_CLEANUP(lt_text_deinit) struct lt_text text = {0};
	lt_expression_label(work->expressions, from, to, &text);
	found->label = keep(work, &text);
}

static void add_expression(struct work *work, uint32_t node, struct lt_neighbour *found)
{
	LT_CLEANUP(lt_text_deinit) struct lt_text text = {0};
	lt_expression_write(work->expressions, node, &text, NULL);
	found->expression = keep(work, &text);
}

static enum lt_status add_referrers(struct work *work)
{
	struct nodes *list = &work->referrers;
	if (list->count > 1)
		qsort_r(list->data, list->count, sizeof(*list->data), lt_picture_by_retained,
			work->picture);
	for (size_t i = 0; i < list->count && i < work->top; i++) {
		struct lt_neighbour found = neighbour(work, list->data[i]);
		add_label(work, list->data[i], work->node, &found);
		add_expression(work, list->data[i], &found);
		if (!lt_neighbours_push(&work->result->referrers, found))
			return lt_fail_memory(work->picture->session);
	}
	return LT_OK;
}

static enum lt_status add_referents(struct work *work)
{
	const struct lt_picture *picture = work->picture;
	struct lt_session *session = picture->session;
	LT_CLEANUP(lt_refs_deinit) struct lt_refs refs = {0};
	LT_CLEANUP(nodes_deinit) struct nodes list = {0};
	LT_CLEANUP(lt_map_deinit) struct lt_map seen = {0};
	lt_picture_refs(picture, work->node, &refs);
	work->result->referent_count = refs.count;
	for (size_t i = 0; i < refs.count; i++) {
		uint32_t to = lt_heap_graph_find(&picture->graph, refs.data[i].to);
		if (to == LT_NO_NODE || lt_map_get(&seen, to, NULL))
			continue;
		if (!lt_map_put(&seen, to, 1) || !nodes_push(&list, to))
			return lt_fail_memory(session);
	}
	if (list.count > 1)
		qsort_r(list.data, list.count, sizeof(*list.data), lt_picture_by_retained,
			(void *)picture);
	for (size_t i = 0; i < list.count && i < work->top; i++) {
		struct lt_neighbour found = neighbour(work, list.data[i]);
		add_label(work, work->node, list.data[i], &found);
		if (!lt_neighbours_push(&work->result->referents, found))
			return lt_fail_memory(session);
	}
	return LT_OK;
}

static enum lt_status add_dominators(struct work *work)
{
	const struct lt_picture *picture = work->picture;
	if (!picture->alive[work->node])
		return LT_OK;
	for (uint32_t up = picture->dominator[work->node]; up != LT_GRAPH_NONE;
	     up = picture->dominator[up]) {
		if (work->result->dominators.count == DOMINATORS_SHOWN) {
			work->result->dominators_left++;
			continue;
		}
		struct lt_neighbour found = neighbour(work, up);
		add_expression(work, up, &found);
		if (!lt_neighbours_push(&work->result->dominators, found))
			return lt_fail_memory(picture->session);
	}
	return LT_OK;
}

static enum lt_status inspect(struct lt_subject *subject, const char *what, struct work *work)
{
	struct lt_picture *picture = work->picture;
	struct lt_inspection *result = work->result;
	if (!lt_pick_is_object(what)) {
		lt_remedy(subject->session,
			  "Give an address (0x7f...) or an expression that begins with "
			  "sys.modules; 'lowtide path' with a type gives addresses.");
		return lt_fail(subject->session, LT_E_USAGE, "'%.100s' is not one object", what);
	}
	LT_TRY(lt_subject_picture(subject, LT_PICTURE_WAYS));
	LT_TRY(lt_expressions_create(picture, &work->expressions));
	LT_CLEANUP(lt_picked_deinit) struct lt_picked picked = {.node = LT_NO_NODE};
	LT_TRY(lt_pick(picture, work->expressions, what, &picked));
	uint32_t node = work->node = picked.node;
	uint8_t flags = picture->graph.flags[node];
	LT_CLEANUP(lt_text_deinit) struct lt_text text = {0};
	LT_CLEANUP(lt_text_deinit) struct lt_text where = {0};
	lt_expression_write(work->expressions, node, &text, &where);
	result->type = type_name(work, node);
	result->where = keep(work, &where);
	result->address = lt_picture_address(picture, node);
	result->bytes = lt_heap_graph_size(&picture->graph, node);
	result->heap_bytes = picture->graph.total_bytes;
	result->alive = picture->alive[node];
	result->tracked = (flags & LT_NODE_TRACKED) != 0;
	result->permanent = (flags & LT_NODE_PERMANENT) != 0;
	result->immortal = (flags & LT_NODE_IMMORTAL) != 0;
	result->is_static = (flags & LT_NODE_STATIC) != 0;
	LT_TRY(lt_graph_reverse(subject->session, &picture->graph.graph));
	count_references(work);
	LT_TRY(list_referrers(work));
	add_facts(work);
	LT_TRY(add_keys(work));
	LT_TRY(lt_paths_of_object(picture, work->expressions, node, PATHS, &result->paths));
	/* The dominators turn the edges round by themselves. */
	lt_graph_drop_reverse(&picture->graph.graph);
	LT_TRY(lt_subject_picture(subject, LT_PICTURE_WEIGHED));
	result->retained = result->alive ? picture->retained[node] : 0;
	LT_TRY(add_referrers(work));
	LT_TRY(add_referents(work));
	return add_dominators(work);
}

enum lt_status lt_inspect(struct lt_subject *subject, const char *what, size_t top,
			  struct lt_inspection *ret_inspection)
{
	LT_CLEANUP(lt_inspection_deinit) struct lt_inspection inspection = {0};
	LT_CLEANUP(work_deinit)
	struct work work = {.picture = &subject->picture,
			    .result = &inspection,
			    .top = top != 0 ? top : TOP_DEFAULT};
	LT_TRY(lt_subject_status(subject, inspect(subject, what, &work)));
	*ret_inspection = inspection;
	inspection = (struct lt_inspection){0};
	return LT_OK;
}
