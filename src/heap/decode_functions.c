/*
 * decode_functions.c: frames, and the generators, coroutines and asynchronous generators that hold them.
 */
#include "heap/decode_parts.h"

enum { FRAME_SLOTS_MAX = 1 << 20 };

static void add_local(struct lt_body *body, uint64_t word, uint32_t index, uint64_t locals,
		      bool untraversed)
{
	const struct lt_layout *layout = body->layout;
	uint64_t mask = (uint64_t)lt_fact(layout, LT_FACT_stackref_mask);
	if (mask != 0 && (word & mask) == (uint64_t)lt_fact(layout, LT_FACT_stackref_int_tag))
		return;
	lt_body_add(body, (struct lt_ref){.to = word & ~mask,
					  .index = index,
					  .kind = index < locals ? LT_REF_LOCAL : LT_REF_STACK,
					  .untraversed = untraversed,
					  .borrowed = (word & mask) != 0});
}

static void add_slots(struct lt_body *body, lt_addr at, uint64_t count, uint64_t locals,
		      bool untraversed)
{
	struct lt_decoder *decoder = body->decoder;
	if (count > FRAME_SLOTS_MAX) {
		lt_body_unreadable(body);
		return;
	}
	for (uint64_t done = 0; done < count;) {
		uint64_t step = count - done < LT_DECODE_WORDS ? count - done : LT_DECODE_WORDS;
		if (!lt_memory_get(decoder->view.memory, at + done * 8, decoder->words, step * 8)) {
			lt_body_unreadable(body);
			return;
		}
		for (uint64_t i = 0; i < step; i++)
			add_local(body, decoder->words[i], (uint32_t)(done + i), locals,
				  untraversed);
		done += step;
	}
}

static uint64_t tuple_length(struct lt_decoder *decoder, lt_addr tuple)
{
	uint64_t count;
	if (tuple == 0 ||
	    !lt_memory_u64(decoder->view.memory,
			   tuple + lt_off(decoder->view.layout, LT_PyVarObject_ob_size), &count) ||
	    count > FRAME_SLOTS_MAX)
		return 0;
	return count;
}

/* Locals, cells and free variables of a code object; 0 when it cannot be read. */
static uint64_t code_slots(struct lt_decoder *decoder, lt_addr code)
{
	const struct lt_layout *layout = decoder->view.layout;
	struct lt_memory *memory = decoder->view.memory;
	uint32_t count;
	if (code == 0)
		return 0;
	if (lt_has(layout, LT_PyCodeObject_co_nlocalsplus)) {
		if (!lt_memory_u32(memory, code + lt_off(layout, LT_PyCodeObject_co_nlocalsplus),
				   &count))
			return 0;
		return count <= FRAME_SLOTS_MAX ? count : 0;
	}
	lt_addr cells = 0, frees = 0;
	if (!lt_memory_u32(memory, code + lt_off(layout, LT_PyCodeObject_co_nlocals), &count) ||
	    !lt_memory_u64(memory, code + lt_off(layout, LT_PyCodeObject_co_cellvars), &cells) ||
	    !lt_memory_u64(memory, code + lt_off(layout, LT_PyCodeObject_co_freevars), &frees) ||
	    count > FRAME_SLOTS_MAX)
		return 0;
	return count + tuple_length(decoder, cells) + tuple_length(decoder, frees);
}

/*
 * Python/frame.c: _PyFrame_Traverse. While the frame runs it does not say how deep its stack is: then
 * its locals are given as untraversed.
 */
