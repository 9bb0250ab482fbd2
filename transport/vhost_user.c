/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The vhost-user backend: the connection.
 *
 * Theory of operation
 * -------------------
 * A message is a header of 12 bytes, a payload, and file descriptors that come
 * with the first byte of one of them.  No read ever goes beyond the message
 * that is being read: so what file descriptors belong to is never in doubt.
 * They are closed when the message has been handled, unless its handler took
 * them; messages may be cut at any byte.
 *
 * While a reply waits for room in the socket nothing more is read, so at most
 * one reply ever waits, and a VMM that does not read only stops itself.
 *
 * What the protocol leaves unsaid, and what was decided:
 *
 * DRIVER_OK is implied by the first ring that runs.  The protocol's STATUS is
 * not offered: QEMU sends it when a guest is paused as well, and never sends
 * DRIVER_OK for the generic device.
 *
 * A device reset is told by RESET_DEVICE, which not every VMM sends; rings
 * that stop may as well mean a pause.  vhost_user_vrings.c tells them apart.
 *
 * A change of the configuration is told only while every ring that was started
 * runs, since QEMU (11.1.3) crashes when it hears of one before or after.
 *
 * DEVICE_NEEDS_RESET has no message: the rings' error eventfds are signalled.
 *
 * A VMM shares its eventfds' file status with us.  Kicks are read in a way
 * that cannot block (RWF_NOWAIT); calls are written without blocking as long
 * as the VMM does not take O_NONBLOCK off again, by which it can hang nobody's
 * device but its own.
 */
#include "transport/vhost_user.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEADER_BYTES sizeof(struct vhost_user_header)
#define MESSAGES_A_ROUND 16

static struct vhost_user *of_transport(struct transport *transport)
{
	return (struct vhost_user *)transport;
}

static struct vhost_user *of_socket(struct loop_source *source)
{
	return (struct vhost_user *)((char *)source - offsetof(struct vhost_user, socket));
}

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

	if (vu->ended)
		return;
	vu->ended = true;
	loop_remove(vu->context.loop, &vu->socket);
	va_start(arguments, format);
	vsnprintf(why, sizeof(why), format, arguments);
	va_end(arguments);
	vu->context.closed(vu->context.data, why);
}

/* Sends what waits; true when nothing waits any more. */
static bool flush(struct vhost_user *vu)
{
	while (vu->out_sent < vu->out_size) {
		ssize_t n = send(vu->socket.fd, vu->out + vu->out_sent, vu->out_size - vu->out_sent,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n >= 0) {
			vu->out_sent += (size_t)n;
		} else if (errno == EAGAIN) {
			return false;
		} else if (errno != EINTR) {
			vhost_user_end(vu, "a reply cannot be sent: %s", strerror(errno));
			return false;
		}
	}
	vu->out_size = vu->out_sent = 0;
	return true;
}

void vhost_user_reply(struct vhost_user *vu, struct vhost_user_message *message)
{
	size_t size = message->header.size;

	message->header.flags = VHOST_USER_VERSION | VHOST_USER_REPLY;
	memcpy(vu->out, &message->header, HEADER_BYTES);
	memcpy(vu->out + HEADER_BYTES, &message->payload, size);
	vu->out_size = HEADER_BYTES + size;
	if (!flush(vu) && !vu->ended)
		loop_change(vu->context.loop, &vu->socket, EPOLLOUT);
}

/* Takes the file descriptors of one read; false when there are more than a message may have. */
static bool take_fds(struct vhost_user_message *message, struct msghdr *received)
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

