#include "analysis/roots_native.h"

#include "base/cleanup.h"
#include "layout/object.h"
#include "target/elf.h"
#include "target/stacks.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
	PIECE = 256 << 10,        /* read at once */
	RANGE_MAX = 64 << 20,     /* bytes searched of one mapping */
	STACK_MAX = 1 << 20,      /* bytes searched of one C stack, from the stack pointer up */
	TOTAL_MAX = 256 << 20,    /* bytes searched in all */
	NAMES_MAX = 4096,         /* words that are named by their symbol */
	RUNNING_PART = 128 << 10, /* bytes searched of the stack of a thread that runs */
	RUNNING_AMONG = 2048, /* threads with a stack pointer among which those that run are told */
	BEHIND_WORDS = 8,     /* searched behind a pointer on a C stack */
	BEHIND_MAX = 1 << 17, /* such pointers */
	HELD_MAX = 1 << 20,   /* words of static data that are asked for an object */
	THREAD_BLOCK =
		64 << 10, /* bytes around what pthread_self() gives: thread-local data of C code */
};

enum part { PART_FRAME, PART_STATE, PART_STATIC, PART_STACK };

struct range {
	lt_addr start, end;
	enum part part;
	uint32_t frame;   /* PART_FRAME: index */
	const char *name; /* else; of PART_STATIC the path of the file */
};
LT_VEC(ranges, struct range);

struct file {
	const char *path;
	struct lt_elf *elf; /* NULL: cannot be opened */
};
LT_VEC(files, struct file);

struct search {
	const struct lt_view *view;
	struct lt_heap_graph *graph;
	struct lt_roots *roots;
	struct ranges ranges;
	struct files files;
	struct lt_map known; /* words that are exact roots already */
	lt_addr least, most; /* addresses of nodes */
	uint64_t named, behind;
	struct lt_native native;
};

/* False: no memory. *ret_elf NULL: it cannot be opened. */
static bool file_of(struct search *search, const char *path, const struct lt_elf **ret_elf)
{
	for (size_t i = 0; i < search->files.count; i++) {
		*ret_elf = search->files.data[i].elf;
		if (strcmp(search->files.data[i].path, path) == 0)
			return true;
	}
	struct file file = {.path = path};
	if (lt_elf_try(search->view->session, search->view->process, path, &file.elf) != LT_OK)
		return false;
	*ret_elf = file.elf;
	if (files_push(&search->files, file))
		return true;
	lt_elf_close(file.elf);
	return false;
}

/* What was not found in a file for want of memory fails the whole search. */
static enum lt_status close_files(struct search *search)
{
	enum lt_status status = LT_OK;
	for (size_t i = 0; i < search->files.count; i++) {
		if (status == LT_OK)
			status = lt_elf_check(search->view->session, search->files.data[i].elf);
		lt_elf_close(search->files.data[i].elf);
	}
	files_deinit(&search->files);
	return status;
}

/* ---- Where to search ---- */

static bool add_range(struct search *search, struct range range, uint64_t limit)
{
	range.start = (range.start + 7) & ~(lt_addr)7;
	range.end &= ~(lt_addr)7;
	if (range.end <= range.start)
		return true;
	if (range.end - range.start > limit) {
		search->native.skipped += range.end - range.start - limit;
		range.end = range.start + limit;
	}
	return ranges_push(&search->ranges, range);
}

/* Slots where an evaluation stack may be whose depth is in a register of the processor. */
static bool add_frames(struct search *search)
{
	for (size_t i = 0; i < search->roots->frames.count; i++) {
		const struct lt_frame *frame = &search->roots->frames.data[i];
		lt_addr start = frame->slots + 8 * (uint64_t)frame->local_count;
		struct range range = {.start = start,
				      .end = start + 8 * (uint64_t)frame->stack_room,
				      .part = PART_FRAME,
				      .frame = (uint32_t)i};
		if (!add_range(search, range, RANGE_MAX))
			return false;
	}
	return true;
}

