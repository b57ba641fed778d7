/* Programs of probes: what they copy, run by a small machine of their instructions on memory made by hand. */
#include "target/image.h"
#include "target/probe_program.h"
#include "watch/copies.h"

#include <linux/bpf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const lt_addr BASE = 0x7f0000100000;
static const lt_addr TASK = 0xffff888000010000;

enum { SIZE = 65536, RING = 7, PID = 41, THREAD = 43, STEPS_MAX = 100000, SITE = 0x503 };
enum { CONTEXT = 0xc0c0, COOKIE = 0x207 };

struct machine {
	struct lt_session session;
	struct lt_memory *image, *kernel;
	struct bpf_insn code[LT_PROBE_PROGRAM_MAX];
	size_t count;
	uint8_t stack[512];
	uint8_t *record; /* reserved */
	size_t size;
	bool submitted, full;
	uint64_t word; /* of a map */
	uint32_t pid;
	uint64_t now;
};

static void put(struct machine *machine, lt_addr address, uint64_t value)
{
	memcpy(lt_image_at(machine->image, address, 8), &value, 8);
}

/* Memory that a program may touch: its stack and its record. */
static uint8_t *allowed(struct machine *machine, uint64_t address, size_t size)
{
	uint64_t stack = (uintptr_t)machine->stack, record = (uintptr_t)machine->record;
	bool in_stack = address >= stack && address + size <= stack + sizeof(machine->stack);
	bool in_word = address == (uintptr_t)&machine->word && size == 8;
	bool in_record = machine->record != NULL && address >= record &&
			 address + size <= record + machine->size;
	assert_true(in_stack || in_record || in_word);
	assert_true(address % (size > 8 ? 1 : size) == 0);
	return (uint8_t *)(uintptr_t)address;
}

static uint64_t run_call(struct machine *machine, int32_t function, const uint64_t *r)
{
	uint32_t ids[2] = {THREAD, machine->pid};
	switch (function) {
	case BPF_FUNC_get_ns_current_pid_tgid:
		assert_int_equal(r[1], 4);
		assert_int_equal(r[2], 0xf0000001);
		memcpy(allowed(machine, r[3], r[4]), ids, sizeof(ids));
		return 0;
	case BPF_FUNC_get_attach_cookie:
		assert_int_equal(r[1], CONTEXT);
		return COOKIE;
	case BPF_FUNC_get_current_task:
		return TASK;
	case BPF_FUNC_probe_read_kernel:
		if (lt_memory_probe(machine->kernel, r[3], allowed(machine, r[1], r[2]), r[2]) ==
		    r[2])
			return 0;
		memset(allowed(machine, r[1], r[2]), 0, r[2]);
		return (uint64_t)-14;
	case BPF_FUNC_ktime_get_ns:
		return machine->now++;
	case BPF_FUNC_ringbuf_reserve:
		assert_int_equal(r[1], RING);
		assert_null(machine->record);
		if (machine->full)
			return 0;
		machine->size = r[2];
		machine->record = malloc(machine->size);
		memset(machine->record, 0xa5, machine->size);
		return (uintptr_t)machine->record;
	case BPF_FUNC_get_current_pid_tgid:
		return (uint64_t)1001 << 32 | 1003;
	case BPF_FUNC_probe_read_user: {
		uint8_t *to = allowed(machine, r[1], 1);
		allowed(machine, r[1] + r[2] - 1, 1);
		if (lt_memory_probe(machine->image, r[3], to, r[2]) == r[2])
			return 0;
		memset(to, 0, r[2]);
		return (uint64_t)-14;
	}
	case BPF_FUNC_ringbuf_submit:
		assert_ptr_equal((void *)(uintptr_t)r[1], machine->record);
		machine->submitted = true;
		return 0;
	default:
		fail();
		return 0;
	}
}

