/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation
 * -------------------
 * QEMU (11.1) takes the end of a vfio-user connection badly: the guest's next
 * reset ends it, and reads of registers yield all ones, on which the guest's
 * driver waits for ever when the device is to be unplugged, with lines in QEMU's
 * log at every poll.  So the connection outlives the device: its supervisor
 * answers instead, for a device that does nothing.  Registers read as zero,
 * which tells the driver that its reset is done; all else is granted and
 * forgotten.  The guest can then let the device go, and be reset.
 *
 * A request that the device had read and not answered when it died is lost;
 * QEMU gives it up after x-msg-timeout.
 *
 * A new connection (VERSION) is for a device and never answered here.
 */
#include "aerostat-qemu/stub_device.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct message {
	struct vfio_user_header header;
	struct vfio_user_access access;
	char data[];
};

/* The length of the answer, made in place; 0: the connection cannot go on. */
static size_t stub_device_make_reply(struct message *message)
{
	struct vfio_user_header *header = &message->header;
	size_t with_access = sizeof(*header) + sizeof(message->access);

	switch (header->command) {
	case VFIO_USER_REGION_READ:
		if (header->size < with_access || message->access.count > VFIO_USER_TRANSFER_MAX)
			return 0;
		memset(message->data, 0, message->access.count);
		return with_access + message->access.count;
	case VFIO_USER_REGION_WRITE:
		return header->size < with_access ? 0 : with_access;
	case VFIO_USER_DMA_UNMAP: /* answered with what was asked */
		return header->size;
	case VFIO_USER_DMA_MAP: /* its descriptor was not taken */
	case VFIO_USER_SET_IRQS:
	case VFIO_USER_RESET:
		return sizeof(*header);
	default:
		return 0;
	}
}

static bool stub_device_reply(struct stub_device *stub)
{
	struct message *message = (struct message *)stub->message;
	size_t length = stub_device_make_reply(message);

	if (!length || message->header.flags & VFIO_USER_NO_REPLY)
		return length;
	message->header.size = (uint32_t)length;
	message->header.flags = VFIO_USER_TYPE_REPLY;
	message->header.error = 0;
	/* QEMU waits for each of them, so the socket has room. */
	return send(stub->fd, message, length, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)length;
}

/* How many bytes the message in hand has in all; 0: none that can be. */
static size_t stub_device_message_size(const struct stub_device *stub)
{
	struct vfio_user_header header;

	if (stub->have < sizeof(header))
		return sizeof(header);
	memcpy(&header, stub->message, sizeof(header));
	return header.size < sizeof(header) || header.size > sizeof(stub->message) ? 0
										   : header.size;
}

bool stub_device_serve(struct stub_device *stub)
{
	size_t size = stub_device_message_size(stub);
	ssize_t got;

	/* Descriptors that come along are dropped by the kernel, with no room for them. */
	got = recv(stub->fd, stub->message + stub->have, size - stub->have, MSG_DONTWAIT);
	if (got <= 0)
		return got < 0 && (errno == EAGAIN || errno == EINTR);
	stub->have += (size_t)got;
	size = stub_device_message_size(stub);
	if (!size || stub->have < size)
		return size;
	stub->have = 0;
	return stub_device_reply(stub);
}
