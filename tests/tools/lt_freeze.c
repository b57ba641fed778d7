/*
 * lt_freeze: freezes a process from the command line, for the live tests.
 *
 *     lt_freeze [--mode fork|stop|live] [--count N] [--hold MS|-] [--word ADDR] [--ignore-headroom] [--probe]
 *               [--die lowtide|guard|both --at STEP] PID
 *
 * One line of JSON a freeze. --hold -: "held", then until standard input ends. --word reads eight bytes there at the start and at the
 * end of the hold.
 * --probe: the target is a CPython; its GIL and its collector are asked. --die: SIGKILL to lowtide, to the guard or to both when the guard comes to that step; --steps lists
 * them. The exit code is that of lowtide.
 */
#include "base/session.h"
#include "heap/interpreters.h"
#include "target/freeze.h"
#include "target/freeze_guard.h"

#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const step_names[] = {
#define X(upper, lower) #lower,
	LT_FREEZE_STEPS(X)
#undef X
};
enum { STEP_COUNT = sizeof(step_names) / sizeof(step_names[0]) };

static pid_t lowtide;
static bool kill_lowtide, kill_guard;
static unsigned fatal_step = STEP_COUNT;

static void sleep_ms(unsigned ms)
{
	struct timespec wait = {ms / 1000, (long)(ms % 1000) * 1000000};
	nanosleep(&wait, NULL);
}

static void wait_for_end_of_input(void)
{
	char buffer[64];
	puts("held");
	fflush(stdout);
	while (read(STDIN_FILENO, buffer, sizeof(buffer)) > 0) {
	}
}

static void die_at(enum lt_freeze_step step)
{
	if (step != fatal_step)
		return;
	if (kill_lowtide) {
		kill(lowtide, SIGKILL);
		sleep_ms(5);
	}
	if (kill_guard)
		kill(getpid(), SIGKILL);
}

static unsigned step_number(const char *name)
{
	for (unsigned i = 0; i < STEP_COUNT; i++)
		if (strcmp(step_names[i], name) == 0)
			return i;
	fprintf(stderr, "no step %s\n", name);
	exit(2);
}

static int fail(const struct lt_session *session, enum lt_status status)
{
	fprintf(stderr, "%s\n%s\n", session->message, session->remedy);
	return lt_status_exit_code(status);
}

int main(int count, char **arguments)
{
	static const struct option options[] = {
		{"mode", 1, NULL, 'm'},  {"count", 1, NULL, 'c'},
		{"hold", 1, NULL, 'h'},  {"word", 1, NULL, 'w'},
		{"die", 1, NULL, 'd'},   {"at", 1, NULL, 'a'},
		{"steps", 0, NULL, 's'}, {"ignore-headroom", 0, NULL, 'i'},
		{"probe", 0, NULL, 'p'}, {0}};
	struct lt_freeze_options freeze_options = {.mode = LT_MODE_FORK};
	unsigned freezes = 1, hold = 0;
	bool look_inside = false, hold_for_input = false;
	lt_addr word = 0;
	for (int option; (option = getopt_long(count, arguments, "", options, NULL)) >= 0;) {
		switch (option) {
		case 'm':
			freeze_options.mode = strcmp(optarg, "stop") == 0   ? LT_MODE_STOP
					      : strcmp(optarg, "live") == 0 ? LT_MODE_LIVE
									    : LT_MODE_FORK;
			break;
		case 'c':
			freezes = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'h':
			hold_for_input = strcmp(optarg, "-") == 0;
			hold = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'w':
			word = strtoull(optarg, NULL, 0);
			break;
		case 'd':
			kill_lowtide = strcmp(optarg, "guard") != 0;
			kill_guard = strcmp(optarg, "lowtide") != 0;
			break;
		case 'a':
			fatal_step = step_number(optarg);
			break;
		case 's':
			for (unsigned i = 0; i < STEP_COUNT; i++)
				puts(step_names[i]);
			return 0;
		case 'p':
			look_inside = true;
			break;
		case 'i':
			freeze_options.ignore_headroom = true;
			break;
		default:
			return 2;
		}
	}
	if (optind + 1 != count)
		return 2;
	lowtide = getpid();
	lt_freeze_hook = die_at;

	struct lt_session session;
	lt_session_init(&session);
	struct lt_process *process = NULL;
	enum lt_status status =
		lt_process_open(&session, (pid_t)strtol(arguments[optind], NULL, 10), &process);
	struct lt_memory *live = NULL;
	struct lt_python *python = NULL;
	if (status == LT_OK && look_inside)
		status = lt_process_memory(&session, process, &live);
	if (status == LT_OK && look_inside)
		status = lt_python_find(&session, process, live, &python);
	struct lt_view view = {
		.session = &session, .memory = live, .python = python, .process = process};
	if (python != NULL)
		view.layout = python->layout;
	const struct lt_freeze_probe probe = {&view, lt_interpreters_collecting,
					      lt_interpreters_gil_holder};

	for (unsigned i = 0; status == LT_OK && i < freezes; i++) {
		struct lt_freeze *freeze = NULL;
		uint64_t first = 0, last = 0, begun = lt_now_ns();
		status = lt_freeze_begin(&session, process, python != NULL ? &probe : NULL,
					 &freeze_options, &freeze);
		if (status != LT_OK)
			break;
		uint64_t taken = lt_now_ns();
		if (word != 0 && !lt_memory_u64(freeze->memory, word, &first))
			fprintf(stderr, "the word cannot be read\n");
		if (hold > 0)
			sleep_ms(hold);
		if (hold_for_input)
			wait_for_end_of_input();
		if (word != 0 && !lt_memory_u64(freeze->memory, word, &last))
			fprintf(stderr, "the word cannot be read\n");
		uint64_t stall = freeze->stall_ns;
		lt_freeze_release(&session, freeze);
		printf("{\"stall_ns\": %" PRIu64 ", \"total_stall_ns\": %" PRIu64
		       ", \"begin_ns\": %" PRIu64 ", \"retries\": %u, \"first\": %" PRIu64
		       ", \"last\": %" PRIu64 ", \"warnings\": %zu}\n",
		       stall, freeze->stall_ns, taken - begun, freeze->retries, first, last,
		       session.warning_count);
		fflush(stdout);
		lt_freeze_end(&session, freeze);
	}
	for (size_t i = 0; i < session.warning_count; i++)
		fprintf(stderr, "warning: %s\n", session.warnings[i]);
	int code = status == LT_OK ? 0 : fail(&session, status);
	lt_python_close(python);
	lt_memory_close(live);
	lt_process_close(process);
	lt_session_deinit(&session);
	return code;
}
