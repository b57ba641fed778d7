#include "layout/locate.h"

#include "base/cleanup.h"
#include "layout/debug_offsets.h"

#include <string.h>

enum {
	CHUNK = 1 << 20,          /* bytes scanned at a time */
	OVERLAP = 4096,           /* of two chunks, so that nothing is cut */
	SCAN_MAX = 256 << 20,     /* bytes of writable data of one file that are looked at */
	FILES_MAX = 4096,         /* mapped files that are looked at */
	EMBEDDED_MIN = 128 << 10, /* bytes of writable data */
	CHAIN_MAX = 1024,         /* interpreters followed */
	VERSION_TEXT_MAX = 250,   /* the buffer in Python/getversion.c */
};

/* ---- the data of a file: its writable mappings and the anonymous one that continues them (.bss) ---- */

/* Calls `visit` with overlapping pieces until it returns true. */
typedef bool (*visit_fn)(void *ctx, lt_addr addr, const uint8_t *bytes, size_t size);

static bool scan_range(struct lt_memory *memory, lt_addr start, lt_addr end, uint64_t *left,
		       uint8_t *buffer, visit_fn visit, void *ctx)
{
	for (lt_addr at = start; at<end && * left> 0;) {
		size_t size = end - at < CHUNK ? (size_t)(end - at) : (size_t)CHUNK;
		size_t got = lt_memory_probe(memory, at, buffer, size);
		if (got > 0 && visit(ctx, at, buffer, got))
			return true;
		if (size < CHUNK)
			return false;
		at += CHUNK - OVERLAP;
		*left = *left > CHUNK ? *left - CHUNK : 0;
	}
	return false;
}

static bool scan_data(const struct lt_process *process, struct lt_memory *memory, const char *path,
		      visit_fn visit, void *ctx)
{
	LT_FREE uint8_t *buffer = malloc(CHUNK);
	uint64_t left = SCAN_MAX;
	if (buffer == NULL)
		return false;
	for (size_t i = 0; i < process->mappings.count; i++) {
		const struct lt_mapping *mapping = &process->mappings.data[i];
		bool own = strcmp(mapping->path, path) == 0;
		bool continues = i > 0 && mapping->path[0] == '\0' &&
				 mapping[-1].end == mapping->start &&
				 strcmp(mapping[-1].path, path) == 0;
		if ((own || continues) && mapping->readable && mapping->writable &&
		    scan_range(memory, mapping->start, mapping->end, &left, buffer, visit, ctx))
			return true;
	}
	return false;
}

/* ---- what is looked for ---- */

static bool pointer(struct lt_memory *memory, lt_addr addr, uint64_t *ret_value)
{
	uint64_t value;
	if (lt_memory_probe(memory, addr, &value, sizeof value) != sizeof value)
		return false;
	*ret_value = value;
	return true;
}

bool lt_locate_fits(struct lt_memory *memory, const struct lt_layout *layout, lt_addr runtime)
{
	uint64_t main, owner, thread, interpreter, next;
	if (!pointer(memory, runtime + lt_off(layout, LT__PyRuntimeState_interpreters_main),
		     &main) ||
	    !pointer(memory, runtime + lt_off(layout, LT__PyRuntimeState_interpreters_head),
		     &next) ||
	    main == 0 || main % 8 != 0 || next == 0 || next % 8 != 0)
		return false;
	for (unsigned i = 0; next != main; i++)
		if (next == 0 || i == CHAIN_MAX ||
		    !pointer(memory, next + lt_off(layout, LT_PyInterpreterState_next), &next))
			return false;
	return pointer(memory, main + lt_off(layout, LT_PyInterpreterState_runtime), &owner) &&
	       owner == runtime &&
	       pointer(memory, main + lt_off(layout, LT_PyInterpreterState_threads_head),
		       &thread) &&
	       thread % 8 == 0 && thread != 0 &&
	       pointer(memory, thread + lt_off(layout, LT_PyThreadState_interp), &interpreter) &&
	       interpreter == main;
}

struct cookie_scan {
	struct lt_memory *memory;
	lt_addr found;
};

static bool visit_cookie(void *ctx, lt_addr addr, const uint8_t *bytes, size_t size)
{
	struct cookie_scan *scan = ctx;
	struct lt_debug_header header;
	for (size_t i = 0; i + 8 <= size; i += 8)
		if (memcmp(bytes + i, "xdebugpy", 8) == 0 &&
		    lt_debug_offsets_probe(scan->memory, addr + i, &header)) {
			scan->found = addr + i;
			return true;
		}
	return false;
}

struct structure_scan {
	const struct lt_process *process;
	struct lt_memory *memory;
	const struct lt_layout *layout;
	lt_addr found;
};

static bool in_writable_memory(const struct lt_process *process, lt_addr addr)
{
	const struct lt_mapping *mapping = lt_process_mapping(process, addr);
	return mapping != NULL && mapping->readable && mapping->writable;
}

