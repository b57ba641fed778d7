/*
 * lt_victim: a program that waits in one precise system call, or works, while a test freezes it.
 *
 *     lt_victim CALL [MS]      does the call with a time limit of MS (0: none), says what came out
 *     lt_victim --list         the calls
 *
 * Prints "ready" just before, and afterwards one line of JSON: {"call", "result", "errno", "ms"}. A line
 * on standard input, or its end, ends the endless ones by making true what they wait for.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static unsigned limit_ms;
static uint64_t begun_ns;
static volatile sig_atomic_t alarms;
static uint32_t futex_word;
static int wake[2]; /* a pipe: readable once the test has sent its line */
static pid_t sleeping_child;

static uint64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static struct timespec limit(void)
{
	return (struct timespec){limit_ms / 1000, (long)(limit_ms % 1000) * 1000000};
}

static long futex(int operation, uint32_t value, const struct timespec *timeout, uint32_t mask)
{
	long result = syscall(SYS_futex, &futex_word, operation, value, timeout, NULL, mask);
	/* Let go and awoken before it was back in the call that it restarts: as good as awoken in it. */
	if (result != 0 && errno == EAGAIN &&
	    __atomic_load_n(&futex_word, __ATOMIC_SEQ_CST) != value)
		return 0;
	return result;
}

/* Turns the test's line into what the endless calls wait for. */
static void *listen_for_line(void *unused)
{
	char byte;
	while (read(0, &byte, 1) == 1 && byte != '\n')
		;
	__atomic_store_n(&futex_word, 1, __ATOMIC_SEQ_CST);
	futex(FUTEX_WAKE, 1, NULL, 0);
	if (sleeping_child > 0)
		kill(sleeping_child, SIGKILL);
	if (write(wake[1], "x", 1) < 0)
		_exit(9);
	return unused;
}

static long call_nanosleep(void)
{
	struct timespec time = limit();
	return nanosleep(&time, NULL);
}

static long call_clock_nanosleep(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	struct timespec more = limit();
	time.tv_sec += more.tv_sec;
	time.tv_nsec += more.tv_nsec;
	if (time.tv_nsec >= 1000000000) {
		time.tv_nsec -= 1000000000;
		time.tv_sec++;
	}
	errno = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL);
	return errno == 0 ? 0 : -1;
}

static long call_poll(void)
{
	struct pollfd fd = {.fd = wake[0], .events = POLLIN};
	return poll(&fd, 1, limit_ms != 0 ? (int)limit_ms : -1);
}

static long call_ppoll(void)
{
	struct pollfd fd = {.fd = wake[0], .events = POLLIN};
	struct timespec time = limit();
	sigset_t mask;
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR1);
	return ppoll(&fd, 1, limit_ms != 0 ? &time : NULL, &mask);
}

static long call_select(void)
{
	fd_set set;
	FD_ZERO(&set);
	FD_SET(wake[0], &set);
	struct timeval time = {limit_ms / 1000, (limit_ms % 1000) * 1000};
	return select(wake[0] + 1, &set, NULL, NULL, limit_ms != 0 ? &time : NULL);
}

static long call_epoll_wait(void)
{
	int epoll = epoll_create1(0);
	struct epoll_event event = {.events = EPOLLIN};
	epoll_ctl(epoll, EPOLL_CTL_ADD, wake[0], &event);
	return epoll_wait(epoll, &event, 1, limit_ms != 0 ? (int)limit_ms : -1);
}

static long call_epoll_pwait(void)
{
	int epoll = epoll_create1(0);
	struct epoll_event event = {.events = EPOLLIN};
	sigset_t mask;
	sigemptyset(&mask);
	epoll_ctl(epoll, EPOLL_CTL_ADD, wake[0], &event);
	return epoll_pwait(epoll, &event, 1, limit_ms != 0 ? (int)limit_ms : -1, &mask);
}

static long call_futex(void)
{
	struct timespec time = limit();
	return futex(FUTEX_WAIT, 0, limit_ms != 0 ? &time : NULL, 0);
}

static long call_futex_until(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	time.tv_sec += limit_ms / 1000;
	time.tv_nsec += (long)(limit_ms % 1000) * 1000000;
	if (time.tv_nsec >= 1000000000) {
		time.tv_nsec -= 1000000000;
		time.tv_sec++;
	}
	return futex(FUTEX_WAIT_BITSET, 0, limit_ms != 0 ? &time : NULL, FUTEX_BITSET_MATCH_ANY);
}

