/*
 * maps.h: the text of /proc/PID/maps as mappings.
 */
#ifndef LT_TARGET_MAPS_H
#define LT_TARGET_MAPS_H

#include "base/arena.h"
#include "target/process.h"

/*
 * Appends the mappings of the text, paths in `strings`. A line that makes no sense, or that does not
 * ascend, is left out. The kernel's escape of a line feed in a path is undone; a " (deleted)" at its
 * end stays, since a path may really end so. False: no memory.
 */
bool lt_maps_parse(const char *text, size_t size, struct lt_mappings *mappings,
		   struct lt_arena *strings);

/* One such line, without its line feed; its path, left "" here, begins at text[*ret_path_at]. False: it makes no sense. */
bool lt_maps_line(const char *text, size_t size, struct lt_mapping *ret_mapping,
		  size_t *ret_path_at);

/* Such a path, its escapes undone: `before` when it is the same text, else a copy; NULL: no memory. */
const char *lt_maps_path(const char *bytes, size_t length, const char *before,
			 struct lt_arena *strings);

/* The mapping that holds `addr` in an ascending vector, NULL for none. */
const struct lt_mapping *lt_maps_find(const struct lt_mappings *mappings, lt_addr addr);

/*
 * What a private mapping of no file is for, by what lies beside it; and mapped bytes of each region. An arena of a thread begins at a multiple of 64 MiB and has that much reserved,
 * what it does not use yet without access (glibc 2.3 to 2.41, malloc/arena.c: HEAP_MAX_SIZE); a thread's stack lies
 * right above its guard pages. A mapping that happens to look the same counts as one.
 */
enum lt_region lt_maps_region(const struct lt_mappings *mappings, size_t index);
void lt_maps_regions(const struct lt_mappings *mappings, uint64_t ret_bytes[LT_REGION_COUNT]);

#endif
