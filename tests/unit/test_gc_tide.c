/*
 * Recordings of the collector in files: what is read is what was told, whole or up to the last durable second;
 * never another answer, whatever is cut, flipped, foreign, newer or full.
 */
#include "analysis/gc_tide.h"
#include "analysis/subject.h"
#include "base/cleanup.h"
#include "store/checksum.h"
#include "store/journal.h"
#include "store/store.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

enum { SECONDS = 40, EACH = 9 };

static char folder[] = "/tmp/lowtide-gc-tide-XXXXXX";
static char path[64], unfinished[80], other[64], other_unfinished[80];

static uint64_t noise(uint64_t z)
{
	z = (z + 1) * 0x9e3779b97f4a7c15u;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	return z ^ z >> 27;
}

/* ---- A made-up recording, told second by second ---- */

static struct lt_gc_state make_state(uint64_t i)
{
	struct lt_gc_state state = {.enabled = i % 7 != 0, .debug = i % 11 == 0 ? 32 : 0};
	for (uint64_t g = 0; g < LT_GC_GENERATIONS; g++) {
		state.generations[g].threshold = g == 0 ? 700 : 10;
		state.generations[g].count = (int64_t)(noise(i + g) % 800);
		state.generations[g].collections = i * 3 + g;
		state.generations[g].collected = i * 20;
		state.generations[g].uncollectable = i / 50;
	}
	state.long_lived_total = 100000 + i;
	state.frozen = i % 3 == 0;
	state.heap_size = i % 4 == 0 ? -1 : (int64_t)i * 1000;
	state.long_lived_pending = noise(i) % 1000;
	return state;
}

/* Event number i, on its own recording's frames. */
static struct lt_gc_event make_event(struct lt_gc_recording *recording, uint64_t i)
{
	static const char *const files[] = {"/srv/app/views.py", "/srv/app/d\xc3\xbcrr.py", "x"};
	struct lt_gc_event event = {
		.seen = {.kind = i % 10 == 9 ? LT_WATCH_CALLED : LT_WATCH_COLLECTION,
			 .source = LT_WATCH_PROBE,
			 .start_ns = 1000000000 + i * 100000000,
			 .end_ns = 1000000000 + i * 100000000 + noise(i) % 9000000,
			 .error_ns = i % 3 * 1000,
			 .interpreter = i % 2,
			 .thread = (pid_t)(4000 + i % 4),
			 .generation = (int)(i % 4) - 1,
			 .call = (enum lt_watch_call)(i % LT_CALL_COUNT),
			 .call_certain = i % 2 == 0,
			 .finalizing = i % 100 == 99,
			 .missed = i % 5,
			 .before = make_state(i),
			 .after = make_state(i + 1),
			 .before_age_ns = noise(i) % 1000,
			 .collected = (int64_t)(i % 30) - 1,
			 .uncollectable = -1,
			 .candidates = (int64_t)noise(i) % 100000 < 0 ? -1 : 500,
			 .frames_exact = i % 2 == 1},
		.cause = (enum lt_gc_cause)(i % LT_CAUSE_COUNT),
		.where = i % 3 == 0 ? "" : "views.py:88:index",
	};
	char evidence[64];
	snprintf(evidence, sizeof(evidence), "count %llu over 700", (unsigned long long)i % 97);
	event.evidence = lt_arena_copy(&recording->strings, evidence, strlen(evidence));
	event.stack_first = (uint32_t)recording->frames.count;
	event.stack_count = (uint32_t)(i % 5);
	event.seen.frame_count = event.stack_count;
	for (uint32_t f = 0; f < event.stack_count; f++) {
		struct lt_gc_frame frame = {.file = files[(i + f) % 3],
					    .function = "handle",
					    .line = (int)((i + f) % 13)};
		assert_true(lt_gc_frames_push(&recording->frames, frame));
	}
	return event;
}

static struct lt_gc_sample make_sample(uint64_t i)
{
	return (struct lt_gc_sample){.at_ns = 1000000000 + i * 1000000000,
				     .rss_bytes = 50000000 + noise(i) % 1000000,
				     .cpu_ns = i * 400000000,
				     .tracked = i % 6 == 5 ? -1 : (int64_t)(80000 + i),
				     .state = make_state(i),
				     .threads = 5};
}

