/* SPDX-License-Identifier: BSD-3-Clause */
/* The listening socket.  It listens only once its group and mode are set. */
#include "aerostatd/api_private.h"

#include <errno.h>
#include <grp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/peer_process.h"
#include "common/safe_folder.h"

#define SOCKET_MODE 0660
#define BACKLOG 256

/* Sets @error from errno: "cannot @what PATH: reason".  Returns false. */
static bool set_socket_error(GError **error, const char *path, const char *what)
{
	int reason = errno;

	g_set_error(error, G_IO_ERROR, (int)g_io_error_from_errno(reason), "cannot %s %s: %s", what,
		    path, g_strerror(reason));
	return false;
}

/* Why a connection to @address fails, as an errno; 0 if it does not, or -1 with an errno. */
static int probe_socket(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int reason = 0;

	if (fd < 0)
		return -1;
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)))
		reason = errno;
	else if (peer_process_await_end(fd, PEER_END_MS))
		reason = ECONNREFUSED;
	close(fd);
	return reason;
}

/* Removes a socket that nobody listens on.  True when nothing is in the way. */
static bool clear_socket_path(const struct sockaddr_un *address, GError **error)
{
	const char *path = address->sun_path;
	struct stat found;
	int reason;

	if (lstat(path, &found))
		return errno == ENOENT || set_socket_error(error, path, "listen on");
	if (!S_ISSOCK(found.st_mode)) {
		g_set_error(error, G_IO_ERROR, G_IO_ERROR_EXISTS,
			    "%s exists and is not a socket; move it away or use another path",
			    path);
		return false;
	}
	reason = probe_socket(address);
	if (reason < 0)
		return set_socket_error(error, path, "check who listens on");
	if (reason == ECONNREFUSED)
		return !unlink(path) || errno == ENOENT ||
		       set_socket_error(error, path, "remove the unused socket");
	/* EAGAIN: there is a listener, whose queue is full. */
	errno = reason;
	if (reason && reason != EAGAIN)
		return set_socket_error(error, path, "check who listens on");
	g_set_error(error, G_IO_ERROR, G_IO_ERROR_ADDRESS_IN_USE,
		    "another daemon listens on %s; stop it or use another socket", path);
	return false;
}

bool api_socket_set_group(const struct api_socket *sock, const char *group, GError **error)
{
	const struct group *found = group ? getgrnam(group) : NULL;

	if (group && !found) {
		g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
			    "[api] group: there is no group '%s'", group);
		return false;
	}
	if (lchown(sock->path, (uid_t)-1, found ? found->gr_gid : getegid()))
		return set_socket_error(error, sock->path, "set the group of");
	return true;
}

/* Makes the bound @fd the listener. */
static bool listen_on_socket(struct api_socket *sock, int fd, const char *group, GError **error)
{
	struct stat made;

	if (lstat(sock->path, &made))
		return set_socket_error(error, sock->path, "listen on");
	sock->device = made.st_dev;
	sock->inode = made.st_ino;
	if (!api_socket_set_group(sock, group, error))
		return false;
	if (listen(fd, BACKLOG))
		return set_socket_error(error, sock->path, "listen on");
	sock->listener = g_socket_new_from_fd(fd, error);
	return sock->listener;
}

/* The lock of the folder of @path, until it is closed; -1: there is none. */
static int lock_folder_of(const char *path)
{
	const char *name;
	int lock, folder = safe_folder_of(path, 0, &name);

	if (folder < 0)
		return -1;
	lock = safe_folder_lock(folder);
	close(folder);
	return lock;
}

static bool open_at_address(struct api_socket *sock, const struct sockaddr_un *address,
			    const char *group, GError **error)
{
	const char *path = address->sun_path;
	mode_t mask;
	int fd, bound;

	if (!clear_socket_path(address, error))
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return set_socket_error(error, path, "listen on");
	/* By the umask, since chmod() would follow what has taken the socket's place meanwhile. */
	mask = umask(0777 & ~SOCKET_MODE);
	bound = bind(fd, (const struct sockaddr *)address, sizeof(*address));
	umask(mask);
	if (bound)
		set_socket_error(error, path, "listen on");
	else if (listen_on_socket(sock, fd, group, error))
		return true;
	close(fd);
	return false;
}

bool api_socket_open(struct api_socket *sock, const char *path, const char *group, GError **error)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	bool ok;
	int lock;

	sock->path = g_strdup(path);
	if (!*path || strlen(path) >= sizeof(address.sun_path)) {
		g_set_error(error, G_IO_ERROR, G_IO_ERROR_FILENAME_TOO_LONG,
			    "the socket path '%s' must have 1 to %zu bytes", path,
			    sizeof(address.sun_path) - 1);
		return false;
	}
	strcpy(address.sun_path, path);
	lock = lock_folder_of(path);
	ok = open_at_address(sock, &address, group, error);
	if (lock >= 0)
		close(lock);
	return ok;
}

void api_socket_close(struct api_socket *sock)
{
	struct stat found;

	if (sock->inode && !lstat(sock->path, &found) && found.st_dev == sock->device &&
	    found.st_ino == sock->inode)
		unlink(sock->path);
	g_clear_object(&sock->listener);
	g_clear_pointer(&sock->path, g_free);
}
