/*
 * What a difference between two recordings means. The question behind each reason: is there less to collect, or is
 * less collected of what there is?
 */
#include "analysis/gc_compare_parts.h"

#include "base/number.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
	SAVEALL = 32, /* gc.DEBUG_SAVEALL */
	TEXTS = 8,
	FEW = 5, /* collections of both sides together that say nothing yet */
};
static const double HIGH_SHARE = 0.05, LONG_PAUSE_MS = 10, BUDGET_MS = 100;

struct judge {
	struct lt_gc_comparison *comparison;
	const struct lt_gc_side *before, *after;
	const struct lt_gc_side_feed *const *feeds;
	bool by_request; /* rates are those of a request */
	bool told_calls; /* that gc.collect() is called more or less often */
	bool failed;
	char texts[TEXTS][48];
	unsigned text;
};

__attribute__((format(printf, 3, 4))) static void
add(struct judge *judge, enum lt_gc_verdict verdict, const char *format, ...)
{
	struct lt_gc_reason reason = {.verdict = verdict};
	va_list arguments;
	va_start(arguments, format);
	if (vasprintf(&reason.text, format, arguments) < 0)
		reason.text = NULL;
	va_end(arguments);
	if (reason.text == NULL || !lt_gc_reasons_push(&judge->comparison->reasons, reason)) {
		free(reason.text);
		judge->failed = true;
	}
}

/* One of the last TEXTS texts that were asked for. */
static char *next_text(struct judge *judge)
{
	return judge->texts[judge->text++ % TEXTS];
}

/* "1,234", "0.52". */
static const char *show(struct judge *judge, double value)
{
	char *text = next_text(judge), number[LT_NUMBER_MAX];
	if (fabs(value) >= 100)
		snprintf(text, sizeof(judge->texts[0]), "%s%s", value < 0 ? "-" : "",
			 lt_number_count((uint64_t)(fabs(value) + 0.5), number));
	else
		snprintf(text, sizeof(judge->texts[0]), "%.*f", fabs(value) >= 10 ? 1 : 2, value);
	return text;
}

/* Of either side, with its unit. */
static const char *figure(struct judge *judge, const struct lt_gc_side *side,
			  enum lt_gc_figure which)
{
	double value = side->figure[which];
	char *text, number[LT_NUMBER_MAX];
	switch (lt_gc_figures[which].unit) {
	case LT_UNIT_BYTES:
		text = next_text(judge);
		snprintf(text, sizeof(judge->texts[0]), "%s",
			 lt_number_bytes(value > 0 ? (uint64_t)value : 0, number));
		return text;
	case LT_UNIT_COUNT:
		text = next_text(judge);
		snprintf(text, sizeof(judge->texts[0]), "%s",
			 lt_number_count(value > 0 ? (uint64_t)value : 0, number));
		return text;
	case LT_UNIT_SHARE:
		text = next_text(judge);
		snprintf(text, sizeof(judge->texts[0]), "%.1f %%", value * 100);
		return text;
	case LT_UNIT_MS:
		text = next_text(judge);
		snprintf(text, sizeof(judge->texts[0]), "%.1f ms", value);
		return text;
	default:
		return show(judge, value);
	}
}

static const char *was(struct judge *judge, enum lt_gc_figure which)
{
	return figure(judge, judge->before, which);
}

static const char *is(struct judge *judge, enum lt_gc_figure which)
{
	return figure(judge, judge->after, which);
}

static bool changed(const struct judge *judge, enum lt_gc_figure which)
{
	return judge->comparison->changed[which];
}

static double step(const struct judge *judge, enum lt_gc_figure which)
{
	return judge->after->figure[which] - judge->before->figure[which];
}

static bool rose(const struct judge *judge, enum lt_gc_figure which)
{
	return changed(judge, which) && step(judge, which) > 0;
}

static bool fell(const struct judge *judge, enum lt_gc_figure which)
{
	return changed(judge, which) && step(judge, which) < 0;
}

