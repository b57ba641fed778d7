#include "target/probe_program.h"

#include <linux/bpf.h>
#include <string.h>

/* The stack of a program: the ids of the thread, a word that was read, and above them a frame. */
enum {
	STACK_THREAD = -8, /* struct bpf_pidns_info: pid, tgid */
	STACK_WORD = -16,
	STACK_FRAME = -16, /* grows downwards from here */
};

/* r6 keeps the record, r7 to r9 what lives across calls. */
enum { RECORD = BPF_REG_6, NODE = BPF_REG_7, HOLDER = BPF_REG_8, HELD = BPF_REG_9 };

enum { JUMPS_MAX = 256, PAGE = 4096 };

/* Jumps forward to one place. */
struct label {
	size_t jumps[JUMPS_MAX];
	size_t count;
};

struct writer {
	struct bpf_insn *code;
	size_t count;
	bool failed;
	struct label leave;  /* without a record */
	struct label submit; /* with the record as it is */
};

static void put(struct writer *writer, uint8_t code, uint8_t to, uint8_t from, int16_t offset,
		int32_t value)
{
	if (writer->count >= LT_PROBE_PROGRAM_MAX) {
		writer->failed = true;
		return;
	}
	struct bpf_insn *insn = &writer->code[writer->count++];
	*insn = (struct bpf_insn){.code = code, .off = offset, .imm = value};
	insn->dst_reg = to & 15;
	insn->src_reg = from & 15;
}

static void move(struct writer *writer, uint8_t to, uint8_t from)
{
	put(writer, BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0);
}

static void number(struct writer *writer, uint8_t to, int32_t value)
{
	put(writer, BPF_ALU64 | BPF_MOV | BPF_K, to, 0, 0, value);
}

static void add_number(struct writer *writer, uint8_t to, int32_t value)
{
	put(writer, BPF_ALU64 | BPF_ADD, to, 0, 0, value); /* BPF_K and BPF_IMM are 0 */
}

static void wide(struct writer *writer, uint8_t to, uint64_t value)
{
	put(writer, BPF_LD | BPF_DW, to, 0, 0, (int32_t)(uint32_t)value);
	put(writer, 0, 0, 0, 0, (int32_t)(uint32_t)(value >> 32));
}

/* to = from + value. Offsets beyond 31 bits take a register of their own, r0. */
static void sum(struct writer *writer, uint8_t to, uint8_t from, uint64_t value)
{
	move(writer, to, from);
	if (value == 0)
		return;
	if (value <= INT32_MAX) {
		add_number(writer, to, (int32_t)value);
		return;
	}
	wide(writer, BPF_REG_0, value);
	put(writer, BPF_ALU64 | BPF_ADD | BPF_X, to, BPF_REG_0, 0, 0);
}

static void load(struct writer *writer, uint8_t to, uint8_t base, int offset)
{
	put(writer, BPF_LDX | BPF_MEM | BPF_DW, to, base, (int16_t)offset, 0);
}

static void load_half(struct writer *writer, uint8_t to, uint8_t base, int offset)
{
	put(writer, BPF_LDX | BPF_MEM | BPF_W, to, base, (int16_t)offset, 0);
}

static void store(struct writer *writer, uint8_t base, int offset, uint8_t from)
{
	put(writer, BPF_STX | BPF_MEM | BPF_DW, base, from, (int16_t)offset, 0);
}

static void store_half(struct writer *writer, uint8_t base, int offset, uint8_t from)
{
	put(writer, BPF_STX | BPF_MEM | BPF_W, base, from, (int16_t)offset, 0);
}

static void store_number(struct writer *writer, uint8_t size, uint8_t base, int offset,
			 int32_t value)
{
	put(writer, BPF_ST | BPF_MEM | size, base, 0, (int16_t)offset, value);
}

static void call(struct writer *writer, int32_t function)
{
	put(writer, BPF_JMP | BPF_CALL, 0, 0, 0, function);
}

/* A jump to a place that comes later. */
static void jump_if(struct writer *writer, uint8_t condition, uint8_t reg, int32_t value,
		    struct label *label)
{
	if (label->count >= JUMPS_MAX) {
		writer->failed = true;
		return;
	}
	label->jumps[label->count++] = writer->count;
	put(writer, BPF_JMP | condition | BPF_K, reg, 0, 0, value);
}

