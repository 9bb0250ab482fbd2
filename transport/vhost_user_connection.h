/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The connection to a vhost-user VMM.
 *
 * Theory of operation
 * -------------------
 * A message is a header of 12 bytes, a payload, and file descriptors that come
 * with the first byte of either.  No read goes beyond the message that is being
 * read, so it is always clear to which message a file descriptor belongs.  A file
 * descriptor that the message's handler does not take is closed after it.
 * Messages may be cut at any byte.
 *
 * While a reply waits for room in the socket, nothing is read.  So one reply
 * waits at most, and a VMM that does not read its replies stops only itself.
 */
#ifndef AEROSTAT_TRANSPORT_VHOST_USER_CONNECTION_H
#define AEROSTAT_TRANSPORT_VHOST_USER_CONNECTION_H

#include <stdbool.h>
#include <stddef.h>

#include "io/loop.h"
#include "transport/vhost_user_wire.h"

struct vhost_user;

struct vhost_user_message {
	struct vhost_user_header header;
	union vhost_user_payload payload;
	int fds[VHOST_USER_TABLE_MAX]; /* -1 once a handler owns it */
	unsigned int fd_count;
};

struct vhost_user_connection {
	struct loop_source socket;
	bool ended;

	struct vhost_user_message in;
	size_t in_bytes; /* how much of it has been read */
	/* A reply that did not fit into the socket, if out_size is not 0. */
	unsigned char out[sizeof(struct vhost_user_header) + sizeof(union vhost_user_payload)];
	size_t out_size, out_sent;
};

/* Ends the connection: tells the context's closed() why, which closes the transport later.  Does
 * nothing if it has ended already. */
__attribute__((format(printf, 2, 3))) void vhost_user_end(struct vhost_user *vu, const char *format,
							  ...);
/* Reads on; the message when it is complete, NULL when not or when the connection has ended. */
struct vhost_user_message *vhost_user_receive(struct vhost_user *vu);
/* Replies to @message with the first header.size bytes of its payload. */
void vhost_user_reply(struct vhost_user *vu, struct vhost_user_message *message);
/* Sends what is left of a reply; true when nothing is left. */
bool vhost_user_flush(struct vhost_user *vu);
/* Closes the file descriptors that nobody has taken. */
void vhost_user_close_fds(struct vhost_user_message *message);

#endif
