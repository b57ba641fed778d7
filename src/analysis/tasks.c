#include "analysis/tasks.h"

#include "analysis/read.h"
#include "base/cleanup.h"

#include <string.h>

struct tasks {
	struct lt_picture *picture;
	struct lt_expressions *expressions;
};

const struct lt_root *lt_task_root(const struct lt_picture *picture, uint32_t node)
{
	uint64_t index;
	if (!lt_map_get(&picture->named, node, &index))
		return NULL;
	const struct lt_root *root = &picture->roots.list.data[index];
	return root->kind == LT_ROOT_ASYNCIO ? root : NULL;
}

static uint32_t member_of(const struct lt_picture *picture, uint32_t node, enum lt_member member)
{
	LT_CLEANUP(lt_refs_deinit) struct lt_refs refs = {0};
	lt_picture_refs(picture, node, &refs);
	for (size_t i = 0; i < refs.count; i++) {
		if (refs.data[i].kind == LT_REF_MEMBER && refs.data[i].index == (uint32_t)member)
			return lt_heap_graph_find(&picture->graph, refs.data[i].to);
	}
	return LT_NO_NODE;
}

uint32_t lt_task_code(const struct lt_picture *picture, uint32_t node)
{
	uint32_t coroutine = member_of(picture, node, LT_MEMBER_coroutine);
	return coroutine != LT_NO_NODE ? member_of(picture, coroutine, LT_MEMBER_frame_code)
				       : LT_NO_NODE;
}

bool lt_task_gap(const struct lt_ref *ref)
{
	return ref->kind == LT_REF_STACK || ref->kind == LT_REF_CONSERVATIVE ||
	       (ref->kind == LT_REF_MEMBER && ref->index != LT_MEMBER_coroutine &&
		ref->index != LT_MEMBER_instance_attributes &&
		lt_member_spelling((enum lt_member)ref->index)[0] == '<');
}

bool lt_task_root_gap(const struct lt_root *root)
{
	return root != NULL && root->kind != LT_ROOT_MODULES && root->kind != LT_ROOT_NAMED &&
	       root->kind != LT_ROOT_LOCAL && root->kind != LT_ROOT_ASYNCIO;
}

bool lt_task_start(struct lt_expressions *expressions, const struct lt_picture *picture,
		   const uint32_t *nodes, size_t within, const struct lt_root *root, size_t *ret_at)
{
	if (picture->named.count == 0 || within == 0)
		return false;
	size_t at = within;
	while (at > 0 && lt_task_root(picture, nodes[at - 1]) == NULL)
		at--;
	if (at == 0)
		return false;
	bool gap = lt_task_root_gap(root);
	for (size_t i = 0; !gap && i + 1 < at; i++) {
		struct lt_ref ref;
		gap = !lt_expression_ref(expressions, nodes[i], nodes[i + 1], &ref) ||
		      lt_task_gap(&ref);
	}
	if (gap)
		*ret_at = at - 1;
	return gap;
}

/* ---- Finding them ---- */

/* Its name: a str, or the number of one that asyncio names only when it is asked (3.12 and later). */
static const char *name_of(struct tasks *tasks, uint32_t node)
{
	const struct lt_picture *picture = tasks->picture;
	LT_CLEANUP(lt_text_deinit) struct lt_text text = {0};
	const struct lt_type *own = lt_picture_type(picture, node);
	uint32_t name =
		own != NULL && own->kind == LT_KIND_TASK
			? lt_heap_graph_find(&picture->graph,
					     lt_read_pointer(picture->view,
							     lt_picture_address(picture, node),
							     LT_TaskObj_task_name))
			: lt_expression_attribute(tasks->expressions, node, "_name");
	const struct lt_type *type = name != LT_NO_NODE ? lt_picture_type(picture, name) : NULL;
	int64_t number;
	if (type == NULL)
		return NULL;
	if (type->kind != LT_KIND_STR) {
		if (!lt_read_int(picture->view, lt_picture_address(picture, name), &number))
			return NULL;
		lt_text_addf(&text, "Task-%lld", (long long)number);
	} else if (!lt_picture_text(picture, name, LT_DETAIL_STRING, &text)) {
		return NULL;
	}
	return lt_arena_copy(&tasks->picture->roots.strings, lt_text_get(&text), text.length);
}

/* The sets keep what has ended as long as it lives. (Modules/_asynciomodule.c: STATE_PENDING is 0.) */
static bool has_ended(struct tasks *tasks, uint32_t node)
{
	const struct lt_picture *picture = tasks->picture;
	const struct lt_type *type = lt_picture_type(picture, node);
	if (type != NULL && type->kind == LT_KIND_TASK)
		return lt_read_int32(picture->view, lt_picture_address(picture, node),
				     LT_TaskObj_task_state) != 0;
	LT_CLEANUP(lt_text_deinit) struct lt_text text = {0};
	uint32_t state = lt_expression_attribute(tasks->expressions, node, "_state");
	return state != LT_NO_NODE && lt_picture_text(picture, state, LT_DETAIL_STRING, &text) &&
	       strcmp(lt_text_get(&text), "PENDING") != 0;
}

static bool add(struct tasks *tasks, uint32_t node, uint32_t interpreter, const char *name)
{
	struct lt_picture *picture = tasks->picture;
	if (node == LT_NO_NODE || lt_map_get(&picture->named, node, NULL) || has_ended(tasks, node))
		return true;
	struct lt_root root = {.address = lt_picture_address(picture, node),
			       .kind = LT_ROOT_ASYNCIO,
			       .interpreter = interpreter,
			       .name = name,
			       .variable = name_of(tasks, node)};
	return lt_map_put(&picture->named, node, picture->roots.list.count) &&
	       lt_root_list_push(&picture->roots.list, root);
}

