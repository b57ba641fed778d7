#include "analysis/gc_findings.h"

#include "analysis/findings.h"
#include "analysis/gc_causes.h"
#include "base/cleanup.h"

#include <inttypes.h>
#include <string.h>

enum {
	OLDEST = LT_GC_GENERATIONS - 1,
	DEBUG_SAVEALL = 32,      /* Include/internal/pycore_gc.h: _PyGC_DEBUG_SAVEALL */
	STATIC_FULL = 2,         /* full collections that show how little changes */
	STATIC_OBJECTS = 100000, /* long-lived objects that are worth freezing */
	VAIN_FULL = 3,           /* full collections in vain before it is said */
	WAIT_FACTOR = 10,       /* a count this many times over its threshold waited for one call */
	GROWN_BYTES = 16 << 20, /* more memory, worth a word when no collection ran */
	GROWN_OBJECTS = 10000,  /* new tracked objects while the collector is off */
	OFTEN = 5, /* young collections a second; rarer ones are not due to a low threshold */
	USUAL_FACTOR = 10, /* by how much to raise a threshold that is too low */
};

static const double BUDGET_MS = 100,
		    BUDGET_HIGH = 2.5; /* of one pause; high from so many times that */
static const double CPU_SHARE = 0.05;  /* of young collections */
static const double HOT_SHARE = 0.01, HOT_HIGH_SHARE = 0.1; /* of the time, in explicit ones */
static const double HOT_EVERY_S = 10;                       /* or more often than this */
static const double STATIC_SHARE = 0.05; /* of long-lived objects that change in between */
static const double WAIT_MS = 20;

static const char *plural(uint64_t count)
{
	return count == 1 ? "" : "s";
}

static const char *kind_name(int generation)
{
	static const char *const names[] = {"Young", "Middle", "Full"};
	return generation >= 0 && generation <= OLDEST ? names[generation] : "";
}

/* "every 2.1 s", "12 a second", "once". */
static const char *rate(struct lt_findings *findings, uint64_t count, double seconds)
{
	if (count == 1)
		return "once";
	if (count == 0 || seconds <= 0)
		return "never";
	double each = seconds / (double)count;
	if (each >= 0.95)
		return lt_finding_format(findings, "every %.1f s", each);
	return lt_finding_format(findings, 1 / each < 9.95 ? "%.1f a second" : "%.0f a second",
				 1 / each);
}

static const char *milliseconds(struct lt_findings *findings, double ms)
{
	return ms >= 1000 ? lt_finding_format(findings, "%.2f s", ms / 1000)
	       : ms >= 10 ? lt_finding_format(findings, "%.0f ms", ms)
			  : lt_finding_format(findings, "%.2g ms", ms);
}

/* "file:line:function" as "file:line in function()". */
static const char *spot(struct lt_findings *findings, const char *where)
{
	const char *function = strrchr(where, ':');
	if (function == NULL)
		return where;
	const char *file_end = function > where && function[-1] == ':' ? function - 1 : function;
	return lt_finding_format(findings, "%.*s in %s%s", (int)(file_end - where), where,
				 function + 1, function[1] == '<' ? "" : "()");
}

/* Those of one place, whatever their generation; the cause is that of `place`. */
static struct lt_gc_place whole_place(const struct lt_gc_summary *summary,
				      const struct lt_gc_place *place, bool *ret_mixed)
{
	struct lt_gc_place sum = {
		.where = place->where, .cause = place->cause, .generation = place->generation};
	*ret_mixed = false;
	for (size_t i = 0; i < summary->place_count; i++) {
		const struct lt_gc_place *other = &summary->places[i];
		if (other->cause != place->cause || strcmp(other->where, place->where) != 0)
			continue;
		*ret_mixed |= other->generation != place->generation;
		sum.count += other->count;
		sum.collected += other->collected;
		sum.total_ns += other->total_ns;
		sum.max_ns = other->max_ns > sum.max_ns ? other->max_ns : sum.max_ns;
	}
	return sum;
}

