/*
 * gc_findings.h: what is wrong with the collections of a process, from a recording and its summary: the
 * findings of `gc`, and of `doctor` when it watches. docs/gc.md lists them.
 */
#ifndef LT_ANALYSIS_GC_FINDINGS_H
#define LT_ANALYSIS_GC_FINDINGS_H

#include "analysis/doctor.h"
#include "analysis/gc_advise.h"
#include "analysis/gc_summary.h"
#include "analysis/gc_tide.h"

struct lt_findings;

/* What `gc` shows. All zero is the empty result. */
struct lt_gc_result {
	struct lt_gc_recording recording;
	struct lt_gc_summary summary;
	double budget_ms;     /* a pause as long as that is a finding; 0: 100 ms */
	const char *headline; /* what matters most, in a sentence */
	bool asked;           /* what other settings would do: */
	struct lt_gc_what_if what_if;
	const char *file; /* that the recording was written to; NULL: none */
	struct lt_gc_tide_written written;
	struct lt_finding *findings; /* worst first */
	size_t finding_count;
	struct lt_arena strings;
};

/* Fills headline and findings from recording and summary. LT_E_NO_MEMORY only. */
LT_MUST_CHECK enum lt_status lt_gc_result_judge(struct lt_session *session,
						struct lt_gc_result *result);
/* True when a finding is at or above `level`. */
bool lt_gc_result_has(const struct lt_gc_result *result, enum lt_severity level);
void lt_gc_result_deinit(struct lt_gc_result *result);

/*
 * Adds the findings alone. Of `findings` session, strings and list are used; with a picture those are left out that
 * lt_findings_collector() makes of it. `budget_ms` as above.
 */
LT_MUST_CHECK enum lt_status lt_findings_gc(struct lt_findings *findings,
					    const struct lt_gc_recording *recording,
					    const struct lt_gc_summary *summary, double budget_ms);

#endif
