#include "analysis/gc_tide_parts.h"

#include "base/cleanup.h"
#include "store/journal.h"
#include "store/store.h"
#include "store/unfinished.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* A file of either form, piece by piece. */
struct input {
	struct lt_session *session;
	char *path; /* of the file that is read */
	struct lt_store *store;
	uint32_t column;
	uint64_t row;
	struct lt_journal_reader *journal;
	struct lt_piece_reader piece;
};

static void close_input(struct input *in)
{
	lt_store_close(in->store);
	lt_journal_close(in->journal);
	lt_piece_reader_deinit(&in->piece);
	free(in->path);
}

static bool is_journal(const char *path)
{
	LT_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	return fd >= 0 && lt_journal_is(fd);
}

static enum lt_status damaged(const struct input *in, const char *what)
{
	lt_remedy(in->session, "Record it again, or copy it again from where it was complete.");
	return lt_fail(in->session, LT_E_FILE, "%.200s is damaged: %s", in->path, what);
}

static enum lt_status open_store(struct input *in)
{
	LT_TRY(lt_store_open(in->session, in->path, LT_GC_TIDE_SCHEMA, &in->store));
	const char *kind = lt_store_meta_text(in->store, LT_TIDE_KIND);
	if (kind == NULL || strcmp(kind, LT_TIDE_KIND_GC) != 0) {
		lt_remedy(in->session,
			  "Look at it with 'lowtide doctor %.200s'; 'lowtide gc PID -o FILE.tide' "
			  "makes a recording.",
			  in->path);
		return lt_fail(in->session, LT_E_FILE,
			       "%.200s is a snapshot of a heap, not a recording of the collector",
			       in->path);
	}
	return lt_store_column(in->store, LT_GC_TIDE_PIECES, 1, true, &in->column);
}

/* PATH, or PATH.unfinished where only that is there. */
static enum lt_status open_input(struct input *in, const char *path)
{
	LT_FREE char *unfinished = NULL;
	if (asprintf(&unfinished, "%s" LT_UNFINISHED_SUFFIX, path) < 0) {
		unfinished = NULL;
		return lt_fail_memory(in->session);
	}
	bool missing = access(path, F_OK) != 0 && errno == ENOENT;
	bool other = is_journal(unfinished);
	in->path = strdup(missing && other ? unfinished : path);
	if (in->path == NULL)
		return lt_fail_memory(in->session);
	if (!is_journal(in->path))
		LT_TRY(open_store(in));
	else
		LT_TRY(lt_journal_open(in->session, in->path, LT_GC_TIDE_SCHEMA, &in->journal));
	if (other && !missing)
		lt_warn(in->session,
			"%.200s is another recording, which was not finished; this is %.200s",
			unfinished, path);
	return LT_OK;
}

/* *ret_bytes is NULL after the last. */
static enum lt_status next(struct input *in, const void **ret_bytes, size_t *ret_length)
{
	if (in->journal != NULL)
		return lt_journal_next(in->journal, ret_bytes, ret_length);
	if (in->row == lt_store_rows(in->store, in->column)) {
		*ret_bytes = NULL;
		return LT_OK;
	}
	return lt_store_list(in->store, in->column, in->row++, ret_bytes, ret_length);
}

static enum lt_status tell_begin(const struct lt_gc_recording *recording,
				 const struct lt_gc_sink *sinks, size_t sink_count)
{
	for (size_t i = 0; i < sink_count; i++)
		if (sinks[i].begin != NULL)
			LT_TRY(sinks[i].begin(sinks[i].ctx, recording));
	return LT_OK;
}

