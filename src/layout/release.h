/*
 * release.h: which release of CPython an interpreter is.
 */
#ifndef LT_LAYOUT_RELEASE_H
#define LT_LAYOUT_RELEASE_H

#include "layout/locate.h"

struct lt_release {
	uint32_t hex; /* as PY_VERSION_HEX */
	bool exact;   /* the patch release is known, not the minor only */
	bool free_threaded;
	bool has_debug_offsets;
};

/*
 * From the debug offsets, the constant Py_Version, the text of Py_GetVersion(), or the name of the file, the
 * first that says it. False: nothing does.
 */
bool lt_release_find(const struct lt_process *process, struct lt_memory *memory,
		     const struct lt_place *place, struct lt_release *ret_release);

/* "3.13.15", "3.15.0rc1"; "3.9" when the patch release is not known. */
void lt_release_name(const struct lt_release *release, char *ret_name, size_t capacity);

/* "3.9.18", "3.15.0rc1+" and what follows: as PY_VERSION_HEX. False: no version. */
bool lt_release_parse(const char *text, uint32_t *ret_hex);

#endif
