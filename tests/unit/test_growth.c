/* Growth between pictures of made-up heaps: what is matched, whom new objects belong to, what is steady. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "analysis/growth.h"
#include "base/cleanup.h"

enum {
	OBJECTS_MAX = 6000,
	EDGES_MAX = 24000,
	LOOKS_MAX = 5,
	SMALL = 64,         /* bytes of a small object */
	LEAST = 1000,       /* bytes of growth that are looked at */
	RANDOM_HEAPS = 300, /* of each random test */
	RANDOM_OBJECTS = 120,
	DEEP = 5000,
};

static const lt_addr BASE = 1 << 20;

/* The types of all heaps here, in the order of their indices. */
enum type { DICT, LIST, TUPLE, OBJECT, STR, LRU_CACHE, DEQUE, TYPE_COUNT };
static const struct lt_type type_rows[TYPE_COUNT] = {
	[DICT] = {.kind = LT_KIND_DICT, .name = "dict"},
	[LIST] = {.kind = LT_KIND_LIST, .name = "list"},
	[TUPLE] = {.kind = LT_KIND_TUPLE, .name = "tuple"},
	[OBJECT] = {.kind = LT_KIND_OBJECT, .name = "Order"},
	[STR] = {.kind = LT_KIND_STR, .name = "str"},
	[LRU_CACHE] = {.kind = LT_KIND_LRU_CACHE, .name = "_lru_cache_wrapper"},
	[DEQUE] = {.kind = LT_KIND_DEQUE, .name = "deque"},
};

struct object {
	lt_addr address;
	enum type type;
	uint64_t size;
	int64_t length;
	bool gone;
};

struct edge {
	uint32_t from, to; /* objects, by the order in which they were made */
	bool gone;
};

/* A heap of a process, which tests change between pictures. Object 0 is the dict of a module. */
struct heap {
	struct object objects[OBJECTS_MAX];
	uint32_t count;
	struct edge edges[EDGES_MAX];
	uint32_t edge_count;
	lt_addr next; /* address of the next object */
};

/* A picture of it, and what its source answers from. */
struct shot {
	struct lt_picture picture;
	struct lt_refs *refs; /* of each node */
	int64_t *length;
};

/* Looks at one heap, oldest first. */
struct looks {
	struct lt_generation generations[LOOKS_MAX];
	size_t count;
	struct shot last;
	struct lt_growth growth;
};

static struct lt_session session;
static struct lt_types *types;
static struct heap heap;
static uint64_t state = 0x2545f4914f6cdd1d;

static uint32_t random_below(uint32_t bound)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return bound > 0 ? (uint32_t)((state >> 16) % bound) : 0;
}

/* ---- A heap ---- */

static uint32_t make_at(lt_addr address, enum type type, uint64_t size)
{
	assert_true(heap.count < OBJECTS_MAX);
	heap.objects[heap.count] = (struct object){.address = address, .type = type, .size = size};
	return heap.count++;
}

static uint32_t make(enum type type, uint64_t size)
{
	heap.next += 16;
	return make_at(heap.next, type, size);
}

/* `from` refers to `to`, which makes a container one entry longer. */
static void refer(uint32_t from, uint32_t to)
{
	assert_true(heap.edge_count < EDGES_MAX);
	heap.edges[heap.edge_count++] = (struct edge){.from = from, .to = to};
	heap.objects[from].length++;
}

static void forget(uint32_t from, uint32_t to)
{
	for (uint32_t e = 0; e < heap.edge_count; e++) {
		struct edge *edge = &heap.edges[e];
		if (edge->from != from || edge->to != to || edge->gone)
			continue;
		edge->gone = true;
		heap.objects[from].length--;
		return;
	}
	fail_msg("no such reference");
}

static void drop(uint32_t from, uint32_t object)
{
	forget(from, object);
	heap.objects[object].gone = true;
}

/* `count` objects of a type in a container; returns the first. */
static uint32_t fill(uint32_t container, uint32_t count, enum type type, uint64_t size)
{
	uint32_t first = heap.count;
	for (uint32_t i = 0; i < count; i++)
		refer(container, make(type, size));
	return first;
}

static void begin(void)
{
	memset(&heap, 0, sizeof(heap));
	heap.next = BASE;
	(void)make(DICT, 1000);
}

/* A variable of the module. */
static uint32_t variable(enum type type)
{
	uint32_t object = make(type, SMALL);
	refer(0, object);
	return object;
}

/* ---- A picture of it ---- */

static void shot_refs(void *ctx, uint32_t node, struct lt_refs *refs)
{
	const struct shot *shot = ctx;
	for (size_t i = 0; i < shot->refs[node].count; i++)
		assert_true(lt_refs_push(refs, shot->refs[node].data[i]));
}

