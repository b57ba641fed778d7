/*
 * pace.h: how often a process needs to be looked at: every millisecond while it works, half as often while it is at rest.
 *
 * Waking up costs more than looking. A look that finds new objects is followed by some milliseconds at the full pace, many of them
 * by a quarter of a second: a service that does a little fifty times a second counts as at rest, one in the midst of a request
 * does not. Times are CLOCK_MONOTONIC in ns.
 */
#ifndef LT_WATCH_PACE_H
#define LT_WATCH_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct lt_pace {
	uint64_t busy_until_ns;
};

/* A look found that objects were made or freed. */
void lt_pace_moved(struct lt_pace *pace, uint64_t now_ns);

/* Something more happened: a collection, a change of the settings, the begin of the watch. */
void lt_pace_stirred(struct lt_pace *pace, uint64_t now_ns);

bool lt_pace_rests(const struct lt_pace *pace, uint64_t now_ns);

#endif
