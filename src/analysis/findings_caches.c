/* functools.lru_cache: caches without a bound, and caches on methods, which keep their instances alive. */
#include "analysis/findings.h"

#include "analysis/containers.h"
#include "base/cleanup.h"

#include <inttypes.h>
#include <string.h>

enum {
	ENTRIES_MIN =
		100, /* smaller caches without a bound are left alone, unless they hold much */
	BYTES_MIN = 1 << 20,
	INSTANCES_MIN =
		100, /* fewer instances kept by a cache are left alone, unless it holds much */
	KEYS_LOOKED_AT = 200000, /* keys of one cache whose first argument is examined */
	CACHES_REPORTED = 20,
};

struct cache {
	uint32_t node;
	uint32_t function; /* what it wraps, LT_NO_NODE when unknown */
	uint64_t entries, held, hits, misses;
	int64_t maxsize; /* -1: None (Modules/_functoolsmodule.c: lru_cache_new) */
};

/* What the node refers to by a fixed member, LT_NO_NODE when it has none. */
static uint32_t member_of(const struct lt_picture *picture, uint32_t node, enum lt_member member)
{
	LT_CLEANUP(lt_refs_deinit) struct lt_refs refs = {0};
	lt_picture_refs(picture, node, &refs);
	for (size_t i = 0; i < refs.count; i++) {
		if (refs.data[i].kind == LT_REF_MEMBER && refs.data[i].index == (uint32_t)member)
			return lt_heap_graph_find(&picture->graph, refs.data[i].to);
	}
	return LT_NO_NODE;
}

static uint64_t counter(const struct lt_picture *picture, uint32_t node, enum lt_detail detail)
{
	int64_t value;
	return lt_picture_number(picture, node, detail, &value) && value > 0 ? (uint64_t)value : 0;
}

static void read_cache(const struct lt_picture *picture, uint32_t node, struct cache *cache)
{
	*cache = (struct cache){
		.node = node,
		.function = member_of(picture, node, LT_MEMBER_wrapped),
		.held = picture->retained[node],
		.hits = counter(picture, node, LT_DETAIL_HITS),
		.misses = counter(picture, node, LT_DETAIL_MISSES),
		.entries = counter(picture, node, LT_DETAIL_LENGTH),
	};
	(void)lt_picture_number(picture, node, LT_DETAIL_MAXSIZE, &cache->maxsize);
}

static bool is_function(const struct lt_picture *picture, uint32_t node)
{
	const struct lt_type *type = node != LT_NO_NODE ? lt_picture_type(picture, node) : NULL;
	return type != NULL && type->kind == LT_KIND_FUNCTION;
}

static void function_name(struct lt_findings *findings, const struct cache *cache,
			  struct lt_text *name)
{
	const struct lt_picture *picture = findings->picture;
	if (is_function(picture, cache->function) &&
	    lt_picture_text(picture, cache->function, LT_DETAIL_NAME, name))
		return;
	const struct lt_type *type =
		cache->function != LT_NO_NODE ? lt_picture_type(picture, cache->function) : NULL;
	lt_text_add(name, type != NULL ? type->name : "a function");
}

static void add_cache(struct lt_findings *findings, struct lt_finding *finding,
		      const struct cache *cache)
{
	lt_finding_int(findings, finding, "entries", cache->entries);
	lt_finding_int(findings, finding, "held_bytes", cache->held);
	lt_finding_real(findings, finding, "heap_share", lt_findings_share(findings, cache->held));
	if (cache->maxsize < 0)
		lt_finding_string(findings, finding, "maxsize", "None");
	else
		lt_finding_int(findings, finding, "maxsize", (uint64_t)cache->maxsize);
	lt_finding_int(findings, finding, "hits", cache->hits);
	lt_finding_int(findings, finding, "misses", cache->misses);
}

