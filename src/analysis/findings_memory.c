/* What is wrong with resident memory: free and kept, no Python object's, near a limit, swapped, watched by debug hooks. */
#include "analysis/findings.h"

#include "analysis/memory_state.h"

#include <string.h>

enum {
	FREE_LEAST = 16 << 20,  /* free memory worth a word */
	FREE_GREAT = 128 << 20, /* worth more than a word */
	OTHER_LEAST = 64 << 20, /* memory of no Python object that is worth a word */
	TRIM_LEAST = 1 << 20,   /* worth a call */
	SWAP_LEAST = 16 << 20,
	HUGE_LEAST = 32 << 20,
	ARENAS_LEAST = 4,
	GROWTH_LEAST = 4 << 20,
	GROWTH_GREAT = 16 << 20,
	SAMPLES_LEAST = 32,
};

/* Of resident memory. */
static const double FREE_SHARE = 0.1, FREE_SHARE_GREAT = 0.4;
static const double PYTHON_SHARE = 0.5; /* from here on live Python objects explain it */
static const double SWAP_SHARE = 0.05, SWAP_SHARE_GREAT = 0.25;
static const double HUGE_EMPTY_SHARE = 0.4; /* of huge pages */
static const double HEADROOM_SEVERE = 0.03; /* of a limit */

/* Growth is of C code when it is more than this share of all. */
static const double GROWTH_SHARE = 0.4;
/* What allocators need beside what the objects have. */
static const double OVERHEAD = 1.2;

static double share(uint64_t part, uint64_t whole)
{
	return whole > 0 ? (double)part / (double)whole : 0;
}

static bool is_much(uint64_t bytes, uint64_t whole)
{
	return bytes >= FREE_LEAST && share(bytes, whole) >= FREE_SHARE;
}

static enum lt_severity grade(uint64_t bytes, uint64_t whole)
{
	return bytes >= FREE_GREAT && share(bytes, whole) >= FREE_SHARE_GREAT ? LT_HIGH : LT_MEDIUM;
}

static void add_rss(struct lt_findings *findings, struct lt_finding *finding,
		    const struct lt_memory_state *state, uint64_t bytes)
{
	lt_finding_int(findings, finding, "rss_bytes", state->rss.rss_bytes);
	lt_finding_real(findings, finding, "rss_share", share(bytes, state->rss.rss_bytes));
}

/* ---- Free memory that stays ---- */

static const struct lt_rss_pin *find_pin(const struct lt_memory_state *state, const char *layer)
{
	for (size_t i = 0; i < state->rss.pins.count; i++) {
		if (strcmp(state->rss.pins.data[i].layer, layer) == 0)
			return &state->rss.pins.data[i];
	}
	return NULL;
}

/* Who survives: evidence and expression, of the ones that hold most. */
static void add_pin(struct lt_findings *findings, struct lt_finding *finding,
		    const struct lt_rss_pin *pin)
{
	if (finding == NULL || pin == NULL)
		return;
	lt_finding_string(findings, finding, "survivor_type", pin->type);
	lt_finding_int(findings, finding, "survivors", pin->count);
	lt_finding_int(findings, finding, "kept_by_them_bytes", pin->holds_bytes);
	if (*pin->expression == '\0')
		lt_finding_string(findings, finding, "survivor", pin->note);
	finding->expression = lt_finding_format(findings, "%s", pin->expression);
	finding->where = lt_finding_format(findings, "%s", pin->where);
}

/* Who survives, for the sentence on what to change. */
static const char *survivor(struct lt_findings *findings, const struct lt_rss_pin *pin)
{
	if (pin == NULL)
		return "the survivors";
	return *pin->expression == '\0'
		       ? pin->type
		       : lt_finding_format(findings, "%s, such as %s", pin->type, pin->expression);
}