/* Of generations `from` to `to` the place with the most time, or the most runs where no times are known. */
static struct lt_gc_place main_place(const struct lt_gc_summary *summary, int from, int to)
{
	struct lt_gc_place most = {.where = (char *)""};
	for (size_t i = 0; i < summary->place_count; i++) {
		struct lt_gc_place sum = summary->places[i];
		if (sum.generation < from || sum.generation > to)
			continue;
		for (size_t k = 0; k < summary->place_count; k++) {
			const struct lt_gc_place *other = &summary->places[k];
			if (k == i || other->generation < from || other->generation > to ||
			    (other->cause == LT_CAUSE_EXPLICIT) !=
				    (sum.cause == LT_CAUSE_EXPLICIT) ||
			    strcmp(other->where, sum.where) != 0)
				continue;
			sum.count += other->count;
			sum.total_ns += other->total_ns;
		}
		if (sum.total_ns > most.total_ns ||
		    (sum.total_ns == most.total_ns && sum.count > most.count))
			most = sum;
	}
	return most;
}

/* The last call of that function that was seen, NULL: none. */
static const struct lt_gc_event *last_call(const struct lt_gc_recording *recording,
					   enum lt_watch_call call)
{
	for (size_t i = recording->events.count; i-- > 0;) {
		const struct lt_gc_event *event = &recording->events.data[i];
		if (event->seen.kind == LT_WATCH_CALLED && event->seen.call == call &&
		    event->seen.interpreter == 0 && *event->where != '\0')
			return event;
	}
	return NULL;
}

static void point(struct lt_findings *findings, struct lt_finding *finding, const char *where)
{
	const char *function = strrchr(where, ':');
	if (finding != NULL && function != NULL)
		finding->where =
			lt_finding_format(findings, "%.*s", (int)(function - where), where);
}

/* Where the program itself calls the library that `where` is in: "" when it is in no library, or that was not seen. */
static const char *through_library(struct lt_findings *findings,
				   const struct lt_gc_recording *recording, const char *where)
{
	for (size_t i = 0; i < recording->events.count && *where != '\0'; i++) {
		const struct lt_gc_event *event = &recording->events.data[i];
		if (event->seen.kind != LT_WATCH_COLLECTION || strcmp(event->where, where) != 0)
			continue;
		const struct lt_gc_frame *own = lt_gc_own_frame(recording, event);
		const struct lt_gc_frame *program = lt_gc_program_frame(recording, event);
		if (program == NULL || program == own)
			return "";
		return lt_finding_format(findings, "%s:%d in %s%s", program->file, program->line,
					 program->function, *program->function == '<' ? "" : "()");
	}
	return "";
}

static void explicit_place(struct lt_findings *findings, const struct lt_gc_recording *recording,
			   const struct lt_gc_summary *summary, const struct lt_gc_place *place,
			   bool mixed)
{
	double seconds = lt_gc_summary_seconds(summary);
	double share = lt_gc_summary_share(summary, place->total_ns);
	bool often = place->count >= 2 && seconds / (double)place->count <= HOT_EVERY_S;
	if (place->cause != LT_CAUSE_EXPLICIT || (share < HOT_SHARE && !often))
		return;
	struct lt_finding *finding = lt_finding_begin(findings, "gc-explicit-collect",
						      share >= HOT_HIGH_SHARE ? LT_HIGH
						      : share >= HOT_SHARE    ? LT_MEDIUM
									      : LT_LOW,
						      (double)place->total_ns);
	if (finding == NULL)
		return;
	lt_finding_int(findings, finding, "collections", place->count);
	lt_finding_real(findings, finding, "per_second", (double)place->count / seconds);
	lt_finding_real(findings, finding, "time_share", share);
	lt_finding_real(findings, finding, "pause_max_ms", (double)place->max_ns / 1e6);
	lt_finding_int(findings, finding, "collected", place->collected);
	point(findings, finding, place->where);
	bool known = *place->where != '\0';
	const char *program = through_library(findings, recording, place->where);
	finding->title = lt_finding_format(
		findings, "%s are called %s%s%s: %.1f %% of the time",
		mixed ? "Collections"
		      : lt_finding_format(findings, "%s collections", kind_name(place->generation)),
		rate(findings, place->count, seconds), known ? " at " : "",
		known ? spot(findings, place->where) : "", share * 100);
	finding->expression = "gc.collect()";
	finding->explanation = lt_finding_format(
		findings,
		"Each call looks at every object of its generations, whatever the thresholds say; "
		"the longest took %s. Together they freed %s objects.%s%s%s",
		milliseconds(findings, (double)place->max_ns / 1e6),
		lt_findings_count(findings, place->collected),
		known ? "" : " From where was not seen; the probe source (root) sees it.",
		*program != '\0' ? " An installed library does it, which is called at " : "",
		*program != '\0' ? lt_finding_format(findings, "%s.", program) : "");
	if (*program != '\0')
		lt_finding_string(findings, finding, "called_through", program);
	finding->fix =
		*program != '\0'
			? lt_finding_format(
				  findings,
				  "Have the library do without it, by a setting of its own or "
				  "another version, or call it more rarely at %s: its call of "
				  "gc.collect() is one for the whole process.",
				  program)
			: "Take the call out of the path that runs so often: leave collections to "
			  "the "
			  "thresholds, or call it when the service is idle, for example once after "
			  "start-up.";
}

