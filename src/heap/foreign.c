#include "heap/foreign_parts.h"

#include "base/cleanup.h"
#include "layout/jemalloc.h"
#include "layout/mimalloc.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { CONSTANTS_MAX = 32 << 20, COMMIT = 40 };

/* A library of the name is mapped, or the program has the symbol; of mimalloc every CPython since 3.13 has a copy. */
static const struct known {
	const char *file, *symbol, *name;
	const char *constant; /* that the file has; NULL: its name says enough */
} known[] = {
	{"/libjemalloc", "malloc_stats_print", "jemalloc", NULL},
	{"/libmimalloc", NULL, "mimalloc", NULL},
	{"/libtcmalloc", "MallocExtension_GetStats", "tcmalloc", NULL},
	{"/ld-musl-", "__malloc_replaced", "musl", NULL},
	/* The loader's name is a link to it in Debian; glibc's has a number. */
	{"/libc.so", NULL, "musl", "musl libc ("},
};

/* What is in a mapping of the file that nobody can write to; NULL: it is none such. free(3) by the caller. */
static char *constants(const struct lt_view *view, const struct lt_mapping *mapping,
		       const char *path, size_t *ret_size)
{
	uint64_t size = mapping->end - mapping->start;
	if (mapping->writable || !mapping->readable || size > CONSTANTS_MAX ||
	    strcmp(mapping->path, path) != 0)
		return NULL;
	char *bytes = calloc(1, size + 1);
	if (bytes != NULL)
		*ret_size = lt_memory_probe(view->memory, mapping->start, bytes, size);
	return bytes;
}

static bool has_constant(const struct lt_view *view, const char *path, const char *constant)
{
	const struct lt_mappings *mappings = &view->process->mappings;
	for (size_t i = 0; i < mappings->count; i++) {
		size_t size = 0;
		LT_FREE char *bytes = constants(view, &mappings->data[i], path, &size);
		if (bytes != NULL && memmem(bytes, size, constant, strlen(constant)) != NULL)
			return true;
	}
	return false;
}

/* The file that has the allocator, NULL for none. */
static const char *file_of(const struct lt_view *view, const struct known *one)
{
	const struct lt_mappings *mappings = &view->process->mappings;
	for (size_t i = 0; i < mappings->count; i++) {
		const char *path = mappings->data[i].path, *at = strstr(path, one->file);
		if (at != NULL &&
		    (one->constant == NULL ||
		     (at[strlen(one->file)] == '\0' && has_constant(view, path, one->constant))))
			return path;
	}
	return one->symbol != NULL && view->python != NULL &&
			       lt_python_symbol(view->python, one->symbol) != 0
		       ? view->process->executable
		       : NULL;
}

/* "5.3.0-0-g" and the 40 digits of a commit, a constant of each jemalloc. */
static bool release_in(const char *bytes, size_t size, char *release, size_t capacity)
{
	static const char digits[] = "0123456789abcdef";
	const char *end = bytes + size, *at = bytes;
	while ((at = memmem(at, (size_t)(end - at), "-g", 2)) != NULL) {
		const char *first = at;
		at += 2;
		if ((size_t)(end - at) < COMMIT || strspn(at, digits) < COMMIT)
			continue;
		while (first > bytes &&
		       (isdigit((unsigned char)first[-1]) || first[-1] == '.' || first[-1] == '-'))
			first--;
		size_t length = strspn(first, "0123456789.");
		if (length == 0 || length >= capacity)
			continue;
		memcpy(release, first, length);
		release[length] = '\0';
		return true;
	}
	return false;
}

static void read_release(const struct lt_view *view, const char *path, char *release,
			 size_t capacity)
{
	const struct lt_mappings *mappings = &view->process->mappings;
	for (size_t i = 0; i < mappings->count; i++) {
		size_t size = 0;
		LT_FREE char *bytes = constants(view, &mappings->data[i], path, &size);
		if (bytes != NULL && release_in(bytes, size, release, capacity))
			return;
	}
}

void lt_foreign_give(struct lt_foreign_walk *walk, lt_addr start, uint64_t size, lt_addr address,
		     enum lt_foreign_state state)
{
	const struct lt_foreign_block block = {
		.start = start, .address = address, .size = size, .state = state};
	if (size > 0 && !walk->ended)
		walk->ended = !walk->visit(walk->ctx, &block);
}

/* mimalloc's own name of it has changed: what the library says is what it reads. */
static const char *setting_of(const struct lt_view *view, const char *name, const char *file)
{
	static const struct {
		const char *name, *setting;
	} settings[] = {
		{"jemalloc", LT_JE_VARIABLE "=" LT_JE_SETTING},
		{"tcmalloc", "TCMALLOC_RELEASE_RATE=10"},
	};
	if (strcmp(name, "mimalloc") == 0)
		return has_constant(view, file, LT_MI_PURGE_OPTION) ? LT_MI_PURGE_VARIABLE "=0"
								    : LT_MI_DECOMMIT_VARIABLE "=0";
	for (size_t i = 0; i < sizeof(settings) / sizeof(*settings); i++)
		if (strcmp(settings[i].name, name) == 0)
			return settings[i].setting;
	return "";
}

static void walk_with(const struct lt_view *view, struct lt_foreign *foreign,
		      lt_foreign_visit visit, void *ctx)
{
	struct lt_foreign_walk walk = {
		.view = view, .visit = visit, .ctx = ctx, .foreign = foreign};
	if (foreign->name[0] == 'j')
		lt_jemalloc_walk(&walk);
	else
		lt_mimalloc_walk(&walk);
}

static bool only_sum(void *ctx, const struct lt_foreign_block *block)
{
	(void)ctx;
	(void)block;
	return true;
}

void lt_foreign_find(const struct lt_view *view, struct lt_foreign *ret_foreign)
{
	struct lt_foreign foreign = {.setting = ""};
	for (size_t i = 0;
	     view->process != NULL && foreign.name == NULL && i < sizeof(known) / sizeof(*known);
	     i++) {
		const char *file = file_of(view, &known[i]);
		if (file == NULL)
			continue;
		foreign.name = known[i].name;
		foreign.setting = setting_of(view, foreign.name, file);
		if (strcmp(foreign.name, "jemalloc") == 0) {
			foreign.key = lt_jemalloc_find(view, file);
			read_release(view, file, foreign.release, sizeof(foreign.release));
		} else if (strcmp(foreign.name, "mimalloc") == 0)
			foreign.key = lt_mimalloc_find(view);
	}
	if (view->process != NULL && foreign.name == NULL && lt_mimalloc_find(view) != 0) {
		foreign.name = "mimalloc";
		foreign.beside = true;
		foreign.setting = LT_MI_PURGE_VARIABLE "=0"; /* CPython's is of 2.1 */
		foreign.key = lt_mimalloc_find(view);
	}
	foreign.found = foreign.key != 0;
	if (foreign.found)
		walk_with(view, &foreign, only_sum, NULL);
	*ret_foreign = foreign;
}

void lt_foreign_walk(const struct lt_view *view, const struct lt_foreign *foreign,
		     lt_foreign_visit visit, void *ctx)
{
	struct lt_foreign sums = *foreign;
	if (foreign->found)
		walk_with(view, &sums, visit, ctx);
}
