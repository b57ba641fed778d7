#include "heap/malloc_quiet.h"

#include "base/cleanup.h"
#include "heap/foreign.h"
#include "heap/view.h"
#include "target/elf.h"
#include "target/unwind.h"

#include <stdio.h>
#include <string.h>

enum {
	CODE_MAX = 16 << 20,
	CLONE_CODE = 160,
	ARENAS_MAX = 1 << 16,
	STACK_MAX = 64 << 20,
	FRAMES_MAX = 64,
	STATIC_MAX =
		64
		<< 10, /* bytes of malloc/malloc.c that come before its first exported function */
	STATIC_BEHIND = 4 << 10,
};

/* ---- What is there ---- */

static bool within(lt_addr at, lt_addr start, lt_addr end)
{
	return at >= start && at < end;
}

static enum lt_status refuse(struct lt_session *session, const struct lt_process *process,
			     const char *what)
{
	if (!lt_process_alive(process))
		return lt_fail(session, LT_E_GONE, "process %d ended", (int)process->pid);
	return lt_fail(session, LT_E_NOT_PYTHON, "process %d cannot be trimmed: %s",
		       (int)process->pid, what);
}

/* Another allocator in front: what is called is its purge. */
static enum lt_status find_purge(struct lt_session *session, const struct lt_process *process,
				 struct lt_memory *memory, struct lt_malloc_quiet *quiet)
{
	const struct lt_view view = {.session = session, .memory = memory, .process = process};
	struct lt_foreign foreign;
	lt_foreign_find(&view, &foreign);
	if (!lt_foreign_replaces(&foreign))
		return LT_OK;
	LT_FREE struct lt_purge *purge = calloc(1, sizeof(*purge));
	if (purge == NULL)
		return lt_fail_memory(session);
	LT_TRY(lt_purge_find(&view, &foreign, purge));
	quiet->purge = purge;
	purge = NULL;
	return LT_OK;
}

/* The code of the file that holds `inside`, and the return from a signal handler in it. */
static bool find_code(const struct lt_process *process, struct lt_memory *memory, lt_addr inside,
		      struct lt_malloc_quiet *quiet)
{
	const struct lt_mapping *mapping = lt_process_mapping(process, inside);
	if (mapping == NULL || !mapping->executable || mapping->end - mapping->start > CODE_MAX)
		return false;
	size_t size = (size_t)(mapping->end - mapping->start);
	LT_FREE uint8_t *code = malloc(size);
	if (code == NULL || lt_memory_probe(memory, mapping->start, code, size) != size)
		return false;
	const uint8_t *at = memmem(code, size, lt_arch_restorer, lt_arch_restorer_size);
	if (at == NULL)
		return false;
	quiet->code_start = mapping->start;
	quiet->code_end = mapping->end;
	quiet->restorer = mapping->start + (lt_addr)(at - code);
	return true;
}

/*
 * What the exported functions of malloc/malloc.c span, with the static ones before them, which begin behind the last
 * function of the file before, and behind them. What else lies there makes for a vain attempt at most.
 */
static bool find_malloc(const struct lt_elf *elf, struct lt_malloc_quiet *quiet)
{
	static const char *const names[] = {"malloc",
					    "free",
					    "calloc",
					    "realloc",
					    "memalign",
					    "valloc",
					    "pvalloc",
					    "mallopt",
					    "mallinfo",
					    "malloc_info",
					    "malloc_trim",
					    "malloc_stats",
					    "malloc_usable_size"};
	lt_addr low = UINT64_MAX, high = 0, before = 0;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		uint64_t size = 0;
		lt_addr at = lt_elf_symbol(elf, names[i], &size);
		if (!within(at, quiet->code_start, quiet->code_end) || size > quiet->code_end - at)
			return false;
		low = at < low ? at : low;
		high = at + size > high ? at + size : high;
	}
	/* malloc/morecore.c is included among the static functions. */
	lt_addr morecore = lt_elf_symbol(elf, "__default_morecore", NULL);
	if (morecore != 0 && morecore < low && low - morecore < STATIC_MAX)
		low = morecore;
	uint64_t offset = 0;
	if (lt_elf_symbol_at(elf, low - 1, &offset) != NULL)
		before = low - 1 - offset;
	if (low - before > STATIC_MAX)
		before =
			low - quiet->code_start > STATIC_MAX ? low - STATIC_MAX : quiet->code_start;
	quiet->malloc_start = before;
	quiet->malloc_end =
		quiet->code_end - high > STATIC_BEHIND ? high + STATIC_BEHIND : quiet->code_end;
	return high - low < CODE_MAX / 16;
}

