/*
 * lt_gcprobe: the source probe alone, with the stacks, for its live tests.
 *
 *     lt_gcprobe WAY PID [ERRNO]        WAY: usdt, symbol, write, any
 *
 * With ERRNO (a number) the kernel refuses links of probes with it. The first line is {"way": ..., "linked": ...}
 * once it watches; then one line of JSON an event; it ends with the process or when its standard input ends, after
 * what is there was written. Without the rights: exit code 4, the sentence and
 * the remedy on standard error; 70 when the way is not possible in this build.
 */
#include "analysis/lines.h"
#include "analysis/read.h"
#include "target/process.h"
#include "watch/probe_parts.h"

#include <jansson.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *const way_names[LT_WAYS] = {"usdt", "symbol", "write"};
static const char *const kinds[] = {"collection", "called", "changed", "missed"};

static json_t *text_at(const struct lt_view *view, lt_addr code, enum lt_field field)
{
	struct lt_text text = {0};
	json_t *json = NULL;
	if (lt_read_str(view, lt_read_pointer(view, code, field), 1000, &text))
		json = json_string(lt_text_get(&text));
	lt_text_deinit(&text);
	return json != NULL ? json : json_null();
}

static int line_of(const struct lt_view *view, const struct lt_watch_frame *frame)
{
	const struct lt_layout *layout = view->layout;
	int64_t at = (int64_t)frame->instruction;
	if (lt_fact(layout, LT_FACT_frame_object_chain) == 0)
		at = (int64_t)(frame->instruction - frame->code -
			       lt_off(layout, LT_PyCodeObject_co_code_adaptive));
	else if (lt_fact(layout, LT_FACT_linetable) != 0)
		at *= 1 << lt_fact(layout, LT_FACT_code_unit_shift);
	return lt_lines_at(view, frame->code, at);
}

static json_t *state_of(const struct lt_gc_state *state)
{
	json_t *counts = json_array(), *thresholds = json_array(), *collections = json_array();
	for (int i = 0; i < LT_GC_GENERATIONS; i++) {
		json_array_append_new(counts, json_integer(state->generations[i].count));
		json_array_append_new(thresholds, json_integer(state->generations[i].threshold));
		json_array_append_new(collections,
				      json_integer((json_int_t)state->generations[i].collections));
	}
	return json_pack("{s:b,s:b,s:i,s:o,s:o,s:o}", "enabled", state->enabled, "frozen",
			 state->frozen, "debug", (int)state->debug, "counts", counts, "thresholds",
			 thresholds, "collections", collections);
}

static void put_event(const struct lt_view *view, const struct lt_watch_event *event)
{
	json_t *stack = json_array();
	struct lt_view then = *view;
	for (uint32_t i = 0; i < event->frame_count; i++) {
		const struct lt_watch_frame *frame = &event->frames[i];
		then.memory = frame->copied ? event->memory : view->memory;
		json_array_append_new(
			stack, json_pack("[o,o,i]",
					 text_at(&then, frame->code, LT_PyCodeObject_co_filename),
					 text_at(&then, frame->code, LT_PyCodeObject_co_name),
					 line_of(&then, frame)));
	}
	json_t *json = json_pack(
		"{s:s,s:I,s:I,s:I,s:I,s:i,s:i,s:s,s:b,s:b,s:I,s:I,s:I,s:I,s:b,s:o,s:o,s:o}", "kind",
		kinds[event->kind], "start", (json_int_t)event->start_ns, "end",
		(json_int_t)event->end_ns, "error", (json_int_t)event->error_ns, "interpreter",
		(json_int_t)event->interpreter, "thread", (int)event->thread, "generation",
		event->generation, "call", lt_watch_call_name(event->call), "certain",
		event->call_certain, "finalizing", event->finalizing, "missed",
		(json_int_t)event->missed, "collected", (json_int_t)event->collected,
		"uncollectable", (json_int_t)event->uncollectable, "candidates",
		(json_int_t)event->candidates, "exact", event->frames_exact, "before",
		state_of(&event->before), "after", state_of(&event->after), "stack", stack);
	json_dumpf(json, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(json);
}

static enum lt_status watch(const struct lt_view *view, const bool *ways)
{
	struct lt_watch_feed *feed = NULL;
	LT_TRY(lt_watch_open_probe_ways(view, ways, &feed));
	printf("{\"way\": \"%s\", \"linked\": %s}\n", way_names[lt_watch_probe_way(feed)],
	       lt_watch_probe_linked(feed) ? "true" : "false");
	fflush(stdout);
	struct lt_watch_events events = {0};
	enum lt_status status = LT_OK;
	bool ended = false, last = false;
	while (status == LT_OK && !last) {
		last = ended;
		status = feed->ops->wait(feed, lt_now_ns() + 50000000, &events);
		for (size_t i = 0; i < events.count; i++)
			put_event(view, &events.data[i]);
		events.count = 0;
		fflush(stdout);
		struct pollfd input = {.fd = 0, .events = POLLIN};
		char byte;
		if (!ended && poll(&input, 1, 0) > 0)
			ended = read(0, &byte, 1) <= 0;
	}
	lt_watch_events_deinit(&events);
	feed->ops->close(feed);
	return status == LT_E_GONE ? LT_OK : status;
}

/* From here on bpf(BPF_LINK_CREATE) fails with `error`, as in a kernel that cannot do it. */
static bool refuse_links(int error)
{
	struct sock_filter steps[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_bpf, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, BPF_LINK_CREATE, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof(steps) / sizeof(*steps), steps};
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

int main(int argc, char **argv)
{
	struct lt_session session;
	lt_session_init(&session);
	struct lt_process *process = NULL;
	struct lt_memory *memory = NULL;
	struct lt_python *python = NULL;
	bool ways[LT_WAYS];
	if (argc != 3 && argc != 4)
		return 2;
	if (argc == 4 && !refuse_links(atoi(argv[3])))
		return 70;
	for (int i = 0; i < LT_WAYS; i++)
		ways[i] = strcmp(argv[1], "any") == 0 || strcmp(argv[1], way_names[i]) == 0;
	enum lt_status status = lt_process_open(&session, (pid_t)atoi(argv[2]), &process);
	if (status == LT_OK)
		status = lt_process_memory(&session, process, &memory);
	if (status == LT_OK)
		status = lt_python_find(&session, process, memory, &python);
	if (status == LT_OK) {
		const struct lt_view view = {.session = &session,
					     .memory = memory,
					     .python = python,
					     .layout = python->layout,
					     .process = process};
		status = watch(&view, ways);
	}
	if (status != LT_OK)
		fprintf(stderr, "%s\n%s\n", session.message, session.remedy);
	lt_python_close(python);
	lt_memory_close(memory);
	lt_process_close(process);
	lt_session_deinit(&session);
	return lt_status_exit_code(status);
}
