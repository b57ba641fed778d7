/*
 * gc_samples: prints the exports of a made-up recording of the collector, for the golden tests of tests/cli, or writes
 * it to a .tide file.
 *
 *     gc_samples csv|trace|openmetrics      the export
 *     gc_samples FILE.tide [changed]        the file; changed: another one to compare with it
 *
 * The recording has one event of each kind and what a hostile target may put into its strings.
 */
#include "analysis/gc_tide.h"
#include "report/export_gc.h"

#include <locale.h>
#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct lt_gc_frame frames[] = {
	{.file = "/srv/shop/shop/orders.py", .function = "Orders.checkout", .line = 88},
	{.file = "/srv/shop/shop/views.py", .function = "handle", .line = 214},
	{.file = "/srv/\x1b[31mevil\x1b[0m,\"quoted\"\n.py", .function = "\u202e<script>"},
};

#define STATE(c0, c1, c2, n0, n1, n2)                                                              \
	{                                                                                          \
		.enabled = true,                                                                   \
		.generations =                                                                     \
			{{.threshold = 700, .count = c0, .collections = n0, .collected = 10 * n0}, \
			 {.threshold = 10, .count = c1, .collections = n1, .collected = 100 * n1}, \
			 {.threshold = 10,                                                         \
			  .count = c2,                                                             \
			  .collections = n2,                                                       \
			  .collected = 1000 * n2,                                                  \
			  .uncollectable = 3}},                                                    \
		.long_lived_total = 100000, .long_lived_pending = 4000                             \
	}

static struct lt_gc_event events[] = {
	{.seen = {.kind = LT_WATCH_COLLECTION,
		  .source = LT_WATCH_PROBE,
		  .start_ns = 5250000000,
		  .end_ns = 5250420000,
		  .thread = 4242,
		  .generation = 0,
		  .call_certain = true,
		  .before = STATE(701, 3, 1, 40, 4, 1),
		  .after = STATE(0, 4, 1, 41, 4, 1),
		  .collected = 12,
		  .uncollectable = 0,
		  .candidates = 705},
	 .stack_first = 0,
	 .stack_count = 2,
	 .cause = LT_CAUSE_THRESHOLD_0,
	 .where = "/srv/shop/shop/orders.py:88:Orders.checkout",
	 .evidence = "the count of generation 0 was 701, over its threshold of 700"},
	{.seen = {.kind = LT_WATCH_COLLECTION,
		  .source = LT_WATCH_PROBE,
		  .start_ns = 5500000000,
		  .end_ns = 5681250000,
		  .thread = 4250,
		  .generation = 2,
		  .call = LT_CALL_COLLECT,
		  .call_certain = true,
		  .before = STATE(350, 4, 1, 41, 4, 1),
		  .after = STATE(0, 0, 0, 41, 4, 2),
		  .collected = 90210,
		  .uncollectable = 3,
		  .candidates = 1300000},
	 .stack_first = 1,
	 .stack_count = 2,
	 .cause = LT_CAUSE_EXPLICIT,
	 .where = "/srv/\x1b[31mevil\x1b[0m,\"quoted\"\n.py:0:\u202e<script>",
	 .evidence = "gc.collect() was called"},
	{.seen = {.kind = LT_WATCH_CALLED,
		  .source = LT_WATCH_PROBE,
		  .start_ns = 5700000000,
		  .end_ns = 5700000000,
		  .thread = 4242,
		  .generation = -1,
		  .call = LT_CALL_DISABLE,
		  .before = STATE(10, 0, 0, 41, 4, 2),
		  .after = STATE(10, 0, 0, 41, 4, 2),
		  .collected = -1,
		  .uncollectable = -1,
		  .candidates = -1},
	 .where = "",
	 .evidence = ""},
	{.seen = {.kind = LT_WATCH_CHANGED,
		  .source = LT_WATCH_POLL,
		  .start_ns = 5800000000,
		  .end_ns = 5800000000,
		  .error_ns = 1000000,
		  .generation = -1,
		  .before = STATE(10, 0, 0, 41, 4, 2),
		  .after = STATE(10, 0, 0, 41, 4, 2),
		  .collected = -1,
		  .uncollectable = -1,
		  .candidates = -1},
	 .where = "",
	 .evidence = ""},
	{.seen = {.kind = LT_WATCH_MISSED,
		  .source = LT_WATCH_POLL,
		  .start_ns = 5900000000,
		  .end_ns = 5900000000,
		  .generation = 1,
		  .missed = 4,
		  .before = STATE(0, 11, 0, 41, 4, 2),
		  .after = STATE(0, 0, 1, 41, 8, 2),
		  .collected = 44,
		  .uncollectable = -1,
		  .candidates = -1},
	 .where = "",
	 .evidence = "the counters say so"},
};

