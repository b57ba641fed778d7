#include "analysis/gc_cost.h"

#include "analysis/gc_recording.h"
#include "base/cleanup.h"

#include <math.h>
#include <stdlib.h>

/* Of CPython 3.9 to 3.15 on several machines; what the recording does not say is taken from here. */
static const struct lt_gc_costs usual = {
	.each_ns = 1200,
	.look_ns = 25,
	.free_ns = 20,
	.look_far = 0.45,
	.free_far = 0.65,
	.spread = 0.2,
};

enum {
	PARAMETERS =
		3, /* the processor's work, waiting for what stays, waiting for what is freed */
	REGRESSED_LEAST = 30,
	REGRESSED_MOST = 4096,
	SPREAD_WEIGHT = 8, /* collections that say as much of the spread as what is usual */
	SPREAD_MOST_OF = 64,
};

/* As that of the collections that were seen, in between by the logarithm of the size. */
static double left_over(const struct lt_gc_costs *costs, double candidates)
{
	int above = 0;
	while (above < costs->left_count && costs->left[above].candidates < candidates)
		above++;
	if (costs->left_count == 0)
		return 1;
	if (above == 0 || above == costs->left_count)
		return costs->left[above == 0 ? 0 : above - 1].times;
	double low = costs->left[above - 1].candidates, high = costs->left[above].candidates;
	double place = log(candidates / low) / log(high / low);
	return costs->left[above - 1].times * (1 - place) + costs->left[above].times * place;
}

/*
 * The made-up heap has the caches to itself, the program needs them for other things between two collections: where
 * the next cache would do, part of the objects is not in it.
 */
static double far_ns_of(const struct lt_gc_costs *costs, double candidates)
{
	static const double shared_ns = 50;
	double ns = lt_gc_cache_ns(&costs->cache, candidates * costs->bytes);
	return ns + shared_ns * (1 - exp(-ns / shared_ns));
}

double lt_gc_collection_ns(const struct lt_gc_costs *costs, double candidates, double collected)
{
	double far_ns = far_ns_of(costs, candidates);
	double ns = costs->each_ns + candidates * (costs->look_ns + costs->look_far * far_ns) +
		    collected * (costs->free_ns + costs->free_far * far_ns);
	return ns * left_over(costs, candidates);
}

double lt_gc_longest_ns(const struct lt_gc_costs *costs, double count, double ns)
{
	if (!(count > 1))
		return ns;
	/* Where the largest of so many normal figures lies on average (Blom), by Tukey's approximation of the quantile. */
	double share = (count - 0.375) / (count + 0.25);
	double deviations = 4.91 * (pow(share, 0.14) - pow(1 - share, 0.14));
	return fmax(ns * exp(costs->spread * deviations), ns + costs->interrupted_ns);
}

/* Young collections are short: what makes one much longer came from outside, and comes however long they are. */
void lt_gc_costs_note_longest(const double seen_ns[LT_GC_GENERATIONS],
			      const double should_ns[LT_GC_GENERATIONS], struct lt_gc_costs *costs)
{
	static const double most_ns = 1000000;
	for (int i = 0; i < LT_GC_GENERATIONS - 1; i++) {
		if (should_ns[i] > 0)
			costs->interrupted_ns = fmax(costs->interrupted_ns,
						     fmin(seen_ns[i] - should_ns[i], most_ns));
	}
}

/* --- what freeing costs more than looking ----------------------------------------------------- */

struct pair {
	double share, ns; /* freed, of those looked at; an object */
};
LT_VEC(pairs, struct pair);

static int by_ns(const void *a, const void *b)
{
	double x = ((const struct pair *)a)->ns, y = ((const struct pair *)b)->ns;
	return (x > y) - (x < y);
}

