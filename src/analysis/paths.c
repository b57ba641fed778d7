#include "analysis/paths.h"

#include "analysis/paths_parts.h"
#include "analysis/pick.h"
#include "analysis/subject.h"
#include "analysis/tasks.h"
#include "analysis/ways.h"
#include "analysis/weights.h"
#include "base/cleanup.h"

#include <string.h>

enum {
	OBJECT_TOP = 5,
	TYPE_TOP = 10,
	CHAIN_MOST = 1 << 20, /* nodes of a way that are written */
};

void lt_paths_deinit(struct lt_paths *paths)
{
	lt_path_list_deinit(&paths->list);
	lt_arena_deinit(&paths->strings);
	*paths = (struct lt_paths){0};
}

const char *lt_path_keep(struct lt_paths *paths, const char *text)
{
	const char *copy = lt_arena_copy(&paths->strings, text, strlen(text));
	return copy != NULL ? copy : "";
}

enum lt_status lt_path_write(const struct lt_picture *picture, struct lt_expressions *expressions,
			     const uint32_t *nodes, size_t count, const struct lt_root *root,
			     bool general, struct lt_paths *paths, struct lt_path *path)
{
	LT_CLEANUP(lt_text_deinit) struct lt_text text = {0};
	LT_CLEANUP(lt_text_deinit) struct lt_text where = {0};
	if (root == NULL)
		root = lt_picture_root(picture, nodes[0]);
	size_t task;
	if (lt_task_start(expressions, picture, nodes, count - 1, root, &task)) {
		nodes += task;
		count -= task;
		root = lt_task_root(picture, nodes[0]);
	}
	lt_expression_write_way(expressions, nodes, count, root, general, &text, &where);
	path->root_kind = root != NULL ? lt_root_kind_name(root->kind) : "";
	path->expression = lt_path_keep(paths, lt_text_get(&text));
	path->where = lt_path_keep(paths, lt_text_get(&where));
	/* Of a way that is too long the first steps and the object itself. */
	path->step_count = count <= LT_PATH_STEPS_MOST ? count : LT_PATH_STEPS_MOST;
	path->steps_left = count - path->step_count;
	path->steps = lt_arena_alloc(&paths->strings, path->step_count * sizeof(*path->steps));
	if (path->steps == NULL)
		return lt_fail_memory(picture->session);
	for (size_t i = 0; i < path->step_count; i++) {
		size_t at = i + 1 < path->step_count ? i : count - 1;
		lt_text_clear(&text);
		if (at == 0)
			lt_text_add(&text, root != NULL && root->name != NULL ? root->name : "");
		else
			lt_expression_label(expressions, nodes[at - 1], nodes[at], &text);
		path->steps[i].label = lt_path_keep(paths, lt_text_get(&text));
		lt_text_clear(&text);
		lt_node_type_add(&text, picture, nodes[at]);
		path->steps[i].type = lt_path_keep(paths, lt_text_get(&text));
		path->steps[i].address = lt_picture_address(picture, nodes[at]);
	}
	return LT_OK;
}

bool lt_path_chain(const struct lt_picture *picture, uint32_t node, struct lt_path_nodes *ret_nodes)
{
	uint64_t length = 1;
	for (uint32_t at = node; picture->parent[at] != LT_GRAPH_NONE; at = picture->parent[at])
		length++;
	/* Of a way longer than that its start; the object itself ends it. */
	uint64_t cut = length > CHAIN_MOST ? length - CHAIN_MOST : 0;
	size_t count = (size_t)(length - cut);
	if (!lt_path_nodes_reserve(ret_nodes, count))
		return false;
	ret_nodes->count = count;
	uint32_t at = node;
	ret_nodes->data[--count] = node;
	for (uint64_t i = 0; i < cut; i++)
		at = picture->parent[at];
	while (count > 0) {
		at = picture->parent[at];
		ret_nodes->data[--count] = at;
	}
	return true;
}

/* The objects of one general way. */
struct group {
	uint32_t way;
	uint32_t example;
	uint64_t count, bytes, retained;
};

static int by_count(const void *left, const void *right)
{
	const struct group *a = left, *b = right;
	if (a->count != b->count)
		return a->count < b->count ? 1 : -1;
	return a->way < b->way ? -1 : a->way > b->way;
}

struct members {
	const uint8_t *wanted;
	const struct lt_ways *ways;
};

static uint32_t group_of(const void *ctx, uint32_t node)
{
	const struct members *members = ctx;
	return members->wanted[node] == 1 ? members->ways->of[node] : LT_NO_NODE;
}

static enum lt_status count_groups(const struct lt_picture *picture, const struct members *members,
				   struct group *groups)
{
	const struct lt_ways *ways = members->ways;
	LT_FREE uint64_t *retained = NULL;
	LT_TRY(lt_weights_of_groups(picture, group_of, members, (uint32_t)ways->list.count,
				    &retained));
	for (size_t i = 0; i < ways->list.count; i++)
		groups[i] = (struct group){.way = (uint32_t)i,
					   .example = ways->list.data[i].example,
					   .retained = retained[i]};
	for (uint32_t node = 0; node < picture->graph.graph.node_count; node++) {
		if (members->wanted[node] != 1)
			continue;
		struct group *group = &groups[ways->of[node]];
		group->count++;
		group->bytes += lt_heap_graph_size(&picture->graph, node);
	}
	return LT_OK;
}

static bool is_repeated(const struct lt_ways *ways, uint32_t way)
{
	while (way != LT_NO_WAY && !ways->list.data[way].repeats)
		way = ways->list.data[way].above;
	return way != LT_NO_WAY;
}

