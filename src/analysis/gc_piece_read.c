#include "analysis/gc_piece_parts.h"

#include <stdio.h>
#include <string.h>

/* Each of these is false when a number is none that its field can have. */
#define SET(target, field, least, most)                                                            \
	sound = sound && numbers[at] >= (int64_t)(least) && numbers[at] <= (int64_t)(most);        \
	if (sound)                                                                                 \
		(target)->field = (__typeof__((target)->field))numbers[at];                        \
	at++;

static bool set_state(const int64_t *numbers, struct lt_gc_state *state)
{
	size_t at = 0;
	bool sound = true;
#define LT_GC_STATE(field, least, most) SET(state, field, least, most)
#include "analysis/gc_fields.def"
	return sound;
}

static bool set_event(const int64_t *numbers, struct lt_gc_event *event)
{
	size_t at = 0;
	bool sound = true;
#define LT_GC_EVENT(field, least, most) SET(event, field, least, most)
#include "analysis/gc_fields.def"
	return sound && event->seen.end_ns >= event->seen.start_ns &&
	       set_state(numbers + LT_PIECE_BEFORE, &event->seen.before) &&
	       set_state(numbers + LT_PIECE_AFTER, &event->seen.after);
}

static bool set_sample(const int64_t *numbers, struct lt_gc_sample *sample)
{
	size_t at = 0;
	bool sound = true;
#define LT_GC_SAMPLE(field, least, most) SET(sample, field, least, most)
#include "analysis/gc_fields.def"
	return sound && set_state(numbers + LT_PIECE_SAMPLE_FIELDS, &sample->state);
}

struct input {
	const unsigned char *at, *end;
	struct lt_piece_reader *reader;
	struct lt_gc_recording *recording;
	bool no_memory;
};

/* Each of these is false when the bytes are no such thing, or when there is no memory. */
static bool get(struct input *in, uint64_t *ret_value)
{
	uint64_t value = 0;
	for (unsigned i = 0; i < LT_PIECE_NUMBER_BYTES && in->at < in->end; i++) {
		unsigned char byte = *in->at++;
		value |= (uint64_t)(byte & 127) << 7 * i;
		if ((byte & 128) == 0) {
			*ret_value = value;
			return true;
		}
	}
	return false;
}

static bool get_signed(struct input *in, int64_t *ret_value)
{
	uint64_t value;
	if (!get(in, &value))
		return false;
	*ret_value = (int64_t)(value >> 1 ^ -(value & 1));
	return true;
}

/* Each of `count` things takes a byte at least. */
static bool get_count(struct input *in, uint64_t *ret_count)
{
	return get(in, ret_count) && *ret_count <= (uint64_t)(in->end - in->at);
}

static bool get_bytes(struct input *in, const char **ret_text, size_t *ret_length)
{
	uint64_t length;
	if (!get_count(in, &length) || memchr(in->at, '\0', length) != NULL)
		return false;
	*ret_text = (const char *)in->at;
	*ret_length = (size_t)length;
	in->at += length;
	return true;
}

static char *keep(struct input *in, const char *text, size_t length)
{
	char *copy = lt_arena_copy(&in->reader->arena, text, length);
	in->no_memory |= copy == NULL;
	return copy;
}

static bool read_strings(struct input *in)
{
	uint64_t count;
	if (!get_count(in, &count))
		return false;
	for (uint64_t i = 0; i < count; i++) {
		const char *text;
		size_t length;
		if (!get_bytes(in, &text, &length) || length > LT_PIECE_TEXT_MOST)
			return false;
		const char *kept = keep(in, text, length);
		if (kept == NULL || !lt_piece_strings_push(&in->reader->strings, kept)) {
			in->no_memory = true;
			return false;
		}
	}
	return true;
}

static bool string_at(struct input *in, uint64_t number, const char **ret_text)
{
	*ret_text = "";
	if (number > in->reader->strings.count)
		return false;
	if (number > 0)
		*ret_text = in->reader->strings.data[number - 1];
	return true;
}

