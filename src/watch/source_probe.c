/* The source probe: the collector and the functions of gc are probed by the kernel (target/probe.h). */
#include "base/cleanup.h"
#include "target/proc.h"
#include "watch/probe_parts.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
	STEP_NS = 10000000, /* how often the ring is emptied */
	LOOK_NS =
		250000000, /* how often the statistics are compared, and whether the process lives */
	WATCHED_MAX = 3,   /* interpreters with a debug register: one stays free */
};

LT_VEC(sites, struct lt_probe_site);

struct source {
	struct lt_watch_feed feed;
	struct lt_probe *probe;
	enum lt_probe_way way;
	struct lt_probe_events state;
	uint64_t next_look_ns;
	uint64_t ring_bytes; /* that the records of a second take */
	/* A thread whose id the record does not tell, and what it is by /proc. */
	uint32_t last_thread;
	pid_t last_id;
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
	if (record->own_thread != 0)
		return (pid_t)record->own_thread;
	if (source->last_thread != record->namespace_thread || source->last_id == 0) {
		source->last_thread = record->namespace_thread;
		source->last_id =
			look_up_thread(source->feed.view->process->pid, record->namespace_thread);
	}
	return source->last_id;
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
	source->feed.seen_ns = lt_probe_drain(source->probe, take, source);
	return source->state.failed ? lt_fail_memory(source->feed.view->session) : LT_OK;
}

