#include "analysis/gc_waits.h"

#include <math.h>

/* From bin to bin 4 % more. */
static const double bins_per_e = 25;

void lt_gc_waits_note(struct lt_gc_waits *waits, int generation, double objects)
{
	if (generation > 0) {
		waits->older = fmax(waits->older, objects);
		return;
	}
	double at = objects > 1 ? 1 + log(objects) * bins_per_e : 0;
	size_t bin = at < LT_GC_WAIT_BINS - 1 ? (size_t)at : LT_GC_WAIT_BINS - 1;
	waits->young[bin].count++;
	waits->young[bin].most = fmaxf(waits->young[bin].most, (float)objects);
	waits->count++;
}

double lt_gc_waits_most(const struct lt_gc_waits *waits)
{
	static const double usual = 0.95;
	uint64_t up_to = 0;
	double most = waits->older;
	for (size_t bin = 0; bin < LT_GC_WAIT_BINS && (double)up_to < (double)waits->count * usual;
	     bin++) {
		up_to += waits->young[bin].count;
		most = fmax(most, waits->young[bin].most);
	}
	return most;
}
