#include "analysis/gc_model_parts.h"

#include <math.h>
#include <string.h>

enum {
	USUAL_OBJECT_BYTES = 80,
	BYTES_LEAST = 32,
	BYTES_MOST = 65536,
	SIZES_LEAST = 200, /* objects, below which their sizes say nothing of others */
	REFILLS_LEAST = 8, /* collections, below which garbage of before counts too much */
};

/* A larger figure out of a recording is none. */
static const double PLAUSIBLE = 1e15;

const char *lt_gc_basis_name(enum lt_gc_basis basis)
{
	static const char *const names[] = {"none", "counts", "path"};
	return (unsigned)basis <= LT_BASIS_PATH ? names[basis] : names[0];
}

/* What the recording adds up to. */
struct totals {
	uint64_t automatic[LT_GC_GENERATIONS], all;
	double collected[LT_GC_GENERATIONS], freed;
	double candidates[LT_GC_GENERATIONS];
	uint64_t candidates_of[LT_GC_GENERATIONS];
	double time_ns[LT_GC_GENERATIONS], gc_ns, max_ns[LT_GC_GENERATIONS];
	uint64_t timed[LT_GC_GENERATIONS];
	double lost; /* counts when collections began */
	uint64_t lost_of, delays;
	double kept; /* growth of what lives */
	bool kept_known, exact;
	double refill; /* allocated out of free lists after a collection, on average */
	double aged; /* what a collection of generation 1 adds to long_lived_pending; -1: not known */
};

static bool is_explicit(const struct lt_gc_event *event)
{
	return event->cause == LT_CAUSE_EXPLICIT || event->seen.call == LT_CALL_COLLECT ||
	       event->seen.call == LT_CALL_C_COLLECT;
}

static double bounded(double value, double low, double high)
{
	return value > low ? (value < high ? value : high) : low; /* NaN becomes low */
}

/* Of many delays every so manieth is kept. */
static void note_delay(struct lt_gc_model *model, uint64_t number, double delay)
{
	size_t place = model->delay_count;
	if (place < LT_GC_DELAYS)
		model->delay_count++;
	else
		place = (number * 2654435761u >> 7) % LT_GC_DELAYS;
	model->delays[place] = delay;
}

static void add_collection(const struct lt_gc_event *event, int64_t threshold,
			   struct lt_gc_model *model, struct totals *totals)
{
	const struct lt_watch_event *seen = &event->seen;
	int generation = seen->generation;
	double took = seen->end_ns > seen->start_ns ? (double)(seen->end_ns - seen->start_ns) : 0;
	took = bounded(took, 0, PLAUSIBLE);
	totals->gc_ns += took;
	if (generation < 0 || generation >= LT_GC_GENERATIONS)
		return;
	if (seen->collected >= 0)
		totals->freed += bounded((double)seen->collected, 0, PLAUSIBLE);
	if (is_explicit(event)) {
		model->explicit_collections[generation]++;
		model->explicit_ms += took / 1e6;
		if (took / 1e6 > model->explicit_max_ms)
			model->explicit_max_ms = took / 1e6;
		return;
	}
	totals->automatic[generation]++;
	totals->timed[generation]++;
	totals->time_ns[generation] += took;
	if (took > totals->max_ns[generation])
		totals->max_ns[generation] = took;
	if (seen->collected >= 0)
		totals->collected[generation] += bounded((double)seen->collected, 0, PLAUSIBLE);
	if (seen->candidates >= 0) {
		totals->candidates[generation] += bounded((double)seen->candidates, 0, PLAUSIBLE);
		totals->candidates_of[generation]++;
	}
	int64_t count = seen->before.generations[0].count;
	if (count > 0 && seen->before_age_ns == 0) {
		totals->lost += bounded((double)count, 0, PLAUSIBLE);
		totals->lost_of++;
		if (threshold > 0 && count > threshold)
			note_delay(model, totals->delays++,
				   bounded((double)(count - threshold - 1), 0, PLAUSIBLE));
	}
}

