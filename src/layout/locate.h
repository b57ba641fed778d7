/*
 * locate.h: where in a process the runtime of CPython lies, and in which file.
 */
#ifndef LT_LAYOUT_LOCATE_H
#define LT_LAYOUT_LOCATE_H

#include "base/session.h"
#include "layout/layout.h"
#include "target/elf.h"
#include "target/memory.h"
#include "target/process.h"

struct lt_place {
	struct lt_elf *elf; /* the file that holds the runtime; owned by the caller */
	lt_addr runtime;    /* of _PyRuntime */
	int column; /* the only one that fits, when the runtime was found by its structure; else -1 */
};

/*
 * Looks for the symbol _PyRuntime and the section .PyRuntime in the program, libpython and every file with
 * much writable data, then for the cookie of the debug offsets, and last for the structure itself in the
 * writable data of the program and of libpython. LT_E_NOT_PYTHON without a find.
 */
LT_MUST_CHECK enum lt_status lt_locate(struct lt_session *session, const struct lt_process *process,
				       struct lt_memory *memory, struct lt_place *ret_place);

/*
 * True when the runtime at `runtime` is linked as the layout says: main interpreter, its runtime, its
 * thread, and the thread's interpreter. Says nothing when the runtime is not initialized.
 */
bool lt_locate_fits(struct lt_memory *memory, const struct lt_layout *layout, lt_addr runtime);

/*
 * The text that Py_GetVersion() made, "3.9.18 (main, ...) \n[GCC ...]", in the writable data of the file.
 * False: none.
 */
bool lt_locate_version_text(const struct lt_process *process, struct lt_memory *memory,
			    const char *path, char *ret_text, size_t capacity);

#endif
