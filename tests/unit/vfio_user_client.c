/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/vfio_user_client.h"

#include "tests/hang.h"
#include <errno.h>
#include <linux/vfio.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define FDS_MAX 253 /* the kernel's limit (SCM_MAX_FD) */

/* What QEMU sends; a server's answer must not be longer. */
#define HELLO                                                                                      \
	"{\"capabilities\": {\"max_msg_fds\": 8, \"max_data_xfer_size\": 1048576, "                \
	"\"max_dma_maps\": 65535, \"pgsizes\": 4096}}"

void vfio_user_client_init(struct vfio_user_client *client, int fd)
{
	*client = (struct vfio_user_client){ .fd = fd, .next_id = 1 };
}

int vfio_user_client_connect(struct vfio_user_client *client, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd, error;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address))) {
		error = -errno;
		close(fd);
		return error;
	}
	vfio_user_client_init(client, fd);
	return 0;
}

void vfio_user_client_close(struct vfio_user_client *client)
{
	if (client->fd >= 0)
		close(client->fd);
	client->fd = -1;
}

/* Runs the server, or waits for the socket, for the @turn-th time. */
static int wait_for(struct vfio_user_client *client, short events, unsigned int turn)
{
	struct pollfd poller = { .fd = client->fd, .events = events };
	int n;

	if (client->pump)
		client->pump(client->data);
	n = poll(&poller, 1, client->pump ? 0 : HANG_MS);
	if (n > 0)
		return 0;
	return client->pump && turn < VFIO_USER_CLIENT_TURNS ? 0 : -ETIMEDOUT;
}

static int hung_up(int error)
{
	return error == EPIPE ? -ECONNRESET : -error;
}

static ssize_t send_some(struct vfio_user_client *client, const void *bytes, size_t size,
			 const int *fds, unsigned int fd_count)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
	} control = { 0 };
	struct iovec iov = { .iov_base = (void *)bytes, .iov_len = size };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd_count) {
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(fd_count * sizeof(int));
		memcpy(CMSG_DATA(&control.align), fds, fd_count * sizeof(int));
	}
	return sendmsg(client->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

int vfio_user_client_send_raw(struct vfio_user_client *client, const void *bytes, size_t size,
			      const int *fds, unsigned int fd_count)
{
	const uint8_t *from = bytes;

	if (fd_count > FDS_MAX)
		return -EINVAL;
	for (unsigned int turn = 0; size; turn++) {
		ssize_t n = send_some(client, from, size, fds, fd_count);

		if (n > 0) {
			from += n;
			size -= (size_t)n;
			fd_count = 0;
			turn = 0;
		} else if (errno != EAGAIN && errno != EINTR) {
			return hung_up(errno);
		} else if (wait_for(client, POLLOUT, turn)) {
			return -ETIMEDOUT;
		}
	}
	return 0;
}

int vfio_user_client_send(struct vfio_user_client *client, uint16_t command, uint32_t flags,
			  const void *payload, size_t size, const int *fds, unsigned int fd_count)
{
	struct {
		struct vfio_user_header header;
		uint8_t payload[sizeof(struct vfio_user_access) + VFIO_USER_TRANSFER_MAX];
	} message = {
		.header = {
			.id = client->next_id,
			.command = command,
			.size = (uint32_t)(sizeof(message.header) + size),
			.flags = flags,
		},
	};
	int error;

	if (size > sizeof(message.payload))
		return -EMSGSIZE;
	if (size)
		memcpy(message.payload, payload, size);
	error = vfio_user_client_send_raw(client, &message, message.header.size, fds, fd_count);
	return error ? error : client->next_id++;
}

/* Receives exactly @size bytes. */
static int receive_all(struct vfio_user_client *client, void *to, size_t size)
{
	uint8_t *bytes = to;

	for (unsigned int turn = 0; size; turn++) {
		ssize_t n = recv(client->fd, bytes, size, MSG_DONTWAIT);

		if (n == 0)
			return -ECONNRESET;
		if (n > 0) {
			bytes += n;
			size -= (size_t)n;
			turn = 0;
		} else if (errno != EAGAIN && errno != EINTR) {
			return hung_up(errno);
		} else if (wait_for(client, POLLIN, turn)) {
			return -ETIMEDOUT;
		}
	}
	return 0;
}

int vfio_user_client_receive(struct vfio_user_client *client, struct vfio_user_header *header,
			     void *payload, size_t most)
{
	size_t size, kept;
	int error = receive_all(client, header, sizeof(*header));

	if (error)
		return error;
	if (header->size < sizeof(*header) || header->size > sizeof(*header) + (1 << 20))
		return -EPROTO;
	size = header->size - sizeof(*header);
	kept = size < most ? size : most;
	error = receive_all(client, payload, kept);
	for (size_t left = size - kept; !error && left; left--) {
		uint8_t lost;

		error = receive_all(client, &lost, sizeof(lost));
	}
	return error ? error : (int)size;
}

int vfio_user_client_call(struct vfio_user_client *client, uint16_t command, const void *payload,
			  size_t size, const int *fds, unsigned int fd_count, void *reply,
			  size_t most)
{
	int id = vfio_user_client_send(client, command, 0, payload, size, fds, fd_count);
	struct vfio_user_header header;
	int length;

	if (id < 0)
		return id;
	length = vfio_user_client_receive(client, &header, reply, most);
	if (length < 0)
		return length;
	if (header.id != id || header.command != command ||
	    (header.flags & VFIO_USER_TYPE_MASK) != VFIO_USER_TYPE_REPLY)
		return -EPROTO;
	if (header.flags & VFIO_USER_ERROR)
		return header.error && !length ? -(int)header.error : -EPROTO;
	return length;
}

int vfio_user_client_version(struct vfio_user_client *client)
{
	struct {
		struct vfio_user_version version;
		char text[sizeof(HELLO)];
	} hello = { .text = HELLO }, reply;
	int length = vfio_user_client_call(client, VFIO_USER_VERSION, &hello,
					   sizeof(hello.version) + sizeof(hello.text), NULL, 0,
					   &reply, sizeof(reply));

	return length < 0 ? length : 0;
}

int vfio_user_client_dma_map(struct vfio_user_client *client, uint64_t address, uint64_t size,
			     int fd, uint64_t offset, bool writable)
{
	const struct vfio_user_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | (writable ? VFIO_DMA_MAP_FLAG_WRITE : 0),
		.offset = offset,
		.address = address,
		.size = size,
	};

	return vfio_user_client_call(client, VFIO_USER_DMA_MAP, &map, sizeof(map), &fd, fd >= 0,
				     NULL, 0);
}

