/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation
 * -------------------
 * QEMU (11.1) does not handle the end of a vfio-user connection well: it exits at
 * the guest's next reset, and register reads return all ones.  When the device is
 * then unplugged, the guest's driver polls such a register forever, and each poll
 * adds a line to QEMU's log.  So the supervisor keeps the connection of a crashed
 * device and answers for a device that does nothing: registers read as zero, which
 * for the driver completes a reset, and every other request succeeds without an
 * effect.  The guest can then release the device, and be reset.
 *
 * A request that the device had read but not answered is lost; QEMU gives up
 * waiting for it after x-msg-timeout.
 *
 * A new connection (VERSION) needs a real device and is never answered here.
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

/* Makes the reply in place; returns its length, or 0 when the connection cannot continue. */
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
	case VFIO_USER_DMA_UNMAP: /* the reply repeats the request */
		return header->size;
	case VFIO_USER_DMA_MAP: /* the descriptor was dropped, see stub_device_serve() */
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
	/* QEMU waits for each reply, so the socket has room. */
	return send(stub->fd, message, length, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)length;
}

/* The size of the current message, as far as known; 0 when it is invalid. */
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

	/* recv() has no room for descriptors, so the kernel drops those that arrive. */
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
