/*
 * debug_offsets.h: the table of its own offsets that CPython 3.13 and later puts at the start of the runtime.
 */
#ifndef LT_LAYOUT_DEBUG_OFFSETS_H
#define LT_LAYOUT_DEBUG_OFFSETS_H

#include "layout/layout.h"
#include "target/memory.h"

struct lt_debug_header {
	uint32_t hex; /* as PY_VERSION_HEX */
	bool free_threaded;
};

/* True when the table starts at `runtime`: its cookie and a version that can be. */
bool lt_debug_offsets_probe(struct lt_memory *memory, lt_addr runtime,
			    struct lt_debug_header *ret_header);

/*
 * Lays the target's own offsets over those of the column in *layout. False, and *layout unchanged, when the
 * column has no such table, it cannot be read, or any member is not plausible (outside its struct, not
 * aligned, a struct of absurd size).
 */
bool lt_debug_offsets_apply(struct lt_memory *memory, lt_addr runtime, struct lt_layout *layout);

#endif
