/* SPDX-License-Identifier: BSD-3-Clause */
/* Listening Unix sockets: creating them, and accepting connections in the loop. */
#ifndef AEROSTAT_IO_LISTENER_H
#define AEROSTAT_IO_LISTENER_H

#include "io/loop.h"

/*
 * listener_bind - create a Unix stream socket that listens at @path
 *
 * Only its owner may connect (mode 0600).  A socket file there on which no
 * process listens any more is replaced.  A process that listens there is given PEER_END_MS
 * (common/peer_process.h) to end: it may just have been killed.
 *
 * Returns the non-blocking descriptor, or -errno: -EADDRINUSE when another
 * process listens there, -EEXIST when the file is not a socket, -ELOOP when a
 * symbolic link of another user leads there, -ENAMETOOLONG, -EINVAL for an empty
 * path, or what the system reported.
 */
int listener_bind(const char *path);

/*
 * listener_claim - make this process the peer that clients of a listening socket see
 *
 * A client learns from SO_PEERCRED which process began to listen.  After a fork, or for a socket
 * that was passed on, that is another one.
 */
void listener_claim(int fd);

/* Explains an error of listener_bind(), with the remedy; to be printed after the path. */
const char *listener_bind_error(int error);

struct listener {
	struct loop *loop;
	struct loop_source source;
	struct loop_timer retry; /* runs while descriptors or memory are short */
	/* A client has connected; the callee owns @fd, which is non-blocking. */
	void (*accepted)(struct listener *listener, int fd);
};

/*
 * listener_start - accept connections
 * @listener: embedded by the caller; must not move until listener_stop()
 * @fd: a listening socket, which @listener owns on success; made non-blocking
 * @accepted: called for each connection
 *
 * Returns 0 or -errno.
 */
int listener_start(struct listener *listener, struct loop *loop, int fd,
		   void (*accepted)(struct listener *listener, int fd));
/* Stops accepting and closes the socket; does nothing if @listener was not started. */
void listener_stop(struct listener *listener);

#endif
