/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The process that a monitor's clients take for its QEMU: a child that listens, hands the
 * listening sockets over, and from then on only is there.
 */
#include "tests/fakes/fake_guests.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define BACKLOG 1 /* as QEMU's */

static int listen_at(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || strlen(path) >= sizeof(address.sun_path)) {
		errno = fd < 0 ? errno : ENAMETOOLONG;
		return -1;
	}
	memcpy(address.sun_path, path, strlen(path));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, BACKLOG) < 0)
		return -1;
	return fd;
}

union one_fd {
	char bytes[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

/* @value is sent along; with @fd, unless negative. */
static void send_fd(int to, int value, int fd)
{
	union one_fd control = { 0 };
	struct iovec data = { &value, sizeof(value) };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1 };

	if (fd >= 0) {
		struct cmsghdr *header = &control.align;

		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
		*header = (struct cmsghdr){ CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
		memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	}
	if (sendmsg(to, &message, MSG_NOSIGNAL) < 0)
		_exit(EXIT_FAILURE);
}

/* 0 and *@fd, or the errno that the keeper met. */
static int receive_fd(int from, int *fd)
{
	union one_fd control = { 0 };
	int value = EPIPE;
	struct iovec data = { &value, sizeof(value) };
	struct msghdr message = { .msg_iov = &data,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };

	if (recvmsg(from, &message, MSG_CMSG_CLOEXEC) <= 0 || value)
		return value;
	if (!CMSG_FIRSTHDR(&message))
		return EMFILE;
	memcpy(fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(*fd));
	return 0;
}

static void keep(char *const *paths, unsigned int count, int to, pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(EXIT_FAILURE);
	dup2(to, STDERR_FILENO + 1);
	close_range(STDERR_FILENO + 2, ~0U, 0);
	for (unsigned int i = 0; i < count; i++) {
		int fd = listen_at(paths[i]);

		send_fd(STDERR_FILENO + 1, fd < 0 ? errno : 0, fd);
		if (fd >= 0)
			close(fd);
	}
	close_range(0, ~0U, 0);
	for (;;)
		pause();
}

pid_t keeper_listen(char *const *paths, unsigned int count, int *fds, GError **error)
{
	pid_t parent = getpid(), pid;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0 || (pid = fork()) < 0) {
		g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(errno),
			    "no process to listen: %s", g_strerror(errno));
		return -1;
	}
	if (pid == 0)
		keep(paths, count, pair[1], parent);
	close(pair[1]);
	for (unsigned int i = 0; i < count; i++) {
		int failed = receive_fd(pair[0], &fds[i]);

		if (!failed)
			continue;
		g_set_error(error, G_FILE_ERROR, g_file_error_from_errno(failed),
			    "cannot listen at %s: %s", paths[i], g_strerror(failed));
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		pid = -1;
		break;
	}
	close(pair[0]);
	return pid;
}
