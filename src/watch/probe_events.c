/* Records of probes become events: begin and end, call and return, and the statistics as the check of it all. */
#include "watch/probe_parts.h"

/* More than that have begun and not ended only when ends were lost. */
enum { OPEN_MAX = 256 };

static bool is_collecting_call(enum lt_watch_call call)
{
	return call == LT_CALL_COLLECT || call == LT_CALL_C_COLLECT;
}

void lt_probe_events_forget(struct lt_probe_events *state)
{
	while (state->given.count > 0)
		lt_memory_close(state->given.data[--state->given.count]);
}

void lt_probe_events_deinit(struct lt_probe_events *state)
{
	lt_probe_events_forget(state);
	lt_probe_memories_deinit(&state->given);
	for (size_t i = 0; i < state->open.count; i++)
		lt_memory_close(state->open.data[i].event.memory);
	lt_probe_open_list_deinit(&state->open);
	lt_probe_counter_list_deinit(&state->counters);
}

/* Takes the event's memory over. */
static void emit(struct lt_probe_events *state, const struct lt_watch_event *event,
		 struct lt_watch_events *events)
{
	if (event->memory != NULL && !lt_probe_memories_push(&state->given, event->memory)) {
		lt_memory_close(event->memory);
		state->failed = true;
		return;
	}
	if (!lt_watch_events_push(events, *event))
		state->failed = true;
}

static struct lt_probe_counters *counters_of(struct lt_probe_events *state, lt_addr interpreter,
					     uint64_t id)
{
	for (size_t i = 0; i < state->counters.count; i++) {
		struct lt_probe_counters *counters = &state->counters.data[i];
		if (counters->interpreter == interpreter && counters->id == id)
			return counters;
	}
	return NULL;
}

static void begin_counters(struct lt_probe_events *state, lt_addr interpreter, uint64_t id,
			   const struct lt_gc_state *now)
{
	struct lt_probe_counters counters = {
		.interpreter = interpreter, .id = id, .in_flight = now->collecting};
	for (int i = 0; i < LT_GC_GENERATIONS; i++)
		counters.told[i] = counters.looked_at[i] = now->generations[i].collections;
	/* An address that another interpreter had before. */
	for (size_t i = 0; i < state->counters.count; i++) {
		if (state->counters.data[i].interpreter == interpreter) {
			state->counters.data[i] = counters;
			return;
		}
	}
	if (!lt_probe_counter_list_push(&state->counters, counters))
		state->failed = true;
}

static void emit_missed(struct lt_probe_events *state, struct lt_probe_counters *counters,
			int generation, uint64_t collections, uint64_t at_ns,
			struct lt_watch_events *events)
{
	struct lt_watch_event event = lt_watch_event_of(LT_WATCH_MISSED, LT_WATCH_PROBE);
	event.start_ns = event.end_ns = at_ns;
	event.interpreter = counters->id;
	event.generation = generation;
	event.missed = collections - counters->told[generation];
	counters->told[generation] = collections;
	emit(state, &event, events);
}

/* The one that ran when the watch began is not missed: nobody said that its begin would be seen. */
static void pass_over_first(struct lt_probe_counters *counters, int generation,
			    uint64_t collections)
{
	if (!counters->in_flight || collections <= counters->told[generation])
		return;
	counters->in_flight = false;
	counters->told[generation]++;
}

/* What the statistics count beyond the events. */
static void check_missed(struct lt_probe_events *state, struct lt_probe_counters *counters,
			 const struct lt_gc_state *before, uint64_t at_ns,
			 struct lt_watch_events *events)
{
	for (int i = 0; i < LT_GC_GENERATIONS; i++) {
		uint64_t collections = before->generations[i].collections;
		pass_over_first(counters, i, collections);
		if (collections > counters->told[i])
			emit_missed(state, counters, i, collections, at_ns, events);
	}
}

/* What has begun, taken out of the list. */
static struct lt_probe_open take_out(struct lt_probe_events *state, size_t index)
{
	struct lt_probe_open_list *open = &state->open;
	struct lt_probe_open taken = open->data[index];
	for (size_t i = index; i + 1 < open->count; i++)
		open->data[i] = open->data[i + 1];
	open->count--;
	return taken;
}

static void drop(struct lt_probe_events *state, size_t index)
{
	lt_memory_close(take_out(state, index).event.memory);
}

/* The innermost that has begun on the thread: a collection, or the call; SIZE_MAX: none. */
static size_t innermost(const struct lt_probe_events *state, uint32_t thread,
			enum lt_watch_kind kind, enum lt_watch_call call)
{
	for (size_t i = state->open.count; i > 0; i--) {
		const struct lt_probe_open *open = &state->open.data[i - 1];
		if (open->thread == thread && open->event.kind == kind &&
		    (kind == LT_WATCH_COLLECTION || open->event.call == call))
			return i - 1;
	}
	return SIZE_MAX;
}

