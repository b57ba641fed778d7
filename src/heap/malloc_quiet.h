/*
 * malloc_quiet.h: whether malloc_trim() may be called in a process now: glibc's own locks, and where its threads are.
 * The same for the purge of an allocator in glibc's place (purge.h), whose locks are glibc's mutexes.
 *
 * Where glibc knows of more than one thread, each use of an arena is under that arena's lock, and malloc_trim() takes it
 * too: it may run beside them. Where it knows of one only, no lock is taken: malloc_trim() may run while that
 * thread stands outside the allocator, and every arena's lock is free.
 */
#ifndef LT_HEAP_MALLOC_QUIET_H
#define LT_HEAP_MALLOC_QUIET_H

#include "heap/purge.h"
#include "layout/glibc.h"
#include "target/side_call.h"

struct lt_malloc_quiet {
	struct lt_glibc glibc;
	lt_addr trim;                     /* malloc_trim() */
	lt_addr insn;                     /* the system call instruction of clone() */
	lt_addr back;                     /* what follows there when the function has returned */
	lt_addr restorer;                 /* code that returns from a signal handler */
	lt_addr single;                   /* __libc_single_threaded, since 2.32; 0: none */
	lt_addr code_start, code_end;     /* the library's code */
	lt_addr malloc_start, malloc_end; /* what of it may be the allocator */
	lt_addr fork_start, fork_end;     /* fork(): who is in it may have the allocator's locks */
	struct lt_purge *purge;       /* of another allocator; NULL: glibc's is trimmed; owned */
	struct lt_elf *elf;           /* of the library; owned */
	struct lt_unwinder *unwinder; /* NULL: it has no tables; owned */
};

/* LT_E_NOT_PYTHON: a C library of another kind or build, or another allocator in front; the sentence says which. */
LT_MUST_CHECK enum lt_status lt_malloc_quiet_find(struct lt_session *session,
						  const struct lt_process *process,
						  struct lt_memory *memory,
						  struct lt_malloc_quiet *ret_quiet);
void lt_malloc_quiet_deinit(struct lt_malloc_quiet *quiet);

/* The call that is to be made. */
void lt_malloc_quiet_call(const struct lt_malloc_quiet *quiet, struct lt_side_call *ret_call);

/* Its name: "malloc_trim", "mallctl". */
const char *lt_malloc_quiet_function(const struct lt_malloc_quiet *quiet);

/* "glibc 2.36", "jemalloc 5.3.0". */
void lt_malloc_quiet_name(const struct lt_malloc_quiet *quiet, char *name, size_t capacity);

/* For struct lt_side_probe; `ctx` is the lt_malloc_quiet. Reads the mappings of the process anew when all stand. */
enum lt_side_verdict lt_malloc_quiet_ready(void *ctx, struct lt_session *session,
					   struct lt_process *process, struct lt_memory *memory,
					   const struct lt_side_thread *threads, size_t count,
					   bool all, const char **ret_why);

#endif