/* One instruction; the place of the next one, SIZE_MAX at the end. */
static size_t step(struct machine *machine, size_t at, uint64_t *r)
{
	const struct bpf_insn *insn = &machine->code[at];
	uint64_t *to = &r[insn->dst_reg];
	uint64_t from = r[insn->src_reg], value = (uint64_t)(int64_t)insn->imm;
	uint32_t half;
	bool jump = false;
	switch (insn->code) {
	case BPF_LD | BPF_DW | BPF_IMM:
		if (insn->src_reg == BPF_PSEUDO_MAP_VALUE) {
			assert_int_equal(insn->imm, RING);
			assert_int_equal(machine->code[at + 1].imm, 0);
			*to = (uintptr_t)&machine->word;
			return at + 2;
		}
		*to = (uint32_t)insn->imm | (uint64_t)(uint32_t)machine->code[at + 1].imm << 32;
		return at + 2;
	case BPF_ALU64 | BPF_MOV | BPF_K:
		*to = value;
		break;
	case BPF_ALU64 | BPF_MOV | BPF_X:
		*to = from;
		break;
	case BPF_ALU64 | BPF_ADD | BPF_K:
		*to += value;
		break;
	case BPF_ALU64 | BPF_ADD | BPF_X:
		*to += from;
		break;
	case BPF_ALU64 | BPF_SUB | BPF_X:
		*to -= from;
		break;
	case BPF_ALU64 | BPF_AND | BPF_K:
		*to &= value;
		break;
	case BPF_ALU64 | BPF_AND | BPF_X:
		*to &= from;
		break;
	case BPF_ALU64 | BPF_MUL | BPF_K:
		*to *= value;
		break;
	case BPF_ALU64 | BPF_RSH | BPF_K:
		*to >>= value;
		break;
	case BPF_LDX | BPF_MEM | BPF_DW:
		memcpy(to, allowed(machine, from + (uint64_t)insn->off, 8), 8);
		break;
	case BPF_LDX | BPF_MEM | BPF_W:
		memcpy(&half, allowed(machine, from + (uint64_t)insn->off, 4), 4);
		*to = half;
		break;
	case BPF_STX | BPF_MEM | BPF_DW:
		memcpy(allowed(machine, *to + (uint64_t)insn->off, 8), &from, 8);
		break;
	case BPF_STX | BPF_MEM | BPF_W:
		memcpy(allowed(machine, *to + (uint64_t)insn->off, 4), &from, 4);
		break;
	case BPF_ST | BPF_MEM | BPF_DW:
		memcpy(allowed(machine, *to + (uint64_t)insn->off, 8), &value, 8);
		break;
	case BPF_ST | BPF_MEM | BPF_W:
		memcpy(allowed(machine, *to + (uint64_t)insn->off, 4), &value, 4);
		break;
	case BPF_JMP | BPF_JEQ | BPF_K:
		jump = *to == value;
		break;
	case BPF_JMP | BPF_JNE | BPF_K:
		jump = *to != value;
		break;
	case BPF_JMP | BPF_JGT | BPF_K:
		jump = *to > value;
		break;
	case BPF_JMP | BPF_JSLT | BPF_K:
		jump = (int64_t)*to < (int64_t)value;
		break;
	case BPF_JMP | BPF_JEQ | BPF_X:
		jump = *to == from;
		break;
	case BPF_JMP | BPF_JA:
		jump = true;
		break;
	case BPF_JMP | BPF_CALL:
		r[0] = run_call(machine, insn->imm, r);
		/* What a call leaves in these nobody may use. */
		for (int i = 1; i <= 5; i++)
			r[i] = 0xdeaddeaddeaddead;
		break;
	case BPF_JMP | BPF_EXIT:
		return SIZE_MAX;
	default:
		fail();
	}
	return at + 1 + (jump ? (size_t)insn->off : 0);
}

static struct lt_probe_plan in_process(const struct lt_probe_plan *plan)
{
	struct lt_probe_plan own = *plan;
	own.namespace_device = 4;
	own.namespace_inode = 0xf0000001;
	own.namespace_pid = PID;
	return own;
}

/* What the program leaves in r0. */
static uint64_t run_program(struct machine *machine)
{
	assert_int_not_equal(machine->count, 0);
	uint64_t r[11] = {[1] = CONTEXT};
	r[10] = (uintptr_t)machine->stack + sizeof(machine->stack);
	size_t at = 0;
	for (int steps = 0; at != SIZE_MAX; steps++) {
		assert_true(at < machine->count && steps < STEPS_MAX);
		at = step(machine, at, r);
	}
	return r[0];
}

