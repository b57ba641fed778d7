#include "analysis/roots.h"

#include "analysis/read.h"
#include "base/cleanup.h"
#include "base/map.h"

#include <inttypes.h>
#include <stdio.h>

enum {
	EXCEPTION_DEPTH_MAX = 1000,
	STATIC_TYPES_MAX = 4096,
	ATEXIT_MAX = 1 << 16,
	IDENTIFIERS_MAX = 1 << 16,
	SLOTS_MAX = 1 << 23, /* of all frames together */
	VARIABLE_CHARACTERS = 200,
};

struct member {
	enum lt_field field;
	const char *name;
};

static const struct member interpreter_members[] = {
	{LT_PyInterpreterState_sysdict, "the dict of sys"},
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
	{LT_PyThreadState_async_exc, "an exception sent to the thread"},
	{LT_PyThreadState_curexc_type, "the exception being raised"},
	{LT_PyThreadState_curexc_value, "the exception being raised"},
	{LT_PyThreadState_curexc_traceback, "the exception being raised"},
	{LT_PyThreadState_current_exception, "the exception being raised"},
	{LT_PyThreadState_c_profileobj, "the profile function"},
	{LT_PyThreadState_c_traceobj, "the trace function"},
	{LT_PyThreadState_async_gen_firstiter, "the hook for asynchronous generators"},
	{LT_PyThreadState_async_gen_finalizer, "the hook for asynchronous generators"},
	{LT_PyThreadState_threading_local_key, "the key of thread-local values"},
	{LT_PyThreadState_threading_local_sentinel, "the sentinel of thread-local values"},
};

static const char *const kind_names[LT_ROOT_KIND_COUNT] = {
	[LT_ROOT_MODULES] = "modules",      [LT_ROOT_BUILTINS] = "builtins",
	[LT_ROOT_LOCAL] = "local",          [LT_ROOT_FRAME] = "frame",
	[LT_ROOT_NAMED] = "named",          [LT_ROOT_INTERPRETER] = "interpreter",
	[LT_ROOT_THREAD] = "thread",        [LT_ROOT_THREAD_LOCAL] = "thread-local",
	[LT_ROOT_CONTEXT] = "context",      [LT_ROOT_TASK] = "task",
	[LT_ROOT_ASYNCIO] = "asyncio-task", [LT_ROOT_LOCAL_VALUES] = "thread-local-values",
	[LT_ROOT_ATEXIT] = "atexit",        [LT_ROOT_TYPE] = "type",
	[LT_ROOT_STATE] = "state",          [LT_ROOT_STATIC] = "static",
	[LT_ROOT_STACK] = "stack",          [LT_ROOT_EXTERNAL] = "unexplained",
};

const char *lt_root_kind_name(enum lt_root_kind kind)
{
	return (unsigned)kind < LT_ROOT_KIND_COUNT ? kind_names[kind] : "";
}

static bool add(struct lt_roots *roots, struct lt_root root)
{
	return root.address == 0 || lt_root_list_push(&roots->list, root);
}

/* What the member `field` of a C struct at `base` holds: an owned reference, with `root` saying the rest. */
static bool add_member(const struct lt_view *view, struct lt_roots *roots, lt_addr base,
		       enum lt_field field, struct lt_root root)
{
	if (base == 0 || !lt_has(view->layout, field))
		return true;
	root.at = base + lt_off(view->layout, field);
	root.address = lt_read_pointer(view, base, field);
	root.count = 1;
	return add(roots, root);
}

void lt_thread_add(struct lt_text *text, const struct lt_thread *thread)
{
	lt_text_add(text, thread->ended ? "the ended thread " : "thread ");
	if (thread->native_id != 0)
		lt_text_addf(text, "%d", (int)thread->native_id);
	else
		lt_text_addf(text, "%" PRIu64, thread->thread_id);
}

