/*
 * rss_mappings.c: whose the resident bytes are that no allocator accounts for: files, stacks, heaps, the rest.
 */
#include "analysis/rss_parts.h"

#include "base/cleanup.h"
#include "target/maps.h"

#include <stdio.h>
#include <string.h>

enum { BSS_MAX = 64 << 20 };

static char *copy(struct lt_rss *rss, const char *text)
{
	return lt_arena_copy(&rss->strings, text, strlen(text));
}

enum lt_status lt_rss_allocator(struct lt_rss_reading *reading, struct lt_rss *rss)
{
	const struct lt_malloc *malloc = &reading->malloc;
	lt_foreign_find(reading->view, &reading->foreign);
	rss->foreign = reading->foreign;
	char text[64];
	if (lt_foreign_replaces(&reading->foreign))
		snprintf(text, sizeof(text), "%s%s%s", reading->foreign.name,
			 reading->foreign.release[0] != '\0' ? " " : "", reading->foreign.release);
	else if (malloc->found)
		snprintf(text, sizeof(text), "glibc %.15s%s", malloc->release,
			 reading->foreign.found ? " beside CPython's mimalloc" : "");
	else
		snprintf(text, sizeof(text), "the C allocator");
	rss->allocator = copy(rss, text);
	return rss->allocator != NULL ? LT_OK : lt_fail_memory(reading->session);
}

enum lt_status lt_rss_add(struct lt_session *session, struct lt_rss *rss, struct lt_rss_part part)
{
	for (size_t i = 0; i < rss->parts.count; i++) {
		struct lt_rss_part *known = &rss->parts.data[i];
		if (known->layer != part.layer || strcmp(known->name, part.name) != 0 ||
		    strcmp(known->detail, part.detail) != 0)
			continue;
		known->bytes += part.bytes;
		known->held_bytes += part.held_bytes;
		known->shared_bytes += part.shared_bytes;
		known->count += part.count;
		return LT_OK;
	}
	part.name = copy(rss, part.name);
	part.detail = copy(rss, part.detail);
	return part.name != NULL && part.detail != NULL && lt_rss_parts_push(&rss->parts, part)
		       ? LT_OK
		       : lt_fail_memory(session);
}

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

static const char *file_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash != NULL && slash[1] != '\0' ? slash + 1 : path;
}

/* The file that the mapping is of, "" when of none; of anonymous memory right behind a file's data that file: its .bss. */
static const char *file_of(const struct lt_mappings *mappings, size_t i)
{
	const struct lt_mapping *mapping = &mappings->data[i];
	if (mapping->inode != 0 || mapping->path[0] == '/')
		return mapping->path;
	if (i == 0 || mapping->path[0] != '\0')
		return "";
	const struct lt_mapping *before = mapping - 1;
	return before->end == mapping->start && before->inode != 0 && before->writable &&
			       mapping->writable && !before->shared &&
			       mapping->end - mapping->start <= BSS_MAX
		       ? before->path
		       : "";
}

size_t lt_rss_stacks(const struct lt_rss_reading *reading, const struct lt_mapping *mapping)
{
	const struct lt_interpreters *interpreters = lt_heap_interpreters(reading->picture->heap);
	size_t count = 0;
	for (size_t i = 0; i < interpreters->count; i++) {
		for (size_t t = 0; t < interpreters->data[i].thread_count; t++) {
			const struct lt_thread *thread = &interpreters->data[i].threads[t];
			count += thread->thread_id >= mapping->start &&
				 thread->thread_id < mapping->end &&
				 thread->native_id != reading->pid_inside;
		}
	}
	return count;
}

static struct lt_rss_part of_mapping(const struct lt_rss_reading *reading, const struct lt_rss *rss,
				     const struct lt_mappings *mappings, size_t i)
{
	const struct lt_mapping *mapping = &mappings->data[i];
	const char *file = file_of(mappings, i);
	size_t stacks = lt_rss_stacks(reading, mapping);
	struct lt_rss_part part = {.detail = "", .count = 1};
	part.held_bytes = mapping->end - mapping->start;
	if (begins(file, "/dev/shm/") || begins(file, "/memfd:") || begins(file, "/dev/zero") ||
	    begins(file, "/SYSV")) {
		part.layer = LT_RSS_FILES;
		part.name = begins(file, "/dev/zero") ? "shared anonymous memory" : file_name(file);
		part.detail = "shared memory";
	} else if (file[0] != '\0') {
		part.layer = LT_RSS_FILES;
		part.name = file_name(file);
		part.detail = file;
	} else if (begins(mapping->path, "[stack")) {
		part.layer = LT_RSS_STACKS;
		part.name = "stack of the main thread";
	} else if (strcmp(mapping->path, "[heap]") == 0) {
		part.layer = LT_RSS_MALLOC;
		bool walked = lt_foreign_replaces(&reading->foreign) ? reading->foreign.found
								     : reading->malloc.found;
		part.name = walked ? "the C allocator's own data" : rss->allocator;
		part.detail = walked ? "" : "used and free memory as one part";
	} else if (mapping->path[0] == '[' && !begins(mapping->path, "[anon")) {
		part.layer = LT_RSS_FILES;
		part.name = "pages of the kernel";
	} else if (mapping->writable && !mapping->shared &&
		   (lt_maps_region(mappings, i) == LT_REGION_STACKS || stacks > 0)) {
		part.layer = LT_RSS_STACKS;
		part.name = "stacks of threads";
		part.count = stacks > 0 ? stacks : 1;
	} else if (mapping->writable && !mapping->shared &&
		   lt_maps_region(mappings, i) == LT_REGION_ARENAS) {
		part.layer = LT_RSS_MALLOC;
		part.name = reading->malloc.found ? "the C allocator's own data"
						  : "arenas of the C allocator for threads";
		part.detail = reading->malloc.found ? "" : "used and free memory as one part";
	} else if (reading->foreign_maps[i] != 0) {
		part.layer = LT_RSS_MALLOC;
		part.name = "the C allocator's own data";
	} else if (lt_foreign_replaces(&reading->foreign) && !reading->foreign.found) {
		part.layer = LT_RSS_MALLOC;
		part.name = rss->allocator;
		part.detail = "used and free memory as one part";
	} else {
		part.layer = LT_RSS_OTHER;
		part.name = "anonymous mappings";
		part.detail = "nobody accounts for them";
	}
	return part;
}

enum lt_status lt_rss_mappings(struct lt_rss_reading *reading, struct lt_rss *rss)
{
	LT_CLEANUP(lt_mappings_deinit) struct lt_mappings mappings = {0};
	const struct lt_smap_list *maps = &reading->resident.smaps.list;
	for (size_t i = 0; i < maps->count; i++) {
		if (!lt_mappings_push(&mappings, maps->data[i].mapping))
			return lt_fail_memory(reading->session);
	}
	for (size_t i = 0; i < maps->count; i++) {
		const struct lt_smap *smap = &maps->data[i];
		uint64_t rest = lt_resident_rest(&reading->resident, i);
		if (rest == 0)
			continue;
		struct lt_rss_part part = of_mapping(reading, rss, &mappings, i);
		part.bytes = rest;
		part.shared_bytes = (uint64_t)((double)rest * lt_rss_shared(reading, smap));
		LT_TRY(lt_rss_add(reading->session, rss, part));
	}
	return LT_OK;
}
