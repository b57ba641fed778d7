/*
 * findings.h: how a finding is made. Each findings_*.c looks for faults of one kind in a picture and adds
 * what it has measured; docs/doctor.md lists them all.
 */
#ifndef LT_ANALYSIS_FINDINGS_H
#define LT_ANALYSIS_FINDINGS_H

#include "analysis/doctor.h"
#include "analysis/expression.h"
#include "base/vec.h"

LT_VEC(lt_finding_list, struct lt_finding);

struct lt_findings {
	struct lt_session *session;
	const struct lt_picture *picture;
	struct lt_expressions *expressions;
	const struct lt_doctor *doctor; /* collectors, kinds and containers are filled in */
	struct lt_arena *strings;
	struct lt_finding_list list;
	bool failed; /* no memory */
};

/*
 * A finding with empty texts at the end of the list; valid until the next one is begun. NULL: no memory,
 * recorded in `failed`; the functions below accept it.
 */
struct lt_finding *lt_finding_begin(struct lt_findings *findings, const char *id,
				    enum lt_severity severity, double weight);

/* Formats into the strings of the result. */
const char *lt_finding_format(struct lt_findings *findings, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

void lt_finding_int(struct lt_findings *findings, struct lt_finding *finding, const char *name,
		    uint64_t value);
void lt_finding_real(struct lt_findings *findings, struct lt_finding *finding, const char *name,
		     double value);
void lt_finding_string(struct lt_findings *findings, struct lt_finding *finding, const char *name,
		       const char *value);
void lt_finding_bool(struct lt_findings *findings, struct lt_finding *finding, const char *name,
		     bool value);

/* Sets expression and place of a node. */
void lt_finding_point(struct lt_findings *findings, struct lt_finding *finding, uint32_t node);

/* A share of the heap, 0 to 1. */
double lt_findings_share(const struct lt_findings *findings, uint64_t bytes);

/* "1.5 MiB". */
const char *lt_findings_bytes(struct lt_findings *findings, uint64_t bytes);

/* "120,000". */
const char *lt_findings_count(struct lt_findings *findings, uint64_t count);

/*
 * How grave it is that so many bytes are lost: high from a tenth of the heap and 8 MiB, medium from a
 * hundredth and 1 MiB, else low.
 */
enum lt_severity lt_findings_grade(const struct lt_findings *findings, uint64_t bytes);

/* The file whose code makes a C type; "" for a class made by Python code, and when it is not known. */
const char *lt_findings_library(struct lt_findings *findings, const struct lt_type *type);

/*
 * What is near an object that C code holds in memory that is not known, as evidence: C types that it refers
 * to, and the extension modules that are loaded.
 */
void lt_finding_near(struct lt_findings *findings, struct lt_finding *finding, uint32_t node);

/* Cycles that the collector cannot free, through a type that does not tell it: "type-without-traverse". */
LT_MUST_CHECK enum lt_status lt_finding_stuck(struct lt_findings *findings,
					      const struct lt_unvisited *unvisited);

struct lt_memory_state;
struct lt_memory_before;

/*
 * On resident memory and what limits it; none while nothing of it is known. With `before`, which may be NULL, also on
 * how it grew since.
 */
LT_MUST_CHECK enum lt_status lt_findings_memory(struct lt_findings *findings,
						const struct lt_memory_state *state,
						const struct lt_memory_before *before);

LT_MUST_CHECK enum lt_status lt_findings_collector(struct lt_findings *findings);
LT_MUST_CHECK enum lt_status lt_findings_caches(struct lt_findings *findings);
LT_MUST_CHECK enum lt_status lt_findings_containers(struct lt_findings *findings);
LT_MUST_CHECK enum lt_status lt_findings_native(struct lt_findings *findings);
LT_MUST_CHECK enum lt_status lt_findings_objects(struct lt_findings *findings);

#endif
