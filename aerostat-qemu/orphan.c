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
#include "aerostat-qemu/orphan.h"

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
static size_t make_answer(struct message *message)
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

static bool answer(struct orphan *orphan)
{
	struct message *message = (struct message *)orphan->message;
	size_t length = make_answer(message);

	if (!length || message->header.flags & VFIO_USER_NO_REPLY)
		return length;
	message->header.size = (uint32_t)length;
	message->header.flags = VFIO_USER_TYPE_REPLY;
	message->header.error = 0;
	/* QEMU waits for each of them, so the socket has room. */
	return send(orphan->fd, message, length, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)length;
}

/* How many bytes the message in hand has in all; 0: none that can be. */
static size_t wanted(const struct orphan *orphan)
{
	struct vfio_user_header header;

	if (orphan->have < sizeof(header))
		return sizeof(header);
	memcpy(&header, orphan->message, sizeof(header));
	return header.size < sizeof(header) || header.size > sizeof(orphan->message) ? 0
										     : header.size;
}

bool orphan_answer(struct orphan *orphan)
{
	size_t size = wanted(orphan);
	ssize_t got;

	/* Descriptors that come along are dropped by the kernel, with no room for them. */
	got = recv(orphan->fd, orphan->message + orphan->have, size - orphan->have, MSG_DONTWAIT);
	if (got <= 0)
		return got < 0 && (errno == EAGAIN || errno == EINTR);
	orphan->have += (size_t)got;
	size = wanted(orphan);
	if (!size || orphan->have < size)
		return size;
	orphan->have = 0;
	return answer(orphan);
}
