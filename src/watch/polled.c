#include "watch/polled.h"

#include "target/proc.h"
#include "watch/watch_parts.h"

#include <string.h>

/* The stack of a run is read at its first samples, then ever less often. */
bool lt_polled_worth_a_look(const struct lt_run *run)
{
	return !run->seen.taken || run->samples <= 2 || (run->samples & (run->samples - 1)) == 0;
}

static enum lt_status push(struct lt_polled *polled, const struct lt_watch_event *event,
			   struct lt_watch_events *events)
{
	return lt_watch_events_push(events, *event) ? LT_OK : lt_fail_memory(polled->view->session);
}

void lt_polled_init(struct lt_polled *polled, const struct lt_view *view,
		    enum lt_watch_source source, lt_addr address, uint64_t id,
		    const struct lt_sample *sample)
{
	*polled = (struct lt_polled){
		.view = view, .source = source, .address = address, .id = id, .last = *sample};
	memcpy(polled->accounted, sample->state.generations, sizeof(polled->accounted));
	if (sample->state.collecting) {
		polled->run = (struct lt_run){.active = true,
					      .before = *sample,
					      .lower_ns = sample->from_ns,
					      .first_ns = sample->to_ns,
					      .last_ns = sample->from_ns,
					      .samples = 1};
	}
}

/* --- the statistics -------------------------------------------------------------------------- */

/*
 * What is counted now and not yet told of. `collected` is stored after `collections`: what comes late counts
 * with the next collection of that generation.
 */
static struct lt_counted count(struct lt_polled *polled, const struct lt_gc_state *state)
{
	struct lt_counted counted = {0};
	for (int i = 0; i < LT_GC_GENERATIONS; i++) {
		const struct lt_gc_generation *now = &state->generations[i];
		struct lt_gc_generation *then = &polled->accounted[i];
		if (now->collections < then->collections) {
			polled->view->session->unreadable++;
			continue;
		}
		if (now->collections == then->collections)
			continue;
		counted.collections[i] = now->collections - then->collections;
		counted.collected[i] = (int64_t)(now->collected - then->collected);
		counted.uncollectable[i] = (int64_t)(now->uncollectable - then->uncollectable);
		counted.all += counted.collections[i];
		*then = *now;
	}
	return counted;
}

/* Takes one collection of a generation out; its figures are known when it is the only one. */
static void take_one(struct lt_counted *counted, int generation, struct lt_watch_event *event)
{
	if (counted->collections[generation] == 1) {
		event->collected = counted->collected[generation];
		event->uncollectable = counted->uncollectable[generation];
		counted->collected[generation] = 0;
		counted->uncollectable[generation] = 0;
	}
	counted->shared[generation] = event->collected < 0;
	counted->collections[generation]--;
	counted->all--;
}

uint64_t lt_polled_total(const struct lt_gc_generation generations[LT_GC_GENERATIONS])
{
	uint64_t total = 0;
	for (int i = 0; i < LT_GC_GENERATIONS; i++)
		total += generations[i].collections;
	return total;
}

/* Nothing but this one collection lies between the two states of an event. */
static bool alone(const struct lt_watch_event *event)
{
	return lt_polled_total(event->after.generations) -
		       lt_polled_total(event->before.generations) ==
	       1;
}

/* --- calls ------------------------------------------------------------------------------------ */

/* The generation that an automatic collection takes at these counts: -1 for none. */
static int automatic(const struct lt_layout *layout, const struct lt_gc_state *counts,
		     const struct lt_gc_state *settings)
{
	const struct lt_gc_generation *set = settings->generations;
	if (!settings->enabled || set[0].threshold == 0)
		return -1;
	if (lt_fact(layout, LT_FACT_gc_incremental) != 0)
		return 1;
	for (int i = LT_GC_GENERATIONS - 1; i > 0; i--) {
		if (counts->generations[i].count <= set[i].threshold)
			continue;
		if (i == LT_GC_GENERATIONS - 1 && lt_fact(layout, LT_FACT_gc_quarter_rule) != 0 &&
		    counts->long_lived_pending < counts->long_lived_total / 4)
			continue;
		return i;
	}
	return 0;
}

