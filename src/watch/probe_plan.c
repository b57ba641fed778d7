/* What a probe copies, from the layout of the release; and the same read from the record again. */
#include "layout/object.h"
#include "watch/copies.h"
#include "watch/probe_parts.h"

#include <string.h>

/* Headers included. */
enum { CODE_FILE_BYTES = 320, CODE_NAME_BYTES = 128, CODE_LINES_BYTES = 416 };

static size_t rounded(uint64_t size)
{
	return (size_t)(size + 7) / 8 * 8;
}

static void add(struct lt_probe_plan *plan, enum lt_probe_op op, uint8_t slot, uint8_t from,
		uint64_t offset, uint32_t size)
{
	if (plan->step_count < LT_PROBE_STEPS)
		plan->steps[plan->step_count++] = (struct lt_probe_step){
			.op = op, .slot = slot, .from = from, .offset = offset, .size = size};
}

static void add_load(struct lt_probe_plan *plan, uint8_t slot, uint8_t from, uint64_t offset)
{
	add(plan, LT_PROBE_LOAD, slot, from, offset, 8);
}

static bool has_all(const struct lt_layout *layout, const enum lt_field *fields, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!lt_has(layout, fields[i]))
			return false;
	return true;
}
#define HAS(layout, ...)                                                                           \
	has_all(layout, (const enum lt_field[]){__VA_ARGS__},                                      \
		sizeof((const enum lt_field[]){__VA_ARGS__}) / sizeof(enum lt_field))

/* Slots of the interpreter that runs and of its thread. */
static bool add_running(struct lt_probe_plan *plan, const struct lt_layout *layout, lt_addr runtime,
			lt_addr watched)
{
	add(plan, LT_PROBE_SET, LT_SLOT_WORK, 0, runtime, 0);
	if (!HAS(layout, LT_PyThreadState_interp, LT_PyInterpreterState_id))
		return false;
	if (lt_fact(layout, LT_FACT_gil_pointer) == 0) {
		/* One GIL: the runtime knows who runs. */
		if (!lt_has(layout, LT__PyRuntimeState_gilstate_tstate_current))
			return false;
		add_load(plan, LT_SLOT_THREAD, LT_SLOT_WORK,
			 lt_off(layout, LT__PyRuntimeState_gilstate_tstate_current));
	} else {
		if (!HAS(layout, LT__PyRuntimeState_interpreters_head, LT_PyInterpreterState_next,
			 LT_PyInterpreterState_ceval_gil, LT__gil_runtime_state_last_holder,
			 LT__gil_runtime_state_locked, LT_PyThreadState_native_thread_id))
			return false;
		/* Interpreters may have GILs of their own: the one that the current thread holds. */
		add_load(plan, LT_SLOT_WORK, LT_SLOT_WORK,
			 lt_off(layout, LT__PyRuntimeState_interpreters_head));
		add(plan, LT_PROBE_FIND, LT_SLOT_INTERPRETER, LT_SLOT_WORK, 0, 0);
		plan->find = (struct lt_probe_find){
			.next = (uint32_t)lt_off(layout, LT_PyInterpreterState_next),
			.via = (uint32_t)lt_off(layout, LT_PyInterpreterState_ceval_gil),
			.held = (uint32_t)lt_off(layout, LT__gil_runtime_state_locked),
			.holder = (uint32_t)lt_off(layout, LT__gil_runtime_state_last_holder),
			.thread = (uint32_t)lt_off(layout, LT_PyThreadState_native_thread_id),
		};
	}
	/* Interpreters that share a GIL: the thread says which one runs. */
	if (watched != 0)
		add(plan, LT_PROBE_SET, LT_SLOT_INTERPRETER, 0, watched, 0);
	else
		add_load(plan, LT_SLOT_INTERPRETER, LT_SLOT_THREAD,
			 lt_off(layout, LT_PyThreadState_interp));
	add_load(plan, LT_SLOT_ID, LT_SLOT_INTERPRETER, lt_off(layout, LT_PyInterpreterState_id));
	if (lt_has(layout, LT_PyInterpreterState__finalizing))
		add_load(plan, LT_SLOT_ENDING, LT_SLOT_INTERPRETER,
			 lt_off(layout, LT_PyInterpreterState__finalizing));
	else if (lt_has(layout, LT_PyInterpreterState_finalizing))
		add(plan, LT_PROBE_LOAD, LT_SLOT_ENDING, LT_SLOT_INTERPRETER,
		    lt_off(layout, LT_PyInterpreterState_finalizing), 4);
	return true;
}

