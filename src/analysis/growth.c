#include "analysis/growth.h"

#include "analysis/containers.h"
#include "base/cleanup.h"
#include "heap/objmap.h"

#include <string.h>

enum {
	DEAD = UINT8_MAX,  /* as a birth: no root reaches the node */
	RESIZED_MIN = 64,  /* bytes by which an old object itself grew, to be looked at */
	ROOTLESS_MAX = 64, /* types of objects without an owner */
};

/* A child with this share of what its dominator gained stands for itself. */
static const double CHILD_SHARE = 0.2;
/* A container is where growth piles up when so much of it is its own or spread over many entries. */
static const double OWN_SHARE = 0.4;
/* Below this share of its growth is its own, the entries grew. */
static const double SPREAD_SHARE = 0.3;

/* Sums of what a target says are bounded: that of growth may be below zero. */
static int64_t sum(int64_t a, int64_t b)
{
	int64_t result;
	if (__builtin_add_overflow(a, b, &result))
		return a < 0 ? INT64_MIN : INT64_MAX;
	return result;
}

/* `now` less `before`. */
static int64_t difference(uint64_t now, uint64_t before)
{
	int64_t result;
	if (__builtin_sub_overflow(now, before, &result))
		return now < before ? INT64_MIN : INT64_MAX;
	return result;
}

static uint64_t part(uint64_t whole, double share)
{
	double result = (double)whole * share;
	return share >= 1 ? whole : result > 0 ? (uint64_t)result : 0;
}

static uint32_t hash_type(const struct lt_type *type)
{
	uint64_t hash = 0xcbf29ce484222325 ^ type->address; /* FNV-1a */
	hash *= 0x100000001b3;
	for (const char *text = type->name; *text != '\0'; text++)
		hash = (hash ^ (uint8_t)*text) * 0x100000001b3;
	return (uint32_t)(hash >> 32) ^ (uint32_t)hash;
}

/* Hashes of all types of a picture, by index; free(3). */
static uint32_t *hash_types(const struct lt_picture *picture)
{
	const struct lt_types *types = picture->types;
	uint32_t count = lt_types_count(types);
	uint32_t *hashes = calloc((size_t)count + 1, sizeof(*hashes));
	for (uint32_t t = 0; hashes != NULL && t < count; t++)
		hashes[t] = hash_type(lt_types_at(types, t));
	return hashes;
}

static uint64_t length_of(const struct lt_picture *picture, uint32_t node)
{
	int64_t length = 0;
	return lt_picture_number(picture, node, LT_DETAIL_LENGTH, &length) && length > 0
		       ? (uint64_t)length
		       : 0;
}

static bool has_length(const struct lt_picture *picture, uint32_t node)
{
	const struct lt_type *type = lt_picture_type(picture, node);
	switch (type != NULL ? type->kind : LT_KIND_OPAQUE) {
	case LT_KIND_DICT:
	case LT_KIND_FROZENDICT:
	case LT_KIND_ORDERED_DICT:
	case LT_KIND_DEFAULT_DICT:
	case LT_KIND_LIST:
	case LT_KIND_DEQUE:
	case LT_KIND_SET:
	case LT_KIND_LRU_CACHE:
		return true;
	default: /* a tuple never gets longer */
		return false;
	}
}

