/*
 * Ways to one object. From the object backwards all that holds it is found, breadth first and bounded;
 * each reference into what was found, from an object with a way of its own, makes a candidate: the cheapest
 * way to the holder, the reference, and the steps on to the object. Candidates that differ in indexes and
 * keys only are one; of the rest those are taken that share no holder, cheapest first.
 */
#include "analysis/paths_parts.h"
#include "analysis/subject.h"
#include "analysis/ways.h"
#include "base/cleanup.h"

#include <string.h>

enum {
	FOUND_MOST = 4000,        /* objects that are looked at backwards */
	CANDIDATES_MOST = 400000, /* references into them */
	ALIKE_MOST = 50000,       /* of them from holders of one type into one object */
	CHAIN_MOST = 1 << 12,     /* steps of one candidate */
	SAME_HOLDER = 8,          /* references of one holder that are told apart */
	LOOKED_AT = 2000,         /* ways that are compared for what they share */
};

/* What was found backwards, the object itself first. */
struct found {
	uint32_t node;
	uint32_t next; /* index of what it holds, on the way to the object; of the object itself */
	uint32_t candidate; /* that it was found by */
	uint64_t cost;      /* of these */
	uint64_t way;       /* hash of these, in general */
	/* Of the tree that `next` makes: the place in preorder, and how many there are from here on. */
	uint32_t place, below;
};
LT_VEC(found_list, struct found);

struct candidate {
	uint32_t holder; /* LT_NO_NODE: the found object is a root itself */
	uint32_t found;  /* index of what it holds */
	uint32_t root;   /* index of the root, without a holder */
	uint64_t cost;
	uint64_t way;   /* hash, in general; 0: no way */
	uint64_t alike; /* candidates of this way */
};
LT_VEC(candidate_list, struct candidate);

struct search {
	struct lt_picture *picture;
	struct found_list found;
	struct candidate_list candidates;
	struct lt_map index; /* node -> index of what was found */
	struct lt_map start; /* node of a root -> what a way costs that begins there */
	bool cut;
};

static void search_deinit(struct search *search)
{
	found_list_deinit(&search->found);
	candidate_list_deinit(&search->candidates);
	lt_map_deinit(&search->index);
	lt_map_deinit(&search->start);
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
	hash = (hash ^ value) * 0x9e3779b97f4a7c15;
	return hash ^ hash >> 31;
}

static enum lt_kind kind_of(const struct lt_picture *picture, uint32_t node)
{
	const struct lt_type *type = lt_picture_type(picture, node);
	return type != NULL ? type->kind : LT_KIND_OPAQUE;
}

/* Modules, classes and their namespaces: a way that comes to one of these is at home. */
static bool is_home(const struct lt_picture *picture, uint32_t node)
{
	enum lt_kind kind = kind_of(picture, node);
	uint32_t up = picture->parent[node];
	if (kind == LT_KIND_MODULE || kind == LT_KIND_TYPE)
		return true;
	if (up == LT_GRAPH_NONE)
		return true;
	enum lt_kind above = kind_of(picture, up);
	return kind == LT_KIND_DICT && (above == LT_KIND_MODULE || above == LT_KIND_TYPE);
}

/*
 * Roots of what was found. The best root of a holder is that of its own way, and what a frame or the memory
 * of C code has beside that says nothing new; of the object itself all count.
 */
static bool add_roots(struct search *search)
{
	const struct lt_picture *picture = search->picture;
	LT_FREE bool *skipped = calloc(search->found.count + 1, sizeof(*skipped));
	if (skipped == NULL)
		return false;
	for (size_t r = 0; r < picture->roots.list.count; r++) {
		const struct lt_root *root = &picture->roots.list.data[r];
		uint64_t at, cost = lt_picture_start_cost(root->kind);
		if (picture->root_node[r] == LT_NO_NODE)
			continue;
		uint64_t *start = lt_map_at(&search->start, picture->root_node[r], cost);
		if (start == NULL)
			return false;
		if (cost < *start)
			*start = cost;
		if (!lt_map_get(&search->index, picture->root_node[r], &at))
			continue;
		bool first =
			picture->parent[picture->root_node[r]] == LT_GRAPH_NONE && !skipped[at];
		if (at > 0 &&
		    (first || root->kind == LT_ROOT_FRAME || root->kind >= LT_ROOT_STATE)) {
			skipped[at] = true;
			continue;
		}
		struct candidate candidate = {.holder = LT_NO_NODE,
					      .found = (uint32_t)at,
					      .root = (uint32_t)r,
					      .cost = cost};
		if (search->candidates.count < CANDIDATES_MOST &&
		    !candidate_list_push(&search->candidates, candidate))
			return false;
	}
	return true;
}

