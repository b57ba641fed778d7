#include "target/probe_exec.h"

#include <bpf/bpf.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* A mapping of an array map is of whole pages. */
static size_t page_bytes(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

static bool map_word(struct lt_probe_exec *exec)
{
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_MMAPABLE);
	exec->map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "lowtide", sizeof(uint32_t),
				   sizeof(uint64_t), 1, &options);
	if (exec->map < 0)
		return false;
	void *word = mmap(NULL, page_bytes(), PROT_READ, MAP_SHARED, exec->map, 0);
	if (word == MAP_FAILED)
		return false;
	exec->word = word;
	return true;
}

static bool attach(const struct lt_probe_plan *plan, struct lt_probe_exec *exec)
{
	struct bpf_insn *code = calloc(LT_PROBE_PROGRAM_MAX, sizeof(*code));
	if (code == NULL)
		return false;
	size_t count = lt_probe_exec_program(plan, exec->map, code);
	if (count != 0)
		exec->program = bpf_prog_load(BPF_PROG_TYPE_RAW_TRACEPOINT, "lowtide",
					      "Dual MIT/GPL", code, count, NULL);
	free(code);
	if (exec->program < 0)
		return false;
	exec->link = bpf_raw_tracepoint_open("sched_process_exec", exec->program);
	return exec->link >= 0;
}

static void release(struct lt_probe_exec *exec)
{
	if (exec->word != NULL)
		munmap((void *)(uintptr_t)exec->word, page_bytes());
	if (exec->link >= 0)
		close(exec->link);
	if (exec->program >= 0)
		close(exec->program);
	if (exec->map >= 0)
		close(exec->map);
}

bool lt_probe_exec_init(const struct lt_probe_plan *plan, struct lt_probe_exec *ret_exec)
{
	struct lt_probe_exec exec = {.map = -1, .program = -1, .link = -1};
	if (!map_word(&exec) || !attach(plan, &exec)) {
		release(&exec);
		return false;
	}
	*ret_exec = exec;
	return true;
}

void lt_probe_exec_deinit(struct lt_probe_exec *exec)
{
	if (exec->word != NULL)
		release(exec);
	*exec = (struct lt_probe_exec){0};
}

uint64_t lt_probe_exec_at(const struct lt_probe_exec *exec)
{
	uint64_t at = exec->word != NULL ? __atomic_load_n(exec->word, __ATOMIC_ACQUIRE) : 0;
	return at != 0 ? at : UINT64_MAX;
}