enum lt_status lt_generation_take(struct lt_picture *picture, struct lt_generation *ret_generation)
{
	struct lt_session *session = picture->session;
	uint32_t count = picture->graph.graph.node_count;
	uint32_t type_count = lt_types_count(picture->types);
	LT_FREE uint32_t *hashes = hash_types(picture);
	LT_FREE uint32_t *length = calloc((size_t)count + 1, sizeof(*length));
	LT_FREE uint32_t *types = malloc(((size_t)count + 1) * sizeof(*types));
	if (hashes == NULL || length == NULL || types == NULL)
		return lt_fail_memory(session);
	struct lt_generation generation = {.count = count,
					   .bytes = picture->graph.total_bytes,
					   .garbage_count = picture->garbage_count,
					   .garbage_bytes = picture->garbage_bytes};
	for (size_t i = 0; i < picture->unvisited.count; i++) {
		generation.stuck_count += picture->unvisited.data[i].objects;
		generation.stuck_bytes += picture->unvisited.data[i].bytes;
	}
	for (uint32_t node = 0; node < count; node++) {
		if (has_length(picture, node)) {
			uint64_t entries = length_of(picture, node);
			length[node] = entries < UINT32_MAX ? (uint32_t)entries : UINT32_MAX;
		}
		uint32_t type = lt_heap_graph_type(&picture->graph, node);
		types[node] = type < type_count ? hashes[type] : 0;
		if (!picture->alive[node])
			picture->retained[node] = 0;
	}
	generation.objects = LT_TAKE(picture->graph.objects);
	generation.type = LT_TAKE(types);
	generation.size = LT_TAKE(picture->graph.size);
	generation.big_sizes = picture->graph.big_sizes;
	picture->graph.big_sizes = (struct lt_map){0};
	generation.retained = LT_TAKE(picture->retained);
	generation.length = LT_TAKE(length);
	*ret_generation = generation;
	return LT_OK;
}

void lt_generation_deinit(struct lt_generation *generation)
{
	lt_objmap_destroy(generation->objects);
	free(generation->type);
	free(generation->size);
	lt_map_deinit(&generation->big_sizes);
	free(generation->length);
	free(generation->retained);
	*generation = (struct lt_generation){0};
}

/* An old object and what is new under it. */
struct owner {
	uint32_t node;
	uint32_t sample;
	uint64_t sample_bytes;
	uint64_t objects, bytes; /* new ones that it dominates directly or through new ones */
	uint64_t shared_objects, shared_bytes; /* new ones that others reach too */
	uint64_t shared_tops;                  /* of them, those that it refers to itself */
	uint64_t resized;                      /* bytes by which it grew itself */
	uint64_t net;
	double kept; /* share of what came by which it holds more */
};
LT_VEC(owners, struct owner);
LT_VEC(nodes, uint32_t);

struct finding_growth {
	const struct lt_picture *picture;
	struct lt_expressions *expressions;
	const struct lt_generation *generations;
	size_t generation_count;
	uint32_t count;    /* nodes of the picture */
	uint8_t *birth;    /* the first generation of its run; generation_count: new; DEAD */
	uint32_t *top;     /* of a new node: the last new one up its dominators */
	uint32_t *way_top; /* the same up its way */
	uint32_t *holder;  /* of a new node that is a top: its owner */
	int64_t *total;    /* growth of what a node holds, itself included */
	uint32_t *objects; /* new objects in that growth */
	int64_t *
		sums; /* first: growth of its old children; later: of the children that stand for themselves */
	uint8_t *decision; /* of the nodes with much growth */
	struct owners owners;
	struct lt_map owner_of;   /* node -> index */
	struct lt_map lengthened; /* node -> entries gained since the first generation */
	struct lt_growth *growth;
};

static bool find_past(const struct finding_growth *f, size_t generation, uint32_t node,
		      uint32_t *ret_index)
{
	uint32_t index = lt_objmap_find(f->generations[generation].objects,
					lt_picture_address(f->picture, node));
	if (index == UINT32_MAX)
		return false;
	*ret_index = index;
	return true;
}

static struct owner *owner_at(struct finding_growth *f, uint32_t node)
{
	uint64_t *index = lt_map_at(&f->owner_of, node, f->owners.count);
	if (index == NULL)
		return NULL;
	if (*index == f->owners.count) {
		struct owner owner = {.node = node, .sample = LT_NO_NODE};
		if (!owners_push(&f->owners, owner))
			return NULL;
	}
	return &f->owners.data[*index];
}

/* How many entries an old container has gained; 0 when it is none or has lost some. */
static uint64_t lengthened(struct finding_growth *f, uint32_t node)
{
	uint64_t gained = 0;
	uint32_t past;
	if (!has_length(f->picture, node) || lt_map_get(&f->lengthened, node, &gained))
		return gained;
	uint64_t now = length_of(f->picture, node);
	if (find_past(f, 0, node, &past) && f->generations[0].length[past] < now)
		gained = now - f->generations[0].length[past];
	(void)lt_map_put(&f->lengthened, node, gained); /* without memory it is looked up again */
	return gained;
}

