/*
 * probe_program.h: what the kernel does when a probe in a process is hit, as data: a plan of a few steps, from
 * which the instructions of a BPF program are written. The program copies memory of the process into one record
 * and hands it to lowtide's ring; it changes nothing, and the kernel proves that it ends.
 *
 * All that a plan says is offsets and addresses; what they mean is the business of whoever writes the plan.
 */
#ifndef LT_TARGET_PROBE_PROGRAM_H
#define LT_TARGET_PROBE_PROGRAM_H

#include "target/memory.h"

struct bpf_insn;

enum {
	LT_PROBE_SLOTS = 9,
	LT_PROBE_STEPS = 24,
	LT_PROBE_FRAMES = 64,       /* of a chain, at most */
	LT_PROBE_FRAME_WORDS = 3,   /* kept of each */
	LT_PROBE_SPAN_MAX = 256,    /* bytes of a frame that are looked at */
	LT_PROBE_OBJECTS = 3,       /* innermost frames whose first word's object is copied */
	LT_PROBE_TEXTS = 3,         /* more objects that each of those points to */
	LT_PROBE_OBJECT_MAX = 512,  /* bytes of an object */
	LT_PROBE_NODES = 16,        /* of the list that is searched for the running thread */
	LT_PROBE_DATA_MAX = 8192,   /* bytes copied into one record */
	LT_PROBE_PROGRAM_MAX = 8192 /* instructions */
};

/* Slots are words of the record: the reader has them too. Offset and address are in the process. */
enum lt_probe_op {
	LT_PROBE_SET, /* slot = offset */
	LT_PROBE_LOAD, /* slot = the `size` bytes (1 to 8) at from + offset; 0 when `from` is 0 or they cannot be read */
	LT_PROBE_COPY, /* `size` bytes at from + offset go to the record's data; zeros when they cannot be read */
	LT_PROBE_FIND, /* slot, slot + 1 = the node of the list at `from`, and who holds its lock: plan.find */
	LT_PROBE_NEED, /* the record ends here when `from` is 0 */
	LT_PROBE_WALK, /* frames of the chain at `from`: plan.walk; the last step */
};

struct lt_probe_step {
	enum lt_probe_op op;
	uint8_t slot, from;
	uint32_t size;
	uint64_t offset;
};

/* A list of nodes, each with a lock; the one is looked for whose lock the current thread holds, by its kernel id. */
struct lt_probe_find {
	uint32_t next;   /* offset in a node of the next one */
	uint32_t via;    /* offset in a node of the pointer to its lock */
	uint32_t held;   /* offset in the lock of 4 bytes that are not 0 while it is held */
	uint32_t holder; /* offset in the lock of the pointer to who holds it, or did last */
	uint32_t thread; /* offset there of the thread's id, a word */
};

struct lt_probe_walk {
	uint32_t next; /* offset in a frame of the next one */
	uint32_t words
		[LT_PROBE_FRAME_WORDS]; /* offsets of what to keep: from there to the end of that word */
};

/* Of the innermost frames also what their first word points to, and what that points to. */
struct lt_probe_object {
	uint64_t mask; /* bits of the word that belong to its address */
	uint32_t size; /* bytes of the object; 0: none is copied */
	struct {
		uint32_t pointer; /* offset in the object of a pointer */
		uint32_t size;    /* bytes copied from there */
	} texts[LT_PROBE_TEXTS];
};

/* How a thread is known in lowtide's PID namespace. */
enum lt_probe_own {
	LT_PROBE_OWN_UNKNOWN,
	LT_PROBE_OWN_SAME,    /* lowtide's is that of the process */
	LT_PROBE_OWN_FIRST,   /* it is the machine's first one */
	LT_PROBE_OWN_BETWEEN, /* by plan.ids */
};

/*
 * Where the kernel keeps the ids of a thread: the thread's struct pid has one for each PID namespace that it is in,
 * numbered by depth from the machine's first one on. Offsets are those of this kernel.
 */
struct lt_probe_ids {
	uint32_t pid;     /* in struct task_struct, of the pointer to struct pid */
	uint32_t level;   /* in struct pid, of the thread's depth, an int */
	uint32_t numbers; /* in struct pid, of the id in the first namespace, an int */
	uint32_t step;    /* from an id to the next one */
	uint32_t
		above; /* how many namespaces lie between the thread's and lowtide's, with the latter */
};

struct lt_probe_plan {
	struct lt_probe_step steps[LT_PROBE_STEPS];
	size_t step_count;
	struct lt_probe_find find;
	struct lt_probe_walk walk;
	struct lt_probe_object object;
	/* The process: only its threads make records. */
	uint64_t namespace_device, namespace_inode; /* of its PID namespace */
	uint32_t namespace_pid;                     /* of the process in there */
	enum lt_probe_own own;
	struct lt_probe_ids ids;
};

/* As it lies in the ring. */
struct lt_probe_record {
	uint32_t site;
	uint32_t frame_count;
	uint64_t start_ns;         /* CLOCK_MONOTONIC, when the program began */
	uint64_t end_ns;           /* and when it was done */
	uint32_t thread, process;  /* ids in the first PID namespace of the machine */
	uint32_t namespace_thread; /* in that of the process */
	uint32_t own_thread;       /* in lowtide's; 0: not known */
	uint64_t slots[LT_PROBE_SLOTS];
	/*
	 * Then the bytes of all LT_PROBE_COPY, each rounded up to 8, then room for LT_PROBE_FRAMES frames of
	 * LT_PROBE_FRAME_WORDS words, then the objects of the first LT_PROBE_OBJECTS of them: object and texts, each
	 * rounded up to 8; zeros where they could not be read, or from the end of a page on.
	 */
};

/* Bytes of an object with its texts in a record. */
size_t lt_probe_object_size(const struct lt_probe_object *object);

/* Bytes of the records of a plan, and where the frames lie in them. False: the plan makes no sense. */
bool lt_probe_plan_size(const struct lt_probe_plan *plan, size_t *ret_size, size_t *ret_frames);

/* For `site`: it is the cookie of the place that the program is at, so that one program is at many. */
#define LT_PROBE_SITE_OF_LINK UINT32_MAX

/*
 * Writes the program: records with `site` go to the ring map `ring` (a file descriptor). `code` has room
 * for LT_PROBE_PROGRAM_MAX. The number of instructions, 0: the plan makes no sense, or is too long.
 */
size_t lt_probe_program(const struct lt_probe_plan *plan, uint32_t site, int ring,
			struct bpf_insn *code);

/*
 * The program for the moment in which a process has become another program by execve(2) (the kernel's tracepoint
 * sched_process_exec): of the plan's process the time (CLOCK_MONOTONIC, ns) of the first one goes to the first 8
 * bytes of the array map `word` (a file descriptor). As lt_probe_program().
 */
size_t lt_probe_exec_program(const struct lt_probe_plan *plan, int word, struct bpf_insn *code);

#endif
