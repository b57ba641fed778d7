#include "analysis/gc_model_parts.h"
#include "analysis/gc_waits.h"

#include <math.h>

/* However long the recording and however low the threshold: a replay ends, and what is left is taken as alike. */
enum { STEPS_MOST = 1000000, COLLECTIONS_MOST = 200000 };

/* The program and its collector while they are replayed. */
struct replay {
	const struct lt_gc_model *model;
	int64_t thresholds[LT_GC_GENERATIONS];
	double bound; /* 0: none */
	int64_t older[LT_GC_GENERATIONS];
	double count;
	/* Objects of units that are over, by generation; garbage of a unit is where the oldest part of it is. */
	double garbage[LT_GC_GENERATIONS], kept[LT_GC_GENERATIONS];
	double base; /* up to here the path is in those two */
	int home;    /* where the garbage of the unit that is under way will be */
	double flight[LT_GC_GENERATIONS]; /* objects of that unit that collections made older */
	double looked_at;                 /* the level at the last collection in it */
	double trailing; /* garbage that hangs on the oldest generation and will follow there */
	bool due;        /* the threshold was crossed, the collection has not begun */
	double delay;    /* and will not for so many allocations */
	uint64_t delays_used;
	double spare; /* objects in free lists: whoever takes one is not counted */
	double refilled;
	double live, total, pending;
	double all_passing;
	double alike[LT_GC_GENERATIONS]; /* collections that took about as long as the longest */
	double longest_ns[LT_GC_GENERATIONS], time_ns[LT_GC_GENERATIONS];
	struct lt_gc_waits waits;
	uint64_t collections[LT_GC_GENERATIONS], all,
		crossings[2]; /* outside, in calls of C code */
	double candidates[LT_GC_GENERATIONS], collected[LT_GC_GENERATIONS];
};

static double least(double a, double b)
{
	return a < b ? a : b;
}

static double most(double a, double b)
{
	return a > b ? a : b;
}

/* What the path rose by up to here is out of the hands of the program, or stays. */
static void settle(struct replay *replay, double base)
{
	double rise = most(base - replay->base, 0);
	replay->garbage[replay->home] += rise * replay->model->garbage_share;
	replay->kept[0] += rise * (1 - replay->model->garbage_share);
	replay->base = most(base, replay->base);
}

/* A unit of work is over. */
static void end_unit(struct replay *replay, const struct lt_gc_step *at)
{
	double before = replay->garbage[2];
	settle(replay, at->base);
	if (replay->home == 2)
		replay->trailing += most(replay->garbage[2] - before - replay->flight[2], 0);
	replay->home = 0;
	replay->flight[1] = replay->flight[2] = 0;
	replay->looked_at = at->level;
}

/*
 * What a collection of `generation` at `level` does to the unit that is under way: its objects are in use and become older.
 * Once the first of its garbage to be is among them, all of that stays until their generation is collected.
 * Returns the objects looked at; `ret_oldest`: those that are new in the oldest generation.
 */
static double age_unit(struct replay *replay, int generation, double level,
		       const struct lt_gc_step *step, double *ret_oldest)
{
	double height = level - step->low, fresh = 0, looked = 0, oldest = 0;
	if (step->rest || !(height > 0)) {
		*ret_oldest = 0;
		return 0;
	}
	fresh = least(most(level - most(replay->looked_at, step->low), 0), height);
	looked = fresh + (generation > 0 ? replay->flight[1] : 0) +
		 (generation > 1 ? replay->flight[2] : 0);
	if (generation == 0) {
		replay->flight[1] += fresh;
	} else {
		oldest = fresh + replay->flight[1];
		replay->flight[2] = least(replay->flight[2] + oldest, height);
		replay->flight[1] = 0;
	}
	replay->looked_at = level;
	if (height > replay->model->garbage_from * (step->top - step->low)) {
		int home = generation < 2 ? generation + 1 : 2;
		replay->home = home > replay->home ? home : replay->home;
	}
	*ret_oldest = oldest;
	return looked;
}

static void note_time(struct replay *replay, int generation, double took_ns)
{
	static const double much_longer = 1.15;
	double *longest = &replay->longest_ns[generation], *alike = &replay->alike[generation];
	replay->time_ns[generation] += took_ns;
	if (took_ns > *longest * much_longer)
		*alike = 0;
	*longest = most(*longest, took_ns);
	if (took_ns > *longest / much_longer)
		++*alike;
}

/* What is freed fills the free lists; a full collection clears them at its end. */
static void refill(struct replay *replay, int generation, double freed)
{
	const struct lt_gc_refill *refill = &replay->model->refill;
	double before = replay->spare;
	replay->spare = least(before + freed * refill->share, most(refill->most, before));
	if (generation == 2)
		replay->spare = 0;
	else
		replay->refilled += replay->spare - before;
}

/* Objects of units that are over, as a collection would count them. */
static double waiting(const struct replay *replay)
{
	double objects = 0;
	for (int i = 0; i < LT_GC_GENERATIONS; i++)
		objects += replay->garbage[i] * replay->model->found[i];
	return objects;
}

