/*
 * lt_trim: calls malloc_trim(0) in any process from the command line, for the live tests; it need not be a CPython.
 *
 *     lt_trim [--count N] [--alone] [--beside] [--blind] [--patience MS] [--die lowtide|guard|both|tell --at STEP] PID
 *
 * One line of JSON a call. --alone, --beside: in that way whatever would be chosen; --alone only when it is safe,
 * --blind alone without a look whether it is.
 * --die: SIGKILL to lowtide, to the guard or to both when the guard comes to that step; --steps lists them, those of a
 * thread under trace among them. `tell` kills nobody: the target gets SIGUSR1 there, and some time to act on it.
 * --patience: how long lowtide waits for the end of a call. The exit code is that of lowtide.
 */
#include "base/session.h"
#include "heap/malloc_quiet.h"
#include "target/freeze_guard.h"

#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const side_names[] = {
#define X(upper, lower) #lower,
	LT_SIDE_STEPS(X)
#undef X
};
static const char *const trace_names[] = {
#define X(upper, lower) #lower,
	LT_FREEZE_STEPS(X)
#undef X
};
enum { SIDE_STEPS = sizeof(side_names) / sizeof(*side_names) };

static pid_t lowtide, target;
static bool kill_lowtide, kill_guard, tell, always_alone, always_beside, blind;
static const char *fatal_step = "";
static bool spawning; /* the steps of a thread under trace count between written and spawned */

static void die_at(const char *step)
{
	const struct timespec wait = {0, 5000000}, told = {0, 100000000};
	if (strcmp(step, fatal_step) != 0)
		return;
	if (tell) {
		kill(target, SIGUSR1);
		nanosleep(&told, NULL);
	}
	if (kill_lowtide) {
		kill(lowtide, SIGKILL);
		nanosleep(&wait, NULL);
	}
	if (kill_guard)
		kill(getpid(), SIGKILL);
}

static void on_side(enum lt_side_step step)
{
	spawning = step == LT_SIDE_WRITTEN;
	die_at(side_names[step]);
}

static void on_trace(enum lt_freeze_step step)
{
	if (spawning)
		die_at(trace_names[step]);
}

static enum lt_side_verdict ready(void *ctx, struct lt_session *session, struct lt_process *process,
				  struct lt_memory *memory, const struct lt_side_thread *threads,
				  size_t count, bool all, const char **ret_why)
{
	if (always_beside)
		return LT_SIDE_BESIDE;
	if ((always_alone || blind) && !all)
		return LT_SIDE_ALL;
	if (blind)
		return LT_SIDE_ALONE;
	return lt_malloc_quiet_ready(ctx, session, process, memory, threads, count, all, ret_why);
}

int main(int count, char **arguments)
{
	static const struct option options[] = {
		{"count", 1, NULL, 'c'}, {"die", 1, NULL, 'd'},      {"at", 1, NULL, 'a'},
		{"steps", 0, NULL, 's'}, {"alone", 0, NULL, 'o'},    {"beside", 0, NULL, 'b'},
		{"blind", 0, NULL, 'l'}, {"patience", 1, NULL, 'p'}, {0}};
	unsigned calls = 1;
	for (int option; (option = getopt_long(count, arguments, "", options, NULL)) >= 0;) {
		switch (option) {
		case 'c':
			calls = (unsigned)strtoul(optarg, NULL, 10);
			break;
		case 'd':
			tell = strcmp(optarg, "tell") == 0;
			kill_lowtide = !tell && strcmp(optarg, "guard") != 0;
			kill_guard = !tell && strcmp(optarg, "lowtide") != 0;
			break;
		case 'p':
			lt_side_patience_ns = strtoull(optarg, NULL, 10) * 1000000;
			break;
		case 'a':
			fatal_step = optarg;
			break;
		case 'o':
			always_alone = true;
			break;
		case 'b':
			always_beside = true;
			break;
		case 'l':
			blind = true;
			break;
		case 's':
			for (unsigned i = 0; i < SIDE_STEPS; i++)
				puts(side_names[i]);
			return 0;
		default:
			return 2;
		}
	}
	if (optind + 1 != count)
		return 2;
	lowtide = getpid();
	target = (pid_t)strtol(arguments[optind], NULL, 10);
	lt_side_hook = on_side;
	lt_freeze_hook = on_trace;

	struct lt_session session;
	lt_session_init(&session);
	struct lt_process *process = NULL;
	struct lt_memory *live = NULL;
	struct lt_malloc_quiet quiet = {0};
	enum lt_status status = lt_process_open(&session, target, &process);
	if (status == LT_OK)
		status = lt_process_memory(&session, process, &live);
	if (status == LT_OK)
		status = lt_malloc_quiet_find(&session, process, live, &quiet);
	const struct lt_side_probe probe = {&quiet, ready};
	struct lt_side_call call = {0};
	if (status == LT_OK)
		lt_malloc_quiet_call(&quiet, &call);
	for (unsigned i = 0; status == LT_OK && i < calls; i++) {
		struct lt_side_outcome outcome = {0};
		status = lt_side_call(&session, process, &call, &probe, &outcome);
		if (status != LT_OK)
			break;
		printf("{\"stall_ns\": %" PRIu64 ", \"call_ns\": %" PRIu64
		       ", \"attempts\": %u, \"way\": \"%s\", \"finished\": %s, \"code\": %d}\n",
		       outcome.stall_ns, outcome.call_ns, outcome.attempts,
		       outcome.beside ? "beside" : "alone", outcome.finished ? "true" : "false",
		       outcome.code);
		fflush(stdout);
	}
	for (size_t i = 0; i < session.warning_count; i++)
		fprintf(stderr, "warning: %s\n", session.warnings[i]);
	if (status != LT_OK)
		fprintf(stderr, "%s\n%s\n", session.message, session.remedy);
	lt_malloc_quiet_deinit(&quiet);
	lt_memory_close(live);
	lt_process_close(process);
	lt_session_deinit(&session);
	return lt_status_exit_code(status);
}
