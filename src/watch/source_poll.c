/* The source poll, and what the source ring polls beside its records: the state of each interpreter's collector. */
#include "base/cleanup.h"
#include "watch/pace.h"
#include "watch/polled.h"
#include "watch/turns.h"
#include "watch/watch_parts.h"

#include <errno.h>
#include <string.h>
#include <time.h>

enum {
	USUAL_HZ = 1000,
	HIGHEST_HZ = 10000,    /* in a hurry: the rings fill */
	LIST_NS = 10000000,    /* how often new interpreters are looked for */
	GATHER_NS = 100000000, /* how long missed collections are gathered into one event */
	SHORT_STEPS =
		40, /* polls of a collection that runs which come four times as often, then twice */
	LIST_RESTING_NS = 40000000, /* the same of a process at rest */
	CROWDED = 40,
	SPACIOUS = 10, /* per cent of a ring that is new at a poll */
};

LT_VEC(polled_list, struct lt_polled *);

struct poll {
	struct lt_watch_feed feed;
	enum lt_watch_source source;
	uint64_t usual_ns, shortest_ns; /* from poll to poll */
	uint64_t interval_ns;           /* now */
	uint64_t next_ns, next_list_ns, next_flush_ns;
	unsigned short_steps;
	struct lt_pace pace;
	bool may_rest;
	bool ended;
	struct lt_turns turns;
	struct polled_list interpreters;
};

static void sleep_until(uint64_t at_ns)
{
	struct timespec at = {.tv_sec = (time_t)(at_ns / 1000000000),
			      .tv_nsec = (long)(at_ns % 1000000000)};
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR)
		continue;
}

static bool read_sample(const struct lt_view *view, lt_addr interpreter,
			struct lt_sample *ret_sample)
{
	uint64_t from_ns = lt_now_ns();
	if (!lt_gc_state_read(view, interpreter, &ret_sample->state))
		return false;
	ret_sample->from_ns = from_ns;
	ret_sample->to_ns = lt_now_ns();
	ret_sample->steady = true;
	return true;
}

/* Statistics that lie elsewhere are read after the counts: equal ones before and after tell that they fit. */
static bool read_steady(const struct lt_view *view, lt_addr interpreter, struct lt_sample *sample)
{
	uint64_t total = lt_polled_total(sample->state.generations);
	if (!read_sample(view, interpreter, sample))
		return false;
	sample->steady = lt_polled_total(sample->state.generations) == total;
	return true;
}

/* The memory of an interpreter that has ended may hold anything by now. */
static bool still_there(const struct poll *poll, lt_addr address)
{
	lt_addr addresses[LT_INTERPRETERS_MAX];
	size_t count = lt_interpreters_list(poll->feed.view, addresses, LT_INTERPRETERS_MAX);
	for (size_t i = 0; i < count; i++) {
		if (addresses[i] == address)
			return true;
	}
	return false;
}

/* Whether a sample says anything new; at rest nothing of it does. */
static bool differs(const struct lt_polled *polled, const struct lt_gc_state *b)
{
	const struct lt_gc_state *a = &polled->last.state;
	if (a->enabled != b->enabled || a->collecting != b->collecting || a->debug != b->debug ||
	    a->frozen != b->frozen || a->frozen_last != b->frozen_last)
		return true;
	for (int i = 0; i < LT_GC_GENERATIONS; i++) {
		if (a->generations[i].threshold != b->generations[i].threshold ||
		    polled->accounted[i].collections != b->generations[i].collections)
			return true;
	}
	return false;
}

/* Whether anything at all was allocated. */
static bool counts_differ(const struct lt_polled *polled, const struct lt_gc_state *state)
{
	return polled->last.state.generations[0].count != state->generations[0].count;
}

static enum lt_status remove_at(struct poll *poll, size_t at, struct lt_watch_events *events)
{
	struct lt_polled *polled = poll->interpreters.data[at];
	enum lt_status status = lt_polled_end(polled, lt_now_ns(), events);
	free(polled);
	poll->interpreters.data[at] = poll->interpreters.data[--poll->interpreters.count];
	return status;
}

static enum lt_status add(struct poll *poll, lt_addr address)
{
	const struct lt_view *view = poll->feed.view;
	struct lt_sample sample;
	if (!read_sample(view, address, &sample))
		return LT_OK;
	struct lt_polled *polled = malloc(sizeof(*polled));
	if (polled == NULL || !polled_list_push(&poll->interpreters, polled)) {
		free(polled);
		return lt_fail_memory(view->session);
	}
	lt_polled_init(polled, view, poll->source, address,
		       (uint64_t)lt_interpreter_id(view, address), &sample);
	struct lt_gc_rings rings;
	if (poll->source == LT_WATCH_RING && lt_gc_rings_read(view, address, &rings))
		lt_polled_init_ring(polled, &rings);
	return LT_OK;
}