/* A holder of what was found: a candidate, and found itself when it was not before. */
static bool add_holder(struct search *search, size_t f, uint32_t holder)
{
	const struct lt_picture *picture = search->picture;
	uint64_t known;
	bool seen = lt_map_get(&search->index, holder, &known);
	if (seen && known <= f)
		return true;
	if (search->candidates.count >= CANDIDATES_MOST) {
		search->cut = true;
		return true;
	}
	struct candidate candidate = {.holder = holder, .found = (uint32_t)f};
	if (!candidate_list_push(&search->candidates, candidate))
		return false;
	if (seen)
		return true;
	if (search->found.count >= FOUND_MOST) {
		search->cut = true;
		return true;
	}
	struct found next = {
		.node = holder,
		.next = (uint32_t)f,
		.candidate = (uint32_t)search->candidates.count - 1,
		.cost = search->found.data[f].cost + 1 +
			lt_picture_step_cost(lt_picture_type(picture, holder)),
	};
	return lt_map_put(&search->index, holder, search->found.count) &&
	       found_list_push(&search->found, next);
}

/* All that holds the object, as far as the bounds go. */
static bool search_back(struct search *search, uint32_t object)
{
	struct lt_picture *picture = search->picture;
	LT_CLEANUP(lt_map_deinit) struct lt_map of_type = {0};
	if (!found_list_push(&search->found, (struct found){.node = object}) ||
	    !lt_map_put(&search->index, object, 0))
		return false;
	for (size_t f = 0; f < search->found.count; f++) {
		uint32_t node = search->found.data[f].node;
		if (f > 0 && is_home(picture, node))
			continue;
		/* The cheapest first: no bound may leave it out. */
		uint32_t first = picture->parent[node];
		if (first != LT_GRAPH_NONE && !add_holder(search, f, first))
			return false;
		struct lt_row row = lt_row(&picture->graph.graph.in, node);
		bool many = row.end - row.begin > ALIKE_MOST;
		uint32_t last = LT_NO_NODE;
		lt_map_deinit(&of_type);
		for (const uint32_t *from = row.begin; from < row.end; from++) {
			uint32_t holder = *from;
			/* Rows are in order: parallel references lie side by side. */
			if (holder == last || holder == first || !picture->alive[holder])
				continue;
			last = holder;
			uint64_t *count = NULL;
			if (many) {
				count = lt_map_at(&of_type,
						  lt_heap_graph_type(&picture->graph, holder), 0);
				if (count == NULL)
					return false;
				if (++*count > ALIKE_MOST) {
					search->cut = true;
					continue;
				}
			}
			if (!add_holder(search, f, holder))
				return false;
		}
	}
	return add_roots(search);
}

/* Numbers what was found in preorder: what leads to the object comes before what leads to it. */
static void number_found(struct search *search)
{
	struct found *list = search->found.data;
	for (size_t f = 0; f < search->found.count; f++)
		list[f].below = 1;
	for (size_t f = search->found.count; f-- > 1;)
		list[list[f].next].below += list[f].below;
	LT_FREE uint32_t *next = calloc(search->found.count + 1, sizeof(*next));
	if (next == NULL)
		return; /* every place is 0: too many candidates are taken for detours */
	next[0] = 1;
	for (size_t f = 1; f < search->found.count; f++) {
		list[f].place = next[list[f].next];
		next[list[f].next] += list[f].below;
		next[f] = list[f].place + 1;
	}
}

