#include "analysis/outline.h"

#include "analysis/expression.h"
#include "base/cleanup.h"

#include <string.h>

enum {
	NODES_DEFAULT = 2000,
	NODES_MOST = 100000,
	DEPTH_MOST = 64, /* a linked list is as deep as it is long */
	EXPRESSION_MOST = 400,
};
static const double SHARE_DEFAULT = 0.001;

/* Nodes of the picture in a list: `next` of the maker chains them, LT_NO_NODE ends. */
struct members {
	uint32_t first;
	uint32_t depth;
	bool looked_into;
};
LT_VEC(members_list, struct members);
LT_VEC(node_list, struct lt_outline_node);

struct maker {
	const struct lt_picture *picture;
	struct lt_session *session;
	struct lt_expressions *expressions;
	struct lt_outline *outline;
	uint64_t least;
	uint32_t most;
	/*
	 * Children in the dominator tree: `child` of the owner (the virtual root is the last one), then along
	 * `next`. A node is in one list at a time: first in that of its owner, then in that of its group.
	 */
	uint32_t *child;
	uint32_t *next;
	struct node_list nodes;
	struct members_list members; /* of each of `nodes` */
	/* While one node is looked into: its groups, and for each type 1 + the index of its group. */
	uint32_t *group_of_type;
	uint32_t type_count;
	struct node_list found;
	struct members_list found_members;
};

static void deinit(struct maker *maker)
{
	free(maker->child);
	free(maker->next);
	free(maker->group_of_type);
	node_list_deinit(&maker->nodes);
	node_list_deinit(&maker->found);
	members_list_deinit(&maker->members);
	members_list_deinit(&maker->found_members);
}

static const char *keep(struct maker *maker, const char *text)
{
	size_t length = strlen(text);
	if (length > EXPRESSION_MOST) {
		char cut[EXPRESSION_MOST + 4];
		memcpy(cut, text, EXPRESSION_MOST);
		memcpy(cut + EXPRESSION_MOST, "...", 4);
		return lt_arena_copy(&maker->outline->strings, cut, EXPRESSION_MOST + 3);
	}
	return lt_arena_copy(&maker->outline->strings, text, length);
}

/* Links every node that is alive to its dominator. */
static enum lt_status link_children(struct maker *maker)
{
	const struct lt_picture *picture = maker->picture;
	uint32_t count = picture->graph.graph.node_count;
	maker->child = malloc(((size_t)count + 1) * sizeof(*maker->child));
	maker->next = malloc(((size_t)count + 1) * sizeof(*maker->next));
	maker->group_of_type = calloc((size_t)maker->type_count + 1, sizeof(*maker->group_of_type));
	if (maker->child == NULL || maker->next == NULL || maker->group_of_type == NULL)
		return lt_fail_memory(maker->session);
	for (uint32_t node = 0; node <= count; node++)
		maker->child[node] = maker->next[node] = LT_NO_NODE;
	for (uint32_t node = count; node-- > 0;) {
		if (!picture->alive[node])
			continue;
		uint32_t owner = picture->dominator[node];
		if (owner == LT_GRAPH_NONE || owner > count)
			owner = count;
		maker->next[node] = maker->child[owner];
		maker->child[owner] = node;
	}
	return LT_OK;
}

static enum lt_status find(struct maker *maker, struct lt_outline_node node, struct members members)
{
	if (!node_list_push(&maker->found, node) ||
	    !members_list_push(&maker->found_members, members))
		return lt_fail_memory(maker->session);
	return LT_OK;
}

/* One object below the node that is looked into: alone when it is big, else with those of its type. */
static enum lt_status sort_in(struct maker *maker, uint32_t node, uint32_t depth)
{
	const struct lt_picture *picture = maker->picture;
	uint64_t own = lt_heap_graph_size(&picture->graph, node);
	uint64_t retained = picture->retained[node];
	uint32_t type = picture->graph.type[node];
	if (type >= maker->type_count)
		type = maker->type_count;
	maker->next[node] = LT_NO_NODE;
	uint32_t group = maker->group_of_type[type];
	if (retained >= maker->least || group == 0) {
		bool alone = retained >= maker->least;
		const struct lt_outline_node one = {
			.kind = alone ? LT_OUTLINE_OBJECT : LT_OUTLINE_GROUP,
			.objects = 1,
			.own = own,
			.retained = retained,
			.address = lt_picture_address(picture, node),
		};
		LT_TRY(find(maker, one, (struct members){.first = node, .depth = depth}));
		if (!alone)
			maker->group_of_type[type] = (uint32_t)maker->found.count;
		return LT_OK;
	}
	struct lt_outline_node *into = &maker->found.data[group - 1];
	into->objects++;
	into->own += own;
	into->retained += retained;
	into->address = 0;
	maker->next[node] = maker->found_members.data[group - 1].first;
	maker->found_members.data[group - 1].first = node;
	return LT_OK;
}