/* Half of the time or more, or by a threshold of 0. */
static bool is_off(const struct lt_gc_side *side)
{
	return side->known[LT_FIGURE_ENABLED] &&
	       (side->figure[LT_FIGURE_ENABLED] < 0.5 || side->figure[LT_FIGURE_THRESHOLD_0] == 0);
}

static bool heap_grew(const struct judge *judge)
{
	return rose(judge, LT_FIGURE_TRACKED) || rose(judge, LT_FIGURE_TRACKED_GROWTH) ||
	       rose(judge, LT_FIGURE_RSS);
}

/* Longer by more than chance: see is_changed(). */
static double limit(const struct judge *judge, enum lt_gc_figure figure)
{
	return judge->before->figure[figure] * 1.25 + 0.5;
}

/* A single longer one is nothing yet, as long as nobody would notice it: other load on the machine makes such. */
static bool by_chance(const struct judge *judge)
{
	const struct lt_gc_pauses *pauses = &judge->feeds[LT_SIDE_AFTER]->summary.all.pauses;
	bool many = lt_gc_pauses_over(pauses, limit(judge, LT_FIGURE_PAUSE_P99)) >
		    1 + (pauses->count + pauses->short_ones) / 50;
	return !heap_grew(judge) && judge->after->figure[LT_FIGURE_PAUSE_MAX] < BUDGET_MS &&
	       lt_gc_pauses_over(pauses, limit(judge, LT_FIGURE_PAUSE_MAX)) < 2 &&
	       !(many && rose(judge, LT_FIGURE_PAUSE_P99));
}

static bool pauses_longer(const struct judge *judge)
{
	return rose(judge, LT_FIGURE_PAUSE_MAX) && !by_chance(judge);
}

/* What grew, for the end of a sentence. */
static const char *growth(struct judge *judge)
{
	static char text[160];
	text[0] = '\0';
	if (rose(judge, LT_FIGURE_TRACKED))
		snprintf(text, sizeof(text), "tracked objects rose from %s to %s",
			 was(judge, LT_FIGURE_TRACKED), is(judge, LT_FIGURE_TRACKED));
	else if (rose(judge, LT_FIGURE_RSS))
		snprintf(text, sizeof(text), "RSS rose from %s to %s", was(judge, LT_FIGURE_RSS),
			 is(judge, LT_FIGURE_RSS));
	else if (rose(judge, LT_FIGURE_TRACKED_GROWTH))
		snprintf(text, sizeof(text), "tracked objects grow by %s a second",
			 is(judge, LT_FIGURE_TRACKED_GROWTH));
	else if (rose(judge, LT_FIGURE_PAUSE_MAX))
		snprintf(text, sizeof(text), "the longest pause rose from %s to %s",
			 was(judge, LT_FIGURE_PAUSE_MAX), is(judge, LT_FIGURE_PAUSE_MAX));
	return text;
}

static void judge_sides(struct judge *judge)
{
	const struct lt_gc_side *before = judge->before, *after = judge->after;
	if (strcmp(before->python, after->python) != 0)
		add(judge, LT_VERDICT_LOOK,
		    "CPython %s became %s: the collectors of two releases count and wait "
		    "differently",
		    before->python, after->python);
	if (before->source != after->source)
		add(judge, LT_VERDICT_SAME,
		    "The first recording is by %s, the second by %s: pauses below 2 ms cannot be "
		    "compared",
		    lt_watch_source_name(before->source), lt_watch_source_name(after->source));
}

/* Objects that nothing collects now, as far as what was collected before tells. */
static double waiting(const struct judge *judge)
{
	const double *before = judge->before->figure, *after = judge->after->figure;
	double share =
		before[LT_FIGURE_MADE] > 0 ? before[LT_FIGURE_GARBAGE] / before[LT_FIGURE_MADE] : 0;
	double made = after[LT_FIGURE_MADE] * after[LT_FIGURE_SECONDS];
	return made > 0 ? made * (share < 1 ? share : 1) : 0;
}