/* Does the way from the found object `at` to the object lead through the found object `through`? */
static bool leads_through(const struct search *search, uint32_t at, uint64_t through)
{
	const struct found *one = &search->found.data[at], *other = &search->found.data[through];
	return one->place >= other->place && one->place < other->place + other->below;
}

/*
 * Cost of the way to the holder that ways[] tells; false when it leads through what lies between the
 * holder and the object.
 */
static bool cost_of_way(const struct search *search, const struct candidate *candidate,
			uint64_t *ret_cost)
{
	const struct lt_picture *picture = search->picture;
	uint64_t cost = 0, length = 0, begin = 0;
	for (uint32_t at = candidate->holder; at != LT_GRAPH_NONE; at = picture->parent[at]) {
		uint64_t known;
		if (lt_map_get(&search->index, at, &known) &&
		    leads_through(search, candidate->found, known))
			return false;
		cost += 1 + lt_picture_step_cost(lt_picture_type(picture, at));
		if (picture->parent[at] == LT_GRAPH_NONE)
			(void)lt_map_get(&search->start, at, &begin);
		if (++length > CHAIN_MOST)
			return false;
	}
	*ret_cost = cost + begin + search->found.data[candidate->found].cost;
	return true;
}

static int by_holder(const void *left, const void *right, void *ctx)
{
	const struct candidate *list = ctx;
	const struct candidate *a = &list[*(const uint32_t *)left];
	const struct candidate *b = &list[*(const uint32_t *)right];
	if (a->holder != b->holder)
		return a->holder < b->holder ? -1 : 1;
	return a->found < b->found ? -1 : a->found > b->found;
}

/* The step from each holder, in general: step[i] of candidate i; LT_NO_WAY: not known. */
static enum lt_status find_steps(struct search *search, struct lt_ways *ways, uint32_t *step)
{
	const struct lt_picture *picture = search->picture;
	size_t count = search->candidates.count;
	const struct candidate *list = search->candidates.data;
	LT_CLEANUP(lt_refs_deinit) struct lt_refs refs = {0};
	LT_FREE uint32_t *order = malloc((count + 1) * sizeof(*order));
	if (order == NULL)
		return lt_fail_memory(picture->session);
	for (size_t i = 0; i < count; i++)
		order[i] = (uint32_t)i;
	qsort_r(order, count, sizeof(*order), by_holder, search->candidates.data);
	for (size_t i = 0; i < count;) {
		uint32_t holder = list[order[i]].holder;
		size_t end = i;
		while (end < count && list[order[end]].holder == holder)
			end++;
		refs.count = 0;
		if (holder != LT_NO_NODE)
			lt_picture_refs(picture, holder, &refs);
		for (size_t c = i; c < end; c++) {
			const struct lt_ref *best = NULL;
			uint32_t to = search->found.data[list[order[c]].found].node;
			lt_addr address = lt_picture_address(picture, to);
			for (size_t r = 0; c - i < SAME_HOLDER && r < refs.count; r++) {
				if (refs.data[r].to == address &&
				    (best == NULL ||
				     lt_expression_rank(&refs.data[r]) < lt_expression_rank(best)))
					best = &refs.data[r];
			}
			step[order[c]] = best != NULL ? lt_ways_step(ways, picture,
								     ways->of[holder], holder, best)
						      : LT_NO_WAY;
		}
		i = end;
	}
	return LT_OK;
}

