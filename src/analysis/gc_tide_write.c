#include "analysis/gc_tide_parts.h"

#include "base/cleanup.h"
#include "store/journal.h"
#include "store/store.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct lt_gc_tide_writer {
	struct lt_session *session;
	char *path;
	struct lt_journal *journal;
	struct lt_piece_writer piece;
	struct lt_gc_tide_written written;
	int64_t pid, start_ns, end_ns, start_unix_ms;
	char python[32];
	bool redacted;
};

enum lt_status lt_gc_tide_create(struct lt_session *session, const char *path,
				 struct lt_gc_tide_writer **ret_writer)
{
	struct lt_gc_tide_writer *writer = calloc(1, sizeof(*writer));
	if (writer == NULL)
		return lt_fail_memory(session);
	writer->session = session;
	lt_piece_writer_init(&writer->piece);
	writer->path = strdup(path);
	enum lt_status status =
		writer->path == NULL
			? lt_fail_memory(session)
			: lt_journal_begin(session, path, LT_GC_TIDE_SCHEMA, &writer->journal);
	if (status == LT_OK)
		*ret_writer = writer;
	else
		lt_gc_tide_leave(writer);
	return status;
}

static void destroy(struct lt_gc_tide_writer *writer)
{
	lt_piece_writer_deinit(&writer->piece);
	free(writer->path);
	free(writer);
}

void lt_gc_tide_leave(struct lt_gc_tide_writer *writer)
{
	if (writer == NULL)
		return;
	lt_journal_keep(writer->journal);
	destroy(writer);
}

static enum lt_status put_piece(struct lt_gc_tide_writer *writer)
{
	LT_FREE char *bytes = NULL;
	size_t length;
	if (!lt_piece_take(&writer->piece, &bytes, &length))
		return lt_fail_memory(writer->session);
	LT_TRY(lt_journal_append(writer->journal, bytes, length));
	writer->written.seconds++;
	return LT_OK;
}

static int64_t number(uint64_t value)
{
	return value > INT64_MAX ? INT64_MAX : (int64_t)value;
}

/* Who is watched, and how. */
static enum lt_status begin(void *ctx, const struct lt_gc_recording *recording)
{
	struct lt_gc_tide_writer *writer = ctx;
	struct lt_piece_writer *piece = &writer->piece;
	const struct lt_identity *identity = &recording->identity;
	writer->pid = identity->pid;
	writer->start_ns = number(recording->start_ns);
	writer->start_unix_ms = recording->start_unix_ms;
	memcpy(writer->python, identity->python, sizeof(writer->python));
	lt_piece_fact(piece, "pid", identity->pid);
	lt_piece_text(piece, "python", identity->python);
	lt_piece_text(piece, "command_line", identity->command_line);
	lt_piece_text(piece, "executable", identity->executable);
	lt_piece_fact(piece, "mode", identity->mode);
	lt_piece_fact(piece, "uptime_ms", number(identity->uptime_ms));
	lt_piece_fact(piece, "rss_bytes", number(identity->rss_bytes));
	lt_piece_fact(piece, "anonymous_bytes", number(identity->anonymous_bytes));
	lt_piece_fact(piece, "threads", identity->thread_count);
	writer->redacted = recording->redacted;
	lt_piece_fact(piece, "redacted", recording->redacted);
	lt_piece_fact(piece, "source", recording->source);
	lt_piece_text(piece, "why_not", recording->why_not);
	lt_piece_fact(piece, "start_ns", number(recording->start_ns));
	lt_piece_fact(piece, "end_ns", number(recording->end_ns));
	lt_piece_fact(piece, "start_unix_ms", recording->start_unix_ms);
	lt_piece_fact(piece, "quarter_rule", recording->quarter_rule);
	lt_piece_fact(piece, "incremental", recording->incremental);
	lt_piece_fact(piece, "at_eval_breaker", recording->at_eval_breaker);
	lt_piece_fact(piece, "usual_0", recording->usual_thresholds[0]);
	lt_piece_fact(piece, "usual_1", recording->usual_thresholds[1]);
	lt_piece_fact(piece, "usual_2", recording->usual_thresholds[2]);
	for (size_t i = 0; i < recording->callback_count && i < LT_PIECE_CALLBACKS_MOST; i++)
		lt_piece_text(piece, "callback", recording->callbacks[i]);
	/* A disk that is full is known before the watch begins. */
	LT_TRY(put_piece(writer));
	return lt_journal_sync(writer->journal);
}

static enum lt_status put_event(void *ctx, const struct lt_gc_recording *recording,
				const struct lt_gc_event *event)
{
	struct lt_gc_tide_writer *writer = ctx;
	writer->written.events++;
	lt_piece_event(&writer->piece, recording, event);
	return lt_piece_length(&writer->piece) >= LT_PIECE_BYTES ? put_piece(writer) : LT_OK;
}

static enum lt_status put_sample(void *ctx, const struct lt_gc_recording *recording,
				 const struct lt_gc_sample *sample)
{
	struct lt_gc_tide_writer *writer = ctx;
	(void)recording;
	writer->written.samples++;
	lt_piece_sample(&writer->piece, sample);
	return LT_OK;
}

