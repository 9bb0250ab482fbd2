/* SPDX-License-Identifier: BSD-3-Clause */
/* A process whose socket is still there when somebody looks, and which ends then. */
#ifndef AEROSTAT_TESTS_ENDING_LISTENER_H
#define AEROSTAT_TESTS_ENDING_LISTENER_H

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/fork_dependent.h"

/* Listens at @path and ends, as by SIGKILL, at the first connection; the caller reaps it.  -1: no
 * process. */
static inline pid_t start_ending_listener(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct pollfd connection = { .events = POLLIN };
	int ready[2];
	char byte;
	pid_t pid;

	if (pipe(ready))
		return -1;
	pid = fork_dependent();
	if (pid == 0) {
		strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
		connection.fd = socket(AF_UNIX, SOCK_STREAM, 0);
		if (bind(connection.fd, (struct sockaddr *)&address, sizeof(address)) ||
		    listen(connection.fd, 1) || write(ready[1], "", 1) != 1)
			_exit(1);
		poll(&connection, 1, -1);
		_exit(0);
	}
	if (read(ready[0], &byte, 1) != 1)
		pid = -1;
	close(ready[0]);
	close(ready[1]);
	return pid;
}

#endif