/* ---- Which objects are new ---- */

static enum lt_status find_births(struct finding_growth *f)
{
	const struct lt_picture *picture = f->picture;
	struct lt_session *session = picture->session;
	uint32_t type_count = lt_types_count(picture->types);
	LT_FREE uint32_t *hashes = hash_types(picture);
	if (hashes == NULL)
		return lt_fail_memory(session);
	for (uint32_t node = 0; node < f->count; node++) {
		if (!picture->alive[node]) {
			f->birth[node] = DEAD;
			continue;
		}
		uint32_t type = lt_heap_graph_type(&picture->graph, node), past = 0;
		uint32_t hash = type < type_count ? hashes[type] : 0;
		size_t birth = f->generation_count;
		while (birth > 0 && find_past(f, birth - 1, node, &past) &&
		       f->generations[birth - 1].type[past] == hash)
			birth--;
		f->birth[node] = (uint8_t)birth;
		if (birth > 0) {
			f->growth->new_objects++;
			f->growth->new_bytes += lt_heap_graph_size(&picture->graph, node);
			continue;
		}
		uint32_t up = picture->dominator[node];
		const struct lt_generation *first = &f->generations[0];
		if (up != LT_GRAPH_NONE)
			f->sums[up] = sum(f->sums[up], difference(picture->retained[node],
								  first->retained[past]));
		uint64_t size = lt_heap_graph_size(&picture->graph, node);
		uint64_t past_size = first->size[past];
		if (past_size == UINT16_MAX)
			(void)lt_map_get(&first->big_sizes, past, &past_size);
		if (size < past_size + RESIZED_MIN)
			continue;
		/* The table of a container may grow without an entry more. */
		if (has_length(picture, node) && lengthened(f, node) == 0)
			continue;
		struct owner *owner = owner_at(f, node);
		if (owner == NULL)
			return lt_fail_memory(session);
		owner->resized = size - past_size;
	}
	return LT_OK;
}

/*
 * What only a new object keeps is new too: an old object cannot be told from one that was made again at
 * its address, but hardly an old one comes under a new one. Where it does, as the items of a tuple that is
 * replaced by a longer one do, what the owner gained counts (net_growth()).
 */
static enum lt_status spread_births(struct finding_growth *f)
{
	enum { UNSEEN, SEEN };
	LT_FREE uint8_t *seen = calloc((size_t)f->count + 1, 1);
	LT_CLEANUP(nodes_deinit) struct nodes chain = {0};
	if (seen == NULL)
		return lt_fail_memory(f->picture->session);
	for (uint32_t node = 0; node < f->count; node++) {
		chain.count = 0;
		uint32_t at = node;
		for (; at != LT_GRAPH_NONE && seen[at] == UNSEEN; at = f->picture->dominator[at])
			if (!nodes_push(&chain, at))
				return lt_fail_memory(f->picture->session);
		while (chain.count > 0) {
			uint32_t below = chain.data[--chain.count];
			seen[below] = SEEN;
			if (f->birth[below] == 0 && at != LT_GRAPH_NONE && f->birth[at] != 0)
				f->birth[below] = f->birth[at];
			at = below;
		}
	}
	return LT_OK;
}

/* The last new node going up from each new one. */
static void find_last_new(const struct finding_growth *f, const uint32_t *up, uint32_t *ret_last)
{
	for (uint32_t node = 0; node < f->count; node++)
		ret_last[node] = LT_GRAPH_NONE;
	for (uint32_t node = 0; node < f->count; node++) {
		if (f->birth[node] == 0 || f->birth[node] == DEAD ||
		    ret_last[node] != LT_GRAPH_NONE)
			continue;
		uint32_t at = node, last = node;
		for (;;) {
			uint32_t next = up[at];
			last = at;
			if (next == LT_GRAPH_NONE || f->birth[next] == 0 || f->birth[next] == DEAD)
				break;
			if (ret_last[next] != LT_GRAPH_NONE) {
				last = ret_last[next];
				break;
			}
			at = next;
		}
		for (at = node; at != LT_GRAPH_NONE && f->birth[at] != 0 && f->birth[at] != DEAD &&
				ret_last[at] == LT_GRAPH_NONE;
		     at = up[at])
			ret_last[at] = last;
	}
}

