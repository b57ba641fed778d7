/*
 * python.h: the CPython interpreter inside a process: where its runtime lies, which release it is,
 * and which layout describes it.
 */
#ifndef LT_LAYOUT_PYTHON_H
#define LT_LAYOUT_PYTHON_H

#include "base/session.h"
#include "layout/layout.h"
#include "target/elf.h"
#include "target/memory.h"
#include "target/process.h"

struct lt_python {
	uint32_t hex;     /* as PY_VERSION_HEX: 0x030d0ff0 is 3.13.15 final */
	char version[32]; /* "3.13.15" */
	bool free_threaded; /* found, but not supported: lt_python_find() says so with LT_E_NOT_PYTHON */
	bool has_debug_offsets; /* the target's own _Py_DebugOffsets were used */
	lt_addr runtime;        /* of _PyRuntime */
	struct lt_elf *elf;     /* the file that holds the runtime: program or libpython; owned */
	struct lt_layout
		*layout; /* this target's: a column, with the target's own offsets over it; owned */
};

/*
 * Finds and identifies the interpreter of `process` and checks the layout against it (lists of the
 * collector, known singletons, the type of types). LT_E_NOT_PYTHON with a sentence when there is
 * none, it is free-threaded, too old or too new, or the check fails.
 */
LT_MUST_CHECK enum lt_status lt_python_find(struct lt_session *session, struct lt_process *process,
					    struct lt_memory *memory,
					    struct lt_python **ret_python);
void lt_python_close(struct lt_python *python);

/* Address in the target of a symbol of the interpreter's file, 0 when it has none (stripped). */
lt_addr lt_python_symbol(const struct lt_python *python, const char *name);

#endif
