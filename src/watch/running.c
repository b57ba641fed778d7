#include "watch/running.h"

#include "heap/fields.h"
#include "heap/stack.h"
#include "layout/object.h"

#include <string.h>

enum { STEPS_MOST = 4 * LT_WATCH_FRAMES, WORDS_MOST = 64, CALLBACKS_MOST = 16, WRAPPED_MOST = 4 };

static bool text_is(const struct lt_view *view, lt_addr address, const char *text)
{
	char buffer[40];
	size_t size = strlen(text) + 1;
	return address != 0 && size <= sizeof(buffer) &&
	       lt_memory_probe(view->memory, address, buffer, size) == size &&
	       memcmp(buffer, text, size) == 0;
}

static lt_addr word_at(const struct lt_view *view, lt_addr base, enum lt_field field)
{
	uint64_t value = 0;
	if (base == 0 || !lt_has(view->layout, field) ||
	    lt_memory_probe(view->memory, base + lt_off(view->layout, field), &value,
			    sizeof(value)) != sizeof(value))
		return 0;
	return value;
}

static bool str_is(const struct lt_view *view, lt_addr object, const char *text)
{
	uint8_t header[LT_STR_HEADER];
	struct lt_str_place place;
	return object != 0 &&
	       lt_memory_probe(view->memory, object, header, sizeof(header)) == sizeof(header) &&
	       lt_str_decode(view->layout, header, &place) && place.ascii &&
	       place.data_offset != 0 && place.length == strlen(text) &&
	       text_is(view, object + place.data_offset, text);
}

/* Whether an object is the builtin function gc.collect. Most of what a stack holds is not even a builtin. */
static bool is_collect(const struct lt_view *view, lt_addr object)
{
	if (object == 0 || (object & 7) != 0)
		return false;
	lt_addr type = word_at(view, object, LT_PyObject_ob_type);
	return text_is(view, word_at(view, type, LT_PyTypeObject_tp_name),
		       "builtin_function_or_method") &&
	       text_is(view,
		       word_at(view, word_at(view, object, LT_PyCFunctionObject_m_ml),
			       LT_PyMethodDef_ml_name),
		       "collect") &&
	       str_is(view, word_at(view, object, LT_PyCFunctionObject_m_module), "gc");
}

static int generation_of(const struct lt_view *view, lt_addr object)
{
	int64_t value = -1;
	lt_addr type =
		object != 0 && (object & 7) == 0 ? word_at(view, object, LT_PyObject_ob_type) : 0;
	if (!text_is(view, word_at(view, type, LT_PyTypeObject_tp_name), "int") ||
	    !lt_int_read(view->layout, view->memory, object, &value) || value < 0 ||
	    value >= LT_GC_GENERATIONS)
		return -1;
	return (int)value;
}

/*
 * The function that is being called lies on the evaluation stack of the frame that calls it, its arguments right
 * after it or after a NULL. Where the release does not keep the top of the stack while a frame runs, words of
 * earlier calls may lie there as well.
 */
static void find_call(const struct lt_view *view, const struct lt_stack_frame *frame,
		      struct lt_running *running)
{
	struct lt_stack_slots slots;
	lt_stack_slots(view, frame, &slots);
	uint64_t words[WORDS_MOST];
	bool kept = lt_has(view->layout, LT__PyInterpreterFrame_stackpointer) &&
		    frame->stack_top >= slots.first + 8 * (uint64_t)slots.local_count;
	size_t count = kept ? slots.stack_count : slots.stack_room;
	running->whole = kept && slots.first != 0 && count <= WORDS_MOST;
	if (count > WORDS_MOST)
		count = WORDS_MOST;
	if (slots.first == 0 || count == 0)
		return;
	if (lt_memory_probe(view->memory, slots.first + 8 * (uint64_t)slots.local_count, words,
			    count * 8) != count * 8) {
		running->whole = false;
		return;
	}
	for (size_t i = count; i-- > 0;) {
		bool counted;
		lt_addr object = lt_stackref(view->layout, words[i], &counted);
		if (!is_collect(view, object))
			continue;
		running->collect = object;
		for (size_t a = i + 1; a < count && a <= i + 2 && running->argument < 0; a++)
			running->argument =
				generation_of(view, lt_stackref(view->layout, words[a], &counted));
		return;
	}
}