/* The path is known at the end only. */
static enum lt_status put_path(struct lt_gc_tide_writer *writer,
			       const struct lt_gc_recording *recording)
{
	for (size_t i = 0; i < recording->path.count; i++) {
		lt_piece_point(&writer->piece, &recording->path.data[i]);
		writer->written.points++;
		if (lt_piece_length(&writer->piece) >= LT_PIECE_BYTES)
			LT_TRY(put_piece(writer));
	}
	return LT_OK;
}

/* The machine's caches, which what-if reckons with: known at the end, each number as its bits. */
static void put_cache(struct lt_gc_tide_writer *writer, const struct lt_gc_recording *recording)
{
	for (int i = 0; i < LT_GC_CACHE_SIZES; i++) {
		char key[24];
		int64_t bits;
		memcpy(&bits, &recording->cache.ns[i], sizeof(bits));
		snprintf(key, sizeof(key), "cache_%d", i);
		lt_piece_fact(&writer->piece, key, bits);
	}
}

static enum lt_status end_second(void *ctx, const struct lt_gc_recording *recording, bool final)
{
	struct lt_gc_tide_writer *writer = ctx;
	writer->end_ns = number(recording->end_ns);
	lt_piece_fact(&writer->piece, "end_ns", writer->end_ns);
	if (final) {
		lt_piece_fact(&writer->piece, "ended", recording->ended);
		lt_piece_text(&writer->piece, "replaced_by", recording->replaced_by);
		put_cache(writer, recording);
		lt_piece_fact(&writer->piece, "young_objects", number(recording->young.objects));
		lt_piece_fact(&writer->piece, "young_bytes", number(recording->young.bytes));
		LT_TRY(put_path(writer, recording));
	}
	return put_piece(writer);
}

struct lt_gc_sink lt_gc_tide_sink(struct lt_gc_tide_writer *writer)
{
	return (struct lt_gc_sink){.begin = begin,
				   .event = put_event,
				   .sample = put_sample,
				   .tick = end_second,
				   .ctx = writer};
}

static void close_reader(struct lt_journal_reader **reader)
{
	lt_journal_close(*reader);
}

/* Every second that is in the journal, into the file that it becomes. */
static enum lt_status copy(struct lt_gc_tide_writer *writer, struct lt_store_writer *store)
{
	static const struct lt_store_spec pieces = {LT_GC_TIDE_PIECES, 1, true, LT_STORE_PLAIN};
	LT_CLEANUP(close_reader) struct lt_journal_reader *reader = NULL;
	const struct lt_gc_tide_written *written = &writer->written;
	uint32_t column;
	const struct {
		const char *key;
		int64_t value;
	} facts[] = {
		{"pid", writer->pid},
		{"start_unix_ms", writer->start_unix_ms},
		{"milliseconds", (writer->end_ns - writer->start_ns) / 1000000},
		{"events", number(written->events)},
		{"samples", number(written->samples)},
		{"redacted", writer->redacted},
	};
	LT_TRY(lt_store_put_meta(store, LT_TIDE_KIND, lt_store_text(LT_TIDE_KIND_GC)));
	LT_TRY(lt_store_put_meta(store, "python", lt_store_text(writer->python)));
	for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++)
		LT_TRY(lt_store_put_meta(store, facts[i].key, lt_store_integer(facts[i].value)));
	LT_TRY(lt_store_put_column(store, &pieces, &column));
	LT_TRY(lt_journal_read_back(writer->journal, &reader));
	for (uint64_t i = 0;; i++) {
		const void *bytes;
		size_t length;
		LT_TRY(lt_journal_next(reader, &bytes, &length));
		if (bytes == NULL && i == written->seconds)
			return LT_OK;
		if (bytes == NULL)
			return lt_fail(writer->session, LT_E_FILE,
				       "cannot read %.200s: another program has changed it",
				       lt_journal_name(writer->journal));
		LT_TRY(lt_store_put_list(store, column, bytes, length));
	}
}

static enum lt_status finish(struct lt_gc_tide_writer *writer)
{
	struct lt_store_writer *store = NULL;
	LT_TRY(lt_journal_sync(writer->journal));
	LT_TRY(lt_store_create_beside(writer->session, writer->path, LT_GC_TIDE_SCHEMA, &store));
	enum lt_status status = copy(writer, store);
	if (status == LT_OK)
		return lt_store_commit(store);
	lt_store_abandon(store);
	return status;
}

enum lt_status lt_gc_tide_finish(struct lt_gc_tide_writer *writer,
				 struct lt_gc_tide_written *ret_written)
{
	struct stat found;
	enum lt_status status = finish(writer);
	if (status == LT_OK) {
		lt_journal_remove(writer->journal);
		if (stat(writer->path, &found) == 0)
			writer->written.bytes = (uint64_t)found.st_size;
		*ret_written = writer->written;
	} else {
		if (writer->written.seconds > 0)
			lt_remedy(writer->session,
				  "What was recorded is in %.200s: read it with 'lowtide gc', or "
				  "remove it.",
				  lt_journal_name(writer->journal));
		lt_journal_keep(writer->journal);
	}
	destroy(writer);
	return status;
}
