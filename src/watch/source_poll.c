/* The source poll: the state of the collector read so many times a second. */
#include "base/cleanup.h"
#include "watch/watch_parts.h"

#include <errno.h>
#include <time.h>

enum { USUAL_HZ = 1000 };

/* One interpreter that is watched, as it was at the last poll. */
struct polled {
	lt_addr address;
	uint64_t id;
	uint64_t at_ns;
	struct lt_gc_state state;
};
LT_VEC(polled_list, struct polled);

struct poll {
	struct lt_watch_feed feed;
	uint64_t interval_ns;
	uint64_t next_ns;
	struct polled_list interpreters;
};

static void sleep_until(uint64_t at_ns)
{
	struct timespec at = {.tv_sec = (time_t)(at_ns / 1000000000),
			      .tv_nsec = (long)(at_ns % 1000000000)};
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR)
		continue;
}

static bool compare(struct poll *poll, struct polled *polled, const struct lt_gc_state *state,
		    uint64_t now_ns, struct lt_watch_events *events)
{
	(void)poll;
	for (int i = 0; i < LT_GC_GENERATIONS; i++) {
		const struct lt_gc_generation *before = &polled->state.generations[i];
		const struct lt_gc_generation *after = &state->generations[i];
		if (after->collections <= before->collections)
			continue;
		uint64_t count = after->collections - before->collections;
		struct lt_watch_event event = lt_watch_event_of(
			count == 1 ? LT_WATCH_COLLECTION : LT_WATCH_MISSED, LT_WATCH_POLL);
		event.start_ns = event.end_ns = polled->at_ns + (now_ns - polled->at_ns) / 2;
		event.error_ns = (now_ns - polled->at_ns + 1) / 2;
		event.interpreter = polled->id;
		event.generation = i;
		event.missed = count == 1 ? 0 : count;
		event.before = polled->state;
		event.before_age_ns = event.start_ns - polled->at_ns;
		event.after = *state;
		event.collected = (int64_t)(after->collected - before->collected);
		event.uncollectable = (int64_t)(after->uncollectable - before->uncollectable);
		if (!lt_watch_events_push(events, event))
			return false;
	}
	polled->state = *state;
	polled->at_ns = now_ns;
	return true;
}

static enum lt_status look(struct poll *poll, struct lt_watch_events *events)
{
	const struct lt_view *view = poll->feed.view;
	for (size_t i = 0; i < poll->interpreters.count; i++) {
		struct polled *polled = &poll->interpreters.data[i];
		struct lt_gc_state state;
		if (!lt_gc_state_read(view, polled->address, &state)) {
			if (view->process != NULL && !lt_process_alive(view->process))
				return lt_fail(view->session, LT_E_GONE,
					       "process %d ended while it was watched",
					       (int)view->process->pid);
			continue;
		}
		if (!compare(poll, polled, &state, lt_now_ns(), events))
			return lt_fail_memory(view->session);
	}
	return LT_OK;
}

static enum lt_status poll_wait(struct lt_watch_feed *feed, uint64_t until_ns,
				struct lt_watch_events *events)
{
	struct poll *poll = (struct poll *)feed;
	size_t before = events->count;
	for (;;) {
		uint64_t now = lt_now_ns();
		if (now >= poll->next_ns) {
			LT_TRY(look(poll, events));
			poll->next_ns = now - now % poll->interval_ns + poll->interval_ns;
		}
		if (events->count > before || now >= until_ns)
			return LT_OK;
		sleep_until(poll->next_ns < until_ns ? poll->next_ns : until_ns);
	}
}

static void poll_close(struct lt_watch_feed *feed)
{
	struct poll *poll = (struct poll *)feed;
	polled_list_deinit(&poll->interpreters);
	free(poll);
}

static const struct lt_watch_feed_ops poll_ops = {poll_wait, poll_close};

static enum lt_status begin(struct poll *poll)
{
	const struct lt_view *view = poll->feed.view;
	LT_CLEANUP(lt_interpreters_deinit) struct lt_interpreters interpreters = {0};
	LT_TRY(lt_interpreters_read(view, &interpreters));
	for (size_t i = 0; i < interpreters.count; i++) {
		struct polled polled = {.address = interpreters.data[i].address,
					.id = (uint64_t)interpreters.data[i].id,
					.at_ns = lt_now_ns(),
					.state = interpreters.data[i].gc};
		if (!polled_list_push(&poll->interpreters, polled))
			return lt_fail_memory(view->session);
	}
	return LT_OK;
}

enum lt_status lt_watch_open_poll(const struct lt_view *view,
				  const struct lt_watch_options *options,
				  struct lt_watch_feed **ret_feed)
{
	struct poll *poll = calloc(1, sizeof(*poll));
	if (poll == NULL)
		return lt_fail_memory(view->session);
	poll->feed = (struct lt_watch_feed){.ops = &poll_ops, .view = view};
	poll->interval_ns = 1000000000 / (options->poll_hz != 0 ? options->poll_hz : USUAL_HZ);
	enum lt_status status = begin(poll);
	if (status != LT_OK) {
		poll_close(&poll->feed);
		return status;
	}
	*ret_feed = &poll->feed;
	return LT_OK;
}
