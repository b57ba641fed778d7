#include "base/thread.h"

#include <sched.h>
#include <signal.h>

bool lt_thread_start(pthread_t *ret_thread, void *(*work)(void *ctx), void *ctx)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	bool started = pthread_create(ret_thread, NULL, work, ctx) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return started;
}

unsigned lt_thread_processors(void)
{
	cpu_set_t processors;
	int count = sched_getaffinity(0, sizeof(processors), &processors) == 0
			    ? CPU_COUNT(&processors)
			    : 1;
	return count > 0 ? (unsigned)count : 1;
}
