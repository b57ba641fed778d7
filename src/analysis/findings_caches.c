/* functools.lru_cache: caches without a bound, and caches on methods, which keep their instances alive. */
#include "analysis/findings.h"

#include "analysis/containers.h"
#include "analysis/read.h"
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
	lt_addr address;
	uint64_t entries, held, hits, misses;
	int64_t maxsize; /* -1: None (Modules/_functoolsmodule.c: lru_cache_new) */
};

static void read_cache(const struct lt_picture *picture, uint32_t node, struct cache *cache)
{
	const struct lt_view *view = picture->view;
	cache->node = node;
	cache->address = lt_picture_address(picture, node);
	cache->held = picture->retained[node];
	cache->maxsize = lt_read_word(view, cache->address, LT_lru_cache_object_maxsize);
	cache->hits = (uint64_t)lt_read_word(view, cache->address, LT_lru_cache_object_hits);
	cache->misses = (uint64_t)lt_read_word(view, cache->address, LT_lru_cache_object_misses);
	if (!lt_container_length(picture, node, &cache->entries))
		cache->entries = 0;
}

static void function_name(struct lt_findings *findings, const struct cache *cache,
			  struct lt_text *name)
{
	const struct lt_view *view = findings->picture->view;
	lt_addr function = lt_read_pointer(view, cache->address, LT_lru_cache_object_func);
	const struct lt_type *type =
		lt_types_get(lt_heap_types(findings->picture->heap),
			     lt_read_pointer(view, function, LT_PyObject_ob_type));
	if (type == NULL || type->kind != LT_KIND_FUNCTION ||
	    !lt_read_str(view, lt_read_pointer(view, function, LT_PyFunctionObject_func_qualname),
			 200, name))
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
static bool is_method(const struct lt_view *view, lt_addr function, const char *qualname)
{
	const char *dot = strrchr(qualname, '.');
	if (dot == NULL || (dot > qualname && dot[-1] == '>')) /* "outer.<locals>.inner" is none */
		return false;
	lt_addr code = lt_read_pointer(view, function, LT_PyFunctionObject_func_code);
	if (lt_read_int32(view, code, LT_PyCodeObject_co_argcount) < 1)
		return false;
	LT_CLEANUP(lt_text_deinit) struct lt_text first = {0};
	return lt_read_str(view, lt_frame_local_name(view, code, 0), 16, &first) &&
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
	const struct lt_view *view = picture->view;
	struct lt_types *types = lt_heap_types(picture->heap);
	lt_addr dict = lt_read_pointer(view, cache->address, LT_lru_cache_object_cache);
	const struct lt_type *dict_type =
		lt_types_get(types, lt_read_pointer(view, dict, LT_PyObject_ob_type));
	if (dict_type == NULL || dict_type->kind != LT_KIND_DICT ||
	    !lt_has(view->layout, LT_PyTupleObject_ob_item))
		return false;
	LT_CLEANUP(lt_refs_deinit) struct lt_refs refs = {0};
	(void)lt_decode_refs(lt_heap_decoder(picture->heap), dict, dict_type, &refs);
	LT_CLEANUP(lt_map_deinit) struct lt_map seen = {0};
	struct pinned pinned = {0};
	uint64_t keys = 0;
	for (size_t i = 0; i < refs.count && keys < KEYS_LOOKED_AT; i++) {
		if (refs.data[i].kind != LT_REF_KEY)
			continue;
		keys++;
		lt_addr key = refs.data[i].to, self = 0;
		const struct lt_type *type =
			lt_types_get(types, lt_read_pointer(view, key, LT_PyObject_ob_type));
		if (type == NULL)
			continue;
		if (type->kind == LT_KIND_TUPLE) {
			if (lt_read_size(view, key) == 0 ||
			    !lt_memory_u64(view->memory,
					   key + lt_off(view->layout, LT_PyTupleObject_ob_item),
					   &self))
				continue;
			type = lt_types_get(types,
					    lt_read_pointer(view, self, LT_PyObject_ob_type));
		} else {
			self = key;
		}
		if (type == NULL || !type->python_class || lt_map_get(&seen, self, NULL))
			continue;
		if (!lt_map_put(&seen, self, 1))
			return false;
		pinned.instances++;
		pinned.type = type;
		uint32_t node = lt_heap_graph_find(&picture->graph, self);
		if (node != LT_NO_NODE)
			pinned.held += picture->retained[node];
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
	lt_addr function =
		lt_read_pointer(findings->picture->view, cache->address, LT_lru_cache_object_func);
	struct pinned pinned = {0};
	if (!is_method(findings->picture->view, function, lt_text_get(&name)) ||
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
	const struct lt_types *types = lt_heap_types(picture->heap);
	LT_CLEANUP(caches_deinit) struct caches list = {0};
	for (uint32_t node = 0; node < picture->graph.graph.node_count; node++) {
		uint32_t type = picture->graph.type[node];
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