static bool shot_number(void *ctx, uint32_t node, enum lt_detail detail, int64_t *ret_value)
{
	const struct shot *shot = ctx;
	if (detail != LT_DETAIL_LENGTH)
		return false;
	*ret_value = shot->length[node];
	return true;
}

static bool shot_text(void *ctx, uint32_t node, enum lt_detail detail, struct lt_text *text)
{
	(void)ctx;
	(void)node;
	(void)detail;
	(void)text;
	return false;
}

static void shot_destroy(void *ctx)
{
	(void)ctx;
}

static const struct lt_source_ops shot_ops = {
	.refs = shot_refs, .number = shot_number, .text = shot_text, .destroy = shot_destroy};

static int by_address(const void *left, const void *right)
{
	lt_addr a = heap.objects[*(const uint32_t *)left].address;
	lt_addr b = heap.objects[*(const uint32_t *)right].address;
	return a < b ? -1 : a > b;
}

/* Objects that are not gone, by address; ret_node[] has the node of each object. */
static uint32_t number_objects(uint32_t *ret_order, uint32_t *ret_node)
{
	uint32_t count = 0;
	for (uint32_t i = 0; i < heap.count; i++) {
		ret_node[i] = LT_NO_NODE;
		if (!heap.objects[i].gone)
			ret_order[count++] = i;
	}
	qsort(ret_order, count, sizeof(*ret_order), by_address);
	for (uint32_t n = 0; n < count; n++)
		ret_node[ret_order[n]] = n;
	return count;
}

static void make_nodes(struct shot *shot, const uint32_t *order, uint32_t count)
{
	LT_FREE lt_addr *address = calloc((size_t)count + 1, sizeof(*address));
	LT_FREE uint64_t *size = calloc((size_t)count + 1, sizeof(*size));
	LT_FREE uint32_t *type = calloc((size_t)count + 1, sizeof(*type));
	struct lt_heap_nodes nodes = {
		.count = count,
		.address = address,
		.size = size,
		.type = type,
		.flags = calloc((size_t)count + 1, 1),
	};
	shot->length = calloc((size_t)count + 1, sizeof(*shot->length));
	shot->refs = calloc((size_t)count + 1, sizeof(*shot->refs));
	assert_true(address != NULL && size != NULL && type != NULL && nodes.flags != NULL);
	assert_true(shot->length != NULL && shot->refs != NULL);
	for (uint32_t n = 0; n < count; n++) {
		const struct object *object = &heap.objects[order[n]];
		address[n] = object->address;
		size[n] = object->size;
		type[n] = object->type;
		shot->length[n] = object->length;
	}
	assert_int_equal(lt_heap_graph_restore(&session, &nodes, &shot->picture.graph), LT_OK);
}

static void make_edges(struct shot *shot, const uint32_t *node)
{
	for (uint32_t e = 0; e < heap.edge_count; e++) {
		const struct edge *edge = &heap.edges[e];
		if (edge->gone || node[edge->from] == LT_NO_NODE || node[edge->to] == LT_NO_NODE)
			continue;
		struct lt_refs *refs = &shot->refs[node[edge->from]];
		struct lt_ref ref = {.to = heap.objects[edge->to].address,
				     .index = (uint32_t)refs->count,
				     .kind = LT_REF_ITEM};
		assert_true(lt_refs_push(refs, ref));
	}
	struct lt_graph_builder *builder = NULL;
	assert_int_equal(lt_graph_builder_create(&session, &builder), LT_OK);
	for (uint32_t n = 0; n < shot->picture.graph.graph.node_count; n++) {
		const struct lt_refs *refs = &shot->refs[n];
		for (size_t i = 0; i < refs->count; i++) {
			uint32_t to = lt_heap_graph_find(&shot->picture.graph, refs->data[i].to);
			assert_true(lt_graph_builder_add(builder, &to, 1));
		}
		assert_int_equal(lt_graph_builder_row(builder, NULL, 0), LT_OK);
	}
	assert_int_equal(lt_graph_builder_finish(builder, &shot->picture.graph.graph), LT_OK);
}

