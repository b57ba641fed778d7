/* What the entries of a growing container are. */
#include "analysis/leaks_parts.h"

#include "base/cleanup.h"
#include "heap/objmap.h"

#include <string.h>

enum {
	ITEMS_LOOKED_AT = 500,
	REFS_LOOKED_AT = 200000, /* of a container, to find entries that are new */
	INNER_LOOKED_AT = 8,     /* of a small record that is an entry */
};

static bool is_value(enum lt_kind kind)
{
	switch (kind) {
	case LT_KIND_STR:
	case LT_KIND_BYTES:
	case LT_KIND_INT:
	case LT_KIND_FLOAT:
	case LT_KIND_COMPLEX:
	case LT_KIND_DATE:
	case LT_KIND_DATETIME:
	case LT_KIND_TIME:
	case LT_KIND_TIMEDELTA:
	case LT_KIND_DECIMAL:
		return true;
	default:
		return false;
	}
}

static bool is_buffer(const struct lt_picture *picture, const struct lt_type *type)
{
	switch (type->kind) {
	case LT_KIND_BYTEARRAY:
	case LT_KIND_ARRAY:
	case LT_KIND_NDARRAY:
	case LT_KIND_MEMORYVIEW:
	case LT_KIND_MANAGED_BUFFER:
	case LT_KIND_BYTES_IO:
	case LT_KIND_STRING_IO:
	case LT_KIND_PICKLE_BUFFER:
		return true;
	default:
		return lt_picture_derives(picture, type, "mmap", "mmap");
	}
}

/*
 * A tuple of values: the collector lets go of it at its first sight, so one that it still tracks is young.
 * A long one is judged by its start.
 */
static bool is_plain_tuple(const struct lt_picture *picture, uint32_t node)
{
	if ((picture->graph.flags[node] & LT_NODE_TRACKED) == 0)
		return true;
	LT_CLEANUP(lt_refs_deinit) struct lt_refs refs = {0};
	lt_picture_refs(picture, node, &refs);
	for (size_t i = 0; i < refs.count && i < INNER_LOOKED_AT; i++) {
		uint32_t item = lt_heap_graph_find(&picture->graph, refs.data[i].to);
		const struct lt_type *type =
			item != LT_NO_NODE ? lt_picture_type(picture, item) : NULL;
		if (type == NULL || !is_value(type->kind))
			return false;
	}
	return refs.count > 0;
}

bool lt_leaks_is_item(const struct lt_picture *picture, uint32_t node, enum lt_item item)
{
	const struct lt_type *type = lt_picture_type(picture, node);
	if (type == NULL)
		return false;
	enum lt_kind kind = type->kind;
	switch (item) {
	case LT_ITEM_CALLABLE:
		return lt_kind_is_callable(kind) ||
		       lt_picture_derives(picture, type, "weakref", "WeakMethod");
	case LT_ITEM_TASK:
		return kind == LT_KIND_TASK || kind == LT_KIND_FUTURE ||
		       lt_picture_derives(picture, type, "asyncio.events", "Handle");
	case LT_ITEM_GENERATOR:
		return kind == LT_KIND_GENERATOR || kind == LT_KIND_COROUTINE ||
		       kind == LT_KIND_ASYNC_GENERATOR;
	case LT_ITEM_EXCEPTION:
		return lt_kind_is_exception(kind) || kind == LT_KIND_TRACEBACK;
	case LT_ITEM_THREAD:
		return lt_picture_derives(picture, type, "threading", "Thread");
	case LT_ITEM_MODULE:
		return kind == LT_KIND_MODULE;
	case LT_ITEM_CLASS:
		return kind == LT_KIND_TYPE;
	case LT_ITEM_HANDLER:
		return lt_picture_derives(picture, type, "logging", "Handler");
	case LT_ITEM_UNTRACKED:
		return is_value(kind) || (kind == LT_KIND_TUPLE && is_plain_tuple(picture, node));
	case LT_ITEM_BUFFER:
		return is_buffer(picture, type);
	default:
		return false;
	}
}

/* Records of which one part says what they are: (name, callback), sys.exc_info(), {"task": task}. */
static bool is_record(const struct lt_picture *picture, uint32_t node)
{
	const struct lt_type *type = lt_picture_type(picture, node);
	int64_t length = 0;
	return type != NULL &&
	       (type->kind == LT_KIND_TUPLE || type->kind == LT_KIND_LIST ||
		type->kind == LT_KIND_SET || type->kind == LT_KIND_DICT ||
		type->kind == LT_KIND_WEAKREF || type->kind == LT_KIND_LRU_LINK) &&
	       (!lt_picture_number(picture, node, LT_DETAIL_LENGTH, &length) ||
		length <= INNER_LOOKED_AT);
}

