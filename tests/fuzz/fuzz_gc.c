/*
 * fuzz_gc.c: pieces of recordings that were forged, as a file with checksums that fit may hold them. Whatever is
 * read, it must end, stay in bounds, and be told as no sense or be fit for everything that works on recordings.
 *
 *     fuzz_gc [ROUNDS [SEED]]      forged recordings (default 3000), and the first seed
 */
#include "analysis/gc_compare.h"
#include "analysis/gc_piece.h"
#include "base/cleanup.h"
#include "report/export_gc.h"
#include "report/report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { PIECES = 4, EVENTS = 30 };

static unsigned rounds = 3000;
static uint64_t first_seed = 1;

static char *good[PIECES];
static size_t good_length[PIECES];

static uint64_t next_random(uint64_t *seed)
{
	/* splitmix64 (Steele, Lea, Flood 2014). */
	uint64_t z = *seed += 0x9e3779b97f4a7c15u;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static void add_event(struct lt_piece_writer *writer, struct lt_gc_recording *recording, uint64_t i,
		      uint64_t *seed)
{
	struct lt_gc_event event = {
		.seen = {.kind = (enum lt_watch_kind)(next_random(seed) % (LT_WATCH_MISSED + 1)),
			 .start_ns = 1000000000 + i * 10000000,
			 .end_ns = 1000000000 + i * 10000000 + next_random(seed) % 5000000,
			 .generation = (int)(next_random(seed) % 3),
			 .missed = next_random(seed) % 5,
			 .collected = (int64_t)(next_random(seed) % 100),
			 .candidates = -1},
		.stack_first = 0,
		.stack_count = (uint32_t)(next_random(seed) % 3),
		.cause = (enum lt_gc_cause)(next_random(seed) % LT_CAUSE_COUNT),
		.where = next_random(seed) % 2 == 0 ? "" : "tasks.py:88:sweep",
		.evidence = "a sentence",
	};
	for (int g = 0; g < LT_GC_GENERATIONS; g++) {
		event.seen.before.generations[g].threshold = g == 0 ? 700 : 10;
		event.seen.before.generations[g].count = (int64_t)(next_random(seed) % 800);
	}
	event.seen.after = event.seen.before;
	lt_piece_event(writer, recording, &event);
}

static int set_up(void **state)
{
	static struct lt_gc_frame frames[] = {{.file = "a.py", .function = "f", .line = 1},
					      {.file = "b.py", .function = "g", .line = 2}};
	struct lt_gc_recording recording = {.frames = {.data = frames, .count = 2}};
	struct lt_piece_writer writer;
	uint64_t seed = 7;
	(void)state;
	lt_piece_writer_init(&writer);
	lt_piece_fact(&writer, "pid", 4242);
	lt_piece_text(&writer, "python", "3.13.1");
	lt_piece_text(&writer, "command_line", "python3 app.py");
	lt_piece_fact(&writer, "start_ns", 1000000000);
	lt_piece_fact(&writer, "start_unix_ms", 1790000000000);
	lt_piece_text(&writer, "callback", "on_gc");
	for (uint64_t piece = 0; piece < PIECES; piece++) {
		for (uint64_t i = 0; i < EVENTS; i++)
			add_event(&writer, &recording, piece * EVENTS + i, &seed);
		struct lt_gc_sample sample = {.at_ns = 1000000000 * (piece + 1),
					      .rss_bytes = 50 << 20,
					      .tracked = 1000,
					      .threads = 1};
		struct lt_watch_point point = {.at_ns = piece, .count = 1, .kind = 1};
		lt_piece_sample(&writer, &sample);
		lt_piece_point(&writer, &point);
		lt_piece_fact(&writer, "end_ns", (int64_t)(1000000000 * (piece + 2)));
		if (!lt_piece_take(&writer, &good[piece], &good_length[piece]))
			return -1;
	}
	lt_piece_writer_deinit(&writer);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	for (size_t i = 0; i < PIECES; i++)
		free(good[i]);
	return 0;
}

static enum lt_status swallow(void *ctx, const char *bytes, size_t length)
{
	uint64_t *sum = ctx;
	for (size_t i = 0; i < length; i++)
		*sum += (unsigned char)bytes[i];
	return LT_OK;
}

/* Everything that is told of a recording: the exports, and a side of a comparison. */
struct listeners {
	struct lt_session session;
	struct lt_gc_export *exports[3];
	struct lt_gc_side_feed side;
	struct lt_gc_sink sinks[4];
	uint64_t sum;
};

static void listen(struct listeners *all)
{
	static const enum lt_format formats[] = {LT_FORMAT_CSV, LT_FORMAT_TRACE,
						 LT_FORMAT_OPENMETRICS};
	const struct lt_sink to = {.add = swallow, .ctx = &all->sum};
	lt_session_init(&all->session);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(
			lt_gc_export_create(&all->session, formats[i], &to, &all->exports[i]),
			LT_OK);
		all->sinks[i] = lt_gc_export_sink(all->exports[i]);
	}
	lt_gc_side_feed_init(&all->session, &all->side);
	all->sinks[3] = lt_gc_side_sink(&all->side);
}

