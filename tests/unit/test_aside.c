/* That a thread which looks at a process keeps off its processor, as long as there is another. */
#include "watch/aside.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static cpu_set_t mine(void)
{
	cpu_set_t set;
	assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
	return set;
}

static unsigned first_of(const cpu_set_t *set)
{
	unsigned processor = 0;
	while (!CPU_ISSET(processor, set))
		processor++;
	return processor;
}

/* A child that does nothing but run, on one processor. */
static pid_t run_on(unsigned processor)
{
	int ready[2];
	char byte;
	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		cpu_set_t set;
		CPU_ZERO(&set);
		CPU_SET(processor, &set);
		if (sched_setaffinity(0, sizeof(set), &set) != 0 || write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			;
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void *keep_off(void *ignored)
{
	struct lt_aside aside;
	cpu_set_t all = mine();
	lt_aside_begin(&aside);
	assert_true(aside.known);
	bool several = CPU_COUNT(&all) > 1;
	unsigned busy = first_of(&all);
	pid_t pid = run_on(busy);
	bool runs = false;
	assert_int_equal(lt_aside_step(&aside, pid, &runs), several);
	assert_true(runs && lt_aside_runs(&aside, pid) && lt_aside_runs_again(&aside, pid));
	end(pid);
	cpu_set_t now = mine(), wanted = all;
	if (several)
		CPU_CLR(busy, &wanted);
	assert_true(CPU_EQUAL(&now, &wanted));
	/* The next one runs elsewhere: that processor is left, and the first may be used again. */
	if (several) {
		unsigned other = first_of(&wanted);
		pid = run_on(other);
		assert_true(lt_aside_step(&aside, pid, NULL));
		end(pid);
		now = mine();
		assert_true(CPU_ISSET(busy, &now));
		assert_false(CPU_ISSET(other, &now));
	}
	return ignored;
}

/* On the only one that there is: nothing would be seen of what runs there, but of what runs elsewhere. */
static void *stay(void *ignored)
{
	struct lt_aside aside;
	cpu_set_t all = mine(), only;
	unsigned here = first_of(&all);
	CPU_ZERO(&only);
	CPU_SET(here, &only);
	assert_int_equal(sched_setaffinity(0, sizeof(only), &only), 0);
	lt_aside_begin(&aside);
	pid_t pid = run_on(here);
	assert_false(lt_aside_step(&aside, pid, NULL));
	end(pid);
	assert_true(lt_aside_step(&aside, pid, NULL)); /* is no more */
	return ignored;
}

/* What becomes of a thread's processors is its own matter. */
static void in_a_thread(void *(*body)(void *))
{
	cpu_set_t before = mine();
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, body, NULL), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	cpu_set_t after = mine();
	assert_true(CPU_EQUAL(&before, &after));
}

static void test_another_processor(void **ignored)
{
	(void)ignored;
	in_a_thread(keep_off);
}

static void test_no_other_processor(void **ignored)
{
	(void)ignored;
	in_a_thread(stay);
}

static void test_a_process_that_does_not_run(void **ignored)
{
	(void)ignored;
	struct lt_aside aside;
	cpu_set_t before = mine();
	lt_aside_begin(&aside);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		pause();
		_exit(0);
	}
	usleep(20000);
	bool runs = true;
	lt_aside_step(&aside, pid, &runs);
	assert_false(runs || lt_aside_runs(&aside, pid) || lt_aside_runs_again(&aside, pid));
	end(pid);
	lt_aside_step(&aside, pid, &runs); /* is no more */
	assert_true(runs);
	cpu_set_t after = mine();
	assert_true(CPU_EQUAL(&before, &after));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_another_processor),
		cmocka_unit_test(test_no_other_processor),
		cmocka_unit_test(test_a_process_that_does_not_run),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
