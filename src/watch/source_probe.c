/* The source probe: the collector and the functions of gc are probed by the kernel (target/probe.h). */
#include "base/cleanup.h"
#include "target/proc.h"
#include "watch/probe_parts.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum {
	STEP_NS = 10000000, /* how often the ring is emptied */
	LOOK_NS =
		250000000, /* how often the statistics are compared, and whether the process lives */
	WATCHED_MAX = 3,   /* interpreters with a debug register: one stays free */
};

/* The inode of the first PID namespace: include/linux/proc_ns.h, PROC_PID_INIT_INO. */
enum { FIRST_PID_NAMESPACE = (int)0xEFFFFFFC };

struct source {
	struct lt_watch_feed feed;
	struct lt_probe *probe;
	enum lt_probe_way way;
	struct lt_probe_events state;
	uint64_t next_look_ns;
	/* Ids of threads: as the record has them, or through /proc. */
	bool first_namespace; /* lowtide is in the machine's first one */
	bool same_namespace;  /* the process is in lowtide's */
	uint32_t last_thread;
	pid_t last_id;
	/* Of the running program: another one after exec(). */
	uint64_t code_start, stack_start;
	struct lt_watch_events *events; /* of the wait under way */
};

static void sleep_until(uint64_t at_ns)
{
	struct timespec at = {.tv_sec = (time_t)(at_ns / 1000000000),
			      .tv_nsec = (long)(at_ns % 1000000000)};
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR)
		continue;
}

/* The thread with this id in the innermost namespace, by lowtide's own /proc. 0: none. */
static pid_t look_up_thread(pid_t pid, uint32_t wanted)
{
	char path[96], text[4096], value[256];
	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	DIR *tasks = opendir(path);
	pid_t found = 0;
	if (tasks == NULL)
		return 0;
	for (struct dirent *entry; found == 0 && (entry = readdir(tasks)) != NULL;) {
		int id = atoi(entry->d_name);
		snprintf(path, sizeof(path), "/proc/%d/task/%d/status", (int)pid, id);
		if (id <= 0 || !lt_proc_read(path, text, sizeof(text)) ||
		    !lt_proc_field(text, "NSpid", value, sizeof(value)))
			continue;
		const char *last = strrchr(value, '\t');
		if (strtoul(last != NULL ? last : value, NULL, 10) == wanted)
			found = id;
	}
	closedir(tasks);
	return found;
}

static pid_t thread_id(void *ctx, const struct lt_probe_record *record)
{
	struct source *source = ctx;
	if (source->same_namespace)
		return (pid_t)record->namespace_thread;
	if (source->first_namespace)
		return (pid_t)record->thread;
	if (source->last_thread != record->namespace_thread || source->last_id == 0) {
		source->last_thread = record->namespace_thread;
		source->last_id =
			look_up_thread(source->feed.view->process->pid, record->namespace_thread);
	}
	return source->last_id;
}

static void find_namespaces(struct source *source)
{
	struct stat own, other;
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/ns/pid", (int)source->feed.view->process->pid);
	if (stat("/proc/self/ns/pid", &own) != 0 || stat(path, &other) != 0)
		return;
	source->same_namespace = own.st_ino == other.st_ino && own.st_dev == other.st_dev;
	source->first_namespace = own.st_ino == (ino_t)(uint32_t)FIRST_PID_NAMESPACE;
}

static bool read_program(pid_t pid, uint64_t *ret_code, uint64_t *ret_stack)
{
	enum { START_CODE = 26, START_STACK = 28 }; /* proc(5) */
	char path[64], text[1024];
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	return lt_proc_read(path, text, sizeof(text)) &&
	       lt_proc_stat_field(text, START_CODE, ret_code) &&
	       lt_proc_stat_field(text, START_STACK, ret_stack);
}

static enum lt_status check_alive(const struct source *source)
{
	const struct lt_process *process = source->feed.view->process;
	uint64_t code = 0, stack = 0;
	if (!lt_process_alive(process) || !read_program(process->pid, &code, &stack))
		return lt_fail(source->feed.view->session, LT_E_GONE,
			       "process %d ended while it was watched", (int)process->pid);
	if (code != source->code_start || stack != source->stack_start)
		return lt_fail(source->feed.view->session, LT_E_GONE,
			       "process %d runs another program since it was watched",
			       (int)process->pid);
	return LT_OK;
}

static void take(void *ctx, const struct lt_probe_record *record, size_t size)
{
	struct source *source = ctx;
	lt_probe_events_take(&source->state, record, size, source->events);
}

