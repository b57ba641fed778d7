#include "analysis/gc_compare.h"

#include "analysis/gc_compare_parts.h"

#include <math.h>
#include <string.h>

enum { OLDEST = LT_GC_GENERATIONS - 1 };

const char *lt_gc_verdict_name(enum lt_gc_verdict verdict)
{
	static const char *const names[] = {"same", "good", "look", "bad"};
	return names[verdict];
}

const struct lt_gc_figure_kind lt_gc_figures[LT_FIGURE_COUNT] = {
	[LT_FIGURE_SECONDS] = {"seconds", "length", LT_UNIT_SECONDS},
	[LT_FIGURE_ENABLED] = {"enabled", "automatic collection", LT_UNIT_SWITCH},
	[LT_FIGURE_THRESHOLD_0] = {"threshold_0", "threshold, generation 0", LT_UNIT_COUNT},
	[LT_FIGURE_THRESHOLD_1] = {"threshold_1", "threshold, generation 1", LT_UNIT_COUNT},
	[LT_FIGURE_THRESHOLD_2] = {"threshold_2", "threshold, generation 2", LT_UNIT_COUNT},
	[LT_FIGURE_DEBUG] = {"debug", "gc.get_debug()", LT_UNIT_FLAGS},
	[LT_FIGURE_FROZEN] = {"frozen", "gc.freeze()", LT_UNIT_SWITCH},
	[LT_FIGURE_RATE] = {"collections_per_second", "collections", LT_UNIT_RATE},
	[LT_FIGURE_RATE_0] = {"collections_per_second_0", "of generation 0", LT_UNIT_RATE},
	[LT_FIGURE_RATE_1] = {"collections_per_second_1", "of generation 1", LT_UNIT_RATE},
	[LT_FIGURE_RATE_2] = {"collections_per_second_2", "of generation 2", LT_UNIT_RATE},
	[LT_FIGURE_EXPLICIT] = {"explicit_per_second", "called for", LT_UNIT_RATE},
	[LT_FIGURE_MADE] = {"made_per_second", "tracked objects made", LT_UNIT_RATE},
	[LT_FIGURE_GARBAGE] = {"collected_per_second", "collected", LT_UNIT_RATE},
	[LT_FIGURE_COLLECTED] = {"collected_per_collection", "collected, a collection",
				 LT_UNIT_EACH},
	[LT_FIGURE_SURVIVAL_0] = {"survival_0", "survive generation 0", LT_UNIT_SHARE},
	[LT_FIGURE_SURVIVAL_1] = {"survival_1", "survive generation 1", LT_UNIT_SHARE},
	[LT_FIGURE_SURVIVAL_2] = {"survival_2", "survive generation 2", LT_UNIT_SHARE},
	[LT_FIGURE_PAUSE_P50] = {"pause_p50_ms", "pause, half of them", LT_UNIT_MS},
	[LT_FIGURE_PAUSE_P99] = {"pause_p99_ms", "pause, 99 % of them", LT_UNIT_MS},
	[LT_FIGURE_PAUSE_MAX] = {"pause_max_ms", "pause, the longest", LT_UNIT_MS},
	[LT_FIGURE_SHARE] = {"gc_time_share", "share of the time", LT_UNIT_SHARE},
	[LT_FIGURE_TRACKED] = {"tracked", "tracked objects", LT_UNIT_COUNT},
	[LT_FIGURE_TRACKED_GROWTH] = {"tracked_growth_per_second", "more of them", LT_UNIT_RATE},
	[LT_FIGURE_RSS] = {"rss_bytes", "RSS", LT_UNIT_BYTES},
	[LT_FIGURE_RSS_GROWTH] = {"rss_growth_per_second", "more of it", LT_UNIT_BYTE_RATE},
	[LT_FIGURE_REQUESTS] = {"requests", "requests", LT_UNIT_COUNT},
	[LT_FIGURE_REQUEST_COLLECTIONS] = {"collections_per_request", "collections, a request",
					   LT_UNIT_EACH},
	[LT_FIGURE_REQUEST_MADE] = {"made_per_request", "tracked objects made, a request",
				    LT_UNIT_EACH},
	[LT_FIGURE_REQUEST_GARBAGE] = {"collected_per_request", "collected, a request",
				       LT_UNIT_EACH},
	[LT_FIGURE_REQUEST_MS] = {"gc_ms_per_request", "collector's time, a request", LT_UNIT_MS},
	[LT_FIGURE_REQUEST_TRACKED] = {"growth_per_request", "more tracked objects, a request",
				       LT_UNIT_EACH},
};

/* ---- What a side is made of ---- */

void lt_gc_side_feed_init(struct lt_session *session, struct lt_gc_side_feed *ret_feed)
{
	*ret_feed = (struct lt_gc_side_feed){.session = session};
}

