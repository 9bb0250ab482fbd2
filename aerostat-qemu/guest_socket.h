/* SPDX-License-Identifier: BSD-3-Clause */
/* Listening sockets that other processes serve, and that are gone with their keeper. */
#ifndef AEROSTAT_QEMU_GUEST_SOCKET_H
#define AEROSTAT_QEMU_GUEST_SOCKET_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * guest_socket_open - a socket that listens on @path, for this user only
 *
 * Makes its folder.  Whatever is there is replaced: ask guest_socket_wait_free() first.
 * Whoever listens may remove the file, for nobody replaces it meanwhile.
 *
 * Returns the descriptor, close-on-exec, or -1.
 */
int guest_socket_open(const char *path, GError **error);

/* Until nobody listens on @path any more; false when somebody still does at @deadline. */
bool guest_socket_wait_free(const char *path, int64_t deadline);

#endif
