/*
 * The collector's own method (subtract_refs() and move_unreachable() of Modules/gcmodule.c, Python/gc.c
 * since 3.13) over the objects that no root reaches: from each reference count go the references that
 * the others hold; who keeps some, and all that it reaches, stays.
 */
#include "analysis/collectable.h"

#include "base/bits.h"
#include "base/cleanup.h"

LT_VEC(nodes, uint32_t);

/* Of each 64 nodes: which are members, and how many members there are before them. */
struct word {
	uint64_t bits;
	uint64_t before;
};

struct trial {
	const struct lt_picture *picture;
	struct nodes members; /* the nodes that are looked at, ascending */
	struct word *words;   /* which of all nodes these are */
	int64_t *external;    /* of each member: its count less the references found */
	struct lt_graph_builder *builder;
	struct lt_refs refs;  /* of one node */
	struct nodes targets; /* the same as members */
};

static void trial_deinit(struct trial *trial)
{
	nodes_deinit(&trial->members);
	free(trial->words);
	free(trial->external);
	lt_graph_builder_destroy(trial->builder);
	lt_refs_deinit(&trial->refs);
	nodes_deinit(&trial->targets);
}

/* Of a node that is not alive. */
static bool is_looked_at(const struct lt_picture *picture, uint32_t node)
{
	return (picture->graph.flags[node] & (LT_NODE_TRACKED | LT_NODE_PERMANENT)) ==
	       LT_NODE_TRACKED;
}

/* Kinds whose tp_traverse visits, and counts, just what the graph has, as far as it can be tracked. */
static bool is_plain(const struct lt_type *type)
{
	switch (type->kind) {
	case LT_KIND_LIST:
	case LT_KIND_TUPLE:
	case LT_KIND_DICT:
	case LT_KIND_SET:
	case LT_KIND_CELL:
		return type->exact;
	default:
		return false;
	}
}

/* The place of a node in the members, LT_GRAPH_NONE: it is none. */
static uint32_t member_of(const struct trial *trial, uint32_t node)
{
	const struct word *word = &trial->words[node / 64];
	uint64_t bit = (uint64_t)1 << (node % 64);
	return (word->bits & bit) != 0 ? (uint32_t)word->before + lt_bits(word->bits & (bit - 1))
				       : LT_GRAPH_NONE;
}

static bool add_target(struct trial *trial, uint32_t node, bool counts)
{
	uint32_t member = node == LT_NO_NODE ? LT_GRAPH_NONE : member_of(trial, node);
	if (member == LT_GRAPH_NONE)
		return true;
	trial->external[member] -= counts;
	return nodes_push(&trial->targets, member);
}

/* The references of a member to members, as its tp_traverse visits them. */
static bool add_row(struct trial *trial, uint32_t node)
{
	const struct lt_picture *picture = trial->picture;
	const struct lt_type *type = lt_picture_type(picture, node);
	trial->targets.count = 0;
	if (type != NULL && is_plain(type)) {
		struct lt_row row = lt_row(&picture->graph.graph.out, node);
		for (const uint32_t *to = row.begin; to < row.end; to++)
			if (!add_target(trial, *to, true))
				return false;
		return true;
	}
	trial->refs.count = 0;
	lt_picture_refs(picture, node, &trial->refs);
	for (size_t i = 0; i < trial->refs.count; i++) {
		const struct lt_ref *ref = &trial->refs.data[i];
		if (ref->untraversed)
			continue;
		/*
		 * What a frame only borrows is visited, but not counted (_PyGC_VisitStackRef(), 3.14). A cache
		 * visits, and counts, what its links own: they are not tracked themselves.
		 */
		bool counts = !ref->borrowed || (type != NULL && type->kind == LT_KIND_LRU_CACHE);
		if (!add_target(trial, lt_heap_graph_find(&picture->graph, ref->to), counts))
			return false;
	}
	return true;
}

static enum lt_status find_members(struct trial *trial)
{
	const struct lt_picture *picture = trial->picture;
	struct lt_session *session = picture->session;
	uint32_t count = picture->graph.graph.node_count;
	for (uint32_t node = lt_picture_dead_from(picture, 0); node < count;
	     node = lt_picture_dead_from(picture, node + 1)) {
		if (is_looked_at(picture, node) && !nodes_push(&trial->members, node))
			return lt_fail_memory(session);
	}
	if (trial->members.count == 0)
		return LT_OK;
	trial->words = calloc((size_t)count / 64 + 1, sizeof(*trial->words));
	trial->external = malloc(trial->members.count * sizeof(*trial->external));
	if (trial->words == NULL || trial->external == NULL)
		return lt_fail_memory(session);
	for (size_t i = 0; i < trial->members.count; i++) {
		uint32_t node = trial->members.data[i];
		struct word *word = &trial->words[node / 64];
		if (word->bits == 0)
			word->before = i;
		word->bits |= (uint64_t)1 << (node % 64);
		/* Without a count (unreadable) it counts as held; of what is immortal, too. */
		int64_t references = INT64_MAX;
		if ((picture->graph.flags[node] & LT_NODE_IMMORTAL) == 0)
			(void)lt_picture_number(picture, node, LT_DETAIL_REFCOUNT, &references);
		trial->external[i] = references;
	}
	return LT_OK;
}

enum lt_status lt_collectable_count(const struct lt_picture *picture, uint64_t *ret_count,
				    uint64_t *ret_bytes)
{
	struct lt_session *session = picture->session;
	LT_CLEANUP(trial_deinit) struct trial trial = {.picture = picture};
	LT_TRY(find_members(&trial));
	*ret_count = 0;
	*ret_bytes = 0;
	if (trial.members.count == 0)
		return LT_OK;
	LT_TRY(lt_graph_builder_create(session, &trial.builder));
	for (size_t i = 0; i < trial.members.count; i++) {
		if (!add_row(&trial, trial.members.data[i]))
			return lt_fail_memory(session);
		LT_TRY(lt_graph_builder_row(trial.builder, trial.targets.data,
					    trial.targets.count));
	}
	LT_CLEANUP(lt_graph_deinit) struct lt_graph graph = {0};
	LT_TRY(lt_graph_builder_finish(LT_TAKE(trial.builder), &graph));
	LT_FREE uint8_t *held = calloc(trial.members.count + 1, 1);
	if (held == NULL)
		return lt_fail_memory(session);
	LT_TRY(lt_graph_mark_held(session, &graph, trial.external, held));
	for (size_t i = 0; i < trial.members.count; i++) {
		if (held[i])
			continue;
		++*ret_count;
		*ret_bytes += lt_heap_graph_size(&picture->graph, trial.members.data[i]);
	}
	return LT_OK;
}
