/* A row a collection; those that only the counters tell of are one row for all of a second, without times. */
#include "report/csv.h"
#include "report/export_gc_parts.h"

#include <inttypes.h>

static void begin(struct lt_gc_export *export, const struct lt_gc_recording *recording)
{
	(void)recording;
	lt_text_add(&export->out,
		    "start,unix_ms,duration_ms,collections,generation,cause,where,collected,"
		    "uncollectable,candidates,count_0,count_1,count_2,threshold_0,threshold_1,"
		    "threshold_2,thread,interpreter,source,error_ms,evidence\r\n");
}

/* Nothing where it is not known. */
static void add_known(struct lt_text *out, int64_t number)
{
	if (number >= 0)
		lt_text_addf(out, ",%" PRId64, number);
	else
		lt_text_add(out, ",");
}

static void add_text(struct lt_text *out, const char *text)
{
	lt_text_add(out, ",");
	if (text != NULL && *text != '\0')
		lt_csv_text(out, text);
}

static void event(struct lt_gc_export *export, const struct lt_gc_recording *recording,
		  const struct lt_gc_event *one)
{
	const struct lt_watch_event *seen = &one->seen;
	struct lt_text *out = &export->out;
	bool missed = seen->kind == LT_WATCH_MISSED;
	uint64_t collections = lt_gc_export_collections(one);
	if (collections == 0)
		return;
	double since = ((double)seen->start_ns - (double)recording->start_ns) / 1e9;
	lt_text_addf(out, "%.6f,%" PRId64, since,
		     recording->start_unix_ms + (int64_t)(since * 1e3));
	if (missed || lt_gc_untimed(seen))
		lt_text_add(out, ",");
	else
		lt_text_addf(out, ",%.3f", (double)(seen->end_ns - seen->start_ns) / 1e6);
	lt_text_addf(out, ",%" PRIu64, collections);
	add_known(out, seen->generation);
	add_text(out, lt_gc_cause_name(one->cause));
	add_text(out, one->where);
	add_known(out, seen->collected);
	add_known(out, seen->uncollectable);
	add_known(out, seen->candidates);
	for (int g = 0; g < LT_GC_GENERATIONS; g++) {
		if (missed)
			lt_text_add(out, ",");
		else
			lt_text_addf(out, ",%" PRId64, seen->before.generations[g].count);
	}
	for (int g = 0; g < LT_GC_GENERATIONS; g++)
		lt_text_addf(out, ",%" PRId64, seen->before.generations[g].threshold);
	add_known(out, seen->thread != 0 ? seen->thread : -1);
	lt_text_addf(out, ",%" PRIu64, seen->interpreter);
	add_text(out, lt_watch_source_name(seen->source));
	lt_text_addf(out, ",%.3f", (double)seen->error_ns / 1e6);
	add_text(out, one->evidence);
	lt_text_add(out, "\r\n");
}

const struct lt_gc_export_form lt_gc_form_csv = {.begin = begin, .event = event};
