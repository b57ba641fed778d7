#include "target/live.h"

#include "base/cleanup.h"
#include "target/ahead.h"
#include "target/permission.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>

struct live {
	struct lt_memory memory;
	int fd;    /* of /proc/PID/mem, -1: process_vm_readv */
	pid_t pid; /* for process_vm_readv */
};

static size_t read_mem(struct lt_memory *memory, lt_addr addr, void *buffer, size_t size)
{
	struct live *live = (struct live *)memory;
	size_t done = 0;
	/* pread(2) takes a signed offset: nothing that a program owns lies above. */
	while (done < size && addr + done <= INT64_MAX) {
		ssize_t got =
			pread(live->fd, (char *)buffer + done, size - done, (off_t)(addr + done));
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		done += (size_t)got;
	}
	return done;
}

static size_t read_vm(struct lt_memory *memory, lt_addr addr, void *buffer, size_t size)
{
	struct live *live = (struct live *)memory;
	/* The call is all or nothing for one piece: with one piece a page a hole costs only that page. */
	enum { PAGE = 4096, PIECES = 256 };
	size_t done = 0;
	while (done < size) {
		struct iovec remote[PIECES];
		size_t count = 0, wanted = 0;
		while (count < PIECES && done + wanted < size) {
			size_t piece = PAGE - (size_t)((addr + done + wanted) % PAGE);
			if (piece > size - done - wanted)
				piece = size - done - wanted;
			remote[count].iov_base = (void *)(uintptr_t)(addr + done + wanted);
			remote[count].iov_len = piece;
			wanted += piece;
			count++;
		}
		struct iovec local = {(char *)buffer + done, wanted};
		ssize_t got = process_vm_readv(live->pid, &local, 1, remote, count, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		done += (size_t)got;
		if ((size_t)got < wanted)
			break;
	}
	return done;
}

static void close_live(struct lt_memory *memory)
{
	struct live *live = (struct live *)memory;
	lt_ahead_destroy(memory->ahead);
	if (live->fd >= 0)
		close(live->fd);
	free(live);
}

static const struct lt_memory_ops mem_ops = {read_mem, close_live};
static const struct lt_memory_ops vm_ops = {read_vm, close_live};

static enum lt_status create(struct lt_session *session, const struct lt_memory_ops *ops, int fd,
			     pid_t pid, struct lt_memory **ret_memory)
{
	struct live *live = calloc(1, sizeof(*live));
	if (live == NULL) {
		if (fd >= 0)
			close(fd);
		return lt_fail_memory(session);
	}
	live->memory.ops = ops;
	live->fd = fd;
	live->pid = pid;
	*ret_memory = &live->memory;
	return LT_OK;
}

enum lt_status lt_live_from_fd(struct lt_session *session, int fd, struct lt_memory **ret_memory)
{
	return create(session, &mem_ops, fd, 0, ret_memory);
}

enum lt_status lt_live_from_vm(struct lt_session *session, pid_t pid, struct lt_memory **ret_memory)
{
	/* An empty read answers whether it is permitted: the check comes before the bytes. */
	char byte;
	struct iovec local = {&byte, 1};
	struct iovec remote = {NULL, 1};
	if (process_vm_readv(pid, &local, 1, &remote, 1, 0) < 0 && errno != EFAULT)
		return lt_permission_fail(session, pid, errno, "read the memory of");
	return create(session, &vm_ops, -1, pid, ret_memory);
}

enum lt_status lt_live_open(struct lt_session *session, pid_t pid, struct lt_memory **ret_memory)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		return lt_live_from_fd(session, fd, ret_memory);
	int error = errno;
	if (error == ENOMEM || error == EMFILE || error == ENFILE)
		return lt_fail_errno(session, LT_E_INTERNAL, error, "cannot open %s", path);
	if (lt_live_from_vm(session, pid, ret_memory) == LT_OK)
		return LT_OK;
	lt_session_clear(session);
	return lt_permission_fail(session, pid, error, "read the memory of");
}