static void judge_off(struct judge *judge)
{
	const char *how = judge->after->figure[LT_FIGURE_ENABLED] < 0.5
				  ? "turned off"
				  : "switched off by a threshold of 0";
	double added =
		judge->after->figure[LT_FIGURE_MADE] * judge->after->figure[LT_FIGURE_SECONDS];
	if (is_off(judge->before)) {
		if (judge->after->figure[LT_FIGURE_EXPLICIT] > 0)
			add(judge, LT_VERDICT_SAME,
			    "Automatic collection is off in both; gc.collect() is called %s times "
			    "a second in its place, it was %s",
			    is(judge, LT_FIGURE_EXPLICIT), was(judge, LT_FIGURE_EXPLICIT));
		else if (heap_grew(judge) || added > 1000)
			add(judge, LT_VERDICT_LOOK,
			    "Automatic collection is off in both, and %s tracked objects were "
			    "added in the second: nothing frees the cycles among them",
			    show(judge, added));
		return;
	}
	if (judge->after->figure[LT_FIGURE_EXPLICIT] > 0)
		add(judge, LT_VERDICT_LOOK,
		    "Automatic collection was %s, and gc.collect() is called %s times a second in "
		    "its place",
		    how, is(judge, LT_FIGURE_EXPLICIT));
	else if (waiting(judge) >= 1 || heap_grew(judge))
		add(judge, LT_VERDICT_BAD,
		    "There are fewer collections because automatic collection was %s, not because "
		    "there is less to do: %s tracked objects were added since the second recording "
		    "began, of which about %s would have been collected, and nothing frees them",
		    how, show(judge, added), show(judge, waiting(judge)));
	else
		add(judge, LT_VERDICT_LOOK,
		    "Automatic collection was %s; nothing waits for it yet, but nothing would free "
		    "the next cycle",
		    how);
}

static void judge_switches(struct judge *judge)
{
	unsigned before = (unsigned)judge->before->figure[LT_FIGURE_DEBUG];
	unsigned after = (unsigned)judge->after->figure[LT_FIGURE_DEBUG];
	if (is_off(judge->after))
		judge_off(judge);
	else if (is_off(judge->before))
		add(judge, LT_VERDICT_GOOD, "Automatic collection was turned on");
	if ((after & ~before & SAVEALL) != 0)
		add(judge, LT_VERDICT_BAD,
		    "gc.DEBUG_SAVEALL was set: all that is found is kept in gc.garbage and never "
		    "freed");
	else if ((after & ~before) != 0)
		add(judge, LT_VERDICT_LOOK,
		    "gc.set_debug() was given more flags, %u became %u: each collection writes to "
		    "stderr",
		    before, after);
	else if ((before & ~after & SAVEALL) != 0)
		add(judge, LT_VERDICT_GOOD, "gc.DEBUG_SAVEALL is no longer set");
	if (rose(judge, LT_FIGURE_FROZEN))
		add(judge, LT_VERDICT_SAME,
		    "gc.freeze() set objects apart: collections look at fewer, and garbage among "
		    "them is never found");
}

static int thresholds_moved(const struct judge *judge)
{
	for (int g = 0; g < LT_GC_GENERATIONS; g++)
		if (changed(judge, LT_FIGURE_THRESHOLD_0 + g))
			return step(judge, LT_FIGURE_THRESHOLD_0 + g) > 0 ? 1 : -1;
	return 0;
}

static const char *thresholds(struct judge *judge, const struct lt_gc_side *side)
{
	char *text = next_text(judge);
	snprintf(text, sizeof(judge->texts[0]), "(%.0f, %.0f, %.0f)",
		 side->figure[LT_FIGURE_THRESHOLD_0], side->figure[LT_FIGURE_THRESHOLD_1],
		 side->figure[LT_FIGURE_THRESHOLD_2]);
	return text;
}