/* ---- Whom they belong to ---- */

/* The owner of a new node whose dominator is not new. */
static uint32_t choose_holder(struct finding_growth *f, uint32_t top)
{
	uint32_t dominator = f->picture->dominator[top];
	uint32_t above = f->picture->parent[f->way_top[top]];
	if (dominator == LT_GRAPH_NONE || above == LT_GRAPH_NONE || above == dominator)
		return dominator != LT_GRAPH_NONE ? dominator : above;
	/* Of the two the one that really gets longer. */
	return lengthened(f, above) > lengthened(f, dominator) ? above : dominator;
}

static enum lt_status gather_owners(struct finding_growth *f)
{
	const struct lt_picture *picture = f->picture;
	struct lt_session *session = picture->session;
	for (uint32_t node = 0; node < f->count; node++)
		f->holder[node] = f->top[node] == node ? choose_holder(f, node) : LT_GRAPH_NONE;
	for (uint32_t node = 0; node < f->count; node++) {
		uint32_t top = f->top[node];
		if (top == LT_GRAPH_NONE || f->holder[top] == LT_GRAPH_NONE)
			continue;
		struct owner *owner = owner_at(f, f->holder[top]);
		if (owner == NULL)
			return lt_fail_memory(session);
		uint64_t size = lt_heap_graph_size(&picture->graph, node);
		if (picture->dominator[top] == owner->node) {
			owner->objects++;
			owner->bytes += size;
		} else {
			owner->shared_objects++;
			owner->shared_bytes += size;
			owner->shared_tops += top == node;
		}
		if (top == node && picture->retained[node] > owner->sample_bytes) {
			owner->sample = node;
			owner->sample_bytes = picture->retained[node];
		}
	}
	return LT_OK;
}

/* The best root of each node that is new, by its place among the roots. */
static bool find_roots(const struct finding_growth *f, struct lt_map *best)
{
	const struct lt_picture *picture = f->picture;
	for (size_t r = 0; r < picture->roots.list.count; r++) {
		uint32_t node = picture->root_node[r];
		if (node == LT_NO_NODE || f->birth[node] == 0 || f->birth[node] == DEAD)
			continue;
		uint64_t *known = lt_map_at(best, node, r);
		if (known == NULL)
			return false;
		const struct lt_root *roots = picture->roots.list.data;
		if (lt_picture_start_cost(roots[r].kind) <
		    lt_picture_start_cost(roots[*known].kind))
			*known = r;
	}
	return true;
}

static bool is_of_c(const struct lt_root *root)
{
	return root->kind == LT_ROOT_STATE || root->kind == LT_ROOT_STATIC ||
	       root->kind == LT_ROOT_EXTERNAL;
}

/* The offset into a symbol is none of its place's: an array of objects is one. */
static uint64_t hash_place(const struct finding_growth *f, const struct lt_root *root,
			   uint32_t node)
{
	uint64_t hash = 0xcbf29ce484222325 ^ (uint64_t)root->kind; /* FNV-1a */
	const char *name = root->kind != LT_ROOT_EXTERNAL && root->name != NULL ? root->name : "";
	for (size_t i = 0, length = strcspn(name, "+"); i < length; i++)
		hash = (hash ^ (uint8_t)name[i]) * 0x100000001b3;
	return root->kind == LT_ROOT_EXTERNAL
		       ? (hash ^ lt_heap_graph_type(&f->picture->graph, node)) * 0x100000001b3
		       : hash;
}

static bool add_to_holder(struct finding_growth *f, struct lt_map *places,
			  const struct lt_root *root, uint32_t root_node, uint32_t node)
{
	struct lt_growth_holders *holders = &f->growth->holders;
	uint64_t *index = lt_map_at(places, hash_place(f, root, root_node), holders->count);
	struct lt_growth_holder made = {.root = root, .sample = root_node};
	if (index == NULL || (*index == holders->count && !lt_growth_holders_push(holders, made)))
		return false;
	struct lt_growth_holder *holder = &holders->data[*index];
	uint64_t size = lt_heap_graph_size(&f->picture->graph, node);
	holder->objects++;
	holder->bytes += size;
	for (size_t g = f->birth[node]; g <= f->generation_count; g++)
		holder->known[g] += size;
	if (f->picture->retained[root_node] > f->picture->retained[holder->sample])
		holder->sample = root_node;
	return true;
}

