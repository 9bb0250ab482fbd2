/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A descriptor over which a VMM and this process signal each other: an eventfd,
 * or a pipe or socket, which carry 8 bytes per signal.
 *
 * Theory of operation
 * -------------------
 * The descriptor comes from the VMM, which shares its status flags and may clear
 * O_NONBLOCK at any time, so a pipe is polled before it is used, sockets are used
 * with MSG_DONTWAIT, and eventfds are read with RWF_NOWAIT.  A signal that does not
 * fit is dropped: the reader has not read the last ones yet and will wake up anyway.
 * A write to an eventfd, or to a pipe that is filled between poll and write, can
 * block only if the VMM wants it to, and then stops only its own device.
 *
 * Files of any other kind (regular files, devices) are refused.
 */
#ifndef AEROSTAT_TRANSPORT_SIGNAL_FD_H
#define AEROSTAT_TRANSPORT_SIGNAL_FD_H

#include <stdbool.h>

enum signal_fd_kind { SIGNAL_FD_EVENTFD, SIGNAL_FD_PIPE, SIGNAL_FD_SOCKET };

/* Finds out what @fd is, and makes it non-blocking; false if it cannot carry signals. */
bool signal_fd_prepare(int fd, enum signal_fd_kind *kind);
/* Sends a signal without blocking and without SIGPIPE; false when it can never be sent again. */
bool signal_fd_send(int fd, enum signal_fd_kind kind);
/* Receives the signals that are there: how many bytes, 0 for none yet, -1 for none ever again. */
int signal_fd_receive(int fd, enum signal_fd_kind kind);

#endif
