/*
 * lt_nested: a program of one thread that waits within handlers of signals, for the tests of trim.
 *
 *     lt_nested WAY
 *
 * It allocates all the time, and a timer interrupts it:
 *     outside    in its own code; the handler waits
 *     plain      inside the C library's allocator; the handler waits
 *     alternate  the same, the handler on the alternate stack
 *     nested     inside the allocator; the handler, on the stack of what it interrupted, is interrupted in turn, and that
 *                handler waits on the alternate stack
 * Waits until a line, or the end, comes on standard input; "ready" is printed before, and "over" after more work.
 */
#include <dlfcn.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

enum { STACK = 256 << 10, BLOCKS = 64, AFTER = 100000 };

static bool want_inside, nested;
static const void *library;
static volatile sig_atomic_t over, work;

static bool is_inside(const ucontext_t *context)
{
	Dl_info info;
	void *pc = (void *)(uintptr_t)context->uc_mcontext.gregs[REG_RIP];
	return dladdr(pc, &info) != 0 && info.dli_fbase == library;
}

static void wait_for_line(void)
{
	struct pollfd line = {STDIN_FILENO, POLLIN, 0};
	const struct itimerval never = {0};
	setitimer(ITIMER_REAL, &never, NULL);
	setitimer(ITIMER_VIRTUAL, &never, NULL);
	if (write(STDOUT_FILENO, "ready\n", 6) == 6)
		poll(&line, 1, -1);
	over = 1;
}

static void on_second(int number)
{
	(void)number;
	wait_for_line();
}

static void on_timer(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)info;
	if (over || work == 0 || is_inside(context) != want_inside)
		return;
	const struct itimerval soon = {{0, 1000}, {0, 1000}};
	if (!nested)
		wait_for_line();
	else
		setitimer(ITIMER_VIRTUAL, &soon, NULL);
	/* The second one comes here, in this program's own code. */
	while (!over) {
	}
}

static void do_work(void *blocks[BLOCKS], unsigned i)
{
	/* Larger than what is cached: each goes through the arena. */
	free(blocks[i % BLOCKS]);
	blocks[i % BLOCKS] = malloc(2000 + i % 37 * 64);
}

int main(int argc, char **argv)
{
	Dl_info info;
	void *blocks[BLOCKS] = {0};
	if (argc != 2 || dladdr((void *)(uintptr_t)malloc, &info) == 0)
		return 2;
	library = info.dli_fbase;
	want_inside = strcmp(argv[1], "outside") != 0;
	nested = strcmp(argv[1], "nested") == 0;
	const stack_t stack = {.ss_sp = malloc(STACK), .ss_size = STACK};
	struct sigaction first = {.sa_sigaction = on_timer, .sa_flags = SA_SIGINFO | SA_RESTART};
	struct sigaction second = {.sa_handler = on_second, .sa_flags = SA_ONSTACK};
	if (strcmp(argv[1], "alternate") == 0)
		first.sa_flags |= SA_ONSTACK;
	if (stack.ss_sp == NULL || sigaltstack(&stack, NULL) != 0)
		return 1;
	sigaction(SIGALRM, &first, NULL);
	sigaction(SIGVTALRM, &second, NULL);
	const struct itimerval often = {{0, 1000}, {0, 1000}};
	setitimer(ITIMER_REAL, &often, NULL);
	for (unsigned i = 0; !over; i++) {
		work = 1;
		for (volatile unsigned spin = 0; !want_inside && spin < 1000; spin++) {
		}
		do_work(blocks, i);
		work = 0;
	}
	for (unsigned i = 0; i < AFTER; i++)
		do_work(blocks, i);
	puts("over");
	return 0;
}