static void explicit_places(struct lt_findings *findings, const struct lt_gc_recording *recording,
			    const struct lt_gc_summary *summary)
{
	for (size_t i = 0; i < summary->place_count; i++) {
		bool mixed, first = true;
		for (size_t k = 0; k < i && first; k++)
			first = summary->places[k].cause != summary->places[i].cause ||
				strcmp(summary->places[k].where, summary->places[i].where) != 0;
		struct lt_gc_place whole = whole_place(summary, &summary->places[i], &mixed);
		if (first)
			explicit_place(findings, recording, summary, &whole, mixed);
	}
}

/* Thresholds are no help against a call, nor against what one call into C makes. */
static const char *shorter_pauses(struct lt_findings *findings,
				  const struct lt_gc_recording *recording,
				  const struct lt_gc_event *longest)
{
	const struct lt_gc_generation *young = &longest->seen.before.generations[0];
	if (longest->cause == LT_CAUSE_EXPLICIT)
		return lt_finding_format(
			findings,
			"Take the call of gc.collect()%s%s out, or move it to where nobody waits: "
			"no threshold has a say in it. gc.freeze() after start-up, or fewer "
			"containers, make each collection shorter: its length follows the number "
			"of tracked objects, not bytes.",
			*longest->where != '\0' ? " at " : "",
			*longest->where != '\0' ? spot(findings, longest->where) : "");
	if (longest->seen.generation == 0 && recording->at_eval_breaker && young->threshold > 0 &&
	    young->count / WAIT_FACTOR >= young->threshold)
		return "Have one call make fewer objects at a time (fetch in batches, parse a "
		       "stream): all that it makes is looked at in one go, whatever the threshold.";
	return "See what other thresholds would give (lowtide gc --advise), call gc.freeze() "
	       "after start-up so that what stays is not looked at again, or keep fewer "
	       "containers: pauses follow the number of tracked objects, not bytes.";
}

static void long_pauses(struct lt_findings *findings, const struct lt_gc_recording *recording,
			const struct lt_gc_summary *summary, double budget_ms)
{
	const struct lt_gc_event *longest = NULL;
	uint64_t over = 0;
	for (size_t i = 0; i < recording->events.count; i++) {
		const struct lt_gc_event *event = &recording->events.data[i];
		if (event->seen.kind != LT_WATCH_COLLECTION)
			continue;
		uint64_t ns = event->seen.end_ns - event->seen.start_ns;
		over += (double)ns / 1e6 >= budget_ms;
		if (longest == NULL || ns > longest->seen.end_ns - longest->seen.start_ns)
			longest = event;
	}
	double ms = (double)summary->all.pauses.max_ns / 1e6;
	if (longest == NULL || ms < budget_ms)
		return;
	struct lt_finding *finding =
		lt_finding_begin(findings, "gc-long-pauses",
				 ms >= budget_ms * BUDGET_HIGH ? LT_HIGH : LT_MEDIUM, ms * 1e6);
	if (finding == NULL)
		return;
	lt_finding_int(findings, finding, "pauses_over_budget", over);
	lt_finding_real(findings, finding, "budget_ms", budget_ms);
	lt_finding_real(findings, finding, "pause_max_ms", ms);
	lt_finding_real(findings, finding, "pause_p99_ms",
			lt_gc_pauses_ms(&summary->all.pauses, 0.99));
	lt_finding_int(findings, finding, "generation", (uint64_t)longest->seen.generation);
	lt_finding_string(findings, finding, "cause", lt_gc_cause_name(longest->cause));
	point(findings, finding, longest->where);
	finding->title =
		lt_finding_format(findings,
				  "The program stood still for %s in one collection, %" PRIu64
				  " time%s for %.0f ms or more",
				  milliseconds(findings, ms), over, plural(over), budget_ms);
	finding->explanation = lt_finding_format(
		findings,
		"The longest was of generation %d: %s. No thread of the program runs Python "
		"meanwhile.",
		longest->seen.generation, longest->evidence);
	finding->fix = shorter_pauses(findings, recording, longest);
}

