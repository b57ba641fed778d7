#include "analysis/threads.h"

#include "analysis/expression.h"
#include "analysis/read.h"
#include "base/cleanup.h"

enum { THREAD_BITS = 32 };

struct threads {
	struct lt_picture *picture;
	struct lt_expressions *expressions;
	struct lt_map by_id; /* thread_id -> the first thread of the main interpreter that has it */
	struct lt_map names; /* thread_id -> const char *, of the main interpreter */
	struct lt_map
		owners; /* object that stands for a thread in a threading.local() -> interpreter and thread */
};

const struct lt_root *lt_local_values_root(const struct lt_picture *picture, uint32_t node)
{
	uint64_t index;
	if (!lt_map_get(&picture->named, node, &index))
		return NULL;
	const struct lt_root *root = &picture->roots.list.data[index];
	return root->kind == LT_ROOT_LOCAL_VALUES ? root : NULL;
}

static const struct lt_type *type_of(const struct lt_picture *picture, uint32_t node)
{
	return node != LT_NO_NODE ? lt_picture_type(picture, node) : NULL;
}

static bool is_kind(const struct lt_picture *picture, uint32_t node, enum lt_kind kind)
{
	const struct lt_type *type = type_of(picture, node);
	return type != NULL && type->kind == kind;
}

/* ---- Names ---- */

static const struct lt_thread *thread_with(const struct threads *threads, uint64_t thread_id)
{
	const struct lt_interpreter *main = &threads->picture->roots.interpreters.data[0];
	uint64_t index;
	return lt_map_get(&threads->by_id, thread_id, &index) ? &main->threads[index] : NULL;
}

/* A threading.Thread that threading._active has under `key`; an ended one may have the place of a living one. */
static bool take_name(struct threads *threads, lt_addr key, uint32_t object)
{
	struct lt_picture *picture = threads->picture;
	LT_CLEANUP(lt_text_deinit) struct lt_text text = {0};
	int64_t id = 0, native = 0;
	if (!lt_read_int(picture->view, key, &id) || object == LT_NO_NODE)
		return true;
	uint32_t name = lt_expression_attribute(threads->expressions, object, "_name");
	uint32_t number = lt_expression_attribute(threads->expressions, object, "_native_id");
	const struct lt_thread *thread = thread_with(threads, (uint64_t)id);
	if (!is_kind(picture, name, LT_KIND_STR) || thread == NULL ||
	    !lt_picture_text(picture, name, LT_DETAIL_STRING, &text))
		return true;
	if (number != LT_NO_NODE && thread->native_id != 0 &&
	    lt_read_int(picture->view, lt_picture_address(picture, number), &native) &&
	    native != thread->native_id)
		return true;
	const char *copy = lt_arena_copy(&picture->roots.strings, lt_text_get(&text), text.length);
	return copy != NULL && lt_map_put(&threads->names, (uint64_t)id, (uintptr_t)copy);
}

static bool find_names(struct threads *threads)
{
	const struct lt_picture *picture = threads->picture;
	const struct lt_interpreter *main = &picture->roots.interpreters.data[0];
	for (size_t t = 0; t < main->thread_count; t++) {
		if (lt_map_at(&threads->by_id, main->threads[t].thread_id, t) == NULL)
			return false;
	}
	uint32_t module = lt_expression_module(threads->expressions, "threading");
	uint32_t active = module != LT_NO_NODE
				  ? lt_expression_attribute(threads->expressions, module, "_active")
				  : LT_NO_NODE;
	LT_CLEANUP(lt_refs_deinit) struct lt_refs refs = {0};
	if (!is_kind(picture, active, LT_KIND_DICT))
		return true;
	lt_picture_refs(picture, active, &refs);
	for (size_t i = 0; i < refs.count && i < LT_THREADS_MAX; i++) {
		if (refs.data[i].kind == LT_REF_VALUE &&
		    !take_name(threads, refs.data[i].name,
			       lt_heap_graph_find(&picture->graph, refs.data[i].to)))
			return false;
	}
	return true;
}

static const char *name_of(const struct threads *threads, uint32_t interpreter, uint32_t index)
{
	const struct lt_interpreter *one = &threads->picture->roots.interpreters.data[interpreter];
	const struct lt_thread *thread = &one->threads[index];
	uint64_t name;
	/* Two states with one id: the thread of one of them has ended, and its name is not known. */
	if (interpreter != 0 || thread_with(threads, thread->thread_id) != thread ||
	    !lt_map_get(&threads->names, thread->thread_id, &name))
		return NULL;
	return (const char *)(uintptr_t)name;
}

static void name_roots(struct threads *threads)
{
	struct lt_roots *roots = &threads->picture->roots;
	for (size_t r = 0; r < roots->list.count; r++) {
		struct lt_root *root = &roots->list.data[r];
		if (root->kind == LT_ROOT_THREAD_LOCAL || root->kind == LT_ROOT_CONTEXT ||
		    root->kind == LT_ROOT_TASK)
			root->variable = name_of(threads, root->interpreter, root->index);
	}
}

/* ---- threading.local() ---- */

static bool own(struct threads *threads, lt_addr object, size_t interpreter, size_t thread)
{
	return object == 0 ||
	       lt_map_put(&threads->owners, object, (uint64_t)interpreter << THREAD_BITS | thread);
}

/*
 * Modules/_threadmodule.c: up to 3.12 the dict of a thread keeps an object of its own for each threading.local(), and
 * that keeps a weak reference to it beside the values; later the state of the thread has one object for all.
 */
