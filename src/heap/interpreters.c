#include "heap/interpreters.h"

#include "heap/gc_rings.h"
#include "layout/object.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* glibc, nptl/descr.h: struct pthread.tid on x86-64, the same from 2.4 on. Only 3.9 and 3.10 need it. */
enum { GLIBC_PTHREAD_TID = 0x2d0 };

enum { BLOCK_MAX = LT_GC_RINGS_BYTES };

static lt_addr pointer_at(struct lt_memory *memory, const struct lt_layout *layout, lt_addr base,
			  enum lt_field field)
{
	uint64_t value = 0;
	if (base == 0 || !lt_has(layout, field) ||
	    !lt_memory_u64(memory, base + lt_off(layout, field), &value))
		return 0;
	return value;
}

static int64_t int_at(struct lt_memory *memory, const struct lt_layout *layout, lt_addr base,
		      enum lt_field field)
{
	uint32_t value = 0;
	if (!lt_has(layout, field) || !lt_memory_u32(memory, base + lt_off(layout, field), &value))
		return 0;
	return (int32_t)value;
}

static lt_addr first_interpreter(struct lt_memory *memory, const struct lt_view *view)
{
	return pointer_at(memory, view->layout, view->python->runtime,
			  LT__PyRuntimeState_interpreters_head);
}

static lt_addr gc_address(const struct lt_layout *layout, lt_addr interpreter)
{
	if (!lt_has(layout, LT_PyInterpreterState_gc))
		return 0;
	return interpreter + lt_off(layout, LT_PyInterpreterState_gc);
}

/* Bytes of the target that were read at once. A field past what came is 0. */
struct block {
	lt_addr address;
	size_t size;
	uint8_t bytes[BLOCK_MAX];
};

static bool read_block(struct lt_memory *memory, lt_addr address, uint64_t size,
		       struct block *ret_block)
{
	if (address == 0 || size == 0)
		return false;
	if (size > BLOCK_MAX)
		size = BLOCK_MAX;
	ret_block->address = address;
	ret_block->size = lt_memory_read(memory, address, ret_block->bytes, (size_t)size);
	return ret_block->size > 0;
}

static uint64_t block_value(const struct block *block, uint64_t offset, size_t size)
{
	uint64_t value = 0;
	if (offset > block->size || block->size - offset < size)
		return 0;
	memcpy(&value, block->bytes + offset, size); /* little-endian, as the target is */
	return value;
}

static uint64_t block_u64(const struct block *block, const struct lt_layout *layout,
			  uint64_t offset, enum lt_field field)
{
	return lt_has(layout, field) ? block_value(block, offset + lt_off(layout, field), 8) : 0;
}

static int64_t block_int(const struct block *block, const struct lt_layout *layout, uint64_t offset,
			 enum lt_field field)
{
	return lt_has(layout, field)
		       ? (int32_t)block_value(block, offset + lt_off(layout, field), 4)
		       : 0;
}

static uint64_t block_counter(const struct block *block, const struct lt_layout *layout,
			      uint64_t offset, enum lt_field field)
{
	uint64_t value = block_u64(block, layout, offset, field);
	return (int64_t)value < 0 ? 0 : value;
}

static void read_stats_record(const struct lt_layout *layout, const struct block *block,
			      uint64_t record, struct lt_gc_generation *gen)
{
	gen->collections = block_counter(block, layout, record, LT_gc_generation_stats_collections);
	gen->collected = block_counter(block, layout, record, LT_gc_generation_stats_collected);
	gen->uncollectable =
		block_counter(block, layout, record, LT_gc_generation_stats_uncollectable);
}

/* Of the newest whole record of the ring of generation `i`: the index moves on before its record is written. */
static void read_stats_ring(const struct lt_view *view, const struct block *stats, int i,
			    struct lt_gc_generation *gen)
{
	const struct lt_layout *layout = view->layout;
	struct lt_gc_ring_place place;
	if (!lt_gc_ring_find(layout, i, &place))
		return;
	for (unsigned r = 0; r < place.length; r++) {
		uint64_t at = place.items + r * place.record_size;
		struct lt_gc_generation record = *gen;
		read_stats_record(layout, stats, at, &record);
		if (record.collections > gen->collections &&
		    block_u64(stats, layout, at, LT_gc_generation_stats_ts_stop) >=
			    block_u64(stats, layout, at, LT_gc_generation_stats_ts_start))
			*gen = record;
	}
}

