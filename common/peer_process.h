/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef AEROSTAT_COMMON_PEER_PROCESS_H
#define AEROSTAT_COMMON_PEER_PROCESS_H

#include <stdbool.h>

/*
 * How long a process that was killed may take until its sockets are closed.  Whoever starts
 * another in its place may be quicker.
 */
#define PEER_END_MS 2000

/*
 * peer_process_await_end - wait until the process at the other end of a Unix socket has ended
 * @fd: connected; for a listener, the peer is who called listen() last
 *
 * Returns whether it has.  Does not wait for this process itself, or for one that is not visible
 * here.
 */
bool peer_process_await_end(int fd, int wait_ms);

#endif
