#include "target/ahead.h"

#include "base/thread.h"

#include <stdlib.h>

struct lt_ahead {
	struct lt_memory *memory;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	pthread_t thread;
	bool started, failed, ends;
	bool asked; /* and not answered */
	lt_addr addr;
	char *buffer;
	size_t size;
	size_t front; /* bytes from the start on that the thread has begun, or is through with */
	size_t back;  /* from here on who wants the answer has read */
	size_t got;   /* what came from the start on, of all pieces so far */
	bool reading; /* the thread, outside the lock */
	bool waits;   /* who wants the answer, for that */
};

/* Of a piece [from, to) so many bytes came. With the lock. */
static void note_piece(struct lt_ahead *ahead, size_t from, size_t to, size_t got)
{
	if (got < to - from && from + got < ahead->got)
		ahead->got = from + got;
}

static void *work(void *ctx)
{
	struct lt_ahead *ahead = ctx;
	pthread_mutex_lock(&ahead->lock);
	while (!ahead->ends) {
		/* Nothing behind a hole is wanted. */
		size_t from = ahead->front, limit = ahead->back;
		if (!ahead->asked || from >= limit || from >= ahead->got) {
			pthread_cond_wait(&ahead->changed, &ahead->lock);
			continue;
		}
		size_t to = limit - from > LT_AHEAD_PIECE ? from + LT_AHEAD_PIECE : limit;
		ahead->front = to;
		ahead->reading = true;
		pthread_mutex_unlock(&ahead->lock);
		/* Past the counters of the memory: they are its reader's. */
		size_t got = ahead->memory->ops->read(ahead->memory, ahead->addr + from,
						      ahead->buffer + from, to - from);
		pthread_mutex_lock(&ahead->lock);
		note_piece(ahead, from, to, got);
		ahead->reading = false;
		if (ahead->waits)
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

static bool start(struct lt_ahead *ahead)
{
	if (ahead->started || ahead->failed)
		return ahead->started;
	ahead->started = lt_thread_start(&ahead->thread, work, ahead);
	ahead->failed = !ahead->started;
	return ahead->started;
}

bool lt_ahead_ask(struct lt_memory *memory, lt_addr addr, void *buffer, size_t size)
{
	struct lt_ahead *ahead = memory->ahead;
	if (ahead == NULL || size == 0 || addr > UINT64_MAX - size || !start(ahead))
		return false;
	pthread_mutex_lock(&ahead->lock);
	bool idle = !ahead->asked;
	if (idle) {
		ahead->addr = addr;
		ahead->buffer = buffer;
		ahead->size = ahead->back = ahead->got = size;
		ahead->front = 0;
		ahead->asked = true;
		pthread_cond_broadcast(&ahead->changed);
	}
	pthread_mutex_unlock(&ahead->lock);
	return idle;
}

/* Waits for the piece that the thread is at. With the lock. */
static size_t end(struct lt_ahead *ahead)
{
	ahead->waits = true;
	while (ahead->reading)
		pthread_cond_wait(&ahead->changed, &ahead->lock);
	ahead->waits = false;
	size_t got = ahead->asked ? ahead->got : 0;
	ahead->asked = false;
	return got;
}

size_t lt_ahead_answer(struct lt_memory *memory)
{
	struct lt_ahead *ahead = memory->ahead;
	if (ahead == NULL)
		return 0;
	pthread_mutex_lock(&ahead->lock);
	/* From its end, since the thread is at work on its front: nobody waits for one that does not run. */
	while (ahead->asked && ahead->front < ahead->back && ahead->front < ahead->got) {
		size_t to = ahead->back;
		size_t from =
			to - ahead->front > LT_AHEAD_PIECE ? to - LT_AHEAD_PIECE : ahead->front;
		ahead->back = from;
		pthread_mutex_unlock(&ahead->lock);
		size_t got = ahead->memory->ops->read(ahead->memory, ahead->addr + from,
						      ahead->buffer + from, to - from);
		pthread_mutex_lock(&ahead->lock);
		note_piece(ahead, from, to, got);
	}
	size_t got = end(ahead);
	pthread_mutex_unlock(&ahead->lock);
	memory->reads++;
	memory->bytes += got;
	return got;
}

void lt_ahead_drop(struct lt_memory *memory)
{
	struct lt_ahead *ahead = memory->ahead;
	if (ahead == NULL)
		return;
	pthread_mutex_lock(&ahead->lock);
	ahead->got = 0;
	(void)end(ahead);
	pthread_mutex_unlock(&ahead->lock);
}

struct twin {
	struct lt_memory memory;
	struct lt_memory *of;
};

static size_t read_twin(struct lt_memory *memory, lt_addr addr, void *buffer, size_t size)
{
	struct lt_memory *of = ((struct twin *)memory)->of;
	return of->ops->read(of, addr, buffer, size);
}

static void close_twin(struct lt_memory *memory)
{
	free(memory);
}

static const struct lt_memory_ops twin_ops = {read_twin, close_twin};

struct lt_memory *lt_ahead_twin(const struct lt_memory *memory)
{
	struct twin *twin = memory->ahead != NULL ? calloc(1, sizeof(*twin)) : NULL;
	if (twin == NULL)
		return NULL;
	twin->memory.ops = &twin_ops;
	twin->of = memory->ahead->memory;
	return &twin->memory;
}
