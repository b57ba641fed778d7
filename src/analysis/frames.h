/*
 * frames.h: the running frames of every thread: where each stands and what its local variables hold.
 *
 * Frames of suspended generators and coroutines are not here: they are parts of objects.
 */
#ifndef LT_ANALYSIS_FRAMES_H
#define LT_ANALYSIS_FRAMES_H

#include "base/arena.h"
#include "base/vec.h"
#include "heap/interpreters.h"

struct lt_frame {
	uint32_t interpreter; /* index into the interpreters */
	uint32_t thread;      /* index into the threads of that interpreter */
	uint32_t depth;       /* 0: the innermost frame of its thread */
	lt_addr address;      /* PyFrameObject or _PyInterpreterFrame */
	lt_addr code;
	lt_addr slots;        /* of the first local variable: an array of object words */
	uint32_t local_count; /* locals, cells and free variables */
	uint32_t stack_count; /* words of the evaluation stack behind them, 0 when not known */
	uint32_t
		stack_room; /* words that the stack may have at most, 0 when stack_count is known */
	bool owns; /* the references in its slots are its own, not those of an object that is decoded */
	int line;             /* 0 when not known */
	const char *function; /* co_qualname, or co_name in the releases without it */
	const char *file;     /* co_filename */
};
LT_VEC(lt_frames, struct lt_frame);

/* Of all threads of all interpreters, bounded; what cannot be read is counted. Strings go to `strings`. */
LT_MUST_CHECK enum lt_status lt_frames_read(const struct lt_view *view,
					    const struct lt_interpreters *interpreters,
					    struct lt_arena *strings, struct lt_frames *ret_frames);

/*
 * Line of a position in a code object, as a frame of the release keeps it: f_lasti, or the address of the
 * instruction. 0: not known.
 */
int lt_frame_line_at(const struct lt_view *view, lt_addr code, lt_addr instruction);

/* The line that a frame (PyFrameObject up to 3.10, else _PyInterpreterFrame) stands at; 0 when not known. */
int lt_frame_line(const struct lt_view *view, lt_addr address);

/* The line at which a suspended generator, coroutine or asynchronous generator stands; 0 when it has ended. */
int lt_generator_line(const struct lt_view *view, lt_addr generator);

/*
 * The object in slot `index` < local_count + stack_count; 0 for none. Tags are taken off; *ret_counted
 * (may be NULL): the slot has a reference that is counted.
 */
lt_addr lt_frame_slot(const struct lt_view *view, const struct lt_frame *frame, uint32_t index,
		      bool *ret_counted);

/*
 * The name of local variable `index` of a code object (a str object, 0 when unknown), also for the frames
 * of generators; the order is that of LT_REF_LOCAL.
 */
lt_addr lt_frame_local_name(const struct lt_view *view, lt_addr code, uint32_t index);

/* An object that a frame holds besides its slots: code, function, globals, names, its frame object. */
struct lt_frame_held {
	lt_addr object, at; /* at: the word that holds it, 0 for none */
	bool counted;
};
enum { LT_FRAME_HELD = 6 };
size_t lt_frame_held(const struct lt_view *view, const struct lt_frame *frame,
		     struct lt_frame_held held[LT_FRAME_HELD]);

#endif