/* Groups that read alike (two namespaces of the same name, ...) are one to a user. */
static struct lt_path *find_alike(struct lt_paths *paths, const struct lt_path *path)
{
	for (size_t i = 0; i < paths->list.count; i++) {
		struct lt_path *other = &paths->list.data[i];
		if (strcmp(other->expression, path->expression) == 0 &&
		    strcmp(other->root_kind, path->root_kind) == 0)
			return other;
	}
	return NULL;
}

static enum lt_status write_groups(const struct lt_picture *picture,
				   struct lt_expressions *expressions, const struct lt_ways *ways,
				   const struct group *groups, size_t top, struct lt_paths *paths)
{
	for (size_t i = 0; i < ways->list.count && groups[i].count > 0; i++) {
		const struct group *group = &groups[i];
		struct lt_path path = {.count = group->count,
				       .bytes = group->bytes,
				       .retained = group->retained,
				       .repeats = is_repeated(ways, group->way),
				       .address = lt_picture_address(picture, group->example)};
		struct lt_path *alike = NULL;
		/* Beyond the rows that are shown a group is looked at only as long as it may join one. */
		if (i < 4 * top) {
			LT_CLEANUP(lt_path_nodes_deinit) struct lt_path_nodes chain = {0};
			LT_CLEANUP(lt_text_deinit) struct lt_text text = {0};
			if (!lt_path_chain(picture, group->example, &chain))
				return lt_fail_memory(picture->session);
			LT_TRY(lt_path_write(picture, expressions, chain.data, chain.count, NULL,
					     true, paths, &path));
			lt_expression_write(expressions, group->example, &text, NULL);
			path.example = lt_path_keep(paths, lt_text_get(&text));
			alike = find_alike(paths, &path);
		}
		if (alike != NULL) {
			alike->count += path.count;
			alike->bytes += path.bytes;
			alike->retained += path.retained;
		} else if (paths->list.count < top) {
			if (!lt_path_list_push(&paths->list, path))
				return lt_fail_memory(picture->session);
		} else {
			paths->more++;
			paths->more_count += path.count;
		}
	}
	for (size_t i = 0; i < paths->list.count; i++)
		paths->list.data[i].share =
			(double)paths->list.data[i].count / (double)paths->count;
	return LT_OK;
}

static enum lt_status paths_of_type(struct lt_subject *subject, struct lt_expressions *expressions,
				    const struct lt_picked *picked, size_t top,
				    struct lt_paths *paths)
{
	const struct lt_picture *picture = &subject->picture;
	uint32_t nodes = picture->graph.graph.node_count;
	uint32_t types = lt_types_count(picture->types);
	LT_FREE uint8_t *wanted = calloc((size_t)nodes + 1, 1);
	if (wanted == NULL)
		return lt_fail_memory(subject->session);
	for (uint32_t node = 0; node < nodes; node++) {
		uint32_t type = lt_heap_graph_type(&picture->graph, node);
		if (type >= types || !picked->of_type[type])
			continue;
		if (!picture->alive[node]) {
			paths->dead++;
			continue;
		}
		wanted[node] = 1;
		paths->count++;
		paths->bytes += lt_heap_graph_size(&picture->graph, node);
	}
	LT_CLEANUP(lt_ways_deinit) struct lt_ways ways = {0};
	LT_TRY(lt_ways_find(picture, wanted, &ways));
	LT_TRY(lt_subject_picture(subject, LT_PICTURE_WEIGHED));
	LT_FREE struct group *groups = calloc(ways.list.count + 1, sizeof(*groups));
	if (groups == NULL)
		return lt_fail_memory(subject->session);
	const struct members members = {.wanted = wanted, .ways = &ways};
	LT_TRY(count_groups(picture, &members, groups));
	qsort(groups, ways.list.count, sizeof(*groups), by_count);
	return write_groups(picture, expressions, &ways, groups, top, paths);
}

static void destroy_expressions(struct lt_expressions **expressions)
{
	lt_expressions_destroy(*expressions);
}

static enum lt_status take(struct lt_subject *subject, const char *what, size_t top,
			   struct lt_paths *paths)
{
	struct lt_picture *picture = &subject->picture;
	LT_CLEANUP(destroy_expressions) struct lt_expressions *expressions = NULL;
	LT_CLEANUP(lt_picked_deinit) struct lt_picked picked = {.node = LT_NO_NODE};
	LT_TRY(lt_subject_picture(subject, LT_PICTURE_WAYS));
	LT_TRY(lt_expressions_create(picture, &expressions));
	LT_TRY(lt_pick(picture, expressions, what, &picked));
	if (picked.node == LT_NO_NODE) {
		paths->of_type = true;
		paths->type = lt_path_keep(paths, picked.name);
		return paths_of_type(subject, expressions, &picked, top != 0 ? top : TYPE_TOP,
				     paths);
	}
	LT_CLEANUP(lt_text_deinit) struct lt_text type = {0};
	lt_node_type_add(&type, picture, picked.node);
	paths->type = lt_path_keep(paths, lt_text_get(&type));
	paths->address = lt_picture_address(picture, picked.node);
	paths->bytes = lt_heap_graph_size(&picture->graph, picked.node);
	paths->count = 1;
	paths->dead = !picture->alive[picked.node];
	return lt_paths_of_object(picture, expressions, picked.node, top != 0 ? top : OBJECT_TOP,
				  paths);
}

enum lt_status lt_paths_take(struct lt_subject *subject, const char *what, size_t top,
			     struct lt_paths *ret_paths)
{
	LT_CLEANUP(lt_paths_deinit) struct lt_paths paths = {0};
	LT_TRY(lt_subject_status(subject, take(subject, what, top, &paths)));
	*ret_paths = paths;
	paths = (struct lt_paths){0};
	return LT_OK;
}