static enum lt_status find_in(struct lt_session *session, const struct lt_process *process,
			      struct lt_memory *memory, const struct lt_elf *elf,
			      struct lt_malloc_quiet *quiet)
{
	uint8_t code[CLONE_CODE];
	size_t offset = 0, back = 0;
	uint64_t fork_size = 0;
	lt_addr clone = lt_elf_symbol(elf, "clone", NULL);
	quiet->trim = lt_elf_symbol(elf, "malloc_trim", NULL);
	quiet->single = lt_elf_symbol(elf, "__libc_single_threaded", NULL);
	if (quiet->trim == 0)
		return refuse(session, process, "its C library has no malloc_trim");
	size_t got = clone != 0 ? lt_memory_probe(memory, clone, code, sizeof(code)) : 0;
	if (!lt_arch_thread_insn(code, got, &offset, &back))
		return refuse(session, process,
			      "its C library starts threads in a way that is not known");
	quiet->insn = clone + offset;
	quiet->back = clone + back;
	quiet->fork_start = lt_elf_symbol(elf, "fork", &fork_size);
	quiet->fork_end = quiet->fork_start + fork_size;
	if (!find_code(process, memory, quiet->trim, quiet) || !find_malloc(elf, quiet) ||
	    clone < quiet->code_start || clone >= quiet->code_end)
		return refuse(session, process,
			      "its C library is laid out in a way that is not known");
	return LT_OK;
}

static enum lt_status find(struct lt_session *session, const struct lt_process *process,
			   struct lt_memory *memory, struct lt_malloc_quiet *quiet)
{
	LT_TRY(find_purge(session, process, memory, quiet));
	LT_TRY(lt_glibc_find(session, process, memory, true, &quiet->glibc));
	if (!quiet->glibc.found && (quiet->purge == NULL || quiet->glibc.layout == NULL))
		return refuse(session, process, "no malloc of glibc is in it");
	LT_TRY(lt_elf_open(session, process, quiet->glibc.path, &quiet->elf));
	enum lt_status status = find_in(session, process, memory, quiet->elf, quiet);
	LT_TRY(lt_elf_check(session, quiet->elf));
	LT_TRY(status);
	quiet->unwinder = lt_unwinder_open(quiet->elf, quiet->trim);
	return LT_OK;
}

enum lt_status lt_malloc_quiet_find(struct lt_session *session, const struct lt_process *process,
				    struct lt_memory *memory, struct lt_malloc_quiet *ret_quiet)
{
	struct lt_malloc_quiet quiet = {0};
	enum lt_status status = find(session, process, memory, &quiet);
	if (status != LT_OK) {
		lt_malloc_quiet_deinit(&quiet);
		return status;
	}
	*ret_quiet = quiet;
	return LT_OK;
}

void lt_malloc_quiet_deinit(struct lt_malloc_quiet *quiet)
{
	lt_unwinder_close(quiet->unwinder);
	lt_elf_close(quiet->elf);
	free(quiet->purge);
	*quiet = (struct lt_malloc_quiet){0};
}

void lt_malloc_quiet_call(const struct lt_malloc_quiet *quiet, struct lt_side_call *ret_call)
{
	*ret_call = (struct lt_side_call){.function = quiet->trim,
					  .insn = quiet->insn,
					  .back = quiet->back,
					  .restorer = quiet->restorer};
	if (quiet->purge != NULL)
		lt_purge_call(quiet->purge, ret_call);
}

const char *lt_malloc_quiet_function(const struct lt_malloc_quiet *quiet)
{
	return quiet->purge != NULL ? quiet->purge->name : "malloc_trim";
}