static bool read_frames(struct input *in)
{
	uint64_t count;
	if (!get_count(in, &count))
		return false;
	for (uint64_t i = 0; i < count; i++) {
		struct lt_gc_frame frame = {0};
		uint64_t file, function;
		int64_t line;
		if (!get(in, &file) || !get(in, &function) || !get_signed(in, &line) ||
		    !string_at(in, file, &frame.file) ||
		    !string_at(in, function, &frame.function) || line < INT32_MIN ||
		    line > INT32_MAX)
			return false;
		frame.line = (int)line;
		if (!lt_gc_frames_push(&in->reader->frames, frame)) {
			in->no_memory = true;
			return false;
		}
	}
	return true;
}

static bool read_stacks(struct input *in)
{
	struct lt_piece_reader *reader = in->reader;
	uint64_t count;
	if (!get_count(in, &count))
		return false;
	for (uint64_t i = 0; i < count; i++) {
		struct lt_piece_stack stack = {.first = (uint32_t)reader->ids.count};
		uint64_t frames;
		if (!get_count(in, &frames) || frames > LT_WATCH_FRAMES ||
		    reader->ids.count > UINT32_MAX - LT_WATCH_FRAMES)
			return false;
		stack.count = (uint32_t)frames;
		for (uint64_t at = 0; at < frames; at++) {
			uint64_t number;
			if (!get(in, &number) || number == 0 || number > reader->frames.count)
				return false;
			if (!lt_piece_ids_push(&reader->ids, (uint32_t)number - 1))
				in->no_memory = true;
		}
		if (in->no_memory || !lt_piece_stacks_push(&reader->stacks, stack)) {
			in->no_memory = true;
			return false;
		}
	}
	return true;
}

/* The frames of a stack are in the recording once, whoever refers to them. */
static bool place_stack(struct input *in, uint64_t number, struct lt_gc_event *event)
{
	if (number > in->reader->stacks.count)
		return false;
	if (number == 0)
		return true;
	struct lt_piece_stack *stack = &in->reader->stacks.data[number - 1];
	struct lt_gc_frames *frames = &in->recording->frames;
	if (stack->placed == 0) {
		if (frames->count > UINT32_MAX - LT_WATCH_FRAMES)
			return false;
		for (uint32_t i = 0; i < stack->count; i++) {
			uint32_t id = in->reader->ids.data[stack->first + i];
			if (!lt_gc_frames_push(frames, in->reader->frames.data[id])) {
				in->no_memory = true;
				return false;
			}
		}
		stack->placed = 1 + frames->count - stack->count;
	}
	event->stack_first = (uint32_t)(stack->placed - 1);
	event->stack_count = stack->count;
	event->seen.frame_count = stack->count;
	return true;
}

static bool get_row(struct input *in, int64_t *last, size_t count,
		    int64_t (*expected)(const int64_t *row, const int64_t *last, size_t i))
{
	int64_t row[LT_PIECE_NUMBERS_MOST];
	size_t bit_bytes = (count + 7) / 8;
	const unsigned char *bits = in->at;
	if ((size_t)(in->end - in->at) < bit_bytes)
		return false;
	in->at += bit_bytes;
	for (size_t i = 0; i < count; i++) {
		int64_t step = 0;
		if ((bits[i / 8] >> i % 8 & 1) != 0 && !get_signed(in, &step))
			return false;
		row[i] = (int64_t)((uint64_t)expected(row, last, i) + (uint64_t)step);
	}
	memcpy(last, row, count * sizeof(*row));
	return true;
}

static bool read_events(struct input *in)
{
	int64_t *row = in->reader->event;
	uint64_t count;
	if (!get_count(in, &count))
		return false;
	for (uint64_t i = 0; i < count; i++) {
		struct lt_gc_event event = {0};
		if (!get_row(in, row, LT_PIECE_EVENT_NUMBERS, lt_piece_expect_event) ||
		    !set_event(row, &event) ||
		    !place_stack(in, (uint64_t)row[LT_PIECE_STACK], &event) ||
		    !string_at(in, (uint64_t)row[LT_PIECE_WHERE], &event.where) ||
		    !string_at(in, (uint64_t)row[LT_PIECE_EVIDENCE], &event.evidence))
			return false;
		if (!lt_gc_events_push(&in->recording->events, event)) {
			in->no_memory = true;
			return false;
		}
	}
	return true;
}

