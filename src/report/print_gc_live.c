/* How a recording went over time, as curves; and what is drawn while it is made. */
#include "analysis/gc_findings.h"
#include "report/print.h"

#include <math.h>
#include <string.h>

enum {
	CURVE = 48,       /* columns of a curve at most, */
	CURVE_LEAST = 16, /* and at least, */
	BESIDE = 56,      /* where so many of the screen are for what stands beside it */
	LIVE_PLACES = 4,
	BEFORE_PLACE = 44,   /* columns of its line */
	NOW_NS = 2000000000, /* of a rate: the time that counts as now */
};

/* One column for each value, its height from 0 to the highest. */
static const char *curve(struct lt_screen *screen, const double *values, size_t count)
{
	static const char *const blocks[] = {"\u2581", "\u2582", "\u2583", "\u2584",
					     "\u2585", "\u2586", "\u2587", "\u2588"};
	static const char *const signs[] = {"_", ".", ".", "-", "-", "=", "=", "#"};
	enum { STEPS = sizeof(blocks) / sizeof(blocks[0]) };
	double most = 0;
	for (size_t i = 0; i < count; i++)
		most = values[i] > most ? values[i] : most;
	const char *line = "";
	for (size_t i = 0; i < count; i++) {
		size_t step = most > 0 && values[i] > 0
				      ? (size_t)(values[i] / most * (STEPS - 1) + 0.5)
				      : 0;
		line = lt_screen_format(screen, "%s%s", line,
					values[i] <= 0 ? " "
					: screen->style->utf8
						? blocks[step < STEPS ? step : STEPS - 1]
						: signs[step < STEPS ? step : STEPS - 1]);
	}
	return line;
}

static size_t curve_width(const struct lt_screen *screen)
{
	size_t width = screen->style->width > BESIDE ? screen->style->width - BESIDE : 0;
	return width < CURVE_LEAST ? CURVE_LEAST : width > CURVE ? CURVE : width;
}

/* "  RSS         47.0 MiB  ▂████  46.9 MiB to 47.0 MiB": one line of it. */
static void add_line(struct lt_screen *screen, const char *label, const char *now, const char *line,
		     size_t columns, const char *note)
{
	lt_text_addf(screen->out, "  %-7s %11s  ", label, now);
	lt_screen_ink(screen, LT_INK_CYAN, line);
	size_t width = curve_width(screen);
	lt_text_addf(screen->out, "%*s  %s\n", columns < width ? (int)(width - columns) : 0, "",
		     note);
}

/* What a curve shows of a recording's samples. */
enum series { RSS, TRACKED };

static const char *amount(struct lt_screen *screen, enum series series, double value)
{
	return series == RSS ? lt_screen_bytes(screen, (uint64_t)value)
			     : lt_screen_count(screen, (uint64_t)value);
}

static void add_sampled(struct lt_screen *screen, const struct lt_gc_recording *recording,
			enum series series)
{
	double values[CURVE], least = 0, most = 0;
	size_t all = recording->samples.count, width = curve_width(screen);
	size_t count = all < width ? all : width;
	for (size_t i = 0; i < count; i++) {
		const struct lt_gc_sample *sample =
			&recording->samples.data[count > 1 ? i * (all - 1) / (count - 1) : 0];
		values[i] = series == RSS ? (double)sample->rss_bytes : (double)sample->tracked;
		least = i == 0 || values[i] < least ? values[i] : least;
		most = i == 0 || values[i] > most ? values[i] : most;
	}
	if (count == 0 || most <= 0)
		return;
	/* The lower half of the range from 0 would hide how it moves. */
	double last = values[count - 1], floor = least > most / 2 ? least - (most - least) / 8 : 0;
	for (size_t i = 0; i < count; i++)
		values[i] = values[i] - floor > most / 1e6 ? values[i] - floor : most / 1e6;
	bool estimated = series == TRACKED && recording->samples.data[0].state.heap_size < 0;
	add_line(screen, series == RSS ? "RSS" : "tracked", amount(screen, series, last),
		 curve(screen, values, count), count,
		 lt_screen_format(screen, "%s to %s%s", amount(screen, series, least),
				  amount(screen, series, most), estimated ? ", estimated" : ""));
}

/* Slots of the summary in the columns of a curve. */
struct slots {
	double made[CURVE], runs[CURVE], pauses[CURVE];
	double made_most, runs_most; /* a second */
	size_t count;
};

static void fill_slots(const struct lt_gc_summary *summary, size_t width, struct slots *ret_slots)
{
	struct slots slots = {.count = summary->slot_count < width ? summary->slot_count : width};
	double seconds[CURVE] = {0};
	for (size_t i = 0; i < summary->slot_count && slots.count > 0; i++) {
		const struct lt_gc_slot *slot = &summary->slots[i];
		size_t at = i * slots.count / summary->slot_count;
		slots.made[at] += slot->made;
		slots.runs[at] += (double)slot->count;
		slots.pauses[at] = fmax(slots.pauses[at], (double)slot->max_ns);
		seconds[at] += (double)summary->slot_ns / 1e9;
	}
	for (size_t i = 0; i < slots.count; i++) {
		slots.made[i] /= seconds[i];
		slots.runs[i] /= seconds[i];
		slots.made_most = fmax(slots.made_most, slots.made[i]);
		slots.runs_most = fmax(slots.runs_most, slots.runs[i]);
	}
	*ret_slots = slots;
}

