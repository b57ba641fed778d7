/*
 * rooms.h: the arrays with what is known of each node, made while it is not known yet how many there will be: their memory
 * comes by a thread, so that nobody waits for it once the nodes are numbered.
 */
#ifndef LT_HEAP_ROOMS_H
#define LT_HEAP_ROOMS_H

#include "heap/heap.h"

struct lt_rooms;

/* For that many nodes, if there are so few. NULL: it is not worth it, or there is no memory. */
struct lt_rooms *lt_rooms_begin(uint64_t nodes);
/* At least so many nodes there will be. NULL is allowed. */
void lt_rooms_found(struct lt_rooms *rooms, uint64_t nodes);
/* Ends the thread, gives `graph` its arrays for that many nodes, all zero, and is gone. NULL is allowed. False: no memory. */
LT_MUST_CHECK bool lt_rooms_end(struct lt_rooms *rooms, uint64_t nodes,
				struct lt_heap_graph *graph);
/* In place of it. NULL is allowed. */
void lt_rooms_destroy(struct lt_rooms *rooms);

#endif
