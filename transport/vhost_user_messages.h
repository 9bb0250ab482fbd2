/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The messages of vhost-user.
 *
 * Theory of operation
 * -------------------
 * A table has one row per request: the size of its payload, the number of its
 * file descriptors, whether it has an answer of its own, and its handler.  A
 * handler returns 0 or -errno.  It takes a file descriptor by setting its entry
 * to -1.
 *
 * A request that fails is answered with a non-zero acknowledgement if the VMM
 * asked for one.  Otherwise the VMM could not learn of it, and the connection
 * ends; except for requests that only pass on what the guest's driver did wrong,
 * since a guest must not be able to cost its VMM the connection.
 */
#ifndef AEROSTAT_TRANSPORT_VHOST_USER_MESSAGES_H
#define AEROSTAT_TRANSPORT_VHOST_USER_MESSAGES_H

#include "transport/vhost_user_connection.h"

/* Does what @message asks for, answers it, and closes the file descriptors that nobody took. */
void vhost_user_handle_message(struct vhost_user *vu, struct vhost_user_message *message);

#endif