/* The figure of a second, or that of a request when their number is known. */
static enum lt_gc_figure rate_of(const struct judge *judge, enum lt_gc_figure second)
{
	if (!judge->by_request)
		return second;
	return second == LT_FIGURE_RATE   ? LT_FIGURE_REQUEST_COLLECTIONS
	       : second == LT_FIGURE_MADE ? LT_FIGURE_REQUEST_MADE
					  : LT_FIGURE_REQUEST_GARBAGE;
}

static const char *each(const struct judge *judge)
{
	return judge->by_request ? "a request" : "a second";
}

static void judge_fewer(struct judge *judge)
{
	enum lt_gc_figure rate = rate_of(judge, LT_FIGURE_RATE);
	enum lt_gc_figure made = rate_of(judge, LT_FIGURE_MADE);
	const char *per = each(judge);
	if (thresholds_moved(judge) > 0 && !fell(judge, made)) {
		const char *from = thresholds(judge, judge->before);
		const char *to = thresholds(judge, judge->after);
		if (heap_grew(judge) || pauses_longer(judge))
			add(judge, LT_VERDICT_BAD,
			    "There are fewer collections because the thresholds went up, %s to %s, "
			    "not because there is less to do: as much is allocated, garbage waits "
			    "longer, and %s",
			    from, to, growth(judge));
		else
			add(judge, LT_VERDICT_GOOD,
			    "There are fewer collections because the thresholds went up, %s to %s; "
			    "the heap did not grow%s",
			    from, to,
			    rose(judge, LT_FIGURE_PAUSE_MAX) ? "" : " and no pause got longer");
	} else if (!judge->by_request && fell(judge, LT_FIGURE_EXPLICIT) &&
		   step(judge, LT_FIGURE_EXPLICIT) < step(judge, LT_FIGURE_RATE) / 2) {
		judge->told_calls = true;
		add(judge, LT_VERDICT_GOOD,
		    "There are fewer collections because gc.collect() is called less often: %s a "
		    "second became %s",
		    was(judge, LT_FIGURE_EXPLICIT), is(judge, LT_FIGURE_EXPLICIT));
	} else if (heap_grew(judge)) {
		add(judge, LT_VERDICT_LOOK,
		    "There are fewer collections, %s %s became %s, but %s: a larger old generation "
		    "makes full collections wait for more that is new",
		    was(judge, rate), per, is(judge, rate), growth(judge));
	} else if (fell(judge, made)) {
		add(judge, LT_VERDICT_GOOD,
		    "There are fewer collections, %s %s became %s, because less is allocated: "
		    "tracked objects made fell from %s %s to %s, and the heap did not grow",
		    was(judge, rate), per, is(judge, rate), was(judge, made), per, is(judge, made));
	} else {
		add(judge, LT_VERDICT_LOOK,
		    "There are fewer collections, %s %s became %s, and nothing that was recorded "
		    "says why",
		    was(judge, rate), per, is(judge, rate));
	}
}

/* Who calls most. */
static const char *caller(const struct judge *judge)
{
	const struct lt_gc_summary *summary = &judge->feeds[LT_SIDE_AFTER]->summary;
	const struct lt_gc_place *best = NULL;
	for (size_t i = 0; i < summary->place_count; i++) {
		const struct lt_gc_place *place = &summary->places[i];
		if (place->cause == LT_CAUSE_EXPLICIT && *place->where != '\0' &&
		    (best == NULL || place->count > best->count))
			best = place;
	}
	return best != NULL ? best->where : NULL;
}