/*
 * Whether the collection runs inside a call. Counts of the generations 1 and 2 move only with collections: when none
 * lies between `before` and the start they are exact, and a collection that they do not call for was called for.
 */
static void conclude_call(const struct lt_view *view, const struct lt_running *seen, bool fresh,
			  struct lt_watch_event *event)
{
	bool taken = seen != NULL && seen->taken;
	bool possible =
		!fresh ||
		automatic(view->layout, &event->before, &event->before) == event->generation ||
		automatic(view->layout, &event->before, &event->after) == event->generation;
	bool oldest = event->generation == LT_GC_GENERATIONS - 1;
	bool called = taken && seen->collect != 0 &&
		      (seen->argument == event->generation || (oldest && seen->argument < 0));
	if (called) {
		event->call = LT_CALL_COLLECT;
		event->call_certain = seen->whole || !possible;
	} else if (event->finalizing) {
		/* The interpreter collects by itself when it ends. */
		event->call_certain = false;
	} else if (!possible) {
		event->call = taken && seen->frame_count == 0 ? LT_CALL_C_COLLECT : LT_CALL_COLLECT;
		event->call_certain = true;
	} else {
		event->call_certain = taken && seen->whole && fresh;
	}
}

/* --- collections -------------------------------------------------------------------------------- */

struct lt_watch_event lt_polled_event(const struct lt_polled *polled, int generation,
				      const struct lt_sample *before, const struct lt_sample *after,
				      uint64_t start_ns, uint64_t end_ns)
{
	struct lt_watch_event event = lt_watch_event_of(LT_WATCH_COLLECTION, polled->source);
	event.start_ns = start_ns;
	event.end_ns = end_ns;
	event.interpreter = polled->id;
	event.generation = generation;
	event.before = before->state;
	event.before_age_ns = start_ns > before->to_ns ? start_ns - before->to_ns : 0;
	event.after = after->state;
	return event;
}

static uint64_t middle(uint64_t from_ns, uint64_t to_ns)
{
	return from_ns + (to_ns > from_ns ? (to_ns - from_ns) / 2 : 0);
}

static uint64_t half(uint64_t from_ns, uint64_t to_ns)
{
	return to_ns > from_ns ? (to_ns - from_ns + 1) / 2 : 0;
}

void lt_polled_explain(struct lt_polled *polled, const struct lt_running *seen, bool fresh,
		       struct lt_watch_event *event)
{
	bool taken = seen != NULL && seen->taken;
	event->finalizing = taken ? seen->finalizing
				  : lt_interpreter_finalizing(polled->view, polled->address,
							      (int64_t)polled->id);
	conclude_call(polled->view, seen, fresh, event);
	if (!taken)
		return;
	event->thread = polled->outside;
	event->frames_exact = seen->exact;
	event->frame_count = seen->frame_count;
	memcpy(event->frames, seen->frames, seen->frame_count * sizeof(*event->frames));
}

/* Of figures that may be anything. */
static int64_t sum(int64_t a, int64_t b)
{
	return (int64_t)((uint64_t)a + (uint64_t)b);
}

void lt_polled_miss(struct lt_polled *polled, const struct lt_watch_event *event, uint64_t from_ns,
		    uint64_t to_ns, uint64_t collections)
{
	struct lt_watch_event *missed = &polled->missed[event->generation];
	if (missed->missed == 0) {
		*missed = *event;
		missed->kind = LT_WATCH_MISSED;
		missed->start_ns = from_ns;
		missed->before_age_ns = 0;
	} else {
		missed->collected = sum(missed->collected, event->collected);
		missed->uncollectable = sum(missed->uncollectable, event->uncollectable);
		missed->after = event->after;
	}
	missed->missed += collections;
	missed->end_ns = to_ns;
}

