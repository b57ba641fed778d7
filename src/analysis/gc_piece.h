/*
 * gc_piece.h: a part of a recording as bytes: facts, events, samples and points of the path, with the strings and stacks that are
 * new in them. Pieces are written and read in their order: each says only what differs from those before.
 */
#ifndef LT_ANALYSIS_GC_PIECE_H
#define LT_ANALYSIS_GC_PIECE_H

#include "analysis/gc_recording.h"
#include "base/map.h"
#include "base/text.h"

enum {
	LT_PIECE_STATE_FIELDS = 22, /* of gc_fields.def */
	LT_PIECE_EVENT_FIELDS = 18,
	LT_PIECE_SAMPLE_FIELDS = 5,
	/* After the fields of an event: stack, where, evidence, then both states. */
	LT_PIECE_STACK = LT_PIECE_EVENT_FIELDS,
	LT_PIECE_WHERE,
	LT_PIECE_EVIDENCE,
	LT_PIECE_BEFORE,
	LT_PIECE_AFTER = LT_PIECE_BEFORE + LT_PIECE_STATE_FIELDS,
	LT_PIECE_EVENT_NUMBERS = LT_PIECE_AFTER + LT_PIECE_STATE_FIELDS,
	LT_PIECE_SAMPLE_NUMBERS = LT_PIECE_SAMPLE_FIELDS + LT_PIECE_STATE_FIELDS,

	LT_PIECE_BYTES = 256 * 1024, /* a piece that is longer takes no more events */
	LT_PIECE_TEXT_MOST = 1024,   /* bytes of a string; of a fact 64 times as many */
	LT_PIECE_NAMES_MOST = 32768, /* strings, frames or stacks before both sides forget them */
	LT_PIECE_CALLBACKS_MOST = 256,
	LT_PIECE_LISTS_KNOWN =
		16, /* more than any kind of point: what the free lists held follows */
};

/* A part of a piece that is being put together. */
struct lt_piece_part {
	struct lt_text bytes;
	uint64_t count;
};

struct lt_piece_writer {
	int64_t event[LT_PIECE_EVENT_NUMBERS], sample[LT_PIECE_SAMPLE_NUMBERS]; /* those before */
	struct lt_map strings, frames, stacks; /* hash -> number, from 1 on */
	uint64_t seed;                         /* of the hashes */
	bool forget;                           /* this piece begins with nothing known */
	struct lt_piece_part fact_part, string_part, frame_part, stack_part, event_part,
		sample_part, point_part;
	struct lt_watch_point point; /* the one before */
};
void lt_piece_writer_init(struct lt_piece_writer *writer);
void lt_piece_writer_deinit(struct lt_piece_writer *writer);

/* What a piece gets, in any order. No memory shows in lt_piece_take(). */
void lt_piece_fact(struct lt_piece_writer *writer, const char *key, int64_t value);
void lt_piece_text(struct lt_piece_writer *writer, const char *key, const char *text);
void lt_piece_event(struct lt_piece_writer *writer, const struct lt_gc_recording *recording,
		    const struct lt_gc_event *event);
void lt_piece_sample(struct lt_piece_writer *writer, const struct lt_gc_sample *sample);
void lt_piece_point(struct lt_piece_writer *writer, const struct lt_watch_point *point);
size_t lt_piece_length(const struct lt_piece_writer *writer); /* of what there is so far */

/* The piece; the next one begins. False: no memory. Caller frees. */
bool lt_piece_take(struct lt_piece_writer *writer, char **ret_bytes, size_t *ret_length);

/* A string that pieces name by its number. */
LT_VEC(lt_piece_strings, const char *);
struct lt_piece_stack {
	uint32_t first, count; /* in `ids` */
	uint64_t placed;       /* 1 + place of its frames in the recording; 0: not there yet */
};
LT_VEC(lt_piece_stacks, struct lt_piece_stack);
LT_VEC(lt_piece_ids, uint32_t);

struct lt_piece_reader {
	int64_t event[LT_PIECE_EVENT_NUMBERS], sample[LT_PIECE_SAMPLE_NUMBERS];
	struct lt_watch_point point;
	struct lt_piece_strings strings;
	struct lt_gc_frames frames;
	struct lt_piece_stacks stacks;
	struct lt_piece_ids ids;
	struct lt_arena arena;
};
void lt_piece_reader_deinit(struct lt_piece_reader *reader);

/*
 * Puts the events, samples and frames of a piece in the place of those that were in the recording; facts and points of
 * the path are added to it. Strings of events and frames live until the next call. *ret_what is set to what makes no
 * sense, else NULL. False: no memory.
 */
LT_MUST_CHECK bool lt_piece_read(struct lt_piece_reader *reader, const void *bytes, size_t length,
				 struct lt_gc_recording *recording, const char **ret_what);

#endif
