#include "analysis/allocators.h"

#include "base/cleanup.h"
#include "layout/jemalloc.h"
#include "layout/mimalloc.h"
#include "target/proc.h"

#include <string.h>

enum { LIBRARY_BYTES = 32 << 20 };

#define TIME_RATIO_MOST 1.5 /* what takes longer than that is not advised */
#define BALANCE                                                                                    \
	(LT_ALLOCATOR_GAIN / 2)  /* the mean of both gains at least: one must not cost the other */
#define NEARLY 0.03              /* of two that gain nearly the same the simpler one is advised */
#define GAIN_BYTES (1024 * 1024) /* less is no gain, whatever its share */

enum { LIBRARY_NONE, LIBRARY_JEMALLOC, LIBRARY_MIMALLOC, LIBRARIES };

static const struct {
	const char *start, *package;
} libraries[LIBRARIES] = {
	[LIBRARY_JEMALLOC] = {"libjemalloc.so.", "libjemalloc2"},
	[LIBRARY_MIMALLOC] = {"libmimalloc.so.", "libmimalloc2.0 (Debian 12) or libmimalloc3"},
};

/* Simplest first. A threshold that is set also keeps glibc from raising it as large chunks are freed. */
#define TUNED                                                                                      \
	{"MALLOC_ARENA_MAX", "2"}, {"MALLOC_TRIM_THRESHOLD_", "131072"},                           \
	{                                                                                          \
		"MALLOC_MMAP_THRESHOLD_", "131072"                                                 \
	}
#define NO_PYMALLOC                                                                                \
	{                                                                                          \
		"PYTHONMALLOC", "malloc"                                                           \
	}

static const struct {
	const char *name, *what;
	struct lt_variable variables[LT_ALLOCATOR_VARIABLES];
	int library;
} settings[LT_ALLOCATOR_SETTINGS] = {
	{"as-is", "the environment as it is", {{NULL, NULL}}, LIBRARY_NONE},
	{"tuned", "glibc, two arenas, fixed thresholds", {TUNED}, LIBRARY_NONE},
	{"jemalloc", "jemalloc below Python's allocator", {{NULL, NULL}}, LIBRARY_JEMALLOC},
	{"mimalloc", "mimalloc below Python's allocator", {{NULL, NULL}}, LIBRARY_MIMALLOC},
	{"malloc", "no allocator of Python's own", {NO_PYMALLOC}, LIBRARY_NONE},
	{"malloc+tuned", "glibc for all, tuned", {NO_PYMALLOC, TUNED}, LIBRARY_NONE},
	{"malloc+jemalloc", "jemalloc for all", {NO_PYMALLOC}, LIBRARY_JEMALLOC},
	{"malloc+mimalloc", "mimalloc for all", {NO_PYMALLOC}, LIBRARY_MIMALLOC},
};

const char *lt_allocator_state_name(enum lt_allocator_state state)
{
	static const char *const names[] = {
		[LT_ALLOCATOR_TRIED] = "tried",           [LT_ALLOCATOR_SKIPPED] = "skipped",
		[LT_ALLOCATOR_MISSING] = "missing",       [LT_ALLOCATOR_FAILED] = "failed",
		[LT_ALLOCATOR_NOT_LOADED] = "not-loaded", [LT_ALLOCATOR_SLOW] = "slow",
	};
	return names[state];
}

/* Everything but the first is skipped unless it is named. */
static enum lt_status choose(struct lt_session *session, const char *only,
			     struct lt_allocators *allocators)
{
	if (only == NULL)
		return LT_OK;
	for (size_t i = 1; i < LT_ALLOCATOR_SETTINGS; i++)
		allocators->results[i].state = LT_ALLOCATOR_SKIPPED;
	LT_FREE char *names = strdup(only);
	if (names == NULL)
		return lt_fail_memory(session);
	char *rest = names;
	for (char *name; (name = strsep(&rest, ",")) != NULL;) {
		size_t i = 0;
		while (i < LT_ALLOCATOR_SETTINGS && strcmp(settings[i].name, name) != 0)
			i++;
		if (i == LT_ALLOCATOR_SETTINGS) {
			lt_remedy(session, "There are as-is, tuned, jemalloc, mimalloc, malloc, "
					   "malloc+tuned, malloc+jemalloc and malloc+mimalloc.");
			return lt_fail(session, LT_E_USAGE,
				       "'%.100s' is no setting that --only takes", name);
		}
		allocators->results[i].state = LT_ALLOCATOR_TRIED;
	}
	return LT_OK;
}