/* gc_collect_main(): the generation and those younger are looked at; what survives is one older. */
static void collect(struct replay *replay, int generation, double level,
		    const struct lt_gc_step *step)
{
	const struct lt_gc_model *model = replay->model;
	if (step->rest)
		settle(replay, least(level, step->base));
	lt_gc_waits_note(&replay->waits, generation, waiting(replay));
	double collected = 0, kept = 0, oldest;
	double in_use = age_unit(replay, generation, level, step, &oldest);
	double fresh = replay->garbage[0] + replay->kept[0] + in_use;
	for (int i = 0; i <= generation; i++) {
		collected += replay->garbage[i];
		kept += replay->kept[i];
		replay->garbage[i] = replay->kept[i] = 0;
	}
	double candidates =
		most(collected + kept + in_use, replay->count - fresh + collected + kept + in_use);
	if (generation == 2) {
		candidates += replay->live;
		replay->live += kept;
		replay->total = replay->live + most(level - step->low, 0);
		replay->pending = replay->trailing = 0;
	} else {
		replay->kept[generation + 1] += kept;
		replay->older[generation + 1]++;
	}
	if (generation == 1) {
		replay->pending += kept + model->aging * (oldest + replay->trailing);
		replay->all_passing += oldest + replay->trailing;
		replay->trailing = 0;
	}
	candidates *= model->scale[generation];
	for (int i = 0; i <= generation; i++)
		replay->older[i] = 0;
	replay->count = 0;
	refill(replay, generation, collected);
	note_time(replay, generation, lt_gc_collection_ns(&model->costs, candidates, collected));
	replay->collections[generation]++;
	replay->all++;
	replay->candidates[generation] += candidates;
	replay->collected[generation] += collected;
}

/* gc_select_generation(): the oldest whose count is over its threshold. */
static int choose(const struct replay *replay)
{
	for (int i = LT_GC_GENERATIONS - 1; i > 0; i--) {
		if (replay->older[i] <= replay->thresholds[i])
			continue;
		if (i == 2 && replay->model->quarter_rule &&
		    floor(replay->pending) < floor(floor(replay->total) / 4))
			continue;
		return i;
	}
	return 0;
}

/* How many more are allocated before the collection that is due now begins: as was seen, in an order without a pattern. */
static double next_delay(struct replay *replay)
{
	const struct lt_gc_model *model = replay->model;
	if (model->delay_count == 0)
		return 0;
	replay->delays_used += 2654435761u;
	return model->delays[(replay->delays_used >> 12) % model->delay_count];
}

static void collect_due(struct replay *replay, double level, const struct lt_gc_step *step)
{
	replay->due = false;
	collect(replay, replay->bound > 0 ? 2 : choose(replay), level, step);
}

static double needed(const struct replay *replay, double counted)
{
	return lt_gc_spare_needed(&replay->model->refill, replay->spare, counted);
}

static double allocate(struct replay *replay, double allocations)
{
	return lt_gc_spare_take(&replay->model->refill, &replay->spare, allocations);
}

/* Net allocations, straight from `from` to `to`. */
static void rise(struct replay *replay, double from, const struct lt_gc_step *to)
{
	double limit = replay->bound > 0 ? replay->bound : (double)replay->thresholds[0];
	double left = to->level - from;
	limit = floor(limit);
	if (!to->held && replay->due && isinf(replay->delay))
		replay->delay = 0;
	while (limit > 0 && replay->all < COLLECTIONS_MOST) {
		if (!replay->due) {
			/* The count is a whole number, and over the threshold by one. */
			double part = needed(replay, most(limit + 1 - replay->count, 0));
			if (part > left)
				break;
			replay->count += allocate(replay, part);
			left -= part;
			replay->due = true;
			replay->delay = to->held ? INFINITY : next_delay(replay);
			replay->crossings[to->held ? 1 : 0]++;
		}
		double delay = isinf(replay->delay) ? INFINITY : needed(replay, replay->delay);
		if (delay > left) {
			double counted = allocate(replay, left);
			replay->delay -= counted;
			replay->count += counted;
			return;
		}
		replay->count += allocate(replay, delay);
		left -= delay;
		collect_due(replay, to->level - left, to);
	}
	replay->count += allocate(replay, left);
}

/* The call of C code is over when its objects go: the counts are looked at once more. */
static void fall(struct replay *replay, const struct lt_gc_step *from, const struct lt_gc_step *to)
{
	if (replay->due && !to->held)
		collect_due(replay, from->level, from);
	replay->count = most(replay->count - (from->level - to->level), 0);
}

