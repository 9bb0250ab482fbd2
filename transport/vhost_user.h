/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The state of the vhost-user backend, private to its files.
 *
 * The files, each of which calls only those above it in this list:
 *
 * signal_fd.c			eventfds, pipes and sockets for kicks and calls
 * vhost_user_memory.c		where the VMM's addresses are in the guest's memory
 * vhost_user_vrings.c		rings: when they run, kicks and calls
 * vhost_user_connection.c	messages: framing, file descriptors, replies
 * vhost_user_messages.c	what each message means, in one table
 * vhost_user.c			the transport: struct transport_ops
 *
 * Theory of operation
 * -------------------
 * These points are not clear from the protocol, and were decided here:
 *
 * The first ring that runs implies DRIVER_OK.  The protocol's STATUS message is
 * not offered: QEMU sends it when a guest is paused, too, and never sends
 * DRIVER_OK for its generic device.
 *
 * RESET_DEVICE resets the device, but not every VMM sends it, and rings that stop
 * may also mean a pause.  vhost_user_vrings.h says how these are told apart.
 *
 * A change of the configuration is sent only while all rings that were started
 * are running, since QEMU 11.1.3 crashes when it receives one before or after.
 *
 * There is no message for DEVICE_NEEDS_RESET: the rings' error descriptors are
 * signalled instead.
 *
 * Kicks and calls come as eventfds from most VMMs, and as pipes or sockets from
 * others: User Mode Linux sends a socket for calls, QEMU pipes where there are no
 * eventfds.  signal_fd.h says why none of them blocks.
 */
#ifndef AEROSTAT_TRANSPORT_VHOST_USER_H
#define AEROSTAT_TRANSPORT_VHOST_USER_H

#include "transport/transport.h"
#include "transport/vhost_user_connection.h"
#include "transport/vhost_user_memory.h"
#include "transport/vhost_user_vrings.h"
#include "transport/vhost_user_wire.h"

struct vhost_user {
	struct transport transport; /* first: see transport.h */
	struct transport_context context;

	struct vhost_user_connection connection;
	struct vhost_user_memory memory;
	struct vhost_user_vrings vrings;

	/* vhost_user_messages.c */
	uint64_t protocol_features;
	uint64_t refused; /* messages */

	/* vhost_user.c */
	int backend_fd;	     /* for our own requests, or -1; set by SET_BACKEND_REQ_FD */
	bool config_changed; /* and the VMM has not been told yet */
};

/* The device that the VMM uses. */
static inline struct balloon *vhost_user_balloon(const struct vhost_user *vu)
{
	return vu->context.balloon;
}

#endif