/* Collections that nobody saw, between two moments. Those that cannot be told apart are gathered. */
static enum lt_status give_unseen(struct lt_polled *polled, const struct lt_counted *counted,
				  const struct lt_sample *before, const struct lt_sample *after,
				  uint64_t from_ns, uint64_t to_ns, struct lt_watch_events *events)
{
	for (int i = 0; i < LT_GC_GENERATIONS; i++) {
		if (counted->collections[i] == 0)
			continue;
		uint64_t at = middle(from_ns, to_ns);
		struct lt_watch_event event = lt_polled_event(polled, i, before, after, at, at);
		event.collected = counted->collected[i];
		event.uncollectable = counted->uncollectable[i];
		event.error_ns = half(from_ns, to_ns);
		if (counted->collections[i] > 1 || counted->shared[i]) {
			event.error_ns = 0;
			lt_polled_miss(polled, &event, from_ns, to_ns, counted->collections[i]);
			continue;
		}
		lt_polled_explain(polled, NULL, alone(&event), &event);
		LT_TRY(push(polled, &event, events));
	}
	return LT_OK;
}

/* The generation of a run: counts of younger ones and its own are 0 while it runs, that of the next is not. */
static int generation_of(const struct lt_run *run, const struct lt_counted *counted)
{
	int guess = run->counts[1] > 0 ? 0 : run->counts[2] > 0 ? 1 : 2;
	if (counted->all > 1 && counted->collections[guess] > 0)
		return guess;
	for (int i = LT_GC_GENERATIONS - 1; i >= 0; i--) {
		if (counted->collections[i] > 0)
			return i;
	}
	return guess;
}

void lt_polled_begin_run(struct lt_polled *polled, const struct lt_sample *sample,
			 const struct lt_counted *pending)
{
	polled->run = (struct lt_run){
		.active = true,
		.before = polled->last,
		.lower_ns = polled->last.from_ns,
		.first_ns = sample->to_ns,
		.last_ns = sample->from_ns,
		.samples = 1,
		.pending = *pending,
	};
	for (int i = 0; i < LT_GC_GENERATIONS; i++)
		polled->run.counts[i] = sample->state.generations[i].count;
}

/* A new collection moves the counts of the older generations at its start, and nothing else does. */
static bool another_began(const struct lt_run *run, const struct lt_sample *sample)
{
	return run->doubtful && (run->counts[1] != sample->state.generations[1].count ||
				 run->counts[2] != sample->state.generations[2].count);
}

void lt_polled_go_on(struct lt_run *run, const struct lt_sample *sample)
{
	run->last_ns = sample->from_ns;
	run->samples++;
	for (int i = 0; i < LT_GC_GENERATIONS; i++)
		run->counts[i] = sample->state.generations[i].count;
}

/* The event of a run that ended at or before `after`, and is one of those in `counted`. */
static struct lt_watch_event event_of_run(struct lt_polled *polled, struct lt_counted *counted,
					  const struct lt_sample *after)
{
	struct lt_run *run = &polled->run;
	int generation = generation_of(run, counted);
	struct lt_watch_event event = lt_polled_event(polled, generation, &run->before, after,
						      middle(run->lower_ns, run->first_ns),
						      middle(run->last_ns, after->to_ns));
	uint64_t first = half(run->lower_ns, run->first_ns);
	uint64_t last = half(run->last_ns, after->to_ns);
	event.error_ns = first > last ? first : last;
	if (counted->collections[generation] > 0)
		take_one(counted, generation, &event);
	lt_polled_explain(polled, &run->seen, alone(&event), &event);
	return event;
}

static enum lt_status give_held(struct lt_polled *polled, struct lt_watch_events *events)
{
	if (!polled->has_held)
		return LT_OK;
	polled->has_held = false;
	return push(polled, &polled->held, events);
}

/*
 * The run ended, or the statistics moved while the flag stayed set (`still`): then it is in its last part, in which
 * callbacks run, or it ended and another one began. What follows tells.
 */
