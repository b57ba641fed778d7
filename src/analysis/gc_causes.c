#include "analysis/gc_causes.h"

#include "base/number.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum {
	OLDEST = LT_GC_GENERATIONS - 1,
	ALLOCATION_NS =
		10,    /* no program makes tracked objects faster than this, one after the other */
	OVERSHOOT = 2, /* a count this many times over its threshold waited for long */
};

static bool has_component(const char *path, const char *name)
{
	size_t length = strlen(name);
	for (const char *at = strstr(path, name); at != NULL; at = strstr(at + 1, name)) {
		if ((at == path || at[-1] == '/') && (at[length] == '/' || at[length] == '\0'))
			return true;
	}
	return false;
}

enum lt_gc_owner lt_gc_owner_of(const char *file, const char *python)
{
	if (has_component(file, "site-packages") || has_component(file, "dist-packages"))
		return LT_OWNER_INSTALLED;
	if (strncmp(file, "<frozen ", 8) == 0)
		return LT_OWNER_STANDARD;
	/* lib/python3.12/..., lib64/python3.12/..., lib/python312.zip/... */
	unsigned series = 0;
	if (sscanf(python, "3.%u", &series) != 1)
		return LT_OWNER_PROGRAM;
	char names[4][32];
	snprintf(names[0], sizeof(names[0]), "/lib/python3.%u/", series);
	snprintf(names[1], sizeof(names[1]), "/lib64/python3.%u/", series);
	snprintf(names[2], sizeof(names[2]), "/lib/python3%u.zip/", series);
	snprintf(names[3], sizeof(names[3]), "/lib64/python3%u.zip/", series);
	for (size_t i = 0; i < 4; i++) {
		if (strstr(file, names[i]) != NULL)
			return LT_OWNER_STANDARD;
	}
	return LT_OWNER_PROGRAM;
}

static enum lt_gc_owner owner_of(const struct lt_gc_recording *recording,
				 const struct lt_gc_frame *frame)
{
	return lt_gc_owner_of(frame->path != NULL ? frame->path : frame->file,
			      recording->identity.python);
}

static const struct lt_gc_frame *stack_of(const struct lt_gc_recording *recording,
					  const struct lt_gc_event *event, uint32_t *ret_count)
{
	*ret_count = 0;
	if (event->stack_first > recording->frames.count ||
	    event->stack_count > recording->frames.count - event->stack_first ||
	    event->stack_count == 0)
		return NULL;
	*ret_count = event->stack_count;
	return &recording->frames.data[event->stack_first];
}

/* The innermost frame that belongs to `owner` or is closer to the program; NULL: none. */
static const struct lt_gc_frame *frame_of(const struct lt_gc_recording *recording,
					  const struct lt_gc_event *event, enum lt_gc_owner owner)
{
	uint32_t count;
	const struct lt_gc_frame *frames = stack_of(recording, event, &count);
	for (uint32_t i = 0; i < count; i++) {
		if (owner_of(recording, &frames[i]) <= owner)
			return &frames[i];
	}
	return NULL;
}

const struct lt_gc_frame *lt_gc_own_frame(const struct lt_gc_recording *recording,
					  const struct lt_gc_event *event)
{
	const struct lt_gc_frame *own = frame_of(recording, event, LT_OWNER_INSTALLED);
	return own != NULL ? own : frame_of(recording, event, LT_OWNER_STANDARD);
}

const struct lt_gc_frame *lt_gc_program_frame(const struct lt_gc_recording *recording,
					      const struct lt_gc_event *event)
{
	return frame_of(recording, event, LT_OWNER_PROGRAM);
}

void lt_gc_frame_add(const struct lt_gc_frame *frame, struct lt_text *text)
{
	if (frame->line > 0)
		lt_text_addf(text, "%s:%d:%s", frame->file, frame->line, frame->function);
	else
		lt_text_addf(text, "%s::%s", frame->file, frame->function);
}

/* "app.py:12 in refresh()". */
static void add_spot(const struct lt_gc_frame *frame, struct lt_text *text)
{
	lt_text_add(text, frame->file);
	if (frame->line > 0)
		lt_text_addf(text, ":%d", frame->line);
	lt_text_addf(text, " in %s%s", frame->function, *frame->function == '<' ? "" : "()");
}

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), tail = strlen(end);
	return length >= tail && strcmp(text + length - tail, end) == 0;
}

static const char *count(uint64_t number, char text[static LT_NUMBER_MAX])
{
	return lt_number_count(number, text);
}

