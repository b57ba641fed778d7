/*
 * smaps.h: what of each mapping of a process is resident, as the kernel counts it (/proc/PID/smaps), and which pages
 * (/proc/PID/pagemap).
 *
 * Both are of the moment of the read. While a frozen fork of the process lives, each private page that it has not
 * written since counts as shared, and half of it in pss: read before the freeze or after lt_freeze_release().
 */
#ifndef LT_TARGET_SMAPS_H
#define LT_TARGET_SMAPS_H

#include "base/arena.h"
#include "target/process.h"

#include <stdio.h>

struct lt_smap {
	struct lt_mapping mapping; /* its path lives as long as the list */
	uint64_t rss, pss, private_clean, private_dirty, shared_clean, shared_dirty;
	uint64_t anonymous, swap, huge; /* bytes; huge: transparent and hugetlb */
	uint64_t hugetlb;               /* bytes, of `huge`; not in rss */
	uint64_t locked, lazy_free;
};
LT_VEC(lt_smap_list, struct lt_smap);

struct lt_smaps {
	struct lt_smap_list list; /* ascending */
	struct lt_arena strings;
	uint64_t rss, swap;   /* sums */
	uint64_t page_tables; /* VmPTE: the kernel's memory, not in RSS */
};

LT_MUST_CHECK enum lt_status lt_smaps_read(struct lt_session *session,
					   const struct lt_process *process,
					   struct lt_smaps *ret_smaps);
void lt_smaps_deinit(struct lt_smaps *smaps);

/* The mapping that holds `addr`, NULL for none. */
const struct lt_smap *lt_smaps_find(const struct lt_smaps *smaps, lt_addr addr);

/*
 * Appends the mappings of such a text to the list, and adds to the sums. Mappings that make no sense or do not ascend
 * are left out with their figures. False: no memory, or the text ended with a failure to read it (errno).
 */
bool lt_smaps_parse(FILE *text, struct lt_smaps *smaps);

/*
 * Which pages of [start, end) are resident: bit i of `bits` is page i. False: the kernel does not say, and all bits
 * are 0. `bits` has (end - start) / page size bits, rounded up to words. A page that was read but never written (the
 * kernel's page of zeros) is not, from Linux 6.7 on; before, it is resident here while it is not in RSS.
 */
bool lt_smaps_resident(const struct lt_process *process, lt_addr start, lt_addr end,
		       uint64_t *bits);

/* Which of them another process has too: those that are not mapped exclusively. The rest as above. */
bool lt_smaps_shared(const struct lt_process *process, lt_addr start, lt_addr end, uint64_t *bits);

#endif