/* What makes it give free pages back, as the library calls it; a variable that is set already stays. */
static void add_setting(int library, struct lt_allocator_result *result)
{
	size_t size = 0;
	LT_FREE char *bytes = lt_proc_slurp(result->library, LIBRARY_BYTES, &size);
	struct lt_variable variable = {LT_JE_VARIABLE, LT_JE_SETTING};
	if (library == LIBRARY_MIMALLOC)
		variable = (struct lt_variable){
			bytes != NULL && memmem(bytes, size, LT_MI_PURGE_OPTION,
						strlen(LT_MI_PURGE_OPTION)) != NULL
				? LT_MI_PURGE_VARIABLE
				: LT_MI_DECOMMIT_VARIABLE,
			"0"};
	if (getenv(variable.name) == NULL)
		result->variables[result->variable_count++] = variable;
}

static enum lt_status prepare_library(struct lt_session *session, int library,
				      struct lt_allocator_result *result)
{
	result->package = libraries[library].package;
	LT_FREE char *found = lt_library_find(libraries[library].start);
	/* Mappings have the path without links. */
	result->library = found != NULL ? realpath(found, NULL) : NULL;
	if (result->library == NULL) {
		if (result->state == LT_ALLOCATOR_TRIED)
			result->state = LT_ALLOCATOR_MISSING;
		return LT_OK;
	}
	const char *before = getenv("LD_PRELOAD");
	bool more = before != NULL && before[0] != '\0';
	if (asprintf(&result->preload, "%s%s%s", found, more ? ":" : "", more ? before : "") < 0) {
		result->preload = NULL;
		return lt_fail_memory(session);
	}
	result->variables[result->variable_count++] =
		(struct lt_variable){"LD_PRELOAD", result->preload};
	add_setting(library, result);
	return LT_OK;
}

static enum lt_status prepare(struct lt_session *session,
			      const struct lt_allocators_options *options,
			      struct lt_allocators *allocators)
{
	LT_TRY(choose(session, options->only, allocators));
	for (size_t i = 0; i < LT_ALLOCATOR_SETTINGS; i++) {
		struct lt_allocator_result *result = &allocators->results[i];
		result->name = settings[i].name;
		result->what = settings[i].what;
		while (result->variable_count < LT_ALLOCATOR_VARIABLES &&
		       settings[i].variables[result->variable_count].name != NULL) {
			result->variables[result->variable_count] =
				settings[i].variables[result->variable_count];
			result->variable_count++;
		}
		if (settings[i].library != LIBRARY_NONE)
			LT_TRY(prepare_library(session, settings[i].library, result));
	}
	return LT_OK;
}

static enum lt_status run_once(struct lt_session *session,
			       const struct lt_allocators_options *options,
			       struct lt_allocator_result *result, bool *ret_stopped)
{
	const struct lt_trial_options trial_options = {
		.command = options->command,
		.variables = result->variables,
		.variable_count = result->variable_count,
		.library = result->library,
		.seconds = options->seconds,
		.silent = options->silent,
		.stop = options->stop,
	};
	struct lt_trial trial;
	LT_TRY(lt_trial_run(session, &trial_options, &trial));
	if (trial.exec_errno != 0) {
		lt_remedy(session, "Give a program with its arguments after --; a line for the "
				   "shell goes as: -- sh -c 'LINE'.");
		return lt_fail_errno(session, LT_E_FILE, trial.exec_errno,
				     "'%.200s' cannot be started", options->command[0]);
	}
	*ret_stopped = trial.stopped;
	if (!trial.stopped)
		result->runs[result->run_count++] = trial;
	return LT_OK;
}

static enum lt_status run_all(struct lt_session *session,
			      const struct lt_allocators_options *options,
			      struct lt_allocators *allocators)
{
	size_t done = 0;
	for (unsigned run = 0; run < options->runs; run++) {
		for (size_t i = 0; i < LT_ALLOCATOR_SETTINGS; i++, done++) {
			struct lt_allocator_result *result = &allocators->results[i];
			if (result->state != LT_ALLOCATOR_TRIED)
				continue;
			lt_progress(session, result->name, done,
				    (uint64_t)options->runs * LT_ALLOCATOR_SETTINGS);
			LT_TRY(run_once(session, options, result, &allocators->stopped));
			if (allocators->stopped)
				return LT_OK;
		}
	}
	return LT_OK;
}

static int compare_numbers(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
	return (left > right) - (left < right);
}

/* The middle one of a number of each run, `offset` bytes into it; of two the lower. */
static uint64_t median(const struct lt_allocator_result *result, size_t offset)
{
	uint64_t numbers[LT_ALLOCATOR_RUNS_MOST] = {0};
	for (size_t i = 0; i < result->run_count; i++)
		memcpy(&numbers[i], (const char *)&result->runs[i] + offset, sizeof(*numbers));
	qsort(numbers, result->run_count, sizeof(*numbers), compare_numbers);
	return numbers[(result->run_count - 1) / 2];
}