static void look(struct source *source)
{
	const struct lt_view *view = source->feed.view;
	LT_CLEANUP(lt_interpreters_deinit) struct lt_interpreters interpreters = {0};
	if (lt_interpreters_read(view, &interpreters) != LT_OK) {
		lt_session_clear(view->session);
		return;
	}
	for (size_t i = 0; i < interpreters.count; i++)
		lt_probe_events_look(&source->state, interpreters.data[i].address,
				     (uint64_t)interpreters.data[i].id, &interpreters.data[i].gc,
				     source->events);
}

static enum lt_status drain(struct source *source, struct lt_watch_events *events)
{
	source->events = events;
	lt_probe_drain(source->probe, take, source);
	return source->state.failed ? lt_fail_memory(source->feed.view->session) : LT_OK;
}

static enum lt_status probe_wait(struct lt_watch_feed *feed, uint64_t until_ns,
				 struct lt_watch_events *events)
{
	struct source *source = (struct source *)feed;
	size_t before = events->count;
	for (;;) {
		uint64_t now = lt_now_ns();
		enum lt_status alive = LT_OK;
		bool due = now >= source->next_look_ns;
		if (due)
			alive = check_alive(source);
		LT_TRY(drain(source, events));
		LT_TRY(alive);
		if (due) {
			look(source);
			source->next_look_ns = now + LOOK_NS;
		}
		if (events->count > before || now >= until_ns)
			return LT_OK;
		sleep_until(now + STEP_NS < until_ns ? now + STEP_NS : until_ns);
	}
}

static void probe_close(struct lt_watch_feed *feed)
{
	struct source *source = (struct source *)feed;
	lt_probe_close(source->probe);
	lt_probe_events_deinit(&source->state);
	free(source);
}

static enum lt_status attach(struct source *source, enum lt_probe_moment moment,
			     enum lt_watch_call call, enum lt_probe_kind kind, lt_addr address,
			     lt_addr semaphore, const struct lt_probe_plan *plan)
{
	const struct lt_probe_site site = {
		.id = lt_probe_site_id(moment, call),
		.kind = kind,
		.address = address,
		.semaphore = semaphore,
		.plan = plan,
	};
	return lt_probe_attach(source->probe, &site);
}

struct plans {
	struct lt_probe_plan state, stack;
};

static enum lt_status attach_usdt(struct source *source, const struct lt_probe_places *places,
				  const struct plans *plans)
{
	/* The ends first: a begin without an end would be taken for a collection that goes on. */
	for (size_t i = 0; i < places->end_count; i++)
		LT_TRY(attach(source, LT_MOMENT_END, LT_CALL_NONE, LT_PROBE_ENTRY, places->end[i],
			      places->end_semaphore, &plans->state));
	for (size_t i = 0; i < places->begin_count; i++)
		LT_TRY(attach(source, LT_MOMENT_BEGIN, LT_CALL_NONE, LT_PROBE_ENTRY,
			      places->begin[i], places->begin_semaphore, &plans->stack));
	return LT_OK;
}

static enum lt_status attach_symbol(struct source *source, const struct lt_probe_places *places,
				    const struct plans *plans)
{
	LT_TRY(attach(source, LT_MOMENT_END, LT_CALL_NONE, LT_PROBE_RETURN, places->collector, 0,
		      &plans->state));
	return attach(source, LT_MOMENT_BEGIN, LT_CALL_NONE, LT_PROBE_ENTRY, places->collector, 0,
		      &plans->stack);
}

static enum lt_status attach_write(struct source *source)
{
	const struct lt_view *view = source->feed.view;
	LT_CLEANUP(lt_interpreters_deinit) struct lt_interpreters interpreters = {0};
	LT_TRY(lt_interpreters_read(view, &interpreters));
	for (size_t i = 0; i < interpreters.count; i++) {
		lt_addr interpreter = interpreters.data[i].address;
		struct lt_probe_plan plan;
		if (i >= WATCHED_MAX) {
			lt_warn(view->session,
				"of %zu interpreters the first %d are watched by probes, the "
				"others "
				"only by their counters",
				interpreters.count, (int)WATCHED_MAX);
			break;
		}
		if (!lt_probe_plan_make(view, LT_PROBE_WATCHED, interpreter, &plan))
			return lt_fail(
				view->session, LT_E_READ,
				"the layout of %s does not say where the collector's state lies",
				view->layout->name);
		LT_TRY(attach(source, LT_MOMENT_WRITE, LT_CALL_NONE, LT_PROBE_WRITE,
			      interpreter + lt_off(view->layout, LT_PyInterpreterState_gc) +
				      lt_off(view->layout, LT__gc_runtime_state_collecting),
			      0, &plan));
	}
	return LT_OK;
}

