#include "layout/release.h"

#include "layout/debug_offsets.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The release levels of PY_VERSION_HEX (Include/patchlevel.h). */
enum { LEVEL_ALPHA = 0xa, LEVEL_BETA = 0xb, LEVEL_CANDIDATE = 0xc, LEVEL_FINAL = 0xf };

static bool small_number(const char **text, unsigned limit, uint32_t *ret_value)
{
	char *end;
	if (!isdigit((unsigned char)**text))
		return false;
	unsigned long value = strtoul(*text, &end, 10);
	if (value > limit)
		return false;
	*text = end;
	*ret_value = (uint32_t)value;
	return true;
}

bool lt_release_parse(const char *text, uint32_t *ret_hex)
{
	uint32_t major, minor, patch, level = LEVEL_FINAL, serial = 0;
	if (!small_number(&text, 9, &major) || *text++ != '.' ||
	    !small_number(&text, 255, &minor) || *text++ != '.' ||
	    !small_number(&text, 255, &patch))
		return false;
	if (*text == 'a' || *text == 'b' || strncmp(text, "rc", 2) == 0) {
		level = *text == 'a' ? LEVEL_ALPHA : *text == 'b' ? LEVEL_BETA : LEVEL_CANDIDATE;
		text += *text == 'r' ? 2 : 1;
		if (!small_number(&text, 15, &serial))
			return false;
	}
	*ret_hex = major << 24 | minor << 16 | patch << 8 | level << 4 | serial;
	return true;
}

/* Include/cpython/pylifecycle.h (3.11): const unsigned long Py_Version. */
static bool from_constant(struct lt_memory *memory, const struct lt_elf *elf, uint32_t *ret_hex)
{
	uint64_t value, size = 0;
	lt_addr addr = lt_elf_symbol(elf, "Py_Version", &size);
	if (addr == 0 || (size != 0 && size != sizeof value))
		return false;
	if (lt_memory_probe(memory, addr, &value, sizeof value) != sizeof value &&
	    !lt_elf_read(elf, addr, &value, sizeof value))
		return false;
	if (value >> 24 != 3)
		return false;
	*ret_hex = (uint32_t)value;
	return true;
}

static bool from_text(const struct lt_process *process, struct lt_memory *memory, const char *path,
		      uint32_t *ret_hex)
{
	char text[64];
	return lt_locate_version_text(process, memory, path, text, sizeof text) &&
	       lt_release_parse(text, ret_hex);
}

/* "libpython3.9.so.1.0", "python3.9": the minor. */
static bool from_name(const char *path, uint32_t *ret_hex)
{
	const char *name = strrchr(path, '/');
	name = strstr(name != NULL ? name : path, "python3.");
	uint32_t minor;
	if (name == NULL)
		return false;
	name += strlen("python3.");
	if (!small_number(&name, 255, &minor))
		return false;
	*ret_hex = UINT32_C(3) << 24 | minor << 16 | LEVEL_FINAL << 4;
	return true;
}

bool lt_release_find(const struct lt_process *process, struct lt_memory *memory,
		     const struct lt_place *place, struct lt_release *ret_release)
{
	struct lt_release release = {.exact = true};
	struct lt_debug_header header;
	const char *path = lt_elf_path(place->elf);
	if (lt_debug_offsets_probe(memory, place->runtime, &header)) {
		release.hex = header.hex;
		release.free_threaded = header.free_threaded;
		release.has_debug_offsets = true;
	} else if (!from_constant(memory, place->elf, &release.hex) &&
		   !from_text(process, memory, path, &release.hex)) {
		release.exact = false;
		if (place->column >= 0)
			release.hex = lt_column_at((unsigned)place->column)->first | LEVEL_FINAL
											     << 4;
		else if (!from_name(path, &release.hex))
			return false;
	}
	*ret_release = release;
	return true;
}

void lt_release_name(const struct lt_release *release, char *ret_name, size_t capacity)
{
	static const char *const levels[16] = {
		[LEVEL_ALPHA] = "a", [LEVEL_BETA] = "b", [LEVEL_CANDIDATE] = "rc"};
	uint32_t hex = release->hex, level = hex >> 4 & 0xf;
	if (!release->exact)
		snprintf(ret_name, capacity, "%u.%u", hex >> 24, hex >> 16 & 0xff);
	else if (levels[level] != NULL)
		snprintf(ret_name, capacity, "%u.%u.%u%s%u", hex >> 24, hex >> 16 & 0xff,
			 hex >> 8 & 0xff, levels[level], hex & 0xf);
	else
		snprintf(ret_name, capacity, "%u.%u.%u", hex >> 24, hex >> 16 & 0xff,
			 hex >> 8 & 0xff);
}
