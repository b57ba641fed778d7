/*
 * window.h: a memory source that serves reads out of one large read of the source below it.
 *
 * A pass over a heap in address order loads a window, and everything that decodes the objects in it
 * finds their bytes there. Reads that the window does not hold whole go below, through a small page
 * cache: of a process that runs, it keeps what it saw first.
 */
#ifndef LT_HEAP_WINDOW_H
#define LT_HEAP_WINDOW_H

#include "base/session.h"
#include "target/memory.h"

struct lt_window;

/* Stands on `under`, which it does not own. The buffer is made by the first load. */
LT_MUST_CHECK enum lt_status lt_window_create(struct lt_session *session, struct lt_memory *under,
					      struct lt_window **ret_window);
void lt_window_destroy(struct lt_window *window);

/* The window as a memory; lt_window_destroy() closes it. */
struct lt_memory *lt_window_memory(struct lt_window *window);

enum { LT_WINDOW_MAX = 1 << 20 };

/*
 * Loads [start, start + size), size <= LT_WINDOW_MAX, and returns its bytes; *ret_size of them are
 * there from the start on. NULL: no memory. Valid until the load after the next.
 */
const unsigned char *lt_window_load(struct lt_window *window, lt_addr start, size_t size,
				    size_t *ret_size);

/* Whether another thread reads what comes next, as it does at first: not worth it where each processor has its work. */
void lt_window_set_ahead(struct lt_window *window, bool ahead);

/* True when the window, or the one before, holds the range whole. */
bool lt_window_holds(const struct lt_window *window, lt_addr address, size_t size);
/* What the window before holds, until the next load: objects refer to near ones on either side. False: nothing. */
bool lt_window_before(const struct lt_window *window, lt_addr *ret_start, lt_addr *ret_end);

/* The bytes of a range that is held, valid until the next load; NULL: it is not held whole. */
const unsigned char *lt_window_at(const struct lt_window *window, lt_addr address, size_t size);

/* Forgets the bytes; with `free_buffer` the buffer too. */
void lt_window_clear(struct lt_window *window, bool free_buffer);

/* True when the source below can read the address now: nothing cached answers. */
bool lt_window_reach(struct lt_window *window, lt_addr address);

/* Hands the count of short reads down to the source below, where results look for it. */
void lt_window_settle(struct lt_window *window);
/* The same for the last time: the source below is about to go, and is not touched again. */
void lt_window_let_go(struct lt_window *window);

#endif