static void unbounded(struct lt_findings *findings, const struct cache *cache)
{
	if (cache->maxsize >= 0 || (cache->entries < ENTRIES_MIN && cache->held < BYTES_MIN))
		return;
	enum lt_severity severity = lt_findings_grade(findings, cache->held);
	if (severity == LT_LOW && cache->entries >= 10000)
		severity = LT_MEDIUM;
	else if (severity == LT_LOW && cache->entries < 1000)
		severity = LT_INFO;
	LT_CLEANUP(lt_text_deinit) struct lt_text name = {0};
	function_name(findings, cache, &name);
	struct lt_finding *finding =
		lt_finding_begin(findings, "unbounded-lru-cache", severity, (double)cache->held);
	if (finding == NULL)
		return;
	add_cache(findings, finding, cache);
	lt_finding_point(findings, finding, cache->node);
	uint64_t calls = cache->hits + cache->misses;
	finding->title =
		lt_finding_format(findings, "The cache of %s() has no bound: %s entries hold %s",
				  lt_text_get(&name), lt_findings_count(findings, cache->entries),
				  lt_findings_bytes(findings, cache->held));
	finding->explanation = lt_finding_format(
		findings,
		"maxsize is None (lru_cache(maxsize=None) or functools.cache), so every new "
		"combination of arguments "
		"stays for ever. Of %s calls %s (%.0f %%) found their result. sys.getsizeof() of "
		"the "
		"cache does not show what it holds.",
		lt_findings_count(findings, calls), lt_findings_count(findings, cache->hits),
		calls > 0 ? 100.0 * (double)cache->hits / (double)calls : 0.0);
	finding->fix = lt_finding_format(
		findings,
		"Give %s() a bound: @lru_cache(maxsize=1024), sized by the arguments that "
		"recur; cache_clear() empties it now.",
		lt_text_get(&name));
}

/* True when the function's first parameter is called self and it is defined in a class. */
static bool is_method(struct lt_findings *findings, uint32_t function, const char *qualname)
{
	const struct lt_picture *picture = findings->picture;
	const char *dot = strrchr(qualname, '.');
	if (dot == NULL ||
	    (dot > qualname && dot[-1] == '>') || /* "outer.<locals>.inner" is none */
	    !is_function(picture, function))
		return false;
	uint32_t code = member_of(picture, function, LT_MEMBER_code);
	if (code == LT_NO_NODE || counter(picture, code, LT_DETAIL_ARGUMENT_COUNT) < 1)
		return false;
	LT_CLEANUP(lt_text_deinit) struct lt_text first = {0};
	return lt_expression_local_name(findings->expressions, code, 0, &first) &&
	       strcmp(lt_text_get(&first), "self") == 0;
}

struct pinned {
	uint64_t instances; /* different first arguments among the keys looked at */
	uint64_t held;      /* bytes that would go with them, were they alone */
	const struct lt_type *type;
};

/* The different instances that are first items of the keys (Modules/_functoolsmodule.c: lru_cache_make_key). */
static bool find_pinned(struct lt_findings *findings, const struct cache *cache,
			struct pinned *ret_pinned)
{
	const struct lt_picture *picture = findings->picture;
	uint32_t dict = member_of(picture, cache->node, LT_MEMBER_cache);
	const struct lt_type *dict_type =
		dict != LT_NO_NODE ? lt_picture_type(picture, dict) : NULL;
	if (dict_type == NULL || dict_type->kind != LT_KIND_DICT)
		return false;
	LT_CLEANUP(lt_refs_deinit) struct lt_refs refs = {0};
	lt_picture_refs(picture, dict, &refs);
	LT_CLEANUP(lt_refs_deinit) struct lt_refs items = {0};
	LT_CLEANUP(lt_map_deinit) struct lt_map seen = {0};
	struct pinned pinned = {0};
	uint64_t keys = 0;
	for (size_t i = 0; i < refs.count && keys < KEYS_LOOKED_AT; i++) {
		if (refs.data[i].kind != LT_REF_KEY)
			continue;
		keys++;
		uint32_t self = lt_heap_graph_find(&picture->graph, refs.data[i].to);
		const struct lt_type *type = lt_picture_type(picture, self);
		if (type != NULL && type->kind == LT_KIND_TUPLE) {
			items.count = 0;
			lt_picture_refs(picture, self, &items);
			self = items.count > 0 && items.data[0].kind == LT_REF_ITEM &&
					       items.data[0].index == 0
				       ? lt_heap_graph_find(&picture->graph, items.data[0].to)
				       : LT_NO_NODE;
			type = self != LT_NO_NODE ? lt_picture_type(picture, self) : NULL;
		}
		if (type == NULL || !type->python_class || lt_map_get(&seen, self, NULL))
			continue;
		if (!lt_map_put(&seen, self, 1))
			return false;
		pinned.instances++;
		pinned.type = type;
		pinned.held += picture->retained[self];
	}
	*ret_pinned = pinned;
	return true;
}