static enum lt_status end_run(struct lt_polled *polled, struct lt_counted *counted,
			      const struct lt_sample *sample, bool still,
			      struct lt_watch_events *events)
{
	struct lt_run run = polled->run;
	if (counted->all > 0) {
		LT_TRY(give_held(polled, events));
		/* Seen once only, it may also have been the last part of one of those before it. */
		bool unclear = run.pending.all > 0 && run.samples == 1;
		LT_TRY(give_unseen(polled, &run.pending, &run.before, &run.before, run.lower_ns,
				   unclear ? sample->to_ns : run.first_ns, events));
		struct lt_watch_event event = event_of_run(polled, counted, sample);
		if (unclear)
			event.error_ns = sample->to_ns - run.lower_ns;
		polled->run.active = false;
		if (still) {
			/* With others after it, it cannot be the one that still runs. */
			polled->held = event;
			polled->has_held = true;
			if (counted->all > 0)
				LT_TRY(give_held(polled, events));
			lt_polled_begin_run(polled, sample, counted);
			polled->run.doubtful = true;
			return LT_OK;
		}
		LT_TRY(push(polled, &event, events));
		return give_unseen(polled, counted, &polled->last, sample, polled->last.from_ns,
				   sample->to_ns, events);
	}
	polled->run.active = false;
	if (polled->has_held) {
		/* It was the last part of the one that is held. */
		polled->held.end_ns = middle(run.last_ns, sample->to_ns);
		uint64_t error = half(run.last_ns, sample->to_ns);
		if (error > polled->held.error_ns)
			polled->held.error_ns = error;
		polled->held.after = sample->state;
		LT_TRY(give_held(polled, events));
	} else if (run.pending.all > 0) {
		polled->run.pending = (struct lt_counted){0};
		struct lt_watch_event event = event_of_run(polled, &run.pending, sample);
		LT_TRY(push(polled, &event, events));
	}
	return give_unseen(polled, &run.pending, &run.before, sample, run.lower_ns, run.first_ns,
			   events);
}

/* --- changes -------------------------------------------------------------------------------------- */

static enum lt_status give_change(struct lt_polled *polled, const struct lt_sample *sample,
				  enum lt_watch_call call, struct lt_watch_events *events)
{
	uint64_t at = middle(polled->last.from_ns, sample->to_ns);
	struct lt_watch_event event = lt_polled_event(polled, -1, &polled->last, sample, at, at);
	event.kind = LT_WATCH_CHANGED;
	event.call = call;
	event.error_ns = half(polled->last.from_ns, sample->to_ns);
	return push(polled, &event, events);
}

/*
 * gc.freeze() where the permanent generation held objects already: others come last in it, and all counts are 0 without
 * a collection. An object that goes away changes one of the two at most.
 */
static bool froze_more(const struct lt_polled *polled, const struct lt_gc_state *before,
		       const struct lt_gc_state *after)
{
	const struct lt_gc_generation *then = before->generations, *now = after->generations;
	if (!before->frozen || !after->frozen || before->frozen_last == after->frozen_last ||
	    before->collecting || after->collecting || now[1].count != 0 || now[2].count != 0)
		return false;
	if (then[1].count == 0 && then[2].count == 0 && 2 * now[0].count > then[0].count)
		return false;
	for (int i = 0; i < LT_GC_GENERATIONS; i++) {
		if (polled->accounted[i].collections != after->generations[i].collections)
			return false;
	}
	return true;
}

/* Calls that must have been made for the state to have become what it is: which ones is concluded. */
enum lt_status lt_polled_compare(struct lt_polled *polled, const struct lt_sample *sample,
				 struct lt_watch_events *events)
{
	const struct lt_gc_state *before = &polled->last.state, *after = &sample->state;
	if (before->enabled != after->enabled)
		LT_TRY(give_change(polled, sample,
				   after->enabled ? LT_CALL_ENABLE : LT_CALL_DISABLE, events));
	bool thresholds = false;
	for (int i = 0; i < LT_GC_GENERATIONS; i++)
		thresholds |= before->generations[i].threshold != after->generations[i].threshold;
	if (thresholds)
		LT_TRY(give_change(polled, sample, LT_CALL_SET_THRESHOLD, events));
	if (before->debug != after->debug)
		LT_TRY(give_change(polled, sample, LT_CALL_SET_DEBUG, events));
	if (before->frozen && !after->frozen)
		LT_TRY(give_change(polled, sample, LT_CALL_UNFREEZE, events));
	else if ((!before->frozen && after->frozen) || froze_more(polled, before, after))
		LT_TRY(give_change(polled, sample, LT_CALL_FREEZE, events));
	return LT_OK;
}