static bool pinned(struct lt_findings *findings, const struct lt_memory_state *state)
{
	uint64_t bytes = state->pinned_free_bytes;
	if (!is_much(bytes, state->rss.rss_bytes))
		return false;
	struct lt_finding *finding = lt_finding_begin(
		findings, "arenas-pinned", grade(bytes, state->rss.rss_bytes), (double)bytes);
	if (finding == NULL)
		return true;
	const struct lt_rss_pin *pin = find_pin(state, "pymalloc arena");
	lt_finding_int(findings, finding, "pinned_arenas", state->pinned_arenas);
	lt_finding_int(findings, finding, "arenas", state->arenas);
	lt_finding_int(findings, finding, "free_bytes", bytes);
	lt_finding_int(findings, finding, "used_bytes", state->pinned_used_bytes);
	add_rss(findings, finding, state, bytes);
	add_pin(findings, finding, pin);
	finding->title = lt_finding_format(
		findings, "Survivors of type %s keep %s of free memory of Python's allocator",
		pin != NULL ? pin->type : "object", lt_findings_bytes(findings, bytes));
	finding->explanation = lt_finding_format(
		findings,
		"%s of %s arenas are less than a quarter full: %s in use keep %s that are free. An "
		"arena goes back to the system when its last block is free; neither malloc_trim "
		"nor "
		"another malloc changes that. `lowtide rss %d` lists who survives.",
		lt_findings_count(findings, state->pinned_arenas),
		lt_findings_count(findings, state->arenas),
		lt_findings_bytes(findings, state->pinned_used_bytes),
		lt_findings_bytes(findings, bytes), (int)state->pid);
	finding->fix = lt_finding_format(
		findings,
		"Do the big step in a process that ends (multiprocessing.Pool(maxtasksperchild=1), "
		"subprocess), or in chunks, so that less is alive at once. Else make what survives "
		"(%s) before the big step, or copy it afterwards and drop the original. To see "
		"what "
		"PYTHONMALLOC=malloc under jemalloc or mimalloc would hold: `lowtide "
		"try-allocators "
		"-- COMMAND`.",
		survivor(findings, pin));
	return true;
}

static bool too_many_arenas(struct lt_findings *findings, const struct lt_memory_state *state)
{
	uint64_t bytes = state->thread_arenas_free_bytes;
	if (state->thread_arenas < ARENAS_LEAST || !is_much(bytes, state->rss.rss_bytes))
		return false;
	struct lt_finding *finding = lt_finding_begin(
		findings, "malloc-arenas", grade(bytes, state->rss.rss_bytes), (double)bytes);
	if (finding == NULL)
		return true;
	lt_finding_int(findings, finding, "thread_arenas", state->thread_arenas);
	lt_finding_int(findings, finding, "threads", state->threads);
	lt_finding_int(findings, finding, "free_bytes", bytes);
	add_rss(findings, finding, state, bytes);
	if (state->arena_max > 0)
		lt_finding_int(findings, finding, "arena_max", state->arena_max);
	lt_finding_int(findings, finding, "trim_gain_bytes", state->rss.trim_gain_bytes);
	add_pin(findings, finding, find_pin(state, "malloc heap"));
	finding->title =
		lt_finding_format(findings, "%s malloc arenas of threads keep %s of free memory",
				  lt_findings_count(findings, state->thread_arenas),
				  lt_findings_bytes(findings, bytes));
	finding->explanation = lt_finding_format(
		findings,
		"malloc gives threads arenas of their own, eight for each "
		"processor at most. What is "
		"free in one serves no thread of another, and does not go back "
		"by itself. There are "
		"%s beside the main one, for %s thread%s now; of what is free in "
		"them and in the main "
		"one, malloc_trim(0) would give back %s.",
		lt_findings_count(findings, state->thread_arenas),
		lt_findings_count(findings, state->threads), state->threads == 1 ? "" : "s",
		lt_findings_bytes(findings, state->rss.trim_gain_bytes));
	finding->fix = lt_finding_format(
		findings,
		"Start the service with MALLOC_ARENA_MAX=%s in its environment: Python holds the "
		"GIL "
		"for most allocations, so that few arenas cost it little. Until then `lowtide trim "
		"%d` gives back what is free now. `lowtide try-allocators -- COMMAND` compares "
		"with "
		"jemalloc and mimalloc.",
		state->arena_max == 2 ? "1" : "2", (int)state->pid);
	return true;
}