static void in_vain(struct lt_findings *findings, const struct lt_gc_summary *summary)
{
	const struct lt_gc_group *full = &summary->by_generation[OLDEST];
	double share = lt_gc_summary_share(summary, full->pauses.total_ns);
	if (full->count < VAIN_FULL || summary->full_in_vain < full->count)
		return;
	struct lt_finding *finding = lt_finding_begin(findings, "gc-full-in-vain",
						      share >= HOT_SHARE ? LT_MEDIUM : LT_LOW,
						      (double)full->pauses.total_ns);
	if (finding == NULL)
		return;
	lt_finding_int(findings, finding, "full_collections", full->count);
	lt_finding_int(findings, finding, "collected", full->collected);
	lt_finding_real(findings, finding, "time_share", share);
	lt_finding_real(findings, finding, "pause_max_ms", (double)full->pauses.max_ns / 1e6);
	finding->title = lt_finding_format(findings,
					   "%s full collections freed nothing: %.1f %% of the time",
					   lt_findings_count(findings, full->count), share * 100);
	struct lt_gc_place place = main_place(summary, OLDEST, OLDEST);
	bool called = place.cause == LT_CAUSE_EXPLICIT, known = *place.where != '\0';
	point(findings, finding, place.where);
	bool all = place.count >= full->count;
	uint64_t crossed = summary->by_cause[LT_CAUSE_THRESHOLD_2].count;
	const char *how =
		called ? lt_finding_format(findings, "%s of them were called",
					   all ? "All" : lt_findings_count(findings, place.count))
		       : lt_finding_format(
				 findings, "%s because the thresholds were crossed",
				 crossed >= full->count
					 ? "They came"
					 : lt_finding_format(findings, "%s of them came",
							     lt_findings_count(findings, crossed)));
	const char *ran =
		called ? " at "
		       : lt_finding_format(findings, ", %s while the program was at ",
					   all ? "all of them"
					       : lt_findings_count(findings, place.count));
	finding->explanation = lt_finding_format(
		findings,
		"None of them found an object in an unreachable cycle: all that lives is "
		"reachable, or freed by its reference counts. %s%s%s.",
		how, known ? ran : "", known ? spot(findings, place.where) : "");
	finding->fix =
		called ? lt_finding_format(
				 findings,
				 "Take out the call of gc.collect()%s%s, or call it more rarely; "
				 "gc.freeze() after start-up makes each one shorter.",
				 known ? " at " : "", known ? spot(findings, place.where) : "")
		       : "Make full collections rarer: raise the third threshold (lowtide gc "
			 "--advise says to what), or call gc.freeze() after start-up.";
}

static void too_often(struct lt_findings *findings, const struct lt_gc_recording *recording,
		      const struct lt_gc_summary *summary)
{
	uint64_t young = summary->by_cause[LT_CAUSE_THRESHOLD_0].pauses.total_ns +
			 summary->by_cause[LT_CAUSE_THRESHOLD_1].pauses.total_ns;
	double share = lt_gc_summary_cpu_share(summary, young);
	uint64_t count = summary->by_generation[0].count + summary->by_generation[1].count;
	struct lt_gc_place place = main_place(summary, 0, OLDEST - 1);
	/* Each interpreter has thresholds of its own. */
	int64_t threshold = place.interpreter != 0 ? place.threshold0
						   : summary->last.state.generations[0].threshold;
	if (share < CPU_SHARE || lt_gc_summary_share(summary, young) < HOT_SHARE ||
	    threshold <= 0 || lt_gc_summary_seconds(summary) * OFTEN > (double)count)
		return;
	struct lt_finding *finding = lt_finding_begin(
		findings, "gc-thresholds-low",
		lt_gc_summary_share(summary, young) >= CPU_SHARE ? LT_HIGH : LT_MEDIUM,
		(double)young);
	if (finding == NULL)
		return;
	lt_finding_real(findings, finding, "cpu_share", share);
	lt_finding_int(findings, finding, "collections", count);
	lt_finding_int(findings, finding, "threshold0", (uint64_t)threshold);
	lt_finding_int(findings, finding, "default_threshold0",
		       (uint64_t)recording->usual_thresholds[0]);
	finding->title = lt_finding_format(
		findings,
		"Young collections take %.0f %% of the processor time: "
		"the first threshold is %" PRId64 "%s",
		share * 100, threshold,
		threshold == recording->usual_thresholds[0] ? ", the default" : "");
	finding->expression = "gc.get_threshold()";
	const struct lt_gc_event *set = last_call(recording, LT_CALL_SET_THRESHOLD);
	int64_t usual = recording->usual_thresholds[0];
	int64_t better = threshold * USUAL_FACTOR;
	bool known = *place.where != '\0';
	point(findings, finding, place.where);
	finding->explanation = lt_finding_format(
		findings,
		"%s of them ran in %.0f s. Each looks at the newest objects, most of which are "
		"still in use so shortly after they were made.%s%s%s%s%s%s",
		lt_findings_count(findings, count), lt_gc_summary_seconds(summary),
		known ? " Most of their time is in those that ran at " : "",
		known ? spot(findings, place.where) : "", known ? "." : "",
		set != NULL ? " gc.set_threshold() was called at " : "",
		set != NULL ? spot(findings, set->where) : "", set != NULL ? "." : "");
	finding->fix = lt_finding_format(findings,
					 "Raise the first threshold: gc.set_threshold(%" PRId64
					 "). lowtide gc --what-if says what that gives.",
					 better > usual ? better : usual);
}

