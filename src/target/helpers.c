#include "target/helpers.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void await_exit(pid_t *pid)
{
	if (*pid > 0)
		while (waitpid(*pid, NULL, 0) < 0 && errno == EINTR)
			;
	*pid = 0;
}

enum lt_status lt_helpers_start(struct lt_session *session, const struct lt_helpers_work *work,
				struct lt_helpers *ret_helpers)
{
	int sockets[2], notes[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) != 0)
		return lt_fail_errno(session, LT_E_INTERNAL, errno,
				     "no socket for the guard process");
	if (pipe2(notes, O_CLOEXEC) != 0) {
		int error = errno;
		close(sockets[0]);
		close(sockets[1]);
		return lt_fail_errno(session, LT_E_INTERNAL, error,
				     "no pipe for the guard process");
	}
	sigset_t all, before;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	struct lt_helpers helpers = {.socket = -1};
	int error = 0;
	helpers.janitor = fork();
	if (helpers.janitor == 0) {
		close(sockets[0]);
		close(sockets[1]);
		close(notes[1]);
		work->janitor(work->ctx, notes[0]);
		_exit(0);
	}
	if (helpers.janitor > 0)
		helpers.guard = fork();
	if (helpers.janitor > 0 && helpers.guard == 0) {
		close(sockets[0]);
		close(notes[0]);
		work->guard(work->ctx, sockets[1], notes[1]);
		_exit(0);
	}
	if (helpers.janitor < 0 || helpers.guard < 0)
		error = errno;
	sigprocmask(SIG_SETMASK, &before, NULL);
	close(sockets[1]);
	close(notes[0]);
	close(notes[1]);
	if (error != 0) {
		close(sockets[0]);
		await_exit(&helpers.janitor); /* its pipe has ended: it ends too */
		return lt_fail_errno(session, LT_E_INTERNAL, error, "no guard process");
	}
	helpers.socket = sockets[0];
	*ret_helpers = helpers;
	return LT_OK;
}

void lt_helpers_finish(struct lt_helpers *helpers)
{
	if (helpers->socket >= 0)
		close(helpers->socket);
	helpers->socket = -1;
	await_exit(&helpers->guard);
	await_exit(&helpers->janitor);
}

bool lt_helpers_receive(const struct lt_helpers *helpers, void *reply, size_t size, int *ret_fd)
{
	struct iovec io = {reply, size};
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr message = {.msg_iov = &io,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control)};
	ssize_t got;
	do
		got = recvmsg(helpers->socket, &message, MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got != (ssize_t)size)
		return false;
	const struct cmsghdr *head = CMSG_FIRSTHDR(&message);
	if (head != NULL && head->cmsg_type == SCM_RIGHTS)
		memcpy(ret_fd, CMSG_DATA(head), sizeof(*ret_fd));
	return true;
}

void lt_helper_stand_apart(const char *name)
{
	sigset_t all;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	signal(SIGCHLD, SIG_DFL);
	setsid();
	prctl(PR_SET_NAME, name);
	/* Whoever reads what lowtide writes waits for lowtide's end, not for that of its helpers. */
	LT_CLOSE int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int standard = 0; nowhere >= 0 && standard <= STDERR_FILENO; standard++)
		dup2(nowhere, standard);
	LT_CLOSE int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd >= 0 && write(fd, "-1000", 5) < 0) {
		/* It takes a privilege; without it the score stays what it is. */
	}
}

bool lt_helper_send(int socket, const void *reply, size_t size, int fd)
{
	struct iovec io = {(void *)(uintptr_t)reply, size};
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct msghdr message = {.msg_iov = &io, .msg_iovlen = 1};
	if (fd >= 0) {
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
		struct cmsghdr *head = CMSG_FIRSTHDR(&message);
		head->cmsg_level = SOL_SOCKET;
		head->cmsg_type = SCM_RIGHTS;
		head->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(head), &fd, sizeof(fd));
	}
	return sendmsg(socket, &message, MSG_NOSIGNAL) == (ssize_t)size;
}

bool lt_helper_left_alone(int socket)
{
	struct pollfd wait = {.fd = socket, .events = POLLRDHUP};
	return poll(&wait, 1, 0) > 0 && (wait.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

void lt_helper_pause(unsigned ms)
{
	struct timespec wait = {ms / 1000, (long)(ms % 1000) * 1000000};
	nanosleep(&wait, NULL);
}
