#include "analysis/unvisited.h"

#include "analysis/picture.h"
#include "analysis/read.h"
#include "base/cleanup.h"
#include "target/elf.h"

#include <string.h>

enum {
	CODE_MAX = 512, /* bytes of a tp_traverse that are looked at */
	CANDIDATES_MAX = 1 << 20,
	VERDICTS_MAX = 1024,
	BASES_MAX = 64,
	ENTRIES_MAX = 64, /* types and members told apart */
};

/* Whether the distance in `bytes`, from `next` on, leads to code outside of the function. */
static bool leads_out(const struct lt_process *process, lt_addr function, size_t size, lt_addr next,
		      const uint8_t bytes[4])
{
	int32_t distance;
	memcpy(&distance, bytes, sizeof(distance));
	lt_addr target = next + (lt_addr)(int64_t)distance;
	const struct lt_mapping *mapping = lt_process_mapping(process, target);
	return mapping != NULL && mapping->executable &&
	       (target < function || target >= function + size);
}

/*
 * True when the function may read the member at `offset` of its first argument, as far as its machine code
 * tells (x86-64): an operand of a register and that displacement is in it, or it calls or jumps to another
 * function that may. A function whose end is not known is read on, so that there is rather more than less.
 * The status: no memory.
 */
static enum lt_status may_read(const struct lt_picture *picture, lt_addr function, uint32_t offset,
			       bool *ret_may)
{
	uint8_t code[CODE_MAX];
	const struct lt_process *process = picture->view->process;
	const struct lt_mapping *mapping =
		process != NULL ? lt_process_mapping(process, function) : NULL;
	size_t size = sizeof(code);
	*ret_may = true;
	if (mapping == NULL || !mapping->executable)
		return LT_OK;
	struct lt_elf *elf = NULL;
	if (mapping->path[0] == '/')
		LT_TRY(lt_elf_try(picture->session, process, mapping->path, &elf));
	if (elf != NULL) {
		uint64_t into = 0, length = 0;
		const char *name = lt_elf_symbol_at(elf, function, &into);
		if (name != NULL && into == 0 && lt_elf_symbol(elf, name, &length) == function &&
		    length > 0 && length < size)
			size = (size_t)length;
		enum lt_status status = lt_elf_check(picture->session, elf);
		lt_elf_close(elf);
		if (status != LT_OK)
			return status;
	}
	size = lt_memory_probe(picture->view->memory, function, code, size);
	for (size_t i = 0; i < size; i++) {
		uint8_t mod = code[i] >> 6, base = code[i] & 7;
		size_t at = i + 1 + (base == 4); /* behind the SIB byte, if there is one */
		uint32_t wide = 0;
		/*
		 * Near calls and jumps (e8, e9) to other code, and those through memory (ff 15, ff 25). The byte
		 * may be part of another instruction: then it is hardly followed by the distance to code.
		 */
		if ((code[i] == 0xe8 || code[i] == 0xe9) && i + 5 <= size &&
		    leads_out(process, function, size, function + i + 5, code + i + 1))
			return LT_OK;
		if (code[i] == 0xff && i + 1 < size && (code[i + 1] == 0x25 || code[i + 1] == 0x15))
			return LT_OK;
		if (mod == 1 && at < size && code[at] == offset)
			return LT_OK;
		if (mod != 2 || at + sizeof(wide) > size)
			continue;
		memcpy(&wide, code + at, sizeof(wide));
		if (wide == offset)
			return LT_OK;
	}
	*ret_may = size == 0;
	return LT_OK;
}

/* The offset at which the body of `from` holds the address of `to`; false: it is no word of the body. */
static bool offset_of(const struct lt_picture *picture, struct lt_loose_ref edge,
		      struct lt_refs *refs, uint32_t *ret_offset)
{
	refs->count = 0;
	lt_picture_refs(picture, edge.from, refs);
	for (size_t i = 0; i < refs->count; i++) {
		if (refs->data[i].kind != LT_REF_CONSERVATIVE ||
		    refs->data[i].to != lt_picture_address(picture, edge.to))
			continue;
		*ret_offset = refs->data[i].index;
		return true;
	}
	return false;
}

/* The entry of a type and member, made when it is missing. NULL: no memory, or too many of them. */
static struct lt_unvisited *entry_of(struct lt_unvisited_list *list, const struct lt_type *type,
				     uint32_t offset)
{
	for (size_t i = 0; i < list->count; i++) {
		if (list->data[i].type == type && list->data[i].offset == offset)
			return &list->data[i];
	}
	struct lt_unvisited entry = {.type = type, .offset = offset};
	return list->count < ENTRIES_MAX && lt_unvisited_list_push(list, entry)
		       ? &list->data[list->count - 1]
		       : NULL;
}

/* Whether tp_traverse passes a member over; asked once for each type and offset. */
struct verdicts {
	const struct lt_picture *picture;
	struct lt_map known; /* type's address and offset, mixed -> 1: unvisited, 0: visited */
};

/* The C type that a class made in Python derives from: it has the member, and its tp_traverse counts. */
static const struct lt_type *c_base(const struct lt_picture *picture, const struct lt_type *type)
{
	for (int depth = 0; type != NULL && type->python_class; depth++)
		type = depth < BASES_MAX ? lt_types_get(picture->types, type->base) : NULL;
	return type;
}