static void place(struct writer *writer, struct label *label)
{
	for (size_t i = 0; i < label->count && !writer->failed; i++) {
		size_t distance = writer->count - label->jumps[i] - 1;
		if (distance > INT16_MAX)
			writer->failed = true;
		else
			writer->code[label->jumps[i]].off = (int16_t)distance;
	}
	label->count = 0;
}

static int slot_at(unsigned slot)
{
	return (int)(offsetof(struct lt_probe_record, slots) + slot * sizeof(uint64_t));
}

/* The word at `address` + offset of the process to the stack; zero when it cannot be read. */
static void read_word(struct writer *writer, uint8_t address, uint64_t offset)
{
	sum(writer, BPF_REG_3, address, offset);
	move(writer, BPF_REG_1, BPF_REG_10);
	add_number(writer, BPF_REG_1, STACK_WORD);
	number(writer, BPF_REG_2, 8);
	call(writer, BPF_FUNC_probe_read_user);
}

/* As many bytes at r3 of the kernel to the stack; r0 is 0 when they could be read. */
static void read_kernel(struct writer *writer, int32_t size)
{
	move(writer, BPF_REG_1, BPF_REG_10);
	add_number(writer, BPF_REG_1, STACK_WORD);
	number(writer, BPF_REG_2, size);
	call(writer, BPF_FUNC_probe_read_kernel);
}

static void write_load(struct writer *writer, const struct lt_probe_step *step)
{
	struct label none = {0};
	load(writer, NODE, RECORD, slot_at(step->from));
	store_number(writer, BPF_DW, RECORD, slot_at(step->slot), 0);
	jump_if(writer, BPF_JEQ, NODE, 0, &none);
	sum(writer, BPF_REG_3, NODE, step->offset);
	move(writer, BPF_REG_1, RECORD);
	add_number(writer, BPF_REG_1, slot_at(step->slot));
	number(writer, BPF_REG_2, (int32_t)step->size);
	call(writer, BPF_FUNC_probe_read_user);
	place(writer, &none);
}

static size_t rounded(size_t size)
{
	return (size + 7) / 8 * 8;
}

/* Bytes of the process at r3 to the record; zeros when they cannot be read. */
static void copy_to(struct writer *writer, size_t at, uint32_t size)
{
	move(writer, BPF_REG_1, RECORD);
	add_number(writer, BPF_REG_1, (int32_t)at);
	number(writer, BPF_REG_2, (int32_t)size);
	call(writer, BPF_FUNC_probe_read_user);
}

static void write_copy(struct writer *writer, const struct lt_probe_step *step, size_t at)
{
	load(writer, BPF_REG_3, RECORD, slot_at(step->from));
	sum(writer, BPF_REG_3, BPF_REG_3, step->offset);
	copy_to(writer, at, step->size);
}

static void write_find(struct writer *writer, const struct lt_probe_find *find,
		       const struct lt_probe_step *step)
{
	struct label none = {0}, own = {0}, found = {0};
	load(writer, NODE, RECORD, slot_at(step->from));
	number(writer, HELD, 0);
	for (int i = 0; i < LT_PROBE_NODES; i++) {
		struct label next = {0}, take = {0};
		jump_if(writer, BPF_JEQ, NODE, 0, &none);
		read_word(writer, NODE, find->via);
		load(writer, HOLDER, BPF_REG_10, STACK_WORD);
		jump_if(writer, BPF_JEQ, HOLDER, 0, &next);
		read_word(writer, HOLDER, find->held);
		load_half(writer, BPF_REG_1, BPF_REG_10, STACK_WORD);
		jump_if(writer, BPF_JEQ, BPF_REG_1, 0, &next);
		read_word(writer, HOLDER, find->holder);
		load(writer, HOLDER, BPF_REG_10, STACK_WORD);
		jump_if(writer, BPF_JEQ, HOLDER, 0, &next);
		read_word(writer, HOLDER, find->thread);
		load(writer, BPF_REG_1, BPF_REG_10, STACK_WORD);
		load_half(writer, BPF_REG_2, BPF_REG_10, STACK_THREAD);
		if (own.count < JUMPS_MAX)
			own.jumps[own.count++] = writer->count;
		put(writer, BPF_JMP | BPF_JEQ | BPF_X, BPF_REG_1, BPF_REG_2, 0, 0);
		/* The main interpreter is the last of the list. */
		read_word(writer, NODE, find->next);
		load(writer, BPF_REG_1, BPF_REG_10, STACK_WORD);
		jump_if(writer, BPF_JNE, BPF_REG_1, 0, &take);
		jump_if(writer, BPF_JNE, HELD, 0, &next);
		place(writer, &take);
		add_number(writer, HELD, 1);
		store(writer, RECORD, slot_at(step->slot), NODE);
		store(writer, RECORD, slot_at(step->slot + 1u), HOLDER);
		place(writer, &next);
		read_word(writer, NODE, find->next);
		load(writer, NODE, BPF_REG_10, STACK_WORD);
	}
	place(writer, &none);
	/*
	 * A holder may bear the id of the thread that it began in: an interpreter may be run with any of its thread
	 * states. Those of the main interpreter do not; of the others, the only lock that is held is ours.
	 */
	jump_if(writer, BPF_JEQ, HELD, 1, &found);
	store_number(writer, BPF_DW, RECORD, slot_at(step->slot), 0);
	store_number(writer, BPF_DW, RECORD, slot_at(step->slot + 1u), 0);
	jump_if(writer, BPF_JA, 0, 0, &found);
	place(writer, &own);
	store(writer, RECORD, slot_at(step->slot), NODE);
	store(writer, RECORD, slot_at(step->slot + 1u), HOLDER);
	place(writer, &found);
}