static void look_at_item(const struct lt_picture *picture, uint32_t node,
			 struct lt_holding *holding)
{
	bool found[LT_ITEM_COUNT];
	for (int item = 0; item < LT_ITEM_COUNT; item++)
		found[item] = lt_leaks_is_item(picture, node, (enum lt_item)item);
	if (is_record(picture, node)) {
		LT_CLEANUP(lt_refs_deinit) struct lt_refs refs = {0};
		lt_picture_refs(picture, node, &refs);
		for (size_t i = 0; i < refs.count && i < 2 * INNER_LOOKED_AT; i++) {
			uint32_t inner = lt_heap_graph_find(&picture->graph, refs.data[i].to);
			if (inner == LT_NO_NODE || refs.data[i].kind == LT_REF_TYPE)
				continue;
			for (int item = 0; item < LT_ITEM_UNTRACKED; item++) {
				/* A class in a record is a part of it like a string. */
				if (item != LT_ITEM_CLASS && item != LT_ITEM_MODULE)
					found[item] |= lt_leaks_is_item(picture, inner,
									(enum lt_item)item);
			}
		}
	}
	for (int item = 0; item < LT_ITEM_COUNT; item++)
		holding->of[item] += found[item];
	int64_t bytes = 0;
	if (lt_picture_number(picture, node, LT_DETAIL_BUFFER_BYTES, &bytes) && bytes > 0)
		holding->buffer_bytes += (uint64_t)bytes;
}

/* The references that are the entries of what a user sees as one container. */
static void entries_of(const struct lt_picture *picture, uint32_t node, struct lt_refs *refs)
{
	const struct lt_type *type = lt_picture_type(picture, node);
	lt_picture_refs(picture, node, refs);
	if (type == NULL || type->kind != LT_KIND_LRU_CACHE)
		return;
	for (size_t i = 0; i < refs->count; i++) {
		uint32_t dict = refs->data[i].kind == LT_REF_MEMBER &&
						refs->data[i].index == LT_MEMBER_cache
					? lt_heap_graph_find(&picture->graph, refs->data[i].to)
					: LT_NO_NODE;
		if (dict == LT_NO_NODE)
			continue;
		refs->count = 0;
		lt_picture_refs(picture, dict, refs);
		return;
	}
}

static bool is_new(const struct lt_suspecting *suspecting, uint32_t node)
{
	const struct lt_generation *first = &suspecting->generations[0];
	return lt_objmap_find(first->objects,
			      lt_picture_address(suspecting->findings.picture, node)) == UINT32_MAX;
}

static void look_at_items(struct lt_suspecting *suspecting, struct lt_holding *holding, bool any)
{
	const struct lt_picture *picture = suspecting->findings.picture;
	LT_CLEANUP(lt_refs_deinit) struct lt_refs refs = {0};
	LT_CLEANUP(lt_map_deinit) struct lt_map counts = {0};
	bool set = holding->type != NULL && holding->type->kind == LT_KIND_SET;
	entries_of(picture, holding->node, &refs);
	for (size_t i = 0; i < refs.count && i < REFS_LOOKED_AT && holding->seen < ITEMS_LOOKED_AT;
	     i++) {
		/* The newest entries of most containers are the last ones. */
		const struct lt_ref *ref = &refs.data[refs.count - 1 - i];
		if (ref->kind != LT_REF_ITEM && ref->kind != LT_REF_VALUE &&
		    ref->kind != LT_REF_ATTRIBUTE && !(set && ref->kind == LT_REF_KEY))
			continue;
		uint32_t item = lt_heap_graph_find(&picture->graph, ref->to);
		const struct lt_type *type =
			item != LT_NO_NODE ? lt_picture_type(picture, item) : NULL;
		if (type == NULL || (!any && !is_new(suspecting, item)))
			continue;
		holding->seen++;
		look_at_item(picture, item, holding);
		uint64_t *count = lt_map_at(&counts, type->index, 0);
		if (count == NULL)
			return;
		if (++*count > holding->alike) {
			holding->alike = *count;
			holding->item = type;
			holding->sample = item;
		}
	}
}

void lt_holding_look(struct lt_suspecting *suspecting, const struct lt_growth_point *point,
		     struct lt_holding *holding)
{
	size_t last = suspecting->generation_count;
	*holding = (struct lt_holding){
		.point = point,
		.node = point->node,
		.type = lt_picture_type(suspecting->findings.picture, point->node),
		.length = point->length[last],
		.sample = LT_NO_NODE,
	};
	if (point->length[last] > point->length[0])
		holding->gained = point->length[last] - point->length[0];
	look_at_items(suspecting, holding, false);
	if (holding->seen == 0)
		look_at_items(suspecting, holding, true);
}