static void tell(struct listeners *all, const struct lt_gc_recording *recording, bool final)
{
	for (size_t i = 0; i < 4; i++) {
		const struct lt_gc_sink *sink = &all->sinks[i];
		for (size_t at = 0; at < recording->events.count; at++)
			assert_int_equal(
				sink->event(sink->ctx, recording, &recording->events.data[at]),
				LT_OK);
		for (size_t at = 0; at < recording->samples.count; at++)
			assert_int_equal(
				sink->sample(sink->ctx, recording, &recording->samples.data[at]),
				LT_OK);
		assert_int_equal(sink->tick(sink->ctx, recording, final), LT_OK);
	}
}

static void compare(struct listeners *all, const struct lt_gc_recording *recording)
{
	const struct lt_gc_recording *const both[] = {recording, recording};
	const struct lt_gc_side_feed *const fed[] = {&all->side, &all->side};
	const uint64_t requests[] = {3, 5};
	struct lt_gc_comparison comparison;
	struct lt_text out = {0};
	struct lt_report report = {.command = "gc", .session = &all->session};
	assert_int_equal(lt_gc_compare(&all->session, both, fed, requests, &comparison), LT_OK);
	lt_report_gc_compare(&report, &comparison, &out);
	report.json = true;
	lt_report_gc_compare(&report, &comparison, &out);
	assert_false(out.failed);
	lt_text_deinit(&out);
	lt_gc_comparison_deinit(&comparison);
}

/* One forged recording; true when all of it made sense. */
static bool read_forged(uint64_t seed)
{
	struct listeners all = {0};
	struct lt_piece_reader reader = {0};
	struct lt_gc_recording recording = {0};
	const char *what = NULL;
	listen(&all);
	for (size_t i = 0; i < PIECES && what == NULL; i++) {
		static const unsigned char extremes[] = {0, 1, 0x7f, 0x80, 0xff, 2, 3, 64};
		size_t length = good_length[i];
		LT_FREE unsigned char *bytes = malloc(length);
		assert_non_null(bytes);
		memcpy(bytes, good[i], length);
		for (uint64_t left = next_random(&seed) % 4; left > 0; left--) {
			uint64_t choice = next_random(&seed);
			bytes[next_random(&seed) % length] = choice % 2 == 0
								     ? (unsigned char)(choice >> 8)
								     : extremes[choice >> 8 & 7];
		}
		if (next_random(&seed) % 50 == 0)
			length = next_random(&seed) % length;
		assert_true(lt_piece_read(&reader, bytes, length, &recording, &what));
		if (what != NULL)
			break;
		if (i == 0)
			for (size_t at = 0; at < 3; at++)
				if (all.sinks[at].begin != NULL)
					assert_int_equal(
						all.sinks[at].begin(all.sinks[at].ctx, &recording),
						LT_OK);
		tell(&all, &recording, i + 1 == PIECES);
	}
	if (what == NULL)
		compare(&all, &recording);
	for (size_t i = 0; i < 3; i++)
		lt_gc_export_destroy(all.exports[i]);
	lt_gc_side_feed_deinit(&all.side);
	lt_session_deinit(&all.session);
	lt_piece_reader_deinit(&reader);
	lt_gc_recording_deinit(&recording);
	return what == NULL;
}

static void test_forged(void **state)
{
	unsigned sound = 0;
	(void)state;
	for (unsigned i = 0; i < rounds; i++)
		sound += read_forged(first_seed + i);
	/* Both happen: else nothing of this was tried. */
	assert_true(rounds < 1000 || (sound > rounds / 100 && sound < rounds));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_forged, set_up, tear_down),
	};
	if (argc > 1)
		rounds = (unsigned)strtoul(argv[1], NULL, 10);
	if (argc > 2)
		first_seed = strtoull(argv[2], NULL, 10);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