static const char *kept(struct search *search, const char *text)
{
	const char *copy = lt_arena_copy(&search->roots->strings, text, strlen(text));
	return copy != NULL ? copy : "";
}

static bool add_states(struct search *search)
{
	const struct lt_layout *layout = search->view->layout;
	const struct lt_interpreters *interpreters = &search->roots->interpreters;
	enum lt_field thread_size = lt_has(layout, LT_sizeof__PyThreadStateImpl)
					    ? LT_sizeof__PyThreadStateImpl
					    : LT_sizeof_PyThreadState;
	for (size_t i = 0; i < interpreters->count; i++) {
		const struct lt_interpreter *interpreter = &interpreters->data[i];
		struct range range = {.part = PART_STATE};
		char text[96];
		for (size_t t = 0; t < interpreter->thread_count; t++) {
			const struct lt_thread *thread = &interpreter->threads[t];
			snprintf(text, sizeof(text), "the state of thread %d",
				 (int)thread->native_id);
			range.start = thread->address;
			range.end = range.start + lt_off(layout, thread_size);
			range.name = kept(search, text);
			if (!add_range(search, range, RANGE_MAX))
				return false;
		}
		snprintf(text, sizeof(text), "the state of interpreter %" PRId64, interpreter->id);
		range.start = interpreter->address;
		range.end = range.start + lt_off(layout, LT_sizeof_PyInterpreterState);
		range.name = kept(search, text);
		if (!add_range(search, range, RANGE_MAX))
			return false;
	}
	return true;
}

/* True when part of the file is mapped to be run: a program or library, not data. */
static bool is_code(const struct lt_mappings *mappings, size_t index)
{
	enum { NEAR = 16 }; /* mappings of one file lie side by side */
	const struct lt_mapping *wanted = &mappings->data[index];
	size_t first = index > NEAR ? index - NEAR : 0;
	for (size_t i = first; i < mappings->count && i < index + NEAR; i++) {
		const struct lt_mapping *mapping = &mappings->data[i];
		if (mapping->executable && mapping->inode == wanted->inode &&
		    strcmp(mapping->path, wanted->path) == 0)
			return true;
	}
	return false;
}

/*
 * .data and .bss: writable private mappings of a file that holds code, and the part of the anonymous one
 * right behind that is its .bss; what follows may be anything.
 */
static bool add_static_data(struct search *search)
{
	const struct lt_mappings *mappings = &search->view->process->mappings;
	for (size_t i = 0; i < mappings->count; i++) {
		const struct lt_mapping *mapping = &mappings->data[i];
		if (mapping->inode == 0 || !mapping->writable || mapping->shared ||
		    !is_code(mappings, i))
			continue;
		struct range range = {.start = mapping->start,
				      .end = mapping->end,
				      .part = PART_STATIC,
				      .name = mapping->path};
		if (!add_range(search, range, RANGE_MAX))
			return false;
		const struct lt_mapping *next = &mapping[1];
		if (i + 1 == mappings->count || next->start != mapping->end || next->inode != 0 ||
		    next->path[0] != '\0' || !next->writable)
			continue;
		lt_addr start = 0;
		uint64_t size = 0;
		const struct lt_elf *elf;
		if (!file_of(search, mapping->path, &elf))
			return false;
		if (elf == NULL || !lt_elf_section(elf, ".bss", &start, &size))
			continue;
		range.start = start > next->start ? start : next->start;
		range.end = start + size < next->end ? start + size : next->end;
		if (!add_range(search, range, RANGE_MAX))
			return false;
	}
	return true;
}

/* The thread of an interpreter whose C stack lies in [start, end), NULL for none. */
static const struct lt_thread *thread_within(const struct search *search, lt_addr start,
					     lt_addr end)
{
	const struct lt_interpreters *interpreters = &search->roots->interpreters;
	for (size_t i = 0; i < interpreters->count; i++) {
		const struct lt_interpreter *interpreter = &interpreters->data[i];
		for (size_t t = 0; t < interpreter->thread_count; t++) {
			if (interpreter->threads[t].thread_id >= start &&
			    interpreter->threads[t].thread_id < end)
				return &interpreter->threads[t];
		}
	}
	return NULL;
}