static enum lt_status probe_wait(struct lt_watch_feed *feed, uint64_t until_ns,
				 struct lt_watch_events *events)
{
	struct source *source = (struct source *)feed;
	size_t before = events->count;
	lt_probe_events_forget(&source->state);
	for (;;) {
		uint64_t now = lt_now_ns();
		bool due = now >= source->next_look_ns;
		/* Asked before the ring is emptied: nothing comes after that. */
		bool over =
			lt_probe_replaced(source->probe) || (due && !lt_watch_goes_on(feed->view));
		LT_TRY(drain(source, events));
		if (over)
			return lt_watch_gone(feed->view);
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

/* What is probed, with the plans that the sites point to. */
struct probed {
	struct lt_probe_plan state, stack, watched[WATCHED_MAX];
	struct sites sites;
};

static void probed_deinit(struct probed *probed)
{
	sites_deinit(&probed->sites);
}

static enum lt_status add(const struct source *source, struct probed *probed,
			  const struct lt_probe_site *site)
{
	return sites_push(&probed->sites, *site) ? LT_OK
						 : lt_fail_memory(source->feed.view->session);
}

static bool collects(int call)
{
	return call == LT_CALL_COLLECT || call == LT_CALL_C_COLLECT;
}

/* What ends goes before what begins: a begin without an end would be taken for one that goes on. */
static enum lt_status add_ends(const struct source *source, const struct lt_probe_places *places,
			       struct probed *probed)
{
	for (int call = LT_CALL_NONE + 1; call < LT_CALL_COUNT; call++) {
		const struct lt_probe_site site = {
			.id = lt_probe_site_id(LT_MOMENT_RETURN, (enum lt_watch_call)call),
			.kind = LT_PROBE_RETURN,
			.address = places->calls[call],
			.plan = &probed->state,
		};
		if (site.address != 0)
			LT_TRY(add(source, probed, &site));
	}
	struct lt_probe_site end = {
		.id = lt_probe_site_id(LT_MOMENT_END, LT_CALL_NONE),
		.kind = LT_PROBE_RETURN,
		.address = places->collector,
		.plan = &probed->state,
	};
	if (source->way == LT_WAY_SYMBOL)
		return add(source, probed, &end);
	end.kind = LT_PROBE_ENTRY;
	end.semaphore = places->end_semaphore;
	for (size_t i = 0; source->way == LT_WAY_USDT && i < places->end_count; i++) {
		end.address = places->end[i];
		LT_TRY(add(source, probed, &end));
	}
	return LT_OK;
}

static enum lt_status add_begins(struct source *source, const struct lt_probe_places *places,
				 struct probed *probed)
{
	bool all = true;
	for (int call = LT_CALL_NONE + 1; call < LT_CALL_COUNT; call++) {
		const struct lt_probe_site site = {
			.id = lt_probe_site_id(LT_MOMENT_CALL, (enum lt_watch_call)call),
			.kind = LT_PROBE_ENTRY,
			.address = places->calls[call],
			.plan = collects(call) ? &probed->state : &probed->stack,
		};
		if (site.address != 0)
			LT_TRY(add(source, probed, &site));
		else
			all = all && !collects(call);
	}
	source->state.calls_known = all;
	struct lt_probe_site begin = {
		.id = lt_probe_site_id(LT_MOMENT_BEGIN, LT_CALL_NONE),
		.kind = LT_PROBE_ENTRY,
		.address = places->collector,
		.plan = &probed->stack,
	};
	if (source->way == LT_WAY_SYMBOL)
		return add(source, probed, &begin);
	begin.semaphore = places->begin_semaphore;
	for (size_t i = 0; source->way == LT_WAY_USDT && i < places->begin_count; i++) {
		begin.address = places->begin[i];
		LT_TRY(add(source, probed, &begin));
	}
	return LT_OK;
}

static enum lt_status add_writes(const struct source *source, struct probed *probed)
{
	const struct lt_view *view = source->feed.view;
	LT_CLEANUP(lt_interpreters_deinit) struct lt_interpreters interpreters = {0};
	LT_TRY(lt_interpreters_read(view, &interpreters));
	for (size_t i = 0; i < interpreters.count; i++) {
		lt_addr interpreter = interpreters.data[i].address;
		if (i >= WATCHED_MAX) {
			lt_warn(view->session,
				"of %zu interpreters the first %d are watched by probes, the "
				"others "
				"only by their counters",
				interpreters.count, (int)WATCHED_MAX);
			break;
		}
		if (!lt_probe_plan_make(view, LT_PROBE_WATCHED, interpreter, &probed->watched[i]))
			return lt_fail(
				view->session, LT_E_READ,
				"the layout of %s does not say where the collector's state lies",
				view->layout->name);
		const struct lt_probe_site site = {
			.id = lt_probe_site_id(LT_MOMENT_WRITE, LT_CALL_NONE),
			.kind = LT_PROBE_WRITE,
			.address = interpreter + lt_off(view->layout, LT_PyInterpreterState_gc) +
				   lt_off(view->layout, LT__gc_runtime_state_collecting),
			.plan = &probed->watched[i],
		};
		LT_TRY(add(source, probed, &site));
	}
	return LT_OK;
}

static enum lt_status check_way(const struct source *source, const struct lt_probe_places *places)
{
	struct lt_session *session = source->feed.view->session;
	if (source->way == LT_WAY_USDT && (places->begin_count == 0 || places->end_count == 0))
		return lt_fail(session, LT_E_READ, "the build has no USDT probes");
	if (source->way == LT_WAY_SYMBOL && places->collector == 0)
		return lt_fail(session, LT_E_READ, "the collector's function has no symbol");
	return LT_OK;
}

/* A ring with the calls and one way to see collections. What was attached goes when it does not succeed. */
static enum lt_status open_way(struct source *source, enum lt_probe_way way,
			       const struct lt_probe_places *places, struct probed *probed)
{
	const struct lt_view *view = source->feed.view;
	source->way = way;
	probed->sites.count = 0;
	LT_TRY(check_way(source, places));
	LT_TRY(add_ends(source, places, probed));
	LT_TRY(add_begins(source, places, probed));
	if (way == LT_WAY_WRITE)
		LT_TRY(add_writes(source, probed));
	enum lt_status status =
		lt_probe_open(view->session, view->process, source->ring_bytes, &source->probe);
	if (status == LT_OK)
		status = lt_probe_attach(source->probe, probed->sites.data, probed->sites.count);
	if (status != LT_OK) {
		lt_probe_close(source->probe);
		source->probe = NULL;
	}
	return status;
}

/* Collections of all interpreters so far. */
static uint64_t count_collections(const struct lt_view *view)
{
	LT_CLEANUP(lt_interpreters_deinit) struct lt_interpreters interpreters = {0};
	uint64_t count = 0;
	if (lt_interpreters_read(view, &interpreters) != LT_OK) {
		lt_session_clear(view->session);
		return 0;
	}
	for (size_t i = 0; i < interpreters.count; i++)
		for (int g = 0; g < LT_GC_GENERATIONS; g++)
			count += interpreters.data[i].gc.generations[g].collections;
	return count;
}

/* What the records of a second take at the rate of collections that there is now, begin and end of each. */
static uint64_t bytes_a_second(const struct lt_view *view, const struct probed *probed)
{
	size_t begin = 0, end = 0, frames;
	if (!lt_probe_plan_size(&probed->stack, &begin, &frames) ||
	    !lt_probe_plan_size(&probed->state, &end, &frames))
		return 0;
	uint64_t from_ns = lt_now_ns(), before = count_collections(view);
	sleep_until(from_ns + STEP_NS);
	uint64_t after = count_collections(view), passed_ns = lt_now_ns() - from_ns;
	double rate = after > before ? (double)(after - before) * 1e9 / (double)passed_ns : 0;
	double bytes = rate * (double)(begin + end);
	return bytes < (double)UINT32_MAX ? (uint64_t)bytes : UINT32_MAX;
}

static enum lt_status open_source(struct source *source, const bool *ways)
{
	const struct lt_view *view = source->feed.view;
	struct lt_probe_places places;
	if (view->process == NULL)
		return lt_fail(view->session, LT_E_READ, "only a live process can be probed");
	LT_CLEANUP(probed_deinit) struct probed probed = {0};
	if (!lt_probe_plan_make(view, LT_PROBE_STATE, 0, &probed.state) ||
	    !lt_probe_plan_make(view, LT_PROBE_STATE_AND_STACK, 0, &probed.stack))
		return lt_fail(view->session, LT_E_READ,
			       "the layout of %s does not say where the collector's state lies",
			       view->layout->name);
	if (!lt_watch_goes_on(view))
		return lt_watch_gone(view);
	LT_TRY(lt_probe_places_find(view, &places));
	source->ring_bytes = bytes_a_second(view, &probed);
	enum lt_status status = LT_E_READ;
	for (enum lt_probe_way way = 0; way < LT_WAYS; way++) {
		if (ways != NULL && !ways[way])
			continue;
		lt_session_clear(view->session);
		status = open_way(source, way, &places, &probed);
		if (status == LT_OK || status == LT_E_PERMISSION || status == LT_E_NO_MEMORY ||
		    status == LT_E_GONE)
			break;
	}
	LT_TRY(status);
	/* Another program before the probe would have told of it. */
	if (!lt_watch_goes_on(view))
		return lt_watch_gone(view);
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

bool lt_watch_probe_linked(const struct lt_watch_feed *feed)
{
	return lt_probe_linked(((const struct source *)feed)->probe);
}
