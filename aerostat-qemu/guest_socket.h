/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The listening sockets of a guest: the one on which QEMU reaches the device, and
 * the device's control socket.
 */
#ifndef AEROSTAT_QEMU_GUEST_SOCKET_H
#define AEROSTAT_QEMU_GUEST_SOCKET_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * guest_socket_open - listen on @path, for this user only
 *
 * Creates the directory.  Replaces a file that exists, unless a process listens there that does
 * not end within PEER_END_MS (common/peer_process.h); to wait for longer, call
 * guest_socket_wait_free() first.  No other process replaces the file while this one listens, so
 * it may remove the file at its end.
 *
 * Returns a close-on-exec descriptor, or -1.
 */
int guest_socket_open(const char *path, GError **error);

/* Waits until no process listens on @path; false if one still does at @deadline. */
bool guest_socket_wait_free(const char *path, int64_t deadline);

#endif