static bool would_trim(struct lt_findings *findings, const struct lt_memory_state *state,
		       bool arenas)
{
	uint64_t bytes = state->rss.trim_gain_bytes;
	if (!is_much(bytes, state->rss.rss_bytes))
		return false;
	/* With too many arenas it is the same memory, said with its cause. */
	enum lt_severity severity =
		grade(bytes, state->rss.rss_bytes) == LT_HIGH ? LT_MEDIUM : LT_LOW;
	struct lt_finding *finding = lt_finding_begin(findings, "trim-would-return",
						      arenas ? LT_INFO : severity, (double)bytes);
	if (finding == NULL)
		return true;
	lt_finding_int(findings, finding, "trim_gain_bytes", bytes);
	lt_finding_int(findings, finding, "malloc_free_bytes", state->malloc_free_bytes);
	lt_finding_int(findings, finding, "malloc_used_bytes", state->malloc_used_bytes);
	add_rss(findings, finding, state, bytes);
	add_pin(findings, finding, find_pin(state, "malloc heap"));
	finding->title = lt_finding_format(findings, "malloc_trim would return %s at once",
					   lt_findings_bytes(findings, bytes));
	finding->explanation = lt_finding_format(
		findings,
		"%s are free in malloc, between memory in use and at the ends of its heaps. malloc "
		"reuses them, but gives back by itself only what is free at the end of the main "
		"heap.",
		lt_findings_bytes(findings, state->malloc_free_bytes));
	finding->fix = lt_finding_format(
		findings,
		"Now: `lowtide trim %d`. From the service itself: ctypes.CDLL(None).malloc_trim(0) "
		"after each big job. For good: MALLOC_TRIM_THRESHOLD_=131072 and "
		"MALLOC_MMAP_THRESHOLD_=131072 in the environment, so that both stay as they are "
		"and "
		"big blocks go back when they are freed; read files in chunks or with mmap.",
		(int)state->pid);
	return true;
}

/* ---- What is no Python object ---- */

struct cause {
	const char *name; /* as evidence */
	uint64_t bytes;
	const char *words; /* "is <words>" */
	const char *fix;
};

/* How free memory of the C allocator goes back. */
static const char *give_back(struct lt_findings *findings, const struct lt_memory_state *state)
{
	const struct lt_foreign *foreign = &state->rss.foreign;
	if (foreign->name == NULL)
		return lt_finding_format(findings,
					 "Give it back with `lowtide trim %d`, or set "
					 "MALLOC_TRIM_THRESHOLD_=131072 in the environment.",
					 (int)state->pid);
	if (strcmp(foreign->name, "jemalloc") == 0)
		return lt_finding_format(
			findings,
			"Give it back with `lowtide trim %d`, or set %s in the environment: "
			"without a "
			"thread of its own %s gives pages back only while it is used.",
			(int)state->pid, foreign->setting, foreign->name);
	return lt_finding_format(
		findings,
		"Set %s in the environment: %s%s gives pages back only while the thread that freed "
		"them goes on to use it. malloc_trim does not reach it.",
		foreign->setting, foreign->beside ? "CPython's " : "", foreign->name);
}