/* What the places had before. */
static void add_before(struct finding_growth *f, const struct lt_map *places)
{
	const struct lt_picture *picture = f->picture;
	for (size_t r = 0; r < picture->roots.list.count; r++) {
		const struct lt_root *root = &picture->roots.list.data[r];
		uint32_t node = picture->root_node[r], past;
		uint64_t index;
		if (node != LT_NO_NODE && is_of_c(root) && f->birth[node] == 0 &&
		    lt_map_get(places, hash_place(f, root, node), &index) &&
		    find_past(f, 0, node, &past))
			f->growth->holders.data[index].before += f->generations[0].retained[past];
	}
}

static int by_held_bytes(const void *left, const void *right)
{
	const struct lt_growth_holder *a = left, *b = right;
	if (a->bytes != b->bytes)
		return a->bytes < b->bytes ? 1 : -1;
	return a->sample < b->sample ? -1 : a->sample > b->sample;
}

static enum lt_status gather_rootless(struct finding_growth *f)
{
	const struct lt_picture *picture = f->picture;
	LT_CLEANUP(lt_map_deinit) struct lt_map best = {0};
	LT_CLEANUP(lt_map_deinit) struct lt_map places = {0};
	for (int kind = 0; kind < LT_ROOT_KIND_COUNT; kind++)
		f->growth->rootless[kind].sample = LT_NO_NODE;
	if (!find_roots(f, &best))
		return lt_fail_memory(picture->session);
	for (uint32_t node = 0; node < f->count; node++) {
		uint32_t top = f->top[node];
		uint64_t index;
		if (top == LT_GRAPH_NONE || f->holder[top] != LT_GRAPH_NONE ||
		    !lt_map_get(&best, f->way_top[top], &index))
			continue;
		const struct lt_root *found = &picture->roots.list.data[index];
		struct lt_growth_rootless *rootless = &f->growth->rootless[found->kind];
		rootless->objects++;
		rootless->bytes += lt_heap_graph_size(&picture->graph, node);
		uint32_t root = f->way_top[top];
		if (rootless->sample == LT_NO_NODE ||
		    picture->retained[root] > picture->retained[rootless->sample])
			rootless->sample = root;
		if (is_of_c(found) && !add_to_holder(f, &places, found, root, node))
			return lt_fail_memory(picture->session);
	}
	add_before(f, &places);
	if (f->growth->holders.count > 0)
		qsort(f->growth->holders.data, f->growth->holders.count,
		      sizeof(*f->growth->holders.data), by_held_bytes);
	return LT_OK;
}

/* What of the new objects is more than went away meanwhile. */
static void net_growth(struct finding_growth *f, struct owner *owner)
{
	uint32_t past;
	if (f->birth[owner->node] != 0 || !find_past(f, 0, owner->node, &past))
		return;
	int64_t inside = f->sums[owner->node];
	int64_t held =
		sum(difference(f->picture->retained[owner->node], f->generations[0].retained[past]),
		    inside > INT64_MIN ? -inside : INT64_MAX);
	uint64_t gross = owner->bytes + owner->resized;
	owner->net = held <= 0 ? 0 : (uint64_t)held < gross ? (uint64_t)held : gross;
	owner->kept = gross > 0 ? (double)owner->net / (double)gross : 1;
	owner->objects = part(owner->objects, owner->kept);
	uint64_t gained = lengthened(f, owner->node);
	double share = owner->shared_tops == 0 || gained >= owner->shared_tops
			       ? 1
			       : (double)gained / (double)owner->shared_tops;
	owner->shared_bytes = part(owner->shared_bytes, share);
	owner->shared_objects = part(owner->shared_objects, share);
	owner->net += owner->shared_bytes;
	owner->objects += owner->shared_objects;
}

/* ---- Where it piles up ---- */

