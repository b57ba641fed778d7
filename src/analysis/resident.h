/*
 * resident.h: which bytes of a process are resident, and who accounts for them.
 *
 * The kernel says which pages are resident (smaps, pagemap). Parts of the process claim ranges of addresses; a claim
 * counts the resident bytes of the range, and a mapping knows how many of its resident bytes nobody has claimed.
 */
#ifndef LT_ANALYSIS_RESIDENT_H
#define LT_ANALYSIS_RESIDENT_H

#include "target/smaps.h"

/* One mapping: its figures are at the same index of `smaps.list`. */
struct lt_resident_mapping {
	lt_addr start, end;
	uint64_t bytes;  /* that count: resident, or shared ones of these */
	uint64_t *pages; /* a bit for each; NULL: the kernel does not say, or none counts */
	uint64_t claimed;
};

struct lt_resident {
	struct lt_smaps smaps;
	struct lt_resident_mapping *mappings;
	bool by_page; /* false: pagemap cannot be read, ranges count by the mapping's share */
	size_t last;  /* where the range before was */
	/* Addresses of which every page is resident, in the mapping with that index; none at first. */
	lt_addr whole_start, whole_end;
	size_t whole;
};

/* Reads the figures of the live process. */
LT_MUST_CHECK enum lt_status lt_resident_take(struct lt_session *session,
					      const struct lt_process *process,
					      struct lt_resident *ret_resident);
/*
 * The same of the pages of its private anonymous memory that other processes have too, to be read before the process is
 * frozen: in a frozen copy all are shared. `by_page` is false when they cannot be told, or are next to none; `smaps` has
 * the figures all the same.
 */
LT_MUST_CHECK enum lt_status lt_resident_take_shared(struct lt_session *session,
						     const struct lt_process *process,
						     struct lt_resident *ret_resident);
void lt_resident_deinit(struct lt_resident *resident);

/* The first mapping that ends behind `at`, looked for at `last` first; the number of mappings when there is none. */
size_t lt_resident_find(const struct lt_resident *resident, lt_addr at, size_t last);

/* Resident bytes of a range; what is not mapped has none. */
uint64_t lt_resident_bytes(struct lt_resident *resident, lt_addr start, lt_addr end);

/* The same, and it counts as claimed. Nothing may be claimed twice. */
uint64_t lt_resident_claim_any(struct lt_resident *resident, lt_addr start, lt_addr end);
static inline uint64_t lt_resident_claim(struct lt_resident *resident, lt_addr start, lt_addr end)
{
	if (start < resident->whole_start || end > resident->whole_end || start > end)
		return lt_resident_claim_any(resident, start, end);
	resident->mappings[resident->whole].claimed += end - start;
	return end - start;
}

/* Resident bytes of the mapping that nobody has claimed; what was claimed beyond its figure is cut off at 0. */
uint64_t lt_resident_rest(const struct lt_resident *resident, size_t mapping);

#endif