void lt_malloc_quiet_name(const struct lt_malloc_quiet *quiet, char *name, size_t capacity)
{
	if (quiet->purge != NULL)
		snprintf(name, capacity, "%s", quiet->purge->allocator);
	else
		snprintf(name, capacity, "glibc %s", quiet->glibc.release);
}

/* ---- Whether it may be called now ---- */

/* What the thread has of its own for another allocator is where it is thought to be. */
static bool known_there(const struct lt_malloc_quiet *quiet, struct lt_memory *memory,
			const struct lt_side_thread *threads, size_t count)
{
	for (size_t i = 0; quiet->purge != NULL && i < count; i++)
		if (threads[i].stands &&
		    !lt_purge_knows(quiet->purge, memory, threads[i].place.tls))
			return false;
	return true;
}

/* True when glibc itself knows of more than one thread, and so uses its locks. It never goes back from that. */
static bool uses_locks(const struct lt_malloc_quiet *quiet, struct lt_memory *memory,
		       const struct lt_side_thread *thread)
{
	uint8_t single = 1;
	uint32_t several = 0;
	if (quiet->single == 0 || !lt_memory_u8(memory, quiet->single, &single) || single != 0)
		return false;
	if (quiet->glibc.layout->tcb_several == 0)
		return true;
	return lt_memory_u32(memory, thread->place.tls + lt_arch_among_several, &several) &&
	       several != 0;
}

static bool arenas_free(const struct lt_malloc_quiet *quiet, struct lt_memory *memory)
{
	lt_addr at = quiet->glibc.main_arena;
	for (unsigned i = 0; i < ARENAS_MAX; i++) {
		uint32_t mutex = 1;
		if (!lt_memory_u32(memory, at, &mutex) || mutex != 0 ||
		    !lt_memory_u64(memory, at + quiet->glibc.layout->arena_next, &at))
			return false;
		if (at == quiet->glibc.main_arena)
			return true;
	}
	return false;
}

static bool in_purge(const struct lt_malloc_quiet *quiet, lt_addr at)
{
	return quiet->purge != NULL && within(at, quiet->purge->code_start, quiet->purge->code_end);
}

/* Code that may be the allocator's. */
static bool in_allocator(const struct lt_malloc_quiet *quiet, lt_addr at)
{
	return within(at, quiet->malloc_start, quiet->malloc_end) || in_purge(quiet, at) ||
	       (quiet->purge != NULL && within(at, quiet->fork_start, quiet->fork_end));
}

/* Code that another allocator than glibc's may call, and that the tables of the C library do not lead out of. */
static bool may_be_called(const struct lt_malloc_quiet *quiet, const struct lt_process *process,
			  lt_addr at)
{
	static const char *const names[] = {"[vdso]", "/ld-linux", "/ld-2.", "/libpthread"};
	const struct lt_mapping *mapping =
		quiet->purge != NULL ? lt_process_mapping(process, at) : NULL;
	for (size_t i = 0; mapping != NULL && i < sizeof(names) / sizeof(*names); i++)
		if (strstr(mapping->path, names[i]) != NULL)
			return true;
	return false;
}

/*
 * A frame of a signal at stack[i] whose interrupted place is in the library: that may be the allocator. Where what
 * was interrupted has another stack than `mapping`, which nobody searches, it may have interrupted that in turn.
 */
static bool interrupted_there(const struct lt_malloc_quiet *quiet, const struct lt_process *process,
			      struct lt_memory *memory, const struct lt_mapping *mapping,
			      const uint64_t *stack, size_t count, size_t i)
{
	uint8_t code[16];
	size_t pc = i + lt_arch_frame_pc / sizeof(*stack);
	size_t sp = i + lt_arch_frame_sp / sizeof(*stack);
	return pc < count && sp < count &&
	       (within(stack[pc], quiet->code_start, quiet->code_end) ||
		in_purge(quiet, stack[pc]) || may_be_called(quiet, process, stack[pc]) ||
		!within(stack[sp], mapping->start, mapping->end)) &&
	       lt_memory_probe(memory, stack[i], code, lt_arch_restorer_size) ==
		       lt_arch_restorer_size &&
	       memcmp(code, lt_arch_restorer, lt_arch_restorer_size) == 0;
}