static long call_condition(void)
{
	pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
	struct timespec time;
	clock_gettime(CLOCK_REALTIME, &time);
	time.tv_sec += limit_ms / 1000;
	time.tv_nsec += (long)(limit_ms % 1000) * 1000000;
	if (time.tv_nsec >= 1000000000) {
		time.tv_nsec -= 1000000000;
		time.tv_sec++;
	}
	pthread_mutex_lock(&mutex);
	long result = pthread_cond_timedwait(&condition, &mutex, &time);
	return result == ETIMEDOUT ? 0 : result;
}

static long call_read(void)
{
	char byte;
	return read(wake[0], &byte, 1);
}

static long call_waitpid(void)
{
	int status = 0;
	pid_t got = waitpid(-1, &status, 0);
	return got == sleeping_child && WIFSIGNALED(status) ? 0 : -1;
}

static long call_waitid(void)
{
	siginfo_t info = {0};
	long result = waitid(P_ALL, 0, &info, WEXITED);
	return result == 0 && info.si_pid == sleeping_child ? 0 : -1;
}

static long call_accept(void)
{
	int server = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t size = sizeof(address);
	if (bind(server, (struct sockaddr *)&address, size) != 0 || listen(server, 1) != 0 ||
	    getsockname(server, (struct sockaddr *)&address, &size) != 0)
		return -1;
	pid_t client = fork();
	if (client == 0) {
		char byte;
		int fd = socket(AF_INET, SOCK_STREAM, 0);
		if (read(wake[0], &byte, 1) != 1)
			_exit(1);
		_exit(connect(fd, (struct sockaddr *)&address, size) != 0);
	}
	int fd = accept(server, NULL, NULL);
	int saved = errno;
	waitpid(client, NULL, 0);
	errno = saved;
	return fd >= 0 ? 0 : -1;
}

static long call_receive(void)
{
	int pair[2];
	char byte;
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0)
		return -1;
	dup2(wake[0], 100);
	pid_t writer = fork();
	if (writer == 0) {
		if (read(100, &byte, 1) == 1 && write(pair[1], "y", 1) == 1)
			_exit(0);
		_exit(1);
	}
	long got = recv(pair[0], &byte, 1, 0);
	int saved = errno;
	waitpid(writer, NULL, 0);
	errno = saved;
	return got;
}

static long call_sigtimedwait(void)
{
	sigset_t set;
	struct timespec time = limit();
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	return syscall(SYS_rt_sigtimedwait, &set, NULL, limit_ms != 0 ? &time : NULL, 8);
}

static long call_semop(void)
{
	int set = semget(IPC_PRIVATE, 1, 0600);
	struct sembuf down = {0, -1, 0}, up = {0, 1, 0};
	pid_t other = fork();
	if (other == 0) {
		char byte;
		_exit(read(wake[0], &byte, 1) != 1 || semop(set, &up, 1) != 0);
	}
	long result = semop(set, &down, 1);
	int saved = errno;
	waitpid(other, NULL, 0);
	semctl(set, 0, IPC_RMID);
	errno = saved;
	return result;
}

/* Every register with a known value, looked at all the time. The result has a bit for each that changed. */
static long call_registers(void)
{
#if defined(__x86_64__)
	static const uint64_t pattern[2] = {0x1122334455667788u, 0x99aabbccddeeff00u};
	/* To the limit or the test's line, whichever comes first. */
	while (now_ns() - begun_ns < (uint64_t)limit_ms * 1000000u &&
	       __atomic_load_n(&futex_word, __ATOMIC_SEQ_CST) == 0) {
		uint64_t wrong = 0, rounds = 500000;
		__asm__ volatile("movdqu (%[pattern]), %%xmm3\n\t"
				 "movdqa %%xmm3, %%xmm15\n\t"
				 "mov $0x101, %%rax\n\t mov $0x102, %%rdx\n\t mov $0x103, %%rsi\n\t"
				 "mov $0x104, %%rdi\n\t mov $0x105, %%r8\n\t mov $0x106, %%r9\n\t"
				 "mov $0x107, %%r10\n\t mov $0x108, %%r11\n\t mov $0x109, %%r12\n\t"
				 "mov $0x10a, %%r13\n\t mov $0x10b, %%rcx\n\t"
				 "1:\n\t"
				 "cmp $0x101, %%rax\n\t jne 2f\n\t cmp $0x102, %%rdx\n\t jne 2f\n\t"
				 "cmp $0x103, %%rsi\n\t jne 2f\n\t cmp $0x104, %%rdi\n\t jne 2f\n\t"
				 "cmp $0x105, %%r8\n\t jne 2f\n\t cmp $0x106, %%r9\n\t jne 2f\n\t"
				 "cmp $0x107, %%r10\n\t jne 2f\n\t cmp $0x108, %%r11\n\t jne 2f\n\t"
				 "cmp $0x109, %%r12\n\t jne 2f\n\t cmp $0x10a, %%r13\n\t jne 2f\n\t"
				 "cmp $0x10b, %%rcx\n\t jne 2f\n\t"
				 "movdqa %%xmm3, %%xmm4\n\t pxor %%xmm15, %%xmm4\n\t ptest %%xmm4, "
				 "%%xmm4\n\t"
				 "jnz 2f\n\t"
				 "dec %[rounds]\n\t jnz 1b\n\t jmp 3f\n\t"
				 "2: mov $1, %[wrong]\n\t"
				 "3:\n\t"
				 : [wrong] "+r"(wrong), [rounds] "+r"(rounds)
				 : [pattern] "r"(pattern)
				 : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11",
				   "r12", "r13", "xmm3", "xmm4", "xmm15", "cc", "memory");
		if (wrong != 0)
			return 1;
	}
#endif
	return 0;
}

