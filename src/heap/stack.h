/*
 * stack.h: the Python stack of a thread: its frames, and the slots of one frame.
 *
 * A frame is a PyFrameObject in releases whose running frames are objects (fact frame_object_chain), else a
 * _PyInterpreterFrame. All of it may move while it is read in a live target: bound every walk.
 */
#ifndef LT_HEAP_STACK_H
#define LT_HEAP_STACK_H

#include "heap/view.h"

struct lt_stack_frame {
	lt_addr address;
	lt_addr outer;       /* the frame that called it, 0 for none */
	lt_addr code;        /* PyCodeObject */
	lt_addr instruction; /* f_lasti, or the address of the instruction */
	lt_addr stack_top;   /* of the evaluation stack, 0 when not kept while it runs */
	uint8_t owner;       /* as in enum _frameowner, 0 in releases without */
	bool python;         /* it runs Python code; the rest but `outer` means nothing otherwise */
};

/* The innermost frame of the thread at a PyThreadState, 0 for none. */
lt_addr lt_stack_innermost(const struct lt_view *view, lt_addr thread);

/* Reads the frame at `address` in one piece. False: it cannot be read. */
bool lt_stack_read(const struct lt_view *view, lt_addr address, struct lt_stack_frame *ret_frame);

struct lt_stack_slots {
	lt_addr first;        /* of the first local variable: an array of object words */
	uint32_t local_count; /* locals, cells and free variables */
	uint32_t stack_count; /* words of the evaluation stack behind them, 0 when not known */
	uint32_t
		stack_room; /* words that the stack may have at most, 0 when stack_count is known */
};

/* Where a frame that runs Python code keeps its variables and its evaluation stack. */
void lt_stack_slots(const struct lt_view *view, const struct lt_stack_frame *frame,
		    struct lt_stack_slots *ret_slots);

#endif