/* Where the resident memory is that is no live Python object: the largest part first in words. */
static void above_python(struct lt_findings *findings, const struct lt_memory_state *state,
			 bool told)
{
	uint64_t rss = state->rss.rss_bytes, python = state->object_bytes;
	uint64_t free_bytes = state->pymalloc_free_bytes + state->malloc_free_bytes;
	uint64_t known = python + free_bytes + state->stack_bytes;
	uint64_t native = state->anonymous_bytes > known ? state->anonymous_bytes - known : 0;
	if (rss < python + OTHER_LEAST || share(python, rss) >= PYTHON_SHARE)
		return;
	const struct cause causes[] = {
		{"free_in_python_bytes", state->pymalloc_free_bytes,
		 "free in Python's allocator, which keeps it for small objects",
		 "Do what needs so much for a short time in a process that ends, or in chunks."},
		{"free_in_malloc_bytes", state->malloc_free_bytes,
		 "free in malloc, which keeps it for later", give_back(findings, state)},
		{"native_bytes", native,
		 "memory of C code: extensions, libraries, buffers that no object has the size of, "
		 "and what another allocator than glibc's has free",
		 lt_finding_format(findings,
				   "`lowtide rss %d` tells it apart by mapping and allocator; "
				   "`lowtide doctor -d 60 %d` tells whether it grows.",
				   (int)state->pid, (int)state->pid)},
		{"stack_bytes", state->stack_bytes, "stacks of threads",
		 "Fewer threads, or threading.stack_size() before they start."},
		{"file_bytes", state->file_bytes, "mapped files and shared memory",
		 "Pages of files go when the system needs memory; nothing is to be done unless it "
		 "is "
		 "shared memory that is no longer needed (/dev/shm)."},
	};
	const struct cause *most = &causes[0];
	for (size_t i = 1; i < sizeof(causes) / sizeof(causes[0]); i++) {
		if (causes[i].bytes > most->bytes)
			most = &causes[i];
	}
	bool is_free = most == &causes[0] || most == &causes[1];
	bool is_file = most == &causes[4];
	/* What another finding tells the cause of, and what costs nothing, is said for information. */
	enum lt_severity severity = is_file || (told && is_free) ? LT_INFO : LT_LOW;
	struct lt_finding *finding =
		lt_finding_begin(findings, "rss-above-python", severity, (double)(rss - python));
	if (finding == NULL)
		return;
	lt_finding_int(findings, finding, "rss_bytes", rss);
	lt_finding_int(findings, finding, "python_bytes", python);
	lt_finding_real(findings, finding, "python_share", share(python, rss));
	for (size_t i = 0; i < sizeof(causes) / sizeof(causes[0]); i++)
		lt_finding_int(findings, finding, causes[i].name, causes[i].bytes);
	if (state->rss.allocator != NULL)
		lt_finding_string(findings, finding, "c_allocator", state->rss.allocator);
	finding->title = lt_finding_format(findings, "RSS is %s, live Python objects are %s of it",
					   lt_findings_bytes(findings, rss),
					   lt_findings_bytes(findings, python));
	finding->explanation =
		lt_finding_format(findings, "The largest other part, %s, is %s.",
				  lt_findings_bytes(findings, most->bytes), most->words);
	finding->fix = most->fix;
}