static const struct lt_probe_record *run_at(struct machine *machine,
					    const struct lt_probe_plan *plan, uint32_t site)
{
	const struct lt_probe_plan own = in_process(plan);
	machine->count = lt_probe_program(&own, site, RING, machine->code);
	free(machine->record);
	machine->record = NULL;
	machine->submitted = false;
	assert_int_equal(run_program(machine), 0);
	/* A record that was reserved is handed in, always. */
	assert_true(machine->submitted == (machine->record != NULL));
	return (const struct lt_probe_record *)machine->record;
}

static const struct lt_probe_record *run(struct machine *machine, const struct lt_probe_plan *plan)
{
	return run_at(machine, plan, SITE);
}

static int setup(void **state)
{
	struct machine *machine = calloc(1, sizeof(*machine));
	lt_session_init(&machine->session);
	assert_int_equal(lt_image_create(&machine->session, &machine->image), LT_OK);
	assert_int_equal(lt_image_add(&machine->session, machine->image, BASE, NULL, SIZE), LT_OK);
	assert_int_equal(lt_image_create(&machine->session, &machine->kernel), LT_OK);
	assert_int_equal(lt_image_add(&machine->session, machine->kernel, TASK, NULL, 0x1000),
			 LT_OK);
	machine->pid = PID;
	machine->now = 1000;
	*state = machine;
	return 0;
}

static int teardown(void **state)
{
	struct machine *machine = *state;
	lt_memory_close(machine->image);
	lt_memory_close(machine->kernel);
	lt_session_deinit(&machine->session);
	free(machine->record);
	free(machine);
	return 0;
}

static void test_words_and_copies(void **state)
{
	struct machine *machine = *state;
	put(machine, BASE + 0x100, BASE + 0x1000);
	for (unsigned i = 0; i < 8; i++)
		put(machine, BASE + 0x1000 + i * 8, 0x1111111111111111ull * (i + 1));
	const struct lt_probe_plan plan = {
		.steps = {{.op = LT_PROBE_SET, .slot = 1, .offset = BASE},
			  {.op = LT_PROBE_LOAD, .slot = 2, .from = 1, .offset = 0x100, .size = 8},
			  {.op = LT_PROBE_LOAD, .slot = 3, .from = 2, .offset = 8, .size = 2},
			  {.op = LT_PROBE_COPY, .from = 2, .offset = 4, .size = 13},
			  {.op = LT_PROBE_COPY, .from = 2, .offset = 56, .size = 8},
			  {.op = LT_PROBE_LOAD, .slot = 4, .from = 0, .offset = BASE, .size = 8},
			  {.op = LT_PROBE_LOAD, .slot = 5, .from = 1, .offset = 1 << 20, .size = 8},
			  {.op = LT_PROBE_COPY, .from = 1, .offset = SIZE - 4, .size = 8}},
		.step_count = 8,
	};
	size_t size, frames;
	assert_true(lt_probe_plan_size(&plan, &size, &frames));
	assert_int_equal(size, sizeof(struct lt_probe_record) + 32);
	const struct lt_probe_record *record = run(machine, &plan);
	assert_non_null(record);
	assert_int_equal(machine->size, size);
	assert_int_equal(record->site, SITE);
	assert_int_equal(record->frame_count, 0);
	assert_true(record->start_ns < record->end_ns);
	assert_int_equal(record->thread, 1003);
	assert_int_equal(record->process, 1001);
	assert_int_equal(record->namespace_thread, THREAD);
	assert_int_equal(record->own_thread, 0);
	assert_int_equal(record->slots[0], 0);
	assert_int_equal(record->slots[1], BASE);
	assert_int_equal(record->slots[2], BASE + 0x1000);
	assert_int_equal(record->slots[3], 0x2222);
	assert_int_equal(record->slots[4], 0); /* nothing to read from */
	assert_int_equal(record->slots[5], 0); /* not mapped */
	const uint8_t *data = (const uint8_t *)(record + 1);
	assert_memory_equal(data, lt_image_at(machine->image, BASE + 0x1004, 13), 13);
	assert_memory_equal(data + 16, lt_image_at(machine->image, BASE + 0x1038, 8), 8);
	const uint64_t zero = 0;
	assert_memory_equal(data + 24, &zero, 8);
}

static void test_no_record(void **state)
{
	struct machine *machine = *state;
	const struct lt_probe_plan plan = {.steps = {{.op = LT_PROBE_SET, .slot = 1, .offset = 5}},
					   .step_count = 1};
	machine->pid = PID + 1; /* a child */
	assert_null(run(machine, &plan));
	machine->pid = PID;
	machine->full = true;
	assert_null(run(machine, &plan));
	machine->full = false;
	assert_non_null(run(machine, &plan));
}

