/* SPDX-License-Identifier: BSD-3-Clause */
/* The vhost-user transport; see vhost_user.h. */
#include "transport/vhost_user.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "transport/vhost_user_messages.h"

/* Limited so that a VMM that sends many messages does not delay the device's other work. */
#define MESSAGES_PER_TURN 16

/*
 * Sends a pending notice that the configuration has changed, if the VMM may be
 * told now.  When the socket is full there is no need to try again: it holds
 * notices that the VMM has yet to read, and it reads the configuration after them.
 */
static void send_config_notice(struct vhost_user *vu)
{
	static const struct vhost_user_header notice = {
		.request = VHOST_USER_BACKEND_CONFIG_CHANGE_MSG,
		.flags = VHOST_USER_VERSION,
	};

	if (!vu->config_changed || vu->backend_fd < 0 || !vhost_user_all_vrings_run(vu))
		return;
	vu->config_changed = false;
	if (send(vu->backend_fd, &notice, sizeof(notice), MSG_DONTWAIT | MSG_NOSIGNAL) < 0 &&
	    errno != EAGAIN && errno != EINTR) {
		close(vu->backend_fd);
		vu->backend_fd = -1;
	}
}

static void vhost_user_socket_ready(struct loop_source *source, uint32_t events)
{
	struct vhost_user *vu = (struct vhost_user *)((char *)source - offsetof(struct vhost_user,
										connection.socket));
	struct vhost_user_connection *connection = &vu->connection;

	(void)events;
	if (connection->out_size) {
		if (!vhost_user_flush(vu))
			return;
		loop_change(vu->context.loop, source, EPOLLIN);
	}
	for (int i = 0; i < MESSAGES_PER_TURN && !connection->ended && !connection->out_size; i++) {
		struct vhost_user_message *message = vhost_user_receive(vu);

		if (!message)
			break;
		vhost_user_handle_message(vu, message);
		if (!connection->ended)
			send_config_notice(vu);
	}
}

static void vhost_user_notify_config(struct transport *transport)
{
	struct vhost_user *vu = (struct vhost_user *)transport;

	if (vu->connection.ended)
		return;
	vu->config_changed = true;
	send_config_notice(vu);
	if (balloon_needs_reset(vhost_user_balloon(vu)))
		for (unsigned int i = 0; i < BALLOON_QUEUES_MAX; i++)
			vhost_user_vring_signal(&vu->vrings.vring[i].err);
}

static void vhost_user_notify_queue(struct transport *transport, unsigned int queue)
{
	struct vhost_user *vu = (struct vhost_user *)transport;
	struct vhost_user_vring *vring = vhost_user_find_vring(vu, queue);

	if (vring && !vu->connection.ended)
		vhost_user_vring_signal(&vring->call);
}

static struct transport *vhost_user_open(const struct transport_context *context, int fd)
{
	struct vhost_user *vu = calloc(1, sizeof(*vu));

	if (!vu)
		return NULL;
	vu->transport.ops = &vhost_user_ops;
	vu->context = *context;
	vu->backend_fd = -1;
	vu->connection.socket.fd = fd;
	vu->connection.socket.ready = vhost_user_socket_ready;
	vhost_user_vrings_init(vu);
	if (!loop_add(context->loop, &vu->connection.socket, EPOLLIN))
		return &vu->transport;
	vhost_user_vrings_close(vu);
	free(vu);
	return NULL;
}

static void vhost_user_close(struct transport *transport)
{
	struct vhost_user *vu = (struct vhost_user *)transport;

	/* From here on nothing is sent to the VMM. */
	vu->connection.ended = true;
	loop_remove(vu->context.loop, &vu->connection.socket);
	vhost_user_vrings_close(vu);
	balloon_reset(vhost_user_balloon(vu));
	vhost_user_memory_clear(vu);
	vhost_user_close_fds(&vu->connection.in);
	if (vu->backend_fd >= 0)
		close(vu->backend_fd);
	close(vu->connection.socket.fd);
	free(vu);
}

const struct transport_ops vhost_user_ops = {
	.name = "vhost-user",
	.open = vhost_user_open,
	.notify_queue = vhost_user_notify_queue,
	.notify_config = vhost_user_notify_config,
	.close = vhost_user_close,
};