static uint32_t lowest(const struct lt_probe_walk *walk)
{
	uint32_t low = walk->next;
	for (int i = 0; i < LT_PROBE_FRAME_WORDS; i++)
		if (walk->words[i] < low)
			low = walk->words[i];
	return low / 8 * 8;
}

static uint32_t span(const struct lt_probe_walk *walk)
{
	uint32_t high = walk->next;
	for (int i = 0; i < LT_PROBE_FRAME_WORDS; i++)
		if (walk->words[i] > high)
			high = walk->words[i];
	uint32_t bytes = high - lowest(walk);
	return bytes > LT_PROBE_SPAN_MAX - 8 ? LT_PROBE_SPAN_MAX + 1 : bytes / 8 * 8 + 8;
}

/*
 * The same at HOLDER, for more bytes than may be there: a page that nobody has touched yet cannot be read. Then those
 * up to the end of the page.
 */
static void copy_part(struct writer *writer, size_t at, uint32_t size)
{
	struct label done = {0};
	move(writer, BPF_REG_3, HOLDER);
	copy_to(writer, at, size);
	jump_if(writer, BPF_JEQ, BPF_REG_0, 0, &done);
	move(writer, BPF_REG_3, HOLDER);
	move(writer, BPF_REG_1, HOLDER);
	put(writer, BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_1, 0, 0, PAGE - 1);
	number(writer, BPF_REG_2, PAGE);
	put(writer, BPF_ALU64 | BPF_SUB | BPF_X, BPF_REG_2, BPF_REG_1, 0, 0);
	jump_if(writer, BPF_JGT, BPF_REG_2, (int32_t)size, &done);
	move(writer, BPF_REG_1, RECORD);
	add_number(writer, BPF_REG_1, (int32_t)at);
	call(writer, BPF_FUNC_probe_read_user);
	place(writer, &done);
}

/* What the word at `word` of the record points to, and what that points to. */
static void write_object(struct writer *writer, const struct lt_probe_object *object, size_t word,
			 size_t at)
{
	load(writer, HOLDER, RECORD, (int)word);
	wide(writer, BPF_REG_1, object->mask);
	put(writer, BPF_ALU64 | BPF_AND | BPF_X, HOLDER, BPF_REG_1, 0, 0);
	copy_part(writer, at, object->size);
	size_t text = at + rounded(object->size);
	for (int i = 0; i < LT_PROBE_TEXTS; i++) {
		load(writer, HOLDER, RECORD, (int)(at + object->texts[i].pointer));
		copy_part(writer, text, object->texts[i].size);
		text += rounded(object->texts[i].size);
	}
}