/* total[]: the net growth of all owners under a node. From the leaves of the dominator tree upwards. */
static enum lt_status sum_up(struct finding_growth *f)
{
	const uint32_t *dominator = f->picture->dominator;
	LT_FREE uint32_t *pending = calloc((size_t)f->count + 1, sizeof(*pending));
	LT_FREE uint32_t *ready = malloc(((size_t)f->count + 1) * sizeof(*ready));
	if (pending == NULL || ready == NULL)
		return lt_fail_memory(f->picture->session);
	for (size_t i = 0; i < f->owners.count; i++) {
		f->total[f->owners.data[i].node] = difference(f->owners.data[i].net, 0);
		f->objects[f->owners.data[i].node] = (uint32_t)f->owners.data[i].objects;
	}
	for (uint32_t node = 0; node < f->count; node++)
		if (dominator[node] != LT_GRAPH_NONE)
			pending[dominator[node]]++;
	size_t count = 0;
	for (uint32_t node = 0; node < f->count; node++)
		if (pending[node] == 0)
			ready[count++] = node;
	while (count > 0) {
		uint32_t node = ready[--count], up = dominator[node];
		if (up == LT_GRAPH_NONE)
			continue;
		f->total[up] = sum(f->total[up], f->total[node]);
		f->objects[up] += f->objects[node];
		if (--pending[up] == 0)
			ready[count++] = up;
	}
	return LT_OK;
}

enum decision { UNDECIDED, PASSED, STOPPED, COVERED };

static uint64_t net_of(const struct finding_growth *f, uint32_t node)
{
	uint64_t index;
	return lt_map_get(&f->owner_of, node, &index) ? f->owners.data[index].net : 0;
}

static bool is_cache(const struct finding_growth *f, uint32_t node)
{
	const struct lt_type *type = lt_picture_type(f->picture, node);
	return type != NULL && type->kind == LT_KIND_LRU_CACHE;
}

/* A container to its user: none that is a namespace. */
static bool is_container(const struct finding_growth *f, uint32_t node)
{
	return has_length(f->picture, node) &&
	       !lt_container_is_names(f->picture, f->expressions, node);
}

static bool stops(const struct finding_growth *f, uint32_t node)
{
	double total = (double)f->total[node];
	if (!is_container(f, node))
		return false;
	return is_cache(f, node) || total - (double)f->sums[node] >= OWN_SHARE * total;
}

static void fill_history(struct finding_growth *f, uint32_t node, struct lt_growth_point *point)
{
	for (size_t g = 0; g < f->generation_count; g++) {
		uint32_t past;
		if (!find_past(f, g, node, &past))
			continue;
		point->length[g] = f->generations[g].length[past];
		point->held[g] = f->generations[g].retained[past];
	}
	point->length[f->generation_count] = length_of(f->picture, node);
	point->held[f->generation_count] = f->picture->retained[node];
}

static double steadiness(const uint64_t *values, size_t intervals)
{
	double least = 0;
	if (values[intervals] <= values[0])
		return 0;
	double mean = (double)(values[intervals] - values[0]) / (double)intervals;
	for (size_t i = 0; i < intervals; i++) {
		double step = (double)values[i + 1] - (double)values[i];
		if (i == 0 || step < least)
			least = step;
	}
	return least <= 0 ? 0 : least >= mean ? 1 : least / mean;
}

/*
 * The first of a chain of objects of one type, each of which only the one before it keeps: a linked list
 * grows at its end, and is known by its start.
 */
static uint32_t start_of_chain(const struct finding_growth *f, uint32_t node)
{
	enum { LINKS_MIN = 3 };
	const uint32_t *dominator = f->picture->dominator;
	/* Of a dict of attributes the object that it belongs to is meant. */
	uint32_t at = has_length(f->picture, node) && dominator[node] != LT_GRAPH_NONE
			      ? dominator[node]
			      : node;
	uint32_t type = lt_heap_graph_type(&f->picture->graph, at);
	uint64_t links = 0;
	for (;;) {
		uint32_t up = dominator[at];
		/* Between two of them may be the dict of the attributes. */
		if (up != LT_GRAPH_NONE && lt_heap_graph_type(&f->picture->graph, up) != type &&
		    has_length(f->picture, up))
			up = dominator[up];
		if (up == LT_GRAPH_NONE || lt_heap_graph_type(&f->picture->graph, up) != type)
			return links >= LINKS_MIN ? at : node;
		at = up;
		links++;
	}
}