static void pins_self(struct lt_findings *findings, const struct cache *cache)
{
	if (cache->entries == 0)
		return;
	LT_CLEANUP(lt_text_deinit) struct lt_text name = {0};
	function_name(findings, cache, &name);
	struct pinned pinned = {0};
	if (!is_method(findings, cache->function, lt_text_get(&name)) ||
	    !find_pinned(findings, cache, &pinned) || pinned.instances == 0 ||
	    (pinned.instances < INSTANCES_MIN && cache->held < BYTES_MIN))
		return;
	enum lt_severity severity = lt_findings_grade(findings, cache->held);
	if (severity == LT_LOW && cache->maxsize < 0 && pinned.instances >= 1000)
		severity = LT_MEDIUM;
	struct lt_finding *finding =
		lt_finding_begin(findings, "lru-cache-pins-self", severity, (double)cache->held);
	if (finding == NULL)
		return;
	lt_finding_int(findings, finding, "instances_pinned", pinned.instances);
	lt_finding_string(
		findings, finding, "instance_type",
		lt_finding_format(findings, "%s.%s", pinned.type->module, pinned.type->name));
	lt_finding_int(findings, finding, "instance_bytes", pinned.held);
	add_cache(findings, finding, cache);
	lt_finding_point(findings, finding, cache->node);
	finding->title = lt_finding_format(
		findings, "The cache of the method %s() keeps %s instances alive",
		lt_text_get(&name), lt_findings_count(findings, pinned.instances));
	finding->explanation = lt_finding_format(
		findings,
		"lru_cache on a method has self in its keys: the cache belongs to the class, so "
		"each instance of "
		"%s that was ever asked stays alive %s.",
		pinned.type->name,
		cache->maxsize < 0 ? "for ever" : "until its entry is pushed out by newer ones");
	finding->fix =
		"Cache per instance: functools.cached_property for a value, a dict attribute of "
		"self for "
		"several; or move the computation to a function of the values that it needs.";
}

static int by_held(const void *left, const void *right)
{
	const struct cache *a = left, *b = right;
	return a->held < b->held ? 1 : a->held > b->held ? -1 : 0;
}

LT_VEC(caches, struct cache);

enum lt_status lt_findings_caches(struct lt_findings *findings)
{
	const struct lt_picture *picture = findings->picture;
	const struct lt_types *types = picture->types;
	LT_CLEANUP(caches_deinit) struct caches list = {0};
	for (uint32_t node = 0; node < picture->graph.graph.node_count; node++) {
		uint32_t type = lt_heap_graph_type(&picture->graph, node);
		if (type >= lt_types_count(types) ||
		    lt_types_at(types, type)->kind != LT_KIND_LRU_CACHE || !picture->alive[node])
			continue;
		struct cache cache;
		read_cache(picture, node, &cache);
		if (!caches_push(&list, cache))
			return lt_fail_memory(findings->session);
	}
	if (list.count > 0)
		qsort(list.data, list.count, sizeof(*list.data), by_held);
	for (size_t i = 0; i < list.count && i < CACHES_REPORTED; i++) {
		unbounded(findings, &list.data[i]);
		pins_self(findings, &list.data[i]);
	}
	return findings->failed ? lt_fail_memory(findings->session) : LT_OK;
}