static struct lt_gc_recording make_head(void)
{
	struct lt_gc_recording recording = {
		.identity = {.pid = 4242,
			     .python = "3.13.1",
			     .command_line = strdup("python3 -m shop"),
			     .executable = strdup("/usr/bin/python3"),
			     .uptime_ms = 77,
			     .rss_bytes = 12345678,
			     .anonymous_bytes = 1234567,
			     .thread_count = 3},
		.source = LT_WATCH_POLL,
		.why_not = "uprobes need CAP_PERFMON",
		.start_ns = 1000000000,
		.end_ns = 1000000000,
		.start_unix_ms = 1790000000123,
		.usual_thresholds = {700, 10, 10},
		.quarter_rule = true,
		.at_eval_breaker = true,
	};
	recording.callbacks = calloc(2, sizeof(*recording.callbacks));
	assert_non_null(recording.callbacks);
	recording.callbacks[0] = "on_gc";
	recording.callbacks[1] = "shop.metrics.record";
	recording.callback_count = 2;
	return recording;
}

enum { POINTS = 70000 };

static struct lt_watch_point make_point(uint64_t i)
{
	struct lt_watch_point point = {.at_ns = 1000000000 + i * 997,
				       .count = (int32_t)(noise(i) % 900) - 100,
				       .kind = (uint8_t)(noise(i) % LT_POINT_KINDS)};
	if (point.kind == LT_POINT_BEGIN || point.kind == LT_POINT_END) {
		point.lists_known = true;
		point.free_tuples = (uint16_t)(noise(i) % 40000);
		point.free_lists = (uint8_t)(noise(i) % 20);
	}
	return point;
}

static void make_path(struct lt_gc_recording *recording)
{
	for (uint64_t i = 0; i < POINTS; i++)
		assert_true(lt_watch_points_push(&recording->path, make_point(i)));
}

/* Tells a sink of the seconds from `from` to `to`; nothing is kept in memory. */
static enum lt_status tell(const struct lt_gc_sink *sink, struct lt_gc_recording *recording,
			   uint64_t from, uint64_t to, bool final)
{
	for (uint64_t second = from; second < to; second++) {
		for (uint64_t i = second * EACH; i < (second + 1) * EACH; i++) {
			struct lt_gc_event event = make_event(recording, i);
			LT_TRY(sink->event(sink->ctx, recording, &event));
			recording->frames.count = 0;
		}
		struct lt_gc_sample sample = make_sample(second);
		LT_TRY(sink->sample(sink->ctx, recording, &sample));
		recording->end_ns = 1000000000 + (second + 1) * 1000000000;
		if (final && second + 1 == to)
			make_path(recording);
		LT_TRY(sink->tick(sink->ctx, recording, final && second + 1 == to));
	}
	return LT_OK;
}

static enum lt_status write_to(struct lt_session *session, const char *to, uint64_t seconds,
			       struct lt_gc_tide_written *written)
{
	struct lt_gc_tide_writer *writer = NULL;
	LT_CLEANUP(lt_gc_recording_deinit) struct lt_gc_recording recording = make_head();
	LT_TRY(lt_gc_tide_create(session, to, &writer));
	struct lt_gc_sink sink = lt_gc_tide_sink(writer);
	enum lt_status status = sink.begin(sink.ctx, &recording);
	if (status == LT_OK)
		status = tell(&sink, &recording, 0, seconds, true);
	if (status == LT_OK)
		return lt_gc_tide_finish(writer, written);
	lt_gc_tide_leave(writer);
	return status;
}

/* Number by number: what lies between the members of a struct is anything. */
static void assert_state(const struct lt_gc_state *have, const struct lt_gc_state *due)
{
#define LT_GC_STATE(field, least, most) assert_true(have->field == due->field);
#include "analysis/gc_fields.def"
}