static bool add_state(struct lt_probe_plan *plan, const struct lt_layout *layout)
{
	if (!HAS(layout, LT_PyInterpreterState_gc, LT_sizeof__gc_runtime_state))
		return false;
	uint64_t gc = lt_off(layout, LT_PyInterpreterState_gc);
	add(plan, LT_PROBE_COPY, 0, LT_SLOT_INTERPRETER, gc,
	    (uint32_t)lt_off(layout, LT_sizeof__gc_runtime_state));
	if (lt_fact(layout, LT_FACT_gc_stats_ring) == 0)
		return true;
	if (!HAS(layout, LT__gc_runtime_state_generation_stats, LT_sizeof_gc_stats))
		return false;
	add_load(plan, LT_SLOT_STATISTICS, LT_SLOT_INTERPRETER,
		 gc + lt_off(layout, LT__gc_runtime_state_generation_stats));
	add(plan, LT_PROBE_COPY, 0, LT_SLOT_STATISTICS, 0,
	    (uint32_t)lt_off(layout, LT_sizeof_gc_stats));
	return true;
}

/* Fields of a code object that name it, and how much of what they point to is copied. */
static void add_text(struct lt_probe_object *object, int index, const struct lt_layout *layout,
		     enum lt_field field, uint32_t size)
{
	object->texts[index].pointer = (uint32_t)lt_off(layout, field);
	object->texts[index].size = size;
	if (object->size < object->texts[index].pointer + 8)
		object->size = object->texts[index].pointer + 8;
}

/* What a frame's code object is and where its lines are: it may be gone when lowtide comes to read it. */
static void add_code(struct lt_probe_object *object, const struct lt_layout *layout)
{
	enum lt_field name = lt_has(layout, LT_PyCodeObject_co_qualname)
				     ? LT_PyCodeObject_co_qualname
				     : LT_PyCodeObject_co_name;
	enum lt_field lines = lt_has(layout, LT_PyCodeObject_co_linetable)
				      ? LT_PyCodeObject_co_linetable
				      : LT_PyCodeObject_co_lnotab;
	struct lt_probe_object code = {.mask = ~(uint64_t)lt_fact(layout, LT_FACT_stackref_mask)};
	if (!HAS(layout, LT_PyCodeObject_co_filename, LT_PyCodeObject_co_firstlineno) ||
	    !lt_has(layout, name) || !lt_has(layout, lines))
		return;
	code.size = (uint32_t)rounded(lt_off(layout, LT_PyCodeObject_co_firstlineno) + 4);
	add_text(&code, 0, layout, LT_PyCodeObject_co_filename, CODE_FILE_BYTES);
	add_text(&code, 1, layout, name, CODE_NAME_BYTES);
	add_text(&code, 2, layout, lines, CODE_LINES_BYTES);
	if (code.size <= LT_PROBE_OBJECT_MAX)
		*object = code;
}

static bool add_stack(struct lt_probe_plan *plan, const struct lt_layout *layout)
{
	struct lt_probe_walk *walk = &plan->walk;
	if (lt_fact(layout, LT_FACT_frame_object_chain) != 0) {
		if (!HAS(layout, LT_PyThreadState_frame, LT_PyFrameObject_f_back,
			 LT_PyFrameObject_f_code, LT_PyFrameObject_f_lasti))
			return false;
		add_load(plan, LT_SLOT_FRAME, LT_SLOT_THREAD,
			 lt_off(layout, LT_PyThreadState_frame));
		walk->next = (uint32_t)lt_off(layout, LT_PyFrameObject_f_back);
		walk->words[0] = (uint32_t)lt_off(layout, LT_PyFrameObject_f_code);
		walk->words[1] = (uint32_t)lt_off(layout, LT_PyFrameObject_f_lasti);
		walk->words[2] = walk->words[0];
	} else {
		if (!HAS(layout, LT__PyInterpreterFrame_previous,
			 LT__PyInterpreterFrame_f_executable, LT__PyInterpreterFrame_instr_ptr,
			 LT__PyInterpreterFrame_owner))
			return false;
		if (lt_has(layout, LT_PyThreadState_current_frame)) {
			add_load(plan, LT_SLOT_FRAME, LT_SLOT_THREAD,
				 lt_off(layout, LT_PyThreadState_current_frame));
		} else {
			if (!HAS(layout, LT_PyThreadState_cframe, LT__PyCFrame_current_frame))
				return false;
			add_load(plan, LT_SLOT_WORK, LT_SLOT_THREAD,
				 lt_off(layout, LT_PyThreadState_cframe));
			add_load(plan, LT_SLOT_FRAME, LT_SLOT_WORK,
				 lt_off(layout, LT__PyCFrame_current_frame));
		}
		walk->next = (uint32_t)lt_off(layout, LT__PyInterpreterFrame_previous);
		walk->words[0] = (uint32_t)lt_off(layout, LT__PyInterpreterFrame_f_executable);
		walk->words[1] = (uint32_t)lt_off(layout, LT__PyInterpreterFrame_instr_ptr);
		walk->words[2] = (uint32_t)lt_off(layout, LT__PyInterpreterFrame_owner);
	}
	add(plan, LT_PROBE_WALK, 0, LT_SLOT_FRAME, 0, 0);
	add_code(&plan->object, layout);
	return true;
}