static void push(struct lt_probe_events *state, const struct lt_probe_record *record, size_t size,
		 const struct lt_watch_event *event)
{
	if (state->open.count >= OPEN_MAX)
		drop(state, 0);
	struct lt_probe_open open = {
		.thread = record->namespace_thread,
		.interpreter = record->slots[LT_SLOT_INTERPRETER],
		.event = *event,
	};
	for (int i = 0; i < LT_GC_GENERATIONS; i++)
		open.candidates[i] = lt_probe_candidates(state->view, record, size, i);
	if (!lt_probe_open_list_push(&state->open, open)) {
		lt_memory_close(open.event.memory);
		state->failed = true;
	}
}

static struct lt_watch_event start(const struct lt_probe_events *state, enum lt_watch_kind kind,
				   const struct lt_probe_record *record, size_t size)
{
	struct lt_watch_event event = lt_watch_event_of(kind, LT_WATCH_PROBE);
	event.interpreter = record->slots[LT_SLOT_ID];
	event.thread = state->thread_id != NULL ? state->thread_id(state->thread_ctx, record) : 0;
	event.finalizing = lt_probe_finalizing(state->view, record);
	if (!lt_probe_state(state->view, record, size, &event.before))
		state->view->session->unreadable++;
	lt_probe_stack(state->view, record, size, &event);
	return event;
}

/* How many collections the statistics counted between two states. */
static uint64_t counted_between(const struct lt_gc_state *before, const struct lt_gc_state *after)
{
	uint64_t count = 0;
	for (int i = 0; i < LT_GC_GENERATIONS; i++) {
		if (after->generations[i].collections > before->generations[i].collections)
			count += after->generations[i].collections -
				 before->generations[i].collections;
	}
	return count;
}

/*
 * Collections of the interpreter whose ends were lost: one that runs is not counted yet or, while its callbacks run, the
 * last one counted. What is lost is counted when the statistics are compared.
 */
static void drop_ended(struct lt_probe_events *state, lt_addr interpreter,
		       const struct lt_gc_state *now)
{
	for (size_t i = state->open.count; i > 0; i--) {
		const struct lt_probe_open *open = &state->open.data[i - 1];
		if (open->interpreter == interpreter && open->event.kind == LT_WATCH_COLLECTION &&
		    counted_between(&open->event.before, now) > 1)
			drop(state, i - 1);
	}
}

static bool collects(const struct lt_probe_events *state, lt_addr interpreter)
{
	for (size_t i = 0; i < state->open.count; i++)
		if (state->open.data[i].interpreter == interpreter &&
		    state->open.data[i].event.kind == LT_WATCH_COLLECTION)
			return true;
	return false;
}

static void begin_collection(struct lt_probe_events *state, const struct lt_probe_record *record,
			     size_t size, struct lt_watch_events *events)
{
	struct lt_watch_event event = start(state, LT_WATCH_COLLECTION, record, size);
	/* What the probe itself took is not the collection's. */
	event.start_ns = record->end_ns;
	event.call_certain = state->calls_known;
	for (size_t i = state->open.count; i > 0; i--) {
		const struct lt_probe_open *open = &state->open.data[i - 1];
		if (open->thread != record->namespace_thread ||
		    open->event.kind != LT_WATCH_CALLED || !is_collecting_call(open->event.call))
			continue;
		event.call = open->event.call;
		event.call_certain = true;
		break;
	}
	struct lt_probe_counters *counters =
		counters_of(state, record->slots[LT_SLOT_INTERPRETER], event.interpreter);
	if (counters == NULL && record->slots[LT_SLOT_INTERPRETER] != 0)
		begin_counters(state, record->slots[LT_SLOT_INTERPRETER], event.interpreter,
			       &event.before);
	else if (counters != NULL && !collects(state, record->slots[LT_SLOT_INTERPRETER]))
		check_missed(state, counters, &event.before, event.start_ns, events);
	push(state, record, size, &event);
}