static void assert_event(const struct lt_gc_recording *recording, const struct lt_gc_event *event,
			 uint64_t i)
{
	struct lt_gc_recording scratch = {0};
	struct lt_gc_event wanted = make_event(&scratch, i);
	assert_string_equal(event->where, wanted.where);
	assert_string_equal(event->evidence, wanted.evidence);
	assert_int_equal(event->cause, wanted.cause);
	assert_int_equal(event->stack_count, wanted.stack_count);
	for (uint32_t f = 0; f < event->stack_count; f++) {
		const struct lt_gc_frame *have = &recording->frames.data[event->stack_first + f];
		const struct lt_gc_frame *due = &scratch.frames.data[f];
		assert_string_equal(have->file, due->file);
		assert_string_equal(have->function, due->function);
		assert_int_equal(have->line, due->line);
	}
	assert_int_equal(event->seen.frame_count, wanted.seen.frame_count);
#define LT_GC_EVENT(field, least, most) assert_true(event->field == wanted.field);
#include "analysis/gc_fields.def"
	assert_state(&event->seen.before, &wanted.seen.before);
	assert_state(&event->seen.after, &wanted.seen.after);
	lt_gc_recording_deinit(&scratch);
}

static void assert_recording(const struct lt_gc_recording *recording, uint64_t seconds)
{
	assert_int_equal(recording->events.count, seconds * EACH);
	for (uint64_t i = 0; i < recording->events.count; i++)
		assert_event(recording, &recording->events.data[i], i);
	assert_int_equal(recording->samples.count, seconds);
	for (uint64_t i = 0; i < seconds; i++) {
		const struct lt_gc_sample *have = &recording->samples.data[i];
		struct lt_gc_sample due = make_sample(i);
#define LT_GC_SAMPLE(field, least, most) assert_true(have->field == due.field);
#include "analysis/gc_fields.def"
		assert_state(&have->state, &due.state);
	}
	assert_int_equal(recording->end_ns, 1000000000 + seconds * 1000000000);
	assert_int_equal(recording->identity.pid, 4242);
	assert_true(recording->identity.stored);
	assert_string_equal(recording->identity.python, "3.13.1");
	assert_string_equal(recording->identity.command_line, "python3 -m shop");
	assert_string_equal(recording->identity.executable, "/usr/bin/python3");
	assert_int_equal(recording->identity.thread_count, 3);
	assert_int_equal(recording->source, LT_WATCH_POLL);
	assert_string_equal(recording->why_not, "uprobes need CAP_PERFMON");
	assert_true(recording->start_unix_ms == 1790000000123);
	assert_int_equal(recording->usual_thresholds[0], 700);
	assert_int_equal(recording->usual_thresholds[2], 10);
	assert_true(recording->quarter_rule && recording->at_eval_breaker);
	assert_false(recording->incremental || recording->ended);
	assert_int_equal(recording->callback_count, 2);
	assert_string_equal(recording->callbacks[1], "shop.metrics.record");
}

/* Reads; on failure there is a sentence and it is LT_E_FILE. The caller frees the recording. */
static enum lt_status read_from(const char *from, struct lt_gc_recording *recording,
				char message[512], size_t *ret_warnings)
{
	struct lt_session session;
	lt_session_init(&session);
	*recording = (struct lt_gc_recording){0};
	enum lt_status status = lt_gc_tide_read(&session, from, NULL, 0, recording);
	if (status != LT_OK) {
		assert_int_equal(status, LT_E_FILE);
		assert_true(session.message[0] != '\0');
	}
	snprintf(message, 512, "%s", session.message);
	*ret_warnings = session.warning_count;
	lt_session_deinit(&session);
	return status;
}

static unsigned char *load(const char *from, size_t *ret_length)
{
	LT_FCLOSE FILE *file = fopen(from, "rb");
	assert_non_null(file);
	fseek(file, 0, SEEK_END);
	*ret_length = (size_t)ftell(file);
	rewind(file);
	unsigned char *bytes = malloc(*ret_length + 1);
	assert_non_null(bytes);
	assert_int_equal(fread(bytes, 1, *ret_length, file), *ret_length);
	return bytes;
}

static void save(const char *to, const unsigned char *bytes, size_t length)
{
	LT_FCLOSE FILE *file = fopen(to, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, length, file), length);
}

