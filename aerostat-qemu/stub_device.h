/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A stub that answers QEMU in place of a device that has crashed, over the
 * connection that the device has left.
 */
#ifndef AEROSTAT_QEMU_STUB_DEVICE_H
#define AEROSTAT_QEMU_STUB_DEVICE_H

#include <stdbool.h>
#include <stddef.h>

#include "transport/vfio_user_wire.h"

#define STUB_DEVICE_MESSAGE_MAX (2 * VFIO_USER_TRANSFER_MAX)

struct stub_device {
	int fd;	     /* QEMU's connection, -1 when there is none; the caller closes it */
	size_t have; /* bytes of @message that have arrived */
	_Alignas(struct vfio_user_header) char message[STUB_DEVICE_MESSAGE_MAX];
};

/*
 * stub_device_serve - read from QEMU, and answer once a whole message is there
 *
 * Does not wait.  Returns false when the connection cannot continue: QEMU has
 * closed it, or has sent what only a device can answer.
 */
bool stub_device_serve(struct stub_device *stub);

#endif
