#include "layout/python.h"

#include "base/cleanup.h"
#include "layout/debug_offsets.h"
#include "layout/locate.h"
#include "layout/release.h"
#include "layout/selfcheck.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	OLDEST = 0x03090000, /* PY_VERSION_HEX */
	NEWEST = 0x030fffff,
	LEVEL_CANDIDATE = 0xc,
	LEVEL_MASK = 0xf,
	TRIES = 200, /* of a check on something that moves */
	TRY_PAUSE_NS = 5000000,
};

void lt_python_close(struct lt_python *python)
{
	if (python == NULL)
		return;
	lt_elf_close(python->elf);
	free(python->layout);
	free(python);
}

static void cleanup_python(struct lt_python **python)
{
	lt_python_close(*python);
}

lt_addr lt_python_symbol(const struct lt_python *python, const char *name)
{
	return lt_elf_symbol(python->elf, name, NULL);
}

/* Refuses what no column is for. */
static enum lt_status choose_column(struct lt_session *session, const struct lt_release *release,
				    const struct lt_python *python, int *ret_column)
{
	const char *path = lt_elf_path(python->elf);
	uint32_t level = release->hex >> 4 & LEVEL_MASK;
	if (release->free_threaded) {
		lt_fail(session, LT_E_NOT_PYTHON,
			"%s is a free-threaded build of CPython %s, which has no lists of objects "
			"to read",
			path, python->version);
		lt_remedy(session, "Run the service on the default build of CPython");
		return LT_E_NOT_PYTHON;
	}
	if (release->hex < OLDEST)
		return lt_fail(session, LT_E_NOT_PYTHON,
			       "%s is CPython %s; the oldest that is known is 3.9", path,
			       python->version);
	int column = lt_column_find(release->hex);
	if (release->hex > NEWEST || column < 0)
		return lt_fail(session, LT_E_NOT_PYTHON,
			       "%s is CPython %s; the newest that is known is 3.15", path,
			       python->version);
	if (release->exact && level < LEVEL_CANDIDATE)
		return lt_fail(session, LT_E_NOT_PYTHON,
			       "%s is CPython %s, a pre-release, whose structures differ from "
			       "those of the release",
			       path, python->version);
	*ret_column = column;
	return LT_OK;
}

/* Checks until the outcome stays, for about a second at most. What differs must do so twice: a read may fail. */
static void check(struct lt_memory *memory, const struct lt_layout *layout, lt_addr runtime,
		  bool verified, struct lt_check_result *ret_result)
{
	for (int i = 0, differing = 0; i < TRIES; i++) {
		lt_selfcheck(memory, layout, runtime, ret_result);
		differing += ret_result->outcome == LT_CHECK_DIFFERS;
		if (ret_result->outcome == LT_CHECK_FITS || differing == 2 ||
		    (verified && ret_result->outcome == LT_CHECK_COLLECTING))
			return;
		nanosleep(&(struct timespec){.tv_nsec = TRY_PAUSE_NS}, NULL);
	}
}

static enum lt_status fit_layout(struct lt_session *session, struct lt_memory *memory,
				 const struct lt_release *release, int column,
				 struct lt_python *python)
{
	struct lt_check_result result;
	bool verified = release->exact && lt_release_is_verified(release->hex);
	const char *path = lt_elf_path(python->elf);
	lt_column_layout((unsigned)column, python->layout);
	python->has_debug_offsets = release->has_debug_offsets &&
				    lt_debug_offsets_apply(memory, python->runtime, python->layout);
	if (release->has_debug_offsets && !python->has_debug_offsets)
		lt_warn(session,
			"The offsets that the target tells of itself make no sense; those of "
			"CPython %s are used",
			python->layout->name);
	check(memory, python->layout, python->runtime, verified, &result);
	if (!release->exact && result.hexversion != 0 &&
	    result.hexversion >> 16 == release->hex >> 16) {
		struct lt_release exact = {.hex = result.hexversion, .exact = true};
		python->hex = result.hexversion;
		lt_release_name(&exact, python->version, sizeof python->version);
	}
	switch (result.outcome) {
	case LT_CHECK_FITS:
		return LT_OK;
	case LT_CHECK_COLLECTING:
		if (verified)
			return LT_OK;
		return lt_fail(
			session, LT_E_BUSY,
			"CPython %s is not known yet and cannot be checked while a collection runs",
			python->version);
	case LT_CHECK_EMPTY:
		return lt_fail(session, LT_E_NOT_PYTHON, "CPython %s in %s is not running: %s",
			       python->version, path, result.found);
	case LT_CHECK_MOVING:
		/* It never stood still, or its program changed sys and builtins. */
		if (!verified)
			break;
		lt_warn(session, "The layout of CPython %s could not be checked: %s",
			python->version, result.found);
		return LT_OK;
	case LT_CHECK_DIFFERS:
		break;
	}
	return lt_fail(session, LT_E_NOT_PYTHON,
		       "%s is CPython %s, but does not match the layout of %s: %s", path,
		       python->version, python->layout->name, result.found);
}

enum lt_status lt_python_find(struct lt_session *session, struct lt_process *process,
			      struct lt_memory *memory, struct lt_python **ret_python)
{
	struct lt_place place;
	struct lt_release release;
	int column = -1;
	LT_TRY(lt_locate(session, process, memory, &place));
	LT_CLEANUP(cleanup_python) struct lt_python *python = calloc(1, sizeof *python);
	if (python == NULL) {
		lt_elf_close(place.elf);
		return lt_fail_memory(session);
	}
	python->elf = place.elf;
	python->runtime = place.runtime;
	python->layout = malloc(sizeof *python->layout);
	if (python->layout == NULL)
		return lt_fail_memory(session);
	if (!lt_release_find(process, memory, &place, &release))
		return lt_fail(session, LT_E_NOT_PYTHON,
			       "%s holds a Python runtime, but nothing tells its version",
			       lt_elf_path(place.elf));
	python->hex = release.hex;
	python->free_threaded = release.free_threaded;
	lt_release_name(&release, python->version, sizeof python->version);
	LT_TRY(choose_column(session, &release, python, &column));
	LT_TRY(fit_layout(session, memory, &release, column, python));
	*ret_python = LT_TAKE(python);
	return LT_OK;
}