/* Memory in use that grew since and is no object's. */
static void native_growth(struct lt_findings *findings, const struct lt_memory_state *state,
			  const struct lt_memory_before *before)
{
	double used = (double)lt_memory_used(state) - (double)before->used_bytes;
	uint64_t objects = state->object_bytes + state->garbage_bytes;
	double python = (double)objects - (double)before->object_bytes;
	double native = used - (python > 0 ? python * OVERHEAD : python);
	double seconds = (double)(lt_now_ns() - before->taken_ns) / 1e9;
	if (native < GROWTH_LEAST || native < GROWTH_SHARE * used || seconds <= 0)
		return;
	enum lt_severity severity = LT_LOW;
	if (native >= GROWTH_GREAT && native >= 0.02 * (double)state->rss.rss_bytes)
		severity = LT_MEDIUM;
	struct lt_finding *finding = lt_finding_begin(findings, "native-growth", severity, native);
	if (finding == NULL)
		return;
	lt_finding_int(findings, finding, "native_growth_bytes", (uint64_t)native);
	lt_finding_int(findings, finding, "used_growth_bytes", (uint64_t)used);
	lt_finding_int(findings, finding, "python_growth_bytes", python > 0 ? (uint64_t)python : 0);
	lt_finding_real(findings, finding, "seconds", seconds);
	lt_finding_int(findings, finding, "growth_per_hour_bytes",
		       (uint64_t)(native / seconds * 3600));
	lt_finding_int(findings, finding, "rss_bytes", state->rss.rss_bytes);
	lt_finding_int(findings, finding, "rss_before_bytes", before->rss_bytes);
	if (state->rss.allocator != NULL)
		lt_finding_string(findings, finding, "c_allocator", state->rss.allocator);
	finding->title = lt_finding_format(
		findings, "Memory of C code grew by %s that no Python object explains",
		lt_findings_bytes(findings, (uint64_t)native));
	finding->explanation = lt_finding_format(
		findings,
		"In %.0f seconds memory in use grew by %s (free memory of the allocators and "
		"stacks "
		"left out), Python objects with what they own by %s. These are two looks: a burst "
		"looks like a leak here. At this rate it is %s an hour.",
		seconds, lt_findings_bytes(findings, (uint64_t)used),
		lt_findings_bytes(findings, python > 0 ? (uint64_t)python : 0),
		lt_findings_bytes(findings, (uint64_t)(native / seconds * 3600)));
	finding->fix = lt_finding_format(
		findings,
		"`lowtide leaks -d 60 %d` tells whether it is steady and in which part of memory. "
		"Then "
		"see what the C extensions are called for (heaptrack, bcc memleak), and free or "
		"close "
		"what ctypes or a library handed out; until then restart the worker after a number "
		"of "
		"requests (gunicorn --max-requests, celery worker_max_tasks_per_child).",
		(int)state->pid);
}

static void huge_pages(struct lt_findings *findings, const struct lt_memory_state *state)
{
	double empty = share(state->huge_empty, state->huge_sampled);
	uint64_t bytes = (uint64_t)(empty * (double)state->rss.huge_bytes);
	if (state->huge_sampled < SAMPLES_LEAST || empty < HUGE_EMPTY_SHARE || bytes < HUGE_LEAST ||
	    share(bytes, state->rss.rss_bytes) < FREE_SHARE)
		return;
	struct lt_finding *finding = lt_finding_begin(
		findings, "huge-pages-empty",
		grade(bytes, state->rss.rss_bytes) == LT_HIGH ? LT_MEDIUM : LT_LOW, (double)bytes);
	if (finding == NULL)
		return;
	lt_finding_int(findings, finding, "huge_bytes", state->rss.huge_bytes);
	lt_finding_int(findings, finding, "empty_bytes", bytes);
	lt_finding_real(findings, finding, "empty_share", empty);
	lt_finding_int(findings, finding, "pages_looked_at", state->huge_sampled);
	add_rss(findings, finding, state, bytes);
	finding->title = lt_finding_format(
		findings,
		"Transparent huge pages keep about %s resident that nothing was written to",
		lt_findings_bytes(findings, bytes));
	finding->explanation = lt_finding_format(
		findings,
		"%s are in huge pages of 2 MiB each, which are resident as a whole as soon as one "
		"byte "
		"of them is written. Of a sample of %s pages in them %.0f %% have zeros only.",
		lt_findings_bytes(findings, state->rss.huge_bytes),
		lt_findings_count(findings, state->huge_sampled), empty * 100);
	finding->fix =
		"Let only those have huge pages that ask for them: echo madvise > "
		"/sys/kernel/mm/transparent_hugepage/enabled; for one service "
		"prctl(PR_SET_THP_DISABLE, 1) "
		"before it starts. NumPy asks for them itself: NUMPY_MADVISE_HUGEPAGE=0. CPython "
		"from 3.15 on asks for them for its arenas: there only the prctl() helps.";
}