/* Reads at most @size bytes; returns how many came, 0 when there are none now or ever. */
static size_t read_piece(struct vhost_user *vu, void *to, size_t size)
{
	union {
		char bytes[CMSG_SPACE(VHOST_USER_TABLE_MAX * sizeof(int))];
		struct cmsghdr aligned;
	} control;
	struct iovec piece = { .iov_base = to, .iov_len = size };
	struct msghdr received = {
		.msg_iov = &piece,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	ssize_t n = recvmsg(vu->socket.fd, &received, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			vhost_user_end(vu, "the connection was lost: %s", strerror(errno));
		return 0;
	}
	if (!take_fds(&vu->in, &received))
		vhost_user_end(vu, "a message with more than %d file descriptors",
			       VHOST_USER_TABLE_MAX);
	else if (n == 0)
		vhost_user_end(vu, vu->in_bytes ? "the VMM hung up within a message"
						: "the VMM hung up");
	return vu->ended ? 0 : (size_t)n;
}

static bool check_header(struct vhost_user *vu)
{
	const struct vhost_user_header *header = &vu->in.header;

	if ((header->flags & VHOST_USER_VERSION_MASK) != VHOST_USER_VERSION ||
	    header->flags & VHOST_USER_REPLY)
		vhost_user_end(vu, "a message of another protocol (flags 0x%x)", header->flags);
	else if (header->size > sizeof(vu->in.payload))
		vhost_user_end(vu, "a message of %u bytes (request %u)", header->size,
			       header->request);
	return !vu->ended;
}

/* Reads on; true when a whole message is there. */
static bool receive(struct vhost_user *vu)
{
	struct vhost_user_message *in = &vu->in;

	if (vu->in_bytes < HEADER_BYTES) {
		vu->in_bytes += read_piece(vu, (char *)&in->header + vu->in_bytes,
					   HEADER_BYTES - vu->in_bytes);
		if (vu->in_bytes < HEADER_BYTES || !check_header(vu))
			return false;
		memset(&in->payload, 0, sizeof(in->payload));
	}
	if (in->header.size > vu->in_bytes - HEADER_BYTES) {
		size_t have = vu->in_bytes - HEADER_BYTES;

		vu->in_bytes += read_piece(vu, (char *)&in->payload + have, in->header.size - have);
	}
	return in->header.size == vu->in_bytes - HEADER_BYTES;
}

static void socket_ready(struct loop_source *source, uint32_t events)
{
	struct vhost_user *vu = of_socket(source);

	(void)events;
	if (vu->out_size) {
		if (!flush(vu))
			return;
		loop_change(vu->context.loop, &vu->socket, EPOLLIN);
	}
	for (int i = 0; i < MESSAGES_A_ROUND && !vu->ended && !vu->out_size; i++) {
		if (!receive(vu))
			break;
		vu->in_bytes = 0;
		vhost_user_handle(vu, &vu->in);
		if (!vu->ended)
			vhost_user_tell_config(vu);
	}
}

/*
 * A full socket is no reason to try again: it holds notices that the VMM has yet to read, and
 * whoever reads one reads the configuration afterwards.
 */
void vhost_user_tell_config(struct vhost_user *vu)
{
	static const struct vhost_user_header notice = {
		.request = VHOST_USER_BACKEND_CONFIG_CHANGE_MSG,
		.flags = VHOST_USER_VERSION,
	};

	if (!vu->config_changed || vu->backend_fd < 0 || !vhost_user_vrings_settled(vu))
		return;
	vu->config_changed = false;
	if (send(vu->backend_fd, &notice, sizeof(notice), MSG_DONTWAIT | MSG_NOSIGNAL) < 0 &&
	    errno != EAGAIN && errno != EINTR) {
		close(vu->backend_fd);
		vu->backend_fd = -1;
	}
}

static void vhost_user_notify_config(struct transport *transport)
{
	struct vhost_user *vu = of_transport(transport);

	if (vu->ended)
		return;
	vu->config_changed = true;
	vhost_user_tell_config(vu);
	if (balloon_needs_reset(vhost_user_balloon(vu)))
		for (unsigned int i = 0; i < BALLOON_QUEUES_MAX; i++)
			vhost_user_signal(&vu->vrings[i].err_fd);
}

static void vhost_user_notify_queue(struct transport *transport, unsigned int queue)
{
	struct vhost_user *vu = of_transport(transport);
	struct vhost_user_vring *vring = vhost_user_vring(vu, queue);

	if (vring && !vu->ended)
		vhost_user_signal(&vring->call_fd);
}

static struct transport *vhost_user_open(const struct transport_context *context, int fd)
{
	struct vhost_user *vu = calloc(1, sizeof(*vu));

	if (!vu)
		return NULL;
	vu->transport.ops = &vhost_user_ops;
	vu->context = *context;
	vu->backend_fd = -1;
	vu->socket.fd = fd;
	vu->socket.ready = socket_ready;
	vhost_user_vrings_init(vu);
	if (!loop_add(context->loop, &vu->socket, EPOLLIN))
		return &vu->transport;
	vhost_user_vrings_close(vu);
	free(vu);
	return NULL;
}

static void vhost_user_close(struct transport *transport)
{
	struct vhost_user *vu = of_transport(transport);

	/* From here on nobody is told anything. */
	vu->ended = true;
	loop_remove(vu->context.loop, &vu->socket);
	vhost_user_vrings_close(vu);
	balloon_reset(vhost_user_balloon(vu));
	balloon_unmap_all(vhost_user_balloon(vu));
	vhost_user_close_fds(&vu->in);
	if (vu->backend_fd >= 0)
		close(vu->backend_fd);
	close(vu->socket.fd);
	free(vu);
}

const struct transport_ops vhost_user_ops = {
	.name = "vhost-user",
	.help = "vhost-user backend: crosvm, QEMU's vhost-user-test-device-pci",
	.open = vhost_user_open,
	.notify_queue = vhost_user_notify_queue,
	.notify_config = vhost_user_notify_config,
	.close = vhost_user_close,
};
