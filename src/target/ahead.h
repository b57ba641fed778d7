/*
 * ahead.h: a thread that reads memory which stands still, while what was read before is looked at.
 *
 * One read at a time: it is asked for, with the buffer that it goes to, and its answer is waited for. The thread
 * starts with the first one. lt_stream (stream.h) is what passes over a heap use.
 */
#ifndef LT_TARGET_AHEAD_H
#define LT_TARGET_AHEAD_H

#include "target/memory.h"

/*
 * Lets `memory` be read ahead: its ops->read must be safe in two threads at once. It is owned by that memory, whose
 * close ends it with lt_ahead_destroy(). Without memory for it, nothing is read ahead.
 */
void lt_ahead_create(struct lt_memory *memory);
/* Waits for a read that goes on. NULL is allowed. */
void lt_ahead_destroy(struct lt_ahead *ahead);

enum { LT_AHEAD_PIECE = 128 << 10 }; /* of a read: what one of the two threads reads at once */

/*
 * Begins to read; `buffer` belongs to the reading until the answer. False: it cannot, or another answer was not taken
 * yet. `memory` may be any that stands on the one that is read ahead.
 */
bool lt_ahead_ask(struct lt_memory *memory, lt_addr addr, void *buffer, size_t size);
/*
 * How many bytes came, as lt_memory_probe() would say. What the thread has not begun by now, the caller's own reads in
 * pieces from the end on, while the thread goes on at the front.
 */
size_t lt_ahead_answer(struct lt_memory *memory);
/* In place of the answer: the buffer is the caller's again, whatever is in it. */
void lt_ahead_drop(struct lt_memory *memory);

/*
 * Reads the same, for a thread of its own: nothing that others count or keep is touched. It is closed before the memory
 * that is read ahead. NULL: no memory, or `memory` is not read ahead.
 */
struct lt_memory *lt_ahead_twin(const struct lt_memory *memory);

#endif