void lt_gc_side_feed_deinit(struct lt_gc_side_feed *feed)
{
	lt_gc_summary_deinit(&feed->summary);
}

static enum lt_status feed_event(void *ctx, const struct lt_gc_recording *recording,
				 const struct lt_gc_event *event)
{
	struct lt_gc_side_feed *feed = ctx;
	feed->froze |= event->seen.call == LT_CALL_FREEZE;
	return feed->to_summary.event(feed->to_summary.ctx, recording, event);
}

static enum lt_status feed_sample(void *ctx, const struct lt_gc_recording *recording,
				  const struct lt_gc_sample *sample)
{
	struct lt_gc_side_feed *feed = ctx;
	feed->samples++;
	feed->enabled_samples += sample->state.enabled;
	feed->rss += (double)sample->rss_bytes;
	if (sample->tracked >= 0) {
		if (feed->tracked_samples++ == 0)
			feed->first_tracked = sample->tracked;
		feed->last_tracked = sample->tracked;
		feed->tracked += (double)sample->tracked;
	}
	return feed->to_summary.sample(feed->to_summary.ctx, recording, sample);
}

static enum lt_status feed_tick(void *ctx, const struct lt_gc_recording *recording, bool final)
{
	struct lt_gc_side_feed *feed = ctx;
	return feed->to_summary.tick(feed->to_summary.ctx, recording, final);
}

struct lt_gc_sink lt_gc_side_sink(struct lt_gc_side_feed *feed)
{
	feed->summary_feed =
		(struct lt_gc_summary_feed){.session = feed->session, .summary = &feed->summary};
	feed->to_summary = lt_gc_summary_sink(&feed->summary_feed);
	return (struct lt_gc_sink){
		.event = feed_event, .sample = feed_sample, .tick = feed_tick, .ctx = feed};
}

static void set(struct lt_gc_side *side, enum lt_gc_figure figure, bool known, double value)
{
	static const double most = 9e18; /* fits the integers that it may become */
	side->known[figure] = known && isfinite(value);
	side->figure[figure] = !side->known[figure] ? 0
			       : value > most       ? most
			       : value < -most      ? -most
						    : value;
}

static double over(double value, double by)
{
	return by > 0 ? value / by : 0;
}

static void fill_settings(struct lt_gc_side *side, const struct lt_gc_side_feed *feed)
{
	const struct lt_gc_summary *summary = &feed->summary;
	const struct lt_gc_state *state = &summary->last.state;
	bool known = feed->samples > 0;
	set(side, LT_FIGURE_ENABLED, known,
	    over((double)feed->enabled_samples, (double)feed->samples));
	for (int g = 0; g < LT_GC_GENERATIONS; g++)
		set(side, LT_FIGURE_THRESHOLD_0 + g, known,
		    (double)state->generations[g].threshold);
	set(side, LT_FIGURE_DEBUG, known, state->debug);
	set(side, LT_FIGURE_FROZEN, known, summary->frozen || feed->froze);
}

/* Where the release keeps no number of them: what young collections moved on since the last one of generation 1. */
static double uncounted(const struct lt_gc_state *state)
{
	double moves = (double)state->generations[1].count;
	double each = (double)state->generations[0].threshold + 1;
	return state->heap_size < 0 && moves > 0 && each > 0 ? moves * each : 0;
}

static void fill_heap(struct lt_gc_side *side, const struct lt_gc_side_feed *feed)
{
	const struct lt_gc_summary *summary = &feed->summary;
	double seconds = ((double)summary->last.at_ns - (double)summary->first.at_ns) / 1e9;
	bool two = feed->samples > 1 && seconds > 0;
	set(side, LT_FIGURE_TRACKED, feed->tracked_samples > 0,
	    over(feed->tracked, (double)feed->tracked_samples));
	set(side, LT_FIGURE_TRACKED_GROWTH, two && feed->tracked_samples > 1,
	    over((double)feed->last_tracked - (double)feed->first_tracked, seconds));
	side->uncounted = fmax(uncounted(&summary->first.state), uncounted(&summary->last.state));
	set(side, LT_FIGURE_RSS, feed->samples > 0, over(feed->rss, (double)feed->samples));
	set(side, LT_FIGURE_RSS_GROWTH, two,
	    over((double)summary->last.rss_bytes - (double)summary->first.rss_bytes, seconds));
}