/* Collections that no event tells of: the counters of first and last sample, and events of the kind "missed". */
static void add_unseen(const struct lt_gc_recording *recording, const struct lt_gc_model *model,
		       struct totals *totals)
{
	const struct lt_gc_samples *samples = &recording->samples;
	if (samples->count < 2)
		return;
	const struct lt_gc_state *first = &samples->data[0].state;
	const struct lt_gc_state *last = &samples->data[samples->count - 1].state;
	double freed = 0;
	for (int i = 0; i < LT_GC_GENERATIONS; i++) {
		const struct lt_gc_generation *a = &first->generations[i],
					      *b = &last->generations[i];
		if (b->collections < a->collections || b->collected < a->collected)
			return;
		uint64_t all = b->collections - a->collections;
		double collected = bounded((double)(b->collected - a->collected), 0, PLAUSIBLE);
		freed += collected;
		uint64_t known = totals->automatic[i] + model->explicit_collections[i];
		if (all <= known)
			continue;
		double missing = (double)(all - known);
		if (missing > PLAUSIBLE)
			return;
		/* They were the short ones: too short to be seen, or not worth keeping. */
		double mean = totals->timed[i] > 0 ? totals->time_ns[i] / (double)totals->timed[i]
						   : INFINITY;
		double looked_at = bounded((double)a->threshold, 0, 1e6);
		double usual =
			lt_gc_collection_ns(&model->costs, looked_at, collected / (double)all);
		mean = mean < usual ? mean : usual;
		totals->automatic[i] += (uint64_t)missing;
		totals->timed[i] += (uint64_t)missing;
		totals->time_ns[i] += mean * missing;
		totals->gc_ns += mean * missing;
		if (collected > totals->collected[i])
			totals->collected[i] = collected;
	}
	if (freed > totals->freed)
		totals->freed = freed;
}

/* Between samples with no full collection in between. */
static void measure_aging(const struct lt_gc_recording *recording, struct totals *totals)
{
	double aged = 0, count = 0;
	totals->aged = -1;
	for (size_t i = 1; i < recording->samples.count; i++) {
		const struct lt_gc_state *a = &recording->samples.data[i - 1].state;
		const struct lt_gc_state *b = &recording->samples.data[i].state;
		if (a->generations[2].collections != b->generations[2].collections ||
		    a->long_lived_total != b->long_lived_total || a->collecting || b->collecting ||
		    b->long_lived_pending < a->long_lived_pending ||
		    b->generations[1].collections <= a->generations[1].collections)
			continue;
		aged += (double)(b->long_lived_pending - a->long_lived_pending);
		count += (double)(b->generations[1].collections - a->generations[1].collections);
	}
	if (count > 0)
		totals->aged = bounded(aged / count, 0, PLAUSIBLE);
}

/* How much what lives has grown: exact between full collections, else by what has become old. */
static void measure_growth(const struct lt_gc_recording *recording, struct totals *totals)
{
	const struct lt_gc_samples *samples = &recording->samples;
	if (samples->count < 2)
		return;
	const struct lt_gc_state *first = &samples->data[0].state;
	size_t last_full = 0, first_full = 0;
	for (size_t i = 1; i < samples->count; i++) {
		const struct lt_gc_state *a = &samples->data[i - 1].state;
		const struct lt_gc_state *b = &samples->data[i].state;
		if (a->long_lived_total == b->long_lived_total &&
		    a->generations[2].collections == b->generations[2].collections)
			continue;
		last_full = i;
		if (first_full == 0)
			first_full = i;
	}
	const struct lt_gc_sample *begin = &samples->data[0];
	const struct lt_gc_sample *end = &samples->data[samples->count - 1];
	double total = (double)first->long_lived_total, pending = (double)first->long_lived_pending;
	if (last_full > first_full && pending > total / 20)
		begin = &samples->data[first_full];
	double from =
		(double)begin->state.long_lived_total + (double)begin->state.long_lived_pending;
	if (last_full > 0) {
		end = &samples->data[last_full];
		totals->exact = true;
	}
	double to = (double)end->state.long_lived_total + (double)end->state.long_lived_pending;
	double all_ns = (double)(recording->end_ns - recording->start_ns);
	double span_ns = end->at_ns > begin->at_ns ? (double)(end->at_ns - begin->at_ns) : 0;
	/* Too short a part tells nothing of the rest. */
	if (span_ns < all_ns / 4) {
		end = &samples->data[samples->count - 1];
		begin = &samples->data[0];
		to = (double)end->state.long_lived_total + (double)end->state.long_lived_pending;
		from = total + pending;
		span_ns = end->at_ns > begin->at_ns ? (double)(end->at_ns - begin->at_ns) : 0;
		totals->exact = false;
	}
	if (span_ns <= 0 || (total <= 0 && to <= 0))
		return;
	totals->kept = bounded((to - from) * all_ns / span_ns, 0, PLAUSIBLE);
	totals->kept_known = true;
}