/* The picture of the heap as it is now; object 0 and the `more` others are roots. */
static void take(struct shot *shot, enum lt_root_kind kind, const uint32_t *more, size_t count)
{
	static uint32_t order[OBJECTS_MAX], node[OBJECTS_MAX];
	*shot = (struct shot){.picture = {.session = &session, .types = types}};
	struct lt_picture *picture = &shot->picture;
	make_nodes(shot, order, number_objects(order, node));
	make_edges(shot, node);
	picture->source = (struct lt_source){.ops = &shot_ops, .ctx = shot};
	struct lt_root root = {
		.address = heap.objects[0].address, .kind = LT_ROOT_MODULES, .name = "modules"};
	assert_true(lt_root_list_push(&picture->roots.list, root));
	for (size_t i = 0; i < count; i++) {
		root = (struct lt_root){
			.address = heap.objects[more[i]].address, .kind = kind, .name = "more"};
		assert_true(lt_root_list_push(&picture->roots.list, root));
	}
	assert_int_equal(lt_picture_place_roots(picture), LT_OK);
	picture->alive = calloc((size_t)picture->graph.graph.node_count + 1, 1);
	assert_non_null(picture->alive);
	assert_int_equal(lt_graph_mark(&session, &picture->graph.graph, picture->root_node,
				       picture->roots.list.count, picture->alive),
			 LT_OK);
	assert_int_equal(lt_picture_ways(picture), LT_OK);
	assert_int_equal(lt_picture_weigh(picture), LT_OK);
}

static void shot_deinit(struct shot *shot)
{
	for (uint32_t n = 0; shot->refs != NULL && n < shot->picture.graph.graph.node_count; n++)
		lt_refs_deinit(&shot->refs[n]);
	free(shot->refs);
	free(shot->length);
	lt_picture_deinit(&shot->picture);
	*shot = (struct shot){0};
}

static void look_with(struct looks *looks, enum lt_root_kind kind, const uint32_t *roots,
		      size_t count)
{
	struct shot shot;
	assert_true(looks->count < LOOKS_MAX);
	take(&shot, kind, roots, count);
	assert_int_equal(lt_generation_take(&shot.picture, &looks->generations[looks->count++]),
			 LT_OK);
	shot_deinit(&shot);
}

static void look(struct looks *looks)
{
	look_with(looks, LT_ROOT_EXTERNAL, NULL, 0);
}

static void judge(struct looks *looks)
{
	struct lt_expressions *expressions = NULL;
	assert_int_equal(lt_expressions_create(&looks->last.picture, &expressions), LT_OK);
	assert_int_equal(lt_growth_find(&looks->last.picture, expressions, looks->generations,
					looks->count, LEAST, &looks->growth),
			 LT_OK);
	lt_expressions_destroy(expressions);
}

/* The last look: what grew. */
static void look_last(struct looks *looks)
{
	take(&looks->last, LT_ROOT_EXTERNAL, NULL, 0);
	judge(looks);
}

static void looks_deinit(struct looks *looks)
{
	for (size_t g = 0; g < looks->count; g++)
		lt_generation_deinit(&looks->generations[g]);
	lt_growth_deinit(&looks->growth);
	shot_deinit(&looks->last);
}

static uint32_t node_of(const struct looks *looks, uint32_t object)
{
	return lt_heap_graph_find(&looks->last.picture.graph, heap.objects[object].address);
}

/* The only point there is, which is that object. */
static const struct lt_growth_point *only_point(const struct looks *looks, uint32_t object)
{
	assert_int_equal(looks->growth.points.count, 1);
	assert_int_equal(looks->growth.points.data[0].node, node_of(looks, object));
	return &looks->growth.points.data[0];
}

#define assert_close(a, b) assert_true((a) - (b) < 1e-9 && (b) - (a) < 1e-9)

/* ---- Matching ---- */

static void test_the_same_heap(void **ignored)
{
	(void)ignored;
	LT_CLEANUP(looks_deinit) struct looks looks = {0};
	begin();
	fill(variable(LIST), 1000, OBJECT, SMALL);
	look(&looks);
	look(&looks);
	look_last(&looks);
	assert_int_equal(looks.growth.new_objects, 0);
	assert_int_equal(looks.growth.new_bytes, 0);
	assert_int_equal(looks.growth.points.count, 0);
}

static void test_a_list_that_gets_longer(void **ignored)
{
	(void)ignored;
	LT_CLEANUP(looks_deinit) struct looks looks = {0};
	begin();
	uint32_t held = variable(LIST), other = variable(DICT);
	fill(held, 10, OBJECT, SMALL);
	fill(other, 500, OBJECT, SMALL);
	look(&looks);
	fill(held, 100, OBJECT, SMALL);
	look(&looks);
	fill(held, 100, OBJECT, SMALL);
	look_last(&looks);
	const struct lt_growth_point *point = only_point(&looks, held);
	assert_int_equal(looks.growth.new_objects, 200);
	assert_int_equal(point->objects, 200);
	assert_int_equal(point->bytes, 200 * SMALL);
	assert_int_equal(point->retained, 211 * SMALL);
	assert_true(point->container && !point->rebound && !point->shared && !point->spread);
	const uint64_t lengths[] = {10, 110, 210}, bytes[] = {11 * SMALL, 111 * SMALL, 211 * SMALL};
	assert_memory_equal(point->length, lengths, sizeof(lengths));
	assert_memory_equal(point->held, bytes, sizeof(bytes));
	assert_close(point->steadiness, 1);
	assert_close(point->kept, 1);
}

