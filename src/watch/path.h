/*
 * path.h: how the count of generation 0 moves between collections, read from a running process in stretches:
 * for some milliseconds of each tenth of a second as fast as memory can be read. One count at each collection says how much
 * was allocated in all; the path says in what bursts, which decides what another threshold would do.
 *
 * Reads memory only, in a thread of its own. Times are CLOCK_MONOTONIC in ns.
 */
#ifndef LT_WATCH_PATH_H
#define LT_WATCH_PATH_H

#include "base/vec.h"
#include "heap/interpreters.h"

enum lt_point_kind {
	LT_POINT_START, /* a stretch begins: nothing is known of the time before it */
	LT_POINT_MOVE, /* the count went straight from the point before to here, or was 0 all the time */
	LT_POINT_BEGIN, /* the same, and here a collection begins */
	LT_POINT_END, /* the collection is over; the count started at 0 again and has this value now */
	LT_POINT_GAP, /* how the count came here was not seen: lowtide was kept from reading; no collection */
	LT_POINT_HELD, /* as MOVE, and all the time one call of C code was going on: no collection could begin */
};

/* The path is straight between points but for what is smaller than LT_POINT_GRAIN. */
struct lt_watch_point {
	uint64_t at_ns;
	int32_t count;
	uint8_t kind; /* enum lt_point_kind */
	/* Of BEGIN and END: how many tuples lay in free lists then, and in how many of these most of them. */
	bool lists_known; /* else both are 0 */
	uint8_t free_lists;
	uint16_t free_tuples;
};
LT_VEC(lt_watch_points, struct lt_watch_point);

enum { LT_POINT_GRAIN = 4, LT_POINTS_MOST = 1 << 19, LT_POINT_KINDS = LT_POINT_HELD + 1 };

struct lt_watch_path_options {
	/*
	 * Length of a stretch, 0: 4, and from begin to begin, 0: 100. One of eight is six times as long. Many short ones
	 * are better than a long one: a thread that has slept is given the processor at once, but not for long.
	 */
	unsigned stretch_ms, every_ms;
	/*
	 * At most some hundred stretches, evenly over all the time, until they are 400 ms apart: then it takes 2 % of a
	 * processor, however long it goes on. Where the process did not run at all in a stretch nor since the one before, the next one is 400 ms
	 * later from the first on. While no thread runs the count cannot change: it is looked at every 0.05 or 0.2 ms.
	 */
	bool cheap;
};

struct lt_watch_path;

/*
 * Begins; `view` is on the live memory of the process, of whose main interpreter the path is. The first
 * stretch begins at once. LT_E_NOT_PYTHON when the collector is nowhere to be found.
 */
LT_MUST_CHECK enum lt_status lt_watch_path_open(const struct lt_view *view,
						const struct lt_watch_path_options *options,
						struct lt_watch_path **ret_path);

/* Ends and gives what was read, in order of time; NULL: none is wanted. NULL for `path` is allowed. */
void lt_watch_path_close(struct lt_watch_path *path, struct lt_watch_points *ret_points);

#endif
