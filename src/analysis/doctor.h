/*
 * doctor.h: what is wrong with the memory of a process, ranked, with evidence and the change to make.
 */
#ifndef LT_ANALYSIS_DOCTOR_H
#define LT_ANALYSIS_DOCTOR_H

#include "analysis/census.h"
#include "analysis/collector.h"
#include "analysis/containers.h"
#include "analysis/open.h"
#include "analysis/retained.h"

enum lt_severity { LT_INFO, LT_LOW, LT_MEDIUM, LT_HIGH, LT_CRITICAL };

/* "info", "low", "medium", "high", "critical". */
const char *lt_severity_name(enum lt_severity severity);
/* False: no such name. */
bool lt_severity_parse(const char *name, enum lt_severity *ret_severity);

/* One measurement under a finding. Byte figures have names that end in "bytes". */
struct lt_evidence {
	const char *name; /* an identifier: "held_bytes" */
	enum { LT_EVIDENCE_INT, LT_EVIDENCE_REAL, LT_EVIDENCE_TEXT, LT_EVIDENCE_BOOL } kind;
	union {
		int64_t integer;
		double real;
		const char *text;
		bool boolean;
	};
};

struct lt_finding {
	const char *id; /* stable, docs/doctor.md lists them: "collector-disabled" */
	enum lt_severity severity;
	const char *title;
	const char
		*expression; /* Python that reaches the object, "" when the finding is about none */
	const char *where;   /* file:line, module or "", */
	struct lt_evidence *evidence;
	size_t evidence_count;
	const char *explanation;
	const char *fix;
	double weight; /* order among findings of one severity: bytes concerned */
};

/* All zero is the empty result. The strings live in `strings`. */
struct lt_doctor {
	struct lt_identity identity;
	struct lt_collector *collectors; /* one each interpreter, the main one first */
	size_t collector_count;
	struct lt_composition_row *kinds; /* the biggest kinds of object, most bytes first */
	size_t kind_count;
	uint64_t object_count, object_bytes; /* all objects that can be reached or are tracked */
	uint64_t tracked;
	uint64_t garbage_count, garbage_bytes;         /* no root reaches them */
	uint64_t collectable_count, collectable_bytes; /* what gc.collect() would find now */
	uint64_t conservative_refs;                    /* references found by conservative scans */
	bool proved;                     /* the tracked objects were proved complete */
	struct lt_container *containers; /* most bytes held first */
	size_t container_count;
	struct lt_finding *findings; /* worst first */
	size_t finding_count;
	struct lt_retained tree; /* what holds the memory, when it was asked for */
	struct lt_arena strings;
};

struct lt_gc_result;
struct lt_memory_before;

struct lt_doctor_options {
	bool tree; /* make one */
	const struct lt_gc_result *
		watched; /* its collector was watched before: findings of that too; NULL: it was not */
	const struct lt_memory_before
		*before;   /* its memory then: findings of how it grew; NULL: not known */
	size_t kinds;      /* rows of kinds, 0: 10 */
	size_t containers; /* rows of containers, 0: 10 */
};

struct lt_subject;

/* Examines the picture of `subject`, which stays open. NULL options: the defaults. */
LT_MUST_CHECK enum lt_status lt_doctor_examine(struct lt_subject *subject,
					       const struct lt_doctor_options *options,
					       struct lt_doctor *ret_doctor);
void lt_doctor_deinit(struct lt_doctor *doctor);

/* True when a finding is at or above `level`. */
bool lt_doctor_has(const struct lt_doctor *doctor, enum lt_severity level);

#endif