static double took_ns(const struct lt_gc_event *event)
{
	const struct lt_watch_event *seen = &event->seen;
	if (seen->kind != LT_WATCH_COLLECTION || seen->error_ns > 0 ||
	    seen->end_ns <= seen->start_ns)
		return 0;
	return (double)(seen->end_ns - seen->start_ns);
}

/* A line through the young collections: they differ in what they find. False: they do not tell, or no memory. */
static bool regress(const struct lt_gc_recording *recording, double *ret_look, double *ret_free)
{
	LT_CLEANUP(pairs_deinit) struct pairs pairs = {0};
	for (size_t i = 0; i < recording->events.count && pairs.count < REGRESSED_MOST; i++) {
		const struct lt_gc_event *event = &recording->events.data[i];
		double took = took_ns(event), looked = (double)event->seen.candidates;
		if (looked < 0 && event->seen.before_age_ns == 0)
			looked = (double)event->seen.before.generations[0].count;
		if (event->seen.generation != 0 || took <= 0 || looked < 100 ||
		    event->seen.collected < 0)
			continue;
		double share = (double)event->seen.collected / looked;
		if (share > 1 || !pairs_push(&pairs, (struct pair){share, took / looked}))
			continue;
	}
	if (pairs.count < REGRESSED_LEAST)
		return false;
	/* Those that were interrupted are left out. */
	qsort(pairs.data, pairs.count, sizeof(*pairs.data), by_ns);
	double sum_x = 0, sum_y = 0, sum_xx = 0, sum_xy = 0, n = 0;
	for (size_t i = 0; i < pairs.count * 9 / 10; i++) {
		double x = pairs.data[i].share, y = pairs.data[i].ns;
		sum_x += x;
		sum_y += y;
		sum_xx += x * x;
		sum_xy += x * y;
		n++;
	}
	double variance = sum_xx / n - sum_x / n * sum_x / n;
	if (!(variance > 0.003))
		return false;
	double slope = (sum_xy / n - sum_x / n * sum_y / n) / variance;
	double start = (sum_y - slope * sum_x) / n;
	if (!(start > 2) || !(slope > start / 2) || !(slope < 10 * start))
		return false;
	*ret_look = start;
	*ret_free = slope;
	return true;
}

/* --- the scale of each part ---------------------------------------------------------------------- */

static struct lt_gc_costs scaled(const struct lt_gc_costs *costs, const double by[PARAMETERS])
{
	struct lt_gc_costs scaled = *costs;
	scaled.each_ns *= exp(by[0]);
	scaled.look_ns *= exp(by[0]);
	scaled.free_ns *= exp(by[0]);
	scaled.look_far *= exp(by[1]);
	scaled.free_far *= exp(by[2]);
	return scaled;
}

/* How unlikely it is: by how much the collections' averages are off, and by how much the costs are from what is usual. */
static double unlikely(const struct lt_gc_costs *costs, const struct lt_gc_cost_data *data,
		       const double by[PARAMETERS])
{
	static const double usually[PARAMETERS] = {1.2, 0.4, 0.4}, exact = 0.15;
	struct lt_gc_costs tried = scaled(costs, by);
	double sum = 0;
	for (int i = 0; i < PARAMETERS; i++)
		sum += by[i] * by[i] / (usually[i] * usually[i]);
	for (int i = 0; i < LT_GC_GENERATIONS; i++) {
		if (data->timed[i] == 0 || !(data->ns[i] > 0) || !(data->candidates[i] > 0))
			continue;
		double off = log(data->ns[i] / lt_gc_collection_ns(&tried, data->candidates[i],
								   data->collected[i]));
		double variance =
			exact * exact + usual.spread * usual.spread / (double)data->timed[i];
		sum += off * off / variance;
	}
	return sum;
}

