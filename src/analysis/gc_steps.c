#include "analysis/gc_model_parts.h"

#include <math.h>

enum { STEPS_OF_COUNTS = 4 };

static bool add_step(struct lt_gc_steps *steps, double level, uint64_t run_ns, bool joint)
{
	const struct lt_gc_step step = {.level = level, .run_ns = run_ns, .joint = joint};
	return lt_gc_steps_push(steps, step);
}

/* What was allocated when the count changed by so much. */
static double allocated_for(double change, const struct lt_gc_refill *refill, double *spare)
{
	if (change <= 0)
		return change;
	double allocated = lt_gc_spare_needed(refill, *spare, change);
	lt_gc_spare_take(refill, spare, allocated);
	return allocated;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

LT_VEC(falls, double);

static bool is_move(const struct lt_watch_point *point)
{
	return point->kind == LT_POINT_MOVE || point->kind == LT_POINT_HELD;
}

/* What units of work have in common, from those that no collection and no floor at 0 met; 0: not known. */
struct usual_unit {
	double fall; /* of the count at its end */
	double net;  /* what it leaves */
	bool net_known;
};

/* The middle of those of at least `least`, where there are some and half of them are within `width` of each other. */
static bool middle_of(struct falls *values, double least, double width, double *ret_middle)
{
	enum { FEW = 6 };
	size_t first = 0;
	if (values->count > 0)
		qsort(values->data, values->count, sizeof(*values->data), compare);
	while (first < values->count && values->data[first] < least)
		first++;
	size_t count = values->count - first;
	if (count < FEW)
		return false;
	const double *data = values->data + first;
	*ret_middle = data[count / 2];
	return data[count * 3 / 4] - data[count / 4] <= width;
}

/* Whether the count goes on falling after this point. */
static bool falls_on(const struct lt_watch_points *points, size_t i)
{
	return i + 1 < points->count && is_move(&points->data[i + 1]) &&
	       points->data[i + 1].count <= points->data[i].count;
}

static bool gather_units(const struct lt_watch_points *points, double least, struct falls *falls,
			 struct falls *nets)
{
	double top = -1, low = -1; /* not within what was seen */
	for (size_t i = 0; i < points->count; i++) {
		const struct lt_watch_point *at = &points->data[i];
		double count = (double)at->count;
		if (!is_move(at))
			low = -1;
		if (!is_move(at) || i == 0 || at->count > points->data[i - 1].count)
			top = is_move(at) && i > 0 ? count : -1;
		double fall = top - count;
		if (falls_on(points, i) || fall <= LT_POINT_GRAIN || fall < least)
			continue;
		if (count > 0 && !falls_push(falls, fall))
			return false;
		if (count > 0 && low >= 0 && !falls_push(nets, count - low))
			return false;
		low = count;
	}
	return true;
}

static bool learn_units(const struct lt_watch_points *points, struct usual_unit *unit)
{
	static const double spread = 0.1;
	struct falls falls = {0}, nets = {0}, all = {0};
	double high = 0;
	*unit = (struct usual_unit){0};
	bool added = gather_units(points, 0, &all, &nets);
	for (size_t i = 0; i < all.count; i++)
		high = all.data[i] > high ? all.data[i] : high;
	/* Smaller ones are of what goes on within units. */
	nets.count = 0;
	added = added && gather_units(points, high / 2, &falls, &nets);
	double middle;
	if (added && middle_of(&falls, high / 2, spread * high, &middle))
		unit->fall = middle;
	if (added && unit->fall > 0 && middle_of(&nets, -INFINITY, spread * high, &middle)) {
		unit->net = middle;
		unit->net_known = true;
	}
	falls_deinit(&falls);
	falls_deinit(&nets);
	falls_deinit(&all);
	return added;
}

/*
 * The level is what the count would be without its floor at 0 and without collections. What is allocated before a
 * collection and freed after it takes the count to its floor unseen. Where units of work all end with the same `fall`, what is
 * missing of it is gone; else, when the count has come down to 0, the share `taken_back` of what collections have reset it by. What came out of free
 * lists belongs to the level, too.
 */
static bool walk_points(const struct lt_watch_points *points, const struct usual_unit *unit,
			double taken_back, const struct lt_gc_refill *refill, double threshold,
			struct lt_gc_steps *steps)
{
	static const double last_looks = 0.2;
	double level = 0, debt = 0, spare = 0, top = 0, low = -INFINITY;
	for (size_t i = 0; i < points->count; i++) {
		const struct lt_watch_point *point = &points->data[i];
		const struct lt_watch_point *before = i > 0 ? &points->data[i - 1] : point;
		uint64_t passed = point->at_ns > before->at_ns ? point->at_ns - before->at_ns : 0;
		double change = (double)point->count - (double)before->count;
		bool joint = i == 0;
		/* Nothing at all happened: it had not the processor, or waited. */
		if (point->kind == LT_POINT_HELD && point->count == before->count)
			passed = 0;
		if (change > 0 || !is_move(point))
			top = (double)point->count; /* from where it falls */
		switch ((enum lt_point_kind)point->kind) {
		case LT_POINT_START:
			joint = true;
			passed = 0;
			debt = 0;
			low = -INFINITY;
			break;
		case LT_POINT_GAP:
			/* The same count: the program waited too. */
			joint = fabs(change) > LT_POINT_GRAIN;
			passed = 0;
			break;
		case LT_POINT_END:
			spare = refill->each;
			level += allocated_for((double)point->count, refill, &spare);
			passed = 0;
			break;
		case LT_POINT_MOVE:
		case LT_POINT_HELD:
		case LT_POINT_BEGIN:
			/* The last look before it came a little early. */
			if (point->kind == LT_POINT_BEGIN && point->count <= threshold &&
			    (double)point->count > threshold * (1 - last_looks))
				change += threshold + 1 - (double)point->count;
			level += allocated_for(change, refill, &spare);
			if (point->count == 0) {
				double unseen = unit->fall > top ? unit->fall - top : 0;
				if (unit->fall <= 0)
					unseen = taken_back * debt;
				level -= unseen < debt ? unseen : debt;
				if (debt > 0 && unit->net_known && isfinite(low))
					level = low + unit->net;
				debt = 0;
			}
			if (point->kind == LT_POINT_BEGIN)
				debt += (double)point->count;
			if (unit->fall > 0 && is_move(point) && !falls_on(points, i) &&
			    (top - (double)point->count > unit->fall / 2 || point->count == 0))
				low = level;
			break;
		}
		if (!add_step(steps, level, passed, joint))
			return false;
		steps->data[steps->count - 1].held = point->kind == LT_POINT_HELD;
	}
	return true;
}

/* The end of the stretch that begins at `first`, and how long the program ran in it. */
static size_t stretch_end(const struct lt_gc_steps *steps, size_t first, double *ret_run_ns)
{
	size_t end = first + 1;
	double run_ns = 0;
	for (; end < steps->count && !steps->data[end].joint; end++)
		run_ns += (double)steps->data[end].run_ns;
	*ret_run_ns = run_ns;
	return end;
}

/* Stretches too short to tell a low from a high go, unless they are most of what there is. */
static void drop_short(struct lt_gc_steps *steps)
{
	static const double short_ns = 300000;
	double all_ns = 0, short_all_ns = 0, run_ns;
	for (size_t i = 0; i < steps->count; i = stretch_end(steps, i, &run_ns)) {
		stretch_end(steps, i, &run_ns);
		all_ns += run_ns;
		short_all_ns += run_ns < short_ns ? run_ns : 0;
	}
	if (short_all_ns > all_ns / 2)
		return;
	size_t kept = 0;
	for (size_t i = 0; i < steps->count;) {
		size_t end = stretch_end(steps, i, &run_ns);
		for (; i < end; i++) {
			if (run_ns >= short_ns)
				steps->data[kept++] = steps->data[i];
		}
	}
	steps->count = kept;
}

/* What the level rises by in a ns of the stretches. */
static double rate_of(const struct lt_gc_steps *steps)
{
	double rise = 0, run_ns = 0;
	for (size_t i = 1; i < steps->count; i++) {
		if (steps->data[i].joint)
			continue;
		rise += steps->data[i].level - steps->data[i - 1].level;
		run_ns += (double)steps->data[i].run_ns;
	}
	return run_ns > 0 && rise > 0 ? rise / run_ns : 0;
}

static double largest_fall(const struct lt_gc_steps *steps, size_t first, size_t end)
{
	double high = steps->data[first].level, fall = 0;
	for (size_t i = first; i < end; i++) {
		high = steps->data[i].level > high ? steps->data[i].level : high;
		fall = high - steps->data[i].level > fall ? high - steps->data[i].level : fall;
	}
	return fall;
}

/* How far the level usually falls at most: the height of a burst. -1: no memory. */
static double usual_fall(const struct lt_gc_steps *steps)
{
	struct falls falls = {0};
	double run_ns, middle = 0;
	for (size_t i = 0; i < steps->count;) {
		size_t end = stretch_end(steps, i, &run_ns);
		if (!falls_push(&falls, largest_fall(steps, i, end))) {
			falls_deinit(&falls);
			return -1;
		}
		i = end;
	}
	if (falls.count > 0) {
		qsort(falls.data, falls.count, sizeof(*falls.data), compare);
		middle = falls.data[falls.count / 2];
	}
	falls_deinit(&falls);
	return middle;
}

/* Whether the level has come down by more than half a burst to here, and goes up next. */
static bool is_low(const struct lt_gc_steps *steps, size_t first, size_t end, size_t i, double high,
		   double burst)
{
	double level = steps->data[i].level;
	return i > first && high - level > burst / 2 && i + 1 < end &&
	       steps->data[i + 1].level > level;
}

/* The first and the last point of a stretch at which a unit of work is over; false: there are no two. */
static bool whole_units(const struct lt_gc_steps *steps, size_t first, size_t end, double burst,
			size_t *ret_first, size_t *ret_last)
{
	static const double alike = 0.05;
	double high = steps->data[first].level, rest = INFINITY;
	size_t last = end, from = end;
	for (size_t i = first; i < end; i++) {
		double level = steps->data[i].level;
		if (is_low(steps, first, end, i, high, burst)) {
			/* Lower than before by more than slips: what looked like the end of a unit was within one. */
			if (from == end || level < rest - burst * alike)
				from = i;
			rest = level;
			last = i;
			high = level;
		}
		high = level > high ? level : high;
	}
	*ret_first = from;
	*ret_last = last;
	return from < last && last < end;
}

/*
 * Stretches of several units of work are cut to whole ones: returns how long the program ran in those. The others go
 * when `only`, and stay as they are when not.
 */
static double cut_to_units(struct lt_gc_steps *steps, double burst, bool only, bool try_only)
{
	size_t kept = 0;
	double whole_ns = 0;
	for (size_t i = 0; i < steps->count;) {
		double run_ns, left_ns = 0;
		size_t from = i, last = i, end = stretch_end(steps, i, &run_ns);
		bool cut = whole_units(steps, i, end, burst, &from, &last);
		for (size_t k = from + 1; cut && k <= last; k++)
			left_ns += (double)steps->data[k].run_ns;
		whole_ns += left_ns;
		if (!only && (!cut || left_ns < run_ns / 2)) {
			from = i;
			last = end - 1;
			cut = true;
		}
		for (size_t k = from; cut && !try_only && k <= last; k++) {
			steps->data[kept] = steps->data[k];
			steps->data[kept++].joint |= k == from;
		}
		i = end;
	}
	if (!try_only)
		steps->count = kept;
	return whole_ns;
}

/* How high over its base a stretch ends: what it rose by since the last fall, a burst at most. */
static double height_at_end(const struct lt_gc_steps *steps, size_t first, size_t end, double burst)
{
	double high = steps->data[first].level, low = high;
	for (size_t i = first; i < end; i++) {
		double level = steps->data[i].level;
		if (level < low || high - level > burst / 2) {
			low = level;
			high = level;
		}
		high = level > high ? level : high;
	}
	double height = steps->data[end - 1].level - low;
	return height < burst ? height : burst;
}

/* How high over its base a stretch begins; `height`, that of the end of the one before, when it does not say. */
static double height_at_start(const struct lt_gc_steps *steps, size_t first, size_t end,
			      double burst, double height)
{
	if (largest_fall(steps, first, end) < burst / 2)
		return height;
	double low = steps->data[first].level;
	for (size_t i = first; i < end; i++)
		low = steps->data[i].level < low ? steps->data[i].level : low;
	return steps->data[first].level - low;
}

/*
 * Stretches that were seen apart are put one behind the other, their bases joined: what stays does not jump, what bursts
 * are doing at the time does.
 */
static bool join_stretches(struct lt_gc_steps *steps)
{
	static const double enough = 0.25; /* in whole units: the rest is not needed */
	double burst = usual_fall(steps), base = 0, height = 0, run_ns;
	if (burst < 0)
		return false;
	if (burst > LT_POINT_GRAIN) {
		double whole_ns = cut_to_units(steps, burst, true, true), all_ns = 0;
		for (size_t i = 0; i < steps->count; i++)
			all_ns += steps->data[i].joint ? 0 : (double)steps->data[i].run_ns;
		cut_to_units(steps, burst, whole_ns > all_ns * enough, false);
	}
	for (size_t i = 0; i < steps->count;) {
		size_t end = stretch_end(steps, i, &run_ns);
		height = height_at_start(steps, i, end, burst, height);
		double raise = base + height - steps->data[i].level;
		for (size_t k = i; k < end; k++)
			steps->data[k].level += raise;
		height = height_at_end(steps, i, end, burst);
		base = steps->data[end - 1].level - height;
		i = end;
	}
	return true;
}

/* The whole path rises as the stretches did: what is over is a slip of the joints, taken out evenly. */
static void tilt(struct lt_gc_steps *steps, double flow)
{
	double run_ns = 0, at_ns = 0;
	for (size_t i = 1; i < steps->count; i++)
		run_ns += (double)steps->data[i].run_ns;
	double rise = steps->data[steps->count - 1].level - steps->data[0].level;
	for (size_t i = 1; i < steps->count && run_ns > 0; i++) {
		at_ns += (double)steps->data[i].run_ns;
		steps->data[i].level += (flow * run_ns - rise) * at_ns / run_ns;
	}
}

/* The lowest level that is still to come, the path being walked again and again. */
static void find_base(struct lt_gc_steps *steps)
{
	double rise = steps->data[steps->count - 1].level - steps->data[0].level;
	double low = INFINITY;
	for (size_t i = steps->count; i-- > 0;)
		low = low < steps->data[i].level + rise ? low : steps->data[i].level + rise;
	for (size_t i = steps->count; i-- > 0;) {
		low = low < steps->data[i].level ? low : steps->data[i].level;
		steps->data[i].base = low;
	}
}

/*
 * How high over its base the level usually is while it is over it. The few highest are cut: where stretches were joined
 * wrongly, it is far above for a while. -1: no memory.
 */
static double usual_height(const struct lt_gc_steps *steps)
{
	static const double cut = 0.95;
	struct falls overs = {0};
	double sum = 0, weight = 0;
	for (size_t i = 0; i < steps->count; i++) {
		double over = steps->data[i].level - steps->data[i].base;
		if (over > LT_POINT_GRAIN && !falls_push(&overs, over)) {
			falls_deinit(&overs);
			return -1;
		}
	}
	if (overs.count > 0)
		qsort(overs.data, overs.count, sizeof(*overs.data), compare);
	for (size_t i = 0; i < overs.count; i++) {
		double most = overs.data[(size_t)((double)overs.count * cut)];
		double over = overs.data[i] < most ? overs.data[i] : most;
		sum += over * over;
		weight += over;
	}
	falls_deinit(&overs);
	return weight > 0 ? sum / weight : 0;
}

/*
 * Where a unit of work is over: at the base, but for units that leave a little less or more; and where the level has fallen and
 * is not far over it, as the base errs where stretches were joined.
 */
static bool find_rests(struct lt_gc_steps *steps)
{
	static const double alike = 0.05, deep = 0.5;
	double height = usual_height(steps), high = steps->data[0].level;
	if (height < 0)
		return false;
	for (size_t i = 0; i < steps->count; i++) {
		struct lt_gc_step *step = &steps->data[i];
		double over = step->level - step->base;
		bool low = i + 1 < steps->count && steps->data[i + 1].level > step->level &&
			   high - step->level > deep * height && over < height;
		high = step->level > high ? step->level : high;
		step->rest = over <= LT_POINT_GRAIN + alike * height || low;
		if (step->rest)
			high = step->level;
	}
	return true;
}

/* Units of work: from rest to rest. The one that the end of the path cuts goes on at its begin. */
bool lt_gc_steps_mark(struct lt_gc_steps *steps)
{
	if (steps->count == 0)
		return true;
	find_base(steps);
	if (!find_rests(steps))
		return false;
	double low = steps->data[0].level;
	double rise = steps->data[steps->count - 1].level - steps->data[0].level;
	for (size_t i = 0; i < steps->count; i++) {
		struct lt_gc_step *step = &steps->data[i];
		if (step->rest)
			low = step->level - rise;
	}
	double top = low;
	for (size_t i = 0; i < steps->count; i++) {
		struct lt_gc_step *step = &steps->data[i];
		step->low = low;
		top = step->level > top ? step->level : top;
		step->top = top;
		if (step->rest)
			low = top = step->level;
	}
	for (size_t i = steps->count; i-- > 1;) {
		struct lt_gc_step *step = &steps->data[i - 1];
		if (!step->rest && steps->data[i].top > step->top)
			step->top = steps->data[i].top;
	}
	return true;
}

bool lt_gc_steps_build(const struct lt_watch_points *points, double taken_back,
		       const struct lt_gc_refill *refill, double usual_flow, double threshold,
		       struct lt_gc_steps *steps, double *ret_flow, bool *ret_regular)
{
	double run_ns = 0, travelled = 0;
	struct usual_unit unit;
	steps->count = 0;
	*ret_flow = 0;
	*ret_regular = false;
	if (!learn_units(points, &unit) ||
	    !walk_points(points, &unit, taken_back, refill, threshold, steps))
		return false;
	*ret_regular = unit.net_known;
	drop_short(steps);
	for (size_t i = 1; i < steps->count; i++) {
		if (steps->data[i].joint)
			continue;
		run_ns += (double)steps->data[i].run_ns;
		travelled += fabs(steps->data[i].level - steps->data[i - 1].level);
	}
	if (steps->count < 2 || run_ns <= 0 || travelled < threshold) {
		steps->count = 0;
		return true;
	}
	if (!join_stretches(steps))
		return false;
	*ret_flow = rate_of(steps);
	if (*ret_flow <= 0)
		*ret_flow = usual_flow;
	tilt(steps, *ret_flow);
	return lt_gc_steps_mark(steps);
}

bool lt_gc_steps_tilt(struct lt_gc_steps *steps, double flow)
{
	tilt(steps, flow);
	return lt_gc_steps_mark(steps);
}

bool lt_gc_steps_even(double allocated, uint64_t run_ns, struct lt_gc_steps *steps)
{
	steps->count = 0;
	for (int i = 0; i <= STEPS_OF_COUNTS; i++) {
		double level = allocated * i / STEPS_OF_COUNTS;
		if (!add_step(steps, level, i > 0 ? run_ns / STEPS_OF_COUNTS : 0, i == 0))
			return false;
	}
	return lt_gc_steps_mark(steps);
}
