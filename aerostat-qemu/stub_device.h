/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Answers for a device that has died, over the connection that it has left.
 */
#ifndef AEROSTAT_QEMU_STUB_DEVICE_H
#define AEROSTAT_QEMU_STUB_DEVICE_H

#include <stdbool.h>
#include <stddef.h>

#include "transport/vfio_user_wire.h"

#define STUB_DEVICE_MESSAGE_MAX (2 * VFIO_USER_TRANSFER_MAX)

struct stub_device {
	int fd; /* QEMU's connection, -1: none; the caller's */
	size_t have;
	/* One message, of which the first @have bytes are there. */
	_Alignas(struct vfio_user_header) char message[STUB_DEVICE_MESSAGE_MAX];
};

/*
 * stub_device_serve - read what QEMU has sent, and answer if it is a whole message
 *
 * Never waits.  False when the connection is over: QEMU has let the device go, or
 * says what nobody without a device can answer.
 */
bool stub_device_serve(struct stub_device *stub);

#endif