static void add_interpreter_frame(struct lt_body *body, lt_addr frame)
{
	const struct lt_layout *layout = body->layout;
	struct lt_decoder *decoder = body->decoder;
	struct lt_memory *memory = decoder->view.memory;
	uint64_t mask = (uint64_t)lt_fact(layout, LT_FACT_stackref_mask);
	lt_addr code = 0, function = 0, locals = 0, object = 0;
	if (!lt_memory_u64(memory, frame + lt_off(layout, LT__PyInterpreterFrame_f_executable),
			   &code) ||
	    !lt_memory_u64(memory, frame + lt_off(layout, LT__PyInterpreterFrame_f_funcobj),
			   &function) ||
	    !lt_memory_u64(memory, frame + lt_off(layout, LT__PyInterpreterFrame_f_locals),
			   &locals) ||
	    !lt_memory_u64(memory, frame + lt_off(layout, LT__PyInterpreterFrame_frame_obj),
			   &object)) {
		lt_body_unreadable(body);
		return;
	}
	lt_body_add(body, (struct lt_ref){.to = code & ~mask,
					  .index = LT_MEMBER_frame_code,
					  .kind = LT_REF_MEMBER,
					  .borrowed = (code & mask) != 0});
	lt_body_add(body, (struct lt_ref){.to = function & ~mask,
					  .index = LT_MEMBER_frame_function,
					  .kind = LT_REF_MEMBER,
					  .borrowed = (function & mask) != 0});
	code &= ~mask;
	lt_body_add_member(body, locals, LT_MEMBER_frame_locals);
	if (object != body->at)
		lt_body_add_member(body, object, LT_MEMBER_frame);

	lt_addr slots = frame + lt_off(layout, LT__PyInterpreterFrame_localsplus);
	uint64_t named = code_slots(decoder, code);
	int64_t count = -1;
	if (lt_has(layout, LT__PyInterpreterFrame_stackpointer)) {
		lt_addr top;
		if (lt_memory_u64(memory,
				  frame + lt_off(layout, LT__PyInterpreterFrame_stackpointer),
				  &top) &&
		    top >= slots && top % 8 == 0)
			count = (int64_t)((top - slots) / 8);
	} else {
		uint32_t top;
		if (lt_memory_u32(memory, frame + lt_off(layout, LT__PyInterpreterFrame_stacktop),
				  &top))
			count = (int32_t)top;
	}
	if (count < 0)
		add_slots(body, slots, named, named, true);
	else
		add_slots(body, slots, (uint64_t)count, named, false);
}

/* Objects/frameobject.c: frame_traverse (3.9, 3.10). */
static void decode_frame_object(struct lt_body *body)
{
	const struct lt_layout *layout = body->layout;
	lt_addr code = lt_body_field(body, LT_PyFrameObject_f_code);
	lt_body_add_member(body, code, LT_MEMBER_frame_code);
	lt_body_add_member(body, lt_body_field(body, LT_PyFrameObject_f_builtins),
			   LT_MEMBER_fast_builtins);
	lt_body_add_member(body, lt_body_field(body, LT_PyFrameObject_f_globals),
			   LT_MEMBER_frame_globals);
	lt_body_add_member(body, lt_body_field(body, LT_PyFrameObject_f_locals),
			   LT_MEMBER_frame_locals);
	uint64_t named = code_slots(body->decoder, code);
	lt_addr slots = body->at + lt_off(layout, LT_PyFrameObject_f_localsplus);
	add_slots(body, slots, named, named, false);
	lt_addr stack = lt_body_field(body, LT_PyFrameObject_f_valuestack);
	uint64_t depth = 0;
	if (lt_has(layout, LT_PyFrameObject_f_stacktop)) {
		lt_addr top = lt_body_field(body, LT_PyFrameObject_f_stacktop);
		if (top > stack)
			depth = (top - stack) / 8;
	} else {
		int32_t value = (int32_t)lt_body_u32(
			body, (int64_t)lt_off(layout, LT_PyFrameObject_f_stackdepth));
		if (value > 0)
			depth = (uint64_t)value;
	}
	add_slots(body, stack, depth, 0, false);
}