bool lt_probe_plan_make(const struct lt_view *view, enum lt_probe_what what, lt_addr interpreter,
			struct lt_probe_plan *ret_plan)
{
	const struct lt_layout *layout = view->layout;
	struct lt_probe_plan plan = {0};
	if (lt_has(layout, LT__PyRuntimeState_finalizing)) {
		add(&plan, LT_PROBE_SET, LT_SLOT_WORK, 0, view->python->runtime, 0);
		add_load(&plan, LT_SLOT_FINALIZING, LT_SLOT_WORK,
			 lt_off(layout, LT__PyRuntimeState_finalizing));
	}
	if (!add_running(&plan, layout, view->python->runtime,
			 what == LT_PROBE_WATCHED ? interpreter : 0) ||
	    !add_state(&plan, layout))
		return false;
	if (what == LT_PROBE_WATCHED) {
		if (!lt_has(layout, LT__gc_runtime_state_collecting))
			return false;
		add(&plan, LT_PROBE_LOAD, LT_SLOT_COLLECTING, LT_SLOT_INTERPRETER,
		    lt_off(layout, LT_PyInterpreterState_gc) +
			    lt_off(layout, LT__gc_runtime_state_collecting),
		    4);
		add(&plan, LT_PROBE_NEED, 0, LT_SLOT_COLLECTING, 0, 0);
	}
	if (what != LT_PROBE_STATE && !add_stack(&plan, layout))
		return false;
	*ret_plan = plan;
	return true;
}

/* Bytes of the copies of add_state(). */
static size_t state_size(const struct lt_layout *layout, size_t ret_parts[2])
{
	ret_parts[0] = (size_t)lt_off(layout, LT_sizeof__gc_runtime_state);
	ret_parts[1] = lt_fact(layout, LT_FACT_gc_stats_ring) != 0
			       ? (size_t)lt_off(layout, LT_sizeof_gc_stats)
			       : 0;
	return rounded(ret_parts[0]) + rounded(ret_parts[1]);
}

/* The copies in a record. */
struct record_memory {
	struct lt_memory base;
	struct lt_copies copies;
};

static size_t record_read(struct lt_memory *memory, lt_addr addr, void *buffer, size_t size)
{
	return lt_copies_read(&((const struct record_memory *)memory)->copies, addr, buffer, size);
}

bool lt_probe_state(const struct lt_view *view, const struct lt_probe_record *record, size_t size,
		    struct lt_gc_state *ret_state)
{
	static const struct lt_memory_ops ops = {.read = record_read};
	lt_addr interpreter = record->slots[LT_SLOT_INTERPRETER];
	size_t parts[2];
	if (interpreter == 0 || size < sizeof(*record) + state_size(view->layout, parts))
		return false;
	const uint8_t *bytes = (const uint8_t *)(record + 1);
	struct record_memory memory = {.base = {.ops = &ops}};
	lt_copies_add(&memory.copies, interpreter + lt_off(view->layout, LT_PyInterpreterState_gc),
		      bytes, parts[0]);
	lt_copies_add(&memory.copies, record->slots[LT_SLOT_STATISTICS], bytes + rounded(parts[0]),
		      parts[1]);
	struct lt_view of_record = *view;
	of_record.memory = &memory.base;
	return lt_gc_state_read(&of_record, interpreter, ret_state);
}

bool lt_probe_finalizing(const struct lt_view *view, const struct lt_probe_record *record)
{
	/* As lt_interpreter_finalizing() has it. */
	bool own = record->slots[LT_SLOT_ENDING] != 0 &&
		   (lt_has(view->layout, LT_PyInterpreterState__finalizing) ||
		    record->slots[LT_SLOT_ID] != 0);
	return own || record->slots[LT_SLOT_FINALIZING] != 0;
}

