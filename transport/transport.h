/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How a VMM reaches the device: one ops table, one implementation a protocol.
 *
 * A transport speaks with one VMM over one connected stream socket and relays
 * between it and the device.  Whatever the VMM sends, the process goes on: a
 * message that cannot be understood is answered with an error where the protocol
 * has one, and closes the connection where it has not.  A transport never
 * blocks: what does not fit into the socket waits in a bounded buffer, and a
 * VMM that lets it overflow is disconnected.
 */
#ifndef AEROSTAT_TRANSPORT_TRANSPORT_H
#define AEROSTAT_TRANSPORT_TRANSPORT_H

#include <stdbool.h>

#include "device/balloon.h"
#include "io/loop.h"

struct transport_context {
	struct loop *loop;
	struct balloon *balloon;
	bool msix; /* vfio-user: offer an MSI-X capability, see docs/device.md */
	/* One line without newline, the sender's business to bound. */
	void (*log)(void *data, const char *line);
	/* The connection has ended, @why as a text; the receiver calls close() later, not from
	 * within. */
	void (*closed)(void *data, const char *why);
	void *data;
};

struct transport;

struct transport_ops {
	const char *name; /* "vfio-user" */
	const char *help;
	/* Takes over @fd, non-blocking, on success.  NULL when memory is short. */
	struct transport *(*open)(const struct transport_context *context, int fd);
	/* struct balloon_host's calls of the same names. */
	void (*notify_queue)(struct transport *transport, unsigned int queue);
	void (*notify_config)(struct transport *transport);
	/* The device is left as after a reset, with no memory. */
	void (*close)(struct transport *transport);
};

/* The first member of each implementation. */
struct transport {
	const struct transport_ops *ops;
};

extern const struct transport_ops vfio_user_ops;
extern const struct transport_ops vhost_user_ops;

#endif