static const char *signed_count(int64_t number, char text[static LT_NUMBER_MAX])
{
	if (number >= 0)
		return lt_number_count((uint64_t)number, text);
	snprintf(text, LT_NUMBER_MAX, "%" PRId64, number);
	return text;
}

/* By whom: what the frames around the call tell. */
static void add_context(const struct lt_gc_recording *recording, const struct lt_gc_event *event,
			struct lt_text *text)
{
	uint32_t length;
	const struct lt_gc_frame *frames = stack_of(recording, event, &length);
	if (event->signal > 0) {
		const char *name = sigabbrev_np(event->signal);
		lt_text_add(text, ", in the program's handler of ");
		if (name != NULL)
			lt_text_addf(text, "SIG%s", name);
		else
			lt_text_addf(text, "signal %d", event->signal);
	}
	const char *finalizer = NULL, *timer = NULL, *thread = NULL, *loop = NULL;
	for (uint32_t i = 0; i < length; i++) {
		const struct lt_gc_frame *frame = &frames[i];
		if (ends_with(frame->function, "__del__"))
			finalizer = ", a finalizer";
		const char *file = frame->path != NULL ? frame->path : frame->file;
		if (owner_of(recording, frame) != LT_OWNER_STANDARD)
			continue;
		if (ends_with(file, "/threading.py")) {
			if (strcmp(frame->function, "Timer.run") == 0)
				timer = ", on a threading.Timer";
			thread = ", in a thread of threading";
		}
		if (ends_with(file, "/asyncio/events.py") ||
		    ends_with(file, "/asyncio/base_events.py"))
			loop = ", in the event loop of asyncio";
	}
	lt_text_add(text, finalizer != NULL ? finalizer : "");
	lt_text_add(text, timer != NULL ? timer : thread != NULL ? thread : "");
	lt_text_add(text, loop != NULL ? loop : "");
	if (event->seen.thread > 0 && event->seen.thread != recording->identity.pid)
		lt_text_addf(text, ", thread %d", (int)event->seen.thread);
}

/* "called at app.py:12 in refresh(), ..."; of a call that no Python code made it says so. */
static void add_caller(const struct lt_gc_recording *recording, const struct lt_gc_event *event,
		       struct lt_text *text)
{
	uint32_t length;
	const struct lt_gc_frame *frames = stack_of(recording, event, &length);
	const struct lt_gc_frame *own = lt_gc_own_frame(recording, event);
	if (own == NULL) {
		lt_text_add(
			text,
			event->seen.frame_count > 0
				? "called; from where is not known, that code was gone before it "
				  "could be read"
			: event->seen.frames_exact
				? "called from C: no Python code runs in that thread"
				: "called; from where was not seen, it was over too soon");
		add_context(recording, event, text);
		return;
	}
	bool from_c = event->seen.call == LT_CALL_C_COLLECT;
	lt_text_add(text, from_c ? "called by C code that was called at " : "called at ");
	add_spot(own, text);
	if (own != &frames[0]) {
		lt_text_add(text, ", through ");
		add_spot(&frames[0], text);
	}
	switch (owner_of(recording, own)) {
	case LT_OWNER_STANDARD:
		lt_text_add(text, ", Python's own library: no code of the program is on the stack");
		break;
	case LT_OWNER_INSTALLED: {
		const struct lt_gc_frame *program = frame_of(recording, event, LT_OWNER_PROGRAM);
		lt_text_add(text, ", an installed library");
		if (program != NULL) {
			lt_text_add(text, " that was called at ");
			add_spot(program, text);
		}
		break;
	}
	case LT_OWNER_PROGRAM:
		break;
	}
	add_context(recording, event, text);
}

/* Counts that are some milliseconds old may not have been over yet. */
static void add_over(const struct lt_watch_event *seen, int generation, struct lt_text *text)
{
	const struct lt_gc_generation *one = &seen->before.generations[generation];
	char a[LT_NUMBER_MAX], b[LT_NUMBER_MAX];
	if (one->count > one->threshold)
		lt_text_addf(text, "the count of generation %d was %s, over its threshold of %s",
			     generation, signed_count(one->count, a),
			     signed_count(one->threshold, b));
	else
		lt_text_addf(text,
			     "the count of generation %d went over its threshold of %s (it was %s "
			     "%.1f ms before)",
			     generation, signed_count(one->threshold, b),
			     signed_count(one->count, a), (double)seen->before_age_ns / 1e6);
}