/* The code objects of what is in gc.callbacks, 0 for one that is neither a function, a method nor a partial. */
struct callbacks {
	lt_addr codes[CALLBACKS_MOST];
	size_t count;
};

static lt_addr code_of(const struct lt_view *view, lt_addr object)
{
	for (int i = 0; i < WRAPPED_MOST && object != 0 && (object & 7) == 0; i++) {
		lt_addr type = word_at(view, object, LT_PyObject_ob_type);
		lt_addr name = word_at(view, type, LT_PyTypeObject_tp_name);
		if (text_is(view, name, "function"))
			return word_at(view, object, LT_PyFunctionObject_func_code);
		if (text_is(view, name, "method"))
			object = word_at(view, object, LT_PyMethodObject_im_func);
		else if (text_is(view, name, "functools.partial"))
			object = word_at(view, object, LT_partialobject_fn);
		else
			break;
	}
	return 0;
}

static void read_callbacks(const struct lt_view *view, lt_addr list, struct callbacks *callbacks)
{
	uint64_t objects[CALLBACKS_MOST];
	lt_addr items = word_at(view, list, LT_PyListObject_ob_item);
	uint64_t count = items != 0 ? word_at(view, list, LT_PyVarObject_ob_size) : 0;
	if (count > CALLBACKS_MOST)
		count = CALLBACKS_MOST;
	if (count == 0 || lt_memory_probe(view->memory, items, objects, count * 8) != count * 8)
		return;
	for (; callbacks->count < count; callbacks->count++)
		callbacks->codes[callbacks->count] = code_of(view, objects[callbacks->count]);
}

static bool is_callback(const struct callbacks *callbacks, lt_addr code)
{
	for (size_t i = 0; i < callbacks->count; i++) {
		if (code != 0 && callbacks->codes[i] == code)
			return true;
	}
	return false;
}

bool lt_running_take(const struct lt_view *view, lt_addr interpreter, int64_t id,
		     const struct lt_gc_state *state, struct lt_running *running)
{
	struct lt_running found = {
		.argument = -1, .tstate = running->tstate, .inside = running->inside};
	struct lt_thread thread;
	if (found.tstate == 0) {
		if (!lt_interpreter_running(view, interpreter, &thread))
			return false;
		found.tstate = thread.address;
		found.inside = thread.native_id;
	}
	found.finalizing = lt_interpreter_finalizing(view, interpreter, id);
	lt_addr at = state->frame != 0 ? state->frame : lt_stack_innermost(view, found.tstate);
	struct lt_stack_frame frame;
	struct callbacks callbacks = {0};
	if (state->frame == 0)
		read_callbacks(view, state->callbacks, &callbacks);
	for (int i = 0; i < STEPS_MOST && at != 0 && found.frame_count < LT_WATCH_FRAMES; i++) {
		if (!lt_stack_read(view, at, &frame))
			break;
		at = frame.outer;
		if (!frame.python)
			continue;
		if (is_callback(&callbacks, frame.code)) {
			/* The collector called it: what it does is not what began the collection. */
			found.frame_count = 0;
			found.collect = 0;
			found.argument = -1;
			found.whole = false;
			continue;
		}
		if (found.frame_count == 0)
			find_call(view, &frame, &found);
		found.addresses[found.frame_count] = frame.address;
		found.frames[found.frame_count++] =
			(struct lt_watch_frame){frame.code, frame.instruction, false};
	}
	found.exact = state->frame != 0 && found.frame_count > 0;
	found.taken = true;
	*running = found;
	return true;
}

/* Whether what was seen is the outer part of what is there now: something runs on top of it. */
static bool goes_on(const struct lt_running *running, const struct lt_running *later)
{
	uint32_t on_top = 0;
	if (running->frame_count == 0)
		return true;
	while (on_top < later->frame_count && later->addresses[on_top] != running->addresses[0])
		on_top++;
	if (on_top == later->frame_count)
		return false;
	for (uint32_t i = 0; i < running->frame_count && on_top + i < later->frame_count; i++) {
		const struct lt_watch_frame *then = &running->frames[i];
		const struct lt_watch_frame *now = &later->frames[on_top + i];
		if (running->addresses[i] != later->addresses[on_top + i] ||
		    then->code != now->code || then->instruction != now->instruction)
			return false;
	}
	return true;
}

void lt_running_refine(struct lt_running *running, const struct lt_running *later)
{
	if (later->taken && later->tstate == running->tstate && !goes_on(running, later))
		*running = *later;
}
