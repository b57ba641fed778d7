/*
 * containers.h: the containers that hold the most, each with the Python expression that reaches it.
 */
#ifndef LT_ANALYSIS_CONTAINERS_H
#define LT_ANALYSIS_CONTAINERS_H

#include "base/session.h"
#include "target/memory.h"

struct lt_container {
	const char *type;       /* "dict", "lru_cache", "Catalog" when an instance's own dict */
	const char *module;
	const char *expression; /* "" when no path from a root was found */
	const char *where;      /* file:line or the module that it belongs to, "" when unknown */
	uint64_t length;        /* entries */
	uint64_t bytes;         /* its own, as sys.getsizeof */
	uint64_t held;          /* bytes that would go with it: itself and all that only it keeps alive */
	double share;           /* of all bytes of the heap, 0 to 1 */
	lt_addr address;
};

#endif
