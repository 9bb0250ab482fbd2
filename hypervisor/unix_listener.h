/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who listens on a Unix socket, found in /proc/net/unix without connecting: a
 * connection would take a place in the listener's queue.
 */
#ifndef AEROSTAT_HYPERVISOR_UNIX_LISTENER_H
#define AEROSTAT_HYPERVISOR_UNIX_LISTENER_H

#include <stdbool.h>
#include <sys/types.h>

/* Whether a process of this network namespace listens on the socket @path. */
bool unix_listener_exists(const char *path);

/*
 * The process that listens on @path; 0 when there is none or /proc hides it.
 * Slow: it searches the descriptors of all processes.
 */
pid_t unix_listener_find_pid(const char *path);

#endif
