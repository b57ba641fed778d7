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
	TRIES = 200,            /* of a check on something that moves */
	TRIES_OTHER = 60,       /* the same with another column than the release's */
	TRIES_COLLECTING = 600, /* of a check while collections run */
	TRY_PAUSE_NS = 1000000, /* times 1 to TRY_STEPS in turn: out of step with the target */
	TRY_STEPS = 9,
	LISTS_MOVE_MAX = 8,   /* bytes that a build may lay the collector's lists elsewhere */
	LISTS_ALIGNMENT = 4,  /* of a list's head, at least */
	ARENAS_MAX = 4096,    /* looked at for one in use */
	ARENA_MIN = 64 << 10, /* bytes */
	ARENA_MAX = 64 << 20,
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

static bool probe_word(struct lt_memory *memory, lt_addr addr, uint64_t *ret_value)
{
	return lt_memory_probe(memory, addr, ret_value, sizeof *ret_value) == sizeof *ret_value;
}

/*
 * Where the collector's lists lie in its state is a matter of the build too: those whose PyGC_Head is
 * declared with an alignment of 4 (Include/internal/pycore_gc.h in Debian's 3.13) have them at 20 in place of 24.
 * `generation0` points to the first one from start to end (Python/gc.c: _PyGC_InitState), also while a collection runs.
 */
static void adopt_lists(struct lt_memory *memory, lt_addr runtime, struct lt_layout *layout)
{
	uint64_t interpreter, first;
	if (!lt_has(layout, LT__gc_runtime_state_generations) ||
	    !lt_has(layout, LT__gc_runtime_state_generation0) ||
	    !probe_word(memory, runtime + lt_off(layout, LT__PyRuntimeState_interpreters_main),
			&interpreter))
		return;
	lt_addr gc = interpreter + lt_off(layout, LT_PyInterpreterState_gc);
	uint64_t column = lt_off(layout, LT__gc_runtime_state_generations);
	if (!probe_word(memory, gc + lt_off(layout, LT__gc_runtime_state_generation0), &first) ||
	    first % LISTS_ALIGNMENT != 0 || first - gc > column + LISTS_MOVE_MAX ||
	    first - gc + LISTS_MOVE_MAX < column)
		return;
	layout->off[LT__gc_runtime_state_generations] = (int32_t)(first - gc);
}

/*
 * Checks until the outcome stays: `tries` times at most, longer while collections run. What differs must do so
 * twice: a read may fail.
 */
static void check(struct lt_memory *memory, struct lt_layout *layout, lt_addr runtime,
		  bool verified, int tries, struct lt_check_result *ret_result)
{
	struct lt_check_result collecting = {0};
	int seen = 0, differing = 0, i;
	for (i = 0; i < (seen > 0 ? TRIES_COLLECTING : tries); i++) {
		adopt_lists(memory, runtime, layout);
		lt_selfcheck(memory, layout, runtime, ret_result);
		differing += ret_result->outcome == LT_CHECK_DIFFERS;
		if (ret_result->outcome == LT_CHECK_COLLECTING) {
			collecting = *ret_result;
			seen++;
		}
		if (ret_result->outcome == LT_CHECK_FITS || differing == 2 ||
		    (verified && ret_result->outcome == LT_CHECK_COLLECTING))
			return;
		nanosleep(&(struct timespec){.tv_nsec = TRY_PAUSE_NS * (1 + i % TRY_STEPS)}, NULL);
	}
	/* A collection that began in the midst of a check leaves lists that do not link back. */
	if (ret_result->outcome == LT_CHECK_MOVING && seen > i / 2)
		*ret_result = collecting;
}

/* One column: with the target's own offsets over it, checked. */
static void try_column(struct lt_session *session, struct lt_memory *memory,
		       const struct lt_release *release, unsigned column, bool verified, int tries,
		       struct lt_python *python, struct lt_check_result *ret_result)
{
	lt_column_layout(column, python->layout);
	python->has_debug_offsets = release->has_debug_offsets &&
				    lt_debug_offsets_apply(memory, python->runtime, python->layout);
	if (release->has_debug_offsets && !python->has_debug_offsets)
		lt_warn(session,
			"The offsets that the target tells of itself make no sense; those of "
			"CPython %s are used",
			python->layout->name);
	check(memory, python->layout, python->runtime, verified, tries, ret_result);
}