/*
 * What stays is known exactly between full collections. Otherwise it is what became old and is neither in use for a while
 * only nor garbage that was in use when its generation was collected.
 */
static void fit_garbage(struct totals *totals, const struct lt_gc_averages *averages,
			struct lt_gc_model *model)
{
	double n1 = (double)totals->automatic[1], garbage = totals->freed;
	double all = model->flow * (double)model->run_ns;
	if (!totals->exact && totals->aged >= 0)
		totals->kept = bounded((totals->aged - averages->passing) * n1, 0, PLAUSIBLE);
	if (totals->kept_known)
		garbage = bounded(all - totals->kept, garbage, 4 * garbage);
	model->garbage_share = all > 0 ? bounded(garbage / all, 0, 1) : 0;
}

/*
 * Where in a unit of work its garbage begins: so that the recorded settings find as much in each generation as was found. Among
 * places that fit alike it is the first.
 */
static void fit_garbage_from(const struct totals *totals, struct lt_gc_model *model)
{
	enum { PLACES = 8 };
	static const double alike = 0.005;
	double seen = 0, wrong[PLACES + 1], least = INFINITY;
	for (int i = 0; i < LT_GC_GENERATIONS; i++)
		seen += totals->collected[i];
	if (seen <= 0)
		return;
	for (int place = 0; place <= PLACES; place++) {
		struct lt_gc_prediction prediction;
		struct lt_gc_averages averages;
		model->garbage_from = (double)place / PLACES;
		lt_gc_replay(model, &model->recorded, &prediction, &averages);
		double found = 0;
		for (int i = 0; i < LT_GC_GENERATIONS; i++)
			found += averages.collected[i] * (double)prediction.collections[i];
		wrong[place] = 0;
		for (int i = 0; i < LT_GC_GENERATIONS && found > 0; i++)
			wrong[place] += fabs(averages.collected[i] *
						     (double)prediction.collections[i] / found -
					     totals->collected[i] / seen);
		least = wrong[place] < least ? wrong[place] : least;
	}
	int place = 0;
	while (place < PLACES && wrong[place] > least + alike)
		place++;
	model->garbage_from = (double)place / PLACES;
}

/* Objects in use out of free lists were never counted: what becomes old with each collection says how many there are. */
static void fit_aging(const struct totals *totals, const struct lt_gc_averages *averages,
		      struct lt_gc_model *model)
{
	double n1 = (double)totals->automatic[1];
	if (!totals->exact || !totals->kept_known || totals->aged < 0 || n1 <= 0 ||
	    averages->passing <= 0)
		return;
	model->aging = bounded((totals->aged - totals->kept / n1) / averages->passing, 0.5, 3);
}

/*
 * Not all garbage counts as collected: some goes by reference counting with the first of it, some is not tracked. Collections
 * of an older generation find mostly what waited there.
 */
static void fit_found(const struct totals *totals, struct lt_gc_model *model)
{
	struct lt_gc_prediction prediction;
	struct lt_gc_averages averages;
	double found = 0, seen = 0;
	lt_gc_replay(model, &model->recorded, &prediction, &averages);
	for (int i = 0; i < LT_GC_GENERATIONS; i++) {
		found += averages.collected[i] * (double)prediction.collections[i];
		seen += totals->collected[i];
	}
	if (!(found > 0) || !(seen > 0))
		return;
	for (int i = 0; i < LT_GC_GENERATIONS; i++) {
		double each = averages.collected[i], times = seen / found;
		if (totals->automatic[i] > 0 && each > 0 && totals->collected[i] > 0)
			times = totals->collected[i] / (double)totals->automatic[i] / each;
		model->found[i] = bounded(times, 0.25, 2);
	}
}

static void fit_costs(const struct lt_gc_recording *recording, const struct totals *totals,
		      struct lt_gc_model *model)
{
	struct lt_gc_prediction prediction;
	struct lt_gc_averages averages;
	struct lt_gc_cost_data data = {0};
	lt_gc_replay(model, &model->recorded, &prediction, &averages);
	for (int i = 0; i < LT_GC_GENERATIONS; i++) {
		if (totals->timed[i] == 0)
			continue;
		data.timed[i] = totals->timed[i];
		data.ns[i] = totals->time_ns[i] / (double)totals->timed[i];
		data.candidates[i] = averages.candidates[i];
		data.collected[i] = averages.collected[i];
		if (totals->candidates_of[i] > 0) {
			double seen = totals->candidates[i] / (double)totals->candidates_of[i];
			if (averages.candidates[i] > 0)
				model->scale[i] = bounded(seen / averages.candidates[i], 0.1, 10);
			data.candidates[i] = seen;
		}
	}
	lt_gc_costs_fit(recording, &data, model->bytes_per_object, &model->costs);
	lt_gc_replay(model, &model->recorded, &prediction, &averages);
	lt_gc_costs_note_longest(totals->max_ns, averages.longest_ns, &model->costs);
}