static size_t files_in_folder(void)
{
	size_t count = 0;
	DIR *listing = opendir(folder);
	assert_non_null(listing);
	for (struct dirent *entry; (entry = readdir(listing)) != NULL;)
		count += entry->d_name[0] != '.';
	closedir(listing);
	return count;
}

static int clean(void **state)
{
	(void)state;
	unlink(path);
	unlink(unfinished);
	unlink(other);
	unlink(other_unfinished);
	assert_int_equal(files_in_folder(), 0);
	return 0;
}

static void write_good(uint64_t seconds)
{
	struct lt_session session;
	struct lt_gc_tide_written written = {0};
	lt_session_init(&session);
	assert_int_equal(write_to(&session, path, seconds, &written), LT_OK);
	assert_int_equal(written.events, seconds * EACH);
	assert_int_equal(written.samples, seconds);
	lt_session_deinit(&session);
}

/* A journal that was not finished after `seconds`. */
static void write_left(uint64_t seconds)
{
	struct lt_session session;
	struct lt_gc_tide_writer *writer = NULL;
	LT_CLEANUP(lt_gc_recording_deinit) struct lt_gc_recording recording = make_head();
	lt_session_init(&session);
	assert_int_equal(lt_gc_tide_create(&session, path, &writer), LT_OK);
	struct lt_gc_sink sink = lt_gc_tide_sink(writer);
	assert_int_equal(sink.begin(sink.ctx, &recording), LT_OK);
	assert_int_equal(tell(&sink, &recording, 0, seconds, false), LT_OK);
	lt_gc_tide_leave(writer);
	lt_session_deinit(&session);
}

/* Writes until it is killed, and says each second to `pipe`. */
_Noreturn static void write_forever(int pipe)
{
	struct lt_session session;
	struct lt_gc_tide_writer *writer = NULL;
	struct lt_gc_recording recording = make_head();
	lt_session_init(&session);
	if (lt_gc_tide_create(&session, path, &writer) != LT_OK)
		_exit(1);
	struct lt_gc_sink sink = lt_gc_tide_sink(writer);
	enum lt_status status = sink.begin(sink.ctx, &recording);
	for (uint64_t second = 0; status == LT_OK; second++) {
		status = tell(&sink, &recording, second, second + 1, false);
		if (write(pipe, "x", 1) != 1)
			break;
	}
	_exit(2);
}

/* ---- Tests ---- */

static void test_round_trip(void **state)
{
	struct lt_gc_recording recording;
	char message[512];
	size_t warnings;
	(void)state;
	write_good(SECONDS);
	assert_int_equal(files_in_folder(), 1);
	assert_int_equal(read_from(path, &recording, message, &warnings), LT_OK);
	assert_recording(&recording, SECONDS);
	assert_false(recording.cut);
	assert_int_equal(warnings, 0);
	assert_int_equal(recording.path.count, POINTS);
	for (uint64_t i = 0; i < POINTS; i++) {
		struct lt_watch_point due = make_point(i), *have = &recording.path.data[i];
		assert_true(have->at_ns == due.at_ns && have->count == due.count &&
			    have->kind == due.kind && have->lists_known == due.lists_known &&
			    have->free_tuples == due.free_tuples &&
			    have->free_lists == due.free_lists);
	}
	lt_gc_recording_deinit(&recording);
}

static enum lt_status count_event(void *ctx, const struct lt_gc_recording *recording,
				  const struct lt_gc_event *event)
{
	uint64_t *count = ctx;
	assert_true(event->stack_first + event->stack_count <= recording->frames.count);
	++*count;
	return LT_OK;
}

