/*
 * rss_pins.c: what keeps resident memory from going back: arenas of Python's allocator that are mostly free, and holes
 * in heaps of the C allocator.
 *
 * A free chunk of the C allocator is put down to the object behind it, when that is much smaller. An arena goes back
 * when its last block is freed: each one that is mostly free is put down to the type that has most of what survives in it.
 */
#include "analysis/rss_parts.h"

#include "analysis/expression.h"
#include "base/cleanup.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
	PINS_SHOWN = 10,
	BYTES_MIN = 256 << 10, /* held by all of a type, to be worth a row */
};

/* What survives takes at most this share of an arena that is mostly free. */
static const double USED_SHARE = 0.5;

struct survivors {
	uint64_t holds, count;
	uint32_t sample, holder; /* of the arenas most are held by this one; a vote tells */
	uint64_t votes;
	uint64_t here_bytes, here_count; /* in the arena that is looked at */
	uint32_t here_sample;
};

struct pinning {
	struct lt_rss_reading *reading;
	struct survivors *types; /* by index; the last one: no object at all */
	uint32_t *touched;       /* types that are in the arena */
	size_t touched_count;
	uint32_t node;
};

/* The dict of an instance is the instance's. */
static uint32_t owner_of(const struct lt_picture *picture, uint32_t node)
{
	const struct lt_type *type = lt_picture_type(picture, node);
	uint32_t parent = picture->parent[node];
	if (parent == LT_GRAPH_NONE || type == NULL || type->kind != LT_KIND_DICT)
		return node;
	const struct lt_type *holder = lt_picture_type(picture, parent);
	return holder != NULL && (holder->managed_dict || holder->dictoffset != 0) ? parent : node;
}

static void look_at_node(struct pinning *pinning, uint32_t node)
{
	const struct lt_picture *picture = pinning->reading->picture;
	uint32_t owner = owner_of(picture, node);
	uint32_t type = lt_heap_graph_type(&picture->graph, owner);
	if (type >= pinning->reading->type_count)
		return;
	struct survivors *survivors = &pinning->types[type];
	if (survivors->here_count == 0) {
		pinning->touched[pinning->touched_count++] = type;
		survivors->here_sample = owner;
	}
	survivors->here_bytes += lt_heap_graph_size(&picture->graph, node);
	survivors->here_count++;
}

/* The majority wins, if there is one; else one of the last. */
static void vote(struct survivors *survivors, uint32_t sample, uint32_t holder)
{
	if (survivors->votes == 0) {
		survivors->sample = sample;
		survivors->holder = holder;
	}
	if (survivors->holder == holder)
		survivors->votes++;
	else
		survivors->votes--;
}

static void look_at_arena(struct pinning *pinning, lt_addr start, lt_addr end, uint64_t resident)
{
	const struct lt_heap_graph *graph = &pinning->reading->picture->graph;
	uint32_t nodes = graph->graph.node_count, most = pinning->reading->type_count;
	uint32_t low = pinning->node, high = nodes;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (lt_heap_graph_address(graph, middle) < start)
			low = middle + 1;
		else
			high = middle;
	}
	pinning->touched_count = 0;
	for (; low < nodes && lt_heap_graph_address(graph, low) < end; low++)
		look_at_node(pinning, low);
	pinning->node = low;
	uint64_t bytes = 0;
	for (size_t i = 0; i < pinning->touched_count; i++) {
		const struct survivors *survivors = &pinning->types[pinning->touched[i]];
		if (survivors->here_bytes > bytes) {
			bytes = survivors->here_bytes;
			most = pinning->touched[i];
		}
	}
	struct survivors *chosen = &pinning->types[most];
	chosen->holds += resident;
	chosen->count += chosen->here_count;
	if (chosen->here_count > 0)
		vote(chosen, chosen->here_sample,
		     pinning->reading->picture->parent[chosen->here_sample]);
	for (size_t i = 0; i < pinning->touched_count; i++) {
		pinning->types[pinning->touched[i]].here_bytes = 0;
		pinning->types[pinning->touched[i]].here_count = 0;
	}
}

