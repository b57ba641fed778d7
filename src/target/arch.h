/*
 * arch.h: what the freeze has to know of a processor: its registers and how a system call is made.
 *
 * One arch_*.c a processor. Nothing else in lowtide names a register.
 */
#ifndef LT_TARGET_ARCH_H
#define LT_TARGET_ARCH_H

#include "target/memory.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* The registers of a stopped thread, in the order of the kernel; opaque outside arch_*.c. */
struct lt_arch_regs {
	uint64_t words[40];
};

/* The instruction that enters the kernel. */
extern const uint8_t lt_arch_syscall_insn[];
extern const size_t lt_arch_syscall_insn_size;

/* False with errno: the thread is not in a ptrace stop or is gone. */
bool lt_arch_get(pid_t tid, struct lt_arch_regs *ret_regs);
bool lt_arch_set(pid_t tid, const struct lt_arch_regs *regs);

/* True when the thread runs code of the word size that lowtide knows (not a 32-bit program). */
bool lt_arch_supported(const struct lt_arch_regs *regs);

/* An address in the page that is never mapped, aligned as a stack. */
enum { LT_ARCH_NOWHERE = 16 };

/*
 * Makes the registers such that the thread, once it goes on, does system call `number` at the
 * instruction at `insn`. The kernel then restarts nothing by itself. Registers that are no arguments lead
 * to LT_ARCH_NOWHERE: a process that the call makes inherits them.
 */
void lt_arch_prepare(struct lt_arch_regs *regs, lt_addr insn, long number,
		     const uint64_t arguments[6]);

/* The result of a system call that has just returned: negative errno for a failure. */
int64_t lt_arch_result(const struct lt_arch_regs *regs);

/*
 * Some waiting calls do not restart when a stop interrupts them but return EINTR (signal(7), "Interruption
 * of system calls by stop signals"). When the registers show one of them just returned EINTR, and it
 * waits without a time limit, so that doing it again is the same call: changes the registers to do that
 * and returns true. With a time limit it may not be prolonged: false, the caller sees EINTR.
 */
bool lt_arch_redo(struct lt_arch_regs *regs);

/*
 * True when a stop makes this call return EINTR and lt_arch_redo() cannot help.
 * (Arguments as the thread passed them.)
 */
bool lt_arch_touchy(long number, const uint64_t arguments[6]);

/* The AUDIT_ARCH_* of seccomp filters. */
extern const uint32_t lt_arch_audit;

#endif