/* One program at many places. */
static void test_site_of_a_link(void **state)
{
	struct machine *machine = *state;
	const struct lt_probe_plan plan = {.steps = {{.op = LT_PROBE_SET, .slot = 1, .offset = 5}},
					   .step_count = 1};
	const struct lt_probe_record *record = run_at(machine, &plan, LT_PROBE_SITE_OF_LINK);
	assert_non_null(record);
	assert_int_equal(record->site, COOKIE);
	assert_int_equal(record->namespace_thread, THREAD);
	assert_int_equal(record->slots[1], 5);
}

/* The time of the first execve(2) of the process, and of no other one. */
static void test_exec(void **state)
{
	struct machine *machine = *state;
	const struct lt_probe_plan own = in_process(&(struct lt_probe_plan){0});
	machine->count = lt_probe_exec_program(&own, RING, machine->code);
	machine->pid = PID + 1;
	assert_int_equal(run_program(machine), 0);
	assert_int_equal(machine->word, 0);
	machine->pid = PID;
	machine->now = 5000;
	assert_int_equal(run_program(machine), 0);
	assert_int_equal(machine->word, 5000);
	machine->now = 6000;
	assert_int_equal(run_program(machine), 0);
	assert_int_equal(machine->word, 5000);
	assert_null(machine->record);
}

/* The id of the thread in the namespace of lowtide, wherever that lies. */
static void test_own_ids(void **state)
{
	struct machine *machine = *state;
	struct lt_probe_plan plan = {.own = LT_PROBE_OWN_SAME};
	assert_int_equal(run(machine, &plan)->own_thread, THREAD);
	plan.own = LT_PROBE_OWN_FIRST;
	assert_int_equal(run(machine, &plan)->own_thread, 1003);
	plan.own = LT_PROBE_OWN_BETWEEN;
	plan.ids = (struct lt_probe_ids){
		.pid = 0x300, .level = 4, .numbers = 0x60, .step = 16, .above = 1};
	const uint64_t pid = TASK + 0x800;
	memcpy(lt_image_at(machine->kernel, TASK + 0x300, 8), &pid, 8);
	const uint32_t level = 2, ids[] = {1003, 77, THREAD};
	memcpy(lt_image_at(machine->kernel, pid + 4, 4), &level, 4);
	for (unsigned i = 0; i < 3; i++)
		memcpy(lt_image_at(machine->kernel, pid + 0x60 + (lt_addr)i * 16, 4), &ids[i], 4);
	for (unsigned above = 0; above < 3; above++) {
		plan.ids.above = above;
		assert_int_equal(run(machine, &plan)->own_thread, ids[2 - above]);
	}
	/* None when the thread is not that deep, or something cannot be read. */
	plan.ids.above = 3;
	assert_int_equal(run(machine, &plan)->own_thread, 0);
	plan.ids.above = 1;
	plan.ids.numbers = 0x10000;
	assert_int_equal(run(machine, &plan)->own_thread, 0);
	plan.ids.level = 0x10000;
	assert_int_equal(run(machine, &plan)->own_thread, 0);
	plan.ids.pid = 0x10000;
	assert_int_equal(run(machine, &plan)->own_thread, 0);
}

/* A node at BASE + n * 0x100, its lock 0x40 behind it, the lock's holder 0x80 behind it. */
static void put_node(struct machine *machine, unsigned n, bool last, bool held, uint64_t thread)
{
	lt_addr node = BASE + 0x100 * (lt_addr)(n + 1);
	put(machine, node + 8, last ? 0 : node + 0x100);
	put(machine, node + 16, node + 0x40);
	put(machine, node + 0x40, held ? 0xffff00000001 : 0xffff00000000);
	put(machine, node + 0x48, node + 0x80);
	put(machine, node + 0x90, thread);
}