/* What there is to say of a survivor that no expression reaches. */
static void describe(const struct lt_rss_reading *reading, uint32_t index,
		     const struct lt_rss_kept *kept, lt_addr address, struct lt_text *note)
{
	const struct lt_picture *picture = reading->picture;
	if (address != 0)
		lt_text_addf(note, "at 0x%" PRIx64 ": ", address);
	if (kept->sample != LT_NO_NODE)
		lt_text_add(note, picture->alive == NULL || picture->alive[kept->sample] != 0
					  ? "only C code refers to it"
					  : "garbage, no root reaches it");
	else if (index < reading->type_count)
		lt_text_add(note, "memory that belongs to one");
	else if (index == reading->type_count)
		lt_text_add(note, "the interpreter or C code has it");
	else
		lt_text_add(note, "the thread keeps it for its next request");
}

static enum lt_status add_pin(const struct lt_rss_reading *reading, struct lt_rss *rss,
			      struct lt_expressions *expressions, uint32_t index,
			      const struct lt_rss_kept *kept, const char *layer)
{
	LT_CLEANUP(lt_text_deinit) struct lt_text expression = {0};
	LT_CLEANUP(lt_text_deinit) struct lt_text note = {0};
	LT_CLEANUP(lt_text_deinit) struct lt_text where = {0};
	lt_addr address = kept->memory;
	char name[LT_RSS_NAME];
	if (index == reading->type_count)
		snprintf(name, sizeof(name), "memory of no object");
	else if (index > reading->type_count)
		snprintf(name, sizeof(name), "free in the cache of a thread");
	else
		lt_rss_type_name(reading, index, name, sizeof(name));
	if (kept->sample != LT_NO_NODE)
		lt_expression_write(expressions, kept->sample, &expression, &where);
	if (kept->sample != LT_NO_NODE)
		address = lt_picture_address(reading->picture, kept->sample);
	if (expression.length == 0)
		describe(reading, index, kept, address, &note);
	const struct lt_rss_pin pin = {
		.expression =
			lt_arena_copy(&rss->strings, lt_text_get(&expression), expression.length),
		.where = lt_arena_copy(&rss->strings, lt_text_get(&where), where.length),
		.note = lt_arena_copy(&rss->strings, lt_text_get(&note), note.length),
		.address = address,
		.type = lt_arena_copy(&rss->strings, name, strlen(name)),
		.count = kept->count,
		.holds_bytes = kept->holds,
		.layer = layer,
	};
	return pin.expression != NULL && pin.where != NULL && pin.note != NULL &&
			       pin.type != NULL && !expression.failed && !where.failed &&
			       !note.failed && lt_rss_pins_push(&rss->pins, pin)
		       ? LT_OK
		       : lt_fail_memory(reading->session);
}

static int by_holds(const void *left, const void *right)
{
	uint64_t a = ((const struct lt_rss_pin *)left)->holds_bytes;
	uint64_t b = ((const struct lt_rss_pin *)right)->holds_bytes;
	return (a < b) - (a > b);
}

/* ---- Whose memory behind a hole is ---- */

enum { INSIDE = 64 }; /* a pointer to memory may lead so far into it */

/* True when rows of `kept` with this type will be shown, and the object of the largest is still to be found. */
static bool is_wanted(const struct lt_rss_kept *kept)
{
	return kept->holds >= BYTES_MIN && kept->sample == LT_NO_NODE && kept->memory != 0;
}

static void hold(struct lt_rss_kept *kept, uint64_t word, uint32_t node)
{
	if (is_wanted(kept) && word >= kept->memory && word <= kept->memory + INSIDE)
		kept->sample = node;
}

/* Objects that have a pointer to the memory behind the largest holes become their samples. */
static void find_holders(struct lt_rss_reading *reading)
{
	const struct lt_heap_graph *graph = &reading->picture->graph;
	uint32_t nodes = graph->graph.node_count, wanted = 0;
	lt_addr at = nodes > 0 ? lt_heap_graph_address(graph, 0) : 0;
	for (uint32_t type = 0; type < reading->type_count; type++)
		wanted += is_wanted(&reading->kept[type]) + is_wanted(&reading->kept_top[type]);
	for (uint32_t node = 0; node < nodes && wanted > 0;) {
		uint64_t words[LT_RSS_POINTERS];
		uint32_t end = lt_picture_walk(reading->picture, node);
		if (end <= node)
			end = node + 1;
		for (; node < end && node < nodes; node++, at = lt_heap_graph_after(graph, at)) {
			uint32_t type = lt_heap_graph_type(graph, node);
			if (type >= reading->type_count)
				continue;
			struct lt_rss_kept *kept = &reading->kept[type];
			struct lt_rss_kept *top = &reading->kept_top[type];
			unsigned before = is_wanted(kept) + is_wanted(top);
			size_t count =
				before > 0
					? lt_rss_pointers(reading->view,
							  lt_picture_type(reading->picture, node),
							  at, words)
					: 0;
			for (size_t i = 0; i < count; i++) {
				hold(kept, words[i], node);
				hold(top, words[i], node);
			}
			wanted -= before - is_wanted(kept) - is_wanted(top);
		}
	}
	lt_heap_walk_end(reading->picture->heap);
}

