#include "watch/pace.h"

enum {
	STIRRED_NS = 250000000, /* at the full pace, at most */
	MOVED_NS = 5000000,     /* for each look that found something */
};

void lt_pace_moved(struct lt_pace *pace, uint64_t now_ns)
{
	uint64_t from_ns = pace->busy_until_ns > now_ns ? pace->busy_until_ns : now_ns;
	uint64_t most_ns = now_ns + STIRRED_NS;
	pace->busy_until_ns = from_ns + MOVED_NS < most_ns ? from_ns + MOVED_NS : most_ns;
}

void lt_pace_stirred(struct lt_pace *pace, uint64_t now_ns)
{
	pace->busy_until_ns = now_ns + STIRRED_NS;
}

bool lt_pace_rests(const struct lt_pace *pace, uint64_t now_ns)
{
	return now_ns >= pace->busy_until_ns;
}
