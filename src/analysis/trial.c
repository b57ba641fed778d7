#include "analysis/trial.h"

#include "base/cleanup.h"
#include "target/proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MS 1000000ull

enum {
	SAMPLES_MOST = 4096,   /* then every second one goes */
	PROCESSES_MOST = 4096, /* of a tree that are looked at */
	TEXT_MOST = 16384,     /* of a file of /proc */
	MAPS_MOST = 4 << 20,
	INTERVAL_MS = 10,
	COST_SHARE = 20,     /* a sample takes at most one part of so many of the time */
	GRACE_MS = 2000,     /* from SIGTERM to SIGKILL */
	LEFT_GRACE_MS = 500, /* for what the command leaves behind to end by itself */
	KILL_MS = 10000,     /* processes that do not even end by SIGKILL are given up */
	ASK_MS = 100,
};

/* The keeper's own. */
struct keeper {
	const struct lt_trial_options *options;
	struct lt_trial trial;
	pid_t command; /* also its process group */
	bool ended;    /* the command, as trial tells */
	bool stop;     /* a signal wants the end */
	sigset_t signals;
	uint64_t begun_ns;
	uint64_t sizes[SAMPLES_MOST];
	size_t size_count;
	unsigned stride, skipped; /* of `stride` samples one is kept */
};

struct tree {
	pid_t pids[PROCESSES_MOST];
	size_t count;
};

static void add_children(struct tree *tree, pid_t pid)
{
	char path[64], text[TEXT_MOST];
	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	DIR *tasks = opendir(path);
	if (tasks == NULL)
		return;
	for (struct dirent *task; (task = readdir(tasks)) != NULL;) {
		long tid = strtol(task->d_name, NULL, 10);
		if (tid <= 0)
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%ld/children", (int)pid, tid);
		if (!lt_proc_read(path, text, sizeof(text)))
			continue;
		char *end = text;
		for (long child; (child = strtol(end, &end, 10)) > 0;)
			if (tree->count < PROCESSES_MOST)
				tree->pids[tree->count++] = (pid_t)child;
	}
	closedir(tasks);
}

/* All that descends from the keeper: the command, its children, and what it orphaned. */
static void read_tree(const struct keeper *keeper, struct tree *tree)
{
	tree->count = 0;
	add_children(tree, getpid());
	/* A kernel without the lists of children knows at least the command. */
	if (tree->count == 0 && !keeper->ended)
		tree->pids[tree->count++] = keeper->command;
	for (size_t i = 0; i < tree->count; i++)
		add_children(tree, tree->pids[i]);
}

static bool maps_have(pid_t pid, const char *library)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	LT_FREE char *maps = lt_proc_slurp(path, MAPS_MOST, NULL);
	return maps != NULL && strstr(maps, library) != NULL;
}

static void keep_size(struct keeper *keeper, uint64_t bytes)
{
	if (++keeper->skipped < keeper->stride)
		return;
	keeper->skipped = 0;
	if (keeper->size_count == SAMPLES_MOST) {
		for (size_t i = 0; i < SAMPLES_MOST / 2; i++)
			keeper->sizes[i] = keeper->sizes[2 * i + 1];
		keeper->size_count = SAMPLES_MOST / 2;
		keeper->stride *= 2;
	}
	keeper->sizes[keeper->size_count++] = bytes;
}

static void take_sample(struct keeper *keeper)
{
	static struct tree tree;
	struct lt_trial *trial = &keeper->trial;
	uint64_t bytes = 0, highest = 0;
	uint32_t processes = 0;
	read_tree(keeper, &tree);
	for (size_t i = 0; i < tree.count; i++) {
		char path[64], status[TEXT_MOST];
		snprintf(path, sizeof(path), "/proc/%d/status", (int)tree.pids[i]);
		if (!lt_proc_read(path, status, sizeof(status)))
			continue;
		uint64_t resident = lt_proc_bytes(status, "VmRSS");
		uint64_t high = lt_proc_bytes(status, "VmHWM");
		bytes += resident;
		highest = high > highest ? high : highest;
		processes += resident > 0;
		if (keeper->options->library != NULL && !trial->loaded)
			trial->loaded = maps_have(tree.pids[i], keeper->options->library);
	}
	/* A process that is about to end has no memory any more. */
	if (bytes == 0)
		return;
	trial->samples++;
	if (processes > trial->processes)
		trial->processes = processes;
	if (highest > trial->peak_bytes)
		trial->peak_bytes = highest;
	if (bytes > trial->peak_bytes)
		trial->peak_bytes = bytes;
	keep_size(keeper, bytes);
}

