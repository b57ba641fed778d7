#include "target/smaps.h"

#include "base/cleanup.h"
#include "target/maps.h"
#include "target/permission.h"
#include "target/proc.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>

/* A line of smaps and the member that it is added to; the kernel's Documentation/filesystems/proc.rst names them. */
static const struct {
	const char *name;
	size_t member;
} fields[] = {
	{"Rss", offsetof(struct lt_smap, rss)},
	{"Pss", offsetof(struct lt_smap, pss)},
	{"Shared_Clean", offsetof(struct lt_smap, shared_clean)},
	{"Shared_Dirty", offsetof(struct lt_smap, shared_dirty)},
	{"Private_Clean", offsetof(struct lt_smap, private_clean)},
	{"Private_Dirty", offsetof(struct lt_smap, private_dirty)},
	{"Anonymous", offsetof(struct lt_smap, anonymous)},
	{"Swap", offsetof(struct lt_smap, swap)},
	{"AnonHugePages", offsetof(struct lt_smap, huge)},
	{"ShmemPmdMapped", offsetof(struct lt_smap, huge)},
	{"FilePmdMapped", offsetof(struct lt_smap, huge)},
	{"Shared_Hugetlb", offsetof(struct lt_smap, hugetlb)},
	{"Private_Hugetlb", offsetof(struct lt_smap, hugetlb)},
	{"Locked", offsetof(struct lt_smap, locked)},
	{"LazyFree", offsetof(struct lt_smap, lazy_free)},
};

static void take_field(struct lt_smap *smap, const char *line)
{
	const char *colon = strchr(line, ':');
	if (colon == NULL)
		return;
	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
		if (strlen(fields[i].name) != (size_t)(colon - line) ||
		    memcmp(fields[i].name, line, (size_t)(colon - line)) != 0)
			continue;
		uint64_t value, *member = (uint64_t *)((char *)smap + fields[i].member);
		const char *digits = colon + 1 + strspn(colon + 1, " \t");
		/* No mapping has 2^52 bytes: sums of them do not overflow. */
		if (lt_proc_number(digits, &value) && value < (uint64_t)1 << 42)
			*member += value * 1024;
		return;
	}
}

bool lt_smaps_parse(FILE *text, struct lt_smaps *smaps)
{
	LT_FREE char *line = NULL;
	size_t capacity = 0;
	struct lt_smap *smap = NULL; /* the one that the next figures are of */
	ssize_t length;
	errno = 0;
	while ((length = getline(&line, &capacity, text)) >= 0) {
		if (length > 0 && line[length - 1] == '\n')
			line[--length] = '\0';
		/* Names of figures begin with a capital, addresses never do; no line begins with a path. */
		if (isupper((unsigned char)line[0])) {
			if (smap != NULL)
				take_field(smap, line);
			continue;
		}
		const struct lt_mapping *last =
			smaps->list.count > 0 ? &smaps->list.data[smaps->list.count - 1].mapping
					      : NULL;
		struct lt_smap fresh = {0};
		size_t path_at;
		smap = NULL;
		if (!lt_maps_line(line, (size_t)length, &fresh.mapping, &path_at) ||
		    (last != NULL && fresh.mapping.start < last->end))
			continue;
		fresh.mapping.path =
			lt_maps_path(line + path_at, (size_t)length - path_at,
				     last != NULL ? last->path : NULL, &smaps->strings);
		if (fresh.mapping.path == NULL || !lt_smap_list_push(&smaps->list, fresh)) {
			errno = ENOMEM;
			return false;
		}
		smap = &smaps->list.data[smaps->list.count - 1];
	}
	if (ferror(text) != 0 || errno == ENOMEM)
		return false;
	for (size_t i = 0; i < smaps->list.count; i++) {
		smap = &smaps->list.data[i];
		smap->huge += smap->hugetlb;
		smaps->rss += smap->rss;
		smaps->swap += smap->swap;
	}
	return true;
}

enum lt_status lt_smaps_read(struct lt_session *session, const struct lt_process *process,
			     struct lt_smaps *ret_smaps)
{
	char path[64], status[8192], root[PATH_MAX];
	struct lt_smaps smaps = {0};
	snprintf(path, sizeof(path), "/proc/%d/smaps", (int)process->pid);
	LT_FCLOSE FILE *text = fopen(path, "re");
	if (text == NULL)
		return lt_permission_fail(session, process->pid, errno, "look at");
	if (!lt_smaps_parse(text, &smaps)) {
		int error = errno;
		lt_smaps_deinit(&smaps);
		if (error == ENOMEM)
			return lt_fail_memory(session);
		return lt_permission_fail(session, process->pid, error, "look at");
	}
	if (!lt_process_alive(process)) {
		lt_smaps_deinit(&smaps);
		return lt_fail(session, LT_E_GONE, "process %d ended", (int)process->pid);
	}
	size_t length = lt_process_root(process->pid, root, sizeof(root));
	for (size_t i = 0; i < smaps.list.count; i++) {
		struct lt_mapping *mapping = &smaps.list.data[i].mapping;
		mapping->path = lt_process_below(mapping->path, root, length);
	}
	snprintf(path, sizeof(path), "/proc/%d/status", (int)process->pid);
	if (lt_proc_read(path, status, sizeof(status)))
		smaps.page_tables = lt_proc_bytes(status, "VmPTE");
	*ret_smaps = smaps;
	return LT_OK;
}