static void fill_requests(struct lt_gc_side *side, const struct lt_gc_side_feed *feed,
			  uint64_t requests)
{
	const struct lt_gc_summary *summary = &feed->summary;
	double number = (double)requests, seconds = side->figure[LT_FIGURE_SECONDS];
	bool known = requests > 0;
	set(side, LT_FIGURE_REQUESTS, known, number);
	set(side, LT_FIGURE_REQUEST_COLLECTIONS, known, over((double)summary->all.count, number));
	set(side, LT_FIGURE_REQUEST_MADE, known && side->known[LT_FIGURE_MADE],
	    over(side->figure[LT_FIGURE_MADE] * seconds, number));
	set(side, LT_FIGURE_REQUEST_GARBAGE, known, over((double)summary->all.collected, number));
	set(side, LT_FIGURE_REQUEST_MS, known,
	    over((double)summary->all.pauses.total_ns / 1e6, number));
	set(side, LT_FIGURE_REQUEST_TRACKED, known && side->known[LT_FIGURE_TRACKED_GROWTH],
	    over((double)feed->last_tracked - (double)feed->first_tracked, number));
}

static void fill_side(struct lt_gc_side *side, const struct lt_gc_recording *recording,
		      const struct lt_gc_side_feed *feed, uint64_t requests)
{
	const struct lt_gc_summary *summary = &feed->summary;
	const struct lt_gc_pauses *pauses = &summary->all.pauses;
	double seconds = lt_gc_summary_seconds(summary);
	bool some = pauses->count > 0;
	*side = (struct lt_gc_side){
		.pid = recording->identity.pid,
		.source = recording->source,
		.start_unix_ms = recording->start_unix_ms,
		.collections = summary->all.count,
		.cut = recording->cut,
	};
	memcpy(side->python, recording->identity.python, sizeof(side->python));
	set(side, LT_FIGURE_SECONDS, true, seconds);
	fill_settings(side, feed);
	set(side, LT_FIGURE_RATE, seconds > 0, over((double)summary->all.count, seconds));
	for (int g = 0; g < LT_GC_GENERATIONS; g++) {
		const struct lt_gc_survival *survival = &summary->survival[g];
		set(side, LT_FIGURE_RATE_0 + g, seconds > 0,
		    over((double)summary->by_generation[g].count, seconds));
		set(side, LT_FIGURE_SURVIVAL_0 + g, survival->examined > 0,
		    over((double)survival->survived, (double)survival->examined));
	}
	set(side, LT_FIGURE_EXPLICIT, seconds > 0,
	    over((double)summary->by_cause[LT_CAUSE_EXPLICIT].count, seconds));
	set(side, LT_FIGURE_MADE, seconds > 0 && summary->sampled, lt_gc_summary_rate(summary));
	set(side, LT_FIGURE_GARBAGE, seconds > 0, over((double)summary->all.collected, seconds));
	set(side, LT_FIGURE_COLLECTED, summary->all.count > 0,
	    over((double)summary->all.collected, (double)summary->all.count));
	double p50 = lt_gc_pauses_ms(pauses, 0.5), p99 = lt_gc_pauses_ms(pauses, 0.99);
	set(side, LT_FIGURE_PAUSE_P50, p50 > 0, p50);
	set(side, LT_FIGURE_PAUSE_P99, p99 > 0, p99);
	set(side, LT_FIGURE_PAUSE_MAX, some, (double)pauses->max_ns / 1e6);
	set(side, LT_FIGURE_SHARE, seconds > 0, lt_gc_summary_share(summary, pauses->total_ns));
	fill_heap(side, feed);
	fill_requests(side, feed, requests);
}

/* ---- What changed ---- */

/*
 * The square of how far two rates of so many events may be apart by chance: three times the deviation of their
 * difference, if collections come at random. They come more evenly.
 */
static double chance(const struct lt_gc_side side[LT_SIDES], enum lt_gc_figure figure)
{
	double variance = 0;
	for (int i = 0; i < LT_SIDES; i++) {
		double seconds = side[i].figure[LT_FIGURE_SECONDS];
		if (seconds <= 0)
			return HUGE_VAL;
		variance += (side[i].figure[figure] * seconds + 1) / (seconds * seconds);
	}
	return 9 * variance;
}

static double larger_of(double a, double b)
{
	return a > b ? a : b;
}

/* The youngest objects come and go, and others are counted late: so many of them are no growth. */
static double young_most(const struct lt_gc_side side[LT_SIDES])
{
	return 2 * larger_of(side[LT_SIDE_BEFORE].figure[LT_FIGURE_THRESHOLD_0],
			     side[LT_SIDE_AFTER].figure[LT_FIGURE_THRESHOLD_0]) +
	       larger_of(side[LT_SIDE_BEFORE].uncounted, side[LT_SIDE_AFTER].uncounted);
}

/* Tracked objects, within the recording. */
static double grown(const struct lt_gc_side *side)
{
	return side->figure[LT_FIGURE_TRACKED_GROWTH] * side->figure[LT_FIGURE_SECONDS];
}

