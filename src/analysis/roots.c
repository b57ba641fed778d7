#include "analysis/roots.h"

#include "analysis/read.h"
#include "base/cleanup.h"
#include "base/map.h"

#include <inttypes.h>

enum {
	EXCEPTION_DEPTH_MAX = 1000,
	STATIC_TYPES_MAX = 4096,
	SLOTS_MAX = 1 << 23, /* of all frames together */
	VARIABLE_CHARACTERS = 200,
};

struct member {
	enum lt_field field;
	const char *name;
};

static const struct member interpreter_members[] = {
	{LT_PyInterpreterState_sysdict, "the dict of sys"},
	{LT_PyInterpreterState_builtins, "the dict of builtins"},
	{LT_PyInterpreterState_dict, "the interpreter's dict"},
	{LT_PyInterpreterState_imports_importlib, "importlib"},
	{LT_PyInterpreterState_imports_import_func, "the import function"},
	{LT_PyInterpreterState_imports_modules_by_index, "modules by index"},
	{LT_PyInterpreterState_codec_search_path, "the codec search functions"},
	{LT_PyInterpreterState_codec_search_cache, "the cache of codecs"},
	{LT_PyInterpreterState_codec_error_registry, "the codec error handlers"},
	{LT_PyInterpreterState_before_forkers, "functions of os.register_at_fork()"},
	{LT_PyInterpreterState_after_forkers_parent, "functions of os.register_at_fork()"},
	{LT_PyInterpreterState_after_forkers_child, "functions of os.register_at_fork()"},
	{LT_PyInterpreterState_audit_hooks, "the audit hooks"},
};

static const struct member thread_members[] = {
	{LT_PyThreadState_dict, "the thread's dict of local values"},
	{LT_PyThreadState_async_exc, "an exception sent to the thread"},
	{LT_PyThreadState_curexc_type, "the exception being raised"},
	{LT_PyThreadState_curexc_value, "the exception being raised"},
	{LT_PyThreadState_curexc_traceback, "the exception being raised"},
	{LT_PyThreadState_current_exception, "the exception being raised"},
	{LT_PyThreadState_c_profileobj, "the profile function"},
	{LT_PyThreadState_c_traceobj, "the trace function"},
	{LT_PyThreadState_async_gen_firstiter, "the hook for asynchronous generators"},
	{LT_PyThreadState_async_gen_finalizer, "the hook for asynchronous generators"},
	{LT_PyThreadState_context, "the current context"},
	{LT_PyThreadState_threading_local_key, "the key of thread-local values"},
	{LT_PyThreadState_threading_local_sentinel, "the sentinel of thread-local values"},
	{LT__PyThreadStateImpl_asyncio_running_loop, "the running event loop"},
	{LT__PyThreadStateImpl_asyncio_running_task, "the running task"},
};

static bool add(struct lt_roots *roots, struct lt_root root)
{
	return root.address == 0 || lt_root_list_push(&roots->list, root);
}

static bool add_thread(const struct lt_view *view, struct lt_roots *roots, uint32_t interpreter,
		       lt_addr thread)
{
	struct lt_root root = {.kind = LT_ROOT_THREAD, .interpreter = interpreter};
	for (size_t i = 0; i < sizeof(thread_members) / sizeof(thread_members[0]); i++) {
		root.address = lt_read_pointer(view, thread, thread_members[i].field);
		root.name = thread_members[i].name;
		if (!add(roots, root))
			return false;
	}
	static const enum lt_field parts[] = {LT__PyErr_StackItem_exc_type,
					      LT__PyErr_StackItem_exc_value,
					      LT__PyErr_StackItem_exc_traceback};
	lt_addr item = lt_read_pointer(view, thread, LT_PyThreadState_exc_info);
	for (int depth = 0; item != 0 && depth < EXCEPTION_DEPTH_MAX; depth++) {
		for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
			root.address = lt_read_pointer(view, item, parts[i]);
			root.name = "the exception being handled";
			if (!add(roots, root))
				return false;
		}
		item = lt_read_pointer(view, item, LT__PyErr_StackItem_previous_item);
	}
	return true;
}

/* CPython 3.12 and later: the interpreter keeps what belongs to static types (pycore_typeobject.h). */
static bool add_static_types(const struct lt_view *view, struct lt_roots *roots,
			     uint32_t interpreter, lt_addr address)
{
	const struct lt_layout *layout = view->layout;
	if (!lt_fact(layout, LT_FACT_static_type_state) ||
	    !lt_has(layout, LT_sizeof_managed_static_type_state))
		return true;
	static const struct {
		enum lt_field table;
		enum lt_fact room;
	} tables[] = {
		{LT_PyInterpreterState_types_builtins, LT_FACT_static_types_max},
		{LT_PyInterpreterState_types_for_extensions, LT_FACT_static_ext_types_max},
	};
	for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++) {
		int64_t room = lt_fact(layout, tables[t].room);
		if (!lt_has(layout, tables[t].table) || room <= 0 || room > STATIC_TYPES_MAX)
			continue;
		lt_addr entry = address + lt_off(layout, tables[t].table);
		for (int64_t i = 0; i < room;
		     i++, entry += lt_off(layout, LT_sizeof_managed_static_type_state)) {
			struct lt_root root = {.kind = LT_ROOT_TYPE, .interpreter = interpreter};
			root.address =
				lt_read_pointer(view, entry, LT_managed_static_type_state_tp_dict);
			root.name = "the dict of a static type";
			if (!add(roots, root))
				return false;
			root.address = lt_read_pointer(view, entry,
						       LT_managed_static_type_state_tp_subclasses);
			root.name = "the subclasses of a static type";
			if (!add(roots, root))
				return false;
		}
	}
	return true;
}

