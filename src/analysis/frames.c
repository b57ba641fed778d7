#include "analysis/frames.h"

#include "analysis/lines.h"
#include "analysis/read.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "heap/stack.h"

enum {
	FRAMES_PER_THREAD = 1 << 16,
	FRAMES_MAX = 1 << 18, /* of all threads, those without Python code counted too */
	NAME_CHARACTERS = 200,
	PATH_CHARACTERS = 1000,
};

/* Releases that keep running frames as frame objects have no _PyInterpreterFrame. */
static bool frame_objects(const struct lt_view *view)
{
	return lt_fact(view->layout, LT_FACT_frame_object_chain) != 0;
}

static lt_addr untagged(const struct lt_view *view, lt_addr word)
{
	uint64_t mask = (uint64_t)lt_fact(view->layout, LT_FACT_stackref_mask);
	if (mask != 0 && (word & mask) == (uint64_t)lt_fact(view->layout, LT_FACT_stackref_int_tag))
		return 0;
	return word & ~mask;
}

static const char *text_of(const struct lt_view *view, lt_addr object, size_t limit,
			   struct lt_arena *strings)
{
	LT_CLEANUP(lt_text_deinit) struct lt_text text = {0};
	if (!lt_read_str(view, object, limit, &text) || text.failed)
		return "?";
	const char *copy = lt_arena_copy(strings, lt_text_get(&text), text.length);
	return copy != NULL ? copy : "?";
}

int lt_frame_line_at(const struct lt_view *view, lt_addr code, lt_addr instruction)
{
	const struct lt_layout *layout = view->layout;
	if (frame_objects(view)) {
		int64_t last = (int32_t)instruction;
		/* f_lasti counts bytes with lnotab and code units with the tables after it. */
		if (lt_fact(layout, LT_FACT_linetable) != 0)
			last *= 1 << lt_fact(layout, LT_FACT_code_unit_shift);
		return lt_lines_at(view, code, last);
	}
	if (!lt_has(layout, LT_PyCodeObject_co_code_adaptive))
		return 0;
	return lt_lines_at(
		view, code,
		(int64_t)(instruction - code - lt_off(layout, LT_PyCodeObject_co_code_adaptive)));
}

/* False: the frame runs no Python code, or cannot be read; then *ret_outer alone is set. */
static bool read_frame(const struct lt_view *view, lt_addr address, struct lt_frame *frame,
		       lt_addr *ret_outer)
{
	struct lt_stack_frame raw;
	*ret_outer = 0;
	if (!lt_stack_read(view, address, &raw))
		return false;
	*ret_outer = raw.outer;
	if (!raw.python)
		return false;
	struct lt_stack_slots slots;
	lt_stack_slots(view, &raw, &slots);
	frame->address = address;
	frame->code = raw.code;
	frame->slots = slots.first;
	frame->local_count = slots.local_count;
	frame->stack_count = slots.stack_count;
	frame->stack_room = slots.stack_room;
	frame->line = lt_frame_line_at(view, raw.code, raw.instruction);
	/* The frame of a generator, or one with a frame object that outlives it, is decoded with that object. */
	frame->owns = raw.owner == lt_fact(view->layout, LT_FACT_frame_owner_thread);
	return true;
}

int lt_frame_line(const struct lt_view *view, lt_addr address)
{
	struct lt_frame frame = {0};
	lt_addr outer;
	return read_frame(view, address, &frame, &outer) ? frame.line : 0;
}

int lt_generator_line(const struct lt_view *view, lt_addr generator)
{
	const struct lt_layout *layout = view->layout;
	uint8_t state;
	if (!lt_has(layout, LT_PyGenObject_gi_iframe)) {
		lt_addr frame = lt_read_pointer(view, generator, LT_PyGenObject_gi_frame);
		return frame != 0 ? lt_frame_line(view, frame) : 0;
	}
	if (!lt_has(layout, LT_PyGenObject_gi_frame_state) ||
	    !lt_memory_u8(view->memory, generator + lt_off(layout, LT_PyGenObject_gi_frame_state),
			  &state) ||
	    (int8_t)state >= lt_fact(layout, LT_FACT_gen_completed))
		return 0;
	return lt_frame_line(view, generator + lt_off(layout, LT_PyGenObject_gi_iframe));
}

