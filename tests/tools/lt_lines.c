/*
 * lt_lines: the line of an instruction, and the text of small values, as lowtide reads them from a live
 * process; for the live tests of src/analysis/lines.c and read.c.
 *
 *     lt_lines PID < REQUESTS
 *
 * One request a line, one answer a line, numbers in hexadecimal:
 *     l CODE OFFSET      the line of the instruction at that byte of the bytecode
 *     n CODE INDEX       the name of that local variable
 *     s STR              the text, at most 40 characters of it
 *     v OBJECT           the value as a literal
 *     g GENERATOR        the line at which a suspended generator or coroutine stands, 0 when it has ended
 * "?" where there is no answer. The process is read as it runs: it has to sleep.
 */
#include "analysis/frames.h"
#include "analysis/lines.h"
#include "analysis/read.h"
#include "target/process.h"

#include <stdio.h>
#include <stdlib.h>

static void answer(const struct lt_view *view, struct lt_types *types, char what, lt_addr address,
		   uint64_t argument)
{
	struct lt_text text = {0};
	bool known = true;
	if (what == 'l')
		lt_text_addf(&text, "%d", lt_lines_at(view, address, (int64_t)argument));
	else if (what == 'n')
		known = lt_read_str(view, lt_frame_local_name(view, address, (uint32_t)argument),
				    40, &text);
	else if (what == 'g')
		lt_text_addf(&text, "%d", lt_generator_line(view, address));
	else if (what == 's')
		known = lt_read_str(view, address, 40, &text);
	else
		known = lt_read_literal(view, types, address, &text);
	puts(known ? lt_text_get(&text) : "?");
	lt_text_deinit(&text);
}

int main(int argc, char **argv)
{
	struct lt_session session;
	lt_session_init(&session);
	struct lt_process *process = NULL;
	struct lt_memory *memory = NULL;
	struct lt_python *python = NULL;
	struct lt_types *types = NULL;
	if (argc != 2)
		return 2;
	if (lt_process_open(&session, (pid_t)atoi(argv[1]), &process) != LT_OK ||
	    lt_process_memory(&session, process, &memory) != LT_OK ||
	    lt_python_find(&session, process, memory, &python) != LT_OK) {
		fprintf(stderr, "%s\n", session.message);
		return lt_status_exit_code(session.status);
	}
	struct lt_view view = {
		.session = &session,
		.memory = memory,
		.python = python,
		.layout = python->layout,
		.process = process,
	};
	if (lt_types_create(&view, &types) != LT_OK)
		return 70;
	char line[128], what;
	unsigned long long address, argument = 0;
	while (fgets(line, sizeof(line), stdin) != NULL)
		if (sscanf(line, "%c %llx %llx", &what, &address, &argument) >= 2)
			answer(&view, types, what, address, argument);
	lt_types_destroy(types);
	lt_python_close(python);
	lt_memory_close(memory);
	lt_process_close(process);
	lt_session_deinit(&session);
	return 0;
}
