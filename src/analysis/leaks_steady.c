/*
 * How steady growth is. Three looks show it. Two cannot tell a burst from a leak; what they have beside the growth
 * is how much was there at the first one and how long the process had lived by then: a leak has mostly grown
 * before as well, a burst has not. What gains and loses entries is less sure to be a leak, too.
 */
#include "analysis/leaks_parts.h"

static bool of_two(const struct lt_suspecting *suspecting)
{
	return suspecting->leaks->look_count == 2;
}

/* The rate of the whole life before the first look, by that since: 1 when it grew as fast or faster before. */
static double by_life(const struct lt_suspecting *suspecting, double had, double gained)
{
	double life = (double)suspecting->leaks->looks[0].uptime_ms / 1e3;
	if (life <= 0 || suspecting->seconds <= 0 || had <= 0)
		return 0;
	double before = had / life, since = gained / suspecting->seconds;
	return before >= since ? 1 : before / since;
}

double lt_leaks_steadiness(const struct lt_suspecting *suspecting, const double *values)
{
	size_t intervals = suspecting->leaks->look_count - 1;
	double total = values[intervals] - values[0], least = total;
	if (total <= 0)
		return 0;
	if (of_two(suspecting))
		return by_life(suspecting, values[0], total);
	for (size_t i = 0; i < intervals; i++) {
		double step = values[i + 1] - values[i];
		if (step < least)
			least = step;
	}
	double steadiness = least * (double)intervals / total;
	return steadiness <= 0 ? 0 : steadiness >= 1 ? 1 : steadiness;
}

/* A container that got longer is judged by its entries, all else by the bytes that it holds. */
static bool by_entries(const struct lt_growth_point *point)
{
	return point->container && !point->spread && point->length[1] > point->length[0];
}

static double life_of(const struct lt_suspecting *suspecting, const struct lt_growth_point *point)
{
	if (by_entries(point))
		return by_life(suspecting, (double)point->length[0],
			       (double)(point->length[1] - point->length[0]));
	return by_life(suspecting, (double)point->held[0], (double)point->bytes);
}

double lt_leaks_point_steadiness(const struct lt_suspecting *suspecting,
				 const struct lt_growth_point *point)
{
	if (!of_two(suspecting))
		return point->steadiness;
	double life = life_of(suspecting, point);
	return life < point->kept ? life : point->kept;
}

void lt_leaks_tell_two(struct lt_suspecting *suspecting, const struct lt_growth_point *point,
		       struct lt_suspect *suspect)
{
	struct lt_findings *findings = &suspecting->findings;
	if (!of_two(suspecting))
		return;
	double life = (double)suspecting->leaks->looks[0].uptime_ms / 1e3;
	const char *had = by_entries(point)
				  ? lt_finding_format(findings, "%s entries",
						      lt_findings_count(findings, point->length[0]))
				  : lt_findings_bytes(findings, point->held[0]);
	const char *more;
	if (life_of(suspecting, point) < LT_LEAKS_STEADY)
		more = lt_finding_format(
			findings,
			"it had %s at the first, %.0f s after the start, so it grew "
			"slower before",
			had, life);
	else if (point->kept < LT_LEAKS_STEADY)
		more = "most of what came to it meanwhile took the place of what went";
	else
		more = lt_finding_format(
			findings,
			"it had %s at the first, %.0f s after the start, so it grew before as well",
			had, life);
	lt_finding_int(findings, &suspect->finding, "looks", suspecting->leaks->look_count);
	suspect->finding.explanation = lt_finding_format(
		findings, "%s Two looks cannot tell a burst from a leak: %s. A third one would.",
		suspect->finding.explanation, more);
}
