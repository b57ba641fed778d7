#include "target/arch.h"

#include <elf.h>
#include <errno.h>
#include <linux/audit.h>
#include <stddef.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>

const uint8_t lt_arch_syscall_insn[] = {0x0f, 0x05};
const size_t lt_arch_syscall_insn_size = sizeof(lt_arch_syscall_insn);
const uint32_t lt_arch_audit = AUDIT_ARCH_X86_64;
const char lt_arch_features[] = "x86_Thread_features", lt_arch_shadow_stack[] = "shstk";
const uint32_t lt_arch_thread_relocation = R_X86_64_TPOFF64;

enum {
	USER_CS_64 = 0x33,
	USER_DS = 0x2b,
	FLAGS_USUAL = 0x202, /* interrupts are on, as always in user mode */
	FLAGS_UNUSUAL = 0x100 | 0x400 |
			0x40000, /* trap, direction, alignment check: a new thread inherits them */
	RESTART_BLOCK = 516,     /* ERESTART_RESTARTBLOCK */
	RESTART_FIRST = 512,
	RESTART_LAST = 514, /* ERESTARTSYS, ERESTARTNOINTR, ERESTARTNOHAND */
};

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
	user.eflags &= ~(uint64_t)FLAGS_UNUSUAL;
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

/* ---- A thread of our own ---- */

void lt_arch_place(const struct lt_arch_regs *regs, struct lt_arch_place *ret_place)
{
	struct user_regs_struct user = unpack(regs);
	*ret_place = (struct lt_arch_place){
		.pc = user.rip,
		.sp = user.rsp,
		.fp = user.rbp,
		.tls = user.fs_base,
		.call = (int64_t)user.orig_rax >= 0 ? (long)user.orig_rax : -1,
	};
}

const unsigned lt_arch_dwarf_sp = 7, lt_arch_dwarf_fp = 6, lt_arch_dwarf_pc = 16;

/*
 * sysdeps/unix/sysv/linux/x86_64/clone.S, the same from 2.31 to 2.43 but for the width of the move and of the jump:
 * syscall; test; jl; jz to: xor ebp; pop rax; pop rdi; call *rax; mov edi, eax; mov eax, SYS_exit; syscall.
 */
bool lt_arch_thread_insn(const uint8_t *code, size_t size, size_t *ret_offset, size_t *ret_back)
{
	static const uint8_t begin[] = {0x0f, 0x05, 0x48, 0x85, 0xc0};
	static const uint8_t call[] = {0x31, 0xed, 0x58, 0x5f, 0xff, 0xd0};
	static const uint8_t end[] = {0x89, 0xc7, 0xb8, SYS_exit, 0, 0, 0, 0x0f, 0x05};
	const uint8_t *at = memmem(code, size, begin, sizeof(begin));
	if (at == NULL)
		return false;
	size_t insn = (size_t)(at - code), next = insn + sizeof(begin);
	if (next + 8 > size)
		return false;
	if (code[next] == 0x7c) /* jl, near or far */
		next += 2;
	else if (code[next] == 0x0f && code[next + 1] == 0x8c)
		next += 6;
	else
		return false;
	if (next + 2 > size || code[next] != 0x74)
		return false;
	size_t thread = next + 2 + code[next + 1];
	if (code[next + 1] >= 0x80 || code[next + 2] != 0xc3 ||
	    thread + sizeof(call) + 1 + sizeof(end) > size ||
	    memcmp(code + thread, call, sizeof(call)) != 0)
		return false;
	thread += sizeof(call);
	size_t back = thread;
	thread += code[thread] == 0x48;
	if (memcmp(code + thread, end, sizeof(end)) != 0)
		return false;
	*ret_offset = insn;
	*ret_back = back;
	return true;
}

void lt_arch_thread_stack(lt_addr function, uint64_t argument, uint64_t words[LT_ARCH_THREAD_WORDS])
{
	words[0] = function;
	words[1] = argument;
}

const size_t lt_arch_among_several = 24;

