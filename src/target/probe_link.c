#include "target/probe_link.h"

#include <errno.h>
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The part of union bpf_attr that BPF_LINK_CREATE reads for these links: include/uapi/linux/bpf.h of Linux 6.6. */
struct link_create {
	uint32_t program, target, type, flags;
	uint64_t path, offsets, semaphores, cookies;
	uint32_t count, multi_flags, process, reserved;
};

enum { MULTI_RETURN = 1 }; /* BPF_F_UPROBE_MULTI_RETURN */

static int create(const struct lt_probe_link *link, uint32_t process)
{
	const struct link_create attr = {
		.program = (uint32_t)link->program,
		.type = LT_PROBE_LINK_TYPE,
		.path = (uintptr_t)link->path,
		.offsets = (uintptr_t)link->offsets,
		.semaphores = (uintptr_t)link->semaphores,
		.cookies = (uintptr_t)link->cookies,
		.count = link->count,
		.multi_flags = link->returns ? MULTI_RETURN : 0,
		.process = process,
	};
	/* The kernel makes the descriptor close-on-exec. */
	return (int)syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));
}

bool lt_probe_link_possible(const struct lt_probe_link *link)
{
	/* The change that made the filter one of processes made negative ids invalid; before, they were not found. */
	int fd = create(link, UINT32_MAX);
	if (fd < 0)
		return errno == EINVAL;
	close(fd);
	errno = ENOSYS;
	return false;
}

int lt_probe_link_create(const struct lt_probe_link *link)
{
	return create(link, (uint32_t)link->process);
}