static bool over(const struct lt_gc_state *state, int generation)
{
	return state->generations[generation].count > state->generations[generation].threshold;
}

/* Whether the 25 % rule lets an automatic full collection run. */
static bool quarter_full(const struct lt_gc_state *state)
{
	return state->long_lived_pending >= state->long_lived_total / 4;
}

static void add_quarter(const struct lt_gc_state *state, struct lt_text *text)
{
	char a[LT_NUMBER_MAX], b[LT_NUMBER_MAX];
	lt_text_addf(text,
		     "%s objects grew old since the last full collection, %s a quarter of the %s "
		     "that survived it",
		     count(state->long_lived_pending, a), quarter_full(state) ? "over" : "under",
		     count(state->long_lived_total, b));
}

static bool automatic_on(const struct lt_gc_state *state)
{
	return state->enabled && state->generations[0].threshold > 0;
}

/* What the state before says is some time old, and it was turned on since. */
static bool turned_on(const struct lt_watch_event *seen)
{
	return seen->source != LT_WATCH_PROBE && !automatic_on(&seen->before) &&
	       automatic_on(&seen->after);
}

static bool lowered(const struct lt_watch_event *seen)
{
	return seen->before.generations[0].threshold > seen->after.generations[0].threshold;
}

bool lt_gc_lets_go(const struct lt_watch_event *change)
{
	const struct lt_gc_state *before = &change->before, *after = &change->after;
	if ((change->kind != LT_WATCH_CALLED && change->kind != LT_WATCH_CHANGED) ||
	    !automatic_on(after) || (automatic_on(before) && !lowered(change)))
		return false;
	int64_t waiting = before->generations[0].count > after->generations[0].count
				  ? before->generations[0].count
				  : after->generations[0].count;
	return waiting > after->generations[0].threshold;
}

/* The first change after the last collection that let a count go that was over the threshold by then; NULL: there is none. */
static const struct lt_gc_event *let_go_by(const struct lt_gc_recording *recording,
					   const struct lt_watch_event *seen)
{
	const struct lt_gc_event *first = NULL;
	for (size_t i = recording->events.count; i-- > 0;) {
		const struct lt_gc_event *event = &recording->events.data[i];
		if (event->seen.interpreter != seen->interpreter)
			continue;
		if (event->seen.kind == LT_WATCH_COLLECTION || event->seen.kind == LT_WATCH_MISSED)
			break;
		if (lt_gc_lets_go(&event->seen))
			first = event;
	}
	return first;
}

static void add_let_go(const struct lt_gc_event *change, struct lt_text *text)
{
	bool off = !automatic_on(&change->seen.before);
	lt_text_add(text, off ? "; automatic collection was off until "
			      : "; the threshold was higher until ");
	if (change->seen.call != LT_CALL_NONE)
		lt_text_addf(text, "%s()", lt_watch_call_name(change->seen.call));
	else
		lt_text_add(text, "then");
	if (*change->where != '\0')
		lt_text_addf(text, " at %s", change->where);
}

static enum lt_gc_cause automatic(const struct lt_gc_recording *recording,
				  const struct lt_gc_event *event, struct lt_text *text)
{
	const struct lt_watch_event *seen = &event->seen;
	const struct lt_gc_generation *g = seen->before.generations;
	int generation = recording->incremental ? 0 : seen->generation;
	add_over(seen, 0, text);
	/* The oldest generation that is due is collected, and those below it whatever their counts. */
	if (generation > 0) {
		lt_text_add(text, "; ");
		add_over(seen, generation, text);
	}
	if (generation == OLDEST && recording->quarter_rule) {
		lt_text_add(text, "; ");
		add_quarter(&seen->before, text);
	} else if (generation == 1 && over(&seen->before, OLDEST) && recording->quarter_rule) {
		lt_text_add(text, "; no full collection although that is due by its count: ");
		add_quarter(&seen->before, text);
	}
	bool far = g[0].threshold > 0 && g[0].count > OVERSHOOT * g[0].threshold;
	const struct lt_gc_event *let_go = let_go_by(recording, seen);
	if (let_go != NULL && (far || !let_go->seen.before.enabled))
		add_let_go(let_go, text);
	else if (turned_on(seen))
		lt_text_addf(text,
			     "; automatic collection was off %.1f ms before and has been turned on",
			     (double)seen->before_age_ns / 1e6);
	else if (far && recording->at_eval_breaker &&
		 (seen->source == LT_WATCH_PROBE || !lowered(seen)))
		lt_text_add(text,
			    "; so far over because a collection waits for the next bytecode: one "
			    "call into C made these objects");
	return generation == OLDEST ? LT_CAUSE_THRESHOLD_2
	       : generation == 1    ? LT_CAUSE_THRESHOLD_1
				    : LT_CAUSE_THRESHOLD_0;
}