/* The object stays where it is, its array does not: what is counted with the list grows, no address changes. */
static void test_a_moved_array(void **ignored)
{
	(void)ignored;
	enum { ENTRIES = 2000 };
	LT_CLEANUP(looks_deinit) struct looks looks = {0};
	begin();
	uint32_t held = variable(LIST), item = variable(STR), spare = variable(LIST);
	for (int i = 0; i < ENTRIES; i++)
		refer(held, item);
	heap.objects[held].size = SMALL + 8 * ENTRIES;
	heap.objects[spare].size = SMALL + 8 * ENTRIES;
	look(&looks);
	/* The same item again and again, and an array made longer for it. */
	for (int i = 0; i < ENTRIES; i++)
		refer(held, item);
	heap.objects[held].size += 8 * ENTRIES;
	/* More room without an entry more is no growth of what it keeps. */
	heap.objects[spare].size += 8 * ENTRIES;
	look_last(&looks);
	const struct lt_growth_point *point = only_point(&looks, held);
	assert_int_equal(point->bytes, 8 * ENTRIES);
	assert_int_equal(point->objects, 0);
	assert_int_equal(looks.growth.new_objects, 0);
	assert_int_equal(point->length[0], ENTRIES);
	assert_int_equal(point->length[1], 2 * ENTRIES);
}

/* rows += (row,): each time a longer tuple, which has the items of the one before it. */
static void test_a_replaced_tuple(void **ignored)
{
	(void)ignored;
	enum { FIRST = 100, MORE = 100 };
	LT_CLEANUP(looks_deinit) struct looks looks = {0};
	begin();
	uint32_t owner = variable(OBJECT), rows = make(TUPLE, SMALL + 8 * FIRST);
	refer(owner, rows);
	uint32_t first = fill(rows, FIRST, STR, SMALL);
	for (int step = 0; step < 3; step++) {
		look(&looks);
		uint32_t longer = make(TUPLE, heap.objects[rows].size + 8 * MORE);
		for (uint32_t i = first; i < heap.count; i++) {
			if (heap.objects[i].type == STR)
				refer(longer, i);
		}
		fill(longer, MORE, STR, SMALL);
		drop(owner, rows);
		refer(owner, longer);
		rows = longer;
	}
	look_last(&looks);
	const struct lt_growth_point *point = only_point(&looks, rows);
	assert_true(point->rebound && !point->container);
	assert_int_equal(point->bytes, 3 * MORE * (SMALL + 8));
	assert_close(point->steadiness, 1);
}

/* An address that was given away is a new object when its type is another, and passes for old when it is not. */
static void test_a_reused_address(void **ignored)
{
	(void)ignored;
	enum { COUNT = 100 };
	LT_CLEANUP(looks_deinit) struct looks looks = {0};
	begin();
	uint32_t held = variable(LIST);
	uint32_t first = fill(held, 2 * COUNT, OBJECT, SMALL);
	look(&looks);
	for (uint32_t i = first; i < first + 2 * COUNT; i++) {
		drop(held, i);
		uint32_t made =
			make_at(heap.objects[i].address, i < first + COUNT ? STR : OBJECT, SMALL);
		refer(held, made);
	}
	look_last(&looks);
	assert_int_equal(looks.growth.new_objects, COUNT);
	assert_int_equal(looks.growth.new_bytes, COUNT * SMALL);
	/* As many went as came. */
	assert_int_equal(looks.growth.points.count, 0);
}

/* Of the first and third look, not of the second: not one object that lived on. */
static void test_one_that_was_away(void **ignored)
{
	(void)ignored;
	LT_CLEANUP(looks_deinit) struct looks looks = {0};
	begin();
	uint32_t held = variable(LIST), once = make(OBJECT, SMALL);
	refer(held, once);
	look(&looks);
	drop(held, once);
	look(&looks);
	refer(held, make_at(heap.objects[once].address, OBJECT, SMALL));
	look_last(&looks);
	assert_int_equal(looks.growth.new_objects, 1);
}

/* ---- What is growth ---- */

