/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How a VMM reaches the device: one ops table, one implementation per protocol.
 *
 * A transport serves one VMM over one connected stream socket and relays between
 * the VMM and the device.  Whatever the VMM sends, the process continues: a
 * message that cannot be understood is answered with an error if the protocol has
 * one, and otherwise ends the connection.  A transport never blocks: what does
 * not fit into the socket waits in a bounded buffer, and while that is full the
 * VMM's messages are not read.
 */
#ifndef AEROSTAT_TRANSPORT_TRANSPORT_H
#define AEROSTAT_TRANSPORT_TRANSPORT_H

#include <stdbool.h>

#include "device/balloon.h"
#include "io/loop.h"

/* What a transport needs from its owner.  @data is passed to each callback. */
struct transport_context {
	struct loop *loop;
	struct balloon *balloon;
	bool msix; /* vfio-user: offer an MSI-X capability, see docs/device.md */
	/* Logs one line, which has no newline; transports limit the rate themselves. */
	void (*log)(void *data, const char *line);
	/* The connection has ended because of @why.  The owner calls close() later, not from
	 * within this callback. */
	void (*closed)(void *data, const char *why);
	void *data;
};

struct transport;

struct transport_ops {
	const char *name; /* "vfio-user" */
	/* Serves the VMM that is connected to @fd, which must be non-blocking and is owned by the
	 * transport on success.  NULL when memory is short. */
	struct transport *(*open)(const struct transport_context *context, int fd);
	/* struct balloon_host's calls of the same names. */
	void (*notify_queue)(struct transport *transport, unsigned int queue);
	void (*notify_config)(struct transport *transport);
	/* Closes the connection and frees @transport.  Leaves the device reset, without memory. */
	void (*close)(struct transport *transport);
};

/* The first member of each implementation's struct. */
struct transport {
	const struct transport_ops *ops;
	bool heard; /* the peer has sent something, as every VMM does at once */
};

extern const struct transport_ops vfio_user_ops;
extern const struct transport_ops vhost_user_ops;

#endif