/* Of the last seconds, or of all the time. */
static struct lt_gc_slot sum_of(const struct lt_gc_summary *summary, bool now, double *ret_seconds)
{
	struct lt_gc_slot sum = {0};
	size_t wanted = summary->slot_ns > 0 ? (size_t)(NOW_NS / summary->slot_ns) : 0, from = 0;
	if (now && summary->slot_count > wanted + 1)
		from = summary->slot_count - wanted - 1;
	for (size_t i = from; i < summary->slot_count; i++) {
		sum.count += summary->slots[i].count;
		sum.total_ns += summary->slots[i].total_ns;
		sum.made += summary->slots[i].made;
	}
	uint64_t start = summary->start_ns + from * summary->slot_ns;
	*ret_seconds = summary->end_ns > start ? (double)(summary->end_ns - start) / 1e9 : 0;
	return sum;
}

static const char *rate(struct lt_screen *screen, double value)
{
	return value >= 100 ? lt_screen_count(screen, (uint64_t)(value + 0.5))
			    : lt_screen_format(screen, "%.1f", value);
}

void lt_print_gc_curves(struct lt_screen *screen, const struct lt_gc_recording *recording,
			const struct lt_gc_summary *summary, bool now)
{
	struct slots slots;
	double seconds;
	fill_slots(summary, curve_width(screen), &slots);
	const struct lt_gc_slot sum = sum_of(summary, now, &seconds);
	add_sampled(screen, recording, RSS);
	add_sampled(screen, recording, TRACKED);
	if (summary->all.count == 0 || seconds <= 0)
		return;
	add_line(screen, "new/s", rate(screen, sum.made / seconds),
		 curve(screen, slots.made, slots.count), slots.count,
		 lt_screen_format(screen, "most %s", rate(screen, slots.made_most)));
	add_line(screen, "runs/s", rate(screen, (double)sum.count / seconds),
		 curve(screen, slots.runs, slots.count), slots.count,
		 lt_screen_format(screen, "most %s, %s in all", rate(screen, slots.runs_most),
				  lt_screen_count(screen, summary->all.count)));
	if (summary->all.pauses.max_ns > 0)
		add_line(screen, "pauses",
			 lt_screen_format(screen, "%.2f %%", (double)sum.total_ns / 1e7 / seconds),
			 curve(screen, slots.pauses, slots.count), slots.count,
			 lt_screen_format(
				 screen, "longest %s",
				 lt_print_pause(screen, (double)summary->all.pauses.max_ns / 1e6)));
}

/* The end of a place says more than its beginning: file and line. */
static const char *shortened(struct lt_screen *screen, const char *where, size_t room)
{
	size_t length = strlen(where);
	if (length <= room || room <= 4)
		return where;
	const char *tail = where + length - (room - 3);
	while (((unsigned char)*tail & 0xc0) == 0x80)
		tail++;
	return lt_screen_format(screen, "...%s", tail);
}

static void add_live_places(struct lt_screen *screen, const struct lt_gc_summary *summary)
{
	for (size_t i = 0; i < summary->place_count && i < LIVE_PLACES; i++) {
		const struct lt_gc_place *place = &summary->places[i];
		double all = (double)summary->all.pauses.total_ns;
		const char *where = *place->where != 0 ? lt_screen_safe(screen, place->where) : "?";
		size_t width = screen->style->width;
		lt_text_addf(
			screen->out, "  %6s %9s  %-11s %8s  %s\n",
			lt_screen_share(screen, all > 0 ? (double)place->total_ns / all : 0),
			lt_print_pause(screen, (double)place->max_ns / 1e6),
			lt_gc_cause_name(place->cause), lt_screen_count(screen, place->count),
			shortened(screen, where, width > BEFORE_PLACE ? width - BEFORE_PLACE : 0));
	}
}

void lt_print_gc_live(const struct lt_report *report, const struct lt_gc_recording *recording,
		      const struct lt_gc_summary *summary, struct lt_text *out)
{
	struct lt_screen screen;
	lt_screen_init(&screen, &report->style, out);
	const char *dot = lt_screen_dot(&screen);
	const struct lt_gc_state *state = &summary->last.state;
	lt_text_addf(out, "PID %d%sCPython %s%s%.0f s by %s%scollector %s%s%lld, %lld, %lld\n",
		     (int)recording->identity.pid, dot,
		     lt_screen_safe(&screen, recording->identity.python), dot,
		     lt_gc_summary_seconds(summary), lt_watch_source_name(recording->source), dot,
		     state->enabled ? "on" : "OFF", dot, (long long)state->generations[0].threshold,
		     (long long)state->generations[1].threshold,
		     (long long)state->generations[2].threshold);
	lt_print_gc_curves(&screen, recording, summary, true);
	if (summary->all.count > 0)
		lt_print_gc_groups(&screen, summary, false);
	add_live_places(&screen, summary);
	lt_screen_deinit(&screen);
}