/* Where the lists of the generations lie in the collector's state; false: in none that is known. */
static bool generation_lists(const struct lt_layout *layout, uint64_t ret_lists[LT_GC_GENERATIONS])
{
	uint64_t size = lt_has(layout, LT_sizeof_gc_generation)
				? lt_off(layout, LT_sizeof_gc_generation)
				: 24;
	if (lt_has(layout, LT__gc_runtime_state_generations)) {
		for (int i = 0; i < LT_GC_GENERATIONS; i++)
			ret_lists[i] = lt_off(layout, LT__gc_runtime_state_generations) +
				       size * (unsigned)i;
		return true;
	}
	if (!lt_has(layout, LT__gc_runtime_state_young) ||
	    !lt_has(layout, LT__gc_runtime_state_old))
		return false;
	/* 3.14.0 to 3.14.4, the incremental collector. */
	ret_lists[0] = lt_off(layout, LT__gc_runtime_state_young);
	ret_lists[1] = lt_off(layout, LT__gc_runtime_state_old);
	ret_lists[2] = ret_lists[1] + size;
	return true;
}

bool lt_gc_state_read(const struct lt_view *view, lt_addr interpreter,
		      struct lt_gc_state *ret_state)
{
	const struct lt_layout *layout = view->layout;
	lt_addr gc = gc_address(layout, interpreter);
	struct block block, ring;
	if (gc == 0 || !lt_has(layout, LT_sizeof__gc_runtime_state) ||
	    !read_block(view->memory, gc, lt_off(layout, LT_sizeof__gc_runtime_state), &block))
		return false;
	struct lt_gc_state state = {
		.enabled = block_int(&block, layout, 0, LT__gc_runtime_state_enabled) != 0,
		.collecting = block_int(&block, layout, 0, LT__gc_runtime_state_collecting) != 0,
		.debug = (uint32_t)block_int(&block, layout, 0, LT__gc_runtime_state_debug),
		.garbage = block_u64(&block, layout, 0, LT__gc_runtime_state_garbage),
		.callbacks = block_u64(&block, layout, 0, LT__gc_runtime_state_callbacks),
		.long_lived_total =
			block_u64(&block, layout, 0, LT__gc_runtime_state_long_lived_total),
		.long_lived_pending =
			block_u64(&block, layout, 0, LT__gc_runtime_state_long_lived_pending),
		.heap_size = -1,
	};
	if (lt_has(layout, LT__gc_runtime_state_heap_size))
		state.heap_size =
			(int64_t)block_u64(&block, layout, 0, LT__gc_runtime_state_heap_size);
	if (lt_has(layout, LT__gc_runtime_state_permanent_generation)) {
		uint64_t at = lt_off(layout, LT__gc_runtime_state_permanent_generation);
		uint64_t first = block_u64(&block, layout, at, LT_PyGC_Head__gc_next);
		state.permanent = gc + at;
		state.frozen = first != 0 && first != state.permanent;
		state.frozen_last = block_u64(&block, layout, at, LT_PyGC_Head__gc_prev);
	}
	if (state.collecting)
		state.frame = block_u64(&block, layout, 0, LT__gc_runtime_state_frame);

	bool has_stats = lt_has(layout, LT__gc_runtime_state_generation_stats);
	const struct block *rings = NULL;
	if (has_stats && lt_fact(layout, LT_FACT_gc_stats_ring) != 0) {
		has_stats = false;
		if (lt_has(layout, LT_sizeof_gc_stats) &&
		    read_block(view->memory,
			       block_u64(&block, layout, 0, LT__gc_runtime_state_generation_stats),
			       lt_off(layout, LT_sizeof_gc_stats), &ring))
			rings = &ring;
	}
	uint64_t lists[LT_GC_GENERATIONS];
	if (generation_lists(layout, lists)) {
		for (int i = 0; i < LT_GC_GENERATIONS; i++) {
			struct lt_gc_generation *gen = &state.generations[i];
			gen->head = gc + lists[i];
			gen->threshold =
				block_int(&block, layout, lists[i], LT_gc_generation_threshold);
			gen->count = block_int(&block, layout, lists[i], LT_gc_generation_count);
			if (rings != NULL)
				read_stats_ring(view, rings, i, gen);
			else if (has_stats)
				read_stats_record(
					layout, &block,
					lt_off(layout, LT__gc_runtime_state_generation_stats) +
						lt_off(layout, LT_sizeof_gc_generation_stats) *
							(unsigned)i,
					gen);
		}
	}
	*ret_state = state;
	return true;
}

