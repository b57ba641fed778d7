#include "target/permission.h"

#include "target/proc.h"

#include <errno.h>
#include <linux/capability.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool has_own_cap(unsigned cap)
{
	char status[4096], value[64];
	if (!lt_proc_read("/proc/self/status", status, sizeof(status)) ||
	    !lt_proc_field(status, "CapEff", value, sizeof(value)))
		return geteuid() == 0;
	return (strtoull(value, NULL, 16) >> cap & 1) != 0;
}

static bool runs_in_container(void)
{
	char text[4096];
	if (access("/.dockerenv", F_OK) == 0 || access("/run/.containerenv", F_OK) == 0 ||
	    getenv("KUBERNETES_SERVICE_HOST") != NULL)
		return true;
	if (!lt_proc_read("/proc/1/cgroup", text, sizeof(text)))
		return false;
	return strstr(text, "docker") != NULL || strstr(text, "kubepods") != NULL ||
	       strstr(text, "containerd") != NULL || strstr(text, "libpod") != NULL ||
	       strstr(text, "/lxc") != NULL;
}

void lt_permission_collect(pid_t pid, struct lt_permission *ret_facts)
{
	struct lt_permission facts = {.pid = pid, .own_uid = geteuid(), .ptrace_scope = -1};
	char path[64], text[4096], value[64];

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	if (lt_proc_read(path, text, sizeof(text)) &&
	    lt_proc_field(text, "Uid", value, sizeof(value))) {
		facts.target_known = true;
		facts.target_uid = (uid_t)strtoul(value, NULL, 10);
	}
	facts.has_ptrace_cap = has_own_cap(CAP_SYS_PTRACE);
	if (lt_proc_read("/proc/sys/kernel/yama/ptrace_scope", text, sizeof(text)))
		facts.ptrace_scope = atoi(text);
	facts.in_container = runs_in_container();

	struct stat own, other;
	snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
	if (stat("/proc/self/ns/user", &own) == 0 && stat(path, &other) == 0)
		facts.other_user_namespace =
			own.st_ino != other.st_ino || own.st_dev != other.st_dev;
	*ret_facts = facts;
}

static void name_user(uid_t uid, char *buffer, size_t capacity)
{
	const struct passwd *user = getpwuid(uid);
	if (user != NULL && user->pw_name[0] != '\0')
		snprintf(buffer, capacity, "%s", user->pw_name);
	else
		snprintf(buffer, capacity, "uid %u", (unsigned)uid);
}

enum lt_status lt_permission_explain(struct lt_session *session, const struct lt_permission *facts,
				     const char *action)
{
	int pid = (int)facts->pid;
	char owner[64], self[64];
	name_user(facts->target_uid, owner, sizeof(owner));
	name_user(facts->own_uid, self, sizeof(self));

	if (facts->ptrace_scope == 3) {
		lt_fail(session, LT_E_PERMISSION,
			"not permitted to %s process %d: kernel.yama.ptrace_scope is 3, nobody may "
			"trace here",
			action, pid);
		lt_remedy(
			session,
			"the value 3 holds until the next boot: set kernel.yama.ptrace_scope to 1 "
			"in /etc/sysctl.d and boot again");
	} else if (facts->own_uid == 0 && !facts->has_ptrace_cap) {
		lt_fail(session, LT_E_PERMISSION,
			"not permitted to %s process %d: lowtide runs as root, but without "
			"CAP_SYS_PTRACE",
			action, pid);
		lt_remedy(
			session,
			"give the container the capability: docker run --cap-add=SYS_PTRACE, or in "
			"Kubernetes securityContext.capabilities.add: [\"SYS_PTRACE\"]; or run "
			"lowtide "
			"as root on the host");
	} else if (facts->target_known && facts->target_uid != facts->own_uid &&
		   !facts->has_ptrace_cap) {
		lt_fail(session, LT_E_PERMISSION,
			"not permitted to %s process %d: it belongs to %s, lowtide runs as %s",
			action, pid, owner, self);
		lt_remedy(session, "run it with sudo, or as %s", owner);
	} else if (facts->ptrace_scope == 2 && !facts->has_ptrace_cap) {
		lt_fail(session, LT_E_PERMISSION,
			"not permitted to %s process %d: kernel.yama.ptrace_scope is 2, only "
			"CAP_SYS_PTRACE may",
			action, pid);
		lt_remedy(session, "run it with sudo");
	} else if (facts->ptrace_scope == 1 && !facts->has_ptrace_cap) {
		lt_fail(session, LT_E_PERMISSION,
			"not permitted to %s process %d: kernel.yama.ptrace_scope is 1, only a "
			"parent of the process may",
			action, pid);
		lt_remedy(session,
			  "run it with sudo%s, or allow it until the next boot: sudo sysctl "
			  "kernel.yama.ptrace_scope=0",
			  facts->in_container ? " or give the container CAP_SYS_PTRACE" : "");
	} else if (facts->other_user_namespace) {
		lt_fail(session, LT_E_PERMISSION,
			"not permitted to %s process %d: it lives in another user namespace (a "
			"rootless container)",
			action, pid);
		lt_remedy(session, "run lowtide as root on the host, or inside that container");
	} else if (!facts->has_ptrace_cap) {
		lt_fail(session, LT_E_PERMISSION,
			"not permitted to %s process %d: it is protected (it changed its user, or "
			"its program "
			"cannot be read)",
			action, pid);
		lt_remedy(session, "run it with sudo");
	} else {
		lt_fail(session, LT_E_PERMISSION,
			"not permitted to %s process %d: a security policy of this system forbids "
			"it",
			action, pid);
		lt_remedy(session,
			  "look for a seccomp profile, AppArmor or SELinux denial in the kernel "
			  "log%s",
			  facts->in_container
				  ? "; docker run --security-opt seccomp=unconfined tells which"
				  : "");
	}
	return LT_E_PERMISSION;
}

enum lt_status lt_permission_fail(struct lt_session *session, pid_t pid, int error,
				  const char *action)
{
	char state = '\0';
	bool exists = lt_proc_state(pid, &state);
	if (!exists && (kill(pid, 0) == 0 || errno != ESRCH)) {
		/* There, but not to be seen: /proc is mounted with hidepid. */
		lt_fail(session, LT_E_PERMISSION,
			"not permitted to %s process %d: /proc hides it from this user", action,
			(int)pid);
		lt_remedy(session, "run it with sudo");
		return LT_E_PERMISSION;
	}
	if (!exists)
		return lt_fail(session, LT_E_GONE, "there is no process %d", (int)pid);
	if (state == 'Z' || state == 'X')
		return lt_fail(session, LT_E_GONE,
			       "process %d has ended (its parent has not yet taken note)",
			       (int)pid);
	if (error == EPERM || error == EACCES) {
		struct lt_permission facts;
		lt_permission_collect(pid, &facts);
		return lt_permission_explain(session, &facts, action);
	}
	if (error == ENOENT || error == ESRCH)
		return lt_fail(session, LT_E_GONE, "process %d ended", (int)pid);
	return lt_fail_errno(session, LT_E_READ, error, "cannot %s process %d", action, (int)pid);
}
