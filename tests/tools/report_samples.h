/* report_samples.h: made-up results for the golden reports, beside those of report_samples.c. */
#ifndef LT_TESTS_REPORT_SAMPLES_H
#define LT_TESTS_REPORT_SAMPLES_H

#include "report/report.h"

/* "fragmentation", "fragmentation-limits" (a limit is tight), "fragmentation-svg". False: it is none of these. */
bool print_fragmentation_sample(const struct lt_report *report, const char *what,
				struct lt_text *out);

#endif