static void freezing_pays(struct lt_findings *findings, const struct lt_gc_recording *recording,
			  const struct lt_gc_summary *summary)
{
	const struct lt_gc_group *full = &summary->by_generation[OLDEST];
	const struct lt_gc_survival *old = &summary->survival[OLDEST];
	uint64_t first = summary->first.state.long_lived_total;
	uint64_t last = summary->last.state.long_lived_total;
	if (!recording->quarter_rule || summary->frozen || full->count < STATIC_FULL ||
	    last < STATIC_OBJECTS || old->examined == 0)
		return;
	double gone = 1 - (double)old->survived / (double)old->examined;
	double grown = first > 0 ? (double)last / (double)first - 1 : 1;
	if (gone > STATIC_SHARE || grown > STATIC_SHARE || grown < -STATIC_SHARE)
		return;
	double share = lt_gc_summary_share(summary, full->pauses.total_ns);
	struct lt_finding *finding = lt_finding_begin(findings, "gc-freeze-pays",
						      share >= HOT_SHARE ? LT_MEDIUM : LT_LOW,
						      (double)full->pauses.total_ns);
	if (finding == NULL)
		return;
	lt_finding_int(findings, finding, "long_lived", last);
	lt_finding_int(findings, finding, "full_collections", full->count);
	lt_finding_real(findings, finding, "freed_share", gone);
	lt_finding_real(findings, finding, "pause_max_ms", (double)full->pauses.max_ns / 1e6);
	lt_finding_real(findings, finding, "time_share", share);
	finding->title = lt_finding_format(
		findings,
		"%s long-lived objects hardly change, and %s full collections went through them",
		lt_findings_count(findings, last), lt_findings_count(findings, full->count));
	finding->expression = "gc.get_freeze_count()";
	finding->explanation = lt_finding_format(
		findings,
		"%.1f %% of what they looked at was garbage; the rest was looked at for nothing, "
		"%s at "
		"a time.",
		gone * 100, milliseconds(findings, lt_gc_pauses_ms(&full->pauses, 0.5)));
	struct lt_gc_place place = main_place(summary, OLDEST, OLDEST);
	bool called = place.cause == LT_CAUSE_EXPLICIT && *place.where != '\0';
	if (called)
		point(findings, finding, place.where);
	finding->fix = lt_finding_format(
		findings,
		"After start-up, before the service takes work (and before it forks): "
		"gc.collect(); gc.freeze(). No collection looks at those objects again%s%s.",
		called ? ", nor does the one that is called at " : "",
		called ? spot(findings, place.where) : "");
}

static void off(struct lt_findings *findings, const struct lt_gc_summary *summary)
{
	const struct lt_gc_state *state = &summary->last.state;
	int64_t grown = summary->waiting - summary->first.state.generations[0].count;
	uint64_t waiting = summary->waiting > 0 ? (uint64_t)summary->waiting : 0;
	bool zero = state->enabled && state->generations[0].threshold <= 0;
	if (!summary->sampled || (state->enabled && !zero))
		return;
	struct lt_finding *finding = lt_finding_begin(
		findings, "gc-off", grown >= GROWN_OBJECTS ? LT_MEDIUM : LT_LOW, (double)grown);
	if (finding == NULL)
		return;
	lt_finding_bool(findings, finding, "enabled", state->enabled);
	lt_finding_int(findings, finding, "threshold0",
		       (uint64_t)(zero ? 0 : state->generations[0].threshold));
	lt_finding_real(findings, finding, "tracked_per_second", lt_gc_summary_rate(summary));
	lt_finding_int(findings, finding, "waiting_objects", waiting);
	finding->title = lt_finding_format(
		findings,
		"Automatic collection is off; %s tracked objects were made since the last "
		"collection",
		lt_findings_count(findings, waiting));
	finding->expression = zero ? "gc.get_threshold()" : "gc.isenabled()";
	finding->explanation = "Reference cycles among them stay until gc.collect() is called; all "
			       "else is freed by its "
			       "reference counts. How much of it is garbage now: lowtide doctor.";
	finding->fix =
		zero ? "Give the first threshold a value with gc.set_threshold(), or call "
		       "gc.collect() where a pause does no harm."
		     : "Call gc.enable() after the part that needed it off, or gc.collect() where "
		       "a pause does no harm.";
}