/* From where a thread is out of the library: 1 when that leads by no function of the allocator, 0: by one, -1: unknown. */
static int leads_outside(const struct lt_malloc_quiet *quiet, const struct lt_process *process,
			 struct lt_memory *memory, const struct lt_arch_place *place)
{
	struct lt_frame frame = {.pc = place->pc, .sp = place->sp, .fp = place->fp};
	for (unsigned i = 0; i < FRAMES_MAX; i++) {
		if (in_allocator(quiet, frame.pc))
			return 0;
		if (!within(frame.pc, quiet->code_start, quiet->code_end))
			return may_be_called(quiet, process, frame.pc) ? -1 : 1;
		if (quiet->unwinder == NULL || !lt_unwinder_step(quiet->unwinder, memory, &frame))
			return -1;
	}
	return -1;
}

/*
 * The allocator calls nothing outside the C library, so a thread whose place is elsewhere, or that waits in a system call
 * which the allocator never makes, is not inside it, and neither is one whose callers up to the first outside
 * the library are not; unless it is in the handler of a signal that came there. Where the callers cannot be
 * followed, no word of its stack may be an address in the allocator.
 */
static bool outside(const struct lt_malloc_quiet *quiet, const struct lt_process *process,
		    struct lt_memory *memory, const struct lt_side_thread *thread,
		    const char **ret_why)
{
	const struct lt_arch_place *place = &thread->place;
	*ret_why = "a thread does not stop";
	if (!thread->stands)
		return false;
	*ret_why = "a thread is inside malloc";
	int way = quiet->purge == NULL && lt_arch_far_from_malloc(place->call)
			  ? 1
			  : leads_outside(quiet, process, memory, place);
	if (way == 0)
		return false;
	*ret_why = "the stack of a thread cannot be read";
	lt_addr start = place->sp & ~(lt_addr)(sizeof(uint64_t) - 1);
	const struct lt_mapping *mapping = lt_process_mapping(process, start);
	if (mapping == NULL || mapping->end - start > STACK_MAX)
		return false;
	size_t size = (size_t)(mapping->end - start);
	LT_FREE uint64_t *stack = malloc(size);
	if (stack == NULL || lt_memory_probe(memory, start, stack, size) != size)
		return false;
	*ret_why = "a thread may be inside malloc";
	for (size_t i = 0; i < size / sizeof(*stack); i++) {
		if (way < 0 && in_allocator(quiet, stack[i]))
			return false;
		if (within(stack[i], quiet->code_start, quiet->code_end) &&
		    interrupted_there(quiet, process, memory, mapping, stack, size / sizeof(*stack),
				      i))
			return false;
	}
	return true;
}

enum lt_side_verdict lt_malloc_quiet_ready(void *ctx, struct lt_session *session,
					   struct lt_process *process, struct lt_memory *memory,
					   const struct lt_side_thread *threads, size_t count,
					   bool all, const char **ret_why)
{
	const struct lt_malloc_quiet *quiet = ctx;
	*ret_why = "a thread's own data of the allocator are not where they should be";
	if (!known_there(quiet, memory, threads, count))
		return LT_SIDE_LATER;
	*ret_why = "it has no thread that stands";
	if (!all)
		return count > 0 && threads[0].stands && uses_locks(quiet, memory, &threads[0])
			       ? LT_SIDE_BESIDE
			       : LT_SIDE_ALL;
	if (count == 0)
		return LT_SIDE_LATER;
	if (lt_process_refresh(session, process) != LT_OK) {
		lt_session_clear(session);
		*ret_why = "its mappings cannot be read";
		return LT_SIDE_LATER;
	}
	for (size_t i = 0; i < count; i++)
		if (!outside(quiet, process, memory, &threads[i], ret_why))
			return LT_SIDE_LATER;
	*ret_why = "a lock of malloc is taken";
	return quiet->purge != NULL || arenas_free(quiet, memory) ? LT_SIDE_ALONE : LT_SIDE_LATER;
}