enum lt_status lt_frames_read(const struct lt_view *view,
			      const struct lt_interpreters *interpreters, struct lt_arena *strings,
			      struct lt_frames *ret_frames)
{
	LT_CLEANUP(lt_frames_deinit) struct lt_frames frames = {0};
	size_t all_steps = 0;
	for (size_t i = 0; i < interpreters->count; i++) {
		const struct lt_interpreter *interpreter = &interpreters->data[i];
		for (size_t t = 0; t < interpreter->thread_count; t++) {
			lt_addr at = lt_stack_innermost(view, interpreter->threads[t].address);
			lt_addr outer = 0;
			uint32_t depth = 0;
			for (size_t steps = 0; at != 0; steps++, at = outer) {
				if (steps >= FRAMES_PER_THREAD || all_steps++ >= FRAMES_MAX) {
					view->session->unreadable++;
					break;
				}
				struct lt_frame frame = {.interpreter = (uint32_t)i,
							 .thread = (uint32_t)t};
				if (!read_frame(view, at, &frame, &outer))
					continue;
				lt_addr name = lt_read_pointer(view, frame.code,
							       LT_PyCodeObject_co_qualname);
				if (name == 0)
					name = lt_read_pointer(view, frame.code,
							       LT_PyCodeObject_co_name);
				frame.function = text_of(view, name, NAME_CHARACTERS, strings);
				frame.file = text_of(view,
						     lt_read_pointer(view, frame.code,
								     LT_PyCodeObject_co_filename),
						     PATH_CHARACTERS, strings);
				frame.depth = depth++;
				if (!lt_frames_push(&frames, frame))
					return lt_fail_memory(view->session);
			}
		}
	}
	*ret_frames = frames;
	frames = (struct lt_frames){0};
	return LT_OK;
}

lt_addr lt_frame_slot(const struct lt_view *view, const struct lt_frame *frame, uint32_t index,
		      bool *ret_counted)
{
	uint64_t word = 0;
	if (frame->slots == 0 ||
	    !lt_memory_u64(view->memory, frame->slots + 8 * (uint64_t)index, &word))
		return 0;
	if (ret_counted != NULL)
		*ret_counted = (word & (uint64_t)lt_fact(view->layout, LT_FACT_stackref_mask)) == 0;
	return untagged(view, word);
}

static lt_addr tuple_item(const struct lt_view *view, lt_addr tuple, uint64_t index)
{
	uint64_t item = 0;
	if (tuple == 0 || index >= lt_read_size(view, tuple) ||
	    !lt_has(view->layout, LT_PyTupleObject_ob_item) ||
	    !lt_memory_u64(view->memory,
			   tuple + lt_off(view->layout, LT_PyTupleObject_ob_item) + 8 * index,
			   &item))
		return 0;
	return item;
}

lt_addr lt_frame_local_name(const struct lt_view *view, lt_addr code, uint32_t index)
{
	if (lt_has(view->layout, LT_PyCodeObject_co_localsplusnames))
		return tuple_item(view,
				  lt_read_pointer(view, code, LT_PyCodeObject_co_localsplusnames),
				  index);
	static const enum lt_field names[] = {LT_PyCodeObject_co_varnames,
					      LT_PyCodeObject_co_cellvars,
					      LT_PyCodeObject_co_freevars};
	uint64_t at = index;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		lt_addr tuple = lt_read_pointer(view, code, names[i]);
		uint64_t size = lt_read_size(view, tuple);
		if (at < size)
			return tuple_item(view, tuple, at);
		at -= size;
	}
	return 0;
}

static void hold(const struct lt_view *view, const struct lt_frame *frame, enum lt_field field,
		 bool owned, struct lt_frame_held *held)
{
	lt_addr word = lt_read_pointer(view, frame->address, field);
	uint64_t mask = (uint64_t)lt_fact(view->layout, LT_FACT_stackref_mask);
	*held = (struct lt_frame_held){.object = untagged(view, word),
				       .at = lt_has(view->layout, field)
						     ? frame->address + lt_off(view->layout, field)
						     : 0,
				       .counted = owned && frame->owns && (word & mask) == 0};
}

/*
 * Python/ceval.c: up to 3.10 the function that runs a frame owns it, but for that of a generator. Later
 * a frame owns its code, function, names and frame object; it borrows the globals.
 */
size_t lt_frame_held(const struct lt_view *view, const struct lt_frame *frame,
		     struct lt_frame_held held[LT_FRAME_HELD])
{
	size_t count = 0;
	if (frame_objects(view)) {
		lt_addr generator = lt_read_pointer(view, frame->address, LT_PyFrameObject_f_gen);
		held[count++] =
			(struct lt_frame_held){.object = frame->address, .counted = generator == 0};
		return count;
	}
	hold(view, frame, LT__PyInterpreterFrame_f_executable, true, &held[count++]);
	hold(view, frame, LT__PyInterpreterFrame_f_funcobj, true, &held[count++]);
	hold(view, frame, LT__PyInterpreterFrame_f_globals, false, &held[count++]);
	hold(view, frame, LT__PyInterpreterFrame_f_locals, true, &held[count++]);
	hold(view, frame, LT__PyInterpreterFrame_frame_obj, true, &held[count++]);
	return count;
}
