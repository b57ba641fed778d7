/*
 * roots_native.h: references that C code holds, found by reading its memory word by word: the static data of
 * loaded files, the C stacks of threads, and the state of interpreters and threads.
 *
 * A word counts only where a reference to the object that it names is missing otherwise, and once for each
 * that is missing: a stale or borrowed pointer to an object whose references are all known is nothing.
 */
#ifndef LT_ANALYSIS_ROOTS_NATIVE_H
#define LT_ANALYSIS_ROOTS_NATIVE_H

#include "analysis/roots.h"
#include "heap/heap.h"

LT_VEC(lt_addresses, lt_addr);

struct lt_native {
	uint64_t bytes;   /* searched */
	uint64_t skipped; /* bytes left out: of more static data or stack than is searched */
};

/*
 * Appends roots of the kinds LT_ROOT_STATE, LT_ROOT_STATIC and LT_ROOT_STACK, and of LT_ROOT_FRAME for
 * evaluation stacks of unknown depth; takes each from the balances. Nothing for a byte image.
 */
LT_MUST_CHECK enum lt_status lt_roots_native(const struct lt_view *view,
					     struct lt_heap_graph *graph, struct lt_roots *roots,
					     struct lt_native *ret_native);

/*
 * Objects that static data of libraries may hold and that nothing else leads to: those that the collector
 * does not track, such as a dict of strings. Appends the address of each word there that is, by its header,
 * a str, bytes, bytearray, tuple or dict. No dict from the interpreter's own file: up to 3.11 that of interned
 * strings is there, whose references are not counted.
 */
LT_MUST_CHECK enum lt_status lt_roots_native_held(const struct lt_view *view,
						  struct lt_types *types,
						  struct lt_addresses *addresses);

#endif