static void swapped(struct lt_findings *findings, const struct lt_memory_state *state)
{
	uint64_t bytes = state->rss.swap_bytes, all = state->rss.rss_bytes + bytes;
	double part = share(bytes, all);
	if (bytes < SWAP_LEAST || part < SWAP_SHARE)
		return;
	struct lt_finding *finding =
		lt_finding_begin(findings, "swapped-out",
				 part >= SWAP_SHARE_GREAT ? LT_MEDIUM : LT_LOW, (double)bytes);
	if (finding == NULL)
		return;
	lt_finding_int(findings, finding, "swap_bytes", bytes);
	lt_finding_int(findings, finding, "rss_bytes", state->rss.rss_bytes);
	lt_finding_real(findings, finding, "swap_share", part);
	if (state->group.limited && state->group.swaps) {
		lt_finding_int(findings, finding, "group_swap_bytes", state->group.swap);
		if (state->group.swap_limit != UINT64_MAX)
			lt_finding_int(findings, finding, "group_swap_limit_bytes",
				       state->group.swap_limit);
	}
	finding->title = lt_finding_format(findings, "%s of this process are swapped out (%.0f %%)",
					   lt_findings_bytes(findings, bytes), part * 100);
	finding->explanation =
		"A full collection reads and writes the header of every tracked object: pages that "
		"are swapped out come back for it, and the process stands still meanwhile.";
	finding->fix =
		"Run fewer workers, or give them less to hold (the other findings say what). After "
		"start-up gc.freeze() keeps the collector away from what stays. A service that "
		"must "
		"not wait: memory.swap.max=0 for its control group.";
}

/* ---- Limits ---- */

static const char *limit_fix(struct lt_findings *findings, const struct lt_memory_limit *limit,
			     const struct lt_memory_state *state)
{
	if (strcmp(limit->cause, "RLIMIT_AS") == 0 || strcmp(limit->cause, "RLIMIT_DATA") == 0)
		return lt_finding_format(findings,
					 "Raise it (ulimit -%s, LimitAS= or LimitDATA= of the "
					 "unit): it counts addresses, "
					 "not resident memory. Threads (8 MiB each) and malloc "
					 "arenas (64 MiB each) use "
					 "many: MALLOC_ARENA_MAX=2, threading.stack_size().",
					 strcmp(limit->cause, "RLIMIT_AS") == 0 ? "v" : "d");
	if (limit->mappings)
		return "Raise vm.max_map_count (sysctl), or have fewer mappings: a bigger "
		       "MALLOC_MMAP_THRESHOLD_ for programs that hold many blocks from 128 KiB on.";
	if (strncmp(limit->cause, "vm.", 3) == 0)
		return "Add swap, raise vm.overcommit_ratio, or set vm.overcommit_memory=0: what "
		       "is "
		       "promised counts here, not what is used. A fork promises the whole of a big "
		       "process once more: use spawn or forkserver.";
	const char *trim = "";
	if (state->rss.trim_gain_bytes >= TRIM_LEAST)
		trim = lt_finding_format(findings, "`lowtide trim %d` gives back %s, ",
					 (int)state->pid,
					 lt_findings_bytes(findings, state->rss.trim_gain_bytes));
	return lt_finding_format(
		findings,
		"Raise the limit, or need less: %sthe other findings and the biggest containers "
		"say what is held. Work in chunks or with mmap, and run fewer workers: the group's "
		"memory divided by the RSS of one that has worked.",
		trim);
}