static const char *stack_name(struct search *search, const char *what, pid_t tid)
{
	char text[64];
	snprintf(text, sizeof(text), "the %s of thread %d", what, (int)tid);
	return kept(search, text);
}

static const struct lt_mapping *main_stack(const struct lt_process *process)
{
	for (size_t i = process->mappings.count; i-- > 0;) {
		if (strcmp(process->mappings.data[i].path, "[stack]") == 0)
			return &process->mappings.data[i];
	}
	return NULL;
}

/*
 * Threads that run just now do not tell their stack pointer: of these the outer part of the stack is
 * searched, from the end of its mapping or, where that is known, from what pthread_self() gives.
 */
static bool add_running(struct search *search, const struct lt_stacks *stacks)
{
	const struct lt_process *process = search->view->process;
	const struct lt_interpreters *interpreters = &search->roots->interpreters;
	for (size_t i = 0; i < interpreters->count; i++) {
		const struct lt_interpreter *interpreter = &interpreters->data[i];
		for (size_t t = 0; t < interpreter->thread_count; t++) {
			const struct lt_thread *thread = &interpreter->threads[t];
			const struct lt_mapping *mapping =
				thread->native_id == process->pid
					? main_stack(process)
					: lt_process_mapping(process, thread->thread_id);
			bool told = mapping == NULL || !mapping->writable;
			for (size_t s = 0; !told && s < stacks->count; s++)
				told = stacks->data[s].end == mapping->end;
			if (told)
				continue;
			struct range range = {
				.start = mapping->start,
				.end = mapping->end,
				.part = PART_STACK,
				.name = stack_name(search, "C stack", thread->native_id)};
			if (mapping->end - mapping->start > RUNNING_PART)
				range.start = mapping->end - RUNNING_PART;
			if (!add_range(search, range, STACK_MAX))
				return false;
		}
	}
	return true;
}

/*
 * The C stack of a thread made by pthread_create() ends with its thread-local data and what
 * pthread_self() points to. Those of the main thread lie apart.
 */
static enum lt_status add_stacks(struct search *search)
{
	LT_CLEANUP(lt_stacks_deinit) struct lt_stacks stacks = {0};
	const struct lt_process *process = search->view->process;
	LT_TRY(lt_stacks_read(search->view->session, process, &stacks));
	bool memory = true;
	for (size_t i = 0; memory && i < stacks.count; i++) {
		const struct lt_stack *stack = &stacks.data[i];
		const struct lt_thread *thread =
			stacks.count <= 64 ? thread_within(search, stack->pointer, stack->end)
					   : NULL;
		pid_t tid =
			thread != NULL && thread->native_id != 0 ? thread->native_id : stack->tid;
		struct range range = {.start = stack->pointer,
				      .end = stack->end,
				      .part = PART_STACK,
				      .name = stack_name(search, "C stack", tid)};
		memory = add_range(search, range, STACK_MAX);
	}
	if (memory && stacks.count < process->thread_count && stacks.count <= RUNNING_AMONG)
		memory = add_running(search, &stacks);
	const struct lt_interpreter *main = &search->roots->interpreters.data[0];
	for (size_t t = 0; memory && t < main->thread_count; t++) {
		const struct lt_thread *thread = &main->threads[t];
		if (thread->native_id != process->pid)
			continue;
		const struct lt_mapping *mapping = lt_process_mapping(process, thread->thread_id);
		if (mapping == NULL || !mapping->writable)
			continue;
		struct range range = {
			.start = thread->thread_id - THREAD_BLOCK,
			.end = thread->thread_id + THREAD_BLOCK,
			.part = PART_STACK,
			.name = stack_name(search, "thread-local C data", thread->native_id)};
		if (range.start < mapping->start)
			range.start = mapping->start;
		if (range.end > mapping->end)
			range.end = mapping->end;
		memory = add_range(search, range, STACK_MAX);
	}
	return memory ? LT_OK : lt_fail_memory(search->view->session);
}