/* Whether the interpreter that would be the main one names this runtime as its own: one read decides nearly always. */
static bool names_runtime(const struct structure_scan *scan, lt_addr main, lt_addr runtime)
{
	uint64_t owner;
	return pointer(scan->memory, main + lt_off(scan->layout, LT_PyInterpreterState_runtime),
		       &owner) &&
	       owner == runtime;
}

static bool visit_structure(void *ctx, lt_addr addr, const uint8_t *bytes, size_t size)
{
	struct structure_scan *scan = ctx;
	size_t head = lt_off(scan->layout, LT__PyRuntimeState_interpreters_head);
	size_t main = lt_off(scan->layout, LT__PyRuntimeState_interpreters_main);
	size_t last = head > main ? head : main;
	for (size_t i = 0; i + last + 8 <= size; i += 8) {
		/* Cheap first: the list of interpreters begins and, nearly always, ends with the main one. */
		uint64_t words[2];
		memcpy(&words[0], bytes + i + head, 8);
		memcpy(&words[1], bytes + i + main, 8);
		if (words[0] < 4096 || words[0] % 8 != 0 || words[1] < 4096 || words[1] % 8 != 0 ||
		    words[0] >> 47 != 0 || words[1] >> 47 != 0)
			continue;
		if (in_writable_memory(scan->process, words[0]) &&
		    in_writable_memory(scan->process, words[1]) &&
		    names_runtime(scan, words[1], addr + i) &&
		    lt_locate_fits(scan->memory, scan->layout, addr + i)) {
			scan->found = addr + i;
			return true;
		}
	}
	return false;
}

struct text_scan {
	char *text;
	size_t capacity;
};

/* "3.9.18 (" at `bytes`, of at most `size`: the length up to the parenthesis, 0 when it is none. */
static size_t version_prefix(const uint8_t *bytes, size_t size)
{
	size_t i = 0;
	unsigned dots = 0;
	if (size < 8 || bytes[0] != '3' || bytes[1] != '.')
		return 0;
	while (i < size && i < 24 &&
	       ((bytes[i] >= '0' && bytes[i] <= '9') || bytes[i] == '.' || bytes[i] == 'a' ||
		bytes[i] == 'b' || bytes[i] == 'r' || bytes[i] == 'c' || bytes[i] == '+'))
		dots += bytes[i++] == '.';
	return dots == 2 && i + 1 < size && bytes[i] == ' ' && bytes[i + 1] == '(' ? i : 0;
}

static bool visit_text(void *ctx, lt_addr addr, const uint8_t *bytes, size_t size)
{
	struct text_scan *scan = ctx;
	(void)addr;
	for (const uint8_t *at = bytes; at < bytes + size; at++) {
		at = memchr(at, '3', (size_t)(bytes + size - at));
		if (at == NULL)
			return false;
		size_t left = (size_t)(bytes + size - at);
		if (version_prefix(at, left) == 0)
			continue;
		/* Python/getversion.c: "%.80s (%.80s) %.80s" of the version, the build and the compiler. */
		size_t most = left < VERSION_TEXT_MAX ? left : VERSION_TEXT_MAX;
		const uint8_t *end = memchr(at, '\0', most);
		if (end == NULL || memmem(at, (size_t)(end - at), ") ", 2) == NULL ||
		    memchr(at, '[', (size_t)(end - at)) == NULL)
			continue;
		size_t length = (size_t)(end - at) < scan->capacity - 1 ? (size_t)(end - at)
									: scan->capacity - 1;
		memcpy(scan->text, at, length);
		scan->text[length] = '\0';
		return true;
	}
	return false;
}

bool lt_locate_version_text(const struct lt_process *process, struct lt_memory *memory,
			    const char *path, char *ret_text, size_t capacity)
{
	struct text_scan scan = {ret_text, capacity};
	return scan_data(process, memory, path, visit_text, &scan);
}

/* ---- the files ---- */

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash != NULL ? slash + 1 : path;
}

static bool is_libpython(const char *path)
{
	return strncmp(base_name(path), "libpython", strlen("libpython")) == 0;
}

/* Tells the first mapping of each file apart from the others. */
static bool is_first_of_file(const struct lt_process *process, size_t index)
{
	const char *path = process->mappings.data[index].path;
	if (path[0] != '/')
		return false;
	/* Mappings of a file follow each other; bss and guard pages may stand between. */
	for (size_t i = index, back = 0; i-- > 0 && back < 8; back++)
		if (strcmp(process->mappings.data[i].path, path) == 0)
			return false;
	return true;
}

enum class { PROGRAM, LIBPYTHON, OTHER, CLASS_COUNT };

static enum class class_of(const struct lt_process *process, const char *path) {
	if (strcmp(path, process->executable) == 0) return PROGRAM;
	return is_libpython(path) ? LIBPYTHON : OTHER;
}

/*
 * A file other than the program and libpython may hold the interpreter (a plugin that embeds it) when it has as
 * much writable data as one needs: 0.2 MiB in 3.9 already.
 */
