/*
 * names.h: strings, each once, with dense numbers in order of first sight. All zero but `most` is empty.
 */
#ifndef LT_REPORT_NAMES_H
#define LT_REPORT_NAMES_H

#include "base/map.h"
#include "base/vec.h"

enum { LT_NAMES_NONE = UINT32_MAX };

LT_VEC(lt_name_bytes, char);
LT_VEC(lt_name_starts, uint64_t);

struct lt_names {
	uint32_t most;               /* names at most; no more than 64 times as many bytes */
	struct lt_name_bytes bytes;  /* each with its NUL */
	struct lt_name_starts start; /* of each in `bytes` */
	struct lt_map by_hash;       /* hash, or the next free one behind it -> number */
};

/* False: no memory. LT_NAMES_NONE: it is a new one and there is no room for it. */
bool lt_names_add(struct lt_names *names, const char *text, uint32_t *ret_name);
uint32_t lt_names_count(const struct lt_names *names);
/* Of a number below the count; valid until the next one is added. */
const char *lt_names_at(const struct lt_names *names, uint32_t name);
void lt_names_deinit(struct lt_names *names);

#endif
