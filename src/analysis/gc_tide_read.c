#include "analysis/gc_tide_parts.h"

#include "analysis/gc_keep.h"
#include "base/cleanup.h"
#include "store/checksum.h"
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
	struct lt_gc_recording now; /* the facts, and the events and samples of this second alone */
	struct lt_gc_keep keep;
	struct lt_map strings,
		stacks; /* of the recording that is kept: hash -> pointer; hash -> first frame + 1 */
	size_t string_bytes;
	struct lt_gc_sample last;
};

/* Of what is kept: more names than any program has. */
enum { STRING_BYTES_MOST = 32 << 20, FRAMES_MOST = 1 << 20 };

static void close_input(struct input *in)
{
	lt_store_close(in->store);
	lt_journal_close(in->journal);
	lt_piece_reader_deinit(&in->piece);
	lt_gc_recording_deinit(&in->now);
	lt_map_deinit(&in->strings);
	lt_map_deinit(&in->stacks);
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

/* Before anything has happened, as a sink expects it. */
static enum lt_status tell_begin(struct lt_gc_recording *recording, const struct lt_gc_sink *sinks,
				 size_t sink_count)
{
	size_t events = recording->events.count, samples = recording->samples.count;
	recording->events.count = recording->samples.count = 0;
	for (size_t i = 0; i < sink_count; i++)
		if (sinks[i].begin != NULL)
			LT_TRY(sinks[i].begin(sinks[i].ctx, recording));
	recording->events.count = events;
	recording->samples.count = samples;
	return LT_OK;
}

/* Events and samples in the order of their time, as they came when it was recorded. */
static enum lt_status tell_one(const struct lt_gc_recording *recording,
			       const struct lt_gc_sink *sink)
{
	size_t event = 0;
	for (size_t i = 0; i <= recording->samples.count; i++) {
		bool rest = i == recording->samples.count;
		uint64_t until = rest ? UINT64_MAX : recording->samples.data[i].at_ns;
		for (; event < recording->events.count &&
		       (rest || recording->events.data[event].seen.end_ns <= until);
		     event++)
			if (sink->event != NULL)
				LT_TRY(sink->event(sink->ctx, recording,
						   &recording->events.data[event]));
		if (!rest && sink->sample != NULL)
			LT_TRY(sink->sample(sink->ctx, recording, &recording->samples.data[i]));
	}
	return LT_OK;
}

static enum lt_status tell_second(const struct lt_gc_recording *recording,
				  const struct lt_gc_sink *sinks, size_t sink_count)
{
	for (size_t i = 0; i < sink_count; i++) {
		const struct lt_gc_sink *sink = &sinks[i];
		LT_TRY(tell_one(recording, sink));
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

/* A copy in what is kept, the same one for the same text; "" when there are too many. NULL: no memory. */
static const char *keep_string(struct input *in, struct lt_gc_recording *kept, const char *text)
{
	size_t length = strlen(text);
	uint64_t hash = lt_checksum(text, length, length), known;
	for (; lt_map_get(&in->strings, hash, &known); hash++)
		if (strcmp((const char *)(uintptr_t)known, text) == 0)
			return (const char *)(uintptr_t)known;
	if (in->string_bytes + length > STRING_BYTES_MOST)
		return "";
	const char *copy = lt_arena_copy(&kept->strings, text, length);
	if (copy == NULL || !lt_map_put(&in->strings, hash, (uintptr_t)copy))
		return NULL;
	in->string_bytes += length + 1;
	return copy;
}

static bool same_frames(const struct lt_gc_frame *a, const struct lt_gc_frame *b, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (a[i].file != b[i].file || a[i].function != b[i].function ||
		    a[i].line != b[i].line)
			return false;
	return true;
}

/* The frames of an event of this second, in what is kept. */
static enum lt_status keep_stack(struct input *in, struct lt_gc_recording *kept,
				 struct lt_gc_event *event)
{
	struct lt_gc_frame frames[LT_WATCH_FRAMES] = {0};
	uint64_t known, hash = event->stack_count;
	for (uint32_t i = 0; i < event->stack_count; i++) {
		const struct lt_gc_frame *frame = &in->now.frames.data[event->stack_first + i];
		frames[i].file = keep_string(in, kept, frame->file);
		frames[i].function = keep_string(in, kept, frame->function);
		frames[i].line = frame->line;
		if (frames[i].file == NULL || frames[i].function == NULL)
			return lt_fail_memory(in->session);
		const uint64_t parts[] = {(uintptr_t)frames[i].file, (uintptr_t)frames[i].function,
					  (uint64_t)frames[i].line};
		hash = lt_checksum(parts, sizeof(parts), hash);
	}
	for (; lt_map_get(&in->stacks, hash, &known); hash++) {
		if (known - 1 + event->stack_count > kept->frames.count ||
		    !same_frames(&kept->frames.data[known - 1], frames, event->stack_count))
			continue;
		event->stack_first = (uint32_t)(known - 1);
		return LT_OK;
	}
	event->stack_first = (uint32_t)kept->frames.count;
	if (kept->frames.count + event->stack_count > FRAMES_MOST) {
		event->stack_count = 0;
		return LT_OK;
	}
	for (uint32_t i = 0; i < event->stack_count; i++)
		if (!lt_gc_frames_push(&kept->frames, frames[i]))
			return lt_fail_memory(in->session);
	return lt_map_put(&in->stacks, hash, event->stack_first + 1ull)
		       ? LT_OK
		       : lt_fail_memory(in->session);
}

static enum lt_status keep_second(struct input *in, struct lt_gc_recording *kept)
{
	for (size_t i = 0; i < in->now.events.count; i++) {
		struct lt_gc_event event = in->now.events.data[i];
		LT_TRY(keep_stack(in, kept, &event));
		LT_TRY(lt_gc_keep_event(in->session, kept, &event));
	}
	for (size_t i = 0; i < in->now.samples.count; i++) {
		in->last = in->now.samples.data[i];
		LT_TRY(lt_gc_keep_sample(in->session, &in->keep, kept, &in->last,
					 kept->samples.count == 0));
	}
	return LT_OK;
}

static enum lt_status read_pieces(struct input *in, const struct lt_gc_sink *sinks,
				  size_t sink_count, struct lt_gc_recording *kept)
{
	for (uint64_t i = 0;; i++) {
		const char *what = NULL;
		const void *bytes;
		size_t length;
		LT_TRY(next(in, &bytes, &length));
		if (bytes == NULL && i == 0)
			return damaged(in, "it is cut off before its first second");
		if (bytes == NULL)
			return LT_OK;
		if (!lt_piece_read(&in->piece, bytes, length, &in->now, &what))
			return lt_fail_memory(in->session);
		if (what != NULL)
			return damaged(in, what);
		LT_TRY(check_facts(in, &in->now));
		if (i == 0)
			LT_TRY(tell_begin(&in->now, sinks, sink_count));
		LT_TRY(tell_second(&in->now, sinks, sink_count));
		LT_TRY(keep_second(in, kept));
	}
}

/* The facts go over to what is kept, their strings too. */
static enum lt_status keep_facts(struct input *in, struct lt_gc_recording *kept)
{
	struct lt_gc_recording *now = &in->now;
	for (size_t i = 0; i < now->callback_count; i++) {
		now->callbacks[i] = keep_string(in, kept, now->callbacks[i]);
		if (now->callbacks[i] == NULL)
			return lt_fail_memory(in->session);
	}
	if (kept->samples.count > 0 &&
	    kept->samples.data[kept->samples.count - 1].at_ns != in->last.at_ns)
		LT_TRY(lt_gc_keep_sample(in->session, &in->keep, kept, &in->last, true));
	struct lt_gc_recording facts = *now;
	facts.events = kept->events;
	facts.samples = kept->samples;
	facts.frames = kept->frames;
	facts.strings = kept->strings;
	facts.texts = kept->texts;
	facts.left_out = kept->left_out;
	/* What was only of the last second is freed with the input. */
	*now = (struct lt_gc_recording){.events = now->events,
					.samples = now->samples,
					.frames = now->frames,
					.strings = now->strings};
	*kept = facts;
	return LT_OK;
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
	LT_TRY(keep_facts(in, recording));
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