static void on_alarm(int number)
{
	(void)number;
	alarms = alarms + 1;
}

/* A signal each millisecond, counted by the handler; sleeps in between must not be lost. */
static long call_signals(void)
{
	struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
	sigaction(SIGALRM, &action, NULL);
	struct itimerval each = {{0, 1000}, {0, 1000}}, none = {0};
	setitimer(ITIMER_REAL, &each, NULL);
	while (now_ns() - begun_ns < (uint64_t)limit_ms * 1000000u) {
		struct timespec time = {0, 3000000};
		if (nanosleep(&time, NULL) != 0 && errno != EINTR)
			return -1;
	}
	setitimer(ITIMER_REAL, &none, NULL);
	errno = 0;
	return alarms > 0 ? 0 : -1;
}

static void *churn_body(void *argument)
{
	return argument;
}

/* Threads that start and end all the time. */
static long call_threads(void)
{
	while (now_ns() - begun_ns < (uint64_t)limit_ms * 1000000u) {
		pthread_t threads[8];
		for (unsigned i = 0; i < 8; i++)
			if (pthread_create(&threads[i], NULL, churn_body, NULL) != 0)
				return 1;
		for (unsigned i = 0; i < 8; i++)
			pthread_join(threads[i], NULL);
	}
	return 0;
}

/* Forks, and looks at how each child ends, by waiting for any child. */
static void *fork_body(void *argument)
{
	_Atomic long *bad = argument;
	for (unsigned round = 0; now_ns() - begun_ns < (uint64_t)limit_ms * 1000000u; round++) {
		int code = (int)(round % 100), status = 0;
		pid_t child = fork();
		if (child == 0)
			_exit(code);
		if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status) ||
		    WEXITSTATUS(status) != code) {
			fprintf(stderr, "child %d ended with status %#x, not code %d (%s)\n",
				(int)child, (unsigned)status, code, strerror(errno));
			atomic_fetch_add(bad, 1);
		}
	}
	return NULL;
}

static long call_fork(void)
{
	_Atomic long bad = 0;
	pthread_t other;
	if (pthread_create(&other, NULL, fork_body, &bad) != 0)
		return -1;
	fork_body(&bad);
	pthread_join(other, NULL);
	return bad;
}

static long call_fork_any(void)
{
	long bad = 0;
	for (unsigned round = 0; now_ns() - begun_ns < (uint64_t)limit_ms * 1000000u; round++) {
		int status = 0;
		pid_t child = fork();
		if (child == 0)
			_exit(7);
		pid_t got = waitpid(-1, &status, 0);
		if (got != child || !WIFEXITED(status) || WEXITSTATUS(status) != 7)
			bad++;
	}
	return bad;
}

/* posix_spawn: vfork inside. */
static long call_spawn(void)
{
	char program[] = "/bin/true";
	char *const arguments[] = {program, NULL};
	while (now_ns() - begun_ns < (uint64_t)limit_ms * 1000000u) {
		pid_t child;
		int status = 0;
		if (posix_spawn(&child, program, NULL, NULL, arguments, environ) != 0 ||
		    waitpid(child, &status, 0) != child || status != 0)
			return 1;
	}
	return 0;
}

/* Becomes another program again and again, from a thread that is not the first one. */
static char **own_arguments;

static void *exec_body(void *argument)
{
	execv("/proc/self/exe", own_arguments);
	return argument;
}

