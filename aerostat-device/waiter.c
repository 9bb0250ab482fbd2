/* SPDX-License-Identifier: BSD-3-Clause */
#include "aerostat-device/waiter.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "aerostat-device/systemd.h"

#define WAITER_FDS 3

struct waiter {
	pid_t device;
	int signal_fd;
	int notify_fd; /* to the service manager; -1: none */
	int relay_fd;  /* readable once the device is ready; -1: none */
};

/* The signals that the waiter receives, and of these those that it passes on. */
static void set_waiter_signals(sigset_t *signals)
{
	sigemptyset(signals);
	sigaddset(signals, SIGTERM);
	sigaddset(signals, SIGINT);
	sigaddset(signals, SIGCHLD);
}

static void end_as(int status)
{
	sigset_t all;

	if (!WIFSIGNALED(status))
		_exit(WEXITSTATUS(status));
	signal(WTERMSIG(status), SIG_DFL);
	sigfillset(&all);
	sigprocmask(SIG_UNBLOCK, &all, NULL);
	raise(WTERMSIG(status));
	_exit(128 + WTERMSIG(status));
}

static void relay_signal(const struct waiter *waiter)
{
	struct signalfd_siginfo info;
	int status;

	if (read(waiter->signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo != SIGCHLD)
		kill(waiter->device, (int)info.ssi_signo);
	else if (waitpid(waiter->device, &status, WNOHANG) == waiter->device)
		end_as(status);
}

/* Only that something came counts, not what: the device may be in an attacker's hands. */
static void relay_readiness(struct waiter *waiter)
{
	char byte;

	if (recv(waiter->relay_fd, &byte, sizeof(byte), MSG_DONTWAIT) > 0)
		systemd_notify_ready(waiter->notify_fd);
	close(waiter->relay_fd);
	waiter->relay_fd = waiter->notify_fd = -1;
}

/* Moves @*fd to the number @to, which is below WAITER_FDS. */
static void place_waiter_fd(int *fd, int to)
{
	if (*fd < 0) {
		close(to);
	} else {
		dup2(*fd, to);
		*fd = to;
	}
}

/*
 * Closes all that belongs to the device, so that its sockets close when it ends.  Standard error
 * too: whoever reads it waits for its end.
 */
static void keep_own_fds(struct waiter *waiter)
{
	int *fds[WAITER_FDS] = { &waiter->signal_fd, &waiter->notify_fd, &waiter->relay_fd };

	/* First above all targets, since standard descriptors may be closed. */
	for (int i = 0; i < WAITER_FDS; i++)
		if (*fds[i] >= 0)
			*fds[i] = fcntl(*fds[i], F_DUPFD, WAITER_FDS);
	for (int i = 0; i < WAITER_FDS; i++)
		place_waiter_fd(fds[i], i);
	close_range(WAITER_FDS, ~0U, 0);
}

static void wait_for_device(struct waiter *waiter)
{
	keep_own_fds(waiter);
	for (;;) {
		struct pollfd fds[] = {
			{ .fd = waiter->signal_fd, .events = POLLIN },
			{ .fd = waiter->relay_fd, .events = POLLIN },
		};

		if (poll(fds, 2, -1) < 0)
			continue;
		/* First, since a device that has ended may have been ready before. */
		if (fds[1].revents)
			relay_readiness(waiter);
		if (fds[0].revents)
			relay_signal(waiter);
	}
}

/* In the child: dies with the waiter, also if that has died already. */
static void follow_waiter(int waiter_pidfd)
{
	struct pollfd ended = { .fd = waiter_pidfd, .events = POLLIN };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (poll(&ended, 1, 0) != 0)
		_exit(1);
	close(waiter_pidfd);
}

static bool open_waiter_fds(struct waiter *waiter, const sigset_t *signals, int *relay,
			    int *waiter_pidfd)
{
	waiter->signal_fd = signalfd(-1, signals, SFD_CLOEXEC | SFD_NONBLOCK);
	*waiter_pidfd = pidfd_open(getpid(), 0);
	return waiter->signal_fd >= 0 && *waiter_pidfd >= 0 &&
	       (waiter->notify_fd < 0 || !socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, relay));
}

static void close_waiter_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

int waiter_fork(int *notify_fd)
{
	struct waiter waiter = { .notify_fd = notify_fd ? *notify_fd : -1 };
	int relay[2] = { -1, -1 }, pidfd, error = 0;
	sigset_t signals, before;

	set_waiter_signals(&signals);
	sigprocmask(SIG_BLOCK, &signals, &before);
	if (open_waiter_fds(&waiter, &signals, relay, &pidfd))
		waiter.device = fork();
	else
		waiter.device = -1;
	if (waiter.device < 0)
		error = -errno;
	if (waiter.device > 0) {
		waiter.relay_fd = relay[0];
		wait_for_device(&waiter);
	}
	close_waiter_fd(waiter.signal_fd);
	close_waiter_fd(relay[0]);
	if (error) {
		close_waiter_fd(relay[1]);
		close_waiter_fd(pidfd);
		sigprocmask(SIG_SETMASK, &before, NULL);
		return error;
	}
	follow_waiter(pidfd);
	/* SIGTERM stays blocked: the kernel drops a signal for process 1 that is not. */
	sigemptyset(&signals);
	sigaddset(&signals, SIGCHLD);
	sigprocmask(SIG_UNBLOCK, &signals, NULL);
	if (relay[1] >= 0) {
		close(*notify_fd);
		*notify_fd = relay[1];
	}
	return 0;
}