void lt_arch_thread_tls(lt_addr tls, uint64_t words[LT_ARCH_TLS_WORDS])
{
	words[0] = tls; /* tcb */
	words[1] = 0;   /* dtv: malloc_trim() has no use for it */
	words[2] = tls; /* self */
	words[3] = 1;   /* multiple_threads */
}

void lt_arch_thread_arguments(uint64_t flags, lt_addr stack, lt_addr word, lt_addr tls,
			      uint64_t arguments[6])
{
	const uint64_t all[6] = {flags, stack, word, word, tls, 0};
	memcpy(arguments, all, sizeof(all));
}

void lt_arch_set_sp(struct lt_arch_regs *regs, lt_addr sp)
{
	struct user_regs_struct user = unpack(regs);
	user.rsp = sp;
	pack(regs, &user);
}

/* mov $SYS_rt_sigreturn, %rax; syscall */
const uint8_t lt_arch_restorer[] = {0x48, 0xc7, 0xc0, SYS_rt_sigreturn, 0, 0, 0, 0x0f, 0x05};
const size_t lt_arch_restorer_size = sizeof(lt_arch_restorer);

/* arch/x86/include/asm/sigframe.h and <asm/sigcontext.h> of the kernel: struct rt_sigframe. */
struct frame {
	uint64_t restorer;
	uint64_t flags, link, stack[3]; /* struct ucontext */
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip;
	uint64_t eflags;
	uint16_t cs, gs, fs, ss;
	uint64_t err, trapno, oldmask, cr2, fpstate, reserved[8];
	uint64_t mask;
	uint8_t info[128];
};
const size_t lt_arch_frame_pc = offsetof(struct frame, rip);
const size_t lt_arch_frame_sp = offsetof(struct frame, rsp);

enum {
	FRAME_ROOM = 512,
	XSTATE_MAX = 64 << 10,
	XSTATE_MAGIC1 = 0x46505853,
	XSTATE_MAGIC2 = 0x46505845,
	SOFTWARE =
		464, /* in the XSAVE area: struct _fpx_sw_bytes; ptrace gives the mask of features there */
	SIGCONTEXT_SS = 2 | 4,
	STACK_KEPT = 3, /* no mode there is: the kernel leaves the alternate stack as it is */
};

bool lt_arch_frame(pid_t tid, const struct lt_arch_regs *regs, uint64_t mask, lt_addr restorer,
		   lt_addr at, uint8_t *bytes, size_t capacity, size_t *ret_size)
{
	struct user_regs_struct user = unpack(regs);
	struct iovec io = {bytes + FRAME_ROOM, capacity - FRAME_ROOM};
	if (capacity < FRAME_ROOM + XSTATE_MAX ||
	    ptrace(PTRACE_GETREGSET, tid, NT_X86_XSTATE, &io) != 0)
		return false;
	uint32_t size = (uint32_t)io.iov_len, magic2 = XSTATE_MAGIC2;
	if (size < SOFTWARE + 48 || FRAME_ROOM + size + sizeof(magic2) > capacity)
		return false;
	struct {
		uint32_t magic1, extended_size;
		uint64_t features;
		uint32_t size, padding[7];
	} software = {.magic1 = XSTATE_MAGIC1,
		      .extended_size = size + (uint32_t)sizeof(magic2),
		      .size = size};
	memcpy(&software.features, io.iov_base + SOFTWARE, sizeof(software.features));
	memcpy(io.iov_base + SOFTWARE, &software, sizeof(software));
	memcpy(io.iov_base + size, &magic2, sizeof(magic2));

	int64_t result = -(int64_t)user.rax;
	/* To begin a wait again that has no limit is the same call. */
	bool endless =
		result == RESTART_BLOCK && user.orig_rax == SYS_poll && (int32_t)user.rdx < 0;
	if ((int64_t)user.orig_rax >= 0 &&
	    (endless || (result >= RESTART_FIRST && result <= RESTART_LAST))) {
		user.rax = user.orig_rax;
		user.rip -= sizeof(lt_arch_syscall_insn);
	} else if ((int64_t)user.orig_rax >= 0 && result == RESTART_BLOCK) {
		user.rax = SYS_restart_syscall;
		user.rip -= sizeof(lt_arch_syscall_insn);
	}
	const struct frame frame = {
		.restorer = restorer,
		.flags = SIGCONTEXT_SS,
		.stack = {0, STACK_KEPT, 0},
		.r8 = user.r8,
		.r9 = user.r9,
		.r10 = user.r10,
		.r11 = user.r11,
		.r12 = user.r12,
		.r13 = user.r13,
		.r14 = user.r14,
		.r15 = user.r15,
		.rdi = user.rdi,
		.rsi = user.rsi,
		.rbp = user.rbp,
		.rbx = user.rbx,
		.rdx = user.rdx,
		.rax = user.rax,
		.rcx = user.rcx,
		.rsp = user.rsp,
		.rip = user.rip,
		.eflags = user.eflags,
		.cs = (uint16_t)user.cs,
		.ss = (uint16_t)user.ss,
		.fpstate = at + FRAME_ROOM,
		.mask = mask,
	};
	_Static_assert(sizeof(frame) <= FRAME_ROOM, "room for the frame");
	memcpy(bytes, &frame, sizeof(frame));
	*ret_size = FRAME_ROOM + size + sizeof(magic2);
	return true;
}