/* Interpreters that are new or gone. */
static enum lt_status list(struct poll *poll, struct lt_watch_events *events)
{
	lt_addr addresses[LT_INTERPRETERS_MAX];
	size_t count = lt_interpreters_list(poll->feed.view, addresses, LT_INTERPRETERS_MAX);
	for (size_t i = poll->interpreters.count; i-- > 0;) {
		size_t at = 0;
		while (at < count && addresses[at] != poll->interpreters.data[i]->address)
			at++;
		if (at == count)
			LT_TRY(remove_at(poll, i, events));
		else
			addresses[at] = 0;
	}
	for (size_t i = 0; i < count; i++) {
		if (addresses[i] != 0)
			LT_TRY(add(poll, addresses[i]));
	}
	return LT_OK;
}

/* The end of the process, or of the program that it ran: what is known is given. */
static enum lt_status end(struct poll *poll, struct lt_watch_events *events)
{
	while (poll->interpreters.count > 0)
		LT_TRY(remove_at(poll, poll->interpreters.count - 1, events));
	poll->ended = true;
	return lt_watch_gone(poll->feed.view);
}

/* More records than a ring has room for may come between two polls: then they have to be closer. */
static void adapt(struct poll *poll, unsigned crowd)
{
	if (crowd >= CROWDED && poll->interval_ns > poll->shortest_ns)
		poll->interval_ns /= 2;
	else if (crowd <= SPACIOUS && poll->interval_ns < poll->usual_ns)
		poll->interval_ns += poll->interval_ns / 8;
	if (poll->interval_ns < poll->shortest_ns)
		poll->interval_ns = poll->shortest_ns;
	if (poll->interval_ns > poll->usual_ns)
		poll->interval_ns = poll->usual_ns;
}

static enum lt_status look_closer(struct poll *poll, struct lt_polled *polled,
				  const struct lt_sample *sample, struct lt_watch_events *events)
{
	const struct lt_view *view = poll->feed.view;
	struct lt_running running = {.tstate = polled->run.seen.tstate,
				     .inside = polled->run.seen.inside};
	struct lt_sample after;
	if (!lt_running_take(view, polled->address, (int64_t)polled->id, &sample->state,
			     &running) ||
	    !read_sample(view, polled->address, &after) ||
	    (poll->source == LT_WATCH_RING && !read_steady(view, polled->address, &after)) ||
	    !still_there(poll, polled->address))
		return LT_OK;
	return lt_polled_looked(polled, &running, &after, events);
}

static enum lt_status poll_one(struct poll *poll, struct lt_polled *polled, bool *ret_gone,
			       unsigned *ret_crowd, struct lt_watch_events *events)
{
	struct lt_sample sample;
	*ret_crowd = 0;
	*ret_gone = !read_sample(poll->feed.view, polled->address, &sample);
	if (*ret_gone)
		return LT_OK;
	if (counts_differ(polled, &sample.state))
		lt_pace_moved(&poll->pace, sample.to_ns);
	if (!polled->run.active && !differs(polled, &sample.state)) {
		polled->last = sample;
		return LT_OK;
	}
	lt_pace_stirred(&poll->pace, sample.to_ns);
	*ret_gone = !still_there(poll, polled->address) ||
		    (poll->source == LT_WATCH_RING &&
		     !read_steady(poll->feed.view, polled->address, &sample));
	if (*ret_gone)
		return LT_OK;
	bool look = false;
	if (poll->source == LT_WATCH_RING)
		LT_TRY(lt_polled_take_ring(polled, &sample, events, &look, ret_crowd));
	else
		LT_TRY(lt_polled_take(polled, &sample, events, &look));
	return look ? look_closer(poll, polled, &sample, events) : LT_OK;
}

static enum lt_status poll_all(struct poll *poll, struct lt_watch_events *events)
{
	unsigned crowd = 0;
	bool running = false;
	for (size_t i = poll->interpreters.count; i-- > 0;) {
		bool missing;
		unsigned one;
		LT_TRY(poll_one(poll, poll->interpreters.data[i], &missing, &one, events));
		if (missing) {
			if (!lt_watch_goes_on(poll->feed.view))
				return end(poll, events);
			LT_TRY(remove_at(poll, i, events));
			continue;
		}
		running |= poll->interpreters.data[i]->run.active;
		if (one > crowd)
			crowd = one;
	}
	/* The last one looked at; the others were microseconds before. */
	if (poll->interpreters.count > 0)
		poll->feed.seen_ns = poll->interpreters.data[0]->last.from_ns;
	if (poll->source == LT_WATCH_RING)
		adapt(poll, crowd);
	/* The end of a collection that runs is to be known as well as can be: polls come more often. */
	poll->short_steps = running ? poll->short_steps + 1 : 0;
	return LT_OK;
}

