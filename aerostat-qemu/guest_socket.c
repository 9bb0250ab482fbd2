/* SPDX-License-Identifier: BSD-3-Clause */
#include "aerostat-qemu/guest_socket.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/peer_process.h"
#include "common/safe_folder.h"
#include "hypervisor/hypervisor.h"
#include "hypervisor/unix_listener.h"

#define POLL_MS 20

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

bool guest_socket_wait_free(const char *path, int64_t deadline)
{
	while (unix_listener_exists(path)) {
		if (g_get_monotonic_time() >= deadline)
			return false;
		poll(NULL, 0, POLL_MS);
	}
	return true;
}

/* Listens in a folder that is locked. */
static int guest_socket_listen(const struct sockaddr_un *address, GError **error)
{
	const char *path = address->sun_path;
	mode_t mask;
	int fd, bound;

	if (unix_listener_exists(path)) {
		errno = EADDRINUSE;
		return guest_socket_fail(-1, "listen on", path, error);
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return guest_socket_fail(-1, "create a socket for", path, error);
	unlink(path);
	mask = umask(0077);
	bound = bind(fd, (const struct sockaddr *)address, sizeof(*address));
	umask(mask);
	if (bound < 0 || listen(fd, SOMAXCONN) < 0)
		return guest_socket_fail(fd, "listen on", path, error);
	return fd;
}

int guest_socket_open(const char *path, GError **error)
{
	struct sockaddr_un address;
	const char *name;
	int fd, folder, lock;

	if (!guest_socket_make_address(path, &address)) {
		errno = ENAMETOOLONG;
		return guest_socket_fail(-1, "listen on", path, error);
	}
	folder = safe_folder_of(path, SAFE_FOLDER_CREATE, &name);
	if (folder < 0) {
		errno = -folder;
		return guest_socket_fail(-1, "use the directory of", path, error);
	}
	guest_socket_wait_free(path, hv_deadline_ms(PEER_END_MS));
	lock = safe_folder_lock(folder);
	close(folder);
	fd = guest_socket_listen(&address, error);
	if (lock >= 0)
		close(lock);
	return fd;
}
