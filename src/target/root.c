#include "target/root.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

/* Opens what an O_PATH descriptor stands for, if it is a regular file. */
static int reopen(int path_fd)
{
	struct stat info;
	if (fstat(path_fd, &info) != 0)
		return -1;
	if (!S_ISREG(info.st_mode)) {
		errno = EINVAL;
		return -1;
	}
	char path[64];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", path_fd);
	return open(path, O_RDONLY | O_CLOEXEC);
}

int lt_root_open(pid_t pid, const char *path)
{
	char root[64];
	snprintf(root, sizeof(root), "/proc/%d/root", (int)pid);
	LT_CLOSE int root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root_fd < 0)
		return -1;
	while (*path == '/')
		path++;
	struct open_how how = {
		.flags = O_PATH | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	int found = (int)syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
	/* Kernels before 5.6, and seccomp profiles that do not know the call. Paths of mappings hold no links. */
	if (found < 0 && (errno == ENOSYS || errno == EPERM))
		found = openat(root_fd, path, O_PATH | O_CLOEXEC | O_NOFOLLOW);
	LT_CLOSE int path_fd = found;
	return path_fd < 0 ? -1 : reopen(path_fd);
}

static bool same_inode(const struct stat *info, const struct lt_mapping *mapping)
{
	return info->st_ino == mapping->inode;
}

static bool same_device(const struct stat *info, const struct lt_mapping *mapping)
{
	return major(info->st_dev) == mapping->device_major &&
	       minor(info->st_dev) == mapping->device_minor;
}

int lt_root_open_mapping(pid_t pid, const struct lt_mapping *mapping)
{
	struct stat info;
	LT_CLOSE int by_path = -1;
	if (mapping->path[0] != '/' || mapping->inode == 0) {
		errno = ENOENT;
		return -1;
	}
	by_path = lt_root_open(pid, mapping->path);
	int error = errno;
	bool known = by_path >= 0 && fstat(by_path, &info) == 0;
	if (known && same_inode(&info, mapping) && same_device(&info, mapping)) {
		int fd = by_path;
		by_path = -1;
		return fd;
	}
	char link[128];
	snprintf(link, sizeof(link), "/proc/%d/map_files/%llx-%llx", (int)pid,
		 (unsigned long long)mapping->start, (unsigned long long)mapping->end);
	LT_CLOSE int link_fd = open(link, O_PATH | O_CLOEXEC);
	int fd = link_fd < 0 ? -1 : reopen(link_fd);
	if (fd >= 0)
		return fd;
	if (!known) {
		errno = error;
		return -1;
	}
	/*
	 * Stacked file systems (overlayfs, btrfs) show one device in the mappings and another one to stat(2).
	 * On the device of the mapping itself another inode is another file.
	 */
	if (same_device(&info, mapping)) {
		errno = ESTALE;
		return -1;
	}
	fd = by_path;
	by_path = -1;
	return fd;
}