static bool find_owners(struct threads *threads)
{
	const struct lt_picture *picture = threads->picture;
	const struct lt_interpreters *interpreters = &picture->roots.interpreters;
	LT_CLEANUP(lt_refs_deinit) struct lt_refs refs = {0};
	for (size_t i = 0; i < interpreters->count; i++) {
		for (size_t t = 0; t < interpreters->data[i].thread_count; t++) {
			lt_addr state = interpreters->data[i].threads[t].address;
			if (!own(threads,
				 lt_read_pointer(picture->view, state,
						 LT_PyThreadState_threading_local_key),
				 i, t) ||
			    !own(threads,
				 lt_read_pointer(picture->view, state,
						 LT_PyThreadState_threading_local_sentinel),
				 i, t))
				return false;
			lt_addr dict = lt_read_pointer(picture->view, state, LT_PyThreadState_dict);
			uint32_t node = lt_heap_graph_find(&picture->graph, dict);
			refs.count = 0;
			if (is_kind(picture, node, LT_KIND_DICT))
				lt_picture_refs(picture, node, &refs);
			for (size_t r = 0; r < refs.count; r++) {
				if (refs.data[r].kind == LT_REF_VALUE &&
				    !own(threads, refs.data[r].to, i, t))
					return false;
			}
		}
	}
	return true;
}

/* Whose values these are: by the key, or what it refers to weakly. */
static bool owner_of(const struct threads *threads, lt_addr key, uint64_t *ret_owner)
{
	const struct lt_picture *picture = threads->picture;
	uint32_t node = lt_heap_graph_find(&picture->graph, key);
	return lt_map_get(&threads->owners, key, ret_owner) ||
	       (is_kind(picture, node, LT_KIND_WEAKREF) &&
		lt_map_get(&threads->owners,
			   lt_read_pointer(picture->view, key, LT_PyWeakReference_wr_object),
			   ret_owner));
}

static bool add_values(struct threads *threads, const struct lt_ref *ref)
{
	struct lt_picture *picture = threads->picture;
	uint32_t node = lt_heap_graph_find(&picture->graph, ref->to);
	uint64_t owner;
	if (!is_kind(picture, node, LT_KIND_DICT) || !owner_of(threads, ref->name, &owner) ||
	    lt_map_get(&picture->named, node, NULL))
		return true;
	uint32_t interpreter = (uint32_t)(owner >> THREAD_BITS), thread = (uint32_t)owner;
	LT_CLEANUP(lt_text_deinit) struct lt_text text = {0};
	lt_thread_add(&text, &picture->roots.interpreters.data[interpreter].threads[thread]);
	const char *name = lt_arena_copy(&picture->roots.strings, lt_text_get(&text), text.length);
	struct lt_root root = {.address = ref->to,
			       .kind = LT_ROOT_LOCAL_VALUES,
			       .interpreter = interpreter,
			       .index = thread,
			       .name = name,
			       .variable = name_of(threads, interpreter, thread)};
	return name != NULL && lt_map_put(&picture->named, node, picture->roots.list.count) &&
	       lt_root_list_push(&picture->roots.list, root);
}

static bool find_values(struct threads *threads)
{
	const struct lt_picture *picture = threads->picture;
	LT_CLEANUP(lt_refs_deinit) struct lt_refs refs = {0};
	LT_CLEANUP(lt_refs_deinit) struct lt_refs values = {0};
	uint32_t type_count = lt_types_count(picture->types), wanted = 0;
	LT_FREE uint8_t *is_local = calloc((size_t)type_count + 1, 1);
	if (is_local == NULL)
		return false;
	for (uint32_t t = 0; t < type_count; t++) {
		is_local[t] = lt_types_at(picture->types, t)->kind == LT_KIND_THREAD_LOCAL;
		wanted += is_local[t];
	}
	uint32_t nodes = wanted > 0 ? picture->graph.graph.node_count : 0;
	for (uint32_t node = 0; node < nodes; node++) {
		uint32_t type = lt_heap_graph_type(&picture->graph, node);
		if (type >= type_count || !is_local[type])
			continue;
		refs.count = 0;
		lt_picture_refs(picture, node, &refs);
		for (size_t i = 0; i < refs.count; i++) {
			if (refs.data[i].kind != LT_REF_MEMBER ||
			    refs.data[i].index != LT_MEMBER_local_dicts)
				continue;
			values.count = 0;
			lt_picture_refs(picture,
					lt_heap_graph_find(&picture->graph, refs.data[i].to),
					&values);
			for (size_t v = 0; v < values.count; v++) {
				if (values.data[v].kind == LT_REF_VALUE &&
				    !add_values(threads, &values.data[v]))
					return false;
			}
		}
	}
	return true;
}

enum lt_status lt_threads_find(struct lt_picture *picture)
{
	struct threads threads = {.picture = picture};
	if (picture->roots.interpreters.count == 0)
		return LT_OK;
	LT_TRY(lt_expressions_create(picture, &threads.expressions));
	bool found = find_names(&threads) && find_owners(&threads) && find_values(&threads);
	name_roots(&threads);
	lt_expressions_destroy(threads.expressions);
	lt_map_deinit(&threads.by_id);
	lt_map_deinit(&threads.names);
	lt_map_deinit(&threads.owners);
	return found ? LT_OK : lt_fail_memory(picture->session);
}
