#include "cli/output.h"

#include "base/cleanup.h"
#include "base/doomed.h"
#include "base/shortage.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stddef.h>
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

/* Small pieces are joined before they are written. */
enum { BUFFER_BYTES = 256 * 1024 };

struct lt_output {
	struct lt_session *session;
	char *path;      /* as the user wrote it */
	char *real;      /* what is replaced: not a symbolic link but the file that it leads to */
	char *temporary; /* a name beside it; NULL: `path` is a device and written directly */
	bool named;      /* the temporary name is there */
	int slot;        /* of the files that a signal removes; -1: none */
	mode_t mode;     /* of the file that will be replaced, 0: a new file */
	int fd;
	size_t filled;
	char buffer[BUFFER_BYTES];
};

static enum lt_status fail_write(struct lt_output *output, int error)
{
	return lt_fail_errno(output->session, LT_E_FILE, error, "cannot write %.200s",
			     output->path);
}

/* 0 or an errno. */
static int open_device(struct lt_output *output)
{
	output->fd = open(output->path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	return output->fd < 0 ? errno : 0;
}

/* 0 or an errno. A file without a name leaves nothing behind, however lowtide ends; not every file system has them. */
static int open_file(struct lt_output *output, const char *folder)
{
	output->fd = open(folder, O_WRONLY | O_TMPFILE | O_CLOEXEC, FILE_MODE);
	if (output->fd < 0) {
		sigset_t before;
		lt_doom_hold(&before);
		output->fd =
			open(output->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, FILE_MODE);
		int error = errno;
		output->named = output->fd >= 0;
		if (output->named)
			output->slot = lt_doom(output->temporary);
		lt_doom_let(&before);
		errno = error;
	}
	if (output->fd < 0)
		return errno;
	return output->mode != 0 && fchmod(output->fd, output->mode & 07777) != 0 ? errno : 0;
}

static enum lt_status begin(struct lt_output *output)
{
	struct stat found;
	bool exists = stat(output->path, &found) == 0;
	if (exists && !S_ISREG(found.st_mode)) {
		int error = open_device(output);
		return error == 0 ? LT_OK : fail_write(output, error);
	}
	output->mode = exists ? found.st_mode : 0;
	output->real = exists ? realpath(output->path, NULL) : strdup(output->path);
	LT_FREE char *folder = output->real != NULL ? folder_of(output->real) : NULL;
	if (folder == NULL)
		return lt_fail_memory(output->session);
	if (asprintf(&output->temporary, "%s.%d.tmp", output->real, (int)getpid()) < 0) {
		output->temporary = NULL;
		return lt_fail_memory(output->session);
	}
	int error = open_file(output, folder);
	return error == 0 ? LT_OK : fail_write(output, error);
}

enum lt_status lt_output_begin(struct lt_session *session, const char *path,
			       struct lt_output **ret_output)
{
	struct lt_output *output = malloc(sizeof(*output));
	if (output == NULL) {
		(void)lt_fail_memory(session);
		return LT_E_NO_MEMORY;
	}
	/* Not the buffer: its pages are touched when they are filled. */
	memset(output, 0, offsetof(struct lt_output, buffer));
	output->session = session;
	output->fd = output->slot = -1;
	output->path = strdup(path);
	enum lt_status status = output->path != NULL ? begin(output) : lt_fail_memory(session);
	if (status != LT_OK) {
		lt_output_end(output);
		return status;
	}
	*ret_output = output;
	return LT_OK;
}

static enum lt_status flush(struct lt_output *output)
{
	int error = write_all(output->fd, output->buffer, output->filled);
	output->filled = 0;
	return error == 0 ? LT_OK : fail_write(output, error);
}

enum lt_status lt_output_add(struct lt_output *output, const char *bytes, size_t length)
{
	while (length > 0) {
		size_t room = BUFFER_BYTES - output->filled;
		size_t part = length < room ? length : room;
		memcpy(output->buffer + output->filled, bytes, part);
		output->filled += part;
		bytes += part;
		length -= part;
		if (output->filled == BUFFER_BYTES)
			LT_TRY(flush(output));
	}
	return LT_OK;
}

/* 0 or an errno. */
static int give_name(struct lt_output *output)
{
	if (!output->named) {
		char unnamed[64];
		snprintf(unnamed, sizeof(unnamed), "/proc/self/fd/%d", output->fd);
		if (linkat(AT_FDCWD, unnamed, AT_FDCWD, output->temporary, AT_SYMLINK_FOLLOW) != 0)
			return errno;
		output->named = true;
	}
	if (rename(output->temporary, output->real) != 0)
		return errno;
	output->named = false;
	return 0;
}

enum lt_status lt_output_commit(struct lt_output *output)
{
	if (lt_shortage())
		return lt_fail_memory(output->session);
	LT_TRY(flush(output));
	if (output->temporary == NULL)
		return LT_OK;
	int error = fsync(output->fd) != 0 ? errno : 0;
	/* A signal that ends the program waits until the temporary name is gone. */
	sigset_t all, before;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	if (error == 0)
		error = give_name(output);
	if (error != 0 && output->named && unlink(output->temporary) == 0)
		output->named = false;
	if (!output->named) {
		lt_doom_release(output->slot);
		output->slot = -1;
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	return error == 0 ? LT_OK : fail_write(output, error);
}

void lt_output_end(struct lt_output *output)
{
	if (output == NULL)
		return;
	if (output->fd >= 0)
		close(output->fd);
	sigset_t before;
	lt_doom_hold(&before);
	if (output->named && output->temporary != NULL)
		unlink(output->temporary);
	lt_doom_release(output->slot);
	lt_doom_let(&before);
	free(output->temporary);
	free(output->real);
	free(output->path);
	free(output);
}

static void end_output(struct lt_output **output)
{
	lt_output_end(*output);
}

enum lt_status lt_output_write(struct lt_session *session, const char *path, const char *bytes,
			       size_t length)
{
	if (path == NULL)
		return to_standard_output(session, bytes, length);
	LT_CLEANUP(end_output) struct lt_output *output = NULL;
	LT_TRY(lt_output_begin(session, path, &output));
	LT_TRY(lt_output_add(output, bytes, length));
	return lt_output_commit(output);
}
