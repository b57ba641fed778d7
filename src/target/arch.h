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

/* Where a stopped thread is. */
struct lt_arch_place {
	lt_addr pc, sp, fp, tls;
	long call; /* the system call that it stands in or has just left; -1: none */
};
void lt_arch_place(const struct lt_arch_regs *regs, struct lt_arch_place *ret_place);

/* Numbers of registers in unwind tables: stack pointer, frame pointer, where a call returns to. */
extern const unsigned lt_arch_dwarf_sp, lt_arch_dwarf_fp, lt_arch_dwarf_pc;

/*
 * The system call instruction of the C library's clone(), behind which a new thread takes a function and its argument
 * from its stack, calls it, and ends itself with what it returned, which begins at *ret_back. `code` begins at clone().
 * False: it is not so.
 */
bool lt_arch_thread_insn(const uint8_t *code, size_t size, size_t *ret_offset, size_t *ret_back);

/* What such a thread finds at the top of its stack (aligned to 16 bytes). */
enum { LT_ARCH_THREAD_WORDS = 2 };
void lt_arch_thread_stack(lt_addr function, uint64_t argument,
			  uint64_t words[LT_ARCH_THREAD_WORDS]);

/*
 * The same for a function of more arguments: such a thread goes through a frame as of a signal into the function, with
 * all signals blocked, and from there to `back` of lt_arch_thread_insn(). The stack given to the clone is `at` and
 * LT_ARCH_CALL_STACK more; `at` is aligned to 16 bytes, what is below is the function's stack.
 */
enum { LT_ARCH_ARGUMENTS = 5, LT_ARCH_CALL_STACK = 64, LT_ARCH_CALL_BYTES = 1024 };
void lt_arch_thread_call(lt_addr function, const uint64_t arguments[LT_ARCH_ARGUMENTS],
			 lt_addr restorer, lt_addr back, lt_addr at,
			 uint8_t bytes[LT_ARCH_CALL_BYTES]);

/* The relocation (elf.h) by which the loader writes how far thread-local data lie from the thread pointer. */
extern const uint32_t lt_arch_thread_relocation;

/*
 * What it needs at its thread pointer: glibc's head of a thread (sysdeps/ARCH/nptl/tls.h: tcbhead_t), of one among
 * several. lt_arch_among_several(): the same word of a thread of the target, where the release keeps one.
 */
enum { LT_ARCH_TLS_WORDS = 4 };
void lt_arch_thread_tls(lt_addr tls, uint64_t words[LT_ARCH_TLS_WORDS]);
extern const size_t lt_arch_among_several;

/* The arguments of that clone(2). `word` gets the thread's id before the call returns, and 0 when the thread has ended. */
void lt_arch_thread_arguments(uint64_t flags, lt_addr stack, lt_addr word, lt_addr tls,
			      uint64_t arguments[6]);

/* The code that returns from a signal handler: what a frame of a signal on a stack begins with. */
extern const uint8_t lt_arch_restorer[];
extern const size_t lt_arch_restorer_size;
/* Where in such a frame, counted from the address of that code on the stack, the interrupted place is. */
extern const size_t lt_arch_frame_pc;
extern const size_t lt_arch_frame_sp; /* and where its stack pointer is */

/*
 * A frame as of a signal, to stand at `at` (aligned to 64 bytes): a thread that does the clone() above with its stack
 * pointer there gets these registers and this signal mask back when that returns, whether somebody traces it then or
 * not. A system call that was interrupted is made again; one that the kernel would restart in a way of its own returns
 * EINTR. *ret_size: bytes of it; false: they are more than `capacity`.
 */
bool lt_arch_frame(pid_t tid, const struct lt_arch_regs *regs, uint64_t mask, lt_addr restorer,
		   lt_addr at, uint8_t *bytes, size_t capacity, size_t *ret_size);
void lt_arch_set_sp(struct lt_arch_regs *regs, lt_addr sp);

/* A system call that the C library's allocator never makes: who waits in it is not inside the allocator. */
bool lt_arch_far_from_malloc(long number);

/* In /proc/PID/status: a thread with this among those features may not return by a frame that the kernel did not make. */
extern const char lt_arch_features[], lt_arch_shadow_stack[];

/* The AUDIT_ARCH_* of seccomp filters. */
extern const uint32_t lt_arch_audit;

#endif
