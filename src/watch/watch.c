#include "watch/watch.h"

#include "base/cleanup.h"
#include "watch/watch_parts.h"

#include <stdio.h>
#include <stdlib.h>

struct lt_watch {
	const struct lt_view *view;
	struct lt_watch_feed *feed;
	enum lt_watch_source source;
	lt_addr main_interpreter;
	char why_not[LT_WATCH_SOURCES][1040];
};

/* NULL: not built in. */
static enum lt_status (*const openers[LT_WATCH_SOURCES])(const struct lt_view *view,
							 const struct lt_watch_options *options,
							 struct lt_watch_feed **ret_feed) = {
	[LT_WATCH_PROBE] = lt_watch_open_probe,
	[LT_WATCH_RING] = lt_watch_open_ring,
	[LT_WATCH_POLL] = lt_watch_open_poll,
};

const char *lt_watch_source_name(enum lt_watch_source source)
{
	static const char *const names[LT_WATCH_SOURCES] = {"probe", "ring", "poll"};
	return source >= 0 && source < LT_WATCH_SOURCES ? names[source] : "?";
}

const char *lt_watch_call_name(enum lt_watch_call call)
{
	static const char *const names[LT_CALL_COUNT] = {
		[LT_CALL_NONE] = "",
		[LT_CALL_COLLECT] = "gc.collect",
		[LT_CALL_C_COLLECT] = "PyGC_Collect",
		[LT_CALL_ENABLE] = "gc.enable",
		[LT_CALL_DISABLE] = "gc.disable",
		[LT_CALL_FREEZE] = "gc.freeze",
		[LT_CALL_UNFREEZE] = "gc.unfreeze",
		[LT_CALL_SET_THRESHOLD] = "gc.set_threshold",
		[LT_CALL_SET_DEBUG] = "gc.set_debug",
	};
	return call >= 0 && call < LT_CALL_COUNT ? names[call] : "?";
}

struct lt_watch_event lt_watch_event_of(enum lt_watch_kind kind, enum lt_watch_source source)
{
	return (struct lt_watch_event){
		.kind = kind,
		.source = source,
		.generation = -1,
		.collected = -1,
		.uncollectable = -1,
		.candidates = -1,
	};
}

static bool allowed(const struct lt_watch_options *options, enum lt_watch_source source)
{
	bool any = false;
	for (int i = 0; i < LT_WATCH_SOURCES; i++)
		any |= options->only[i];
	return !any || options->only[source];
}

static enum lt_status open_best(struct lt_watch *watch, const struct lt_watch_options *options)
{
	struct lt_session *session = watch->view->session;
	LT_CLEANUP(lt_interpreters_deinit) struct lt_interpreters interpreters = {0};
	LT_TRY(lt_interpreters_read(watch->view, &interpreters));
	watch->main_interpreter = interpreters.data[0].address;
	enum lt_watch_source last = LT_WATCH_POLL;
	for (enum lt_watch_source source = 0; source < LT_WATCH_SOURCES; source++) {
		if (!allowed(options, source))
			continue;
		last = source;
		if (openers[source] == NULL) {
			snprintf(watch->why_not[source], sizeof(watch->why_not[source]),
				 "this lowtide was built without the source %s",
				 lt_watch_source_name(source));
			continue;
		}
		enum lt_status status = openers[source](watch->view, options, &watch->feed);
		if (status == LT_OK) {
			watch->source = source;
			return LT_OK;
		}
		if (status == LT_E_NO_MEMORY || status == LT_E_GONE)
			return status;
		snprintf(watch->why_not[source], sizeof(watch->why_not[source]), "%s%s%s",
			 session->message, session->remedy[0] != 0 ? ": " : "", session->remedy);
		lt_session_clear(session);
	}
	enum lt_status status =
		lt_fail(session, LT_E_PERMISSION, "the collector cannot be watched: %s",
			watch->why_not[last]);
	lt_remedy(session, "allow the source poll, which needs no more than reading memory");
	return status;
}

enum lt_status lt_watch_open(const struct lt_view *view, const struct lt_watch_options *options,
			     struct lt_watch **ret_watch)
{
	struct lt_watch *watch = calloc(1, sizeof(*watch));
	if (watch == NULL)
		return lt_fail_memory(view->session);
	watch->view = view;
	enum lt_status status = open_best(watch, options);
	if (status != LT_OK) {
		lt_watch_close(watch);
		return status;
	}
	*ret_watch = watch;
	return LT_OK;
}

enum lt_watch_source lt_watch_source(const struct lt_watch *watch)
{
	return watch->source;
}

const char *lt_watch_why_not(const struct lt_watch *watch, enum lt_watch_source source)
{
	return source >= 0 && source < LT_WATCH_SOURCES ? watch->why_not[source] : "";
}

/* Events of one wait come in all but the right order: a few that started earlier are found out later. */
static void sort_by_start(struct lt_watch_event *events, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		if (events[i - 1].start_ns <= events[i].start_ns)
			continue;
		struct lt_watch_event event = events[i];
		size_t at = i;
		for (; at > 0 && events[at - 1].start_ns > event.start_ns; at--)
			events[at] = events[at - 1];
		events[at] = event;
	}
}

enum lt_status lt_watch_wait(struct lt_watch *watch, uint64_t until_ns,
			     struct lt_watch_events *events)
{
	size_t before = events->count;
	enum lt_status status = watch->feed->ops->wait(watch->feed, until_ns, events);
	if (events->count > before)
		sort_by_start(events->data + before, events->count - before);
	return status;
}

uint64_t lt_watch_seen_ns(const struct lt_watch *watch)
{
	return watch->feed->seen_ns;
}

bool lt_watch_goes_on(const struct lt_view *view)
{
	uint64_t word;
	return (view->process == NULL || lt_process_alive(view->process)) &&
	       lt_memory_probe(view->memory, view->python->runtime, &word, sizeof(word)) ==
		       sizeof(word);
}

enum lt_status lt_watch_gone(const struct lt_view *view)
{
	int pid = view->process != NULL ? (int)view->process->pid : 0;
	struct lt_process *other =
		view->process != NULL ? lt_process_successor(view->process) : NULL;
	if (other == NULL)
		return lt_fail(view->session, LT_E_GONE, "process %d ended while it was watched",
			       pid);
	enum lt_status status =
		lt_fail(view->session, LT_E_GONE,
			"process %d became another program while it was watched: %.200s", pid,
			other->command_line);
	lt_process_close(other);
	return status;
}

enum lt_status lt_watch_state(struct lt_watch *watch, struct lt_gc_state *ret_state)
{
	const struct lt_view *view = watch->view;
	if (lt_gc_state_read(view, watch->main_interpreter, ret_state))
		return LT_OK;
	if (!lt_watch_goes_on(view))
		return lt_watch_gone(view);
	return lt_fail(view->session, LT_E_READ, "the state of the collector cannot be read");
}

void lt_watch_close(struct lt_watch *watch)
{
	if (watch == NULL)
		return;
	if (watch->feed != NULL)
		watch->feed->ops->close(watch->feed);
	free(watch);
}
