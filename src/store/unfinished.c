#include "store/unfinished.h"

#include "base/cleanup.h"
#include "base/doomed.h"
#include "store/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

enum {
	OWNER_ONLY = 0600, /* a snapshot has names of the target in it */
	TRIES = 8,
};

static void release(struct lt_unfinished *file)
{
	lt_doom_release(file->slot);
	file->slot = -1;
}

static enum lt_status cannot(struct lt_session *session, const struct lt_unfinished *file,
			     int error)
{
	return lt_fail_errno(session, LT_E_FILE, error, "cannot write %.200s", file->path);
}

/* The real name, and whether something is there that must not be replaced. */
static enum lt_status name_it(struct lt_session *session, const char *path,
			      enum lt_unfinished_kind kind, struct lt_unfinished *file)
{
	struct stat found;
	file->path = strdup(path);
	if (file->path == NULL)
		return lt_fail_memory(session);
	if (*path == '\0')
		return cannot(session, file, ENOENT);
	bool exists = stat(path, &found) == 0;
	if (exists && S_ISDIR(found.st_mode)) {
		lt_remedy(session, "Name a file in it.");
		return lt_fail(session, LT_E_FILE, "%.200s is a folder", path);
	}
	if (exists && !S_ISREG(found.st_mode)) {
		lt_remedy(session, "Name a file in a folder that you may write to.");
		return lt_fail(session, LT_E_FILE, "%.200s is no regular file", path);
	}
	file->final = exists ? realpath(path, NULL) : strdup(path);
	if (file->final == NULL)
		return exists ? cannot(session, file, errno) : lt_fail_memory(session);
	const char *suffix =
		kind == LT_UNFINISHED_FINAL ? LT_FINISHING_SUFFIX : LT_UNFINISHED_SUFFIX;
	if (asprintf(&file->temporary, "%s%s", file->final, suffix) < 0) {
		file->temporary = NULL;
		return lt_fail_memory(session);
	}
	return LT_OK;
}

/* What the writer of a draft leaves behind is empty or begins as a database does, or with zeros. Anything else is somebody's file. */
static bool is_leftover(int fd)
{
	static const char zeros[16], magic[16] = "SQLite format 3";
	char head[16] = {0};
	ssize_t got = pread(fd, head, sizeof(head), 0);
	return got == 0 || (got == (ssize_t)sizeof(head) &&
			    (memcmp(head, magic, 16) == 0 || memcmp(head, zeros, 16) == 0));
}

/* The path still leads to this open file. */
static bool is_at(const char *path, int fd)
{
	struct stat here, there;
	return fstat(fd, &here) == 0 && lstat(path, &there) == 0 && here.st_dev == there.st_dev &&
	       here.st_ino == there.st_ino;
}

static enum lt_status busy(struct lt_session *session, const struct lt_unfinished *file)
{
	lt_remedy(session, "Wait until it is done, or name another file.");
	return lt_fail(session, LT_E_FILE, "another lowtide is writing %.200s at this moment",
		       file->path);
}