bool lt_gc_frozen_by_program(const struct lt_view *view, const struct lt_gc_state *state)
{
	enum { FROZEN_AT_START = 1024 };
	lt_addr at = state->permanent;
	if (!state->frozen || !lt_has(view->layout, LT_PyGC_Head__gc_next))
		return false;
	for (int i = 0; i <= FROZEN_AT_START; i++) {
		uint64_t next = 0;
		if (!lt_memory_u64(view->memory, at + lt_off(view->layout, LT_PyGC_Head__gc_next),
				   &next))
			return false;
		at = lt_gc_next(view->layout, next);
		if (at == state->permanent || at == 0)
			return false;
	}
	return true;
}

/* The thread state that holds the GIL of `interpreter`, 0 for none. */
static lt_addr gil_holder(struct lt_memory *memory, const struct lt_view *view, lt_addr interpreter)
{
	const struct lt_layout *layout = view->layout;
	lt_addr gil;
	if (lt_fact(layout, LT_FACT_gil_pointer) != 0) {
		gil = pointer_at(memory, layout, interpreter, LT_PyInterpreterState_ceval_gil);
	} else {
		/* <= 3.11: who runs is said by the runtime itself, and is 0 while nobody does. */
		if (lt_has(layout, LT__PyRuntimeState_gilstate_tstate_current))
			return pointer_at(memory, layout, view->python->runtime,
					  LT__PyRuntimeState_gilstate_tstate_current);
		gil = lt_has(layout, LT__PyRuntimeState_ceval_gil)
			      ? view->python->runtime + lt_off(layout, LT__PyRuntimeState_ceval_gil)
			      : 0;
	}
	if (gil == 0 || int_at(memory, layout, gil, LT__gil_runtime_state_locked) != 1)
		return 0;
	return pointer_at(memory, layout, gil, LT__gil_runtime_state_last_holder);
}

static pid_t plausible_tid(const struct lt_view *view, uint64_t value)
{
	if (value == 0 || value > (1u << 22) || view->process == NULL)
		return 0;
	return (pid_t)value;
}

static pid_t native_id(struct lt_memory *memory, const struct lt_view *view, lt_addr tstate)
{
	const struct lt_layout *layout = view->layout;
	if (lt_has(layout, LT_PyThreadState_native_thread_id))
		return plausible_tid(view, pointer_at(memory, layout, tstate,
						      LT_PyThreadState_native_thread_id));
	uint64_t thread = pointer_at(memory, layout, tstate, LT_PyThreadState_thread_id);
	uint32_t tid = 0;
	if (thread < 4096 ||
	    lt_memory_probe(memory, thread + GLIBC_PTHREAD_TID, &tid, sizeof(tid)) != sizeof(tid))
		return 0;
	return plausible_tid(view, tid);
}

/* The kernel's id of the thread as glibc keeps it, which is 0 once it has ended; 0 also when it cannot be read. */
static uint32_t kept_tid(const struct lt_view *view, const struct lt_thread *thread)
{
	uint32_t tid = 0;
	if (thread->thread_id < 4096 ||
	    lt_memory_probe(view->memory, thread->thread_id + GLIBC_PTHREAD_TID, &tid,
			    sizeof(tid)) != sizeof(tid))
		return 0;
	return tid;
}

/*
 * Thread states whose thread has ended: C code that calls PyGILState_Ensure() once too often leaves one behind.
 * Told only where the id that glibc keeps is right for some thread, so that it is where it should be. A new thread may
 * have the place of an ended one, and its state comes first in the list.
 */