static struct lt_gc_sample samples[] = {
	{.at_ns = 5000000000,
	 .rss_bytes = 52428800,
	 .cpu_ns = 1500000000,
	 .tracked = 104200,
	 .state = STATE(200, 3, 1, 40, 4, 1),
	 .threads = 3},
	{.at_ns = 6000000000,
	 .rss_bytes = 62914560,
	 .cpu_ns = 2250000000,
	 .tracked = 99000,
	 .state = STATE(40, 0, 1, 41, 8, 2),
	 .threads = 4},
};

static enum lt_status tell(const struct lt_gc_sink *sink, struct lt_gc_recording *recording)
{
	LT_TRY(sink->begin(sink->ctx, recording));
	LT_TRY(sink->sample(sink->ctx, recording, &samples[0]));
	for (size_t i = 0; i < COUNT(events); i++)
		LT_TRY(sink->event(sink->ctx, recording, &events[i]));
	recording->end_ns = 6000000000;
	LT_TRY(sink->sample(sink->ctx, recording, &samples[1]));
	return sink->tick(sink->ctx, recording, true);
}

static enum lt_status print(void *ctx, const char *bytes, size_t length)
{
	(void)ctx;
	return fwrite(bytes, 1, length, stdout) == length ? LT_OK : LT_E_FILE;
}

static enum lt_status export_it(struct lt_session *session, const char *name,
				struct lt_gc_recording *recording)
{
	const struct lt_sink to = {.add = print};
	struct lt_gc_export *export = NULL;
	enum lt_format format = 0;
	while (lt_format_names[format] != NULL && strcmp(lt_format_names[format], name) != 0)
		format++;
	if ((LT_FORMAT_BIT(format) & LT_GC_EXPORTS) == 0)
		return LT_E_USAGE;
	LT_TRY(lt_gc_export_create(session, format, &to, &export));
	const struct lt_gc_sink sink = lt_gc_export_sink(export);
	enum lt_status status = tell(&sink, recording);
	lt_gc_export_destroy(export);
	return status;
}

static enum lt_status write_it(struct lt_session *session, const char *path,
			       struct lt_gc_recording *recording)
{
	struct lt_gc_tide_writer *writer = NULL;
	struct lt_gc_tide_written written;
	LT_TRY(lt_gc_tide_create(session, path, &writer));
	const struct lt_gc_sink sink = lt_gc_tide_sink(writer);
	enum lt_status status = tell(&sink, recording);
	if (status == LT_OK)
		return lt_gc_tide_finish(writer, &written);
	lt_gc_tide_leave(writer);
	return status;
}

/* The same process later: its collector is off, DEBUG_SAVEALL is set, and the release is a hostile text. */
static void change(struct lt_gc_recording *recording)
{
	snprintf(recording->identity.python, sizeof(recording->identity.python),
		 "3.13\x1b[31m\u202e");
	recording->start_unix_ms += 3600000;
	for (size_t i = 0; i < COUNT(events); i++)
		if (events[i].cause == LT_CAUSE_THRESHOLD_0 ||
		    events[i].seen.kind == LT_WATCH_MISSED)
			events[i].seen.kind = LT_WATCH_CHANGED;
	for (size_t i = 0; i < COUNT(samples); i++) {
		samples[i].state.enabled = false;
		samples[i].state.debug = 32;
		samples[i].rss_bytes *= 2;
		samples[i].tracked += (int64_t)(1 + i) * 30000;
		samples[i].state.generations[0].count += (int64_t)i * 40000;
	}
}

int main(int argc, char **argv)
{
	static const char *callbacks[] = {"shop.metrics.on_gc"};
	struct lt_session session;
	struct lt_gc_recording recording = {
		.identity = {.pid = 4242,
			     .python = "3.12.8",
			     .command_line = "python3 -m shop \x1b[2J",
			     .executable = "/usr/bin/python3.12",
			     .uptime_ms = 3600000,
			     .rss_bytes = 52428800,
			     .thread_count = 3,
			     .mode = LT_MODE_LIVE},
		.source = LT_WATCH_PROBE,
		.start_ns = 5000000000,
		.end_ns = 5000000000,
		.start_unix_ms = 1790000000250,
		.usual_thresholds = {700, 10, 10},
		.quarter_rule = true,
		.callbacks = callbacks,
		.callback_count = COUNT(callbacks),
		.frames = {.data = frames, .count = COUNT(frames)},
	};
	enum lt_format format;
	if (argc != 2 && argc != 3)
		return 2;
	if (argc == 3)
		change(&recording);
	setlocale(LC_CTYPE, "");
	lt_session_init(&session);
	bool file = lt_format_of_file(argv[1], &format) && format == LT_FORMAT_TIDE;
	enum lt_status status = file ? write_it(&session, argv[1], &recording)
				     : export_it(&session, argv[1], &recording);
	if (status != LT_OK)
		fprintf(stderr, "gc_samples: %s\n", session.message);
	lt_session_deinit(&session);
	return status == LT_OK ? 0 : 1;
}
