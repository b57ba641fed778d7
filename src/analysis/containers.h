/*
 * containers.h: the containers that hold the most, each with the Python expression that reaches it.
 */
#ifndef LT_ANALYSIS_CONTAINERS_H
#define LT_ANALYSIS_CONTAINERS_H

#include "base/session.h"
#include "target/memory.h"

struct lt_container {
	const char *type; /* "dict", "lru_cache", "Catalog" when an instance's own dict */
	const char *module;
	const char *expression; /* "" when no path from a root was found */
	const char *where;      /* file:line or the module that it belongs to, "" when unknown */
	uint64_t length;        /* entries */
	uint64_t bytes;         /* its own, as sys.getsizeof */
	uint64_t held; /* bytes that would go with it: itself and all that only it keeps alive */
	double share;  /* of all bytes of the heap, 0 to 1 */
	lt_addr address;
};

struct lt_picture;
struct lt_expressions;
struct lt_arena;

/*
 * The `limit` containers that hold most, most bytes first; needs lt_picture_weigh() and lt_picture_ways().
 * Left out: dicts that are the namespace of a module, class or instance, what is inside an lru_cache,
 * and a container that holds little beside another one of the list. Caller frees the array, `strings`
 * owns the texts.
 */
LT_MUST_CHECK enum lt_status lt_containers_find(const struct lt_picture *picture,
						struct lt_expressions *expressions, size_t limit,
						struct lt_arena *strings,
						struct lt_container **ret_containers,
						size_t *ret_count);

/* Entries of a container object; false when the node is none of dict, list, tuple, set, deque, lru_cache. */
bool lt_container_length(const struct lt_picture *picture, uint32_t node, uint64_t *ret_length);

/* True for the dict of a module, class, instance or thread-local object, and for what only the interpreter holds. */
bool lt_container_is_names(const struct lt_picture *picture, struct lt_expressions *expressions,
			   uint32_t node);

#endif
