/* SPDX-License-Identifier: BSD-3-Clause */
#include "aerostat-device/sockets.h"

#include <fcntl.h>
#include <sys/socket.h>

#include "io/listener.h"

/* 1: it listens, 0: it is connected, -1: it is not a stream socket. */
static int is_listening_socket(int fd)
{
	int listening = 0, type = 0;
	socklen_t length = sizeof(int);

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) || type != SOCK_STREAM)
		return -1;
	length = sizeof(int);
	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) ? -1 : listening;
}

static bool bind_socket(struct log *log, const char *path, int *fd)
{
	*fd = listener_bind(path);
	if (*fd >= 0)
		return true;
	log_line(log, LOG_LEVEL_ERROR, "cannot listen at %s: %s", path, listener_bind_error(*fd));
	return false;
}

static bool open_vmm_socket(struct device_sockets *sockets, const struct device_options *options,
			    struct log *log)
{
	int listening;

	if (options->socket_path)
		return bind_socket(log, options->socket_path, &sockets->vmm_fd);
	sockets->vmm_fd = options->fd;
	listening = is_listening_socket(options->fd);
	if (listening < 0) {
		log_line(log, LOG_LEVEL_ERROR,
			 "descriptor %d is not a stream socket; --fd needs one that listens or is "
			 "connected to a VMM",
			 options->fd);
		return false;
	}
	sockets->vmm_connected = !listening;
	fcntl(options->fd, F_SETFD, FD_CLOEXEC);
	return true;
}

static bool open_control_socket(struct device_sockets *sockets,
				const struct device_options *options, struct log *log)
{
	if (options->control_path)
		return bind_socket(log, options->control_path, &sockets->control_fd);
	sockets->control_fd = options->control_fd;
	if (options->control_fd < 0)
		return true;
	if (is_listening_socket(options->control_fd) != 1) {
		log_line(log, LOG_LEVEL_ERROR,
			 "descriptor %d does not listen; --control-fd needs a socket that does",
			 options->control_fd);
		return false;
	}
	fcntl(options->control_fd, F_SETFD, FD_CLOEXEC);
	return true;
}

bool sockets_open(struct device_sockets *sockets, const struct device_options *options,
		  struct log *log)
{
	*sockets = (struct device_sockets){ .vmm_fd = -1, .control_fd = -1 };
	return open_vmm_socket(sockets, options, log) && open_control_socket(sockets, options, log);
}

void sockets_claim(const struct device_sockets *sockets)
{
	if (!sockets->vmm_connected)
		listener_claim(sockets->vmm_fd);
	if (sockets->control_fd >= 0)
		listener_claim(sockets->control_fd);
}
