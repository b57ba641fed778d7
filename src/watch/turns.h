/*
 * turns.h: that the thread which looks at the target every millisecond gets the processor when it wakes up, also where
 * more wants to run than there are processors, and that it cannot take more of it than a bounded share.
 *
 * It says that it runs for a short time only, which lets it in sooner (Linux 6.12 and later). Where it wakes up late all the
 * same, three times within a second, and has CAP_SYS_NICE, it is given a reservation (SCHED_DEADLINE) for some seconds:
 * LT_TURNS_RUNTIME_NS of each LT_TURNS_PERIOD_NS before all others, and no more: the kernel itself holds it back until the next period, whatever it does.
 * Where it uses half of that share it does more than looking; it then runs as every other thread for a second.
 * Not always: such a thread takes the processor from whoever has it, also when another one is idle. A thread whose policy is
 * not the usual one is left alone.
 */
#ifndef LT_WATCH_TURNS_H
#define LT_WATCH_TURNS_H

#include <stdbool.h>
#include <stdint.h>

/* A fifth of one processor. Looks take 10 to 20 us, and come at most every 250 us while a collection runs. */
enum { LT_TURNS_RUNTIME_NS = 1000000, LT_TURNS_PERIOD_NS = 5000000 };

/* struct sched_attr of sched_setattr(2), first version; the kernel's header does not go with that of the C library. */
struct lt_scheduling {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

/* Zero is one that never asked. Times are CLOCK_MONOTONIC. */
struct lt_turns {
	struct lt_scheduling usual; /* of the thread, before */
	bool asked;
	bool reserved; /* now */
	bool refused;  /* there is no use in asking for a reservation again */
	unsigned late; /* looks since late_since_ns, less than it takes to ask */
	uint64_t late_since_ns;
	uint64_t since_ns, cpu_ns; /* what its share is measured from */
	uint64_t hold_ns;          /* how long the reservation is kept, or was the last time */
	uint64_t until_ns;         /* it is */
	uint64_t ask_again_ns;     /* not before */
};

/* Of the calling thread, as every function here: short turns from now on. */
void lt_turns_begin(struct lt_turns *turns);

/* It woke up at `now_ns` and wanted to at `due_ns`. */
void lt_turns_woke(struct lt_turns *turns, uint64_t due_ns, uint64_t now_ns);

/* Whether the reservation is to be kept; to be called every tenth of a second or so. */
void lt_turns_review(struct lt_turns *turns, uint64_t now_ns);

/* As it was before. */
void lt_turns_end(struct lt_turns *turns);

#endif