/* Tells of the events and samples from these on, and of the end of the second. */
static enum lt_status tell_second(const struct lt_gc_recording *recording, size_t event,
				  size_t sample, const struct lt_gc_sink *sinks, size_t sink_count)
{
	for (size_t i = 0; i < sink_count; i++) {
		const struct lt_gc_sink *sink = &sinks[i];
		for (size_t at = event; sink->event != NULL && at < recording->events.count; at++)
			LT_TRY(sink->event(sink->ctx, recording, &recording->events.data[at]));
		for (size_t at = sample; sink->sample != NULL && at < recording->samples.count;
		     at++)
			LT_TRY(sink->sample(sink->ctx, recording, &recording->samples.data[at]));
		if (sink->tick != NULL)
			LT_TRY(sink->tick(sink->ctx, recording, false));
	}
	return LT_OK;
}

static enum lt_status tell_end(const struct lt_gc_recording *recording,
			       const struct lt_gc_sink *sinks, size_t sink_count)
{
	for (size_t i = 0; i < sink_count; i++)
		if (sinks[i].tick != NULL)
			LT_TRY(sinks[i].tick(sinks[i].ctx, recording, true));
	return LT_OK;
}

static enum lt_status check_facts(const struct input *in, struct lt_gc_recording *recording)
{
	struct lt_identity *identity = &recording->identity;
	if (identity->pid <= 0 || identity->python[0] == '\0' ||
	    recording->end_ns < recording->start_ns)
		return damaged(in, "it does not say whose recording it is");
	identity->stored = true;
	if (identity->command_line == NULL)
		identity->command_line = strdup("");
	if (identity->executable == NULL)
		identity->executable = strdup("");
	return identity->command_line == NULL || identity->executable == NULL
		       ? lt_fail_memory(in->session)
		       : LT_OK;
}

static enum lt_status read_pieces(struct input *in, const struct lt_gc_sink *sinks,
				  size_t sink_count, struct lt_gc_recording *recording)
{
	for (uint64_t i = 0;; i++) {
		size_t event = recording->events.count, sample = recording->samples.count;
		const char *what = NULL;
		const void *bytes;
		size_t length;
		LT_TRY(next(in, &bytes, &length));
		if (bytes == NULL && i == 0)
			return damaged(in, "it is cut off before its first second");
		if (bytes == NULL)
			return LT_OK;
		if (!lt_piece_read(&in->piece, bytes, length, false, recording, &what))
			return lt_fail_memory(in->session);
		if (what != NULL)
			return damaged(in, what);
		LT_TRY(check_facts(in, recording));
		if (i == 0)
			LT_TRY(tell_begin(recording, sinks, sink_count));
		LT_TRY(tell_second(recording, event, sample, sinks, sink_count));
	}
}

/* What a reader of an unfinished recording must know. */
static void warn_cut(const struct input *in, const struct lt_gc_recording *recording)
{
	double seconds = (double)(recording->end_ns - recording->start_ns) / 1e9;
	if (lt_journal_live(in->journal))
		lt_warn(in->session,
			"%.200s is being written at this moment: this is what it had until now, "
			"%.1f s",
			in->path, seconds);
	else
		lt_warn(in->session,
			"%.200s was not finished, its writer was killed: it ends after %.1f s, at "
			"its last durable second",
			in->path, seconds);
}

static enum lt_status read_file(struct input *in, const char *path, const struct lt_gc_sink *sinks,
				size_t sink_count, struct lt_gc_recording *recording)
{
	LT_TRY(open_input(in, path));
	LT_TRY(read_pieces(in, sinks, sink_count, recording));
	if (in->journal != NULL) {
		recording->cut = true;
		warn_cut(in, recording);
	}
	return tell_end(recording, sinks, sink_count);
}

enum lt_status lt_gc_tide_read(struct lt_session *session, const char *path,
			       const struct lt_gc_sink *sinks, size_t sink_count,
			       struct lt_gc_recording *ret_recording)
{
	LT_CLEANUP(close_input) struct input in = {.session = session};
	struct lt_gc_recording recording = {0};
	enum lt_status status = read_file(&in, path, sinks, sink_count, &recording);
	if (status == LT_OK)
		*ret_recording = recording;
	else
		lt_gc_recording_deinit(&recording);
	return status;
}
