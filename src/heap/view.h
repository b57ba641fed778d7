/*
 * view.h: what each function of src/heap/ needs to look at a target: its bytes, its layout, and the
 * session that counts what could not be read.
 */
#ifndef LT_HEAP_VIEW_H
#define LT_HEAP_VIEW_H

#include "base/session.h"
#include "layout/layout.h"
#include "layout/python.h"
#include "target/memory.h"
#include "target/process.h"

struct lt_view {
	struct lt_session *session;
	struct lt_memory *memory;       /* frozen, or live in the live mode */
	const struct lt_python *python; /* the interpreter found: addresses, version, symbols */
	const struct lt_layout *layout; /* == python->layout */
	const struct lt_process
		*process; /* its mappings and whether it lives; NULL for a byte image */
};

#endif
