#include "analysis/gc_callbacks.h"

#include "analysis/read.h"
#include "base/cleanup.h"
#include "heap/types.h"

#include <string.h>

enum { CALLBACKS_MOST = 64, NAME_CHARACTERS = 200, PATH_CHARACTERS = 1000, WRAPPED_MOST = 4 };

static void close_types(struct lt_types **types)
{
	lt_types_destroy(*types);
}

lt_addr lt_gc_function_of(const struct lt_view *view, struct lt_types *types, lt_addr object,
			  const struct lt_type **ret_type)
{
	const struct lt_type *type = NULL;
	for (int i = 0; i < WRAPPED_MOST; i++) {
		type = lt_types_get(types, lt_read_pointer(view, object, LT_PyObject_ob_type));
		lt_addr inner = 0;
		if (type != NULL && type->kind == LT_KIND_METHOD)
			inner = lt_read_pointer(view, object, LT_PyMethodObject_im_func);
		else if (type != NULL && type->kind == LT_KIND_PARTIAL)
			inner = lt_read_pointer(view, object, LT_partialobject_fn);
		if (inner == 0)
			break;
		object = inner;
	}
	*ret_type = type;
	return object;
}

static void add_path(const struct lt_view *view, lt_addr file, bool redact, struct lt_text *text)
{
	LT_CLEANUP(lt_text_deinit) struct lt_text path = {0};
	const char *name = "?";
	if (lt_read_str(view, file, PATH_CHARACTERS, &path))
		name = lt_text_get(&path);
	const char *slash = redact ? strrchr(name, '/') : NULL;
	lt_text_add(text, slash != NULL ? slash + 1 : name);
}

static void add_function(const struct lt_view *view, lt_addr function, bool redact,
			 struct lt_text *text)
{
	lt_addr module = lt_read_pointer(view, function, LT_PyFunctionObject_func_module);
	lt_addr name = lt_read_pointer(view, function, LT_PyFunctionObject_func_qualname);
	lt_addr code = lt_read_pointer(view, function, LT_PyFunctionObject_func_code);
	lt_addr file = lt_read_pointer(view, code, LT_PyCodeObject_co_filename);
	if (lt_read_str(view, module, NAME_CHARACTERS, text))
		lt_text_add(text, ".");
	if (!lt_read_str(view, name, NAME_CHARACTERS, text))
		lt_text_add(text, "?");
	lt_text_add(text, " (");
	add_path(view, file, redact, text);
	lt_text_addf(text, ":%d)", lt_read_int32(view, code, LT_PyCodeObject_co_firstlineno));
}

static void add_name(const struct lt_view *view, struct lt_types *types, lt_addr object,
		     bool redact, struct lt_text *text)
{
	const struct lt_type *type = NULL;
	lt_addr function = lt_gc_function_of(view, types, object, &type);
	if (type == NULL)
		lt_text_add(text, "?");
	else if (type->kind == LT_KIND_FUNCTION)
		add_function(view, function, redact, text);
	else
		lt_text_addf(text, "an object of %s.%s", type->module, type->name);
}

enum lt_status lt_gc_callbacks_read(const struct lt_view *view, lt_addr list,
				    struct lt_gc_recording *recording)
{
	LT_CLEANUP(close_types) struct lt_types *types = NULL;
	uint64_t count = lt_read_size(view, list);
	lt_addr items = lt_read_pointer(view, list, LT_PyListObject_ob_item);
	if (count > CALLBACKS_MOST)
		count = CALLBACKS_MOST;
	if (count == 0 || items == 0)
		return LT_OK;
	LT_TRY(lt_types_create(view, &types));
	LT_FREE const char **names = calloc((size_t)count, sizeof(*names));
	if (names == NULL)
		return lt_fail_memory(view->session);
	size_t found = 0;
	for (uint64_t i = 0; i < count; i++) {
		lt_addr object = 0;
		LT_CLEANUP(lt_text_deinit) struct lt_text text = {0};
		if (!lt_memory_u64(view->memory, items + 8 * i, &object))
			break;
		add_name(view, types, object, recording->redacted, &text);
		names[found] = lt_arena_copy(&recording->strings, lt_text_get(&text), text.length);
		if (text.failed || names[found++] == NULL)
			return lt_fail_memory(view->session);
	}
	recording->callbacks = LT_TAKE(names);
	recording->callback_count = found;
	return LT_OK;
}
