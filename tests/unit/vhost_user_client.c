/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/vhost_user_client.h"

#include "tests/hang.h"
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FDS_MAX 64
#define PUMPS 200

static int fill_fds(struct msghdr *message, char *control, const int *fds, unsigned int count)
{
	struct cmsghdr *item;

	if (count > FDS_MAX)
		return -E2BIG;
	if (!count)
		return 0;
	message->msg_control = control;
	message->msg_controllen = CMSG_SPACE(count * sizeof(int));
	item = CMSG_FIRSTHDR(message);
	item->cmsg_level = SOL_SOCKET;
	item->cmsg_type = SCM_RIGHTS;
	item->cmsg_len = CMSG_LEN(count * sizeof(int));
	memcpy(CMSG_DATA(item), fds, count * sizeof(int));
	return 0;
}

/* Runs the device, or waits for it; false after too long a time. */
static bool wait_for(struct vhost_user_client *client, short events, unsigned int *turns)
{
	struct pollfd ready = { .fd = client->fd, .events = events };

	if (!client->pump)
		return poll(&ready, 1, HANG_MS) > 0;
	client->pump(client->data);
	return ++*turns < PUMPS;
}

int vhost_user_client_write(struct vhost_user_client *client, const void *bytes, size_t size,
			    const int *fds, unsigned int count)
{
	union {
		char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
		struct cmsghdr aligned;
	} control = { 0 };
	struct iovec piece = { .iov_base = (void *)bytes, .iov_len = size };
	struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1 };
	unsigned int turns = 0;
	int error = fill_fds(&message, control.bytes, fds, count);

	while (!error && piece.iov_len) {
		ssize_t n = sendmsg(client->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n >= 0) {
			piece.iov_base = (char *)piece.iov_base + n;
			piece.iov_len -= (size_t)n;
			message.msg_control = NULL;
			message.msg_controllen = 0;
		} else if (errno == EPIPE) {
			error = -ECONNRESET;
		} else if (errno != EAGAIN) {
			error = -errno;
		} else if (!wait_for(client, POLLOUT, &turns)) {
			error = -ETIMEDOUT;
		}
	}
	return error;
}

int vhost_user_client_send(struct vhost_user_client *client, uint32_t request, uint32_t flags,
			   const void *payload, uint32_t size, const int *fds, unsigned int count)
{
	struct vhost_user_answer message = {
		.header = {
			.request = request,
			.flags = VHOST_USER_VERSION | flags,
			.size = size,
		},
	};
	unsigned char bytes[sizeof(message.header) + sizeof(message.payload)];

	if (size > sizeof(message.payload))
		return -E2BIG;
	memcpy(bytes, &message.header, sizeof(message.header));
	if (size)
		memcpy(bytes + sizeof(message.header), payload, size);
	return vhost_user_client_write(client, bytes, sizeof(message.header) + size, fds, count);
}

static int receive_bytes(struct vhost_user_client *client, void *to, size_t size)
{
	char *out = to;
	unsigned int turns = 0;

	while (size) {
		ssize_t n = recv(client->fd, out, size, MSG_DONTWAIT);

		if (n > 0) {
			out += n;
			size -= (size_t)n;
		} else if (n == 0 || errno == ECONNRESET) {
			return -ECONNRESET;
		} else if (errno != EAGAIN) {
			return -errno;
		} else if (!wait_for(client, POLLIN, &turns)) {
			return -ETIMEDOUT;
		}
	}
	return 0;
}

int vhost_user_client_receive(struct vhost_user_client *client, struct vhost_user_answer *answer)
{
	int error = receive_bytes(client, &answer->header, sizeof(answer->header));

	if (error)
		return error;
	if (answer->header.flags != (VHOST_USER_VERSION | VHOST_USER_REPLY) ||
	    answer->header.size > sizeof(answer->payload))
		return -EPROTO;
	return receive_bytes(client, &answer->payload, answer->header.size);
}