/*
 * 3.14 and later (Modules/_asynciomodule.c, register_task()): a task is a link of a ring, whose head is in the
 * state of its thread, or in that of the interpreter once the thread has ended.
 */
static bool add_ring(struct tasks *tasks, lt_addr base, enum lt_field field, uint32_t interpreter,
		     const char *name)
{
	const struct lt_picture *picture = tasks->picture;
	const struct lt_view *view = picture->view;
	if (!lt_fact(view->layout, LT_FACT_task_rings) || !lt_has(view->layout, field) ||
	    !lt_has(view->layout, LT_TaskObj_task_node))
		return true;
	lt_addr head = base + lt_off(view->layout, field);
	lt_addr link = head;
	uint64_t steps = 0;
	while (lt_memory_u64(view->memory, link, &link) && link != 0 && link != head) {
		lt_addr task = link - lt_off(view->layout, LT_TaskObj_task_node);
		uint32_t node = lt_heap_graph_find(&picture->graph, task);
		if (steps++ >= picture->graph.graph.node_count || node == LT_NO_NODE) {
			view->session->unreadable++;
			return true;
		}
		if (!add(tasks, node, interpreter, name))
			return false;
	}
	return true;
}

/* A weakref.WeakSet: a set of weak references in its attribute `data`. */
static bool add_weak_set(struct tasks *tasks, uint32_t weak_set)
{
	const struct lt_picture *picture = tasks->picture;
	uint32_t data = weak_set != LT_NO_NODE
				? lt_expression_attribute(tasks->expressions, weak_set, "data")
				: LT_NO_NODE;
	const struct lt_type *type = data != LT_NO_NODE ? lt_picture_type(picture, data) : NULL;
	LT_CLEANUP(lt_refs_deinit) struct lt_refs refs = {0};
	if (type == NULL || type->kind != LT_KIND_SET)
		return true;
	lt_picture_refs(picture, data, &refs);
	for (size_t i = 0; i < refs.count; i++) {
		uint32_t reference = lt_heap_graph_find(&picture->graph, refs.data[i].to);
		type = reference != LT_NO_NODE ? lt_picture_type(picture, reference) : NULL;
		if (refs.data[i].kind != LT_REF_KEY || type == NULL ||
		    type->kind != LT_KIND_WEAKREF)
			continue;
		lt_addr task = lt_read_pointer(picture->view, refs.data[i].to,
					       LT_PyWeakReference_wr_object);
		if (!add(tasks, lt_heap_graph_find(&picture->graph, task), 0,
			 "a pending asyncio task"))
			return false;
	}
	return true;
}

/*
 * The sets of Lib/asyncio/tasks.py: of all tasks up to 3.11, of those that are scheduled in 3.12 and 3.13. Since
 * 3.12 one for the tasks of other classes is in the state of the module in C; since 3.14 it is the only one.
 */
static bool add_sets(struct tasks *tasks)
{
	static const char *const names[] = {"_all_tasks", "_scheduled_tasks"};
	const struct lt_picture *picture = tasks->picture;
	uint32_t module = lt_expression_module(tasks->expressions, "asyncio.tasks");
	for (size_t i = 0; module != LT_NO_NODE && i < sizeof(names) / sizeof(names[0]); i++) {
		if (!add_weak_set(tasks,
				  lt_expression_attribute(tasks->expressions, module, names[i])))
			return false;
	}
	module = lt_expression_module(tasks->expressions, "_asyncio");
	LT_CLEANUP(lt_refs_deinit) struct lt_refs refs = {0};
	if (module != LT_NO_NODE)
		lt_picture_refs(picture, module, &refs);
	for (size_t i = 0; i < refs.count; i++) {
		uint32_t to = lt_heap_graph_find(&picture->graph, refs.data[i].to);
		const struct lt_type *type = to != LT_NO_NODE ? lt_picture_type(picture, to) : NULL;
		if (type != NULL && strcmp(type->name, "WeakSet") == 0 && !add_weak_set(tasks, to))
			return false;
	}
	return true;
}

static bool find(struct tasks *tasks)
{
	const struct lt_interpreters *interpreters = &tasks->picture->roots.interpreters;
	for (size_t i = 0; i < interpreters->count; i++) {
		const struct lt_interpreter *interpreter = &interpreters->data[i];
		for (size_t t = 0; t < interpreter->thread_count; t++) {
			if (!add_ring(tasks, interpreter->threads[t].address,
				      LT__PyThreadStateImpl_asyncio_tasks_head, (uint32_t)i,
				      "a pending asyncio task"))
				return false;
		}
		if (!add_ring(tasks, interpreter->address, LT_PyInterpreterState_asyncio_tasks_head,
			      (uint32_t)i, "a pending asyncio task of a thread that has ended"))
			return false;
	}
	return add_sets(tasks);
}

enum lt_status lt_tasks_find(struct lt_picture *picture)
{
	struct tasks tasks = {.picture = picture};
	LT_TRY(lt_picture_place_roots(picture));
	LT_TRY(lt_expressions_create(picture, &tasks.expressions));
	bool found = find(&tasks);
	lt_expressions_destroy(tasks.expressions);
	return found ? LT_OK : lt_fail_memory(picture->session);
}