static bool ended_alike(const struct lt_trial *a, const struct lt_trial *b)
{
	if (a->timed_out || b->timed_out)
		return a->timed_out && b->timed_out;
	return a->exit_code == b->exit_code && a->signal == b->signal;
}

/* A service that time ends as it is, and that ends well by itself here, has not failed. */
static bool ended_well(const struct lt_trial *trial, const struct lt_allocator_result *base)
{
	for (size_t i = 0; i < base->run_count; i++)
		if (ended_alike(trial, &base->runs[i]))
			return true;
	return !trial->timed_out && trial->exit_code == 0;
}

static void judge(struct lt_allocator_result *result, const struct lt_allocator_result *base)
{
	const struct lt_trial *decides = &result->runs[0];
	bool loaded = result->library == NULL;
	for (size_t i = result->run_count; i-- > 0;) {
		const struct lt_trial *run = &result->runs[i];
		loaded |= run->loaded;
		if (!ended_well(run, base)) {
			decides = run;
			result->state = run->timed_out ? LT_ALLOCATOR_SLOW : LT_ALLOCATOR_FAILED;
		}
	}
	if (result->state == LT_ALLOCATOR_TRIED && !loaded)
		result->state = LT_ALLOCATOR_NOT_LOADED;
	result->figures = *decides;
	result->figures.peak_bytes = median(result, offsetof(struct lt_trial, peak_bytes));
	result->figures.final_bytes = median(result, offsetof(struct lt_trial, final_bytes));
	result->figures.elapsed_ns = median(result, offsetof(struct lt_trial, elapsed_ns));
	const struct lt_trial *before = &base->figures, *after = &result->figures;
	if (before->peak_bytes > 0)
		result->peak_gain = 1 - (double)after->peak_bytes / (double)before->peak_bytes;
	if (before->final_bytes > 0)
		result->final_gain = 1 - (double)after->final_bytes / (double)before->final_bytes;
	if (before->elapsed_ns > 0 && !before->timed_out && !after->timed_out)
		result->time_ratio = (double)after->elapsed_ns / (double)before->elapsed_ns;
}

static bool is_gain(double share, uint64_t before, uint64_t after)
{
	return share >= LT_ALLOCATOR_GAIN && before >= after + GAIN_BYTES;
}

static double score(const struct lt_allocator_result *result)
{
	return (result->peak_gain + result->final_gain) / 2;
}

static bool is_worth_it(const struct lt_allocator_result *result,
			const struct lt_allocator_result *base)
{
	const struct lt_trial *before = &base->figures, *after = &result->figures;
	return result->state == LT_ALLOCATOR_TRIED &&
	       (is_gain(result->peak_gain, before->peak_bytes, after->peak_bytes) ||
		is_gain(result->final_gain, before->final_bytes, after->final_bytes)) &&
	       score(result) >= BALANCE && result->time_ratio <= TIME_RATIO_MOST;
}

static void advise(struct lt_allocators *allocators)
{
	const struct lt_allocator_result *base = &allocators->results[0], *best = NULL;
	const struct lt_trial *first = &base->figures;
	if (!first->timed_out && first->exit_code != 0) {
		allocators->reason = "the command fails as it is";
		return;
	}
	for (size_t i = 1; i < LT_ALLOCATOR_SETTINGS; i++) {
		const struct lt_allocator_result *result = &allocators->results[i];
		if (is_worth_it(result, base) &&
		    (best == NULL || score(result) > score(best) + NEARLY))
			best = result;
	}
	allocators->advice = best;
	if (best == NULL)
		allocators->reason = "no setting lowers peak or final RSS by 10 % or more "
				     "without a loss elsewhere";
}

enum lt_status lt_allocators_try(struct lt_session *session,
				 const struct lt_allocators_options *options,
				 struct lt_allocators *ret_allocators)
{
	struct lt_allocators *allocators = ret_allocators;
	*allocators = (struct lt_allocators){
		.command = options->command, .runs = options->runs, .seconds = options->seconds};
	LT_TRY(prepare(session, options, allocators));
	LT_TRY(run_all(session, options, allocators));
	if (allocators->stopped)
		return LT_OK;
	for (size_t i = 0; i < LT_ALLOCATOR_SETTINGS; i++)
		if (allocators->results[i].run_count > 0)
			judge(&allocators->results[i], &allocators->results[0]);
	advise(allocators);
	return LT_OK;
}

void lt_allocators_deinit(struct lt_allocators *allocators)
{
	for (size_t i = 0; i < LT_ALLOCATOR_SETTINGS; i++) {
		free(allocators->results[i].library);
		free(allocators->results[i].preload);
	}
	*allocators = (struct lt_allocators){0};
}