/* Takes in who has ended. False: the keeper has no children any more. */
static bool reap(struct keeper *keeper)
{
	for (;;) {
		struct rusage usage;
		int status;
		pid_t pid = wait4(-1, &status, WNOHANG, &usage);
		if (pid <= 0)
			return pid == 0;
		if (pid != keeper->command)
			continue;
		struct lt_trial *trial = &keeper->trial;
		uint64_t most = (uint64_t)usage.ru_maxrss * 1024;
		keeper->ended = true;
		trial->elapsed_ns = lt_now_ns() - keeper->begun_ns;
		trial->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
		trial->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
		if (most > trial->peak_bytes)
			trial->peak_bytes = most;
	}
}

/* Waits for one of the signals, so long at most. */
static void wait_for(struct keeper *keeper, uint64_t nanoseconds)
{
	struct timespec time = {(time_t)(nanoseconds / (1000 * MS)),
				(long)(nanoseconds % (1000 * MS))};
	int number = sigtimedwait(&keeper->signals, NULL, &time);
	if (number > 0 && number != SIGCHLD)
		keeper->stop = true;
}

static void watch(struct keeper *keeper)
{
	uint64_t limit = keeper->options->seconds * 1000 * MS;
	while (!keeper->ended && !keeper->stop) {
		uint64_t before = lt_now_ns();
		take_sample(keeper);
		uint64_t now = lt_now_ns();
		if (now - keeper->begun_ns >= limit) {
			keeper->trial.timed_out = true;
			return;
		}
		uint64_t pause = (now - before) * COST_SHARE;
		if (pause < INTERVAL_MS * MS)
			pause = INTERVAL_MS * MS;
		uint64_t left = limit - (now - keeper->begun_ns);
		wait_for(keeper, pause < left ? pause : left);
		reap(keeper);
	}
	keeper->trial.stopped = keeper->stop;
}

/* False: something is still there after so long. */
static bool wait_for_all(struct keeper *keeper, uint64_t milliseconds)
{
	uint64_t until = lt_now_ns() + milliseconds * MS;
	while (reap(keeper)) {
		if (lt_now_ns() >= until)
			return false;
		wait_for(keeper, INTERVAL_MS * MS);
	}
	return true;
}

/* Ends the command, if it has not ended, and all that it leaves behind, in whatever process group. */
static void end_all(struct keeper *keeper)
{
	static struct tree tree;
	bool running = !keeper->ended;
	if (running)
		kill(-keeper->command, SIGTERM);
	if (wait_for_all(keeper, running ? GRACE_MS : LEFT_GRACE_MS))
		return;
	uint64_t until = lt_now_ns() + KILL_MS * MS;
	while (lt_now_ns() < until) {
		if (!keeper->ended)
			kill(-keeper->command, SIGKILL);
		/* Whoever loses its parent becomes the keeper's child: the next round sees it. */
		read_tree(keeper, &tree);
		for (size_t i = 0; i < tree.count; i++)
			kill(tree.pids[i], SIGKILL);
		if (wait_for_all(keeper, INTERVAL_MS))
			return;
	}
}

static int compare_sizes(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
	return (left > right) - (left < right);
}

/* As the interpreter ends it frees all it has: that must not take half of what is looked at. */
static uint64_t final_size(struct keeper *keeper)
{
	enum { PART = 5, LEAST = 5 };
	size_t count = keeper->size_count / PART;
	bool is_short = count < LEAST;
	if (is_short)
		count = keeper->size_count < LEAST ? keeper->size_count : LEAST;
	if (count == 0)
		return keeper->trial.peak_bytes;
	uint64_t *last = keeper->sizes + keeper->size_count - count;
	qsort(last, count, sizeof(*last), compare_sizes);
	return last[is_short ? count - 1 : count / 2];
}

static _Noreturn void become_command(const struct keeper *keeper, const sigset_t *mask, int failure)
{
	const struct lt_trial_options *options = keeper->options;
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGXFSZ, SIG_DFL);
	for (size_t i = 0; i < options->variable_count; i++)
		if (setenv(options->variables[i].name, options->variables[i].value, 1) != 0)
			goto failed;
	int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (nothing < 0 || dup2(nothing, STDIN_FILENO) < 0 ||
	    dup2(options->silent ? nothing : STDERR_FILENO, STDOUT_FILENO) < 0 ||
	    (options->silent && dup2(nothing, STDERR_FILENO) < 0))
		goto failed;
	sigprocmask(SIG_SETMASK, mask, NULL);
	execvp(options->command[0], options->command);
