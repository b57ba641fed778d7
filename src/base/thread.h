/*
 * thread.h: a thread beside the one that called.
 */
#ifndef LT_BASE_THREAD_H
#define LT_BASE_THREAD_H

#include <pthread.h>
#include <stdbool.h>

/* Signals are left to the thread that knows what they mean. False: there is none, and nothing runs. */
bool lt_thread_start(pthread_t *ret_thread, void *(*work)(void *ctx), void *ctx);

/* Processors that this process may use, 1 at least. */
unsigned lt_thread_processors(void);

#endif