static bool may_embed(const struct lt_process *process, size_t index)
{
	const char *path = process->mappings.data[index].path;
	uint64_t writable = 0;
	for (size_t i = index; i < process->mappings.count; i++) {
		const struct lt_mapping *mapping = &process->mappings.data[i];
		bool continues =
			mapping->path[0] == '\0' && i > index && mapping[-1].end == mapping->start;
		if (strcmp(mapping->path, path) != 0 && !continues)
			break;
		if (mapping->writable)
			writable += mapping->end - mapping->start;
	}
	return writable >= EMBEDDED_MIN;
}

/* An interpreter has been made in this runtime, as far as the known layouts can tell. */
static bool is_initialized(struct lt_memory *memory, lt_addr runtime)
{
	for (unsigned i = 0; i < lt_column_count(); i++) {
		struct lt_layout layout;
		lt_column_layout(i, &layout);
		if (lt_locate_fits(memory, &layout, runtime))
			return true;
	}
	return false;
}

/* By symbol or section. ret_place->elf NULL: it is not this file. Fails for want of memory alone. */
static enum lt_status try_file(struct lt_session *session, const struct lt_process *process,
			       const char *path, struct lt_place *ret_place)
{
	struct lt_elf *elf;
	uint64_t size = 0;
	lt_addr runtime = 0;
	*ret_place = (struct lt_place){NULL, 0, -1};
	LT_TRY(lt_elf_try(session, process, path, &elf));
	if (elf == NULL)
		return LT_OK;
	runtime = lt_elf_symbol(elf, "_PyRuntime", &size);
	if (runtime == 0 && !lt_elf_section(elf, ".PyRuntime", &runtime, &size))
		runtime = 0;
	enum lt_status status = lt_elf_check(session, elf);
	if (status != LT_OK || runtime == 0)
		lt_elf_close(elf);
	else
		*ret_place = (struct lt_place){elf, runtime, -1};
	return status;
}

/* By what its data holds; otherwise as above. */
static enum lt_status try_data(struct lt_session *session, const struct lt_process *process,
			       struct lt_memory *memory, const char *path,
			       struct lt_place *ret_place)
{
	struct cookie_scan cookies = {memory, 0};
	struct lt_place place = {NULL, 0, -1};
	if (scan_data(process, memory, path, visit_cookie, &cookies)) {
		place.runtime = cookies.found;
	} else {
		for (unsigned i = 0; i < lt_column_count() && place.runtime == 0; i++) {
			struct lt_layout layout;
			lt_column_layout(i, &layout);
			struct structure_scan scan = {process, memory, &layout, 0};
			/* Those with debug offsets have the cookie. */
			if (lt_has(&layout, LT__PyRuntimeState_debug_offsets) ||
			    !scan_data(process, memory, path, visit_structure, &scan))
				continue;
			place.runtime = scan.found;
			place.column = (int)i;
		}
	}
	if (place.runtime != 0)
		LT_TRY(lt_elf_try(session, process, path, &place.elf));
	*ret_place = place;
	return LT_OK;
}

/* The file with the symbol or the section. One whose runtime is not initialized is the last resort. */
static enum lt_status locate_by_name(struct lt_session *session, const struct lt_process *process,
				     struct lt_memory *memory, struct lt_place *ret_place)
{
	struct lt_place idle = {NULL, 0, -1}, place;
	for (int class = PROGRAM; class < CLASS_COUNT; class ++) {
		unsigned files = 0;
		for (size_t i = 0; i < process->mappings.count && files < FILES_MAX; i++) {
			const char *path = process->mappings.data[i].path;
			if (!is_first_of_file(process, i) ||
			    (int)class_of(process, path) != class ||
			    (class == OTHER && !may_embed(process, i)))
				continue;
			files++;
			enum lt_status status = try_file(session, process, path, &place);
			if (status != LT_OK) {
				lt_elf_close(idle.elf);
				return status;
			}
			if (place.elf == NULL)
				continue;
			if (is_initialized(memory, place.runtime)) {
				lt_elf_close(idle.elf);
				*ret_place = place;
				return LT_OK;
			}
			if (idle.elf == NULL)
				idle = place;
			else
				lt_elf_close(place.elf);
		}
	}
	*ret_place = idle;
	return LT_OK;
}

enum lt_status lt_locate(struct lt_session *session, const struct lt_process *process,
			 struct lt_memory *memory, struct lt_place *ret_place)
{
	LT_TRY(locate_by_name(session, process, memory, ret_place));
	if (ret_place->elf != NULL)
		return LT_OK;
	for (int class = PROGRAM; class < OTHER; class ++)
		for (size_t i = 0; i < process->mappings.count; i++) {
			const char *path = process->mappings.data[i].path;
			if (!is_first_of_file(process, i) || (int)class_of(process, path) != class)
				continue;
			LT_TRY(try_data(session, process, memory, path, ret_place));
			if (ret_place->elf != NULL)
				return LT_OK;
		}
	return lt_fail(session, LT_E_NOT_PYTHON,
		       "process %d (%s) runs no CPython that can be found", (int)process->pid,
		       process->executable[0] != '\0' ? base_name(process->executable)
						      : "unknown program");
}