/* --- samples ---------------------------------------------------------------------------------------- */

enum lt_status lt_polled_take(struct lt_polled *polled, const struct lt_sample *sample,
			      struct lt_watch_events *events, bool *ret_look)
{
	LT_TRY(lt_polled_compare(polled, sample, events));
	struct lt_counted counted = count(polled, &sample->state);
	bool is = sample->state.collecting;
	*ret_look = false;
	if (polled->run.active) {
		if (is && counted.all == 0 && another_began(&polled->run, sample)) {
			/* Where between the count and now the one ended and the other began is not known. */
			uint64_t lower_ns = polled->run.last_ns = polled->run.lower_ns;
			LT_TRY(end_run(polled, &counted, sample, false, events));
			lt_polled_begin_run(polled, sample, &counted);
			polled->run.lower_ns = lower_ns;
		} else if (is && counted.all == 0)
			lt_polled_go_on(&polled->run, sample);
		else
			LT_TRY(end_run(polled, &counted, sample, is, events));
	} else if (is) {
		lt_polled_begin_run(polled, sample, &counted);
	} else if (counted.all > 0) {
		LT_TRY(give_unseen(polled, &counted, &polled->last, sample, polled->last.from_ns,
				   sample->to_ns, events));
	}
	polled->last = *sample;
	if (polled->run.active)
		*ret_look = lt_polled_worth_a_look(&polled->run);
	return LT_OK;
}

/* While the thread lives: a moment later it may have ended. */
static void find_thread(struct lt_polled *polled, pid_t inside)
{
	if (inside == polled->inside)
		return;
	polled->inside = inside;
	polled->outside = inside > 0 && polled->view->process != NULL
				  ? lt_proc_thread(polled->view->process->pid, inside)
				  : 0;
}

enum lt_status lt_polled_looked(struct lt_polled *polled, const struct lt_running *running,
				const struct lt_sample *sample, struct lt_watch_events *events)
{
	struct lt_gc_generation *accounted = polled->accounted;
	bool same = sample->state.collecting && polled->run.active;
	for (int i = 0; i < LT_GC_GENERATIONS; i++)
		same &= sample->state.generations[i].collections == accounted[i].collections;
	/* Else the collection ended meanwhile, and the stack may be one of later. */
	if (same) {
		if (polled->run.seen.taken)
			lt_running_refine(&polled->run.seen, running);
		else
			polled->run.seen = *running;
		polled->run.looked_ns = sample->from_ns;
		find_thread(polled, polled->run.seen.inside);
	}
	bool look;
	unsigned crowd;
	return polled->source == LT_WATCH_RING
		       ? lt_polled_take_ring(polled, sample, events, &look, &crowd)
		       : lt_polled_take(polled, sample, events, &look);
}

enum lt_status lt_polled_flush(struct lt_polled *polled, uint64_t until_ns,
			       struct lt_watch_events *events)
{
	for (int i = 0; i < LT_GC_GENERATIONS; i++) {
		struct lt_watch_event *missed = &polled->missed[i];
		if (missed->missed == 0 || missed->start_ns >= until_ns)
			continue;
		LT_TRY(push(polled, missed, events));
		*missed = (struct lt_watch_event){0};
	}
	return LT_OK;
}

enum lt_status lt_polled_end(struct lt_polled *polled, uint64_t now_ns,
			     struct lt_watch_events *events)
{
	struct lt_run *run = &polled->run;
	if (run->active && (polled->has_held || run->pending.all > 0)) {
		/* Counted already: it was in its last part. */
		struct lt_counted none = {0};
		struct lt_sample at = polled->last;
		at.to_ns = now_ns;
		LT_TRY(end_run(polled, &none, &at, false, events));
	} else if (run->active) {
		/* It never ended, so it is not counted, but it ran. */
		struct lt_counted none = {0};
		struct lt_sample at = polled->last;
		at.to_ns = now_ns;
		struct lt_watch_event event = event_of_run(polled, &none, &at);
		LT_TRY(push(polled, &event, events));
	}
	LT_TRY(give_held(polled, events));
	run->active = false;
	return lt_polled_flush(polled, UINT64_MAX, events);
}
