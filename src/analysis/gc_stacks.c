#include "analysis/gc_stacks.h"

#include "analysis/frames.h"
#include "analysis/read.h"
#include "base/cleanup.h"

#include <string.h>

enum {
	NAME_CHARACTERS = 200,
	PATH_CHARACTERS = 1000,
	CODES_MOST = 1 << 16,        /* code objects known at once */
	LINES_MOST = 1 << 16,        /* positions known in one of them */
	FRAMES_MOST = 1 << 20,       /* of all different stacks */
	STRING_BYTES_MOST = 64 << 20 /* of all different strings */
};

/* What tells one code object from a later one at its address. */
struct code_marks {
	lt_addr file, name, table;
	int32_t first_line;
};

struct code {
	struct code_marks marks;
	uint64_t round; /* in which it was checked last */
	const char *file, *function;
	const char *path;    /* as in struct lt_gc_frame */
	struct lt_map lines; /* instruction -> line */
};
LT_VEC(codes, struct code);

struct stack {
	uint32_t first, count;
};
LT_VEC(stacks, struct stack);
LT_VEC(strings, const char *);

struct lt_gc_stacks {
	const struct lt_view *view;
	struct lt_gc_recording *recording;
	uint64_t round;
	struct lt_map code_at; /* address -> index into codes */
	struct codes codes;
	struct lt_map stack_of; /* hash, or the next free one behind it -> index into known */
	struct stacks known;
	struct lt_map string_of; /* likewise -> index into strings */
	struct strings strings;
	uint64_t string_bytes;
};

enum lt_status lt_gc_stacks_create(const struct lt_view *view, struct lt_gc_recording *recording,
				   struct lt_gc_stacks **ret_stacks)
{
	struct lt_gc_stacks *stacks = calloc(1, sizeof(*stacks));
	if (stacks == NULL)
		return lt_fail_memory(view->session);
	stacks->view = view;
	stacks->recording = recording;
	stacks->round = 1;
	*ret_stacks = stacks;
	return LT_OK;
}

static void forget_codes(struct lt_gc_stacks *stacks)
{
	for (size_t i = 0; i < stacks->codes.count; i++)
		lt_map_deinit(&stacks->codes.data[i].lines);
	codes_deinit(&stacks->codes);
	lt_map_deinit(&stacks->code_at);
	stacks->code_at = (struct lt_map){0};
}

void lt_gc_stacks_destroy(struct lt_gc_stacks *stacks)
{
	if (stacks == NULL)
		return;
	forget_codes(stacks);
	lt_map_deinit(&stacks->stack_of);
	stacks_deinit(&stacks->known);
	lt_map_deinit(&stacks->string_of);
	strings_deinit(&stacks->strings);
	free(stacks);
}

void lt_gc_stacks_round(struct lt_gc_stacks *stacks)
{
	stacks->round++;
}

static uint64_t mix(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
	return hash ^ hash >> 29;
}

static uint64_t hash_text(const char *text)
{
	uint64_t hash = 1;
	for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++)
		hash = mix(hash, *c);
	return hash;
}

const char *lt_gc_stacks_string(struct lt_gc_stacks *stacks, const char *text)
{
	uint64_t hash = hash_text(text), known;
	/* Two texts of one hash: the second one takes the next key that is free. */
	for (; lt_map_get(&stacks->string_of, hash, &known); hash++) {
		if (strcmp(stacks->strings.data[known], text) == 0)
			return stacks->strings.data[known];
	}
	size_t length = strlen(text);
	if (stacks->string_bytes + length > STRING_BYTES_MOST)
		return "";
	const char *copy = lt_arena_copy(&stacks->recording->strings, text, length);
	size_t index = stacks->strings.count;
	if (copy == NULL || !strings_push(&stacks->strings, copy) ||
	    !lt_map_put(&stacks->string_of, hash, index))
		return NULL;
	stacks->string_bytes += length;
	return copy;
}