static enum lt_status add_kept(const struct lt_rss_reading *reading, struct lt_rss *rss,
			       struct lt_expressions *expressions, const struct lt_rss_kept *list,
			       const char *layer)
{
	for (uint32_t i = 0; i < reading->type_count + 2 && !lt_foreign_replaces(&reading->foreign);
	     i++) {
		if (list[i].holds >= BYTES_MIN)
			LT_TRY(add_pin(reading, rss, expressions, i, &list[i], layer));
	}
	return LT_OK;
}

static enum lt_status add_pins(struct pinning *pinning, const struct lt_subject *subject,
			       struct lt_rss *rss)
{
	struct lt_rss_reading *reading = pinning->reading;
	struct lt_expressions *expressions = NULL;
	LT_TRY(lt_expressions_create(&subject->picture, &expressions));
	enum lt_status status = LT_OK;
	for (uint32_t i = 0; i <= reading->type_count && status == LT_OK; i++) {
		const struct survivors *survivors = &pinning->types[i];
		const struct lt_rss_kept arenas = {
			.holds = survivors->holds,
			.count = survivors->count,
			.sample = survivors->count > 0 ? survivors->sample : LT_NO_NODE,
		};
		if (arenas.holds >= BYTES_MIN)
			status = add_pin(reading, rss, expressions, i, &arenas, "pymalloc arena");
	}
	if (status == LT_OK)
		status = add_kept(reading, rss, expressions, reading->kept, "malloc heap");
	if (status == LT_OK)
		status = add_kept(reading, rss, expressions, reading->kept_top, "malloc top");
	lt_expressions_destroy(expressions);
	if (rss->pins.count > 0)
		qsort(rss->pins.data, rss->pins.count, sizeof(*rss->pins.data), by_holds);
	if (rss->pins.count > PINS_SHOWN)
		rss->pins.count = PINS_SHOWN;
	return status;
}

/* Resident bytes of an arena that is mostly free, 0 of another. */
static uint64_t pinned_bytes(struct lt_rss_reading *reading, size_t index)
{
	const struct lt_pymalloc_arena *arena = &reading->pymalloc->arenas.data[index];
	uint64_t resident = lt_resident_bytes(&reading->resident, arena->start, arena->end);
	return (double)reading->arena_used[index] <= USED_SHARE * (double)resident ? resident : 0;
}

static bool mostly_free(struct lt_rss_reading *reading)
{
	uint64_t bytes = 0;
	for (size_t i = 0; i < reading->pymalloc->arenas.count; i++)
		bytes += pinned_bytes(reading, i);
	for (uint32_t i = 0; i < reading->type_count + 2; i++)
		bytes += reading->kept[i].holds + reading->kept_top[i].holds;
	return bytes >= BYTES_MIN;
}

enum lt_status lt_rss_find_pins(struct lt_rss_reading *reading, struct lt_subject *subject,
				struct lt_rss *rss)
{
	size_t count = (size_t)reading->type_count + 1;
	if (!mostly_free(reading))
		return LT_OK;
	LT_TRY(lt_subject_picture(subject, LT_PICTURE_WAYS));
	LT_FREE struct survivors *types = calloc(count, sizeof(*types));
	LT_FREE uint32_t *touched = calloc(count, sizeof(*touched));
	if (types == NULL || touched == NULL)
		return lt_fail_memory(reading->session);
	struct pinning pinning = {.reading = reading, .types = types, .touched = touched};
	for (size_t i = 0; i < reading->pymalloc->arenas.count; i++) {
		const struct lt_pymalloc_arena *arena = &reading->pymalloc->arenas.data[i];
		uint64_t resident = pinned_bytes(reading, i);
		if (resident > 0)
			look_at_arena(&pinning, arena->start, arena->end, resident);
	}
	find_holders(reading);
	return add_pins(&pinning, subject, rss);
}