/*
 * The thread takes the restorer for its function, and calls it: the word that this puts on the stack takes the place of the
 * flags of the frame, of which the kernel asks only how strict it is to be with the stack's segment. Without a state of
 * the vector registers the kernel gives the one that programs begin with.
 */
void lt_arch_thread_call(lt_addr function, const uint64_t arguments[LT_ARCH_ARGUMENTS],
			 lt_addr restorer, lt_addr back, lt_addr at,
			 uint8_t bytes[LT_ARCH_CALL_BYTES])
{
	const uint64_t words[2] = {0, back};
	const struct frame frame = {
		.restorer = restorer,
		.stack = {0, STACK_KEPT, 0},
		.rdi = arguments[0],
		.rsi = arguments[1],
		.rdx = arguments[2],
		.rcx = arguments[3],
		.r8 = arguments[4],
		.rsp = at + sizeof(*words),
		.rip = function,
		.eflags = FLAGS_USUAL,
		.cs = USER_CS_64,
		.ss = USER_DS,
		.mask = UINT64_MAX,
	};
	_Static_assert(LT_ARCH_CALL_STACK + sizeof(frame) <= LT_ARCH_CALL_BYTES,
		       "room for the frame");
	memset(bytes, 0, LT_ARCH_CALL_BYTES);
	memcpy(bytes, words, sizeof(words));
	memcpy(bytes + LT_ARCH_CALL_STACK, &frame, sizeof(frame));
}

/* malloc/ of glibc 2.31 to 2.43 makes none of these: what it waits for are locks and memory. */
bool lt_arch_far_from_malloc(long number)
{
	static const short calls[] = {
		SYS_poll,       SYS_ppoll,       SYS_select,          SYS_pselect6,
		SYS_epoll_wait, SYS_epoll_pwait, SYS_nanosleep,       SYS_clock_nanosleep,
		SYS_accept,     SYS_accept4,     SYS_recvfrom,        SYS_recvmsg,
		SYS_sendto,     SYS_sendmsg,     SYS_connect,         SYS_wait4,
		SYS_waitid,     SYS_pause,       SYS_rt_sigtimedwait, SYS_rt_sigsuspend,
		SYS_flock,      SYS_fcntl,       SYS_fsync,           SYS_fdatasync,
		SYS_semop,      SYS_semtimedop,  SYS_msgrcv,          SYS_msgsnd,
		SYS_pread64,    SYS_pwrite64,    SYS_sendfile,        SYS_io_getevents,
		SYS_sched_yield};
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++)
		if (calls[i] == number)
			return true;
	return false;
}
