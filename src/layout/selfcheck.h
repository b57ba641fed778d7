/*
 * selfcheck.h: does a layout describe this interpreter?
 */
#ifndef LT_LAYOUT_SELFCHECK_H
#define LT_LAYOUT_SELFCHECK_H

#include "layout/layout.h"
#include "target/memory.h"

enum lt_check {
	LT_CHECK_FITS,    /* everything that could be checked agrees */
	LT_CHECK_DIFFERS, /* something that cannot move disagrees */
	LT_CHECK_MOVING,  /* what disagrees may be moving: try again */
	LT_CHECK_COLLECTING, /* all agrees but the collector's lists, which a running collection has taken apart */
	LT_CHECK_EMPTY, /* the runtime is not initialized (yet), or has ended */
};

struct lt_check_result {
	enum lt_check outcome;
	char found[192];     /* what disagreed, "" for nothing */
	uint32_t hexversion; /* sys.hexversion, 0 when it could not be read */
	bool lists_told; /* a running collection: the collector's own pointer leads to its first list */
};

/*
 * Checks the runtime's interpreters and threads (linked both ways), the type of types (is its own type,
 * named "type", of the size that the layout gives), the named singletons in the builtins, sys.hexversion, and
 * the lists of the collector (linked both ways, each node an object whose type is a type).
 *
 * Uses lt_memory_probe() only: nothing is counted as unreadable.
 */
void lt_selfcheck(struct lt_memory *memory, const struct lt_layout *layout, lt_addr runtime,
		  struct lt_check_result *ret_result);

#endif