static void kept_garbage(struct lt_findings *findings, const struct lt_gc_summary *summary)
{
	bool saveall = (summary->last.state.debug & DEBUG_SAVEALL) != 0;
	uint64_t uncollectable = summary->all.uncollectable;
	if (!saveall && uncollectable == 0)
		return;
	struct lt_finding *finding =
		lt_finding_begin(findings, saveall ? "gc-saveall" : "gc-uncollectable",
				 saveall ? LT_HIGH : LT_MEDIUM,
				 (double)(saveall ? summary->all.collected : uncollectable));
	if (finding == NULL)
		return;
	lt_finding_int(findings, finding, "debug_flags", summary->last.state.debug);
	lt_finding_int(findings, finding, "collected", summary->all.collected);
	lt_finding_int(findings, finding, "uncollectable", uncollectable);
	finding->expression = "gc.garbage";
	if (saveall) {
		finding->title =
			"gc.DEBUG_SAVEALL is set: what collections find is kept, not freed";
		finding->explanation = lt_finding_format(
			findings,
			"Every object that a collection finds unreachable goes into gc.garbage: %s "
			"in the "
			"time watched.",
			lt_findings_count(findings, summary->all.collected + uncollectable));
		finding->fix = "Remove gc.set_debug(gc.DEBUG_SAVEALL) or gc.DEBUG_LEAK: "
			       "gc.set_debug(0); gc.garbage.clear().";
	} else {
		finding->title = lt_finding_format(
			findings, "gc.garbage grows: %s objects could not be collected",
			lt_findings_count(findings, uncollectable));
		finding->explanation =
			"Objects in unreachable cycles with a tp_del finalizer of C are put "
			"into gc.garbage and stay.";
		finding->fix = "Look at the types in gc.garbage and break their cycles.";
	}
}

/* Who set what a picture of the heap shows as set, where the call was seen. */
static void setter(struct lt_findings *findings, const struct lt_gc_recording *recording)
{
	static const struct {
		const char *id;
		enum lt_watch_call call;
	} calls[] = {{"collector-disabled", LT_CALL_DISABLE},
		     {"gc-off", LT_CALL_DISABLE},
		     {"thresholds-too-high", LT_CALL_SET_THRESHOLD},
		     {"everything-frozen", LT_CALL_FREEZE},
		     {"debug-saveall", LT_CALL_SET_DEBUG},
		     {"gc-saveall", LT_CALL_SET_DEBUG}};
	for (size_t i = 0; i < findings->list.count; i++) {
		struct lt_finding *finding = &findings->list.data[i];
		for (size_t k = 0; k < sizeof(calls) / sizeof(calls[0]); k++) {
			const struct lt_gc_event *event = last_call(recording, calls[k].call);
			if (strcmp(finding->id, calls[k].id) != 0 || event == NULL)
				continue;
			point(findings, finding, event->where);
			finding->explanation = lt_finding_format(
				findings, "%s() was called at %s while lowtide watched. %s",
				lt_watch_call_name(calls[k].call), spot(findings, event->where),
				finding->explanation);
		}
	}
}

/* The same beside what a picture of the heap says of gc.garbage: how fast it grew while the collector was watched. */
static void garbage_grew(struct lt_findings *findings, const struct lt_gc_summary *summary)
{
	double seconds = lt_gc_summary_seconds(summary);
	for (size_t i = 0; i < findings->list.count; i++) {
		struct lt_finding *finding = &findings->list.data[i];
		bool saveall = strcmp(finding->id, "debug-saveall") == 0;
		uint64_t grown =
			summary->all.uncollectable + (saveall ? summary->all.collected : 0);
		if (!saveall && strcmp(finding->id, "uncollectable-garbage") != 0)
			continue;
		lt_finding_int(findings, finding, "added_objects", grown);
		if (grown == 0 || seconds <= 0)
			continue;
		lt_finding_real(findings, finding, "added_per_second", (double)grown / seconds);
		finding->title = lt_finding_format(findings, "%s, and grows: %s more in %.0f s",
						   finding->title,
						   lt_findings_count(findings, grown), seconds);
	}
}