static bool is_tuple(const struct finding_growth *f, uint32_t node)
{
	const struct lt_type *type = lt_picture_type(f->picture, node);
	return type != NULL && type->kind == LT_KIND_TUPLE;
}

/* `own_only`: what piles up in the node itself, not in what stands below it. */
static enum lt_status add_point(struct finding_growth *f, uint32_t node, bool own_only)
{
	struct lt_growth_point point = {.node = node, .sample = LT_NO_NODE, .kept = 1};
	uint64_t index, net = 0;
	const struct owner *owner = NULL;
	if (lt_map_get(&f->owner_of, node, &index)) {
		owner = &f->owners.data[index];
		net = owner->net;
		point.objects = owner->objects;
		point.sample = owner->sample;
		point.shared = owner->shared_bytes * 2 > owner->net;
	}
	fill_history(f, node, &point);
	if (!own_only)
		point.objects = f->objects[node];
	point.bytes = own_only ? net : (uint64_t)f->total[node];
	point.container = is_container(f, node);
	point.spread = !own_only && (double)net < SPREAD_SHARE * (double)point.bytes;
	point.retained = f->picture->retained[node];
	if (owner != NULL && point.shared)
		point.retained += owner->shared_bytes;
	else if (owner != NULL && !point.spread)
		point.kept = owner->kept;
	size_t intervals = f->generation_count;
	double by_length = steadiness(point.length, intervals);
	double by_bytes = steadiness(point.held, intervals);
	point.steadiness = point.container && !point.spread && by_length > 0
				   ? by_length
				   : (by_bytes > by_length ? by_bytes : by_length);
	/* A namespace or an instance: one of its variables refers to something new; or one entry of a dict. */
	if (lengthened(f, node) == 0 && point.sample != LT_NO_NODE &&
	    (!point.container ||
	     (!point.spread && f->picture->retained[point.sample] >= point.bytes))) {
		uint32_t start = point.container ? node : start_of_chain(f, node);
		point.rebound = start == node;
		point.kept = 1; /* what is replaced by more goes as a whole */
		/* A tuple never gains items: it is itself the longer one, made where the shorter one was. */
		point.node = point.rebound && !is_tuple(f, node) ? point.sample : start;
		point.retained = f->picture->retained[point.node];
		/* A look in which a running frame had the value too: nothing held it alone then. */
		for (size_t i = 1; i < intervals; i++)
			if (point.held[i] < point.held[i - 1] / 2 &&
			    point.held[i] < point.held[i + 1] / 2)
				point.held[i] = point.held[i - 1] / 2 + point.held[i + 1] / 2;
		point.steadiness = steadiness(point.held, intervals);
	}
	return lt_growth_points_push(&f->growth->points, point)
		       ? LT_OK
		       : lt_fail_memory(f->picture->session);
}

/* Decides on the nodes with much growth, those above before those below. */
static enum lt_status find_points(struct finding_growth *f, uint64_t least_bytes)
{
	const uint32_t *dominator = f->picture->dominator;
	struct lt_session *session = f->picture->session;
	LT_CLEANUP(nodes_deinit) struct nodes chain = {0};
	memset(f->sums, 0, (size_t)f->count * sizeof(*f->sums));
	for (uint32_t node = 0; node < f->count; node++) {
		uint32_t up = dominator[node];
		if (up != LT_GRAPH_NONE && f->total[node] >= (int64_t)least_bytes &&
		    (double)f->total[node] >= CHILD_SHARE * (double)f->total[up])
			f->sums[up] = sum(f->sums[up], f->total[node]);
	}
	for (uint32_t node = 0; node < f->count; node++) {
		if (f->total[node] < (int64_t)least_bytes || f->decision[node] != UNDECIDED)
			continue;
		chain.count = 0;
		for (uint32_t at = node; at != LT_GRAPH_NONE && f->decision[at] == UNDECIDED;
		     at = dominator[at]) {
			if (!nodes_push(&chain, at))
				return lt_fail_memory(session);
		}
		while (chain.count > 0) {
			uint32_t at = chain.data[--chain.count], up = dominator[at];
			enum decision above =
				up != LT_GRAPH_NONE ? (enum decision)f->decision[up] : PASSED;
			if (above == STOPPED || above == COVERED) {
				f->decision[at] = COVERED;
				continue;
			}
			bool stop = stops(f, at);
			f->decision[at] = stop ? STOPPED : PASSED;
			if (stop)
				LT_TRY(add_point(f, at, false));
			else if (net_of(f, at) >= least_bytes)
				LT_TRY(add_point(f, at, true));
		}
	}
	return LT_OK;
}

