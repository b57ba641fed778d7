/*
 * memory_settings.c: what the environment and the command line ask of the allocators, and what of that is at work.
 *
 * The environment is the one that the process was started with: what it sets for itself later reaches no allocator.
 */
#include "analysis/memory_state.h"

#include "analysis/rss_parts.h"
#include "base/cleanup.h"
#include "target/proc.h"

#include <stdio.h>
#include <string.h>

enum { BLOCK_MAX = 1 << 20, VALUE_MAX = 64, FRAMES_MAX = 65536 };

struct settings {
	struct lt_memory_state *state;
	const char *environment;
	size_t size;
	bool failed; /* no memory */
};

const char *lt_memory_setting(const char *block, size_t size, const char *name)
{
	size_t length = strlen(name);
	for (size_t at = 0; block != NULL && at < size; at += strnlen(block + at, size - at) + 1) {
		if (size - at > length && strncmp(block + at, name, length) == 0 &&
		    block[at + length] == '=')
			return block + at + length + 1;
	}
	return NULL;
}

/* What the target wrote is for people to read. */
static const char *keep(struct settings *settings, char *text)
{
	for (char *at = text; *at != '\0'; at++)
		*at = *at >= ' ' && *at <= '~' ? *at : '?';
	const char *copy = lt_arena_copy(&settings->state->rss.strings, text, strlen(text));
	settings->failed = settings->failed || copy == NULL;
	return copy != NULL ? copy : "";
}

/* "NAME=VALUE" of a variable that is set and not empty, cut to fit; "" for another. `off`: a value that counts as not set. */
static const char *setting(struct settings *settings, const char *name, const char *off)
{
	const char *value = lt_memory_setting(settings->environment, settings->size, name);
	char text[2 * VALUE_MAX];
	if (value == NULL || *value == '\0' || (off != NULL && strcmp(value, off) == 0))
		return "";
	snprintf(text, sizeof(text), "%s=%.*s", name, VALUE_MAX, value);
	return keep(settings, text);
}

/*
 * The same of a tunable of glibc, "glibc.malloc.check=3:..." in GLIBC_TUNABLES. glibc may have put a zero byte in
 * place of each colon as it started.
 */
static const char *tunable(struct settings *settings, const char *name)
{
	const char *all =
		lt_memory_setting(settings->environment, settings->size, "GLIBC_TUNABLES");
	const char *at = all != NULL ? strstr(all, name) : NULL;
	const char *value =
		at != NULL && at[strlen(name)] == '='
			? at + strlen(name) + 1
			: lt_memory_setting(settings->environment, settings->size, name);
	char text[2 * VALUE_MAX];
	if (all == NULL || value == NULL || *value == '0')
		return "";
	size_t length = strcspn(value, ":");
	snprintf(text, sizeof(text), "GLIBC_TUNABLES=%s=%.*s", name,
		 (int)(length < VALUE_MAX ? length : VALUE_MAX), value);
	return keep(settings, text);
}

static const char *either(const char *first, const char *second)
{
	return *first != '\0' ? first : second;
}

/* The variable of Python's that asked for debug hooks, or the option of the command line. */
static const char *hooks_cause(struct settings *settings, const char *arguments, size_t size)
{
	const char *value =
		lt_memory_setting(settings->environment, settings->size, "PYTHONMALLOC");
	if (value != NULL && strstr(value, "debug") != NULL)
		return setting(settings, "PYTHONMALLOC", NULL);
	for (size_t at = 0; arguments != NULL && at < size;
	     at += strnlen(arguments + at, size - at) + 1) {
		const char *before = at >= 3 ? arguments + at - 3 : "";
		if (strcmp(arguments + at, "-Xdev") == 0 ||
		    (strcmp(arguments + at, "dev") == 0 && strcmp(before, "-X") == 0))
			return "-X dev";
	}
	return setting(settings, "PYTHONDEVMODE", NULL);
}

/* Where the configuration of tracemalloc is: in the runtime, before 3.12 in a variable of its own; 0: not known. */
static lt_addr find_tracing(const struct lt_view *view)
{
	const struct lt_layout *layout = view->layout;
	if (lt_has(layout, LT__PyRuntimeState_tracemalloc_config))
		return view->python->runtime +
		       (lt_addr)lt_off(layout, LT__PyRuntimeState_tracemalloc_config);
	return lt_python_symbol(view->python, "_Py_tracemalloc_config");
}

static void read_tracing(const struct lt_view *view, struct lt_memory_settings *settings)
{
	const struct lt_layout *layout = view->layout;
	uint32_t tracing, frames;
	if (view->python == NULL || !lt_has(layout, LT__PyTraceMalloc_Config_tracing))
		return;
	lt_addr at = find_tracing(view);
	if (at == 0 ||
	    !lt_memory_u32(view->memory,
			   at + (lt_addr)lt_off(layout, LT__PyTraceMalloc_Config_tracing),
			   &tracing) ||
	    tracing != 1)
		return;
	settings->tracing = true;
	if (lt_memory_u32(view->memory,
			  at + (lt_addr)lt_off(layout, LT__PyTraceMalloc_Config_max_nframe),
			  &frames) &&
	    frames >= 1 && frames <= FRAMES_MAX)
		settings->tracing_frames = frames;
}

static bool has_library(const struct lt_rss_reading *reading, const char *name)
{
	const struct lt_smap_list *maps = &reading->resident.smaps.list;
	for (size_t i = 0; i < maps->count; i++) {
		if (strstr(maps->data[i].mapping.path, name) != NULL)
			return true;
	}
	return false;
}

enum lt_status lt_memory_settings_read(const struct lt_rss_reading *reading,
				       struct lt_memory_state *state)
{
	struct lt_memory_settings *to = &state->settings;
	struct settings settings = {.state = state};
	char path[64];
	size_t argument_size = 0;
	snprintf(path, sizeof(path), "/proc/%d/environ", (int)state->pid);
	LT_FREE char *environment = lt_proc_slurp(path, BLOCK_MAX, &settings.size);
	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)state->pid);
	LT_FREE char *arguments = lt_proc_slurp(path, BLOCK_MAX, &argument_size);
	settings.environment = environment;
	to->debug_hooks = reading->pymalloc->shift != 0;
	to->debug_cause = to->debug_hooks ? hooks_cause(&settings, arguments, argument_size) : "";
	read_tracing(reading->view, to);
	to->tracing_cause = to->tracing ? setting(&settings, "PYTHONTRACEMALLOC", "0") : "";
	to->malloc_check = either(setting(&settings, "MALLOC_CHECK_", "0"),
				  tunable(&settings, "glibc.malloc.check"));
	to->malloc_check_library = has_library(reading, "/libc_malloc_debug.so");
	to->malloc_perturb = either(setting(&settings, "MALLOC_PERTURB_", "0"),
				    tunable(&settings, "glibc.malloc.perturb"));
	to->malloc_stats = setting(&settings, "PYTHONMALLOCSTATS", NULL);
	to->arena_max = either(setting(&settings, "MALLOC_ARENA_MAX", "0"),
			       tunable(&settings, "glibc.malloc.arena_max"));
	return settings.failed ? lt_fail_memory(reading->session) : LT_OK;
}
