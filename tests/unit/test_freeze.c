#include "base/session.h"
#include "target/arch.h"
#include "target/freeze.h"
#include "target/freeze_guard.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#if defined(__x86_64__)
#include <sys/user.h>
#endif

enum { FIRST = 0x5eed, SECOND = 0xf00d };

/* A copy of this program that turns `word` from FIRST into SECOND at SIGUSR1, and otherwise sleeps. */
static volatile uint64_t word;
static pid_t other_thread;

static void change(int number)
{
	(void)number;
	word = SECOND;
}

static void *sleep_on(void *ready)
{
	pid_t self = (pid_t)syscall(SYS_gettid);
	if (write(*(int *)ready, &self, sizeof(self)) < 0)
		_exit(1);
	for (;;)
		pause();
	return NULL;
}

static pid_t start_target(void)
{
	int ready[2];
	assert_int_equal(pipe(ready), 0);
	word = FIRST;
	pid_t pid = fork();
	if (pid == 0) {
		pthread_t thread;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGUSR1, change);
		pthread_create(&thread, NULL, sleep_on, &ready[1]);
		for (;;)
			pause();
	}
	assert_int_equal(read(ready[0], &other_thread, sizeof(other_thread)), sizeof(other_thread));
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static void end_target(pid_t pid)
{
	int status = 0;
	/* It lives, and its copy is not among its children any more. */
	assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

struct fixture {
	struct lt_session session;
	struct lt_process *process;
	pid_t pid;
};

static struct fixture open_target(void)
{
	struct fixture fixture = {.pid = start_target()};
	lt_session_init(&fixture.session);
	assert_int_equal(lt_process_open(&fixture.session, fixture.pid, &fixture.process), LT_OK);
	return fixture;
}

static void close_target(struct fixture *fixture)
{
	lt_process_close(fixture->process);
	lt_session_deinit(&fixture->session);
	end_target(fixture->pid);
}

static uint64_t read_word(struct lt_memory *memory)
{
	uint64_t value = 0;
	assert_true(lt_memory_u64(memory, (lt_addr)(uintptr_t)&word, &value));
	return value;
}

/* Lets the target change its word and waits until it has. */
static void let_change(struct fixture *fixture)
{
	struct lt_memory *live = NULL;
	assert_int_equal(lt_process_memory(&fixture->session, fixture->process, &live), LT_OK);
	kill(fixture->pid, SIGUSR1);
	for (unsigned i = 0; i < 10000 && read_word(live) != SECOND; i++)
		usleep(1000);
	assert_int_equal(read_word(live), SECOND);
	lt_memory_close(live);
}

static void picture_stays(void **state)
{
	(void)state;
	struct fixture fixture = open_target();
	struct lt_freeze *freeze = NULL;
	assert_int_equal(lt_freeze_begin(&fixture.session, fixture.process, NULL, NULL, &freeze),
			 LT_OK);
	assert_int_equal(freeze->mode, LT_MODE_FORK);
	assert_true(freeze->stall_ns > 0);
	let_change(&fixture);
	assert_int_equal(read_word(freeze->memory), FIRST);
	uint64_t stall = freeze->stall_ns;
	lt_freeze_release(&fixture.session, freeze);
	assert_null(freeze->memory);
	assert_true(freeze->stall_ns >
		    stall); /* the moment in which the copy was reaped counts too */
	lt_freeze_release(&fixture.session, freeze);
	lt_freeze_end(&fixture.session, freeze);
	assert_int_equal(fixture.session.warning_count, 0);
	close_target(&fixture);
}

static void live_moves(void **state)
{
	(void)state;
	struct fixture fixture = open_target();
	struct lt_freeze *freeze = NULL;
	const struct lt_freeze_options options = {.mode = LT_MODE_LIVE};
	assert_int_equal(
		lt_freeze_begin(&fixture.session, fixture.process, NULL, &options, &freeze), LT_OK);
	assert_int_equal(read_word(freeze->memory), FIRST);
	let_change(&fixture);
	assert_int_equal(read_word(freeze->memory), SECOND);
	assert_int_equal(freeze->stall_ns, 0);
	lt_freeze_end(&fixture.session, freeze);
	close_target(&fixture);
}

static void stop_stops(void **state)
{
	(void)state;
	struct fixture fixture = open_target();
	struct lt_freeze *freeze = NULL;
	const struct lt_freeze_options options = {.mode = LT_MODE_STOP};
	assert_int_equal(
		lt_freeze_begin(&fixture.session, fixture.process, NULL, &options, &freeze), LT_OK);
	kill(fixture.pid, SIGUSR1);
	usleep(20000);
	assert_int_equal(read_word(freeze->memory), FIRST);
	lt_freeze_release(&fixture.session, freeze);
	assert_true(freeze->stall_ns >= 20000000);
	lt_freeze_end(&fixture.session, freeze);
	let_change(&fixture); /* the signal came through */
	close_target(&fixture);
}

static void end_of_nothing(void **state)
{
	(void)state;
	struct lt_session session;
	lt_session_init(&session);
	lt_freeze_end(&session, NULL);
	lt_session_deinit(&session);
}

/* --- what the probe says ---------------------------------------------------------------------- */

struct story {
	unsigned collections; /* answers "collecting" so often */
	unsigned asked;
	pid_t holder;
	unsigned slips; /* looks after which the holder is known */
};

/* Runs in the guard: counts there only. */
static bool tell_collecting(void *ctx, struct lt_memory *live)
{
	struct story *story = ctx;
	assert_int_equal(read_word(live), FIRST);
	return story->asked++ < story->collections;
}

static pid_t tell_holder(void *ctx, struct lt_memory *live)
{
	struct story *story = ctx;
	(void)live;
	if (story->slips > 0) {
		story->slips--;
		return story->slips % 2 == 0 ? story->holder : 0;
	}
	return story->holder;
}

static void freeze_with(struct fixture *fixture, struct story *story, unsigned ret_retries)
{
	const struct lt_freeze_probe probe = {story, tell_collecting, tell_holder};
	struct lt_freeze *freeze = NULL;
	assert_int_equal(
		lt_freeze_begin(&fixture->session, fixture->process, &probe, NULL, &freeze), LT_OK);
	assert_int_equal(freeze->retries, ret_retries);
	assert_int_equal(read_word(freeze->memory), FIRST);
	lt_freeze_end(&fixture->session, freeze);
	assert_int_equal(fixture->session.warning_count, 0);
}

static void collection_is_waited_for(void **state)
{
	(void)state;
	struct fixture fixture = open_target();
	freeze_with(&fixture, &(struct story){.collections = 0}, 0);
	freeze_with(&fixture, &(struct story){.collections = 4}, 4);
	/* A collection that begins between the look and the stop. */
	freeze_with(&fixture, &(struct story){.collections = 3, .holder = other_thread}, 3);
	close_target(&fixture);
}

static void collection_without_end(void **state)
{
	(void)state;
	struct fixture fixture = open_target();
	struct story story = {.collections = UINT32_MAX};
	const struct lt_freeze_probe probe = {&story, tell_collecting, NULL};
	const struct lt_freeze_options options = {.attempts = 5};
	struct lt_freeze *freeze = NULL;
	assert_int_equal(
		lt_freeze_begin(&fixture.session, fixture.process, &probe, &options, &freeze),
		LT_E_BUSY);
	assert_null(freeze);
	assert_non_null(
		strstr(fixture.session.message, "garbage collection at each of 5 attempts"));
	assert_non_null(strstr(fixture.session.remedy, "--mode live"));
	close_target(&fixture);
}

static void holder_of_the_gil(void **state)
{
	(void)state;
	struct fixture fixture = open_target();
	freeze_with(&fixture, &(struct story){.holder = fixture.pid}, 0);
	freeze_with(&fixture, &(struct story){.holder = other_thread}, 0);
	/* It is another one each time: in the end all threads are stopped. */
	freeze_with(&fixture, &(struct story){.holder = other_thread, .slips = 30}, 0);
	close_target(&fixture);
}

static void foreign_holder(void **state)
{
	(void)state;
	struct fixture fixture = open_target(), bystander = open_target();
	pid_t foreign[] = {1, bystander.pid, -1, 0, INT32_MAX};
	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
		freeze_with(&fixture, &(struct story){.holder = foreign[i]}, 0);
	close_target(&bystander);
	close_target(&fixture);
}

/* --- refusals --------------------------------------------------------------------------------- */

static void ended_target(void **state)
{
	(void)state;
	struct fixture fixture = open_target();
	kill(fixture.pid, SIGKILL);
	siginfo_t info;
	assert_int_equal(waitid(P_PID, (id_t)fixture.pid, &info, WEXITED | WNOWAIT), 0);
	for (enum lt_mode mode = LT_MODE_FORK; mode <= LT_MODE_LIVE; mode++) {
		const struct lt_freeze_options options = {.mode = mode};
		struct lt_freeze *freeze = NULL;
		assert_int_equal(
			lt_freeze_begin(&fixture.session, fixture.process, NULL, &options, &freeze),
			LT_E_GONE);
		assert_null(freeze);
		lt_session_clear(&fixture.session);
	}
	waitpid(fixture.pid, NULL, 0);
	lt_process_close(fixture.process);
	lt_session_deinit(&fixture.session);
}

static void names_the_tracer(void **state)
{
	(void)state;
	struct lt_session session;
	lt_session_init(&session);
	assert_int_equal(lt_freeze_refuse_traced(&session, 12, getpid()), LT_E_PERMISSION);
	char expected[64];
	snprintf(expected, sizeof(expected),
		 "process 12 is being traced by process %d (test_freeze", (int)getpid());
	assert_memory_equal(session.message, expected, strlen(expected));
	lt_session_deinit(&session);
}

/* Lowtide started by a program that ignores SIGCHLD, with signals blocked. */
static void odd_signals(void **state)
{
	(void)state;
	struct fixture fixture = open_target();
	sigset_t all, before;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	signal(SIGCHLD, SIG_IGN);
	struct lt_freeze *freeze = NULL;
	assert_int_equal(lt_freeze_begin(&fixture.session, fixture.process, NULL, NULL, &freeze),
			 LT_OK);
	assert_int_equal(read_word(freeze->memory), FIRST);
	lt_freeze_end(&fixture.session, freeze);
	assert_int_equal(fixture.session.warning_count, 0);
	signal(SIGCHLD, SIG_DFL);
	sigset_t now;
	sigprocmask(SIG_SETMASK, &before, &now);
	assert_true(sigismember(&now, SIGTERM) == 1);
	close_target(&fixture);
}

static void several_at_once(void **state)
{
	(void)state;
	struct fixture fixtures[3];
	struct lt_freeze *freezes[3] = {0};
	for (unsigned i = 0; i < 3; i++) {
		fixtures[i] = open_target();
		assert_int_equal(lt_freeze_begin(&fixtures[i].session, fixtures[i].process, NULL,
						 NULL, &freezes[i]),
				 LT_OK);
	}
	for (unsigned i = 0; i < 3; i++) {
		let_change(&fixtures[i]);
		assert_int_equal(read_word(freezes[i]->memory), FIRST);
	}
	for (unsigned i = 0; i < 3; i++) {
		lt_freeze_end(&fixtures[i].session, freezes[i]);
		assert_int_equal(fixtures[i].session.warning_count, 0);
		close_target(&fixtures[i]);
	}
}

/* --- registers -------------------------------------------------------------------------------- */

#if defined(__x86_64__)
static struct lt_arch_regs returned(long number, int64_t result, uint64_t third, uint64_t fourth)
{
	struct user_regs_struct user = {.cs = 0x33,
					.rip = 0x1002,
					.rax = (uint64_t)result,
					.orig_rax = (uint64_t)number,
					.rdx = third,
					.r10 = fourth};
	struct lt_arch_regs regs = {0};
	memcpy(regs.words, &user, sizeof(user));
	return regs;
}

static void calls_done_again(void **state)
{
	(void)state;
	const uint64_t forever = UINT32_MAX; /* -1 in 32 bits */
	struct {
		long number;
		int64_t result;
		uint64_t third, fourth;
		bool again;
	} cases[] = {
		{SYS_epoll_wait, -EINTR, 1, forever, true},
		{SYS_epoll_wait, -EINTR, 1, UINT64_MAX, true},
		{SYS_epoll_wait, -EINTR, 1, 1000, false},
		{SYS_epoll_wait, -EINTR, 1, 0, false},
		{SYS_epoll_wait, 1, 1, forever, false},
		{SYS_epoll_wait, -EBADF, 1, forever, false},
		{SYS_epoll_pwait, -EINTR, 1, forever, true},
		{SYS_semtimedop, -EINTR, 1, 0, true},
		{SYS_semtimedop, -EINTR, 1, 0x7fff0000, false},
		{SYS_semop, -EINTR, 1, 0, true},
		{SYS_rt_sigtimedwait, -EINTR, 0, 8, true},
		{SYS_rt_sigtimedwait, -EINTR, 0x7fff0000, 8, false},
		{SYS_read, -EINTR, 1, forever, false},
		{SYS_nanosleep, -516, 0, 0, false},
		{-1, -EINTR, 1, forever, false},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct lt_arch_regs regs =
			returned(cases[i].number, cases[i].result, cases[i].third, cases[i].fourth);
		struct lt_arch_regs before = regs;
		assert_int_equal(lt_arch_redo(&regs), cases[i].again);
		struct user_regs_struct user;
		memcpy(&user, regs.words, sizeof(user));
		if (!cases[i].again) {
			assert_memory_equal(&regs, &before, sizeof(regs));
			continue;
		}
		assert_int_equal(user.rip, 0x1000);
		assert_int_equal(user.rax, (uint64_t)cases[i].number);
		assert_int_equal(user.orig_rax, UINT64_MAX);
	}
}

static void prepared_call(void **state)
{
	(void)state;
	struct lt_arch_regs regs = returned(SYS_poll, -516, 3, 4);
	const uint64_t arguments[6] = {11, 12, 13, 14, 15, 16};
	lt_arch_prepare(&regs, 0x7000, SYS_wait4, arguments);
	struct user_regs_struct user;
	memcpy(&user, regs.words, sizeof(user));
	assert_int_equal(user.rip, 0x7000);
	assert_int_equal(user.rax, SYS_wait4);
	assert_int_equal(user.orig_rax, UINT64_MAX);
	assert_true(user.rdi == 11 && user.rsi == 12 && user.rdx == 13 && user.r10 == 14 &&
		    user.r8 == 15 && user.r9 == 16);
	assert_true(lt_arch_supported(&regs));
	user.cs = 0x23; /* of a 32-bit program */
	memcpy(regs.words, &user, sizeof(user));
	assert_false(lt_arch_supported(&regs));
	assert_true(lt_arch_touchy(SYS_epoll_wait, (uint64_t[6]){1, 2, 3, 1000, 0, 0}));
	assert_false(lt_arch_touchy(SYS_epoll_wait, (uint64_t[6]){1, 2, 3, UINT32_MAX, 0, 0}));
	assert_false(lt_arch_touchy(SYS_futex, (uint64_t[6]){0}));
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(picture_stays),
		cmocka_unit_test(live_moves),
		cmocka_unit_test(stop_stops),
		cmocka_unit_test(end_of_nothing),
		cmocka_unit_test(collection_is_waited_for),
		cmocka_unit_test(collection_without_end),
		cmocka_unit_test(holder_of_the_gil),
		cmocka_unit_test(foreign_holder),
		cmocka_unit_test(ended_target),
		cmocka_unit_test(names_the_tracer),
		cmocka_unit_test(odd_signals),
		cmocka_unit_test(several_at_once),
#if defined(__x86_64__)
		cmocka_unit_test(calls_done_again),
		cmocka_unit_test(prepared_call),
#endif
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