static bool add_interpreter(const struct lt_view *view, struct lt_roots *roots, uint32_t index)
{
	const struct lt_interpreter *interpreter = &roots->interpreters.data[index];
	struct lt_root root = {
		.kind = LT_ROOT_MODULES, .interpreter = index, .name = "sys.modules"};
	root.address =
		lt_read_pointer(view, interpreter->address, LT_PyInterpreterState_imports_modules);
	if (!add(roots, root))
		return false;
	root.kind = LT_ROOT_NAMED;
	root.address = interpreter->gc.garbage;
	root.name = "gc.garbage";
	if (!add(roots, root))
		return false;
	root.address = interpreter->gc.callbacks;
	root.name = "gc.callbacks";
	if (!add(roots, root))
		return false;
	root.kind = LT_ROOT_INTERPRETER;
	for (size_t i = 0; i < sizeof(interpreter_members) / sizeof(interpreter_members[0]); i++) {
		root.address =
			lt_read_pointer(view, interpreter->address, interpreter_members[i].field);
		root.name = interpreter_members[i].name;
		if (!add(roots, root))
			return false;
	}
	for (size_t t = 0; t < interpreter->thread_count; t++) {
		if (!add_thread(view, roots, index, interpreter->threads[t].address))
			return false;
	}
	return add_static_types(view, roots, index, interpreter->address);
}

/* The name of a local variable; each is kept once. NULL: no memory. */
static const char *variable_name(const struct lt_view *view, struct lt_roots *roots,
				 struct lt_map *names, const struct lt_frame *frame, uint32_t index)
{
	LT_CLEANUP(lt_text_deinit) struct lt_text text = {0};
	lt_addr name = lt_frame_local_name(view, frame->code, index);
	uint64_t key = name != 0 ? name : index, known;
	if (lt_map_get(names, key, &known))
		return (const char *)(uintptr_t)known;
	if (name == 0 || !lt_read_str(view, name, VARIABLE_CHARACTERS, &text))
		lt_text_addf(&text, "<local %" PRIu32 ">", index);
	const char *copy = lt_arena_copy(&roots->strings, lt_text_get(&text), text.length);
	return copy != NULL && lt_map_put(names, key, (uintptr_t)copy) ? copy : NULL;
}

/* `slots`: how many may still be looked at. */
static bool add_frame(const struct lt_view *view, struct lt_roots *roots, uint32_t index,
		      uint64_t *slots, struct lt_map *names)
{
	const struct lt_frame *frame = &roots->frames.data[index];
	if (frame->local_count + frame->stack_count > *slots) {
		view->session->unreadable++;
		return true;
	}
	*slots -= frame->local_count + frame->stack_count;
	for (uint32_t i = 0; i < frame->local_count + frame->stack_count; i++) {
		struct lt_root root = {
			.address = lt_frame_slot(view, frame, i),
			.kind = i < frame->local_count ? LT_ROOT_LOCAL : LT_ROOT_FRAME,
			.interpreter = frame->interpreter,
			.frame = index,
			.index = i,
			.name = i < frame->local_count ? "a local variable"
						       : "the evaluation stack",
		};
		if (root.address == 0)
			continue;
		if (root.kind == LT_ROOT_LOCAL) {
			root.variable = variable_name(view, roots, names, frame, i);
			if (root.variable == NULL)
				return false;
		}
		if (!add(roots, root))
			return false;
	}
	lt_addr held[LT_FRAME_HELD];
	size_t count = lt_frame_held(view, frame, held);
	for (size_t i = 0; i < count; i++) {
		struct lt_root root = {.address = held[i],
				       .kind = LT_ROOT_FRAME,
				       .interpreter = frame->interpreter,
				       .frame = index,
				       .name = "a running frame"};
		if (!add(roots, root))
			return false;
	}
	return true;
}

enum lt_status lt_roots_read(const struct lt_view *view, struct lt_roots *ret_roots)
{
	LT_CLEANUP(lt_roots_deinit) struct lt_roots roots = {0};
	LT_TRY(lt_interpreters_read(view, &roots.interpreters));
	LT_TRY(lt_frames_read(view, &roots.interpreters, &roots.strings, &roots.frames));
	for (size_t i = 0; i < roots.interpreters.count; i++) {
		if (!add_interpreter(view, &roots, (uint32_t)i))
			return lt_fail_memory(view->session);
	}
	uint64_t slots = SLOTS_MAX;
	LT_CLEANUP(lt_map_deinit) struct lt_map names = {0};
	for (size_t i = 0; i < roots.frames.count; i++) {
		if (!add_frame(view, &roots, (uint32_t)i, &slots, &names))
			return lt_fail_memory(view->session);
	}
	*ret_roots = roots;
	roots = (struct lt_roots){0};
	return LT_OK;
}

void lt_roots_deinit(struct lt_roots *roots)
{
	lt_interpreters_deinit(&roots->interpreters);
	lt_frames_deinit(&roots->frames);
	lt_root_list_deinit(&roots->list);
	lt_arena_deinit(&roots->strings);
	*roots = (struct lt_roots){0};
}