/* Steps along each parameter, ever smaller, as long as they make it more likely. */
static void search(const struct lt_gc_cost_data *data, struct lt_gc_costs *costs)
{
	enum { HALVINGS = 8 };
	double by[PARAMETERS] = {0}, best = unlikely(costs, data, by), step = 1;
	for (int halving = 0; halving < HALVINGS; halving++, step /= 2) {
		bool better = true;
		for (int turn = 0; turn < 50 && better; turn++) {
			better = false;
			for (int i = 0; i < 2 * PARAMETERS; i++) {
				double kept = by[i / 2];
				by[i / 2] += i % 2 == 0 ? step : -step;
				double got = unlikely(costs, data, by);
				if (got < best) {
					best = got;
					better = true;
				} else {
					by[i / 2] = kept;
				}
			}
		}
	}
	*costs = scaled(costs, by);
}

static void note_left(const struct lt_gc_cost_data *data, struct lt_gc_costs *costs)
{
	static const double most = 2;
	struct lt_gc_costs noted = *costs;
	for (int i = 0; i < LT_GC_GENERATIONS; i++) {
		double candidates = data->candidates[i];
		if (data->timed[i] == 0 || !(data->ns[i] > 0) || !(candidates > 0))
			continue;
		double times =
			data->ns[i] / lt_gc_collection_ns(costs, candidates, data->collected[i]);
		times = fmin(fmax(times, 1 / most), most);
		int at = noted.left_count++;
		for (; at > 0 && noted.left[at - 1].candidates > candidates; at--)
			noted.left[at] = noted.left[at - 1];
		noted.left[at].candidates = candidates;
		noted.left[at].times = times;
	}
	*costs = noted;
}

/* --- the spread -------------------------------------------------------------------------------------- */

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* How far each of a generation is from the two beside it: heaps that grow have longer ones all the time. */
static double spread_of(const struct lt_gc_recording *recording, int generation, size_t *ret_count)
{
	double off[SPREAD_MOST_OF], before[2] = {0};
	size_t count = 0;
	for (size_t i = 0; i < recording->events.count && count < SPREAD_MOST_OF; i++) {
		const struct lt_gc_event *event = &recording->events.data[i];
		double took = took_ns(event);
		if (event->seen.generation != generation || took <= 0)
			continue;
		if (before[0] > 0)
			off[count++] = fabs(log(before[1] / sqrt(before[0] * took)));
		before[0] = before[1];
		before[1] = took;
	}
	*ret_count = count;
	if (count == 0)
		return 0;
	qsort(off, count, sizeof(*off), by_size);
	/* The median of a normal figure's size, and a figure's distance from the middle of two others. */
	static const double of_median = 0.6745, of_distance = 1.2247;
	return off[count / 2] / of_median / of_distance;
}

static double fit_spread(const struct lt_gc_recording *recording)
{
	double sum = SPREAD_WEIGHT * usual.spread * usual.spread, weight = SPREAD_WEIGHT;
	for (int i = 1; i < LT_GC_GENERATIONS; i++) {
		size_t count;
		double spread = spread_of(recording, i, &count);
		spread = spread < 2 * usual.spread ? spread : 2 * usual.spread;
		sum += (double)count * spread * spread;
		weight += (double)count;
	}
	return fmax(sqrt(sum / weight), usual.spread);
}

struct lt_gc_costs lt_gc_costs_usual(double bytes_per_object)
{
	/* Of the made-up heap that an object with what lies around it takes the room of. */
	static const double room = 1.8;
	struct lt_gc_costs costs = usual;
	costs.bytes = bytes_per_object * room;
	return costs;
}

void lt_gc_costs_fit(const struct lt_gc_recording *recording, const struct lt_gc_cost_data *data,
		     double bytes_per_object, struct lt_gc_costs *ret_costs)
{
	struct lt_gc_costs costs = lt_gc_costs_usual(bytes_per_object);
	costs.cache = recording->cache;
	regress(recording, &costs.look_ns, &costs.free_ns);
	search(data, &costs);
	note_left(data, &costs);
	costs.spread = fit_spread(recording);
	*ret_costs = costs;
}