static void test_who_holds_the_lock(void **state)
{
	struct machine *machine = *state;
	const struct lt_probe_plan plan = {
		.steps = {{.op = LT_PROBE_SET, .slot = 1, .offset = BASE + 0x100},
			  {.op = LT_PROBE_FIND, .slot = 2, .from = 1}},
		.step_count = 2,
		.find = {.next = 8, .via = 16, .held = 0, .holder = 8, .thread = 16},
	};
	const struct {
		bool held[3];
		uint64_t thread[3];
		int found; /* -1: none */
	} cases[] = {
		{{true, true, true}, {1, 2, THREAD}, 2},
		{{true, true, true}, {THREAD, 2, 3}, 0},
		{{false, true, true}, {THREAD, THREAD, 3}, 1}, /* held before, by this thread too */
		{{false, true, false}, {THREAD, 99, THREAD}, 1}, /* the only one that is held */
		{{true, true, false}, {98, 99, THREAD}, -1},
		{{true, false, true},
		 {98, 99, 97},
		 0}, /* beside the main interpreter, which is the last */
		{{false, false, true}, {98, 99, 97}, 2},
		{{true, true, true}, {98, 99, 97}, -1},
		{{false, false, false}, {THREAD, THREAD, THREAD}, -1},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		for (unsigned n = 0; n < 3; n++)
			put_node(machine, n, n == 2, cases[i].held[n], cases[i].thread[n]);
		const struct lt_probe_record *record = run(machine, &plan);
		lt_addr node =
			cases[i].found < 0 ? 0 : BASE + 0x100 * (lt_addr)(cases[i].found + 1);
		assert_int_equal(record->slots[2], node);
		assert_int_equal(record->slots[3], node == 0 ? 0 : node + 0x80);
	}
	/* A list without an end. */
	put(machine, BASE + 0x308, BASE + 0x100);
	assert_int_equal(run(machine, &plan)->slots[2], 0);
}

static const struct lt_probe_plan walking = {
	.steps = {{.op = LT_PROBE_SET, .slot = 1, .offset = BASE + 0x1000},
		  {.op = LT_PROBE_LOAD, .slot = 2, .from = 1, .offset = 0, .size = 8},
		  {.op = LT_PROBE_NEED, .from = 2},
		  {.op = LT_PROBE_COPY, .from = 1, .offset = 0, .size = 8},
		  {.op = LT_PROBE_WALK, .from = 2}},
	.step_count = 5,
	.walk = {.next = 24, .words = {16, 40, 46}},
};

static void put_frames(struct machine *machine, unsigned count, bool cycle)
{
	put(machine, BASE + 0x1000, BASE + 0x2000);
	for (unsigned i = 0; i < count; i++) {
		lt_addr frame = BASE + 0x2000 + (lt_addr)i * 64;
		put(machine, frame + 16, 0x100 + i);
		put(machine, frame + 40, 0x0123000000000200 + i);
		put(machine, frame + 24, i + 1 < count ? frame + 64 : cycle ? BASE + 0x2000 : 0);
	}
}

static void test_frames(void **state)
{
	struct machine *machine = *state;
	static const struct {
		unsigned count, seen;
		bool cycle;
	} cases[] = {{1, 1, false},
		     {5, 5, false},
		     {LT_PROBE_FRAMES, LT_PROBE_FRAMES, false},
		     {200, LT_PROBE_FRAMES, false},
		     {3, LT_PROBE_FRAMES, true}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		put_frames(machine, cases[i].count, cases[i].cycle);
		const struct lt_probe_record *record = run(machine, &walking);
		assert_int_equal(record->frame_count, cases[i].seen);
		const uint64_t *words = (const uint64_t *)(record + 1) + 1;
		for (unsigned f = 0; f < cases[i].seen; f++, words += LT_PROBE_FRAME_WORDS) {
			unsigned frame = f % cases[i].count;
			assert_int_equal(words[0], 0x100 + frame);
			assert_int_equal(words[1], 0x0123000000000200 + frame);
			assert_int_equal(words[2], 0x0123); /* from there to the end of its word */
		}
	}
	/* A frame that cannot be read ends the chain. */
	put_frames(machine, 3, false);
	put(machine, BASE + 0x2000 + 64 + 24, 0x1000);
	assert_int_equal(run(machine, &walking)->frame_count, 2);
	/* The record ends before the copy and the frames. */
	put(machine, BASE + 0x1000, 0);
	assert_int_equal(run(machine, &walking)->frame_count, 0);
}