static void forget_groups(struct maker *maker)
{
	for (size_t i = 0; i < maker->found.count; i++) {
		uint32_t first = maker->found_members.data[i].first;
		uint32_t type =
			first != LT_NO_NODE ? maker->picture->graph.type[first] : maker->type_count;
		maker->group_of_type[type < maker->type_count ? type : maker->type_count] = 0;
	}
}

static enum lt_status describe(struct maker *maker, struct lt_outline_node *node, uint32_t first)
{
	const struct lt_type *type = lt_picture_type(maker->picture, first);
	node->type = keep(maker, type != NULL ? type->name : "unreadable");
	node->module = keep(maker, type != NULL ? type->module : "");
	node->expression = node->where = "";
	if (node->objects == 1)
		node->kind = LT_OUTLINE_OBJECT;
	if (node->kind == LT_OUTLINE_OBJECT && maker->expressions != NULL) {
		struct lt_text expression = {0}, where = {0};
		lt_expression_write(maker->expressions, first, &expression, &where);
		node->expression = keep(maker, lt_text_get(&expression));
		node->where = keep(maker, lt_text_get(&where));
		lt_text_deinit(&expression);
		lt_text_deinit(&where);
	}
	if (node->type == NULL || node->module == NULL || node->expression == NULL ||
	    node->where == NULL)
		return lt_fail_memory(maker->session);
	return LT_OK;
}

static enum lt_status add(struct maker *maker, struct lt_outline_node node, struct members members)
{
	if (!node_list_push(&maker->nodes, node) || !members_list_push(&maker->members, members))
		return lt_fail_memory(maker->session);
	return LT_OK;
}

/* Takes what was found below node `at`: what is big enough, most first, and the rest as one. */
static enum lt_status take_found(struct maker *maker, uint32_t at)
{
	struct lt_outline_node rest = {.kind = LT_OUTLINE_REST,
				       .parent = at,
				       .type = "",
				       .module = "",
				       .expression = "",
				       .where = ""};
	uint32_t first = (uint32_t)maker->nodes.count, count = 0;
	for (;;) {
		size_t best = SIZE_MAX;
		for (size_t i = 0; i < maker->found.count; i++) {
			const struct lt_outline_node *one = &maker->found.data[i];
			if (one->objects > 0 && one->retained >= maker->least &&
			    (best == SIZE_MAX || one->retained > maker->found.data[best].retained))
				best = i;
		}
		/* One place stays free for the rest. */
		if (best == SIZE_MAX || maker->nodes.count + 1 >= maker->most)
			break;
		struct lt_outline_node one = maker->found.data[best];
		maker->found.data[best].objects = 0;
		one.parent = at;
		LT_TRY(describe(maker, &one, maker->found_members.data[best].first));
		LT_TRY(add(maker, one, maker->found_members.data[best]));
		count++;
	}
	for (size_t i = 0; i < maker->found.count; i++) {
		if (maker->found.data[i].objects == 0)
			continue;
		rest.objects += maker->found.data[i].objects;
		rest.own += maker->found.data[i].own;
		rest.retained += maker->found.data[i].retained;
	}
	if (rest.objects > 0) {
		LT_TRY(add(maker, rest,
			   (struct members){.first = LT_NO_NODE, .looked_into = true}));
		maker->outline->cut_bytes += rest.retained;
		count++;
	}
	maker->nodes.data[at].first_child = first;
	maker->nodes.data[at].child_count = count;
	return LT_OK;
}

