/*
 * lt_python.c: finds the interpreter of a process and prints what was found, for the live tests.
 *
 *     lt_python PID          version=3.13.0 hex=030d00f0 column=3.13.0 debug_offsets=1 differing=0 lists=24 arena=1048576
 *                            runtime=7f.. file=/usr/... ("differing": offsets that are not the column's,
 *                            but for "lists": where the collector's lists lie, which is its build's matter)
 *     lt_python PID READS    the same with each of the first READS reads failing, short and torn in turn; prints the
 *                            number of attempts that found it and that did not
 *     lt_python --table      "COLUMN NAME NUMBER" for every row of every column, "COLUMN fact NAME NUMBER" for facts
 *
 * On failure: exit code of the status, the sentence on standard error.
 */
#include "base/cleanup.h"
#include "layout/python.h"
#include "target/faults.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void print_table(void)
{
	for (unsigned i = 0; i < lt_column_count(); i++) {
		struct lt_layout layout;
		lt_column_layout(i, &layout);
		for (int field = 0; field < LT_FIELD_COUNT; field++)
			printf("%s %s %d\n", layout.name, lt_field_name((enum lt_field)field),
			       layout.off[field]);
		for (int fact = 0; fact < LT_FACT_COUNT; fact++)
			printf("%s fact %s %" PRId64 "\n", layout.name,
			       lt_fact_name((enum lt_fact)fact), layout.fact[fact]);
	}
}

static enum lt_status find(struct lt_session *session, pid_t pid)
{
	struct lt_process *process = NULL;
	struct lt_memory *memory = NULL;
	struct lt_python *python = NULL;
	enum lt_status status = lt_process_open(session, pid, &process);
	if (status == LT_OK)
		status = lt_process_memory(session, process, &memory);
	if (status == LT_OK)
		status = lt_python_find(session, process, memory, &python);
	if (status == LT_OK) {
		struct lt_layout column;
		unsigned own = 0;
		lt_column_layout((unsigned)lt_column_find(python->hex), &column);
		int32_t lists = python->layout->off[LT__gc_runtime_state_generations];
		column.off[LT__gc_runtime_state_generations] = lists;
		for (int field = 0; field < LT_FIELD_COUNT; field++)
			own += column.off[field] != python->layout->off[field];
		printf("version=%s hex=%08" PRIx32
		       " column=%s debug_offsets=%d differing=%u lists=%d arena=%" PRId64
		       " runtime=%" PRIx64 " file=%s\n",
		       python->version, python->hex, python->layout->name,
		       python->has_debug_offsets, own, lists,
		       lt_fact(python->layout, LT_FACT_arena_size), python->runtime,
		       lt_elf_path(python->elf));
		for (int field = 0; field < LT_FIELD_COUNT; field++)
			if (column.off[field] != python->layout->off[field])
				printf("differs %s %d %d\n", lt_field_name((enum lt_field)field),
				       column.off[field], python->layout->off[field]);
	}
	lt_python_close(python);
	lt_memory_close(memory);
	lt_process_close(process);
	return status;
}

/* One attempt with one read that goes wrong. True when the interpreter was found. */
static bool find_with_fault(pid_t pid, const struct lt_fault *fault)
{
	struct lt_session session;
	struct lt_process *process = NULL;
	struct lt_memory *live = NULL, *memory = NULL;
	struct lt_python *python = NULL;
	lt_session_init(&session);
	enum lt_status status = lt_process_open(&session, pid, &process);
	if (status == LT_OK)
		status = lt_process_memory(&session, process, &live);
	if (status == LT_OK && (status = lt_faults_create(&session, live, fault, &memory)) != LT_OK)
		lt_memory_close(live);
	if (status == LT_OK)
		status = lt_python_find(&session, process, memory, &python);
	lt_python_close(python);
	lt_memory_close(memory);
	lt_process_close(process);
	lt_session_deinit(&session);
	return status == LT_OK;
}

static void try_faults(pid_t pid, uint64_t reads)
{
	static const enum lt_fault_kind kinds[] = {LT_FAULT_FAIL, LT_FAULT_SHORT, LT_FAULT_TEAR};
	unsigned found = 0, lost = 0;
	for (uint64_t at = 1; at <= reads; at++)
		for (unsigned i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
			struct lt_fault fault = {.kind = kinds[i], .at = at, .seed = at};
			*(find_with_fault(pid, &fault) ? &found : &lost) += 1;
		}
	printf("found=%u lost=%u\n", found, lost);
}

int main(int argc, char **argv)
{
	if (argc != 2 && argc != 3) {
		fprintf(stderr, "usage: lt_python PID [READS] | --table\n");
		return 2;
	}
	if (argc == 3) {
		try_faults((pid_t)atoi(argv[1]), strtoull(argv[2], NULL, 10));
		return 0;
	}
	if (strcmp(argv[1], "--table") == 0) {
		print_table();
		return 0;
	}
	struct lt_session session;
	lt_session_init(&session);
	enum lt_status status = find(&session, (pid_t)atoi(argv[1]));
	if (status != LT_OK)
		fprintf(stderr, "%s: %s\n", lt_status_name(status), session.message);
	for (size_t i = 0; i < session.warning_count; i++)
		fprintf(stderr, "warning: %s\n", session.warnings[i]);
	int code = lt_status_exit_code(status);
	lt_session_deinit(&session);
	return code;
}
