#include "analysis/gc_piece_parts.h"

#include "store/checksum.h"

#include <string.h>

static void get_state(const struct lt_gc_state *state, int64_t *numbers)
{
	size_t at = 0;
#define LT_GC_STATE(field, least, most) numbers[at++] = (int64_t)state->field;
#include "analysis/gc_fields.def"
	_Static_assert(LT_PIECE_STATE_FIELDS == 0
#define LT_GC_STATE(field, least, most) +1
#include "analysis/gc_fields.def"
		       ,
		       "as many as are listed");
}

static void get_event(const struct lt_gc_event *event, int64_t *numbers)
{
	size_t at = 0;
#define LT_GC_EVENT(field, least, most) numbers[at++] = (int64_t)event->field;
#include "analysis/gc_fields.def"
	_Static_assert(LT_PIECE_EVENT_FIELDS == 0
#define LT_GC_EVENT(field, least, most) +1
#include "analysis/gc_fields.def"
		       ,
		       "as many as are listed");
	get_state(&event->seen.before, numbers + LT_PIECE_BEFORE);
	get_state(&event->seen.after, numbers + LT_PIECE_AFTER);
}

static void get_sample(const struct lt_gc_sample *sample, int64_t *numbers)
{
	size_t at = 0;
#define LT_GC_SAMPLE(field, least, most) numbers[at++] = (int64_t)sample->field;
#include "analysis/gc_fields.def"
	_Static_assert(LT_PIECE_SAMPLE_FIELDS == 0
#define LT_GC_SAMPLE(field, least, most) +1
#include "analysis/gc_fields.def"
		       ,
		       "as many as are listed");
	get_state(&sample->state, numbers + LT_PIECE_SAMPLE_FIELDS);
}

static void put(struct lt_text *out, uint64_t value)
{
	char bytes[LT_PIECE_NUMBER_BYTES];
	size_t length = 0;
	for (; value >= 128; value >>= 7)
		bytes[length++] = (char)(value | 128);
	bytes[length++] = (char)value;
	lt_text_add_bytes(out, bytes, length);
}

static void put_signed(struct lt_text *out, int64_t value)
{
	put(out, (uint64_t)value << 1 ^ (uint64_t)(value >> 63));
}

static void put_string(struct lt_text *out, const char *text, size_t most)
{
	size_t length = strnlen(text, most);
	/* Not in the middle of a character. */
	while (length == most && length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80)
		length--;
	put(out, length);
	lt_text_add_bytes(out, text, length);
}

/* A bit for each number that is not as expected, then their differences. */
static void put_row(struct lt_piece_part *part, const int64_t *row, int64_t *last, size_t count,
		    int64_t (*expected)(const int64_t *row, const int64_t *last, size_t i))
{
	uint64_t steps[LT_PIECE_NUMBERS_MOST];
	unsigned char bits[LT_PIECE_NUMBERS_MOST / 8] = {0};
	for (size_t i = 0; i < count; i++) {
		steps[i] = (uint64_t)row[i] - (uint64_t)expected(row, last, i);
		if (steps[i] != 0)
			bits[i / 8] |= (unsigned char)(1u << i % 8);
	}
	lt_text_add_bytes(&part->bytes, (const char *)bits, (count + 7) / 8);
	for (size_t i = 0; i < count; i++)
		if (steps[i] != 0)
			put_signed(&part->bytes, (int64_t)steps[i]);
	memcpy(last, row, count * sizeof(*row));
	part->count++;
}

void lt_piece_writer_init(struct lt_piece_writer *writer)
{
	*writer = (struct lt_piece_writer){.seed = lt_now_ns() * 0x9e3779b97f4a7c15u};
}

static struct lt_piece_part *part_at(struct lt_piece_writer *writer, size_t i)
{
	struct lt_piece_part *const parts[] = {
		&writer->fact_part,  &writer->string_part, &writer->frame_part, &writer->stack_part,
		&writer->event_part, &writer->sample_part, &writer->point_part};
	return i < sizeof(parts) / sizeof(parts[0]) ? parts[i] : NULL;
}

void lt_piece_writer_deinit(struct lt_piece_writer *writer)
{
	struct lt_piece_part *part;
	for (size_t i = 0; (part = part_at(writer, i)) != NULL; i++)
		lt_text_deinit(&part->bytes);
	lt_map_deinit(&writer->strings);
	lt_map_deinit(&writer->frames);
	lt_map_deinit(&writer->stacks);
}

void lt_piece_fact(struct lt_piece_writer *writer, const char *key, int64_t value)
{
	put_string(&writer->fact_part.bytes, key, LT_PIECE_TEXT_MOST);
	put(&writer->fact_part.bytes, 0);
	put_signed(&writer->fact_part.bytes, value);
	writer->fact_part.count++;
}

void lt_piece_text(struct lt_piece_writer *writer, const char *key, const char *text)
{
	put_string(&writer->fact_part.bytes, key, LT_PIECE_TEXT_MOST);
	put(&writer->fact_part.bytes, 1);
	put_string(&writer->fact_part.bytes, text != NULL ? text : "", 64 * LT_PIECE_TEXT_MOST);
	writer->fact_part.count++;
}

/* The number of what has this hash, from 1 on; *ret_new: it is to be written now. */
static uint64_t number_of(struct lt_map *map, uint64_t hash, struct lt_piece_part *part,
			  bool *ret_new)
{
	uint64_t *number = lt_map_at(map, hash, 0);
	*ret_new = number != NULL && *number == 0;
	if (number == NULL) {
		part->bytes.failed = true;
		return 0;
	}
	if (*ret_new) {
		*number = map->count;
		part->count++;
	}
	return *number;
}