static void near_limit(struct lt_findings *findings, const struct lt_memory_state *state,
		       const struct lt_memory_limit *limit)
{
	bool group = strcmp(limit->name, "control group") == 0;
	bool kills = group && !state->group.throttles;
	bool severe = share(limit->headroom, limit->limit) < HEADROOM_SEVERE;
	bool machine = strncmp(limit->cause, "vm.overcommit", 13) == 0;
	struct lt_finding *finding = lt_finding_begin(
		findings, "memory-limit-near",
		severe && !machine && (kills || !group) ? LT_HIGH : LT_MEDIUM, (double)limit->used);
	if (finding == NULL)
		return;
	lt_finding_string(findings, finding, "cause", limit->cause);
	lt_finding_int(findings, finding, limit->mappings ? "limit" : "limit_bytes", limit->limit);
	lt_finding_int(findings, finding, limit->mappings ? "used" : "used_bytes", limit->used);
	lt_finding_int(findings, finding, limit->mappings ? "headroom" : "headroom_bytes",
		       limit->headroom);
	lt_finding_int(findings, finding, "rss_bytes", state->rss.rss_bytes);
	if (group) {
		lt_finding_string(findings, finding, "group", state->group.group);
		lt_finding_int(findings, finding, "page_cache_bytes", state->group.reclaimable);
		if (state->group.swaps)
			lt_finding_int(findings, finding, "group_swap_bytes", state->group.swap);
		if (state->group.swaps && state->group.swap_limit != UINT64_MAX)
			lt_finding_int(findings, finding, "group_swap_limit_bytes",
				       state->group.swap_limit);
		if (state->group.counts_kills)
			lt_finding_int(findings, finding, "oom_kills", state->group.kills);
	}
	const char *left = limit->mappings ? lt_findings_count(findings, limit->headroom)
					   : lt_findings_bytes(findings, limit->headroom);
	const char *all = limit->mappings ? lt_findings_count(findings, limit->limit)
					  : lt_findings_bytes(findings, limit->limit);
	finding->title = lt_finding_format(findings, "%s: %s of %s %sare left", limit->cause, left,
					   all, limit->mappings ? "mappings " : "");
	finding->explanation = lt_finding_format(
		findings,
		"%s This is a limit of the %s, not fragmentation: however much is free between "
		"used "
		"memory, a request beyond it %s.",
		group && state->group.throttles ? "Behind memory.high the group is slowed down."
						: "",
		limit->name,
		kills ? "gets a process of the group killed"
		      : (group ? "waits for memory to be taken back" : "fails with MemoryError"));
	if (finding->explanation[0] == ' ')
		finding->explanation++;
	finding->fix = limit_fix(findings, limit, state);
}

static void group_kills(struct lt_findings *findings, const struct lt_memory_state *state)
{
	const struct lt_cgroup_memory *group = &state->group;
	if (!group->limited || !group->counts_kills || group->kills == 0)
		return;
	struct lt_finding *finding =
		lt_finding_begin(findings, "oom-kills", LT_LOW, (double)group->limit);
	if (finding == NULL)
		return;
	lt_finding_int(findings, finding, "oom_kills", group->kills);
	lt_finding_string(findings, finding, "group", group->group);
	lt_finding_int(findings, finding, "limit_bytes", group->limit);
	lt_finding_int(findings, finding, "used_bytes", group->usage - group->reclaimable);
	finding->title = lt_finding_format(
		findings, "The kernel killed %s processes of this control group for want of memory",
		lt_findings_count(findings, group->kills));
	finding->explanation = lt_finding_format(findings,
						 "Since the group was made. Its limit is %s; "
						 "workers that vanish without a traceback, "
						 "with status 137 or signal 9, are these.",
						 lt_findings_bytes(findings, group->limit));
	finding->fix = "Raise the limit, run fewer workers, or do the step that needs most in a "
		       "process of its own with a limit of its own (systemd-run -p MemoryMax=…).";
}

/* ---- What was left on ---- */

static void debug_hooks(struct lt_findings *findings, const struct lt_memory_state *state)
{
	const struct lt_memory_settings *settings = &state->settings;
	if (!settings->debug_hooks)
		return;
	struct lt_finding *finding = lt_finding_begin(findings, "debug-hooks", LT_MEDIUM,
						      (double)state->pymalloc_used_bytes);
	if (finding == NULL)
		return;
	lt_finding_int(findings, finding, "bytes_added_to_a_block", 32);
	lt_finding_int(findings, finding, "blocks_held_bytes", state->pymalloc_used_bytes);
	if (*settings->debug_cause != '\0')
		lt_finding_string(findings, finding, "cause", settings->debug_cause);
	finding->title = lt_finding_format(findings, "Python's debug hooks on memory are on%s%s",
					   *settings->debug_cause != '\0' ? ": " : "",
					   settings->debug_cause);
	finding->explanation =
		"Each block of memory has fences around it, 32 bytes more, and is filled when it "
		"is "
		"handed out and when it is freed: small objects take up to twice the memory, and "
		"every allocation is slower.";
	finding->fix = lt_finding_format(
		findings, "Start the service without %s.",
		*settings->debug_cause != '\0'
			? settings->debug_cause
			: "PYTHONMALLOC=debug, PYTHONDEVMODE and -X dev, and with a release build");
}

