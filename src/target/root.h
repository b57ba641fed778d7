/*
 * root.h: files of the target, opened as the target sees them, whatever its mount namespace or root.
 */
#ifndef LT_TARGET_ROOT_H
#define LT_TARGET_ROOT_H

#include "target/process.h"

/*
 * A regular file under the target's root, for reading; -1 with errno. Symbolic links stay inside that
 * root, and devices, sockets and pipes are not opened: errno is then EINVAL.
 */
int lt_root_open(pid_t pid, const char *path);

/*
 * The file behind a mapping: the target's path when it is still the same file, else the kernel's own
 * link to it, which needs a capability. -1 with errno; ESTALE: there is another file at that path now.
 */
int lt_root_open_mapping(pid_t pid, const struct lt_mapping *mapping);

#endif
