#include "watch/turns.h"

#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* include/uapi/linux/sched.h */
enum { POLICY_DEADLINE = 6, FLAG_RESET_ON_FORK = 1 };

enum {
	SHORT_TURN_NS = 100000, /* a look takes less */
	LATE_NS = 300000,
	LATE_MANY = 3, /* within a second: one by itself happens on every machine */
};

/* A reservation is tried without again later and later. */
static const uint64_t pause_ns = 1000000000, late_within_ns = 1000000000,
		      hold_least_ns = 2000000000, hold_most_ns = 64000000000;

static bool set(const struct lt_scheduling *scheduling)
{
	return syscall(SYS_sched_setattr, 0, scheduling, 0) == 0;
}

static uint64_t cpu_now_ns(void)
{
	struct timespec now;
	if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) != 0)
		return 0;
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Also for the threads that it starts from now on. */
static void ask_for_short_turns(const struct lt_turns *turns)
{
	struct lt_scheduling wanted = turns->usual;
	wanted.runtime = SHORT_TURN_NS;
	/* Where it is not granted looks come a little later. */
	set(&wanted);
}

/* Threads and processes that it starts do not inherit it; with it alone it could not start any. */
static bool reserve(void)
{
	const struct lt_scheduling wanted = {
		.size = sizeof(wanted),
		.policy = POLICY_DEADLINE,
		.flags = FLAG_RESET_ON_FORK,
		.runtime = LT_TURNS_RUNTIME_NS,
		.deadline = LT_TURNS_PERIOD_NS,
		.period = LT_TURNS_PERIOD_NS,
	};
	return set(&wanted);
}

void lt_turns_begin(struct lt_turns *turns)
{
	*turns = (struct lt_turns){.usual = {.size = sizeof(turns->usual)}};
	if (syscall(SYS_sched_getattr, 0, &turns->usual, sizeof(turns->usual), 0) != 0 ||
	    turns->usual.policy != SCHED_OTHER)
		return;
	turns->asked = true;
	ask_for_short_turns(turns);
}

/* Whether there have been so many late ones that it is no chance. */
static bool late_again(struct lt_turns *turns, uint64_t now_ns)
{
	if (turns->late == 0 || now_ns - turns->late_since_ns > late_within_ns) {
		turns->late_since_ns = now_ns;
		turns->late = 0;
	}
	if (++turns->late < LATE_MANY)
		return false;
	turns->late = 0;
	return true;
}

void lt_turns_woke(struct lt_turns *turns, uint64_t due_ns, uint64_t now_ns)
{
	if (!turns->asked || turns->reserved || turns->refused || now_ns < turns->ask_again_ns ||
	    now_ns < due_ns + LATE_NS || !late_again(turns, now_ns))
		return;
	turns->reserved = reserve();
	turns->refused = !turns->reserved;
	bool soon = turns->hold_ns > 0 && now_ns < turns->until_ns + turns->hold_ns;
	turns->hold_ns = soon ? 2 * turns->hold_ns : hold_least_ns;
	if (turns->hold_ns > hold_most_ns)
		turns->hold_ns = hold_most_ns;
	turns->until_ns = now_ns + turns->hold_ns;
	turns->since_ns = now_ns;
	turns->cpu_ns = cpu_now_ns();
}

void lt_turns_review(struct lt_turns *turns, uint64_t now_ns)
{
	if (!turns->reserved)
		return;
	uint64_t cpu_ns = cpu_now_ns();
	uint64_t used = cpu_ns - turns->cpu_ns, passed = now_ns - turns->since_ns;
	bool greedy = used / LT_TURNS_RUNTIME_NS > passed / LT_TURNS_PERIOD_NS / 2;
	turns->cpu_ns = cpu_ns;
	turns->since_ns = now_ns;
	if (!greedy && now_ns < turns->until_ns)
		return;
	turns->reserved = false;
	turns->ask_again_ns = greedy ? now_ns + pause_ns : now_ns;
	ask_for_short_turns(turns);
}

void lt_turns_end(struct lt_turns *turns)
{
	if (!turns->asked)
		return;
	set(&turns->usual);
	turns->asked = false;
}