static double positive(int64_t count)
{
	return count > 0 ? (double)count : 0;
}

/*
 * How many tracked objects had to be made between the look before and an automatic collection of `generation`: each
 * count goes up by one with a collection of the generation below, and those begin with new objects.
 */
static double objects_until(const struct lt_gc_state *state, int generation)
{
	const struct lt_gc_generation *g = state->generations;
	double step = (double)g[0].threshold + 1;
	double young = 0; /* collections before this one */
	double middle = generation == OLDEST ? positive(g[2].threshold + 1 - g[2].count) : 0;
	if (generation >= 1)
		young = positive(g[1].threshold + 1 - g[1].count);
	if (middle > 0)
		young += (middle - 1) * (positive(g[1].threshold) + 1) + middle;
	return young * step + step - (double)g[0].count;
}

/*
 * The state before with the settings that an automatic collection can have met: where a look is some time old, those of
 * the look after it are as likely.
 */
static struct lt_gc_state settings_met(const struct lt_watch_event *seen)
{
	struct lt_gc_state state = seen->before;
	struct lt_gc_generation *young = &state.generations[0];
	int64_t after = seen->after.generations[0].threshold;
	if (turned_on(seen)) {
		state.enabled = true;
		young->threshold = after;
	} else if (seen->source != LT_WATCH_PROBE && after > 0 && lowered(seen)) {
		young->threshold = after;
	}
	return state;
}

/* Collections of a generation between the looks before and after; UINT64_MAX: their statistics do not tell. */
static uint64_t between(const struct lt_watch_event *seen, int generation)
{
	const struct lt_gc_generation *before = seen->before.generations;
	const struct lt_gc_generation *after = seen->after.generations;
	/* They are to count at least the one that is asked about. */
	if (after[seen->generation].collections <= before[seen->generation].collections ||
	    after[generation].collections < before[generation].collections)
		return UINT64_MAX;
	return after[generation].collections - before[generation].collections;
}

/* A count goes up by one with each collection of the generation below, and with nothing else. */
static bool reached(const struct lt_watch_event *seen, int generation)
{
	const struct lt_gc_generation *one = &seen->before.generations[generation];
	return (double)between(seen, generation - 1) >= positive(one->threshold + 1 - one->count);
}

/* Why it cannot have been an automatic one, by the counters before it; NULL: it can. */
static const char *not_automatic(const struct lt_gc_recording *recording,
				 const struct lt_watch_event *seen)
{
	const struct lt_gc_state met = settings_met(seen), *state = &met;
	const struct lt_gc_generation *g = state->generations;
	if (!state->enabled)
		return "automatic collection was off";
	if (g[0].threshold <= 0)
		return "the first threshold is 0: automatic collection was off";
	/* Counters that are some milliseconds old may have changed since, but no faster than this. */
	double possible = (double)(seen->before_age_ns + seen->error_ns) / ALLOCATION_NS;
	if (objects_until(state, 0) > possible)
		return "too few objects had been made for an automatic one";
	if (recording->incremental)
		return NULL;
	if (seen->generation > 0 &&
	    (objects_until(state, seen->generation) > possible || !reached(seen, seen->generation)))
		return "the count of its generation was not over its threshold";
	if (seen->generation == OLDEST && recording->quarter_rule && !quarter_full(state) &&
	    ((double)state->long_lived_total / 4 - (double)state->long_lived_pending > possible ||
	     between(seen, 1) == 0))
		return "the 25 % rule would have put off an automatic full one";
	if (seen->generation == 0 && over(state, 1) &&
	    objects_until(state, 0) + (double)g[0].threshold + 1 > possible)
		return "an automatic one would have collected generation 1 too";
	return NULL;
}

static enum lt_gc_cause called(const struct lt_gc_recording *recording,
			       const struct lt_gc_event *event, const char *concluded,
			       struct lt_text *text)
{
	const struct lt_watch_event *seen = &event->seen;
	lt_text_addf(text, "%s() ",
		     lt_watch_call_name(seen->call == LT_CALL_NONE ? LT_CALL_COLLECT : seen->call));
	add_caller(recording, event, text);
	if (concluded != NULL) {
		char numbers[3][LT_NUMBER_MAX];
		const struct lt_gc_generation *g = seen->before.generations;
		lt_text_addf(text, "; concluded, not seen: %s (counts %s, %s, %s before)",
			     concluded, signed_count(g[0].count, numbers[0]),
			     signed_count(g[1].count, numbers[1]),
			     signed_count(g[2].count, numbers[2]));
	}
	return LT_CAUSE_EXPLICIT;
}

