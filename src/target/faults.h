/*
 * faults.h: a memory whose chosen reads go wrong, to test that nothing above it breaks.
 */
#ifndef LT_TARGET_FAULTS_H
#define LT_TARGET_FAULTS_H

#include "base/session.h"
#include "target/memory.h"

enum lt_fault_kind {
	LT_FAULT_FAIL,  /* gets nothing */
	LT_FAULT_SHORT, /* gets a part only */
	LT_FAULT_TEAR, /* gets all, but a part of it is not what is there, as in a target that runs */
	LT_FAULT_HOLE, /* a page of it is missing from then on, for this and every later read */
};

struct lt_fault {
	enum lt_fault_kind kind;
	uint64_t at;    /* the read that goes wrong, the first one is 1; 0: none */
	uint64_t every; /* and then every so many reads; 0: that one only */
	uint64_t seed;  /* of where it is cut and of the torn bytes; equal seeds, equal faults */
};

/* Stands on `under` and owns it (on failure it does not). */
LT_MUST_CHECK enum lt_status lt_faults_create(struct lt_session *session, struct lt_memory *under,
					      const struct lt_fault *fault,
					      struct lt_memory **ret_memory);

/* How many reads went wrong so far. */
uint64_t lt_faults_count(const struct lt_memory *faults);

#endif
