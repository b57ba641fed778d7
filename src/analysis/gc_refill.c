#include "analysis/gc_model_parts.h"

#include "heap/free_lists.h"

#include <math.h>

enum { MEASURED_LEAST = 4 };

static const double taken_most = 0.9;

double lt_gc_spare_needed(const struct lt_gc_refill *refill, double spare, double counted)
{
	return counted + fmin(spare, counted * refill->taken / (1 - refill->taken));
}

double lt_gc_spare_take(const struct lt_gc_refill *refill, double *spare, double allocated)
{
	double taken = fmin(*spare, allocated * refill->taken);
	*spare -= taken;
	return allocated - taken;
}

struct sums {
	double fillings, filled, lists; /* by collections that were seen from begin to end */
	double drains, drained;         /* from there to the begin of the next */
	double counted;                 /* meanwhile, also of what went by reference counting */
};

static void add_filling(struct sums *sums, const struct lt_watch_point *begin,
			const struct lt_watch_point *end)
{
	/* A full one has cleared them. */
	if (end->free_tuples < begin->free_tuples)
		return;
	sums->filled += end->free_tuples - begin->free_tuples;
	sums->lists += end->free_lists;
	sums->fillings++;
}

static void add_drain(struct sums *sums, const struct lt_watch_point *end,
		      const struct lt_watch_point *begin)
{
	sums->drained += (double)end->free_tuples - begin->free_tuples;
	sums->counted += end->count;
	for (const struct lt_watch_point *point = end + 1; point <= begin; point++)
		sums->counted += fmax((double)point->count - point[-1].count, 0);
	sums->drains++;
}

bool lt_gc_refill_measure(const struct lt_watch_points *points, struct lt_gc_refill *ret_refill)
{
	struct sums sums = {0};
	const struct lt_watch_point *last = NULL;
	for (size_t i = 0; i < points->count; i++) {
		const struct lt_watch_point *point = &points->data[i];
		if (point->kind == LT_POINT_START || point->kind == LT_POINT_GAP)
			last = NULL;
		if (!point->lists_known)
			continue;
		if (last != NULL && last->kind == LT_POINT_BEGIN && point->kind == LT_POINT_END)
			add_filling(&sums, last, point);
		if (last != NULL && last->kind == LT_POINT_END && point->kind == LT_POINT_BEGIN)
			add_drain(&sums, last, point);
		last = point;
	}
	*ret_refill = (struct lt_gc_refill){0};
	if (sums.fillings < MEASURED_LEAST)
		return false;
	struct lt_gc_refill refill = {.measured = true};
	refill.each = sums.filled / sums.fillings;
	refill.most = LT_FREE_TUPLES_MOST * fmax(sums.lists / sums.fillings, 1);
	double taken = refill.each / (refill.each + refill.most);
	if (sums.drains > 0 && sums.counted > 0)
		taken = sums.drained / (sums.drained + sums.counted);
	refill.taken = fmin(fmax(taken, 0.001), taken_most);
	*ret_refill = refill;
	return true;
}

/*
 * The rest came out of the free lists. Lists and dicts have 80 each, tuples 2,000 of each length, so that only tuples make
 * many. Less than that cannot be told from what goes by reference counting.
 */
void lt_gc_refill_conclude(double uncounted, double collections, double collected,
			   struct lt_gc_refill *ret_refill)
{
	static const double lists_and_dicts = 160;
	struct lt_gc_refill refill = {.most = lists_and_dicts};
	refill.each = fmin(uncounted / collections, lists_and_dicts + LT_FREE_TUPLES_MOST);
	refill.share = refill.taken = fmin(refill.each * collections / collected, taken_most);
	if (refill.each > lists_and_dicts)
		refill.most += LT_FREE_TUPLES_MOST;
	*ret_refill = refill;
}