void lt_smaps_deinit(struct lt_smaps *smaps)
{
	lt_smap_list_deinit(&smaps->list);
	lt_arena_deinit(&smaps->strings);
}

const struct lt_smap *lt_smaps_find(const struct lt_smaps *smaps, lt_addr addr)
{
	size_t low = 0, high = smaps->list.count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct lt_smap *smap = &smaps->list.data[middle];
		if (addr < smap->mapping.start)
			high = middle;
		else if (addr >= smap->mapping.end)
			low = middle + 1;
		else
			return smap;
	}
	return NULL;
}

/*
 * PAGEMAP_SCAN of Linux 6.7 and newer (Documentation/admin-guide/mm/pagemap.rst, include/uapi/linux/fs.h), which knows the
 * page of zeros: one that was only read is no memory of the process. False: the kernel cannot.
 */
static bool scan_pages(int fd, lt_addr start, lt_addr end, uint64_t page_size, uint64_t *bits)
{
	enum { REGIONS = 512, IS_PRESENT = 1 << 3, IS_ZERO = 1 << 5 };
	struct region {
		uint64_t start, end, categories;
	};
	struct {
		uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
		uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
	} scan = {
		.size = sizeof(scan),
		.end = end,
		.walk_end = start,
		.vec_len = REGIONS,
		.category_inverted = IS_ZERO,
		.category_mask = IS_PRESENT | IS_ZERO,
		.return_mask = IS_PRESENT,
	};
	struct region regions[REGIONS];
	scan.vec = (uint64_t)(uintptr_t)regions;
	while (scan.walk_end < end) {
		scan.start = scan.walk_end;
		int count = ioctl(fd, _IOWR('f', 16, scan), &scan);
		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0 || count > REGIONS || scan.walk_end <= scan.start)
			return false;
		for (int i = 0; i < count; i++) {
			if (regions[i].start < start || regions[i].end > end)
				return false;
			for (lt_addr at = regions[i].start; at < regions[i].end; at += page_size) {
				uint64_t page = (at - start) / page_size;
				bits[page / 64] |= (uint64_t)1 << (page % 64);
			}
		}
	}
	return true;
}

/* The pages whose entry has the bits of `mask` as `wanted` has them (Documentation/admin-guide/mm/pagemap.rst). */
static bool read_pages(int fd, uint64_t first, uint64_t pages, uint64_t mask, uint64_t wanted,
		       uint64_t *bits)
{
	enum { BATCH = 2048 };
	uint64_t entries[BATCH];
	memset(bits, 0, (pages + 63) / 64 * sizeof(*bits));
	for (uint64_t done = 0; done < pages;) {
		size_t want = pages - done < BATCH ? (size_t)(pages - done) : BATCH;
		ssize_t got = pread(fd, entries, want * sizeof(entries[0]),
				    (off_t)((first + done) * sizeof(entries[0])));
		if (got < 0 && errno == EINTR)
			continue;
		if (got < (ssize_t)sizeof(entries[0])) {
			memset(bits, 0, (pages + 63) / 64 * sizeof(*bits));
			return false;
		}
		size_t count = (size_t)got / sizeof(entries[0]);
		for (size_t i = 0; i < count; i++)
			if ((entries[i] & mask) == wanted)
				bits[(done + i) / 64] |= (uint64_t)1 << ((done + i) % 64);
		done += count;
	}
	return true;
}

static const uint64_t PRESENT = (uint64_t)1 << 63, EXCLUSIVE = (uint64_t)1 << 56;

static int open_pagemap(const struct lt_process *process)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/pagemap", (int)process->pid);
	return open(path, O_RDONLY | O_CLOEXEC);
}

bool lt_smaps_resident(const struct lt_process *process, lt_addr start, lt_addr end, uint64_t *bits)
{
	long page_size = sysconf(_SC_PAGESIZE);
	if (page_size <= 0 || start >= end)
		return false;
	uint64_t size = (uint64_t)page_size, pages = (end - start + size - 1) / size;
	memset(bits, 0, (pages + 63) / 64 * sizeof(*bits));
	LT_CLOSE int fd = open_pagemap(process);
	return fd >= 0 && (scan_pages(fd, start, start + pages * size, size, bits) ||
			   read_pages(fd, start / size, pages, PRESENT, PRESENT, bits));
}

bool lt_smaps_shared(const struct lt_process *process, lt_addr start, lt_addr end, uint64_t *bits)
{
	long page_size = sysconf(_SC_PAGESIZE);
	if (page_size <= 0 || start >= end)
		return false;
	uint64_t size = (uint64_t)page_size, pages = (end - start + size - 1) / size;
	LT_CLOSE int fd = open_pagemap(process);
	return fd >= 0 && read_pages(fd, start / size, pages, PRESENT | EXCLUSIVE, PRESENT, bits);
}
