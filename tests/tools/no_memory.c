/*
 * For LD_PRELOAD: in each process, allocations of NO_MEMORY_LEAST bytes and more are counted from 0 on in each thread, and the one with
 * the number NO_MEMORY_AT in the thread with the number NO_MEMORY_IN (0, the first, without it) fails, as does the start of the thread
 * with the number NO_MEMORY_THREAD. Threads are numbered as they are started, from 1 on. With NO_MEMORY_TELL the process says at its
 * end, on standard error, how many allocations there were in each: "no_memory: FIRST SECOND ...".
 */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#pragma GCC visibility push(default)

/* Those behind the public names (malloc/malloc.c). */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *data, size_t size);

enum { THREADS = 256 }; /* the ones beyond are counted as the last one */

static atomic_long allocations[THREADS], threads = 1;
static _Thread_local long this_thread;
static long failing = -1, failing_in, failing_thread = -1, least;

static long number(const char *name, long otherwise)
{
	const char *text = getenv(name);
	return text != NULL ? strtol(text, NULL, 10) : otherwise;
}

__attribute__((constructor)) static void begin(void)
{
	failing_thread = number("NO_MEMORY_THREAD", -1);
	least = number("NO_MEMORY_LEAST", 0);
	failing = number("NO_MEMORY_AT", -1);
	failing_in = number("NO_MEMORY_IN", 0);
}

__attribute__((destructor)) static void end(void)
{
	if (getenv("NO_MEMORY_TELL") == NULL)
		return;
	fprintf(stderr, "no_memory:");
	for (long i = 0; i < threads && i < THREADS; i++)
		fprintf(stderr, " %ld", allocations[i]);
	fprintf(stderr, "\n");
}

static int fails(size_t size)
{
	if (size < (size_t)least || atomic_fetch_add(&allocations[this_thread], 1) != failing ||
	    this_thread != failing_in)
		return 0;
	errno = ENOMEM;
	return 1;
}

void *malloc(size_t size)
{
	return fails(size) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	return fails(size != 0 && count > (size_t)-1 / size ? (size_t)-1 : count * size)
		       ? NULL
		       : __libc_calloc(count, size);
}

void *realloc(void *data, size_t size)
{
	return fails(size) ? NULL : __libc_realloc(data, size);
}

struct start {
	void *(*work)(void *);
	void *ctx;
	long number;
};

static void *run(void *ctx)
{
	struct start start = *(struct start *)ctx;
	free(ctx);
	this_thread = start.number < THREADS ? start.number : THREADS - 1;
	return start.work(start.ctx);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*work)(void *),
		   void *ctx)
{
	int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
	*(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
	long number = atomic_fetch_add(&threads, 1);
	struct start *start = number == failing_thread ? NULL : __libc_malloc(sizeof(*start));
	if (start == NULL)
		return EAGAIN;
	*start = (struct start){work, ctx, number};
	int error = real(thread, attributes, run, start);
	if (error != 0)
		free(start);
	return error;
}

#pragma GCC visibility pop
