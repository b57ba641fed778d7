#include "base/doomed.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

enum { SLOTS = 4 };

static const int fatal[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};
static struct {
	atomic_bool used;
	char path[PATH_MAX];
} doomed[SLOTS];

static void on_fatal(int number)
{
	for (size_t i = 0; i < SLOTS; i++)
		if (atomic_load(&doomed[i].used))
			unlink(doomed[i].path);
	/* The default action came back with SA_RESETHAND; the signal waits until this handler returns. */
	raise(number);
}

int lt_doom(const char *path)
{
	for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++) {
		struct sigaction action = {.sa_handler = on_fatal, .sa_flags = (int)SA_RESETHAND},
				 before;
		if (sigaction(fatal[i], NULL, &before) == 0 && before.sa_handler == SIG_DFL)
			sigaction(fatal[i], &action, NULL);
	}
	for (int i = 0; i < SLOTS; i++) {
		if (atomic_load(&doomed[i].used) || strlen(path) >= sizeof(doomed[i].path))
			continue;
		memcpy(doomed[i].path, path, strlen(path) + 1);
		atomic_store(&doomed[i].used, true);
		return i;
	}
	return -1;
}

void lt_doom_release(int slot)
{
	if (slot >= 0)
		atomic_store(&doomed[slot].used, false);
}

void lt_doom_hold(sigset_t *ret_before)
{
	sigset_t held;
	sigemptyset(&held);
	for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++)
		sigaddset(&held, fatal[i]);
	pthread_sigmask(SIG_BLOCK, &held, ret_before);
}

void lt_doom_let(const sigset_t *before)
{
	pthread_sigmask(SIG_SETMASK, before, NULL);
}
