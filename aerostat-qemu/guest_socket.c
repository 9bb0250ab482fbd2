/* SPDX-License-Identifier: BSD-3-Clause */
#include "aerostat-qemu/guest_socket.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "hypervisor/hypervisor.h"

#define POLL_MS 20
#define ACCEPTS 0x10000u /* __SO_ACCEPTCON: it listens */

static bool guest_socket_make_address(const char *path, struct sockaddr_un *address)
{
	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	return g_strlcpy(address->sun_path, path, sizeof(address->sun_path)) <
	       sizeof(address->sun_path);
}

static int guest_socket_fail(int fd, const char *what, const char *path, GError **error)
{
	int reason = errno;

	g_set_error(error, HV_ERROR, HV_ERROR_FAILED, "cannot %s %s: %s", what, path,
		    g_strerror(reason));
	if (fd >= 0)
		close(fd);
	return -1;
}

int guest_socket_open(const char *path, GError **error)
{
	g_autofree char *folder = g_path_get_dirname(path);
	struct sockaddr_un address;
	mode_t mask;
	int fd, bound;

	if (!guest_socket_make_address(path, &address)) {
		errno = ENAMETOOLONG;
		return guest_socket_fail(-1, "listen on", path, error);
	}
	if (g_mkdir_with_parents(folder, 0755) < 0)
		return guest_socket_fail(-1, "make the folder", folder, error);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return guest_socket_fail(-1, "make a socket for", path, error);
	unlink(path);
	mask = umask(0077);
	bound = bind(fd, (struct sockaddr *)&address, sizeof(address));
	umask(mask);
	if (bound < 0 || listen(fd, SOMAXCONN) < 0)
		return guest_socket_fail(fd, "listen on", path, error);
	return fd;
}

/* Not by connecting to it, which would be taken for a guest's QEMU. */
static bool guest_socket_is_served(const char *path)
{
	g_autofree char *text = NULL;
	g_auto(GStrv) lines = NULL;

	if (!g_file_get_contents("/proc/net/unix", &text, NULL, NULL))
		return false;
	lines = g_strsplit(text, "\n", -1);
	for (char **line = lines; *line; line++) {
		unsigned int flags;
		int end = 0;

		/* Num: RefCount Protocol Flags Type St Inode Path */
		if (sscanf(*line, "%*s %*s %*s %x %*s %*s %*s %n", &flags, &end) == 1 && end &&
		    flags & ACCEPTS && !strcmp(*line + end, path))
			return true;
	}
	return false;
}

bool guest_socket_wait_free(const char *path, int64_t deadline)
{
	while (guest_socket_is_served(path)) {
		if (g_get_monotonic_time() >= deadline)
			return false;
		poll(NULL, 0, POLL_MS);
	}
	return true;
}