/* ---- What a word is called ---- */

/* "libfoo.so:registry+0x8", by its section where no symbol covers the word, or by the file alone. NULL: no memory. */
static const char *static_name(struct search *search, const struct range *range, lt_addr at)
{
	static const char *const sections[] = {".data", ".bss"};
	const char *slash = strrchr(range->name, '/');
	const char *library = slash != NULL ? slash + 1 : range->name;
	if (search->named++ >= NAMES_MAX)
		return range->name;
	const struct lt_elf *elf;
	if (!file_of(search, range->name, &elf))
		return NULL;
	char text[512];
	uint64_t offset = 0, size = 0;
	const char *symbol = elf != NULL ? lt_elf_symbol_at(elf, at, &offset) : NULL;
	if (symbol != NULL && lt_elf_symbol(elf, symbol, &size) != 0 && offset < size) {
		if (offset == 0)
			snprintf(text, sizeof(text), "%s:%s", library, symbol);
		else
			snprintf(text, sizeof(text), "%s:%s+0x%" PRIx64, library, symbol, offset);
		return kept(search, text);
	}
	for (size_t i = 0; elf != NULL && i < sizeof(sections) / sizeof(sections[0]); i++) {
		lt_addr start;
		if (lt_elf_section(elf, sections[i], &start, &size) && at >= start &&
		    at - start < size) {
			snprintf(text, sizeof(text), "%s:%s+0x%" PRIx64, library, sections[i],
				 at - start);
			return kept(search, text);
		}
	}
	snprintf(text, sizeof(text), "%s:static data at 0x%" PRIx64, library, at);
	return kept(search, text);
}

/* ---- The search ---- */

static bool take_word(struct search *search, const struct range *range, lt_addr at, uint32_t node)
{
	struct lt_root root = {.address = lt_heap_graph_address(search->graph, node),
			       .at = at,
			       .count = 1,
			       .name = range->name};
	switch (range->part) {
	case PART_FRAME:
		root.kind = LT_ROOT_FRAME;
		root.frame = range->frame;
		root.interpreter = search->roots->frames.data[range->frame].interpreter;
		root.name = "the evaluation stack";
		break;
	case PART_STATE:
		root.kind = LT_ROOT_STATE;
		break;
	case PART_STATIC:
		root.kind = LT_ROOT_STATIC;
		root.name = static_name(search, range, at);
		if (root.name == NULL)
			return false;
		break;
	case PART_STACK:
		root.kind = LT_ROOT_STACK;
		break;
	}
	return lt_heap_graph_take(search->graph, node, 1) &&
	       lt_root_list_push(&search->roots->list, root);
}

/* Objects in the memory that is searched, such as static types: what they refer to is known. */
struct inner {
	uint32_t node;
	lt_addr start, end; /* of that node; start == end: no more */
};

static void next_inner(const struct search *search, struct inner *inner)
{
	const struct lt_heap_graph *graph = search->graph;
	if (inner->node >= graph->graph.node_count) {
		inner->start = inner->end = UINT64_MAX;
		return;
	}
	inner->start = lt_heap_graph_address(graph, inner->node);
	inner->end = inner->start + lt_heap_graph_size(graph, inner->node);
	inner->node++;
}

/* The node that a word names, when a reference to it is missing; else LT_NO_NODE. */
static uint32_t wanted_node(const struct search *search, uint64_t word)
{
	const struct lt_heap_graph *graph = search->graph;
	if (word < search->least || word > search->most || word % 8 != 0)
		return LT_NO_NODE;
	uint32_t node = lt_heap_graph_find(graph, word);
	return node != LT_NO_NODE && lt_heap_graph_balance(graph, node) > 0 &&
			       (graph->flags[node] & LT_NODE_STATIC) == 0
		       ? node
		       : LT_NO_NODE;
}

