/* SPDX-License-Identifier: BSD-3-Clause */
/* Two protocols of a service manager, without its library: sd_listen_fds(3) and sd_notify(3). */
#ifndef AEROSTAT_DEVICE_SYSTEMD_H
#define AEROSTAT_DEVICE_SYSTEMD_H

#include "aerostat-device/options.h"

/*
 * systemd_find_sockets - use the sockets that the service manager passed
 *
 * The socket named "control" becomes the control socket, and the first of the
 * others the one for the VMM, unless @options name other sockets.
 */
void systemd_find_sockets(struct device_options *options);

/* Opens the socket for systemd_notify_ready(); -1 when the service manager does not want to be
 * notified.  To be called while the process may still open sockets. */
int systemd_open_notify_socket(void);
/* Reports READY=1 and closes @fd; does nothing when it is -1. */
void systemd_notify_ready(int fd);

#endif