static void test_a_burst_that_goes_away(void **ignored)
{
	(void)ignored;
	LT_CLEANUP(looks_deinit) struct looks looks = {0};
	begin();
	uint32_t queue = variable(DEQUE);
	fill(queue, 5, OBJECT, SMALL);
	look(&looks);
	uint32_t first = fill(queue, 1000, OBJECT, SMALL), end = heap.count;
	look(&looks);
	for (uint32_t i = first; i < end; i++)
		drop(queue, i);
	look_last(&looks);
	assert_int_equal(looks.growth.points.count, 0);
}

/* One that stays to the last look, or that began only after the second one, is growth that is not steady. */
static void test_a_burst_that_stays(void **ignored)
{
	(void)ignored;
	for (int early = 0; early < 2; early++) {
		LT_CLEANUP(looks_deinit) struct looks looks = {0};
		begin();
		uint32_t queue = variable(DEQUE);
		fill(queue, 5, OBJECT, SMALL);
		look(&looks);
		if (early)
			fill(queue, 1000, OBJECT, SMALL);
		look(&looks);
		if (!early)
			fill(queue, 1000, OBJECT, SMALL);
		look_last(&looks);
		assert_close(only_point(&looks, queue)->steadiness, 0);
	}
}

/* A third of what the mean interval has in the least one. */
static void test_uneven_growth(void **ignored)
{
	(void)ignored;
	LT_CLEANUP(looks_deinit) struct looks looks = {0};
	begin();
	uint32_t held = variable(LIST);
	look(&looks);
	fill(held, 100, OBJECT, SMALL);
	look(&looks);
	fill(held, 500, OBJECT, SMALL);
	look_last(&looks);
	assert_close(only_point(&looks, held)->steadiness, 100.0 / 300);
}

/* A ring that turns over: all entries are new, and none too many. */
static void test_a_ring(void **ignored)
{
	(void)ignored;
	LT_CLEANUP(looks_deinit) struct looks looks = {0};
	begin();
	uint32_t ring = variable(DEQUE);
	uint32_t first = fill(ring, 1000, OBJECT, SMALL);
	look(&looks);
	for (uint32_t i = first; i < first + 1000; i++)
		drop(ring, i);
	fill(ring, 1000, OBJECT, SMALL);
	look_last(&looks);
	assert_int_equal(looks.growth.new_objects, 1000);
	assert_int_equal(looks.growth.points.count, 0);
}

/* A queue that turns over and gets somewhat longer: a fifth of what came is more than went. */
static void test_a_queue_that_turns_over(void **ignored)
{
	(void)ignored;
	LT_CLEANUP(looks_deinit) struct looks looks = {0};
	begin();
	uint32_t queue = variable(DEQUE);
	uint32_t first = fill(queue, 400, OBJECT, SMALL);
	look(&looks);
	for (uint32_t i = first; i < first + 400; i++)
		drop(queue, i);
	fill(queue, 500, OBJECT, SMALL);
	look_last(&looks);
	const struct lt_growth_point *point = only_point(&looks, queue);
	assert_int_equal(point->objects, 100);
	assert_int_equal(point->bytes, 100 * SMALL);
	assert_close(point->kept, 0.2);
}

/* ---- Whose growth it is ---- */

/* Lists of records in a dict: the dict is where it piles up. */
static void test_growth_of_entries(void **ignored)
{
	(void)ignored;
	LT_CLEANUP(looks_deinit) struct looks looks = {0};
	begin();
	uint32_t by_user = variable(DICT);
	uint32_t first = fill(by_user, 50, LIST, SMALL);
	look(&looks);
	for (uint32_t i = first; i < first + 50; i++)
		fill(i, 20, OBJECT, SMALL);
	look_last(&looks);
	const struct lt_growth_point *point = only_point(&looks, by_user);
	assert_true(point->container && point->spread);
	assert_int_equal(point->objects, 1000);
	assert_int_equal(point->bytes, 1000 * SMALL);
}

/* One entry of a dict that grows alone is named itself; so are two variables, the heavier first. */
static void test_one_entry(void **ignored)
{
	(void)ignored;
	LT_CLEANUP(looks_deinit) struct looks looks = {0};
	begin();
	uint32_t registry = variable(DICT), other = variable(DEQUE);
	uint32_t first = fill(registry, 50, LIST, SMALL);
	look(&looks);
	fill(first + 7, 300, OBJECT, SMALL);
	fill(other, 200, OBJECT, SMALL);
	look_last(&looks);
	assert_int_equal(looks.growth.points.count, 2);
	assert_int_equal(looks.growth.points.data[0].node, node_of(&looks, first + 7));
	assert_int_equal(looks.growth.points.data[1].node, node_of(&looks, other));
}