static bool read_samples(struct input *in)
{
	int64_t *row = in->reader->sample;
	uint64_t count;
	if (!get_count(in, &count))
		return false;
	for (uint64_t i = 0; i < count; i++) {
		struct lt_gc_sample sample = {0};
		if (!get_row(in, row, LT_PIECE_SAMPLE_NUMBERS, lt_piece_expect_sample) ||
		    !set_sample(row, &sample))
			return false;
		if (!lt_gc_samples_push(&in->recording->samples, sample)) {
			in->no_memory = true;
			return false;
		}
	}
	return true;
}

static bool read_lists(struct input *in, struct lt_watch_point *point)
{
	uint64_t tuples, lists;
	if (!get(in, &tuples) || tuples > UINT16_MAX || !get(in, &lists) || lists > UINT8_MAX)
		return false;
	point->lists_known = true;
	point->free_tuples = (uint16_t)tuples;
	point->free_lists = (uint8_t)lists;
	return true;
}

static bool read_points(struct input *in)
{
	struct lt_watch_point *point = &in->reader->point;
	uint64_t count;
	if (!get_count(in, &count))
		return false;
	for (uint64_t i = 0; i < count; i++) {
		uint64_t kind;
		int64_t later, more;
		if (!get(in, &kind) || kind % LT_PIECE_LISTS_KNOWN >= LT_POINT_KINDS ||
		    kind / LT_PIECE_LISTS_KNOWN > 1 || !get_signed(in, &later) ||
		    !get_signed(in, &more) || in->recording->path.count >= LT_POINTS_MOST)
			return false;
		more = (int64_t)((uint64_t)more + (uint64_t)(int64_t)point->count);
		if (more < INT32_MIN || more > INT32_MAX)
			return false;
		*point = (struct lt_watch_point){.at_ns = point->at_ns + (uint64_t)later,
						 .count = (int32_t)more,
						 .kind = (uint8_t)(kind % LT_PIECE_LISTS_KNOWN)};
		if (kind >= LT_PIECE_LISTS_KNOWN && !read_lists(in, point))
			return false;
		if (!lt_watch_points_push(&in->recording->path, *point)) {
			in->no_memory = true;
			return false;
		}
	}
	return true;
}

/* ns an object, as its bits. */
static bool set_cache(int64_t bits, double *ret_ns)
{
	static const double most_ns = 1e6;
	double ns;
	memcpy(&ns, &bits, sizeof(ns));
	/* What is no number is not in there either. */
	if (!(ns >= -most_ns && ns <= most_ns))
		return false;
	*ret_ns = ns;
	return true;
}

/* The facts of a recording, each with its key. */
static bool set_number(struct lt_gc_recording *recording, const char *key, int64_t value)
{
	struct lt_identity *identity = &recording->identity;
	static const char *const usual[] = {"usual_0", "usual_1", "usual_2"};
	for (size_t i = 0; i < LT_GC_GENERATIONS; i++) {
		if (strcmp(key, usual[i]) == 0) {
			recording->usual_thresholds[i] = value;
			return true;
		}
	}
	for (int i = 0; i < LT_GC_CACHE_SIZES; i++) {
		char name[24];
		snprintf(name, sizeof(name), "cache_%d", i);
		if (strcmp(key, name) == 0)
			return set_cache(value, &recording->cache.ns[i]);
	}
	if (value < 0)
		return false;
#define FACT(name, target, most)                                                                   \
	if (strcmp(key, name) == 0) {                                                              \
		if (value > (int64_t)(most))                                                       \
			return false;                                                              \
		(target) = (__typeof__(target))value;                                              \
		return true;                                                                       \
	}
	FACT("pid", identity->pid, INT32_MAX)
	FACT("mode", identity->mode, LT_MODE_LIVE)
	FACT("uptime_ms", identity->uptime_ms, INT64_MAX)
	FACT("rss_bytes", identity->rss_bytes, INT64_MAX)
	FACT("anonymous_bytes", identity->anonymous_bytes, INT64_MAX)
	FACT("threads", identity->thread_count, INT32_MAX)
	FACT("young_objects", recording->young.objects, INT64_MAX)
	FACT("young_bytes", recording->young.bytes, INT64_MAX)
	FACT("source", recording->source, LT_WATCH_SOURCES - 1)
	FACT("start_ns", recording->start_ns, INT64_MAX)
	FACT("start_unix_ms", recording->start_unix_ms, INT64_MAX / 1000000)
	FACT("end_ns", recording->end_ns, INT64_MAX)
	FACT("ended", recording->ended, 1)
	FACT("redacted", recording->redacted, 1)
	FACT("quarter_rule", recording->quarter_rule, 1)
	FACT("incremental", recording->incremental, 1)
	FACT("at_eval_breaker", recording->at_eval_breaker, 1)
#undef FACT
	return true; /* one that a later lowtide may have added */
}

