#include "base/thread.h"

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
