/*
 * sink.h: where an export goes piece by piece as it is made.
 */
#ifndef LT_REPORT_SINK_H
#define LT_REPORT_SINK_H

#include "base/status.h"

#include <stddef.h>

/* Takes each piece of the file in turn; a status other than LT_OK ends the work and is returned. */
struct lt_sink {
	enum lt_status (*add)(void *ctx, const char *bytes, size_t length);
	void *ctx;
};

#endif