static long call_exec(void)
{
	const char *text = getenv("LT_VICTIM_BEGUN");
	char number[32];
	if (text != NULL)
		begun_ns = strtoull(text, NULL, 10);
	snprintf(number, sizeof(number), "%" PRIu64, begun_ns);
	setenv("LT_VICTIM_BEGUN", number, 1);
	if (now_ns() - begun_ns >= (uint64_t)limit_ms * 1000000u)
		return 0;
	pthread_t thread;
	pthread_create(&thread, NULL, exec_body, NULL);
	pthread_join(thread, NULL);
	return -1;
}

/* Counts in memory without a pause; prints where, for a reader of a frozen copy. */
static long call_count(void)
{
	static volatile uint64_t counter;
	printf("%p\n", (void *)(uintptr_t)&counter);
	fflush(stdout);
	while (now_ns() - begun_ns < (uint64_t)limit_ms * 1000000u)
		for (unsigned i = 0; i < 1000; i++)
			counter = counter + 1;
	return counter > 0 ? 0 : -1;
}

/* Regions that a fork treats in its own way; prints their addresses: dont-fork, shared, locked. */
static long call_regions(void)
{
	char *regions[3];
	for (unsigned i = 0; i < 3; i++) {
		regions[i] = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				  MAP_ANONYMOUS | (i == 1 ? MAP_SHARED : MAP_PRIVATE), -1, 0);
		if (regions[i] == MAP_FAILED)
			return -1;
		memcpy(regions[i], "\1\0\0\0\0\0\0", 8);
	}
	if (madvise(regions[0], 4096, MADV_DONTFORK) != 0)
		return -1;
	if (mlock(regions[2], 4096) != 0)
		errno = 0;
	prctl(PR_SET_PDEATHSIG, SIGUSR1);
	printf("%p %p %p\n", (void *)regions[0], (void *)regions[1], (void *)regions[2]);
	fflush(stdout);
	return call_poll();
}

static void become_sleeping_parent(void)
{
	sleeping_child = fork();
	if (sleeping_child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
}

static const struct {
	const char *name;
	long (*call)(void);
	bool needs_child;
} calls[] = {
	{"nanosleep", call_nanosleep, false},
	{"clock_nanosleep", call_clock_nanosleep, false},
	{"poll", call_poll, false},
	{"ppoll", call_ppoll, false},
	{"select", call_select, false},
	{"epoll_wait", call_epoll_wait, false},
	{"epoll_pwait", call_epoll_pwait, false},
	{"futex", call_futex, false},
	{"futex_until", call_futex_until, false},
	{"condition", call_condition, false},
	{"read", call_read, false},
	{"waitpid", call_waitpid, true},
	{"waitid", call_waitid, true},
	{"accept", call_accept, false},
	{"receive", call_receive, false},
	{"sigtimedwait", call_sigtimedwait, false},
	{"semop", call_semop, false},
	{"registers", call_registers, false},
	{"signals", call_signals, false},
	{"threads", call_threads, false},
	{"fork", call_fork, false},
	{"fork_any", call_fork_any, false},
	{"spawn", call_spawn, false},
	{"exec", call_exec, false},
	{"count", call_count, false},
	{"regions", call_regions, false},
};

int main(int count, char **arguments)
{
	own_arguments = arguments;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (count == 2 && strcmp(arguments[1], "--list") == 0) {
		for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
			puts(calls[i].name);
		return 0;
	}
	for (size_t i = 0; count >= 2 && i < sizeof(calls) / sizeof(calls[0]); i++) {
		if (strcmp(calls[i].name, arguments[1]) != 0)
			continue;
		limit_ms = count > 2 ? (unsigned)strtoul(arguments[2], NULL, 10) : 0;
		if (calls[i].needs_child)
			become_sleeping_parent();
		pthread_t listener;
		sigset_t set;
		sigemptyset(&set);
		sigaddset(&set, SIGUSR2);
		sigprocmask(SIG_BLOCK, &set, NULL);
		if (pipe(wake) != 0 || pthread_create(&listener, NULL, listen_for_line, NULL) != 0)
			return 9;
		begun_ns = now_ns();
		if (getenv("LT_VICTIM_BEGUN") == NULL)
			puts("ready");
		fflush(stdout);
		errno = 0;
		long result = calls[i].call();
		int error = result < 0 ? errno : 0;
		printf("{\"call\": \"%s\", \"result\": %ld, \"errno\": %d, \"ms\": %" PRIu64 "}\n",
		       arguments[1], result, error, (now_ns() - begun_ns) / 1000000u);
		return 0;
	}
	fprintf(stderr, "no such call\n");
	return 2;
}