/* Three frames, the word of each with a tag: objects of 24 bytes with texts of 16, 32 and 64. */
static void test_objects_of_frames(void **state)
{
	struct machine *machine = *state;
	struct lt_probe_plan plan = walking;
	plan.object = (struct lt_probe_object){
		.mask = ~(uint64_t)3, .size = 24, .texts = {{0, 16}, {8, 32}, {16, 61}}};
	put_frames(machine, 5, false);
	for (unsigned i = 0; i < 5; i++) {
		lt_addr object = BASE + 0x4000 + (lt_addr)i * 0x100;
		put(machine, BASE + 0x2000 + (lt_addr)i * 64 + 16, object + 1);
		for (unsigned t = 0; t < 3; t++)
			put(machine, object + (lt_addr)t * 8, object + 0x20 + (lt_addr)t * 0x40);
		for (unsigned b = 0x20; b < 0x100; b += 8)
			put(machine, object + b, 0x0101010101010101ull * (i + 1) + b);
	}
	/* Of the second one the first text is not there, the second one and what follows it is at the end of all. */
	put(machine, BASE + 0x4100, 0x10);
	put(machine, BASE + 0x4108, BASE + SIZE - 24);
	for (unsigned b = 24; b > 0; b -= 8)
		put(machine, BASE + SIZE - b, b);
	size_t size, frames;
	assert_true(lt_probe_plan_size(&plan, &size, &frames));
	assert_int_equal(lt_probe_object_size(&plan.object), 24 + 16 + 32 + 64);
	assert_int_equal(size, frames + LT_PROBE_FRAMES * LT_PROBE_FRAME_WORDS * 8 +
				       LT_PROBE_OBJECTS * lt_probe_object_size(&plan.object));
	const struct lt_probe_record *record = run(machine, &plan);
	assert_int_equal(record->frame_count, 5);
	const uint8_t *bytes =
		(const uint8_t *)record + frames + LT_PROBE_FRAMES * LT_PROBE_FRAME_WORDS * 8;
	static const uint8_t zeros[64];
	for (unsigned i = 0; i < LT_PROBE_OBJECTS; i++, bytes += 24 + 16 + 32 + 64) {
		lt_addr object = BASE + 0x4000 + (lt_addr)i * 0x100;
		assert_memory_equal(bytes, lt_image_at(machine->image, object, 24), 24);
		if (i == 1) {
			assert_memory_equal(bytes + 24, zeros, 16);
			assert_memory_equal(bytes + 40,
					    lt_image_at(machine->image, BASE + SIZE - 24, 24), 24);
			assert_memory_equal(bytes + 64, zeros, 8);
		} else {
			assert_memory_equal(bytes + 24,
					    lt_image_at(machine->image, object + 0x20, 16), 16);
			assert_memory_equal(bytes + 40,
					    lt_image_at(machine->image, object + 0x60, 32), 32);
		}
		assert_memory_equal(bytes + 72, lt_image_at(machine->image, object + 0xa0, 61), 61);
	}
	/* An object that cannot be read: zeros, and none of its texts. */
	put(machine, BASE + 0x2000 + 16, 0x5000);
	record = run(machine, &plan);
	assert_int_equal(record->frame_count, 5);
	bytes = (const uint8_t *)record + frames + LT_PROBE_FRAMES * LT_PROBE_FRAME_WORDS * 8;
	assert_memory_equal(bytes, zeros, 64);
	/* Plans that make no sense. */
	static const struct lt_probe_object wrong[] = {
		{.size = LT_PROBE_OBJECT_MAX + 1, .texts = {{0, 8}, {0, 8}, {0, 8}}},
		{.size = 24, .texts = {{4, 8}, {0, 8}, {0, 8}}},
		{.size = 24, .texts = {{0, 8}, {24, 8}, {0, 8}}},
		{.size = 24, .texts = {{0, 8}, {0, 0}, {0, 8}}},
		{.size = 24, .texts = {{0, 8}, {0, 8}, {0, LT_PROBE_OBJECT_MAX + 1}}},
	};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		plan.object = wrong[i];
		assert_int_equal(lt_probe_program(&plan, 1, RING, machine->code), 0);
	}
}