/* Cost and general way of each candidate. */
static enum lt_status tell_apart(struct search *search)
{
	struct lt_picture *picture = search->picture;
	struct lt_session *session = picture->session;
	size_t count = search->candidates.count;
	LT_FREE uint8_t *wanted = calloc((size_t)picture->graph.graph.node_count + 1, 1);
	LT_FREE uint32_t *step = calloc(count + 1, sizeof(*step));
	LT_CLEANUP(lt_ways_deinit) struct lt_ways ways = {0};
	if (wanted == NULL || step == NULL)
		return lt_fail_memory(session);
	for (size_t i = 0; i < count; i++) {
		if (search->candidates.data[i].holder != LT_NO_NODE)
			wanted[search->candidates.data[i].holder] = 1;
	}
	LT_TRY(lt_ways_find(picture, wanted, &ways));
	LT_TRY(find_steps(search, &ways, step));
	for (size_t f = 1; f < search->found.count; f++) {
		struct found *found = &search->found.data[f];
		found->way = mix(search->found.data[found->next].way, step[found->candidate] + 1);
	}
	for (size_t i = 0; i < count; i++) {
		struct candidate *candidate = &search->candidates.data[i];
		const struct found *found = &search->found.data[candidate->found];
		if (candidate->holder == LT_NO_NODE) {
			const struct lt_root *root = &picture->roots.list.data[candidate->root];
			uint64_t hash = mix((uint64_t)root->kind + 1, root->frame + 1);
			if (root->kind == LT_ROOT_LOCAL)
				hash = mix(hash, root->index);
			candidate->cost += found->cost;
			candidate->way = mix(hash, found->way) | 1;
		} else if (cost_of_way(search, candidate, &candidate->cost) &&
			   step[i] != LT_NO_WAY) {
			uint64_t hash = mix(0, ways.of[candidate->holder]);
			candidate->way = mix(mix(hash, step[i] + 1), found->way) | 1;
		}
	}
	return LT_OK;
}

static int by_cost(const void *left, const void *right)
{
	const struct candidate *a = left, *b = right;
	if (a->cost != b->cost)
		return a->cost < b->cost ? -1 : 1;
	if (a->found != b->found)
		return a->found < b->found ? -1 : 1;
	return a->holder < b->holder ? -1 : a->holder > b->holder;
}

/* Sorts by cost and joins candidates of one way; returns how many are left. */
static size_t join_alike(struct search *search)
{
	struct candidate *list = search->candidates.data;
	size_t count = 0;
	for (size_t i = 0; i < search->candidates.count; i++) {
		if (list[i].way != 0)
			list[count++] = list[i];
	}
	if (count > 0)
		qsort(list, count, sizeof(*list), by_cost);
	LT_CLEANUP(lt_map_deinit) struct lt_map first = {0};
	size_t kept = 0;
	for (size_t i = 0; i < count; i++) {
		uint64_t *at = lt_map_at(&first, list[i].way, kept);
		if (at != NULL && *at < kept) {
			list[*at].alike++;
			continue;
		}
		list[kept] = list[i];
		list[kept++].alike = 1;
	}
	return kept;
}

static bool make_chain(const struct search *search, const struct candidate *candidate,
		       struct lt_path_nodes *chain)
{
	const struct lt_picture *picture = search->picture;
	for (uint32_t at = candidate->holder; at != LT_NO_NODE; at = picture->parent[at]) {
		if (!lt_path_nodes_push(chain, at))
			return false;
	}
	for (size_t i = 0; i < chain->count / 2; i++) {
		uint32_t swap = chain->data[i];
		chain->data[i] = chain->data[chain->count - 1 - i];
		chain->data[chain->count - 1 - i] = swap;
	}
	for (uint32_t on = candidate->found;; on = search->found.data[on].next) {
		if (!lt_path_nodes_push(chain, search->found.data[on].node))
			return false;
		if (on == 0)
			return true;
	}
}

/* How ways may differ: no holder in common, or one that is not the last before the object. */
enum { APART, ANOTHER_HOLDER, LEVELS };

/* Is this way different from those that are taken? Its holders are then `used` too. */
static bool accept(const struct search *search, const struct lt_path_nodes *chain, int level,
		   struct lt_map *used, bool *ret_memory)
{
	const struct lt_picture *picture = search->picture;
	size_t shared = 0, fresh = 0, holders = 0;
	bool fresh_before_last = false;
	for (size_t i = 0; i + 1 < chain->count; i++) {
		if (is_home(picture, chain->data[i]))
			continue;
		holders++;
		if (lt_map_get(used, chain->data[i], NULL)) {
			shared++;
		} else {
			fresh++;
			fresh_before_last |= i + 2 < chain->count;
		}
	}
	bool good = level == APART
			    ? shared == 0
			    : holders > 0 && (fresh_before_last || (fresh > 0 && shared == 0));
	for (size_t i = 0; good && i + 1 < chain->count; i++) {
		if (!lt_map_put(used, chain->data[i], 1))
			*ret_memory = false;
	}
	return good;
}