/* Of a long recording the sinks see all; what stays in memory is what is most worth seeing. */
static void test_long_recording(void **state)
{
	enum { MANY = 45000, LONGEST = 31234 };
	struct lt_session session;
	struct lt_gc_tide_writer *writer = NULL;
	struct lt_gc_tide_written written;
	struct lt_gc_recording head = make_head(), recording = {0};
	uint64_t seen = 0, calls = 0;
	(void)state;
	lt_session_init(&session);
	assert_int_equal(lt_gc_tide_create(&session, path, &writer), LT_OK);
	struct lt_gc_sink sink = lt_gc_tide_sink(writer);
	assert_int_equal(sink.begin(sink.ctx, &head), LT_OK);
	for (uint64_t i = 0; i < MANY; i++) {
		struct lt_gc_event event = make_event(&head, i);
		char evidence[64];
		snprintf(evidence, sizeof(evidence), "evidence of its own, number %llu",
			 (unsigned long long)i);
		event.evidence = evidence;
		event.seen.kind = i % 1000 == 0 ? LT_WATCH_CALLED : LT_WATCH_COLLECTION;
		event.cause = LT_CAUSE_THRESHOLD_0;
		event.seen.end_ns = event.seen.start_ns + (i == LONGEST ? 1000000000 : i % 997);
		assert_int_equal(sink.event(sink.ctx, &head, &event), LT_OK);
		head.frames.count = 0;
		if (i % 15000 == 14999)
			assert_int_equal(sink.tick(sink.ctx, &head, i + 1 == MANY), LT_OK);
	}
	assert_int_equal(lt_gc_tide_finish(writer, &written), LT_OK);
	assert_int_equal(written.events, MANY);
	const struct lt_gc_sink counter = {.event = count_event, .ctx = &seen};
	assert_int_equal(lt_gc_tide_read(&session, path, &counter, 1, &recording), LT_OK);
	assert_int_equal(seen, MANY);
	assert_true(recording.events.count <= LT_GC_EVENTS_MOST && recording.left_out > 0);
	assert_int_equal(recording.events.count + recording.left_out, MANY);
	bool longest = false;
	for (size_t i = 0; i < recording.events.count; i++) {
		const struct lt_gc_event *event = &recording.events.data[i];
		uint64_t number = (event->seen.start_ns - 1000000000) / 100000000;
		char evidence[64];
		snprintf(evidence, sizeof(evidence), "evidence of its own, number %llu",
			 (unsigned long long)number);
		assert_string_equal(event->evidence, evidence);
		assert_int_equal(event->stack_count, number % 5);
		longest |= number == LONGEST;
		calls += event->seen.kind == LT_WATCH_CALLED;
	}
	assert_true(longest);
	assert_int_equal(calls, MANY / 1000);
	lt_gc_recording_deinit(&recording);
	lt_gc_recording_deinit(&head);
	lt_session_deinit(&session);
}

static void test_writer_killed(void **state)
{
	struct lt_gc_recording recording;
	char message[512], told[64];
	size_t warnings, most = 0;
	int ends[2];
	(void)state;
	assert_int_equal(pipe(ends), 0);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0)
		write_forever(ends[1]);
	while (most < 20) {
		ssize_t got = read(ends[0], told, sizeof(told));
		assert_true(got > 0);
		most += (size_t)got;
	}
	assert_int_equal(kill(child, SIGKILL), 0);
	int how;
	assert_int_equal(waitpid(child, &how, 0), child);
	assert_true(WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL);
	assert_int_equal(access(path, F_OK), -1);
	const char *const names[] = {path, unfinished};
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(read_from(names[i], &recording, message, &warnings), LT_OK);
		assert_true(recording.cut);
		assert_int_equal(warnings, 1);
		if (recording.samples.count > 0)
			assert_recording(&recording, recording.samples.count);
		lt_gc_recording_deinit(&recording);
	}
	close(ends[0]);
	close(ends[1]);
}

static void test_writer_left(void **state)
{
	struct lt_gc_recording recording;
	char message[512];
	size_t warnings;
	(void)state;
	write_left(12);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(read_from(path, &recording, message, &warnings), LT_OK);
	assert_recording(&recording, 12);
	assert_true(recording.cut);
	assert_int_equal(warnings, 1);
	lt_gc_recording_deinit(&recording);
}

