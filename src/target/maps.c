#include "target/maps.h"

#include <string.h>

struct cursor {
	const char *at, *end;
};

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/* A number in `base` and the character behind it, which is eaten. */
static bool number(struct cursor *cursor, unsigned base, char behind, uint64_t *ret_value)
{
	uint64_t value = 0;
	const char *start = cursor->at;
	while (cursor->at < cursor->end) {
		int d = digit(*cursor->at);
		if (d < 0 || (unsigned)d >= base)
			break;
		if (value > (UINT64_MAX - (unsigned)d) / base)
			return false;
		value = value * base + (unsigned)d;
		cursor->at++;
	}
	if (cursor->at == start || cursor->at == cursor->end || *cursor->at != behind)
		return false;
	cursor->at++;
	*ret_value = value;
	return true;
}

/* Undoes "\012", the only escape that maps has: other backslashes of a path stand as they are. */
static size_t unescape(char *path, size_t length)
{
	size_t out = 0;
	for (size_t in = 0; in < length; in++) {
		if (length - in >= 4 && memcmp(path + in, "\\012", 4) == 0) {
			path[out++] = '\n';
			in += 3;
		} else {
			path[out++] = path[in];
		}
	}
	path[out] = '\0';
	return out;
}

bool lt_maps_line(const char *text, size_t size, struct lt_mapping *ret_mapping,
		  size_t *ret_path_at)
{
	struct cursor line = {text, text + size};
	struct lt_mapping mapping = {.path = ""};
	uint64_t major, minor;
	if (!number(&line, 16, '-', &mapping.start) || !number(&line, 16, ' ', &mapping.end) ||
	    mapping.start >= mapping.end)
		return false;
	if (line.end - line.at < 5 || line.at[4] != ' ')
		return false;
	mapping.readable = line.at[0] == 'r';
	mapping.writable = line.at[1] == 'w';
	mapping.executable = line.at[2] == 'x';
	mapping.shared = line.at[3] == 's';
	line.at += 5;
	if (!number(&line, 16, ' ', &mapping.file_offset) || !number(&line, 16, ':', &major) ||
	    !number(&line, 16, ' ', &minor) || major > UINT32_MAX || minor > UINT32_MAX)
		return false;
	mapping.device_major = (uint32_t)major;
	mapping.device_minor = (uint32_t)minor;
	/* The inode ends the line of an anonymous mapping, with or without a blank behind it. */
	const char *digits = line.at;
	while (line.at < line.end && *line.at >= '0' && *line.at <= '9') {
		if (mapping.inode > (UINT64_MAX - 9) / 10)
			return false;
		mapping.inode = mapping.inode * 10 + (uint64_t)(*line.at++ - '0');
	}
	if (line.at == digits)
		return false;
	while (line.at < line.end && *line.at == ' ')
		line.at++;
	*ret_mapping = mapping;
	*ret_path_at = (size_t)(line.at - text);
	return true;
}

const char *lt_maps_path(const char *bytes, size_t length, const char *before,
			 struct lt_arena *strings)
{
	if (length == 0)
		return "";
	if (before != NULL && strlen(before) == length && memcmp(before, bytes, length) == 0)
		return before;
	char *copy = lt_arena_copy(strings, bytes, length);
	if (copy != NULL)
		unescape(copy, length);
	return copy;
}

bool lt_maps_parse(const char *text, size_t size, struct lt_mappings *mappings,
		   struct lt_arena *strings)
{
	const char *end = text + size;
	while (text < end) {
		const char *line_end = memchr(text, '\n', (size_t)(end - text));
		if (line_end == NULL)
			line_end = end;
		struct lt_mapping mapping;
		const char *line = text;
		size_t size_of_line = (size_t)(line_end - line), path_at;
		text = line_end + 1;
		if (!lt_maps_line(line, size_of_line, &mapping, &path_at))
			continue;
		const struct lt_mapping *last =
			mappings->count > 0 ? &mappings->data[mappings->count - 1] : NULL;
		if (last != NULL && mapping.start < last->end)
			continue;
		mapping.path = lt_maps_path(line + path_at, size_of_line - path_at,
					    last != NULL ? last->path : NULL, strings);
		if (mapping.path == NULL)
			return false;
		if (!lt_mappings_push(mappings, mapping))
			return false;
	}
	return true;
}

const struct lt_mapping *lt_maps_find(const struct lt_mappings *mappings, lt_addr addr)
{
	size_t low = 0, high = mappings->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct lt_mapping *mapping = &mappings->data[middle];
		if (addr < mapping->start)
			high = middle;
		else if (addr >= mapping->end)
			low = middle + 1;
		else
			return mapping;
	}
	return NULL;
}

const char *lt_region_name(enum lt_region region)
{
	static const char *const names[LT_REGION_COUNT] = {
		[LT_REGION_HEAP] = "heap",
		[LT_REGION_ARENAS] = "arenas",
		[LT_REGION_STACKS] = "stacks",
		[LT_REGION_ANONYMOUS] = "anonymous",
	};
	return names[region];
}

static bool no_access(const struct lt_mapping *mapping)
{
	return !mapping->readable && !mapping->writable && !mapping->executable &&
	       !mapping->shared && mapping->inode == 0;
}

static enum lt_region region_of(const struct lt_mapping *mapping, const struct lt_mapping *before,
				const struct lt_mapping *after)
{
	enum { ARENA = 64 << 20 };
	if (strcmp(mapping->path, "[heap]") == 0)
		return LT_REGION_HEAP;
	if (strncmp(mapping->path, "[stack", 6) == 0)
		return LT_REGION_STACKS;
	if (mapping->start % ARENA == 0 && after != NULL && after->start == mapping->end &&
	    no_access(after) && after->end - mapping->start >= ARENA)
		return LT_REGION_ARENAS;
	return before != NULL && before->end == mapping->start && no_access(before)
		       ? LT_REGION_STACKS
		       : LT_REGION_ANONYMOUS;
}

enum lt_region lt_maps_region(const struct lt_mappings *mappings, size_t index)
{
	const struct lt_mapping *mapping = &mappings->data[index];
	return region_of(mapping, index > 0 ? mapping - 1 : NULL,
			 index + 1 < mappings->count ? mapping + 1 : NULL);
}

void lt_maps_regions(const struct lt_mappings *mappings, uint64_t ret_bytes[LT_REGION_COUNT])
{
	memset(ret_bytes, 0, LT_REGION_COUNT * sizeof(*ret_bytes));
	for (size_t i = 0; i < mappings->count; i++) {
		const struct lt_mapping *mapping = &mappings->data[i];
		if (!mapping->writable || mapping->shared || mapping->inode != 0)
			continue;
		ret_bytes[lt_maps_region(mappings, i)] += mapping->end - mapping->start;
	}
}