static void tracing(struct lt_findings *findings, const struct lt_memory_state *state)
{
	const struct lt_memory_settings *settings = &state->settings;
	if (!settings->tracing)
		return;
	struct lt_finding *finding = lt_finding_begin(findings, "tracemalloc-on", LT_MEDIUM,
						      (double)state->object_bytes);
	if (finding == NULL)
		return;
	if (settings->tracing_frames > 0)
		lt_finding_int(findings, finding, "frames", settings->tracing_frames);
	if (*settings->tracing_cause != '\0')
		lt_finding_string(findings, finding, "cause", settings->tracing_cause);
	lt_finding_int(findings, finding, "python_bytes", state->object_bytes);
	finding->expression = "tracemalloc.is_tracing()";
	finding->title = "tracemalloc is tracing every allocation";
	finding->explanation =
		"For each block that lives it keeps an entry, and its traceback, in memory of C "
		"code "
		"that no object has: often as much as the objects themselves. Every allocation is "
		"several times slower.";
	finding->fix =
		*settings->tracing_cause != '\0'
			? lt_finding_format(findings, "Start the service without %s.",
					    settings->tracing_cause)
			: "Call tracemalloc.stop() once the snapshot is taken, or start without -X "
			  "tracemalloc; `lowtide leaks` needs no tracing.";
}

static void malloc_debugging(struct lt_findings *findings, const struct lt_memory_state *state)
{
	const struct lt_memory_settings *settings = &state->settings;
	const char *const set[] = {settings->malloc_check, settings->malloc_perturb,
				   settings->malloc_stats};
	static const char *const costs[] = {
		"checks each block when it is freed (newer glibc only with libc_malloc_debug.so.0 "
		"preloaded)",
		"writes over each block when it is handed out and when it is freed, so that all of "
		"it "
		"becomes resident",
		"prints statistics to stderr whenever Python's allocator takes a new arena",
	};
	for (size_t i = 0; i < sizeof(set) / sizeof(set[0]); i++) {
		if (set[i] == NULL || *set[i] == '\0')
			continue;
		struct lt_finding *finding = lt_finding_begin(findings, "malloc-debugging", LT_LOW,
							      (double)state->malloc_used_bytes);
		if (finding == NULL)
			return;
		lt_finding_string(findings, finding, "cause", set[i]);
		if (i == 0)
			lt_finding_bool(findings, finding, "debug_library_loaded",
					settings->malloc_check_library);
		finding->title =
			lt_finding_format(findings, "%s is set in the environment", set[i]);
		finding->explanation = lt_finding_format(findings, "It %s.", costs[i]);
		finding->fix = lt_finding_format(findings, "Start the service without %s.", set[i]);
	}
}

enum lt_status lt_findings_memory(struct lt_findings *findings, const struct lt_memory_state *state,
				  const struct lt_memory_before *before)
{
	if (!state->known)
		return LT_OK;
	bool told = pinned(findings, state);
	bool arenas = too_many_arenas(findings, state);
	told |= would_trim(findings, state, arenas) || arenas;
	above_python(findings, state, told);
	if (before != NULL && before->taken_ns != 0)
		native_growth(findings, state, before);
	huge_pages(findings, state);
	swapped(findings, state);
	for (size_t i = 0; i < state->limit_count; i++) {
		if (state->limits[i].tight)
			near_limit(findings, state, &state->limits[i]);
	}
	group_kills(findings, state);
	debug_hooks(findings, state);
	tracing(findings, state);
	malloc_debugging(findings, state);
	return findings->failed ? lt_fail_memory(findings->session) : LT_OK;
}
