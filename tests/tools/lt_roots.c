/*
 * lt_roots: the frames and roots that lowtide sees in a process, as JSON: for the live tests of src/analysis/.
 *
 *     lt_roots PID
 */
#include "analysis/open.h"
#include "analysis/read.h"
#include "analysis/roots.h"

#include <jansson.h>
#include <stdlib.h>

static json_t *text_json(struct lt_text *text)
{
	json_t *value = json_string(lt_text_get(text));
	lt_text_deinit(text);
	return value;
}

static json_t *frame_json(const struct lt_view *view, struct lt_types *types,
			  const struct lt_roots *roots, const struct lt_frame *frame)
{
	json_t *locals = json_object();
	for (uint32_t i = 0; i < frame->local_count; i++) {
		struct lt_text name = {0}, value = {0};
		if (lt_read_str(view, lt_frame_local_name(view, frame->code, i), 100, &name) &&
		    lt_read_literal(view, types, lt_frame_slot(view, frame, i, NULL), &value))
			json_object_set_new(locals, lt_text_get(&name), text_json(&value));
		lt_text_deinit(&name);
		lt_text_deinit(&value);
	}
	const struct lt_interpreter *interpreter = &roots->interpreters.data[frame->interpreter];
	return json_pack("{sIsisssssiso}", "thread_id",
			 (json_int_t)interpreter->threads[frame->thread].thread_id, "depth",
			 (int)frame->depth, "function", frame->function, "file", frame->file,
			 "line", frame->line, "locals", locals);
}

static enum lt_status print_roots(struct lt_look *look)
{
	struct lt_roots roots = {0};
	struct lt_types *types = NULL;
	LT_TRY(lt_roots_read(look->view, &roots));
	LT_TRY(lt_types_create(look->view, &types));
	json_t *frames = json_array(), *counts = json_object();
	for (size_t i = 0; i < roots.frames.count; i++)
		json_array_append_new(frames,
				      frame_json(look->view, types, &roots, &roots.frames.data[i]));
	int64_t count[LT_ROOT_KIND_COUNT] = {0};
	for (size_t i = 0; i < roots.list.count; i++)
		count[roots.list.data[i].kind]++;
	for (int k = 0; k < LT_ROOT_KIND_COUNT; k++)
		json_object_set_new(counts, lt_root_kind_name((enum lt_root_kind)k),
				    json_integer(count[k]));
	json_t *result = json_pack("{sososI}", "frames", frames, "roots", counts, "unreadable",
				   (json_int_t)look->session->unreadable);
	json_dumpf(result, stdout, JSON_INDENT(1));
	puts("");
	json_decref(result);
	lt_types_destroy(types);
	lt_roots_deinit(&roots);
	return LT_OK;
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	struct lt_session session;
	lt_session_init(&session);
	struct lt_look *look = NULL;
	const struct lt_look_options options = {.mode = LT_MODE_FORK};
	enum lt_status status = lt_look_open(&session, atoi(argv[1]), &options, &look);
	if (status == LT_OK) {
		status = print_roots(look);
		lt_look_close(look);
	}
	if (status != LT_OK)
		fprintf(stderr, "lt_roots: %s\n", session.message);
	lt_session_deinit(&session);
	return lt_status_exit_code(status);
}