static enum lt_status flush(struct poll *poll, uint64_t until_ns, struct lt_watch_events *events)
{
	for (size_t i = 0; i < poll->interpreters.count; i++)
		LT_TRY(lt_polled_flush(poll->interpreters.data[i], until_ns, events));
	return LT_OK;
}

static enum lt_status poll_step(struct poll *poll, uint64_t now, struct lt_watch_events *events)
{
	if (now >= poll->next_list_ns) {
		if (poll->interpreters.count == 0 && !lt_watch_goes_on(poll->feed.view))
			return end(poll, events);
		LT_TRY(list(poll, events));
		bool rests = lt_pace_rests(&poll->pace, now);
		poll->next_list_ns = now + (rests ? LIST_RESTING_NS : LIST_NS);
	}
	LT_TRY(poll_all(poll, events));
	if (now >= poll->next_flush_ns) {
		LT_TRY(flush(poll, now, events));
		lt_turns_review(&poll->turns, now);
		poll->next_flush_ns = now + GATHER_NS;
	}
	uint64_t interval = poll->interval_ns;
	if (poll->short_steps > 0)
		interval /= poll->short_steps <= SHORT_STEPS ? 4 : 2;
	/* Little is allocated, so the next collection is far: waking up costs more than looking. */
	else if (poll->may_rest && lt_pace_rests(&poll->pace, now))
		interval *= 2;
	poll->next_ns = now - now % interval + interval;
	return LT_OK;
}

static enum lt_status poll_wait(struct lt_watch_feed *feed, uint64_t until_ns,
				struct lt_watch_events *events)
{
	struct poll *poll = (struct poll *)feed;
	size_t before = events->count;
	if (poll->ended)
		return end(poll, events);
	for (;;) {
		uint64_t now = lt_now_ns();
		/* The last look of a wait is at its end, so that everything until then is in it. */
		if (now >= poll->next_ns || now >= until_ns)
			LT_TRY(poll_step(poll, now, events));
		if (now >= until_ns)
			return flush(poll, UINT64_MAX, events);
		if (events->count > before)
			return LT_OK;
		uint64_t due_ns = poll->next_ns < until_ns ? poll->next_ns : until_ns;
		sleep_until(due_ns);
		lt_turns_woke(&poll->turns, due_ns, lt_now_ns());
	}
}

static void poll_close(struct lt_watch_feed *feed)
{
	struct poll *poll = (struct poll *)feed;
	for (size_t i = 0; i < poll->interpreters.count; i++)
		free(poll->interpreters.data[i]);
	polled_list_deinit(&poll->interpreters);
	lt_turns_end(&poll->turns);
	free(poll);
}

static const struct lt_watch_feed_ops poll_ops = {poll_wait, poll_close};

enum lt_status lt_watch_open_polling(const struct lt_view *view,
				     const struct lt_watch_options *options,
				     enum lt_watch_source source, struct lt_watch_feed **ret_feed)
{
	struct poll *poll = calloc(1, sizeof(*poll));
	if (poll == NULL)
		return lt_fail_memory(view->session);
	unsigned hz = options->poll_hz != 0 ? options->poll_hz : USUAL_HZ;
	if (hz > HIGHEST_HZ)
		hz = HIGHEST_HZ;
	poll->feed = (struct lt_watch_feed){.ops = &poll_ops, .view = view};
	poll->source = source;
	poll->may_rest = options->poll_hz == 0;
	poll->usual_ns = poll->interval_ns = 1000000000 / hz;
	poll->shortest_ns = 1000000000 / HIGHEST_HZ;
	uint64_t now = lt_now_ns();
	lt_pace_stirred(&poll->pace, now);
	poll->next_list_ns = now + LIST_NS;
	poll->next_flush_ns = now + GATHER_NS;
	struct lt_watch_events none = {0};
	enum lt_status status = list(poll, &none);
	lt_watch_events_deinit(&none);
	if (status != LT_OK) {
		poll_close(&poll->feed);
		return status;
	}
	lt_turns_begin(&poll->turns);
	*ret_feed = &poll->feed;
	return LT_OK;
}

enum lt_status lt_watch_open_poll(const struct lt_view *view,
				  const struct lt_watch_options *options,
				  struct lt_watch_feed **ret_feed)
{
	return lt_watch_open_polling(view, options, LT_WATCH_POLL, ret_feed);
}
