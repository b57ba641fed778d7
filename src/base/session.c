#include "base/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { WARNINGS_MAX = 64 };

void lt_session_init(struct lt_session *session)
{
	memset(session, 0, sizeof(*session));
}

void lt_session_deinit(struct lt_session *session)
{
	for (size_t i = 0; i < session->warning_count; i++)
		free(session->warnings[i]);
	free(session->warnings);
	lt_session_init(session);
}

static void record(struct lt_session *session, enum lt_status status, int error, const char *format,
		   va_list arguments)
{
	if (session->status != LT_OK)
		return;
	session->status = status;
	session->saved_errno = error;
	vsnprintf(session->message, sizeof(session->message), format, arguments);
	if (error != 0) {
		size_t length = strlen(session->message);
		snprintf(session->message + length, sizeof(session->message) - length, ": %s",
			 strerror(error));
	}
}

enum lt_status lt_fail(struct lt_session *session, enum lt_status status, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	record(session, status, 0, format, arguments);
	va_end(arguments);
	return status;
}

enum lt_status lt_fail_errno(struct lt_session *session, enum lt_status status, int error,
			     const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	record(session, status, error, format, arguments);
	va_end(arguments);
	return status;
}

enum lt_status lt_fail_memory(struct lt_session *session)
{
	return lt_fail(session, LT_E_NO_MEMORY, "lowtide has no memory left on this machine");
}

void lt_remedy(struct lt_session *session, const char *format, ...)
{
	if (session->remedy[0] != '\0')
		return;
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(session->remedy, sizeof(session->remedy), format, arguments);
	va_end(arguments);
}

void lt_session_clear(struct lt_session *session)
{
	session->status = LT_OK;
	session->saved_errno = 0;
	session->address = 0;
	session->message[0] = '\0';
	session->remedy[0] = '\0';
}

void lt_warn(struct lt_session *session, const char *format, ...)
{
	char text[512];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	for (size_t i = 0; i < session->warning_count; i++)
		if (strcmp(session->warnings[i], text) == 0)
			return;
	if (session->warning_count >= WARNINGS_MAX)
		return;
	if (session->warnings == NULL) {
		session->warnings = calloc(WARNINGS_MAX, sizeof(*session->warnings));
		if (session->warnings == NULL)
			return;
	}
	char *copy = strdup(text);
	if (copy != NULL)
		session->warnings[session->warning_count++] = copy;
}

void lt_progress(struct lt_session *session, const char *what, uint64_t done, uint64_t total)
{
	if (session->progress != NULL)
		session->progress(session->progress_ctx, what, done, total);
}

uint64_t lt_now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}