static void judge_more(struct judge *judge)
{
	enum lt_gc_figure rate = rate_of(judge, LT_FIGURE_RATE);
	enum lt_gc_figure made = rate_of(judge, LT_FIGURE_MADE);
	const char *per = each(judge);
	bool costly = judge->after->figure[LT_FIGURE_SHARE] >= HIGH_SHARE;
	enum lt_gc_verdict verdict = costly ? LT_VERDICT_BAD : LT_VERDICT_LOOK;
	if (rose(judge, LT_FIGURE_EXPLICIT)) {
		const char *where = caller(judge);
		judge->told_calls = true;
		add(judge, verdict,
		    "There are more collections because gc.collect() is called: %s times a second "
		    "became %s%s%s",
		    was(judge, LT_FIGURE_EXPLICIT), is(judge, LT_FIGURE_EXPLICIT),
		    where != NULL ? ", most at " : "", where != NULL ? where : "");
	} else if (thresholds_moved(judge) < 0) {
		add(judge, costly ? LT_VERDICT_BAD : LT_VERDICT_SAME,
		    "There are more collections because the thresholds went down, %s to %s",
		    thresholds(judge, judge->before), thresholds(judge, judge->after));
	} else if (rose(judge, made)) {
		add(judge, verdict,
		    "There are more collections, %s %s became %s, because %s: tracked objects made "
		    "rose from %s %s to %s",
		    was(judge, rate), per, is(judge, rate),
		    judge->by_request ? "more of what a request makes is in use at the same time, "
					"or it makes "
					"more"
				      : "more is allocated",
		    was(judge, made), per, is(judge, made));
	} else {
		add(judge, verdict,
		    "There are more collections, %s %s became %s, and nothing that was recorded "
		    "says why",
		    was(judge, rate), per, is(judge, rate));
	}
}

/* At as many collections in all: who calls, and full ones in the place of young ones. */
static void judge_kinds(struct judge *judge)
{
	bool costly = judge->after->figure[LT_FIGURE_SHARE] >= HIGH_SHARE;
	enum lt_gc_verdict verdict = costly ? LT_VERDICT_BAD : LT_VERDICT_LOOK;
	const char *where = caller(judge);
	if (judge->by_request || judge->told_calls)
		return;
	if (rose(judge, LT_FIGURE_EXPLICIT))
		add(judge, verdict, "gc.collect() is called more often: %s a second became %s%s%s",
		    was(judge, LT_FIGURE_EXPLICIT), is(judge, LT_FIGURE_EXPLICIT),
		    where != NULL ? ", most at " : "", where != NULL ? where : "");
	else if (fell(judge, LT_FIGURE_EXPLICIT))
		add(judge, LT_VERDICT_GOOD,
		    "gc.collect() is called less often: %s a second became %s",
		    was(judge, LT_FIGURE_EXPLICIT), is(judge, LT_FIGURE_EXPLICIT));
	else if (rose(judge, LT_FIGURE_RATE_2) && !rose(judge, LT_FIGURE_RATE))
		add(judge, verdict,
		    "More of the collections are full ones, which look at every object: %s a "
		    "second became %s",
		    was(judge, LT_FIGURE_RATE_2), is(judge, LT_FIGURE_RATE_2));
}

/* What made the longest one long, for the end of a sentence. */
static const char *why_longer(struct judge *judge, char *text, size_t size)
{
	const struct lt_gc_summary *before = &judge->feeds[LT_SIDE_BEFORE]->summary;
	const struct lt_gc_summary *after = &judge->feeds[LT_SIDE_AFTER]->summary;
	const struct lt_gc_group *full = &after->by_generation[LT_GC_GENERATIONS - 1];
	text[0] = '\0';
	if (full->pauses.max_ns == 0 || full->pauses.max_ns < after->all.pauses.max_ns)
		return text;
	if (rose(judge, LT_FIGURE_TRACKED))
		snprintf(text, size,
			 ", in a full collection, which looks at every tracked object: %s where "
			 "there "
			 "were %s",
			 is(judge, LT_FIGURE_TRACKED), was(judge, LT_FIGURE_TRACKED));
	else if (before->by_generation[LT_GC_GENERATIONS - 1].count == 0)
		snprintf(text, size, ", in a full collection, of which there was none before");
	return text;
}