static void set_up(struct replay *replay, const struct lt_gc_model *model,
		   const struct lt_gc_setting *setting)
{
	*replay =
		(struct replay){.model = model, .count = (double)most((double)model->counts[0], 0)};
	for (int i = 0; i < LT_GC_GENERATIONS; i++) {
		replay->thresholds[i] = setting->thresholds[i] > 0 ? setting->thresholds[i] : 0;
		replay->older[i] = model->counts[i];
	}
	replay->live = model->long_lived;
	replay->total = model->long_lived_total;
	replay->pending = model->long_lived_pending;
	if (setting->freeze) {
		/* gc_freeze_impl(): the lists go, the counts are 0, long_lived_total stays. */
		replay->live = 0;
		replay->count = 0;
		for (int i = 0; i < LT_GC_GENERATIONS; i++)
			replay->older[i] = 0;
	}
	if (setting->bound_bytes > 0) {
		replay->bound = most((double)setting->bound_bytes / model->bytes_per_object, 1);
		replay->thresholds[0] = 0;
	}
}

/* Walks the path again and again until the program has run as long as was recorded; the share that it got to. */
static double walk(struct replay *replay)
{
	const struct lt_gc_steps *steps = &replay->model->steps;
	const struct lt_gc_step *last = &steps->data[steps->count - 1];
	double run_ns = 0, wanted_ns = (double)replay->model->run_ns, raised = 0;
	uint64_t walked = 0;
	struct lt_gc_step at = steps->data[0];
	replay->base = at.base;
	replay->looked_at = at.level;
	while (run_ns < wanted_ns) {
		double before_ns = run_ns;
		for (size_t i = 1; i < steps->count && run_ns < wanted_ns; i++) {
			struct lt_gc_step to = steps->data[i];
			to.level += raised;
			to.base += raised;
			to.low += raised;
			to.top += raised;
			if (to.level > at.level)
				rise(replay, at.level, &to);
			else
				fall(replay, &at, &to);
			if (to.rest)
				end_unit(replay, &to);
			run_ns += (double)to.run_ns;
			at = to;
		}
		walked += steps->count;
		raised += last->level - steps->data[0].level;
		if (run_ns <= before_ns || walked > STEPS_MOST || replay->all >= COLLECTIONS_MOST)
			break;
	}
	settle(replay, at.base);
	return wanted_ns > 0 && run_ns > 0 ? run_ns / wanted_ns : 1;
}

void lt_gc_replay(const struct lt_gc_model *model, const struct lt_gc_setting *setting,
		  struct lt_gc_prediction *ret_prediction, struct lt_gc_averages *ret_averages)
{
	struct lt_gc_prediction prediction = {.setting = *setting};
	struct lt_gc_averages averages = {0};
	struct replay replay;
	set_up(&replay, model, setting);
	if (model->steps.count > 1) {
		double share = walk(&replay);
		double all_ns = 0;
		for (int i = 0; i < LT_GC_GENERATIONS; i++) {
			double count = (double)replay.collections[i];
			prediction.collections[i] = (uint64_t)(count / share + 0.5);
			prediction.collections[i] += model->explicit_collections[i];
			prediction.all_collections += prediction.collections[i];
			prediction.gc_ms[i] = replay.time_ns[i] / share / 1e6;
			all_ns += replay.time_ns[i] / share;
			if (count > 0) {
				averages.candidates[i] = replay.candidates[i] / count;
				averages.collected[i] = replay.collected[i] / count;
			}
		}
		double filling = (double)(replay.collections[0] + replay.collections[1]);
		if (filling > 0)
			averages.refilled = replay.refilled / filling;
		averages.passing = replay.collections[1] > 0
					   ? replay.all_passing / (double)replay.collections[1]
					   : 0;
		double crossings = (double)(replay.crossings[0] + replay.crossings[1]);
		averages.held = crossings > 0 ? (double)replay.crossings[1] / crossings : 0;
		averages.old_garbage = replay.garbage[2] / share;
		/* What waits at the end waits too. */
		prediction.garbage_peak = most(lt_gc_waits_most(&replay.waits), waiting(&replay));
		all_ns += model->explicit_ms * 1e6;
		prediction.gc_time_ms = all_ns / 1e6;
		double time_ns = all_ns + model->program_ns;
		prediction.share = time_ns > 0 ? all_ns / time_ns : 0;
		prediction.pause_max_ms = model->explicit_max_ms;
		for (int i = 0; i < LT_GC_GENERATIONS; i++) {
			double longest = lt_gc_longest_ns(&model->costs, replay.alike[i] / share,
							  replay.longest_ns[i]);
			averages.longest_ns[i] = replay.longest_ns[i];
			prediction.pause_max_ms = most(prediction.pause_max_ms, longest / 1e6);
		}
		prediction.garbage_peak_bytes =
			(uint64_t)least(prediction.garbage_peak * model->bytes_per_object, 1e18);
		prediction.extra_bytes = (int64_t)prediction.garbage_peak_bytes -
					 (int64_t)model->itself.garbage_peak_bytes;
	}
	*ret_prediction = prediction;
	if (ret_averages != NULL)
		*ret_averages = averages;
}

void lt_gc_model_predict(const struct lt_gc_model *model, const struct lt_gc_setting *setting,
			 struct lt_gc_prediction *ret_prediction)
{
	lt_gc_replay(model, setting, ret_prediction, NULL);
}