static int by_bytes(const void *left, const void *right)
{
	const struct lt_growth_point *a = left, *b = right;
	if (a->bytes != b->bytes)
		return a->bytes < b->bytes ? 1 : -1;
	return a->node < b->node ? -1 : a->node > b->node;
}

/* Who the owners are, with arrays that nothing needs afterwards. */
static enum lt_status find_owners(struct finding_growth *f)
{
	size_t room = (size_t)f->count + 1;
	LT_FREE uint32_t *top = calloc(room, sizeof(*top));
	LT_FREE uint32_t *way_top = calloc(room, sizeof(*way_top));
	LT_FREE uint32_t *holder = calloc(room, sizeof(*holder));
	if (top == NULL || way_top == NULL || holder == NULL)
		return lt_fail_memory(f->picture->session);
	f->top = top;
	f->way_top = way_top;
	f->holder = holder;
	find_last_new(f, f->picture->dominator, top);
	find_last_new(f, f->picture->parent, way_top);
	LT_TRY(gather_owners(f));
	return gather_rootless(f);
}

static enum lt_status find(struct finding_growth *f, uint64_t least_bytes)
{
	size_t room = (size_t)f->count + 1;
	f->birth = calloc(room, sizeof(*f->birth));
	f->sums = calloc(room, sizeof(*f->sums));
	if (f->birth == NULL || f->sums == NULL)
		return lt_fail_memory(f->picture->session);
	LT_TRY(find_births(f));
	LT_TRY(spread_births(f));
	LT_TRY(find_owners(f));
	for (size_t i = 0; i < f->owners.count; i++)
		net_growth(f, &f->owners.data[i]);
	f->total = calloc(room, sizeof(*f->total));
	f->objects = calloc(room, sizeof(*f->objects));
	f->decision = calloc(room, sizeof(*f->decision));
	if (f->total == NULL || f->objects == NULL || f->decision == NULL)
		return lt_fail_memory(f->picture->session);
	LT_TRY(sum_up(f));
	LT_TRY(find_points(f, least_bytes > 0 ? least_bytes : 1));
	if (f->growth->points.count > 0)
		qsort(f->growth->points.data, f->growth->points.count,
		      sizeof(*f->growth->points.data), by_bytes);
	return LT_OK;
}

enum lt_status lt_growth_find(const struct lt_picture *picture, struct lt_expressions *expressions,
			      const struct lt_generation *generations, size_t count,
			      uint64_t least_bytes, struct lt_growth *ret_growth)
{
	LT_CLEANUP(lt_growth_deinit) struct lt_growth growth = {0};
	struct finding_growth f = {
		.picture = picture,
		.expressions = expressions,
		.generations = generations,
		.generation_count = count,
		.count = picture->graph.graph.node_count,
		.growth = &growth,
	};
	enum lt_status status = find(&f, least_bytes);
	free(f.birth);
	free(f.total);
	free(f.objects);
	free(f.sums);
	free(f.decision);
	owners_deinit(&f.owners);
	lt_map_deinit(&f.owner_of);
	lt_map_deinit(&f.lengthened);
	LT_TRY(status);
	*ret_growth = growth;
	growth = (struct lt_growth){0};
	return LT_OK;
}

void lt_growth_deinit(struct lt_growth *growth)
{
	lt_growth_points_deinit(&growth->points);
	lt_growth_holders_deinit(&growth->holders);
	*growth = (struct lt_growth){0};
}