/* True when the address lies in an object: its references are known. */
static bool in_object(const struct search *search, lt_addr at)
{
	uint32_t next = lt_heap_graph_from(search->graph, at + 1);
	if (next == 0)
		return false;
	lt_addr start = lt_heap_graph_address(search->graph, next - 1);
	return at < start + lt_heap_graph_size(search->graph, next - 1);
}

/*
 * A word of a C stack that points to memory of C code: the small struct there may hold objects, such as the
 * function that a thread was started with (Modules/_threadmodule.c: bootstate).
 */
static bool search_behind(struct search *search, const struct range *range, lt_addr at)
{
	uint64_t words[BEHIND_WORDS];
	const struct lt_mapping *mapping;
	if (at % 16 != 0 || at < 4096 || search->behind >= BEHIND_MAX)
		return true;
	mapping = lt_process_mapping(search->view->process, at);
	if (mapping == NULL || !mapping->writable || mapping->inode != 0 ||
	    (at >= range->start && at < range->end))
		return true;
	search->behind++;
	size_t got = lt_memory_probe(search->view->memory, at, words, sizeof(words));
	for (size_t i = 0; i < got / 8; i++) {
		uint32_t node = wanted_node(search, words[i]);
		if (node == LT_NO_NODE || lt_map_get(&search->known, at + i * 8, NULL) ||
		    in_object(search, at + i * 8))
			continue;
		if (!lt_map_put(&search->known, at + i * 8, 1) ||
		    !take_word(search, range, at + i * 8, node))
			return false;
	}
	return true;
}

static bool search_range(struct search *search, const struct range *range, uint64_t *words)
{
	struct lt_heap_graph *graph = search->graph;
	struct inner inner = {.node = lt_heap_graph_from(graph, range->start)};
	next_inner(search, &inner);
	for (lt_addr at = range->start; at < range->end;) {
		size_t size = range->end - at < PIECE ? (size_t)(range->end - at) : PIECE;
		size_t got = lt_memory_probe(search->view->memory, at, words, size);
		search->native.bytes += got;
		for (size_t i = 0; i < got / 8; i++) {
			uint64_t word = words[i];
			uint32_t node = wanted_node(search, word);
			if (range->part == PART_STACK && node == LT_NO_NODE && word != 0 &&
			    !search_behind(search, range, word))
				return false;
			if (node == LT_NO_NODE)
				continue;
			lt_addr where = at + i * 8;
			while (inner.end <= where && inner.start != UINT64_MAX)
				next_inner(search, &inner);
			if ((where >= inner.start && where < inner.end) ||
			    lt_map_get(&search->known, where, NULL))
				continue;
			if (!lt_map_put(&search->known, where, 1) ||
			    !take_word(search, range, where, node))
				return false;
		}
		if (got < size)
			break;
		at += size;
	}
	return true;
}

static enum lt_status run(struct search *search)
{
	struct lt_session *session = search->view->session;
	const struct lt_heap_graph *graph = search->graph;
	LT_FREE uint64_t *words = malloc(PIECE);
	if (words == NULL)
		return lt_fail_memory(session);
	search->least = lt_heap_graph_address(graph, 0);
	search->most = lt_heap_graph_address(graph, graph->graph.node_count - 1);
	for (size_t i = 0; i < search->roots->list.count; i++) {
		lt_addr at = search->roots->list.data[i].at;
		if (at != 0 && !lt_map_put(&search->known, at, 1))
			return lt_fail_memory(session);
	}
	if (!add_frames(search) || !add_states(search) || !add_static_data(search))
		return lt_fail_memory(session);
	LT_TRY(add_stacks(search));
	for (size_t i = 0; i < search->ranges.count; i++) {
		struct range range = search->ranges.data[i];
		uint64_t left = TOTAL_MAX - search->native.bytes;
		if (search->native.bytes >= TOTAL_MAX)
			left = 0;
		if (range.end - range.start > left) {
			search->native.skipped += range.end - range.start - left;
			range.end = range.start + left;
		}
		if (!search_range(search, &range, words))
			return lt_fail_memory(session);
	}
	return LT_OK;
}

