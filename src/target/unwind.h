/*
 * unwind.h: from a frame to that of its caller, by the unwind tables (.eh_frame) of one file.
 */
#ifndef LT_TARGET_UNWIND_H
#define LT_TARGET_UNWIND_H

#include "target/elf.h"

/* A place in the code of a thread, and the registers that tables of such code go by. */
struct lt_frame {
	lt_addr pc, sp, fp;
	bool caller; /* pc is where a call returns to */
};

struct lt_unwinder;

/* NULL: the file has no such tables, or there is no memory. What a step needs is read here. `elf` must live as long. */
struct lt_unwinder *lt_unwinder_open(const struct lt_elf *elf, lt_addr warm);
void lt_unwinder_close(struct lt_unwinder *unwinder);

/*
 * The caller of a frame whose code is in the file. False: the tables say nothing of the place, or nothing that is
 * understood here (the frame of a signal, expressions), or the stack cannot be read.
 */
bool lt_unwinder_step(const struct lt_unwinder *unwinder, struct lt_memory *memory,
		      struct lt_frame *frame);

#endif
