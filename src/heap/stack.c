#include "heap/stack.h"

#include "heap/fields.h"
#include "layout/object.h"

enum { FRAME_MOST = 160 /* bytes of a frame that are looked at */, SLOTS_MAX = 1 << 16 };

/* Releases that keep running frames as frame objects have no _PyInterpreterFrame. */
static bool frame_objects(const struct lt_view *view)
{
	return lt_fact(view->layout, LT_FACT_frame_object_chain) != 0;
}

lt_addr lt_stack_innermost(const struct lt_view *view, lt_addr thread)
{
	if (frame_objects(view))
		return lt_read_pointer(view, thread, LT_PyThreadState_frame);
	if (lt_has(view->layout, LT_PyThreadState_current_frame))
		return lt_read_pointer(view, thread, LT_PyThreadState_current_frame);
	return lt_read_pointer(view, lt_read_pointer(view, thread, LT_PyThreadState_cframe),
			       LT__PyCFrame_current_frame);
}

/* Which members of a frame are read, and how many bytes that takes. */
struct parts {
	enum lt_field outer, code, instruction;
	uint64_t size;
};

static bool find_parts(const struct lt_view *view, struct parts *ret_parts)
{
	struct parts parts = {LT__PyInterpreterFrame_previous, LT__PyInterpreterFrame_f_executable,
			      LT__PyInterpreterFrame_instr_ptr, 0};
	if (frame_objects(view))
		parts = (struct parts){LT_PyFrameObject_f_back, LT_PyFrameObject_f_code,
				       LT_PyFrameObject_f_lasti, 0};
	const enum lt_field all[] = {parts.outer, parts.code, parts.instruction,
				     LT__PyInterpreterFrame_stackpointer,
				     LT__PyInterpreterFrame_owner};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (!lt_has(view->layout, all[i])) {
			if (i < 3)
				return false;
			continue;
		}
		uint64_t end = lt_off(view->layout, all[i]) + 8;
		if (end > parts.size)
			parts.size = end;
	}
	*ret_parts = parts;
	return parts.size <= FRAME_MOST;
}

bool lt_stack_read(const struct lt_view *view, lt_addr address, struct lt_stack_frame *ret_frame)
{
	const struct lt_layout *layout = view->layout;
	uint8_t bytes[FRAME_MOST];
	struct parts parts;
	if (address == 0 || !find_parts(view, &parts) ||
	    !lt_memory_get(view->memory, address, bytes, (size_t)parts.size))
		return false;
	struct lt_stack_frame frame = {
		.address = address,
		.outer = lt_word(bytes, lt_off(layout, parts.outer)),
	};
	if (frame_objects(view)) {
		frame.code = lt_word(bytes, lt_off(layout, parts.code));
		frame.instruction = (lt_addr)(int64_t)(int32_t)lt_half(
			bytes, lt_off(layout, parts.instruction));
		frame.python = frame.code != 0;
		*ret_frame = frame;
		return true;
	}
	bool counted;
	frame.code = lt_stackref(layout, lt_word(bytes, lt_off(layout, parts.code)), &counted);
	frame.instruction = lt_word(bytes, lt_off(layout, parts.instruction));
	if (lt_has(layout, LT__PyInterpreterFrame_owner))
		frame.owner = bytes[lt_off(layout, LT__PyInterpreterFrame_owner)];
	if (lt_has(layout, LT__PyInterpreterFrame_stackpointer))
		frame.stack_top =
			lt_word(bytes, lt_off(layout, LT__PyInterpreterFrame_stackpointer));
	int64_t shim = lt_fact(layout, LT_FACT_frame_owner_shim);
	frame.python = frame.code != 0 && !(shim > 0 && frame.owner >= shim);
	*ret_frame = frame;
	return true;
}

static uint32_t bounded(uint64_t count)
{
	return count > SLOTS_MAX ? 0 : (uint32_t)count;
}

/* CPython 3.9 and 3.10: a frame is an object. */
static void slots_of_object(const struct lt_view *view, const struct lt_stack_frame *frame,
			    struct lt_stack_slots *slots)
{
	if (lt_has(view->layout, LT_PyFrameObject_f_localsplus))
		slots->first = frame->address + lt_off(view->layout, LT_PyFrameObject_f_localsplus);
	int32_t locals = lt_read_int32(view, frame->code, LT_PyCodeObject_co_nlocals);
	uint64_t cells =
		lt_read_size(view, lt_read_pointer(view, frame->code, LT_PyCodeObject_co_cellvars));
	uint64_t frees =
		lt_read_size(view, lt_read_pointer(view, frame->code, LT_PyCodeObject_co_freevars));
	if (locals >= 0 && locals <= SLOTS_MAX && cells <= SLOTS_MAX && frees <= SLOTS_MAX)
		slots->local_count = bounded((uint64_t)locals + cells + frees);
	int32_t stack_size = lt_read_int32(view, frame->code, LT_PyCodeObject_co_stacksize);
	if (stack_size > 0 && stack_size <= SLOTS_MAX)
		slots->stack_room = (uint32_t)stack_size;
}

/* CPython 3.11 and later. */
static void slots_of_frame(const struct lt_view *view, const struct lt_stack_frame *frame,
			   struct lt_stack_slots *slots)
{
	const struct lt_layout *layout = view->layout;
	if (!lt_has(layout, LT__PyInterpreterFrame_localsplus))
		return;
	slots->first = frame->address + lt_off(layout, LT__PyInterpreterFrame_localsplus);
	int32_t locals = lt_read_int32(view, frame->code, LT_PyCodeObject_co_nlocalsplus);
	slots->local_count = locals < 0 ? 0 : bounded((uint64_t)locals);
	int32_t stack_size = lt_read_int32(view, frame->code, LT_PyCodeObject_co_stacksize);
	uint64_t depth = 0;
	if (lt_has(layout, LT__PyInterpreterFrame_stackpointer)) {
		lt_addr bottom = slots->first + 8 * (uint64_t)slots->local_count;
		if (frame->stack_top > bottom &&
		    frame->stack_top - bottom <= 8 * (uint64_t)SLOTS_MAX)
			depth = (frame->stack_top - bottom) / 8;
	} else {
		int32_t top = lt_read_int32(view, frame->address, LT__PyInterpreterFrame_stacktop);
		if (top > 0 && (uint32_t)top > slots->local_count)
			depth = (uint32_t)top - slots->local_count;
	}
	if (stack_size > 0 && depth <= (uint32_t)stack_size)
		slots->stack_count = (uint32_t)depth;
	if (stack_size > 0 && stack_size <= SLOTS_MAX && depth == 0)
		slots->stack_room = (uint32_t)stack_size;
}

void lt_stack_slots(const struct lt_view *view, const struct lt_stack_frame *frame,
		    struct lt_stack_slots *ret_slots)
{
	struct lt_stack_slots slots = {0};
	if (frame_objects(view))
		slots_of_object(view, frame, &slots);
	else
		slots_of_frame(view, frame, &slots);
	*ret_slots = slots;
}
