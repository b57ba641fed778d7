/*
 * lt_watch: what the collector of a live process does, for the live tests and benchmarks of src/watch/.
 *
 *     lt_watch [--source NAME] [--hz N] [--seconds S] PID
 *
 * The first line of output is {"source": ..., "why_not": {...}} once it watches; then one line of JSON an event;
 * at the end {"ended": BOOL, "unreadable": N, "cpu_ns": N, "elapsed_ns": N}. It ends with the process, after S seconds, or when
 * its standard input ends.
 */
#include "analysis/frames.h"
#include "analysis/read.h"
#include "target/process.h"
#include "watch/watch.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const kinds[] = {"collection", "called", "changed", "missed"};

static void put_state(const char *name, const struct lt_gc_state *state)
{
	printf(", \"%s\": {\"enabled\": %s, \"collecting\": %s, \"frozen\": %s, \"debug\": %" PRIu32
	       ", \"pending\": %" PRIu64 ", \"total\": %" PRIu64,
	       name, state->enabled ? "true" : "false", state->collecting ? "true" : "false",
	       state->frozen ? "true" : "false", state->debug, state->long_lived_pending,
	       state->long_lived_total);
	for (int i = 0; i < 4; i++) {
		static const char *const keys[] = {"thresholds", "counts", "collections",
						   "collected"};
		printf(", \"%s\": [", keys[i]);
		for (int g = 0; g < LT_GC_GENERATIONS; g++) {
			const struct lt_gc_generation *gen = &state->generations[g];
			const int64_t values[] = {gen->threshold, gen->count,
						  (int64_t)gen->collections,
						  (int64_t)gen->collected};
			printf("%s%" PRId64, g > 0 ? ", " : "", values[i]);
		}
		printf("]");
	}
	printf("}");
}

static void put_stack(const struct lt_view *view, const struct lt_watch_event *event)
{
	printf(", \"stack\": [");
	for (uint32_t i = 0; i < event->frame_count; i++) {
		const struct lt_watch_frame *frame = &event->frames[i];
		struct lt_text name = {0};
		lt_read_str(view, lt_read_pointer(view, frame->code, LT_PyCodeObject_co_name), 100,
			    &name);
		printf("%s[\"%s\", %d]", i > 0 ? ", " : "", lt_text_get(&name),
		       lt_frame_line_at(view, frame->code, frame->instruction));
		lt_text_deinit(&name);
	}
	printf("]");
}

static void put_event(const struct lt_view *view, const struct lt_watch_event *event)
{
	printf("{\"kind\": \"%s\", \"source\": \"%s\", \"start\": %" PRIu64 ", \"end\": %" PRIu64
	       ", \"error\": %" PRIu64 ", \"interpreter\": %" PRIu64
	       ", \"thread\": %d, \"generation\": %d, \"call\": \"%s\", \"certain\": %s, "
	       "\"finalizing\": %s"
	       ", \"missed\": %" PRIu64 ", \"before_age\": %" PRIu64 ", \"collected\": %" PRId64
	       ", \"uncollectable\": %" PRId64 ", \"candidates\": %" PRId64 ", \"exact\": %s",
	       kinds[event->kind], lt_watch_source_name(event->source), event->start_ns,
	       event->end_ns, event->error_ns, event->interpreter, (int)event->thread,
	       event->generation, lt_watch_call_name(event->call),
	       event->call_certain ? "true" : "false", event->finalizing ? "true" : "false",
	       event->missed, event->before_age_ns, event->collected, event->uncollectable,
	       event->candidates, event->frames_exact ? "true" : "false");
	put_state("before", &event->before);
	put_state("after", &event->after);
	put_stack(view, event);
	printf("}\n");
}

static uint64_t cpu_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static enum lt_status watch(const struct lt_view *view, const struct lt_watch_options *options,
			    double seconds)
{
	struct lt_watch *watch = NULL;
	LT_TRY(lt_watch_open(view, options, &watch));
	printf("{\"source\": \"%s\", \"why_not\": {", lt_watch_source_name(lt_watch_source(watch)));
	for (enum lt_watch_source i = 0; i < LT_WATCH_SOURCES; i++)
		printf("%s\"%s\": \"%s\"", i > 0 ? ", " : "", lt_watch_source_name(i),
		       lt_watch_why_not(watch, i));
	printf("}}\n");
	fflush(stdout);
	uint64_t start = lt_now_ns(), cpu_start = cpu_ns();
	uint64_t end = seconds > 0 ? start + (uint64_t)(seconds * 1e9) : UINT64_MAX;
	struct lt_watch_events events = {0};
	enum lt_status status = LT_OK;
	bool input_ended = false, last = false;
	while (status == LT_OK && !last) {
		/* What happened until the end is there after one more wait. */
		last = input_ended || lt_now_ns() >= end;
		uint64_t until = lt_now_ns() + (last ? 0 : 50000000);
		status = lt_watch_wait(watch, until < end ? until : end, &events);
		for (size_t i = 0; i < events.count; i++)
			put_event(view, &events.data[i]);
		events.count = 0;
		fflush(stdout);
		struct pollfd input = {.fd = 0, .events = POLLIN};
		char byte;
		input_ended = poll(&input, 1, 0) > 0 && read(0, &byte, 1) <= 0;
	}
	printf("{\"ended\": %s, \"unreadable\": %" PRIu64 ", \"cpu_ns\": %" PRIu64
	       ", \"elapsed_ns\": %" PRIu64 "}\n",
	       status == LT_E_GONE ? "true" : "false", view->session->unreadable,
	       cpu_ns() - cpu_start, lt_now_ns() - start);
	lt_watch_events_deinit(&events);
	lt_watch_close(watch);
	return status == LT_E_GONE ? LT_OK : status;
}

int main(int argc, char **argv)
{
	struct lt_watch_options options = {0};
	double seconds = 0;
	int at = 1;
	for (; at + 2 < argc; at += 2) {
		if (strcmp(argv[at], "--source") == 0) {
			for (enum lt_watch_source i = 0; i < LT_WATCH_SOURCES; i++)
				options.only[i] =
					strcmp(argv[at + 1], lt_watch_source_name(i)) == 0;
		} else if (strcmp(argv[at], "--hz") == 0) {
			options.poll_hz = (unsigned)atoi(argv[at + 1]);
		} else if (strcmp(argv[at], "--seconds") == 0) {
			seconds = atof(argv[at + 1]);
		} else {
			return 2;
		}
	}
	if (at + 1 != argc)
		return 2;
	struct lt_session session;
	lt_session_init(&session);
	struct lt_process *process = NULL;
	struct lt_memory *memory = NULL;
	struct lt_python *python = NULL;
	enum lt_status status = lt_process_open(&session, (pid_t)atoi(argv[at]), &process);
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
		status = watch(&view, &options, seconds);
	}
	if (status != LT_OK)
		fprintf(stderr, "%s\n%s\n", session.message, session.remedy);
	lt_python_close(python);
	lt_memory_close(memory);
	lt_process_close(process);
	lt_session_deinit(&session);
	return lt_status_exit_code(status);
}