/* One read for each frame: the part of it that all the words lie in. */
static void write_walk(struct writer *writer, const struct lt_probe_plan *plan,
		       const struct lt_probe_step *step, size_t frames)
{
	const struct lt_probe_walk *walk = &plan->walk;
	const size_t frame_size = LT_PROBE_FRAME_WORDS * 8;
	size_t objects = frames + LT_PROBE_FRAMES * frame_size;
	uint32_t low = lowest(walk), bytes = span(walk);
	int base = STACK_FRAME - (int)bytes;
	load(writer, NODE, RECORD, slot_at(step->from));
	for (int i = 0; i < LT_PROBE_FRAMES; i++) {
		jump_if(writer, BPF_JEQ, NODE, 0, &writer->submit);
		sum(writer, BPF_REG_3, NODE, low);
		move(writer, BPF_REG_1, BPF_REG_10);
		add_number(writer, BPF_REG_1, base);
		number(writer, BPF_REG_2, (int32_t)bytes);
		call(writer, BPF_FUNC_probe_read_user);
		jump_if(writer, BPF_JNE, BPF_REG_0, 0, &writer->submit);
		for (int w = 0; w < LT_PROBE_FRAME_WORDS; w++) {
			uint32_t at = walk->words[w] - low;
			load(writer, BPF_REG_1, BPF_REG_10, base + (int)(at / 8 * 8));
			if (at % 8 != 0) /* a member that is less than a word */
				put(writer, BPF_ALU64 | BPF_RSH | BPF_K, BPF_REG_1, 0, 0,
				    (int32_t)(at % 8 * 8));
			store(writer, RECORD,
			      (int)(frames + ((size_t)i * LT_PROBE_FRAME_WORDS + (size_t)w) * 8),
			      BPF_REG_1);
		}
		store_number(writer, BPF_W, RECORD, offsetof(struct lt_probe_record, frame_count),
			     i + 1);
		load(writer, NODE, BPF_REG_10, base + (int)(walk->next - low));
		if (i < LT_PROBE_OBJECTS && plan->object.size != 0)
			write_object(writer, &plan->object, frames + (size_t)i * frame_size,
				     objects + (size_t)i * lt_probe_object_size(&plan->object));
	}
}

/* The id of the thread in lowtide's namespace to the record: task->pid->numbers[level - above]. */
static void write_own_id(struct writer *writer, const struct lt_probe_ids *ids)
{
	struct label unread = {0};
	call(writer, BPF_FUNC_get_current_task);
	sum(writer, BPF_REG_3, BPF_REG_0, ids->pid);
	read_kernel(writer, 8);
	jump_if(writer, BPF_JNE, BPF_REG_0, 0, &unread);
	load(writer, NODE, BPF_REG_10, STACK_WORD);
	sum(writer, BPF_REG_3, NODE, ids->level);
	read_kernel(writer, 4);
	jump_if(writer, BPF_JNE, BPF_REG_0, 0, &unread);
	load_half(writer, BPF_REG_3, BPF_REG_10, STACK_WORD);
	add_number(writer, BPF_REG_3, -(int32_t)ids->above);
	/* The process was in its place when it was looked up, and cannot leave it. */
	jump_if(writer, BPF_JSLT, BPF_REG_3, 0, &unread);
	put(writer, BPF_ALU64 | BPF_MUL | BPF_K, BPF_REG_3, 0, 0, (int32_t)ids->step);
	put(writer, BPF_ALU64 | BPF_ADD | BPF_X, BPF_REG_3, NODE, 0, 0);
	add_number(writer, BPF_REG_3, (int32_t)ids->numbers);
	read_kernel(writer, 4);
	jump_if(writer, BPF_JNE, BPF_REG_0, 0, &unread);
	load_half(writer, BPF_REG_1, BPF_REG_10, STACK_WORD);
	store_half(writer, RECORD, offsetof(struct lt_probe_record, own_thread), BPF_REG_1);
	place(writer, &unread);
}

/* Leaves when the thread is not one of the process; its ids are on the stack then. */
static void write_process(struct writer *writer, const struct lt_probe_plan *plan)
{
	wide(writer, BPF_REG_1, plan->namespace_device);
	wide(writer, BPF_REG_2, plan->namespace_inode);
	move(writer, BPF_REG_3, BPF_REG_10);
	add_number(writer, BPF_REG_3, STACK_THREAD);
	number(writer, BPF_REG_4, sizeof(struct bpf_pidns_info));
	call(writer, BPF_FUNC_get_ns_current_pid_tgid);
	jump_if(writer, BPF_JNE, BPF_REG_0, 0, &writer->leave);
	load_half(writer, BPF_REG_1, BPF_REG_10,
		  STACK_THREAD + (int)offsetof(struct bpf_pidns_info, tgid));
	jump_if(writer, BPF_JNE, BPF_REG_1, (int32_t)plan->namespace_pid, &writer->leave);
}