static enum lt_gc_cause decide(const struct lt_gc_recording *recording,
			       const struct lt_gc_event *event, struct lt_text *text)
{
	const struct lt_watch_event *seen = &event->seen;
	/* Callbacks, finalizers and what else Python runs while the interpreter ends may be on the stack. */
	bool own = (event->stack_count == 0 && seen->frame_count == 0) ||
		   (seen->call == LT_CALL_NONE && not_automatic(recording, seen) != NULL);
	if (seen->finalizing && own && seen->call != LT_CALL_COLLECT) {
		lt_text_add(text, "the interpreter shuts down and collects once more itself");
		return LT_CAUSE_SHUTDOWN;
	}
	if (seen->call == LT_CALL_COLLECT || seen->call == LT_CALL_C_COLLECT) {
		const char *why = seen->call_certain ? NULL : not_automatic(recording, seen);
		if (!seen->call_certain && why == NULL)
			why = "the stack stood at such a call";
		return called(recording, event, why, text);
	}
	if (seen->generation < 0 || seen->generation > OLDEST) {
		lt_text_add(text, "which generation it was could not be seen");
		return LT_CAUSE_UNKNOWN;
	}
	if (seen->call_certain)
		return automatic(recording, event, text);
	const char *why = not_automatic(recording, seen);
	return why != NULL ? called(recording, event, why, text)
			   : automatic(recording, event, text);
}

static void add_change(bool *any, struct lt_text *text, const char *what, int64_t before,
		       int64_t after)
{
	char a[LT_NUMBER_MAX], b[LT_NUMBER_MAX];
	if (before == after)
		return;
	lt_text_addf(text, "%s%s went from %s to %s", *any ? ", " : "", what,
		     signed_count(before, a), signed_count(after, b));
	*any = true;
}

static void add_changes(const struct lt_watch_event *seen, struct lt_text *text)
{
	static const char *const thresholds[] = {"threshold 0", "threshold 1", "threshold 2"};
	bool any = false;
	if (seen->before.enabled != seen->after.enabled) {
		lt_text_addf(text, "automatic collection was turned %s",
			     seen->after.enabled ? "on" : "off");
		any = true;
	}
	for (size_t i = 0; i < LT_GC_GENERATIONS; i++)
		add_change(&any, text, thresholds[i], seen->before.generations[i].threshold,
			   seen->after.generations[i].threshold);
	add_change(&any, text, "the debug flags", seen->before.debug, seen->after.debug);
	if (!any)
		lt_text_add(text, "the collector's state was changed");
}

enum lt_gc_cause lt_gc_cause_decide(const struct lt_gc_recording *recording,
				    const struct lt_gc_event *event, struct lt_text *where,
				    struct lt_text *evidence)
{
	const struct lt_watch_event *seen = &event->seen;
	const struct lt_gc_frame *own = lt_gc_own_frame(recording, event);
	char number[LT_NUMBER_MAX];
	if (own != NULL)
		lt_gc_frame_add(own, where);
	switch (seen->kind) {
	case LT_WATCH_COLLECTION:
		return decide(recording, event, evidence);
	case LT_WATCH_CALLED:
		lt_text_addf(evidence, "%s() ", lt_watch_call_name(seen->call));
		add_caller(recording, event, evidence);
		if (seen->call == LT_CALL_SET_THRESHOLD || seen->call == LT_CALL_SET_DEBUG) {
			lt_text_add(evidence, ": ");
			add_changes(seen, evidence);
		}
		break;
	case LT_WATCH_CHANGED:
		add_changes(seen, evidence);
		if (seen->call != LT_CALL_NONE)
			lt_text_addf(evidence, ": %s()", lt_watch_call_name(seen->call));
		lt_text_add(evidence, "; who did it was not seen");
		break;
	case LT_WATCH_MISSED:
		lt_text_addf(evidence,
			     "the counters tell of %s more of generation %d, each over between two "
			     "looks",
			     count(seen->missed, number), seen->generation);
		break;
	}
	return LT_CAUSE_UNKNOWN;
}