static bool own_text(struct input *in, char **target, const char *text, size_t length)
{
	free(*target);
	*target = strndup(text, length);
	in->no_memory |= *target == NULL;
	return *target != NULL;
}

static bool add_callback(struct input *in, const char *text, size_t length)
{
	struct lt_gc_recording *recording = in->recording;
	if (recording->callback_count >= LT_PIECE_CALLBACKS_MOST)
		return false;
	const char **grown =
		realloc(recording->callbacks, (recording->callback_count + 1) * sizeof(*grown));
	if (grown != NULL)
		recording->callbacks = grown;
	char *copy = lt_arena_copy(&recording->strings, text, length);
	in->no_memory |= grown == NULL || copy == NULL;
	if (in->no_memory)
		return false;
	grown[recording->callback_count++] = copy;
	return true;
}

static bool set_text(struct input *in, const char *key, const char *text, size_t length)
{
	struct lt_gc_recording *recording = in->recording;
	struct lt_identity *identity = &recording->identity;
	if (strcmp(key, "python") == 0)
		snprintf(identity->python, sizeof(identity->python), "%.*s", (int)length, text);
	else if (strcmp(key, "why_not") == 0)
		snprintf(recording->why_not, sizeof(recording->why_not), "%.*s", (int)length, text);
	else if (strcmp(key, "replaced_by") == 0)
		snprintf(recording->replaced_by, sizeof(recording->replaced_by), "%.*s",
			 (int)length, text);
	else if (strcmp(key, "command_line") == 0)
		return own_text(in, &identity->command_line, text, length);
	else if (strcmp(key, "executable") == 0)
		return own_text(in, &identity->executable, text, length);
	else if (strcmp(key, "callback") == 0)
		return add_callback(in, text, length);
	return true;
}

static bool read_facts(struct input *in)
{
	uint64_t count;
	if (!get_count(in, &count))
		return false;
	for (uint64_t i = 0; i < count; i++) {
		const char *name, *text;
		size_t name_length, length;
		uint64_t is_text;
		int64_t value;
		char key[64];
		if (!get_bytes(in, &name, &name_length) || name_length >= sizeof(key) ||
		    !get(in, &is_text) || is_text > 1)
			return false;
		memcpy(key, name, name_length);
		key[name_length] = '\0';
		if (is_text ? !get_bytes(in, &text, &length) || !set_text(in, key, text, length)
			    : !get_signed(in, &value) || !set_number(in->recording, key, value))
			return false;
	}
	return true;
}

static void forget(struct lt_piece_reader *reader)
{
	lt_piece_strings_deinit(&reader->strings);
	lt_gc_frames_deinit(&reader->frames);
	lt_piece_stacks_deinit(&reader->stacks);
	lt_piece_ids_deinit(&reader->ids);
	lt_arena_deinit(&reader->arena);
}

void lt_piece_reader_deinit(struct lt_piece_reader *reader)
{
	forget(reader);
}

bool lt_piece_read(struct lt_piece_reader *reader, const void *bytes, size_t length,
		   struct lt_gc_recording *recording, const char **ret_what)
{
	struct input in = {.at = bytes,
			   .end = (const unsigned char *)bytes + length,
			   .reader = reader,
			   .recording = recording};
	uint64_t flags;
	*ret_what = NULL;
	recording->events.count = recording->samples.count = recording->frames.count = 0;
	for (size_t i = 0; i < reader->stacks.count; i++)
		reader->stacks.data[i].placed = 0;
	bool sound = get(&in, &flags) && flags <= LT_PIECE_FORGET;
	if (sound && (flags & LT_PIECE_FORGET) != 0)
		forget(reader);
	sound = sound && read_facts(&in) && read_strings(&in) && read_frames(&in) &&
		read_stacks(&in) && read_events(&in) && read_samples(&in) && read_points(&in) &&
		in.at == in.end;
	if (!sound && !in.no_memory)
		*ret_what = "a second of it makes no sense";
	return !in.no_memory;
}
