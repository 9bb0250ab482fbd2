/* SPDX-License-Identifier: BSD-3-Clause */
#include "aerostat-device/systemd.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define FIRST_FD 3
#define FDS_MAX 16

void systemd_find_sockets(struct device_options *options)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	const char *name = getenv("LISTEN_FDNAMES");
	int count = fds ? atoi(fds) : 0;
	int vmm = -1, control = -1;

	if (!pid || atoi(pid) != getpid())
		return;
	if (!name)
		name = "";
	for (int i = 0; i < count && i < FDS_MAX; i++) {
		size_t length = strcspn(name, ":");

		if (length == strlen("control") && !strncmp(name, "control", length))
			control = FIRST_FD + i;
		else if (vmm < 0)
			vmm = FIRST_FD + i;
		name += length;
		name += *name == ':';
	}
	if (!options->socket_path && options->fd < 0)
		options->fd = vmm;
	if (!options->control_path && options->control_fd < 0)
		options->control_fd = control;
}

int systemd_open_notify_socket(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const char *path = getenv("NOTIFY_SOCKET");
	size_t length = path ? strlen(path) : 0;
	int fd;

	if (length < 2 || length >= sizeof(address.sun_path))
		return -1;
	memcpy(address.sun_path, path, length);
	if (*path == '@')
		address.sun_path[0] = '\0'; /* an abstract address */
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	length += offsetof(struct sockaddr_un, sun_path);
	if (!connect(fd, (const struct sockaddr *)&address, (socklen_t)length))
		return fd;
	close(fd);
	return -1;
}

void systemd_notify_ready(int fd)
{
	static const char ready[] = "READY=1\n";

	if (fd < 0)
		return;
	/* If the socket is full, the service manager waits until its own timeout. */
	(void)!send(fd, ready, sizeof(ready) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	close(fd);
}