static bool same_marks(const struct code_marks *a, const struct code_marks *b)
{
	return a->file == b->file && a->name == b->name && a->table == b->table &&
	       a->first_line == b->first_line;
}

static struct code_marks read_marks(const struct lt_view *view, lt_addr code)
{
	struct code_marks marks = {
		.file = lt_read_pointer(view, code, LT_PyCodeObject_co_filename),
		.name = lt_read_pointer(view, code, LT_PyCodeObject_co_qualname),
		.table = lt_read_pointer(view, code, LT_PyCodeObject_co_linetable),
		.first_line = lt_read_int32(view, code, LT_PyCodeObject_co_firstlineno),
	};
	if (marks.name == 0)
		marks.name = lt_read_pointer(view, code, LT_PyCodeObject_co_name);
	if (marks.table == 0)
		marks.table = lt_read_pointer(view, code, LT_PyCodeObject_co_lnotab);
	return marks;
}

static const char *read_text(struct lt_gc_stacks *stacks, const struct lt_view *view,
			     lt_addr object, size_t limit)
{
	LT_CLEANUP(lt_text_deinit) struct lt_text text = {0};
	if (!lt_read_str(view, object, limit, &text) || text.failed)
		return "?";
	return lt_gc_stacks_string(stacks, lt_text_get(&text));
}

static bool learn(struct lt_gc_stacks *stacks, const struct lt_view *view,
		  const struct code_marks *marks, struct code *code)
{
	lt_map_deinit(&code->lines);
	*code = (struct code){
		.marks = *marks,
		.round = stacks->round,
		.file = read_text(stacks, view, marks->file, PATH_CHARACTERS),
		.function = read_text(stacks, view, marks->name, NAME_CHARACTERS),
	};
	const char *slash = code->file != NULL ? strrchr(code->file, '/') : NULL;
	if (stacks->recording->redacted && slash != NULL) {
		code->path = code->file;
		code->file = slash + 1;
	}
	return code->file != NULL && code->function != NULL;
}

/* NULL: no memory. */
static struct code *find_code(struct lt_gc_stacks *stacks, lt_addr address)
{
	uint64_t index;
	if (lt_map_get(&stacks->code_at, address, &index)) {
		struct code *code = &stacks->codes.data[index];
		if (code->round == stacks->round)
			return code;
		struct code_marks marks = read_marks(stacks->view, address);
		code->round = stacks->round;
		if (same_marks(&marks, &code->marks))
			return code;
		return learn(stacks, stacks->view, &marks, code) ? code : NULL;
	}
	if (stacks->codes.count >= CODES_MOST)
		forget_codes(stacks);
	struct code_marks marks = read_marks(stacks->view, address);
	index = stacks->codes.count;
	if (!codes_push(&stacks->codes, (struct code){0}) ||
	    !lt_map_put(&stacks->code_at, address, index) ||
	    !learn(stacks, stacks->view, &marks, &stacks->codes.data[index]))
		return NULL;
	return &stacks->codes.data[index];
}

static bool resolve_frame(struct lt_gc_stacks *stacks, const struct lt_watch_frame *seen,
			  struct lt_gc_frame *frame)
{
	struct code *code = find_code(stacks, seen->code);
	if (code == NULL)
		return false;
	if (code->lines.count >= LINES_MOST)
		lt_map_deinit(&code->lines);
	uint64_t *line = lt_map_at(&code->lines, seen->instruction, 0);
	if (line == NULL)
		return false;
	if (*line == 0) {
		int read = lt_frame_line_at(stacks->view, seen->code, seen->instruction);
		*line = read > 0 ? (uint64_t)read : 0;
	}
	*frame = (struct lt_gc_frame){.file = code->file,
				      .function = code->function,
				      .line = (int)*line,
				      .path = code->path};
	return true;
}

