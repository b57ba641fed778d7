#include "cli/output.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { FILE_MODE = 0666 };

/* The folder of a path, "." for a bare name. Caller frees; NULL: no memory. */
static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	if (slash == NULL)
		return strdup(".");
	return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

enum lt_status lt_output_check(struct lt_session *session, const char *path)
{
	if (path == NULL)
		return LT_OK;
	struct stat found;
	if (stat(path, &found) == 0) {
		if (S_ISDIR(found.st_mode)) {
			lt_remedy(session, "Name a file in it.");
			return lt_fail(session, LT_E_FILE, "%.200s is a folder", path);
		}
		if (!S_ISREG(found.st_mode)) {
			if (access(path, W_OK) != 0)
				return lt_fail_errno(session, LT_E_FILE, errno,
						     "cannot write %.200s", path);
			return LT_OK;
		}
	}
	LT_FREE char *folder = folder_of(path);
	if (folder == NULL)
		return lt_fail_memory(session);
	if (stat(folder, &found) == 0 && !S_ISDIR(found.st_mode))
		return lt_fail_errno(session, LT_E_FILE, ENOTDIR, "cannot write %.200s", path);
	if (access(folder, W_OK | X_OK) != 0)
		return lt_fail_errno(session, LT_E_FILE, errno, "cannot write %.200s", path);
	return LT_OK;
}

/* 0 or an errno. */
static int write_all(int fd, const char *bytes, size_t length)
{
	while (length > 0) {
		ssize_t written = write(fd, bytes, length);
		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return errno;
		bytes += written;
		length -= (size_t)written;
	}
	return 0;
}

static enum lt_status to_standard_output(struct lt_session *session, const char *bytes,
					 size_t length)
{
	int error = write_all(STDOUT_FILENO, bytes, length);
	if (error == 0)
		return LT_OK;
	if (error == EPIPE) {
		lt_remedy(session, "Write the report to a file with -o FILE.");
		return lt_fail(session, LT_E_FILE,
			       "standard output was closed before the report was complete");
	}
	if (error == EBADF) {
		lt_remedy(session, "Write the report to a file with -o FILE.");
		return lt_fail(session, LT_E_FILE, "standard output is closed");
	}
	return lt_fail_errno(session, LT_E_FILE, error, "cannot write to standard output");
}

static enum lt_status to_device(struct lt_session *session, const char *path, const char *bytes,
				size_t length)
{
	LT_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return lt_fail_errno(session, LT_E_FILE, errno, "cannot write %.200s", path);
	int error = write_all(fd, bytes, length);
	return error == 0 ? LT_OK
			  : lt_fail_errno(session, LT_E_FILE, error, "cannot write %.200s", path);
}

/* 0 or an errno. `mode` as of the file that will be replaced, 0: a new file. */
static int fill(const char *temporary, mode_t mode, const char *bytes, size_t length)
{
	LT_CLOSE int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, FILE_MODE);
	if (fd < 0)
		return errno;
	if (mode != 0 && fchmod(fd, mode & 07777) != 0)
		return errno;
	int error = write_all(fd, bytes, length);
	if (error == 0 && fsync(fd) != 0)
		error = errno;
	return error;
}

enum lt_status lt_output_write(struct lt_session *session, const char *path, const char *bytes,
			       size_t length)
{
	if (path == NULL)
		return to_standard_output(session, bytes, length);
	struct stat found;
	bool exists = stat(path, &found) == 0;
	if (exists && !S_ISREG(found.st_mode))
		return to_device(session, path, bytes, length);
	/* What a symbolic link points to is replaced, not the link. */
	LT_FREE char *real = exists ? realpath(path, NULL) : strdup(path);
	LT_FREE char *temporary = NULL;
	if (real == NULL || asprintf(&temporary, "%s.%d.tmp", real, (int)getpid()) < 0) {
		temporary = NULL;
		return lt_fail_memory(session);
	}
	/* A signal that ends the program waits until the temporary file is gone. */
	sigset_t all, before;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	int error = fill(temporary, exists ? found.st_mode : 0, bytes, length);
	if (error == 0 && rename(temporary, real) != 0)
		error = errno;
	if (error != 0 && error != EEXIST)
		unlink(temporary);
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (error == 0)
		return LT_OK;
	return lt_fail_errno(session, LT_E_FILE, error, "cannot write %.200s", path);
}