/* Objects that two lists hold belong to the one that gets longer. */
static void test_shared_objects(void **ignored)
{
	(void)ignored;
	LT_CLEANUP(looks_deinit) struct looks looks = {0};
	begin();
	uint32_t held = variable(LIST), view = variable(LIST);
	fill(held, 10, OBJECT, SMALL);
	look(&looks);
	uint32_t first = fill(held, 500, OBJECT, SMALL);
	for (uint32_t i = first; i < first + 500; i++)
		refer(view, i);
	look_last(&looks);
	assert_int_equal(looks.growth.points.count, 1);
	const struct lt_growth_point *point = &looks.growth.points.data[0];
	assert_true(point->node == node_of(&looks, held) || point->node == node_of(&looks, view));
	assert_true(point->shared);
	assert_int_equal(point->objects, 500);
	assert_int_equal(point->bytes, 500 * SMALL);
}

/* What no object holds counts by the kind of its root. */
static void test_objects_of_roots(void **ignored)
{
	(void)ignored;
	LT_CLEANUP(looks_deinit) struct looks looks = {0};
	begin();
	look(&looks);
	uint32_t roots[200];
	for (int i = 0; i < 200; i++) {
		roots[i] = make(OBJECT, SMALL);
		refer(roots[i], make(STR, SMALL));
	}
	heap.objects[roots[3]].size = 5000;
	take(&looks.last, LT_ROOT_STATIC, roots, 200);
	judge(&looks);
	const struct lt_growth_rootless *rootless = looks.growth.rootless;
	assert_int_equal(looks.growth.points.count, 0);
	assert_int_equal(rootless[LT_ROOT_STATIC].objects, 400);
	assert_int_equal(rootless[LT_ROOT_STATIC].bytes, 399 * SMALL + 5000);
	assert_int_equal(rootless[LT_ROOT_STATIC].sample, node_of(&looks, roots[3]));
	assert_int_equal(rootless[LT_ROOT_EXTERNAL].objects, 0);
	assert_int_equal(rootless[LT_ROOT_EXTERNAL].sample, LT_NO_NODE);
	const struct lt_growth_holders *holders = &looks.growth.holders;
	assert_int_equal(holders->count, 1);
	assert_int_equal(holders->data[0].objects, 400);
	assert_int_equal(holders->data[0].bytes, 399 * SMALL + 5000);
	assert_int_equal(holders->data[0].sample, node_of(&looks, roots[3]));
}

/* Of what C code holds each place has its own sum: symbols by name, what is elsewhere by type. */
static void test_places_of_c_code(void **ignored)
{
	(void)ignored;
	LT_CLEANUP(looks_deinit) struct looks looks = {0};
	static const char *const names[] = {"a.so:table", "a.so:table+0x8", "b.so:list", "a.so:t"};
	begin();
	uint32_t roots[60];
	for (int step = 0; step < 3; step++) {
		for (int i = 20 * step; i < 20 * (step + 1); i++)
			roots[i] = make(OBJECT, SMALL * (uint64_t)(i + 1));
		if (step == 2)
			take(&looks.last, LT_ROOT_STATIC, roots, 60);
		else
			look_with(&looks, LT_ROOT_STATIC, roots, 20 * ((size_t)step + 1));
	}
	uint64_t wanted[3] = {0}, middle = 0, before = 0;
	for (size_t i = 0; i < 60; i++) {
		/* Root 0 is the module's. */
		looks.last.picture.roots.list.data[i + 1].name = names[i % 4];
		uint64_t size = SMALL * (uint64_t)(i + 1);
		if (i >= 20)
			wanted[i % 4 < 2 ? 0 : i % 4 - 1] += size;
		else if (i % 4 < 2)
			before += size;
		if (i >= 20 && i < 40 && i % 4 < 2)
			middle += size;
	}
	judge(&looks);
	const struct lt_growth_holders *holders = &looks.growth.holders;
	assert_int_equal(holders->count, 3);
	assert_string_equal(holders->data[1].root->name, "a.so:t");
	assert_string_equal(holders->data[2].root->name, "b.so:list");
	assert_int_equal(holders->data[0].bytes, wanted[0]);
	assert_int_equal(holders->data[1].bytes, wanted[2]);
	assert_int_equal(holders->data[2].bytes, wanted[1]);
	assert_int_equal(holders->data[0].objects, 20);
	assert_int_equal(holders->data[0].before, before);
	assert_int_equal(holders->data[0].known[0], 0);
	assert_int_equal(holders->data[0].known[1], middle);
	assert_int_equal(holders->data[0].known[2], wanted[0]);
	assert_int_equal(holders->data[0].sample, node_of(&looks, roots[57]));
}

