#include "target/ahead.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

enum state {
	IDLE,
	ASKED, /* not begun: who wants the answer may as well read */
	BEGUN,
	DONE
};

struct lt_ahead {
	struct lt_memory *memory;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	pthread_t thread;
	bool started, failed, ends;
	enum state state;
	lt_addr addr;
	void *buffer;
	size_t size, got;
};

static void *work(void *ctx)
{
	struct lt_ahead *ahead = ctx;
	pthread_mutex_lock(&ahead->lock);
	while (!ahead->ends) {
		if (ahead->state != ASKED) {
			pthread_cond_wait(&ahead->changed, &ahead->lock);
			continue;
		}
		ahead->state = BEGUN;
		pthread_mutex_unlock(&ahead->lock);
		/* Past the counters of the memory: they are its reader's. */
		size_t got = ahead->memory->ops->read(ahead->memory, ahead->addr, ahead->buffer,
						      ahead->size);
		pthread_mutex_lock(&ahead->lock);
		ahead->got = got;
		ahead->state = DONE;
		pthread_cond_broadcast(&ahead->changed);
	}
	pthread_mutex_unlock(&ahead->lock);
	return NULL;
}

void lt_ahead_create(struct lt_memory *memory)
{
	struct lt_ahead *ahead = calloc(1, sizeof(*ahead));
	if (ahead == NULL)
		return;
	ahead->memory = memory;
	if (pthread_mutex_init(&ahead->lock, NULL) != 0) {
		free(ahead);
		return;
	}
	if (pthread_cond_init(&ahead->changed, NULL) != 0) {
		pthread_mutex_destroy(&ahead->lock);
		free(ahead);
		return;
	}
	memory->ahead = ahead;
}

void lt_ahead_destroy(struct lt_ahead *ahead)
{
	if (ahead == NULL)
		return;
	if (ahead->started) {
		pthread_mutex_lock(&ahead->lock);
		ahead->ends = true;
		pthread_cond_broadcast(&ahead->changed);
		pthread_mutex_unlock(&ahead->lock);
		pthread_join(ahead->thread, NULL);
	}
	pthread_cond_destroy(&ahead->changed);
	pthread_mutex_destroy(&ahead->lock);
	free(ahead);
}

/* Signals are for the thread that knows what they mean. */
static bool start(struct lt_ahead *ahead)
{
	sigset_t all, before;
	if (ahead->started || ahead->failed)
		return ahead->started;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ahead->started = pthread_create(&ahead->thread, NULL, work, ahead) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	ahead->failed = !ahead->started;
	return ahead->started;
}

bool lt_ahead_ask(struct lt_memory *memory, lt_addr addr, void *buffer, size_t size)
{
	struct lt_ahead *ahead = memory->ahead;
	if (ahead == NULL || size == 0 || addr > UINT64_MAX - size || !start(ahead))
		return false;
	pthread_mutex_lock(&ahead->lock);
	bool idle = ahead->state == IDLE;
	if (idle) {
		ahead->addr = addr;
		ahead->buffer = buffer;
		ahead->size = size;
		ahead->state = ASKED;
		pthread_cond_broadcast(&ahead->changed);
	}
	pthread_mutex_unlock(&ahead->lock);
	return idle;
}

size_t lt_ahead_answer(struct lt_memory *memory)
{
	struct lt_ahead *ahead = memory->ahead;
	size_t got = 0;
	if (ahead == NULL)
		return 0;
	pthread_mutex_lock(&ahead->lock);
	if (ahead->state == ASKED) {
		/* The machine is busy: nobody waits for a thread that does not run. */
		ahead->state = IDLE;
		pthread_mutex_unlock(&ahead->lock);
		got = ahead->memory->ops->read(ahead->memory, ahead->addr, ahead->buffer,
					       ahead->size);
	} else {
		while (ahead->state == BEGUN)
			pthread_cond_wait(&ahead->changed, &ahead->lock);
		got = ahead->state == DONE ? ahead->got : 0;
		ahead->state = IDLE;
		pthread_mutex_unlock(&ahead->lock);
	}
	memory->reads++;
	memory->bytes += got;
	return got;
}