failed:;
	int error = errno;
	ssize_t written = write(failure, &error, sizeof(error));
	(void)written;
	_exit(127);
}

static _Noreturn void become_keeper(const struct lt_trial_options *options, pid_t parent,
				    const sigset_t *mask, int result)
{
	static struct keeper keeper;
	int failure[2];
	keeper = (struct keeper){.options = options, .stride = 1};
	keeper.trial.exit_code = -1;
	sigemptyset(&keeper.signals);
	const int numbers[] = {SIGCHLD, SIGINT, SIGTERM, SIGHUP, SIGQUIT};
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		sigaddset(&keeper.signals, numbers[i]);
	signal(SIGCHLD, SIG_DFL);
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0 || prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 ||
	    getppid() != parent || pipe2(failure, O_CLOEXEC) != 0)
		_exit(1);
	keeper.begun_ns = lt_now_ns();
	keeper.command = fork();
	if (keeper.command < 0)
		_exit(1);
	if (keeper.command == 0)
		become_command(&keeper, mask, failure[1]);
	setpgid(keeper.command, keeper.command);
	close(failure[1]);
	/* Returns with the command begun, or with why not. */
	ssize_t got;
	while ((got = read(failure[0], &keeper.trial.exec_errno, sizeof(int))) < 0 &&
	       errno == EINTR)
		;
	if (got != sizeof(int))
		keeper.trial.exec_errno = 0;
	watch(&keeper);
	keeper.trial.final_bytes = final_size(&keeper);
	end_all(&keeper);
	if (keeper.trial.elapsed_ns == 0)
		keeper.trial.elapsed_ns = lt_now_ns() - keeper.begun_ns;
	ssize_t written = write(result, &keeper.trial, sizeof(keeper.trial));
	_exit(written == (ssize_t)sizeof(keeper.trial) ? 0 : 1);
}

/* Waits for the keeper's result, and hands it the wish to stop. */
static bool take_result(const struct lt_trial_options *options, pid_t keeper, int result,
			struct lt_trial *ret_trial)
{
	bool told = false;
	for (;;) {
		if (!told && options->stop != NULL && *options->stop != 0) {
			kill(keeper, SIGTERM);
			told = true;
		}
		struct pollfd waiting = {.fd = result, .events = POLLIN};
		int ready = poll(&waiting, 1, ASK_MS);
		if (ready < 0 && errno != EINTR)
			return false;
		if (ready > 0)
			return read(result, ret_trial, sizeof(*ret_trial)) ==
			       (ssize_t)sizeof(*ret_trial);
	}
}

enum lt_status lt_trial_run(struct lt_session *session, const struct lt_trial_options *options,
			    struct lt_trial *ret_trial)
{
	int ends[2];
	sigset_t held, before;
	struct lt_trial trial = {0};
	if (pipe2(ends, O_CLOEXEC) != 0)
		return lt_fail_errno(session, LT_E_INTERNAL, errno, "a pipe cannot be made");
	LT_CLOSE int result = ends[0];
	/* Held in the keeper from its first moment on, which takes them one by one. */
	sigemptyset(&held);
	const int numbers[] = {SIGCHLD, SIGINT, SIGTERM, SIGHUP, SIGQUIT};
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		sigaddset(&held, numbers[i]);
	sigprocmask(SIG_BLOCK, &held, &before);
	pid_t parent = getpid();
	pid_t keeper = fork();
	int error = errno;
	if (keeper == 0)
		become_keeper(options, parent, &before, ends[1]);
	sigprocmask(SIG_SETMASK, &before, NULL);
	close(ends[1]);
	if (keeper < 0)
		return lt_fail_errno(session, LT_E_INTERNAL, error, "no process can be made");
	bool told = take_result(options, keeper, result, &trial);
	while (waitpid(keeper, NULL, 0) < 0 && errno == EINTR)
		;
	if (!told)
		return lt_fail(session, LT_E_INTERNAL, "the run could not be watched to its end");
	*ret_trial = trial;
	return LT_OK;
}
