/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/standard_streams.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

int standard_streams_open(void)
{
	/* open() returns the lowest number that is free. */
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0)
			return -errno;
	return 0;
}

/* Whether standard output is a pipe or socket that nobody reads from any more. */
static bool has_lost_reader(void)
{
	struct pollfd output = { .fd = STDOUT_FILENO, .events = POLLOUT };

	return poll(&output, 1, 0) == 1 && output.revents & (POLLERR | POLLHUP);
}

int standard_streams_finish(void)
{
	bool failed = ferror(stdout);

	errno = 0;
	if (!fflush(stdout) && !failed)
		return 0;
	if (errno == EPIPE || has_lost_reader())
		return 0;
	return errno ? -errno : -EIO;
}
