#include "report/names.h"

#include <string.h>

enum { BYTES_EACH = 64 };

/* FNV-1a, 64 bits. */
static uint64_t hash_of(const char *text)
{
	uint64_t hash = 0xcbf29ce484222325u;
	for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++)
		hash = (hash ^ *c) * 0x100000001b3u;
	return hash;
}

static bool append(struct lt_names *names, const char *text, size_t bytes)
{
	uint64_t start = names->bytes.count;
	if (!lt_name_bytes_reserve(&names->bytes, names->bytes.count + bytes) ||
	    !lt_name_starts_push(&names->start, start))
		return false;
	memcpy(names->bytes.data + start, text, bytes);
	names->bytes.count += bytes;
	return true;
}

bool lt_names_add(struct lt_names *names, const char *text, uint32_t *ret_name)
{
	uint64_t hash = hash_of(text), known;
	/* Two texts of one hash: the second one takes the next key that is free. */
	while (lt_map_get(&names->by_hash, hash, &known)) {
		if (strcmp(lt_names_at(names, (uint32_t)known), text) == 0) {
			*ret_name = (uint32_t)known;
			return true;
		}
		hash++;
	}
	size_t bytes = strlen(text) + 1;
	uint32_t count = lt_names_count(names);
	if (count >= names->most ||
	    names->bytes.count + bytes > (uint64_t)names->most * BYTES_EACH) {
		*ret_name = LT_NAMES_NONE;
		return true;
	}
	if (!append(names, text, bytes) || !lt_map_put(&names->by_hash, hash, count))
		return false;
	*ret_name = count;
	return true;
}

uint32_t lt_names_count(const struct lt_names *names)
{
	return (uint32_t)names->start.count;
}

const char *lt_names_at(const struct lt_names *names, uint32_t name)
{
	return names->bytes.data + names->start.data[name];
}

void lt_names_deinit(struct lt_names *names)
{
	lt_name_bytes_deinit(&names->bytes);
	lt_name_starts_deinit(&names->start);
	lt_map_deinit(&names->by_hash);
}