static enum lt_status attach_calls(struct source *source, const struct lt_probe_places *places,
				   const struct plans *plans)
{
	bool all = true;
	for (int call = LT_CALL_NONE + 1; call < LT_CALL_COUNT; call++) {
		bool collects = call == LT_CALL_COLLECT || call == LT_CALL_C_COLLECT;
		if (places->calls[call] == 0) {
			all = all && !collects;
			continue;
		}
		LT_TRY(attach(source, LT_MOMENT_RETURN, (enum lt_watch_call)call, LT_PROBE_RETURN,
			      places->calls[call], 0, &plans->state));
		LT_TRY(attach(source, LT_MOMENT_CALL, (enum lt_watch_call)call, LT_PROBE_ENTRY,
			      places->calls[call], 0, collects ? &plans->state : &plans->stack));
	}
	source->state.calls_known = all;
	return LT_OK;
}

static enum lt_status attach_way(struct source *source, enum lt_probe_way way,
				 const struct lt_probe_places *places, const struct plans *plans)
{
	struct lt_session *session = source->feed.view->session;
	source->way = way;
	switch (way) {
	case LT_WAY_USDT:
		if (places->begin_count > 0 && places->end_count > 0)
			return attach_usdt(source, places, plans);
		return lt_fail(session, LT_E_READ, "the build has no USDT probes");
	case LT_WAY_SYMBOL:
		if (places->collector != 0)
			return attach_symbol(source, places, plans);
		return lt_fail(session, LT_E_READ, "the collector's function has no symbol");
	case LT_WAY_WRITE:
		return attach_write(source);
	case LT_WAYS:
		break;
	}
	return lt_fail(session, LT_E_INTERNAL, "there is no such way to probe");
}

/* A ring with the calls and one way to see collections. What was attached goes when it does not succeed. */
static enum lt_status open_way(struct source *source, enum lt_probe_way way,
			       const struct lt_probe_places *places, const struct plans *plans)
{
	const struct lt_view *view = source->feed.view;
	enum lt_status status = lt_probe_open(view->session, view->process, &source->probe);
	if (status == LT_OK)
		status = attach_way(source, way, places, plans);
	if (status == LT_OK)
		status = attach_calls(source, places, plans);
	if (status != LT_OK) {
		lt_probe_close(source->probe);
		source->probe = NULL;
	}
	return status;
}

static enum lt_status open_source(struct source *source, const bool *ways)
{
	const struct lt_view *view = source->feed.view;
	struct lt_probe_places places;
	struct plans plans;
	if (view->process == NULL)
		return lt_fail(view->session, LT_E_READ, "only a live process can be probed");
	if (!lt_probe_plan_make(view, LT_PROBE_STATE, 0, &plans.state) ||
	    !lt_probe_plan_make(view, LT_PROBE_STATE_AND_STACK, 0, &plans.stack))
		return lt_fail(view->session, LT_E_READ,
			       "the layout of %s does not say where the collector's state lies",
			       view->layout->name);
	find_namespaces(source);
	if (!read_program(view->process->pid, &source->code_start, &source->stack_start))
		return lt_fail(view->session, LT_E_GONE, "process %d has ended",
			       (int)view->process->pid);
	lt_probe_places_find(view, &places);
	enum lt_status status = LT_E_READ;
	for (enum lt_probe_way way = 0; way < LT_WAYS; way++) {
		if (ways != NULL && !ways[way])
			continue;
		lt_session_clear(view->session);
		status = open_way(source, way, &places, &plans);
		if (status == LT_OK || status == LT_E_PERMISSION || status == LT_E_NO_MEMORY ||
		    status == LT_E_GONE)
			break;
	}
	LT_TRY(status);
	/* Putting probes in place takes a while: what ended meanwhile is before the watch, what goes on is in it. */
	LT_CLEANUP(lt_watch_events_deinit) struct lt_watch_events before = {0};
	status = drain(source, &before);
	look(source); /* what the statistics count from here on */
	return status;
}

enum lt_status lt_watch_open_probe_ways(const struct lt_view *view, const bool *ways,
					struct lt_watch_feed **ret_feed)
{
	static const struct lt_watch_feed_ops ops = {.wait = probe_wait, .close = probe_close};
	struct source *source = calloc(1, sizeof(*source));
	if (source == NULL)
		return lt_fail_memory(view->session);
	source->feed = (struct lt_watch_feed){.ops = &ops, .view = view};
	source->state.view = view;
	source->state.thread_id = thread_id;
	source->state.thread_ctx = source;
	enum lt_status status = open_source(source, ways);
	if (status != LT_OK) {
		probe_close(&source->feed);
		return status;
	}
	*ret_feed = &source->feed;
	return LT_OK;
}

enum lt_status lt_watch_open_probe(const struct lt_view *view,
				   const struct lt_watch_options *options,
				   struct lt_watch_feed **ret_feed)
{
	(void)options;
	return lt_watch_open_probe_ways(view, NULL, ret_feed);
}

enum lt_probe_way lt_watch_probe_way(const struct lt_watch_feed *feed)
{
	return ((const struct source *)feed)->way;
}