/* A frame whose code was copied: what is known of another one at its address says nothing of it. */
static bool resolve_copied(struct lt_gc_stacks *stacks, const struct lt_view *then,
			   const struct lt_watch_frame *seen, struct lt_gc_frame *frame)
{
	struct code code = {0};
	const struct code_marks marks = read_marks(then, seen->code);
	if (!learn(stacks, then, &marks, &code))
		return false;
	int line = lt_frame_line_at(then, seen->code, seen->instruction);
	*frame = (struct lt_gc_frame){.file = code.file,
				      .function = code.function,
				      .line = line > 0 ? line : 0,
				      .path = code.path};
	return true;
}

static bool same_frames(const struct lt_gc_frame *a, const struct lt_gc_frame *b, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		if (a[i].file != b[i].file || a[i].function != b[i].function ||
		    a[i].line != b[i].line)
			return false;
	}
	return true;
}

/* The stack among those that are known, or a new one. False: no memory. */
static bool keep_stack(struct lt_gc_stacks *stacks, const struct lt_gc_frame *frames,
		       uint32_t count, struct lt_gc_event *event)
{
	struct lt_gc_frames *all = &stacks->recording->frames;
	uint64_t hash = count, known;
	for (uint32_t i = 0; i < count; i++)
		hash = mix(mix(mix(hash, (uintptr_t)frames[i].file), (uintptr_t)frames[i].function),
			   (uint64_t)frames[i].line);
	for (; lt_map_get(&stacks->stack_of, hash, &known); hash++) {
		const struct stack *stack = &stacks->known.data[known];
		if (stack->count == count && same_frames(&all->data[stack->first], frames, count)) {
			event->stack_first = stack->first;
			event->stack_count = count;
			return true;
		}
	}
	if (all->count + count > FRAMES_MOST)
		return true;
	const struct stack stack = {.first = (uint32_t)all->count, .count = count};
	if (!lt_gc_frames_reserve(all, all->count + count) || !stacks_push(&stacks->known, stack) ||
	    !lt_map_put(&stacks->stack_of, hash, stacks->known.count - 1))
		return false;
	memcpy(all->data + all->count, frames, count * sizeof(*frames));
	all->count += count;
	event->stack_first = stack.first;
	event->stack_count = count;
	return true;
}

/*
 * Code that the interpreter makes for itself, such as the one that runs when __init__ returns, has its name for a file
 * and no lines (Objects/codeobject.c: _Py_MakeShimCode). No traceback of Python shows it.
 */
static bool is_shim(const struct lt_gc_frame *frame)
{
	return frame->line == 0 && strcmp(frame->file, frame->function) == 0 &&
	       strcmp(frame->file, "?") != 0;
}

/* The code was gone before it could be read. */
static bool is_gone(const struct lt_gc_frame *frame)
{
	return strcmp(frame->file, "?") == 0 && strcmp(frame->function, "?") == 0;
}

enum lt_status lt_gc_stacks_resolve(struct lt_gc_stacks *stacks, struct lt_gc_event *event)
{
	struct lt_gc_frame frames[LT_WATCH_FRAMES];
	uint32_t count = event->seen.frame_count;
	event->stack_first = event->stack_count = 0;
	if (count > LT_WATCH_FRAMES)
		count = LT_WATCH_FRAMES;
	uint32_t seen = count;
	count = 0;
	struct lt_view then = *stacks->view;
	if (event->seen.memory != NULL)
		then.memory = event->seen.memory;
	event->seen.memory = NULL; /* gone when the event is looked at again */
	for (uint32_t i = 0; i < seen; i++) {
		const struct lt_watch_frame *frame = &event->seen.frames[i];
		if (!(frame->copied ? resolve_copied(stacks, &then, frame, &frames[count])
				    : resolve_frame(stacks, frame, &frames[count])))
			return lt_fail_memory(stacks->view->session);
		if (!is_shim(&frames[count]) && !is_gone(&frames[count]))
			count++;
	}
	if (count > 0 && !keep_stack(stacks, frames, count, event))
		return lt_fail_memory(stacks->view->session);
	return LT_OK;
}