static enum lt_status look_into(struct maker *maker, uint32_t at)
{
	struct members *members = &maker->members.data[at];
	members->looked_into = true;
	maker->found.count = maker->found_members.count = 0;
	uint32_t depth = members->depth + 1;
	enum lt_status status = LT_OK;
	for (uint32_t member = members->first; member != LT_NO_NODE && status == LT_OK;
	     member = maker->next[member]) {
		for (uint32_t child = maker->child[member];
		     child != LT_NO_NODE && status == LT_OK;) {
			uint32_t next = maker->next[child];
			status = sort_in(maker, child, depth);
			child = next;
		}
	}
	forget_groups(maker);
	return status == LT_OK ? take_found(maker, at) : status;
}

/* The node that holds most beside itself and was not looked into yet; UINT32_MAX: none is worth it. */
static uint32_t most_promising(const struct maker *maker)
{
	uint32_t best = UINT32_MAX;
	uint64_t most = 0;
	for (uint32_t i = 0; i < maker->nodes.count; i++) {
		const struct lt_outline_node *node = &maker->nodes.data[i];
		const struct members *members = &maker->members.data[i];
		if (members->looked_into || members->depth >= DEPTH_MOST)
			continue;
		uint64_t inside = node->retained > node->own ? node->retained - node->own : 0;
		if (inside > most) {
			most = inside;
			best = i;
		}
	}
	return most > 0 ? best : UINT32_MAX;
}

static enum lt_status make_root(struct maker *maker)
{
	const struct lt_picture *picture = maker->picture;
	struct lt_outline *outline = maker->outline;
	outline->bytes = picture->graph.total_bytes;
	outline->objects = picture->graph.graph.node_count;
	struct lt_outline_node heap = {
		.kind = LT_OUTLINE_HEAP,
		.type = "",
		.module = "",
		.expression = "",
		.where = "",
		.retained = outline->bytes,
		.objects = outline->objects,
	};
	/* The virtual root stands for itself, behind the last node. */
	maker->next[picture->graph.graph.node_count] = LT_NO_NODE;
	LT_TRY(add(maker, heap, (struct members){.first = picture->graph.graph.node_count}));
	LT_TRY(look_into(maker, 0));
	if (picture->garbage_count > 0) {
		heap.kind = LT_OUTLINE_GARBAGE;
		heap.own = heap.retained = picture->garbage_bytes;
		heap.objects = picture->garbage_count;
		LT_TRY(add(maker, heap,
			   (struct members){.first = LT_NO_NODE, .looked_into = true}));
		maker->nodes.data[0].child_count++;
	}
	return LT_OK;
}

static enum lt_status make(struct maker *maker)
{
	LT_TRY(link_children(maker));
	LT_TRY(make_root(maker));
	while (maker->nodes.count + 1 < maker->most) {
		uint32_t at = most_promising(maker);
		if (at == UINT32_MAX)
			break;
		LT_TRY(look_into(maker, at));
	}
	for (size_t i = 0; i < maker->nodes.count; i++) {
		struct lt_outline_node *node = &maker->nodes.data[i];
		if (node->retained > node->own && !maker->members.data[i].looked_into) {
			node->cut = true;
			maker->outline->cut_bytes += node->retained - node->own;
		}
	}
	return LT_OK;
}

enum lt_status lt_outline_make(const struct lt_picture *picture, struct lt_expressions *expressions,
			       const struct lt_outline_options *options,
			       struct lt_outline *ret_outline)
{
	LT_CLEANUP(lt_outline_deinit) struct lt_outline outline = {0};
	double share = options != NULL && options->share > 0 ? options->share : SHARE_DEFAULT;
	struct maker maker = {
		.picture = picture,
		.session = picture->session,
		.expressions = expressions,
		.outline = &outline,
		.most = options != NULL && options->nodes > 0 ? options->nodes : NODES_DEFAULT,
		.type_count = lt_types_count(picture->types),
	};
	if (maker.most > NODES_MOST)
		maker.most = NODES_MOST;
	maker.least = (uint64_t)((double)picture->graph.total_bytes * share);
	if (maker.least == 0)
		maker.least = 1;
	outline.least_bytes = maker.least;
	enum lt_status status = make(&maker);
	if (status == LT_OK) {
		outline.nodes = LT_TAKE(maker.nodes.data);
		outline.count = (uint32_t)maker.nodes.count;
		*ret_outline = outline;
		outline = (struct lt_outline){0};
	}
	deinit(&maker);
	return status;
}

void lt_outline_deinit(struct lt_outline *outline)
{
	free(outline->nodes);
	lt_arena_deinit(&outline->strings);
	*outline = (struct lt_outline){0};
}
