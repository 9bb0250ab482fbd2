/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Answers for a device that has died, over the connection that it has left.
 */
#ifndef AEROSTAT_LAUNCHER_ORPHAN_H
#define AEROSTAT_LAUNCHER_ORPHAN_H

#include <stdbool.h>
#include <stddef.h>

#include "transport/vfio_user_wire.h"

#define ORPHAN_MESSAGE_MAX (2 * VFIO_USER_TRANSFER_MAX)

struct orphan {
	int fd; /* QEMU's connection, -1: none; the caller's */
	size_t have;
	/* One message, of which the first @have bytes are there. */
	_Alignas(struct vfio_user_header) char message[ORPHAN_MESSAGE_MAX];
};

/*
 * orphan_answer - read what QEMU has sent, and answer if it is a whole message
 *
 * Never waits.  False when the connection is over: QEMU has let the device go, or
 * says what nobody without a device can answer.
 */
bool orphan_answer(struct orphan *orphan);

#endif