static void waited(struct lt_findings *findings, const struct lt_gc_recording *recording,
		   const struct lt_gc_summary *summary)
{
	int64_t threshold = summary->last.state.generations[0].threshold;
	double ms = (double)summary->longest_wait_ns / 1e6;
	if (!recording->at_eval_breaker || threshold <= 0 || ms < WAIT_MS ||
	    summary->longest_wait < (uint64_t)threshold * WAIT_FACTOR)
		return;
	struct lt_finding *finding = lt_finding_begin(
		findings, "gc-young-pause", ms >= BUDGET_MS ? LT_MEDIUM : LT_LOW, ms * 1e6);
	if (finding == NULL)
		return;
	lt_finding_int(findings, finding, "count0", summary->longest_wait);
	lt_finding_int(findings, finding, "threshold0", (uint64_t)threshold);
	lt_finding_real(findings, finding, "pause_ms", ms);
	for (size_t i = 0; i < recording->events.count; i++) {
		const struct lt_gc_event *event = &recording->events.data[i];
		const struct lt_watch_event *seen = &event->seen;
		if (seen->kind == LT_WATCH_COLLECTION &&
		    seen->before.generations[0].count == (int64_t)summary->longest_wait &&
		    seen->end_ns - seen->start_ns == summary->longest_wait_ns)
			point(findings, finding, event->where);
	}
	finding->title = lt_finding_format(
		findings,
		"One collection took %s for %s new objects, although the threshold is %" PRId64,
		milliseconds(findings, ms), lt_findings_count(findings, summary->longest_wait),
		threshold);
	finding->explanation =
		"This release collects at the next bytecode, so everything that one call into "
		"C makes (json.loads, a driver that fetches rows) is looked at in one go.";
	finding->fix = "Have the call make fewer objects at a time (fetch in batches, parse a "
		       "stream), or keep "
		       "collections out of it with gc.disable() and gc.enable() around it.";
}

static void callbacks(struct lt_findings *findings, const struct lt_gc_recording *recording,
		      const struct lt_gc_summary *summary)
{
	if (recording->callback_count == 0 || summary->all.count == 0)
		return;
	struct lt_finding *finding = lt_finding_begin(findings, "gc-callbacks", LT_INFO, 0);
	if (finding == NULL)
		return;
	for (size_t i = 0; i < recording->callback_count && i < 8; i++)
		lt_finding_string(findings, finding, "callback", recording->callbacks[i]);
	lt_finding_int(findings, finding, "collections", summary->all.count);
	finding->title =
		lt_finding_format(findings, "%zu callback%s run%s before and after each collection",
				  recording->callback_count, plural(recording->callback_count),
				  recording->callback_count == 1 ? "s" : "");
	finding->expression = "gc.callbacks";
	finding->explanation = "Their time is part of every pause, also of the shortest young one.";
	finding->fix =
		"Keep them to a few operations on numbers, and remove those of tools that are no "
		"longer in use.";
}

static void pressure(struct lt_findings *findings, const struct lt_gc_summary *summary)
{
	if (!summary->sampled || summary->all.count > 0 || !summary->last.state.enabled ||
	    summary->last.rss_bytes < summary->first.rss_bytes + GROWN_BYTES)
		return;
	uint64_t grown = summary->last.rss_bytes - summary->first.rss_bytes;
	struct lt_finding *finding =
		lt_finding_begin(findings, "gc-no-pressure", LT_INFO, (double)grown);
	if (finding == NULL)
		return;
	lt_finding_int(findings, finding, "grown_bytes", grown);
	lt_finding_int(findings, finding, "collections", 0);
	finding->title = lt_finding_format(findings, "Memory grew by %s and no collection ran",
					   lt_findings_bytes(findings, grown));
	finding->explanation =
		"That is how CPython works: only the number of new tracked objects starts a "
		"collection, never how much memory is in use or left. Large buffers, strings "
		"and numbers do not count.";
	finding->fix =
		"Find what grows with lowtide leaks; a collection helps only against cycles.";
}