static void judge_pauses(struct judge *judge)
{
	char text[256];
	const char *why = why_longer(judge, text, sizeof(text));
	bool most = rose(judge, LT_FIGURE_PAUSE_MAX), p99 = rose(judge, LT_FIGURE_PAUSE_P99);
	const char *was_most = was(judge, LT_FIGURE_PAUSE_MAX);
	const char *is_most = is(judge, LT_FIGURE_PAUSE_MAX);
	if (by_chance(judge))
		add(judge, LT_VERDICT_LOOK,
		    "One pause took %s, where the longest was %s. The others did not get longer, "
		    "and the heap did not grow: other load on the machine can be the reason",
		    is_most, was_most);
	else if (p99)
		add(judge, LT_VERDICT_BAD,
		    "Pauses got longer: 99 %% were below %s and are below %s, the longest was %s "
		    "and is %s%s",
		    was(judge, LT_FIGURE_PAUSE_P99), is(judge, LT_FIGURE_PAUSE_P99), was_most,
		    is_most, why);
	else if (most)
		add(judge, LT_VERDICT_BAD, "The longest pause got longer: it was %s and is %s%s",
		    was_most, is_most, why);
}

static void judge_share(struct judge *judge)
{
	const struct lt_gc_summary *summary = &judge->feeds[LT_SIDE_AFTER]->summary;
	const struct lt_gc_place *most = summary->place_count > 0 ? &summary->places[0] : NULL;
	bool known = most != NULL && *most->where != '\0' &&
		     most->total_ns > summary->all.pauses.total_ns / 2;
	add(judge, LT_VERDICT_BAD, "The collector takes more of the time: %s became %s%s%s%s%s",
	    was(judge, LT_FIGURE_SHARE), is(judge, LT_FIGURE_SHARE),
	    known ? ", most of it at " : "", known ? most->where : "", known ? ", " : "",
	    known ? lt_gc_cause_name(most->cause) : "");
}

static void judge_cost(struct judge *judge)
{
	bool longer = rose(judge, LT_FIGURE_PAUSE_MAX) || rose(judge, LT_FIGURE_PAUSE_P99);
	if (longer && judge->after->figure[LT_FIGURE_PAUSE_MAX] >= LONG_PAUSE_MS)
		judge_pauses(judge);
	else if (fell(judge, LT_FIGURE_PAUSE_MAX) && !is_off(judge->after))
		add(judge, LT_VERDICT_GOOD, "Pauses got shorter: the longest was %s and is %s",
		    was(judge, LT_FIGURE_PAUSE_MAX), is(judge, LT_FIGURE_PAUSE_MAX));
	if (rose(judge, LT_FIGURE_SHARE) && judge->after->figure[LT_FIGURE_SHARE] >= HIGH_SHARE)
		judge_share(judge);
	else if (fell(judge, LT_FIGURE_SHARE) && !is_off(judge->after))
		add(judge, LT_VERDICT_GOOD, "The collector takes less of the time: %s became %s",
		    was(judge, LT_FIGURE_SHARE), is(judge, LT_FIGURE_SHARE));
}

/* Where the collector is on; less that it finds is no gain where it looks for less. */
static void judge_garbage(struct judge *judge)
{
	enum lt_gc_figure garbage = rate_of(judge, LT_FIGURE_GARBAGE);
	const char *per = each(judge);
	if (is_off(judge->before) || is_off(judge->after))
		return;
	if (fell(judge, garbage) && thresholds_moved(judge) <= 0 && !heap_grew(judge))
		add(judge, LT_VERDICT_GOOD,
		    "Less is garbage in cycles: %s objects %s became %s. What is not in a cycle is "
		    "freed at once, without the collector",
		    was(judge, garbage), per, is(judge, garbage));
	else if (rose(judge, garbage) && !judge->by_request)
		add(judge, LT_VERDICT_SAME,
		    "More is garbage in cycles: %s objects %s became %s. Only the collector frees "
		    "it",
		    was(judge, garbage), per, is(judge, garbage));
}