/* "the context variables of thread 1234". */
static const char *of_thread(struct lt_roots *roots, const char *what,
			     const struct lt_thread *thread)
{
	LT_CLEANUP(lt_text_deinit) struct lt_text text = {0};
	lt_text_addf(&text, "%s of ", what);
	lt_thread_add(&text, thread);
	const char *copy = lt_arena_copy(&roots->strings, lt_text_get(&text), text.length);
	return copy != NULL ? copy : what;
}

/* The innermost exceptions being handled; those of generators belong to them (pycore: exc_state). */
static bool add_exceptions(const struct lt_view *view, struct lt_roots *roots, lt_addr thread,
			   struct lt_root root)
{
	static const enum lt_field parts[] = {LT__PyErr_StackItem_exc_type,
					      LT__PyErr_StackItem_exc_value,
					      LT__PyErr_StackItem_exc_traceback};
	lt_addr item = lt_read_pointer(view, thread, LT_PyThreadState_exc_info);
	lt_addr own = lt_has(view->layout, LT_PyThreadState_exc_state)
			      ? thread + lt_off(view->layout, LT_PyThreadState_exc_state)
			      : item;
	root.name = "the exception being handled";
	for (int depth = 0; item != 0 && depth < EXCEPTION_DEPTH_MAX; depth++) {
		for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
			root.address = lt_read_pointer(view, item, parts[i]);
			root.count = item == own ? 1 : 0;
			root.at = item + (lt_has(view->layout, parts[i])
						  ? lt_off(view->layout, parts[i])
						  : 0);
			if (!add(roots, root))
				return false;
		}
		item = lt_read_pointer(view, item, LT__PyErr_StackItem_previous_item);
	}
	return true;
}

static bool add_thread(const struct lt_view *view, struct lt_roots *roots, uint32_t interpreter,
		       uint32_t index)
{
	const struct lt_thread *thread = &roots->interpreters.data[interpreter].threads[index];
	static const struct {
		enum lt_field field;
		enum lt_root_kind kind;
		const char *what;
	} named[] = {
		{LT_PyThreadState_dict, LT_ROOT_THREAD_LOCAL, "the thread-local values"},
		{LT_PyThreadState_context, LT_ROOT_CONTEXT, "the context variables"},
		{LT__PyThreadStateImpl_asyncio_running_loop, LT_ROOT_TASK,
		 "the running event loop"},
		{LT__PyThreadStateImpl_asyncio_running_task, LT_ROOT_TASK, "the running task"},
	};
	struct lt_root root = {.interpreter = interpreter};
	for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++) {
		root.kind = named[i].kind;
		if (lt_read_pointer(view, thread->address, named[i].field) == 0)
			continue;
		root.name = of_thread(roots, named[i].what, thread);
		root.index = index;
		if (!add_member(view, roots, thread->address, named[i].field, root))
			return false;
	}
	root.kind = LT_ROOT_THREAD;
	for (size_t i = 0; i < sizeof(thread_members) / sizeof(thread_members[0]); i++) {
		root.name = thread_members[i].name;
		if (!add_member(view, roots, thread->address, thread_members[i].field, root))
			return false;
	}
	return add_exceptions(view, roots, thread->address, root);
}

/*
 * Modules/atexitmodule.c, 3.10 to 3.13: an array of pointers to (function, arguments, keywords). Later
 * releases have a list. In 3.9 they are in the module's state, whose words lead to memory of their own.
 */