static enum lt_status judge(struct verdicts *verdicts, const struct lt_type *type, uint32_t offset,
			    bool *ret_unvisited)
{
	type = c_base(verdicts->picture, type);
	*ret_unvisited = false;
	if (type == NULL || offset >= (uint64_t)type->basicsize)
		return LT_OK;
	uint64_t key = type->address * 0x9e3779b97f4a7c15 ^ offset, value = 0;
	*ret_unvisited = !type->gc;
	if (!type->gc)
		return LT_OK;
	if (!lt_map_get(&verdicts->known, key, &value)) {
		if (verdicts->known.count >= VERDICTS_MAX)
			return LT_OK;
		const struct lt_picture *picture = verdicts->picture;
		lt_addr traverse =
			lt_read_pointer(picture->view, type->address, LT_PyTypeObject_tp_traverse);
		bool visited = false;
		if (traverse != 0)
			LT_TRY(may_read(picture, traverse, offset, &visited));
		value = !visited;
		(void)lt_map_put(&verdicts->known, key, value);
	}
	*ret_unvisited = value != 0;
	return LT_OK;
}

/* What the edges of an entry keep: all that they reach and nothing else does, in the order of the entries. */
static enum lt_status weigh(const struct lt_picture *picture, struct lt_unvisited *entry,
			    const uint32_t *seeds, size_t seed_count, uint8_t *reached)
{
	LT_TRY(lt_graph_mark(picture->session, &picture->graph.graph, seeds, seed_count, reached));
	for (uint32_t node = 0; node < picture->graph.graph.node_count; node++) {
		if (reached[node] != 1 || picture->alive[node])
			continue;
		entry->objects++;
		entry->tracked += (picture->graph.flags[node] & LT_NODE_TRACKED) != 0;
		entry->bytes += lt_heap_graph_size(&picture->graph, node);
		reached[node] = 2;
	}
	return LT_OK;
}

LT_VEC(offsets, uint32_t);

static enum lt_status find(const struct lt_picture *picture, struct verdicts *verdicts,
			   struct lt_unvisited_list *list)
{
	struct lt_session *session = picture->session;
	LT_CLEANUP(lt_loose_refs_deinit) struct lt_loose_refs edges = {0};
	LT_CLEANUP(offsets_deinit) struct offsets offsets = {0};
	LT_CLEANUP(lt_refs_deinit) struct lt_refs refs = {0};
	for (size_t i = 0; i < picture->scanned.count && edges.count < CANDIDATES_MAX; i++) {
		struct lt_loose_ref edge = picture->scanned.data[i];
		const struct lt_type *type = lt_picture_type(picture, edge.from);
		uint32_t offset;
		bool unvisited;
		if (picture->alive[edge.from] || picture->alive[edge.to] || type == NULL ||
		    type->kind == LT_KIND_MODULE || !offset_of(picture, edge, &refs, &offset))
			continue;
		LT_TRY(judge(verdicts, type, offset, &unvisited));
		if (!unvisited)
			continue;
		if (!lt_loose_refs_push(&edges, edge) || !offsets_push(&offsets, offset))
			return lt_fail_memory(session);
	}
	if (edges.count == 0)
		return LT_OK;
	LT_FREE uint32_t *component = NULL;
	uint32_t count = 0;
	LT_TRY(lt_graph_components(session, &picture->graph.graph, &component, &count));
	size_t kept = 0;
	for (size_t i = 0; i < edges.count; i++) {
		struct lt_loose_ref edge = edges.data[i];
		if (component[edge.from] != component[edge.to])
			continue;
		const struct lt_type *type = lt_picture_type(picture, edge.from);
		struct lt_unvisited *entry = entry_of(list, type, offsets.data[i]);
		if (entry == NULL && list->count >= ENTRIES_MAX)
			continue;
		if (entry == NULL)
			return lt_fail_memory(session);
		if (entry->edges++ == 0) {
			entry->from = edge.from;
			entry->to = edge.to;
			entry->collected = type->gc;
		}
		edges.data[kept] = edge;
		offsets.data[kept++] = offsets.data[i];
	}
	LT_FREE uint8_t *reached = malloc((size_t)picture->graph.graph.node_count + 1);
	LT_FREE uint32_t *seeds = malloc((kept + 1) * sizeof(*seeds));
	if (reached == NULL || seeds == NULL)
		return lt_fail_memory(session);
	memcpy(reached, picture->alive, picture->graph.graph.node_count);
	for (size_t e = 0; e < list->count; e++) {
		size_t seed_count = 0;
		for (size_t i = 0; i < kept; i++) {
			if (lt_picture_type(picture, edges.data[i].from) == list->data[e].type &&
			    offsets.data[i] == list->data[e].offset)
				seeds[seed_count++] = edges.data[i].to;
		}
		LT_TRY(weigh(picture, &list->data[e], seeds, seed_count, reached));
	}
	return LT_OK;
}

enum lt_status lt_unvisited_find(const struct lt_picture *picture,
				 struct lt_unvisited_list *ret_list)
{
	LT_CLEANUP(lt_unvisited_list_deinit) struct lt_unvisited_list list = {0};
	struct verdicts verdicts = {.picture = picture};
	enum lt_status status = LT_OK;
	if (picture->view != NULL)
		status = find(picture, &verdicts, &list);
	lt_map_deinit(&verdicts.known);
	LT_TRY(status);
	*ret_list = list;
	list = (struct lt_unvisited_list){0};
	return LT_OK;
}