static void find_ended(const struct lt_view *view, struct lt_interpreter *interpreter)
{
	bool right = false;
	for (size_t t = 0; t < interpreter->thread_count && !right; t++) {
		const struct lt_thread *thread = &interpreter->threads[t];
		right = thread->native_id != 0 &&
			kept_tid(view, thread) == (uint32_t)thread->native_id;
	}
	for (size_t t = 0; right && t < interpreter->thread_count; t++) {
		struct lt_thread *thread = &interpreter->threads[t];
		thread->ended = thread->thread_id != 0 && !thread->holds_gil &&
				(kept_tid(view, thread) == 0 ||
				 kept_tid(view, thread) != (uint32_t)thread->native_id);
	}
}

bool lt_interpreter_running(const struct lt_view *view, lt_addr interpreter,
			    struct lt_thread *ret_thread)
{
	lt_addr holder = gil_holder(view->memory, view, interpreter);
	if (holder == 0 ||
	    pointer_at(view->memory, view->layout, holder, LT_PyThreadState_interp) != interpreter)
		return false;
	*ret_thread = (struct lt_thread){
		.address = holder,
		.thread_id =
			pointer_at(view->memory, view->layout, holder, LT_PyThreadState_thread_id),
		.native_id = native_id(view->memory, view, holder),
		.holds_gil = true,
	};
	return true;
}

bool lt_interpreter_finalizing(const struct lt_view *view, lt_addr interpreter, int64_t id)
{
	const struct lt_layout *layout = view->layout;
	if (pointer_at(view->memory, layout, view->python->runtime,
		       LT__PyRuntimeState_finalizing) != 0)
		return true;
	/* The flag of the main interpreter is set before its exit functions run: too early. */
	if (lt_has(layout, LT_PyInterpreterState__finalizing))
		return pointer_at(view->memory, layout, interpreter,
				  LT_PyInterpreterState__finalizing) != 0;
	return id != 0 &&
	       int_at(view->memory, layout, interpreter, LT_PyInterpreterState_finalizing) != 0;
}

size_t lt_interpreters_list(const struct lt_view *view, lt_addr *ret_addresses, size_t capacity)
{
	size_t count = 0;
	lt_addr address = first_interpreter(view->memory, view);
	while (address != 0 && (address & 7) == 0 && count < capacity) {
		for (size_t i = 0; i < count; i++) {
			if (ret_addresses[i] == address)
				return count;
		}
		ret_addresses[count++] = address;
		address =
			pointer_at(view->memory, view->layout, address, LT_PyInterpreterState_next);
	}
	return count;
}

int64_t lt_interpreter_id(const struct lt_view *view, lt_addr interpreter)
{
	return (int64_t)pointer_at(view->memory, view->layout, interpreter,
				   LT_PyInterpreterState_id);
}

static enum lt_status read_threads(const struct lt_view *view, struct lt_interpreter *interpreter)
{
	const struct lt_layout *layout = view->layout;
	lt_addr holder = gil_holder(view->memory, view, interpreter->address);
	lt_addr thread = pointer_at(view->memory, layout, interpreter->address,
				    LT_PyInterpreterState_threads_head);
	size_t capacity = 0;
	while (thread != 0) {
		if (interpreter->thread_count >= LT_THREADS_MAX || (thread & 7) != 0 ||
		    (interpreter->thread_count > 0 && thread == interpreter->threads[0].address)) {
			view->session->unreadable++;
			break;
		}
		lt_addr owner = pointer_at(view->memory, layout, thread, LT_PyThreadState_interp);
		if (owner != interpreter->address) {
			view->session->unreadable++;
			break;
		}
		if (interpreter->thread_count == capacity) {
			capacity = capacity == 0 ? 8 : capacity * 2;
			struct lt_thread *grown = realloc(interpreter->threads,
							  capacity * sizeof(*interpreter->threads));
			if (grown == NULL)
				return lt_fail_memory(view->session);
			interpreter->threads = grown;
		}
		interpreter->threads[interpreter->thread_count++] = (struct lt_thread){
			.address = thread,
			.thread_id = pointer_at(view->memory, layout, thread,
						LT_PyThreadState_thread_id),
			.native_id = native_id(view->memory, view, thread),
			.holds_gil = thread == holder,
		};
		thread = pointer_at(view->memory, layout, thread, LT_PyThreadState_next);
	}
	find_ended(view, interpreter);
	return LT_OK;
}

