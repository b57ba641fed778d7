/*
 * session.h: one run of lowtide: its error, its warnings, and what could not be read.
 *
 * Lower layers never print: they fill the session, and src/cli prints it. The first error of a
 * failing call chain wins (it is nearest to the cause); a caller that goes on after a failure clears
 * it with lt_session_clear().
 */
#ifndef LT_BASE_SESSION_H
#define LT_BASE_SESSION_H

#include "base/status.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lt_session {
	enum lt_status status;
	int saved_errno;   /* errno at the failure, 0 when it says nothing */
	uint64_t address;  /* address in the target that the failure is about, 0 for none */
	char message[512]; /* a sentence without its full stop, "" for none */
	char remedy[512];  /* what the user can do about it, "" for none */

	char **warnings; /* owned; each one sentence, none twice */
	size_t warning_count;

	/*
	 * Pieces of the target that could not be read or made no sense: one for each object, entry or
	 * table left out. Shown in every result.
	 */
	uint64_t unreadable;

	int verbosity; /* -1 quiet, 0 normal, 1 and more verbose */

	/* Long work reports here when it is not NULL; done <= total, total 0 when it is not known. */
	void (*progress)(void *ctx, const char *what, uint64_t done, uint64_t total);
	void *progress_ctx;
};

void lt_session_init(struct lt_session *session);
void lt_session_deinit(struct lt_session *session);

/* Records a failure and returns `status`, so that a caller can `return lt_fail(...)`. */
enum lt_status lt_fail(struct lt_session *session, enum lt_status status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The same with errno, whose text is added to the sentence. */
enum lt_status lt_fail_errno(struct lt_session *session, enum lt_status status, int error,
			     const char *format, ...) __attribute__((format(printf, 4, 5)));

/* LT_E_NO_MEMORY with the fixed sentence for it. */
enum lt_status lt_fail_memory(struct lt_session *session);

/* Adds to the recorded failure what the user can do. A remedy that stands already stays. */
void lt_remedy(struct lt_session *session, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Forgets the recorded failure, so that another way can be tried. */
void lt_session_clear(struct lt_session *session);

/* Adds a warning to the result; one that is there already is not added again. At most 64 are kept. */
void lt_warn(struct lt_session *session, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Tells the user how far long work has come. Cheap when nobody listens. */
void lt_progress(struct lt_session *session, const char *what, uint64_t done, uint64_t total);

/* Monotonic time in nanoseconds. */
uint64_t lt_now_ns(void);

#define LT_TRY(expression)                                                                         \
	do {                                                                                       \
		enum lt_status lt_try_status = (expression);                                       \
		if (lt_try_status != LT_OK)                                                        \
			return lt_try_status;                                                      \
	} while (0)

#endif
