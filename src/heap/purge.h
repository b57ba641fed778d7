/*
 * purge.h: the call by which an allocator other than glibc's gives free memory back, and the thread that may make it.
 *
 * jemalloc: mallctl("arena.4096.purge"), which is that of all arenas. It wants thread-local data, so the new thread has some: those that
 * each thread begins with, in the state of a thread whose data were cleaned up already. jemalloc knows such threads,
 * since destructors of other libraries may free memory after its own; it keeps no note of them and gives them no cache.
 */
#ifndef LT_HEAP_PURGE_H
#define LT_HEAP_PURGE_H

#include "heap/foreign.h"
#include "target/side_call.h"

struct lt_purge {
	char allocator[32]; /* "jemalloc 5.3.0" */
	const char *path;   /* of its library; owned by the process */
	const char *name;   /* of the function: "mallctl" */
	lt_addr function;
	char text[LT_SIDE_TEXT_MAX]; /* its argument */
	lt_addr code_start, code_end;
	int64_t data_at; /* of its thread-local data, from a thread pointer */
	size_t data_size, state_at;
	uint8_t data[LT_SIDE_DATA_MAX];
};

/* LT_E_NOT_PYTHON: the allocator cannot be called; the sentence says why and the remedy what to set instead. */
LT_MUST_CHECK enum lt_status lt_purge_find(const struct lt_view *view,
					   const struct lt_foreign *foreign,
					   struct lt_purge *ret_purge);

/* False: thread-local data of the thread with this thread pointer are not what they should be. */
bool lt_purge_knows(const struct lt_purge *purge, struct lt_memory *memory, lt_addr thread_pointer);

/* Fills in what such a call has beyond `insn`, `back` and `restorer`. */
void lt_purge_call(const struct lt_purge *purge, struct lt_side_call *call);

#endif