/*
 * The column of the release; when that is not verified and does not fit, another one of the same minor:
 * where in a minor a struct changed is known from the releases at hand only.
 */
static void fit_column(struct lt_session *session, struct lt_memory *memory,
		       const struct lt_release *release, unsigned column, bool verified,
		       struct lt_python *python, struct lt_check_result *ret_result)
{
	try_column(session, memory, release, column, verified, TRIES, python, ret_result);
	for (unsigned i = 0; !verified && i < lt_column_count(); i++) {
		struct lt_check_result other;
		if (ret_result->outcome != LT_CHECK_DIFFERS &&
		    ret_result->outcome != LT_CHECK_MOVING)
			return;
		if (i == column || lt_column_at(i)->first >> 16 != release->hex >> 16)
			continue;
		try_column(session, memory, release, i, verified, TRIES_OTHER, python, &other);
		if (other.outcome == LT_CHECK_FITS)
			*ret_result = other;
	}
}

static enum lt_status fit_layout(struct lt_session *session, struct lt_memory *memory,
				 const struct lt_release *release, unsigned column,
				 struct lt_python *python)
{
	struct lt_check_result result;
	bool verified = release->exact && lt_release_is_verified(release->hex);
	const char *path = lt_elf_path(python->elf);
	fit_column(session, memory, release, column, verified, python, &result);
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
		if (result.lists_told) {
			lt_warn(session,
				"The lists of objects of CPython %s could not be checked: "
				"collections run all the time",
				python->version);
			return LT_OK;
		}
		lt_fail(session, LT_E_BUSY,
			"CPython %s is not known yet and cannot be checked while a collection runs",
			python->version);
		lt_remedy(session, "Try again in a moment");
		return LT_E_BUSY;
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
		       python->version, lt_column_at(column)->name, result.found);
}

/*
 * 3.15 can be built with arenas of 2 MiB in place of 1 MiB (Include/internal/pycore_obmalloc.h: ARENA_BITS): an
 * arena tells its size by its number of pools, one less when it does not begin at the boundary of one.
 */
static void adopt_arena_size(struct lt_memory *memory, lt_addr runtime, struct lt_layout *layout)
{
	uint64_t interpreter, state, arenas, count = 0;
	if (!lt_has(layout, LT_PyInterpreterState_obmalloc) ||
	    !probe_word(memory, runtime + lt_off(layout, LT__PyRuntimeState_interpreters_main),
			&interpreter))
		return;
	state = interpreter + lt_off(layout, LT_PyInterpreterState_obmalloc);
	if ((lt_fact(layout, LT_FACT_obmalloc_pointer) != 0 &&
	     !probe_word(memory, state, &state)) ||
	    !probe_word(memory, state + lt_off(layout, LT__obmalloc_state_mgmt_arenas), &arenas) ||
	    !probe_word(memory, state + lt_off(layout, LT__obmalloc_state_mgmt_maxarenas), &count))
		return;
	count &= UINT32_MAX;
	for (uint64_t i = 0; i < count && i < ARENAS_MAX; i++) {
		lt_addr arena = arenas + i * lt_off(layout, LT_sizeof_arena_object);
		uint64_t address, pools;
		if (!probe_word(memory, arena + lt_off(layout, LT_arena_object_address),
				&address) ||
		    !probe_word(memory, arena + lt_off(layout, LT_arena_object_ntotalpools),
				&pools))
			return;
		int64_t size = (int64_t)(pools & UINT32_MAX) * lt_fact(layout, LT_FACT_pool_size);
		if (address == 0 || size <= ARENA_MIN || size > ARENA_MAX)
			continue;
		for (int64_t whole = ARENA_MIN; whole <= ARENA_MAX; whole *= 2)
			if (size > whole / 2 && size <= whole)
				layout->fact[LT_FACT_arena_size] = whole;
		return;
	}
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
	LT_TRY(fit_layout(session, memory, &release, (unsigned)column, python));
	adopt_arena_size(memory, python->runtime, python->layout);
	*ret_python = LT_TAKE(python);
	return LT_OK;
}