/* A linked list grows at its end and is known by its start. */
static void test_a_linked_list(void **ignored)
{
	(void)ignored;
	LT_CLEANUP(looks_deinit) struct looks looks = {0};
	begin();
	uint32_t start = variable(OBJECT), last = start;
	for (int step = 0; step < 2; step++) {
		for (int i = 0; i < DEEP / 2; i++) {
			uint32_t link = make(OBJECT, SMALL);
			refer(last, link);
			last = link;
		}
		if (step == 0)
			look(&looks);
	}
	look_last(&looks);
	const struct lt_growth_point *point = only_point(&looks, start);
	assert_int_equal(point->objects, DEEP / 2);
	assert_int_equal(point->bytes, DEEP / 2 * SMALL);
}

/* ---- Heaps that nobody would make ---- */

static int64_t random_length(void)
{
	static const int64_t odd[] = {INT64_MAX, INT64_MIN, -1, 0, UINT32_MAX, (int64_t)1 << 40};
	return random_below(4) == 0 ? odd[random_below(sizeof(odd) / sizeof(odd[0]))]
				    : random_below(50);
}

/* Objects of any type at few addresses, with references that lead anywhere. */
static void make_random(uint64_t size_most)
{
	begin();
	uint8_t taken[4 * RANDOM_OBJECTS] = {0};
	uint32_t count = 1 + random_below(RANDOM_OBJECTS);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t place = random_below(sizeof(taken));
		if (taken[place]++)
			continue;
		uint64_t size = random_below(3) == 0 ? size_most - random_below(1000)
						     : random_below(100000);
		uint32_t made = make_at(BASE + 16 * (lt_addr)(place + 2),
					(enum type)random_below(TYPE_COUNT), size);
		if (random_below(8) == 0)
			refer(0, made);
	}
	uint32_t edges = random_below(4 * count + 1);
	for (uint32_t e = 0; e < edges; e++)
		refer(random_below(heap.count), random_below(heap.count));
	for (uint32_t i = 1; i < heap.count; i++)
		heap.objects[i].length = random_length();
}

/* What is in the last picture and was not in all before it, by looking at each object of each. */
static uint64_t count_new(const struct looks *looks, const struct heap *before)
{
	const struct lt_picture *picture = &looks->last.picture;
	uint64_t count = 0;
	for (uint32_t i = 0; i < heap.count; i++) {
		const struct object *object = &heap.objects[i];
		uint32_t node = lt_heap_graph_find(&picture->graph, object->address);
		bool old = true;
		for (size_t g = 0; g < looks->count; g++) {
			bool there = false;
			for (uint32_t k = 0; k < before[g].count; k++)
				there |= before[g].objects[k].address == object->address &&
					 before[g].objects[k].type == object->type;
			old = old && there;
		}
		count += picture->alive[node] && !old;
	}
	return count;
}

static void check_growth(const struct looks *looks)
{
	const struct lt_picture *picture = &looks->last.picture;
	const struct lt_growth_points *points = &looks->growth.points;
	for (size_t i = 0; i < points->count; i++) {
		const struct lt_growth_point *point = &points->data[i];
		assert_true(point->node < picture->graph.graph.node_count);
		assert_true(picture->alive[point->node]);
		assert_true(point->bytes >= LEAST);
		assert_true(point->steadiness >= 0 && point->steadiness <= 1);
		assert_true(point->kept >= 0 && point->kept <= 1);
		assert_true(point->sample == LT_NO_NODE ||
			    point->sample < picture->graph.graph.node_count);
		assert_true(i == 0 || points->data[i - 1].bytes >= point->bytes);
		/* A container stands for itself, once. */
		for (size_t k = 0; k < i; k++)
			assert_true(!point->container || point->rebound ||
				    !points->data[k].container || points->data[k].rebound ||
				    points->data[k].node != point->node);
	}
	for (int kind = 0; kind < LT_ROOT_KIND_COUNT; kind++)
		assert_true(looks->growth.rootless[kind].objects <= looks->growth.new_objects);
}

static void try_random(uint64_t size_most)
{
	static struct heap before[LOOKS_MAX];
	for (int round = 0; round < RANDOM_HEAPS; round++) {
		LT_CLEANUP(looks_deinit) struct looks looks = {0};
		size_t count = 1 + random_below(LOOKS_MAX - 1);
		for (size_t g = 0; g < count; g++) {
			make_random(size_most);
			before[g] = heap;
			look(&looks);
		}
		make_random(size_most);
		uint32_t roots[8];
		for (int i = 0; i < 8; i++)
			roots[i] = random_below(heap.count);
		take(&looks.last, (enum lt_root_kind)random_below(LT_ROOT_KIND_COUNT), roots, 8);
		judge(&looks);
		check_growth(&looks);
		assert_int_equal(looks.growth.new_objects, count_new(&looks, before));
	}
}