static void write_head(struct writer *writer, const struct lt_probe_plan *plan, uint32_t site,
		       int ring, size_t size)
{
	bool of_link = site == LT_PROBE_SITE_OF_LINK;
	if (of_link) { /* r1 is still what the program was given */
		call(writer, BPF_FUNC_get_attach_cookie);
		move(writer, HELD, BPF_REG_0);
	}
	/* Another process that shares the code (a fork) makes no records. */
	write_process(writer, plan);
	call(writer, BPF_FUNC_ktime_get_ns);
	move(writer, NODE, BPF_REG_0);
	put(writer, BPF_LD | BPF_DW, BPF_REG_1, BPF_PSEUDO_MAP_FD, 0, ring);
	put(writer, 0, 0, 0, 0, 0);
	number(writer, BPF_REG_2, (int32_t)size);
	number(writer, BPF_REG_3, 0);
	call(writer, BPF_FUNC_ringbuf_reserve);
	jump_if(writer, BPF_JEQ, BPF_REG_0, 0, &writer->leave);
	move(writer, RECORD, BPF_REG_0);
	if (of_link)
		store_half(writer, RECORD, offsetof(struct lt_probe_record, site), HELD);
	else
		store_number(writer, BPF_W, RECORD, offsetof(struct lt_probe_record, site),
			     (int32_t)site);
	store_number(writer, BPF_W, RECORD, offsetof(struct lt_probe_record, frame_count), 0);
	store(writer, RECORD, offsetof(struct lt_probe_record, start_ns), NODE);
	load_half(writer, BPF_REG_1, BPF_REG_10, STACK_THREAD);
	const int own = offsetof(struct lt_probe_record, own_thread);
	store_half(writer, RECORD, offsetof(struct lt_probe_record, namespace_thread), BPF_REG_1);
	if (plan->own == LT_PROBE_OWN_SAME)
		store_half(writer, RECORD, own, BPF_REG_1);
	else
		store_number(writer, BPF_W, RECORD, own, 0);
	call(writer, BPF_FUNC_get_current_pid_tgid);
	store_half(writer, RECORD, offsetof(struct lt_probe_record, thread), BPF_REG_0);
	if (plan->own == LT_PROBE_OWN_FIRST)
		store_half(writer, RECORD, own, BPF_REG_0);
	put(writer, BPF_ALU64 | BPF_RSH | BPF_K, BPF_REG_0, 0, 0, 32);
	store_half(writer, RECORD, offsetof(struct lt_probe_record, process), BPF_REG_0);
	for (unsigned slot = 0; slot < LT_PROBE_SLOTS; slot++)
		store_number(writer, BPF_DW, RECORD, slot_at(slot), 0);
	if (plan->own == LT_PROBE_OWN_BETWEEN)
		write_own_id(writer, &plan->ids);
}

