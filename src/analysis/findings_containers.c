/* Containers that hold a large part of the heap, and what they are used as. */
#include "analysis/findings.h"

#include "analysis/containers.h"
#include "base/cleanup.h"

#include <inttypes.h>
#include <string.h>

enum { ITEMS_LOOKED_AT = 2000, LISTENERS_MIN = 100, REGISTRY_MIN = 1000 };

static const double LARGE_SHARE = 0.1;
static const uint64_t LARGE_BYTES = 1 << 20;

/* What the items of a container are: the commonest type among the first, and how many are callables. */
struct items {
	uint64_t seen, callables, commonest;
	const struct lt_type *type;
};

static void look_at_items(struct lt_findings *findings, uint32_t node, struct items *items)
{
	const struct lt_picture *picture = findings->picture;
	LT_CLEANUP(lt_refs_deinit) struct lt_refs refs = {0};
	LT_CLEANUP(lt_map_deinit) struct lt_map counts = {0};
	const struct lt_type *own = lt_picture_type(picture, node);
	*items = (struct items){0};
	if (own == NULL)
		return;
	/* A dict has a key with each value. */
	lt_picture_refs_some(picture, node, (size_t)2 * ITEMS_LOOKED_AT, &refs);
	bool set = own->kind == LT_KIND_SET;
	for (size_t i = 0; i < refs.count && items->seen < ITEMS_LOOKED_AT; i++) {
		const struct lt_ref *ref = &refs.data[i];
		if (ref->kind != LT_REF_ITEM && ref->kind != LT_REF_VALUE &&
		    !(set && ref->kind == LT_REF_KEY))
			continue;
		uint32_t item = lt_heap_graph_find(&picture->graph, ref->to);
		const struct lt_type *type =
			item != LT_NO_NODE ? lt_picture_type(picture, item) : NULL;
		if (type == NULL)
			continue;
		items->seen++;
		items->callables += lt_kind_is_callable(type->kind);
		uint64_t *count = lt_map_at(&counts, type->index, 0);
		if (count == NULL)
			return;
		if (++*count > items->commonest) {
			items->commonest = *count;
			items->type = lt_types_at(picture->types, type->index);
		}
	}
}

/* True when the container is a variable of a class. */
static bool in_class(const struct lt_picture *picture, uint32_t node)
{
	uint32_t dict = picture->parent[node];
	uint32_t owner = dict != LT_GRAPH_NONE ? picture->parent[dict] : LT_GRAPH_NONE;
	if (owner == LT_GRAPH_NONE)
		return false;
	const struct lt_type *dict_type = lt_picture_type(picture, dict);
	const struct lt_type *owner_type = lt_picture_type(picture, owner);
	return dict_type != NULL && owner_type != NULL && dict_type->kind == LT_KIND_DICT &&
	       owner_type->kind == LT_KIND_TYPE;
}

static void add_container(struct lt_findings *findings, struct lt_finding *finding,
			  const struct lt_container *container, const struct items *items)
{
	lt_finding_string(findings, finding, "type", container->type);
	lt_finding_int(findings, finding, "length", container->length);
	lt_finding_int(findings, finding, "held_bytes", container->held);
	lt_finding_real(findings, finding, "heap_share", container->share);
	lt_finding_int(findings, finding, "own_bytes", container->bytes);
	if (items->type != NULL) {
		lt_finding_string(findings, finding, "item_type",
				  lt_finding_format(findings, "%s.%s", items->type->module,
						    items->type->name));
		lt_finding_int(findings, finding, "items_looked_at", items->seen);
		lt_finding_int(findings, finding, "items_of_type", items->commonest);
	}
	finding->expression = container->expression;
	finding->where = container->where;
}

static bool reported(const struct lt_findings *findings, const char *expression)
{
	for (size_t i = 0; i < findings->list.count; i++) {
		if (expression[0] != '\0' &&
		    strcmp(findings->list.data[i].expression, expression) == 0)
			return true;
	}
	return false;
}

static const char *item_words(struct lt_findings *findings, const struct items *items)
{
	if (items->type == NULL || items->seen == 0)
		return "";
	return lt_finding_format(findings, " Of the first %s items %s are %s.",
				 lt_findings_count(findings, items->seen),
				 lt_findings_count(findings, items->commonest), items->type->name);
}

static void look_at(struct lt_findings *findings, const struct lt_container *container)
{
	const struct lt_picture *picture = findings->picture;
	uint32_t node = lt_heap_graph_find(&picture->graph, container->address);
	if (node == LT_NO_NODE || reported(findings, container->expression))
		return;
	struct items items;
	look_at_items(findings, node, &items);
	bool listeners = container->length >= LISTENERS_MIN && items.seen > 0 &&
			 items.callables * 10 >= items.seen * 9;
	bool large = container->share >= LARGE_SHARE && container->held >= LARGE_BYTES;
	bool registry = in_class(picture, node);
	bool long_registry = registry && container->length >= REGISTRY_MIN && items.type != NULL &&
			     items.type->python_class && items.commonest * 10 >= items.seen * 9;
	if (!listeners && !large && !long_registry)
		return;
	enum lt_severity severity = LT_LOW;
	if (large)
		severity = container->share >= 0.4 && container->held >= 8u << 20 ? LT_HIGH
										  : LT_MEDIUM;
	const char *held = lt_findings_bytes(findings, container->held);
	if (listeners) {
		struct lt_finding *finding = lt_finding_begin(findings, "listener-list", severity,
							      (double)container->held);
		if (finding == NULL)
			return;
		add_container(findings, finding, container, &items);
		lt_finding_int(findings, finding, "callables", items.callables);
		finding->title = lt_finding_format(
			findings, "%s callbacks are registered in one %s (%s)",
			lt_findings_count(findings, container->length), container->type, held);
		finding->explanation =
			lt_finding_format(findings,
					  "Each registered function keeps alive what it refers to: "
					  "the instance of a bound method, the "
					  "variables of a closure.%s",
					  item_words(findings, &items));
		finding->fix =
			"Unregister listeners when their owner ends, or keep weakref.WeakMethod / "
			"weakref.WeakSet references to them.";
		return;
	}
	struct lt_finding *finding =
		lt_finding_begin(findings, registry ? "class-registry" : "large-container",
				 severity, (double)container->held);
	if (finding == NULL)
		return;
	add_container(findings, finding, container, &items);
	finding->title = lt_finding_format(
		findings, "One %s of %s entries holds %s, %.0f %% of the heap", container->type,
		lt_findings_count(findings, container->length), held, container->share * 100);
	if (registry) {
		finding->explanation =
			lt_finding_format(findings,
					  "The %s is a variable of a class: it lives as long as "
					  "the class, and so does everything that "
					  "is put into it.%s",
					  container->type, item_words(findings, &items));
		finding->fix = "Remove entries when their object ends, or make the registry a "
			       "weakref.WeakSet or "
			       "weakref.WeakValueDictionary.";
	} else {
		finding->explanation =
			lt_finding_format(findings,
					  "%s would go with it: all that can be reached through it "
					  "only. The collector cannot free it, "
					  "it is reachable.%s",
					  held, item_words(findings, &items));
		finding->fix = "If it only ever grows, give it a bound "
			       "(functools.lru_cache(maxsize=...), a deque with "
			       "maxlen, removal by age) or keep its content outside the process.";
	}
}

enum lt_status lt_findings_containers(struct lt_findings *findings)
{
	for (size_t i = 0; i < findings->doctor->container_count; i++)
		look_at(findings, &findings->doctor->containers[i]);
	return findings->failed ? lt_fail_memory(findings->session) : LT_OK;
}
