/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/peer_process.h"
#include "common/safe_folder.h"

#define BACKLOG 16
#define RETRY_NS UINT64_C(1000000000)
#define LISTENER_OF(pointer, member)                                                               \
	((struct listener *)((char *)(pointer)-offsetof(struct listener, member)))

/* The connected socket, or -1 with errno. */
static int connect_to_listener(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int saved;

	if (fd < 0 || connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

/* Removes the file at @address if it is a socket on which no process listens; 0 or -errno. */
static int unlink_unused_socket(const struct sockaddr_un *address)
{
	struct stat st;
	int fd;

	if (lstat(address->sun_path, &st))
		return -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = connect_to_listener(address);
	if (fd >= 0 && peer_process_await_end(fd, PEER_END_MS)) {
		close(fd);
		fd = connect_to_listener(address);
	}
	if (fd >= 0) {
		close(fd);
		return -EADDRINUSE;
	}
	/* A listener whose queue is full is busy; any other error but a refusal is no answer. */
	if (errno != ECONNREFUSED)
		return errno == EAGAIN ? -EADDRINUSE : -errno;
	return unlink(address->sun_path) ? -errno : 0;
}

/* Binds with a umask that lets only the owner connect; 0 or -errno. */
static int bind_privately(int fd, const struct sockaddr_un *address)
{
	mode_t before = umask(0177);
	int error = bind(fd, (const struct sockaddr *)address, sizeof(*address)) ? -errno : 0;

	umask(before);
	return error;
}

/* The listening socket, or -errno. */
static int listen_at_address(const struct sockaddr_un *address)
{
	int error, fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	error = bind_privately(fd, address);
	if (error == -EADDRINUSE) {
		error = unlink_unused_socket(address);
		if (!error)
			error = bind_privately(fd, address);
	}
	if (!error && listen(fd, BACKLOG))
		error = -errno;
	if (!error)
		return fd;
	close(fd);
	return error;
}

int listener_bind(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const char *name;
	int fd, folder, lock;

	if (!*path)
		return -EINVAL; /* Linux would choose an abstract name */
	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	/* No symbolic link of another user may lead there; bind() follows none at the end. */
	folder = safe_folder_of(path, 0, &name);
	if (folder < 0)
		return folder;
	lock = safe_folder_lock(folder);
	close(folder);
	strcpy(address.sun_path, path);
	fd = listen_at_address(&address);
	if (lock >= 0)
		close(lock);
	return fd;
}

void listener_claim(int fd)
{
	(void)listen(fd, BACKLOG);
}

const char *listener_bind_error(int error)
{
	switch (-error) {
	case EINVAL:
		return "the path is empty; name the socket to create";
	case ENAMETOOLONG:
		return "too long; the path of a socket has at most 107 bytes";
	case EADDRINUSE:
		return "another process listens there; stop it, or choose another path";
	case EEXIST:
		return "a file that is not a socket is there; choose another path";
	case ENOENT:
	case ENOTDIR:
		return "its directory does not exist; create it first";
	case ELOOP:
		return "a symbolic link on the way belongs to another user; use a path without it";
	case EACCES:
	case EPERM:
		return "permission denied; choose a directory that you may write to";
	default:
		return strerror(-error);
	}
}

/* Without descriptors the socket would stay ready, and the loop would spin. */
static void pause_listening(struct listener *listener)
{
	loop_change(listener->loop, &listener->source, 0);
	listener->retry.due_ns = loop_now_ns() + RETRY_NS;
}

static void resume_listening(struct loop_timer *timer)
{
	struct listener *listener = LISTENER_OF(timer, retry);

	loop_change(listener->loop, &listener->source, EPOLLIN);
}

static void accept_client(struct loop_source *source, uint32_t events)
{
	struct listener *listener = LISTENER_OF(source, source);
	int fd = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd >= 0)
		listener->accepted(listener, fd);
	else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
		pause_listening(listener);
}

int listener_start(struct listener *listener, struct loop *loop, int fd,
		   void (*accepted)(struct listener *listener, int fd))
{
	int error;

	*listener = (struct listener){
		.loop = loop,
		.source = { .fd = fd, .ready = accept_client },
		.retry = { .due_ns = LOOP_NEVER, .due = resume_listening },
		.accepted = accepted,
	};
	/* An inherited socket may block: accept4() would hang if the client has left meanwhile. */
	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK))
		return -errno;
	error = loop_add(loop, &listener->source, EPOLLIN);
	if (!error)
		loop_add_timer(loop, &listener->retry);
	return error;
}

void listener_stop(struct listener *listener)
{
	if (!listener->source.added)
		return;
	loop_remove(listener->loop, &listener->source);
	loop_remove_timer(listener->loop, &listener->retry);
	close(listener->source.fd);
}