/* What a killed writer left of the whole file is replaced; it is worth nothing, the journal is. */
static void test_killed_while_it_finished(void **state)
{
	char finishing[80];
	struct lt_gc_recording recording;
	char message[512];
	size_t warnings;
	(void)state;
	snprintf(finishing, sizeof(finishing), "%s.finishing", path);
	save(finishing, (const unsigned char *)"SQLite format 3\0and more", 24);
	write_good(2);
	assert_int_equal(access(finishing, F_OK), -1);
	assert_int_equal(read_from(path, &recording, message, &warnings), LT_OK);
	assert_recording(&recording, 2);
	lt_gc_recording_deinit(&recording);
	/* The end fails: everything is in the journal. */
	unlink(path);
	assert_int_equal(mkdir(finishing, 0700), 0);
	struct lt_session session;
	struct lt_gc_tide_written written;
	lt_session_init(&session);
	assert_int_equal(write_to(&session, path, 2, &written), LT_E_FILE);
	lt_session_deinit(&session);
	assert_int_equal(rmdir(finishing), 0);
	assert_int_equal(read_from(path, &recording, message, &warnings), LT_OK);
	assert_true(recording.cut);
	assert_recording(&recording, 2);
	lt_gc_recording_deinit(&recording);
}

/* A recording that nobody has read yet is not thrown away by the next one. */
static void test_killed_recording_is_not_replaced(void **state)
{
	struct lt_session session;
	struct lt_gc_tide_written written;
	struct lt_store_writer *store = NULL;
	struct lt_gc_recording recording;
	char message[512];
	size_t warnings;
	(void)state;
	write_left(3);
	lt_session_init(&session);
	assert_int_equal(write_to(&session, path, 1, &written), LT_E_FILE);
	assert_non_null(strstr(session.message, "is a recording whose writer was killed"));
	lt_session_clear(&session);
	assert_int_equal(lt_store_create(&session, path, 1, &store), LT_E_FILE);
	lt_session_deinit(&session);
	assert_int_equal(read_from(path, &recording, message, &warnings), LT_OK);
	assert_recording(&recording, 3);
	lt_gc_recording_deinit(&recording);
}

static void test_second_writer_and_reader_meanwhile(void **state)
{
	struct lt_session session;
	struct lt_gc_tide_writer *writer = NULL, *second = NULL;
	struct lt_gc_recording head = make_head(), recording;
	struct lt_gc_tide_written written;
	char message[512];
	size_t warnings;
	(void)state;
	lt_session_init(&session);
	assert_int_equal(lt_gc_tide_create(&session, path, &writer), LT_OK);
	struct lt_gc_sink sink = lt_gc_tide_sink(writer);
	assert_int_equal(sink.begin(sink.ctx, &head), LT_OK);
	assert_int_equal(lt_gc_tide_create(&session, path, &second), LT_E_FILE);
	assert_non_null(strstr(session.message, "another lowtide is writing"));
	lt_session_clear(&session);
	assert_int_equal(read_from(path, &recording, message, &warnings), LT_OK);
	assert_int_equal(recording.events.count, 0);
	assert_true(recording.cut);
	lt_gc_recording_deinit(&recording);
	assert_int_equal(tell(&sink, &head, 0, 2, true), LT_OK);
	assert_int_equal(lt_gc_tide_finish(writer, &written), LT_OK);
	assert_int_equal(read_from(path, &recording, message, &warnings), LT_OK);
	assert_recording(&recording, 2);
	lt_gc_recording_deinit(&recording);
	lt_gc_recording_deinit(&head);
	lt_session_deinit(&session);
}

/* Without its end a journal has fewer seconds, as they were, and says so; of a finished file nothing is read. */
static void test_cut_anywhere(void **state)
{
	struct lt_gc_recording recording;
	char message[512];
	size_t warnings, length;
	(void)state;
	write_left(30);
	LT_FREE unsigned char *bytes = load(unfinished, &length);
	size_t most = 0;
	for (size_t end = 0; end < length; end += end < 300 ? 1 : 61) {
		save(other_unfinished, bytes, end);
		enum lt_status status = read_from(other, &recording, message, &warnings);
		if (status != LT_OK)
			continue;
		assert_true(recording.cut);
		assert_int_equal(warnings, 1);
		size_t seconds = recording.events.count / EACH;
		assert_true(seconds >= most && seconds <= 30);
		most = seconds;
		if (seconds > 0)
			assert_recording(&recording, seconds);
		lt_gc_recording_deinit(&recording);
	}
	assert_true(most >= 28);
	unlink(other_unfinished);
	unlink(unfinished);
	write_good(SECONDS);
	LT_FREE unsigned char *whole = load(path, &length);
	for (size_t end = 0; end < length; end += 4096) {
		save(other, whole, end);
		assert_int_equal(read_from(other, &recording, message, &warnings), LT_E_FILE);
	}
}