int vfio_user_client_dma_unmap(struct vfio_user_client *client, uint64_t address, uint64_t size)
{
	struct vfio_user_dma_unmap unmap = { .argsz = sizeof(unmap),
					     .address = address,
					     .size = size };
	int length = vfio_user_client_call(client, VFIO_USER_DMA_UNMAP, &unmap, sizeof(unmap), NULL,
					   0, &unmap, sizeof(unmap));

	return length < 0 ? length : 0;
}

int vfio_user_client_read(struct vfio_user_client *client, uint32_t region, uint64_t offset,
			  void *to, uint32_t count)
{
	const struct vfio_user_access access = { offset, region, count };
	struct {
		struct vfio_user_access access;
		uint8_t data[VFIO_USER_TRANSFER_MAX];
	} reply;
	int length = vfio_user_client_call(client, VFIO_USER_REGION_READ, &access, sizeof(access),
					   NULL, 0, &reply, sizeof(reply));

	if (length < 0)
		return length;
	if ((size_t)length != sizeof(access) + count ||
	    memcmp(&reply.access, &access, sizeof(access)) != 0)
		return -EPROTO;
	memcpy(to, reply.data, count);
	return 0;
}

struct write {
	struct vfio_user_access access;
	uint8_t data[VFIO_USER_TRANSFER_MAX];
};

static size_t fill_write(struct write *write, uint32_t region, uint64_t offset, const void *from,
			 uint32_t count)
{
	write->access = (struct vfio_user_access){ offset, region, count };
	count = count < sizeof(write->data) ? count : sizeof(write->data);
	memcpy(write->data, from, count);
	return sizeof(write->access) + count;
}

int vfio_user_client_write(struct vfio_user_client *client, uint32_t region, uint64_t offset,
			   const void *from, uint32_t count)
{
	struct write write;
	struct vfio_user_access reply;
	size_t size = fill_write(&write, region, offset, from, count);
	int length = vfio_user_client_call(client, VFIO_USER_REGION_WRITE, &write, size, NULL, 0,
					   &reply, sizeof(reply));

	if (length < 0)
		return length;
	return (size_t)length != sizeof(reply) || memcmp(&reply, &write.access, sizeof(reply)) != 0
		       ? -EPROTO
		       : 0;
}

int vfio_user_client_post(struct vfio_user_client *client, uint32_t region, uint64_t offset,
			  const void *from, uint32_t count)
{
	struct write write;
	size_t size = fill_write(&write, region, offset, from, count);
	int id = vfio_user_client_send(client, VFIO_USER_REGION_WRITE, VFIO_USER_NO_REPLY, &write,
				       size, NULL, 0);

	return id < 0 ? id : 0;
}

int vfio_user_client_set_irqs(struct vfio_user_client *client, uint32_t flags, uint32_t index,
			      uint32_t start, uint32_t count, const uint8_t *bools, const int *fds,
			      unsigned int fd_count)
{
	struct {
		struct vfio_user_irq_set set;
		uint8_t bools[64];
	} message = { .set = { sizeof(message.set), flags, index, start, count } };
	size_t size = sizeof(message.set);

	if (bools) {
		if (count > sizeof(message.bools))
			return -EINVAL;
		memcpy(message.bools, bools, count);
		size += count;
	}
	return vfio_user_client_call(client, VFIO_USER_SET_IRQS, &message, size, fds, fd_count,
				     NULL, 0);
}

int vfio_user_client_reset(struct vfio_user_client *client)
{
	return vfio_user_client_call(client, VFIO_USER_RESET, NULL, 0, NULL, 0, NULL, 0);
}

uint32_t vfio_user_client_get(struct vfio_user_client *client, uint32_t region, uint64_t offset,
			      unsigned int bytes)
{
	uint8_t data[4] = { 0 };
	uint32_t value = 0;

	if (bytes > sizeof(data) || vfio_user_client_read(client, region, offset, data, bytes))
		return UINT32_MAX;
	while (bytes--)
		value = value << 8 | data[bytes];
	return value;
}

int vfio_user_client_put(struct vfio_user_client *client, uint32_t region, uint64_t offset,
			 uint32_t value, unsigned int bytes)
{
	uint8_t data[4];

	if (bytes > sizeof(data))
		return -EINVAL;
	for (unsigned int i = 0; i < bytes; i++)
		data[i] = (uint8_t)(value >> (8 * i));
	return vfio_user_client_write(client, region, offset, data, bytes);
}