void lt_decode_frame(struct lt_body *body)
{
	const struct lt_layout *layout = body->layout;
	lt_body_add_member(body, lt_body_field(body, LT_PyFrameObject_f_back), LT_MEMBER_back);
	lt_body_add_member(body, lt_body_field(body, LT_PyFrameObject_f_trace), LT_MEMBER_trace);
	if (lt_fact(layout, LT_FACT_frame_object_chain) != 0) {
		decode_frame_object(body);
		return;
	}
	lt_body_add_member(body, lt_body_field(body, LT_PyFrameObject_f_extra_locals),
			   LT_MEMBER_frame_locals);
	lt_body_add_member(body, lt_body_field(body, LT_PyFrameObject_f_locals_cache),
			   LT_MEMBER_frame_locals);
	lt_body_add_member(body, lt_body_field(body, LT_PyFrameObject_f_overwritten_fast_locals),
			   LT_MEMBER_frame_locals);
	lt_addr frame = lt_body_field(body, LT_PyFrameObject_f_frame);
	uint8_t owner;
	if (frame == 0 ||
	    !lt_memory_u8(body->decoder->view.memory,
			  frame + lt_off(layout, LT__PyInterpreterFrame_owner), &owner))
		return;
	/* The frame of a thread or of a generator is visited by its owner. */
	if (owner == lt_fact(layout, LT_FACT_frame_owner_frame_object))
		add_interpreter_frame(body, frame);
}

/* Objects/genobject.c: gen_traverse. */
void lt_decode_generator(struct lt_body *body)
{
	const struct lt_layout *layout = body->layout;
	lt_body_add_member(body, lt_body_field(body, LT_PyGenObject_gi_frame), LT_MEMBER_frame);
	lt_body_add_member(body, lt_body_field(body, LT_PyGenObject_gi_code), LT_MEMBER_frame_code);
	lt_body_add_member(body, lt_body_field(body, LT_PyGenObject_gi_name), LT_MEMBER_name);
	lt_body_add_member(body, lt_body_field(body, LT_PyGenObject_gi_qualname),
			   LT_MEMBER_qualname);
	lt_addr origin = 0;
	if (body->type->kind == LT_KIND_ASYNC_GENERATOR) {
		origin = lt_body_field(body, LT_PyAsyncGenObject_ag_origin_or_finalizer);
		lt_body_add_member(body, origin, LT_MEMBER_finalizer);
	} else if (body->type->kind == LT_KIND_COROUTINE) {
		origin = lt_body_field(body, LT_PyCoroObject_cr_origin_or_finalizer);
		lt_body_hold_member(body, origin, LT_MEMBER_origin_or_finalizer);
	}
	int64_t state = (int64_t)lt_off(layout, LT_PyGenObject_gi_exc_state);
	if (lt_has(layout, LT__PyErr_StackItem_exc_type))
		lt_body_add_member(
			body,
			lt_body_word(body,
				     state + (int64_t)lt_off(layout, LT__PyErr_StackItem_exc_type)),
			LT_MEMBER_exception);
	lt_body_add_member(
		body,
		lt_body_word(body, state + (int64_t)lt_off(layout, LT__PyErr_StackItem_exc_value)),
		LT_MEMBER_exception);
	if (lt_has(layout, LT__PyErr_StackItem_exc_traceback))
		lt_body_add_member(
			body,
			lt_body_word(
				body,
				state + (int64_t)lt_off(layout, LT__PyErr_StackItem_exc_traceback)),
			LT_MEMBER_traceback);
	if (!lt_has(layout, LT_PyGenObject_gi_iframe))
		return;
	int8_t frame_state =
		(int8_t)lt_body_u8(body, (int64_t)lt_off(layout, LT_PyGenObject_gi_frame_state));
	lt_addr frame = body->at + lt_off(layout, LT_PyGenObject_gi_iframe);
	if (frame_state < lt_fact(layout, LT_FACT_gen_completed)) {
		add_interpreter_frame(body, frame);
	} else if (lt_has(layout, LT__PyInterpreterFrame_stackpointer)) {
		/* The code outlives the frame (3.14). */
		lt_addr code;
		if (lt_memory_u64(body->decoder->view.memory,
				  frame + lt_off(layout, LT__PyInterpreterFrame_f_executable),
				  &code))
			lt_body_add_member(body,
					   code & ~(uint64_t)lt_fact(layout, LT_FACT_stackref_mask),
					   LT_MEMBER_frame_code);
	}
}