int64_t lt_probe_candidates(const struct lt_view *view, const struct lt_probe_record *record,
			    size_t size, int generation)
{
	const struct lt_layout *layout = view->layout;
	bool young = generation == 0;
	int64_t length = lt_fact(layout, young ? LT_FACT_gc_young_ring : LT_FACT_gc_old_ring);
	enum lt_field items = young ? LT_gc_young_stats_buffer_items : LT_gc_old_stats_buffer_items;
	enum lt_field index = young ? LT_gc_young_stats_buffer_index : LT_gc_old_stats_buffer_index;
	size_t parts[2];
	if (generation < 0 || generation >= LT_GC_GENERATIONS ||
	    size < sizeof(*record) + state_size(layout, parts) || parts[1] == 0 ||
	    !HAS(layout, LT_gc_stats_young, LT_gc_stats_old, items, index,
		 LT_sizeof_gc_old_stats_buffer, LT_sizeof_gc_generation_stats,
		 LT_gc_generation_stats_candidates))
		return -1;
	const uint8_t *stats = (const uint8_t *)(record + 1) + rounded(parts[0]);
	uint64_t ring = young ? lt_off(layout, LT_gc_stats_young)
			      : lt_off(layout, LT_gc_stats_old) +
					lt_off(layout, LT_sizeof_gc_old_stats_buffer) *
						(uint64_t)(generation - 1);
	uint64_t at = ring + lt_off(layout, index);
	if (at >= parts[1] || stats[at] >= length)
		return -1;
	at = ring + lt_off(layout, items) +
	     stats[at] * lt_off(layout, LT_sizeof_gc_generation_stats) +
	     lt_off(layout, LT_gc_generation_stats_candidates);
	return at + 8 > parts[1] ? -1 : (int64_t)lt_word(stats, at);
}

/* Of what a probe could not read it has zeros: no object begins with them. */
static bool is_there(const uint8_t *bytes)
{
	return lt_word(bytes, 0) != 0 || lt_word(bytes, 8) != 0;
}

/* The code object of a frame as the record has it. False: it has it not. */
static bool add_copied(const struct lt_layout *layout, lt_addr code, const uint8_t *bytes,
		       size_t size, struct lt_copies *copies)
{
	struct lt_probe_object object = {0};
	add_code(&object, layout);
	if (object.size == 0 || size < lt_probe_object_size(&object) || !is_there(bytes))
		return false;
	lt_copies_add(copies, code, bytes, object.size);
	const uint8_t *text = bytes + rounded(object.size);
	bool whole = true;
	for (int i = 0; i < LT_PROBE_TEXTS; i++) {
		if (is_there(text))
			lt_copies_add(copies, lt_word(bytes, object.texts[i].pointer), text,
				      object.texts[i].size);
		else
			whole = false;
		text += rounded(object.texts[i].size);
	}
	return whole;
}

void lt_probe_stack(const struct lt_view *view, const struct lt_probe_record *record, size_t size,
		    struct lt_watch_event *event)
{
	const struct lt_layout *layout = view->layout;
	bool objects = lt_fact(layout, LT_FACT_frame_object_chain) != 0;
	int64_t shim = lt_fact(layout, LT_FACT_frame_owner_shim);
	uint64_t mask = (uint64_t)lt_fact(layout, LT_FACT_stackref_mask);
	const uint8_t *bytes = (const uint8_t *)record;
	size_t parts[2];
	size_t at = sizeof(*record) + state_size(layout, parts);
	struct lt_copies copies = {0};
	struct lt_probe_object object = {0};
	add_code(&object, layout);
	event->frames_exact = true;
	for (uint32_t i = 0;
	     i < record->frame_count && i < LT_PROBE_FRAMES && event->frame_count < LT_WATCH_FRAMES;
	     i++) {
		uint64_t words[LT_PROBE_FRAME_WORDS];
		if (size < at + (i + 1) * sizeof(words))
			break;
		memcpy(words, bytes + at + i * sizeof(words), sizeof(words));
		if (!objects && shim > 0 && (words[2] & 0xff) >= (uint64_t)shim)
			continue;
		struct lt_watch_frame *frame = &event->frames[event->frame_count];
		frame->code = words[0] & ~mask;
		frame->instruction = objects ? (lt_addr)(int64_t)(int32_t)words[1] : words[1];
		if (frame->code == 0)
			continue;
		size_t copied =
			at + LT_PROBE_FRAMES * sizeof(words) + i * lt_probe_object_size(&object);
		frame->copied =
			i < LT_PROBE_OBJECTS && copied < size &&
			add_copied(layout, frame->code, bytes + copied, size - copied, &copies);
		event->frame_count++;
	}
	/* Without memory for it they are read from the process. */
	event->memory = copies.count > 0 ? lt_copies_memory(&copies, view->memory) : NULL;
	for (uint32_t i = 0; event->memory == NULL && i < event->frame_count; i++)
		event->frames[i].copied = false;
}