static bool add_atexit(const struct lt_view *view, struct lt_roots *roots, uint32_t interpreter,
		       lt_addr address)
{
	const struct lt_layout *layout = view->layout;
	int64_t words = lt_fact(layout, LT_FACT_atexit_callback_words);
	struct lt_root root = {.kind = LT_ROOT_ATEXIT,
			       .interpreter = interpreter,
			       .name = "the functions of atexit.register()"};
	if (words == 0)
		return add_member(view, roots, address, LT_PyInterpreterState_atexit_callbacks,
				  root);
	lt_addr array = lt_read_pointer(view, address, LT_PyInterpreterState_atexit_callbacks);
	int32_t count = lt_read_int32(view, address, LT_PyInterpreterState_atexit_ncallbacks);
	if (array == 0 || count < 0 || count > ATEXIT_MAX || words > 8)
		return true;
	for (int32_t i = 0; i < count; i++) {
		lt_addr callback = 0;
		if (!lt_memory_u64(view->memory, array + 8 * (uint64_t)i, &callback) ||
		    callback == 0)
			continue;
		for (int64_t w = 0; w < words; w++) {
			root.at = callback + 8 * (uint64_t)w;
			root.count = 1;
			if (lt_memory_u64(view->memory, root.at, &root.address) &&
			    root.address % 8 == 0 && !add(roots, root))
				return false;
		}
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

/* Objects/unicodeobject.c: _PyUnicode_FromId: strings that C code names its attributes by. */
static bool add_identifiers(const struct lt_view *view, struct lt_roots *roots,
			    uint32_t interpreter, lt_addr address)
{
	lt_addr array = lt_read_pointer(view, address, LT_PyInterpreterState_unicode_ids_array);
	int64_t count = lt_read_word(view, address, LT_PyInterpreterState_unicode_ids_size);
	if (array == 0 || count < 0 || count > IDENTIFIERS_MAX)
		return true;
	for (int64_t i = 0; i < count; i++) {
		struct lt_root root = {.kind = LT_ROOT_INTERPRETER,
				       .interpreter = interpreter,
				       .at = array + 8 * (uint64_t)i,
				       .count = 1,
				       .name = "the identifiers of C code"};
		if (lt_memory_u64(view->memory, root.at, &root.address) && !add(roots, root))
			return false;
	}
	return true;
}

static bool add_interpreter(const struct lt_view *view, struct lt_roots *roots, uint32_t index)
{
	const struct lt_interpreter *interpreter = &roots->interpreters.data[index];
	lt_addr address = interpreter->address;
	struct lt_root root = {
		.kind = LT_ROOT_MODULES, .interpreter = index, .name = "sys.modules"};
	if (!add_member(view, roots, address, LT_PyInterpreterState_imports_modules, root))
		return false;
	root.kind = LT_ROOT_BUILTINS;
	root.name = "the dict of builtins";
	if (!add_member(view, roots, address, LT_PyInterpreterState_builtins, root))
		return false;
	lt_addr gc = lt_has(view->layout, LT_PyInterpreterState_gc)
			     ? address + lt_off(view->layout, LT_PyInterpreterState_gc)
			     : 0;
	root.kind = LT_ROOT_NAMED;
	root.name = "gc.garbage";
	if (!add_member(view, roots, gc, LT__gc_runtime_state_garbage, root))
		return false;
	root.name = "gc.callbacks";
	if (!add_member(view, roots, gc, LT__gc_runtime_state_callbacks, root))
		return false;
	root.kind = LT_ROOT_INTERPRETER;
	for (size_t i = 0; i < sizeof(interpreter_members) / sizeof(interpreter_members[0]); i++) {
		root.name = interpreter_members[i].name;
		if (!add_member(view, roots, address, interpreter_members[i].field, root))
			return false;
	}
	for (size_t t = 0; t < interpreter->thread_count; t++) {
		if (!add_thread(view, roots, index, (uint32_t)t))
			return false;
	}
	return add_atexit(view, roots, index, address) &&
	       add_identifiers(view, roots, index, address) &&
	       add_static_types(view, roots, index, address);
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
		bool counted = false;
		struct lt_root root = {
			.address = lt_frame_slot(view, frame, i, &counted),
			.at = frame->slots + 8 * (uint64_t)i,
			.count = counted && frame->owns ? 1 : 0,
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
	struct lt_frame_held held[LT_FRAME_HELD];
	size_t count = lt_frame_held(view, frame, held);
	for (size_t i = 0; i < count; i++) {
		struct lt_root root = {.address = held[i].object,
				       .at = held[i].at,
				       .count = held[i].counted ? 1 : 0,
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
