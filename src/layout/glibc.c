#include "layout/glibc.h"

#include "base/cleanup.h"
#include "target/elf.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#define LT_GLIBC_RELEASE(major, minor) COLUMN_##major##_##minor,
enum {
#include "layout/glibc.def"
	COLUMNS
};
#undef LT_GLIBC_RELEASE

static const struct lt_glibc_layout layouts[COLUMNS] = {
#define LT_GLIBC_RELEASE(number, of_it)                                                            \
	[COLUMN_##number##_##of_it].major = (number), [COLUMN_##number##_##of_it].minor = (of_it),
#include "layout/glibc.def"
#undef LT_GLIBC_RELEASE
#define LT_GLIBC_ROW(name, meaning, source, a, b, c, d, e, f)                                      \
	[0].name = (a), [1].name = (b), [2].name = (c), [3].name = (d), [4].name = (e),            \
	[5].name = (f),
#include "layout/glibc.def"
#undef LT_GLIBC_ROW
};
_Static_assert(COLUMNS == 6, "LT_GLIBC_ROW has one value for each release");

enum {
	ARENA_MAX = 4096,     /* bytes of the largest struct malloc_state, rounded up */
	RING_MAX = 1 << 16,   /* arenas of a process */
	DATA_MAX = 4 << 20,   /* bytes of writable data of a file that are looked through */
	RODATA_MAX = 8 << 20, /* the same of constants */
	EMPTY_BINS_MIN = 8,   /* of 127: no heap is so torn that more of them have chunks */
};

const struct lt_glibc_layout *lt_glibc_layout(uint32_t major, uint32_t minor)
{
	const struct lt_glibc_layout *found = NULL;
	for (int i = 0; i < COLUMNS; i++)
		if (layouts[i].major < major ||
		    (layouts[i].major == major && layouts[i].minor <= minor))
			found = &layouts[i];
	return found;
}

static uint64_t word(const unsigned char *bytes)
{
	uint64_t value;
	memcpy(&value, bytes, sizeof(value));
	return value;
}

static uint32_t half(const unsigned char *bytes)
{
	uint32_t value;
	memcpy(&value, bytes, sizeof(value));
	return value;
}

/* ---- an arena ---- */

/* An empty bin points to itself, as if it were the chunk whose links it is. */
static bool bins_fit(const struct lt_glibc_layout *layout, const unsigned char *arena,
		     lt_addr address)
{
	unsigned empty = 0;
	for (uint32_t i = 0; i < layout->bins; i++) {
		uint32_t at = layout->arena_bins + i * 16;
		lt_addr self = address + at - LT_CHUNK_HEAD;
		uint64_t first = word(arena + at), last = word(arena + at + 8);
		if (first == self && last == self)
			empty++;
		else if (first == self || last == self || first == 0 || last == 0 ||
			 first % LT_CHUNK_ALIGN != 0 || last % LT_CHUNK_ALIGN != 0)
			return false;
	}
	return empty >= EMPTY_BINS_MIN;
}

static bool ring_closes(struct lt_memory *memory, const struct lt_glibc_layout *layout,
			lt_addr arena)
{
	lt_addr at = arena;
	for (int i = 0; i < RING_MAX; i++) {
		if (at % 8 != 0 || !lt_memory_u64(memory, at + layout->arena_next, &at) || at == 0)
			return false;
		if (at == arena)
			return true;
	}
	return false;
}

static bool arena_fits(struct lt_memory *memory, const struct lt_glibc_layout *layout,
		       const unsigned char *bytes, lt_addr address)
{
	uint64_t top = word(bytes + layout->arena_top);
	uint64_t system = word(bytes + layout->arena_system);
	return top != 0 && top % LT_CHUNK_ALIGN == 0 && system != 0 &&
	       system <= (uint64_t)1 << 47 && bins_fit(layout, bytes, address) &&
	       ring_closes(memory, layout, address);
}

bool lt_glibc_fits(struct lt_memory *memory, const struct lt_glibc_layout *layout, lt_addr arena)
{
	unsigned char bytes[ARENA_MAX];
	return lt_memory_probe(memory, arena, bytes, layout->arena_bytes) == layout->arena_bytes &&
	       arena_fits(memory, layout, bytes, arena);
}

/* ---- the parameters ---- */

static bool parameters_fit(const struct lt_process *process, const struct lt_glibc_layout *layout,
			   const unsigned char *bytes, lt_addr top)
{
	uint64_t sbrk_base = word(bytes + layout->par_sbrk_base);
	uint64_t tests = word(bytes + layout->par_arena_test);
	uint32_t n = half(bytes + layout->par_n_mmaps),
		 n_max = half(bytes + layout->par_max_n_mmaps);
	uint64_t mapped = word(bytes + layout->par_mmapped);
	/* Where a chunk has a tail, mremap_chunk() and munmap_chunk() do not count as sysmalloc_mmap() does. */
	uint64_t unit = layout->mmapped_tail == 0 ? 4096 : LT_CHUNK_ALIGN;
	const struct lt_mapping *mapping = lt_process_mapping(process, sbrk_base);
	return mapping != NULL && mapping->writable && mapping->inode == 0 &&
	       /* A main arena of several pieces may go on below where it began. */
	       (sbrk_base <= top || strcmp(mapping->path, "[heap]") == 0) && tests != 0 &&
	       tests <= 1 << 20 && word(bytes + layout->par_mmap_threshold) != 0 &&
	       word(bytes + layout->par_tcache_bins) <= layout->tcache_bins &&
	       word(bytes + layout->par_tcache_count) <= UINT16_MAX && n <= n_max &&
	       mapped <= word(bytes + layout->par_max_mmapped) && mapped % unit == 0 &&
	       (n == 0) == (mapped == 0);
}

/* ---- where ---- */

struct data {
	unsigned char *bytes;
	lt_addr start;
	size_t size;
};

/* The writable data of a file with the bss behind it. */
static bool read_data(const struct lt_process *process, struct lt_memory *memory, const char *path,
		      struct data *ret_data, bool *no_memory)
{
	const struct lt_mappings *mappings = &process->mappings;
	for (size_t i = 0; i < mappings->count; i++) {
		const struct lt_mapping *mapping = &mappings->data[i];
		if (!mapping->writable || strcmp(mapping->path, path) != 0)
			continue;
		lt_addr end = mapping->end;
		if (i + 1 < mappings->count && mapping[1].start == end && mapping[1].writable &&
		    mapping[1].path[0] == '\0')
			end = mapping[1].end;
		size_t size =
			end - mapping->start < DATA_MAX ? (size_t)(end - mapping->start) : DATA_MAX;
		unsigned char *bytes = malloc(size);
		if (bytes == NULL) {
			*no_memory = true;
			return false;
		}
		*ret_data = (struct data){bytes, mapping->start,
					  lt_memory_probe(memory, mapping->start, bytes, size)};
		return true;
	}
	return false;
}

static lt_addr scan_arena(struct lt_memory *memory, const struct lt_glibc_layout *layout,
			  const struct data *data)
{
	for (size_t at = 0; at + layout->arena_bytes <= data->size; at += 8)
		if (arena_fits(memory, layout, data->bytes + at, data->start + at))
			return data->start + at;
	return 0;
}

static lt_addr scan_parameters(const struct lt_process *process,
			       const struct lt_glibc_layout *layout, const struct data *data,
			       lt_addr top)
{
	for (size_t at = 0; at + layout->par_bytes <= data->size; at += 8)
		if (parameters_fit(process, layout, data->bytes + at, top))
			return data->start + at;
	return 0;
}

/* "GNU C Library (Debian GLIBC 2.36-9) stable release version 2.36.", a constant of each build: csu/version.c. */
static bool release_in(const char *bytes, size_t length, uint32_t *ret_major, uint32_t *ret_minor)
{
	static const char name[] = "GNU C Library", release[] = " release version ";
	const char *end = bytes + length;
	for (const char *at = bytes; at < end; at++) {
		at = memmem(at, (size_t)(end - at), name, sizeof(name) - 1);
		if (at == NULL)
			return false;
		char line[256];
		unsigned major, minor;
		size_t left = (size_t)(end - at);
		snprintf(line, sizeof(line), "%.*s", left < sizeof(line) ? (int)left : 255, at);
		const char *version = strstr(line, release);
		if (version != NULL &&
		    sscanf(version + sizeof(release) - 1, "%4u.%4u", &major, &minor) == 2) {
			*ret_major = major;
			*ret_minor = minor;
			return true;
		}
	}
	return false;
}

/* In the memory, not in the file, which an upgrade may have replaced. */
static bool read_release(const struct lt_process *process, struct lt_memory *memory,
			 const char *path, uint32_t *ret_major, uint32_t *ret_minor,
			 bool *no_memory)
{
	for (int code = 0; code < 2; code++)
		for (size_t i = 0; i < process->mappings.count; i++) {
			const struct lt_mapping *mapping = &process->mappings.data[i];
			if (mapping->writable || !mapping->readable ||
			    mapping->executable != (code != 0) || strcmp(mapping->path, path) != 0)
				continue;
			uint64_t size = mapping->end - mapping->start;
			LT_FREE char *bytes = malloc(size < RODATA_MAX ? (size_t)size : RODATA_MAX);
			if (bytes == NULL) {
				*no_memory = true;
				return false;
			}
			size_t got = lt_memory_probe(memory, mapping->start, bytes,
						     size < RODATA_MAX ? (size_t)size : RODATA_MAX);
			if (release_in(bytes, got, ret_major, ret_minor))
				return true;
		}
	return false;
}

/* An arena and the parameters as this layout has them; false: no arena. */
static bool find_with(const struct lt_process *process, struct lt_memory *memory,
		      const struct lt_glibc_layout *layout, const struct data *data,
		      const struct lt_elf *elf, struct lt_glibc *glibc)
{
	lt_addr arena = lt_elf_symbol(elf, "main_arena", NULL), top = 0;
	if (arena == 0 || !lt_glibc_fits(memory, layout, arena))
		arena = scan_arena(memory, layout, data);
	if (arena == 0)
		return false;
	glibc->found = true;
	glibc->layout = layout;
	glibc->main_arena = arena;
	glibc->parameters = 0;
	if (!lt_memory_u64(memory, arena + layout->arena_top, &top))
		return true;
	unsigned char parameters[256];
	lt_addr named = lt_elf_symbol(elf, "mp_", NULL);
	if (named != 0 &&
	    lt_memory_probe(memory, named, parameters, layout->par_bytes) == layout->par_bytes &&
	    parameters_fit(process, layout, parameters, top))
		glibc->parameters = named;
	else
		glibc->parameters = scan_parameters(process, layout, data, top);
	return true;
}

/* The layout of the release first. Where that does not fit, or nothing says which it is: the newest one that does. */
static bool find_in_file(const struct lt_process *process, struct lt_memory *memory,
			 const char *path, const struct lt_elf *elf, struct lt_glibc *glibc,
			 bool *no_memory)
{
	uint32_t major = 0, minor = 0;
	bool known = read_release(process, memory, path, &major, &minor, no_memory);
	const struct lt_glibc_layout *own = lt_glibc_layout(major, minor);
	struct data data = {0};
	struct lt_glibc tried = {0};
	if (!read_data(process, memory, path, &data, no_memory))
		return false;
	if (own != NULL)
		(void)!find_with(process, memory, own, &data, elf, glibc);
	for (int i = COLUMNS - 1; i >= 0 && glibc->parameters == 0; i--)
		if (&layouts[i] != own &&
		    find_with(process, memory, &layouts[i], &data, elf, &tried) &&
		    (tried.parameters != 0 || !glibc->found))
			*glibc = tried;
	free(data.bytes);
	if (known)
		snprintf(glibc->release, sizeof(glibc->release), "%u.%u", major, minor);
	return glibc->found;
}

static bool is_libc(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash != NULL &&
	       (strncmp(slash, "/libc.so.6", 10) == 0 || strncmp(slash, "/libc-2.", 8) == 0);
}

enum lt_status lt_glibc_find(struct lt_session *session, const struct lt_process *process,
			     struct lt_memory *memory, bool symbols, struct lt_glibc *ret_glibc)
{
	struct lt_glibc glibc = {0};
	const char *path = process->executable;
	for (size_t i = 0; i < process->mappings.count; i++)
		if (is_libc(process->mappings.data[i].path)) {
			path = process->mappings.data[i].path;
			break;
		}
	struct lt_elf *elf = NULL;
	if (symbols)
		LT_TRY(lt_elf_try(session, process, path, &elf));
	bool no_memory = false;
	if (!find_in_file(process, memory, path, elf, &glibc, &no_memory)) {
		uint32_t major = 0, minor = 0;
		glibc = (struct lt_glibc){0};
		if (read_release(process, memory, path, &major, &minor, &no_memory))
			glibc.layout = lt_glibc_layout(major, minor);
	}
	glibc.path = path;
	enum lt_status status = lt_elf_check(session, elf);
	lt_elf_close(elf);
	*ret_glibc = glibc;
	/* Without it this release would be taken for another one, or for none. */
	return no_memory ? lt_fail_memory(session) : status;
}