static void write_leave(struct writer *writer)
{
	place(writer, &writer->leave);
	number(writer, BPF_REG_0, 0);
	put(writer, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

static void write_tail(struct writer *writer)
{
	place(writer, &writer->submit);
	call(writer, BPF_FUNC_ktime_get_ns);
	store(writer, RECORD, offsetof(struct lt_probe_record, end_ns), BPF_REG_0);
	move(writer, BPF_REG_1, RECORD);
	/* The reader comes by itself: nothing is woken from within the process. */
	number(writer, BPF_REG_2, BPF_RB_NO_WAKEUP);
	call(writer, BPF_FUNC_ringbuf_submit);
	write_leave(writer);
}

static bool object_is_valid(const struct lt_probe_object *object)
{
	if (object->size > LT_PROBE_OBJECT_MAX)
		return false;
	for (int i = 0; i < LT_PROBE_TEXTS && object->size != 0; i++)
		if (object->texts[i].pointer % 8 != 0 ||
		    object->texts[i].pointer + 8 > object->size || object->texts[i].size == 0 ||
		    object->texts[i].size > LT_PROBE_OBJECT_MAX)
			return false;
	return true;
}

static bool step_is_valid(const struct lt_probe_plan *plan, size_t index)
{
	const struct lt_probe_step *step = &plan->steps[index];
	if (step->slot >= LT_PROBE_SLOTS || step->from >= LT_PROBE_SLOTS)
		return false;
	switch (step->op) {
	case LT_PROBE_SET:
	case LT_PROBE_NEED:
		return true;
	case LT_PROBE_LOAD:
		return step->size >= 1 && step->size <= 8;
	case LT_PROBE_COPY:
		return step->size >= 1 && step->size <= LT_PROBE_DATA_MAX;
	case LT_PROBE_FIND:
		return step->slot + 1 < LT_PROBE_SLOTS;
	case LT_PROBE_WALK:
		return index + 1 == plan->step_count && plan->walk.next % 8 == 0 &&
		       span(&plan->walk) <= LT_PROBE_SPAN_MAX && object_is_valid(&plan->object);
	}
	return false;
}

size_t lt_probe_object_size(const struct lt_probe_object *object)
{
	size_t size = rounded(object->size);
	for (int i = 0; i < LT_PROBE_TEXTS && object->size != 0; i++)
		size += rounded(object->texts[i].size);
	return size;
}

bool lt_probe_plan_size(const struct lt_probe_plan *plan, size_t *ret_size, size_t *ret_frames)
{
	size_t size = sizeof(struct lt_probe_record);
	bool walks = false;
	if (plan->step_count > LT_PROBE_STEPS)
		return false;
	for (size_t i = 0; i < plan->step_count; i++) {
		if (!step_is_valid(plan, i))
			return false;
		if (plan->steps[i].op == LT_PROBE_COPY)
			size += rounded(plan->steps[i].size);
		walks = walks || plan->steps[i].op == LT_PROBE_WALK;
	}
	if (size > sizeof(struct lt_probe_record) + LT_PROBE_DATA_MAX)
		return false;
	*ret_frames = size;
	if (walks)
		size += (size_t)LT_PROBE_FRAMES * LT_PROBE_FRAME_WORDS * 8 +
			LT_PROBE_OBJECTS * lt_probe_object_size(&plan->object);
	*ret_size = size;
	return true;
}

size_t lt_probe_program(const struct lt_probe_plan *plan, uint32_t site, int ring,
			struct bpf_insn *code)
{
	struct writer writer = {.code = code};
	size_t size, frames;
	if (!lt_probe_plan_size(plan, &size, &frames))
		return 0;
	write_head(&writer, plan, site, ring, size);
	size_t at = sizeof(struct lt_probe_record);
	for (size_t i = 0; i < plan->step_count; i++) {
		const struct lt_probe_step *step = &plan->steps[i];
		switch (step->op) {
		case LT_PROBE_SET:
			wide(&writer, BPF_REG_1, step->offset);
			store(&writer, RECORD, slot_at(step->slot), BPF_REG_1);
			break;
		case LT_PROBE_LOAD:
			write_load(&writer, step);
			break;
		case LT_PROBE_COPY:
			write_copy(&writer, step, at);
			at += rounded(step->size);
			break;
		case LT_PROBE_FIND:
			write_find(&writer, &plan->find, step);
			break;
		case LT_PROBE_NEED:
			load(&writer, BPF_REG_1, RECORD, slot_at(step->from));
			jump_if(&writer, BPF_JEQ, BPF_REG_1, 0, &writer.submit);
			break;
		case LT_PROBE_WALK:
			write_walk(&writer, plan, step, frames);
			break;
		}
	}
	write_tail(&writer);
	return writer.failed ? 0 : writer.count;
}

size_t lt_probe_exec_program(const struct lt_probe_plan *plan, int word, struct bpf_insn *code)
{
	struct writer writer = {.code = code};
	write_process(&writer, plan);
	put(&writer, BPF_LD | BPF_DW, NODE, BPF_PSEUDO_MAP_VALUE, 0, word);
	put(&writer, 0, 0, 0, 0, 0);
	/* The first time stays. */
	load(&writer, BPF_REG_1, NODE, 0);
	jump_if(&writer, BPF_JNE, BPF_REG_1, 0, &writer.leave);
	call(&writer, BPF_FUNC_ktime_get_ns);
	store(&writer, NODE, 0, BPF_REG_0);
	write_leave(&writer);
	return writer.failed ? 0 : writer.count;
}