/* A flipped byte is found, or it was in the last second: then that one is missing, and it is said. */
static void test_flip_anywhere(void **state)
{
	struct lt_gc_recording recording;
	char message[512];
	size_t warnings, length, cuts = 0, refused = 0;
	(void)state;
	write_left(12);
	LT_FREE unsigned char *bytes = load(unfinished, &length);
	for (size_t at = 0; at < length; at += at < 300 ? 1 : 7) {
		bytes[at] ^= (unsigned char)(1u << at % 8);
		save(other_unfinished, bytes, length);
		bytes[at] ^= (unsigned char)(1u << at % 8);
		enum lt_status status = read_from(other_unfinished, &recording, message, &warnings);
		if (status != LT_OK) {
			refused++;
			continue;
		}
		assert_recording(&recording, 11);
		assert_true(recording.cut);
		cuts++;
		lt_gc_recording_deinit(&recording);
	}
	assert_true(cuts > 0 && refused > cuts);
	unlink(unfinished);
	write_good(SECONDS);
	LT_FREE unsigned char *whole = load(path, &length);
	for (size_t at = 0; at < length; at += 1 + length / 300) {
		whole[at] ^= (unsigned char)(1u << at % 8);
		save(other, whole, length);
		whole[at] ^= (unsigned char)(1u << at % 8);
		if (read_from(other, &recording, message, &warnings) == LT_OK) {
			assert_recording(&recording, SECONDS);
			lt_gc_recording_deinit(&recording);
		}
	}
}

static void test_foreign_and_newer(void **state)
{
	struct lt_gc_recording recording;
	struct lt_session session;
	struct lt_store_writer *store = NULL;
	char message[512];
	size_t warnings, length;
	(void)state;
	assert_int_equal(read_from(path, &recording, message, &warnings), LT_E_FILE);
	assert_non_null(strstr(message, "there is no file"));
	save(path, (const unsigned char *)"hello, this is a text file of somebody", 38);
	assert_int_equal(read_from(path, &recording, message, &warnings), LT_E_FILE);
	unlink(path);
	lt_session_init(&session);
	assert_int_equal(lt_store_create(&session, path, 1, &store), LT_OK);
	assert_int_equal(lt_store_commit(store), LT_OK);
	assert_int_equal(read_from(path, &recording, message, &warnings), LT_E_FILE);
	assert_non_null(strstr(message, "is a snapshot of a heap, not a recording"));
	unlink(path);
	write_left(2);
	LT_FREE unsigned char *bytes = load(unfinished, &length);
	bytes[20] = 9; /* the schema, with a head checksum that fits */
	uint64_t sum = lt_checksum(bytes, 56, 0);
	memcpy(bytes + 56, &sum, 8);
	save(unfinished, bytes, length);
	assert_int_equal(read_from(path, &recording, message, &warnings), LT_E_FILE);
	assert_non_null(strstr(message, "was written by a later lowtide"));
	lt_session_deinit(&session);
}

/* What does not fit is told, and what was durable before stays readable. */
static void test_no_room(void **state)
{
	struct lt_gc_recording recording;
	char message[512];
	size_t warnings;
	(void)state;
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct lt_session session;
		struct lt_gc_tide_written written;
		struct rlimit limit = {8192, 8192};
		signal(SIGXFSZ, SIG_IGN);
		setrlimit(RLIMIT_FSIZE, &limit);
		lt_session_init(&session);
		enum lt_status status = write_to(&session, path, 1000, &written);
		_exit(status == LT_E_FILE && strstr(session.message, "cannot write") != NULL &&
				      strstr(session.remedy, ".unfinished") != NULL
			      ? 0
			      : 1);
	}
	int how;
	assert_int_equal(waitpid(child, &how, 0), child);
	assert_true(WIFEXITED(how) && WEXITSTATUS(how) == 0);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(read_from(path, &recording, message, &warnings), LT_OK);
	assert_true(recording.cut && recording.events.count > 0);
	assert_recording(&recording, recording.samples.count);
	lt_gc_recording_deinit(&recording);
}

