/* SPDX-License-Identifier: BSD-3-Clause */
#include "transport/vhost_user_connection.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "transport/vhost_user.h"

#define HEADER_BYTES sizeof(struct vhost_user_header)

void vhost_user_close_fds(struct vhost_user_message *message)
{
	for (unsigned int i = 0; i < message->fd_count; i++)
		if (message->fds[i] >= 0)
			close(message->fds[i]);
	message->fd_count = 0;
}

void vhost_user_end(struct vhost_user *vu, const char *format, ...)
{
	char why[160];
	va_list arguments;

	if (vu->connection.ended)
		return;
	vu->connection.ended = true;
	loop_remove(vu->context.loop, &vu->connection.socket);
	va_start(arguments, format);
	vsnprintf(why, sizeof(why), format, arguments);
	va_end(arguments);
	vu->context.closed(vu->context.data, why);
}

bool vhost_user_flush(struct vhost_user *vu)
{
	struct vhost_user_connection *connection = &vu->connection;

	while (connection->out_sent < connection->out_size) {
		ssize_t n = send(connection->socket.fd, connection->out + connection->out_sent,
				 connection->out_size - connection->out_sent,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n >= 0) {
			connection->out_sent += (size_t)n;
		} else if (errno == EAGAIN) {
			return false;
		} else if (errno != EINTR) {
			vhost_user_end(vu, "sending a reply failed: %s", strerror(errno));
			return false;
		}
	}
	connection->out_size = connection->out_sent = 0;
	return true;
}

void vhost_user_reply(struct vhost_user *vu, struct vhost_user_message *message)
{
	struct vhost_user_connection *connection = &vu->connection;
	size_t size = message->header.size;

	message->header.flags = VHOST_USER_VERSION | VHOST_USER_REPLY;
	memcpy(connection->out, &message->header, HEADER_BYTES);
	memcpy(connection->out + HEADER_BYTES, &message->payload, size);
	connection->out_size = HEADER_BYTES + size;
	if (!vhost_user_flush(vu) && !connection->ended)
		loop_change(vu->context.loop, &connection->socket, EPOLLOUT);
}

/* Takes over the file descriptors of one read; false when a message has too many. */
static bool collect_message_fds(struct vhost_user_message *message, struct msghdr *received)
{
	bool fit = !(received->msg_flags & MSG_CTRUNC);

	for (struct cmsghdr *item = CMSG_FIRSTHDR(received); item;
	     item = CMSG_NXTHDR(received, item)) {
		if (item->cmsg_level != SOL_SOCKET || item->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = 0; CMSG_LEN(at + sizeof(int)) <= item->cmsg_len;
		     at += sizeof(int)) {
			int fd;

			memcpy(&fd, CMSG_DATA(item) + at, sizeof(fd));
			if (message->fd_count < VHOST_USER_TABLE_MAX) {
				message->fds[message->fd_count++] = fd;
			} else {
				close(fd);
				fit = false;
			}
		}
	}
	return fit;
}

/* Reads at most @size bytes; returns how many, 0 when there are none now or ever. */
static size_t receive_part(struct vhost_user *vu, void *to, size_t size)
{
	union {
		char bytes[CMSG_SPACE(VHOST_USER_TABLE_MAX * sizeof(int))];
		struct cmsghdr aligned;
	} control;
	struct iovec iov = { .iov_base = to, .iov_len = size };
	struct msghdr received = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	ssize_t n = recvmsg(vu->connection.socket.fd, &received, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			vhost_user_end(vu, "receiving failed: %s", strerror(errno));
		return 0;
	}
	vu->transport.heard |= n > 0;
	if (!collect_message_fds(&vu->connection.in, &received))
		vhost_user_end(vu, "a message with more than %d file descriptors",
			       VHOST_USER_TABLE_MAX);
	else if (n == 0)
		vhost_user_end(vu, vu->connection.in_bytes
					   ? "the VMM closed the connection within a message"
					   : "the VMM closed the connection");
	return vu->connection.ended ? 0 : (size_t)n;
}

/* Checks the header that has been read; false when that has ended the connection. */
static bool check_message_header(struct vhost_user *vu)
{
	const struct vhost_user_header *header = &vu->connection.in.header;

	if ((header->flags & VHOST_USER_VERSION_MASK) != VHOST_USER_VERSION ||
	    header->flags & VHOST_USER_REPLY)
		vhost_user_end(vu, "a message of another protocol (flags 0x%x)", header->flags);
	else if (header->size > sizeof(vu->connection.in.payload))
		vhost_user_end(vu, "a message of %u bytes (request %u)", header->size,
			       header->request);
	return !vu->connection.ended;
}

struct vhost_user_message *vhost_user_receive(struct vhost_user *vu)
{
	struct vhost_user_connection *connection = &vu->connection;
	struct vhost_user_message *in = &connection->in;
	size_t payload_bytes;

	if (connection->in_bytes < HEADER_BYTES) {
		connection->in_bytes += receive_part(vu, (char *)&in->header + connection->in_bytes,
						     HEADER_BYTES - connection->in_bytes);
		if (connection->in_bytes < HEADER_BYTES || !check_message_header(vu))
			return NULL;
		memset(&in->payload, 0, sizeof(in->payload));
	}
	payload_bytes = connection->in_bytes - HEADER_BYTES;
	if (in->header.size > payload_bytes) {
		payload_bytes += receive_part(vu, (char *)&in->payload + payload_bytes,
					      in->header.size - payload_bytes);
		connection->in_bytes = HEADER_BYTES + payload_bytes;
	}
	if (payload_bytes != in->header.size)
		return NULL;
	connection->in_bytes = 0;
	return in;
}
