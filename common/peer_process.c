/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/peer_process.h"

#include <errno.h>
#include <poll.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <unistd.h>

bool peer_process_await_end(int fd, int wait_ms)
{
	struct pollfd end = { .events = POLLIN };
	struct ucred peer;
	socklen_t size = sizeof(peer);
	int ready;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) || peer.pid <= 0 ||
	    peer.pid == getpid())
		return false;
	end.fd = pidfd_open(peer.pid, 0);
	if (end.fd < 0)
		return errno == ESRCH;
	do
		ready = poll(&end, 1, wait_ms);
	while (ready < 0 && errno == EINTR);
	close(end.fd);
	return ready > 0;
}
