/*
 * sparse.h: memory of a live process in which only resident pages are read.
 *
 * To read a page that the process has never written makes the kernel map its page of zeros there: no memory, but an entry in the
 * page tables, and the page is in the maps of resident pages from then on. So anonymous pages that are neither resident nor
 * swapped out read as zeros here, which they are.
 */
#ifndef LT_ANALYSIS_SPARSE_H
#define LT_ANALYSIS_SPARSE_H

#include "analysis/resident.h"

/* Both stay the caller's and live as long. NULL: no memory. */
struct lt_memory *lt_sparse_open(struct lt_memory *below, const struct lt_resident *resident);

#endif