static void test_no_file_there(void **state)
{
	struct lt_session session;
	struct lt_gc_tide_writer *writer = NULL;
	static const char *const nowhere[] = {"/dev/full", "/tmp", "/nowhere/at/all.tide", ""};
	(void)state;
	for (size_t i = 0; i < 4; i++) {
		lt_session_init(&session);
		assert_int_equal(lt_gc_tide_create(&session, nowhere[i], &writer), LT_E_FILE);
		assert_true(session.message[0] != '\0');
		lt_session_deinit(&session);
	}
}

/* Commands that want a snapshot say what they were given. */
static void test_recording_is_no_snapshot(void **state)
{
	(void)state;
	for (int left = 0; left < 2; left++) {
		struct lt_session session;
		struct lt_subject *subject = NULL;
		const struct lt_look_options options = {0};
		lt_session_init(&session);
		if (left)
			write_left(2);
		else
			write_good(2);
		assert_int_equal(
			lt_subject_open(&session, left ? unfinished : path, &options, &subject),
			LT_E_FILE);
		assert_non_null(strstr(session.message, "recording of the collector, not a "
							"snapshot of a heap"));
		assert_non_null(strstr(session.remedy, "lowtide gc "));
		lt_session_deinit(&session);
		unlink(path);
	}
}

/* A recorder that is left before its first second leaves nothing; after one, what it had. */
static void test_left(void **state)
{
	struct lt_session session;
	struct lt_gc_tide_writer *writer = NULL;
	struct lt_gc_recording head = make_head(), recording;
	char message[512];
	size_t warnings;
	(void)state;
	lt_session_init(&session);
	assert_int_equal(lt_gc_tide_create(&session, path, &writer), LT_OK);
	lt_gc_tide_leave(writer);
	assert_int_equal(files_in_folder(), 0);
	assert_int_equal(lt_gc_tide_create(&session, path, &writer), LT_OK);
	struct lt_gc_sink sink = lt_gc_tide_sink(writer);
	assert_int_equal(sink.begin(sink.ctx, &head), LT_OK);
	assert_int_equal(tell(&sink, &head, 0, 3, false), LT_OK);
	lt_gc_tide_leave(writer);
	assert_int_equal(read_from(path, &recording, message, &warnings), LT_OK);
	assert_recording(&recording, 3);
	lt_gc_recording_deinit(&recording);
	lt_gc_recording_deinit(&head);
	lt_session_deinit(&session);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_round_trip, clean),
		cmocka_unit_test_teardown(test_long_recording, clean),
		cmocka_unit_test_teardown(test_writer_killed, clean),
		cmocka_unit_test_teardown(test_writer_left, clean),
		cmocka_unit_test_teardown(test_killed_while_it_finished, clean),
		cmocka_unit_test_teardown(test_killed_recording_is_not_replaced, clean),
		cmocka_unit_test_teardown(test_second_writer_and_reader_meanwhile, clean),
		cmocka_unit_test_teardown(test_cut_anywhere, clean),
		cmocka_unit_test_teardown(test_flip_anywhere, clean),
		cmocka_unit_test_teardown(test_foreign_and_newer, clean),
		cmocka_unit_test_teardown(test_no_room, clean),
		cmocka_unit_test_teardown(test_no_file_there, clean),
		cmocka_unit_test_teardown(test_recording_is_no_snapshot, clean),
		cmocka_unit_test_teardown(test_left, clean),
	};
	if (mkdtemp(folder) == NULL)
		return 1;
	snprintf(path, sizeof(path), "%s/a.tide", folder);
	snprintf(unfinished, sizeof(unfinished), "%s.unfinished", path);
	snprintf(other, sizeof(other), "%s/b.tide", folder);
	snprintf(other_unfinished, sizeof(other_unfinished), "%s.unfinished", other);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(folder);
	return failed;
}