static void fit_bytes(const struct lt_gc_recording *recording, struct lt_gc_model *model)
{
	const struct lt_young_sizes *young = &recording->young;
	double each = young->objects > 0 ? (double)young->bytes / (double)young->objects : 0;
	model->bytes_known =
		young->objects >= SIZES_LEAST && each >= BYTES_LEAST && each <= BYTES_MOST;
	model->bytes_per_object = model->bytes_known ? each : USUAL_OBJECT_BYTES;
}

static void take_start(const struct lt_gc_recording *recording, struct lt_gc_model *model)
{
	model->costs = lt_gc_costs_usual(USUAL_OBJECT_BYTES);
	const struct lt_gc_state *state = NULL;
	if (recording->samples.count > 0)
		state = &recording->samples.data[0].state;
	else if (recording->events.count > 0)
		state = &recording->events.data[0].seen.before;
	for (int i = 0; i < LT_GC_GENERATIONS; i++) {
		model->scale[i] = model->found[i] = model->aging = 1;
		model->recorded.thresholds[i] = state != NULL ? state->generations[i].threshold : 0;
		int64_t count = state != NULL ? state->generations[i].count : 0;
		model->counts[i] = count > 0 && count < (1 << 30) ? count : 0;
	}
	if (state == NULL)
		return;
	model->long_lived_total = bounded((double)state->long_lived_total, 0, PLAUSIBLE);
	model->long_lived_pending = bounded((double)state->long_lived_pending, 0, PLAUSIBLE);
	model->long_lived = model->long_lived_total + model->long_lived_pending;
}

static const char *why_not(const struct lt_gc_recording *recording, const struct totals *totals,
			   const struct lt_gc_model *model)
{
	if (recording->incremental)
		return "the incremental collector of this release works by other rules";
	if (recording->end_ns <= recording->start_ns)
		return "the recording has no length";
	if (model->recorded.thresholds[0] <= 0 && recording->path.count < 2)
		return "automatic collection is off (threshold 0) and the path of the count was "
		       "not recorded";
	if (totals->all == 0 && recording->path.count < 2)
		return "no automatic collection was seen";
	return "";
}

/* What comes out of free lists is not counted. */
static void fit_refill(const struct lt_gc_recording *recording, struct totals *totals,
		       struct lt_gc_model *model)
{
	double collected = 0, filled = 0;
	for (int i = 0; i < LT_GC_GENERATIONS; i++)
		collected += totals->collected[i];
	for (int i = 0; i < LT_GC_GENERATIONS - 1; i++)
		filled += totals->collected[i];
	double of = (double)(totals->automatic[0] + totals->automatic[1]);
	if (of <= 0)
		return;
	struct lt_gc_refill *refill = &model->refill;
	if (lt_gc_refill_measure(&recording->path, refill)) {
		/* Until it is known what the replay thinks is freed. */
		double freed = fmax(filled / of, 1);
		refill->share = bounded(refill->each / freed, 0, 1);
	} else if (totals->lost_of >= REFILLS_LEAST && of >= REFILLS_LEAST && filled > 0) {
		double lost = totals->lost * (double)totals->all / (double)totals->lost_of;
		lt_gc_refill_conclude(bounded(collected - lost, 0, PLAUSIBLE), of, filled, refill);
	}
	totals->refill = refill->each * of / (double)totals->all;
}

/* Without the program having been watched in between. */
static enum lt_status fit_even(struct lt_session *session, double lost, struct lt_gc_model *model)
{
	model->basis = LT_BASIS_COUNTS;
	model->flow = lost / (double)model->run_ns;
	if (!lt_gc_steps_even(lost, model->run_ns, &model->steps))
		return lt_fail_memory(session);
	return LT_OK;
}

