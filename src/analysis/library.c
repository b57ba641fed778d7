/* Where a shared library is, as the dynamic linker would look for it. */
#include "analysis/allocators.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "target/proc.h"

#include <dirent.h>
#include <string.h>
#include <unistd.h>

enum { CACHE_MOST = 16 << 20, FOLDERS_MOST = 64 };

/* ld.so.cache, the format of glibc 2.2 and later (sysdeps/generic/dl-cache.h, cache_file_new). */
#define CACHE_MAGIC "glibc-ld.so.cache1.1"
enum { FLAG_X86_64 = 0x0303 };

struct cache_head {
	char magic[sizeof(CACHE_MAGIC) - 1];
	uint32_t count;
	uint32_t strings_length;
	uint8_t flags, padding[3];
	uint32_t extension_offset;
	uint32_t unused[3];
};

struct cache_entry {
	int32_t flags;
	uint32_t key, value; /* offsets of strings from the start of the head */
	uint32_t os_version;
	uint64_t hwcap;
};

/* LD_PRELOAD takes names with colons and blanks between. */
static bool can_preload(const char *path)
{
	return path[0] == '/' && strpbrk(path, ": \t\n") == NULL && access(path, R_OK) == 0;
}

static void keep_newest(const char *folder, const char *name, char **best)
{
	struct lt_text path = {0};
	lt_text_addf(&path, "%s%s%s", folder, folder[0] != '\0' ? "/" : "", name);
	const char *before = *best != NULL ? strrchr(*best, '/') + 1 : NULL;
	const char *base = strrchr(name, '/') != NULL ? strrchr(name, '/') + 1 : name;
	if (!path.failed && can_preload(lt_text_get(&path)) &&
	    (before == NULL || strverscmp(base, before) > 0)) {
		free(*best);
		*best = lt_text_take(&path);
	}
	lt_text_deinit(&path);
}

static void look_in_folder(const char *folder, const char *start, char **best)
{
	DIR *listing = opendir(folder);
	if (listing == NULL)
		return;
	for (struct dirent *entry; (entry = readdir(listing)) != NULL;)
		if (strncmp(entry->d_name, start, strlen(start)) == 0)
			keep_newest(folder, entry->d_name, best);
	closedir(listing);
}

static void look_in_cache(const char *start, char **best)
{
	size_t size = 0;
	LT_FREE char *cache = lt_proc_slurp("/etc/ld.so.cache", CACHE_MOST, &size);
	struct cache_head head;
	if (cache == NULL || size < sizeof(head))
		return;
	memcpy(&head, cache, sizeof(head));
	if (memcmp(head.magic, CACHE_MAGIC, sizeof(head.magic)) != 0 ||
	    head.count > (size - sizeof(head)) / sizeof(struct cache_entry))
		return;
	for (uint32_t i = 0; i < head.count; i++) {
		struct cache_entry entry;
		memcpy(&entry, cache + sizeof(head) + i * sizeof(entry), sizeof(entry));
		/* The text ends with a NUL of its own behind the last byte. */
		if (entry.flags == FLAG_X86_64 && entry.key < size && entry.value < size &&
		    strncmp(cache + entry.key, start, strlen(start)) == 0)
			keep_newest("", cache + entry.value, best);
	}
}

char *lt_library_find(const char *start)
{
	static const char *const usual[] = {"/usr/lib/x86_64-linux-gnu", "/lib/x86_64-linux-gnu",
					    "/usr/local/lib", "/usr/lib64", "/usr/lib"};
	char *best = NULL;
	const char *listed = getenv("LD_LIBRARY_PATH");
	LT_FREE char *folders = strdup(listed != NULL ? listed : "");
	char *rest = folders;
	for (int i = 0; rest != NULL && best == NULL && i < FOLDERS_MOST; i++)
		look_in_folder(strsep(&rest, ":;"), start, &best);
	if (best == NULL)
		look_in_cache(start, &best);
	for (size_t i = 0; best == NULL && i < sizeof(usual) / sizeof(*usual); i++)
		look_in_folder(usual[i], start, &best);
	return best;
}