static bool is_changed(const struct lt_gc_side side[LT_SIDES], enum lt_gc_figure figure)
{
	double before = side[LT_SIDE_BEFORE].figure[figure];
	double after = side[LT_SIDE_AFTER].figure[figure];
	double apart = fabs(after - before), larger = larger_of(fabs(before), fabs(after));
	if (!side[LT_SIDE_BEFORE].known[figure] || !side[LT_SIDE_AFTER].known[figure])
		return false;
	switch (figure) {
	case LT_FIGURE_SECONDS:
	case LT_FIGURE_REQUESTS:
		return false;
	case LT_FIGURE_ENABLED:
	case LT_FIGURE_THRESHOLD_0:
	case LT_FIGURE_THRESHOLD_1:
	case LT_FIGURE_THRESHOLD_2:
	case LT_FIGURE_DEBUG:
	case LT_FIGURE_FROZEN:
		return apart > 0;
	case LT_FIGURE_RATE:
	case LT_FIGURE_RATE_0:
	case LT_FIGURE_RATE_1:
	case LT_FIGURE_RATE_2:
	case LT_FIGURE_EXPLICIT:
		return apart > 0.2 * larger && apart * apart > chance(side, figure);
	case LT_FIGURE_PAUSE_P50:
	case LT_FIGURE_PAUSE_P99:
	case LT_FIGURE_PAUSE_MAX:
		return apart > 0.25 * larger && apart > 0.5;
	case LT_FIGURE_SHARE:
		return apart > 0.2 * larger && apart > 0.002;
	case LT_FIGURE_SURVIVAL_0:
	case LT_FIGURE_SURVIVAL_1:
	case LT_FIGURE_SURVIVAL_2:
		return apart > 0.05;
	case LT_FIGURE_TRACKED:
		return apart > 0.1 * larger && apart > young_most(side);
	case LT_FIGURE_RSS:
		return apart > 0.1 * larger;
	case LT_FIGURE_TRACKED_GROWTH:
	case LT_FIGURE_REQUEST_TRACKED:
		apart = fabs(grown(&side[LT_SIDE_AFTER]) - grown(&side[LT_SIDE_BEFORE]));
		return apart > 0.05 * side[LT_SIDE_AFTER].figure[LT_FIGURE_TRACKED] &&
		       apart > young_most(side);
	case LT_FIGURE_RSS_GROWTH:
		return apart * side[LT_SIDE_AFTER].figure[LT_FIGURE_SECONDS] >
		       0.05 * side[LT_SIDE_AFTER].figure[LT_FIGURE_RSS];
	default:
		return apart > 0.2 * larger;
	}
}

static int by_weight(const void *left, const void *right)
{
	const struct lt_gc_reason *a = left, *b = right;
	return (int)b->verdict - (int)a->verdict;
}

/* Reasons of one weight stay in the order in which they were found. */
static void sort_reasons(struct lt_gc_reasons *reasons)
{
	for (size_t i = 1; i < reasons->count; i++)
		for (size_t at = i;
		     at > 0 && by_weight(&reasons->data[at - 1], &reasons->data[at]) > 0; at--) {
			struct lt_gc_reason moved = reasons->data[at];
			reasons->data[at] = reasons->data[at - 1];
			reasons->data[at - 1] = moved;
		}
}

enum lt_status lt_gc_compare(struct lt_session *session,
			     const struct lt_gc_recording *const recordings[LT_SIDES],
			     const struct lt_gc_side_feed *const feeds[LT_SIDES],
			     const uint64_t requests[LT_SIDES],
			     struct lt_gc_comparison *ret_comparison)
{
	struct lt_gc_comparison comparison = {0};
	for (int i = 0; i < LT_SIDES; i++)
		fill_side(&comparison.side[i], recordings[i], feeds[i], requests[i]);
	for (int i = 0; i < LT_FIGURE_COUNT; i++)
		comparison.changed[i] = is_changed(comparison.side, (enum lt_gc_figure)i);
	if (!lt_gc_judge(&comparison, feeds)) {
		lt_gc_comparison_deinit(&comparison);
		return lt_fail_memory(session);
	}
	sort_reasons(&comparison.reasons);
	if (comparison.reasons.count > 0)
		comparison.verdict = comparison.reasons.data[0].verdict;
	*ret_comparison = comparison;
	return LT_OK;
}

void lt_gc_comparison_deinit(struct lt_gc_comparison *comparison)
{
	for (size_t i = 0; i < comparison->reasons.count; i++)
		free(comparison->reasons.data[i].text);
	lt_gc_reasons_deinit(&comparison->reasons);
	*comparison = (struct lt_gc_comparison){0};
}