/* How often the recorded settings would have collected, were the program to run for `run_ns` on this path. */
static double collections_in(struct lt_gc_model *model, double run_ns, double *ret_passing)
{
	struct lt_gc_prediction prediction = {0};
	struct lt_gc_averages averages;
	model->run_ns = (uint64_t)bounded(run_ns, 1, PLAUSIBLE);
	lt_gc_replay(model, &model->recorded, &prediction, &averages);
	double count = 0;
	for (int i = 0; i < LT_GC_GENERATIONS; i++)
		count += (double)(prediction.collections[i] - model->explicit_collections[i]);
	model->itself = prediction;
	*ret_passing = averages.passing;
	return count;
}

/*
 * The stretches are a small part of the recording, and the machine may have been busier then or less so: the program
 * goes on the path for so long that as many collections come out as there were. Returns what was passing then.
 */
static double fit_length(const struct totals *totals, struct lt_gc_model *model)
{
	enum { ROUNDS = 5 };
	static const double close = 0.003, far = 1000;
	double wanted = (double)totals->all, length = model->program_ns, passing = 0;
	for (int round = 0; round < ROUNDS && wanted > 0; round++) {
		double got = collections_in(model, length, &passing);
		if (got <= 0 || fabs(wanted / got - 1) < close)
			break;
		length = bounded(length * wanted / got, model->program_ns / far,
				 model->program_ns * far);
	}
	model->run_ns = (uint64_t)bounded(length, 1, PLAUSIBLE);
	return passing;
}