static uint64_t string_number(struct lt_piece_writer *writer, const char *text)
{
	if (text == NULL || *text == '\0')
		return 0;
	bool is_new;
	uint64_t hash = lt_checksum(text, strnlen(text, LT_PIECE_TEXT_MOST), writer->seed);
	uint64_t number = number_of(&writer->strings, hash, &writer->string_part, &is_new);
	if (is_new)
		put_string(&writer->string_part.bytes, text, LT_PIECE_TEXT_MOST);
	return number;
}

static uint64_t frame_number(struct lt_piece_writer *writer, const struct lt_gc_frame *frame)
{
	const uint64_t parts[] = {string_number(writer, frame->file),
				  string_number(writer, frame->function), (uint64_t)frame->line};
	bool is_new;
	uint64_t hash = lt_checksum(parts, sizeof(parts), writer->seed);
	uint64_t number = number_of(&writer->frames, hash, &writer->frame_part, &is_new);
	if (is_new) {
		put(&writer->frame_part.bytes, parts[0]);
		put(&writer->frame_part.bytes, parts[1]);
		put_signed(&writer->frame_part.bytes, frame->line);
	}
	return number;
}

static uint64_t stack_number(struct lt_piece_writer *writer,
			     const struct lt_gc_recording *recording,
			     const struct lt_gc_event *event)
{
	uint64_t numbers[LT_WATCH_FRAMES];
	size_t count = event->stack_count < LT_WATCH_FRAMES ? event->stack_count : LT_WATCH_FRAMES;
	if (event->stack_first > recording->frames.count ||
	    count > recording->frames.count - event->stack_first)
		count = 0;
	if (count == 0)
		return 0;
	for (size_t i = 0; i < count; i++)
		numbers[i] = frame_number(writer, &recording->frames.data[event->stack_first + i]);
	bool is_new;
	uint64_t hash = lt_checksum(numbers, count * sizeof(*numbers), writer->seed);
	uint64_t number = number_of(&writer->stacks, hash, &writer->stack_part, &is_new);
	if (is_new) {
		put(&writer->stack_part.bytes, count);
		for (size_t i = 0; i < count; i++)
			put(&writer->stack_part.bytes, numbers[i]);
	}
	return number;
}

void lt_piece_event(struct lt_piece_writer *writer, const struct lt_gc_recording *recording,
		    const struct lt_gc_event *event)
{
	int64_t row[LT_PIECE_EVENT_NUMBERS];
	get_event(event, row);
	row[LT_PIECE_STACK] = (int64_t)stack_number(writer, recording, event);
	row[LT_PIECE_WHERE] = (int64_t)string_number(writer, event->where);
	row[LT_PIECE_EVIDENCE] = (int64_t)string_number(writer, event->evidence);
	put_row(&writer->event_part, row, writer->event, LT_PIECE_EVENT_NUMBERS,
		lt_piece_expect_event);
}

void lt_piece_sample(struct lt_piece_writer *writer, const struct lt_gc_sample *sample)
{
	int64_t row[LT_PIECE_SAMPLE_NUMBERS];
	get_sample(sample, row);
	put_row(&writer->sample_part, row, writer->sample, LT_PIECE_SAMPLE_NUMBERS,
		lt_piece_expect_sample);
}

void lt_piece_point(struct lt_piece_writer *writer, const struct lt_watch_point *point)
{
	struct lt_text *out = &writer->point_part.bytes;
	put(out, point->kind + (point->lists_known ? LT_PIECE_LISTS_KNOWN : 0));
	put_signed(out, (int64_t)(point->at_ns - writer->point.at_ns));
	put_signed(out, (int64_t)point->count - writer->point.count);
	if (point->lists_known) {
		put(out, point->free_tuples);
		put(out, point->free_lists);
	}
	writer->point = *point;
	writer->point_part.count++;
}

size_t lt_piece_length(const struct lt_piece_writer *writer)
{
	return writer->fact_part.bytes.length + writer->string_part.bytes.length +
	       writer->frame_part.bytes.length + writer->stack_part.bytes.length +
	       writer->event_part.bytes.length + writer->sample_part.bytes.length +
	       writer->point_part.bytes.length;
}

bool lt_piece_take(struct lt_piece_writer *writer, char **ret_bytes, size_t *ret_length)
{
	struct lt_text piece = {0};
	struct lt_piece_part *part;
	bool failed = false;
	put(&piece, writer->forget ? LT_PIECE_FORGET : 0);
	for (size_t i = 0; (part = part_at(writer, i)) != NULL; i++) {
		put(&piece, part->count);
		lt_text_add_bytes(&piece, lt_text_get(&part->bytes), part->bytes.length);
		failed |= part->bytes.failed;
		part->count = 0;
		lt_text_clear(&part->bytes);
	}
	/* What is forgotten by the next piece is told by it: memory stays the same however long this goes on. */
	writer->forget = writer->strings.count > LT_PIECE_NAMES_MOST ||
			 writer->frames.count > LT_PIECE_NAMES_MOST ||
			 writer->stacks.count > LT_PIECE_NAMES_MOST;
	if (writer->forget) {
		lt_map_deinit(&writer->strings);
		lt_map_deinit(&writer->frames);
		lt_map_deinit(&writer->stacks);
	}
	failed |= piece.failed;
	size_t length = piece.length;
	char *bytes = failed ? NULL : lt_text_take(&piece);
	lt_text_deinit(&piece);
	if (bytes == NULL)
		return false;
	*ret_bytes = bytes;
	*ret_length = length;
	return true;
}
