/*
 * roots.h: where the references to a heap's objects begin: what the interpreters, their threads and
 * running frames hold.
 */
#ifndef LT_ANALYSIS_ROOTS_H
#define LT_ANALYSIS_ROOTS_H

#include "analysis/frames.h"

enum lt_root_kind {
	LT_ROOT_MODULES,     /* the dict sys.modules */
	LT_ROOT_LOCAL,       /* a local variable of a running frame */
	LT_ROOT_FRAME,       /* else held by a running frame: code, globals, evaluation stack */
	LT_ROOT_NAMED,       /* has an expression of its own: gc.garbage */
	LT_ROOT_INTERPRETER, /* a member of the interpreter's state */
	LT_ROOT_THREAD, /* a member of a thread's state: exceptions, thread-local values, context */
	LT_ROOT_TYPE,   /* dict or subclasses of a static type */
	LT_ROOT_EXTERNAL, /* has references that no object accounts for: held from C code */
	LT_ROOT_KIND_COUNT
};

struct lt_root {
	lt_addr address;
	enum lt_root_kind kind;
	uint32_t interpreter; /* index */
	uint32_t frame;       /* index into the frames, for LT_ROOT_LOCAL and LT_ROOT_FRAME */
	uint32_t index;       /* of the local variable */
	const char *name;     /* what it is, in words, or an expression for LT_ROOT_NAMED */
	const char *variable; /* of LT_ROOT_LOCAL: its name, "<local 3>" when unknown; else NULL */
};
LT_VEC(lt_root_list, struct lt_root);

struct lt_roots {
	struct lt_interpreters interpreters;
	struct lt_frames frames;
	struct lt_root_list list;
	struct lt_arena strings;
};

/* All kinds but LT_ROOT_EXTERNAL, which only the graph can tell. An object may be there more than once. */
LT_MUST_CHECK enum lt_status lt_roots_read(const struct lt_view *view, struct lt_roots *ret_roots);
void lt_roots_deinit(struct lt_roots *roots);

#endif
