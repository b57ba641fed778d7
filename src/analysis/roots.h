/*
 * roots.h: where the references to a heap's objects begin: what the interpreters, their threads and
 * running frames hold, and what C code holds (docs/roots.md).
 */
#ifndef LT_ANALYSIS_ROOTS_H
#define LT_ANALYSIS_ROOTS_H

#include "analysis/frames.h"
#include "base/text.h"

enum lt_root_kind {
	LT_ROOT_MODULES,      /* the dict sys.modules */
	LT_ROOT_BUILTINS,     /* the namespace of builtins */
	LT_ROOT_LOCAL,        /* a local variable of a running frame */
	LT_ROOT_FRAME,        /* else held by a running frame: code, globals, evaluation stack */
	LT_ROOT_NAMED,        /* has an expression of its own: gc.garbage */
	LT_ROOT_INTERPRETER,  /* a member of the interpreter's state */
	LT_ROOT_THREAD,       /* a member of a thread's state: exceptions, profile function */
	LT_ROOT_THREAD_LOCAL, /* the dict of a thread's local values */
	LT_ROOT_CONTEXT,      /* the context variables of a thread */
	LT_ROOT_TASK,         /* asyncio's running loop and task of a thread */
	LT_ROOT_ASYNCIO,      /* a task that asyncio lists as pending: it holds nothing (tasks.h) */
	LT_ROOT_LOCAL_VALUES, /* a namespace of a threading.local(): it holds nothing (threads.h) */
	LT_ROOT_ATEXIT,       /* registered with atexit */
	LT_ROOT_TYPE,         /* dict or subclasses of a static type */
	/*
	 * Conservative from here on: a word of memory is the address of an object of which a reference is
	 * missing otherwise. They come after the exact ones, and rank after them.
	 */
	LT_ROOT_STATE,  /* in the memory of the state of an interpreter or thread */
	LT_ROOT_STATIC, /* in the C static data of a loaded file */
	LT_ROOT_STACK,  /* in the C stack of a thread */
	/* References that nothing accounts for: held from memory of C code that is not searched. */
	LT_ROOT_EXTERNAL,
	LT_ROOT_KIND_COUNT
};

/* "modules", "static", ...: as in JSON. */
const char *lt_root_kind_name(enum lt_root_kind kind);

/* False for a kind that only names its object: what is found through others. */
static inline bool lt_root_holds(enum lt_root_kind kind)
{
	return kind != LT_ROOT_ASYNCIO && kind != LT_ROOT_LOCAL_VALUES;
}

struct lt_root {
	lt_addr address;
	enum lt_root_kind kind;
	uint32_t interpreter; /* index */
	uint32_t frame;       /* index into the frames, for LT_ROOT_LOCAL and LT_ROOT_FRAME */
	uint32_t index; /* of the local variable; of what belongs to a thread, that of the thread */
	uint32_t count; /* of references: 0 when none is owned here, as for a borrowed one */
	lt_addr at;     /* the word that holds it, 0 when there is none of its own */
	const char *name; /* what it is, in words, or an expression for LT_ROOT_NAMED */
	/* Of LT_ROOT_LOCAL its name, "<local 3>" when unknown; of a task or thread its own, NULL when unknown. */
	const char *variable;
};
LT_VEC(lt_root_list, struct lt_root);

struct lt_roots {
	struct lt_interpreters interpreters;
	struct lt_frames frames;
	struct lt_root_list list;
	struct lt_arena strings; /* names and texts */
};

/*
 * All exact kinds: the others need the graph (unexplained.h). An object may be there more than once.
 */
LT_MUST_CHECK enum lt_status lt_roots_read(const struct lt_view *view, struct lt_roots *ret_roots);
void lt_roots_deinit(struct lt_roots *roots);

/* "thread 1234" by the kernel's id, else by that of pthread_self(); "the ended thread 1234". */
void lt_thread_add(struct lt_text *text, const struct lt_thread *thread);

#endif