static int by_id(const void *left, const void *right)
{
	int64_t a = ((const struct lt_interpreter *)left)->id;
	int64_t b = ((const struct lt_interpreter *)right)->id;
	return (a > b) - (a < b);
}

enum lt_status lt_interpreters_read(const struct lt_view *view,
				    struct lt_interpreters *ret_interpreters)
{
	struct lt_interpreters found = {0};
	enum lt_status status = LT_OK;
	lt_addr address = first_interpreter(view->memory, view);
	while (address != 0 && status == LT_OK) {
		bool again = false;
		for (size_t i = 0; i < found.count && !again; i++)
			again = found.data[i].address == address;
		if (again || found.count >= LT_INTERPRETERS_MAX || (address & 7) != 0) {
			view->session->unreadable++;
			break;
		}
		struct lt_interpreter *grown =
			realloc(found.data, (found.count + 1) * sizeof(*found.data));
		if (grown == NULL) {
			status = lt_fail_memory(view->session);
			break;
		}
		found.data = grown;
		struct lt_interpreter *interpreter = &found.data[found.count++];
		*interpreter = (struct lt_interpreter){.address = address};
		interpreter->id = lt_interpreter_id(view, address);
		interpreter->interned = pointer_at(view->memory, view->layout, address,
						   LT_PyInterpreterState_interned_strings);
		lt_gc_state_read(view, address, &interpreter->gc);
		status = read_threads(view, interpreter);
		address =
			pointer_at(view->memory, view->layout, address, LT_PyInterpreterState_next);
	}
	if (status == LT_OK && found.count == 0) {
		if (view->process != NULL && !lt_process_alive(view->process))
			status = lt_fail(view->session, LT_E_GONE,
					 "process %d ended while it was read",
					 (int)view->process->pid);
		else
			status = lt_fail(
				view->session, LT_E_NOT_PYTHON,
				"the runtime of CPython holds no interpreter: not initialised "
				"yet, or finalized");
	}
	if (status != LT_OK || found.data == NULL) {
		lt_interpreters_deinit(&found);
		return status;
	}
	qsort(found.data, found.count, sizeof(*found.data), by_id);
	*ret_interpreters = found;
	return LT_OK;
}

void lt_interpreters_deinit(struct lt_interpreters *interpreters)
{
	for (size_t i = 0; i < interpreters->count; i++)
		free(interpreters->data[i].threads);
	free(interpreters->data);
	*interpreters = (struct lt_interpreters){0};
}

bool lt_interpreters_collecting(void *ctx, struct lt_memory *live)
{
	const struct lt_view *view = ctx;
	lt_addr address = first_interpreter(live, view);
	for (int i = 0; i < LT_INTERPRETERS_MAX && address != 0; i++) {
		lt_addr gc = gc_address(view->layout, address);
		if (gc != 0 && int_at(live, view->layout, gc, LT__gc_runtime_state_collecting) != 0)
			return true;
		address = pointer_at(live, view->layout, address, LT_PyInterpreterState_next);
	}
	return false;
}

pid_t lt_interpreters_gil_holder(void *ctx, struct lt_memory *live)
{
	const struct lt_view *view = ctx;
	const struct lt_layout *layout = view->layout;
	lt_addr address = first_interpreter(live, view);
	lt_addr holder = 0, first_gil = 0;
	for (int i = 0; i < LT_INTERPRETERS_MAX && address != 0; i++) {
		if (lt_fact(layout, LT_FACT_gil_pointer) != 0) {
			/* With several GILs no one thread keeps all the others from running. */
			lt_addr gil =
				pointer_at(live, layout, address, LT_PyInterpreterState_ceval_gil);
			if (i > 0 && gil != first_gil)
				return 0;
			first_gil = gil;
		}
		if (holder == 0)
			holder = gil_holder(live, view, address);
		address = pointer_at(live, layout, address, LT_PyInterpreterState_next);
	}
	return holder != 0 ? native_id(live, view, holder) : 0;
}