/* The lists were seen to be filled by so much: what share that is of what the replay thinks is freed. */
static void fit_filling(const struct totals *totals, struct lt_gc_model *model)
{
	enum { ROUNDS = 4 };
	static const double close = 0.02;
	struct lt_gc_refill *refill = &model->refill;
	for (int round = 0; round < ROUNDS && refill->measured; round++) {
		struct lt_gc_averages averages;
		lt_gc_replay(model, &model->recorded, &model->itself, &averages);
		if (!(averages.refilled > 0) || fabs(refill->each / averages.refilled - 1) < close)
			return;
		double times = bounded(refill->each / averages.refilled, 0.2, 5);
		refill->share = bounded(refill->share * times, 0, 4);
		fit_length(totals, model);
	}
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/*
 * Crossings in a call of C code wait for its end, which the path shows. Of the delays that were seen theirs are the
 * longest; what is left is that of crossings between two bytecodes.
 */
static void fit_delays(struct lt_gc_model *model)
{
	struct lt_gc_prediction prediction;
	struct lt_gc_averages averages;
	lt_gc_replay(model, &model->recorded, &prediction, &averages);
	if (averages.held <= 0)
		return;
	qsort(model->delays, model->delay_count, sizeof(*model->delays), by_size);
	double left = (double)model->delay_count * (1 - averages.held);
	model->delay_count = (size_t)bounded(left, 0, LT_GC_DELAYS);
}

/*
 * What was collected and what stayed was allocated: less is an error of the stretches, which are few. So is more than was
 * counted and came out of the free lists, `allocated` in all; where these were not read, more than `stayed`, unless units of work say it: some
 * garbage goes by reference counting along with what is collected, and some is not tracked. False: no memory.
 */
static bool fit_flow(const struct totals *totals, double stayed, double allocated, bool regular,
		     struct lt_gc_model *model)
{
	enum { ROUNDS = 3 };
	static const double close = 0.01;
	double most = regular ? INFINITY : stayed;
	if (model->refill.measured)
		most = fmax(allocated, stayed);
	for (int round = 0; round < ROUNDS && model->flow > 0; round++) {
		double flowed = model->flow * (double)model->run_ns;
		double wanted = flowed < stayed ? stayed : fmin(flowed, most);
		if (!(wanted > 0) || fabs(wanted / flowed - 1) < close)
			break;
		model->flow *= bounded(wanted / flowed, 0.5, 2);
		if (!lt_gc_steps_tilt(&model->steps, model->flow))
			return false;
		fit_length(totals, model);
	}
	return true;
}

static enum lt_status fit_path(struct lt_session *session, const struct lt_gc_recording *recording,
			       struct totals *totals, struct lt_gc_model *model)
{
	double lost = totals->lost_of > 0
			      ? totals->lost * (double)totals->all / (double)totals->lost_of
			      : (double)model->recorded.thresholds[0] * (double)totals->all;
	lost = bounded(lost, 0, PLAUSIBLE);
	bool regular = false;
	for (int round = 0; round < 2; round++) {
		double stayed = totals->kept_known ? totals->freed + totals->kept : lost;
		double taken_back = lost > 0 ? 1 - bounded(stayed / lost, 0, 1) : 1;
		if (!lt_gc_steps_build(&recording->path, taken_back, &model->refill,
				       stayed / model->program_ns,
				       (double)model->recorded.thresholds[0], &model->steps,
				       &model->flow, &regular))
			return lt_fail_memory(session);
		if (model->steps.count < 2)
			return fit_even(session, lost + totals->refill * (double)totals->all,
					model);
		model->basis = LT_BASIS_PATH;
		/* What fills the free lists is garbage: a first idea of how much there is. */
		if (totals->refill > 0)
			model->garbage_share = bounded(totals->freed / stayed, 0, 1);
		if (round == 0)
			fit_delays(model);
		double passing = fit_length(totals, model);
		if (totals->all > 0 && model->itself.all_collections == 0)
			return fit_even(session, lost + totals->refill * (double)totals->all,
					model);
		if (totals->exact || !totals->kept_known)
			break;
		/* What became old and was freed later stays in long_lived_pending until a full collection. */
		if (round == 0)
			totals->kept =
				bounded(totals->kept - passing * (double)totals->automatic[1], 0,
					PLAUSIBLE);
	}
	if (totals->kept_known && totals->freed > 0 &&
	    !fit_flow(totals, totals->freed + totals->kept,
		      lost + totals->refill * (double)totals->all, regular, model))
		return lt_fail_memory(session);
	return LT_OK;
}

enum lt_status lt_gc_model_fit(struct lt_session *session, const struct lt_gc_recording *recording,
			       struct lt_gc_model *ret_model)
{
	struct lt_gc_model model = {.why = "", .quarter_rule = recording->quarter_rule};
	struct totals totals = {0};
	take_start(recording, &model);
	for (size_t i = 0; i < recording->events.count; i++) {
		const struct lt_gc_event *event = &recording->events.data[i];
		if (event->seen.kind == LT_WATCH_COLLECTION)
			add_collection(event, model.recorded.thresholds[0], &model, &totals);
	}
	add_unseen(recording, &model, &totals);
	for (int i = 0; i < LT_GC_GENERATIONS; i++) {
		totals.all += totals.automatic[i];
		model.seen_collections[i] = totals.automatic[i] + model.explicit_collections[i];
		model.seen_ms[i] = totals.time_ns[i] / 1e6;
		model.seen_max_ms[i] = totals.max_ns[i] / 1e6;
	}
	model.why = why_not(recording, &totals, &model);
	if (*model.why != '\0') {
		*ret_model = model;
		return LT_OK;
	}
	double length_ns = (double)(recording->end_ns - recording->start_ns);
	model.program_ns = bounded(length_ns - totals.gc_ns, length_ns / 20 + 1, length_ns);
	model.run_ns = (uint64_t)bounded(model.program_ns, 1, PLAUSIBLE);
	measure_growth(recording, &totals);
	measure_aging(recording, &totals);
	fit_refill(recording, &totals, &model);
	if (!recording->at_eval_breaker)
		model.delay_count = 0;
	fit_bytes(recording, &model);
	enum lt_status status = fit_path(session, recording, &totals, &model);
	if (status != LT_OK) {
		lt_gc_model_deinit(&model);
		return status;
	}
	struct lt_gc_averages averages;
	lt_gc_replay(&model, &model.recorded, &model.itself, &averages);
	fit_garbage(&totals, &averages, &model);
	fit_garbage_from(&totals, &model);
	lt_gc_replay(&model, &model.recorded, &model.itself, &averages);
	fit_garbage(&totals, &averages, &model);
	/* How much is garbage says how full the free lists get, and that how often it is collected. */
	if (totals.refill > 0) {
		fit_length(&totals, &model);
		fit_filling(&totals, &model);
	}
	lt_gc_replay(&model, &model.recorded, &model.itself, &averages);
	fit_aging(&totals, &averages, &model);
	fit_found(&totals, &model);
	fit_costs(recording, &totals, &model);
	lt_gc_replay(&model, &model.recorded, &model.itself, NULL);
	model.itself.extra_bytes = 0;
	*ret_model = model;
	return LT_OK;
}

void lt_gc_model_deinit(struct lt_gc_model *model)
{
	lt_gc_steps_deinit(&model->steps);
	*model = (struct lt_gc_model){.why = ""};
}
