#include "target/arch.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/elf.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>

const uint8_t lt_arch_syscall_insn[] = {0x0f, 0x05};
const size_t lt_arch_syscall_insn_size = sizeof(lt_arch_syscall_insn);
const uint32_t lt_arch_audit = AUDIT_ARCH_X86_64;

enum { USER_CS_64 = 0x33 };

_Static_assert(sizeof(struct user_regs_struct) <= sizeof(struct lt_arch_regs),
	       "room for the registers");

static struct user_regs_struct unpack(const struct lt_arch_regs *regs)
{
	struct user_regs_struct user;
	memcpy(&user, regs->words, sizeof(user));
	return user;
}

static void pack(struct lt_arch_regs *regs, const struct user_regs_struct *user)
{
	memcpy(regs->words, user, sizeof(*user));
}

bool lt_arch_get(pid_t tid, struct lt_arch_regs *ret_regs)
{
	struct lt_arch_regs regs = {0};
	struct iovec io = {regs.words, sizeof(struct user_regs_struct)};
	if (ptrace(PTRACE_GETREGSET, tid, NT_PRSTATUS, &io) != 0)
		return false;
	if (io.iov_len != sizeof(struct user_regs_struct)) /* a 32-bit program has a shorter set */
		memset(&regs, 0, sizeof(regs));
	*ret_regs = regs;
	return true;
}

bool lt_arch_set(pid_t tid, const struct lt_arch_regs *regs)
{
	struct lt_arch_regs copy = *regs;
	struct iovec io = {copy.words, sizeof(struct user_regs_struct)};
	return ptrace(PTRACE_SETREGSET, tid, NT_PRSTATUS, &io) == 0;
}

bool lt_arch_supported(const struct lt_arch_regs *regs)
{
	return unpack(regs).cs == USER_CS_64;
}

void lt_arch_prepare(struct lt_arch_regs *regs, lt_addr insn, long number,
		     const uint64_t arguments[6])
{
	struct user_regs_struct user = unpack(regs);
	user.rip = insn;
	user.rax = (uint64_t)number;
	user.orig_rax = UINT64_MAX; /* not in a system call: the kernel must not restart one */
	user.rdi = arguments[0];
	user.rsi = arguments[1];
	user.rdx = arguments[2];
	user.r10 = arguments[3];
	user.r8 = arguments[4];
	user.r9 = arguments[5];
	/*
	 * A process that the call makes has these too. It never runs while its tracer lives; should that
	 * be killed, `leave` after the call must not lead it to the stack of the thread.
	 */
	user.rbp = user.rbx = user.r12 = user.r13 = user.r14 = user.r15 = LT_ARCH_NOWHERE;
	pack(regs, &user);
}

int64_t lt_arch_result(const struct lt_arch_regs *regs)
{
	return (int64_t)unpack(regs).rax;
}

/* A call that a stop ends with EINTR: *ret_endless tells whether it waits without a limit. */
static bool ends_with_eintr(long number, const uint64_t arguments[6], bool *ret_endless)
{
	switch (number) {
	case SYS_epoll_wait:
	case SYS_epoll_pwait:
		*ret_endless = (int32_t)arguments[3] < 0;
		return true;
#ifdef SYS_epoll_pwait2
	case SYS_epoll_pwait2:
#endif
	case SYS_semtimedop:
		*ret_endless = arguments[3] == 0;
		return true;
	case SYS_rt_sigtimedwait:
		*ret_endless = arguments[2] == 0;
		return true;
	case SYS_semop:
		*ret_endless = true;
		return true;
	default:
		return false;
	}
}

bool lt_arch_redo(struct lt_arch_regs *regs)
{
	struct user_regs_struct user = unpack(regs);
	uint64_t arguments[6] = {user.rdi, user.rsi, user.rdx, user.r10, user.r8, user.r9};
	bool endless = false;
	if ((int64_t)user.rax != -EINTR || (int64_t)user.orig_rax < 0 ||
	    !ends_with_eintr((long)user.orig_rax, arguments, &endless) || !endless)
		return false;
	user.rax = user.orig_rax;
	user.orig_rax = UINT64_MAX;
	user.rip -= sizeof(lt_arch_syscall_insn);
	pack(regs, &user);
	return true;
}

bool lt_arch_touchy(long number, const uint64_t arguments[6])
{
	bool endless = false;
	return ends_with_eintr(number, arguments, &endless) && !endless;
}