static void judge_heap(struct judge *judge)
{
	const char *restarted = judge->before->pid != judge->after->pid
					? "; these are two processes, so their ages differ too"
					: "";
	if (rose(judge, LT_FIGURE_TRACKED))
		add(judge, LT_VERDICT_LOOK, "The heap grew: tracked objects rose from %s to %s%s",
		    was(judge, LT_FIGURE_TRACKED), is(judge, LT_FIGURE_TRACKED), restarted);
	else if (fell(judge, LT_FIGURE_TRACKED))
		add(judge, LT_VERDICT_GOOD, "The heap shrank: tracked objects fell from %s to %s%s",
		    was(judge, LT_FIGURE_TRACKED), is(judge, LT_FIGURE_TRACKED), restarted);
	if (rose(judge, LT_FIGURE_RSS))
		add(judge, LT_VERDICT_LOOK, "RSS rose from %s to %s%s", was(judge, LT_FIGURE_RSS),
		    is(judge, LT_FIGURE_RSS), restarted);
	if (rose(judge, LT_FIGURE_TRACKED_GROWTH) && !rose(judge, LT_FIGURE_TRACKED))
		add(judge, LT_VERDICT_LOOK,
		    "The heap grows faster: %s tracked objects a second "
		    "became %s",
		    was(judge, LT_FIGURE_TRACKED_GROWTH), is(judge, LT_FIGURE_TRACKED_GROWTH));
}

static void judge_requests(struct judge *judge)
{
	if (!judge->by_request)
		return;
	if (rose(judge, LT_FIGURE_REQUEST_GARBAGE))
		add(judge, LT_VERDICT_LOOK,
		    "A request leaves more garbage for the collector: %s objects became %s",
		    was(judge, LT_FIGURE_REQUEST_GARBAGE), is(judge, LT_FIGURE_REQUEST_GARBAGE));
	if (rose(judge, LT_FIGURE_SURVIVAL_0))
		add(judge, LT_VERDICT_LOOK,
		    "More objects survive a young collection, %s became %s: requests that overlap "
		    "keep each other's objects over it, and the older generations have to find "
		    "them",
		    was(judge, LT_FIGURE_SURVIVAL_0), is(judge, LT_FIGURE_SURVIVAL_0));
	if (rose(judge, LT_FIGURE_REQUEST_TRACKED) &&
	    judge->after->figure[LT_FIGURE_REQUEST_TRACKED] >= 1)
		add(judge, LT_VERDICT_BAD,
		    "A request leaves more behind: the heap grows by %s tracked objects a request, "
		    "where it was %s before",
		    is(judge, LT_FIGURE_REQUEST_TRACKED), was(judge, LT_FIGURE_REQUEST_TRACKED));
}

bool lt_gc_judge(struct lt_gc_comparison *comparison,
		 const struct lt_gc_side_feed *const feeds[LT_SIDES])
{
	struct judge judge = {.comparison = comparison,
			      .before = &comparison->side[LT_SIDE_BEFORE],
			      .after = &comparison->side[LT_SIDE_AFTER],
			      .feeds = feeds};
	judge.by_request =
		judge.before->known[LT_FIGURE_REQUESTS] && judge.after->known[LT_FIGURE_REQUESTS];
	judge_sides(&judge);
	judge_switches(&judge);
	enum lt_gc_figure rate = rate_of(&judge, LT_FIGURE_RATE);
	bool off = is_off(judge.before) || is_off(judge.after);
	if (!off && judge.before->collections + judge.after->collections < FEW)
		add(&judge, LT_VERDICT_LOOK,
		    "There are too few collections to tell, %" PRIu64 " and %" PRIu64
		    ": record for longer",
		    judge.before->collections, judge.after->collections);
	else if (!off && fell(&judge, rate))
		judge_fewer(&judge);
	else if (!off && rose(&judge, rate))
		judge_more(&judge);
	if (!off && judge.before->collections + judge.after->collections >= FEW)
		judge_kinds(&judge);
	judge_cost(&judge);
	judge_garbage(&judge);
	judge_heap(&judge);
	judge_requests(&judge);
	if (comparison->reasons.count == 0)
		add(&judge, LT_VERDICT_SAME,
		    "Nothing changed that is more than chance: collections, pauses, settings and "
		    "heap are the same");
	return !judge.failed;
}
