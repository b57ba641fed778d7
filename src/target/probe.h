/*
 * probe.h: probes in a live process that the kernel handles: at a function's entry or return (uprobes), at a USDT
 * probe of the build, at a write to a word (debug registers of the processor). Each makes records as its plan says
 * (probe_program.h), which go through one ring to lowtide.
 *
 * Nothing of this is in the process itself but a breakpoint of the kernel's at the probed instruction, which the
 * process does not see; everything ends with lowtide's file descriptors, also when lowtide is killed.
 */
#ifndef LT_TARGET_PROBE_H
#define LT_TARGET_PROBE_H

#include "base/session.h"
#include "target/probe_program.h"
#include "target/process.h"

struct lt_probe;

enum lt_probe_kind {
	LT_PROBE_ENTRY,  /* the instruction at `address`, and so the entry of a function */
	LT_PROBE_RETURN, /* when the function at `address` returns */
	LT_PROBE_WRITE, /* after a write to the aligned 4 bytes at `address`, by threads of the process */
};

struct lt_probe_site {
	uint32_t id; /* in its records */
	enum lt_probe_kind kind;
	lt_addr address;
	lt_addr semaphore; /* of a USDT probe: 2 bytes that tell the process that somebody listens; 0: none */
	const struct lt_probe_plan *plan; /* its namespaces and ids are filled in here; not kept */
};

/*
 * Prepares the ring, with room for `bytes` of records at least, within 8 and 64 MiB; less where the system does not
 * give that. `process` must live as long. LT_E_PERMISSION with the remedy when the system does not let
 * lowtide probe, or cannot.
 */
LT_MUST_CHECK enum lt_status lt_probe_open(struct lt_session *session,
					   const struct lt_process *process, uint64_t bytes,
					   struct lt_probe **ret_probe);

/*
 * Puts probes in place, those in code in the order given, except that all of one plan (the same pointer), kind and
 * file come with the first of them, and then those at writes: from here on there are records of them. Where the
 * kernel has no links of many probes each is put in alone, which takes longer, above all when it ends.
 * LT_E_PERMISSION as above; LT_E_READ when an address is in no file of the process; LT_E_BUSY when all debug
 * registers of a thread are taken. Of a failed call some may be in place.
 */
LT_MUST_CHECK enum lt_status lt_probe_attach(struct lt_probe *probe,
					     const struct lt_probe_site *sites, size_t count);

/* Whether the probes in code are in place by links. */
bool lt_probe_linked(const struct lt_probe *probe);

/* A record with what follows it; good during the call. */
typedef void (*lt_probe_sink)(void *ctx, const struct lt_probe_record *record, size_t size);

/*
 * Gives all records that are there when it is called, in the order in which they were begun. Does not wait. Those of
 * another program that the process became by execve(2) are left out, where the kernel tells (probe_exec.h). Returns
 * when it began, in ns of CLOCK_MONOTONIC: what was recorded by then has been given.
 */
uint64_t lt_probe_drain(struct lt_probe *probe, lt_probe_sink sink, void *ctx);

/* Whether it became another one since lt_probe_open(): the records before that are there by now. */
bool lt_probe_replaced(const struct lt_probe *probe);

void lt_probe_close(struct lt_probe *probe); /* NULL is allowed */

#endif