enum lt_status lt_roots_native(const struct lt_view *view, struct lt_heap_graph *graph,
			       struct lt_roots *roots, struct lt_native *ret_native)
{
	struct search search = {.view = view, .graph = graph, .roots = roots};
	enum lt_status status = LT_OK;
	if (view->process != NULL && graph->graph.node_count > 0 && roots->interpreters.count > 0)
		status = run(&search);
	enum lt_status files = close_files(&search);
	ranges_deinit(&search.ranges);
	lt_map_deinit(&search.known);
	*ret_native = search.native;
	return status != LT_OK ? status : files;
}

/* ---- What static data alone holds ---- */

/* The mapping that the last word lay in: neighbours point to the same one mostly. */
static bool is_held(const struct lt_view *view, struct lt_types *types, lt_addr at, bool dicts,
		    const struct lt_mapping **mapping)
{
	uint64_t header[2];
	if (at % 16 != 0 || at < 4096)
		return false;
	if (*mapping == NULL || at < (*mapping)->start || at >= (*mapping)->end)
		*mapping = lt_process_mapping(view->process, at);
	if (*mapping == NULL || !(*mapping)->writable || (*mapping)->inode != 0 ||
	    lt_memory_probe(view->memory, at, header, sizeof(header)) != sizeof(header))
		return false;
	/* A freed object that waits in a free list has the address of the next one in place of its count. */
	if ((header[0] >> 32 & UINT16_MAX) != 0)
		return false;
	uint64_t count = lt_refcount(view->layout, header[0]);
	if (lt_is_immortal(view->layout, header[0]) || count == 0 || count > INT32_MAX ||
	    header[1] < 4096 || header[1] % 8 != 0)
		return false;
	const struct lt_type *type = lt_types_get(types, header[1]);
	if (type == NULL || !type->exact)
		return false;
	return type->kind == LT_KIND_STR || type->kind == LT_KIND_BYTES ||
	       type->kind == LT_KIND_BYTEARRAY || type->kind == LT_KIND_TUPLE ||
	       (dicts && type->kind == LT_KIND_DICT);
}

enum lt_status lt_roots_native_held(const struct lt_view *view, struct lt_types *types,
				    struct lt_addresses *addresses)
{
	struct lt_roots none = {0};
	struct search search = {.view = view, .roots = &none};
	LT_FREE uint64_t *words = malloc(PIECE);
	const char *own = view->python != NULL ? lt_elf_path(view->python->elf) : "";
	const struct lt_mapping *mapping = NULL;
	uint64_t bytes = 0, probes = 0;
	bool memory = words != NULL && (view->process == NULL || add_static_data(&search));
	for (size_t r = 0; memory && r < search.ranges.count && bytes < TOTAL_MAX; r++) {
		const struct range *range = &search.ranges.data[r];
		bool dicts = strcmp(range->name, own) != 0;
		for (lt_addr at = range->start; memory && at < range->end && bytes < TOTAL_MAX;) {
			size_t size = range->end - at < PIECE ? (size_t)(range->end - at) : PIECE;
			size_t got = lt_memory_probe(view->memory, at, words, size);
			bytes += size;
			at += size;
			for (size_t i = 0; memory && i < got / 8 && probes < HELD_MAX; i++) {
				if (words[i] == 0 || words[i] >> 47 != 0 || words[i] % 16 != 0)
					continue;
				probes++;
				if (is_held(view, types, words[i], dicts, &mapping))
					memory = lt_addresses_push(addresses, words[i]);
			}
		}
	}
	enum lt_status files = close_files(&search);
	ranges_deinit(&search.ranges);
	return memory ? files : lt_fail_memory(view->session);
}
