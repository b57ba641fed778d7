/*
 * For LD_PRELOAD: allocations of NO_MEMORY_LEAST bytes and more are counted from 0 on in each process, and the one with the number
 * NO_MEMORY_AT fails, as does the start of the thread with the number NO_MEMORY_THREAD. With NO_MEMORY_TELL the process says at its end,
 * on standard error, how many there were: "no_memory: ALLOCATIONS THREADS".
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

static atomic_long allocations, threads;
static long failing = -1, failing_thread = -1, least;

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
}

__attribute__((destructor)) static void end(void)
{
	if (getenv("NO_MEMORY_TELL") != NULL)
		fprintf(stderr, "no_memory: %ld %ld\n", allocations, threads);
}

static int fails(size_t size)
{
	if (size < (size_t)least || atomic_fetch_add(&allocations, 1) != failing)
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

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*work)(void *),
		   void *ctx)
{
	int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
	*(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
	if (atomic_fetch_add(&threads, 1) == failing_thread)
		return EAGAIN;
	return real(thread, attributes, work, ctx);
}

#pragma GCC visibility pop