static void end_collection(struct lt_probe_events *state, const struct lt_probe_record *record,
			   size_t size, struct lt_watch_events *events)
{
	struct lt_gc_state after;
	size_t at = innermost(state, record->namespace_thread, LT_WATCH_COLLECTION, LT_CALL_NONE);
	if (!lt_probe_state(state->view, record, size, &after)) {
		state->view->session->unreadable++;
		if (at != SIZE_MAX)
			drop(state, at);
		return;
	}
	struct lt_probe_counters *counters =
		counters_of(state, record->slots[LT_SLOT_INTERPRETER], record->slots[LT_SLOT_ID]);
	if (at == SIZE_MAX) {
		/* It began before it was watched; else its begin was lost, and the statistics tell. */
		for (int i = 0; counters != NULL && i < LT_GC_GENERATIONS; i++)
			pass_over_first(counters, i, after.generations[i].collections);
		return;
	}
	const struct lt_probe_open begun = take_out(state, at);
	struct lt_watch_event event = begun.event;
	/*
	 * None: it was asked for while another one ran, or there was nothing to do, and the collector returned at once. More:
	 * the end of the one that began and the begin of this one were lost, of which the statistics tell; likewise where its
	 * begin could not tell which interpreter runs.
	 */
	if (begun.interpreter != record->slots[LT_SLOT_INTERPRETER] ||
	    counted_between(&event.before, &after) != 1) {
		lt_memory_close(event.memory);
		return;
	}
	event.end_ns = record->start_ns;
	event.after = after;
	/* Not done yet where it began while another one, whose end was lost, seemed to run. */
	if (counters != NULL)
		check_missed(state, counters, &event.before, event.start_ns, events);
	for (int i = 0; i < LT_GC_GENERATIONS; i++) {
		const struct lt_gc_generation *was = &event.before.generations[i];
		const struct lt_gc_generation *is = &after.generations[i];
		if (is->collections <= was->collections)
			continue;
		event.generation = i;
		event.collected = (int64_t)(is->collected - was->collected);
		event.uncollectable = (int64_t)(is->uncollectable - was->uncollectable);
		int64_t candidates = lt_probe_candidates(state->view, record, size, i);
		if (candidates >= begun.candidates[i] && begun.candidates[i] >= 0)
			event.candidates = candidates - begun.candidates[i];
		if (counters != NULL)
			counters->told[i] = is->collections;
	}
	emit(state, &event, events);
}

static void begin_call(struct lt_probe_events *state, const struct lt_probe_record *record,
		       size_t size, enum lt_watch_call call)
{
	struct lt_watch_event event = start(state, LT_WATCH_CALLED, record, size);
	event.start_ns = event.end_ns = record->start_ns;
	event.call = call;
	event.call_certain = true;
	push(state, record, size, &event);
}

static void end_call(struct lt_probe_events *state, const struct lt_probe_record *record,
		     size_t size, enum lt_watch_call call, struct lt_watch_events *events)
{
	size_t at = innermost(state, record->namespace_thread, LT_WATCH_CALLED, call);
	if (at == SIZE_MAX)
		return;
	/* Within a call nothing outlives it. */
	for (size_t i = state->open.count; i > at + 1; i--)
		if (state->open.data[i - 1].thread == record->namespace_thread)
			drop(state, i - 1);
	struct lt_watch_event event = take_out(state, at).event;
	if (is_collecting_call(call)) {
		lt_memory_close(event.memory);
		return; /* its collection is the event */
	}
	if (!lt_probe_state(state->view, record, size, &event.after))
		event.after = event.before;
	emit(state, &event, events);
}

void lt_probe_events_take(struct lt_probe_events *state, const struct lt_probe_record *record,
			  size_t size, struct lt_watch_events *events)
{
	enum lt_probe_moment moment = record->site >> 8;
	enum lt_watch_call call = record->site & 0xff;
	if (call >= LT_CALL_COUNT)
		return;
	struct lt_gc_state now;
	if ((moment == LT_MOMENT_BEGIN || moment == LT_MOMENT_WRITE) &&
	    lt_probe_state(state->view, record, size, &now))
		drop_ended(state, record->slots[LT_SLOT_INTERPRETER], &now);
	if (moment == LT_MOMENT_WRITE) {
		moment = record->slots[LT_SLOT_COLLECTING] != 0 ? LT_MOMENT_BEGIN : LT_MOMENT_END;
		/* The word is written again while a collection runs when another one is asked for. */
		if (moment == LT_MOMENT_BEGIN &&
		    innermost(state, record->namespace_thread, LT_WATCH_COLLECTION, LT_CALL_NONE) !=
			    SIZE_MAX)
			return;
	}
	switch (moment) {
	case LT_MOMENT_BEGIN:
		begin_collection(state, record, size, events);
		break;
	case LT_MOMENT_END:
		end_collection(state, record, size, events);
		break;
	case LT_MOMENT_CALL:
		begin_call(state, record, size, call);
		break;
	case LT_MOMENT_RETURN:
		end_call(state, record, size, call, events);
		break;
	case LT_MOMENT_WRITE:
		break;
	}
}

void lt_probe_events_look(struct lt_probe_events *state, lt_addr interpreter, uint64_t id,
			  const struct lt_gc_state *now, struct lt_watch_events *events)
{
	struct lt_probe_counters *counters = counters_of(state, interpreter, id);
	if (counters == NULL) {
		begin_counters(state, interpreter, id, now);
		return;
	}
	/* A collection is counted a moment before its end is seen: what the last look saw must have been told by now. */
	struct lt_gc_state before = {0};
	for (int i = 0; i < LT_GC_GENERATIONS; i++)
		before.generations[i].collections = counters->looked_at[i];
	drop_ended(state, interpreter, &before);
	bool runs = collects(state, interpreter);
	for (int i = 0; i < LT_GC_GENERATIONS; i++) {
		if (!runs) {
			pass_over_first(counters, i, counters->looked_at[i]);
			if (counters->looked_at[i] > counters->told[i])
				emit_missed(state, counters, i, counters->looked_at[i], lt_now_ns(),
					    events);
		}
		counters->looked_at[i] = now->generations[i].collections;
	}
}
