/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Listening sockets: how they come to be, and who connects.
 */
#ifndef AEROSTAT_TRANSPORT_LISTENER_H
#define AEROSTAT_TRANSPORT_LISTENER_H

#include "io/loop.h"

/*
 * listener_bind - a Unix socket that listens at @path, for its owner alone
 *
 * A socket there that nobody listens on any more is replaced.  The fd, or
 * -errno: -EADDRINUSE when somebody listens, -EEXIST when it is no socket,
 * -ENAMETOOLONG, or what the system said.
 */
int listener_bind(const char *path);

/* What is wrong, to stand behind the path. */
const char *listener_bind_error(int error);

struct listener {
	struct loop *loop;
	struct loop_source source;
	struct loop_timer retry; /* when there are no descriptors to be had */
	/* Somebody connected; @fd does not block, and is the receiver's. */
	void (*accepted)(struct listener *listener, int fd);
};

/* Takes over @fd, which listens, on success; 0 or -errno. */
int listener_start(struct listener *listener, struct loop *loop, int fd,
		   void (*accepted)(struct listener *listener, int fd));
void listener_stop(struct listener *listener);

#endif