static void test_random_heaps(void **ignored)
{
	(void)ignored;
	try_random(100000);
}

/* Sizes whose sums do not fit. */
static void test_absurd_sizes(void **ignored)
{
	(void)ignored;
	try_random(UINT64_MAX);
	try_random((uint64_t)1 << 62);
}

/* A leak in the midst of anything that does not change is found, and nothing else is. */
static void test_a_leak_in_a_random_heap(void **ignored)
{
	(void)ignored;
	for (int round = 0; round < RANDOM_HEAPS; round++) {
		LT_CLEANUP(looks_deinit) struct looks looks = {0};
		make_random(100000);
		heap.next = BASE + 16 * 8 * RANDOM_OBJECTS;
		uint32_t held = variable(LIST);
		/* What variables of the module refer to, and so is alive. */
		uint32_t known[RANDOM_OBJECTS + 1] = {0}, known_count = 0;
		for (uint32_t e = 0; e < heap.edge_count; e++) {
			if (heap.edges[e].from == 0 && known_count <= RANDOM_OBJECTS)
				known[known_count++] = heap.edges[e].to;
		}
		look(&looks);
		uint32_t steps = 1 + random_below(3), added = 0;
		for (uint32_t step = 0; step < steps; step++) {
			if (step > 0)
				look(&looks);
			uint32_t more = 20 + random_below(20);
			uint32_t first = fill(held, more, OBJECT, SMALL);
			/* They refer to what was there before. */
			for (uint32_t i = first; i < first + more; i++)
				refer(i, known[random_below(known_count)]);
			added += more;
		}
		look_last(&looks);
		const struct lt_growth_points *points = &looks.growth.points;
		size_t found = 0;
		while (found < points->count && points->data[found].node != node_of(&looks, held))
			found++;
		assert_true(found < points->count);
		const struct lt_growth_point *point = &points->data[found];
		assert_int_equal(point->objects, added);
		assert_true(point->bytes >= (uint64_t)added * SMALL);
		assert_true(point->steadiness >= 0.5);
	}
}

/* Without a single object, in either picture. */
static void test_empty_heaps(void **ignored)
{
	(void)ignored;
	LT_CLEANUP(looks_deinit) struct looks looks = {0};
	begin();
	heap.objects[0].gone = true;
	look(&looks);
	heap.objects[0].gone = false;
	fill(0, 100, OBJECT, SMALL);
	look_last(&looks);
	assert_int_equal(looks.growth.new_objects, 101);
	assert_int_equal(looks.growth.points.count, 0);
}

static int set_up(void **ignored)
{
	(void)ignored;
	static struct lt_view view;
	lt_session_init(&session);
	view.session = &session;
	if (lt_types_create(&view, &types) != LT_OK)
		return -1;
	for (int t = 0; t < TYPE_COUNT; t++) {
		struct lt_type type = type_rows[t];
		type.address = 4096 * (lt_addr)(t + 1);
		type.module = "builtins";
		if (!lt_types_add(types, &type))
			return -1;
	}
	return 0;
}

static int tear_down(void **ignored)
{
	(void)ignored;
	lt_types_destroy(types);
	lt_session_deinit(&session);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_same_heap),
		cmocka_unit_test(test_a_list_that_gets_longer),
		cmocka_unit_test(test_a_moved_array),
		cmocka_unit_test(test_a_replaced_tuple),
		cmocka_unit_test(test_a_reused_address),
		cmocka_unit_test(test_one_that_was_away),
		cmocka_unit_test(test_a_burst_that_goes_away),
		cmocka_unit_test(test_a_burst_that_stays),
		cmocka_unit_test(test_uneven_growth),
		cmocka_unit_test(test_a_ring),
		cmocka_unit_test(test_a_queue_that_turns_over),
		cmocka_unit_test(test_growth_of_entries),
		cmocka_unit_test(test_one_entry),
		cmocka_unit_test(test_shared_objects),
		cmocka_unit_test(test_objects_of_roots),
		cmocka_unit_test(test_places_of_c_code),
		cmocka_unit_test(test_a_linked_list),
		cmocka_unit_test(test_random_heaps),
		cmocka_unit_test(test_absurd_sizes),
		cmocka_unit_test(test_a_leak_in_a_random_heap),
		cmocka_unit_test(test_empty_heaps),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