enum lt_status lt_findings_gc(struct lt_findings *findings, const struct lt_gc_recording *recording,
			      const struct lt_gc_summary *summary, double budget_ms)
{
	explicit_places(findings, recording, summary);
	long_pauses(findings, recording, summary, budget_ms > 0 ? budget_ms : BUDGET_MS);
	in_vain(findings, summary);
	too_often(findings, recording, summary);
	freezing_pays(findings, recording, summary);
	/* With a picture of the heap these are found in it, with what they hold. */
	if (findings->picture == NULL) {
		off(findings, summary);
		kept_garbage(findings, summary);
	} else {
		garbage_grew(findings, summary);
	}
	setter(findings, recording);
	waited(findings, recording, summary);
	callbacks(findings, recording, summary);
	pressure(findings, summary);
	return findings->failed ? lt_fail_memory(findings->session) : LT_OK;
}

/* The place with the most time in it, when that is most of the time in pauses. */
static const char *headline(struct lt_findings *findings, const struct lt_gc_recording *recording,
			    const struct lt_gc_summary *summary)
{
	const struct lt_gc_group *all = &summary->all;
	double seconds = lt_gc_summary_seconds(summary);
	uint64_t total = all->pauses.total_ns;
	if (all->count == 0)
		return lt_finding_format(findings, "No collection ran in %.1f s%s.", seconds,
					 !summary->sampled ? ""
					 : !summary->last.state.enabled
						 ? ": automatic collection is off"
						 : "");
	const char *share = lt_finding_format(findings, "%.1f %% of the time",
					      lt_gc_summary_share(summary, total) * 100);
	bool mixed = false;
	struct lt_gc_place most = {0};
	for (size_t i = 0; i < summary->place_count; i++) {
		bool is_mixed;
		struct lt_gc_place place = whole_place(summary, &summary->places[i], &is_mixed);
		if (place.cause == LT_CAUSE_EXPLICIT && place.total_ns > most.total_ns) {
			most = place;
			mixed = is_mixed;
		}
	}
	if (total > 0 && most.total_ns * 2 > total && *most.where != '\0')
		return lt_finding_format(
			findings, "%s%s %s, called at %s: %.0f %% of the pause time.",
			mixed ? "" : kind_name(most.generation),
			mixed ? "Collections" : " collections", rate(findings, most.count, seconds),
			spot(findings, most.where), (double)most.total_ns * 100 / (double)total);
	int worst = 0;
	for (int g = 1; g <= OLDEST; g++) {
		if (summary->by_generation[g].pauses.total_ns >
		    summary->by_generation[worst].pauses.total_ns)
			worst = g;
	}
	const struct lt_gc_group *group = &summary->by_generation[worst];
	(void)recording;
	return lt_finding_format(
		findings, "Collections take %s. %s ones take most of it: %s, the longest %s.",
		share, kind_name(worst), rate(findings, group->count, seconds),
		milliseconds(findings, (double)group->pauses.max_ns / 1e6));
}

static int worst_first(const void *left, const void *right)
{
	const struct lt_finding *a = left, *b = right;
	if (a->severity != b->severity)
		return a->severity < b->severity ? 1 : -1;
	return (a->weight < b->weight) - (a->weight > b->weight);
}

enum lt_status lt_gc_result_judge(struct lt_session *session, struct lt_gc_result *result)
{
	struct lt_findings findings = {.session = session, .strings = &result->strings};
	result->headline = headline(&findings, &result->recording, &result->summary);
	enum lt_status status =
		lt_findings_gc(&findings, &result->recording, &result->summary, result->budget_ms);
	if (status != LT_OK) {
		lt_finding_list_deinit(&findings.list);
		return status;
	}
	if (findings.list.count > 0)
		qsort(findings.list.data, findings.list.count, sizeof(*findings.list.data),
		      worst_first);
	result->findings = findings.list.data;
	result->finding_count = findings.list.count;
	return LT_OK;
}

bool lt_gc_result_has(const struct lt_gc_result *result, enum lt_severity level)
{
	for (size_t i = 0; i < result->finding_count; i++) {
		if (result->findings[i].severity >= level)
			return true;
	}
	return false;
}

void lt_gc_result_deinit(struct lt_gc_result *result)
{
	lt_gc_recording_deinit(&result->recording);
	lt_gc_summary_deinit(&result->summary);
	free(result->findings);
	lt_arena_deinit(&result->strings);
	*result = (struct lt_gc_result){0};
}