static bool told(const struct lt_paths *paths, const struct lt_path *path)
{
	for (size_t i = 0; i < paths->list.count; i++) {
		if (strcmp(paths->list.data[i].expression, path->expression) == 0)
			return true;
	}
	return false;
}

static enum lt_status choose(struct search *search, struct lt_expressions *expressions, size_t top,
			     struct lt_paths *paths)
{
	struct lt_session *session = search->picture->session;
	LT_CLEANUP(lt_map_deinit) struct lt_map used = {0};
	size_t count = join_alike(search);
	if (count > LOOKED_AT)
		count = LOOKED_AT;
	LT_FREE bool *taken = calloc(count + 1, sizeof(*taken));
	if (taken == NULL)
		return lt_fail_memory(session);
	uint32_t modules = LT_NO_NODE;
	for (size_t r = 0; r < search->picture->roots.list.count && modules == LT_NO_NODE; r++) {
		if (search->picture->roots.list.data[r].kind == LT_ROOT_MODULES)
			modules = search->picture->root_node[r];
	}
	size_t chosen = 0;
	for (int level = APART; level < LEVELS; level++) {
		for (size_t i = 0; i < count && chosen < top; i++) {
			const struct candidate *candidate = &search->candidates.data[i];
			LT_CLEANUP(lt_path_nodes_deinit) struct lt_path_nodes chain = {0};
			bool memory = true;
			if (taken[i])
				continue;
			if (!make_chain(search, candidate, &chain))
				return lt_fail_memory(session);
			taken[i] = accept(search, &chain, level, &used, &memory);
			chosen += taken[i];
			if (!memory)
				return lt_fail_memory(session);
		}
	}
	/* What modules hold first: a user can go there. */
	for (size_t pass = 0; pass < 2 * count; pass++) {
		size_t i = pass % count;
		const struct candidate *candidate = &search->candidates.data[i];
		LT_CLEANUP(lt_path_nodes_deinit) struct lt_path_nodes chain = {0};
		struct lt_path path = {.alike = candidate->alike, .count = 1};
		if (!taken[i])
			continue;
		if (!make_chain(search, candidate, &chain))
			return lt_fail_memory(session);
		if ((chain.data[0] == modules) != (pass < count))
			continue;
		const struct lt_root *root =
			candidate->holder == LT_NO_NODE
				? &search->picture->roots.list.data[candidate->root]
				: NULL;
		LT_TRY(lt_path_write(search->picture, expressions, chain.data, chain.count, root,
				     false, paths, &path));
		/* Ways that differ only in how they come to a task are told from it on, and are one. */
		if (!told(paths, &path) && !lt_path_list_push(&paths->list, path))
			return lt_fail_memory(session);
	}
	return LT_OK;
}

enum lt_status lt_paths_of_object(struct lt_picture *picture, struct lt_expressions *expressions,
				  uint32_t node, size_t top, struct lt_paths *paths)
{
	if (!picture->alive[node])
		return LT_OK;
	LT_CLEANUP(search_deinit) struct search search = {.picture = picture};
	LT_TRY(lt_graph_reverse(picture->session, &picture->graph.graph));
	if (!search_back(&search, node))
		return lt_fail_memory(picture->session);
	number_found(&search);
	LT_TRY(tell_apart(&search));
	paths->cut = search.cut;
	LT_TRY(choose(&search, expressions, top, paths));
	if (paths->list.count > 0)
		return LT_OK;
	/* Only ways that are too long to be compared: the cheapest of them. */
	LT_CLEANUP(lt_path_nodes_deinit) struct lt_path_nodes chain = {0};
	struct lt_path path = {.alike = 1, .count = 1};
	if (!lt_path_chain(picture, node, &chain))
		return lt_fail_memory(picture->session);
	LT_TRY(lt_path_write(picture, expressions, chain.data, chain.count, NULL, false, paths,
			     &path));
	return lt_path_list_push(&paths->list, path) ? LT_OK : lt_fail_memory(picture->session);
}
