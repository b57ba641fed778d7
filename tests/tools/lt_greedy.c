/*
 * lt_greedy: the worst that a thread which asked for its turns (src/watch/turns.h) can do to others: it computes without a break
 * for SECONDS. For the benchmark of what that leaves of a processor.
 *
 *     lt_greedy SECONDS
 *
 * Prints {"reserved": BOOL, "cpu_ns": N, "elapsed_ns": N}.
 */
#include "watch/turns.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;
	if (clock_gettime(clock, &now) != 0)
		return 0;
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

int main(int argc, char **argv)
{
	double seconds = argc == 2 ? atof(argv[1]) : 0;
	if (!(seconds > 0 && seconds < 60)) {
		fprintf(stderr, "usage: lt_greedy SECONDS\n");
		return 2;
	}
	struct lt_turns turns;
	lt_turns_begin(&turns);
	lt_turns_woke(&turns, 0, clock_ns(CLOCK_MONOTONIC)); /* very late */
	uint64_t cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID), start = clock_ns(CLOCK_MONOTONIC);
	uint64_t now = start;
	while ((double)(now - start) < seconds * 1e9)
		now = clock_ns(CLOCK_MONOTONIC);
	cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu;
	printf("{\"reserved\": %s, \"cpu_ns\": %" PRIu64 ", \"elapsed_ns\": %" PRIu64 "}\n",
	       turns.reserved ? "true" : "false", cpu, now - start);
	lt_turns_end(&turns);
	return 0;
}
