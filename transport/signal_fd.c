/* SPDX-License-Identifier: BSD-3-Clause */
#include "transport/signal_fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define SIGNALS_AT_ONCE 8 /* that are read of a pipe or socket in one call */

bool signal_fd_prepare(int fd, enum signal_fd_kind *kind)
{
	struct stat st;

	if (fstat(fd, &st))
		return false;
	if (!(st.st_mode & S_IFMT))
		*kind = SIGNAL_FD_EVENTFD; /* or another anonymous file, which cannot block */
	else if (S_ISFIFO(st.st_mode))
		*kind = SIGNAL_FD_PIPE;
	else if (S_ISSOCK(st.st_mode))
		*kind = SIGNAL_FD_SOCKET;
	else
		return false;
	return !fcntl(fd, F_SETFL, O_NONBLOCK);
}

/* True when @fd can be written to or read from without blocking; errno is EAGAIN or EPIPE if not.
 */
static bool is_ready(int fd, short event)
{
	struct pollfd poller = { .fd = fd, .events = event };

	errno = EAGAIN;
	if (poll(&poller, 1, 0) != 1)
		return false;
	errno = EPIPE;
	/* Data that is left in a pipe can be read after its writer has gone. */
	return poller.revents & event && (event == POLLIN || !(poller.revents & POLLERR));
}

bool signal_fd_send(int fd, enum signal_fd_kind kind)
{
	const uint64_t one = 1;
	ssize_t n;

	if (kind == SIGNAL_FD_SOCKET)
		n = send(fd, &one, sizeof(one), MSG_DONTWAIT | MSG_NOSIGNAL);
	else if (kind == SIGNAL_FD_PIPE && !is_ready(fd, POLLOUT))
		n = -1;
	else
		n = write(fd, &one, sizeof(one));
	return n >= 0 || errno == EAGAIN || errno == EINTR;
}

int signal_fd_receive(int fd, enum signal_fd_kind kind)
{
	uint64_t counts[SIGNALS_AT_ONCE];
	struct iovec iov = { .iov_base = counts, .iov_len = sizeof(counts) };
	ssize_t n;

	if (kind == SIGNAL_FD_SOCKET)
		n = recv(fd, counts, sizeof(counts), MSG_DONTWAIT);
	else if (kind == SIGNAL_FD_PIPE)
		n = is_ready(fd, POLLIN) ? read(fd, counts, sizeof(counts))
		    : errno == EPIPE	 ? 0
					 : -1;
	else
		n = preadv2(fd, &iov, 1, -1, RWF_NOWAIT);
	if (n > 0)
		return (int)n;
	return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}