/* Removes a leftover of a dead writer. LT_OK also when it has gone meanwhile. */
static enum lt_status clear_way(struct lt_session *session, const struct lt_unfinished *file)
{
	LT_CLOSE int fd = open(file->temporary, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat found;
	if (fd < 0 && errno == ENOENT)
		return LT_OK;
	if (fd >= 0 && fstat(fd, &found) == 0 && S_ISREG(found.st_mode)) {
		if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
			return busy(session, file);
		if (is_leftover(fd)) {
			if (is_at(file->temporary, fd) && unlink(file->temporary) != 0)
				return cannot(session, file, errno);
			return LT_OK;
		}
	}
	if (fd >= 0 && lt_journal_is(fd)) {
		lt_remedy(session,
			  "Read it with 'lowtide gc %.200s', remove it, or name another "
			  "file.",
			  file->temporary);
		return lt_fail(session, LT_E_FILE,
			       "cannot write %.200s: %.200s is a recording whose writer was killed",
			       file->path, file->temporary);
	}
	lt_remedy(session, "Remove it, or name another file.");
	return lt_fail(session, LT_E_FILE,
		       "cannot write %.200s: %.200s is in the way, and no writer left it there",
		       file->path, file->temporary);
}

static enum lt_status make(struct lt_session *session, enum lt_unfinished_kind kind,
			   struct lt_unfinished *file)
{
	if (file->temporary == NULL)
		return lt_fail_memory(session);
	for (unsigned i = 0; i < TRIES; i++) {
		file->fd = open(file->temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, OWNER_ONLY);
		if (file->fd < 0 && errno != EEXIST)
			return cannot(session, file, errno);
		if (file->fd < 0) {
			LT_TRY(clear_way(session, file));
			continue;
		}
		/* Another writer may have taken the new file for a leftover before it was locked. */
		if (flock(file->fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
			close(file->fd);
			file->fd = -1;
			return busy(session, file);
		}
		if (is_at(file->temporary, file->fd)) {
			if (kind != LT_UNFINISHED_JOURNAL)
				file->slot = lt_doom(file->temporary);
			return LT_OK;
		}
		close(file->fd);
		file->fd = -1;
	}
	return busy(session, file);
}

enum lt_status lt_unfinished_begin(struct lt_session *session, const char *path,
				   enum lt_unfinished_kind kind, struct lt_unfinished *ret_file)
{
	struct lt_unfinished file = {.fd = -1, .slot = -1};
	enum lt_status status = name_it(session, path, kind, &file);
	if (status == LT_OK) {
		sigset_t before;
		lt_doom_hold(&before);
		status = make(session, kind, &file);
		lt_doom_let(&before);
	}
	if (status == LT_OK)
		*ret_file = file;
	else
		lt_unfinished_end(&file);
	return status;
}

static int sync_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	LT_FREE char *folder = slash == NULL
				       ? strdup(".")
				       : strndup(path, slash == path ? 1 : (size_t)(slash - path));
	if (folder == NULL)
		return ENOMEM;
	LT_CLOSE int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* A folder that may be written but not read cannot be synced, nor can some file systems. */
	if (fd < 0)
		return errno == EACCES ? 0 : errno;
	return fsync(fd) == 0 || errno == EINVAL || errno == EROFS ? 0 : errno;
}

int lt_unfinished_sync(const struct lt_unfinished *file)
{
	return sync_folder(file->final);
}

enum lt_status lt_unfinished_commit(struct lt_session *session, struct lt_unfinished *file)
{
	if (fsync(file->fd) != 0)
		return cannot(session, file, errno);
	if (!is_at(file->temporary, file->fd)) {
		lt_remedy(session, "Write it again.");
		return lt_fail(session, LT_E_FILE,
			       "cannot write %.200s: another program has removed %.200s",
			       file->path, file->temporary);
	}
	sigset_t before;
	lt_doom_hold(&before);
	int failure = rename(file->temporary, file->final) != 0 ? errno : 0;
	if (failure == 0) {
		/* From here on the file has its name and stays. */
		free(file->temporary);
		file->temporary = NULL;
		release(file);
	}
	lt_doom_let(&before);
	if (failure != 0)
		return cannot(session, file, failure);
	int error = sync_folder(file->final);
	return error == 0 ? LT_OK : cannot(session, file, error);
}

void lt_unfinished_keep(struct lt_unfinished *file)
{
	release(file);
	if (file->fd >= 0)
		close(file->fd);
	free(file->path);
	free(file->final);
	free(file->temporary);
	*file = (struct lt_unfinished){.fd = -1, .slot = -1};
}

void lt_unfinished_end(struct lt_unfinished *file)
{
	sigset_t before;
	lt_doom_hold(&before);
	if (file->fd >= 0 && file->temporary != NULL && is_at(file->temporary, file->fd))
		unlink(file->temporary);
	lt_unfinished_keep(file);
	lt_doom_let(&before);
}