/* What was copied lies in front of what is there now. */
static void test_copies(void **state)
{
	struct machine *machine = *state;
	struct lt_copies copies = {0};
	const uint8_t first[] = {1, 2, 3, 4}, second[] = {5, 6};
	lt_copies_add(&copies, BASE + 8, first, sizeof(first));
	lt_copies_add(&copies, BASE + 12, second, sizeof(second));
	lt_copies_add(&copies, 0x100, second, sizeof(second)); /* gone by now */
	lt_copies_add(&copies, 0, first, sizeof(first));
	lt_copies_add(&copies, UINT64_MAX - 1, first, sizeof(first));
	assert_int_equal(copies.count, 3);
	put(machine, BASE + 8, 0xeeeeeeeeeeeeeeee);
	struct lt_memory *memory = lt_copies_memory(&copies, machine->image);
	assert_non_null(memory);
	memset(&copies, 0, sizeof(copies));
	uint8_t bytes[8];
	static const uint8_t joined[] = {1, 2, 3, 4, 5, 6, 0xee, 0xee};
	assert_true(lt_memory_get(memory, BASE + 8, bytes, 8));
	assert_memory_equal(bytes, joined, 8);
	assert_true(lt_memory_get(memory, BASE + 10, bytes, 3));
	assert_memory_equal(bytes, joined + 2, 3);
	assert_int_equal(lt_memory_read(memory, 0x100, bytes, 8), 2);
	assert_memory_equal(bytes, second, 2);
	assert_int_equal(lt_memory_read(memory, 0x80, bytes, 8), 0);
	lt_memory_close(memory);
	for (int i = 0; i < 2 * LT_COPIES_MOST; i++)
		lt_copies_add(&copies, BASE, first, sizeof(first));
	assert_int_equal(copies.count, LT_COPIES_MOST);
}

static void test_plans_without_sense(void **state)
{
	struct machine *machine = *state;
	static const struct lt_probe_step wrong[] = {
		{.op = LT_PROBE_SET, .slot = LT_PROBE_SLOTS},
		{.op = LT_PROBE_LOAD, .from = LT_PROBE_SLOTS, .size = 8},
		{.op = LT_PROBE_LOAD, .size = 0},
		{.op = LT_PROBE_LOAD, .size = 9},
		{.op = LT_PROBE_COPY, .size = 0},
		{.op = LT_PROBE_COPY, .size = LT_PROBE_DATA_MAX + 1},
		{.op = LT_PROBE_FIND, .slot = LT_PROBE_SLOTS - 1},
		{.op = LT_PROBE_WALK}, /* not the last */
		{.op = (enum lt_probe_op)99},
	};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		const struct lt_probe_plan plan = {.steps = {wrong[i], {.op = LT_PROBE_SET}},
						   .step_count = 2};
		assert_int_equal(lt_probe_program(&plan, 1, RING, machine->code), 0);
	}
	struct lt_probe_plan plan = walking;
	plan.walk.words[1] = 16 + LT_PROBE_SPAN_MAX;
	assert_int_equal(lt_probe_program(&plan, 1, RING, machine->code), 0);
	plan = walking;
	plan.walk.next = 20;
	assert_int_equal(lt_probe_program(&plan, 1, RING, machine->code), 0);
	plan.step_count = LT_PROBE_STEPS + 1;
	assert_int_equal(lt_probe_program(&plan, 1, RING, machine->code), 0);
	/* Copies that are too much together. */
	plan = (struct lt_probe_plan){.step_count = 3};
	for (size_t i = 0; i < plan.step_count; i++)
		plan.steps[i] = (struct lt_probe_step){.op = LT_PROBE_COPY, .size = 4000};
	assert_int_equal(lt_probe_program(&plan, 1, RING, machine->code), 0);
	plan.step_count = 2;
	assert_int_not_equal(lt_probe_program(&plan, 1, RING, machine->code), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_words_and_copies, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_record, setup, teardown),
		cmocka_unit_test_setup_teardown(test_site_of_a_link, setup, teardown),
		cmocka_unit_test_setup_teardown(test_exec, setup, teardown),
		cmocka_unit_test_setup_teardown(test_own_ids, setup, teardown),
		cmocka_unit_test_setup_teardown(test_who_holds_the_lock, setup, teardown),
		cmocka_unit_test_setup_teardown(test_frames, setup, teardown),
		cmocka_unit_test_setup_teardown(test_objects_of_frames, setup, teardown),
		cmocka_unit_test_setup_teardown(test_copies, setup, teardown),
		cmocka_unit_test_setup_teardown(test_plans_without_sense, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
