/*
 * cleanup.h: release at the end of a scope.
 *
 *     LT_FREE char *path = NULL;      freed by free(3)
 *     LT_CLOSE int fd = -1;           closed when not negative
 *     LT_FCLOSE FILE *file = NULL;    closed when not NULL
 *     return LT_TAKE(path);           gives it to the caller instead
 */
#ifndef LT_BASE_CLEANUP_H
#define LT_BASE_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void lt_cleanup_free(void *pointer)
{
	free(*(void **)pointer);
}

static inline void lt_cleanup_close(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void lt_cleanup_fclose(FILE **file)
{
	if (*file != NULL)
		fclose(*file);
}

#define LT_CLEANUP(function) __attribute__((cleanup(function)))
#define LT_FREE LT_CLEANUP(lt_cleanup_free)
#define LT_CLOSE LT_CLEANUP(lt_cleanup_close)
#define LT_FCLOSE LT_CLEANUP(lt_cleanup_fclose)

#define LT_TAKE(variable)                                                                          \
	({                                                                                         \
		__typeof__(variable) lt_taken = (variable);                                        \
		(variable) = NULL;                                                                 \
		lt_taken;                                                                          \
	})

#endif