int vhost_user_client_ask(struct vhost_user_client *client, uint32_t request, const void *payload,
			  uint32_t size, struct vhost_user_answer *answer)
{
	int error = vhost_user_client_send(client, request, 0, payload, size, NULL, 0);

	if (!error)
		error = vhost_user_client_receive(client, answer);
	if (!error && answer->header.request != request)
		error = -EPROTO;
	return error;
}

int vhost_user_client_get(struct vhost_user_client *client, uint32_t request, uint64_t *value)
{
	struct vhost_user_answer answer;
	int error = vhost_user_client_ask(client, request, NULL, 0, &answer);

	if (!error && answer.header.size != sizeof(*value))
		error = -EPROTO;
	if (!error)
		*value = answer.payload.u64;
	return error;
}

int vhost_user_client_tell(struct vhost_user_client *client, uint32_t request, const void *payload,
			   uint32_t size, int fd)
{
	struct vhost_user_answer answer;
	int error = vhost_user_client_send(client, request, VHOST_USER_NEED_REPLY, payload, size,
					   &fd, fd >= 0);

	if (!error)
		error = vhost_user_client_receive(client, &answer);
	if (!error &&
	    (answer.header.request != request || answer.header.size != sizeof(answer.payload.u64)))
		error = -EPROTO;
	return error ? error : answer.payload.u64 ? -EREMOTEIO : 0;
}

int vhost_user_client_set(struct vhost_user_client *client, uint32_t request, uint64_t value)
{
	return vhost_user_client_tell(client, request, &value, sizeof(value), -1);
}

int vhost_user_client_vring(struct vhost_user_client *client, uint32_t request, uint32_t index,
			    uint32_t num)
{
	const struct vhost_user_vring_state state = { .index = index, .num = num };

	return vhost_user_client_tell(client, request, &state, sizeof(state), -1);
}

int vhost_user_client_eventfd(struct vhost_user_client *client, uint32_t request, uint32_t index,
			      int fd)
{
	uint64_t word = index | (fd < 0 ? VHOST_USER_VRING_NO_FD : 0);

	return vhost_user_client_tell(client, request, &word, sizeof(word), fd);
}

int vhost_user_client_greet(struct vhost_user_client *client)
{
	uint64_t features = 0;
	int ends[2];
	int error = vhost_user_client_get(client, VHOST_USER_GET_FEATURES, &features);

	if (!error)
		error = vhost_user_client_get(client, VHOST_USER_GET_PROTOCOL_FEATURES, &features);
	if (!error)
		error = vhost_user_client_set(client, VHOST_USER_SET_PROTOCOL_FEATURES, features);
	if (!error)
		error = vhost_user_client_tell(client, VHOST_USER_SET_OWNER, NULL, 0, -1);
	if (error)
		return error;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return -errno;
	error = vhost_user_client_tell(client, VHOST_USER_SET_BACKEND_REQ_FD, NULL, 0, ends[1]);
	close(ends[1]);
	client->backend_fd = ends[0];
	return error;
}

void vhost_user_client_close(struct vhost_user_client *client)
{
	if (client->fd >= 0)
		close(client->fd);
	if (client->backend_fd >= 0)
		close(client->backend_fd);
	client->fd = client->backend_fd = -1;
}

bool vhost_user_client_is_over(struct vhost_user_client *client)
{
	unsigned int turns = 0;
	ssize_t n;
	char rest[64];

	do
		n = recv(client->fd, rest, sizeof(rest), MSG_DONTWAIT);
	while (n > 0 || (n < 0 && errno == EAGAIN && wait_for(client, POLLIN, &turns)));
	return n == 0 || errno == ECONNRESET;
}

int vhost_user_client_config_changes(struct vhost_user_client *client)
{
	struct vhost_user_header header;
	int count = 0;

	while (recv(client->backend_fd, &header, sizeof(header), MSG_DONTWAIT) ==
	       (ssize_t)sizeof(header)) {
		if (header.request != VHOST_USER_BACKEND_CONFIG_CHANGE_MSG || header.size ||
		    header.flags != VHOST_USER_VERSION)
			return -EPROTO;
		count++;
	}
	return count;
}
